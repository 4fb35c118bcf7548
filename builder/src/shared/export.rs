//! Writing shared caches: layers first, each once, then the document that names them, then the name.
//!
//! A layer that the place has is not sent, one that another repository of the same registry has is mounted, and one that
//! only another place has is fetched first. What is killed on the way leaves blobs that nobody names, and the name as it
//! was.

use std::collections::BTreeSet;
use std::sync::Arc;

use kiln_cache::{CacheDocument, DiffId, ImageRecord, SharedMount, StoreError};
use kiln_registry::{BlobSource, Descriptor, Document, MediaType, PushOutcome, Storage, StorageError};
use serde_json::json;
use tokio::task::JoinSet;

use super::import::CONFIG;
use super::send::Sender;
use super::trace::Trace;
use super::{CacheExport, CacheExportReport, CacheMode, CachePlace, CacheTarget, SharedCaches, mounts};
use crate::event::{Progress, Step};
use crate::fetch::FetchError;
use crate::text;

/// The type of the artifact that a cache is.
const ARTIFACT: &str = "application/vnd.kiln.cache.v1";
/// Layers sent at once.
const AT_ONCE: usize = 4;
/// The largest listing of copied files that is told, and all of them together: they only explain.
const MAX_LISTING: usize = 32 << 10;
const MAX_LISTINGS: usize = 1 << 20;

/// Why a cache could not be written.
#[derive(Debug, thiserror::Error)]
#[error("the cache {place} cannot be written")]
pub struct CacheExportError {
    /// Where it was to go.
    place: String,
    /// Why not.
    #[source]
    source: Box<ExportFailure>,
}

impl CacheExportError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match &*self.source {
            ExportFailure::Storage(error) => error.hint(),
            ExportFailure::Fetch(error) => error.hint(),
            _ => None,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub(super) enum ExportFailure {
    /// The place.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A layer that is elsewhere.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A cache mount that travels along.
    #[error(transparent)]
    Mount(#[from] kiln_cache::CacheMountError),
    /// A task of the export ended without a result.
    #[error("a part of the builder stopped without an answer")]
    Lost,
}

crate::causes::store_causes!(ExportFailure);

impl crate::Builder {
    /// Writes the caches that are exported, with what the build of `images` has used. Gives one answer for each, in order.
    pub async fn export_caches(
        &self,
        caches: &SharedCaches,
        images: &[ImageRecord],
        progress: &Progress,
    ) -> Result<Vec<CacheExportReport>, CacheExportError> {
        let Some(inner) = &caches.inner else { return Ok(Vec::new()) };
        let mut reports = Vec::new();
        for export in &inner.exports {
            let CacheTarget::Place(place) = &export.target else { continue };
            match self.export_cache(caches, export, place, images, progress).await {
                Ok(report) => reports.push(report),
                Err(error) if export.ignore_error => progress.warn(text::chain(&error)),
                Err(error) => return Err(error),
            }
        }
        Ok(reports)
    }

    async fn export_cache(
        &self,
        caches: &SharedCaches,
        export: &CacheExport,
        place: &CachePlace,
        images: &[ImageRecord],
        progress: &Progress,
    ) -> Result<CacheExportReport, CacheExportError> {
        let step = progress.step(format!("exporting cache to {}", place.location));
        let trace = caches.state().trace.clone();
        let work = async {
            let _use = self.store.use_lock()?;
            let storage = Arc::new(self.client.storage(&place.location, place.access.as_ref())?);
            let job = Job { builder: self, export, trace, storage, progress, step: &step };
            job.perform(images).await
        };
        let result = work.await.map_err(|source| CacheExportError {
            place: place.location.to_string(),
            source: Box::new(source),
        });
        match &result {
            Ok(_) => step.done(),
            Err(_) if export.ignore_error => {
                step.note("it is not written");
                step.done();
            }
            Err(error) => step.failed(text::chain(error)),
        }
        result
    }
}

/// One export under way.
struct Job<'a> {
    builder: &'a crate::Builder,
    export: &'a CacheExport,
    trace: Trace,
    storage: Arc<Storage>,
    progress: &'a Progress,
    step: &'a Step,
}

impl Job<'_> {
    async fn perform(&self, images: &[ImageRecord]) -> Result<CacheExportReport, ExportFailure> {
        let mut wanted = self.trace.layers();
        if self.export.mode == CacheMode::Min {
            wanted.retain(|layer| images.iter().any(|image| image.layers.contains(layer)));
        }
        let mut document = self.trace.to_document(self.export.mode == CacheMode::Max);
        let mut report = CacheExportReport {
            place: self.storage.location().to_string(),
            steps: document.records.len(),
            sent: (0, 0),
            existed: 0,
            mounts: 0,
        };
        self.send_layers(wanted, &mut document, &mut report).await?;
        if self.export.mode == CacheMode::Max {
            self.add_listings(&mut document)?;
        }
        for mount in mounts::pack(&self.builder.store, &self.export.mounts, self.progress).await? {
            self.count(&mut report, &mount.blob, self.sender().put(None, &mount.blob, None).await?);
            report.mounts += 1;
            document.mounts.push(mount);
        }
        self.name(&document).await?;
        Ok(report)
    }

    async fn send_layers(
        &self,
        wanted: BTreeSet<DiffId>,
        document: &mut CacheDocument,
        report: &mut CacheExportReport,
    ) -> Result<(), ExportFailure> {
        let mut sending = JoinSet::new();
        let mut wanted = wanted.into_iter();
        loop {
            while sending.len() < AT_ONCE
                && let Some(layer) = wanted.next()
            {
                let (sender, remote) = (self.sender(), self.trace.remote(&layer).cloned());
                if remote.is_none() && self.builder.store.layers().info(&layer)?.is_none() {
                    // Its name is all that anybody knows of it.
                    continue;
                }
                let how = (self.export.compression, self.export.force_compression);
                sending.spawn(async move { sender.layer(layer, remote, how).await });
            }
            let Some(joined) = sending.join_next().await else { return Ok(()) };
            let (layer, blob, outcome) = joined.map_err(|_| ExportFailure::Lost)??;
            self.count(report, &blob, outcome);
            document.layers.insert(layer, blob);
        }
    }

    fn count(&self, report: &mut CacheExportReport, blob: &Descriptor, outcome: PushOutcome) {
        match outcome {
            PushOutcome::Uploaded => {
                report.sent = (report.sent.0 + 1, report.sent.1 + blob.size());
                self.step.progress("layers", report.sent.1, None);
            }
            PushOutcome::Existed | PushOutcome::Mounted => report.existed += 1,
        }
    }

    /// The listings that a later miss can be explained with, as far as they are small.
    fn add_listings(&self, document: &mut CacheDocument) -> Result<(), ExportFailure> {
        let mut left = MAX_LISTINGS;
        for memo in crate::solve::key::listings(document.records.values().flat_map(|record| &record.parts)) {
            if let Some(listing) = self.builder.store.records().memo(&memo)?
                && listing.len() <= MAX_LISTING.min(left)
            {
                left -= listing.len();
                document.memos.insert(memo, listing);
            }
        }
        Ok(())
    }

    /// The document's blob, then the manifest that everybody finds it by.
    async fn name(&self, document: &CacheDocument) -> Result<(), ExportFailure> {
        let config = Document::new(document.to_bytes(), MediaType::from(CONFIG));
        let source = BlobSource::bytes(config.bytes.clone());
        self.storage.put_blob(&config.descriptor(), &source, None).await?;
        let mut blobs: Vec<&Descriptor> = document.layers.values().collect();
        blobs.extend(document.mounts.iter().map(|mount: &SharedMount| &mount.blob));
        let mut seen = BTreeSet::new();
        blobs.retain(|blob| seen.insert(blob.digest().to_string()));
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MediaType::ImageManifest,
            "artifactType": ARTIFACT,
            "config": config.descriptor(),
            "layers": blobs,
        });
        let manifest = Document::new(manifest.to_string(), MediaType::ImageManifest);
        self.storage.put_document(&manifest).await?;
        Ok(())
    }

    fn sender(&self) -> Sender {
        Sender {
            store: self.builder.store.clone(),
            fetcher: self.builder.fetcher.clone(),
            storage: Arc::clone(&self.storage),
            progress: self.progress.clone(),
        }
    }
}
