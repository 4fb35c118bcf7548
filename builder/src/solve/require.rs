//! Which steps must be answered by the cache, and how work that may be executed is limited and stopped.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;

use kiln_graph::{Vertex, VertexId};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::Solve;
use super::vertex::Failure;
use crate::error::{BuildError, NotCached, StepError};

/// Which steps must be answered by the cache. One that is not ends the build, before anything of them is executed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum RequireCached {
    /// None: what is missing is executed.
    #[default]
    Nothing,
    /// All.
    Everything,
    /// Those of these stages, by their names as steps show them.
    Stages(BTreeSet<String>),
}

/// What is executed, as opposed to looked up.
pub(super) struct Work {
    require: RequireCached,
    /// One for each step that may be executed at a time. Looking up, waiting and fetching take none.
    slots: Arc<Semaphore>,
    /// Cancelled when a step would have to be executed that must not: from then on nothing is, but the look-ups go on.
    refused: CancellationToken,
}

impl Work {
    pub(super) fn new(require: RequireCached, slots: Arc<Semaphore>) -> Self {
        Self { require, slots, refused: CancellationToken::new() }
    }

    /// Whether the vertex must be answered by the cache.
    pub(super) fn requires(&self, vertex: &Vertex) -> bool {
        match &self.require {
            RequireCached::Nothing => false,
            RequireCached::Everything => true,
            RequireCached::Stages(stages) => stages.contains(&vertex.display.stage),
        }
    }

    /// Whether a step was refused that must not be executed.
    pub(super) fn has_refused(&self) -> bool {
        self.refused.is_cancelled()
    }

    /// Refuses a step.
    pub(super) fn refuse(&self) {
        self.refused.cancel();
    }

    /// Executes a step as soon as there is room for one more, unless there is nothing to be executed any more.
    pub(super) async fn execute<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let with_slot = async {
            let _slot = self.slots.acquire().await.map_err(|_| StepError::Cancelled)?;
            work.await
        };
        self.execute_when_ready(with_slot).await
    }

    /// Executes a step that takes a slot by itself once it has all it needs, unless there is nothing to be executed any more.
    pub(super) async fn execute_when_ready<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        tokio::select! {
            biased;
            () = self.refused.cancelled() => Err(StepError::Cancelled.into()),
            result = work => result,
        }
    }

    /// Where a step takes its slot.
    pub(super) fn slots(&self) -> Arc<Semaphore> {
        Arc::clone(&self.slots)
    }
}

impl Solve {
    /// The steps that must be cached and have no result, after all look-ups.
    pub(super) fn not_cached(&self, needed: impl Fn(VertexId) -> bool) -> BuildError {
        let missing = self.graph.iter().filter(|(id, vertex)| {
            needed(*id)
                && self.outcome(*id).is_none()
                && super::why::is_step(vertex)
                && self.work.requires(vertex)
        });
        let steps = missing
            .map(|(id, vertex)| NotCached { name: vertex.display.name.clone(), reason: self.why.reason(id) });
        BuildError::NotCached { steps: steps.collect() }
    }
}
