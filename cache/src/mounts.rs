//! Cache mounts: directories that steps share from build to build, and that matter to no result.
//!
//! ```text
//! mounts/KEY/NUMBER/     a directory of the cache; 0 unless steps want one each
//!   lock                 held while a step uses it: shared or alone
//!   making               held while it is begun
//!   data/                what the step sees
//! ```
//!
//! Names are keys, so an id of the user's is never a path (CVE-2024-9675). A directory gets its name when it is
//! complete; from then on it is the steps', and nothing in it is believed, synced or looked at here: whoever mounts a
//! part of it resolves that beneath it. It stays until [`Store::prune`] is told to remove everything.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use crate::digest::DiffId;
use crate::error::{At, FileError};
use crate::keys::Key;
use crate::layers::{Layers, Unpack};
use crate::locks::{self, KeyLock, UseLock};
use crate::store::{Store, StoreError};
use crate::tmp::rename;

/// Mode of a cache that begins empty and is given none.
const MODE: u32 = 0o755;

/// How steps that run at the same time use one cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CacheSharing {
    /// Together.
    Shared,
    /// Each has a directory of its own, whichever is free.
    Private,
    /// One after the other.
    Locked,
}

/// What a cache is when it is used for the first time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewCache {
    /// A copy of this directory of this layer, which holds nothing but that; empty otherwise.
    pub seed: Option<(DiffId, PathBuf)>,
    /// Mode, user and group of the directory itself, if not the seed's, or 0755 and root.
    pub access: Option<(u32, u32, u32)>,
}

/// The cache mounts of a store.
#[derive(Clone, Debug)]
pub struct CacheMounts {
    store: Store,
}

/// A cache directory in use. Dropping it lets others have it.
#[derive(Debug)]
#[must_use = "others may have the directory when this is dropped"]
pub struct CacheDirectory {
    path: PathBuf,
    _lock: Lock,
}

/// Held for as long as the directory is in use.
#[derive(Debug)]
#[expect(dead_code, reason = "locks are there to be held")]
enum Lock {
    Shared(UseLock),
    Alone(KeyLock),
}

impl CacheDirectory {
    /// The directory, absolute.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl CacheMounts {
    pub(crate) fn new(store: Store) -> CacheMounts {
        CacheMounts { store }
    }

    /// A directory of the cache with this name, made if there is none. Blocks the thread while others have it to
    /// themselves; `waits` is called before that.
    ///
    /// Who takes several takes them in the order of their keys: two that wait for each other would wait for ever.
    pub fn take(
        &self,
        key: &Key,
        sharing: CacheSharing,
        new: &NewCache,
        waits: impl FnOnce(),
    ) -> Result<CacheDirectory, StoreError> {
        let home = self.store.inside("mounts").join(key.to_string());
        let (directory, lock) = match sharing {
            CacheSharing::Shared => {
                let first = home_of(&home, 0)?;
                let path = first.join("lock");
                let free = locks::try_shared(&path)?;
                let lock = free.map_or_else(|| after(waits, || locks::shared_use(&path)), Ok)?;
                (first, Lock::Shared(lock))
            }
            CacheSharing::Locked => {
                let first = home_of(&home, 0)?;
                let path = first.join("lock");
                let free = locks::try_exclusive(&path)?;
                let lock = free.map_or_else(|| after(waits, || locks::exclusive(&path)), Ok)?;
                (first, Lock::Alone(lock))
            }
            CacheSharing::Private => free(&home)?,
        };
        let path = directory.join("data");
        if path.symlink_metadata().is_err() {
            self.begin(&directory, &path, new)?;
        }
        Ok(CacheDirectory { path, _lock: lock })
    }

    /// Makes the directory, beside and renamed. Of several who share it from the start, one makes it.
    fn begin(&self, directory: &Path, path: &Path, new: &NewCache) -> Result<(), StoreError> {
        let _making = locks::exclusive(&directory.join("making"))?;
        if path.symlink_metadata().is_ok() {
            return Ok(());
        }
        let mut draft = Layers::new(self.store.clone()).draft()?;
        let begun = if let Some((layer, part)) = &new.seed {
            draft.unpack(self.store.layers().open_tar(layer)?, &Unpack::default())?;
            draft.upper().join(part)
        } else {
            let empty = draft.upper().join("empty");
            fs::create_dir(&empty).at("create", &empty)?;
            fs::set_permissions(&empty, Permissions::from_mode(MODE)).at("change the mode of", &empty)?;
            empty
        };
        if !begun.symlink_metadata().at("look at", &begun)?.is_dir() {
            let source = io::Error::from(io::ErrorKind::NotADirectory);
            return Err(FileError { action: "begin a cache with", path: begun, source }.into());
        }
        if let Some((mode, uid, gid)) = new.access {
            chown(&begun, Some(uid), Some(gid)).at("change the owner of", &begun)?;
            fs::set_permissions(&begun, Permissions::from_mode(mode)).at("change the mode of", &begun)?;
        }
        Ok(rename(&begun, path)?)
    }
}

fn after<T>(told: impl FnOnce(), wait: impl FnOnce() -> T) -> T {
    told();
    wait()
}

/// The first directory that nobody has.
fn free(home: &Path) -> Result<(PathBuf, Lock), StoreError> {
    let mut number = 0;
    loop {
        let directory = home_of(home, number)?;
        if let Some(lock) = locks::try_exclusive(&directory.join("lock"))? {
            return Ok((directory, Lock::Alone(lock)));
        }
        number += 1;
    }
}

fn home_of(home: &Path, number: usize) -> Result<PathBuf, StoreError> {
    let directory = home.join(number.to_string());
    DirBuilder::new().recursive(true).mode(0o700).create(&directory).at("create", &directory)?;
    Ok(directory)
}

#[cfg(test)]
#[path = "mounts/tests.rs"]
mod tests;
