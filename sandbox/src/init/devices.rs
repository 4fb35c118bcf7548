//! Nodes and links in file systems that init itself mounted: never in the root file system.
//!
//! Used by [`super::perform`].

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, ResolveFlags, Uid};

use super::beneath::{self, Leaf};
use super::rootfs::Scratch;
use crate::{Device, DeviceKind};

/// Makes a device node in a file system of the root's, with the directories above it.
pub(super) fn make_node(root: &OwnedFd, device: &Device) -> io::Result<()> {
    let (parent, name) = device.path.rsplit_once('/').ok_or(io::ErrorKind::InvalidInput)?;
    let wanted = beneath::resolve(root, Path::new(parent))?;
    let directory = beneath::make(root, &wanted, Leaf::Directory, None)?;
    make(&directory, name, device)
}

/// Makes a device node in the scratch file system; returns it as a place.
pub(super) fn make_apart(scratch: &mut Scratch, device: &Device) -> io::Result<OwnedFd> {
    scratch.device(|directory, name| make(directory, name, device))
}

fn make(directory: &OwnedFd, name: &str, device: &Device) -> io::Result<()> {
    let (kind, number) = match device.kind {
        DeviceKind::Character { major, minor } => {
            (FileType::CharacterDevice, rustix::fs::makedev(major, minor))
        }
        DeviceKind::Block { major, minor } => (FileType::BlockDevice, rustix::fs::makedev(major, minor)),
        DeviceKind::Fifo => (FileType::Fifo, 0),
    };
    rustix::fs::mknodat(directory, name, kind, Mode::from_raw_mode(device.mode & 0o7777), number)?;
    if (device.uid, device.gid) != (0, 0) {
        let (uid, gid) = (Uid::from_raw(device.uid), Gid::from_raw(device.gid));
        rustix::fs::chownat(directory, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
    }
    Ok(())
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
