//! One vertex: its key, the cache's answer, and its execution when there is none.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use kiln_cache::{DiffId, Forms, KeyLock, LayerInfo, Record, View};
use kiln_graph::op::{CopyAction, CopySource, Exec, FileAction, FileOp, Op, Source};
use kiln_graph::{Vertex, VertexId};

use super::key::{self, StepKey};
use super::{Outcome, Solve, explain};
use crate::content::Tree;
use crate::content::select::Selection;
use crate::content::snapshot::SnapshotTree;
use crate::error::{BuildError, StepError};
use crate::event::Step;
use crate::fetch::Fetcher;
use crate::snapshot::{LayerRef, Snapshot};
use crate::step::exec::{self, CommandFailure};
use crate::step::file::{self, FileError};
use crate::task::blocking;

/// Why a step that ran has no layer.
struct Failure {
    cause: StepError,
    log: Vec<Vec<u8>>,
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
        Op::Source(source) => self::source(solve, id, source).await.map_err(Failure::from),
        Op::Exec(op) => run_exec(solve, vertex, op).await.map(Outcome::Snapshot),
        Op::File(op) => run_file(solve, id, vertex, op).await.map(Outcome::Snapshot),
    };
    result.map_err(|failure| BuildError::Step {
        name: vertex.display.name.clone(),
        location: vertex.display.location.clone(),
        log: failure.log,
        cause: Box::new(failure.cause),
    })
}

async fn source(solve: &Solve, id: VertexId, source: &Source) -> Result<Outcome, StepError> {
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
    }
}

async fn run_exec(solve: &Solve, vertex: &Vertex, op: &Exec) -> Result<Snapshot, Failure> {
    let root = snapshot_input(solve, vertex, 0)?;
    let slot = key::slot(&solve.project, &vertex.display.stage, &vertex.display.name);
    let step_key = key::exec(op, &solve.platform, &root.identity(), slot);
    let asked = match ask(solve, vertex, &step_key, &[]).await? {
        Asked::Hit(layer) => return Ok(root.with(*layer)),
        Asked::Miss(miss) => miss,
    };
    let trees = solve.fetcher.trees(&root, &solve.progress).await?;
    let step = Arc::new(asked.step);
    let began = Instant::now();
    let outcome = exec::run(solve.store.clone(), op, trees, Arc::clone(&solve.host), Arc::clone(&step)).await;
    let step = Arc::into_inner(step);
    match outcome {
        Ok(info) => {
            let layer = keep(solve, &step_key, &info, began)?;
            if let Some(step) = step {
                step.done();
            }
            Ok(root.with(layer))
        }
        Err(CommandFailure { cause, log }) => {
            if let Some(step) = step {
                step.failed(crate::text::chain(&cause));
            }
            Err(Failure { cause, log })
        }
    }
}

async fn run_file(solve: &Solve, id: VertexId, vertex: &Vertex, op: &FileOp) -> Result<Snapshot, Failure> {
    let root = snapshot_input(solve, vertex, 0)?;
    let mut digests = Vec::with_capacity(op.actions.len());
    let mut selections = Vec::with_capacity(op.actions.len());
    for (index, action) in op.actions.iter().enumerate() {
        let (digest, selection) = match action {
            FileAction::Copy(copy) => selected(solve, id, index, vertex, copy).await?,
            FileAction::Mkdir { .. } => (None, None),
        };
        digests.push(digest);
        selections.push(selection);
    }
    let slot = key::slot(&solve.project, &vertex.display.stage, &vertex.display.name);
    let step_key = key::file(op, &digests, &root.identity(), slot);
    let asked = match ask(solve, vertex, &step_key, &selections).await? {
        Asked::Hit(layer) => return Ok(root.with(*layer)),
        Asked::Miss(miss) => miss,
    };
    remember_listings(solve, &selections)?;
    let began = Instant::now();
    match write_file(solve, id, vertex, op, &root, selections).await {
        Ok(info) => {
            let layer = keep(solve, &step_key, &info, began)?;
            asked.step.done();
            Ok(root.with(layer))
        }
        Err(cause) => {
            asked.step.failed(crate::text::chain(&cause));
            Err(cause.into())
        }
    }
}

/// Executes a file step. Its tree is only written if another vertex reads it.
async fn write_file(
    solve: &Solve,
    id: VertexId,
    vertex: &Vertex,
    op: &FileOp,
    root: &Snapshot,
    selections: Vec<Option<Selection>>,
) -> Result<LayerInfo, StepError> {
    let base = View::new(&solve.fetcher.trees(root, &solve.progress).await?)?;
    let mut trees: Vec<Option<Arc<dyn Tree>>> = vec![None; vertex.inputs.len()];
    for action in &op.actions {
        if let FileAction::Copy(CopyAction { input: Some(number), .. }) = action
            && trees.get(*number).is_some_and(Option::is_none)
        {
            trees[*number] = Some(tree_input(solve, vertex, *number).await?);
        }
    }
    let is_read = solve.is_read.get(id.index()).copied().unwrap_or(true);
    let forms = Forms { tree: is_read, tar: !is_read };
    let (store, op) = (solve.store.clone(), op.clone());
    let written = blocking(move || {
        let trees: Vec<Option<&dyn Tree>> =
            trees.iter().map(|tree| tree.as_ref().map(AsRef::as_ref)).collect();
        file::execute(&store, &op, &base, &trees, selections, forms)
    });
    Ok(written.await.ok_or(StepError::Lost)??)
}

/// What a copy takes: its digest, and the selection itself unless the digest was remembered.
async fn selected(
    solve: &Solve,
    id: VertexId,
    index: usize,
    vertex: &Vertex,
    copy: &CopyAction,
) -> Result<(Option<[u8; 32]>, Option<Selection>), StepError> {
    let Some(number) = copy.input else { return Ok((None, None)) };
    if !copy.sources.iter().any(|source| matches!(source, CopySource::Path(_))) {
        return Ok((None, None));
    }
    if let Some(prefetched) = solve.prefetched.take(id, index).await {
        let selection = prefetched.map_err(FileError::from)?;
        return Ok((selection.as_ref().map(|selection| selection.digest), selection));
    }
    let memo = match input(solve, vertex, number)? {
        Outcome::Snapshot(snapshot) => Some(key::selection_memo(copy, &snapshot.identity())),
        Outcome::Context(_) => None,
    };
    if let Some(memo) = memo
        && let Some(digest) = solve.store.records().memo(&memo)?
        && let Ok(digest) = <[u8; 32]>::try_from(digest.as_slice())
    {
        return Ok((Some(digest), None));
    }
    let tree = tree_input(solve, vertex, number).await?;
    let action = copy.clone();
    let selection = blocking(move || file::selection(&action, tree.as_ref())).await.ok_or(StepError::Lost)?;
    let selection = selection.map_err(FileError::from)?;
    if let (Some(memo), Some(selection)) = (memo, &selection) {
        solve.store.records().set_memo(&memo, &selection.digest)?;
    }
    Ok((selection.as_ref().map(|selection| selection.digest), selection))
}

/// Keeps what was selected in readable form, so that a later miss can say which file changed.
fn remember_listings(solve: &Solve, selections: &[Option<Selection>]) -> Result<(), StepError> {
    for selection in selections.iter().flatten() {
        let memo = key::listing_memo(&key::hex(selection.digest));
        if solve.store.records().memo(&memo)?.is_none() {
            solve.store.records().set_memo(&memo, &selection.listing)?;
        }
    }
    Ok(())
}

/// The cache's answer.
enum Asked {
    /// The layer is known.
    Hit(Box<LayerRef>),
    /// It has to be made. The lock keeps other builds from making it too.
    Miss(Miss),
}

struct Miss {
    step: Step,
    /// Held until the record is written.
    _lock: KeyLock,
}

async fn ask(
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
        let after = selections.iter().flatten().find(|selection| key::hex(selection.digest) == after)?;
        explain::files(&before, &after.listing)
    }))
}

/// Records what a step made.
fn keep(solve: &Solve, step_key: &StepKey, info: &LayerInfo, began: Instant) -> Result<LayerRef, StepError> {
    let created = jiff::Timestamp::now();
    let record = Record {
        key: step_key.key,
        slot: step_key.slot,
        parts: step_key.parts.clone(),
        layer: Some(info.diff_id.clone()),
        created,
        milliseconds: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
    };
    solve.store.records().put(&record)?;
    solve.executed.store(true, Ordering::Relaxed);
    Ok(layer_ref(info.diff_id.clone(), created))
}

fn layer_ref(diff_id: DiffId, created: jiff::Timestamp) -> LayerRef {
    LayerRef { diff_id, remote: None, created: Some(created.to_string()) }
}

fn input(solve: &Solve, vertex: &Vertex, number: usize) -> Result<Outcome, StepError> {
    let id = vertex.inputs.get(number).copied();
    id.and_then(|id| solve.outcome(id)).ok_or_else(|| malformed(format!("input {number} has no result")))
}

fn snapshot_input(solve: &Solve, vertex: &Vertex, number: usize) -> Result<Snapshot, StepError> {
    match input(solve, vertex, number)? {
        Outcome::Snapshot(snapshot) => Ok(snapshot),
        Outcome::Context(_) => Err(malformed(format!("input {number} is a context, not a file system"))),
    }
}

async fn tree_input(solve: &Solve, vertex: &Vertex, number: usize) -> Result<Arc<dyn Tree>, StepError> {
    match input(solve, vertex, number)? {
        Outcome::Context(context) => Ok(context),
        Outcome::Snapshot(snapshot) => {
            let trees: Vec<PathBuf> = solve.fetcher.trees(&snapshot, &solve.progress).await?;
            Ok(Arc::new(SnapshotTree::new(View::new(&trees)?)))
        }
    }
}

fn malformed(detail: String) -> StepError {
    StepError::Plan { detail }
}
