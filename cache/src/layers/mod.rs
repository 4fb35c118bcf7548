//! Layers: one identity (the [`DiffId`]) in whichever forms exist so far.
//!
//! | form | where | made by |
//! |---|---|---|
//! | tree | `layers/HEX/tree`, usable as an overlay lower directory | [`Draft::seal`], [`LayerWriter`], unpacking |
//! | tar, gzip, zstd | a blob, listed in `layers/HEX/info` | [`LayerWriter`], a pull, [`Layers::compressed`] |
//!
//! The tree of a sealed or written layer gives its tar back byte for byte ([`tar_writer`]); the tree of an unpacked
//! foreign tar does not, so such a layer keeps its blob.

pub(crate) mod entry;

use std::io::Read;
use std::path::PathBuf;

use oci_spec::image::Descriptor;

use crate::blobs::BlobError;
use crate::digest::{DiffId, Digest};
use crate::error::FileError;
use crate::store::Store;

pub use entry::{Content, Entry, EntryKind, is_layer_xattr};

/// The layers of a store.
#[derive(Clone, Debug)]
pub struct Layers {
    store: Store,
}

/// What is known of a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerInfo {
    /// The digest of the uncompressed tar.
    pub diff_id: DiffId,
    /// Bytes of the uncompressed tar; 0 for a pulled layer that was not unpacked yet.
    pub size: u64,
    /// Entries in the tar; 0 for a pulled layer that was not unpacked yet.
    pub entries: u64,
}

/// How a layer travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Compression {
    /// The tar itself.
    None,
    /// gzip, readable everywhere.
    Gzip,
    /// Zstandard: smaller and faster, known to newer readers.
    Zstd,
}

/// Which forms [`Layers::writer`] makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forms {
    /// An unpacked directory, for a step that runs on it.
    pub tree: bool,
    /// The tar, for a layer that is only exported.
    pub tar: bool,
}

/// Why a layer could not be read or made.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// A file operation failed.
    #[error(transparent)]
    File(#[from] FileError),
}

impl Layers {
    pub(crate) fn new(store: Store) -> Layers {
        Layers { store }
    }
    /// What is known of a layer, if some form of it is here.
    pub fn info(&self, diff_id: &DiffId) -> Result<Option<LayerInfo>, LayerError> {
        unimplemented!()
    }
    /// The layer's tree, if it is unpacked.
    pub fn tree(&self, diff_id: &DiffId) -> Result<Option<PathBuf>, LayerError> {
        unimplemented!()
    }
    /// The layer's tree; unpacks it if need be.
    pub fn ensure_tree(&self, diff_id: &DiffId) -> Result<PathBuf, LayerError> {
        unimplemented!()
    }
    /// The trees of a chain, bottom first.
    pub fn ensure_trees(&self, chain: &[DiffId]) -> Result<Vec<PathBuf>, LayerError> {
        unimplemented!()
    }
    /// Adds a blob form: the blob must be here.
    pub fn register_blob(&self, diff_id: &DiffId, blob: &Descriptor) -> Result<(), LayerError> {
        unimplemented!()
    }
    /// Any blob form whose blob is here.
    pub fn blob(&self, diff_id: &DiffId) -> Result<Option<Descriptor>, LayerError> {
        unimplemented!()
    }
    /// The uncompressed tar.
    pub fn open_tar(&self, diff_id: &DiffId) -> Result<Box<dyn Read + Send>, LayerError> {
        unimplemented!()
    }
    /// The layer as a blob.
    pub fn compressed(&self, diff_id: &DiffId, compression: Compression) -> Result<Descriptor, LayerError> {
        unimplemented!()
    }
    /// A new overlay upper directory.
    pub fn draft(&self) -> Result<Draft, LayerError> {
        unimplemented!()
    }
    /// A new layer, entry by entry.
    pub fn writer(&self, forms: Forms) -> Result<LayerWriter, LayerError> {
        unimplemented!()
    }
}

/// An overlay upper directory in the making.
#[derive(Debug)]
pub struct Draft;

impl Draft {
    /// The upper directory.
    pub fn upper(&self) -> &std::path::Path {
        unimplemented!()
    }
    /// The work directory, on the same file system.
    pub fn work(&self) -> &std::path::Path {
        unimplemented!()
    }
    /// Makes the layer.
    pub fn seal(self) -> Result<LayerInfo, LayerError> {
        unimplemented!()
    }
}

/// A layer written entry by entry.
#[derive(Debug)]
pub struct LayerWriter;

impl LayerWriter {
    /// Adds the next entry, in order.
    pub fn add(&mut self, entry: &Entry, content: Content<'_>) -> Result<(), LayerError> {
        unimplemented!()
    }
    /// Makes the layer.
    pub fn finish(self) -> Result<LayerInfo, LayerError> {
        unimplemented!()
    }
}
