//! Where clients' directories are kept between builds, so that the next transfer sends what has changed.
//!
//! A place belongs to a client's shared key and the directory's name. One build at a time uses it; a second one at the
//! same time gets an empty place of its own, which goes away with it.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::status::digest;

/// The places of one server.
#[derive(Debug, Clone)]
pub(crate) struct Contexts {
    root: PathBuf,
}

/// A directory for one build.
#[derive(Debug)]
pub(crate) struct Synced {
    path: PathBuf,
    _temporary: Option<TempDir>,
    /// Locked for as long as this is used.
    _lock: Option<File>,
}

impl Synced {
    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Contexts {
    /// Places below `root`, which is made when it is needed.
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// An empty directory that goes away by itself, on the disk of the others.
    pub(crate) fn temporary(&self) -> io::Result<TempDir> {
        std::fs::create_dir_all(&self.root)?;
        tempfile::Builder::new().prefix("once-").tempdir_in(&self.root)
    }

    /// An empty file without a name, on the disk of the others.
    pub(crate) fn file(&self) -> io::Result<File> {
        std::fs::create_dir_all(&self.root)?;
        tempfile::tempfile_in(&self.root)
    }

    /// The place for a directory of a client's.
    pub(crate) async fn open(&self, shared_key: &str, name: &str) -> io::Result<Synced> {
        let (root, place) = (self.root.clone(), format!("{}:{shared_key}{name}", shared_key.len()));
        let opened = tokio::task::spawn_blocking(move || open(&root, &place)).await;
        opened.map_err(io::Error::other)?
    }
}

fn open(root: &Path, place: &str) -> io::Result<Synced> {
    std::fs::create_dir_all(root)?;
    let name = digest(place);
    let name = name.trim_start_matches("sha256:");
    let lock = File::create(root.join(format!("{name}.lock")))?;
    if lock.try_lock().is_err() {
        let temporary = tempfile::Builder::new().prefix("once-").tempdir_in(root)?;
        return Ok(Synced { path: temporary.path().to_owned(), _temporary: Some(temporary), _lock: None });
    }
    let path = root.join(name);
    std::fs::create_dir_all(&path)?;
    Ok(Synced { path, _temporary: None, _lock: Some(lock) })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

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
}
