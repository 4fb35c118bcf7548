//! From a specification to the list of steps that make it true. Pure: what the machine is like comes in as
//! [`Layout`], nothing is opened or asked.
//!
//! [`crate::init`] performs the steps in order, in a process that is already in its new namespaces. Paths are
//! absolute inside the root, which is not yet `/` before [`Step::Pivot`].

use std::fmt;
use std::path::{Path, PathBuf};

use crate::cgroup::{Hierarchy, Layout};
use crate::device::{self, Device};
use crate::{Limit, Mount, MountKind, MountTree, Network, Root, RunSpec, Stdin, Stdio, WindowSize};

/// One thing to do. `Display` completes the sentence "cannot …".
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Keep mounts of this namespace from reaching the host's and the other way round.
    PrivateMounts,
    /// Set the host name.
    Hostname(String),
    /// Bring up the only interface of an empty network namespace.
    Loopback,
    /// Mount the root file system with a place for each of the targets. Without `devices`, device nodes in it cannot be
    /// opened.
    Root { root: Root, targets: Vec<Target>, devices: bool, read_only: bool },
    /// Mount a new file system.
    Mount(NewMount),
    /// Show a device node that can be opened wherever its path leads.
    Device(Device),
    /// Make a device node in the sandbox's `/dev`.
    Node(Device),
    /// Make a symlink in a file system that an earlier step mounted.
    Link { path: String, target: String },
    /// Show a directory or file of the host.
    Bind { target: String, source: PathBuf, view: View },
    /// Show a file with this content.
    File { target: String, data: Vec<u8>, mode: u32, owner: (u32, u32), read_only: bool },
    /// Show a part of a tree.
    Part { target: String, tree: MountTree, path: PathBuf, directory: bool, view: View },
    /// Make what is mounted here, or this path of it, read-only.
    ReadOnly(String),
    /// Hide a path behind nothing.
    Mask(&'static str),
    /// Make a terminal of the sandbox's own the standard streams.
    Terminal { size: WindowSize, owner: u32 },
    /// Set up the standard streams. Those that are pipes of ours go to the user, so that `/dev/stdout` can be opened.
    Streams { owner: u32, input: bool, output: bool },
    /// Make the root the process's `/` and let go of the host's file systems.
    Pivot,
    /// Enter the working directory.
    Enter { path: String, create: bool },
    /// Allow this process, and so the command, as much as the limit says, if that is more than it may use.
    Raise(Limit),
    /// Drop privileges, unless all may stay, and become the user.
    Credentials { uid: u32, gid: u32, groups: Vec<u32>, no_new_privs: bool, privileged: bool },
    /// Become the command.
    Execute { args: Vec<String>, env: Vec<(String, String)>, limits: Vec<Limit> },
}

/// How a mount shows what was there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is a mount attribute of the kernel's")]
pub(crate) struct View {
    /// Whether mounts below come along.
    pub(crate) recursive: bool,
    pub(crate) read_only: bool,
    /// Whether device nodes can be opened.
    pub(crate) devices: bool,
    /// Whether set-id bits and file capabilities count.
    pub(crate) set_id: bool,
    /// Whether programs can be executed.
    pub(crate) programs: bool,
}

/// A path that must exist before something can be mounted on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) path: String,
    pub(crate) kind: TargetKind,
}

/// What a missing [`Target`] is made as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TargetKind {
    Directory,
    File,
    /// Whichever this path of the host is.
    Like(PathBuf),
}

/// A file system that does not exist before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewMount {
    /// Missing directories of it are made, except in the root file system.
    pub(crate) target: String,
    pub(crate) filesystem: &'static str,
    /// Parameters for fsconfig; `None` for flags.
    pub(crate) parameters: Vec<(String, Option<String>)>,
    pub(crate) read_only: bool,
    /// Whether devices work and programs can be executed; setuid bits never count.
    pub(crate) devices: bool,
    pub(crate) programs: bool,
    /// Whether the target may be a symlink, which is then followed beneath the root.
    pub(crate) follow: bool,
}

/// Paths that show the host, hidden as Docker does.
const MASKED: [&str; 11] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
];

/// Paths through which the host could be changed, read-only as in Docker.
const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

const LINKS: [(&str, &str); 6] = [
    ("/dev/ptmx", "pts/ptmx"),
    ("/dev/fd", "/proc/self/fd"),
    ("/dev/stdin", "/proc/self/fd/0"),
    ("/dev/stdout", "/proc/self/fd/1"),
    ("/dev/stderr", "/proc/self/fd/2"),
    ("/dev/core", "/proc/kcore"),
];

/// Where programs look for memory that they share, and how much of it there is, in bytes: Docker's.
const SHARED_MEMORY_TARGET: &str = "/dev/shm";
const SHARED_MEMORY: u64 = 64 << 20;

/// All steps for a run, on a machine with these control groups.
pub(crate) fn steps(spec: &RunSpec, stdio: Stdio, cgroups: &Layout) -> Vec<Step> {
    let mut steps = vec![Step::PrivateMounts, Step::Hostname(spec.hostname.clone())];
    if spec.network == Network::None {
        steps.push(Step::Loopback);
    }
    let privileged = spec.privileged;
    let (root, read_only) = (spec.root.clone(), spec.read_only_root);
    steps.push(Step::Root { root, targets: targets(spec), devices: privileged, read_only });
    steps.extend(system_mounts(spec));
    steps.extend(cgroup_mounts(cgroups, privileged));
    let make = if privileged { Step::Node } else { Step::Device };
    steps.extend(device::system(privileged).into_iter().map(make));
    steps.extend(LINKS.map(|(path, target)| Step::Link { path: path.into(), target: target.into() }));
    steps.extend(network_files(spec));
    steps.extend(spec.mounts.iter().map(|mount| user_mount(mount, privileged)));
    steps.extend(spec.devices.iter().cloned().map(Step::Device));
    if !privileged {
        steps.extend(MASKED.map(Step::Mask));
        steps.extend(READ_ONLY.map(|path| Step::ReadOnly(path.to_owned())));
    }
    steps.push(match stdio {
        Stdio::Terminal => Step::Terminal { size: spec.window, owner: spec.uid },
        Stdio::Pipes | Stdio::Inherit => {
            Step::Streams { owner: spec.uid, input: spec.stdin == Stdin::Pipe, output: stdio == Stdio::Pipes }
        }
    });
    steps.push(Step::Pivot);
    steps.push(Step::Enter { path: spec.cwd.clone(), create: spec.create_cwd });
    // That takes a privilege which is about to go. The limits themselves hold for the command, not for what leads to it.
    steps.extend(spec.limits.iter().cloned().map(Step::Raise));
    steps.push(Step::Credentials {
        uid: spec.uid,
        gid: spec.gid,
        groups: spec.groups.clone(),
        no_new_privs: spec.no_new_privs,
        privileged,
    });
    let (args, env, limits) = (spec.args.clone(), spec.env.clone(), spec.limits.clone());
    steps.push(Step::Execute { args, env, limits });
    steps
}

fn targets(spec: &RunSpec) -> Vec<Target> {
    let directory = |path: &str| Target { path: path.to_owned(), kind: TargetKind::Directory };
    let mut targets = vec![directory("/proc"), directory("/sys"), directory("/dev")];
    targets.extend(network_files(spec).filter_map(|step| match step {
        Step::File { target, .. } => Some(Target { path: target, kind: TargetKind::File }),
        _ => None,
    }));
    targets.extend(spec.mounts.iter().map(|mount| Target {
        path: mount.target.clone(),
        kind: match &mount.kind {
            MountKind::Bind { source, .. } | MountKind::Plain { source, .. } => {
                TargetKind::Like(source.clone())
            }
            MountKind::Tmpfs { .. } | MountKind::Part { directory: true, .. } => TargetKind::Directory,
            MountKind::File { .. } | MountKind::Part { .. } => TargetKind::File,
        },
    }));
    targets.extend(
        spec.devices.iter().map(|device| Target { path: device.path.clone(), kind: TargetKind::File }),
    );
    targets
}

fn network_files(spec: &RunSpec) -> impl Iterator<Item = Step> {
    let files = [("/etc/resolv.conf", &spec.resolv_conf), ("/etc/hosts", &spec.hosts)];
    files.into_iter().filter_map(|(target, data)| {
        let data = data.clone()?;
        Some(Step::File { target: target.to_owned(), data, mode: 0o644, owner: (0, 0), read_only: false })
    })
}

fn user_mount(mount: &Mount, privileged: bool) -> Step {
    let target = mount.target.clone();
    let view = |recursive: bool, read_only: bool| View {
        recursive,
        read_only,
        devices: privileged,
        set_id: true,
        programs: true,
    };
    match &mount.kind {
        MountKind::Bind { source, read_only, recursive } => {
            Step::Bind { target, source: source.clone(), view: view(*recursive, *read_only) }
        }
        MountKind::Plain { source, read_only, programs } => {
            let view = View { set_id: false, programs: *programs, ..view(true, *read_only) };
            Step::Bind { target, source: source.clone(), view }
        }
        MountKind::Tmpfs { size, mode } => {
            let mut parameters = vec![parameter("mode", format!("{mode:o}"))];
            parameters.extend(size.map(|size| parameter("size", size.to_string())));
            Step::Mount(NewMount { parameters, programs: true, follow: true, ..new_mount(&target, "tmpfs") })
        }
        MountKind::File { data, mode, uid, gid } => {
            Step::File { target, data: data.clone(), mode: *mode, owner: (*uid, *gid), read_only: true }
        }
        MountKind::Part { tree, path, directory, read_only } => Step::Part {
            target,
            tree: tree.clone(),
            path: path.clone(),
            directory: *directory,
            view: view(false, *read_only),
        },
    }
}

fn system_mounts(spec: &RunSpec) -> Vec<Step> {
    let privileged = spec.privileged;
    let shared = spec.shared_memory.unwrap_or(SHARED_MEMORY).to_string();
    // What is mounted there instead is not mounted on it, as under BuildKit: a place has one entry in /proc/mounts.
    let is_taken =
        spec.mounts.iter().any(|mount| Path::new(&mount.target) == Path::new(SHARED_MEMORY_TARGET));
    let tmpfs = |mode: &str, size: &str| vec![parameter("mode", mode), parameter("size", size)];
    // Group 5 is "tty" on every distribution; terminals are writable for it.
    let devpts = vec![parameter("mode", "620"), parameter("gid", "5"), parameter("ptmxmode", "666")];
    [
        new_mount("/proc", "proc"),
        NewMount { read_only: !privileged, ..new_mount("/sys", "sysfs") },
        NewMount { parameters: tmpfs("755", "65536k"), devices: privileged, ..new_mount("/dev", "tmpfs") },
        NewMount { parameters: devpts, devices: true, ..new_mount("/dev/pts", "devpts") },
        NewMount { parameters: tmpfs("1777", &shared), ..new_mount(SHARED_MEMORY_TARGET, "tmpfs") },
        new_mount("/dev/mqueue", "mqueue"),
    ]
    .into_iter()
    .filter(|mount| !is_taken || mount.target != SHARED_MEMORY_TARGET)
    .map(Step::Mount)
    .collect()
}

fn cgroup_mounts(layout: &Layout, privileged: bool) -> Vec<Step> {
    const BASE: &str = "/sys/fs/cgroup";
    let cgroup2 =
        |target: &str| Step::Mount(NewMount { read_only: !privileged, ..new_mount(target, "cgroup2") });
    match layout {
        Layout::None => Vec::new(),
        Layout::Unified => vec![cgroup2(BASE)],
        Layout::Legacy { hierarchies, unified } => {
            let base = NewMount { parameters: vec![parameter("mode", "755")], ..new_mount(BASE, "tmpfs") };
            let mut steps = vec![Step::Mount(base)];
            steps.extend(
                hierarchies.iter().flat_map(|hierarchy| legacy_hierarchy(BASE, hierarchy, privileged)),
            );
            if *unified {
                steps.push(cgroup2(&format!("{BASE}/unified")));
            }
            if !privileged {
                steps.push(Step::ReadOnly(BASE.to_owned()));
            }
            steps
        }
    }
}

fn legacy_hierarchy(base: &str, hierarchy: &Hierarchy, privileged: bool) -> Vec<Step> {
    let target = format!("{base}/{}", hierarchy.directory);
    let parameters = hierarchy.options.clone();
    let mount = NewMount { parameters, read_only: !privileged, ..new_mount(&target, "cgroup") };
    let link =
        |name: &str| Step::Link { path: format!("{base}/{name}"), target: hierarchy.directory.clone() };
    [Step::Mount(mount)].into_iter().chain(hierarchy.aliases().map(link)).collect()
}

fn parameter(key: &str, value: impl Into<String>) -> (String, Option<String>) {
    (key.to_owned(), Some(value.into()))
}

fn new_mount(target: &str, filesystem: &'static str) -> NewMount {
    NewMount {
        target: target.to_owned(),
        filesystem,
        parameters: Vec::new(),
        read_only: false,
        devices: false,
        programs: false,
        follow: false,
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::PrivateMounts => write!(f, "make the sandbox's mounts private"),
            Step::Hostname(name) => write!(f, "set the host name to `{name}`"),
            Step::Loopback => write!(f, "bring up the loopback interface"),
            Step::Root { .. } => write!(f, "mount the root file system"),
            Step::Mount(mount) => write!(f, "mount {} on `{}`", mount.filesystem, mount.target),
            Step::Device(device) | Step::Node(device) => write!(f, "make the device `{}`", device.path),
            Step::Link { path, .. } => write!(f, "make the symlink `{path}`"),
            Step::Bind { target, source, .. } => write!(f, "mount `{}` on `{target}`", source.display()),
            Step::File { target, .. } => write!(f, "provide the file `{target}`"),
            Step::Part { target, path, .. } => write!(f, "mount `{}` on `{target}`", path.display()),
            Step::ReadOnly(path) => write!(f, "make `{path}` read-only"),
            Step::Mask(path) => write!(f, "hide `{path}`"),
            Step::Terminal { .. } => write!(f, "open a terminal"),
            Step::Streams { owner, .. } => write!(f, "set up the standard streams of user {owner}"),
            Step::Pivot => write!(f, "enter the root file system"),
            Step::Enter { path, .. } => write!(f, "change to the working directory `{path}`"),
            Step::Raise(limit) => write!(f, "allow the limit {limit}"),
            Step::Credentials { uid, gid, .. } => write!(f, "become user {uid}, group {gid}"),
            Step::Execute { args, .. } => write!(f, "execute `{}`", args.first().map_or("", String::as_str)),
        }
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
