//! Mounts as descriptors: made detached, then attached to an open place. No path is looked up twice, so nobody can
//! swap a link in between.
//!
//! Used by [`super::perform`] and [`super::rootfs`]; which mounts there are is [`crate::plan`]'s.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::CWD;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags,
    fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, mount_change, move_mount,
    open_tree,
};

use crate::plan::View;
use crate::sys;

/// Cuts the mount namespace off from the one it was copied from.
pub(super) fn make_private() -> io::Result<()> {
    Ok(mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?)
}

/// A file system that is being configured.
pub(super) struct Configuration(OwnedFd);

impl Configuration {
    pub(super) fn new(filesystem: &str) -> io::Result<Configuration> {
        Ok(Configuration(fsopen(filesystem, FsOpenFlags::FSOPEN_CLOEXEC)?))
    }

    pub(super) fn set(&self, key: &str, value: &str) -> io::Result<()> {
        fsconfig_set_string(&self.0, key, value).map_err(|errno| self.explain(&errno.into(), key))
    }

    pub(super) fn set_flag(&self, key: &str) -> io::Result<()> {
        fsconfig_set_flag(&self.0, key).map_err(|errno| self.explain(&errno.into(), key))
    }

    /// Makes the file system and a mount of it that is attached nowhere.
    pub(super) fn mount(&self, attributes: MountAttrFlags) -> io::Result<OwnedFd> {
        fsconfig_create(&self.0).map_err(|errno| self.explain(&errno.into(), "the parameters"))?;
        Ok(fsmount(&self.0, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?)
    }

    /// Adds what the kernel has to say about the last failure, which is more than a number.
    fn explain(&self, error: &io::Error, subject: &str) -> io::Error {
        let mut text = [0; 512];
        match rustix::io::read(&self.0, &mut text) {
            Ok(length) if length > 2 => {
                // Each message is one read and starts with its level: "e " for an error.
                let message = String::from_utf8_lossy(&text[2..length]);
                io::Error::new(error.kind(), format!("{error}: {}", message.trim_end()))
            }
            _ => io::Error::new(error.kind(), format!("{error} (setting {subject})")),
        }
    }
}

/// A new file system in memory, attached nowhere.
pub(super) fn tmpfs(parameters: &[(&str, &str)], attributes: MountAttrFlags) -> io::Result<OwnedFd> {
    let configuration = Configuration::new("tmpfs")?;
    configuration.set("source", "tmpfs")?;
    for (key, value) in parameters {
        configuration.set(key, value)?;
    }
    configuration.mount(attributes)
}

/// Attaches a mount to an open place.
pub(super) fn attach(mount: &impl AsFd, place: &impl AsFd) -> io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    Ok(move_mount(mount, c"", place, c"", flags)?)
}

/// Attaches a mount on top of everything at the current `/`. Look-ups from `/` do not see it; it is there to be
/// part of this namespace, which cloning from it and changing the root to it require.
pub(super) fn attach_over_root(mount: &impl AsFd) -> io::Result<()> {
    Ok(move_mount(mount, c"", CWD, c"/", MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?)
}

/// A second mount, attached nowhere, of an open file or directory.
pub(super) fn clone(place: &impl AsFd, recursive: bool) -> io::Result<OwnedFd> {
    Ok(open_tree(place, c"", clone_flags(recursive) | OpenTreeFlags::AT_EMPTY_PATH)?)
}

/// A second mount, attached nowhere, of a file or directory of the host.
pub(super) fn clone_host(path: &Path, recursive: bool) -> io::Result<OwnedFd> {
    Ok(open_tree(CWD, path, clone_flags(recursive))?)
}

fn clone_flags(recursive: bool) -> OpenTreeFlags {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if recursive { flags | OpenTreeFlags::AT_RECURSIVE } else { flags }
}

/// Takes from a mount what the view of it does not allow.
pub(super) fn restrict(mount: &impl AsFd, view: View) -> io::Result<()> {
    let mut refused = MountAttrFlags::empty();
    refused.set(MountAttrFlags::MOUNT_ATTR_RDONLY, view.read_only);
    refused.set(MountAttrFlags::MOUNT_ATTR_NODEV, !view.devices);
    refused.set(MountAttrFlags::MOUNT_ATTR_NOSUID, !view.set_id);
    refused.set(MountAttrFlags::MOUNT_ATTR_NOEXEC, !view.programs);
    if refused.is_empty() { Ok(()) } else { sys::set_mount_attributes(mount, refused, view.recursive) }
}

/// Covers an open file or directory with a read-only view of itself.
pub(super) fn make_read_only(place: &impl AsFd) -> io::Result<()> {
    let view = clone(place, true)?;
    sys::set_mount_read_only(&view, true)?;
    attach(&view, place)
}
