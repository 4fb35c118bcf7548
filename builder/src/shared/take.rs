//! Taking what a shared cache knows of a key into the store.

use kiln_cache::{DiffId, LayerError, Record, Store, StoreError};

use super::SharedCaches;
use crate::snapshot::{LayerRef, Remote};

impl SharedCaches {
    /// The record that an import has under the key of `known`, which says what is known of it without the result; and its
    /// layer. It is kept in the store if the layer can be had, so that the next build does not need the import for it.
    pub(crate) async fn take(
        &self,
        store: &Store,
        known: Record,
    ) -> Result<Option<(Record, LayerRef)>, StoreError> {
        let has = |layer: &DiffId| Ok::<_, LayerError>(store.layers().info(layer)?.is_some());
        let Some(found) = self.find(&known.key, has).await? else { return Ok(None) };
        let here = has(&found.record.layer)?;
        let record = Record {
            layer: Some(found.record.layer.clone()),
            origin: found.origin.clone(),
            created: found.record.created,
            milliseconds: found.record.milliseconds,
            ..known
        };
        if here || found.origin.is_some() {
            store.records().put(&record)?;
        }
        let remote = found.origin.as_ref().filter(|_| !here).map(Remote::shared);
        let created = Some(record.created.to_string());
        let layer = LayerRef { diff_id: found.record.layer, remote, created };
        self.used(&record, &layer);
        Ok(Some((record, layer)))
    }
}
