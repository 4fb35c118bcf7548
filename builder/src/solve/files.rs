//! File steps: what their copies select, their keys, and their execution.

use std::sync::Arc;
use std::time::Instant;

use kiln_cache::{Forms, LayerInfo, View};
use kiln_graph::op::{
    CopyAction, CopySource, FileAction, FileOp, MakeDirectory, MakeFile, MakeLink, Op, Owner, Source,
    Transfer,
};
use kiln_graph::{Vertex, VertexId};

use super::ask::{Asked, ask, keep};
use super::vertex::{Failure, input, snapshot_input, tree_input};
use super::{Outcome, Solve, key};
use crate::content::Tree;
use crate::content::select::{Place, SelectError, Selection, select_transfer};
use crate::error::StepError;
use crate::snapshot::Snapshot;
use crate::step::file::{self, FileError};
use crate::step::user;
use crate::task::blocking;

/// Gives a File vertex its result.
pub(super) async fn run(
    solve: &Solve,
    id: VertexId,
    vertex: &Vertex,
    op: &FileOp,
) -> Result<Snapshot, Failure> {
    let root = snapshot_input(solve, vertex, 0)?;
    let mut digests = Vec::with_capacity(op.actions.len());
    let mut selections = Vec::with_capacity(op.actions.len());
    for (index, action) in op.actions.iter().enumerate() {
        let (digest, selection) = match action {
            FileAction::Copy(copy) => selected(solve, id, index, vertex, copy).await?,
            FileAction::Transfer(transfer) => transferred(solve, vertex, transfer).await?,
            _ => (None, None),
        };
        digests.push(digest);
        selections.push(selection);
    }
    // A linked layer is made on nothing, and counts as made on nothing.
    let linked = if op.link { Some(with_numbers(solve, op, &root).await?) } else { None };
    let (op, below) = linked.as_ref().map_or((op, root.clone()), |op| (op, Snapshot::default()));
    let slot = solve.slot(&vertex.display.stage, &vertex.display.name);
    let step_key = key::file(op, &digests, &below.identity(), slot);
    let asked = match ask(solve, (id, vertex), &step_key, &selections).await? {
        Asked::Hit(layer) => return Ok(root.with(*layer)),
        Asked::Miss(miss) => miss,
    };
    for pattern in selections.iter().flatten().flat_map(|selection| &selection.unmatched) {
        asked.step.note(format!("nothing matches {pattern}"));
    }
    remember_listings(solve, &selections)?;
    let writing = async {
        let began = Instant::now();
        Ok((write(solve, id, vertex, op, &below, selections).await?, began))
    };
    match solve.work.execute(writing).await {
        Ok((info, began)) => {
            let layer = keep(solve, (id, vertex), &step_key, &info, began)?;
            asked.step.done();
            Ok(root.with(layer))
        }
        Err(failure) => {
            asked.step.failed(crate::text::chain(&failure.cause));
            Err(failure)
        }
    }
}

/// Executes a file step. Its tree is only written if another vertex reads it.
async fn write(
    solve: &Solve,
    id: VertexId,
    vertex: &Vertex,
    op: &FileOp,
    root: &Snapshot,
    selections: Vec<Option<Selection>>,
) -> Result<LayerInfo, StepError> {
    let base = View::new(&solve.fetcher.trees(root, &solve.progress).await?)?;
    let mut trees: Vec<Option<Arc<dyn Tree>>> = vec![None; vertex.inputs.len()];
    for action in &op.actions {
        let number = match action {
            FileAction::Copy(copy) => copy.input,
            FileAction::Transfer(transfer) => Some(transfer.input),
            _ => None,
        };
        if let Some(number) = &number
            && trees.get(*number).is_some_and(Option::is_none)
        {
            trees[*number] = Some(tree_input(solve, vertex, *number).await?);
        }
    }
    let is_read = solve.is_read.get(id.index()).copied().unwrap_or(true);
    let forms = Forms { tree: is_read, tar: !is_read };
    let (store, op) = (solve.store.clone(), op.clone());
    let written = blocking(move || {
        let trees: Vec<Option<&dyn Tree>> =
            trees.iter().map(|tree| tree.as_ref().map(AsRef::as_ref)).collect();
        file::execute(&store, &op, &base, &trees, selections, forms)
    });
    Ok(written.await.ok_or(StepError::Lost)??)
}

/// The operation with every owner as numbers, names looked up in `root`: what a linked layer takes from there.
async fn with_numbers(solve: &Solve, op: &FileOp, root: &Snapshot) -> Result<FileOp, StepError> {
    let mut op = op.clone();
    for action in &mut op.actions {
        let owner = match action {
            FileAction::Copy(CopyAction { owner, .. })
            | FileAction::Mkdir { owner, .. }
            | FileAction::Transfer(Transfer { owner, .. })
            | FileAction::MakeFile(MakeFile { owner, .. })
            | FileAction::MakeDirectory(MakeDirectory { owner, .. })
            | FileAction::MakeLink(MakeLink { owner, .. }) => owner,
            FileAction::Remove(_) => continue,
        };
        if let Some(owner) = owner {
            *owner = numbered(solve, owner, root).await?;
        }
    }
    Ok(op)
}

async fn numbered(solve: &Solve, owner: &Owner, root: &Snapshot) -> Result<Owner, StepError> {
    if !user::has_name(owner) {
        return Ok(owner.clone());
    }
    let memo = key::owner_memo(owner, &root.identity());
    let known = solve.memo(&memo).await?.and_then(|text| String::from_utf8(text).ok());
    let text = if let Some(text) = known {
        text
    } else {
        let view = View::new(&solve.fetcher.trees(root, &solve.progress).await?)?;
        let ids = user::owner(&view, owner).map_err(FileError::from)?;
        let text = format!("{}:{}", ids.uid, ids.gid);
        solve.set_memo(&memo, text.as_bytes())?;
        text
    };
    let (user, group) = text.split_once(':').unwrap_or((&text, "0"));
    Ok(Owner { user: user.to_owned(), group: Some(group.to_owned()) })
}

/// What a copy takes: its digest, and the selection itself unless the digest was remembered.
pub(super) async fn selected(
    solve: &Solve,
    id: VertexId,
    index: usize,
    vertex: &Vertex,
    copy: &CopyAction,
) -> Result<(Option<[u8; 32]>, Option<Selection>), StepError> {
    let Some(number) = copy.input else { return Ok((None, None)) };
    if copy.sources.iter().all(|source| matches!(source, CopySource::Inline { .. })) {
        return Ok((None, None));
    }
    let failed = |error: SelectError| FileError::from(error.looked_in(place(solve, vertex, number)));
    if let Some(prefetched) = solve.prefetched.take(id, index).await {
        let selection = prefetched.map_err(failed)?;
        return Ok((selection.as_ref().map(|selection| selection.digest), selection));
    }
    let memo = match input(solve, vertex, number)? {
        Outcome::Snapshot(snapshot) => Some(key::selection_memo(copy, &snapshot.identity())),
        Outcome::Context(_) => None,
    };
    if let Some(memo) = memo
        && let Some(digest) = solve.memo(&memo).await?
        && let Ok(digest) = <[u8; 32]>::try_from(digest.as_slice())
    {
        return Ok((Some(digest), None));
    }
    let tree = tree_input(solve, vertex, number).await?;
    let action = copy.clone();
    let selection = blocking(move || file::selection(&action, tree.as_ref())).await.ok_or(StepError::Lost)?;
    let selection = selection.map_err(failed)?;
    if let (Some(memo), Some(selection)) = (memo, &selection) {
        solve.set_memo(&memo, &selection.digest)?;
    }
    Ok((selection.as_ref().map(|selection| selection.digest), selection))
}

/// What a transfer takes, likewise.
async fn transferred(
    solve: &Solve,
    vertex: &Vertex,
    transfer: &Transfer,
) -> Result<(Option<[u8; 32]>, Option<Selection>), StepError> {
    let number = transfer.input;
    let memo = match input(solve, vertex, number)? {
        Outcome::Snapshot(snapshot) => Some(key::changes::transfer_memo(transfer, &snapshot.identity())),
        Outcome::Context(_) => None,
    };
    if let Some(memo) = memo
        && let Some(digest) = solve.memo(&memo).await?
        && let Ok(digest) = <[u8; 32]>::try_from(digest.as_slice())
    {
        return Ok((Some(digest), None));
    }
    let tree = tree_input(solve, vertex, number).await?;
    let action = transfer.clone();
    let selected = blocking(move || select_transfer(tree.as_ref(), &action)).await.ok_or(StepError::Lost)?;
    let selection =
        selected.map_err(|error| FileError::from(error.looked_in(place(solve, vertex, number))))?;
    if let Some(memo) = memo {
        solve.set_memo(&memo, &selection.digest)?;
    }
    Ok((Some(selection.digest), Some(selection)))
}

/// What an input is called where a source is missing from it.
fn place(solve: &Solve, vertex: &Vertex, number: usize) -> Place {
    let input = vertex.inputs.get(number).and_then(|id| solve.graph.get(*id));
    let Some(input) = input else { return Place::Unknown };
    match &input.op {
        Op::Source(Source::Context { name, .. }) if name == Source::MAIN_CONTEXT => Place::Context,
        Op::Source(Source::Context { name, .. }) => Place::NamedContext { name: name.clone() },
        _ if !input.display.stage.is_empty() => Place::Stage { name: input.display.stage.clone() },
        Op::Source(Source::Image { reference, .. }) => Place::Image { reference: reference.clone() },
        Op::Source(Source::Layout { image, .. }) => Place::Image { reference: image.to_string() },
        Op::Source(Source::Git(git)) => {
            let what = git.subdir.clone().unwrap_or_else(|| kiln_graph::redact(&git.remote));
            Place::Repository { what }
        }
        _ => in_context(&input.display.name),
    }
}

/// A context that had to be unpacked, by how that is shown: `[context NAME] …`.
fn in_context(shown: &str) -> Place {
    let name = shown.strip_prefix("[context ").and_then(|rest| rest.split(']').next());
    name.map_or(Place::Unknown, |name| Place::NamedContext { name: name.to_owned() })
}

/// Keeps what was selected in readable form, so that a later miss can say which file changed.
pub(super) fn remember_listings(solve: &Solve, selections: &[Option<Selection>]) -> Result<(), StepError> {
    for selection in selections.iter().flatten() {
        let Some(listing) = &selection.listing else { continue };
        let memo = key::listing_memo(&key::hex(selection.digest));
        if solve.store.records().memo(&memo)?.is_none() {
            solve.store.records().set_memo(&memo, listing)?;
        }
    }
    Ok(())
}
