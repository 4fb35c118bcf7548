//! Which vertex may run when: a state machine without threads, clocks or files.
//!
//! The solver feeds it what happened and does what it answers. Rules: a vertex starts when all its inputs are done, lower
//! ids first; vertices that the target does not need never start; the first failure stops everything that runs and starts
//! nothing more; a vertex that is refused stops nothing but what needs it. How many commands run at once is not decided
//! here: a vertex that only looks something up, or waits, must not keep others from running.

use std::collections::BTreeSet;

use kiln_graph::{Graph, VertexId};

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Happened {
    /// A vertex has its result.
    Finished(VertexId),
    /// A vertex has none and never will.
    Failed(VertexId),
    /// A vertex has none because it must not be executed.
    Refused(VertexId),
}

/// What is to be done now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Start these, in this order.
    Start(Vec<VertexId>),
    /// Stop whatever runs: the build has failed.
    Cancel,
    /// The target is done.
    Complete,
}

/// State of one solve.
#[derive(Debug)]
pub(crate) struct Scheduler {
    target: VertexId,
    /// Inputs that are not done yet, for each needed vertex; `None` where the vertex is not needed.
    waiting_for: Vec<Option<usize>>,
    consumers: Vec<Vec<VertexId>>,
    ready: BTreeSet<VertexId>,
    failed: bool,
}

impl Scheduler {
    /// A scheduler for what `target` needs, and the vertices that start at once.
    pub(crate) fn new(graph: &Graph, target: VertexId) -> (Self, Effect) {
        let mut scheduler = Self {
            target,
            waiting_for: vec![None; graph.len()],
            consumers: vec![Vec::new(); graph.len()],
            ready: BTreeSet::new(),
            failed: false,
        };
        scheduler.need(graph);
        let start = scheduler.start_ready();
        (scheduler, start)
    }

    /// Marks what the target needs, walking from the target down to the sources.
    fn need(&mut self, graph: &Graph) {
        let mut stack = vec![self.target];
        while let Some(id) = stack.pop() {
            let Some(vertex) = graph.get(id) else { continue };
            if self.waiting_for[id.index()].is_some() {
                continue;
            }
            let inputs: BTreeSet<VertexId> = vertex.inputs.iter().copied().collect();
            self.waiting_for[id.index()] = Some(inputs.len());
            if inputs.is_empty() {
                self.ready.insert(id);
            }
            for input in inputs {
                self.consumers[input.index()].push(id);
                stack.push(input);
            }
        }
    }

    /// Takes in what happened and says what to do.
    pub(crate) fn step(&mut self, happened: Happened) -> Effect {
        match happened {
            Happened::Failed(_) => {
                self.ready.clear();
                self.failed = true;
                Effect::Cancel
            }
            Happened::Refused(_) => Effect::Start(Vec::new()),
            Happened::Finished(id) => {
                if self.failed {
                    return Effect::Start(Vec::new());
                }
                if id == self.target {
                    return Effect::Complete;
                }
                for consumer in std::mem::take(&mut self.consumers[id.index()]) {
                    if let Some(count) = &mut self.waiting_for[consumer.index()] {
                        *count -= 1;
                        if *count == 0 {
                            self.ready.insert(consumer);
                        }
                    }
                }
                self.start_ready()
            }
        }
    }

    fn start_ready(&mut self) -> Effect {
        Effect::Start(std::mem::take(&mut self.ready).into_iter().collect())
    }

    /// Whether the target needs the vertex.
    pub(crate) fn needs(&self, id: VertexId) -> bool {
        self.waiting_for.get(id.index()).is_some_and(Option::is_some)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use kiln_graph::op::{Op, Source};
    use kiln_graph::{Display, Vertex};

    /// A graph of toy vertices, each given by its inputs.
    fn graph(inputs: &[&[u32]]) -> Graph {
        let mut graph = Graph::new();
        for inputs in inputs {
            let vertex = Vertex {
                op: Op::Source(Source::Scratch),
                inputs: inputs.iter().map(|id| VertexId(*id)).collect(),
                no_cache: false,
                display: Display::default(),
            };
            graph.add(vertex).unwrap();
        }
        graph
    }

    fn start(ids: &[u32]) -> Effect {
        Effect::Start(ids.iter().map(|id| VertexId(*id)).collect())
    }

    #[test]
    fn a_diamond_runs_both_sides_at_once() {
        let graph = graph(&[&[], &[0], &[0], &[1, 2]]);
        let (mut scheduler, first) = Scheduler::new(&graph, VertexId(3));
        assert_eq!(first, start(&[0]));
        assert_eq!(scheduler.step(Happened::Finished(VertexId(0))), start(&[1, 2]));
        assert_eq!(scheduler.step(Happened::Finished(VertexId(2))), start(&[]));
        assert_eq!(scheduler.step(Happened::Finished(VertexId(1))), start(&[3]));
        assert_eq!(scheduler.step(Happened::Finished(VertexId(3))), Effect::Complete);
    }

    #[test]
    fn what_the_target_does_not_need_never_starts() {
        let graph = graph(&[&[], &[], &[0], &[1]]);
        let (mut scheduler, first) = Scheduler::new(&graph, VertexId(2));
        assert_eq!(first, start(&[0]));
        assert_eq!(scheduler.step(Happened::Finished(VertexId(0))), start(&[2]));
    }

    #[test]
    fn what_is_ready_starts_together() {
        let graph = graph(&[&[], &[], &[], &[0, 1, 2]]);
        let (mut scheduler, first) = Scheduler::new(&graph, VertexId(3));
        assert_eq!(first, start(&[0, 1, 2]));
        assert_eq!(scheduler.step(Happened::Finished(VertexId(2))), start(&[]));
    }

    #[test]
    fn a_refusal_stops_what_needs_it_and_nothing_else() {
        let graph = graph(&[&[], &[], &[0], &[1], &[2, 3]]);
        let (mut scheduler, first) = Scheduler::new(&graph, VertexId(4));
        assert_eq!(first, start(&[0, 1]));
        assert_eq!(scheduler.step(Happened::Refused(VertexId(0))), start(&[]));
        assert_eq!(scheduler.step(Happened::Finished(VertexId(1))), start(&[3]));
        assert_eq!(scheduler.step(Happened::Finished(VertexId(3))), start(&[]));
        assert!((0..5).all(|id| scheduler.needs(VertexId(id))));
    }

    #[test]
    fn an_input_taken_twice_counts_once() {
        let graph = graph(&[&[], &[0, 0]]);
        let (mut scheduler, _) = Scheduler::new(&graph, VertexId(1));
        assert_eq!(scheduler.step(Happened::Finished(VertexId(0))), start(&[1]));
    }

    #[test]
    fn a_failure_cancels_and_starts_nothing_more() {
        let graph = graph(&[&[], &[], &[0], &[1], &[2, 3]]);
        let (mut scheduler, first) = Scheduler::new(&graph, VertexId(4));
        assert_eq!(first, start(&[0, 1]));
        assert_eq!(scheduler.step(Happened::Failed(VertexId(0))), Effect::Cancel);
        assert_eq!(scheduler.step(Happened::Finished(VertexId(1))), start(&[]));
    }
}
