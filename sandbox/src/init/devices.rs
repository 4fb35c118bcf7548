//! Nodes and links in file systems that init itself mounted: never in the root file system.
//!
//! Used by [`super::perform`].

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};

use super::beneath;

/// Makes a character device that everybody may use.
pub(super) fn make_device(root: &OwnedFd, path: &str, major: u32, minor: u32) -> io::Result<()> {
    let (directory, name) = open_parent(root, path)?;
    let device = rustix::fs::makedev(major, minor);
    let mode = Mode::from_raw_mode(0o666);
    Ok(rustix::fs::mknodat(directory, name, FileType::CharacterDevice, mode, device)?)
}

/// Makes a symlink.
pub(super) fn make_link(root: &OwnedFd, path: &str, target: &str) -> io::Result<()> {
    let (directory, name) = open_parent(root, path)?;
    Ok(rustix::fs::symlinkat(target, directory, name)?)
}

fn open_parent<'a>(root: &OwnedFd, path: &'a str) -> io::Result<(OwnedFd, &'a str)> {
    let (parent, name) = path.rsplit_once('/').ok_or(io::ErrorKind::InvalidInput)?;
    let flags = OFlags::PATH | OFlags::DIRECTORY;
    Ok((beneath::open_with(root, Path::new(parent), flags, ResolveFlags::NO_SYMLINKS)?, name))
}
