//! What a transfer takes: one path, or what a pattern matches, with the rules of cp(1).
//!
//! Unlike a COPY's sources, a source may be a symlink itself, and of a directory it may be said what alone is taken.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use kiln_graph::op::{Transfer, Wildcards};
use kiln_graph::pattern::IgnoreMatcher;
use sha2::{Digest as _, Sha256};

use super::{Match, SelectError, Selection, digest, expand, follow, not_found, pattern_error};
use crate::content::{Tree, TreeError, as_text, keep};

/// Selects the source of `action` from `tree`.
pub(crate) fn transfer(tree: &dyn Tree, action: &Transfer) -> Result<Selection, SelectError> {
    let (include, exclude) = (matcher(&action.include)?, matcher(&action.exclude)?);
    let paths = match action.wildcards {
        Wildcards::None => vec![clean(&action.source)],
        Wildcards::Some | Wildcards::Any => expand(tree, &action.source)?,
    };
    let mut matches = Vec::new();
    for path in paths {
        let found = follow(tree, &path, action.follow)?;
        let Some(top) = tree.find(&found)? else {
            // What a pattern names and then is not there is a link that leads nowhere.
            return Err(not_found(tree, &action.source, &found, &path));
        };
        let below = if top.is_dir() { tree.below(&top.path)? } else { Vec::new() };
        let below = keep(below, |item| {
            let relative = item.path.strip_prefix(&top.path).unwrap_or(&item.path);
            let path = as_text(relative.as_os_str());
            let matches = |matcher: &IgnoreMatcher| matcher.decide(&path).ignored;
            include.as_ref().is_some_and(|include| !matches(include)) || exclude.as_ref().is_some_and(matches)
        });
        let name = path.file_name().unwrap_or_default().to_owned();
        let contents_only = top.is_dir() && action.contents;
        matches.push(Match { name, top, below, contents_only });
    }
    if matches.is_empty() && action.wildcards == Wildcards::Some {
        let path = clean(&action.source);
        return Err(not_found(tree, &action.source, &path, &path));
    }
    let (digest, listing) = digest(tree, &matches)?;
    let digest = with_names(digest, &matches);
    let unmatched = if matches.is_empty() { vec![action.source.clone()] } else { Vec::new() };
    Ok(Selection { matches, digest, listing: Some(listing), unmatched })
}

/// A directory may be copied under its own name, which the digest of what is in it does not cover.
fn with_names(digest: [u8; 32], matches: &[Match]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(digest);
    for found in matches {
        hasher.update(found.name.as_bytes());
        hasher.update([0]);
    }
    hasher.finalize().into()
}

fn matcher(patterns: &[String]) -> Result<Option<IgnoreMatcher>, TreeError> {
    if patterns.is_empty() {
        return Ok(None);
    }
    let matcher = IgnoreMatcher::new(patterns).map_err(|error| pattern_error(&patterns.join(" "), &error))?;
    Ok(Some(matcher))
}

/// The path without what leads nowhere: no leading `/`, no `.`, and `..` undone as the text says.
fn clean(path: &str) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in Path::new(path).components() {
        match component {
            std::path::Component::Normal(name) => clean.push(name),
            std::path::Component::ParentDir => drop(clean.pop()),
            _ => {}
        }
    }
    clean
}
