//! The store: one directory, its version, its locks, and the doors to its parts.
//!
//! Opening reads two small files and lists `tmp/`; nothing is scanned. Everything else is in the modules that the
//! doors lead to.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use crate::blobs::{BlobError, Blobs};
use crate::boot::{self, Boot};
use crate::builds::Builds;
use crate::digest::DigestError;
use crate::error::{At, FileError, optional};
use crate::gc::Keeper;
use crate::holder::LockHolder;
use crate::images::Images;
use crate::keys::Key;
use crate::layers::{KnownTrees, LayerError, Layers};
use crate::lease::Lease;
use crate::locks::{self, KeyLock};
use crate::mounts::CacheMounts;
use crate::records::Records;
use crate::stat_index::Indexes;
use crate::tmp::Tmp;
use crate::view::ViewError;

/// The first line of the file `format`. A store that says something else is left alone.
const FORMAT: &str = "kiln store 1\n";

/// Every directory that a store has from the beginning.
const DIRECTORIES: [&str; 14] = [
    "tmp",
    "blobs/sha256",
    "blobs/stamps",
    "layers",
    "records",
    "slots",
    "memos",
    "images/ids",
    "images/names",
    "indexes",
    "locks",
    "mounts",
    "builds",
    "leases",
];

/// Every file that a store may have at its top.
const FILES: [&str; 4] = ["format", "synced", "evicted", "sizes"];

/// A handle on a store. Cheap to clone; used by any number of threads, beside any number of processes.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    boot: Boot,
    tmp: Tmp,
    known_trees: KnownTrees,
    lease: Lease,
    keeper: Keeper,
}

/// Why the store could not be opened or worked on.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file operation failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// A digest cannot be kept here.
    #[error(transparent)]
    Digest(#[from] DigestError),
    /// A blob could not be looked at or removed.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// A layer could not be looked at or removed.
    #[error(transparent)]
    Layer(#[from] LayerError),
    /// The files of a layer chain could not be looked at.
    #[error(transparent)]
    View(#[from] ViewError),
    /// The directory holds something else than a store.
    #[error("{} is not empty and not a kiln store (it holds `{found}`)", root.display())]
    NotAStore {
        /// The directory.
        root: PathBuf,
        /// Something in it that no store has.
        found: String,
    },
    /// The store was made by a kiln that keeps things differently.
    #[error("{} has the format `{found}`, this kiln reads `{expected}`", root.display())]
    Format {
        /// The store's directory.
        root: PathBuf,
        /// The format that it has.
        found: String,
        /// The format that can be read.
        expected: &'static str,
    },
}

impl Store {
    /// Opens the store in this directory, making it if there is none.
    pub fn open(root: &Path) -> Result<Store, StoreError> {
        let format = root.join("format");
        match optional(fs::read_to_string(&format).at("read", &format))? {
            Some(found) if found == FORMAT => {}
            Some(found) if !found.is_empty() => {
                let found = found.trim_end().chars().take(80).collect();
                return Err(StoreError::Format { root: root.to_owned(), found, expected: FORMAT.trim_end() });
            }
            _ => create(root)?,
        }
        let root = fs::canonicalize(root).at("resolve", root)?;
        let boot = Boot::read(&root.join("synced"))?;
        let tmp = Tmp::new(root.join("tmp"), boot.id());
        let (known_trees, lease, keeper) = (KnownTrees::default(), Lease::default(), Keeper::default());
        let store = Store { inner: Arc::new(Inner { root, boot, tmp, known_trees, lease, keeper }) };
        store.clean_up()?;
        Ok(store)
    }

    /// The directory of the store, absolute and without symbolic links.
    pub fn root(&self) -> &Path {
        &self.inner.root
    }

    /// The content-addressed files.
    pub fn blobs(&self) -> Blobs {
        Blobs::new(self.clone())
    }

    /// The layers.
    pub fn layers(&self) -> Layers {
        Layers::new(self.clone())
    }

    /// The step records and memos.
    pub fn records(&self) -> Records {
        Records::new(self.clone())
    }

    /// The accounts of the last builds.
    pub fn builds(&self) -> Builds {
        Builds::new(self.clone())
    }

    /// The images and their names.
    pub fn images(&self) -> Images {
        Images::new(self.clone())
    }

    /// The stat indexes.
    pub fn indexes(&self) -> Indexes {
        Indexes::new(self.clone())
    }

    /// The directories of cache mounts.
    pub fn mounts(&self) -> CacheMounts {
        CacheMounts::new(self.clone())
    }

    /// Makes everything written so far survive a crash of the machine. One sync of the whole file system; nothing on
    /// the way of a build waits for it.
    pub fn sync(&self) -> Result<(), StoreError> {
        // Taken before: whatever was stamped earlier was written earlier, and is covered.
        let start = boot::since_boot();
        let root = File::open(self.root()).at("open", self.root())?;
        rustix::fs::syncfs(&root).at("sync", self.root())?;
        let _lock = locks::exclusive(&self.inside("locks/synced"))?;
        let path = self.inside("synced");
        let mut synced = boot::read_synced(&path)?;
        let last = synced.entry(self.boot().id().to_owned()).or_default();
        *last = start.max(*last);
        let mut file = self.tmp().file()?;
        io::Write::write_all(file.handle(), &self.to_json(&synced)).at("write", &path)?;
        file.handle().sync_data().at("sync", &path)?;
        file.keep_as(&path)?;
        Ok(())
    }

    /// Waits for the lock on a piece of work. Blocks the thread.
    pub fn lock(&self, name: &Key) -> Result<KeyLock, StoreError> {
        Ok(locks::exclusive(&self.lock_path(name))?)
    }

    /// The lock on a piece of work, or nothing if another has it.
    pub fn try_lock(&self, name: &Key) -> Result<Option<KeyLock>, StoreError> {
        Ok(locks::try_exclusive(&self.lock_path(name))?)
    }

    /// Who has the lock on a piece of work, if its holder said so.
    pub fn lock_holder(&self, name: &Key) -> Result<Option<LockHolder>, StoreError> {
        Ok(locks::held_by(&self.lock_path(name))?)
    }

    /// A path below the store's directory.
    pub(crate) fn inside(&self, path: &str) -> PathBuf {
        self.inner.root.join(path)
    }

    pub(crate) fn boot(&self) -> &Boot {
        &self.inner.boot
    }

    pub(crate) fn known_trees(&self) -> &KnownTrees {
        &self.inner.known_trees
    }

    pub(crate) fn lease(&self) -> &Lease {
        &self.inner.lease
    }

    pub(crate) fn keeper(&self) -> &Keeper {
        &self.inner.keeper
    }

    pub(crate) fn tmp(&self) -> &Tmp {
        &self.inner.tmp
    }

    /// The JSON of one of the store's own documents.
    #[allow(clippy::unused_self, reason = "a place that every module has at hand")]
    pub(crate) fn to_json<T: Serialize>(&self, value: &T) -> Vec<u8> {
        match serde_json::to_vec(value) {
            Ok(text) => text,
            Err(error) => unreachable!("a document of plain strings and numbers is always JSON: {error}"),
        }
    }

    pub(crate) fn lock_path(&self, name: &Key) -> PathBuf {
        self.inside("locks").join(name.to_string())
    }

    /// Removes, beside the caller's work, what killed processes left in `tmp/`.
    fn clean_up(&self) -> Result<(), StoreError> {
        if self.tmp().has_abandoned()? {
            let store = self.clone();
            // What cannot be removed now is garbage of the next opening; prune reports it.
            std::thread::spawn(move || store.tmp().sweep());
        }
        Ok(())
    }
}

/// The names in a directory, in no order; none if there is no such directory.
pub(crate) fn list(dir: &Path) -> Result<Vec<OsString>, FileError> {
    let Some(entries) = optional(fs::read_dir(dir).at("list", dir))? else { return Ok(Vec::new()) };
    entries.map(|entry| Ok(entry.at("list", dir)?.file_name())).collect()
}

fn create(root: &Path) -> Result<(), StoreError> {
    let private = |path: &Path| DirBuilder::new().recursive(true).mode(0o700).create(path).at("create", path);
    if let Some(parent) = root.parent() {
        fs::create_dir_all(parent).at("create", parent)?;
    }
    private(root)?;
    for name in list(root)? {
        let name = name.to_string_lossy().into_owned();
        let ours = FILES.contains(&name.as_str())
            || DIRECTORIES.iter().any(|dir| dir.split('/').next() == Some(&name));
        if !ours {
            return Err(StoreError::NotAStore { root: root.to_owned(), found: name });
        }
    }
    for dir in DIRECTORIES {
        private(&root.join(dir))?;
    }
    spread_trees(&root.join("tmp"))?;
    // Last, so that a directory that says its format has all its parts. Its temporary file is named as all others are:
    // another process that opens the store at this moment must see that its maker lives.
    let boot = Boot::read(&root.join("synced"))?;
    let tmp = Tmp::new(root.join("tmp"), boot.id());
    Ok(tmp.publish(FORMAT.as_bytes(), &root.join("format"))?)
}

/// Tells an ext4 that directories made in this one have nothing to do with one another. Each tree then begins in a block
/// group of its own: trees that are made at the same time do not wait for one another's inodes, and none searches
/// for free inodes among those just deleted, which ext4 steps over one by one (a tree after another one's removal is
/// made several times as fast). File systems that know no such hint need none.
fn spread_trees(dir: &Path) -> Result<(), FileError> {
    let handle = File::open(dir).at("open", dir)?;
    if let Ok(flags) = rustix::fs::ioctl_getflags(&handle) {
        // A hint that is refused changes nothing but speed.
        let _ = rustix::fs::ioctl_setflags(&handle, flags | rustix::fs::IFlags::TOPDIR);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn many_may_make_a_store_at_once() {
        for _ in 0..100 {
            let dir = tempfile::tempdir().unwrap();
            let root = dir.path().join("store");
            std::thread::scope(|scope| {
                let opened: Vec<_> = (0..8).map(|_| scope.spawn(|| Store::open(&root).map(drop))).collect();
                for thread in opened {
                    thread.join().unwrap().unwrap();
                }
            });
        }
    }

    #[test]
    fn opening_twice_gives_the_same_store() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("a/store");
        let digest = Store::open(&root).unwrap().blobs().put(b"x").unwrap();
        assert!(Store::open(&root).unwrap().blobs().contains(&digest).unwrap());
    }

    #[test]
    fn foreign_directories_and_formats_are_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("letter.txt"), "dear").unwrap();
        assert!(
            matches!(Store::open(dir.path()), Err(StoreError::NotAStore { found, .. }) if found == "letter.txt")
        );
        let other = dir.path().join("other");
        fs::create_dir(&other).unwrap();
        fs::write(other.join("format"), "kiln store 99\n").unwrap();
        assert!(
            matches!(Store::open(&other), Err(StoreError::Format { found, .. }) if found == "kiln store 99")
        );
        assert_eq!(list(&other).unwrap().len(), 1);
    }

    #[test]
    fn a_store_whose_making_was_interrupted_is_made() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("blobs/sha256")).unwrap();
        fs::create_dir_all(dir.path().join("tmp")).unwrap();
        fs::write(dir.path().join("format"), "").unwrap();
        assert!(Store::open(dir.path()).unwrap().blobs().put(b"x").is_ok());
    }

    #[test]
    fn named_locks_exclude_one_another() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (Store::open(dir.path()).unwrap(), Store::open(dir.path()).unwrap());
        let held = a.lock(&Key([1; 32])).unwrap();
        assert!(b.try_lock(&Key([1; 32])).unwrap().is_none());
        assert!(b.try_lock(&Key([2; 32])).unwrap().is_some());
        drop(held);
        assert!(b.try_lock(&Key([1; 32])).unwrap().is_some());
    }
}
