//! Why a step missed the cache, and the account of the whole build.
//!
//! Every miss is compared with an earlier result of the same step: the one that the last build of this Dockerfile had in its
//! place ([`lineage`]), or the one that was recorded last for the same instruction. [`compare`] tells what differs in the
//! keys, [`listing`] which files, [`below`] what it is built on. All that the vertices report is kept, and becomes the
//! [`BuildAccount`]. Nothing here decides whether anything is executed.

mod below;
mod compare;
mod explain;
mod files;
mod ledger;
mod lineage;
mod listing;
pub(super) mod notes;
mod words;

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use jiff::Timestamp;
use kiln_cache::{DiffId, Key, Record};
use kiln_graph::op::Op;
use kiln_graph::{Vertex, VertexId};

use self::below::Cause;
pub(super) use self::explain::Explanation;
use self::ledger::Ancestor;
use super::key::StepKey;
use crate::account::{BuildAccount, StepAccount, StepOutcome};

/// How many changes of a step the account keeps; the others are counted.
const MOST_CHANGES: usize = 1000;

/// What is found out in the course of a build.
pub(super) struct Why {
    begun: Timestamp,
    began: Instant,
    /// The last build of the same Dockerfile, read when it is first asked for.
    last: OnceLock<Option<BuildAccount>>,
    /// For each vertex, the key of the step that it was in the last build.
    was: OnceLock<Vec<Option<Ancestor>>>,
    known: Vec<OnceLock<Known>>,
    steps: Mutex<HashMap<VertexId, StepAccount>>,
    causes: Mutex<HashMap<(VertexId, Key), Cause>>,
    /// Results of this very build: one of them is no earlier build of another step that reads the same.
    own: Mutex<HashSet<Key>>,
}

/// A vertex whose result is there.
pub(super) struct Known {
    key: StepKey,
    layer: DiffId,
    executed: bool,
}

impl Why {
    /// Nothing found out yet, for that many vertices.
    pub(super) fn new(vertices: usize) -> Self {
        Self {
            begun: Timestamp::now(),
            began: Instant::now(),
            last: OnceLock::new(),
            was: OnceLock::new(),
            known: (0..vertices).map(|_| OnceLock::new()).collect(),
            steps: Mutex::default(),
            causes: Mutex::default(),
            own: Mutex::default(),
        }
    }

    fn known(&self, id: VertexId) -> Option<&Known> {
        self.known.get(id.index())?.get()
    }

    /// Why the vertex missed, in one line.
    pub(super) fn reason(&self, id: VertexId) -> Option<String> {
        locked(&self.steps).get(&id).and_then(|step| step.reason.clone())
    }

    fn cause_of(&self, id: VertexId, key: Key) -> Option<Cause> {
        locked(&self.causes).get(&(id, key)).cloned()
    }

    fn remember_cause(&self, id: VertexId, key: Key, cause: &Cause) {
        locked(&self.causes).insert((id, key), cause.clone());
    }

    /// The cache answered: with a result of this store, or of a shared cache.
    pub(super) fn hit(&self, vertex: (VertexId, &Vertex), key: &StepKey, record: &Record, imported: bool) {
        let (id, vertex) = vertex;
        let outcome = if imported { StepOutcome::Imported } else { StepOutcome::Cached };
        let account = StepAccount {
            created: Some(record.created),
            milliseconds: Some(record.milliseconds),
            layer: record.layer.clone(),
            ..begun(vertex, outcome, key.key)
        };
        locked(&self.steps).insert(id, account);
        self.result(id, key, record.layer.as_ref(), false);
    }

    /// How large the layer is that the cache answered with, uncompressed.
    pub(super) fn sized(&self, id: VertexId, size: u64) {
        if let Some(step) = locked(&self.steps).get_mut(&id) {
            step.size = Some(size);
        }
    }

    /// The cache had no answer, for these reasons.
    pub(super) fn missed(
        &self,
        vertex: (VertexId, &Vertex),
        key: &StepKey,
        explained: Explanation,
        refused: bool,
    ) {
        let (id, vertex) = vertex;
        let Explanation { reason, mut changes, previous } = explained;
        let more_changes = changes.len().saturating_sub(MOST_CHANGES);
        changes.truncate(MOST_CHANGES);
        let outcome = if refused { StepOutcome::Refused } else { StepOutcome::Failed };
        let last = previous.as_ref().map(|previous| previous.key);
        let reason = Some(reason);
        let account =
            StepAccount { reason, changes, more_changes, previous, last, ..begun(vertex, outcome, key.key) };
        locked(&self.steps).insert(id, account);
    }

    /// The step was executed and has a result.
    pub(super) fn made(&self, id: VertexId, key: &StepKey, record: &Record, size: u64) {
        if let Some(step) = locked(&self.steps).get_mut(&id) {
            step.outcome = StepOutcome::Executed;
            step.created = Some(record.created);
            step.milliseconds = Some(record.milliseconds);
            step.layer.clone_from(&record.layer);
            step.size = Some(size);
            step.last = Some(record.key);
        }
        self.result(id, key, record.layer.as_ref(), true);
    }

    fn result(&self, id: VertexId, key: &StepKey, layer: Option<&DiffId>, executed: bool) {
        locked(&self.own).insert(key.key);
        if let (Some(place), Some(layer)) = (self.known.get(id.index()), layer) {
            // A vertex has one result.
            drop(place.set(Known { key: key.clone(), layer: layer.clone(), executed }));
        }
    }
}

/// A vertex with a key of its own.
pub(super) fn is_step(vertex: &Vertex) -> bool {
    matches!(vertex.op, Op::Exec(_) | Op::File(_) | Op::Diff)
}

fn begun(vertex: &Vertex, outcome: StepOutcome, key: Key) -> StepAccount {
    StepAccount { outcome, key: Some(key), last: Some(key), ..not_reached(vertex) }
}

fn not_reached(vertex: &Vertex) -> StepAccount {
    StepAccount {
        name: vertex.display.name.clone(),
        stage: vertex.display.stage.clone(),
        outcome: StepOutcome::NotReached,
        milliseconds: None,
        created: None,
        layer: None,
        size: None,
        reason: None,
        key: None,
        changes: Vec::new(),
        more_changes: 0,
        previous: None,
        last: None,
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
