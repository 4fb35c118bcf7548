//! Shared caches from the outside: opening them for a build, and what they did for it.

use std::collections::BTreeSet;
use std::sync::Arc;

use kiln_graph::image::ImageConfig;
use kiln_registry::StorageError;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use super::import::{INLINE, Imported};
use super::{CacheExport, CacheImportReport, CachePlace, CacheTarget, Inner, OpenPlace, SharedCaches};
use crate::event::Progress;

impl crate::Builder {
    /// Opens the shared caches of a build and begins to read those that are imported.
    ///
    /// A place that cannot even be opened is an error: what was written is wrong.
    pub fn shared_caches(
        &self,
        imports: &[CachePlace],
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
            places.push(OpenPlace { line: import.location.to_line().into(), storage });
        }
        let inner = Arc::new(Inner {
            imports: places,
            exports,
            platform: platform.to_owned(),
            imported: OnceCell::new(),
            over: CancellationToken::new(),
            progress: progress.clone(),
        });
        let reading = Arc::clone(&inner);
        tokio::spawn(async move {
            reading.imported().await;
        });
        let guard = Arc::new(inner.over.clone().drop_guard());
        Ok(SharedCaches { inner: Some(inner), state: Arc::default(), _reading: Some(guard) })
    }

    /// What the imports did so far.
    pub fn import_report(&self, caches: &SharedCaches) -> Vec<CacheImportReport> {
        let Some(inner) = &caches.inner else { return Vec::new() };
        let Some(imported) = inner.imported.get() else { return Vec::new() };
        let state = caches.state();
        let hits = |number| state.hits.get(&number).map_or(0, BTreeSet::len);
        let report = |(number, (place, import)): (usize, (&OpenPlace, &Imported))| CacheImportReport {
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
        let document = self.state().trace.to_document(false);
        // Its own bytes are always JSON.
        if let Ok(value) = serde_json::from_slice(&document.to_bytes()) {
            config.other.insert(INLINE.to_owned(), value);
        }
    }
}
