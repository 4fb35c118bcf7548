//! The solver's side of shared caches: steps and memos that this store does not know are looked up in those that the
//! build imports, and what a build uses is noted for those that it exports.

use kiln_cache::{Key, Record};
use kiln_graph::{Vertex, VertexId};

use super::key::{self, StepKey};
use super::why;
use super::{Solve, outputs};
use crate::error::StepError;
use crate::snapshot::LayerRef;

/// The layer that a shared cache names for the step. What it says is kept in the store if the layer can be had, so that
/// the next build does not need the shared cache for it.
pub(super) async fn imported(
    solve: &Solve,
    (id, vertex): (VertexId, &Vertex),
    step_key: &StepKey,
) -> Result<Option<LayerRef>, StepError> {
    // What a command left in its mounts does not travel.
    if vertex.no_cache || outputs::has_any(vertex) {
        return Ok(None);
    }
    let known = Record {
        key: step_key.key,
        slot: step_key.slot,
        parts: step_key.parts.clone(),
        notes: why::notes::of(solve, vertex),
        layer: None,
        origin: None,
        created: jiff::Timestamp::UNIX_EPOCH,
        milliseconds: 0,
    };
    let Some((record, layer)) = solve.shared.take(&solve.store, known).await? else { return Ok(None) };
    solve.writeback.wrote(0);
    solve.why.hit((id, vertex), step_key, &record, true);
    Ok(Some(layer))
}

/// What a shared cache says that the step was made of before: what a miss is explained with where this store has seen no
/// build of it.
pub(super) fn earlier(solve: &Solve, step_key: &StepKey) -> Result<Option<Record>, StepError> {
    let Some(record) = solve.shared.latest(&step_key.slot, &step_key.parts) else { return Ok(None) };
    for memo in key::listings(record.parts.iter()) {
        if let Some(listing) = solve.shared.memo_now(&memo)
            && solve.store.records().memo(&memo)?.is_none()
        {
            solve.store.records().set_memo(&memo, listing)?;
        }
    }
    Ok(Some(record))
}

impl Solve {
    /// What is remembered under a key, here or in a shared cache.
    pub(super) async fn memo(&self, key: &Key) -> Result<Option<Vec<u8>>, StepError> {
        let records = self.store.records();
        if let Some(value) = records.memo(key)? {
            self.shared.used_memo(key, &value);
            return Ok(Some(value));
        }
        let Some(value) = self.shared.memo(key).await else { return Ok(None) };
        records.set_memo(key, &value)?;
        self.shared.used_memo(key, &value);
        Ok(Some(value))
    }

    /// Remembers bytes under a key.
    pub(super) fn set_memo(&self, key: &Key, value: &[u8]) -> Result<(), StepError> {
        self.store.records().set_memo(key, value)?;
        self.shared.used_memo(key, value);
        Ok(())
    }
}
