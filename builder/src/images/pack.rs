//! An image as it travels: a manifest over a configuration and compressed layers.
//!
//! An image that came with a manifest keeps its bytes; for one that was built, a manifest is made. Used by push
//! and by the OCI archive.

use kiln_cache::{Compression, DiffId, Digest, ImageRecord};
use kiln_registry::{DOCKER_LAYER, DOCKER_LAYER_GZIP, Descriptor, Document, MAX_DOCUMENT, MediaType};
use serde::Serialize;

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

/// Which documents will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Documents {
    /// The manifest that the image came with, in whichever format.
    AsTheyCame,
    /// OCI's media types only: what OCI layouts must have.
    Oci,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ManifestText<'a> {
    schema_version: u32,
    media_type: MediaType,
    config: Descriptor,
    layers: &'a [Descriptor],
}

impl Images {
    /// The image as it travels. Compresses what no form travels of; blobs of layers that the store does not have are
    /// named all the same. Blocks.
    pub(super) fn pack(&self, record: &ImageRecord, documents: Documents) -> Result<Packed, ImageError> {
        let config = self.store.blobs().read(&record.id, MAX_DOCUMENT)?;
        match self.own_manifest(record)? {
            Some(manifest) if documents == Documents::AsTheyCame || is_oci(&manifest) => {
                pack_as_it_came(record, manifest, config)
            }
            _ => self.pack_anew(record, config),
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

    fn pack_anew(&self, record: &ImageRecord, config: Vec<u8>) -> Result<Packed, ImageError> {
        let config = Document::new(config, MediaType::ImageConfig);
        let blobs =
            record.layers.iter().enumerate().map(|(index, layer)| self.travelling_form(record, index, layer));
        let blobs: Vec<Descriptor> = blobs.collect::<Result<_, _>>()?;
        let text = ManifestText {
            schema_version: 2,
            media_type: MediaType::ImageManifest,
            config: config.descriptor(),
            layers: &blobs,
        };
        let bytes = serde_json::to_vec(&text)
            .map_err(|source| ImageError::Config { image: record.id.to_string(), source })?;
        let manifest = Document::new(bytes, MediaType::ImageManifest);
        Ok(Packed { manifest, config, layers: record.layers.iter().cloned().zip(blobs).collect() })
    }

    /// The blob that the layer came in, if it is compressed or only elsewhere; or else its gzip form, which is made if
    /// need be.
    fn travelling_form(
        &self,
        record: &ImageRecord,
        index: usize,
        layer: &DiffId,
    ) -> Result<Descriptor, ImageError> {
        let blob = match record.layer_blobs.get(index) {
            Some(blob) if is_compressed(blob) || !self.store.blobs().contains(blob.digest())? => blob.clone(),
            _ => match record.layer_origins.get(layer) {
                Some(origin) if self.store.layers().info(layer)?.is_none() => origin.blob.clone(),
                _ => self.store.layers().compressed(layer, Compression::Gzip)?,
            },
        };
        Ok(Descriptor::new(oci_media_type(blob.media_type()), blob.size(), blob.digest().clone()))
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

fn is_compressed(blob: &Descriptor) -> bool {
    oci_media_type(blob.media_type()) != MediaType::ImageLayer
}

/// The same bytes under OCI's name for them.
fn oci_media_type(media_type: &MediaType) -> MediaType {
    match media_type.as_ref() {
        DOCKER_LAYER_GZIP => MediaType::ImageLayerGzip,
        DOCKER_LAYER => MediaType::ImageLayer,
        _ => media_type.clone(),
    }
}
