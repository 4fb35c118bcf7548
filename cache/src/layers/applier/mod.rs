//! Applies a foreign tar to a tree: what its entries mean, and what they are not allowed to mean.
//!
//! An entry's directory is found component by component beneath the tree's root: symbolic links are followed inside
//! it, `..` ends at it, the last component is never followed. Where an entry repeats an earlier path it replaces what
//! lies there. Whiteouts take effect on lower layers only. What the tar leaves out (a directory above a file, the
//! target of a hard link) is taken from the lower layers, if the caller has them.
//!
//! Finding the place of an entry is in [`places`]. How files are made is [`super::tree_writer`]'s business; which tar bytes mean which entry [`crate::tarfile`]'s.

mod places;

use std::collections::{HashMap, HashSet};
use std::hash::RandomState;
use std::io::Read;

use self::places::{Found, Place};
use crate::layers::LayerError;
use crate::layers::entry::split_path;
use crate::layers::error::shown;
use crate::layers::files::{BUFFER, FileContent, Metadata, stream};
use crate::layers::tree_writer::{OPAQUE_XATTR, Special, TreeWriter, make_opaque};
use crate::tarfile::clean_path;
use crate::tarfile::read::{RawEntry, RawKind, TarError, TarReader, read_full};
use crate::tarfile::write::{OPAQUE, WHITEOUT};
use crate::view::{Node, NodeKind, View};

/// What begins the names that aufs kept its own state under. They mean nothing to anybody else.
const AUFS: &[u8] = b".wh..wh.";

/// What a tar may do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules<'a> {
    /// The directory it goes into, empty for the root.
    pub at: &'a [u8],
    /// Owner and group for everything, in place of the tar's.
    pub owner: Option<(u32, u32)>,
    /// The files of the lower layers; without them, a tar that relies on them is refused.
    pub lower: Option<&'a View>,
    /// Whether this is a layer, whose `.wh.` names are deletions, in an empty tree; otherwise an archive, in a tree
    /// that may hold files already.
    pub whiteouts: bool,
}

/// What was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Applied {
    /// Bytes of the tar.
    pub size: u64,
    /// Entries in it.
    pub entries: u64,
}

/// Applies one tar.
#[derive(Debug)]
pub(crate) struct Applier<'a> {
    tree: TreeWriter,
    rules: Rules<'a>,
    /// Directories by their real path in the tree.
    places: HashMap<Vec<u8>, Place>,
    /// Hashes of (directory inode, name) of everything made so far. Equal hashes only cost a look at the disk.
    seen: HashSet<u64>,
    hasher: RandomState,
    hides_root: bool,
}

impl<'a> Applier<'a> {
    pub fn new(tree: TreeWriter, rules: Rules<'a>) -> Applier<'a> {
        Applier {
            tree,
            rules,
            places: HashMap::new(),
            seen: HashSet::new(),
            hasher: RandomState::new(),
            hides_root: false,
        }
    }

    /// Applies every entry. Gives the number of entries.
    pub fn apply(mut self, tar: impl Read) -> Result<u64, LayerError> {
        let mut reader = TarReader::new(tar);
        let mut entries = 0;
        while let Some(entry) = reader.next_entry()? {
            entries += 1;
            self.entry(entry, &mut reader)?;
        }
        if self.hides_root {
            self.hide_root()?;
        }
        self.tree.finish()?;
        Ok(entries)
    }

    fn entry(&mut self, mut raw: RawEntry, content: &mut impl Read) -> Result<(), LayerError> {
        let path = self.clean(&raw.path)?;
        if let Some((uid, gid)) = self.rules.owner {
            (raw.uid, raw.gid) = (uid, gid);
        }
        if path == self.rules.at {
            return self.root_entry(&raw);
        }
        let (dir, name) = split_path(&path);
        if path.split(|byte| *byte == b'/').any(|part| part != OPAQUE && part.starts_with(AUFS)) {
            return Ok(());
        }
        if name.starts_with(WHITEOUT) {
            return self.whiteout_entry(dir, name, &path);
        }
        let place = self.directory(dir)?;
        let path = join(&place.path, name);
        let metadata = metadata_of(&raw);
        match &raw.kind {
            RawKind::Directory => self.put_directory(&place, &path, metadata),
            RawKind::File { size } => self.put_file(&place, &path, metadata, *size, content),
            RawKind::Hardlink { target } => self.put_hard_link(&place, &path, target),
            RawKind::Symlink { target } => {
                self.put_special(&place, &path, &metadata, Special::Symlink(target))
            }
            RawKind::CharDevice { major, minor } => {
                self.put_special(&place, &path, &metadata, Special::CharDevice(*major, *minor))
            }
            RawKind::BlockDevice { major, minor } => {
                self.put_special(&place, &path, &metadata, Special::BlockDevice(*major, *minor))
            }
            RawKind::Fifo => self.put_special(&place, &path, &metadata, Special::Fifo),
        }
    }

    /// A path as it lies below the root: absolute ones begin there, `..` must not lead above it.
    fn clean(&self, raw: &[u8]) -> Result<Vec<u8>, LayerError> {
        let below = clean_path(raw).ok_or_else(|| LayerError::Escapes { path: shown(raw) })?;
        Ok(if self.rules.at.is_empty() || below.is_empty() {
            [self.rules.at, &below].concat()
        } else {
            join(self.rules.at, &below)
        })
    }

    fn root_entry(&mut self, raw: &RawEntry) -> Result<(), LayerError> {
        if raw.kind != RawKind::Directory {
            return Err(LayerError::RootNotDirectory);
        }
        let place = self.directory(self.rules.at)?;
        self.tree.set_directory(&place.path, metadata_of(raw));
        Ok(())
    }

    fn whiteout_entry(&mut self, dir: &[u8], name: &[u8], path: &[u8]) -> Result<(), LayerError> {
        if !self.rules.whiteouts {
            return Err(LayerError::ReservedName { path: shown(path) });
        }
        let gone = &name[WHITEOUT.len()..];
        if matches!(gone, b"" | b"." | b"..") {
            return Err(LayerError::InvalidPath { path: shown(path) });
        }
        let place = self.directory(dir)?;
        if name == OPAQUE {
            self.make_opaque(&place.path);
            return Ok(());
        }
        let path = join(&place.path, gone);
        match self.existing(&place, gone)? {
            Found::Nothing => Ok(self.tree.whiteout(&place.handle, &path)?),
            // What this layer has itself stays; what lower layers have below it goes.
            Found::Directory => {
                self.make_opaque(&path);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn make_opaque(&mut self, path: &[u8]) {
        if path.is_empty() {
            self.hides_root = true;
        } else if let Some(metadata) = self.tree.directory_metadata(path) {
            make_opaque(metadata);
        }
    }

    /// The overlay does not know opaque roots: everything in the lower root is deleted one by one.
    fn hide_root(&mut self) -> Result<(), LayerError> {
        let Some(lower) = self.rules.lower else {
            return Err(LayerError::NeedsLower { path: "/".to_owned() });
        };
        let root = self.directory(b"")?;
        for (name, _) in lower.read_dir("/".as_ref())? {
            let name = name.into_encoded_bytes();
            match self.existing(&root, &name)? {
                Found::Nothing => self.tree.whiteout(&root.handle, &name)?,
                Found::Directory => self.make_opaque(&name),
                _ => {}
            }
        }
        Ok(())
    }

    fn put_directory(
        &mut self,
        place: &Place,
        path: &[u8],
        mut metadata: Metadata,
    ) -> Result<(), LayerError> {
        match self.existing(place, split_path(path).1)? {
            Found::Nothing => {}
            Found::Directory => {
                let opaque = self.tree.directory_metadata(path).is_some_and(|was| is_opaque(was));
                if opaque {
                    make_opaque(&mut metadata);
                }
                self.tree.set_directory(path, metadata);
                return Ok(());
            }
            // Something that was no directory hid what lower layers have here, and that stays hidden.
            _ => {
                self.remove(place, path)?;
                make_opaque(&mut metadata);
            }
        }
        Ok(self.tree.directory(&place.handle, path, metadata)?)
    }

    fn put_special(
        &mut self,
        place: &Place,
        path: &[u8],
        metadata: &Metadata,
        special: Special<'_>,
    ) -> Result<(), LayerError> {
        self.make_room(place, path)?;
        Ok(self.tree.special(&place.handle, path, metadata, special)?)
    }

    fn put_file(
        &mut self,
        place: &Place,
        path: &[u8],
        metadata: Metadata,
        size: u64,
        content: &mut impl Read,
    ) -> Result<(), LayerError> {
        self.make_room(place, path)?;
        if size <= BUFFER as u64 {
            let mut bytes = self.tree.buffer();
            read_piece(content, &mut bytes, size)?;
            return Ok(self.tree.file(&place.handle, path, metadata, FileContent::Buffer(bytes))?);
        }
        let (sender, receiver) = stream();
        self.tree.file(&place.handle, path, metadata, FileContent::Stream(receiver))?;
        let mut left = size;
        while left > 0 {
            let mut piece = sender.buffer();
            read_piece(content, &mut piece, left)?;
            left -= piece.len() as u64;
            if !sender.send(piece) {
                drop(sender);
                return Ok(self.tree.wait()?);
            }
        }
        Ok(())
    }

    fn put_hard_link(&mut self, place: &Place, path: &[u8], raw_target: &[u8]) -> Result<(), LayerError> {
        let target = self.clean(raw_target)?;
        let bad = || LayerError::LinkTarget { path: shown(path), target: shown(raw_target) };
        let (dir, name) = split_path(&target);
        if let Some(from) = self.walk(dir, false)? {
            if (from.inode, name) == (place.inode, split_path(path).1) {
                return Err(bad());
            }
            self.tree.wait()?;
            match self.look(&from, name)? {
                Found::Nothing => {}
                Found::Directory | Found::Whiteout => return Err(bad()),
                Found::Symlink(_) | Found::Other => {
                    self.make_room(place, path)?;
                    return Ok(self.tree.hard_link(&from.handle, name, &place.handle, path)?);
                }
            }
        }
        let Some(lower) = self.rules.lower else {
            return Err(LayerError::NeedsLower { path: shown(&target) });
        };
        let resolved = lower.resolve(&absolute(&target), false)?;
        self.copy_from_lower(lower, &resolved.node.ok_or_else(bad)?, place, path)
    }

    /// A hard link to a file of a lower layer: that file becomes one of this layer.
    fn copy_from_lower(
        &mut self,
        lower: &View,
        node: &Node,
        place: &Place,
        path: &[u8],
    ) -> Result<(), LayerError> {
        let metadata = metadata_of_node(lower, node)?;
        let (major, minor) = node.rdev;
        let special = match node.kind {
            NodeKind::File => {
                let mut file = lower.open(node)?;
                return self.put_file(place, path, metadata, node.size, &mut file);
            }
            NodeKind::Directory | NodeKind::Socket => {
                let target = node.source.to_string_lossy().into_owned();
                return Err(LayerError::LinkTarget { path: shown(path), target });
            }
            NodeKind::Symlink => {
                let target = node.link_target.as_ref().map(|target| target.as_os_str().as_encoded_bytes());
                Special::Symlink(target.unwrap_or_default())
            }
            NodeKind::CharDevice => Special::CharDevice(major, minor),
            NodeKind::BlockDevice => Special::BlockDevice(major, minor),
            NodeKind::Fifo => Special::Fifo,
        };
        self.put_special(place, path, &metadata, special)
    }
}

fn is_opaque(metadata: &Metadata) -> bool {
    metadata.xattrs.contains_key(OPAQUE_XATTR)
}

fn metadata_of(raw: &RawEntry) -> Metadata {
    Metadata {
        mode: raw.mode,
        uid: raw.uid,
        gid: raw.gid,
        mtime: raw.mtime,
        mtime_nsec: 0,
        xattrs: raw.xattrs.clone(),
    }
}

fn metadata_of_node(lower: &View, node: &Node) -> Result<Metadata, LayerError> {
    Ok(Metadata {
        mode: node.mode,
        uid: node.uid,
        gid: node.gid,
        mtime: node.mtime,
        mtime_nsec: node.mtime_nsec,
        xattrs: lower.xattrs(node)?,
    })
}

/// The path in a view that a path in a layer stands for.
fn absolute(path: &[u8]) -> std::path::PathBuf {
    use std::os::unix::ffi::OsStrExt;
    std::path::Path::new("/").join(std::ffi::OsStr::from_bytes(path))
}

fn join(dir: &[u8], name: &[u8]) -> Vec<u8> {
    if dir.is_empty() { name.to_vec() } else { [dir, b"/", name].concat() }
}

fn read_piece(content: &mut impl Read, piece: &mut Vec<u8>, left: u64) -> Result<(), LayerError> {
    let len = usize::try_from(left).unwrap_or(BUFFER).min(BUFFER);
    piece.resize(len, 0);
    match read_full(content, piece) {
        Ok(count) if count == len => Ok(()),
        Ok(_) => Err(TarError::Truncated.into()),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Err(TarError::Truncated.into()),
        Err(error) => Err(TarError::Read(error).into()),
    }
}
