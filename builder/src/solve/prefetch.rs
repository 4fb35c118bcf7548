//! Selecting from contexts before it is asked for.
//!
//! What a COPY takes from a context depends on nothing that is built, so walking and hashing the context goes
//! on while bases are pulled and other steps run.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use kiln_graph::op::{FileAction, Op};
use kiln_graph::{Graph, VertexId};
use tokio::sync::oneshot;

use crate::content::context::Context;
use crate::content::select::{SelectError, Selection};
use crate::event::Progress;
use crate::step::file::selection;

/// The answer for one copy: `None` when all its sources stand in the graph.
type Selected = Result<Option<Selection>, SelectError>;

/// A copy: its vertex and the number of the action in it.
type Slot = (VertexId, usize);

/// Selections that are being made.
#[derive(Default)]
pub(super) struct Prefetched {
    waiting: Mutex<HashMap<Slot, oneshot::Receiver<Selected>>>,
}

impl Prefetched {
    /// Begins with every copy that takes files from a context, in the order of the graph.
    pub(super) fn begin(
        graph: &Graph,
        contexts: &HashMap<VertexId, Arc<Context>>,
        progress: &Progress,
    ) -> Self {
        let mut work = Vec::new();
        let mut waiting = HashMap::new();
        for (id, vertex) in graph.iter() {
            let Op::File(op) = &vertex.op else { continue };
            for (index, action) in op.actions.iter().enumerate() {
                let FileAction::Copy(copy) = action else { continue };
                let input = copy.input.and_then(|input| vertex.inputs.get(input));
                let Some(context) = input.and_then(|input| contexts.get(input)) else { continue };
                let (sender, receiver) = oneshot::channel();
                waiting.insert((id, index), receiver);
                work.push((copy.clone(), Arc::clone(context), sender));
            }
        }
        if !work.is_empty() {
            let step = progress.step("[internal] load build context");
            tokio::task::spawn_blocking(move || {
                for (copy, context, sender) in work {
                    // A receiver that is gone belongs to a build that has ended: nobody asks for the rest.
                    if sender.is_closed() || sender.send(selection(&copy, context.as_ref())).is_err() {
                        return;
                    }
                }
                step.done();
            });
        }
        Self { waiting: Mutex::new(waiting) }
    }

    /// The selection of a copy, when it is ready; `None` if it was never begun, was taken before, or the
    /// selecting thread is gone.
    pub(super) async fn take(&self, id: VertexId, action: usize) -> Option<Selected> {
        let receiver = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&(id, action))?;
        receiver.await.ok()
    }
}
