//! Secrets and SSH agents: what the build was given, shown to a command and to nothing else.
//!
//! A secret is a file in memory or a variable of the one process; it is in no key, no layer and no event, and nothing
//! writes it to the store.

use std::collections::BTreeMap;
use std::fmt;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kiln_cache::{Draft, Store};
use kiln_graph::op::Access;
use kiln_sandbox::MountKind;

use super::relay::{Agent, Relay};
use super::{MountError, Prepared, Sources};
use crate::keyring::Keyring;

/// What a build may use and must not keep.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    /// Secrets by id.
    pub secrets: BTreeMap<String, Secret>,
    /// Sockets of SSH agents by id.
    pub agents: BTreeMap<String, PathBuf>,
    /// Private keys by the id of the agent that they stand for.
    pub keyrings: BTreeMap<String, Arc<Keyring>>,
}

/// An agent that a process of this machine may ask, for as long as this is kept.
#[derive(Debug)]
pub(crate) enum Reachable {
    /// By its own socket.
    Own(PathBuf),
    /// By a socket of kiln's.
    Relayed {
        /// Answers there.
        relay: Relay,
        /// Holds the socket.
        _directory: Draft,
    },
}

impl Reachable {
    /// The socket.
    pub(crate) fn socket(&self) -> &Path {
        match self {
            Self::Own(path) => path,
            Self::Relayed { relay, .. } => relay.socket(),
        }
    }
}

impl Credentials {
    fn agent(&self, id: &str) -> Option<Agent> {
        let keys = self.keyrings.get(id).map(|keys| Agent::Keys(Arc::clone(keys)));
        keys.or_else(|| self.agents.get(id).map(|path| Agent::Socket(path.clone())))
    }

    /// The agent `id` for a process of this user's on this machine.
    pub(crate) fn reachable(&self, id: &str, store: &Store) -> Result<Option<Reachable>, MountError> {
        let keys = match self.agent(id) {
            None => return Ok(None),
            Some(Agent::Socket(path)) => return Ok(Some(Reachable::Own(path))),
            Some(keys @ Agent::Keys(_)) => keys,
        };
        let directory = store.layers().draft()?;
        let access = Access {
            mode: 0o600,
            uid: rustix::process::getuid().as_raw(),
            gid: rustix::process::getgid().as_raw(),
        };
        let relay = Relay::start(directory.upper(), &keys, &access).map_err(|source| MountError::Agent {
            id: id.to_owned(),
            path: directory.upper().to_owned(),
            source,
        })?;
        Ok(Some(Reachable::Relayed { relay, _directory: directory }))
    }
}

/// A value that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// A secret of these bytes.
    pub fn new(value: Vec<u8>) -> Self {
        Self(value)
    }

    /// What nobody is to see.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// How a command wants a credential.
pub(super) struct Wanted<'a> {
    /// Where; `None` makes no file.
    pub(super) target: Option<&'a str>,
    pub(super) access: &'a Access,
    pub(super) required: bool,
}

/// Shows a secret as a file, as the variable `env`, or both. One that is missing and not required is nowhere.
pub(super) fn secret(
    prepared: &mut Prepared,
    given: &Credentials,
    id: &str,
    wanted: &Wanted<'_>,
    env: Option<&str>,
) -> Result<(), MountError> {
    let Some(Secret(value)) = given.secrets.get(id) else {
        let ids = || given.secrets.keys().cloned().collect();
        let missing = || MountError::NoSecret { id: id.to_owned(), given: ids() };
        return if wanted.required { Err(missing()) } else { Ok(()) };
    };
    if let Some(name) = env {
        let not_text = || MountError::NotText { id: id.to_owned(), name: name.to_owned() };
        let text = std::str::from_utf8(value).ok().filter(|text| !text.contains('\0'));
        prepared.env.push((name.to_owned(), text.ok_or_else(not_text)?.to_owned()));
    }
    if let Some(target) = wanted.target {
        let Access { mode, uid, gid } = *wanted.access;
        prepared.show(target, MountKind::File { data: value.clone(), mode, uid, gid });
    }
    Ok(())
}

/// Shows a socket that leads to an agent.
pub(super) fn agent(
    prepared: &mut Prepared,
    sources: &Sources<'_>,
    id: &str,
    wanted: &Wanted<'_>,
) -> Result<(), MountError> {
    let (Some(agent), Some(target)) = (sources.credentials.agent(id), wanted.target) else {
        return if wanted.required { Err(MountError::NoAgent { id: id.to_owned() }) } else { Ok(()) };
    };
    let directory = sources.store.layers().draft()?;
    let path = if let Agent::Socket(path) = &agent { path } else { directory.upper() };
    let failed = |source| MountError::Agent { id: id.to_owned(), path: path.to_owned(), source };
    if matches!(agent, Agent::Socket(_)) {
        let metadata = std::fs::metadata(path).map_err(failed)?;
        if !metadata.file_type().is_socket() {
            return Err(failed(std::io::Error::other("it is not a socket")));
        }
    }
    let relay = Relay::start(directory.upper(), &agent, wanted.access).map_err(failed)?;
    let source = relay.socket().to_owned();
    prepared.relays.push(relay);
    prepared.drafts.push(directory);
    prepared.show(target, MountKind::Bind { source, read_only: false, recursive: false });
    prepared.agent.get_or_insert_with(|| target.to_owned());
    Ok(())
}
