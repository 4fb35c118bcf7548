//! The images of one build, one for each platform, as they travel together: their manifests, and an index over them where
//! there are several. Whoever exports a build says by these what it has made.

use std::io::{Read, Write};
use std::sync::Arc;

use kiln_cache::{Digest, ImageRecord};
use kiln_registry::archive::OciWriter;
use kiln_registry::{BlobSource, Descriptor, Document, MediaType, Reference};
use serde_json::json;

use super::pack::{Documents, Packed};
use super::{ImageError, Images};
use crate::event::Progress;
use crate::fetch::Fetcher;

/// Packed images, and the document that stands for all of them.
#[derive(Debug, Clone)]
pub struct Bundle {
    images: Vec<(ImageRecord, Packed)>,
    root: Document,
}

impl Bundle {
    /// The manifest, or the index over several.
    pub fn root(&self) -> &Document {
        &self.root
    }

    /// Every blob that travels, each once: layers, configurations, manifests, and the root last.
    pub fn blobs(&self) -> Vec<Descriptor> {
        let mut blobs: Vec<Descriptor> = Vec::new();
        for (_, packed) in &self.images {
            let documents = [packed.config.descriptor(), packed.manifest.descriptor()];
            blobs.extend(packed.layers.iter().map(|(_, blob)| blob.clone()).chain(documents));
        }
        blobs.push(self.root.descriptor());
        let mut seen = std::collections::BTreeSet::new();
        blobs.retain(|blob| seen.insert(blob.digest().to_string()));
        blobs
    }

    fn is_index(&self) -> bool {
        self.root.media_type == MediaType::ImageIndex
    }
}

impl Images {
    /// Brings the layers of an image into the store that are elsewhere.
    pub async fn fetch(&self, record: &ImageRecord, progress: &Progress) -> Result<(), ImageError> {
        let _use = self.store.use_lock()?;
        Ok(self.fetcher.ensure_blobs(&Fetcher::snapshot(record)?, progress).await?)
    }

    /// Packs the images of a build; under an index if `is_index`, which several must be.
    ///
    /// With `oci_only`, manifests of other formats are written anew.
    pub async fn bundle(
        &self,
        records: &[ImageRecord],
        is_index: bool,
        oci_only: bool,
        progress: &Progress,
    ) -> Result<Bundle, ImageError> {
        if oci_only {
            for record in records {
                self.fetch(record, progress).await?;
            }
        }
        let documents = if oci_only { Documents::Oci } else { Documents::AsTheyCame };
        let (this, records) = (self.clone(), records.to_vec());
        let packed = tokio::task::spawn_blocking(move || {
            let pack = |record: ImageRecord| Ok((record.clone(), this.pack(&record, documents)?));
            records.into_iter().map(pack).collect::<Result<Vec<_>, ImageError>>()
        });
        let images =
            packed.await.map_err(|source| ImageError::Worker { doing: "compressing layers", source })??;
        let root = match images.as_slice() {
            [(_, packed)] if !is_index => packed.manifest.clone(),
            all => index(all),
        };
        Ok(Bundle { images, root })
    }

    /// Uploads a bundle under that name, or only under its digest.
    pub async fn push_bundle(
        &self,
        bundle: &Bundle,
        reference: &Reference,
        by_digest: bool,
        progress: &Progress,
    ) -> Result<(), ImageError> {
        let _use = self.store.use_lock()?;
        let step = Arc::new(progress.step(format!("pushing {}", reference.familiar())));
        let pushing = async {
            for (record, packed) in &bundle.images {
                let alone = !bundle.is_index() && !by_digest;
                let digest = packed.manifest.digest.clone();
                let target = if alone { reference.clone() } else { reference.with_digest(digest) };
                self.push_packed(record, packed, &target, progress, &step).await?;
            }
            if bundle.is_index() {
                let digest = bundle.root.digest.clone();
                let target = if by_digest { reference.with_digest(digest) } else { reference.clone() };
                self.client.put_manifest(&target, &bundle.root).await?;
            }
            Ok(())
        };
        let result: Result<(), ImageError> = pushing.await;
        if let Some(step) = Arc::into_inner(step) {
            match &result {
                Ok(()) => step.done(),
                Err(error) => step.failed(crate::text::chain(error)),
            }
        }
        result
    }

    async fn push_packed(
        &self,
        record: &ImageRecord,
        packed: &Packed,
        target: &Reference,
        progress: &Progress,
        step: &Arc<crate::event::Step>,
    ) -> Result<(), ImageError> {
        if let Err(error) = self.push_layers(record, packed, target, progress, step).await {
            if !error.may_be_damage() || !self.mend(record, progress).await? {
                return Err(error);
            }
            self.push_layers(record, packed, target, progress, step).await?;
        }
        let config = BlobSource::bytes(packed.config.bytes.clone());
        self.client.push_blob(target, &packed.config.descriptor(), &config, None, |_| {}).await?;
        let digest = self.client.put_manifest(target, &packed.manifest).await?;
        self.remember(record, packed, target, &digest)
    }

    /// Writes a bundle as an OCI archive and gives the writer back. Blocks.
    pub fn write_bundle<W: Write>(
        &self,
        bundle: &Bundle,
        names: &[Reference],
        writer: W,
    ) -> Result<W, ImageError> {
        let _use = self.store.use_lock()?;
        let mut archive = OciWriter::new(writer);
        for (_, packed) in &bundle.images {
            for (_, blob) in &packed.layers {
                archive.add_blob(blob, &mut self.store.blobs().open(blob.digest())?)?;
            }
            archive.add_document(&packed.config)?;
            archive.add_document(&packed.manifest)?;
        }
        archive.add_document(&bundle.root)?;
        let names = names.iter().map(ToString::to_string).collect();
        Ok(archive.finish(&[(bundle.root.descriptor(), names)])?)
    }

    /// The content of a blob of a bundle.
    pub fn open_blob(&self, bundle: &Bundle, digest: &Digest) -> Result<Box<dyn Read + Send>, ImageError> {
        let documents = bundle.images.iter().flat_map(|(_, packed)| [&packed.config, &packed.manifest]);
        let mut documents = documents.chain([&bundle.root]);
        if let Some(document) = documents.find(|document| document.digest == *digest) {
            return Ok(Box::new(std::io::Cursor::new(document.bytes.clone())));
        }
        Ok(Box::new(self.store.blobs().open(digest)?))
    }
}

/// An index over the images, in their order.
fn index(images: &[(ImageRecord, Packed)]) -> Document {
    let entries: Vec<serde_json::Value> = images
        .iter()
        .map(|(record, packed)| {
            let mut parts = record.platform.split('/');
            let (os, architecture) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            let mut platform = json!({ "architecture": architecture, "os": os });
            if let Some(variant) = parts.next() {
                platform["variant"] = variant.into();
            }
            json!({
                "mediaType": packed.manifest.media_type.to_string(),
                "digest": packed.manifest.digest.to_string(),
                "size": packed.manifest.bytes.len(),
                "platform": platform,
            })
        })
        .collect();
    let media_type = MediaType::ImageIndex;
    let text = json!({ "schemaVersion": 2, "mediaType": media_type.to_string(), "manifests": entries });
    Document::new(text.to_string().into_bytes(), media_type)
}
