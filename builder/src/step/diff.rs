//! The layer that makes one tree of another: what is new or different in the upper one, and whiteouts for what it lacks.
//!
//! Two files are the same if they are one file on the disk, or agree in kind, permissions, owner, time, attributes and content.
//! A directory's own time does not count.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use kiln_cache::{Content, Entry, EntryKind, Forms, LayerInfo, Node, NodeKind, Store, View};

use crate::content::TreeError;
use crate::content::order::LayerPath;
use crate::step::file::FileError;
use crate::step::file::write::whiteout;

/// Bytes that are compared at once.
const CHUNK: usize = 64 * 1024;

/// A path of the layer: what the upper tree has there, or nothing.
type Changes = BTreeMap<LayerPath, Option<Node>>;

/// Writes the layer that leads from `lower` to `upper`.
pub(crate) fn write(store: &Store, lower: &View, upper: &View, forms: Forms) -> Result<LayerInfo, FileError> {
    let changes = changes(lower, upper)?;
    let mut writer = store.layers().writer(forms)?;
    let mut names: HashMap<(u64, u64), Vec<u8>> = HashMap::new();
    for (path, node) in changes {
        let path = path.as_bytes();
        let Some(node) = node else {
            writer.add(&whiteout(path), Content::None)?;
            continue;
        };
        let mut entry = entry(upper, path, &node)?;
        if node.kind == NodeKind::File && node.nlink > 1 {
            if let Some(target) = names.get(&node.identity) {
                entry.kind = EntryKind::Hardlink { target: target.clone() };
                writer.add(&entry, Content::None)?;
                continue;
            }
            names.insert(node.identity, path.to_vec());
        }
        let content = match node.kind {
            NodeKind::File => Content::File(upper.open(&node)?),
            _ => Content::None,
        };
        writer.add(&entry, content)?;
    }
    Ok(writer.finish()?)
}

/// What differs, with the directories above it.
fn changes(lower: &View, upper: &View) -> Result<Changes, FileError> {
    let mut changes = Changes::new();
    let mut pending = vec![(PathBuf::from("/"), true)];
    while let Some((dir, shared)) = pending.pop() {
        let mut before: BTreeMap<OsString, Node> =
            if shared { present(lower, &dir)?.collect() } else { BTreeMap::new() };
        for (name, node) in present(upper, &dir)? {
            let path = dir.join(&name);
            let old = before.remove(&name);
            let both = node.kind == NodeKind::Directory
                && old.as_ref().is_some_and(|old| old.kind == NodeKind::Directory);
            if node.kind == NodeKind::Directory {
                pending.push((path.clone(), both));
            }
            let same = match &old {
                Some(old) => is_same((lower, old), (upper, &node))?,
                None => false,
            };
            if !same {
                changes.insert(LayerPath::from(path.as_path()), Some(node));
            }
        }
        let gone = before.into_keys().map(|name| LayerPath::from(dir.join(name).as_path()));
        changes.extend(gone.map(|path| (path, None)));
    }
    add_parents(&mut changes, upper)?;
    Ok(changes)
}

/// What is in a directory, sockets aside.
fn present(view: &View, dir: &Path) -> Result<impl Iterator<Item = (OsString, Node)>, FileError> {
    let nodes = view.read_dir(dir)?;
    Ok(nodes.into_iter().filter(|(_, node)| node.kind != NodeKind::Socket))
}

fn add_parents(changes: &mut Changes, upper: &View) -> Result<(), FileError> {
    let mut parents = Changes::new();
    for path in changes.keys() {
        let mut above = path.parent();
        while let Some(dir) = above.filter(|dir| !dir.as_bytes().is_empty()) {
            if changes.contains_key(&dir) || parents.contains_key(&dir) {
                break;
            }
            let node = upper.lookup(&dir.absolute())?;
            above = dir.parent();
            parents.insert(dir, node);
        }
    }
    changes.append(&mut parents);
    Ok(())
}

fn entry(view: &View, path: &[u8], node: &Node) -> Result<Entry, FileError> {
    let (major, minor) = node.rdev;
    let kind = match node.kind {
        NodeKind::File => EntryKind::File { size: node.size },
        NodeKind::Directory => EntryKind::Directory { opaque: false },
        NodeKind::Symlink => {
            let target = node.link_target.clone().unwrap_or_default();
            EntryKind::Symlink { target: target.as_os_str().as_bytes().to_vec() }
        }
        NodeKind::CharDevice => EntryKind::CharDevice { major, minor },
        NodeKind::BlockDevice => EntryKind::BlockDevice { major, minor },
        NodeKind::Fifo | NodeKind::Socket => EntryKind::Fifo,
    };
    let (path, xattrs) = (path.to_vec(), view.xattrs(node)?);
    Ok(Entry { path, kind, mode: node.mode, uid: node.uid, gid: node.gid, mtime: node.mtime, xattrs })
}

fn is_same((lower, old): (&View, &Node), (upper, new): (&View, &Node)) -> Result<bool, FileError> {
    if old.source == new.source {
        return Ok(true);
    }
    let is_dir = new.kind == NodeKind::Directory;
    let agree = old.kind == new.kind
        && (old.mode, old.uid, old.gid, old.rdev) == (new.mode, new.uid, new.gid, new.rdev)
        && old.link_target == new.link_target
        && (is_dir || (old.mtime, old.size) == (new.mtime, new.size));
    if !agree || lower.xattrs(old)? != upper.xattrs(new)? {
        return Ok(false);
    }
    if new.kind != NodeKind::File {
        return Ok(true);
    }
    let (mut old_file, mut new_file) = (lower.open(old)?, upper.open(new)?);
    let same = has_same_bytes(&mut old_file, &mut new_file);
    same.map_err(|source| FileError::Tree(TreeError::Read { path: new.source.clone(), source }))
}

fn has_same_bytes(left: &mut impl Read, right: &mut impl Read) -> std::io::Result<bool> {
    let (mut one, mut other) = (Vec::with_capacity(CHUNK), Vec::with_capacity(CHUNK));
    loop {
        one.clear();
        other.clear();
        left.take(CHUNK as u64).read_to_end(&mut one)?;
        right.take(CHUNK as u64).read_to_end(&mut other)?;
        if one != other {
            return Ok(false);
        }
        if one.is_empty() {
            return Ok(true);
        }
    }
}
