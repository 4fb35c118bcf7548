//! Why the cache has no answer: an earlier result of the step is found and compared with what is asked for now.

use kiln_cache::{Key, Record, StoreError};
use kiln_graph::{Vertex, VertexId};

use super::below::{self, Cause};
use super::compare::{self, Made, differences, is_files};
use super::ledger::Ancestor;
use super::{Why, files, locked, notes, words};
use crate::account::{About, Change, Previous};
use crate::content::select::Selection;
use crate::error::{BuildError, StepError};
use crate::solve::key::{ROOT, StepKey};
use crate::solve::{Solve, shared};

/// An earlier result to compare with.
enum Earlier {
    None,
    Result(Box<Record>),
    /// It was there, and why it is no longer.
    Lost(String),
}

/// Why the cache has no answer.
pub(in crate::solve) struct Explanation {
    /// In one line.
    pub(in crate::solve) reason: String,
    pub(super) changes: Vec<Change>,
    pub(super) previous: Option<Previous>,
}

impl Why {
    /// Why the cache has no answer for this key.
    pub(in crate::solve) fn explain(
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
        if let Some(record) = shared::earlier(solve, key)? {
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

fn to_step(error: BuildError) -> StepError {
    match error {
        BuildError::Store(error) => StepError::Store(error),
        other => StepError::Plan { detail: other.to_string() },
    }
}
