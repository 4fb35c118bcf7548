//! COPY and ADD: where each selected file lands.
//!
//! The rules are Docker's. A destination that ends in `/` or is an existing directory is a directory; where it is none,
//! the last of several files is what stands there. The contents of a source directory are copied, not the directory itself. A
//! directory that the copy has to make, the destination itself too, gets the copied owner and mode 0755 (or the permissions
//! of an octal `--chmod`), an existing one that is the destination itself keeps its metadata, one below it takes the source's. Symlinks in the destination path
//! are followed beneath the root; a file that stands in the way of a file is replaced.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kiln_cache::Store;
use kiln_graph::mode::SymbolicMode;
use kiln_graph::op::{CopyAction, CopySource, ModeChange};

use super::FileError;
use super::archive::Archives;
use super::delta::{Body, Change, Delta, Existing};
use crate::content::select::{Match, Selection};
use crate::content::{Item, ItemKind, Tree, Xattrs};
use crate::step::user::Ids;

/// What a copy needs beside the delta that it writes to.
pub(super) struct Copying<'a> {
    /// Where the content of archives is set aside.
    pub(super) store: &'a Store,
    /// The operation.
    pub(super) action: &'a CopyAction,
    /// The owner, looked up; `None` keeps the source's.
    pub(super) owner: Option<Ids>,
    /// The tree that sources are in, and its number in the step.
    pub(super) tree: Option<(usize, &'a dyn Tree)>,
    /// What becomes of permission bits.
    pub(super) mode: NewMode,
}

/// What becomes of the permission bits of what is copied.
pub(super) enum NewMode {
    /// They stay.
    Kept,
    /// They are these.
    Set(u32),
    /// They change.
    Changed(SymbolicMode),
}

impl NewMode {
    /// What a copy asks for.
    pub(super) fn of(mode: Option<&ModeChange>) -> Result<Self, FileError> {
        Ok(match mode {
            None => Self::Kept,
            Some(ModeChange::Set(mode)) => Self::Set(*mode),
            Some(ModeChange::Symbolic(text)) => Self::Changed(SymbolicMode::parse(text)?),
        })
    }

    /// The permission bits of what has `mode` at its source.
    pub(super) fn of_item(&self, mode: u32, is_directory: bool) -> u32 {
        match self {
            Self::Kept => mode,
            Self::Set(mode) => *mode,
            Self::Changed(change) => change.apply(mode, is_directory),
        }
    }
}

impl Copying<'_> {
    /// Copies the selected files.
    pub(super) fn selection(
        &self,
        delta: &mut Delta<'_>,
        selection: Selection,
        group: &mut usize,
        archives: &mut Archives,
    ) -> Result<(), FileError> {
        let Some((number, tree)) = self.tree else { return Ok(()) };
        if self.action.sources.iter().any(|source| matches!(source, CopySource::Parents { .. })) {
            // What keeps its parents goes into a directory, which is there even if there is nothing to put into it.
            self.make_destination(delta)?;
        }
        for found in selection.matches {
            *group += 1;
            if self.action.unpack && archives.unpack(self.store, self, delta, tree, &found.top)? {
                continue;
            }
            let destination = self.destination(delta, &found.name, found.top.is_dir())?;
            let writer = Writer { copying: self, tree, number, group: *group };
            if found.top.is_dir() {
                writer.directory(delta, &found, &destination)?;
            } else {
                writer.file(delta, &found.top, &destination, false)?;
            }
        }
        Ok(())
    }

    /// Writes the files that stand in the graph itself.
    pub(super) fn inline(&self, delta: &mut Delta<'_>) -> Result<(), FileError> {
        for source in &self.action.sources {
            let CopySource::Inline { name, data } = source else { continue };
            let path = self.destination(delta, name.as_ref(), false)?;
            refuse_directory(delta, &path)?;
            let owner = self.owner.unwrap_or_default();
            let change = Change {
                kind: ItemKind::File { size: data.len() as u64 },
                mode: self.mode.of_item(0o644, false),
                uid: owner.uid,
                gid: owner.gid,
                mtime: None,
                xattrs: Xattrs::new(),
                body: Body::Inline(Arc::from(data.as_slice())),
            };
            delta.put(&path, change);
        }
        Ok(())
    }

    /// The path that a source gets, its parent directories made, symlinks followed.
    fn destination(
        &self,
        delta: &mut Delta<'_>,
        name: &std::ffi::OsStr,
        is_dir: bool,
    ) -> Result<PathBuf, FileError> {
        if self.action.destination.ends_with('/') {
            self.make_destination(delta)?;
        }
        let mut path = delta.resolve(self.action.destination.as_ref())?;
        if !is_dir && delta.existing(&path)? == Existing::Directory {
            path.push(name);
        }
        let parent = path.parent().unwrap_or(Path::new("")).to_owned();
        let owner = self.owner.unwrap_or_default();
        delta.make_directories(&parent, self.new_directory(), owner.uid, owner.gid)?;
        Ok(path)
    }

    /// Makes the destination a directory, if it is none.
    fn make_destination(&self, delta: &mut Delta<'_>) -> Result<(), FileError> {
        let dir = delta.resolve(self.action.destination.as_ref())?;
        let owner = self.owner.unwrap_or_default();
        delta.make_directories(&dir, self.new_directory(), owner.uid, owner.gid)
    }

    /// The permission bits of a directory that the copy has to make: those that all it copies gets, if there are such, without
    /// the set-id and sticky bits.
    fn new_directory(&self) -> u32 {
        match self.mode {
            NewMode::Set(mode) => mode & 0o777,
            NewMode::Kept | NewMode::Changed(_) => NEW_DIRECTORY,
        }
    }

    fn change(&self, tree: &dyn Tree, item: &Item, body: Body) -> Result<Change, FileError> {
        let owner = self.owner.unwrap_or(Ids { uid: item.uid, gid: item.gid });
        let mode = match item.kind {
            ItemKind::Symlink { .. } => 0o777,
            _ => self.mode.of_item(item.mode, item.is_dir()),
        };
        Ok(Change {
            kind: item.kind.clone(),
            mode,
            uid: owner.uid,
            gid: owner.gid,
            mtime: Some(item.mtime),
            xattrs: tree.xattrs(item)?,
            body,
        })
    }
}

/// A file may not take the place of a directory.
fn refuse_directory(delta: &Delta<'_>, path: &Path) -> Result<(), FileError> {
    match delta.existing(path)? {
        Existing::Directory => Err(FileError::DirectoryInTheWay { path: Path::new("/").join(path) }),
        Existing::Nothing | Existing::Other => Ok(()),
    }
}

/// Mode of a directory that a copy has to make: Docker's.
pub(super) const NEW_DIRECTORY: u32 = 0o755;

/// Copies one match.
struct Writer<'a> {
    copying: &'a Copying<'a>,
    tree: &'a dyn Tree,
    number: usize,
    group: usize,
}

impl Writer<'_> {
    fn directory(&self, delta: &mut Delta<'_>, found: &Match, destination: &Path) -> Result<(), FileError> {
        let fresh = match delta.existing(destination)? {
            Existing::Directory => false,
            Existing::Other => {
                return Err(FileError::NotADirectory { path: Path::new("/").join(destination) });
            }
            Existing::Nothing => true,
        };
        if fresh && self.copying.action.directories_themselves {
            let mut change = self.copying.change(self.tree, &found.top, Body::None)?;
            if found.top.path.as_os_str().is_empty() {
                change.mtime = None;
            }
            delta.put(destination, change);
        } else if fresh {
            // Only what is in the source directory is copied: this one is made, like those above it.
            let owner = self.copying.owner.unwrap_or_default();
            delta.make_directories(destination, self.copying.new_directory(), owner.uid, owner.gid)?;
        }
        let mut fresh_below = if fresh { Some(destination.to_owned()) } else { None };
        for item in &found.below {
            let path = destination.join(found.relative(item));
            if fresh_below.as_ref().is_some_and(|dir| !path.starts_with(dir)) {
                fresh_below = None;
            }
            let known_absent = fresh_below.is_some();
            if item.is_dir() {
                let existing = if known_absent { Existing::Nothing } else { delta.existing(&path)? };
                match existing {
                    Existing::Other => {
                        return Err(FileError::NotADirectory { path: Path::new("/").join(path) });
                    }
                    Existing::Nothing if !known_absent => fresh_below = Some(path.clone()),
                    Existing::Nothing | Existing::Directory => {}
                }
                delta.put(&path, self.copying.change(self.tree, item, Body::None)?);
            } else {
                self.file(delta, item, &path, known_absent)?;
            }
        }
        Ok(())
    }

    /// Copies something that is no directory. `known_absent` saves the look at what is there.
    fn file(
        &self,
        delta: &mut Delta<'_>,
        item: &Item,
        path: &Path,
        known_absent: bool,
    ) -> Result<(), FileError> {
        if !known_absent {
            refuse_directory(delta, path)?;
        }
        let body = match item.kind {
            ItemKind::File { .. } => {
                Body::Source { tree: self.number, group: self.group, item: item.clone() }
            }
            _ => Body::None,
        };
        delta.put(path, self.copying.change(self.tree, item, body)?);
        Ok(())
    }
}
