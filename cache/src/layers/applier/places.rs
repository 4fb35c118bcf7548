//! Where an entry goes: the directory of a path, found or made, and what lies there already.
//!
//! Every step starts at an open directory of the tree and goes down by one component that is not followed; links are
//! read and walked here. Files that are still being made on other threads are waited for before anything is said about
//! their names.

use std::hash::BuildHasher;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, fstat, readlinkat, statat, unlinkat};
use rustix::io::Errno;

use super::{Applier, absolute, is_opaque, join, metadata_of_node};
use crate::error::{At, FileError};
use crate::layers::LayerError;
use crate::layers::entry::split_path;
use crate::layers::error::shown;
use crate::layers::files::Metadata;
use crate::layers::tree_writer::make_opaque;
use crate::tarfile::write::WHITEOUT;
use crate::view::{Node, NodeKind};

/// How many symbolic links are followed in one path: the kernel's own limit.
const MOST_LINKS: usize = 40;

/// Open directories kept at a time.
const MOST_PLACES: usize = 128;

/// An open directory of the tree.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// Its real path: no component is a link.
    pub path: Vec<u8>,
    pub handle: Arc<OwnedFd>,
    pub inode: u64,
}

/// What lies at a name.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    Nothing,
    Directory,
    Whiteout,
    Symlink(Vec<u8>),
    Other,
}

impl Applier<'_> {
    /// The directory at a path, made if it is missing.
    pub(super) fn directory(&mut self, path: &[u8]) -> Result<Place, LayerError> {
        if let Some(place) = self.places.get(path) {
            return Ok(place.clone());
        }
        self.walk(path, true)?.ok_or_else(|| LayerError::NotADirectory { path: shown(path) })
    }

    /// The directory at a path; if not all of it is in this tree, made or nothing.
    pub(super) fn walk(&mut self, path: &[u8], make: bool) -> Result<Option<Place>, LayerError> {
        match self.tree.open_directory(path) {
            Ok(handle) => return self.place(path.to_owned(), handle).map(Some),
            Err(error) => match Errno::from_io_error(&error) {
                Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                _ => Err(error).at("open", &self.tree.absolute(path))?,
            },
        }
        let mut here = self.place(Vec::new(), Arc::clone(self.tree.root()))?;
        let mut todo = Vec::new();
        push_parts(&mut todo, path);
        let mut links = 0;
        while let Some(part) = todo.pop() {
            let next = join(&here.path, &part);
            let mut found = if part == b".." { Found::Directory } else { self.settled(&here, &part)? };
            if matches!(found, Found::Nothing | Found::Whiteout) {
                if !make {
                    return Ok(None);
                }
                found = self.make_parent(&here, &part, &next, found == Found::Whiteout)?;
            }
            match found {
                Found::Directory if part == b".." => here = self.open(split_path(&here.path).0)?,
                Found::Directory => here = self.open(&next)?,
                Found::Symlink(_) if links == MOST_LINKS => {
                    return Err(LayerError::TooManyLinks { path: shown(path) });
                }
                Found::Symlink(target) => {
                    links += 1;
                    if target.starts_with(b"/") {
                        here = self.open(b"")?;
                    }
                    push_parts(&mut todo, &target);
                }
                _ if make => return Err(LayerError::NotADirectory { path: shown(&next) }),
                _ => return Ok(None),
            }
        }
        Ok(Some(here))
    }

    /// Makes a directory that the tar takes for granted, as it is in the lower layers. If there is a link instead,
    /// that is what is found.
    fn make_parent(
        &mut self,
        here: &Place,
        name: &[u8],
        path: &[u8],
        whiteout: bool,
    ) -> Result<Found, LayerError> {
        if name.starts_with(WHITEOUT) {
            return Err(LayerError::ReservedName { path: shown(path) });
        }
        let mut metadata = Metadata { mode: 0o755, ..Metadata::default() };
        if whiteout {
            self.remove(here, path)?;
            make_opaque(&mut metadata);
        } else if !self.hides_lower(&here.path) {
            let Some(lower) = self.rules.lower else {
                return Err(LayerError::NeedsLower { path: shown(path) });
            };
            match lower.lookup(&absolute(path))? {
                None => {}
                Some(node) if node.kind == NodeKind::Directory => metadata = metadata_of_node(lower, &node)?,
                Some(Node { link_target: Some(target), .. }) => {
                    return Ok(Found::Symlink(target.into_os_string().into_encoded_bytes()));
                }
                Some(_) => return Ok(Found::Other),
            }
        }
        self.seen.insert(self.hash(here, name));
        self.tree.directory(&here.handle, path, metadata)?;
        Ok(Found::Directory)
    }

    /// Whether this layer hides what lower ones have in a directory.
    fn hides_lower(&mut self, path: &[u8]) -> bool {
        let mut path = path;
        while !path.is_empty() {
            if self.tree.directory_metadata(path).is_some_and(|metadata| is_opaque(metadata)) {
                return true;
            }
            path = split_path(path).0;
        }
        self.hides_root
    }

    fn open(&mut self, path: &[u8]) -> Result<Place, LayerError> {
        let handle = self.tree.open_directory(path).at("open", &self.tree.absolute(path))?;
        self.place(path.to_owned(), handle)
    }

    fn place(&mut self, path: Vec<u8>, handle: Arc<OwnedFd>) -> Result<Place, LayerError> {
        if let Some(place) = self.places.get(&path) {
            return Ok(place.clone());
        }
        let stat = fstat(&handle).at("look at", &self.tree.absolute(&path))?;
        if !self.rules.whiteouts && self.tree.directory_metadata(&path).is_none() && !path.is_empty() {
            // It was there before: putting something into it must not change its time.
            let mut metadata = Metadata { mode: stat.st_mode & 0o7777, ..Metadata::default() };
            (metadata.uid, metadata.gid) = (stat.st_uid, stat.st_gid);
            (metadata.mtime, metadata.mtime_nsec) =
                (stat.st_mtime, u32::try_from(stat.st_mtime_nsec).unwrap_or(0));
            self.tree.set_directory(&path, metadata);
        }
        let place = Place { path, handle, inode: stat.st_ino };
        if self.places.len() == MOST_PLACES {
            self.places.clear();
        }
        self.places.insert(place.path.clone(), place.clone());
        Ok(place)
    }

    /// What lies at a name that something is about to be put at; whatever it is, it is settled.
    pub(super) fn existing(&mut self, place: &Place, name: &[u8]) -> Result<Found, LayerError> {
        let fresh = self.seen.insert(self.hash(place, name));
        if fresh && self.rules.whiteouts {
            return Ok(Found::Nothing);
        }
        if !fresh {
            self.tree.wait()?;
        }
        Ok(self.look(place, name)?)
    }

    /// What lies at a name, once the files that were handed in are made.
    fn settled(&mut self, place: &Place, name: &[u8]) -> Result<Found, LayerError> {
        if self.seen.contains(&self.hash(place, name)) {
            self.tree.wait()?;
        }
        Ok(self.look(place, name)?)
    }

    pub(super) fn look(&self, place: &Place, name: &[u8]) -> Result<Found, FileError> {
        let absolute = || self.tree.absolute(&join(&place.path, name));
        let stat = match statat(&place.handle, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(Found::Nothing),
            stat => stat.at("look at", &absolute())?,
        };
        Ok(match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => Found::Directory,
            FileType::CharacterDevice if stat.st_rdev == 0 => Found::Whiteout,
            FileType::Symlink => {
                let target = readlinkat(&place.handle, name, Vec::new()).at("read the link", &absolute())?;
                Found::Symlink(target.into_bytes())
            }
            _ => Found::Other,
        })
    }

    /// Removes whatever lies where something that is no directory is about to be put.
    pub(super) fn make_room(&mut self, place: &Place, path: &[u8]) -> Result<(), LayerError> {
        match self.existing(place, split_path(path).1)? {
            Found::Nothing => Ok(()),
            _ => self.remove(place, path),
        }
    }

    pub(super) fn remove(&mut self, place: &Place, path: &[u8]) -> Result<(), LayerError> {
        self.tree.wait()?;
        let absolute = self.tree.absolute(path);
        match unlinkat(&place.handle, split_path(path).1, AtFlags::empty()) {
            Err(Errno::ISDIR) => {
                std::fs::remove_dir_all(&absolute).at("remove", &absolute)?;
                self.tree.forget_directory(path);
                self.places.clear();
                Ok(())
            }
            result => Ok(result.at("remove", &absolute)?),
        }
    }

    fn hash(&self, place: &Place, name: &[u8]) -> u64 {
        self.hasher.hash_one((place.inode, name))
    }
}

/// Puts the components of a path on a stack, the first on top.
fn push_parts(todo: &mut Vec<Vec<u8>>, path: &[u8]) {
    let parts = path.split(|byte| *byte == b'/').filter(|part| !matches!(*part, b"" | b"."));
    todo.extend(parts.rev().map(<[u8]>::to_vec));
}
