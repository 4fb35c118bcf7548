//! What a plan reads of a context, so that a client sends that and nothing else.

use std::collections::BTreeSet;

use kiln_graph::op::{CopyAction, CopySource, FileAction, Op, Source};
use kiln_graph::plan::Plan;
use kiln_graph::{Vertex, VertexId};

/// Bytes that mean something else than themselves in a pattern.
const SPECIAL: &[char] = &['*', '?', '[', '\\'];

/// The paths below the root of the context with that name that one of the plans reads, as the client is to follow them;
/// `None` is everything.
pub(super) fn of_all(plans: &[&Plan], context: &str) -> Option<Vec<String>> {
    let mut paths = Vec::new();
    for plan in plans {
        paths.extend(of(plan, context)?);
    }
    paths.sort_unstable();
    paths.dedup();
    Some(paths)
}

fn of(plan: &Plan, context: &str) -> Option<Vec<String>> {
    let is_context =
        |vertex: &Vertex| matches!(&vertex.op, Op::Source(Source::Context { name, .. }) if name == context);
    let contexts: BTreeSet<VertexId> =
        plan.graph.iter().filter(|(_, vertex)| is_context(vertex)).map(|(id, _)| id).collect();
    let mut paths = Vec::new();
    for (_, vertex) in plan.graph.iter() {
        for (number, _) in vertex.inputs.iter().enumerate().filter(|(_, id)| contexts.contains(id)) {
            paths.extend(of_vertex(vertex, number)?);
        }
    }
    Some(paths)
}

/// What the vertex reads of its input of that number.
fn of_vertex(vertex: &Vertex, number: usize) -> Option<Vec<String>> {
    let Op::File(file) = &vertex.op else { return None };
    let mut paths = Vec::new();
    for action in &file.actions {
        match action {
            FileAction::Copy(copy) if copy.input == Some(number) => paths.extend(of_copy(copy)?),
            FileAction::Copy(_) | FileAction::Mkdir { .. } => {}
            #[allow(unreachable_patterns, reason = "what is not known here may read anything")]
            _ => return None,
        }
    }
    Some(paths)
}

fn of_copy(copy: &CopyAction) -> Option<Vec<String>> {
    let sources = copy.sources.iter().filter_map(|source| match source {
        CopySource::Path(path) => Some(plain(path)),
        CopySource::Parents { pivot, pattern } => Some(fixed(&format!("{pivot}/{pattern}"))),
        CopySource::Inline { .. } => None,
    });
    sources.collect()
}

/// A path without what says nothing; `None` for the root, or what may be.
fn plain(path: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            // A pattern that spans directories is no client's.
            part if part.contains("**") => return fixed(path),
            part => parts.push(part),
        }
    }
    (!parts.is_empty()).then(|| parts.join("/"))
}

/// The directory that everything a pattern matches is below.
fn fixed(pattern: &str) -> Option<String> {
    let parts = pattern.split('/').take_while(|part| !part.contains(SPECIAL));
    let parts: Vec<&str> = parts.filter(|part| !matches!(*part, "" | ".")).collect();
    (!parts.is_empty() && !parts.contains(&"..")).then(|| parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_and_the_root_is_everything() {
        let some = |text: &str| Some(text.to_owned());
        for (path, expected) in [
            ("a", some("a")),
            ("/a//b/./c/", some("a/b/c")),
            ("a/../b", some("b")),
            ("../a", some("a")),
            ("*.txt", some("*.txt")),
            ("src/**/x", some("src")),
            (".", None),
            ("/", None),
            ("a/..", None),
            ("**", None),
        ] {
            assert_eq!(plain(path), expected, "{path}");
        }
        for (pattern, expected) in [
            ("a/b/**/c", some("a/b")),
            ("./a/*.rs", some("a")),
            ("a/b", some("a/b")),
            ("*/a", None),
            ("a/../b", None),
        ] {
            assert_eq!(fixed(pattern), expected, "{pattern}");
        }
    }
}
