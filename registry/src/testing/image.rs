//! Small images for tests.

use bytes::Bytes;
use oci_spec::image::{Descriptor, MediaType};

use crate::digest::sha256;
use crate::document::Document;

/// An image of uncompressed layers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestImage {
    /// The layers, bottom first.
    pub layers: Vec<Bytes>,
    /// The configuration.
    pub config: Document,
    /// The manifest.
    pub manifest: Document,
}

impl TestImage {
    /// An OCI image for a platform (`os/architecture[/variant]`); the layers need not be tars.
    pub fn new(platform: &str, layers: &[&[u8]]) -> Self {
        Self::of_types(
            platform,
            layers,
            MediaType::ImageManifest,
            MediaType::ImageConfig,
            &MediaType::ImageLayer,
        )
    }

    /// The same in Docker's media types.
    pub fn docker(platform: &str, layers: &[&[u8]]) -> Self {
        let [manifest, config, layer] =
            [crate::DOCKER_MANIFEST, crate::DOCKER_CONFIG, crate::DOCKER_LAYER].map(MediaType::from);
        Self::of_types(platform, layers, manifest, config, &layer)
    }

    fn of_types(
        platform: &str,
        layers: &[&[u8]],
        manifest: MediaType,
        config: MediaType,
        layer: &MediaType,
    ) -> Self {
        let layers: Vec<_> = layers.iter().map(|layer| Bytes::copy_from_slice(layer)).collect();
        let mut fields = platform.split('/');
        let body = serde_json::json!({
            "os": fields.next(),
            "architecture": fields.next(),
            "variant": fields.next(),
            "config": {},
            "rootfs": { "type": "layers", "diff_ids": layers.iter().map(|layer| sha256(layer)).collect::<Vec<_>>() },
        });
        let config = Document::new(body.to_string(), config);
        let list: Vec<_> = layers
            .iter()
            .map(|bytes| Descriptor::new(layer.clone(), bytes.len() as u64, sha256(bytes)))
            .collect();
        let body = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": manifest.to_string(),
            "config": config.descriptor(),
            "layers": list,
        });
        Self { layers, config, manifest: Document::new(body.to_string(), manifest) }
    }

    /// The manifest's descriptor with the platform, as an entry of an index.
    pub fn entry(&self) -> serde_json::Value {
        let config: serde_json::Value = serde_json::from_slice(&self.config.bytes).unwrap();
        let mut entry = serde_json::to_value(self.manifest.descriptor()).unwrap();
        let mut platform = serde_json::Map::new();
        for field in ["os", "architecture", "variant"] {
            if config[field].is_string() {
                platform.insert(field.into(), config[field].clone());
            }
        }
        entry["platform"] = platform.into();
        entry
    }

    /// An index of images.
    pub fn index(images: &[&Self]) -> Document {
        let body = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": MediaType::ImageIndex.to_string(),
            "manifests": images.iter().map(|image| image.entry()).collect::<Vec<_>>(),
        });
        Document::new(body.to_string(), MediaType::ImageIndex)
    }

    /// The layers' descriptors.
    pub fn descriptors(&self) -> Vec<Descriptor> {
        self.manifest.manifest().unwrap().layers
    }
}
