//! The merged layers of a snapshot as a tree to copy from.

use std::fs::File;
use std::path::{Path, PathBuf};

use kiln_cache::{Node, NodeKind, View};

use super::{Fingerprint, Item, ItemKind, Missing, Tree, TreeError, Xattrs, fingerprint};

/// A snapshot's files.
pub(crate) struct SnapshotTree {
    view: View,
}

impl SnapshotTree {
    /// The files of `view`.
    pub(crate) fn new(view: View) -> Self {
        Self { view }
    }

    fn node(&self, path: &Path) -> Result<Option<Node>, TreeError> {
        Ok(self.view.lookup(&Path::new("/").join(path))?)
    }

    fn node_of(&self, item: &Item) -> Result<Node, TreeError> {
        self.node(&item.path)?.ok_or_else(|| TreeError::Changed { path: item.path.clone() })
    }
}

/// An item from what a view says; `None` for a socket.
pub(crate) fn item_of(path: PathBuf, node: &Node) -> Option<Item> {
    let kind = match node.kind {
        NodeKind::File => ItemKind::File { size: node.size },
        NodeKind::Directory => ItemKind::Directory,
        NodeKind::Symlink => ItemKind::Symlink { target: node.link_target.clone().unwrap_or_default() },
        NodeKind::CharDevice => ItemKind::CharDevice { major: node.rdev.0, minor: node.rdev.1 },
        NodeKind::BlockDevice => ItemKind::BlockDevice { major: node.rdev.0, minor: node.rdev.1 },
        NodeKind::Fifo => ItemKind::Fifo,
        NodeKind::Socket => return None,
    };
    let identity = (node.kind == NodeKind::File && node.nlink > 1).then_some(node.identity);
    Some(Item {
        path,
        kind,
        mode: node.mode,
        uid: node.uid,
        gid: node.gid,
        mtime: node.mtime,
        identity,
        stat: None,
    })
}

impl Tree for SnapshotTree {
    fn find(&self, path: &Path) -> Result<Option<Item>, TreeError> {
        Ok(self.node(path)?.and_then(|node| item_of(path.to_owned(), &node)))
    }

    fn children(&self, dir: &Path) -> Result<Vec<Item>, TreeError> {
        let nodes = self.view.read_dir(&Path::new("/").join(dir))?;
        Ok(nodes.iter().filter_map(|(name, node)| item_of(dir.join(name), node)).collect())
    }

    fn fingerprints(&self, items: &[&Item]) -> Result<Vec<Fingerprint>, TreeError> {
        items.iter().map(|item| self.fingerprint(item)).collect()
    }

    fn xattrs(&self, item: &Item) -> Result<Xattrs, TreeError> {
        if item.path.as_os_str().is_empty() {
            return Ok(Xattrs::new());
        }
        Ok(self.view.xattrs(&self.node_of(item)?)?)
    }

    fn check_unchanged(&self, _: &Item, _: &File) -> Result<(), TreeError> {
        // A layer's tree never changes once it has its name.
        Ok(())
    }

    fn open(&self, item: &Item) -> Result<File, TreeError> {
        Ok(self.view.open(&self.node_of(item)?)?)
    }

    fn keeps_owners(&self) -> bool {
        true
    }

    fn why_missing(&self, _: &Path) -> Missing {
        Missing::Absent
    }
}

impl SnapshotTree {
    fn fingerprint(&self, item: &Item) -> Result<Fingerprint, TreeError> {
        let content = match item.kind {
            ItemKind::File { .. } => fingerprint::of_file(self.open(item)?)
                .map_err(|source| TreeError::Read { path: item.path.clone(), source })?,
            _ => Fingerprint::default(),
        };
        Ok(fingerprint::with_xattrs(content, &self.xattrs(item)?))
    }
}
