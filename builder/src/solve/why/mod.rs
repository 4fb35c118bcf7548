//! Why a step missed the cache, and the account of the whole build.
//!
//! Every miss is compared with an earlier result of the same step: the one that the last build of this Dockerfile had in its
//! place ([`lineage`]), or the one that was recorded last for the same instruction. [`compare`] tells what differs in the
//! keys, [`listing`] which files, [`below`] what it is built on. All that the vertices report is kept, and becomes the
//! [`BuildAccount`]. Nothing here decides whether anything is executed.

mod below;
mod compare;
mod files;
mod lineage;
mod listing;
pub(super) mod notes;
mod words;

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use jiff::Timestamp;
use kiln_cache::{DiffId, Key, Record, StoreError};
use kiln_graph::op::Op;
use kiln_graph::{Vertex, VertexId};

use self::below::Cause;
use self::compare::{Made, differences, is_files};
use self::lineage::Written;
use super::Solve;
use super::key::{ROOT, StepKey};
use crate::account::{About, BuildAccount, Change, Previous, StepAccount, StepOutcome, Trace, instruction};
use crate::content::select::Selection;
use crate::error::{BuildError, StepError};

/// How many changes of a step the account keeps; the others are counted.
const MOST_CHANGES: usize = 1000;

/// How many steps of stages that a build did not need its account goes on to remember.
const MOST_ELSEWHERE: usize = 500;

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

/// What a step was in the last build.
#[derive(Clone, Copy)]
struct Ancestor {
    key: Key,
    /// Whether it had the same words.
    same_words: bool,
}

/// An earlier result to compare with.
enum Earlier {
    None,
    Result(Box<Record>),
    /// It was there, and why it is no longer.
    Lost(String),
}

/// Why the cache has no answer.
pub(super) struct Explanation {
    /// In one line.
    pub(super) reason: String,
    changes: Vec<Change>,
    previous: Option<Previous>,
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

    /// The account of the build as it is now.
    pub(super) fn account(&self, solve: &Solve, succeeded: bool) -> Result<BuildAccount, BuildError> {
        let mut found = std::mem::take(&mut *locked(&self.steps));
        let mut steps = Vec::with_capacity(found.len());
        for (id, vertex) in solve.graph.iter().filter(|(_, vertex)| is_step(vertex)) {
            let step = match found.remove(&id) {
                Some(mut step) => {
                    if step.size.is_none()
                        && let Some(layer) = &step.layer
                    {
                        let info = solve.store.layers().info(layer).map_err(StoreError::from)?;
                        step.size = info.map(|info| info.size);
                    }
                    if step.last.is_none() {
                        step.last = self.ancestor(solve, id)?.map(|ancestor| ancestor.key);
                    }
                    step
                }
                None => StepAccount {
                    last: self.ancestor(solve, id)?.map(|ancestor| ancestor.key),
                    ..not_reached(vertex)
                },
            };
            steps.push(step);
        }
        Ok(BuildAccount {
            project: kiln_graph::redact(&solve.project),
            began: self.begun,
            milliseconds: u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX),
            succeeded,
            elsewhere: self.elsewhere(solve, &steps)?,
            steps,
        })
    }

    /// What is known of stages that this build does not need: the next one may.
    fn elsewhere(&self, solve: &Solve, steps: &[StepAccount]) -> Result<Vec<Trace>, BuildError> {
        let stages: HashSet<&str> = steps.iter().map(|step| step.stage.as_str()).collect();
        let traces = self.last(solve)?.map(traces).unwrap_or_default();
        let others = traces.into_iter().filter(|trace| !stages.contains(trace.stage.as_str()));
        Ok(others.take(MOST_ELSEWHERE).collect())
    }

    fn last(&self, solve: &Solve) -> Result<Option<&BuildAccount>, BuildError> {
        if let Some(last) = self.last.get() {
            return Ok(last.as_ref());
        }
        let last =
            if solve.project.is_empty() { None } else { BuildAccount::load(&solve.store, &solve.project)? };
        Ok(self.last.get_or_init(|| last).as_ref())
    }

    /// What the vertex was in the last build.
    fn ancestor(&self, solve: &Solve, id: VertexId) -> Result<Option<Ancestor>, BuildError> {
        if let Some(was) = self.was.get() {
            return Ok(was.get(id.index()).copied().flatten());
        }
        let was = match self.last(solve)? {
            Some(last) => ancestors(solve, &traces(last)),
            None => Vec::new(),
        };
        Ok(self.was.get_or_init(|| was).get(id.index()).copied().flatten())
    }

    /// Why the cache has no answer for this key.
    pub(super) fn explain(
        &self,
        solve: &Solve,
        vertex: (VertexId, &Vertex),
        key: &StepKey,
        selections: &[Option<Selection>],
    ) -> Result<Explanation, StepError> {
        let said = |reason: String| Explanation { reason, changes: Vec::new(), previous: None };
        match self.earlier(solve, vertex.0, key)? {
            Earlier::Result(old) => {
                let previous =
                    Previous { key: old.key, created: old.created, milliseconds: old.milliseconds };
                let changes = if old.key == key.key {
                    Vec::new()
                } else {
                    changes(solve, vertex, &old, key, selections)?
                };
                let texts: Vec<&str> = changes.iter().map(|change| change.text.as_str()).collect();
                let reason = match old.key == key.key {
                    _ if vertex.1.no_cache => "--no-cache".to_owned(),
                    true => "its layer is no longer in the store".to_owned(),
                    false => words::line(&texts, 0),
                };
                Ok(Explanation { reason, changes, previous: Some(previous) })
            }
            _ if vertex.1.no_cache => Ok(said("--no-cache".to_owned())),
            Earlier::None => Ok(said("no earlier build of this step".to_owned())),
            Earlier::Lost(reason) => Ok(said(reason)),
        }
    }

    fn earlier(&self, solve: &Solve, id: VertexId, key: &StepKey) -> Result<Earlier, StepError> {
        let records = solve.store.records();
        let ancestor = self.ancestor(solve, id).map_err(to_step)?;
        let recorded = records.latest_key(&key.slot).map_err(StoreError::from)?;
        let recorded = recorded.filter(|latest| !locked(&self.own).contains(latest));
        let (same, edited) = match ancestor {
            Some(Ancestor { key, same_words: true }) => (Some(key), None),
            Some(Ancestor { key, same_words: false }) => (None, Some(key)),
            None => (None, None),
        };
        let candidates = [Some(key.key), same, recorded, edited];
        for candidate in candidates.into_iter().flatten() {
            if let Some(record) = records.get(&candidate).map_err(StoreError::from)? {
                return Ok(Earlier::Result(Box::new(record)));
            }
        }
        if let Some(record) = super::shared::earlier(solve, key)? {
            return Ok(Earlier::Result(Box::new(record)));
        }
        let gone: Vec<Key> = candidates[1..].iter().flatten().copied().chain([key.slot]).collect();
        if let Some(reason) = notes::evicted(solve, key.key, &gone)? {
            return Ok(Earlier::Lost(reason));
        }
        let lost = "its earlier result is no longer recorded: what changed cannot be told";
        Ok(if gone.len() > 1 { Earlier::Lost(lost.to_owned()) } else { Earlier::None })
    }
}

/// What differs between an earlier result and this key.
fn changes(
    solve: &Solve,
    vertex: (VertexId, &Vertex),
    old: &Record,
    key: &StepKey,
    selections: &[Option<Selection>],
) -> Result<Vec<Change>, StepError> {
    let noted = notes::of(solve, vertex.1);
    let (before, after) =
        (Made { parts: &old.parts, notes: &old.notes }, Made { parts: &key.parts, notes: &noted });
    let mut changes = compare::settings(before, after);
    let differing = differences(before.parts, after.parts);
    for difference in differing.iter().filter(|difference| is_files(difference.name)) {
        changes.extend(files::changed(solve, vertex.1, difference, (before, after), selections)?);
    }
    if differing.iter().any(|difference| difference.name == ROOT) {
        match below::cause(solve, vertex.1, old)? {
            Cause::Change(change) => changes.push(*change),
            Cause::Same | Cause::Unknown if changes.is_empty() => changes.push(Change {
                about: About::Base,
                subject: "root".to_owned(),
                before: None,
                after: None,
                text: "what it is built on changed".to_owned(),
            }),
            Cause::Same | Cause::Unknown => {}
        }
    }
    changes.sort_by_key(|change| change.about);
    Ok(changes)
}

/// A vertex with a key of its own.
pub(super) fn is_step(vertex: &Vertex) -> bool {
    matches!(vertex.op, Op::Exec(_) | Op::File(_))
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

/// All that an account knows of where results are.
fn traces(account: &BuildAccount) -> Vec<Trace> {
    let steps = account.steps.iter().filter_map(|step| {
        let (stage, instruction) = (step.stage.clone(), step.instruction().to_owned());
        Some(Trace { stage, instruction, last: step.last? })
    });
    steps.chain(account.elsewhere.iter().cloned()).collect()
}

fn ancestors(solve: &Solve, traces: &[Trace]) -> Vec<Option<Ancestor>> {
    let old: Vec<Written<'_>> =
        traces.iter().map(|trace| Written { stage: &trace.stage, instruction: &trace.instruction }).collect();
    let steps: Vec<(VertexId, &Vertex)> = solve.graph.iter().filter(|(_, vertex)| is_step(vertex)).collect();
    let written = |vertex: &'_ Vertex| instruction(&vertex.display.name).to_owned();
    let texts: Vec<String> = steps.iter().map(|(_, vertex)| written(vertex)).collect();
    let new: Vec<Written<'_>> = steps
        .iter()
        .zip(&texts)
        .map(|((_, vertex), instruction)| Written { stage: &vertex.display.stage, instruction })
        .collect();
    let mut was = vec![None; solve.graph.len()];
    for (((id, _), new), old_number) in steps.iter().zip(&new).zip(lineage::align(&old, &new)) {
        let Some(number) = old_number else { continue };
        let same_words = old[number].instruction == new.instruction;
        was[id.index()] = Some(Ancestor { key: traces[number].last, same_words });
    }
    was
}

fn to_step(error: BuildError) -> StepError {
    match error {
        BuildError::Store(error) => StepError::Store(error),
        other => StepError::Plan { detail: other.to_string() },
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
