//! What the one who asks for an output wants of its documents and layers. Data; [`super::pack`] does it.

use kiln_cache::Compression;
use kiln_registry::{DOCKER_LAYER, DOCKER_LAYER_GZIP, MediaType};

use super::annotations::Annotations;

/// How images are packed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packing {
    /// Of which format the documents are.
    pub types: DocumentTypes,
    /// How layers are compressed that were made here; `None` is the usual way.
    pub compression: Option<Compression>,
    /// How hard: 0 to 9 for gzip, 0 to 22 for zstd.
    pub level: Option<i32>,
    /// Whether layers that came from elsewhere are to be compressed so, too.
    pub force_compression: bool,
    /// What is written into documents and descriptors.
    pub annotations: Annotations,
    /// Whether manifests of attestations are artifacts that name their subject, and not images without a platform.
    pub artifacts: bool,
}

/// The format of manifests and of what they name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DocumentTypes {
    /// That of the manifest that an image came with; OCI's for one that was built.
    #[default]
    AsTheyCame,
    /// OCI's: what OCI layouts must have.
    Oci,
    /// Docker's.
    Docker,
}

impl Default for Packing {
    fn default() -> Self {
        Self {
            types: DocumentTypes::default(),
            compression: None,
            level: None,
            force_compression: false,
            annotations: Annotations::default(),
            artifacts: true,
        }
    }
}

impl Packing {
    /// What nobody has special wishes for: such a manifest may be remembered as the image's.
    pub fn is_plain(&self) -> bool {
        self.types != DocumentTypes::Docker && self.has_usual_layers() && self.annotations.is_empty()
    }

    /// Whether layers travel as they always do.
    pub(super) fn has_usual_layers(&self) -> bool {
        self.compression.is_none() && self.level.is_none() && !self.force_compression
    }

    /// How a layer is compressed that has to be.
    pub(super) fn wanted(&self) -> Compression {
        self.compression.unwrap_or(Compression::Gzip)
    }
}

/// How a blob is compressed, if its type says so, in OCI's words or Docker's.
pub(super) fn compression_of(media_type: &MediaType) -> Option<Compression> {
    match oci_media_type(media_type) {
        MediaType::ImageLayer => Some(Compression::None),
        MediaType::ImageLayerGzip => Some(Compression::Gzip),
        MediaType::ImageLayerZstd => Some(Compression::Zstd),
        _ => None,
    }
}

/// The same bytes under OCI's name for them.
pub(super) fn oci_media_type(media_type: &MediaType) -> MediaType {
    match media_type.as_ref() {
        DOCKER_LAYER_GZIP => MediaType::ImageLayerGzip,
        DOCKER_LAYER => MediaType::ImageLayer,
        _ => media_type.clone(),
    }
}

/// The same bytes under Docker's name for them, which there is not for all.
pub(super) fn docker_media_type(media_type: &MediaType) -> MediaType {
    match media_type {
        MediaType::ImageLayerGzip => DOCKER_LAYER_GZIP.into(),
        MediaType::ImageLayer => DOCKER_LAYER.into(),
        other => other.clone(),
    }
}
