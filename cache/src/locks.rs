//! Advisory locks that die with their process: one named lock for each piece of work, one use lock for the store.
//!
//! flock belongs to an open file, so two threads that open a lock file each exclude one another just as two
//! processes do. Blocking calls here block the thread: async callers take them on a blocking thread.

use std::fs::{File, TryLockError};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::error::{At, FileError, optional};

/// An exclusive lock on one key, released when dropped.
#[derive(Debug)]
#[must_use = "the lock is released when this is dropped"]
pub struct KeyLock {
    _file: File,
}

/// A share in the use of the store (or of a cache mount), released when dropped: while anybody holds one, nothing is
/// removed from it.
#[derive(Debug)]
#[must_use = "the lock is released when this is dropped"]
pub struct UseLock {
    _file: File,
}

/// The store for oneself alone, released when dropped.
#[derive(Debug)]
#[must_use = "the lock is released when this is dropped"]
pub(crate) struct SoleLock {
    _file: File,
}

/// Waits for the exclusive lock on a file, which is made if missing.
pub(crate) fn exclusive(path: &Path) -> Result<KeyLock, FileError> {
    loop {
        let file = open(path)?;
        file.lock().at("lock", path)?;
        if is_current(&file, path)? {
            return Ok(KeyLock { _file: file });
        }
    }
}

/// The exclusive lock on a file, or nothing if another holds it.
pub(crate) fn try_exclusive(path: &Path) -> Result<Option<KeyLock>, FileError> {
    loop {
        let file = open(path)?;
        if !try_lock(&file, path)? {
            return Ok(None);
        }
        if is_current(&file, path)? {
            return Ok(Some(KeyLock { _file: file }));
        }
    }
}

/// Waits for a share in the use of the store.
pub(crate) fn shared_use(path: &Path) -> Result<UseLock, FileError> {
    let file = open(path)?;
    file.lock_shared().at("lock", path)?;
    Ok(UseLock { _file: file })
}

/// A share in a lock, or nothing while another has it to itself.
pub(crate) fn try_shared(path: &Path) -> Result<Option<UseLock>, FileError> {
    let file = open(path)?;
    match file.try_lock_shared() {
        Ok(()) => Ok(Some(UseLock { _file: file })),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error).at("lock", path),
    }
}

/// Waits until nobody else uses the store.
pub(crate) fn sole_use(path: &Path) -> Result<SoleLock, FileError> {
    let file = open(path)?;
    file.lock().at("lock", path)?;
    Ok(SoleLock { _file: file })
}

/// The store for oneself, or nothing while others use it.
pub(crate) fn try_sole_use(path: &Path) -> Result<Option<SoleLock>, FileError> {
    let file = open(path)?;
    Ok(try_lock(&file, path)?.then_some(SoleLock { _file: file }))
}

fn open(path: &Path) -> Result<File, FileError> {
    File::options().read(true).write(true).create(true).truncate(false).open(path).at("open", path)
}

fn try_lock(file: &File, path: &Path) -> Result<bool, FileError> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error).at("lock", path),
    }
}

/// Whether the locked file is still the one of that name: prune removes lock files that nobody holds, perhaps between
/// our opening one and locking it.
fn is_current(file: &File, path: &Path) -> Result<bool, FileError> {
    let held = file.metadata().at("look at", path)?;
    let named = optional(path.metadata().at("look at", path))?;
    Ok(named.is_some_and(|named| (named.dev(), named.ino()) == (held.dev(), held.ino())))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn one_holder_at_a_time_and_free_again_when_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let first = exclusive(&path).unwrap();
        assert!(try_exclusive(&path).unwrap().is_none());
        drop(first);
        assert!(try_exclusive(&path).unwrap().is_some());
    }

    #[test]
    fn a_lock_file_removed_while_waiting_is_locked_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let stale = exclusive(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let fresh = exclusive(&path).unwrap();
        assert!(try_exclusive(&path).unwrap().is_none());
        drop((stale, fresh));
    }

    #[test]
    fn users_share_and_shut_out_the_sole_use() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("use");
        let users = (shared_use(&path).unwrap(), shared_use(&path).unwrap());
        assert!(try_sole_use(&path).unwrap().is_none());
        drop(users);
        assert!(try_sole_use(&path).unwrap().is_some());
        drop(sole_use(&path).unwrap());
    }
}
