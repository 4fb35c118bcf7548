//! A plain model of file trees made of layers: what operations on files mean, without a disk, a cache or a graph.

use std::collections::{BTreeMap, BTreeSet};

/// What lies at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    Directory { mode: u32 },
    File { mode: u32, data: Vec<u8> },
    Link { target: String },
}

/// By absolute path; the root is always there and not among them.
pub(super) type Tree = BTreeMap<String, Node>;

/// What a layer has at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entry {
    Here(Node),
    /// A directory that hides what is below.
    Opaque(Node),
    Gone,
}

pub(super) type Layer = BTreeMap<String, Entry>;

/// That an operation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fails;

/// How a copy is done.
#[derive(Debug, Clone, Copy)]
pub(super) struct CopyRules {
    pub(super) follow: bool,
    pub(super) contents: bool,
    pub(super) parents: bool,
    pub(super) replace: bool,
    pub(super) mode: Option<u32>,
}

/// The merged tree of layers, bottom first.
pub(super) fn merged(layers: &[Layer]) -> Tree {
    let mut tree = Tree::new();
    for (path, entry) in layers.iter().flatten() {
        match entry {
            Entry::Gone => clear(&mut tree, path),
            Entry::Opaque(node) => {
                clear(&mut tree, path);
                tree.insert(path.clone(), node.clone());
            }
            Entry::Here(node) => {
                let both =
                    matches!((tree.get(path), node), (Some(Node::Directory { .. }), Node::Directory { .. }));
                if !both {
                    clear(&mut tree, path);
                }
                tree.insert(path.clone(), node.clone());
            }
        }
    }
    tree
}

/// Takes away a path with all below.
fn clear(tree: &mut Tree, path: &str) {
    tree.retain(|other, _| other != path && !is_below(other, path));
}

fn is_below(path: &str, dir: &str) -> bool {
    path.strip_prefix(dir).is_some_and(|rest| rest.starts_with('/'))
}

pub(super) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// The layer that leads from one tree to the other.
pub(super) fn difference(lower: &Tree, upper: &Tree) -> Layer {
    let mut layer = Layer::new();
    for (path, node) in upper {
        if lower.get(path) != Some(node) {
            layer.insert(path.clone(), Entry::Here(node.clone()));
        }
    }
    for path in lower.keys().filter(|path| !upper.contains_key(*path)) {
        // What is in something that is gone, or is no directory any more, goes with it.
        let above = parent(path);
        if above.is_empty() || matches!(upper.get(above), Some(Node::Directory { .. })) {
            layer.insert(path.clone(), Entry::Gone);
        }
    }
    with_parents(layer, upper)
}

fn with_parents(mut layer: Layer, tree: &Tree) -> Layer {
    let paths: Vec<String> = layer.keys().cloned().collect();
    for path in paths {
        let mut above = parent(&path);
        while !above.is_empty() {
            if !layer.contains_key(above)
                && let Some(node) = tree.get(above)
            {
                layer.insert(above.to_owned(), Entry::Here(node.clone()));
            }
            above = parent(above);
        }
    }
    layer
}

/// A tree that is being changed.
#[derive(Clone)]
pub(super) struct Editing {
    base: Tree,
    tree: Tree,
    touched: BTreeSet<String>,
    removed: BTreeSet<String>,
}

impl Editing {
    pub(super) fn new(base: Tree) -> Self {
        Self { tree: base.clone(), base, touched: BTreeSet::new(), removed: BTreeSet::new() }
    }

    /// The layer of all changes.
    pub(super) fn layer(self) -> Layer {
        let mut layer = Layer::new();
        for path in &self.touched {
            let Some(node) = self.tree.get(path) else { continue };
            let opaque = self.removed.contains(path) && matches!(node, Node::Directory { .. });
            let entry = if opaque { Entry::Opaque(node.clone()) } else { Entry::Here(node.clone()) };
            layer.insert(path.clone(), entry);
        }
        for path in &self.removed {
            let covered = self.removed.iter().any(|other| is_below(path, other));
            let above = parent(path);
            let seen = above.is_empty() || matches!(self.tree.get(above), Some(Node::Directory { .. }));
            if !covered && seen && !self.tree.contains_key(path) && self.base.contains_key(path) {
                layer.insert(path.clone(), Entry::Gone);
            }
        }
        with_parents(layer, &self.tree)
    }

    pub(super) fn make_file(&mut self, path: &str, mode: u32, data: &[u8]) -> Result<(), Fails> {
        let path = resolve(&self.tree, path, true)?;
        self.require_directory(parent(&path))?;
        let mode = match self.tree.get(&path) {
            _ if path.is_empty() => return Err(Fails),
            Some(Node::Directory { .. }) => return Err(Fails),
            Some(Node::File { mode, .. }) => *mode,
            _ => mode,
        };
        self.put(&path, Node::File { mode, data: data.to_vec() });
        Ok(())
    }

    pub(super) fn make_directory(&mut self, path: &str, mode: u32, parents: bool) -> Result<(), Fails> {
        let path = resolve(&self.tree, path, true)?;
        if parents {
            return self.directories(&path, mode);
        }
        if path.is_empty() || self.tree.contains_key(&path) {
            return Ok(());
        }
        self.require_directory(parent(&path))?;
        self.put(&path, Node::Directory { mode });
        Ok(())
    }

    pub(super) fn make_link(&mut self, path: &str, target: &str) -> Result<(), Fails> {
        let path = resolve(&self.tree, path, true)?;
        if path.is_empty() || self.tree.contains_key(&path) {
            return Err(Fails);
        }
        self.require_directory(parent(&path))?;
        self.put(&path, Node::Link { target: target.to_owned() });
        Ok(())
    }

    pub(super) fn remove(&mut self, path: &str, allow_missing: bool) -> Result<(), Fails> {
        let (above, name) = path.rsplit_once('/').ok_or(Fails)?;
        let above = resolve(&self.tree, above, true)?;
        let mut way = above.as_str();
        while !way.is_empty() {
            if !self.is_directory(way) && self.tree.contains_key(way) {
                return Err(Fails);
            }
            way = parent(way);
        }
        let path = format!("{above}/{name}");
        if self.tree.contains_key(&path) {
            self.take(&path);
            return Ok(());
        }
        if allow_missing { Ok(()) } else { Err(Fails) }
    }

    pub(super) fn copy(
        &mut self,
        from: &Tree,
        source: &str,
        to: &str,
        rules: CopyRules,
    ) -> Result<(), Fails> {
        let name = source.rsplit('/').next().unwrap_or_default();
        let found = resolve(from, source, rules.follow)?;
        let top =
            if found.is_empty() { Some(Node::Directory { mode: 0o755 }) } else { from.get(&found).cloned() };
        let top = top.ok_or(Fails)?;
        let is_dir = matches!(top, Node::Directory { .. });
        if !rules.parents {
            let to = resolve(&self.tree, to, true)?;
            self.require_directory(parent(&to))?;
        }
        if to.ends_with('/') {
            let to = resolve(&self.tree, to, true)?;
            self.directories(&to, 0o755)?;
        }
        let mut target = resolve(&self.tree, to, true)?;
        let there = self.is_directory(&target);
        let missing = !there && !self.tree.contains_key(&target);
        if there && !(is_dir && rules.contents) && !name.is_empty() {
            target = format!("{target}/{name}");
        }
        if is_dir && rules.contents && missing {
            self.directories(&target, 0o755)?;
        } else {
            self.directories(parent(&target), 0o755)?;
        }
        self.copy_one(&target, &top, rules, false)?;
        let below = from.iter().filter(|(path, _)| is_dir && is_below(path, &found));
        for (path, node) in below {
            let path = format!("{target}{}", &path[found.len()..]);
            self.copy_one(&path, node, rules, true)?;
        }
        Ok(())
    }

    fn copy_one(&mut self, path: &str, node: &Node, rules: CopyRules, overwrite: bool) -> Result<(), Fails> {
        let with_mode = |mode: u32| rules.mode.unwrap_or(mode);
        let node = match node {
            Node::Directory { mode } => Node::Directory { mode: with_mode(*mode) },
            Node::File { mode, data } => Node::File { mode: with_mode(*mode), data: data.clone() },
            Node::Link { target } => Node::Link { target: target.clone() },
        };
        let there = self.is_directory(path);
        if matches!(node, Node::Directory { .. }) {
            if !there && self.tree.contains_key(path) {
                if !rules.replace {
                    return Err(Fails);
                }
                self.take(path);
            }
            if !there || overwrite {
                self.put(path, node);
            }
            return Ok(());
        }
        if there {
            if !rules.replace || path.is_empty() {
                return Err(Fails);
            }
            self.take(path);
        }
        self.put(path, node);
        Ok(())
    }

    fn directories(&mut self, path: &str, mode: u32) -> Result<(), Fails> {
        if self.is_directory(path) {
            return Ok(());
        }
        if self.tree.contains_key(path) {
            return Err(Fails);
        }
        self.directories(parent(path), mode)?;
        self.put(path, Node::Directory { mode });
        Ok(())
    }

    fn require_directory(&self, path: &str) -> Result<(), Fails> {
        if self.is_directory(path) { Ok(()) } else { Err(Fails) }
    }

    fn is_directory(&self, path: &str) -> bool {
        path.is_empty() || matches!(self.tree.get(path), Some(Node::Directory { .. }))
    }

    fn put(&mut self, path: &str, node: Node) {
        if path.is_empty() {
            return;
        }
        self.tree.insert(path.to_owned(), node);
        self.touched.insert(path.to_owned());
    }

    fn take(&mut self, path: &str) {
        clear(&mut self.tree, path);
        self.removed.insert(path.to_owned());
    }
}

/// Follows links; `""` is the root. What is missing is taken as written.
pub(super) fn resolve(tree: &Tree, path: &str, last: bool) -> Result<String, Fails> {
    let mut todo: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
    let (mut here, mut links) = (String::new(), 0);
    while let Some(name) = todo.pop() {
        match name.as_str() {
            "" | "." => continue,
            ".." => {
                here.truncate(here.rfind('/').unwrap_or(0));
                continue;
            }
            _ => {}
        }
        let next = format!("{here}/{name}");
        match tree.get(&next) {
            Some(Node::Link { target }) if last || todo.iter().any(|part| !part.is_empty()) => {
                links += 1;
                if links > 40 {
                    return Err(Fails);
                }
                if target.starts_with('/') {
                    here.clear();
                }
                todo.extend(target.split('/').rev().map(str::to_owned));
            }
            _ => here = next,
        }
    }
    Ok(here)
}
