//! One vertex: who gives it its result, and the results of its inputs.

use std::path::PathBuf;
use std::sync::Arc;

use kiln_cache::View;
use kiln_graph::op::{Op, Source};
use kiln_graph::{Vertex, VertexId, redact};

use super::{Outcome, Solve, command, files, layered, outputs};
use crate::content::Tree;
use crate::content::snapshot::SnapshotTree;
use crate::error::{BuildError, StepError};
use crate::fetch::Fetcher;
use crate::provenance::Material;
use crate::snapshot::Snapshot;
use crate::source::{self, Kept};

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
        Op::Merge => layered::merge(solve, vertex).map(Outcome::Snapshot).map_err(Failure::from),
        Op::After => layered::after(solve, vertex).map(Outcome::Snapshot).map_err(Failure::from),
        Op::Diff => layered::diff(solve, id, vertex).await.map(Outcome::Snapshot),
        Op::Output(mount) => {
            outputs::left(solve, vertex, *mount).map(Outcome::Snapshot).map_err(Failure::from)
        }
    };
    result.map_err(|failure| BuildError::Step {
        vertex: id,
        name: vertex.display.name.clone(),
        location: vertex.display.location.clone(),
        log: failure.log,
        cause: Box::new(failure.cause),
    })
}

async fn source(solve: &Solve, id: VertexId, vertex: &Vertex, source: &Source) -> Result<Outcome, StepError> {
    let (store, progress, name) = (&solve.store, &solve.progress, &vertex.display.name);
    let kept = Kept { store, shared: &solve.shared };
    match source {
        Source::Scratch => Ok(Outcome::Snapshot(Snapshot::default())),
        Source::Context { name, .. } => {
            let context = solve.contexts.get(&id).cloned();
            context.map(Outcome::Context).ok_or_else(|| malformed(format!("context `{name}` was not opened")))
        }
        Source::Image { reference, platform, .. } => {
            let record = if let Some(record) = solve.bases.get(reference, platform) {
                record
            } else {
                let record = solve.fetcher.image(reference, platform, false, &solve.progress).await?;
                solve.bases.found(reference, platform, &record);
                record
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
            let loaded = source::http::load(kept, solve.fetcher.client(), http, name, progress).await?;
            if let Some(digest) = source::http::digest(kept, http).await? {
                solve.bases.fetched(Material::of_digest(redact(&http.url), &digest));
            }
            Ok(loaded_layer(solve, loaded))
        }
        Source::Git(git) => {
            let access = source::git::Access::of(&solve.credentials, git, store)?;
            let (commit, loaded) = source::git::load_named(kept, git, &access, name, progress).await?;
            solve.bases.fetched(Material::of_commit(Material::uri_of(git), &commit));
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
        BuildError::Step { vertex: target, name, location, log, cause: Box::new(error.into()) }
    })
}

/// A source's layer; a new one is to outlive a crash as one of a step is.
fn loaded_layer(solve: &Solve, (layer, is_new): (Snapshot, bool)) -> Outcome {
    if is_new {
        solve.writeback.wrote(0);
    }
    Outcome::Snapshot(layer)
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
