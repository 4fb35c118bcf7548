//! Asking the cache for a step's result, and recording one that was made.
//!
//! A step is asked for under its key; where there is no answer, the key is locked until the result is recorded, so that no
//! other build, of this process or another, executes the same step at the same time. Called by the executors.

use std::time::Instant;

use kiln_cache::{DiffId, KeyLock, LayerInfo, LockHolder, Record, StoreError};
use kiln_graph::{Vertex, VertexId};
use tokio::sync::oneshot;

use super::Solve;
use super::files::remember_listings;
use super::key::StepKey;
use super::shared;
use super::why::{Explanation, notes};
use crate::content::select::Selection;
use crate::error::StepError;
use crate::event::Step;
use crate::snapshot::LayerRef;

/// The cache's answer.
pub(super) enum Asked {
    /// The layer is known.
    Hit(Box<LayerRef>),
    /// It has to be made. The lock keeps other builds from making it too.
    Miss(Miss),
}

/// A step that has to be executed.
pub(super) struct Miss {
    pub(super) step: Step,
    /// Held until the record is written.
    _lock: KeyLock,
}

/// Asks for the result of a vertex.
pub(super) async fn ask(
    solve: &Solve,
    (id, vertex): (VertexId, &Vertex),
    step_key: &StepKey,
    selections: &[Option<Selection>],
) -> Result<Asked, StepError> {
    let known = || if vertex.no_cache { Ok(None) } else { recorded(solve, (id, vertex), step_key) };
    if let Some(layer) = known()? {
        solve.progress.step(&vertex.display.name).cached();
        return Ok(Asked::Hit(Box::new(layer)));
    }
    if let Some(layer) = shared::imported(solve, (id, vertex), step_key).await? {
        solve.progress.step(&vertex.display.name).cached();
        return Ok(Asked::Hit(Box::new(layer)));
    }
    let explain = || solve.why.explain(solve, (id, vertex), step_key, selections);
    if solve.work.requires(vertex) {
        // The next build may know the digests without having read the files.
        remember_listings(solve, selections)?;
        return Err(refuse(solve, (id, vertex), step_key, explain()?));
    }
    if solve.work.has_refused() {
        return Err(StepError::Cancelled);
    }
    let step = solve.progress.step(&vertex.display.name);
    let what = format!("{}\n{}", vertex.display.name, kiln_graph::redact(&solve.project));
    let lock = locked(solve, step_key, &step, &what).await?;
    // Between the first look and the lock another build may have finished the step.
    if let Some(layer) = known()? {
        step.cached();
        return Ok(Asked::Hit(Box::new(layer)));
    }
    let explained = explain()?;
    step.missed(explained.reason.clone());
    solve.why.missed((id, vertex), step_key, explained, false);
    Ok(Asked::Miss(Miss { step, _lock: lock }))
}

/// The error that stands for a step that would have to be executed.
fn refuse(
    solve: &Solve,
    vertex: (VertexId, &Vertex),
    step_key: &StepKey,
    explained: Explanation,
) -> StepError {
    solve.work.refuse();
    let step = solve.progress.step(&vertex.1.display.name);
    step.missed(explained.reason.clone());
    let reason = explained.reason.clone();
    solve.why.missed(vertex, step_key, explained, true);
    step.failed("not cached, and not to be executed");
    StepError::NotCached { reason }
}

/// The lock on a step's key, with a note for those who will wait for it.
async fn locked(solve: &Solve, step_key: &StepKey, step: &Step, what: &str) -> Result<KeyLock, StepError> {
    let mut lock = if let Some(lock) = solve.store.try_lock(&step_key.key)? {
        lock
    } else {
        step.note(waiting_for(solve.store.lock_holder(&step_key.key)?));
        let (store, key) = (solve.store.clone(), step_key.key);
        let (sender, receiver) = oneshot::channel();
        // A thread of its own: however many steps wait for others, those that run must find threads to work on.
        let waiting = std::thread::Builder::new().spawn(move || drop(sender.send(store.lock(&key))));
        waiting.map_err(|_| StepError::Lost)?;
        receiver.await.map_err(|_| StepError::Lost)??
    };
    lock.announce(what);
    Ok(lock)
}

/// On whom a step waits, in one line.
fn waiting_for(holder: Option<LockHolder>) -> String {
    // Between taking a lock and saying so there is a moment.
    let Some(LockHolder { pid, since, what }) = holder else {
        return "waiting for another build that executes the same step".to_owned();
    };
    let (name, project) = what.split_once('\n').unwrap_or((&what, ""));
    if pid == std::process::id() {
        return format!("waiting for {name} of this build, which is the same step");
    }
    let of = if project.is_empty() { String::new() } else { format!(" (kiln build of {project})") };
    let since = since.strftime("%H:%M:%S UTC");
    format!("waiting for process {pid}{of}, which has been executing the same step since {since}")
}

/// The layer that a record names, if the store still has it or knows where it can be had.
fn recorded(
    solve: &Solve,
    vertex: (VertexId, &Vertex),
    step_key: &StepKey,
) -> Result<Option<LayerRef>, StepError> {
    let Some(record) = solve.store.records().get(&step_key.key)? else { return Ok(None) };
    let Some(diff_id) = record.layer.clone() else { return Ok(None) };
    let info = solve.store.layers().info(&diff_id)?;
    let remote = match &info {
        Some(_) => None,
        None => match solve.shared.remote_of(&record) {
            Some(remote) => Some(remote),
            None => return Ok(None),
        },
    };
    let layer = LayerRef { remote, ..layer_ref(diff_id, record.created) };
    solve.why.hit(vertex, step_key, &record, false);
    if let Some(info) = info {
        solve.why.sized(vertex.0, info.size);
    }
    solve.shared.used(&record, &layer);
    Ok(Some(layer))
}

/// Records what a step made.
pub(super) fn keep(
    solve: &Solve,
    (id, vertex): (VertexId, &Vertex),
    step_key: &StepKey,
    info: &LayerInfo,
    began: Instant,
) -> Result<LayerRef, StepError> {
    let created = jiff::Timestamp::now();
    let record = Record {
        key: step_key.key,
        slot: step_key.slot,
        parts: step_key.parts.clone(),
        notes: notes::of(solve, vertex),
        layer: Some(info.diff_id.clone()),
        created,
        origin: None,
        milliseconds: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
    };
    solve.store.records().put(&record).map_err(StoreError::from)?;
    solve.why.made(id, step_key, &record, info.size);
    solve.writeback.wrote(info.size);
    let layer = layer_ref(info.diff_id.clone(), created);
    solve.shared.used(&record, &layer);
    Ok(layer)
}

pub(super) fn layer_ref(diff_id: DiffId, created: jiff::Timestamp) -> LayerRef {
    LayerRef { diff_id, remote: None, created: Some(created.to_string()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_waiting_step_says_on_whom() {
        let since: jiff::Timestamp = "2026-11-22T12:50:03Z".parse().unwrap_or_default();
        let holder = |pid, what: &str| Some(LockHolder { pid, since, what: what.to_owned() });
        assert_eq!(
            waiting_for(holder(1, "[2/3] RUN make\n/src/Dockerfile")),
            "waiting for process 1 (kiln build of /src/Dockerfile), which has been executing the same step since \
             12:50:03 UTC"
        );
        assert_eq!(
            waiting_for(holder(std::process::id(), "[a 2/3] RUN make\n/src/Dockerfile")),
            "waiting for [a 2/3] RUN make of this build, which is the same step"
        );
        assert_eq!(waiting_for(None), "waiting for another build that executes the same step");
    }
}
