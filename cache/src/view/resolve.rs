//! Where a path leads: links followed beneath the root, `..` clamped at it, a missing tail allowed.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

use crate::layers::entry::split_path;
use crate::view::node::{Node, NodeKind, Resolved};
use crate::view::{View, ViewError, to_absolute};

/// How many symbolic links are followed in one path: the kernel's own limit.
const MOST_LINKS: usize = 40;

/// A step of a path that is still to go.
enum Step {
    Root,
    Up,
    Down(OsString),
}

impl View {
    /// Where a path leads. Relative paths begin at the root. What does not exist, and everything after it, is taken
    /// as written. The last component is followed only if asked for.
    pub fn resolve(&self, path: &Path, follow_last: bool) -> Result<Resolved, ViewError> {
        let mut todo = Vec::new();
        push_steps(&mut todo, path);
        let mut here: Vec<u8> = Vec::new();
        // What lies at `here`; nothing once the path has left what exists.
        let mut node = Some(self.root()?);
        let mut links = 0;
        while let Some(step) = todo.pop() {
            let name = match step {
                Step::Root => {
                    here.clear();
                    node = self.at(&here)?;
                    continue;
                }
                Step::Up => {
                    here.truncate(split_path(&here).0.len());
                    node = self.at(&here)?;
                    continue;
                }
                Step::Down(name) => name,
            };
            if node.as_ref().is_some_and(|node| node.kind != NodeKind::Directory) {
                return Err(ViewError::NotADirectory { path: to_absolute(&here) });
            }
            let found = if node.is_some() { self.found(&here, &name)? } else { None };
            match found {
                Some(Node { link_target: Some(target), .. }) if follow_last || !todo.is_empty() => {
                    links += 1;
                    if links > MOST_LINKS {
                        return Err(ViewError::TooManyLinks { path: path.to_owned() });
                    }
                    push_steps(&mut todo, &target);
                }
                found => {
                    push_name(&mut here, &name);
                    node = found;
                }
            }
        }
        Ok(Resolved { path: to_absolute(&here), node })
    }

    /// What lies at a path without links.
    fn at(&self, path: &[u8]) -> Result<Option<Node>, ViewError> {
        if path.is_empty() {
            return self.root().map(Some);
        }
        let (dir, name) = split_path(path);
        match self.directory(dir) {
            Ok(Some(dir)) => self.child(&dir, name),
            // A way that left what exists, and came back with `..`.
            Ok(None) | Err(ViewError::NotADirectory { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn found(&self, dir: &[u8], name: &OsStr) -> Result<Option<Node>, ViewError> {
        match self.directory(dir)? {
            Some(dir) => self.child(&dir, name.as_bytes()),
            None => Ok(None),
        }
    }
}

fn push_steps(todo: &mut Vec<Step>, path: &Path) {
    for component in path.components().rev() {
        match component {
            Component::Normal(name) => todo.push(Step::Down(name.to_owned())),
            Component::ParentDir => todo.push(Step::Up),
            Component::RootDir => todo.push(Step::Root),
            Component::CurDir | Component::Prefix(_) => {}
        }
    }
}

fn push_name(here: &mut Vec<u8>, name: &OsStr) {
    if !here.is_empty() {
        here.push(b'/');
    }
    here.extend_from_slice(name.as_bytes());
}
