//! Advisory locks that die with their process: on pieces of work, on cache mounts, on the right to remove things.
//!
//! flock belongs to an open file, so two threads that open a lock file each exclude one another just as two
//! processes do. Blocking calls here block the thread: async callers take them on a blocking thread.

use std::fs::{File, TryLockError};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::error::{At, FileError, optional};
use crate::holder::{self, LockHolder};

/// An exclusive lock on one key, released when dropped.
#[derive(Debug)]
#[must_use = "the lock is released when this is dropped"]
pub struct KeyLock {
    file: File,
    announced: bool,
}

impl KeyLock {
    fn new(file: File) -> KeyLock {
        KeyLock { file, announced: false }
    }

    /// Tells those who will wait for this lock what it is held for.
    pub fn announce(&mut self, what: &str) {
        self.announced = holder::write(&self.file, what);
    }
}

impl Drop for KeyLock {
    fn drop(&mut self) {
        if self.announced {
            // What stays behind names a process that holds the lock no more; readers find that out.
            let _ = self.file.set_len(0);
        }
    }
}

/// Who holds a lock, as far as it was announced.
pub(crate) fn held_by(path: &Path) -> Result<Option<LockHolder>, FileError> {
    let text = optional(std::fs::read(path).at("read", path))?;
    Ok(text.and_then(|text| holder::read(&text)))
}

/// A share in a lock, released when dropped.
#[derive(Debug)]
#[must_use = "the lock is released when this is dropped"]
pub struct SharedLock {
    file: File,
}

impl KeyLock {
    /// The file that is locked.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }
}

impl SharedLock {
    /// The file that is locked.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }
}

/// Waits for the exclusive lock on a file, which is made if missing.
pub(crate) fn exclusive(path: &Path) -> Result<KeyLock, FileError> {
    loop {
        let file = open(path)?;
        file.lock().at("lock", path)?;
        if is_current(&file, path)? {
            return Ok(KeyLock::new(file));
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
            return Ok(Some(KeyLock::new(file)));
        }
    }
}

/// Waits for a share in a lock.
pub(crate) fn shared(path: &Path) -> Result<SharedLock, FileError> {
    loop {
        let file = open(path)?;
        file.lock_shared().at("lock", path)?;
        if is_current(&file, path)? {
            return Ok(SharedLock { file });
        }
    }
}

/// A share in a lock, or nothing while another has it to itself.
pub(crate) fn try_shared(path: &Path) -> Result<Option<SharedLock>, FileError> {
    loop {
        let file = open(path)?;
        match file.try_lock_shared() {
            Ok(()) if is_current(&file, path)? => return Ok(Some(SharedLock { file })),
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error).at("lock", path),
        }
    }
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
    fn what_a_lock_is_held_for_can_be_read_while_it_is_held() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        assert_eq!(held_by(&path).unwrap(), None);
        let mut first = exclusive(&path).unwrap();
        assert_eq!(held_by(&path).unwrap(), None, "nothing was announced");
        first.announce("[2/4] RUN make\nof Dockerfile");
        let holder = held_by(&path).unwrap().unwrap();
        assert_eq!((holder.pid, holder.what.as_str()), (std::process::id(), "[2/4] RUN make\nof Dockerfile"));
        drop(first);
        assert_eq!(held_by(&path).unwrap(), None);
        std::fs::write(&path, "1 12 0\nsomething that the first process never held").unwrap();
        assert_eq!(held_by(&path).unwrap(), None, "a process of that number, but not that process");
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
    fn sharers_shut_out_who_wants_it_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let sharers = (shared(&path).unwrap(), try_shared(&path).unwrap().unwrap());
        assert!(try_exclusive(&path).unwrap().is_none());
        drop(sharers);
        let alone = try_exclusive(&path).unwrap();
        assert!(alone.is_some() && try_shared(&path).unwrap().is_none());
    }
}
