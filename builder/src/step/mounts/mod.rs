//! The mounts of a command: what the graph says becomes what the sandbox is to show, with everything that has to be
//! held while the command runs.
//!
//! What is bound is looked up in the input's layers and mounted from them ([`bind`]); caches are directories of the store
//! ([`cache`]); secrets and agents are what the build was given ([`credentials`]). Called by [`super::exec`].

mod bind;
mod cache;
pub(crate) mod credentials;
mod relay;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use kiln_cache::{CacheDirectory, CacheName, DiffId, Draft, NodeKind, Store, StoreError, View};
use kiln_graph::op::{Exec, ExecMount, Sharing};
use kiln_sandbox::{Mount, MountKind};

use self::relay::Relay;
pub use credentials::{Credentials, Secret};

/// Mode of a tmpfs mount where there was no directory: everybody's, with the sticky bit, as Docker makes it.
const TMPFS_MODE: u32 = 0o1777;

/// An input that a mount shows.
#[derive(Debug, Clone)]
pub(crate) struct Layers {
    /// Its layers' trees, bottom first.
    pub(crate) trees: Vec<PathBuf>,
    /// The same layers.
    pub(crate) diff_ids: Vec<DiffId>,
}

/// What mounts are made from.
pub(crate) struct Sources<'a> {
    pub(crate) store: &'a Store,
    /// Inputs by their number.
    pub(crate) inputs: &'a BTreeMap<usize, Layers>,
    /// Secrets and agents.
    pub(crate) credentials: &'a Credentials,
    /// Told what the step waits for.
    pub(crate) note: &'a dyn Fn(String),
}

/// What the sandbox needs for the mounts of one command.
#[derive(Debug, Default)]
pub(crate) struct Prepared {
    /// The mounts, those that others lie in first.
    pub(crate) mounts: Vec<Mount>,
    /// Secrets that are variables.
    pub(crate) env: Vec<(String, String)>,
    /// Where the first SSH agent is: the one that programs find by themselves.
    pub(crate) agent: Option<String>,
    /// Lead to agents, from directories that are among the drafts.
    relays: Vec<Relay>,
    /// Take what the command writes to a bound tree; they go with this.
    drafts: Vec<Draft>,
    /// Take what the command writes to a mount whose files are a result, by the number of the mount.
    pub(crate) outputs: Vec<(usize, Draft)>,
    /// Keep caches for the command.
    caches: Vec<CacheDirectory>,
}

/// Why something cannot be mounted.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    /// A secret that is required was not given.
    #[error("the secret `{id}` is required, and the build was not given it")]
    NoSecret {
        /// Its id.
        id: String,
        /// The ids of those that were given.
        given: Vec<String>,
    },
    /// An agent that is required was not given.
    #[error("the SSH agent `{id}` is required, and the build was not given it")]
    NoAgent {
        /// Its id.
        id: String,
    },
    /// The socket of an agent cannot be used.
    #[error("cannot use {path} as the socket of the SSH agent `{id}`", path = path.display())]
    Agent {
        /// The agent's id.
        id: String,
        /// The socket.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// A secret is to be a variable and cannot be one.
    #[error("the secret `{id}` cannot be the value of ${name}: it is not text, or holds a NUL byte")]
    NotText {
        /// The secret's id.
        id: String,
        /// The variable.
        name: String,
    },
    /// What is to be bound is not there.
    #[error("cannot mount {source} on {target}: there is no such file", source = source_path.display())]
    NotFound {
        /// Path in the input.
        source_path: PathBuf,
        /// Where it was to appear.
        target: String,
    },
    /// What a cache is to begin with is not one layer.
    #[error("the cache mount on {target} cannot begin as a copy of {layers} layers")]
    Seed {
        /// Where it was to appear.
        target: String,
        /// How many layers there are.
        layers: usize,
    },
    /// The operation names an input that was not given.
    #[error("the mount on {target} is of input {input}, which the step does not have")]
    NoInput {
        /// Where it was to appear.
        target: String,
        /// The input's number.
        input: usize,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

crate::causes::store_causes!(MountError);

/// The names of the caches that `op` mounts.
pub(crate) fn caches(op: &Exec, sources: &Sources<'_>) -> Result<Vec<CacheName>, MountError> {
    cache::names(&op.mounts, sources)
}

/// Prepares the mounts of `op`. Blocks the thread while others have a cache to themselves.
pub(crate) fn prepare(op: &Exec, sources: &Sources<'_>) -> Result<Prepared, MountError> {
    let mut prepared = Prepared::default();
    let caches = cache::Caches::take(&op.mounts, sources)?;
    for (number, mount) in op.mounts.iter().enumerate() {
        match mount {
            ExecMount::File { target, data, mode } => {
                let kind = MountKind::File { data: data.clone(), mode: *mode, uid: 0, gid: 0 };
                prepared.show(target, kind);
            }
            ExecMount::Tmpfs { target, size } => {
                prepared.show(target, MountKind::Tmpfs { size: *size, mode: TMPFS_MODE });
            }
            ExecMount::Bind { input, source, target, read_only } => {
                let layers = sources.input(*input, target)?;
                bind::bind(&mut prepared, sources.store, layers, source.as_ref(), target, *read_only)?;
            }
            ExecMount::Output { input, source, target } => {
                let layers = sources.input(*input, target)?;
                bind::bind(&mut prepared, sources.store, layers, source.as_ref(), target, false)?;
                prepared.outputs.extend(prepared.drafts.pop().map(|draft| (number, draft)));
            }
            ExecMount::Cache(cache) => prepared.show(&cache.target, caches.part(cache, sources)?),
            ExecMount::Secret { id, target, env, access, required } => {
                let wanted = credentials::Wanted { target: target.as_deref(), access, required: *required };
                credentials::secret(&mut prepared, sources.credentials, id, &wanted, env.as_deref())?;
            }
            ExecMount::Ssh { id, target, access, required } => {
                let wanted = credentials::Wanted { target: Some(target), access, required: *required };
                credentials::agent(&mut prepared, sources, id, &wanted)?;
            }
        }
    }
    prepared.caches = caches.into_directories();
    outer_first(&mut prepared.mounts);
    Ok(prepared)
}

/// Sorts mounts so that one that lies in another comes after it.
pub(crate) fn outer_first(mounts: &mut [Mount]) {
    mounts.sort_by(|left, right| Path::new(&left.target).cmp(Path::new(&right.target)));
}

impl Sources<'_> {
    fn input(&self, number: usize, target: &str) -> Result<&Layers, MountError> {
        let missing = || MountError::NoInput { target: target.to_owned(), input: number };
        self.inputs.get(&number).ok_or_else(missing)
    }
}

impl Prepared {
    /// Gives each tmpfs the mode of the directory of `root` that it covers, as runc does.
    pub(crate) fn cover(&mut self, root: &View) -> Result<(), StoreError> {
        for mount in &mut self.mounts {
            let MountKind::Tmpfs { mode, .. } = &mut mount.kind else { continue };
            // What an image has there is below the memory that every sandbox has in its place.
            if Path::new(&mount.target) == Path::new(ExecMount::SHARED_MEMORY) {
                continue;
            }
            let covered = root.resolve(Path::new(&mount.target), true)?.node;
            if let Some(directory) = covered.filter(|node| node.kind == NodeKind::Directory) {
                *mode = directory.mode;
            }
        }
        Ok(())
    }

    fn show(&mut self, target: &str, kind: MountKind) {
        self.mounts.push(Mount { target: target.to_owned(), kind });
    }
}

/// Whether preparing the mounts of `op` may have to wait until another command has done with a cache.
pub(crate) fn may_wait(op: &Exec) -> bool {
    op.mounts.iter().any(|mount| match mount {
        ExecMount::Cache(cache) => cache.sharing != Sharing::Private,
        _ => false,
    })
}

/// The inputs that the mounts of `op` show.
pub(crate) fn inputs(op: &Exec) -> impl Iterator<Item = usize> {
    op.mounts.iter().filter_map(|mount| match mount {
        ExecMount::Bind { input, .. } | ExecMount::Output { input, .. } => Some(*input),
        ExecMount::Cache(cache) => cache.input,
        ExecMount::File { .. }
        | ExecMount::Tmpfs { .. }
        | ExecMount::Secret { .. }
        | ExecMount::Ssh { .. } => None,
    })
}
