//! Cache mounts: directories that steps share from build to build, and that matter to no result.
//!
//! ```text
//! mounts/KEY/name        what the cache is called (JSON), for people
//! mounts/KEY/NUMBER/     a directory of the cache; 0 unless steps want one each
//!   lock                 held while a step uses it: shared or alone; its mtime says when it was used last
//!   making               held while it is begun
//!   data/                what the step sees
//! ```
//!
//! Names are keys, so an id of the user's is never a path (CVE-2024-9675). A directory gets its name when it is
//! complete; from then on it is the steps', and nothing in it is believed, synced or looked at here: whoever mounts a
//! part of it resolves that beneath it. It is replaced or removed only by who has it alone, in one step each. What is
//! told of caches is in [`list`], how they leave and arrive in [`travel`].

mod list;
mod name;
mod travel;

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use rustix::fs::{Timespec, Timestamps, UTIME_NOW, futimens};

use crate::digest::Digest;
use crate::error::{At, FileError, optional};
use crate::keys::Key;
use crate::layers::{LayerError, Layers, Unpack};
use crate::locks::{self, KeyLock, SharedLock};
use crate::store::{Store, StoreError};
use crate::tmp::rename;

pub use list::{CacheCopy, CacheMount};
pub use name::{CacheName, CacheSeed};
pub use travel::TravellingCache;

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
    lock: Lock,
}

/// Why something cannot be done with a cache mount.
#[derive(Debug, thiserror::Error)]
pub enum CacheMountError {
    /// There is none of that name.
    #[error("there is no cache mount `{id}`")]
    Unknown {
        /// The id asked for.
        id: String,
    },
    /// A step has it.
    #[error("the cache mount `{id}` is in use by a running build")]
    InUse {
        /// Its id, or its key where no id is known.
        id: String,
    },
    /// What was brought is not what was announced.
    #[error("the contents of the cache mount `{id}` do not match: expected {expected}, got {actual}")]
    Mismatch {
        /// Its id.
        id: String,
        /// What the archive should have hashed to.
        expected: Digest,
        /// What it did hash to.
        actual: Digest,
    },
    /// The archive cannot be unpacked.
    #[error("cannot unpack the archive of the cache mount `{id}`")]
    Unpack {
        /// Its id.
        id: String,
        /// What is wrong with it.
        #[source]
        source: Box<LayerError>,
    },
    /// The directory cannot be read or packed.
    #[error("cannot pack the cache mount `{id}`")]
    Pack {
        /// Its id.
        id: String,
        /// Why.
        #[source]
        source: Box<LayerError>,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<FileError> for CacheMountError {
    fn from(error: FileError) -> CacheMountError {
        CacheMountError::Store(error.into())
    }
}

/// Held for as long as the directory is in use.
#[derive(Debug)]
enum Lock {
    Shared(SharedLock),
    Alone(KeyLock),
}

impl CacheDirectory {
    /// The directory, absolute.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for CacheDirectory {
    fn drop(&mut self) {
        // A time that is not noted makes the cache look older than it is, nothing else.
        let _ = self.lock.note_use();
    }
}

impl Lock {
    /// Notes that the directory is in use now.
    fn note_use(&self) -> io::Result<()> {
        let file: &File = match self {
            Lock::Shared(lock) => lock.file(),
            Lock::Alone(lock) => lock.file(),
        };
        let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
        Ok(futimens(file, &Timestamps { last_access: now, last_modification: now })?)
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
        name: &CacheName,
        sharing: CacheSharing,
        waits: impl FnOnce(),
    ) -> Result<CacheDirectory, StoreError> {
        let home = self.home(&name.key());
        let (directory, lock) = match sharing {
            CacheSharing::Private => free(&home)?,
            sharing => first(&home, sharing, waits)?,
        };
        self.note_name(&home, name)?;
        lock.note_use().at("set the times of", &directory.join("lock"))?;
        let path = directory.join("data");
        if path.symlink_metadata().is_err() {
            self.begin(&directory, &path, name)?;
        }
        Ok(CacheDirectory { path, lock })
    }

    fn home(&self, key: &Key) -> PathBuf {
        self.store.inside("mounts").join(key.to_string())
    }

    /// Keeps what the cache is called. Losing it loses no more than the name.
    fn note_name(&self, home: &Path, name: &CacheName) -> Result<(), FileError> {
        let path = home.join("name");
        if path.symlink_metadata().is_ok() {
            return Ok(());
        }
        self.store.tmp().publish(&self.store.to_json(name), &path)
    }

    /// Makes the directory, beside and renamed. Of several who share it from the start, one makes it.
    fn begin(&self, directory: &Path, path: &Path, name: &CacheName) -> Result<(), StoreError> {
        let _making = locks::exclusive(&directory.join("making"))?;
        if path.symlink_metadata().is_ok() {
            return Ok(());
        }
        let mut draft = Layers::new(self.store.clone()).draft()?;
        let begun = if let Some(CacheSeed { layer, part }) = &name.seed {
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
        if let Some((mode, uid, gid)) = name.access {
            chown(&begun, Some(uid), Some(gid)).at("change the owner of", &begun)?;
            fs::set_permissions(&begun, Permissions::from_mode(mode)).at("change the mode of", &begun)?;
        }
        Ok(rename(&begun, path)?)
    }
}

/// The first directory of a cache, together with others or after them.
fn first(home: &Path, sharing: CacheSharing, waits: impl FnOnce()) -> Result<(PathBuf, Lock), FileError> {
    let mut waits = Some(waits);
    loop {
        let directory = home_of(home, 0)?;
        let path = directory.join("lock");
        let shared = sharing == CacheSharing::Shared;
        let free = if shared { try_share(&path) } else { try_alone(&path) };
        let lock = if let Some(lock) = free.transpose() {
            lock
        } else {
            if let Some(told) = waits.take() {
                told();
            }
            if shared {
                locks::shared(&path).map(Lock::Shared)
            } else {
                locks::exclusive(&path).map(Lock::Alone)
            }
        };
        // Removed in the moment between, it is made again.
        if let Some(lock) = optional(lock)? {
            return Ok((directory, lock));
        }
    }
}

/// The first directory that nobody has.
fn free(home: &Path) -> Result<(PathBuf, Lock), FileError> {
    let mut number = 0;
    loop {
        let directory = home_of(home, number)?;
        match optional(try_alone(&directory.join("lock")))? {
            Some(Some(lock)) => return Ok((directory, lock)),
            Some(None) => number += 1,
            // Removed in the moment between.
            None => {}
        }
    }
}

fn try_share(path: &Path) -> Result<Option<Lock>, FileError> {
    Ok(locks::try_shared(path)?.map(Lock::Shared))
}

fn try_alone(path: &Path) -> Result<Option<Lock>, FileError> {
    Ok(locks::try_exclusive(path)?.map(Lock::Alone))
}

fn home_of(home: &Path, number: usize) -> Result<PathBuf, FileError> {
    let directory = home.join(number.to_string());
    DirBuilder::new().recursive(true).mode(0o700).create(&directory).at("create", &directory)?;
    Ok(directory)
}

#[cfg(test)]
#[path = "mounts/tests.rs"]
mod tests;
