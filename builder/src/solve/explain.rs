//! Why a step missed the cache, in words: the parts of its key against those of the last build of it.
//!
//! Pure. The solver hands over the listings behind two selections when it has both.

use std::collections::BTreeMap;

use kiln_cache::Part;

use super::key::{BOUND, FILES, ROOT};

/// How many changed files are named; the others are counted.
const NAMED_FILES: usize = 3;

/// The reason for a miss when an earlier record of the same step has `old` parts.
///
/// `files` says what changed between two selections, given both digests; `None` when it is not known.
pub(crate) fn miss(old: &[Part], new: &[Part], files: impl Fn(&str, &str) -> Option<String>) -> String {
    let mut reasons = Vec::new();
    let before: BTreeMap<&str, &str> =
        old.iter().map(|part| (part.name.as_str(), part.value.as_str())).collect();
    let after: BTreeMap<&str, &str> =
        new.iter().map(|part| (part.name.as_str(), part.value.as_str())).collect();
    for part in new {
        let value = part.value.as_str();
        match before.get(part.name.as_str()) {
            Some(old) if *old == value => {}
            Some(old) if part.name == FILES || part.name.starts_with(BOUND) => {
                let unnamed = || {
                    format!("the {} changed", if part.name == FILES { "copied files" } else { &part.name })
                };
                reasons.push(files(old, value).unwrap_or_else(unnamed));
            }
            Some(_) if part.name == ROOT => {}
            Some(old) => reasons.push(format!("{} {} -> {}", part.name, shown(old), shown(value))),
            None => reasons.push(format!("{} {} is new", part.name, shown(value))),
        }
    }
    let gone = old.iter().filter(|part| !after.contains_key(part.name.as_str()));
    reasons.extend(gone.map(|part| format!("{} is gone", part.name)));
    if reasons.is_empty() {
        return "what it is built on changed".to_owned();
    }
    reasons.join(", ")
}

fn shown(value: &str) -> String {
    const SHORT: usize = 60;
    if value.is_empty() {
        return "(empty)".to_owned();
    }
    match value.char_indices().nth(SHORT) {
        Some((cut, _)) => format!("{}…", &value[..cut]),
        None => value.to_owned(),
    }
}

/// What differs between two listings of selected files.
pub(crate) fn files(old: &[u8], new: &[u8]) -> Option<String> {
    let (before, after) = (parse(old), parse(new));
    let mut changes: Vec<String> = Vec::new();
    for (path, entry) in &after {
        match before.get(path) {
            None => changes.push(format!("{} is new", name(path))),
            Some(old) if old == entry => {}
            Some(old) => changes.push(difference(&name(path), old, entry)),
        }
    }
    changes.extend(
        before.keys().filter(|path| !after.contains_key(*path)).map(|path| format!("{} is gone", name(path))),
    );
    if changes.is_empty() {
        return None;
    }
    let more = changes.len().saturating_sub(NAMED_FILES);
    changes.truncate(NAMED_FILES);
    let named = changes.join(", ");
    Some(if more > 0 { format!("{named} and {more} more") } else { named })
}

/// A line's fields beside its path: kind, mode, owner, link, fingerprint, link target.
#[derive(PartialEq, Eq)]
struct Line<'a> {
    fields: Vec<&'a [u8]>,
    target: &'a [u8],
}

fn difference(path: &str, old: &Line<'_>, new: &Line<'_>) -> String {
    let field = |line: &Line<'_>, index: usize| {
        String::from_utf8_lossy(line.fields.get(index).copied().unwrap_or_default()).into_owned()
    };
    let same = |index: usize| old.fields.get(index) == new.fields.get(index);
    if !same(0) || old.target != new.target || !same(4) {
        format!("{path} changed")
    } else if !same(1) {
        format!("mode of {path} {} -> {}", field(old, 1), field(new, 1))
    } else if !same(2) {
        format!("owner of {path} {} -> {}", field(old, 2), field(new, 2))
    } else {
        format!("hard links of {path} changed")
    }
}

fn name(path: &(usize, &[u8])) -> String {
    if path.1.is_empty() {
        "the source directory".to_owned()
    } else {
        String::from_utf8_lossy(path.1).into_owned()
    }
}

/// The lines of a listing by the number of their match and path.
fn parse(listing: &[u8]) -> BTreeMap<(usize, &[u8]), Line<'_>> {
    let mut lines = BTreeMap::new();
    let mut group = 0;
    let mut head: &[u8] = b"";
    let mut rest = listing;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix(b"match ") {
            group += 1;
            rest = after;
            head = until_nul(&mut rest);
            rest = rest.strip_prefix(b"\n").unwrap_or_default();
            continue;
        }
        let mut fields = Vec::with_capacity(5);
        for _ in 0..5 {
            let end = rest.iter().position(|byte| *byte == b' ').unwrap_or(rest.len());
            fields.push(&rest[..end]);
            rest = rest.get(end + 1..).unwrap_or_default();
        }
        let path = until_nul(&mut rest);
        let target = until_nul(&mut rest);
        rest = rest.strip_prefix(b"\n").unwrap_or_default();
        // A file that was matched itself has no path below the match: its name is the match's.
        lines.insert((group, if path.is_empty() { head } else { path }), Line { fields, target });
    }
    lines
}

fn until_nul<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let end = rest.iter().position(|byte| *byte == 0).unwrap_or(rest.len());
    let (value, after) = rest.split_at(end);
    *rest = after.get(1..).unwrap_or_default();
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(name: &str, value: &str) -> Part {
        Part { name: name.into(), value: value.into() }
    }

    fn why(old: &[Part], new: &[Part]) -> String {
        miss(old, new, |_, _| Some("src/main.rs changed".to_owned()))
    }

    #[test]
    fn the_nearest_cause_is_named() {
        let old = [part("variable VERSION", "1"), part(FILES, "aa"), part(ROOT, "x")];
        assert_eq!(
            why(&old, &[part("variable VERSION", "2"), part(FILES, "aa"), part(ROOT, "x")]),
            "variable VERSION 1 -> 2"
        );
        assert_eq!(
            why(&old, &[part("variable VERSION", "1"), part(FILES, "bb"), part(ROOT, "y")]),
            "src/main.rs changed"
        );
        assert_eq!(
            why(&old, &[part("variable VERSION", "1"), part(FILES, "aa"), part(ROOT, "y")]),
            "what it is built on changed"
        );
        assert_eq!(why(&old, &[part(FILES, "aa"), part(ROOT, "x")]), "variable VERSION is gone");
    }

    #[test]
    fn files_are_compared_by_name() {
        let old = b"match \0\nd 0755   00 \0\0\nf 0644   11 a\nb\0\0\nf 0644   22 run.sh\0\0\n";
        let new = b"match \0\nd 0755   00 \0\0\nf 0644   12 a\nb\0\0\nf 0755   22 run.sh\0\0\nl 0777   00 new\0run.sh\0\n";
        let text = files(old, new);
        assert_eq!(text.as_deref(), Some("a\nb changed, new is new, mode of run.sh 0644 -> 0755"));
        assert_eq!(files(old, old), None);
        let (old, new) = (b"match tool\0\nf 0755   11 \0\0\n", b"match tool\0\nf 0755   12 \0\0\n");
        assert_eq!(files(old, new).as_deref(), Some("tool changed"));
    }
}
