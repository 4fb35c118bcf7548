//! Files of an input, mounted from its layers.
//!
//! Only the kind of what is bound is looked up here; the sandbox resolves the path once more, beneath the tree that it
//! mounted, so that no link in an image leads out of it.

use std::path::Path;

use kiln_cache::{NodeKind, Store, View};
use kiln_sandbox::{ChangesDirectory, MountKind, MountTree};

use super::{Layers, MountError, Prepared};
use crate::step::lower_directories;

/// Shows `source` of `layers` at `target`. What the command writes there, where it may, goes to a directory that is
/// removed with `prepared`.
pub(super) fn bind(
    prepared: &mut Prepared,
    store: &Store,
    layers: &Layers,
    source: &Path,
    target: &str,
    read_only: bool,
) -> Result<(), MountError> {
    let found = View::new(&layers.trees)?.resolve(source, true)?;
    let Some(node) = found.node else {
        let source_path = Path::new("/").join(source);
        return Err(MountError::NotFound { source_path, target: target.to_owned() });
    };
    let changes = if read_only {
        None
    } else {
        let draft = store.layers().draft()?;
        let directory = ChangesDirectory { upper: draft.upper().to_owned(), work: draft.work().to_owned() };
        prepared.drafts.push(draft);
        Some(directory)
    };
    let tree = MountTree::Layers { lowers: lower_directories(layers.trees.clone()), changes };
    let directory = node.kind == NodeKind::Directory;
    prepared.show(target, MountKind::Part { tree, path: source.to_owned(), directory, read_only });
    Ok(())
}
