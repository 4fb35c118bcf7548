//! The merged tree of a chain of layers, read without mounting it: what a step's root file system will look like.
//!
//! Paths are resolved here, in user space, as the kernel would resolve them with the merged tree as its root: symbolic
//! links are followed beneath it, `..` ends at it. Only regular files are ever opened, so neither a FIFO nor a device
//! in an image can stop or fool the builder. Trees do not change while they are read.
//!
//! The builder looks up users, `COPY --from` sources and working directories here.

mod directory;
mod error;
mod node;
mod resolve;
mod same;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};

use crate::error::At;
use crate::layers::link_xattrs;
use crate::view::directory::Directory;

pub use error::ViewError;
pub use node::{Node, NodeKind, Resolved};
pub use same::is_same_tree;

/// The merged tree of some layers.
#[derive(Debug)]
pub struct View {
    /// Bottom first.
    trees: Vec<Tree>,
    /// Which trees take part in the directories looked at so far, by their real path from the root.
    directories: Mutex<HashMap<Vec<u8>, Arc<Directory>>>,
}

#[derive(Debug)]
struct Tree {
    base: PathBuf,
    root: OwnedFd,
}

impl View {
    /// The view of these trees, bottom first.
    pub fn new(trees: &[PathBuf]) -> Result<View, ViewError> {
        let open = |base: &PathBuf| {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let root = rustix::fs::open(base, flags, Mode::empty()).at("open", base)?;
            Ok(Tree { base: base.clone(), root })
        };
        let trees = trees.iter().map(open).collect::<Result<_, ViewError>>()?;
        Ok(View { trees, directories: Mutex::new(HashMap::new()) })
    }

    /// What lies at a path. The last component is not followed; a link before it is an error, for this takes paths
    /// that were [resolved](View::resolve).
    pub fn lookup(&self, path: &Path) -> Result<Option<Node>, ViewError> {
        let path = to_inner(path)?;
        let (dir, name) = crate::layers::entry::split_path(&path);
        if name.is_empty() {
            return self.root().map(Some);
        }
        match self.directory(dir)? {
            Some(dir) => self.child(&dir, name),
            None => Ok(None),
        }
    }

    /// The merged contents of a directory, sorted by name.
    pub fn read_dir(&self, path: &Path) -> Result<Vec<(OsString, Node)>, ViewError> {
        let inner = to_inner(path)?;
        let Some(dir) = self.directory(&inner)? else {
            return Err(ViewError::NotADirectory { path: path.to_owned() });
        };
        self.list(&dir)
    }

    /// The bytes of a regular file, links followed beneath the root; nothing else is opened.
    pub fn read(&self, path: &Path, limit: u64) -> Result<Vec<u8>, ViewError> {
        let resolved = self.resolve(path, true)?;
        let Some(node) = resolved.node else { return Err(ViewError::NotFound { path: path.to_owned() }) };
        if node.kind != NodeKind::File {
            return Err(ViewError::NotAFile { path: path.to_owned() });
        }
        if node.size > limit {
            return Err(ViewError::TooLarge { path: path.to_owned(), size: node.size, limit });
        }
        let mut bytes = Vec::new();
        self.open(&node)?.take(limit).read_to_end(&mut bytes).at("read", &node.source)?;
        Ok(bytes)
    }

    /// Opens a regular file for reading.
    pub fn open(&self, node: &Node) -> Result<File, ViewError> {
        let tree = self.trees.get(node.layer).filter(|_| node.kind == NodeKind::File);
        let inner = tree.and_then(|tree| node.source.strip_prefix(&tree.base).ok());
        let (Some(tree), Some(inner)) = (tree, inner) else {
            return Err(ViewError::NotAFile { path: node.source.clone() });
        };
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let file = openat2(&tree.root, inner, flags, Mode::empty(), beneath).at("open", &node.source)?;
        Ok(file.into())
    }

    /// The attributes of a node that belong to its layer.
    pub fn xattrs(&self, node: &Node) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, ViewError> {
        if self.trees.is_empty() {
            return Ok(BTreeMap::new());
        }
        let path = node.source.as_os_str().as_bytes();
        Ok(link_xattrs(path).at("read the attributes of", &node.source)?)
    }

    fn remembered(&self, path: &[u8]) -> Option<Arc<Directory>> {
        self.directories.lock().unwrap_or_else(PoisonError::into_inner).get(path).cloned()
    }

    fn remember(&self, path: &[u8], directory: Directory) -> Arc<Directory> {
        let directory = Arc::new(directory);
        let mut directories = self.directories.lock().unwrap_or_else(PoisonError::into_inner);
        directories.insert(path.to_owned(), Arc::clone(&directory));
        directory
    }
}

/// A path as it is used inside: relative to the root, without `.`; `..` was for [`View::resolve`] to understand.
fn to_inner(path: &Path) -> Result<Vec<u8>, ViewError> {
    let mut inner = Vec::with_capacity(path.as_os_str().len());
    for component in path.components() {
        match component {
            Component::Normal(name) => {
                if !inner.is_empty() {
                    inner.push(b'/');
                }
                inner.extend_from_slice(name.as_bytes());
            }
            Component::ParentDir => return Err(ViewError::Unresolved { path: path.to_owned() }),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    Ok(inner)
}

/// The absolute path that an inner one stands for.
fn to_absolute(inner: &[u8]) -> PathBuf {
    Path::new("/").join(OsStr::from_bytes(inner))
}
