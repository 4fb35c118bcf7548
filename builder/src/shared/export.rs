//! Writing shared caches: layers first, each once, then the document that names them, then the name.
//!
//! A layer that the place has is not sent, one that another repository of the same registry has is mounted, and one that
//! only another place has is fetched first. What is killed on the way leaves blobs that nobody names, and the name as it
//! was.

use std::collections::BTreeSet;
use std::sync::Arc;

use kiln_cache::{CacheDocument, Compression, DiffId, ImageRecord, SharedMount, Store, StoreError};
use kiln_graph::image::ImageConfig;
use kiln_registry::{
    BlobSource, Descriptor, Document, Location, MediaType, PushOutcome, Storage, StorageError,
};
use serde_json::json;
use tokio::sync::OnceCell;
use tokio::task::JoinSet;

use super::import::{CONFIG, INLINE};
use super::trace::Trace;
use super::{
    CacheExport, CacheExportReport, CacheImport, CacheImportReport, CacheMode, CacheTarget, Inner, Place,
    Reading, SharedCaches, State, mounts,
};
use crate::event::{Progress, Step};
use crate::fetch::{FetchError, Fetcher};
use crate::snapshot::{LayerRef, Origin, Remote, Snapshot};
use crate::task::blocking;
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
    /// The document has no bytes.
    #[error("a part of the builder stopped without an answer")]
    Lost,
}

crate::causes::store_causes!(ExportFailure);

impl crate::Builder {
    /// Opens the shared caches of a build and begins to read those that are imported.
    ///
    /// A place that cannot even be opened is an error: what was written is wrong.
    pub fn shared_caches(
        &self,
        imports: &[CacheImport],
        exports: Vec<CacheExport>,
        platform: &str,
        progress: &Progress,
    ) -> Result<SharedCaches, StorageError> {
        if imports.is_empty() && exports.is_empty() {
            return Ok(SharedCaches::default());
        }
        let mut places = Vec::with_capacity(imports.len());
        for import in imports {
            let storage = Arc::new(self.client.storage(&import.location, import.access.as_ref())?);
            self.fetcher.know(&storage);
            places.push(Place { line: import.location.to_line().into(), storage });
        }
        let inner = Arc::new(Inner {
            imports: places,
            exports,
            platform: platform.to_owned(),
            imported: OnceCell::new(),
            progress: progress.clone(),
            state: std::sync::Mutex::new(State::default()),
        });
        let reading = Arc::clone(&inner);
        let reading = tokio::spawn(async move {
            reading.imported().await;
        });
        Ok(SharedCaches { inner: Some(inner), _reading: Some(Arc::new(Reading(reading))) })
    }

    /// Writes the caches that are exported, with what the build of `image` has used. Gives one answer for each, in order.
    pub async fn export_caches(
        &self,
        caches: &SharedCaches,
        image: &ImageRecord,
        progress: &Progress,
    ) -> Result<Vec<CacheExportReport>, CacheExportError> {
        let Some(inner) = &caches.inner else { return Ok(Vec::new()) };
        let mut reports = Vec::new();
        for export in &inner.exports {
            let CacheTarget::Place { location, access } = &export.target else { continue };
            let step = Arc::new(progress.step(format!("exporting cache to {location}")));
            let trace = caches.state().map(|state| state.trace.clone()).unwrap_or_default();
            let work = async {
                let _use = self.store.use_lock()?;
                let storage = Arc::new(self.client.storage(location, access.as_ref())?);
                let job = Job { builder: self, export, trace, storage, progress, step: &step };
                job.perform(image).await
            };
            let result = work.await;
            let step = Arc::into_inner(step);
            match result {
                Ok(report) => {
                    step.map(Step::done);
                    reports.push(report);
                }
                Err(source) => {
                    let error = CacheExportError { place: location.to_string(), source: Box::new(source) };
                    let cause = text::chain(&error);
                    if let Some(step) = step {
                        step.failed(cause.clone());
                    }
                    if !export.ignore_error {
                        return Err(error);
                    }
                    progress.warn(cause);
                }
            }
        }
        Ok(reports)
    }

    /// What the imports did so far.
    pub fn import_report(&self, caches: &SharedCaches) -> Vec<CacheImportReport> {
        let Some(inner) = &caches.inner else { return Vec::new() };
        let Some(imported) = inner.imported.get() else { return Vec::new() };
        let state = caches.state();
        let hits = |number| state.as_ref().and_then(|state| state.hits.get(&number)).map_or(0, BTreeSet::len);
        let report = |(number, (place, import)): (usize, (&Place, &super::Imported))| CacheImportReport {
            place: place.storage.location().to_string(),
            is_read: import.is_read,
            known: import.document.records.len(),
            answered: hits(number),
            metadata: import.bytes,
            layers: self.fetcher.fetched_from(place.storage.location()),
        };
        inner.imports.iter().zip(imported).enumerate().map(report).collect()
    }
}

impl SharedCaches {
    /// Puts the cache into the configuration of the image, if that was asked for. Its layers are the image's.
    pub(crate) fn inline(&self, config: &mut ImageConfig) {
        let Some(inner) = &self.inner else { return };
        if !inner.exports.iter().any(|export| matches!(export.target, CacheTarget::Inline)) {
            return;
        }
        let document = self.state().map(|state| state.trace.to_document(false)).unwrap_or_default();
        // Its own bytes are always JSON.
        if let Ok(value) = serde_json::from_slice(&document.to_bytes()) {
            config.other.insert(INLINE.to_owned(), value);
        }
    }
}

/// One export under way.
struct Job<'a> {
    builder: &'a crate::Builder,
    export: &'a CacheExport,
    trace: Trace,
    storage: Arc<Storage>,
    progress: &'a Progress,
    step: &'a Arc<Step>,
}

impl Job<'_> {
    async fn perform(&self, image: &ImageRecord) -> Result<CacheExportReport, ExportFailure> {
        let mut wanted = self.trace.layers();
        if self.export.mode == CacheMode::Min {
            wanted.retain(|layer| image.layers.contains(layer));
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
            self.count(&mut report, &mount.blob, self.put(None, &mount.blob, None).await?);
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
                let sender = self.sender();
                let (remote, how) = (
                    self.trace.remote(&layer).cloned(),
                    (self.export.compression, self.export.force_compression),
                );
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

    async fn put(
        &self,
        layer: Option<&LayerRef>,
        blob: &Descriptor,
        elsewhere: Option<&Location>,
    ) -> Result<PushOutcome, ExportFailure> {
        self.sender().put(layer, blob, elsewhere).await
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

/// What sending one layer needs.
struct Sender {
    store: Store,
    fetcher: Fetcher,
    storage: Arc<Storage>,
    progress: Progress,
}

impl Sender {
    async fn layer(
        self,
        layer: DiffId,
        remote: Option<Remote>,
        (compression, force): (Option<Compression>, bool),
    ) -> Result<(DiffId, Descriptor, PushOutcome), ExportFailure> {
        let here = self.store.layers().info(&layer)?.is_some();
        let (blob, elsewhere) = match &remote {
            Some(remote) if !here && !force => (remote.descriptor.clone(), location(remote)),
            Some(remote) if !here => {
                self.fetch(&layer, remote).await?;
                (self.compressed(&layer, compression, force).await?, location(remote))
            }
            other => (self.compressed(&layer, compression, force).await?, other.as_ref().and_then(location)),
        };
        let layer_ref = LayerRef { diff_id: layer.clone(), remote, created: None };
        let outcome = self.put(Some(&layer_ref), &blob, elsewhere.as_ref()).await?;
        Ok((layer, blob, outcome))
    }

    /// Brings a blob to the place; one that is nowhere near is fetched first.
    async fn put(
        &self,
        layer: Option<&LayerRef>,
        blob: &Descriptor,
        elsewhere: Option<&Location>,
    ) -> Result<PushOutcome, ExportFailure> {
        let source = BlobSource::file(self.store.blobs().path(blob.digest())?);
        match self.storage.put_blob(blob, &source, elsewhere).await {
            Err(error) if error.is_source() => {
                let Some(remote) = layer.and_then(|layer| layer.remote.as_ref()) else {
                    return Err(error.into());
                };
                if let Some(layer) = layer {
                    self.fetch(&layer.diff_id, remote).await?;
                }
                Ok(self.storage.put_blob(blob, &source, None).await?)
            }
            result => Ok(result?),
        }
    }

    async fn fetch(&self, layer: &DiffId, remote: &Remote) -> Result<(), FetchError> {
        let only = LayerRef { diff_id: layer.clone(), remote: Some(remote.clone()), created: None };
        self.fetcher.ensure_blobs(&Snapshot::new(vec![only]), &self.progress).await
    }

    /// The layer's blob as it is to travel: one that is there already, unless it is to be of another kind.
    async fn compressed(
        &self,
        layer: &DiffId,
        wanted: Option<Compression>,
        force: bool,
    ) -> Result<Descriptor, ExportFailure> {
        let (store, layer) = (self.store.clone(), layer.clone());
        let made = blocking(move || -> Result<Descriptor, StoreError> {
            let kinds = [MediaType::ImageLayerGzip, MediaType::ImageLayerZstd];
            match store.layers().blob(&layer)?.filter(|_| !force) {
                Some(blob) if kinds.contains(blob.media_type()) => Ok(blob),
                _ => Ok(store.layers().compressed(&layer, wanted.unwrap_or(Compression::Gzip))?),
            }
        });
        Ok(made.await.ok_or(ExportFailure::Lost)??)
    }
}

/// The place that a blob is in, if that is one of a registry's repositories or a shared cache.
fn location(remote: &Remote) -> Option<Location> {
    match &remote.origin {
        Origin::Image(reference) => {
            Some(Location::Registry { reference: reference.to_string(), insecure: false })
        }
        Origin::Shared(line) => Location::from_line(line),
    }
}
