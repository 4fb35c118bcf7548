//! Where clients' directories are kept between builds, so that the next transfer sends what has changed.
//!
//! A place belongs to a client's shared key and the directory's name. One build at a time uses it; a second one at the
//! same time gets an empty place of its own, which goes away with it. What is there for one build is in a directory that the
//! daemon has locked: what a daemon that was killed left behind is removed by the next one.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tempfile::TempDir;

use crate::status::digest;

/// What the names of directories begin with that are being removed.
const GONE: &str = "gone-";

/// What the names of directories begin with that one daemon has for itself, and of those in them that are for one build.
const OWN: &str = "own-";
const ONCE: &str = "once-";

/// The places of one server.
#[derive(Debug, Clone)]
pub(crate) struct Contexts {
    root: PathBuf,
    /// This daemon's own directory, when one was needed.
    own: Arc<Mutex<Option<Own>>>,
}

/// A directory of one daemon, locked for as long as it runs.
#[derive(Debug)]
struct Own {
    directory: TempDir,
    _lock: File,
}

impl Own {
    fn make(root: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(root)?;
        loop {
            let directory = tempfile::Builder::new().prefix(OWN).tempdir_in(root)?;
            if let Some(own) = Self::lock(directory)? {
                return Ok(own);
            }
        }
    }

    /// Nothing, if a daemon that starts now has taken it for one that was left behind, before it was locked.
    fn lock(directory: TempDir) -> io::Result<Option<Self>> {
        let lock = match File::open(directory.path()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        lock.lock_shared()?;
        Ok(directory.path().exists().then_some(Self { directory, _lock: lock }))
    }
}

/// A directory for one build. Its clones are the same one: it is given up when nobody has any of them, so that a build which
/// ends early does not take it from a thread that still writes.
#[derive(Debug, Clone)]
pub(crate) struct Synced(Arc<Place>);

#[derive(Debug)]
struct Place {
    path: PathBuf,
    temporary: Option<TempDir>,
    /// Locked for as long as this is used.
    _lock: Option<File>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(temporary) = self.temporary.take() else { return };
        // Nobody waits for a disk that is slow to remove files; what cannot be moved away is removed here and now.
        let path = temporary.path();
        match path.parent().map_or(Err(io::ErrorKind::NotFound.into()), |parent| give_up(path, parent)) {
            Ok(()) => drop(temporary.keep()),
            Err(_) => drop(temporary),
        }
    }
}

/// Takes a directory out of its place, to one below `to`, and removes it beside everything else.
pub(crate) fn give_up(directory: &Path, to: &Path) -> io::Result<()> {
    let gone = tempfile::Builder::new().prefix(GONE).tempdir_in(to)?;
    std::fs::rename(directory, gone.path())?;
    std::thread::spawn(move || drop(gone));
    Ok(())
}

impl Synced {
    fn temporary(directory: TempDir) -> Self {
        let path = directory.path().to_owned();
        Self(Arc::new(Place { path, temporary: Some(directory), _lock: None }))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0.path
    }
}

impl Contexts {
    /// Places below `root`, which is made when it is needed.
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root, own: Arc::default() }
    }

    /// Removes, beside everything else, what a daemon had not removed when it ended.
    pub(crate) fn sweep(&self) {
        let root = self.root.clone();
        std::thread::spawn(move || {
            for entry in std::fs::read_dir(root).into_iter().flatten().flatten() {
                // Locked for as long as it is being removed: a daemon that has just made it waits, and makes another.
                let Some(_lock) = left_behind(&entry.path()) else { continue };
                // Another daemon may be about to do the same.
                drop(std::fs::remove_dir_all(entry.path()));
            }
        });
    }

    /// An empty directory that goes away by itself, on the disk of the others.
    pub(crate) fn temporary(&self) -> io::Result<TempDir> {
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        let within = |own: &Own| tempfile::Builder::new().prefix(ONCE).tempdir_in(own.directory.path());
        match own.as_ref().map(within) {
            None => {}
            // Somebody has cleaned up by hand.
            Some(Err(error)) if error.kind() == io::ErrorKind::NotFound => {}
            Some(made) => return made,
        }
        within(own.insert(Own::make(&self.root)?))
    }

    /// An empty file without a name, on the disk of the others.
    pub(crate) fn file(&self) -> io::Result<File> {
        std::fs::create_dir_all(&self.root)?;
        tempfile::tempfile_in(&self.root)
    }

    /// The place for a directory of a client's.
    pub(crate) async fn open(&self, shared_key: &str, name: &str) -> io::Result<Synced> {
        let (contexts, place) = (self.clone(), format!("{}:{shared_key}{name}", shared_key.len()));
        let opened = tokio::task::spawn_blocking(move || contexts.open_place(&place)).await;
        opened.map_err(io::Error::other)?
    }

    fn open_place(&self, place: &str) -> io::Result<Synced> {
        std::fs::create_dir_all(&self.root)?;
        let name = digest(place);
        let name = name.trim_start_matches("sha256:");
        let lock = File::create(self.root.join(format!("{name}.lock")))?;
        if lock.try_lock().is_err() {
            return self.temporary().map(Synced::temporary);
        }
        let path = self.root.join(name);
        std::fs::create_dir_all(&path)?;
        Ok(Synced(Arc::new(Place { path, temporary: None, _lock: Some(lock) })))
    }
}

/// The lock of a directory that nobody uses any more.
fn left_behind(path: &Path) -> Option<File> {
    let name = path.file_name()?.as_encoded_bytes();
    let directory = File::open(path).ok()?;
    let is_locked = || directory.try_lock().is_ok();
    (name.starts_with(GONE.as_bytes()) || name.starts_with(OWN.as_bytes()) && is_locked())
        .then_some(directory)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::{Duration, Instant};

    use super::*;

    /// Waits for what another thread does.
    #[track_caller]
    fn until(what: &str, is_so: impl Fn() -> bool) {
        let began = Instant::now();
        while !is_so() {
            assert!(began.elapsed() < Duration::from_mins(2), "{what}: it has not come to that");
            std::thread::yield_now();
        }
    }

    #[tokio::test]
    async fn a_place_is_one_build_s_at_a_time() {
        let root = tempfile::tempdir().unwrap();
        let contexts = Contexts::new(root.path().join("contexts"));
        let first = contexts.open("key", "context").await.unwrap();
        let second = contexts.open("key", "context").await.unwrap();
        assert_ne!(first.path(), second.path());
        let kept = first.path().to_owned();
        drop((first, second));
        assert_eq!(contexts.open("key", "context").await.unwrap().path(), kept);
        assert_ne!(contexts.open("ke", "ycontext").await.unwrap().path(), kept);
    }

    #[tokio::test]
    async fn a_place_is_taken_for_as_long_as_anybody_writes() {
        let root = tempfile::tempdir().unwrap();
        let contexts = Contexts::new(root.path().join("contexts"));
        let first = contexts.open("key", "context").await.unwrap();
        let (writer, kept) = (first.clone(), first.path().to_owned());
        drop(first);
        let other = contexts.open("key", "context").await.unwrap();
        assert_ne!(other.path(), kept);
        drop(writer);
        assert_eq!(contexts.open("key", "context").await.unwrap().path(), kept);
        let (once, writer) = (other.path().to_owned(), other.clone());
        drop(other);
        assert!(once.exists());
        drop(writer);
        assert!(!once.exists());
    }

    #[test]
    fn what_is_given_up_is_out_of_its_place_at_once() {
        let root = tempfile::tempdir().unwrap();
        let (tree, left) = (root.path().join("tree"), root.path().join(format!("{GONE}left")));
        let killed = root.path().join(format!("{OWN}killed"));
        for directory in [&tree, &left, &killed] {
            std::fs::create_dir_all(directory.join("sub")).unwrap();
        }
        let running = Contexts::new(root.path().to_owned());
        let used = running.temporary().unwrap();
        give_up(&tree, root.path()).unwrap();
        assert!(!tree.exists());
        assert!(give_up(&tree, root.path()).is_err(), "it is there no more");
        Contexts::new(root.path().to_owned()).sweep();
        until("what was left behind is removed", || !left.exists() && !killed.exists());
        assert!(used.path().exists(), "another daemon is not a reason to remove it");
        std::fs::remove_dir_all(used.path().parent().unwrap()).unwrap();
        assert!(running.temporary().unwrap().path().exists());
        drop((used, running));
        until("nothing is there", || std::fs::read_dir(root.path()).unwrap().count() == 0);
    }

    #[test]
    fn a_directory_that_was_swept_away_before_it_was_locked_is_not_used() {
        let root = tempfile::tempdir().unwrap();
        let make = || tempfile::Builder::new().prefix(OWN).tempdir_in(root.path()).unwrap();
        let swept = make();
        std::fs::remove_dir(swept.path()).unwrap();
        assert!(Own::lock(swept).unwrap().is_none());
        let own = Own::lock(make()).unwrap().unwrap();
        assert!(left_behind(own.directory.path()).is_none());
    }
}
