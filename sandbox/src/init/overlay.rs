//! Overlay mounts of open directories, on every kernel that has what the rest of the sandbox needs.
//!
//! Used by [`super::rootfs`], which decides what the layers are.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::mount::{MountAttrFlags, MountFlags, UnmountFlags};

use super::mounts::{self, Configuration};
use super::rootfs::Scratch;

/// Where changes go.
pub(super) struct Changes {
    pub(super) upper: OwnedFd,
    pub(super) work: OwnedFd,
}

/// Whatever the machine's defaults are: an upper directory must be readable as a layer without knowing others, and
/// layers must not be able to point elsewhere.
const PARAMETERS: [(&str, &str); 3] = [("index", "off"), ("redirect_dir", "nofollow"), ("metacopy", "off")];

/// Keeps unmounting from writing the whole file system below to disk; what has to be durable when is decided by whoever
/// keeps the upper directory.
const VOLATILE: &str = "volatile";

/// What mount(2) copies of the data it is given, the final NUL included.
const MAX_DATA: usize = 4096;

/// Mounts the layers, the topmost first, on the directory of this name in the scratch file system, read-only if there
/// is nowhere for changes to go. Returns the root directory.
pub(super) fn mount(
    lowers: &[&OwnedFd],
    changes: Option<&Changes>,
    scratch: &Scratch,
    name: &str,
) -> io::Result<OwnedFd> {
    match mount_one_by_one(lowers, changes) {
        Ok(mount) => {
            mounts::attach(&mount, &scratch.directory(name)?)?;
            Ok(mount)
        }
        // Linux before 6.7 does not know the parameter, and says so now or, before 6.5, in the end. It says the same
        // about much else, so both answers count where both ways fail.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
            mount_as_list(lowers, changes, scratch, name)
                .map_err(|second| io::Error::new(second.kind(), format!("{error}; as a list: {second}")))
        }
        Err(error) => Err(error),
    }
}

/// Takes a mount off again.
pub(super) fn unmount(root: OwnedFd) -> io::Result<()> {
    rustix::mount::unmount(path(&root), UnmountFlags::DETACH)?;
    drop(root);
    Ok(())
}

/// Each layer as a parameter of its own, so that there can be as many as the kernel mounts.
fn mount_one_by_one(lowers: &[&OwnedFd], changes: Option<&Changes>) -> io::Result<OwnedFd> {
    let configuration = Configuration::new("overlay")?;
    configuration.set("source", "overlay")?;
    for (key, value) in PARAMETERS {
        configuration.set(key, value)?;
    }
    for lower in lowers {
        configuration.set("lowerdir+", &path(lower))?;
    }
    let Some(Changes { upper, work }) = changes else {
        return configuration.mount(MountAttrFlags::MOUNT_ATTR_RDONLY);
    };
    configuration.set("upperdir", &path(upper))?;
    configuration.set("workdir", &path(work))?;
    configuration.set_flag(VOLATILE)?;
    configuration.mount(MountAttrFlags::empty())
}

/// All layers in one parameter, which is one page long at most: some 230 of them.
fn mount_as_list(
    lowers: &[&OwnedFd],
    changes: Option<&Changes>,
    scratch: &Scratch,
    name: &str,
) -> io::Result<OwnedFd> {
    let data = CString::new(list(lowers, changes))?;
    if data.as_bytes_with_nul().len() > MAX_DATA {
        let message = format!("{} layers are more than Linux before 6.7 can mount", lowers.len());
        return Err(io::Error::new(io::ErrorKind::ArgumentListTooLong, message));
    }
    let flags = if changes.is_some() { MountFlags::empty() } else { MountFlags::RDONLY };
    rustix::mount::mount("overlay", path(&scratch.directory(name)?), "overlay", flags, data.as_c_str())?;
    // The directory that was opened before is the one below the mount.
    scratch.directory(name)
}

fn list(lowers: &[&OwnedFd], changes: Option<&Changes>) -> String {
    let mut options: Vec<String> = PARAMETERS.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let lowers: Vec<String> = lowers.iter().map(|lower| path(lower)).collect();
    options.push(format!("lowerdir={}", lowers.join(":")));
    if let Some(Changes { upper, work }) = changes {
        options.push(format!("upperdir={},workdir={}", path(upper), path(work)));
        options.push(VOLATILE.to_owned());
    }
    options.join(",")
}

/// A name for an open directory that is short (values are limited to 255 bytes) and free of `:`, `,` and `\\`, which
/// mean something in some parameters.
fn path(directory: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", directory.as_raw_fd())
}

#[cfg(test)]
#[path = "overlay_tests.rs"]
mod tests;
