//! The account of a build: put together at its end from what the vertices reported, and read at its beginning to find what
//! each step was in the last one.

use std::collections::HashSet;

use kiln_cache::{Key, StoreError};
use kiln_graph::{Vertex, VertexId};

use super::lineage::{self, Written};
use super::{Why, is_step, locked, not_reached};
use crate::account::{BuildAccount, StepAccount, Trace, instruction};
use crate::error::BuildError;
use crate::solve::Solve;

/// How many steps of stages that a build did not need its account goes on to remember.
const MOST_ELSEWHERE: usize = 500;

/// What a step was in the last build.
#[derive(Clone, Copy)]
pub(super) struct Ancestor {
    pub(super) key: Key,
    /// Whether it had the same words.
    pub(super) same_words: bool,
}

impl Why {
    /// The account of the build as it is now.
    pub(in crate::solve) fn account(
        &self,
        solve: &Solve,
        succeeded: bool,
    ) -> Result<BuildAccount, BuildError> {
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
            platform: solve.platform.clone(),
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
        let last = if solve.project.is_empty() {
            None
        } else {
            BuildAccount::load_for(&solve.store, &solve.project, &solve.platform)?
        };
        Ok(self.last.get_or_init(|| last).as_ref())
    }

    /// What the vertex was in the last build.
    pub(super) fn ancestor(&self, solve: &Solve, id: VertexId) -> Result<Option<Ancestor>, BuildError> {
        if let Some(was) = self.was.get() {
            return Ok(was.get(id.index()).copied().flatten());
        }
        let was = match self.last(solve)? {
            Some(last) => ancestors(solve, &traces(last)),
            None => Vec::new(),
        };
        Ok(self.was.get_or_init(|| was).get(id.index()).copied().flatten())
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
