//! Exec vertices: what their mounts show, their keys, and their execution.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::time::Instant;

use kiln_graph::op::{CacheMount, CopyAction, CopySource, Exec, ExecMount, RootChanges};
use kiln_graph::{Vertex, VertexId};

use super::ask::{Asked, ask, keep};
use super::files::{remember_listings, selected};
use super::outputs::Outputs;
use super::vertex::{Failure, snapshot_input};
use super::{Solve, key, same_root};
use crate::content::select::Selection;
use crate::error::StepError;
use crate::snapshot::{LayerRef, Snapshot};
use crate::step::exec::{self, Command, CommandFailure, Ran};
use crate::step::mounts::{self, Layers, Sources};

/// Gives an Exec vertex its result.
pub(super) async fn run(
    solve: &Solve,
    id: VertexId,
    vertex: &Vertex,
    op: &Exec,
) -> Result<Snapshot, Failure> {
    let root = snapshot_input(solve, vertex, 0)?;
    let (mut digests, mut selections) = (Vec::new(), Vec::new());
    for (index, mount) in op.mounts.iter().enumerate() {
        let (digest, selection) = shown(solve, id, index, vertex, mount).await?;
        digests.push(digest);
        selections.push(selection);
    }
    let slot = solve.slot(&vertex.display.stage, &vertex.display.name);
    let step_key = key::exec(op, &digests, &root.identity(), slot);
    if !vertex.no_cache {
        same_root::adopt(solve, &step_key, &root).await?;
    }
    let outputs = Outputs::of(solve, id, vertex, op)?;
    // A result without its outputs is none.
    let lost = Vertex { no_cache: true, ..vertex.clone() };
    let asked_for = if outputs.are_lost(&step_key)? { &lost } else { vertex };
    let asked = match ask(solve, (id, asked_for), &step_key, &selections).await? {
        Asked::Hit(layer) => {
            outputs.recall(&step_key, &layer.diff_id)?;
            return Ok(result(op, &root, *layer));
        }
        Asked::Miss(miss) => miss,
    };
    remember_listings(solve, &selections)?;
    let command = command(solve, vertex, op, &root).await?;
    let step = Arc::new(asked.step);
    let waits_inside = command.slots.is_some();
    let running = exec::run(solve.store.clone(), command, Arc::clone(&step));
    let running = async {
        let began = Instant::now();
        let info = running.await.map_err(|CommandFailure { cause, log }| Failure { cause, log })?;
        Ok((info, began))
    };
    let outcome = if waits_inside {
        solve.work.execute_when_ready(running).await
    } else {
        solve.work.execute(running).await
    };
    let step = Arc::into_inner(step);
    match outcome {
        Ok((Ran { layer: info, outputs: left }, began)) => {
            // Before the layer: whoever finds that finds these.
            outputs.keep(&step_key, &info.diff_id, &left, began)?;
            let layer = keep(solve, (id, vertex), &step_key, &info, began)?;
            same_root::remember(solve, &step_key, &root)?;
            if let Some(step) = step {
                step.done();
            }
            Ok(result(op, &root, layer))
        }
        Err(Failure { cause, log }) => {
            if let Some(step) = step {
                step.failed(crate::text::chain(&cause));
            }
            Err(Failure { cause, log })
        }
    }
}

/// What a command on `root` that made `layer` results in.
fn result(op: &Exec, root: &Snapshot, layer: LayerRef) -> Snapshot {
    match op.rules.root {
        RootChanges::Kept => root.with(layer),
        RootChanges::Forgotten | RootChanges::Refused => root.clone(),
    }
}

/// Everything that the command needs, on this disk.
async fn command(solve: &Solve, vertex: &Vertex, op: &Exec, root: &Snapshot) -> Result<Command, StepError> {
    let trees = solve.fetcher.trees(root, &solve.progress).await?;
    let mut inputs = BTreeMap::new();
    for number in mounts::inputs(op) {
        let Entry::Vacant(missing) = inputs.entry(number) else { continue };
        let snapshot = snapshot_input(solve, vertex, number)?;
        let trees = solve.fetcher.trees(&snapshot, &solve.progress).await?;
        missing.insert(Layers { trees, diff_ids: snapshot.diff_ids() });
    }
    restore_caches(solve, op, &inputs).await?;
    let (host, credentials) = (Arc::clone(&solve.host), Arc::clone(&solve.credentials));
    let devices = Arc::clone(&solve.devices);
    // Others may hold its caches for long.
    let slots = mounts::may_wait(op).then(|| solve.work.slots());
    Ok(Command { op: op.clone(), trees, inputs, host, credentials, devices, slots })
}

/// Brings cache mounts that travel with a shared cache and are not here.
async fn restore_caches(solve: &Solve, op: &Exec, inputs: &BTreeMap<usize, Layers>) -> Result<(), StepError> {
    let names = {
        let (store, credentials) = (&solve.store, &solve.credentials);
        mounts::caches(op, &Sources { store, inputs, credentials, note: &|_| {} })?
    };
    solve.shared.restore(names, &solve.store, &solve.fetcher, &solve.progress).await;
    Ok(())
}

/// What a mount shows of an input, as a selection: that is what its content counts as.
async fn shown(
    solve: &Solve,
    id: VertexId,
    index: usize,
    vertex: &Vertex,
    mount: &ExecMount,
) -> Result<(Option<[u8; 32]>, Option<Selection>), StepError> {
    // What a cache begins with counts, or the step would go on finding what its first build found.
    let (ExecMount::Bind { input, source, .. }
    | ExecMount::Output { input, source, .. }
    | ExecMount::Cache(CacheMount { input: Some(input), source, .. })) = mount
    else {
        return Ok((None, None));
    };
    let copy = CopyAction {
        input: Some(*input),
        sources: vec![CopySource::Path(kiln_graph::pattern::literal(source))],
        destination: String::new(),
        owner: None,
        mode: None,
        excludes: Vec::new(),
        unpack: false,
        directories_themselves: true,
    };
    selected(solve, id, index, vertex, &copy).await
}
