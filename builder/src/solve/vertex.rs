//! One vertex: its key, the cache's answer, and its execution when there is none.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use kiln_cache::{DiffId, KeyLock, LayerInfo, Record, View};
use kiln_graph::op::{Op, Source};
use kiln_graph::{Vertex, VertexId};

use super::key::{self, StepKey};
use super::{Outcome, Solve, command, explain, files};
use crate::content::Tree;
use crate::content::select::Selection;
use crate::content::snapshot::SnapshotTree;
use crate::error::{BuildError, StepError};
use crate::event::Step;
use crate::fetch::Fetcher;
use crate::snapshot::{LayerRef, Snapshot};
use crate::source;
use crate::task::blocking;

/// Why a step that ran has no layer.
pub(super) struct Failure {
    pub(super) cause: StepError,
    pub(super) log: Vec<Vec<u8>>,
}

impl<E: Into<StepError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { cause: error.into(), log: Vec::new() }
    }
}

/// Gives the vertex its result.
pub(super) async fn execute(solve: &Solve, id: VertexId) -> Result<Outcome, BuildError> {
    let vertex =
        solve.graph.get(id).ok_or_else(|| BuildError::Plan { detail: "a vertex is missing".to_owned() })?;
    let result = match &vertex.op {
        Op::Source(source) => self::source(solve, id, vertex, source).await.map_err(Failure::from),
        Op::Exec(op) => command::run(solve, id, vertex, op).await.map(Outcome::Snapshot),
        Op::File(op) => files::run(solve, id, vertex, op).await.map(Outcome::Snapshot),
    };
    result.map_err(|failure| BuildError::Step {
        name: vertex.display.name.clone(),
        location: vertex.display.location.clone(),
        log: failure.log,
        cause: Box::new(failure.cause),
    })
}

async fn source(solve: &Solve, id: VertexId, vertex: &Vertex, source: &Source) -> Result<Outcome, StepError> {
    let (store, progress, name) = (&solve.store, &solve.progress, &vertex.display.name);
    match source {
        Source::Scratch => Ok(Outcome::Snapshot(Snapshot::default())),
        Source::Context { name, .. } => {
            let context = solve.contexts.get(&id).cloned();
            context.map(Outcome::Context).ok_or_else(|| malformed(format!("context `{name}` was not opened")))
        }
        Source::Image { reference, platform, .. } => {
            let record = match solve.bases.get(reference, platform) {
                Some(record) => record,
                None => solve.fetcher.image(reference, platform, false, &solve.progress).await?,
            };
            Ok(Outcome::Snapshot(Fetcher::snapshot(&record)?))
        }
        Source::Layout { image, platform } => {
            let record = match solve.bases.in_layout(image, platform) {
                Some(record) => record,
                None => solve.fetcher.layout(image, platform, &solve.progress).await?,
            };
            Ok(Outcome::Snapshot(Fetcher::snapshot(&record)?))
        }
        Source::Http(http) => {
            let loaded = source::http::load(store, solve.fetcher.client(), http, name, progress).await?;
            Ok(loaded_layer(solve, loaded))
        }
        Source::Git(git) => {
            let agent = solve.credentials.agents.get(source::git::SSH_AGENT).map(PathBuf::as_path);
            let loaded = source::git::load(store, git, agent, name, progress).await?;
            Ok(loaded_layer(solve, loaded))
        }
    }
}

/// Takes what only an OCI layout has of a result into the store.
pub(super) async fn take_from_layouts(
    solve: &Solve,
    target: VertexId,
    snapshot: &Snapshot,
) -> Result<(), BuildError> {
    let taken = solve.fetcher.take_from_layouts(snapshot, &solve.progress).await;
    taken.map_err(|error| {
        let display = solve.graph.get(target).map(|vertex| vertex.display.clone()).unwrap_or_default();
        let (name, location, log) = (display.name, display.location, Vec::new());
        BuildError::Step { name, location, log, cause: Box::new(error.into()) }
    })
}

/// A source's layer; a new one is to outlive a crash as one of a step is.
fn loaded_layer(solve: &Solve, (layer, is_new): (Snapshot, bool)) -> Outcome {
    if is_new {
        solve.writeback.wrote(0);
    }
    Outcome::Snapshot(layer)
}

/// The cache's answer.
pub(super) enum Asked {
    /// The layer is known.
    Hit(Box<LayerRef>),
    /// It has to be made. The lock keeps other builds from making it too.
    Miss(Miss),
}

pub(super) struct Miss {
    pub(super) step: Step,
    /// Held until the record is written.
    _lock: KeyLock,
}

pub(super) async fn ask(
    solve: &Solve,
    vertex: &Vertex,
    step_key: &StepKey,
    selections: &[Option<Selection>],
) -> Result<Asked, StepError> {
    let known = || if vertex.no_cache { Ok(None) } else { recorded(solve, step_key) };
    if let Some(layer) = known()? {
        solve.progress.step(&vertex.display.name).cached();
        return Ok(Asked::Hit(Box::new(layer)));
    }
    let step = solve.progress.step(&vertex.display.name);
    let lock = if let Some(lock) = solve.store.try_lock(&step_key.key)? {
        lock
    } else {
        step.note("waiting for another build that executes the same step");
        let (store, key) = (solve.store.clone(), step_key.key);
        blocking(move || store.lock(&key)).await.ok_or(StepError::Lost)??
    };
    // Between the first look and the lock another build may have finished the step.
    if let Some(layer) = known()? {
        step.cached();
        return Ok(Asked::Hit(Box::new(layer)));
    }
    step.missed(reason(solve, vertex, step_key, selections)?);
    Ok(Asked::Miss(Miss { step, _lock: lock }))
}

/// The layer that a record names, if the store still has it.
fn recorded(solve: &Solve, step_key: &StepKey) -> Result<Option<LayerRef>, StepError> {
    let Some(record) = solve.store.records().get(&step_key.key)? else { return Ok(None) };
    let Some(diff_id) = record.layer else { return Ok(None) };
    if solve.store.layers().info(&diff_id)?.is_none() {
        return Ok(None);
    }
    Ok(Some(layer_ref(diff_id, record.created)))
}

fn reason(
    solve: &Solve,
    vertex: &Vertex,
    step_key: &StepKey,
    selections: &[Option<Selection>],
) -> Result<String, StepError> {
    if vertex.no_cache {
        return Ok("the cache was not to be used".to_owned());
    }
    let Some(old) = solve.store.records().latest(&step_key.slot)? else {
        return Ok("no earlier build of this step".to_owned());
    };
    if old.key == step_key.key {
        return Ok("its layer is no longer in the store".to_owned());
    }
    Ok(explain::miss(&old.parts, &step_key.parts, |before, after| {
        // A listing that is gone makes the explanation shorter, nothing else.
        let before = solve.store.records().memo(&key::listing_memo(before)).ok().flatten()?;
        let selected = selections.iter().flatten().find(|selection| key::hex(selection.digest) == after);
        let after = match selected.and_then(|selection| selection.listing.clone()) {
            Some(listing) => listing,
            None => solve.store.records().memo(&key::listing_memo(after)).ok().flatten()?,
        };
        explain::files(&before, &after)
    }))
}

/// Records what a step made.
pub(super) fn keep(
    solve: &Solve,
    step_key: &StepKey,
    info: &LayerInfo,
    began: Instant,
) -> Result<LayerRef, StepError> {
    let created = jiff::Timestamp::now();
    let record = Record {
        key: step_key.key,
        slot: step_key.slot,
        parts: step_key.parts.clone(),
        notes: Vec::new(),
        layer: Some(info.diff_id.clone()),
        created,
        origin: None,
        milliseconds: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
    };
    solve.store.records().put(&record)?;
    solve.writeback.wrote(info.size);
    Ok(layer_ref(info.diff_id.clone(), created))
}

fn layer_ref(diff_id: DiffId, created: jiff::Timestamp) -> LayerRef {
    LayerRef { diff_id, remote: None, created: Some(created.to_string()) }
}

pub(super) fn input(solve: &Solve, vertex: &Vertex, number: usize) -> Result<Outcome, StepError> {
    let id = vertex.inputs.get(number).copied();
    id.and_then(|id| solve.outcome(id)).ok_or_else(|| malformed(format!("input {number} has no result")))
}

pub(super) fn snapshot_input(solve: &Solve, vertex: &Vertex, number: usize) -> Result<Snapshot, StepError> {
    match input(solve, vertex, number)? {
        Outcome::Snapshot(snapshot) => Ok(snapshot),
        Outcome::Context(_) => Err(malformed(format!("input {number} is a context, not a file system"))),
    }
}

pub(super) async fn tree_input(
    solve: &Solve,
    vertex: &Vertex,
    number: usize,
) -> Result<Arc<dyn Tree>, StepError> {
    match input(solve, vertex, number)? {
        Outcome::Context(context) => Ok(context),
        Outcome::Snapshot(snapshot) => {
            let trees: Vec<PathBuf> = solve.fetcher.trees(&snapshot, &solve.progress).await?;
            Ok(Arc::new(SnapshotTree::new(View::new(&trees)?)))
        }
    }
}

pub(super) fn malformed(detail: String) -> StepError {
    StepError::Plan { detail }
}
