//! Transfers: copies with the rules of cp(1), as clients that send graphs mean them.
//!
//! A directory is copied itself, into the destination if that is a directory already, unless only its contents are meant. What
//! is in a copied directory takes the place of files, and its metadata that of directories; a directory that was there keeps
//! its own where it is the top of the copy, or where not everything is copied. Called by [`super::execute`].

use std::path::{Path, PathBuf};

use kiln_graph::op::Transfer;

use super::FileError;
use super::actions::{absolute, require_directory};
use super::copy::{NEW_DIRECTORY, NewMode};
use super::delta::{Body, Change, Delta, Existing};
use crate::content::select::{Match, Selection};
use crate::content::{Item, ItemKind, Tree};
use crate::step::user::Ids;

/// A transfer and what it reads from.
pub(super) struct Transferring<'a> {
    pub(super) action: &'a Transfer,
    /// The owner, looked up; `None` keeps the source's.
    pub(super) owner: Option<Ids>,
    /// What becomes of permission bits.
    pub(super) mode: NewMode,
    pub(super) tree: &'a dyn Tree,
    /// The tree's number in the step.
    pub(super) number: usize,
}

impl Transferring<'_> {
    /// Copies what was selected.
    pub(super) fn selection(
        &self,
        delta: &mut Delta<'_>,
        selection: &Selection,
        group: &mut usize,
    ) -> Result<(), FileError> {
        if !self.action.make_parents {
            let destination = delta.resolve(self.action.destination.as_ref())?;
            require_directory(delta, &destination)?;
        }
        for found in &selection.matches {
            *group += 1;
            let target = self.target(delta, found)?;
            if found.top.is_dir() {
                self.directory(delta, found, &target, *group)?;
            } else {
                self.file(delta, &found.top, &target, *group)?;
            }
        }
        Ok(())
    }

    /// The path that a match gets, the directory that it is to lie in made.
    fn target(&self, delta: &mut Delta<'_>, found: &Match) -> Result<PathBuf, FileError> {
        let destination = self.action.destination.as_str();
        if destination.ends_with('/') || destination.ends_with("/.") {
            self.make_directories(delta, destination.as_ref())?;
        }
        let mut target = delta.resolve(destination.as_ref())?;
        let there = delta.existing(&target)?;
        let is_dir = found.top.is_dir();
        if there == Existing::Directory && !(is_dir && self.action.contents) && !found.name.is_empty() {
            target.push(&found.name);
        }
        if is_dir && self.action.contents && there == Existing::Nothing {
            self.make_directories(delta, &target)?;
        } else {
            self.make_directories(delta, target.parent().unwrap_or(Path::new("")))?;
        }
        Ok(target)
    }

    fn make_directories(&self, delta: &mut Delta<'_>, path: &Path) -> Result<(), FileError> {
        let path = delta.resolve(path)?;
        let owner = self.owner.unwrap_or_default();
        delta.make_directories_at(&path, NEW_DIRECTORY, (owner.uid, owner.gid), self.action.time)
    }

    fn directory(
        &self,
        delta: &mut Delta<'_>,
        found: &Match,
        target: &Path,
        group: usize,
    ) -> Result<(), FileError> {
        if self.make_way(delta, target)? == Existing::Nothing {
            delta.put(target, self.change(&found.top, Body::None)?);
        }
        for item in &found.below {
            let path = target.join(found.relative(item));
            if !item.is_dir() {
                self.file(delta, item, &path, group)?;
                continue;
            }
            let there = self.make_way(delta, &path)?;
            if there == Existing::Nothing || self.action.include.is_empty() {
                delta.put(&path, self.change(item, Body::None)?);
            }
        }
        Ok(())
    }

    /// Sees to it that a directory can be at `path`, and says whether there is one.
    fn make_way(&self, delta: &mut Delta<'_>, path: &Path) -> Result<Existing, FileError> {
        match delta.existing(path)? {
            Existing::Other if self.action.replace => {
                delta.remove(path);
                Ok(Existing::Nothing)
            }
            Existing::Other => Err(FileError::NotADirectory { path: absolute(path) }),
            there => Ok(there),
        }
    }

    /// Copies something that is no directory.
    fn file(&self, delta: &mut Delta<'_>, item: &Item, path: &Path, group: usize) -> Result<(), FileError> {
        if delta.existing(path)? == Existing::Directory {
            if !self.action.replace {
                return Err(FileError::DirectoryInTheWay { path: absolute(path) });
            }
            delta.remove(path);
        }
        let body = match item.kind {
            ItemKind::File { .. } => Body::Source { tree: self.number, group, item: item.clone() },
            _ => Body::None,
        };
        delta.put(path, self.change(item, body)?);
        Ok(())
    }

    fn change(&self, item: &Item, body: Body) -> Result<Change, FileError> {
        let owner = self.owner.unwrap_or(Ids { uid: item.uid, gid: item.gid });
        let mode = match item.kind {
            ItemKind::Symlink { .. } => 0o777,
            _ => self.mode.of_item(item.mode, item.is_dir()),
        };
        // The root of a layered tree has no time of its own.
        let own = (!item.path.as_os_str().is_empty()).then_some(item.mtime);
        Ok(Change {
            kind: item.kind.clone(),
            mode,
            uid: owner.uid,
            gid: owner.gid,
            mtime: self.action.time.or(own),
            xattrs: self.tree.xattrs(item)?,
            body,
        })
    }
}
