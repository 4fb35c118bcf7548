//! What is noted beside a step's key, so that a later miss can be explained; and what is known of results that are gone.

use kiln_cache::{Key, Part, StoreError, digest_of};
use kiln_graph::Vertex;
use kiln_graph::op::{FileAction, Op, Source};

use super::below::named;
use super::compare::note;
use crate::account::instruction;
use crate::error::StepError;
use crate::solve::Solve;

/// The notes of a step that is about to be recorded, or compared.
pub(in crate::solve) fn of(solve: &Solve, vertex: &Vertex) -> Vec<Part> {
    let mut notes = vec![part(note::INSTRUCTION, instruction(&vertex.display.name).to_owned())];
    if !vertex.display.arguments.is_empty() {
        notes.push(part(note::ARGUMENTS, vertex.display.arguments.join(" ")));
    }
    notes.extend(below(solve, vertex));
    notes.extend(ignore_rules(solve, vertex));
    notes
}

fn part(name: &str, value: String) -> Part {
    Part { name: name.to_owned(), value }
}

fn below(solve: &Solve, vertex: &Vertex) -> Vec<Part> {
    let Some(id) = vertex.inputs.first() else { return Vec::new() };
    if let Some(known) = solve.why.known(*id) {
        return vec![part(note::BELOW, known.key.key.to_string())];
    }
    let source = match solve.graph.get(*id).map(|below| &below.op) {
        Some(Op::Source(source)) => named(source),
        _ => None,
    };
    let Some((name, digest)) = source else { return Vec::new() };
    let digest = digest.map(|digest| part(note::BASE_DIGEST, digest));
    std::iter::once(part(note::BASE, name)).chain(digest).collect()
}

/// The rules of the ignore file that what is copied went through.
fn ignore_rules(solve: &Solve, vertex: &Vertex) -> Option<Part> {
    let Op::File(op) = &vertex.op else { return None };
    op.actions.iter().find_map(|action| {
        let FileAction::Copy(copy) = action else { return None };
        let input = vertex.inputs.get(copy.input?).and_then(|id| solve.graph.get(*id))?;
        let Op::Source(Source::Context { ignore, .. }) = &input.op else { return None };
        Some(part(note::IGNORE, digest_of(ignore.join("\n").as_bytes()).to_string()))
    })
}

/// When gc evicted one of these results, in words; nothing if it evicted none of them. `own` is the key that is asked for now,
/// which would have answered.
pub(super) fn evicted(solve: &Solve, own: Key, earlier: &[Key]) -> Result<Option<String>, StepError> {
    let records = solve.store.records();
    let date = |key: &Key| -> Result<Option<String>, StepError> {
        let at = records.evicted(key).map_err(StoreError::from)?;
        Ok(at.map(|at| at.strftime("%Y-%m-%d %H:%M UTC").to_string()))
    };
    if let Some(date) = date(&own)? {
        return Ok(Some(format!("evicted by gc on {date}")));
    }
    for key in earlier {
        if let Some(date) = date(key)? {
            let text = format!("its earlier result was evicted by gc on {date}: what changed cannot be told");
            return Ok(Some(text));
        }
    }
    Ok(None)
}
