//! Operations whose results are made of results of others: merges, differences, builds within graphs, and what only waits for
//! others. Pure.

use kiln_graph::VertexId;
use kiln_graph::op::Op;

use super::LlbError;
use super::lower::{About, Lowering};
use crate::api::pb;

/// How many characters of a name others repeat.
const MAX_NAME: usize = 40;

impl Lowering {
    pub(super) fn merge(
        &mut self,
        about: &About<'_>,
        op: &pb::MergeOp,
        inputs: &[VertexId],
    ) -> Result<VertexId, LlbError> {
        if op.inputs.len() < 2 {
            return Err(about.wrong("inputs", "a merge has two at least"));
        }
        let mut merged = Vec::with_capacity(op.inputs.len());
        for input in &op.inputs {
            merged.push(self.input(about, "inputs", input.input, inputs)?);
        }
        let merged: Vec<VertexId> = merged.into_iter().map(|input| self.root(input)).collect();
        let names: Vec<String> = merged.iter().map(|input| self.short_name(*input)).collect();
        let name = format!("merge ({})", names.join(", "));
        self.add(about, about.vertex(Op::Merge, merged, name))
    }

    pub(super) fn diff(
        &mut self,
        about: &About<'_>,
        op: &pb::DiffOp,
        inputs: &[VertexId],
    ) -> Result<VertexId, LlbError> {
        let lower = op.lower.as_ref().map(|lower| lower.input);
        let upper = op.upper.as_ref().map(|upper| upper.input);
        let lower = lower.ok_or_else(|| about.wrong("lower", "there is none"))?;
        let upper = upper.ok_or_else(|| about.wrong("upper", "there is none"))?;
        let lower = self.input(about, "lower", lower, inputs)?;
        let upper = self.input(about, "upper", upper, inputs)?;
        let pair = vec![self.root(lower), self.root(upper)];
        let name = format!("diff ({} -> {})", self.short_name(pair[0]), self.short_name(pair[1]));
        self.add(about, about.vertex(Op::Diff, pair, name))
    }

    /// What the definition results in that the build was given.
    pub(super) fn build(&mut self, about: &About<'_>) -> Result<VertexId, LlbError> {
        let Some(result) = self.builds.get(&about.digest).cloned() else {
            return Err(about.wrong("inputs", "its definition was not read"));
        };
        match result {
            Some(edge) => self.output(&edge),
            None => Ok(self.scratch()),
        }
    }

    /// Some of the inputs as they are, each once all are there.
    pub(super) fn passthrough(
        &mut self,
        about: &About<'_>,
        op: &pb::PassthroughOp,
        inputs: &[VertexId],
    ) -> Result<Vec<(i64, VertexId)>, LlbError> {
        if op.id.is_empty() {
            return Err(about.wrong("id", "there is none"));
        }
        if op.outputs.is_empty() {
            return Err(about.wrong("outputs", "there are none"));
        }
        let all: Vec<VertexId> = inputs.iter().map(|input| self.root(*input)).collect();
        let mut outputs = Vec::with_capacity(op.outputs.len());
        for (index, number) in (0_i64..).zip(&op.outputs) {
            let first = usize::try_from(*number).ok().filter(|number| *number < all.len());
            let first = first.ok_or_else(|| {
                let count = all.len();
                about.wrong("outputs", format!("input {number} is not one of its {count} inputs"))
            })?;
            let mut ordered = all.clone();
            ordered.swap(0, first);
            let name = format!("passthrough {}", op.id);
            outputs.push((index, self.add(about, about.vertex(Op::After, ordered, name))?));
        }
        Ok(outputs)
    }

    /// How a vertex is called in the names of others: names of names would grow without end.
    fn short_name(&self, id: VertexId) -> String {
        let name = self.graph.get(id).map_or("", |vertex| vertex.display.name.as_str());
        match name.char_indices().nth(MAX_NAME) {
            Some((end, _)) => format!("{}…", &name[..end]),
            None => name.to_owned(),
        }
    }
}
