//! The graph while it grows: vertices in order, and each source once.

use kiln_parser::span::Span;

use crate::graph::{Display, Graph, Location, Vertex, VertexId};
use crate::op::{Op, Source};

/// The most that environments and histories may come to, in bytes. Each step has its environment and each stage its history,
/// so a file's size says little of theirs: the product of steps and variables must end before the memory does.
const MOST: usize = 256 * 1024 * 1024;

/// What an entry costs beside its text.
const ENTRY: usize = 64;

/// Vertices that become a [`Graph`].
#[derive(Debug, Default)]
pub(super) struct Assembly {
    vertices: Vec<Vertex>,
    /// The bytes of the environments and histories so far.
    kept: usize,
}

impl Assembly {
    /// Counts `texts`, which are about to be copied; false when that would be too much, which [`is_too_large`] then says.
    ///
    /// [`is_too_large`]: Self::is_too_large
    pub fn keep<'t>(&mut self, texts: impl Iterator<Item = &'t str>) -> bool {
        let bytes: usize = texts.map(|text| text.len() + ENTRY).sum();
        self.kept = self.kept.saturating_add(bytes);
        !self.is_too_large()
    }

    /// Whether more was to be kept than may be.
    pub fn is_too_large(&self) -> bool {
        self.kept > MOST
    }

    /// Adds a vertex.
    pub fn add(&mut self, vertex: Vertex) -> VertexId {
        self.vertices.push(vertex);
        // Too many vertices for an id are refused by finish().
        VertexId(u32::try_from(self.vertices.len() - 1).unwrap_or(u32::MAX))
    }

    /// The vertex of a source, made if there is none yet. One that several stages use belongs to none.
    pub fn source(&mut self, source: Source, display: Display) -> VertexId {
        let known = self.vertices.iter().position(|vertex| match &vertex.op {
            Op::Source(known) => same_source(known, &source),
            _ => false,
        });
        let Some(index) = known else {
            return self.add(Vertex { op: Op::Source(source), inputs: Vec::new(), no_cache: false, display });
        };
        if self.vertices[index].display.stage != display.stage {
            self.vertices[index].display.stage.clear();
        }
        VertexId(u32::try_from(index).unwrap_or(u32::MAX))
    }

    /// The vertex that does exactly this, made if there is none yet.
    pub fn shared(&mut self, vertex: Vertex) -> VertexId {
        let known =
            self.vertices.iter().position(|known| known.op == vertex.op && known.inputs == vertex.inputs);
        match known {
            Some(index) => VertexId(u32::try_from(index).unwrap_or(u32::MAX)),
            None => self.add(vertex),
        }
    }

    /// Whether the vertex gives files that are in no layer: they can be copied, but not mounted.
    pub fn is_loose(&self, id: VertexId) -> bool {
        let op = self.vertices.get(id.index()).map(|vertex| &vertex.op);
        match op {
            Some(Op::Source(source)) => {
                !matches!(source, Source::Image { .. } | Source::Layout { .. } | Source::Scratch)
            }
            _ => false,
        }
    }

    /// The source without files.
    pub fn scratch(&mut self) -> VertexId {
        let name = "FROM scratch".to_owned();
        self.source(Source::Scratch, Display { name, ..Display::default() })
    }

    /// The graph; an error when there are more vertices than ids.
    pub fn finish(self) -> Result<Graph, ()> {
        let mut graph = Graph::new();
        for vertex in self.vertices {
            graph.add(vertex).map_err(|_| ())?;
        }
        Ok(graph)
    }
}

/// Two names of one image are one source once both are resolved.
fn same_source(a: &Source, b: &Source) -> bool {
    match (a, b) {
        (
            Source::Image { digest: Some(a), platform: p, .. },
            Source::Image { digest: Some(b), platform: q, .. },
        ) => a == b && p == q,
        (a, b) => a == b,
    }
}

/// Where the lines of a text begin, so that a place is found without reading the text again.
pub(super) struct Lines {
    starts: Vec<usize>,
}

impl Lines {
    pub fn new(source: &str) -> Self {
        let starts = source.match_indices('\n').map(|(newline, _)| newline + 1);
        Self { starts: std::iter::once(0).chain(starts).collect() }
    }

    /// The place of `span`, with its lines.
    pub fn location(&self, span: Span) -> Location {
        let line_of = |offset: usize| {
            let line = self.starts.partition_point(|start| *start <= offset);
            u32::try_from(line).unwrap_or(u32::MAX)
        };
        let last = span.end.saturating_sub(1).max(span.start);
        Location {
            range: span.start..span.end.max(span.start),
            line: line_of(span.start),
            end_line: line_of(last),
        }
    }
}
