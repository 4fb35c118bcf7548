//! Cache mounts: which directory of the store each one is.
//!
//! A cache is named by its id, and by what it begins as: a step that wants another seed, mode or owner wants
//! another cache. What it is named with is hashed, so an id is never a path.

use std::collections::BTreeMap;
use std::path::PathBuf;

use kiln_cache::{CacheDirectory, CacheSharing, Key, KeyBuilder, NewCache};
use kiln_graph::op::{Access, CacheMount, ExecMount, Sharing};
use kiln_sandbox::{MountKind, MountTree};

use super::{MountError, Sources};

/// The caches of one step, each of them once, however often it is mounted.
pub(super) struct Caches {
    directories: BTreeMap<Key, CacheDirectory>,
}

/// How a step wants a cache.
struct Wanted<'a> {
    id: &'a str,
    sharing: CacheSharing,
    new: NewCache,
}

impl Caches {
    /// Takes the caches, in the order of their names: steps that want the same ones never wait for each other in a circle.
    pub(super) fn take(mounts: &[ExecMount], sources: &Sources<'_>) -> Result<Self, MountError> {
        let mut wanted: BTreeMap<Key, Wanted<'_>> = BTreeMap::new();
        for mount in mounts {
            let ExecMount::Cache(cache) = mount else { continue };
            let new = beginning(cache, sources)?;
            let sharing = sharing(cache.sharing);
            let known = wanted.entry(name(cache, &new)).or_insert(Wanted { id: &cache.id, sharing, new });
            known.sharing = known.sharing.max(sharing);
        }
        let mut directories = BTreeMap::new();
        for (key, Wanted { id, sharing, new }) in wanted {
            let waits =
                || (sources.note)(format!("waiting for another step that uses the cache mount `{id}`"));
            directories.insert(key, sources.store.mounts().take(&key, sharing, &new, waits)?);
        }
        Ok(Self { directories })
    }

    /// What the mount shows.
    pub(super) fn part(&self, cache: &CacheMount, sources: &Sources<'_>) -> Result<MountKind, MountError> {
        let new = beginning(cache, sources)?;
        // Each one was taken under this very name.
        let directory = self.directories.get(&name(cache, &new)).map(CacheDirectory::path);
        let tree = MountTree::Directory(directory.map(PathBuf::from).unwrap_or_default());
        // With a seed, the source says what of the seed becomes the cache.
        let path = if cache.input.is_some() { PathBuf::from(".") } else { PathBuf::from(&cache.source) };
        Ok(MountKind::Part { tree, path, directory: true, read_only: cache.read_only })
    }

    pub(super) fn into_directories(self) -> Vec<CacheDirectory> {
        self.directories.into_values().collect()
    }
}

fn beginning(cache: &CacheMount, sources: &Sources<'_>) -> Result<NewCache, MountError> {
    let access = cache.access.map(|Access { mode, uid, gid }| (mode, uid, gid));
    let Some(input) = cache.input else { return Ok(NewCache { seed: None, access }) };
    match sources.input(input, &cache.target)?.diff_ids.as_slice() {
        [layer] => Ok(NewCache { seed: Some((layer.clone(), PathBuf::from(&cache.source))), access }),
        layers => Err(MountError::Seed { target: cache.target.clone(), layers: layers.len() }),
    }
}

fn name(cache: &CacheMount, new: &NewCache) -> Key {
    let mut name = KeyBuilder::new("cache mount").part("namespace", &cache.namespace).part("id", &cache.id);
    if let Some((layer, part)) = &new.seed {
        name = name.part("seed", layer.to_string()).part("part", part.as_os_str().as_encoded_bytes());
    }
    if let Some((mode, uid, gid)) = new.access {
        name = name.part("access", format!("{mode:o} {uid}:{gid}"));
    }
    name.finish().0
}

fn sharing(sharing: Sharing) -> CacheSharing {
    match sharing {
        Sharing::Shared => CacheSharing::Shared,
        Sharing::Private => CacheSharing::Private,
        Sharing::Locked => CacheSharing::Locked,
    }
}
