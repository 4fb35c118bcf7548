//! Manifests, indexes and configurations as the bytes they were, and what they say.
//!
//! A [`Document`] is never written again from its parsed form, so its digest stays true. Reading refuses
//! what two readers could understand differently: a manifest that is an index too, a media type that
//! contradicts the transport's, schema 1. Transfer and archives both read through this module.

mod raw;

use bytes::Bytes;
use oci_spec::image::{Descriptor, Digest, MediaType};

use crate::digest::{VerifyError, sha256, verify};
use crate::platform::Platform;
use raw::{RawConfig, RawManifest};

/// Largest manifest, index or configuration accepted: 4 MiB, the limit of the distribution
/// specification's advice and of the registries in use.
pub const MAX_DOCUMENT: u64 = 4 << 20;

/// Docker's image manifest, version 2, schema 2.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker's index.
pub const DOCKER_MANIFEST_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// Docker's image configuration.
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
/// Docker's layer, compressed with gzip.
pub const DOCKER_LAYER_GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
/// Docker's layer, not compressed.
pub const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";
/// Bytes with their digest and media type: a manifest, an index or a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The bytes as they came or are to be sent.
    pub bytes: Bytes,
    /// The digest of `bytes`.
    pub digest: Digest,
    /// The media type: of the transport, of the document itself, or of the descriptor that led here.
    pub media_type: MediaType,
}

/// What makes a document unusable.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// Too big to be a manifest or a configuration.
    #[error("{subject} has {size} bytes, more than the {MAX_DOCUMENT} that are accepted")]
    TooLarge {
        /// The document: its digest or what it was asked for by.
        subject: String,
        /// Its size, or the part of it seen.
        size: u64,
    },
    /// Not JSON, or a field has the wrong type.
    #[error("{subject} is not a valid document")]
    Json {
        /// The document.
        subject: String,
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
    /// Docker's first image format, which names its content by something else than digests.
    #[error("{subject} is a Docker schema 1 manifest, a format that is no longer supported")]
    Schema1 {
        /// The document.
        subject: String,
    },
    /// Fields of a manifest and of an index in one document: two readers would see two images.
    #[error("{subject} is an image manifest and an image index at once")]
    Ambiguous {
        /// The document.
        subject: String,
    },
    /// An index in an index in an index: deeper than images are nested.
    #[error("{subject} is an image index nested too deep")]
    TooDeep {
        /// The innermost index that was read.
        subject: String,
    },
    /// The document contradicts what it was delivered as.
    #[error("{subject} says that it is `{inner}` but was delivered as `{outer}`")]
    MediaType {
        /// The document.
        subject: String,
        /// Its own `mediaType`.
        inner: String,
        /// That of the transport or of the descriptor.
        outer: String,
    },
    /// Neither manifest nor index.
    #[error("{subject} has media type `{media_type}`, which is neither an image manifest nor an image index")]
    Unsupported {
        /// The document.
        subject: String,
        /// Its media type, empty if it has none.
        media_type: String,
    },
    /// It is of the right kind, but something it must have is missing.
    #[error("{subject} has no `{field}`")]
    Missing {
        /// The document.
        subject: String,
        /// The field.
        field: &'static str,
    },
    /// The manifest and the configuration do not speak of the same layers.
    #[error("{subject} lists {layers} layers, its configuration {diff_ids}")]
    LayerCount {
        /// The manifest.
        subject: String,
        /// Layers of the manifest.
        layers: usize,
        /// Layers of the configuration.
        diff_ids: usize,
    },
    /// The bytes are not those of the digest.
    #[error("{subject} does not verify")]
    Verify {
        /// The document.
        subject: String,
        /// Why not.
        #[source]
        source: VerifyError,
    },
}

/// An image manifest's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The image configuration.
    pub config: Descriptor,
    /// The layers, bottom first.
    pub layers: Vec<Descriptor>,
}

/// What a manifest document turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ManifestOrIndex {
    /// One image.
    Manifest(Box<Manifest>),
    /// A list of manifests, usually one a platform.
    Index(Vec<Descriptor>),
}

/// The part of an image configuration that transfer needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigSummary {
    /// The platform it was made for.
    pub platform: Platform,
    /// The digests of the uncompressed layers, bottom first.
    pub diff_ids: Vec<Digest>,
}

impl Document {
    /// A document of bytes made here.
    pub fn new(bytes: impl Into<Bytes>, media_type: MediaType) -> Self {
        let bytes = bytes.into();
        let digest = sha256(&bytes);
        Self { bytes, digest, media_type }
    }

    /// A document that must have the given digest.
    pub fn verified(bytes: Bytes, digest: &Digest, media_type: MediaType) -> Result<Self, DocumentError> {
        verify(&bytes, digest)
            .map_err(|source| DocumentError::Verify { subject: digest.to_string(), source })?;
        Ok(Self { bytes, digest: digest.clone(), media_type })
    }

    /// The descriptor that points at this document.
    pub fn descriptor(&self) -> Descriptor {
        Descriptor::new(self.media_type.clone(), self.bytes.len() as u64, self.digest.clone())
    }

    /// Reads the document as a manifest or an index.
    pub fn read(&self) -> Result<ManifestOrIndex, DocumentError> {
        let subject = self.digest.to_string();
        let raw = RawManifest::read(&subject, &self.bytes)?;
        let media_type = raw.media_type(&subject, Some(self.media_type.as_ref()))?;
        raw.into_content(&subject, &media_type)
    }

    /// Reads the document as an image manifest.
    pub fn manifest(&self) -> Result<Manifest, DocumentError> {
        match self.read()? {
            ManifestOrIndex::Manifest(manifest) => Ok(*manifest),
            ManifestOrIndex::Index(_) => Err(DocumentError::Unsupported {
                subject: self.digest.to_string(),
                media_type: self.media_type.to_string(),
            }),
        }
    }

    /// Reads the document as an image configuration.
    pub fn config(&self) -> Result<ConfigSummary, DocumentError> {
        let subject = || format!("configuration {}", self.digest);
        let raw: RawConfig = serde_json::from_slice(&self.bytes)
            .map_err(|source| DocumentError::Json { subject: subject(), source })?;
        let rootfs =
            raw.rootfs.ok_or_else(|| DocumentError::Missing { subject: subject(), field: "rootfs" })?;
        let os = raw.os.filter(|os| !os.is_empty()).unwrap_or_else(|| "linux".into());
        let architecture = raw
            .architecture
            .filter(|architecture| !architecture.is_empty())
            .ok_or_else(|| DocumentError::Missing { subject: subject(), field: "architecture" })?;
        let platform = Platform::new(&os, &architecture, raw.variant.as_deref());
        Ok(ConfigSummary { platform, diff_ids: rootfs.diff_ids })
    }
}

/// The media type of a manifest that came as `outer` (a Content-Type), after all checks.
pub(crate) fn manifest_media_type(
    subject: &str,
    bytes: &[u8],
    outer: Option<&str>,
) -> Result<MediaType, DocumentError> {
    let raw = RawManifest::read(subject, bytes)?;
    let media_type = raw.media_type(subject, outer)?;
    raw.into_content(subject, &media_type)?;
    Ok(MediaType::from(media_type.as_str()))
}

/// Whether a media type is that of an index.
pub fn is_index(media_type: &MediaType) -> bool {
    kind(media_type.as_ref()) == Some(Kind::Index)
}

/// Whether a media type is that of an image manifest.
pub fn is_manifest(media_type: &MediaType) -> bool {
    kind(media_type.as_ref()) == Some(Kind::Manifest)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Manifest,
    Index,
}

fn kind(media_type: &str) -> Option<Kind> {
    match media_type {
        DOCKER_MANIFEST => Some(Kind::Manifest),
        DOCKER_MANIFEST_LIST => Some(Kind::Index),
        other => match MediaType::from(other) {
            MediaType::ImageManifest => Some(Kind::Manifest),
            MediaType::ImageIndex => Some(Kind::Index),
            _ => None,
        },
    }
}

#[cfg(test)]
mod tests;
