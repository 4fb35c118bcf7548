//! Paths inside a root that is not `/` (yet): every look-up stays beneath an open directory, follows no link of `/proc`,
//! and treats absolute symlinks and `..` as the sandboxed process will see them.
//!
//! Used by all steps that touch the root. Nothing here mounts.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};
use rustix::io::{Errno, Result};

/// As many symlinks as Linux follows in one look-up.
const MAX_LINKS: u32 = 40;

/// How often a look-up that lost a race against a rename is repeated before its error counts.
const MAX_RACES: u32 = 16;

/// Opens a path of the root as a place (`O_PATH`), following symlinks beneath the root.
pub(super) fn open(root: &impl AsFd, path: impl AsRef<Path>) -> Result<OwnedFd> {
    open_with(root, path.as_ref(), OFlags::PATH, ResolveFlags::empty())
}

/// Opens a path of the root with other flags than [`open`], and further restrictions.
pub(super) fn open_with(
    root: &impl AsFd,
    path: &Path,
    flags: OFlags,
    resolve: ResolveFlags,
) -> Result<OwnedFd> {
    let resolve = resolve | ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let mut races = 0;
    loop {
        match rustix::fs::openat2(root, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) if races < MAX_RACES => races += 1,
            result => return result,
        }
    }
}

/// Where a path leads.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Resolved {
    /// The names from the root down, none of them a symlink.
    pub(super) names: Vec<OsString>,
    /// How many of them, from the first on, exist.
    pub(super) existing: usize,
}

impl Resolved {
    /// The whole path, relative to the root.
    pub(super) fn path(&self) -> PathBuf {
        self.names.iter().collect()
    }

    /// True when nothing is missing.
    pub(super) fn exists(&self) -> bool {
        self.existing == self.names.len()
    }
}

/// Follows a path as far as it exists. Unlike the kernel it goes on where something is missing, so that a symlink to
/// nothing has a place too: the one that creating its target would give it.
pub(super) fn resolve(root: &impl AsFd, path: &Path) -> Result<Resolved> {
    let mut resolved = Resolved { names: Vec::new(), existing: 0 };
    let mut pending = Vec::new();
    push_components(&mut pending, path);
    let mut links = 0;
    while let Some(name) = pending.pop() {
        if name == ".." {
            resolved.names.pop();
            resolved.existing = resolved.existing.min(resolved.names.len());
            continue;
        }
        let missing_above = !resolved.exists();
        resolved.names.push(name);
        if missing_above {
            continue;
        }
        match look_up(root, &resolved.path())? {
            Found::Nothing => {}
            Found::Link(target) => {
                links += 1;
                if links > MAX_LINKS {
                    return Err(Errno::LOOP);
                }
                resolved.names.pop();
                if target.is_absolute() {
                    resolved.names.clear();
                }
                resolved.existing = resolved.names.len();
                push_components(&mut pending, &target);
            }
            Found::Other if !pending.is_empty() => return Err(Errno::NOTDIR),
            Found::Directory | Found::Other => resolved.existing += 1,
        }
    }
    Ok(resolved)
}

/// Pushes the names of a path so that the first of them is popped first.
fn push_components(pending: &mut Vec<OsString>, path: &Path) {
    pending.extend(path.components().rev().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    }));
}

enum Found {
    Nothing,
    Link(PathBuf),
    Directory,
    Other,
}

fn look_up(root: &impl AsFd, path: &Path) -> Result<Found> {
    let place = match open_with(root, path, OFlags::PATH | OFlags::NOFOLLOW, ResolveFlags::NO_SYMLINKS) {
        Ok(place) => place,
        Err(Errno::NOENT) => return Ok(Found::Nothing),
        Err(errno) => return Err(errno),
    };
    Ok(match FileType::from_raw_mode(rustix::fs::fstat(&place)?.st_mode) {
        FileType::Symlink => {
            let target = rustix::fs::readlinkat(&place, c"", Vec::new())?;
            Found::Link(OsString::from_vec(target.into_bytes()).into())
        }
        FileType::Directory => Found::Directory,
        _ => Found::Other,
    })
}

/// What [`make`] makes at the end of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leaf {
    Directory,
    File,
}

/// Makes what is missing of a resolved path, owned by root, directories with mode 0755 and a file, empty, with 0644;
/// refuses to do so on the file system with the given number (`st_dev`).
pub(super) fn make(root: &impl AsFd, wanted: &Resolved, leaf: Leaf, refused: Option<u64>) -> Result<OwnedFd> {
    let parent: PathBuf = wanted.names[..wanted.existing].iter().collect();
    let mut place = open(root, Path::new("/").join(parent))?;
    if !wanted.exists() && refused == Some(rustix::fs::fstat(&place)?.st_dev) {
        return Err(Errno::NOENT);
    }
    for (position, name) in wanted.names.iter().enumerate().skip(wanted.existing) {
        let last = position + 1 == wanted.names.len();
        let leaf = if last { leaf } else { Leaf::Directory };
        make_one(&place, name, leaf)?;
        place =
            open_with(&place, Path::new(name), OFlags::PATH | OFlags::NOFOLLOW, ResolveFlags::NO_SYMLINKS)?;
    }
    Ok(place)
}

/// Makes one entry in an open directory; that it exists already is no error.
pub(super) fn make_one(directory: &impl AsFd, name: &OsStr, leaf: Leaf) -> Result<()> {
    let made = match leaf {
        Leaf::Directory => rustix::fs::mkdirat(directory, name.as_bytes(), Mode::from_raw_mode(0o755)),
        Leaf::File => {
            let mode = Mode::from_raw_mode(0o644);
            rustix::fs::mknodat(directory, name.as_bytes(), FileType::RegularFile, mode, 0)
        }
    };
    match made {
        Err(Errno::EXIST) => Ok(()),
        result => result,
    }
}

#[cfg(test)]
#[path = "beneath_tests.rs"]
mod tests;
