//! The program file that supervisor and init run from: this binary, in a form that no process inside a sandbox
//! can write to, even where it manages to execute or open it through `/proc` (CVE-2019-5736).
//!
//! Called by [`crate::spawn()`] only, once a process; later calls reuse the descriptor.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::sync::OnceLock;

use rustix::fs::{CWD, MemfdFlags, SealFlags};
use rustix::mount::OpenTreeFlags;

use crate::sys;

static PROGRAM: OnceLock<OwnedFd> = OnceLock::new();

/// A path that executes this binary. Valid in this process and in what it spawns, until it executes.
pub(crate) fn program() -> io::Result<PathBuf> {
    let descriptor = if let Some(descriptor) = PROGRAM.get() {
        descriptor
    } else {
        // Two threads may get here at once; the loser's descriptor is closed again.
        let opened = read_only_mount().or_else(|_| sealed_copy())?;
        PROGRAM.get_or_init(|| opened)
    };
    Ok(PathBuf::from(format!("/proc/self/fd/{}", descriptor.as_raw_fd())))
}

/// The file in a read-only mount of its own that is attached nowhere: opening it for writing fails whatever the
/// privileges, and nobody can reach the mount to change that.
fn read_only_mount() -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let mount = rustix::mount::open_tree(CWD, "/proc/self/exe", flags)?;
    sys::set_mount_read_only(&mount, false)?;
    Ok(mount)
}

/// A copy in memory that can no longer change. For where mounts cannot be cloned (the file lies in another mount
/// namespace).
fn sealed_copy() -> io::Result<OwnedFd> {
    let mut program = File::open("/proc/self/exe")?;
    let memory = rustix::fs::memfd_create("kiln-sandbox", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let mut copy = File::from(memory);
    io::copy(&mut program, &mut copy)?;
    let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
    rustix::fs::fcntl_add_seals(&copy, seals)?;
    Ok(copy.into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::fs::OpenOptions;
    use std::io::{Read, Write};

    use super::*;

    fn path(descriptor: &OwnedFd) -> String {
        format!("/proc/self/fd/{}", descriptor.as_raw_fd())
    }

    #[test]
    fn the_mounted_form_refuses_writers() {
        let program = read_only_mount().unwrap();
        // A program that runs is busy for writers anyway; what shows the mount is that the mode cannot be changed.
        assert!(OpenOptions::new().write(true).open(path(&program)).is_err());
        let mode = std::fs::metadata(path(&program)).unwrap().permissions();
        let error = std::fs::set_permissions(path(&program), mode).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ReadOnlyFilesystem);
    }

    #[test]
    fn the_copied_form_refuses_writers_and_is_complete() {
        let program = sealed_copy().unwrap();
        let mut original = Vec::new();
        File::open("/proc/self/exe").unwrap().read_to_end(&mut original).unwrap();
        let mut copy = Vec::new();
        File::open(path(&program)).unwrap().read_to_end(&mut copy).unwrap();
        assert_eq!(original.len(), copy.len());
        let refused =
            OpenOptions::new().write(true).open(path(&program)).and_then(|mut file| file.write_all(b"x"));
        assert!(refused.is_err());
    }
}
