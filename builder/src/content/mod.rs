//! File trees that steps read from: a context directory or the merged layers of a snapshot.
//!
//! Both are seen through [`Tree`], so that selecting what a COPY takes ([`select`]) is written once.
//! A tree never follows a symlink by itself; [`resolve`] follows them, beneath the tree's root only.

pub(crate) mod context;
pub(crate) mod fingerprint;
pub(crate) mod order;
pub(crate) mod resolve;
pub(crate) mod select;
pub(crate) mod snapshot;
mod walk;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use kiln_cache::StatKey;

/// Extended attributes by name.
pub(crate) type Xattrs = BTreeMap<Vec<u8>, Vec<u8>>;

/// SHA-256 of what an item holds: see [`Tree::fingerprints`].
pub(crate) type Fingerprint = [u8; 32];

/// A path, or a name, as patterns see it: each byte that is no part of a character is one character that none of them
/// names, but that wildcards match.
pub(crate) fn as_text(path: &OsStr) -> Cow<'_, str> {
    if let Some(text) = path.to_str() {
        return Cow::Borrowed(text);
    }
    let chunks = path.as_bytes().utf8_chunks();
    let texts = chunks
        .flat_map(|chunk| std::iter::once(chunk.valid()).chain(chunk.invalid().iter().map(|_| "\u{fffd}")));
    Cow::Owned(texts.collect())
}

/// What kind of file an [`Item`] is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ItemKind {
    /// A regular file of `size` bytes.
    File { size: u64 },
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink { target: PathBuf },
    /// A character device.
    CharDevice { major: u32, minor: u32 },
    /// A block device.
    BlockDevice { major: u32, minor: u32 },
    /// A named pipe.
    Fifo,
}

/// One file of a tree. Sockets are never items.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    /// Path relative to the tree's root; empty for the root itself.
    pub(crate) path: PathBuf,
    /// What it is.
    pub(crate) kind: ItemKind,
    /// Permission bits with setuid, setgid and sticky (07777).
    pub(crate) mode: u32,
    /// Owner.
    pub(crate) uid: u32,
    /// Group.
    pub(crate) gid: u32,
    /// Modification time in seconds since the epoch.
    pub(crate) mtime: i64,
    /// Device and inode of a regular file with more than one name: equal values are hard links.
    pub(crate) identity: Option<(u64, u64)>,
    /// What the stat index compares; only contexts have it.
    pub(crate) stat: Option<StatKey>,
}

impl Item {
    /// True for a directory.
    pub(crate) fn is_dir(&self) -> bool {
        self.kind == ItemKind::Directory
    }
}

/// A file tree that can be read.
pub(crate) trait Tree: Send + Sync {
    /// The item at `path` (relative, no `..`), no symlink followed; `None` when it is missing or left out.
    fn find(&self, path: &Path) -> Result<Option<Item>, TreeError>;

    /// What is directly in the directory `dir`, in the order of layers.
    fn children(&self, dir: &Path) -> Result<Vec<Item>, TreeError>;

    /// Everything below the directory `dir`, parents first, in the order of layers.
    fn below(&self, dir: &Path) -> Result<Vec<Item>, TreeError> {
        let mut all = Vec::new();
        let mut pending = self.children(dir)?;
        pending.reverse();
        while let Some(item) = pending.pop() {
            if item.is_dir() {
                let mut children = self.children(&item.path)?;
                children.reverse();
                all.push(item);
                pending.extend(children);
            } else {
                all.push(item);
            }
        }
        Ok(all)
    }

    /// One fingerprint an item: it covers a file's content and the extended attributes of any item.
    fn fingerprints(&self, items: &[&Item]) -> Result<Vec<Fingerprint>, TreeError>;

    /// The extended attributes that a layer keeps.
    fn xattrs(&self, item: &Item) -> Result<Xattrs, TreeError>;

    /// Fails if `file`, which is `item` and has just been read, is not as it was when it was selected: what
    /// was read would then not be what the key was made of.
    fn check_unchanged(&self, item: &Item, file: &File) -> Result<(), TreeError>;

    /// Opens a regular file for reading.
    fn open(&self, item: &Item) -> Result<File, TreeError>;

    /// True when owners in this tree mean something (a stage or an image, not a context).
    fn keeps_owners(&self) -> bool;

    /// Where digests of selections may be remembered by the stats of their files; `None` where items have none.
    fn memory(&self) -> Option<&kiln_cache::Store> {
        None
    }

    /// Why `path` is not there, for a message.
    fn why_missing(&self, path: &Path) -> Missing;
}

/// Keeps the items that are not `ignored`, and the directories above what is kept: a file that a later
/// pattern re-includes brings its ignored parents along. `items` has parents before children.
pub(crate) fn keep(items: Vec<Item>, mut ignored: impl FnMut(&Item) -> bool) -> Vec<Item> {
    let mut kept = Vec::with_capacity(items.len());
    let mut doubtful: Vec<Item> = Vec::new();
    for item in items {
        while doubtful.last().is_some_and(|dir| !item.path.starts_with(&dir.path)) {
            doubtful.pop();
        }
        if !ignored(&item) {
            kept.append(&mut doubtful);
            kept.push(item);
        } else if item.is_dir() {
            doubtful.push(item);
        }
    }
    kept
}

/// Why a path is not in a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// There is no such file.
    Absent,
    /// It is a symbolic link, and what it leads to is not there.
    Link {
        /// What the link says.
        target: PathBuf,
    },
    /// It exists, but an ignore pattern leaves it out.
    Ignored {
        /// The pattern.
        pattern: String,
        /// Its number in the list of patterns.
        rule: usize,
    },
}

/// A tree could not be read.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// A file of a context could not be read.
    #[error("cannot read {path}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file changed between being selected and being read.
    #[error("{path} changed while it was being copied; build again", path = path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// A symlink leads round in a circle or through too many others.
    #[error("too many symbolic links at {path}", path = path.display())]
    Loop {
        /// Where it was given up.
        path: PathBuf,
    },
    /// An ignore or exclude pattern is malformed.
    #[error("pattern `{pattern}` is malformed: {message}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        message: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] kiln_cache::StoreError),
}

crate::causes::store_causes!(TreeError);
