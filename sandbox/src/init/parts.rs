//! Parts of trees that nobody vouches for: an image's, a build step's, a cache's. What is mounted is what an open
//! descriptor stands for, and that descriptor was opened beneath the tree's root, so neither a link in the tree
//! (CVE-2024-1753) nor one that another process puts there meanwhile (CVE-2024-23651) leads anywhere else.
//!
//! Used by [`super::perform`].

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::io::Errno;

use super::beneath::{self, Leaf};
use super::overlay::{self, Changes};
use super::rootfs::{self, Scratch};
use crate::error::Failure;
use crate::{ChangesDirectory, MountTree};

/// Opens the part as a place.
pub(super) fn open(tree: &MountTree, path: &Path, scratch: &mut Scratch) -> io::Result<OwnedFd> {
    match tree {
        MountTree::Directory(directory) => {
            let root = rootfs::open_host(directory).map_err(to_error)?;
            match beneath::open(&root, path) {
                Err(Errno::NOENT) => {
                    Ok(beneath::make(&root, &beneath::resolve(&root, path)?, Leaf::Directory, None)?)
                }
                result => Ok(result?),
            }
        }
        MountTree::Layers { lowers, changes } => {
            let name = scratch.new_name();
            let lowers = rootfs::open_lowers(lowers, scratch, &name).map_err(to_error)?;
            Ok(beneath::open(&merged(lowers, changes.as_ref(), scratch)?, path)?)
        }
    }
}

/// Mounts the layers in the scratch file system.
fn merged(
    mut lowers: Vec<OwnedFd>,
    changes: Option<&ChangesDirectory>,
    scratch: &mut Scratch,
) -> io::Result<OwnedFd> {
    let open = |ChangesDirectory { upper, work }: &ChangesDirectory| {
        Ok(Changes { upper: rootfs::open_host(upper)?, work: rootfs::open_host(work)? })
    };
    let changes = changes.map(open).transpose().map_err(to_error)?;
    // The kernel wants two layers where there is no upper one.
    let enough = if changes.is_some() { 1 } else { 2 };
    for filler in ["empty", "empty-too"].into_iter().take(enough - lowers.len().min(enough)) {
        lowers.push(scratch.directory(filler)?);
    }
    let layers: Vec<&OwnedFd> = lowers.iter().collect();
    let name = scratch.new_name();
    overlay::mount(&layers, changes.as_ref(), scratch, &name)
}

/// The step that needs the part says what it is for; this keeps what went wrong with it.
fn to_error(failure: Failure) -> io::Error {
    match failure {
        Failure::Step { step, message, errno } => match errno {
            Some(errno) => {
                let error = io::Error::from_raw_os_error(errno);
                io::Error::new(error.kind(), format!("cannot {step}: {error}"))
            }
            None => io::Error::other(message),
        },
        other => io::Error::other(crate::SandboxError::from(other)),
    }
}
