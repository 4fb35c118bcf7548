//! What a COPY takes from a tree: patterns in, files out, together with their digest.
//!
//! The digest covers exactly what can change the layer: for each match its place relative to the
//! destination, type, mode, link target, content and extended attributes, owners where they count, and
//! which files of a match are hard links of each other. Where the files lay in the tree, and their times, do not count.

mod parents;
mod quick;
mod transfer;

use std::borrow::Cow;
use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use kiln_graph::op::CopySource;
use kiln_graph::pattern::{self, Glob, IgnoreMatcher};
use sha2::{Digest as _, Sha256};

use self::quick::Stats;
pub(crate) use self::transfer::transfer as select_transfer;
use super::resolve::{Found, Unresolved, resolve};
use super::{Fingerprint, Item, ItemKind, Missing, Tree, TreeError, as_text, fingerprint};

/// One match of a source pattern.
#[derive(Debug)]
pub(crate) struct Match {
    /// The name it gets in a destination that is a directory (unless it is a directory itself, whose
    /// contents are copied).
    pub(crate) name: std::ffi::OsString,
    /// What was matched, symlinks followed.
    pub(crate) top: Item,
    /// If that is a directory: all that is copied from below it, parents first.
    pub(crate) below: Vec<Item>,
    /// True when the directory itself is not copied, only what is in it: its own mode and owner do not count.
    pub(crate) contents_only: bool,
}

impl Match {
    /// An item's path relative to the match; empty for the match itself.
    pub(crate) fn relative<'a>(&self, item: &'a Item) -> &'a Path {
        item.path.strip_prefix(&self.top.path).unwrap_or(&item.path)
    }
}

/// What a COPY takes.
#[derive(Debug)]
pub(crate) struct Selection {
    /// The matches in order.
    pub(crate) matches: Vec<Match>,
    /// Covers all that counts.
    pub(crate) digest: [u8; 32],
    /// One line a file, for telling what changed: see [`describe`]. `None` if the digest was known without it.
    pub(crate) listing: Option<Vec<u8>>,
    /// Patterns with wildcards that match nothing.
    pub(crate) unmatched: Vec<String>,
}

/// Where a source was looked for, as people are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The context that the build was started with.
    Context,
    /// Another context.
    NamedContext {
        /// Its name.
        name: String,
    },
    /// The result of a stage.
    Stage {
        /// Its name, or its number if it has none.
        name: String,
    },
    /// An image.
    Image {
        /// Its reference.
        reference: String,
    },
    /// A repository, or a directory of one.
    Repository {
        /// Which.
        what: String,
    },
    /// Not known to whoever looked.
    Unknown,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Context => f.write_str("in the build context"),
            Self::NamedContext { name } => write!(f, "in the context {name}"),
            Self::Stage { name } => write!(f, "in stage {name}"),
            Self::Image { reference } => write!(f, "in image {reference}"),
            Self::Repository { what } => write!(f, "in {what}"),
            Self::Unknown => f.write_str("there"),
        }
    }
}

/// Why nothing could be selected.
#[derive(Debug, thiserror::Error)]
pub enum SelectError {
    /// A source is not in the tree.
    #[error("{pattern} is not {place}")]
    NotFound {
        /// As written.
        pattern: String,
        /// Where it was looked for.
        place: Place,
        /// Why it is not there.
        missing: Missing,
        /// Names in the same directory that are close to it.
        similar: Option<String>,
    },
    /// The tree could not be read.
    #[error(transparent)]
    Tree(#[from] TreeError),
}

impl SelectError {
    /// The same, saying where was looked.
    pub(crate) fn looked_in(self, place: Place) -> Self {
        match self {
            Self::NotFound { pattern, missing, similar, .. } => {
                Self::NotFound { pattern, place, missing, similar }
            }
            Self::Tree(error) => Self::Tree(error),
        }
    }
}

/// Selects `sources` from `tree`, without what `excludes` match. `themselves`: see
/// [`CopyAction::directories_themselves`](kiln_graph::op::CopyAction::directories_themselves).
pub(crate) fn select(
    tree: &dyn Tree,
    sources: &[CopySource],
    excludes: &[String],
    themselves: bool,
) -> Result<Selection, SelectError> {
    let began = fingerprint::now();
    let excludes = if excludes.is_empty() {
        None
    } else {
        Some(IgnoreMatcher::new(excludes).map_err(|error| pattern_error(&excludes.join(" "), &error))?)
    };
    let (mut matches, mut unmatched) = (Vec::new(), Vec::new());
    for source in sources {
        let (found, pattern) = match source {
            CopySource::Path(pattern) => (select_one(tree, pattern, excludes.as_ref(), themselves)?, pattern),
            CopySource::Parents { pivot, pattern } => {
                (parents::select(tree, pivot, pattern, excludes.as_ref())?, pattern)
            }
            CopySource::Inline { .. } => continue,
        };
        if found.is_empty() {
            unmatched.push(pattern.clone());
        }
        matches.extend(found);
    }
    let known = tree.memory().and_then(|store| Some((store, Stats::of(&matches, began)?)));
    if let Some((store, stats)) = &known
        && let Some(digest) = stats.recall(store)?
    {
        return Ok(Selection { matches, digest, listing: None, unmatched });
    }
    let (digest, listing) = digest(tree, &matches)?;
    if let Some((store, stats)) = &known {
        stats.remember(store, &digest)?;
    }
    Ok(Selection { matches, digest, listing: Some(listing), unmatched })
}

fn pattern_error(pattern: &str, error: &dyn std::fmt::Display) -> TreeError {
    TreeError::Pattern { pattern: pattern.to_owned(), message: error.to_string() }
}

/// What a pattern of paths names. A pattern with wildcards may name nothing, as in Docker.
fn select_one(
    tree: &dyn Tree,
    pattern: &str,
    excludes: Option<&IgnoreMatcher>,
    themselves: bool,
) -> Result<Vec<Match>, SelectError> {
    let mut matches = Vec::new();
    for path in paths(tree, pattern)? {
        let top = existing(tree, pattern, &path)?;
        if !top.is_dir() && excluded(excludes, Path::new(path.file_name().unwrap_or_default())) {
            continue;
        }
        let name = path.file_name().unwrap_or_default().to_owned();
        let below = if top.is_dir() { contents(tree, &top, excludes)? } else { Vec::new() };
        let contents_only = top.is_dir() && !themselves;
        matches.push(Match { name, top, below, contents_only });
    }
    Ok(matches)
}

/// The paths that a pattern stands for: its own if it has no wildcards.
fn paths(tree: &dyn Tree, pattern: &str) -> Result<Vec<PathBuf>, TreeError> {
    if pattern::has_wildcard(pattern) {
        expand(tree, pattern)
    } else {
        Ok(vec![PathBuf::from(unescape(pattern))])
    }
}

/// What is at `path`, symlinks followed; `pattern` is what the user asked for.
fn existing(tree: &dyn Tree, pattern: &str, path: &Path) -> Result<Item, SelectError> {
    let followed = follow(tree, path, true)?;
    match tree.find(&followed)? {
        Some(item) => Ok(item),
        None => Err(not_found(tree, pattern, &followed, path)),
    }
}

fn not_found(tree: &dyn Tree, pattern: &str, followed: &Path, path: &Path) -> SelectError {
    SelectError::NotFound {
        pattern: pattern.to_owned(),
        place: Place::Unknown,
        missing: match tree.why_missing(followed) {
            Missing::Absent => link(tree, path).unwrap_or(Missing::Absent),
            other => other,
        },
        similar: similar(tree, path),
    }
}

/// That `path` is a link, if it is one.
fn link(tree: &dyn Tree, path: &Path) -> Option<Missing> {
    match tree.find(&follow(tree, path, false).ok()?).ok()??.kind {
        ItemKind::Symlink { target } => Some(Missing::Link { target }),
        _ => None,
    }
}

fn contents(tree: &dyn Tree, top: &Item, excludes: Option<&IgnoreMatcher>) -> Result<Vec<Item>, TreeError> {
    let below = tree.below(&top.path)?;
    if excludes.is_none() {
        return Ok(below);
    }
    Ok(super::keep(below, |item| excluded(excludes, item.path.strip_prefix(&top.path).unwrap_or(&item.path))))
}

fn excluded(excludes: Option<&IgnoreMatcher>, relative: &Path) -> bool {
    let Some(matcher) = excludes else { return false };
    matcher.decide(&as_text(relative.as_os_str())).ignored
}

/// Follows symlinks beneath the tree's root.
pub(crate) fn follow(tree: &dyn Tree, path: &Path, last: bool) -> Result<PathBuf, TreeError> {
    resolve(path, last, |path| {
        Ok(match tree.find(path)?.map(|item| item.kind) {
            Some(ItemKind::Symlink { target }) => Found::Symlink(target),
            _ => Found::Other,
        })
    })
    .map_err(|error| match error {
        Unresolved::Loop(path) => TreeError::Loop { path },
        Unresolved::Look(error) => error,
    })
}

/// Expands a pattern component by component; symlinks are followed only before the first wildcard.
fn expand(tree: &dyn Tree, pattern: &str) -> Result<Vec<PathBuf>, TreeError> {
    let components: Vec<&str> = pattern.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    let fixed = components.iter().position(|part| pattern::has_wildcard(part)).unwrap_or(components.len());
    let prefix: PathBuf = components[..fixed].iter().map(|part| unescape(part)).collect();
    let mut found = vec![follow(tree, &prefix, true)?];
    for component in &components[fixed..] {
        let glob = Glob::new(component).map_err(|error| pattern_error(pattern, &error))?;
        let mut next = Vec::new();
        for dir in &found {
            if !tree.find(dir)?.is_some_and(|item| item.is_dir()) {
                continue;
            }
            let children = tree.children(dir)?.into_iter().map(|item| item.path);
            next.extend(
                children.filter(|path| path.file_name().is_some_and(|name| glob.matches(&as_text(name)))),
            );
        }
        found = next;
    }
    Ok(found)
}

/// A pattern without wildcards as the path that it names: a backslash takes the next character as it is.
fn unescape(pattern: &str) -> String {
    let mut path = String::with_capacity(pattern.len());
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => path.extend(characters.next()),
            _ => path.push(character),
        }
    }
    path
}

/// The name nearest to a missing one, in the directory where it was looked for.
fn similar(tree: &dyn Tree, path: &Path) -> Option<String> {
    let parent = follow(tree, path.parent()?, true).ok()?;
    let wanted = path.file_name()?.to_str()?.to_lowercase();
    let names = tree.children(&parent).ok()?;
    names
        .iter()
        // The name itself is there when it is that of a link which leads nowhere.
        .filter(|item| item.path.file_name() != path.file_name())
        .filter_map(|item| item.path.to_str().zip(item.path.file_name()?.to_str()))
        .map(|(path, name)| (distance(&wanted, &name.to_lowercase()), path))
        // Of a name that is one letter long, another letter is no neighbour.
        .filter(|(distance, _)| *distance <= (wanted.len() / 3).max(1) && *distance < wanted.len())
        .min()
        .map(|(_, path)| path.to_owned())
}

/// Levenshtein distance in bytes.
fn distance(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.bytes().enumerate() {
            let cost = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = cost.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

/// Digest and listing of what was matched.
fn digest(tree: &dyn Tree, matches: &[Match]) -> Result<([u8; 32], Vec<u8>), TreeError> {
    let items: Vec<&Item> =
        matches.iter().flat_map(|found| std::iter::once(&found.top).chain(&found.below)).collect();
    let fingerprints = tree.fingerprints(&items)?;
    let mut fingerprints = fingerprints.iter();
    let mut hasher = Sha256::new();
    let mut lines = Vec::with_capacity(items.len() * LINE);
    for found in matches {
        // Hard links are kept within a match only, so that is where they count.
        let mut first_names: HashMap<(u64, u64), usize> = HashMap::new();
        lines.extend_from_slice(b"match ");
        if !found.top.is_dir() {
            lines.extend_from_slice(found.name.as_bytes());
        }
        lines.extend_from_slice(b"\0\n");
        for (index, item) in std::iter::once(&found.top).chain(&found.below).enumerate() {
            let fingerprint = fingerprints.next().copied().unwrap_or_default();
            if index == 0 && found.contents_only {
                continue;
            }
            let link = item.identity.map(|identity| *first_names.entry(identity).or_insert(index));
            let link = link.filter(|first| *first != index);
            describe(&mut lines, item, found.relative(item), &fingerprint, link, tree.keeps_owners());
        }
    }
    hasher.update(&lines);
    Ok((hasher.finalize().into(), lines))
}

/// Bytes of a listing's line, for most paths: two thirds are the fingerprint.
const LINE: usize = 160;

/// One line of a listing: `kind mode owner link fingerprint path NUL target NUL newline`.
///
/// The fields before the path hold no spaces and neither path nor target can hold NUL, so two different
/// lists never have the same bytes, whatever the names are.
fn describe(
    lines: &mut Vec<u8>,
    item: &Item,
    relative: &Path,
    fingerprint: &Fingerprint,
    link: Option<usize>,
    keeps_owners: bool,
) {
    let (kind, detail): (u8, Cow<'_, [u8]>) = match &item.kind {
        ItemKind::File { .. } => (b'f', Cow::Borrowed(&[])),
        ItemKind::Directory => (b'd', Cow::Borrowed(&[])),
        ItemKind::Symlink { target } => (b'l', Cow::Borrowed(target.as_os_str().as_bytes())),
        ItemKind::CharDevice { major, minor } => (b'c', Cow::Owned(format!("{major}:{minor}").into_bytes())),
        ItemKind::BlockDevice { major, minor } => (b'b', Cow::Owned(format!("{major}:{minor}").into_bytes())),
        ItemKind::Fifo => (b'p', Cow::Borrowed(&[])),
    };
    lines.extend_from_slice(&[kind, b' ']);
    push_octal(lines, item.mode);
    lines.push(b' ');
    if keeps_owners {
        lines.extend_from_slice(format!("{}:{}", item.uid, item.gid).as_bytes());
    }
    lines.push(b' ');
    if let Some(first) = link {
        lines.extend_from_slice(first.to_string().as_bytes());
    }
    lines.push(b' ');
    lines.extend(
        fingerprint.iter().flat_map(|byte| [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]),
    );
    lines.push(b' ');
    lines.extend_from_slice(relative.as_os_str().as_bytes());
    lines.push(0);
    lines.extend_from_slice(&detail);
    lines.extend_from_slice(b"\0\n");
}

const HEX: &[u8; 16] = b"0123456789abcdef";

fn push_octal(lines: &mut Vec<u8>, mode: u32) {
    lines.extend([9, 6, 3, 0].map(|shift| HEX[(mode >> shift & 7) as usize]));
}
