//! The graph itself: vertices, their inputs, and what is shown about them.

use crate::op::{ExecMount, Op, Ulimit};

/// Index of a vertex in its [`Graph`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VertexId(pub u32);

impl VertexId {
    /// The id as an index.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// One operation and the vertices whose results it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vertex {
    /// What is done.
    pub op: Op,
    /// The inputs, all with smaller ids than the vertex itself.
    pub inputs: Vec<VertexId>,
    /// True when the cache must not answer for this vertex (its result is still saved).
    pub no_cache: bool,
    /// What people are shown; no part of it enters a cache key.
    pub display: Display,
}

/// How a vertex is named to people, and where it was written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Display {
    /// The name of the progress line: `[build 2/4] RUN make`.
    pub name: String,
    /// The stage it belongs to, empty for a source shared by several.
    pub stage: String,
    /// Where in the frontend's text it stands.
    pub location: Option<Location>,
    /// Which variables of an Exec's environment are build arguments: to a process they are like the others, to people
    /// they are not.
    pub arguments: Vec<String>,
}

/// A place in the text that a frontend made the graph from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// Byte range in the text.
    pub range: std::ops::Range<usize>,
    /// First line, counted from 1.
    pub line: u32,
    /// Last line, counted from 1.
    pub end_line: u32,
}

/// A directed graph without cycles.
///
/// Invariant: every input of a vertex has a smaller id, so the order of ids is an order of execution
/// and no cycle can be expressed. [`Graph::add`] is the only way in and keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Graph {
    vertices: Vec<Vertex>,
}

impl Graph {
    /// A graph with no vertices.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a vertex and returns its id, or gives the vertex back if one of its inputs is not in the graph yet.
    pub fn add(&mut self, vertex: Vertex) -> Result<VertexId, Box<Vertex>> {
        let id = VertexId(u32::try_from(self.vertices.len()).map_err(|_| Box::new(vertex.clone()))?);
        if vertex.inputs.iter().any(|input| *input >= id) {
            return Err(Box::new(vertex));
        }
        self.vertices.push(vertex);
        Ok(id)
    }

    /// Lets every command know these hosts, address and name, beside those that it knows.
    pub fn add_hosts(&mut self, hosts: &[(String, String)]) {
        for vertex in &mut self.vertices {
            if let Op::Exec(exec) = &mut vertex.op {
                exec.rules.hosts.extend_from_slice(hosts);
            }
        }
    }

    /// Limits what every command may use, beside the limits that it has, and gives it that much shared memory, in bytes.
    pub fn limit(&mut self, limits: &[Ulimit], shared_memory: Option<u64>) {
        for vertex in &mut self.vertices {
            let Op::Exec(exec) = &mut vertex.op else { continue };
            let own = std::mem::take(&mut exec.rules.limits);
            exec.rules.limits = Ulimit::in_order(own.into_iter().chain(limits.iter().cloned()));
            let Some(size) = shared_memory else { continue };
            // Whatever else the command mounts there is below; what would be memory, too, is not there at all.
            exec.mounts.retain(|mount| !mount.is_shared_memory());
            let target = ExecMount::SHARED_MEMORY.to_owned();
            exec.mounts.push(ExecMount::Tmpfs { target, size: Some(size) });
        }
    }

    /// The vertex with that id, if it is in this graph.
    pub fn get(&self, id: VertexId) -> Option<&Vertex> {
        self.vertices.get(id.index())
    }

    /// All vertices with their ids, inputs before the vertices that use them.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (VertexId, &Vertex)> {
        #[expect(clippy::cast_possible_truncation, reason = "add() refuses more than u32::MAX vertices")]
        self.vertices.iter().enumerate().map(|(index, vertex)| (VertexId(index as u32), vertex))
    }

    /// How many vertices there are.
    pub fn len(&self) -> usize {
        self.vertices.len()
    }

    /// True when there is no vertex.
    pub fn is_empty(&self) -> bool {
        self.vertices.is_empty()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::entitlement::tests::exec;
    use crate::op::{Exec, ExecRules, Network, Security, Source};

    fn pair(address: &str, name: &str) -> (String, String) {
        (address.to_owned(), name.to_owned())
    }

    /// A graph of one command that does this.
    fn changed(rules: ExecRules, change: impl FnOnce(&mut Graph)) -> Exec {
        let exec = Exec { rules, ..exec(Network::Host, Security::Sandbox) };
        let mut graph = Graph::new();
        let vertex = |op, inputs| Vertex { op, inputs, no_cache: false, display: Display::default() };
        let root = graph.add(vertex(Op::Source(Source::Scratch), Vec::new())).unwrap();
        let command = graph.add(vertex(Op::Exec(exec), vec![root])).unwrap();
        change(&mut graph);
        let Some(Op::Exec(exec)) = graph.get(command).map(|vertex| &vertex.op) else { unreachable!() };
        exec.clone()
    }

    #[test]
    fn hosts_are_added_to_those_that_commands_know() {
        let rules = ExecRules { hosts: vec![pair("10.0.0.1", "own")], ..ExecRules::default() };
        let exec = changed(rules, |graph| graph.add_hosts(&[pair("10.0.0.2", "more")]));
        assert_eq!(exec.rules.hosts, [pair("10.0.0.1", "own"), pair("10.0.0.2", "more")]);
    }

    #[test]
    fn limits_take_the_place_of_those_that_commands_have() {
        let limit = |text: &str| text.parse::<Ulimit>().unwrap();
        let rules = ExecRules { limits: vec![limit("core=0"), limit("nofile=9")], ..ExecRules::default() };
        let exec = changed(rules, |graph| {
            graph.limit(&[limit("nproc=5")], Some(8192));
            graph.limit(&[limit("nofile=7:8")], Some(4096));
        });
        assert_eq!(exec.rules.limits, [limit("core=0"), limit("nofile=7:8"), limit("nproc=5")]);
        assert_eq!(exec.mounts, [ExecMount::Tmpfs { target: "/dev/shm".to_owned(), size: Some(4096) }]);
    }

    #[test]
    fn without_limits_a_command_is_what_it_was() {
        let limited = changed(ExecRules::default(), |graph| graph.limit(&[], None));
        let text = serde_json::to_string(&Op::Exec(limited.clone())).unwrap();
        assert!(!text.contains("limits") && !text.contains("rules"), "{text}");
        assert_eq!(limited, changed(ExecRules::default(), |_| ()));
        // What older versions wrote has no word of limits.
        let rules = ExecRules { exit_codes: vec![1], ..ExecRules::default() };
        let text = serde_json::to_string(&rules).unwrap();
        assert_eq!(serde_json::from_str::<ExecRules>(&text).unwrap(), rules);
        assert!(!text.contains("limits"), "{text}");
    }
}
