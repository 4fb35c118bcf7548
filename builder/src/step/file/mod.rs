//! File steps: COPY, ADD, heredoc files and the directories of WORKDIR, without running a process.
//!
//! A step is planned as a [`delta::Delta`] on top of its root and then written in one pass by the cache's
//! layer writer. The planning follows Docker's rules ([`copy`]); the result is a function of the inputs alone.

mod actions;
mod archive;
mod copy;
pub(crate) mod delta;
#[cfg(test)]
mod tests;
mod transfer;
pub(crate) mod write;

use std::path::PathBuf;

use kiln_cache::archive::ArchiveError;
use kiln_cache::{Forms, LayerInfo, Store, StoreError, View};
use kiln_graph::op::{CopyAction, CopySource, FileAction, FileOp};

use self::copy::{Copying, NewMode};
use self::delta::Delta;
use self::transfer::Transferring;
use super::user::{self, UserError};
use crate::content::select::{SelectError, Selection, select, select_transfer};
use crate::content::{Tree, TreeError};

/// Why a file step failed.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Something that is no directory stands where a directory is needed.
    #[error("{path} is not a directory", path = path.display())]
    NotADirectory {
        /// Path inside the image.
        path: PathBuf,
    },
    /// A file would replace a directory.
    #[error("cannot replace the directory {path} with a file", path = path.display())]
    DirectoryInTheWay {
        /// Path inside the image.
        path: PathBuf,
    },
    /// Something stands where a link is to be made.
    #[error("{path} exists", path = path.display())]
    InTheWay {
        /// Path inside the image.
        path: PathBuf,
    },
    /// A link is to say nothing, or what no file system can hold.
    #[error("{path} cannot be a symbolic link to {target:?}: that is not a path", path = path.display())]
    LinkTarget {
        /// Path inside the image.
        path: PathBuf,
        /// What the link is to say.
        target: String,
    },
    /// What a change is about is not there.
    #[error("{path} does not exist", path = path.display())]
    Missing {
        /// Path inside the image.
        path: PathBuf,
    },
    /// The root directory, or `..`, is to be removed.
    #[error("{path} cannot be removed: it does not end in a name", path = path.display())]
    NoName {
        /// Path inside the image.
        path: PathBuf,
    },
    /// Symlinks in the destination lead round in a circle.
    #[error("too many symbolic links in the destination at {path}", path = path.display())]
    TooManyLinks {
        /// Path inside the image.
        path: PathBuf,
    },
    /// A copy names an input that the vertex does not have.
    #[error("the copy names input {input}, which this step does not have")]
    NoInput {
        /// The number.
        input: usize,
    },
    /// An archive that ADD unpacks is broken.
    #[error("cannot unpack {path}", path = path.display())]
    Archive {
        /// The archive's path in its tree.
        path: PathBuf,
        /// Why.
        #[source]
        source: ArchiveError,
    },
    /// An archive names a hard link whose target is not in it.
    #[error("cannot unpack {path}: the hard link {name} points to {target}, which is not in the archive",
        path = path.display(), name = name.display(), target = target.display())]
    HardlinkTarget {
        /// The archive's path in its tree.
        path: PathBuf,
        /// The link's path in the image.
        name: PathBuf,
        /// The target's path in the image.
        target: PathBuf,
    },
    /// The content of an archive could not be set aside.
    #[error("cannot set aside the content of {path}", path = path.display())]
    Spool {
        /// The archive's path in its tree.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A source could not be found.
    #[error(transparent)]
    Select(#[from] SelectError),
    /// A source could not be read.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// The permission bits are not written as chmod takes them.
    #[error(transparent)]
    Mode(#[from] kiln_graph::mode::ModeError),
    /// An owner is unknown.
    #[error(transparent)]
    User(#[from] UserError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a copy's sources are selected from: the tree of one input.
pub(crate) type Trees<'a> = [Option<&'a dyn Tree>];

/// Selects what a copy takes; `None` when all its sources stand in the graph.
pub(crate) fn selection(action: &CopyAction, tree: &dyn Tree) -> Result<Option<Selection>, SelectError> {
    if action.sources.iter().all(|source| matches!(source, CopySource::Inline { .. })) {
        return Ok(None);
    }
    select(tree, &action.sources, &action.excludes, action.directories_themselves).map(Some)
}

/// Executes a file step on `base`. `trees` are the step's inputs by number, `selections` what was selected
/// for each action (selected here where it is missing).
pub(crate) fn execute(
    store: &Store,
    op: &FileOp,
    base: &View,
    trees: &Trees<'_>,
    mut selections: Vec<Option<Selection>>,
    forms: Forms,
) -> Result<LayerInfo, FileError> {
    selections.resize_with(op.actions.len(), || None);
    let mut delta = Delta::new(base);
    let mut archives = archive::Archives::default();
    let mut group = 0;
    for (action, chosen) in op.actions.iter().zip(selections) {
        match action {
            FileAction::Mkdir { path, mode, owner } => {
                let owner =
                    owner.as_ref().map(|owner| user::owner(base, owner)).transpose()?.unwrap_or_default();
                let path = delta.resolve(path.as_ref())?;
                delta.make_directories(&path, *mode, owner.uid, owner.gid)?;
            }
            FileAction::Copy(action) => {
                let owner = action.owner.as_ref().map(|owner| user::owner(base, owner)).transpose()?;
                let tree = input(action, trees)?;
                let copying =
                    Copying { store, action, owner, tree, mode: NewMode::of(action.mode.as_ref())? };
                if let Some((_, tree)) = tree {
                    let chosen = match chosen {
                        Some(chosen) => Some(chosen),
                        None => selection(action, tree)?,
                    };
                    if let Some(chosen) = chosen {
                        copying.selection(&mut delta, chosen, &mut group, &mut archives)?;
                    }
                }
                copying.inline(&mut delta)?;
            }
            FileAction::Transfer(action) => {
                let missing = FileError::NoInput { input: action.input };
                let tree = trees.get(action.input).copied().flatten().ok_or(missing)?;
                let owner = action.owner.as_ref().map(|owner| user::owner(base, owner)).transpose()?;
                let (mode, number) = (NewMode::of(action.mode.as_ref())?, action.input);
                let chosen = match chosen {
                    Some(chosen) => chosen,
                    None => select_transfer(tree, action)?,
                };
                let transferring = Transferring { action, owner, mode, tree, number };
                transferring.selection(&mut delta, &chosen, &mut group)?;
            }
            FileAction::MakeFile(action) => actions::make_file(&mut delta, base, action)?,
            FileAction::MakeDirectory(action) => actions::make_directory(&mut delta, base, action)?,
            FileAction::MakeLink(action) => actions::make_link(&mut delta, base, action)?,
            FileAction::Remove(action) => actions::remove(&mut delta, action)?,
        }
    }
    write::write(store, delta, trees, &archives, forms)
}

fn input<'a>(action: &CopyAction, trees: &Trees<'a>) -> Result<Option<(usize, &'a dyn Tree)>, FileError> {
    let Some(number) = action.input else { return Ok(None) };
    let tree = trees.get(number).copied().flatten().ok_or(FileError::NoInput { input: number })?;
    Ok(Some((number, tree)))
}

crate::causes::store_causes!(FileError);
