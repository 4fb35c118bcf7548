//! Changes of files as a client asks for them that speaks of paths and flags rather than of COPY.
//!
//! What they have in common: paths are absolute inside the root, symlinks in their parents are followed beneath it, times are
//! whole seconds since 1970 and `None` is the directory's own, so that the same graph gives the same layer anywhere.

use serde::{Deserialize, Serialize};

use super::{ModeChange, Owner};

/// Copies from an input. What lands where follows cp(1) more closely than COPY does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    /// Which input of the vertex the source is in. Never 0.
    pub input: usize,
    /// A path of that input, or a pattern; see [`wildcards`](Self::wildcards).
    pub source: String,
    /// Absolute destination; a trailing `/` or `/.` says that it is a directory.
    pub destination: String,
    /// Owner of what is copied; `None` keeps the source's.
    pub owner: Option<Owner>,
    /// Permission bits for what is copied; `None` keeps the source's.
    pub mode: Option<ModeChange>,
    /// Time of what is copied; `None` keeps the source's.
    pub time: Option<i64>,
    /// What the source may be.
    pub wildcards: Wildcards,
    /// Whether a source that is a symlink stands for what it leads to.
    pub follow: bool,
    /// Whether only what is in a source directory is copied, and not the directory itself.
    pub contents: bool,
    /// Whether missing directories above the destination are made.
    pub make_parents: bool,
    /// Whether what is in the way gives way, whatever it is; a directory is never in the way of a directory.
    pub replace: bool,
    /// Patterns of the ignore language, relative to a source directory, of what alone is copied; none means all.
    pub include: Vec<String>,
    /// Patterns of what is left out.
    pub exclude: Vec<String>,
}

/// What the source of a [`Transfer`] may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wildcards {
    /// A path, whatever characters it has.
    None,
    /// A pattern (Go's `filepath.Match`) that must match something.
    Some,
    /// A pattern that may match nothing.
    Any,
}

/// Writes a file whose content stands in the graph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MakeFile {
    /// Where; a symlink there is followed. The directory exists.
    pub path: String,
    /// Permission bits of a new file; one that is there keeps its own.
    pub mode: u32,
    /// The content.
    pub data: Vec<u8>,
    /// The owner; `None` means root, or whoever owns the file that is there.
    pub owner: Option<Owner>,
    /// The time.
    pub time: Option<i64>,
}

/// Makes a directory in one that exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MakeDirectory {
    /// Where. What is there stays as it is.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
    /// The owner; `None` means root.
    pub owner: Option<Owner>,
    /// The time.
    pub time: Option<i64>,
    /// Whether the directories above it are made, too.
    pub parents: bool,
}

/// Makes a symlink where nothing is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MakeLink {
    /// Where. The directory exists.
    pub path: String,
    /// What it says.
    pub target: String,
    /// The owner; `None` means root.
    pub owner: Option<Owner>,
    /// The time.
    pub time: Option<i64>,
}

/// Takes something away, a directory with all that is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remove {
    /// What; a symlink is taken away itself.
    pub path: String,
    /// Whether it need not be there.
    pub allow_missing: bool,
    /// Whether the path is a pattern (Go's `filepath.Match`), which may match nothing.
    pub wildcards: bool,
}
