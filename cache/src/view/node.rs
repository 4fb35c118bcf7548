//! What lies at a path of a view, as data.

use std::path::PathBuf;

use rustix::fs::{FileType, Stat, major, minor};

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
    /// A socket: left by a step, never part of a layer's tar.
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
    /// The file in that tree. Not to be opened by this path: see [`View::open`](crate::View::open).
    pub source: PathBuf,
    /// Device and inode of that file: equal for two names of one file.
    pub identity: (u64, u64),
    /// How many names the file has.
    pub nlink: u64,
}

/// Where a path leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// Absolute, without symbolic links or `..`, as far as the path exists.
    pub path: PathBuf,
    /// What lies there, if anything.
    pub node: Option<Node>,
}

impl Node {
    /// The root of a view of no trees: a directory that nothing is in.
    pub(super) fn empty_root() -> Node {
        Node {
            kind: NodeKind::Directory,
            mode: 0o755,
            uid: 0,
            gid: 0,
            size: 0,
            mtime: 0,
            mtime_nsec: 0,
            rdev: (0, 0),
            link_target: None,
            layer: 0,
            source: PathBuf::new(),
            identity: (0, 0),
            nlink: 1,
        }
    }

    /// The node of what was looked at; a link's text comes separately.
    pub(super) fn new(stat: &Stat, layer: usize, source: PathBuf, link_target: Option<PathBuf>) -> Node {
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => NodeKind::Directory,
            FileType::Symlink => NodeKind::Symlink,
            FileType::CharacterDevice => NodeKind::CharDevice,
            FileType::BlockDevice => NodeKind::BlockDevice,
            FileType::Fifo => NodeKind::Fifo,
            FileType::Socket => NodeKind::Socket,
            _ => NodeKind::File,
        };
        let is_device = matches!(kind, NodeKind::CharDevice | NodeKind::BlockDevice);
        Node {
            kind,
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            mtime: stat.st_mtime,
            mtime_nsec: u32::try_from(stat.st_mtime_nsec).unwrap_or(0),
            rdev: if is_device { (major(stat.st_rdev), minor(stat.st_rdev)) } else { (0, 0) },
            link_target,
            layer,
            source,
            identity: (stat.st_dev, stat.st_ino),
            nlink: stat.st_nlink,
        }
    }
}
