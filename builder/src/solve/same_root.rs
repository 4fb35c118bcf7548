//! A command whose root is byte for byte what it was, though its layers are others: two copies in place of one, a file that a
//! later layer hides.
//!
//! The key holds the root's chain of layers, so such a step misses. Before it is executed, its last record is looked at: if
//! nothing but the chain differs, and the two chains make the same tree, the record's result is recorded for the new chain,
//! too. Only what lies in the layers that the chains do not share is compared, and only if all of it is on this disk.
//! Called for commands by [`super::command`].

use std::path::PathBuf;

use kiln_cache::{DiffId, Part, Record, StoreError, is_same_tree};

use super::Solve;
use super::key::{self, ROOT, StepKey};
use crate::error::StepError;
use crate::snapshot::Snapshot;
use crate::task::blocking;

/// Makes the last record of the step answer for its key, if the root is the same.
pub(super) async fn adopt(solve: &Solve, step_key: &StepKey, root: &Snapshot) -> Result<(), StepError> {
    let records = solve.store.records();
    let Some(old) = records.latest(&step_key.slot).map_err(StoreError::from)? else { return Ok(()) };
    if old.key == step_key.key || !differ_in_root_alone(&old.parts, &step_key.parts) {
        return Ok(());
    }
    if old.layer.is_none() || records.get(&step_key.key).map_err(StoreError::from)?.is_some() {
        return Ok(());
    }
    let Some(before) = remembered(solve, &old)? else { return Ok(()) };
    let (Some(before), Some(after)) = (trees(solve, &before)?, trees(solve, &root.diff_ids())?) else {
        return Ok(());
    };
    let same = blocking(move || is_same_tree(&before, &after)).await.ok_or(StepError::Lost)?;
    if same.map_err(StoreError::from)? {
        let record = Record { key: step_key.key, parts: step_key.parts.clone(), ..old };
        records.put(&record).map_err(StoreError::from)?;
        remember(solve, step_key, root)?;
    }
    Ok(())
}

/// Remembers the chain behind a key, of which the key holds the digest alone.
pub(super) fn remember(solve: &Solve, step_key: &StepKey, root: &Snapshot) -> Result<(), StepError> {
    let Some(part) = step_key.parts.iter().find(|part| part.name == ROOT) else { return Ok(()) };
    let memo = key::chain_memo(&part.value);
    let records = solve.store.records();
    if records.memo(&memo).map_err(StoreError::from)?.is_none() {
        let chain: Vec<String> = root.diff_ids().iter().map(DiffId::to_string).collect();
        records.set_memo(&memo, chain.join("\n").as_bytes()).map_err(StoreError::from)?;
    }
    Ok(())
}

fn differ_in_root_alone(old: &[Part], new: &[Part]) -> bool {
    old.len() == new.len()
        && old.iter().zip(new).all(|(old, new)| old == new || (old.name == ROOT && new.name == ROOT))
}

fn remembered(solve: &Solve, old: &Record) -> Result<Option<Vec<DiffId>>, StepError> {
    let Some(part) = old.parts.iter().find(|part| part.name == ROOT) else { return Ok(None) };
    let memo = solve.store.records().memo(&key::chain_memo(&part.value)).map_err(StoreError::from)?;
    let text = memo.and_then(|bytes| String::from_utf8(bytes).ok());
    Ok(text.and_then(|text| text.lines().map(|line| line.parse().ok()).collect()))
}

/// The trees of a chain if they can be had without a download.
fn trees(solve: &Solve, chain: &[DiffId]) -> Result<Option<Vec<PathBuf>>, StepError> {
    let layers = solve.store.layers();
    for layer in chain {
        if layers.info(layer).map_err(StoreError::from)?.is_none() {
            return Ok(None);
        }
    }
    Ok(Some(layers.ensure_trees(chain).map_err(StoreError::from)?))
}
