//! The merged tree of a chain of layers, read without mounting it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};

use crate::error::FileError;

/// The merged tree.
#[derive(Debug)]
pub struct View;

/// Why something could not be read from a view.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// A file operation failed.
    #[error(transparent)]
    File(#[from] FileError),
}

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NodeKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
}

/// Something in the merged tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// What it is.
    pub kind: NodeKind,
    /// Permission bits with set-user-id, set-group-id and sticky (07777).
    pub mode: u32,
    /// The numeric owner.
    pub uid: u32,
    /// The numeric group.
    pub gid: u32,
    /// Bytes of content.
    pub size: u64,
    /// Modification time: seconds since 1970.
    pub mtime: i64,
    /// Modification time: nanoseconds within the second.
    pub mtime_nsec: u32,
    /// Device numbers (major, minor) of a device; zeros otherwise.
    pub rdev: (u32, u32),
    /// The text of a symbolic link.
    pub link_target: Option<PathBuf>,
    /// Which tree it comes from, counted from the bottom.
    pub layer: usize,
    /// The file in that tree.
    pub source: PathBuf,
    /// Device and inode of that file: equal for two names of one file.
    pub identity: (u64, u64),
    /// How many names the file has.
    pub nlink: u64,
}

/// Where a path leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// Absolute, without symbolic links or `..`.
    pub path: PathBuf,
    /// What lies there, if anything.
    pub node: Option<Node>,
}

impl View {
    /// The view of these trees, bottom first.
    pub fn new(trees: &[PathBuf]) -> Result<View, ViewError> {
        unimplemented!()
    }
    /// What lies at a path; the last component is not followed.
    pub fn lookup(&self, path: &Path) -> Result<Option<Node>, ViewError> {
        unimplemented!()
    }
    /// Where a path leads once symbolic links are followed beneath the root.
    pub fn resolve(&self, path: &Path, follow_last: bool) -> Result<Resolved, ViewError> {
        unimplemented!()
    }
    /// The merged contents of a directory, sorted by name.
    pub fn read_dir(&self, path: &Path) -> Result<Vec<(OsString, Node)>, ViewError> {
        unimplemented!()
    }
    /// The bytes of a regular file.
    pub fn read(&self, path: &Path, limit: u64) -> Result<Vec<u8>, ViewError> {
        unimplemented!()
    }
    /// Opens a regular file.
    pub fn open(&self, node: &Node) -> Result<File, ViewError> {
        unimplemented!()
    }
    /// The layer attributes of a node.
    pub fn xattrs(&self, node: &Node) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, ViewError> {
        unimplemented!()
    }
}
