//! Cache mounts: which directory of the store each one is.
//!
//! A cache is named by its id, and by what it begins as: a step that wants another seed, mode or owner wants
//! another cache. What it is named with is hashed, so an id is never a path.

use std::collections::BTreeMap;
use std::path::PathBuf;

use kiln_cache::{CacheDirectory, CacheName, CacheSeed, CacheSharing, Key};
use kiln_graph::op::{Access, CacheMount, ExecMount, Sharing};
use kiln_sandbox::{MountKind, MountTree};

use super::{MountError, Sources};

/// The caches of one step, each of them once, however often it is mounted.
pub(super) struct Caches {
    directories: BTreeMap<Key, CacheDirectory>,
}

/// How a step wants a cache.
struct Wanted {
    name: CacheName,
    sharing: CacheSharing,
}

impl Caches {
    /// Takes the caches, in the order of their names: steps that want the same ones never wait for each other in a circle.
    pub(super) fn take(mounts: &[ExecMount], sources: &Sources<'_>) -> Result<Self, MountError> {
        let mut wanted: BTreeMap<Key, Wanted> = BTreeMap::new();
        for mount in mounts {
            let ExecMount::Cache(cache) = mount else { continue };
            let name = name(cache, sources)?;
            let sharing = sharing(cache.sharing);
            let known = wanted.entry(name.key()).or_insert(Wanted { name, sharing });
            known.sharing = known.sharing.max(sharing);
        }
        let mut directories = BTreeMap::new();
        for (key, Wanted { name, sharing }) in wanted {
            let waits = || {
                let id = &name.id;
                (sources.note)(format!("waiting for another step that uses the cache mount `{id}`"));
            };
            directories.insert(key, sources.store.mounts().take(&name, sharing, waits)?);
        }
        Ok(Self { directories })
    }

    /// What the mount shows.
    pub(super) fn part(&self, cache: &CacheMount, sources: &Sources<'_>) -> Result<MountKind, MountError> {
        // Each one was taken under this very name.
        let directory = self.directories.get(&name(cache, sources)?.key()).map(CacheDirectory::path);
        let tree = MountTree::Directory(directory.map(PathBuf::from).unwrap_or_default());
        // With a seed, the source says what of the seed becomes the cache.
        let path = if cache.input.is_some() { PathBuf::from(".") } else { PathBuf::from(&cache.source) };
        Ok(MountKind::Part { tree, path, directory: true, read_only: cache.read_only })
    }

    pub(super) fn into_directories(self) -> Vec<CacheDirectory> {
        self.directories.into_values().collect()
    }
}

/// What the caches among these mounts are called.
pub(super) fn names(mounts: &[ExecMount], sources: &Sources<'_>) -> Result<Vec<CacheName>, MountError> {
    let caches = mounts.iter().filter_map(|mount| match mount {
        ExecMount::Cache(cache) => Some(name(cache, sources)),
        _ => None,
    });
    caches.collect()
}

fn name(cache: &CacheMount, sources: &Sources<'_>) -> Result<CacheName, MountError> {
    Ok(CacheName {
        namespace: cache.namespace.clone(),
        id: cache.id.clone(),
        seed: seed(cache, sources)?,
        access: cache.access.map(|Access { mode, uid, gid }| (mode, uid, gid)),
    })
}

fn seed(cache: &CacheMount, sources: &Sources<'_>) -> Result<Option<CacheSeed>, MountError> {
    let Some(input) = cache.input else { return Ok(None) };
    match sources.input(input, &cache.target)?.diff_ids.as_slice() {
        [layer] => Ok(Some(CacheSeed { layer: layer.clone(), part: PathBuf::from(&cache.source) })),
        layers => Err(MountError::Seed { target: cache.target.clone(), layers: layers.len() }),
    }
}

fn sharing(sharing: Sharing) -> CacheSharing {
    match sharing {
        Sharing::Shared => CacheSharing::Shared,
        Sharing::Private => CacheSharing::Private,
        Sharing::Locked => CacheSharing::Locked,
    }
}
