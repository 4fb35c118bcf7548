//! Places for mounts whose target the root does not have, without a trace in the upper directory: a small tree in
//! memory that becomes the topmost lower layer. It holds the missing files and directories, and above them copies
//! of the directories that exist, so that merging changes nothing about those.
//!
//! Used by [`super::rootfs`].

use std::collections::BTreeMap;
use std::ffi::{CStr, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Gid, Mode, OFlags, ResolveFlags, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

use super::beneath::{self, Leaf, Resolved};
use super::rootfs::Scratch;
use crate::error::Failure;
use crate::plan::{Target, TargetKind};

/// What a path of the stub tree is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stub {
    /// A directory that exists in the root.
    Copy,
    /// Something that does not.
    New(Leaf),
}

/// By names from the root down; a directory stands before what is in it.
type Tree = BTreeMap<Vec<OsString>, Stub>;

/// The stub layer for the targets that the tree before the run lacks; `None` if it has them all.
pub(super) fn build(
    before: &OwnedFd,
    targets: &[Target],
    scratch: &Scratch,
) -> Result<Option<OwnedFd>, Failure> {
    let mut tree = Tree::new();
    for target in targets {
        let failed =
            |error: io::Error| Failure::step(format!("find a place for a mount at `{}`", target.path), error);
        let resolved =
            beneath::resolve(before, Path::new(&target.path)).map_err(|errno| failed(errno.into()))?;
        if !resolved.exists() {
            add(&mut tree, &resolved, leaf(target)?);
        }
    }
    if tree.is_empty() {
        return Ok(None);
    }
    let written = scratch.directory("stubs").and_then(|layer| write(&tree, before, &layer).map(|()| layer));
    written.map(Some).map_err(|error| Failure::step("make places for mounts", error))
}

fn leaf(target: &Target) -> Result<Leaf, Failure> {
    match &target.kind {
        TargetKind::Directory => Ok(Leaf::Directory),
        TargetKind::File => Ok(Leaf::File),
        TargetKind::Like(source) => match std::fs::metadata(source) {
            Ok(metadata) if metadata.is_dir() => Ok(Leaf::Directory),
            Ok(_) => Ok(Leaf::File),
            Err(error) => {
                Err(Failure::step(format!("find the mount's source `{}`", source.display()), error))
            }
        },
    }
}

fn add(tree: &mut Tree, resolved: &Resolved, leaf: Leaf) {
    for length in 1..=resolved.names.len() {
        let stub = if length <= resolved.existing {
            Stub::Copy
        } else if length < resolved.names.len() {
            Stub::New(Leaf::Directory)
        } else {
            Stub::New(leaf)
        };
        // What has something in it is a directory, whatever another target wants it to be.
        let entry = tree.entry(resolved.names[..length].to_vec()).or_insert(stub);
        if stub == Stub::New(Leaf::Directory) && *entry == Stub::New(Leaf::File) {
            *entry = stub;
        }
    }
}

fn write(tree: &Tree, before: &OwnedFd, layer: &OwnedFd) -> io::Result<()> {
    let mut copies = Vec::new();
    for (names, stub) in tree {
        let path: PathBuf = names.iter().collect();
        let Some(name) = names.last() else { continue };
        let parent = match path.parent() {
            Some(parent) if parent != Path::new("") => open_directory(layer, parent)?,
            _ => open_directory(layer, Path::new("."))?,
        };
        match stub {
            Stub::New(leaf) => beneath::make_one(&parent, name, *leaf)?,
            Stub::Copy => {
                beneath::make_one(&parent, name, Leaf::Directory)?;
                copies.push(path);
            }
        }
    }
    // From the innermost out: making something in a directory would change its time again.
    for path in copies.iter().rev() {
        copy_attributes(&open_directory(before, path)?, &open_directory(layer, path)?)?;
    }
    Ok(())
}

fn open_directory(root: &OwnedFd, path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
    Ok(beneath::open_with(root, path, flags, ResolveFlags::NO_SYMLINKS)?)
}

/// Gives a directory the mode, owner, extended attributes and times of another.
pub(super) fn copy_attributes(from: &OwnedFd, to: &OwnedFd) -> io::Result<()> {
    // Descriptors that are mere places cannot be asked for attributes.
    let (from, to) = (open_directory(from, Path::new("."))?, open_directory(to, Path::new("."))?);
    let stat = rustix::fs::fstat(&from)?;
    rustix::fs::fchown(&to, Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)))?;
    rustix::fs::fchmod(&to, Mode::from_raw_mode(stat.st_mode))?;
    copy_xattrs(&from, &to)?;
    let time = |seconds: i64, nanoseconds: u64| {
        Ok::<_, io::Error>(Timespec {
            tv_sec: seconds,
            tv_nsec: i64::try_from(nanoseconds).map_err(io::Error::other)?,
        })
    };
    let times = Timestamps {
        last_access: time(stat.st_atime, stat.st_atime_nsec)?,
        last_modification: time(stat.st_mtime, stat.st_mtime_nsec)?,
    };
    Ok(rustix::fs::futimens(&to, &times)?)
}

fn copy_xattrs(from: &impl AsFd, to: &impl AsFd) -> io::Result<()> {
    let names = read_growing(|buffer| rustix::fs::flistxattr(from, buffer))?;
    for name in names.split_inclusive(|byte| *byte == 0) {
        let name = CStr::from_bytes_with_nul(name).map_err(io::Error::other)?;
        let value = read_growing(|buffer| rustix::fs::fgetxattr(from, name, buffer))?;
        rustix::fs::fsetxattr(to, name, &value, XattrFlags::empty())?;
    }
    Ok(())
}

/// Calls with a larger buffer until the answer fits. The kernel's limit for both lists and values is 64 KiB.
fn read_growing(read: impl Fn(&mut [u8]) -> rustix::io::Result<usize>) -> io::Result<Vec<u8>> {
    let mut buffer = vec![0; 256];
    loop {
        match read(&mut buffer) {
            Ok(length) => {
                buffer.truncate(length);
                return Ok(buffer);
            }
            Err(Errno::RANGE) if buffer.len() < 1 << 16 => buffer.resize(1 << 16, 0),
            // The file system has no such attributes.
            Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
            Err(errno) => return Err(errno.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(names: &[&str], existing: usize) -> Resolved {
        Resolved { names: names.iter().map(OsString::from).collect(), existing }
    }

    #[test]
    fn only_what_is_missing_is_new() {
        let mut tree = Tree::new();
        add(&mut tree, &resolved(&["etc", "hosts"], 1), Leaf::File);
        add(&mut tree, &resolved(&["a", "b"], 0), Leaf::Directory);
        let listed: Vec<_> = tree.iter().map(|(names, stub)| (names.join("/".as_ref()), *stub)).collect();
        assert_eq!(
            listed,
            [
                ("a".into(), Stub::New(Leaf::Directory)),
                ("a/b".into(), Stub::New(Leaf::Directory)),
                ("etc".into(), Stub::Copy),
                ("etc/hosts".into(), Stub::New(Leaf::File)),
            ]
        );
    }

    #[test]
    fn what_another_target_lies_in_is_a_directory() {
        for order in [[0, 1], [1, 0]] {
            let wanted = [(resolved(&["a"], 0), Leaf::File), (resolved(&["a", "b"], 0), Leaf::File)];
            let mut tree = Tree::new();
            for index in order {
                add(&mut tree, &wanted[index].0, wanted[index].1);
            }
            assert_eq!(tree[&vec![OsString::from("a")]], Stub::New(Leaf::Directory));
        }
    }
}
