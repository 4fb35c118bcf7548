//! Layers: one identity (the [`DiffId`]) in whichever forms exist so far.
//!
//! | form | where | made by |
//! |---|---|---|
//! | tree | `layers/HEX/tree`, usable as an overlay lower directory | [`Draft::seal`], [`LayerWriter`], unpacking |
//! | tar, gzip, zstd | a blob, listed in `layers/HEX/info` | [`LayerWriter`], a pull, [`Layers::compressed`] |
//!
//! The tree of a sealed or written layer gives its tar back byte for byte ([`tree_reader`]); the tree of an unpacked
//! foreign tar does not, so such a layer keeps its blob. A foreign tar that relies on its lower layers (a hard link
//! to a file of theirs, a file in a directory that it does not have itself) unpacks to a tree that holds for that
//! chain only: `layers/HEX/tree-CHAIN`.

mod applier;
mod chunks;
mod clamp;
mod compress;
mod damage;
mod dense;
mod draft;
pub(crate) mod entry;
mod error;
pub(crate) mod files;
mod forms;
pub(crate) mod info;
mod pool;
mod recipe;
#[cfg(test)]
mod tests;
mod tree_reader;
mod tree_writer;
mod unpack;
mod writer;

use crate::digest::DiffId;
use crate::store::Store;

pub use draft::{Draft, Unpack};
pub use entry::{Content, Entry, EntryKind, is_layer_xattr};
pub use error::LayerError;
pub use writer::LayerWriter;

pub(crate) use forms::KnownTrees;
pub(crate) use tree_reader::{TreeReader, append_tree, link_xattrs, read_xattrs};

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

/// Which forms [`Layers::writer`] makes. With neither, only the diff id is computed and nothing is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forms {
    /// An unpacked directory, for a step that runs on it.
    pub tree: bool,
    /// The tar, for a layer that is only exported.
    pub tar: bool,
}

impl Layers {
    pub(crate) fn new(store: Store) -> Layers {
        Layers { store }
    }

    /// A new overlay upper directory for a step to write into.
    pub fn draft(&self) -> Result<Draft, LayerError> {
        Draft::new(self)
    }

    /// A new layer, entry by entry.
    pub fn writer(&self, forms: Forms) -> Result<LayerWriter, LayerError> {
        LayerWriter::new(self, forms)
    }
}
