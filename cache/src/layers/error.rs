//! Why a layer could not be read or made.

use std::io;
use std::path::PathBuf;

use crate::archive::ArchiveError;
use crate::blobs::BlobError;
use crate::digest::{DiffId, Digest};
use crate::error::FileError;
use crate::tarfile::read::TarError;
use crate::view::ViewError;

/// Why a layer could not be read or made.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// A file operation failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// A blob could not be read or kept.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// A lower layer could not be read.
    #[error(transparent)]
    View(#[from] ViewError),
    /// No form of the layer is here.
    #[error("layer {diff_id} is not in the store")]
    Unknown {
        /// The layer.
        diff_id: DiffId,
    },
    /// A blob does not unpack to the layer that it was said to be.
    #[error("blob {blob} was expected to hold layer {diff_id}, but holds {actual}")]
    Mismatch {
        /// The layer that the image's configuration names.
        diff_id: DiffId,
        /// The blob.
        blob: Digest,
        /// What it holds.
        actual: DiffId,
    },
    /// A blob changed since it was stored.
    #[error("blob {blob} was damaged in the store and has been removed: the next try gets or makes it again")]
    Damaged {
        /// The blob.
        blob: Digest,
    },
    /// What there was of a layer was not the layer any more.
    #[error(
        "layer {diff_id} was damaged in the store and has been removed from it: build or pull its image again"
    )]
    Lost {
        /// The layer.
        diff_id: DiffId,
    },
    /// A blob's tar cannot be read or unpacked.
    #[error("cannot unpack blob {blob} of layer {diff_id}")]
    Unpack {
        /// The layer.
        diff_id: DiffId,
        /// The blob.
        blob: Digest,
        /// What is wrong with it.
        #[source]
        source: Box<LayerError>,
    },
    /// An archive's compression is damaged.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The tar is damaged.
    #[error(transparent)]
    Tar(#[from] TarError),
    /// A path leads out of the layer.
    #[error("`{path}` leads out of the root directory")]
    Escapes {
        /// The path as the tar has it.
        path: String,
    },
    /// The layer's root is something else than a directory.
    #[error("the root of the layer is not a directory")]
    RootNotDirectory,
    /// Something must be a directory and is not.
    #[error("`{path}` is needed as a directory, but is none")]
    NotADirectory {
        /// The path in the layer.
        path: String,
    },
    /// Following symbolic links does not end.
    #[error("too many symbolic links in `{path}`")]
    TooManyLinks {
        /// The path in the layer.
        path: String,
    },
    /// The tar relies on files of lower layers, and there are none at hand.
    #[error("`{path}` relies on a lower layer")]
    NeedsLower {
        /// The path that is missing.
        path: String,
    },
    /// The other name of a hard link does not exist or cannot be linked.
    #[error("`{path}` is a hard link to `{target}`, which is no file of this layer that comes before it")]
    LinkTarget {
        /// The path of the link.
        path: String,
        /// The path it is linked to.
        target: String,
    },
    /// A path does not have the form of [`Entry::path`](crate::Entry::path).
    #[error("`{path}` is not a relative path in its shortest form")]
    InvalidPath {
        /// The path as given.
        path: String,
    },
    /// A name has a meaning of its own in layers, so a file cannot have it.
    #[error("`{path}` cannot be stored in a layer: names that begin with `.wh.` stand for deleted files")]
    ReservedName {
        /// The path.
        path: String,
    },
    /// Entries did not come in order.
    #[error("`{path}` cannot follow `{previous}` in a layer")]
    Order {
        /// The entry.
        path: String,
        /// The one before it.
        previous: String,
    },
    /// The directory that an entry lies in was not added before it.
    #[error("`{path}` was added to a layer without the directory it lies in")]
    MissingParent {
        /// The entry.
        path: String,
    },
    /// The content does not fit what the entry says.
    #[error("`{path}` should have {expected} bytes, but its content is shorter or longer")]
    Size {
        /// The entry.
        path: String,
        /// What the entry says.
        expected: u64,
    },
    /// A hard link's metadata is not that of its target.
    #[error("`{path}` is a hard link, but its metadata differs from that of `{target}`")]
    LinkMetadata {
        /// The path of the link.
        path: String,
        /// The path it is linked to.
        target: String,
    },
    /// A content could not be read.
    #[error("cannot read the content of `{path}`")]
    Content {
        /// The entry.
        path: String,
        /// What the reader answered.
        #[source]
        source: io::Error,
    },
    /// The layer's tar could not be written or handed on.
    #[error("cannot write the tar of a layer")]
    Write(#[source] io::Error),
    /// A file changed while it was read.
    #[error("{} changed while it was read", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// The tree of a layer does not give the layer's tar any more.
    #[error("the files of layer {diff_id} were changed: they give {actual}")]
    TreeChanged {
        /// The layer.
        diff_id: DiffId,
        /// What its tree gives now.
        actual: DiffId,
    },
    /// The compressor failed.
    #[error("cannot compress layer {diff_id}")]
    Compress {
        /// The layer.
        diff_id: DiffId,
        /// What went wrong.
        #[source]
        source: io::Error,
    },
}

/// A path for a message.
pub(crate) fn shown(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}
