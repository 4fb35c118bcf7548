//! Sources of graphs, held against the policies of a build: what these put in the place of one is what the graph holds from then
//! on, so that everything else, keys among it, is made of that.

use kiln_graph::op::{Op, Source};
use tonic::Status;

use super::inputs::is_given;
use super::resolve::alone;
use super::solve::Work;
use super::{Definition, Layouts, LlbError, lower};
use crate::api::pb;

impl Work<'_> {
    /// The graph with the sources that the policies allow.
    pub(super) async fn judged(&self, mut definition: Definition) -> Result<Definition, Status> {
        if self.policies.is_empty() {
            return Ok(definition);
        }
        for (_, op) in &mut definition.ops {
            let Some(pb::op::Op::Source(source)) = &mut op.op else { continue };
            // What a client was given as a result was held against the policies of the build that made it.
            if is_given(&self.server.made, &source.identifier) {
                continue;
            }
            let platform =
                op.platform.clone().unwrap_or_else(|| crate::control::platform(&self.server.platform));
            let other = self.policies.judge(self.server, self.build, Some(platform), source).await?;
            if let Some(other) = other {
                *source = other;
            }
        }
        Ok(definition)
    }
}

/// What a source operation stands for by itself, as in a graph, and whether its registry is to be asked.
pub(crate) fn source_of(source: &pb::SourceOp, platform: &str) -> Result<(Source, bool), LlbError> {
    let definition = Definition::read(&alone(source, None))?;
    let lowered = lower(definition, platform, Layouts::new())?;
    let mut found = None;
    for (_, vertex) in lowered.graph.iter() {
        match &vertex.op {
            Op::Source(Source::Scratch) => {}
            Op::Source(source) if found.is_none() => found = Some(source.clone()),
            // A file that is given another mode, or another owner.
            _ => {
                return Err(LlbError::Field {
                    op: "source",
                    digest: String::new(),
                    field: "attrs".to_owned(),
                    detail: "mode and owner are those that the instruction says".to_owned(),
                    unsupported: true,
                });
            }
        }
    }
    found.map(|source| (source, lowered.pulls)).ok_or(LlbError::Empty)
}
