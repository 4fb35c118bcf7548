//! Whether two chains of trees make the same tree, though they are not the same trees.
//!
//! Only what lies in the trees that the chains do not begin with together is compared: names, types, modes, owners, times in
//! seconds, contents, attributes. Called by the solver for a step whose root came about in another way than before.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::error::{At, optional};
use crate::view::{Node, NodeKind, View, ViewError};

/// How many files are looked at: beyond, whoever asks does better without the answer.
const MOST_FILES: usize = 20_000;

/// How many bytes of content are compared.
const MOST_BYTES: u64 = 256 << 20;

/// The names by which an overlay marks an opaque directory, as root and in a user namespace.
const OPAQUE_NAMES: [&str; 2] = ["trusted.overlay.opaque", "user.overlay.opaque"];

/// Whether two chains, bottom first, make the same tree. False, too, where it would take too long to find out.
pub fn is_same_tree(before: &[PathBuf], after: &[PathBuf]) -> Result<bool, ViewError> {
    let shared = before.iter().zip(after).take_while(|(before, after)| before == after).count();
    let directories = before[shared..].iter().chain(&after[shared..]).cloned().collect();
    let mut comparison =
        Comparison { before: View::new(before)?, after: View::new(after)?, files: 0, bytes: 0 };
    comparison.directory(Path::new("/"), &Own { directories, hides: false })
}

/// Two chains of trees.
struct Comparison {
    before: View,
    after: View,
    files: usize,
    bytes: u64,
}

/// What the trees that the chains do not share have at a directory.
#[derive(Clone)]
struct Own {
    /// Their directories.
    directories: Vec<PathBuf>,
    /// Whether one of them may hide what the shared trees have here.
    hides: bool,
}

impl Comparison {
    fn directory(&mut self, path: &Path, own: &Own) -> Result<bool, ViewError> {
        let (before, after) = (self.before.read_dir(path)?, self.after.read_dir(path)?);
        self.files += before.len();
        if before.len() != after.len() || self.files > MOST_FILES {
            return Ok(false);
        }
        for ((name, old), (other, new)) in before.iter().zip(&after) {
            if name != other || !self.node(old, new)? {
                return Ok(false);
            }
            if old.kind == NodeKind::Directory {
                let below = own.below(name)?;
                let is_touched = below.hides || !below.directories.is_empty();
                if is_touched && !self.directory(&path.join(name), &below)? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn node(&mut self, old: &Node, new: &Node) -> Result<bool, ViewError> {
        let is_directory = old.kind == NodeKind::Directory;
        if !is_directory && old.source == new.source {
            return Ok(true);
        }
        let described = |node: &Node| {
            let size = if node.kind == NodeKind::Directory { 0 } else { node.size };
            (node.kind, node.mode, node.uid, node.gid, node.mtime, node.rdev, node.link_target.clone(), size)
        };
        // Which names are links of each other is not looked into.
        let has_links = |node: &Node| !is_directory && node.nlink > 1;
        if described(old) != described(new) || has_links(old) || has_links(new) {
            return Ok(false);
        }
        Ok(self.before.xattrs(old)? == self.after.xattrs(new)? && self.content(old, new)?)
    }

    fn content(&mut self, old: &Node, new: &Node) -> Result<bool, ViewError> {
        if old.kind != NodeKind::File {
            return Ok(true);
        }
        self.bytes += old.size;
        if self.bytes > MOST_BYTES {
            return Ok(false);
        }
        let (mut before, mut after) = (self.before.open(old)?, self.after.open(new)?);
        Ok(is_same_content(&mut before, &mut after).at("compare", &old.source)?)
    }
}

fn is_same_content(before: &mut impl Read, after: &mut impl Read) -> io::Result<bool> {
    const PIECE: usize = 64 * 1024;
    let (mut old, mut new) = (Vec::with_capacity(PIECE), Vec::with_capacity(PIECE));
    loop {
        old.clear();
        new.clear();
        before.by_ref().take(PIECE as u64).read_to_end(&mut old)?;
        after.by_ref().take(PIECE as u64).read_to_end(&mut new)?;
        if old != new || old.is_empty() {
            return Ok(old == new);
        }
    }
}

impl Own {
    /// What they have at a directory in this one.
    fn below(&self, name: &OsStr) -> Result<Own, ViewError> {
        let mut below = Own { directories: Vec::new(), hides: self.hides };
        for directory in &self.directories {
            let path = directory.join(name);
            let Some(found) = optional(fs::symlink_metadata(&path).at("look at", &path))? else { continue };
            below.hides |= !found.is_dir() || is_opaque(&path)?;
            if found.is_dir() {
                below.directories.push(path);
            }
        }
        Ok(below)
    }
}

fn is_opaque(directory: &Path) -> Result<bool, ViewError> {
    for name in OPAQUE_NAMES {
        let mut value = [0; 1];
        match rustix::fs::lgetxattr(directory, name, &mut value) {
            Ok(1) if value == *b"y" => return Ok(true),
            Ok(_) | Err(Errno::NODATA | Errno::NOTSUP | Errno::RANGE) => {}
            error => drop(error.at("read the attributes of", directory)?),
        }
    }
    Ok(false)
}
