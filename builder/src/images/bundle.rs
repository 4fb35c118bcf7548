//! The images of one build, one for each platform, as they travel together: their manifests, what is stated about them, and
//! an index where there is more than one manifest. Whoever exports a build says by these what it has made.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::sync::Arc;

use kiln_cache::{Digest, ImageRecord};
use kiln_registry::archive::{DockerImage, OciWriter};
use kiln_registry::{BlobSource, DOCKER_MANIFEST_LIST, Descriptor, Document, MediaType, Reference};
use serde_json::{Value, json};

use super::attest::{Attached, Attestation};
use super::pack::Packed;
use super::packing::{DocumentTypes, Packing};
use super::{ImageError, Images};
use crate::event::Progress;
use crate::fetch::Fetcher;

/// What is to be packed, and how.
#[derive(Debug, Clone, Copy)]
pub struct BundleRequest<'a> {
    /// The images.
    pub images: &'a [ImageRecord],
    /// Whether there is to be an index even over one; several have one anyway.
    pub is_index: bool,
    /// How.
    pub packing: &'a Packing,
    /// Whether the blobs have to be here: those of images that are pushed need not be.
    pub is_complete: bool,
    /// What is stated about each image, in their order. None at all states nothing.
    pub attestations: &'a [Vec<Attestation>],
    /// The names that statements are about.
    pub names: &'a [Reference],
}

/// Packed images, and the document that stands for all of them.
#[derive(Debug, Clone)]
pub struct Bundle {
    images: Vec<(ImageRecord, Packed)>,
    attached: Vec<Attached>,
    root: Document,
    annotations: BTreeMap<String, String>,
    /// Whether the manifests may be remembered as those of the images.
    is_plain: bool,
}

impl Bundle {
    /// The manifest, or the index over several.
    pub fn root(&self) -> &Document {
        &self.root
    }

    /// The descriptor of the root, with its annotations.
    pub fn descriptor(&self) -> Descriptor {
        let mut descriptor = self.root.descriptor();
        if !self.annotations.is_empty() {
            descriptor.set_annotations(Some(self.annotations.clone().into_iter().collect()));
        }
        descriptor
    }

    /// Whether the root is an index.
    pub fn is_index(&self) -> bool {
        !self.images.iter().any(|(_, packed)| packed.manifest.digest == self.root.digest)
    }

    /// The manifests of the images, in their order, and then those of their attestations.
    pub fn manifests(&self) -> (Vec<&Document>, Vec<&Document>) {
        let images = self.images.iter().map(|(_, packed)| &packed.manifest);
        (images.collect(), self.attached.iter().map(|attached| &attached.manifest).collect())
    }

    /// Every blob that travels, each once: layers, configurations, manifests, and the root last.
    pub fn blobs(&self) -> Vec<Descriptor> {
        let layers = self.images.iter().flat_map(|(_, packed)| &packed.layers).map(|(_, blob)| blob.clone());
        let mut blobs: Vec<Descriptor> = layers.collect();
        blobs.extend(self.documents().map(Document::descriptor));
        let mut seen = std::collections::BTreeSet::new();
        blobs.retain(|blob| seen.insert(blob.digest().to_string()));
        blobs
    }

    /// Whatever is no layer, the root last.
    fn documents(&self) -> impl Iterator<Item = &Document> {
        let images = self.images.iter().flat_map(|(_, packed)| [&packed.config, &packed.manifest]);
        let attached =
            self.attached.iter().flat_map(|attached| attached.blobs.iter().chain([&attached.manifest]));
        images.chain(attached).chain([&self.root])
    }
}

impl Images {
    /// Brings the layers of an image into the store that are elsewhere.
    pub async fn fetch(&self, record: &ImageRecord, progress: &Progress) -> Result<(), ImageError> {
        let _use = self.store.use_lock()?;
        Ok(self.fetcher.ensure_blobs(&Fetcher::snapshot(record)?, progress).await?)
    }

    /// Packs the images of a build.
    pub async fn bundle(
        &self,
        request: BundleRequest<'_>,
        progress: &Progress,
    ) -> Result<Bundle, ImageError> {
        if request.is_complete || request.packing.force_compression {
            for record in request.images {
                self.fetch(record, progress).await?;
            }
        }
        let (this, records, packing) = (self.clone(), request.images.to_vec(), request.packing.clone());
        let packed = tokio::task::spawn_blocking(move || {
            let pack = |record: ImageRecord| Ok((record.clone(), this.pack(&record, &packing)?));
            records.into_iter().map(pack).collect::<Result<Vec<_>, ImageError>>()
        });
        let images =
            packed.await.map_err(|source| ImageError::Worker { doing: "compressing layers", source })??;
        Ok(put_together(images, request))
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
        let result = self.push_all_of(bundle, reference, by_digest, (progress, &step)).await;
        if let Some(step) = Arc::into_inner(step) {
            match &result {
                Ok(()) => step.done(),
                Err(error) => step.failed(crate::text::chain(error)),
            }
        }
        result
    }

    async fn push_all_of(
        &self,
        bundle: &Bundle,
        reference: &Reference,
        by_digest: bool,
        (progress, step): (&Progress, &Arc<crate::event::Step>),
    ) -> Result<(), ImageError> {
        for (record, packed) in &bundle.images {
            let alone = !bundle.is_index() && !by_digest;
            let digest = packed.manifest.digest.clone();
            let target = if alone { reference.clone() } else { reference.at_digest(digest) };
            let digest = self.push_packed(record, packed, &target, progress, step).await?;
            if bundle.is_plain {
                self.remember(record, packed, reference, &digest)?;
            }
        }
        for attached in &bundle.attached {
            let target = reference.at_digest(attached.manifest.digest.clone());
            for blob in &attached.blobs {
                let source = BlobSource::bytes(blob.bytes.clone());
                self.client.push_blob(&target, &blob.descriptor(), &source, None, |_| {}).await?;
            }
            self.client.put_manifest(&target, &attached.manifest).await?;
        }
        if bundle.is_index() {
            let digest = bundle.root.digest.clone();
            let target = if by_digest { reference.at_digest(digest) } else { reference.clone() };
            self.client.put_manifest(&target, &bundle.root).await?;
        }
        Ok(())
    }

    async fn push_packed(
        &self,
        record: &ImageRecord,
        packed: &Packed,
        target: &Reference,
        progress: &Progress,
        step: &Arc<crate::event::Step>,
    ) -> Result<Digest, ImageError> {
        if let Err(error) = self.push_layers(record, packed, target, progress, step).await {
            if !error.may_be_damage() || !self.mend(record, progress).await? {
                return Err(error);
            }
            self.push_layers(record, packed, target, progress, step).await?;
        }
        let config = BlobSource::bytes(packed.config.bytes.clone());
        self.client.push_blob(target, &packed.config.descriptor(), &config, None, |_| {}).await?;
        Ok(self.client.put_manifest(target, &packed.manifest).await?)
    }

    /// Writes a bundle as an OCI archive and gives the writer back. With `for_docker`, one that `docker load` reads, too;
    /// such an archive has images of one platform only. Blocks.
    pub fn write_bundle<W: Write>(
        &self,
        bundle: &Bundle,
        names: &[Reference],
        for_docker: bool,
        writer: W,
    ) -> Result<W, ImageError> {
        let _use = self.store.use_lock()?;
        let mut archive = OciWriter::new(writer);
        for (_, packed) in &bundle.images {
            for (_, blob) in &packed.layers {
                archive.add_blob(blob, &mut self.store.blobs().open(blob.digest())?)?;
            }
        }
        for document in bundle.documents() {
            archive.add_document(document)?;
        }
        if for_docker {
            let listed: Vec<DockerImage> =
                bundle.images.iter().map(|(_, packed)| listed(packed, names)).collect();
            archive.add_docker_list(&listed)?;
        }
        let names = names.iter().map(ToString::to_string).collect();
        Ok(archive.finish(&[(bundle.descriptor(), names)])?)
    }

    /// The content of a blob of a bundle.
    pub fn open_blob(&self, bundle: &Bundle, digest: &Digest) -> Result<Box<dyn Read + Send>, ImageError> {
        if let Some(document) = bundle.documents().find(|document| document.digest == *digest) {
            return Ok(Box::new(std::io::Cursor::new(document.bytes.clone())));
        }
        Ok(Box::new(self.store.blobs().open(digest)?))
    }
}

/// The image in the list of docker's archives.
fn listed(packed: &Packed, names: &[Reference]) -> DockerImage {
    DockerImage {
        config: packed.config.digest.clone(),
        layers: packed.layers.iter().map(|(_, blob)| blob.digest().clone()).collect(),
        names: names.iter().map(Reference::familiar).collect(),
    }
}

fn put_together(images: Vec<(ImageRecord, Packed)>, request: BundleRequest<'_>) -> Bundle {
    let BundleRequest { packing, attestations, names, .. } = request;
    let stated = images.iter().zip(attestations).filter(|(_, stated)| !stated.is_empty());
    let attached: Vec<Attached> = stated
        .map(|((record, packed), stated)| {
            let stated: Vec<&Attestation> = stated.iter().collect();
            Attached::new(&stated, &packed.manifest, names, &record.platform, packing)
        })
        .collect();
    let single = (!request.is_index && attached.is_empty()).then_some(images.as_slice());
    let (root, annotations) = match single {
        Some([(record, packed)]) => {
            (packed.manifest.clone(), packing.annotations.of_descriptor(&record.platform))
        }
        _ => (index(&images, &attached, packing), packing.annotations.index_descriptor.clone()),
    };
    Bundle { images, attached, root, annotations, is_plain: packing.is_plain() }
}

/// An index over the images, in their order, and what is stated about them.
fn index(images: &[(ImageRecord, Packed)], attached: &[Attached], packing: &Packing) -> Document {
    let entries = images.iter().map(|(record, packed)| {
        let mut entry = json!({
            "mediaType": packed.manifest.media_type.to_string(),
            "digest": packed.manifest.digest.to_string(),
            "size": packed.manifest.bytes.len(),
            "platform": platform(&record.platform),
        });
        annotate(&mut entry, &packing.annotations.of_descriptor(&record.platform));
        entry
    });
    let entries: Vec<Value> = entries.chain(attached.iter().map(Attached::entry)).collect();
    let media_type = match packing.types {
        DocumentTypes::Docker => DOCKER_MANIFEST_LIST.into(),
        DocumentTypes::AsTheyCame | DocumentTypes::Oci => MediaType::ImageIndex,
    };
    let mut text = json!({ "schemaVersion": 2, "mediaType": media_type.to_string(), "manifests": entries });
    annotate(&mut text, &packing.annotations.index);
    Document::new(text.to_string().into_bytes(), media_type)
}

fn annotate(value: &mut Value, annotations: &BTreeMap<String, String>) {
    if !annotations.is_empty() {
        value["annotations"] = json!(annotations);
    }
}

/// `os/architecture[/variant]` as documents have it.
fn platform(text: &str) -> Value {
    let mut parts = text.split('/');
    let (os, architecture) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let mut platform = json!({ "architecture": architecture, "os": os });
    if let Some(variant) = parts.next() {
        platform["variant"] = variant.into();
    }
    platform
}
