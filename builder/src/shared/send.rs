//! One layer on its way to a shared cache.
//!
//! What the place has is not sent, what another repository of the same registry has is mounted, and only what is nowhere
//! near is fetched first. What was damaged in the store is made or fetched again. The export calls this, several times at once.

use std::sync::Arc;

use kiln_cache::{Compression, DiffId, Store, StoreError};
use kiln_registry::{BlobSource, Descriptor, Location, MediaType, PushOutcome, Storage};

use super::export::ExportFailure;
use crate::event::Progress;
use crate::fetch::{FetchError, Fetcher};
use crate::snapshot::{LayerRef, Origin, Remote, Snapshot};
use crate::task::blocking;

/// What sending one layer needs.
pub(super) struct Sender {
    pub(super) store: Store,
    pub(super) fetcher: Fetcher,
    pub(super) storage: Arc<Storage>,
    pub(super) progress: Progress,
}

impl Sender {
    pub(super) async fn layer(
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
        match self.put(Some(&layer_ref), &blob, elsewhere.as_ref()).await {
            // Not the bytes that they should be: those of the store, if so, are had again.
            Err(ExportFailure::Storage(error)) if error.is_of_one_blob() => {
                if !self.drop_damaged(&layer).await? {
                    return Err(error.into());
                }
                if let Some(remote) = &layer_ref.remote {
                    self.fetch(&layer, remote).await?;
                }
                let blob = self.compressed(&layer, compression, force).await?;
                let outcome = self.put(Some(&layer_ref), &blob, None).await?;
                Ok((layer, blob, outcome))
            }
            outcome => Ok((layer, blob, outcome?)),
        }
    }

    async fn drop_damaged(&self, layer: &DiffId) -> Result<bool, ExportFailure> {
        let (layers, layer) = (self.store.layers(), layer.clone());
        Ok(blocking(move || layers.drop_damaged(&layer)).await.ok_or(ExportFailure::Lost)??)
    }

    /// Brings a blob to the place; one that is nowhere near is fetched first.
    pub(super) async fn put(
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
        self.fetcher.ensure_tars(&Snapshot::new(vec![only]), &self.progress).await
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
