//! Sources that keep the directories they are in: `COPY --parents pivot/./pattern`.
//!
//! The pattern is one of the ignore language, relative to the pivot. What it matches is taken with all that is below
//! it, and the directories between the pivot and a match come along with their own metadata. Symlinks are not
//! followed below the pivot. Source of the rules: BuildKit's include patterns.

use std::path::{Path, PathBuf};

use kiln_graph::pattern::{IgnoreMatcher, has_wildcard};

use super::{Match, SelectError, excluded, existing, follow, not_found, paths, pattern_error, unescape};
use crate::content::{Item, Tree, TreeError, as_text, keep};

/// The matches of `pattern` below each directory that `pivot` names. Nothing is matched without an error only if one
/// of the two has wildcards.
pub(super) fn select(
    tree: &dyn Tree,
    pivot: &str,
    pattern: &str,
    excludes: Option<&IgnoreMatcher>,
) -> Result<Vec<Match>, SelectError> {
    let matcher = Included::new(pattern)?;
    let must_exist = !has_wildcard(pivot) && !has_wildcard(pattern);
    let mut matches = Vec::new();
    for path in paths(tree, pivot)? {
        let top = existing(tree, pivot, &path)?;
        let found = if top.is_dir() { candidates(tree, &top.path, pattern)? } else { Vec::new() };
        let relative = |item: &Item| item.path.strip_prefix(&top.path).unwrap_or(&item.path).to_owned();
        if must_exist && !found.iter().any(|item| matcher.takes(&relative(item))) && pattern != ROOT {
            let wanted = top.path.join(unescape(pattern));
            let followed = follow(tree, &wanted, false)?;
            return Err(not_found(tree, &shown(pivot, pattern), &followed, &wanted));
        }
        let below = keep(found, |item| {
            let relative = relative(item);
            !matcher.takes(&relative) || excluded(excludes, &relative)
        });
        if !below.is_empty() {
            let name = path.file_name().unwrap_or_default().to_owned();
            matches.push(Match { name, top, below, contents_only: true });
        }
    }
    Ok(matches)
}

/// The pattern that is the pivot itself.
const ROOT: &str = ".";

fn shown(pivot: &str, pattern: &str) -> String {
    if pivot == ROOT { pattern.to_owned() } else { format!("{pivot}/./{pattern}") }
}

/// Decides which paths below a pivot are taken.
struct Included {
    /// `None` takes everything.
    matcher: Option<IgnoreMatcher>,
}

impl Included {
    fn new(pattern: &str) -> Result<Self, TreeError> {
        if pattern == ROOT {
            return Ok(Self { matcher: None });
        }
        let matcher =
            IgnoreMatcher::new(&[pattern.to_owned()]).map_err(|error| pattern_error(pattern, &error))?;
        Ok(Self { matcher: Some(matcher) })
    }

    fn takes(&self, relative: &Path) -> bool {
        let path = as_text(relative.as_os_str());
        self.matcher.as_ref().is_none_or(|matcher| matcher.decide(&path).ignored)
    }
}

/// What the pattern may match, with the directories above: only what lies in the directory that the pattern begins
/// with is listed.
fn candidates(tree: &dyn Tree, top: &Path, pattern: &str) -> Result<Vec<Item>, TreeError> {
    if pattern == ROOT {
        return tree.below(top);
    }
    let mut items = Vec::new();
    let mut dir: PathBuf = top.to_owned();
    for component in pattern.split('/') {
        if has_wildcard(component) {
            break;
        }
        dir.push(unescape(component));
        let Some(item) = tree.find(&dir)? else { return Ok(Vec::new()) };
        let is_dir = item.is_dir();
        items.push(item);
        if !is_dir {
            return Ok(items);
        }
    }
    items.extend(tree.below(&dir)?);
    Ok(items)
}
