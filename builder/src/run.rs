//! Running an image: a command on its layers, with a fresh writable layer that is thrown away.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use kiln_cache::{Draft, ImageRecord, StoreError, UseLock, View};
use kiln_graph::image::ContainerConfig;
use kiln_graph::op::{Network, Ulimit};
use kiln_sandbox::{
    Exit, Mount, MountKind, Root, RunSpec, Sandbox, SandboxError, Signaller, Stdin, Stdio, WindowSize,
};

use crate::Builder;
use crate::event::Progress;
use crate::fetch::{FetchError, Fetcher};
use crate::step::lower_directories;
use crate::step::user::{self, Identity, UserError};
use crate::task::blocking;
use crate::{hint, hosts, limits};

/// `PATH` where the image sets none: Docker's.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What to run, and how; what is absent is the image's own.
#[derive(Debug, Clone)]
pub struct RunRequest {
    /// The image.
    pub image: ImageRecord,
    /// Arguments after the image's name; empty means the image's CMD.
    pub command: Vec<String>,
    /// Replaces the image's ENTRYPOINT, and its CMD with it.
    pub entrypoint: Option<Vec<String>>,
    /// Variables that are added to the image's or replace them.
    pub env: Vec<(String, String)>,
    /// Replaces WORKDIR.
    pub workdir: Option<String>,
    /// Replaces USER.
    pub user: Option<String>,
    /// Host directories and files that are mounted.
    pub volumes: Vec<Volume>,
    /// The network.
    pub network: Network,
    /// Limits of what the command may use, beside kiln's own.
    pub limits: Vec<Ulimit>,
    /// Size of `/dev/shm` in bytes; `None` is Docker's.
    pub shared_memory: Option<u64>,
    /// The host name; `None` is a made-up one.
    pub hostname: Option<String>,
    /// True if the command gets a terminal.
    pub terminal: bool,
    /// The terminal's size at the start.
    pub window: WindowSize,
    /// True if the command reads the caller's standard input.
    pub interactive: bool,
}

/// A host path that is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Absolute path on the host.
    pub source: PathBuf,
    /// Absolute path in the container.
    pub target: String,
    /// True if writing is refused.
    pub read_only: bool,
}

/// A command that was started.
///
/// Dropping it kills the command and everything that it started, and removes its writable layer.
pub struct Running {
    sandbox: Sandbox,
    _changes: Draft,
    _in_use: UseLock,
}

/// Why an image could not be run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Neither the image nor the caller says what to run.
    #[error("no command: the image has neither ENTRYPOINT nor CMD")]
    NoCommand,
    /// The image or its layers could not be had.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The user is unknown.
    #[error(transparent)]
    User(#[from] UserError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The command could not be started or waited for.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// A part of the builder stopped without an answer.
    #[error("an internal task of the builder ended without a result")]
    Lost,
}

crate::causes::store_causes!(RunError);

impl RunError {
    /// What can be done about it, if there is something to say.
    pub fn hint(&self) -> Option<String> {
        match self {
            RunError::Fetch(error) => error.hint(),
            RunError::Sandbox(error) => hint::of_limit(error),
            _ => None,
        }
    }
}

impl Running {
    /// Waits for the command and everything that it started.
    pub fn wait(&mut self) -> Result<Exit, RunError> {
        Ok(self.sandbox.wait()?)
    }

    /// Something to send signals with while another thread waits.
    pub fn signaller(&self) -> Signaller {
        self.sandbox.signaller()
    }

    /// The terminal's other end, once, if one was asked for.
    pub fn take_terminal(&mut self) -> Option<OwnedFd> {
        self.sandbox.take_terminal()
    }
}

impl Builder {
    /// Starts a command on an image's layers, which are fetched and unpacked if they are not.
    pub async fn run(&self, request: RunRequest, progress: &Progress) -> Result<Running, RunError> {
        let in_use = self.store.use_lock()?;
        let config = self.fetcher.config(&request.image)?.config;
        let args = arguments(&request, &config)?;
        let trees = self.fetcher.trees(&Fetcher::snapshot(&request.image)?, progress).await?;
        let (store, host) = (self.store.clone(), self.host.clone());
        let started = blocking(move || {
            let changes = store.layers().draft()?;
            let view = View::new(&trees)?;
            let user = request.user.as_deref().unwrap_or(&config.user);
            let identity = user::identity(&view, user)?;
            let root = Root::Overlay {
                lowers: lower_directories(trees),
                upper: changes.upper().to_owned(),
                work: changes.work().to_owned(),
            };
            let mut spec = spec(&request, &config, &identity, RunSpec::new(root, args));
            spec.resolv_conf.clone_from(&host.resolv_conf);
            spec.hosts = host.hosts.as_deref().map(|hosts| hosts::file(hosts, &spec.hostname, &[]));
            let stdio = if request.terminal { Stdio::Terminal } else { Stdio::Inherit };
            let sandbox = kiln_sandbox::spawn(&spec, stdio)?;
            Ok(Running { sandbox, _changes: changes, _in_use: in_use })
        });
        started.await.ok_or(RunError::Lost)?
    }
}

/// The whole command line, by Docker's rules: a new entry point comes without the image's CMD.
fn arguments(request: &RunRequest, config: &ContainerConfig) -> Result<Vec<String>, RunError> {
    let mut args = match &request.entrypoint {
        Some(entrypoint) => entrypoint.clone(),
        None => config.entrypoint.clone().unwrap_or_default(),
    };
    if !request.command.is_empty() {
        args.extend(request.command.iter().cloned());
    } else if request.entrypoint.is_none() {
        args.extend(config.cmd.iter().flatten().cloned());
    }
    if args.is_empty() { Err(RunError::NoCommand) } else { Ok(args) }
}

fn spec(request: &RunRequest, config: &ContainerConfig, identity: &Identity, base: RunSpec) -> RunSpec {
    let hostname = request.hostname.clone().unwrap_or_else(made_up_name);
    let mounts = request.volumes.iter().map(|volume| Mount {
        target: volume.target.clone(),
        kind: MountKind::Bind { source: volume.source.clone(), read_only: volume.read_only, recursive: true },
    });
    let cwd = request.workdir.as_ref().unwrap_or(&config.working_dir);
    RunSpec {
        env: environment(request, config, identity, &hostname),
        cwd: if cwd.is_empty() { "/".to_owned() } else { cwd.clone() },
        create_cwd: true,
        uid: identity.ids.uid,
        gid: identity.ids.gid,
        groups: identity.groups.clone(),
        hostname,
        network: match request.network {
            Network::Host => kiln_sandbox::Network::Host,
            Network::None => kiln_sandbox::Network::None,
        },
        mounts: mounts.collect(),
        limits: limits::of(&request.limits),
        shared_memory: request.shared_memory,
        stdin: if request.interactive { Stdin::Inherit } else { Stdin::Null },
        window: request.window,
        ..base
    }
}

/// Docker's defaults, then the image's variables, then the caller's.
fn environment(
    request: &RunRequest,
    config: &ContainerConfig,
    identity: &Identity,
    hostname: &str,
) -> Vec<(String, String)> {
    let mut env =
        vec![("PATH".to_owned(), DEFAULT_PATH.to_owned()), ("HOSTNAME".to_owned(), hostname.to_owned())];
    if request.terminal {
        env.push(("TERM".to_owned(), "xterm".to_owned()));
    }
    let image = config.env.iter().map(|variable| match variable.split_once('=') {
        Some((name, value)) => (name.to_owned(), value.to_owned()),
        None => (variable.clone(), String::new()),
    });
    for (name, value) in image.chain(request.env.iter().cloned()) {
        match env.iter_mut().find(|(known, _)| *known == name) {
            Some(variable) => variable.1 = value,
            None => env.push((name, value)),
        }
    }
    if !env.iter().any(|(name, _)| name == "HOME") {
        env.push(("HOME".to_owned(), identity.home.clone().unwrap_or_else(|| "/".to_owned())));
    }
    env
}

/// Twelve hexadecimal digits, as containers are called where nobody named them.
fn made_up_name() -> String {
    let mut hash = std::hash::DefaultHasher::new();
    std::hash::Hash::hash(&(std::process::id(), jiff::Timestamp::now().as_nanosecond()), &mut hash);
    format!("{:012x}", std::hash::Hasher::finish(&hash) & 0xffff_ffff_ffff)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn image() -> ImageRecord {
        ImageRecord {
            id: "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855".parse().unwrap(),
            manifest: None,
            layers: Vec::new(),
            layer_blobs: Vec::new(),
            origin: None,
            layer_origins: std::collections::BTreeMap::new(),
            platform: "linux/amd64".into(),
            created: None,
            size: 0,
        }
    }

    fn request(command: &[&str], entrypoint: Option<&[&str]>) -> RunRequest {
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        RunRequest {
            image: image(),
            command: owned(command),
            entrypoint: entrypoint.map(owned),
            env: vec![("A".into(), "2".into())],
            workdir: None,
            user: None,
            volumes: Vec::new(),
            network: Network::None,
            limits: Vec::new(),
            shared_memory: None,
            hostname: None,
            terminal: false,
            window: WindowSize::default(),
            interactive: false,
        }
    }

    #[test]
    fn the_command_line_follows_docker() {
        let words = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        let config =
            ContainerConfig { entrypoint: words(&["e"]), cmd: words(&["c"]), ..ContainerConfig::default() };
        let line = |request: RunRequest| arguments(&request, &config).unwrap().join(" ");
        assert_eq!(line(request(&[], None)), "e c");
        assert_eq!(line(request(&["x"], None)), "e x");
        assert_eq!(line(request(&[], Some(&["n"]))), "n");
        assert_eq!(line(request(&["x"], Some(&["n"]))), "n x");
        assert!(matches!(
            arguments(&request(&[], None), &ContainerConfig::default()),
            Err(RunError::NoCommand)
        ));
    }

    #[test]
    fn callers_variables_win() {
        let config =
            ContainerConfig { env: vec!["A=1".into(), "PATH=/x".into()], ..ContainerConfig::default() };
        let env = environment(&request(&[], None), &config, &Identity::default(), "h");
        let find = |name: &str| env.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        assert_eq!(
            (find("A"), find("PATH"), find("HOME"), find("HOSTNAME")),
            (Some("2"), Some("/x"), Some("/"), Some("h"))
        );
    }
}
