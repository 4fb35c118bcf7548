//! Which files changed between two selections: the listings behind two digests, found and compared.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use kiln_cache::StoreError;
use kiln_graph::Vertex;
use kiln_graph::op::{CopyAction, CopySource, ExecMount, FileAction, Op};

use super::compare::{Difference, Made, note};
use super::{listing, words};
use crate::account::{About, Change};
use crate::content::context::Context;
use crate::content::select::Selection;
use crate::content::{Missing, Tree};
use crate::error::StepError;
use crate::solve::key::{BOUND, FILES, hex, listing_memo};
use crate::solve::{Outcome, Solve};

/// What selects the files of a part.
struct Selector<'a> {
    /// The number of the copy or mount.
    index: usize,
    /// The input that is selected from.
    input: Option<usize>,
    copy: Option<&'a CopyAction>,
    /// What a mount shows of its input.
    source: Option<&'a str>,
}

/// What changed in the files that a part stands for.
pub(super) fn changed(
    solve: &Solve,
    vertex: &Vertex,
    difference: &Difference<'_>,
    (old, new): (Made<'_>, Made<'_>),
    selections: &[Option<Selection>],
) -> Result<Vec<Change>, StepError> {
    let (Some(before), Some(after)) = (difference.before, difference.after) else {
        return Ok(vec![unnamed(difference)]);
    };
    let selector = selector(vertex, difference);
    let selection = selector.as_ref().and_then(|selector| selections.get(selector.index)?.as_ref());
    let selection = selection.filter(|selection| hex(selection.digest) == after);
    let records = solve.store.records();
    let read = |digest: &str| records.memo(&listing_memo(digest)).map_err(StoreError::from);
    let listing = match selection.and_then(|selection| selection.listing.clone()) {
        Some(listing) => Some(listing),
        None => read(after)?,
    };
    let (Some(before), Some(after)) = (read(before)?, listing) else { return Ok(vec![unnamed(difference)]) };
    let prefixes = prefixes(solve, vertex, selector.as_ref(), selection);
    let Some(files) = listing::compare(&before, &after, &prefixes) else {
        return Ok(vec![unnamed(difference)]);
    };
    let mut changes: Vec<Change> = Vec::with_capacity(files.len());
    let context = selector.and_then(|selector| context(solve, vertex, &selector));
    for file in files {
        let ignored = context.as_ref().filter(|_| file.change.after.is_none());
        changes.push(match ignored.map(|context| context.why_missing(&file.path)) {
            Some(Missing::Ignored { pattern, .. }) => {
                let text = format!(
                    "{} is left out now by {} of the ignore file",
                    file.change.subject,
                    words::shown(&pattern)
                );
                Change { text, ..file.change }
            }
            _ => file.change,
        });
    }
    if changes.is_empty() {
        // Names, kinds, modes, owners and contents are the same: what is left are the names of one file.
        changes.push(Change { text: "hard links among the files changed".to_owned(), ..unnamed(difference) });
    }
    let rules = (old.note(note::IGNORE), new.note(note::IGNORE));
    if context.is_some() && rules.0.is_some() && rules.0 != rules.1 {
        changes.push(Change {
            about: About::Setting,
            subject: "ignore file".to_owned(),
            before: rules.0.map(str::to_owned),
            after: rules.1.map(str::to_owned),
            text: "the rules of the ignore file changed".to_owned(),
        });
    }
    Ok(changes)
}

/// That files changed, where it is not known which.
fn unnamed(difference: &Difference<'_>) -> Change {
    let what = match difference.name.strip_prefix(BOUND) {
        Some(target) => format!("the files mounted at {target}"),
        None => "the copied files".to_owned(),
    };
    let text = match (difference.before, difference.after) {
        (None, _) => format!("{what} are new"),
        (_, None) => format!("{what} are gone"),
        _ => format!("{what} changed"),
    };
    Change {
        about: About::File,
        subject: what,
        before: difference.before.map(str::to_owned),
        after: difference.after.map(str::to_owned),
        text,
    }
}

fn selector<'a>(vertex: &'a Vertex, difference: &Difference<'_>) -> Option<Selector<'a>> {
    match &vertex.op {
        Op::File(op) if difference.name == FILES => {
            let mut copies = op.actions.iter().enumerate().filter_map(|(index, action)| match action {
                FileAction::Copy(copy) => Some((index, copy)),
                _ => None,
            });
            let (index, copy) = copies.nth(difference.nth)?;
            Some(Selector { index, input: copy.input, copy: Some(copy), source: None })
        }
        Op::Exec(op) => {
            let wanted = difference.name.strip_prefix(BOUND)?;
            op.mounts.iter().enumerate().find_map(|(index, mount)| {
                let ExecMount::Bind { input, target, source, .. } = mount else { return None };
                (target == wanted).then_some(Selector {
                    index,
                    input: Some(*input),
                    copy: None,
                    source: Some(source),
                })
            })
        }
        _ => None,
    }
}

/// Where each match begins in its tree: as it was found, or else as it is written, where that says it.
fn prefixes(
    solve: &Solve,
    vertex: &Vertex,
    selector: Option<&Selector<'_>>,
    selection: Option<&Selection>,
) -> Vec<PathBuf> {
    let Some(selector) = selector else { return Vec::new() };
    let found: Vec<PathBuf> = match selection {
        Some(selection) => selection.matches.iter().map(|found| found.top.path.clone()).collect(),
        None => written(selector),
    };
    match selector.input.and_then(|number| loaded(solve, vertex, number)) {
        Some((loaded, source)) => {
            let seen =
                |path: PathBuf| path.strip_prefix(&loaded).map(|rest| source.join(rest)).unwrap_or(path);
            found.into_iter().map(seen).collect()
        }
        None => found,
    }
}

/// The sources as they are written; none where a pattern may match anything.
fn written(selector: &Selector<'_>) -> Vec<PathBuf> {
    let literal = |text: &str| (!text.contains(['*', '?', '[', '\\'])).then(|| clean(text));
    let Some(copy) = selector.copy else { return selector.source.map(clean).into_iter().collect() };
    let paths = copy.sources.iter().filter_map(|source| match source {
        CopySource::Path(path) => Some(literal(path)),
        CopySource::Parents { pivot, .. } => Some(literal(pivot)),
        CopySource::Inline { .. } => None,
    });
    paths.collect::<Option<Vec<PathBuf>>>().unwrap_or_default()
}

/// An input that only makes files of a context a layer, so that they can be mounted: the place that they have in it, and
/// the one that they have in the context.
fn loaded(solve: &Solve, vertex: &Vertex, number: usize) -> Option<(PathBuf, PathBuf)> {
    let input = solve.graph.get(*vertex.inputs.get(number)?)?;
    let Op::File(op) = &input.op else { return None };
    let [FileAction::Copy(copy)] = op.actions.as_slice() else { return None };
    let [CopySource::Path(source)] = copy.sources.as_slice() else { return None };
    let is_loading = input.display.stage.is_empty() && !copy.destination.ends_with('/');
    is_loading.then(|| (clean(&copy.destination), clean(source)))
}

fn clean(path: &str) -> PathBuf {
    Path::new(path).components().filter(|part| matches!(part, Component::Normal(_))).collect()
}

/// The context that the files come from, if they come from one.
fn context(solve: &Solve, vertex: &Vertex, selector: &Selector<'_>) -> Option<Arc<Context>> {
    let id = vertex.inputs.get(selector.input?)?;
    match solve.outcome(*id)? {
        Outcome::Context(context) => Some(context),
        Outcome::Snapshot(_) => None,
    }
}
