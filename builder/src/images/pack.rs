//! An image as it travels: a manifest over a configuration and compressed layers.
//!
//! An image that came with a manifest keeps its bytes; for one that was built, a manifest is made. Used by push
//! and by the OCI archive.

use std::collections::BTreeMap;

use kiln_cache::{Compression, DiffId, Digest, ImageRecord};
use kiln_registry::{DOCKER_CONFIG, DOCKER_MANIFEST, Descriptor, Document, MAX_DOCUMENT, MediaType};
use serde::Serialize;

use super::packing::{DocumentTypes, Packing, compression_of, docker_media_type, oci_media_type};
use super::{ImageError, Images};

/// The documents of an image and the blobs that they name.
#[derive(Debug, Clone)]
pub(super) struct Packed {
    /// The manifest.
    pub(super) manifest: Document,
    /// The configuration.
    pub(super) config: Document,
    /// Each layer's blob as the manifest names it, bottom first, with the layer it is a form of.
    pub(super) layers: Vec<(DiffId, Descriptor)>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ManifestText<'a> {
    schema_version: u32,
    media_type: MediaType,
    config: Descriptor,
    layers: &'a [Descriptor],
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
}

impl Images {
    /// The image as it travels. Compresses what no form travels of; blobs of layers that the store does not have are
    /// named all the same. Blocks.
    pub(super) fn pack(&self, record: &ImageRecord, packing: &Packing) -> Result<Packed, ImageError> {
        let config = self.store.blobs().read(&record.id, MAX_DOCUMENT)?;
        let own = if packing.is_plain() { self.own_manifest(record)? } else { None };
        match own {
            Some(manifest) if packing.types == DocumentTypes::AsTheyCame || is_oci(&manifest) => {
                pack_as_it_came(record, manifest, config)
            }
            _ => self.pack_anew(record, config, packing),
        }
    }

    /// The manifest that the image came with, if it came with one and the store has it.
    fn own_manifest(&self, record: &ImageRecord) -> Result<Option<Document>, ImageError> {
        let Some(descriptor) = &record.manifest else { return Ok(None) };
        if !self.store.blobs().contains(descriptor.digest())? {
            return Ok(None);
        }
        let bytes = self.store.blobs().read(descriptor.digest(), MAX_DOCUMENT)?;
        Ok(Some(Document::new(bytes, descriptor.media_type().clone())))
    }

    fn pack_anew(
        &self,
        record: &ImageRecord,
        config: Vec<u8>,
        packing: &Packing,
    ) -> Result<Packed, ImageError> {
        let is_docker = packing.types == DocumentTypes::Docker;
        let (config_type, manifest_type) = if is_docker {
            (DOCKER_CONFIG.into(), DOCKER_MANIFEST.into())
        } else {
            (MediaType::ImageConfig, MediaType::ImageManifest)
        };
        let config = Document::new(config, config_type);
        let blobs = record.layers.iter().enumerate().map(|(index, layer)| {
            let blob = self.travelling_form(record, index, layer, packing)?;
            let media_type = oci_media_type(blob.media_type());
            let media_type = if is_docker { docker_media_type(&media_type) } else { media_type };
            Ok(Descriptor::new(media_type, blob.size(), blob.digest().clone()))
        });
        let blobs: Vec<Descriptor> = blobs.collect::<Result<_, ImageError>>()?;
        let text = ManifestText {
            schema_version: 2,
            media_type: manifest_type.clone(),
            config: config.descriptor(),
            layers: &blobs,
            annotations: packing.annotations.of_manifest(&record.platform),
        };
        let bytes = serde_json::to_vec(&text)
            .map_err(|source| ImageError::Config { image: record.id.to_string(), source })?;
        let manifest = Document::new(bytes, manifest_type);
        Ok(Packed { manifest, config, layers: record.layers.iter().cloned().zip(blobs).collect() })
    }

    /// The blob that the layer came in, if that will do; or else the form that is wanted, which is made if need be.
    fn travelling_form(
        &self,
        record: &ImageRecord,
        index: usize,
        layer: &DiffId,
        packing: &Packing,
    ) -> Result<Descriptor, ImageError> {
        if let Some(blob) = record.layer_blobs.get(index)
            && self.will_do(layer, blob, packing)?
        {
            return Ok(blob.clone());
        }
        if let Some(origin) = record.layer_origins.get(layer)
            && self.store.layers().info(layer)?.is_none()
        {
            return Ok(origin.blob.clone());
        }
        Ok(self.store.layers().compressed_at(layer, packing.wanted(), packing.level)?)
    }

    /// Whether the blob that a layer came in will do: one from elsewhere always does unless all are to be of one kind, and one
    /// that was made here is only as good as any other form.
    fn will_do(&self, layer: &DiffId, blob: &Descriptor, packing: &Packing) -> Result<bool, ImageError> {
        let kind = compression_of(blob.media_type());
        let is_here = self.store.blobs().contains(blob.digest())?;
        if packing.has_usual_layers() {
            return Ok(kind != Some(Compression::None) || !is_here);
        }
        let layers = self.store.layers();
        if layers.is_made_here(layer, blob.digest())? || (!is_here && layers.has_tar(layer)?) {
            return Ok(false);
        }
        let is_wanted = kind == Some(packing.wanted());
        Ok(is_wanted || (!packing.force_compression && (kind != Some(Compression::None) || !is_here)))
    }

    /// A document of the store.
    pub(super) fn document(&self, digest: &Digest, media_type: MediaType) -> Result<Document, ImageError> {
        Ok(Document::new(self.store.blobs().read(digest, MAX_DOCUMENT)?, media_type))
    }
}

fn pack_as_it_came(record: &ImageRecord, manifest: Document, config: Vec<u8>) -> Result<Packed, ImageError> {
    let image = || record.id.to_string();
    let read = manifest.manifest().map_err(|source| ImageError::Document { image: image(), source })?;
    if read.layers.len() != record.layers.len() {
        let (manifest, config) = (read.layers.len(), record.layers.len());
        return Err(ImageError::LayerCount { image: image(), manifest, config });
    }
    let config = Document::new(config, read.config.media_type().clone());
    Ok(Packed { manifest, config, layers: record.layers.iter().cloned().zip(read.layers).collect() })
}

fn is_oci(manifest: &Document) -> bool {
    let oci = |media_type: &MediaType| oci_media_type(media_type) == *media_type;
    let layers_are = |layers: &[Descriptor]| layers.iter().all(|layer| oci(layer.media_type()));
    manifest.media_type == MediaType::ImageManifest
        && manifest.manifest().is_ok_and(|read| layers_are(&read.layers))
}
