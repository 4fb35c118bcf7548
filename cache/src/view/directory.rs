//! Directories of the merged tree: which trees take part in one, and what they say together.
//!
//! A tree is only asked for names below a directory that was found to be one in that very tree, so a path never runs
//! through a link of some layer.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::sync::Arc;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Stat, openat2, readlinkat, statat};
use rustix::io::Errno;

use crate::error::{At, FileError};
use crate::layers::entry::split_path;
use crate::layers::read_xattrs;
use crate::view::node::{Node, NodeKind};
use crate::view::{View, ViewError, to_absolute};

/// A directory of the merged tree.
#[derive(Debug)]
pub(super) struct Directory {
    /// Relative to the root.
    path: Vec<u8>,
    /// The trees that take part, top first.
    layers: Vec<usize>,
}

impl View {
    /// The root: every tree takes part in it, down to an opaque one. That of no trees is an empty directory.
    pub(super) fn root(&self) -> Result<Node, ViewError> {
        let Some(top) = self.trees.len().checked_sub(1) else { return Ok(Node::empty_root()) };
        let base = self.trees[top].base.clone();
        let stat = rustix::fs::fstat(&self.trees[top].root).at("look at", &base)?;
        Ok(Node::new(&stat, top, base, None))
    }

    /// The directory at a path whose components are no links; nothing if there is none.
    pub(super) fn directory(&self, path: &[u8]) -> Result<Option<Arc<Directory>>, ViewError> {
        if let Some(known) = self.remembered(path) {
            return Ok(Some(known));
        }
        if path.is_empty() {
            let layers = (0..self.trees.len()).rev().collect();
            return Ok(Some(self.remember(path, Directory { path: Vec::new(), layers })));
        }
        let (above, name) = split_path(path);
        let Some(parent) = self.directory(above)? else { return Ok(None) };
        let Some(node) = self.child(&parent, name)? else { return Ok(None) };
        if node.kind != NodeKind::Directory {
            return Err(ViewError::NotADirectory { path: to_absolute(path) });
        }
        let layers = self.taking_part(&parent, path, node.layer)?;
        Ok(Some(self.remember(path, Directory { path: path.to_owned(), layers })))
    }

    /// What lies in a directory under a name: the topmost tree that has an opinion decides.
    pub(super) fn child(&self, dir: &Directory, name: &[u8]) -> Result<Option<Node>, ViewError> {
        let path = dir.join(name);
        for layer in &dir.layers {
            if let Some(stat) = self.stat(*layer, &path)? {
                return if is_whiteout(&stat) { Ok(None) } else { self.node(*layer, &path, &stat).map(Some) };
            }
        }
        Ok(None)
    }

    /// Everything in a directory, sorted by name.
    pub(super) fn list(&self, dir: &Directory) -> Result<Vec<(OsString, Node)>, ViewError> {
        let mut names: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
        for layer in &dir.layers {
            for name in self.names(*layer, &dir.path)? {
                names.entry(name).or_insert(*layer);
            }
        }
        let mut nodes = Vec::with_capacity(names.len());
        for (name, layer) in names {
            let path = dir.join(&name);
            if let Some(stat) = self.stat(layer, &path)?.filter(|stat| !is_whiteout(stat)) {
                nodes.push((OsString::from_vec(name), self.node(layer, &path, &stat)?));
            }
        }
        Ok(nodes)
    }

    /// The trees that take part in a directory, given those of its parent and the topmost that has it.
    fn taking_part(&self, parent: &Directory, path: &[u8], top: usize) -> Result<Vec<usize>, ViewError> {
        let mut layers = Vec::new();
        for layer in parent.layers.iter().copied().filter(|layer| *layer <= top) {
            match self.stat(layer, path)? {
                None => {}
                Some(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Directory => {
                    layers.push(layer);
                    // The lowest has nothing below it to hide.
                    if layer > 0 && self.is_opaque(layer, path)? {
                        break;
                    }
                }
                // A file, a link or a whiteout hides what lies below it in the chain.
                Some(_) => break,
            }
        }
        Ok(layers)
    }

    fn is_opaque(&self, layer: usize, path: &[u8]) -> Result<bool, ViewError> {
        let dir = self.open_directory(layer, path)?;
        let xattrs = read_xattrs(&dir).at("read the attributes of", &self.source(layer, path))?;
        Ok(xattrs.opaque)
    }

    fn names(&self, layer: usize, path: &[u8]) -> Result<Vec<Vec<u8>>, ViewError> {
        let source = self.source(layer, path);
        let dir = self.open_directory(layer, path)?;
        let mut names = Vec::new();
        for entry in Dir::read_from(&dir).at("list", &source)? {
            let entry = entry.at("list", &source)?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    fn open_directory(&self, layer: usize, path: &[u8]) -> Result<OwnedFd, FileError> {
        let path = if path.is_empty() { b"." } else { path };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        openat2(&self.trees[layer].root, path, flags, Mode::empty(), beneath)
            .at("open", &self.source(layer, path))
    }

    fn stat(&self, layer: usize, path: &[u8]) -> Result<Option<Stat>, ViewError> {
        match statat(&self.trees[layer].root, path, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            // No file system has a name that is too long.
            Err(Errno::NOENT | Errno::NAMETOOLONG) => Ok(None),
            Err(error) => Ok(Err(error).at("look at", &self.source(layer, path))?),
        }
    }

    fn node(&self, layer: usize, path: &[u8], stat: &Stat) -> Result<Node, ViewError> {
        let source = self.source(layer, path);
        let is_link = FileType::from_raw_mode(stat.st_mode) == FileType::Symlink;
        let target = if is_link {
            let target =
                readlinkat(&self.trees[layer].root, path, Vec::new()).at("read the link", &source)?;
            Some(PathBuf::from(OsString::from_vec(target.into_bytes())))
        } else {
            None
        };
        Ok(Node::new(stat, layer, source, target))
    }

    fn source(&self, layer: usize, path: &[u8]) -> PathBuf {
        self.trees[layer].base.join(OsStr::from_bytes(path))
    }
}

impl Directory {
    fn join(&self, name: &[u8]) -> Vec<u8> {
        if self.path.is_empty() { name.to_vec() } else { [&self.path, b"/".as_slice(), name].concat() }
    }
}

fn is_whiteout(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0
}
