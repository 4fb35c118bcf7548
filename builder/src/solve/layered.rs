//! Merges and differences: results that are made of the layers of others.
//!
//! A merge is a longer chain and costs nothing; neither does what only waits for others. A difference is the upper end of a chain where the lower one is its lower end;
//! otherwise the two trees are compared and what differs is one layer, recorded as a step's is.

use std::time::Instant;

use kiln_cache::{Forms, View};
use kiln_graph::{Vertex, VertexId};

use super::ask::{Asked, ask, keep};
use super::vertex::{Failure, malformed, snapshot_input};
use super::{Solve, key};
use crate::error::StepError;
use crate::snapshot::Snapshot;
use crate::step::diff;
use crate::task::blocking;

/// All inputs' layers on top of one another.
pub(super) fn merge(solve: &Solve, vertex: &Vertex) -> Result<Snapshot, StepError> {
    if vertex.inputs.is_empty() {
        return Err(malformed("a merge has no input".to_owned()));
    }
    let mut layers = Vec::new();
    for number in 0..vertex.inputs.len() {
        layers.extend_from_slice(snapshot_input(solve, vertex, number)?.layers());
    }
    solve.progress.step(&vertex.display.name).done();
    Ok(Snapshot::new(layers))
}

/// Input 0. That the vertex is executed means that all others are there.
pub(super) fn after(solve: &Solve, vertex: &Vertex) -> Result<Snapshot, StepError> {
    let result = snapshot_input(solve, vertex, 0)?;
    solve.progress.step(&vertex.display.name).done();
    Ok(result)
}

/// What leads from input 0 to input 1.
pub(super) async fn diff(solve: &Solve, id: VertexId, vertex: &Vertex) -> Result<Snapshot, Failure> {
    let lower = snapshot_input(solve, vertex, 0)?;
    let upper = snapshot_input(solve, vertex, 1)?;
    if let Some(rest) = upper.diff_ids().strip_prefix(lower.diff_ids().as_slice()) {
        solve.progress.step(&vertex.display.name).done();
        return Ok(Snapshot::new(upper.layers()[upper.layers().len() - rest.len()..].to_vec()));
    }
    let slot = solve.slot(&vertex.display.stage, &vertex.display.name);
    let step_key = key::changes::difference(&lower.identity(), &upper.identity(), slot);
    let asked = match ask(solve, (id, vertex), &step_key, &[]).await? {
        Asked::Hit(layer) => return Ok(Snapshot::new(vec![*layer])),
        Asked::Miss(miss) => miss,
    };
    let comparing = async {
        let began = Instant::now();
        let lower = View::new(&solve.fetcher.trees(&lower, &solve.progress).await?)?;
        let upper = View::new(&solve.fetcher.trees(&upper, &solve.progress).await?)?;
        let is_read = solve.is_read.get(id.index()).copied().unwrap_or(true);
        let (store, forms) = (solve.store.clone(), Forms { tree: is_read, tar: !is_read });
        let written = blocking(move || diff::write(&store, &lower, &upper, forms)).await;
        let info = written.ok_or(StepError::Lost)??;
        Ok((info, began))
    };
    match solve.work.execute(comparing).await {
        Ok((info, began)) => {
            let layer = keep(solve, (id, vertex), &step_key, &info, began)?;
            asked.step.done();
            Ok(Snapshot::new(vec![layer]))
        }
        Err(failure) => {
            asked.step.failed(crate::text::chain(&failure.cause));
            Err(failure)
        }
    }
}
