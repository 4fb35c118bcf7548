//! A layer written entry by entry, in one pass over the bytes: each is read once, hashed, written to the tar and to
//! the tree. Files of the tree are created on other threads meanwhile.
//!
//! What goes into the layer is for the caller to decide: the builder's COPY, ADD and friends.

use std::collections::HashSet;
use std::collections::hash_map::DefaultHasher;
use std::fs::File;
use std::hash::{Hash, Hasher};
use std::io::{self, BufWriter, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use oci_spec::image::{Descriptor, MediaType};
use rustix::fs::{AtFlags, statat};
use sha2::{Digest as _, Sha256};

use crate::blobs::BlobWriter;
use crate::digest::DiffId;
use crate::error::At;
use crate::layers::draft::install_tree;
use crate::layers::entry::{Content, Entry, EntryKind, compare_paths, is_entry_path, split_path};
use crate::layers::error::shown;
use crate::layers::files::{BUFFER, FileContent, Metadata, stream};
use crate::layers::info::BlobForm;
use crate::layers::tree_reader::read_xattrs;
use crate::layers::tree_writer::{Special, TreeWriter, make_opaque};
use crate::layers::{Forms, LayerError, LayerInfo, Layers};
use crate::tarfile::read::read_full;
use crate::tarfile::write::{TarWriter, WHITEOUT};
use crate::tmp::Temporary;

/// Small headers and contents are gathered to this much before they are written to the tar.
const TAR_BUFFER: usize = 256 * 1024;

/// A layer being written. Dropped unfinished, it leaves nothing.
#[derive(Debug)]
pub struct LayerWriter {
    layers: Layers,
    tar: TarWriter<Sink>,
    tree: Option<Tree>,
    previous: Vec<u8>,
    /// The directories that the next entry may lie in, from the root down.
    open: Vec<OpenDirectory>,
    /// Hashes of the paths that a hard link may name: everything but directories, whiteouts and hard links.
    linkable: HashSet<u64>,
    buffer: Vec<u8>,
}

#[derive(Debug)]
struct Tree {
    writer: TreeWriter,
    dir: Temporary,
    /// Files of other trees that were linked into this one: a second link to the same file would be a hard link
    /// within the layer, which it is not.
    linked: HashSet<(u64, u64)>,
}

#[derive(Debug)]
struct OpenDirectory {
    path: Vec<u8>,
    /// Opened when something is put into it.
    handle: Option<Arc<OwnedFd>>,
}

/// Where the tar goes: into a blob, or only into its hash.
#[derive(Debug)]
enum Sink {
    Hash(Sha256),
    Blob(BufWriter<BlobWriter>),
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Sink::Hash(hash) => {
                hash.update(bytes);
                Ok(bytes.len())
            }
            Sink::Blob(blob) => blob.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl LayerWriter {
    pub(crate) fn new(layers: &Layers, forms: Forms) -> Result<LayerWriter, LayerError> {
        let sink = if forms.tar {
            Sink::Blob(BufWriter::with_capacity(TAR_BUFFER, layers.store.blobs().writer()?))
        } else {
            Sink::Hash(Sha256::new())
        };
        let tree = if forms.tree {
            let dir = layers.store.tmp().directory()?;
            let base = dir.path().join("tree");
            std::fs::create_dir(&base).at("create", &base)?;
            Some(Tree { writer: TreeWriter::new(&base)?, dir, linked: HashSet::new() })
        } else {
            None
        };
        Ok(LayerWriter {
            layers: layers.clone(),
            tar: TarWriter::new(sink),
            tree,
            previous: Vec::new(),
            open: vec![OpenDirectory { path: Vec::new(), handle: None }],
            linkable: HashSet::new(),
            buffer: Vec::new(),
        })
    }

    /// Adds the next entry. Entries come in order of their paths, component by component in byte order; every
    /// directory before what lies in it; every path once. A hard link carries the same metadata as its target.
    pub fn add(&mut self, entry: &Entry, content: Content<'_>) -> Result<(), LayerError> {
        self.check(entry)?;
        self.tar.entry(entry).map_err(LayerError::Write)?;
        match &entry.kind {
            EntryKind::File { size } => self.add_file(entry, *size, content)?,
            EntryKind::Directory { opaque } => self.add_directory(entry, *opaque)?,
            EntryKind::Hardlink { target } => self.add_hard_link(entry, target)?,
            EntryKind::Symlink { target } => self.add_special(entry, Special::Symlink(target))?,
            EntryKind::CharDevice { major, minor } => {
                self.add_special(entry, Special::CharDevice(*major, *minor))?;
            }
            EntryKind::BlockDevice { major, minor } => {
                self.add_special(entry, Special::BlockDevice(*major, *minor))?;
            }
            EntryKind::Fifo => self.add_special(entry, Special::Fifo)?,
            EntryKind::Whiteout => self.add_whiteout(entry)?,
        }
        if !matches!(
            entry.kind,
            EntryKind::Directory { .. } | EntryKind::Hardlink { .. } | EntryKind::Whiteout
        ) {
            self.linkable.insert(hash_of(&entry.path));
        }
        self.previous.clone_from(&entry.path);
        Ok(())
    }

    /// Puts the layer into the store. A layer that is there already gets the forms that it lacked.
    pub fn finish(self) -> Result<LayerInfo, LayerError> {
        let LayerWriter { layers, tar, tree, .. } = self;
        let (sink, size, entries) = tar.finish().map_err(LayerError::Write)?;
        let (diff_id, blob) = finish_tar(sink)?;
        let info = LayerInfo { diff_id, size, entries };
        if let Some(Tree { writer, dir, .. }) = tree {
            writer.finish()?;
            install_tree(&layers, &info, &dir.path().join("tree"))?;
        }
        if let Some(descriptor) = blob {
            layers.update(&info.diff_id, |file| {
                (file.size, file.entries) = (size, entries);
                file.add_blob(BlobForm { descriptor, maker: None });
            })?;
        }
        Ok(info)
    }

    /// Checks the entry against those before it, and closes the directories that it does not lie in.
    fn check(&mut self, entry: &Entry) -> Result<(), LayerError> {
        let path = &entry.path;
        if !is_entry_path(path) {
            return Err(LayerError::InvalidPath { path: shown(path) });
        }
        let (dir, name) = split_path(path);
        if name.starts_with(WHITEOUT) {
            return Err(LayerError::ReservedName { path: shown(path) });
        }
        if !self.previous.is_empty() && compare_paths(&self.previous, path).is_ge() {
            return Err(LayerError::Order { path: shown(path), previous: shown(&self.previous) });
        }
        while self.open.last().is_some_and(|open| open.path != dir && !is_below(dir, &open.path)) {
            self.open.pop();
        }
        match self.open.last() {
            Some(open) if open.path == dir => Ok(()),
            _ => Err(LayerError::MissingParent { path: shown(path) }),
        }
    }

    /// The open directory that the entry just checked lies in, if there is a tree.
    fn parent(&mut self) -> Result<Option<(&mut Tree, Arc<OwnedFd>)>, LayerError> {
        let (Some(tree), Some(open)) = (&mut self.tree, self.open.last_mut()) else { return Ok(None) };
        let handle = if let Some(handle) = &open.handle {
            Arc::clone(handle)
        } else {
            let handle = tree.writer.open_directory(&open.path);
            let handle = handle.at("open", &tree.writer.absolute(&open.path))?;
            Arc::clone(open.handle.insert(handle))
        };
        Ok(Some((tree, handle)))
    }

    fn add_directory(&mut self, entry: &Entry, opaque: bool) -> Result<(), LayerError> {
        if let Some((tree, parent)) = self.parent()? {
            let mut metadata = Metadata::of(entry);
            if opaque {
                make_opaque(&mut metadata);
            }
            tree.writer.directory(&parent, &entry.path, metadata)?;
        }
        self.open.push(OpenDirectory { path: entry.path.clone(), handle: None });
        Ok(())
    }

    fn add_special(&mut self, entry: &Entry, special: Special<'_>) -> Result<(), LayerError> {
        if let Some((tree, parent)) = self.parent()? {
            tree.writer.special(&parent, &entry.path, &Metadata::of(entry), special)?;
        }
        Ok(())
    }

    fn add_whiteout(&mut self, entry: &Entry) -> Result<(), LayerError> {
        if let Some((tree, parent)) = self.parent()? {
            tree.writer.whiteout(&parent, &entry.path)?;
        }
        Ok(())
    }

    fn add_hard_link(&mut self, entry: &Entry, target: &[u8]) -> Result<(), LayerError> {
        if !self.linkable.contains(&hash_of(target)) {
            return Err(LayerError::LinkTarget { path: shown(&entry.path), target: shown(target) });
        }
        let Some((tree, parent)) = self.parent()? else { return Ok(()) };
        let dir =
            tree.writer.open_directory(split_path(target).0).at("open", &tree.writer.absolute(target))?;
        tree.writer.hard_link(&dir, target, &parent, &entry.path)?;
        let stat = statat(&parent, split_path(&entry.path).1, AtFlags::SYMLINK_NOFOLLOW);
        let stat = stat.at("look at", &tree.writer.absolute(&entry.path))?;
        let same = (stat.st_uid, stat.st_gid, stat.st_mtime) == (entry.uid, entry.gid, entry.mtime)
            && stat.st_mode & 0o7777 == entry.mode & 0o7777;
        if same {
            return Ok(());
        }
        Err(LayerError::LinkMetadata { path: shown(&entry.path), target: shown(target) })
    }

    fn add_file(&mut self, entry: &Entry, size: u64, content: Content<'_>) -> Result<(), LayerError> {
        match content {
            Content::None => self.add_from(entry, size, &mut io::empty()),
            Content::Bytes(mut bytes) => self.add_from(entry, size, &mut bytes),
            Content::Reader(reader) => self.add_from(entry, size, reader),
            Content::File(mut file) => self.add_from(entry, size, &mut file),
            Content::Link(existing) => self.add_linked(entry, size, existing),
        }
    }

    /// Adds a file whose bytes are read from here.
    fn add_from(&mut self, entry: &Entry, size: u64, reader: &mut dyn Read) -> Result<(), LayerError> {
        if size <= BUFFER as u64 {
            return self.add_small(entry, size, reader);
        }
        let Some((tree, parent)) = self.parent()? else { return self.tar_only(entry, size, reader) };
        let (sender, receiver) = stream();
        tree.writer.file(&parent, &entry.path, Metadata::of(entry), FileContent::Stream(receiver))?;
        let mut left = size;
        while left > 0 {
            let mut piece = sender.buffer();
            read_piece(reader, &mut piece, left, entry, size)?;
            left -= piece.len() as u64;
            self.tar.data(&piece).map_err(LayerError::Write)?;
            if !sender.send(piece) {
                break;
            }
        }
        drop(sender);
        if left > 0 {
            // The thread that creates the file gave up; the pool knows why.
            if let Some(tree) = &mut self.tree {
                tree.writer.wait()?;
            }
        }
        expect_end(reader, entry, size)?;
        self.tar.end_data(size).map_err(LayerError::Write)
    }

    fn add_small(&mut self, entry: &Entry, size: u64, reader: &mut dyn Read) -> Result<(), LayerError> {
        let mut bytes = match &self.tree {
            Some(tree) => tree.writer.buffer(),
            None => std::mem::take(&mut self.buffer),
        };
        read_piece(reader, &mut bytes, size, entry, size)?;
        expect_end(reader, entry, size)?;
        self.tar.data(&bytes).and_then(|()| self.tar.end_data(size)).map_err(LayerError::Write)?;
        if let Some((tree, parent)) = self.parent()? {
            tree.writer.file(&parent, &entry.path, Metadata::of(entry), FileContent::Buffer(bytes))?;
        } else {
            self.buffer = bytes;
        }
        Ok(())
    }

    /// Adds a file that another tree has already.
    fn add_linked(&mut self, entry: &Entry, size: u64, existing: &Path) -> Result<(), LayerError> {
        let mut file = File::open(existing).at("open", existing)?;
        let metadata = file.metadata().at("look at", existing)?;
        // What differs after all is copied: the tree must give this very tar back.
        let same = (metadata.uid(), metadata.gid(), metadata.mtime()) == (entry.uid, entry.gid, entry.mtime)
            && metadata.mode() & 0o7777 == entry.mode & 0o7777
            && read_xattrs(&file).at("read the attributes of", existing)?.layer == entry.xattrs;
        let Some((tree, parent)) = self.parent()? else { return self.tar_only(entry, size, &mut file) };
        if !same || !tree.linked.insert((metadata.dev(), metadata.ino())) {
            return self.add_from(entry, size, &mut file);
        }
        let content = FileContent::Link(existing.to_owned());
        tree.writer.file(&parent, &entry.path, Metadata::of(entry), content)?;
        self.tar_only(entry, size, &mut file)
    }

    /// Reads a content into the tar and nowhere else.
    fn tar_only(&mut self, entry: &Entry, size: u64, reader: &mut dyn Read) -> Result<(), LayerError> {
        let mut left = size;
        let mut piece = std::mem::take(&mut self.buffer);
        while left > 0 {
            piece.clear();
            read_piece(reader, &mut piece, left, entry, size)?;
            left -= piece.len() as u64;
            self.tar.data(&piece).map_err(LayerError::Write)?;
        }
        self.buffer = piece;
        expect_end(reader, entry, size)?;
        self.tar.end_data(size).map_err(LayerError::Write)
    }
}

/// Ends the tar: the layer's identity, and the blob if there is one.
fn finish_tar(sink: Sink) -> Result<(DiffId, Option<Descriptor>), LayerError> {
    match sink {
        Sink::Hash(hash) => Ok((DiffId::from_hash(hash.finalize().into()), None)),
        Sink::Blob(writer) => {
            let blob = writer.into_inner().map_err(|error| LayerError::Write(error.into_error()))?;
            let (digest, size) = blob.finish(None)?;
            let descriptor = Descriptor::new(MediaType::ImageLayer, size, digest.clone());
            let diff_id = DiffId::try_from(digest).map_err(crate::blobs::BlobError::Digest)?;
            Ok((diff_id, Some(descriptor)))
        }
    }
}

/// Reads the next piece of a content that must have that much left.
fn read_piece(
    reader: &mut dyn Read,
    piece: &mut Vec<u8>,
    left: u64,
    entry: &Entry,
    size: u64,
) -> Result<(), LayerError> {
    let len = usize::try_from(left).unwrap_or(BUFFER).min(BUFFER);
    piece.resize(len, 0);
    let count = read_full(&mut { reader }, piece)
        .map_err(|source| LayerError::Content { path: shown(&entry.path), source })?;
    if count == len { Ok(()) } else { Err(LayerError::Size { path: shown(&entry.path), expected: size }) }
}

fn expect_end(reader: &mut dyn Read, entry: &Entry, size: u64) -> Result<(), LayerError> {
    let count = read_full(&mut { reader }, &mut [0; 1])
        .map_err(|source| LayerError::Content { path: shown(&entry.path), source })?;
    if count == 0 { Ok(()) } else { Err(LayerError::Size { path: shown(&entry.path), expected: size }) }
}

/// Whether a directory lies below another one; everything lies below the root.
fn is_below(dir: &[u8], other: &[u8]) -> bool {
    other.is_empty() || dir.strip_prefix(other).is_some_and(|rest| rest.starts_with(b"/"))
}

fn hash_of(path: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    hasher.finish()
}
