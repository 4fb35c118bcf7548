//! Files, directories and links that stand in the graph, and what is taken away.
//!
//! Paths are resolved beneath the root, symlinks in them followed; the directory that something is made in has to be there.
//! Called for each action by [`super::execute`].

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kiln_cache::View;
use kiln_graph::op::{MakeDirectory, MakeFile, MakeLink, Owner, Remove};
use kiln_graph::pattern::{Glob, has_wildcard};

use super::FileError;
use super::delta::{Body, Change, Delta, Existing};
use crate::content::{ItemKind, TreeError, Xattrs, as_text};
use crate::step::user::{self, Ids};

/// Writes a file.
pub(super) fn make_file(delta: &mut Delta<'_>, base: &View, action: &MakeFile) -> Result<(), FileError> {
    let path = delta.resolve(action.path.as_ref())?;
    require_directory(delta, &path)?;
    let owner = ids(base, action.owner.as_ref())?;
    if delta.existing(&path)? == Existing::Directory {
        return Err(FileError::DirectoryInTheWay { path: absolute(&path) });
    }
    let there = match delta.change(&path) {
        Some(change) => Some((change.mode, change.uid, change.gid)),
        None => delta.untouched(&path)?,
    };
    let (mode, uid, gid) = there.unwrap_or((action.mode & 0o777, 0, 0));
    let owner = owner.unwrap_or(Ids { uid, gid });
    let change = Change {
        kind: ItemKind::File { size: action.data.len() as u64 },
        mode,
        uid: owner.uid,
        gid: owner.gid,
        mtime: action.time,
        xattrs: Xattrs::new(),
        body: Body::Inline(Arc::from(action.data.as_slice())),
    };
    delta.put(&path, change);
    Ok(())
}

/// Makes a directory.
pub(super) fn make_directory(
    delta: &mut Delta<'_>,
    base: &View,
    action: &MakeDirectory,
) -> Result<(), FileError> {
    let path = delta.resolve(action.path.as_ref())?;
    let owner = ids(base, action.owner.as_ref())?.unwrap_or_default();
    if !action.parents {
        if delta.existing(&path)? != Existing::Nothing {
            return Ok(());
        }
        require_directory(delta, &path)?;
    }
    delta.make_directories_at(&path, action.mode & 0o777, (owner.uid, owner.gid), action.time)
}

/// Makes a symlink.
pub(super) fn make_link(delta: &mut Delta<'_>, base: &View, action: &MakeLink) -> Result<(), FileError> {
    let path = delta.resolve(action.path.as_ref())?;
    if action.target.is_empty() || action.target.contains('\0') {
        return Err(FileError::LinkTarget { path: absolute(&path), target: action.target.clone() });
    }
    if delta.existing(&path)? != Existing::Nothing {
        return Err(FileError::InTheWay { path: absolute(&path) });
    }
    require_directory(delta, &path)?;
    let owner = ids(base, action.owner.as_ref())?.unwrap_or_default();
    let change = Change {
        kind: ItemKind::Symlink { target: PathBuf::from(&action.target) },
        mode: 0o777,
        uid: owner.uid,
        gid: owner.gid,
        mtime: action.time,
        xattrs: Xattrs::new(),
        body: Body::None,
    };
    delta.put(&path, change);
    Ok(())
}

/// Takes something away.
pub(super) fn remove(delta: &mut Delta<'_>, action: &Remove) -> Result<(), FileError> {
    let paths = if action.wildcards && has_wildcard(&action.path) {
        expand(delta, &action.path)?
    } else {
        vec![PathBuf::from(&action.path)]
    };
    for path in paths {
        let (Some(name), parent) = (path.file_name(), path.parent().unwrap_or(Path::new(""))) else {
            return Err(FileError::NoName { path: absolute(&path) });
        };
        let found = delta.resolve(parent)?.join(name);
        refuse_way_through_file(delta, &found)?;
        match delta.existing(&found)? {
            Existing::Nothing if action.allow_missing => {}
            Existing::Nothing => return Err(FileError::Missing { path: absolute(&path) }),
            Existing::Directory | Existing::Other => delta.remove(&found),
        }
    }
    Ok(())
}

/// The paths that a pattern names, component by component; symlinks are followed before the first wildcard only.
fn expand(delta: &Delta<'_>, pattern: &str) -> Result<Vec<PathBuf>, FileError> {
    let components: Vec<&str> = pattern.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    let fixed = components.iter().position(|part| has_wildcard(part)).unwrap_or(components.len());
    let mut found = vec![delta.resolve(&components[..fixed].iter().collect::<PathBuf>())?];
    for component in &components[fixed..] {
        let glob = Glob::new(component).map_err(|error| TreeError::Pattern {
            pattern: pattern.to_owned(),
            message: error.to_string(),
        })?;
        let mut next = Vec::new();
        for dir in &found {
            let matches = |name: &OsString| glob.matches(&as_text(name));
            next.extend(delta.names(dir)?.into_iter().filter(matches).map(|name| dir.join(name)));
        }
        found = next;
    }
    Ok(found)
}

/// What lies in something that is no directory is not missing: the path is wrong.
fn refuse_way_through_file(delta: &Delta<'_>, path: &Path) -> Result<(), FileError> {
    let mut way = PathBuf::new();
    for component in path.parent().into_iter().flat_map(Path::components) {
        way.push(component);
        if delta.existing(&way)? == Existing::Other {
            return Err(FileError::NotADirectory { path: absolute(&way) });
        }
    }
    Ok(())
}

/// The directory that `path` is in has to be there.
pub(super) fn require_directory(delta: &Delta<'_>, path: &Path) -> Result<(), FileError> {
    let parent = path.parent().unwrap_or(Path::new(""));
    match delta.existing(parent)? {
        Existing::Directory => Ok(()),
        Existing::Nothing => Err(FileError::Missing { path: absolute(parent) }),
        Existing::Other => Err(FileError::NotADirectory { path: absolute(parent) }),
    }
}

fn ids(base: &View, owner: Option<&Owner>) -> Result<Option<Ids>, FileError> {
    Ok(owner.map(|owner| user::owner(base, owner)).transpose()?)
}

pub(super) fn absolute(path: &Path) -> PathBuf {
    Path::new("/").join(path)
}
