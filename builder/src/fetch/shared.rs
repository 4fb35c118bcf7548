//! Layers of shared caches: fetched when something needs them, and only believed once they were unpacked in memory.
//!
//! A registry's image was made by whoever is trusted with the whole image; a shared cache claims, layer by layer, that a
//! blob is the result of a step. So a blob becomes a form of a layer only after its tar was seen to have the layer's diff
//! id: what is not the layer is an error at once, and never a file in anybody's image.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;
use kiln_cache::{DiffId, KeyBuilder, Store};
use kiln_registry::{Descriptor, Location, Storage, StorageError};

use super::{FetchError, Fetcher, short};
use crate::event::{Progress, Step};
use crate::task::blocking;

/// Shared caches by the line of their location.
#[derive(Debug, Default)]
pub(super) struct SharedPlaces {
    open: DashMap<String, Arc<Storage>>,
    /// Bytes of layers that came from each.
    fetched: DashMap<String, Arc<AtomicU64>>,
}

impl Fetcher {
    /// Lets layers be fetched from a place that is open already.
    pub(crate) fn know(&self, storage: &Arc<Storage>) {
        self.shared.open.insert(storage.location().to_line(), Arc::clone(storage));
    }

    /// Bytes of layers that came from this place.
    pub(crate) fn fetched_from(&self, location: &Location) -> u64 {
        self.shared.fetched.get(&location.to_line()).map_or(0, |bytes| bytes.load(Ordering::Relaxed))
    }

    /// One layer of a shared cache, once.
    pub(super) async fn shared_layer(
        &self,
        diff_id: &DiffId,
        place: &str,
        blob: &Descriptor,
        progress: &Progress,
    ) -> Result<(), FetchError> {
        let cell = self.flights.cell(blob.digest());
        let result =
            cell.get_or_try_init(|| self.shared_download(diff_id, place, blob, progress)).await.copied();
        self.flights.landed(blob.digest());
        result?;
        if self.store.layers().info(diff_id)?.is_none() {
            // The blob was here already, or another layer's flight brought it.
            self.register(diff_id, place, blob).await?;
        }
        Ok(())
    }

    /// The place, opened if it is not yet: what the store remembers of it has no credentials.
    fn shared_place(&self, diff_id: &DiffId, place: &str) -> Result<Arc<Storage>, FetchError> {
        if let Some(storage) = self.shared.open.get(place) {
            return Ok(Arc::clone(&storage));
        }
        let unknown = || FetchError::UnknownPlace { diff_id: diff_id.clone(), place: place.to_owned() };
        let location = Location::from_line(place).ok_or_else(unknown)?;
        let storage = self.client.storage(&location, None).map_err(|source| FetchError::Shared {
            diff_id: diff_id.clone(),
            place: Box::new(location.clone()),
            source: Box::new(source),
        })?;
        let storage = Arc::new(storage);
        self.know(&storage);
        Ok(storage)
    }

    async fn shared_download(
        &self,
        diff_id: &DiffId,
        place: &str,
        blob: &Descriptor,
        progress: &Progress,
    ) -> Result<(), FetchError> {
        let digest = blob.digest();
        let (store, key) =
            (self.store.clone(), KeyBuilder::new("fetch").part("digest", digest.to_string()).finish().0);
        let lock = blocking(move || store.lock(&key)).await.ok_or(FetchError::Lost)??;
        if self.store.blobs().contains(digest)? {
            return Ok(());
        }
        let storage = self.shared_place(diff_id, place)?;
        let shown = storage.location().to_string();
        let step = progress.step(format!("[internal] fetch {shown} {}", short(digest)));
        let failed = |source: StorageError| FetchError::Shared {
            diff_id: diff_id.clone(),
            place: Box::new(storage.location().clone()),
            source: Box::new(source),
        };
        let result = self.bring(&storage, blob, &step, failed).await;
        drop(lock);
        match result {
            Ok(()) => {
                let count = self.shared.fetched.entry(place.to_owned()).or_default().clone();
                count.fetch_add(blob.size(), Ordering::Relaxed);
                step.done();
                Ok(())
            }
            Err(error) => {
                step.failed(crate::text::chain(&error));
                Err(error)
            }
        }
    }

    async fn bring(
        &self,
        storage: &Storage,
        blob: &Descriptor,
        step: &Step,
        failed: impl Fn(StorageError) -> FetchError,
    ) -> Result<(), FetchError> {
        let digest = blob.digest();
        let (mut reader, mut writer) = (storage.blob(blob), self.store.blobs().writer()?);
        let (mut done, total) = (0_u64, blob.size());
        while let Some(chunk) = reader.chunk().await.map_err(&failed)? {
            let written = writer.write_all(&chunk);
            written.map_err(|source| FetchError::Write { digest: digest.clone(), source })?;
            done += chunk.len() as u64;
            step.progress(short(digest), done, Some(total));
        }
        writer.finish(Some((digest, total)))?;
        Ok(())
    }

    /// Lets the blob be a form of the layer, if it is that layer.
    async fn register(&self, diff_id: &DiffId, place: &str, blob: &Descriptor) -> Result<(), FetchError> {
        let (store, id, descriptor) = (self.store.clone(), diff_id.clone(), blob.clone());
        let is_layer = blocking(move || holds(&store, &id, &descriptor)).await.ok_or(FetchError::Lost)??;
        if is_layer {
            return Ok(self.store.layers().register_blob(diff_id, blob)?);
        }
        let place = Location::from_line(place).map_or_else(|| place.to_owned(), |place| place.to_string());
        Err(FetchError::NotTheLayer { diff_id: diff_id.clone(), digest: blob.digest().clone(), place })
    }
}

/// Whether the blob, unpacked, is the layer.
fn holds(store: &Store, diff_id: &DiffId, blob: &Descriptor) -> Result<bool, kiln_cache::StoreError> {
    Ok(store.layers().is_form(diff_id, blob.digest())?)
}
