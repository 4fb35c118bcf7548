//! Push: an image to a registry, blobs first, the manifest last.
//!
//! A layer that the registry has is not sent, one that another of its repositories has is mounted, and one that only
//! another registry has is fetched first. Several are under way at once.

use std::sync::Arc;

use kiln_cache::{DiffId, Digest, ImageRecord};
use kiln_registry::{BlobSource, Descriptor, Location, PushOutcome, Reference, RegistryError};
use tokio::task::JoinSet;

use super::pack::Packed;
use super::packing::Packing;
use super::{ImageError, Images};
use crate::event::{Progress, Step};
use crate::fetch::Fetcher;

/// What a push did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    /// The manifest's digest: what the registry knows the image by.
    pub digest: Digest,
    /// The manifest's size in bytes.
    pub size: u64,
    /// How many layers were sent.
    pub sent: usize,
    /// How many layers the registry had, here or in another repository.
    pub existed: usize,
}

impl Images {
    /// Uploads an image under that name.
    pub async fn push(
        &self,
        record: &ImageRecord,
        reference: &Reference,
        progress: &Progress,
    ) -> Result<Pushed, ImageError> {
        let _use = self.store.use_lock()?;
        if reference.digest().is_some() {
            return Err(ImageError::DigestName { reference: reference.familiar() });
        }
        let step = Arc::new(progress.step(format!("pushing {}", reference.familiar())));
        let mut result = self.push_all(record, reference, progress, &step).await;
        if let Err(error) = &result
            && error.may_be_damage()
        {
            match self.mend(record, progress).await {
                Ok(true) => result = self.push_all(record, reference, progress, &step).await,
                Ok(false) => {}
                Err(error) => result = Err(error),
            }
        }
        if let Some(step) = Arc::into_inner(step) {
            match &result {
                Ok(_) => step.done(),
                Err(error) => step.failed(crate::text::chain(error)),
            }
        }
        result
    }

    async fn push_all(
        &self,
        record: &ImageRecord,
        reference: &Reference,
        progress: &Progress,
        step: &Arc<Step>,
    ) -> Result<Pushed, ImageError> {
        let (images, to_pack) = (self.clone(), record.clone());
        let packed = tokio::task::spawn_blocking(move || images.pack(&to_pack, &Packing::default()))
            .await
            .map_err(|source| ImageError::Worker { doing: "compressing layers", source })??;
        let (sent, existed) = self.push_layers(record, &packed, reference, progress, step).await?;
        let config = BlobSource::bytes(packed.config.bytes.clone());
        self.client.push_blob(reference, &packed.config.descriptor(), &config, None, |_| {}).await?;
        let digest = self.client.put_manifest(reference, &packed.manifest).await?;
        self.remember(record, &packed, reference, &digest)?;
        Ok(Pushed { digest, size: packed.manifest.bytes.len() as u64, sent, existed })
    }

    pub(super) async fn push_layers(
        &self,
        record: &ImageRecord,
        packed: &Packed,
        reference: &Reference,
        progress: &Progress,
        step: &Arc<Step>,
    ) -> Result<(usize, usize), ImageError> {
        let mut uploads = JoinSet::new();
        let mut digests = std::collections::BTreeSet::new();
        for (layer, blob) in &packed.layers {
            // Equal layers (two empty ones, say) are one blob.
            if digests.insert(blob.digest().to_string()) {
                let upload = Upload {
                    images: self.clone(),
                    record: record.clone(),
                    reference: reference.clone(),
                    progress: progress.clone(),
                    step: Arc::clone(step),
                };
                let (layer, blob) = (layer.clone(), blob.clone());
                uploads.spawn(async move { upload.layer(&layer, &blob).await });
            }
        }
        let outcome = count(&mut uploads).await;
        // What is still under way has a hold on the step, which is to be told why it failed.
        uploads.shutdown().await;
        outcome
    }

    /// Notes where the image is now, so that `RepoDigests` names it and its layers can be fetched from there.
    pub(super) fn remember(
        &self,
        record: &ImageRecord,
        packed: &Packed,
        reference: &Reference,
        digest: &Digest,
    ) -> Result<(), ImageError> {
        self.store.blobs().put(&packed.manifest.bytes)?;
        let record = ImageRecord {
            manifest: Some(packed.manifest.descriptor()),
            layer_blobs: packed.layers.iter().map(|(_, blob)| blob.clone()).collect(),
            origin: Some(reference.with_digest(digest.clone()).to_string()),
            ..record.clone()
        };
        Ok(self.store.images().add(&record)?)
    }
}

/// Waits for uploads: how many layers were sent, and how many were there.
async fn count(uploads: &mut JoinSet<Result<PushOutcome, ImageError>>) -> Result<(usize, usize), ImageError> {
    let (mut sent, mut existed) = (0, 0);
    while let Some(joined) = uploads.join_next().await {
        match joined.map_err(|source| ImageError::Worker { doing: "sending a layer", source })?? {
            PushOutcome::Uploaded => sent += 1,
            PushOutcome::Existed | PushOutcome::Mounted => existed += 1,
        }
    }
    Ok((sent, existed))
}

/// What the upload of one layer needs.
struct Upload {
    images: Images,
    record: ImageRecord,
    reference: Reference,
    progress: Progress,
    step: Arc<Step>,
}

impl Upload {
    async fn layer(&self, layer: &DiffId, blob: &Descriptor) -> Result<PushOutcome, ImageError> {
        match self.send(layer, blob).await {
            // Neither there nor mountable, and not here either: it is brought here first.
            Err(ImageError::Registry(RegistryError::Source { .. })) => {
                let mut only = self.record.clone();
                let wanted = |index: &usize| self.record.layers.get(*index) == Some(layer);
                let kept: Vec<usize> = (0..only.layers.len()).filter(wanted).take(1).collect();
                only.layers = kept.iter().map(|index| self.record.layers[*index].clone()).collect();
                only.layer_blobs =
                    kept.iter().filter_map(|index| self.record.layer_blobs.get(*index).cloned()).collect();
                self.images.fetcher.ensure_tars(&Fetcher::snapshot(&only)?, &self.progress).await?;
                self.send(layer, blob).await
            }
            result => result,
        }
    }

    async fn send(&self, layer: &DiffId, blob: &Descriptor) -> Result<PushOutcome, ImageError> {
        let source = BlobSource::file(self.images.store.blobs().path(blob.digest())?);
        let name: String = blob.digest().digest().chars().take(12).collect();
        let (step, total) = (Arc::clone(&self.step), blob.size());
        let report = move |sent| step.progress(name.clone(), sent, Some(total));
        let from = self.mountable(layer);
        let client = &self.images.client;
        Ok(client.push_blob(&self.reference, blob, &source, from.as_deref(), report).await?)
    }

    /// Another repository of the same registry that has the layer.
    fn mountable(&self, layer: &DiffId) -> Option<String> {
        let shared = self.record.layer_origins.get(layer);
        let origin = match shared.and_then(|origin| Location::from_line(&origin.place)) {
            Some(Location::Registry { reference, .. }) => reference,
            _ => self.record.origin.clone()?,
        };
        let origin = Reference::parse(&origin).ok()?;
        let elsewhere = origin.repository() != self.reference.repository();
        (origin.registry() == self.reference.registry() && elsewhere).then(|| origin.repository().to_owned())
    }
}
