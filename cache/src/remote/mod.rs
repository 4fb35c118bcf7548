//! Caches that machines share, as data: what one build tells another, and where a layer can be had that is not here.
//!
//! This is the model only. Documents are fetched and layers brought by others, from places that this crate does not
//! know; what a place is called is their text, kept as it is.
//!
//! A [`CacheDocument`] says what steps gave; the layers stand beside it as blobs, each once. It is enough to answer a
//! whole build on an empty store: what a step copies from a stage or an image enters its key as a digest, and the
//! document's memos have those digests, so that no file has to be there for it.
//!
//! What a document says is believed as far as its source is: whoever may write to a shared cache decides what the
//! builds that read it take for the result of a step. What it cannot do is to pass one layer off as another: bytes are
//! verified against the digest of their blob when they arrive, and against the layer's diff id before they become a form
//! of it.

mod document;

use oci_spec::image::Descriptor;
use serde::{Deserialize, Serialize};

pub use document::{CacheDocument, CacheDocumentError, SharedMount, SharedRecord};

/// Where the blob of a layer can be had that the store does not have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerOrigin {
    /// The blob.
    pub blob: Descriptor,
    /// The place, in the words of those who fetch from it.
    pub place: String,
}

#[cfg(test)]
mod tests;
