//! A finished delta becomes a layer, in one sorted pass.

use std::collections::{BTreeMap, HashMap};
use std::os::unix::ffi::OsStrExt;

use kiln_cache::{Content, Entry, EntryKind, Forms, LayerInfo, Store};

use super::archive::Archives;
use super::delta::{Body, Change, Delta, Written};
use super::{FileError, Trees};
use crate::content::{ItemKind, TreeError};

/// What two paths have in common that are hard links of each other.
#[derive(PartialEq, Eq, Hash)]
enum Identity {
    /// Two names of one file of a source tree, taken by the same match.
    Source { tree: usize, group: usize, file: (u64, u64) },
    /// Two names of one file of an archive.
    Spooled { spool: usize, file: u64 },
}

/// Writes the layer.
pub(super) fn write(
    store: &Store,
    delta: Delta<'_>,
    trees: &Trees<'_>,
    archives: &Archives,
    forms: Forms,
) -> Result<LayerInfo, FileError> {
    let mut writer = store.layers().writer(forms)?;
    let mut names: HashMap<Identity, Vec<u8>> = HashMap::new();
    for (path, written) in delta.into_sorted()? {
        let (change, opaque) = match written {
            Written::Change(change) => (change, false),
            Written::Opaque(change) => (change, true),
            Written::Gone => {
                writer.add(&whiteout(path.as_bytes()), Content::None)?;
                continue;
            }
        };
        let mut entry = Entry {
            path: path.as_bytes().to_vec(),
            kind: if opaque { EntryKind::Directory { opaque } } else { kind(&change) },
            mode: change.mode,
            uid: change.uid,
            gid: change.gid,
            mtime: change.mtime.unwrap_or_default(),
            xattrs: change.xattrs,
        };
        if entry.path.is_empty() {
            // The root directory is not an entry: it always exists and belongs to the base.
            continue;
        }
        if let Some(identity) = identity(&change.body) {
            if let Some(target) = names.get(&identity) {
                entry.kind = EntryKind::Hardlink { target: target.clone() };
                writer.add(&entry, Content::None)?;
                continue;
            }
            names.insert(identity, entry.path.clone());
        }
        match change.body {
            Body::None => writer.add(&entry, Content::None)?,
            Body::Inline(data) => writer.add(&entry, Content::Bytes(&data))?,
            Body::Source { tree, item, .. } => {
                let tree = trees.get(tree).copied().flatten().ok_or(FileError::NoInput { input: tree })?;
                let file = tree.open(&item)?;
                let again =
                    file.try_clone().map_err(|source| TreeError::Read { path: item.path.clone(), source })?;
                writer.add(&entry, Content::File(file))?;
                tree.check_unchanged(&item, &again)?;
            }
            Body::Spooled { spool, offset, .. } => {
                let EntryKind::File { size } = entry.kind else {
                    writer.add(&entry, Content::None)?;
                    continue;
                };
                let mut part =
                    archives.read(spool, offset, size).ok_or(FileError::NoInput { input: spool })?;
                writer.add(&entry, Content::Reader(&mut part))?;
            }
        }
    }
    Ok(writer.finish()?)
}

/// The entry that hides what is at `path` in lower layers.
pub(crate) fn whiteout(path: &[u8]) -> Entry {
    let (path, xattrs) = (path.to_vec(), BTreeMap::new());
    Entry { path, kind: EntryKind::Whiteout, mode: 0, uid: 0, gid: 0, mtime: 0, xattrs }
}

fn identity(body: &Body) -> Option<Identity> {
    match body {
        Body::None | Body::Inline(_) => None,
        Body::Source { tree, group, item } => {
            item.identity.map(|file| Identity::Source { tree: *tree, group: *group, file })
        }
        Body::Spooled { spool, file, .. } => Some(Identity::Spooled { spool: *spool, file: *file }),
    }
}

fn kind(change: &Change) -> EntryKind {
    match &change.kind {
        ItemKind::File { size } => EntryKind::File { size: *size },
        ItemKind::Directory => EntryKind::Directory { opaque: false },
        ItemKind::Symlink { target } => EntryKind::Symlink { target: target.as_os_str().as_bytes().to_vec() },
        ItemKind::CharDevice { major, minor } => EntryKind::CharDevice { major: *major, minor: *minor },
        ItemKind::BlockDevice { major, minor } => EntryKind::BlockDevice { major: *major, minor: *minor },
        ItemKind::Fifo => EntryKind::Fifo,
    }
}
