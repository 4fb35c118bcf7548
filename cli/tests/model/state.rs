//! One state of a case: a Dockerfile, its arguments, a context and an ignore file, all as data.
//!
//! A state is written to a directory as the difference from the state before it, so that inodes and times behave as they do
//! when somebody edits files.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

/// A moment of a case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    pub stages: Vec<Stage>,
    /// `--build-arg`.
    pub args: BTreeMap<String, String>,
    /// `--label`.
    pub label: Option<String>,
    pub ignore: Vec<String>,
    /// By path relative to the context; parents are made.
    pub context: BTreeMap<String, File>,
    /// What the edit that led here is allowed to execute.
    pub rule: Rule,
    /// Done to the context's directory on the way here, beside what differs.
    pub touches: Vec<Touch>,
}

/// What a build of a state may execute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rule {
    /// Whatever it wants.
    #[default]
    Anything,
    /// Nothing: no step can see the edit.
    Nothing,
    /// Anything but linked copies: only what they lie on changed.
    NoLinks,
}

/// A change of a file that no step can see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Touch {
    /// Another modification time, in seconds since 1970.
    Time(String, u64),
    /// Another owner.
    Owner(String, u32),
    /// The same content in another inode.
    Again(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    pub kind: Kind,
    pub mode: u32,
    /// The value of `user.model`, for files and directories.
    pub xattr: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    Regular(String),
    Directory,
    Symlink(String),
    /// A hard link to another path of the context.
    Link(String),
}

/// A stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    pub id: usize,
    pub base: Base,
    pub steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Base {
    Scratch,
    Image(usize),
    /// By the id of an earlier stage.
    Stage(usize),
}

/// An instruction. Its id stays when its text is edited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub id: usize,
    pub text: String,
    /// The ids of the stages that `{N}` in the text means.
    pub stages: Vec<usize>,
}

impl State {
    /// The Dockerfile.
    pub fn dockerfile(&self) -> String {
        let mut text = String::new();
        for stage in &self.stages {
            let base = match stage.base {
                Base::Scratch => "scratch".to_owned(),
                Base::Image(number) => super::world::base_name(number),
                Base::Stage(id) => format!("s{id}"),
            };
            writeln!(text, "FROM {base} AS s{}", stage.id).unwrap();
            for step in &stage.steps {
                writeln!(text, "{}", step.text).unwrap();
            }
        }
        text
    }

    /// Everything that a build can depend on.
    pub fn fingerprint(&self) -> String {
        format!("{}{:?}{:?}{:?}{:?}", self.dockerfile(), self.args, self.label, self.ignore, self.context)
    }

    /// Makes the directory of `before` that of this state.
    pub fn write(&self, before: &State, root: &Path) {
        let changed = |path: &String| {
            let (old, new) = (before.context.get(path), self.context.get(path));
            old != new || old.is_some_and(|old| is_changed_link(old, before, self))
        };
        for path in before.context.keys().rev().filter(|path| changed(path)) {
            if !stays(before, self, path) {
                remove(&root.join(path));
            }
        }
        for (path, file) in self.context.iter().filter(|(path, _)| changed(path)) {
            file.write(root, path);
        }
        for touch in &self.touches {
            touch.apply(root);
        }
    }
}

/// A hard link is made again when what it leads to is another file.
fn is_changed_link(file: &File, before: &State, after: &State) -> bool {
    let Kind::Link(target) = &file.kind else { return false };
    before.context.get(target) != after.context.get(target)
}

/// Whether the inode stays: a directory that is still one, a file that gets another content.
fn stays(before: &State, after: &State, path: &str) -> bool {
    match (before.context.get(path), after.context.get(path)) {
        (Some(old), Some(new)) => matches!(
            (&old.kind, &new.kind),
            (Kind::Directory, Kind::Directory) | (Kind::Regular(_), Kind::Regular(_))
        ),
        _ => false,
    }
}

fn remove(path: &Path) {
    let metadata = fs::symlink_metadata(path).unwrap();
    if metadata.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
}

impl File {
    fn write(&self, root: &Path, path: &str) {
        let full = root.join(path);
        fs::create_dir_all(full.parent().unwrap()).unwrap();
        match &self.kind {
            Kind::Regular(text) => fs::write(&full, text).unwrap(),
            Kind::Directory => fs::create_dir_all(&full).unwrap(),
            Kind::Symlink(target) => return symlink(target, &full).unwrap(),
            Kind::Link(target) => return fs::hard_link(root.join(target), &full).unwrap(),
        }
        fs::set_permissions(&full, fs::Permissions::from_mode(self.mode)).unwrap();
        let name = "user.model";
        match &self.xattr {
            Some(value) => {
                let flags = rustix::fs::XattrFlags::empty();
                rustix::fs::setxattr(&full, name, value.as_bytes(), flags).unwrap();
            }
            None => drop(rustix::fs::removexattr(&full, name)),
        }
    }
}

impl Touch {
    fn apply(&self, root: &Path) {
        match self {
            Touch::Time(path, seconds) => {
                let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(*seconds);
                let file = fs::File::open(root.join(path)).unwrap();
                file.set_times(fs::FileTimes::new().set_modified(time)).unwrap();
            }
            Touch::Owner(path, uid) => {
                let full = root.join(path);
                let before = fs::symlink_metadata(&full).unwrap();
                std::os::unix::fs::lchown(&full, Some(*uid), Some(*uid)).unwrap();
                // The kernel takes the bits away that let a program run as its owner.
                if !before.is_symlink() {
                    fs::set_permissions(&full, before.permissions()).unwrap();
                }
            }
            Touch::Again(path) => {
                let (full, beside) = (root.join(path), root.join(".beside"));
                fs::copy(&full, &beside).unwrap();
                fs::rename(&beside, &full).unwrap();
            }
        }
    }
}
