//! Everything content-addressed on disk: blobs, layers, step records, images.

pub mod archive;
mod blobs;
mod boot;
mod digest;
mod error;
mod images;
mod keys;
pub mod layers;
mod locks;
mod prune;
mod records;
mod stat_index;
mod store;
mod tarfile;
#[cfg(test)]
mod testing;
mod tmp;
pub mod view;

pub use blobs::{BlobError, BlobWriter, Blobs};
pub use digest::{DiffId, Digest, DigestError, digest_of, digest_of_hash};
pub use error::FileError;
pub use images::{ImageRecord, Images};
pub use keys::{Key, KeyBuilder, KeyError, Part};
pub use layers::{
    Compression, Content, Draft, Entry, EntryKind, Forms, LayerError, LayerInfo, LayerWriter, Layers, Unpack,
    is_layer_xattr,
};
pub use locks::{KeyLock, UseLock};
pub use prune::{PruneOptions, PruneReport, Usage};
pub use records::{Record, Records};
pub use stat_index::{Indexes, StatIndex, StatKey};
pub use store::{Store, StoreError};
pub use tarfile::read::TarError;
pub use view::{Node, NodeKind, Resolved, View, ViewError};
