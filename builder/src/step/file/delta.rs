//! The changes that a file step makes on top of a root, before they are written.
//!
//! A [`Delta`] is the merged view of the root and of what the step has changed so far: lookups see the
//! changes first. Nothing is written until the whole step is known, so a step that fails half-way leaves
//! nothing, and the layer can be written in one sorted pass.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kiln_cache::{NodeKind, View};

use crate::content::order::LayerPath;
use crate::content::resolve::{Found, Unresolved, resolve};
use crate::content::snapshot::item_of;
use crate::content::{Item, ItemKind, Xattrs};

use super::FileError;

/// Where a changed file's content comes from.
#[derive(Debug, Clone)]
pub(crate) enum Body {
    /// It has none (everything but regular files).
    None,
    /// Bytes that stand in the graph.
    Inline(Arc<[u8]>),
    /// An item of a source tree.
    Source {
        /// Which tree, by its number in the step.
        tree: usize,
        /// Which match of a source pattern it belongs to: hard links are kept within one match.
        group: usize,
        /// Which file.
        item: Item,
    },
    /// Anything but a directory of an unpacked archive; a file's content is set aside in a spool.
    Spooled {
        /// Which spool, by its number in the step.
        spool: usize,
        /// Where its bytes begin there.
        offset: u64,
        /// The file's number in its archive: two paths with the same number are hard links.
        file: u64,
    },
}

/// One path as the step leaves it.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    /// What it is.
    pub(crate) kind: ItemKind,
    /// Permission bits (07777).
    pub(crate) mode: u32,
    /// Owner.
    pub(crate) uid: u32,
    /// Group.
    pub(crate) gid: u32,
    /// Modification time in seconds; `None` is filled in with the parent directory's.
    pub(crate) mtime: Option<i64>,
    /// Extended attributes.
    pub(crate) xattrs: Xattrs,
    /// Its content.
    pub(crate) body: Body,
}

/// What stands at a path of the merged view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Existing {
    /// Nothing.
    Nothing,
    /// A directory.
    Directory,
    /// Anything else.
    Other,
}

/// A root and the changes on top of it.
pub(crate) struct Delta<'a> {
    base: &'a View,
    changes: BTreeMap<LayerPath, Change>,
    /// Directories among the changes that take the place of something else: the root has nothing in them.
    replacing: BTreeSet<LayerPath>,
    /// What was taken away: nothing that the root has there, or below, is seen any more.
    removed: BTreeSet<LayerPath>,
}

/// One path as a layer is to have it.
#[derive(Debug)]
pub(crate) enum Written {
    /// This is there.
    Change(Change),
    /// This directory is there, and hides what the root has in it.
    Opaque(Change),
    /// What the root has there is gone.
    Gone,
}

impl<'a> Delta<'a> {
    /// No changes on top of `base`.
    pub(crate) fn new(base: &'a View) -> Self {
        Self { base, changes: BTreeMap::new(), replacing: BTreeSet::new(), removed: BTreeSet::new() }
    }

    /// The kind of file at `path` (symlink-free, relative or absolute), without following it.
    fn kind(&self, path: &Path) -> Result<Option<ItemKind>, FileError> {
        let key = LayerPath::from(path);
        if let Some(change) = self.changes.get(&key) {
            return Ok(Some(change.kind.clone()));
        }
        if self.removed.contains(&key) || self.hidden(&key) {
            return Ok(None);
        }
        let node = self.base.lookup(&key.absolute())?;
        Ok(node.and_then(|node| item_of(PathBuf::new(), &node)).map(|item| item.kind))
    }

    /// True when a change above `path` is no directory, or is one where the root has none, so that nothing of the root
    /// shows through.
    fn hidden(&self, path: &LayerPath) -> bool {
        let mut above = path.parent();
        while let Some(dir) = above {
            let change = self.changes.get(&dir);
            if self.removed.contains(&dir)
                || change
                    .is_some_and(|change| change.kind != ItemKind::Directory || self.replacing.contains(&dir))
            {
                return true;
            }
            above = dir.parent();
        }
        false
    }

    /// What is at `path` (symlink-free).
    pub(crate) fn existing(&self, path: &Path) -> Result<Existing, FileError> {
        Ok(match self.kind(path)? {
            None => Existing::Nothing,
            Some(ItemKind::Directory) => Existing::Directory,
            Some(_) => Existing::Other,
        })
    }

    /// Follows symlinks in `path` beneath the root, the last one too; missing parts stay as written.
    pub(crate) fn resolve(&self, path: &Path) -> Result<PathBuf, FileError> {
        resolve(path, true, |path| {
            Ok(match self.kind(path)? {
                Some(ItemKind::Symlink { target }) => Found::Symlink(target),
                _ => Found::Other,
            })
        })
        .map_err(|error| match error {
            Unresolved::Loop(path) => FileError::TooManyLinks { path: Path::new("/").join(path) },
            Unresolved::Look(error) => error,
        })
    }

    /// Makes `path` a directory with all missing ones above it, each with `mode` and owner.
    pub(crate) fn make_directories(
        &mut self,
        path: &Path,
        mode: u32,
        uid: u32,
        gid: u32,
    ) -> Result<(), FileError> {
        self.make_directories_at(path, mode, (uid, gid), None)
    }

    /// The same with a time.
    pub(crate) fn make_directories_at(
        &mut self,
        path: &Path,
        mode: u32,
        (uid, gid): (u32, u32),
        mtime: Option<i64>,
    ) -> Result<(), FileError> {
        let mut missing = Vec::new();
        let mut current = Some(LayerPath::from(path));
        while let Some(dir) = current {
            match self.existing(&dir.absolute())? {
                Existing::Directory => break,
                Existing::Other => return Err(FileError::NotADirectory { path: dir.absolute() }),
                Existing::Nothing => {}
            }
            current = dir.parent();
            missing.push(dir);
        }
        for dir in missing.into_iter().rev().filter(|dir| !dir.as_bytes().is_empty()) {
            let directory = Change {
                kind: ItemKind::Directory,
                mode,
                uid,
                gid,
                mtime,
                xattrs: Xattrs::new(),
                body: Body::None,
            };
            self.changes.insert(dir, directory);
        }
        Ok(())
    }

    /// Puts `change` at `path`, in the place of whatever is there (a directory stays one: see
    /// [`Delta::hide_directory`]).
    pub(crate) fn put(&mut self, path: &Path, change: Change) {
        self.changes.insert(LayerPath::from(path), change);
    }

    /// Puts a directory at `path`, in the place of something that is none.
    pub(crate) fn put_directory_instead(&mut self, path: &Path, change: Change) {
        self.replacing.insert(LayerPath::from(path));
        self.put(path, change);
    }

    /// Forgets what the step put below `path`, which is about to be no directory any more; what the root has
    /// there is hidden by the change itself.
    pub(crate) fn hide_directory(&mut self, path: &Path) {
        let gone = LayerPath::from(path).absolute();
        self.changes.retain(|other, _| !other.absolute().starts_with(&gone));
    }

    /// Takes away what is at `path` (symlink-free), with all that is below.
    pub(crate) fn remove(&mut self, path: &Path) {
        self.hide_directory(path);
        self.removed.insert(LayerPath::from(path));
    }

    /// What is in the directory at `path` (symlink-free), by name.
    pub(crate) fn names(&self, path: &Path) -> Result<BTreeSet<OsString>, FileError> {
        if self.existing(path)? != Existing::Directory {
            return Ok(BTreeSet::new());
        }
        let dir = LayerPath::from(path).absolute();
        let below = self.changes.keys().map(LayerPath::absolute);
        let changed = below.filter(|other| other.parent() == Some(&dir));
        let mut names: BTreeSet<OsString> =
            changed.filter_map(|other| other.file_name().map(ToOwned::to_owned)).collect();
        if self.base.lookup(&dir)?.is_some_and(|node| node.kind == NodeKind::Directory) {
            for (name, _) in self.base.read_dir(&dir)? {
                if self.existing(&dir.join(&name))? != Existing::Nothing {
                    names.insert(name);
                }
            }
        }
        Ok(names)
    }

    /// A regular file of the root at `path` (symlink-free) as it is, unless the step has changed it.
    pub(crate) fn untouched(&self, path: &Path) -> Result<Option<(u32, u32, u32)>, FileError> {
        let key = LayerPath::from(path);
        if self.removed.contains(&key) || self.hidden(&key) {
            return Ok(None);
        }
        let node = self.base.lookup(&key.absolute())?;
        Ok(node.filter(|node| node.kind == NodeKind::File).map(|node| (node.mode, node.uid, node.gid)))
    }

    /// The change at `path`, if the step made one.
    pub(crate) fn change(&self, path: &Path) -> Option<&Change> {
        self.changes.get(&LayerPath::from(path))
    }

    /// All changes in the order of layers, with the directories above them as the root has them.
    ///
    /// A layer repeats the directories above its files, as Docker's do; they keep the root's own metadata.
    pub(crate) fn into_sorted(mut self) -> Result<BTreeMap<LayerPath, Written>, FileError> {
        let mut gone = Vec::new();
        for path in &self.removed {
            let seen = !self.changes.contains_key(path) && !self.hidden(path);
            if seen && self.base.lookup(&path.absolute())?.is_some() {
                gone.push(path.clone());
            }
        }
        let mut parents = BTreeMap::new();
        for path in self.changes.keys().chain(&gone) {
            let mut above = path.parent();
            while let Some(dir) = above.filter(|dir| !dir.as_bytes().is_empty()) {
                if self.changes.contains_key(&dir) || parents.contains_key(&dir) {
                    break;
                }
                parents.insert(dir.clone(), self.base_directory(&dir)?);
                above = dir.parent();
            }
        }
        let emptied = self.emptied()?;
        self.changes.append(&mut parents);
        self.fill_times()?;
        let removed = self.removed;
        let written = |(path, change): (LayerPath, Change)| {
            let opaque =
                change.kind == ItemKind::Directory && (removed.contains(&path) || emptied.contains(&path));
            (path, if opaque { Written::Opaque(change) } else { Written::Change(change) })
        };
        let mut sorted: BTreeMap<LayerPath, Written> = self.changes.into_iter().map(written).collect();
        sorted.extend(gone.into_iter().map(|path| (path, Written::Gone)));
        Ok(sorted)
    }

    /// Directories that took the place of something that had taken the place of one of the root's: what the root has in
    /// there would show through.
    fn emptied(&self) -> Result<BTreeSet<LayerPath>, FileError> {
        let mut emptied = BTreeSet::new();
        for path in self.replacing.iter().filter(|path| !self.hidden(path)) {
            let node = self.base.lookup(&path.absolute())?;
            if node.is_some_and(|node| node.kind == NodeKind::Directory) {
                emptied.insert(path.clone());
            }
        }
        Ok(emptied)
    }

    fn base_directory(&self, dir: &LayerPath) -> Result<Change, FileError> {
        let path = dir.absolute();
        let node = self.base.lookup(&path)?.ok_or_else(|| FileError::NotADirectory { path: path.clone() })?;
        let xattrs = self.base.xattrs(&node)?;
        let item =
            item_of(PathBuf::new(), &node).filter(Item::is_dir).ok_or(FileError::NotADirectory { path })?;
        Ok(Change {
            kind: item.kind,
            mode: item.mode,
            uid: item.uid,
            gid: item.gid,
            mtime: Some(item.mtime),
            xattrs,
            body: Body::None,
        })
    }

    /// A time for what is made in the root directory. No layer records the root's own time, so the newest of
    /// what is in it stands for it.
    fn root_time(&self) -> Result<i64, FileError> {
        let children = self.base.read_dir(Path::new("/"))?;
        Ok(children.iter().map(|(_, node)| node.mtime).max().unwrap_or_default())
    }

    /// A directory that nobody wrote a time for gets its parent's: the layer is then the same wherever and
    /// whenever it is made.
    fn fill_times(&mut self) -> Result<(), FileError> {
        let root = self.root_time()?;
        let paths: Vec<LayerPath> = self
            .changes
            .iter()
            .filter(|(_, change)| change.mtime.is_none())
            .map(|(path, _)| path.clone())
            .collect();
        for path in paths {
            let above =
                path.parent().and_then(|parent| self.changes.get(&parent)).and_then(|parent| parent.mtime);
            if let Some(change) = self.changes.get_mut(&path) {
                change.mtime = Some(above.unwrap_or(root));
            }
        }
        Ok(())
    }
}
