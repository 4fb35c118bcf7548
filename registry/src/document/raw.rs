//! Documents as they are written: which fields there are, and what that makes of them.

use oci_spec::image::{Descriptor, Digest, MediaType};
use serde::Deserialize;

use super::{DocumentError, Kind, Manifest, ManifestOrIndex, kind};

/// What every media type of a schema 1 manifest begins with.
const DOCKER_SCHEMA1: &str = "application/vnd.docker.distribution.manifest.v1+";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawManifest {
    schema_version: Option<u32>,
    media_type: Option<String>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
    fs_layers: Option<serde::de::IgnoredAny>,
    history: Option<serde::de::IgnoredAny>,
}

impl RawManifest {
    pub(super) fn read(subject: &str, bytes: &[u8]) -> Result<Self, DocumentError> {
        serde_json::from_slice(bytes)
            .map_err(|source| DocumentError::Json { subject: subject.into(), source })
    }

    /// What the document is, from its own word, the outer word, and its fields, in that order.
    pub(super) fn media_type(&self, subject: &str, outer: Option<&str>) -> Result<String, DocumentError> {
        let outer = outer.map(essence).filter(|outer| !is_generic(outer));
        let inner = self.media_type.as_deref().map(essence).filter(|inner| !inner.is_empty());
        let schema1 = |name: Option<&str>| name.is_some_and(|name| name.starts_with(DOCKER_SCHEMA1));
        if self.schema_version == Some(1) || self.fs_layers.is_some() || schema1(inner) || schema1(outer) {
            return Err(DocumentError::Schema1 { subject: subject.into() });
        }
        match (inner, outer) {
            (Some(inner), Some(outer)) if inner != outer => Err(DocumentError::MediaType {
                subject: subject.into(),
                inner: inner.into(),
                outer: outer.into(),
            }),
            (Some(name), _) | (None, Some(name)) => Ok(name.to_owned()),
            (None, None) if self.manifests.is_some() => Ok(MediaType::ImageIndex.to_string()),
            (None, None) if self.config.is_some() => Ok(MediaType::ImageManifest.to_string()),
            (None, None) => {
                Err(DocumentError::Unsupported { subject: subject.into(), media_type: String::new() })
            }
        }
    }

    pub(super) fn into_content(
        self,
        subject: &str,
        media_type: &str,
    ) -> Result<ManifestOrIndex, DocumentError> {
        let manifest_like = self.config.is_some() || self.layers.is_some() || self.history.is_some();
        if manifest_like && self.manifests.is_some() {
            return Err(DocumentError::Ambiguous { subject: subject.into() });
        }
        let missing = |field| DocumentError::Missing { subject: subject.into(), field };
        match kind(media_type) {
            Some(Kind::Manifest) => Ok(ManifestOrIndex::Manifest(Box::new(Manifest {
                config: self.config.ok_or_else(|| missing("config"))?,
                layers: self.layers.ok_or_else(|| missing("layers"))?,
            }))),
            Some(Kind::Index) => {
                Ok(ManifestOrIndex::Index(self.manifests.ok_or_else(|| missing("manifests"))?))
            }
            None => {
                Err(DocumentError::Unsupported { subject: subject.into(), media_type: media_type.into() })
            }
        }
    }
}

/// A media type without parameters such as `; charset=utf-8`.
fn essence(media_type: &str) -> &str {
    media_type.split(';').next().unwrap_or_default().trim()
}

#[derive(Deserialize)]
pub(super) struct RawConfig {
    pub(super) os: Option<String>,
    pub(super) architecture: Option<String>,
    pub(super) variant: Option<String>,
    pub(super) rootfs: Option<RawRootfs>,
}

#[derive(Deserialize)]
pub(super) struct RawRootfs {
    #[serde(default)]
    pub(super) diff_ids: Vec<Digest>,
}
/// Media types that say nothing about a document; some registries send nothing better.
fn is_generic(media_type: &str) -> bool {
    matches!(media_type, "" | "application/json" | "application/octet-stream" | "text/plain")
}
