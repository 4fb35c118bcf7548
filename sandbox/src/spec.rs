//! What to run and on what: the input of [`crate::spawn()`], as plain data that travels to the supervisor.
//!
//! Nothing here touches the system; [`RunSpec::check`] says whether the data makes sense at all. Paths inside the
//! root are `String`s that start with `/`; paths of the host are `PathBuf`s.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{Device, Limit, SandboxError};

/// One process to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunSpec {
    /// The file system it sees as `/`.
    pub root: Root,
    /// The command and its arguments; never empty. A command without `/` is searched in the `PATH` of `env`.
    pub args: Vec<String>,
    /// The whole environment, in order.
    pub env: Vec<(String, String)>,
    /// Absolute working directory inside the root.
    pub cwd: String,
    /// Makes the working directory (mode 0755, owned by root) where it is missing. It stays in the upper directory.
    pub create_cwd: bool,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Supplementary groups, exactly these.
    pub groups: Vec<u32>,
    /// Host name.
    pub hostname: String,
    /// Whether writing to the root is refused; mounts are as they say.
    pub read_only_root: bool,
    /// Which network it sees.
    pub network: Network,
    /// Mounts beside the standard ones, made in this order.
    pub mounts: Vec<Mount>,
    /// Device nodes beside the standard ones.
    pub devices: Vec<Device>,
    /// Trusts the process with the machine: it has every capability that the caller has, no system call is refused,
    /// nothing of `/proc` and `/sys` is hidden or read-only, devices can be made and used, and the machine's general
    /// ones (`/dev/fuse`, `/dev/kvm`, `/dev/loop0` …) are there. The namespaces stay.
    pub privileged: bool,
    /// Content of `/etc/resolv.conf`, mounted over whatever the root has; `None` leaves the root's alone.
    pub resolv_conf: Option<Vec<u8>>,
    /// Content of `/etc/hosts`, likewise.
    pub hosts: Option<Vec<u8>>,
    /// What the process reads, unless [`Stdio::Terminal`] gives it a terminal.
    pub stdin: Stdin,
    /// Size of the terminal at the start, with [`Stdio::Terminal`].
    pub window: WindowSize,
    /// Whether programs with setuid bits or file capabilities are kept from gaining privileges.
    pub no_new_privs: bool,
    /// Limits of what it may use; what is not among them is limited as the caller is. Of several of one name the last counts.
    pub limits: Vec<Limit>,
    /// Size of `/dev/shm` in bytes; `None` is Docker's, 64 MiB. What [`mounts`](Self::mounts) has there takes its place.
    pub shared_memory: Option<u64>,
}

impl RunSpec {
    /// A run of `args` as root in `/` with Docker's default `PATH`, the host's network and nothing to read.
    pub fn new(root: Root, args: Vec<String>) -> RunSpec {
        RunSpec {
            root,
            args,
            env: vec![("PATH".to_owned(), DEFAULT_PATH.to_owned())],
            cwd: "/".to_owned(),
            create_cwd: false,
            uid: 0,
            gid: 0,
            groups: Vec::new(),
            hostname: "kiln".to_owned(),
            read_only_root: false,
            network: Network::Host,
            mounts: Vec::new(),
            devices: Vec::new(),
            privileged: false,
            resolv_conf: None,
            hosts: None,
            stdin: Stdin::Null,
            window: WindowSize::default(),
            no_new_privs: false,
            limits: Vec::new(),
            shared_memory: None,
        }
    }

    /// Finds what no kernel call would report well: missing arguments, relative paths, NUL bytes.
    pub(crate) fn check(&self) -> Result<(), SandboxError> {
        let invalid = |field: &str, problem: &str| SandboxError::InvalidSpec {
            field: field.into(),
            problem: problem.into(),
        };
        if self.args.first().is_none_or(String::is_empty) {
            return Err(invalid("args", "no command is given"));
        }
        if self.args.iter().any(|arg| arg.contains('\0')) {
            return Err(invalid("args", "an argument contains a NUL byte"));
        }
        for (name, value) in &self.env {
            if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
                return Err(invalid(
                    &format!("env {name:?}"),
                    "neither name nor value can be passed to a process",
                ));
            }
        }
        // The system calls read this value as "leave it as it is".
        if [self.uid, self.gid].iter().chain(&self.groups).any(|id| *id == u32::MAX) {
            return Err(invalid("uid, gid, groups", "4294967295 is not an id"));
        }
        if !is_root_path(&self.cwd) {
            return Err(invalid("cwd", "not an absolute path"));
        }
        for mount in &self.mounts {
            if !is_root_path(&mount.target) || mount.target.trim_matches('/').is_empty() {
                return Err(invalid(
                    &format!("mount {:?}", mount.target),
                    "the target is not an absolute path below /",
                ));
            }
        }
        for device in &self.devices {
            if !is_root_path(&device.path) || device.path.trim_matches('/').is_empty() {
                return Err(invalid(
                    &format!("device {:?}", device.path),
                    "the place is not an absolute path below /",
                ));
            }
        }
        for limit in &self.limits {
            if let Some(problem) = limit.problem() {
                return Err(invalid(&format!("limit {limit}"), problem));
            }
        }
        self.root.check()
    }
}

/// Where commands are searched when the environment has no `PATH`, as Docker does.
pub(crate) const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

fn is_root_path(path: &str) -> bool {
    path.starts_with('/') && !path.contains('\0')
}

/// The file system of a run. Directories are absolute paths of the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Root {
    /// What the process changes ends in `upper`, and nothing else does.
    Overlay {
        /// Read-only layer trees, the topmost first. May be empty.
        lowers: Vec<PathBuf>,
        /// Receives the changes; its own mode and owner are those of `/`.
        upper: PathBuf,
        /// An empty directory for the kernel's use on the same file system as `upper`.
        work: PathBuf,
    },
    /// What the process changes is kept in memory and forgotten at the end.
    OverlayScratch {
        /// Read-only layer trees, the topmost first. May be empty.
        lowers: Vec<PathBuf>,
        /// Limit of the changes in bytes; `None` is the kernel's default, half of the memory.
        size: Option<u64>,
    },
}

impl Root {
    /// The layer trees, the topmost first.
    pub(crate) fn lowers(&self) -> &[PathBuf] {
        match self {
            Root::Overlay { lowers, .. } | Root::OverlayScratch { lowers, .. } => lowers,
        }
    }

    fn check(&self) -> Result<(), SandboxError> {
        let mut paths: Vec<&PathBuf> = self.lowers().iter().collect();
        if let Root::Overlay { upper, work, .. } = self {
            paths.extend([upper, work]);
        }
        match paths.into_iter().find(|path| !path.is_absolute()) {
            None => Ok(()),
            Some(path) => Err(SandboxError::InvalidSpec {
                field: format!("root {}", path.display()),
                problem: "not an absolute path".into(),
            }),
        }
    }
}

/// The network of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Network {
    /// The host's.
    Host,
    /// A loopback interface and nothing else.
    None,
}

/// A mount beside the standard ones. A missing target is provided without leaving a trace in the upper directory;
/// a target that is a symlink is followed beneath the root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Absolute path inside the root.
    pub target: String,
    /// What appears there.
    pub kind: MountKind,
}

/// What a [`Mount`] shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum MountKind {
    /// A directory or file of the host.
    Bind {
        /// Absolute path on the host. Symlinks in it are followed on the host: a caller that got it from an image or a
        /// build resolves it first.
        source: PathBuf,
        /// Whether writing is refused.
        read_only: bool,
        /// Whether mounts below the source come along.
        recursive: bool,
    },
    /// A directory or file of the host with all mounts below it, as [`Bind`](Self::Bind) shows it, but nobody gains
    /// privileges by set-id bits and file capabilities of what lies there.
    Plain {
        /// Absolute path on the host; see [`Bind`](Self::Bind).
        source: PathBuf,
        /// Whether writing is refused.
        read_only: bool,
        /// Whether programs can be executed.
        programs: bool,
    },
    /// An empty file system in memory.
    Tmpfs {
        /// Limit in bytes; `None` is the kernel's default, half of the memory.
        size: Option<u64>,
        /// Permission bits of its root directory.
        mode: u32,
    },
    /// A read-only file with this content. It is kept in memory.
    File {
        /// The content.
        data: Vec<u8>,
        /// Permission bits.
        mode: u32,
        /// Its owner.
        uid: u32,
        /// Its group.
        gid: u32,
    },
    /// A part of a tree that nobody vouches for: whatever links it holds, the path leads nowhere outside of it.
    Part {
        /// The tree.
        tree: MountTree,
        /// Which part: symlinks are followed beneath the tree's root, and so are `..`.
        path: PathBuf,
        /// Whether a directory lies there, or anything else.
        directory: bool,
        /// Whether writing is refused.
        read_only: bool,
    },
}

/// What a [`MountKind::Part`] is a part of. Directories are absolute paths of the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum MountTree {
    /// A directory of the host. Directories that are missing on the way to the part are made, owned by root with mode
    /// 0755.
    Directory(PathBuf),
    /// The merged tree of some layers.
    Layers {
        /// Read-only layer trees, the topmost first. May be empty.
        lowers: Vec<PathBuf>,
        /// Receives what is written; without one, nothing can be.
        changes: Option<ChangesDirectory>,
    },
}

/// Where the changes of an overlay go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangesDirectory {
    /// Receives the changes; its own mode and owner are those of the tree's root.
    pub upper: PathBuf,
    /// An empty directory for the kernel's use on the same file system as `upper`.
    pub work: PathBuf,
}

/// What the process reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stdin {
    /// Nothing: `/dev/null`.
    Null,
    /// The caller's own standard input.
    Inherit,
    /// A pipe; see [`crate::Sandbox::take_stdin`].
    Pipe,
}

/// Where the output of the process goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stdio {
    /// Into two pipes; see [`crate::Sandbox::take_stdout`].
    Pipes,
    /// To the caller's own standard output and error.
    Inherit,
    /// Input and output are a new terminal; see [`crate::Sandbox::take_terminal`].
    Terminal,
}

/// The size of a terminal in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowSize {
    /// Lines.
    pub rows: u16,
    /// Characters a line.
    pub columns: u16,
}

impl Default for WindowSize {
    fn default() -> WindowSize {
        WindowSize { rows: 24, columns: 80 }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn spec() -> RunSpec {
        RunSpec::new(Root::OverlayScratch { lowers: vec!["/base".into()], size: None }, vec!["true".into()])
    }

    fn tmpfs(target: &str) -> Mount {
        Mount { target: target.into(), kind: MountKind::Tmpfs { size: None, mode: 0o755 } }
    }

    #[test]
    fn a_default_specification_is_valid() {
        spec().check().unwrap();
    }

    #[test]
    fn senseless_specifications_are_named() {
        type Change = fn(&mut RunSpec);
        let cases: [(Change, &str); 8] = [
            (|s| s.args.clear(), "args"),
            (|s| s.args = vec![String::new()], "args"),
            (|s| s.args.push("a\0b".into()), "args"),
            (|s| s.env.push(("A=B".into(), String::new())), "env \"A=B\""),
            (|s| s.cwd = "relative".into(), "cwd"),
            (|s| s.mounts.push(tmpfs("/")), "mount \"/\""),
            (|s| s.limits.push(Limit { name: "x".into(), soft: None, hard: Some(1) }), "limit x=-1:1"),
            (|s| s.root = Root::OverlayScratch { lowers: vec!["base".into()], size: None }, "root base"),
        ];
        for (change, expected) in cases {
            let mut changed = spec();
            change(&mut changed);
            match changed.check() {
                Err(SandboxError::InvalidSpec { field, .. }) => assert_eq!(field, expected),
                other => assert!(other.is_err(), "{expected} was accepted"),
            }
        }
    }

    #[test]
    fn a_specification_survives_the_journey() {
        let mut sent = spec();
        sent.resolv_conf = Some(b"nameserver 127.0.0.1\n".to_vec());
        let text = serde_json::to_vec(&sent).unwrap();
        assert_eq!(serde_json::from_slice::<RunSpec>(&text).unwrap(), sent);
    }
}
