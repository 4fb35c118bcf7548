//! What differs between two selections of files, from their listings (`crate::content::select` writes them). Pure.
//!
//! A listing says nothing of where in its tree a match lay: that is for the caller to add.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::words;
use crate::account::{About, Change};

/// How a file was, or is: its place, and its line of the listing.
type Place = (usize, Vec<u8>);

/// A line's fields beside its path.
#[derive(Debug, PartialEq, Eq)]
struct Line<'a> {
    kind: &'a [u8],
    mode: &'a [u8],
    owner: &'a [u8],
    fingerprint: &'a [u8],
    target: &'a [u8],
}

/// A match: the name it has in a destination (none for a directory, whose contents are taken) and its lines.
struct Group<'a> {
    head: &'a [u8],
    lines: Vec<(&'a [u8], Line<'a>)>,
}

/// A changed file: the path with the prefix of its match.
pub(crate) struct FileChange {
    /// Where the file is in its tree.
    pub(crate) path: PathBuf,
    /// What happened to it.
    pub(crate) change: Change,
}

/// What changed, in the order of names. `prefixes` says where each match of the new listing begins, if that is known.
///
/// `None` where the two cannot be compared file by file: a pattern matches another number of directories, so that it
/// cannot be said which of them is which.
pub(crate) fn compare(old: &[u8], new: &[u8], prefixes: &[PathBuf]) -> Option<Vec<FileChange>> {
    let (old, new) = (parse(old), parse(new));
    let directories = |groups: &[Group<'_>]| groups.iter().filter(|group| group.head.is_empty()).count();
    if directories(&old) != directories(&new) {
        return None;
    }
    let known = prefixes.len() == new.len() && directories(&new) > 0;
    let mut roots = new.iter().zip(prefixes).filter(|(group, _)| group.head.is_empty()).map(|(_, path)| path);
    let roots: Vec<&PathBuf> = if known { roots.by_ref().collect() } else { Vec::new() };
    let files: BTreeMap<&[u8], &PathBuf> = if prefixes.len() == new.len() {
        new.iter()
            .zip(prefixes)
            .filter(|(group, _)| !group.head.is_empty())
            .map(|(g, p)| (g.head, p))
            .collect()
    } else {
        BTreeMap::new()
    };
    let full = |(group, path): &Place| {
        let relative = Path::new(OsStr::from_bytes(path));
        match *group {
            0 => files.get(path.as_slice()).map_or_else(|| relative.to_owned(), |path| (*path).clone()),
            number => {
                roots.get(number - 1).map_or_else(|| relative.to_owned(), |root| joined(root, relative))
            }
        }
    };
    let (before, after) = (places(&old), places(&new));
    let all: BTreeSet<&Place> = before.keys().chain(after.keys()).collect();
    let changes = all.into_iter().filter_map(|place| {
        let path = full(place);
        let change = difference(&path, before.get(place).copied(), after.get(place).copied())?;
        Some(FileChange { path, change })
    });
    Some(changes.collect())
}

fn joined(root: &Path, relative: &Path) -> PathBuf {
    if relative.as_os_str().is_empty() { root.to_owned() } else { root.join(relative) }
}

/// Lines by place: files that were matched themselves by their names, the others by the number of their directory and
/// their path in it.
fn places<'a, 'l>(groups: &'l [Group<'a>]) -> BTreeMap<Place, &'l Line<'a>> {
    let mut places = BTreeMap::new();
    let mut directory = 0;
    for group in groups {
        if group.head.is_empty() {
            directory += 1;
            places.extend(group.lines.iter().map(|(path, line)| ((directory, path.to_vec()), line)));
        } else {
            places.extend(group.lines.iter().map(|(_, line)| ((0, group.head.to_vec()), line)));
        }
    }
    places
}

fn difference(path: &Path, old: Option<&Line<'_>>, new: Option<&Line<'_>>) -> Option<Change> {
    let name = words::path(path);
    let change = |before: Option<String>, after: Option<String>, text: String| {
        Some(Change { about: About::File, subject: name.clone(), before, after, text })
    };
    let (old, new) = match (old, new) {
        (Some(old), Some(new)) => (old, new),
        (None, Some(new)) => return change(None, Some(summary(new)), format!("{name} is new")),
        (Some(old), None) => return change(Some(summary(old)), None, format!("{name} is gone")),
        (None, None) => return None,
    };
    let text = |field: &[u8]| String::from_utf8_lossy(field).into_owned();
    if old == new {
        None
    } else if old.kind != new.kind {
        let text = format!("{name} was {} and is {}", kind(old.kind), kind(new.kind));
        change(Some(summary(old)), Some(summary(new)), text)
    } else if old.target != new.target {
        let text = format!(
            "{name} leads {} -> {}",
            words::shown(&text(old.target)),
            words::shown(&text(new.target))
        );
        change(Some(summary(old)), Some(summary(new)), text)
    } else if old.fingerprint != new.fingerprint {
        change(Some(summary(old)), Some(summary(new)), format!("{name} changed"))
    } else if old.mode != new.mode {
        let (old, new) = (text(old.mode), text(new.mode));
        let text = format!("mode of {name} {old} -> {new}");
        change(Some(old), Some(new), text)
    } else {
        let (old, new) = (text(old.owner), text(new.owner));
        let text = format!("owner of {name} {old} -> {new}");
        change(Some(old), Some(new), text)
    }
}

fn kind(kind: &[u8]) -> &'static str {
    match kind {
        b"f" => "a file",
        b"d" => "a directory",
        b"l" => "a link",
        b"p" => "a pipe",
        _ => "a device",
    }
}

/// A file as one line: what it is, its mode, and the first digits of what it holds.
fn summary(line: &Line<'_>) -> String {
    let text = |field: &[u8]| String::from_utf8_lossy(field).into_owned();
    let mut words = vec![kind(line.kind).trim_start_matches("a ").to_owned(), text(line.mode)];
    if !line.owner.is_empty() {
        words.push(text(line.owner));
    }
    if !line.target.is_empty() {
        words.push(format!("-> {}", words::shown(&text(line.target))));
    }
    if line.kind == b"f" {
        words.push(text(&line.fingerprint[..line.fingerprint.len().min(12)]));
    }
    words.join(" ")
}

fn parse(listing: &[u8]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    let mut rest = listing;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix(b"match ") {
            rest = after;
            let head = until_nul(&mut rest);
            rest = rest.strip_prefix(b"\n").unwrap_or_default();
            groups.push(Group { head, lines: Vec::new() });
            continue;
        }
        let mut field = || {
            let end = rest.iter().position(|byte| *byte == b' ').unwrap_or(rest.len());
            let (field, after) = rest.split_at(end);
            rest = after.get(1..).unwrap_or_default();
            field
        };
        // The number of the first name of a hard link moves with every file before it: it is no property of the file.
        let (kind, mode, owner, _link, fingerprint) = (field(), field(), field(), field(), field());
        let path = until_nul(&mut rest);
        let target = until_nul(&mut rest);
        rest = rest.strip_prefix(b"\n").unwrap_or_default();
        if let Some(group) = groups.last_mut() {
            group.lines.push((path, Line { kind, mode, owner, fingerprint, target }));
        }
    }
    groups
}

fn until_nul<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let end = rest.iter().position(|byte| *byte == 0).unwrap_or(rest.len());
    let (value, after) = rest.split_at(end);
    *rest = after.get(1..).unwrap_or_default();
    value
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn texts(old: &[u8], new: &[u8], prefixes: &[&str]) -> Vec<String> {
        let prefixes: Vec<PathBuf> = prefixes.iter().map(PathBuf::from).collect();
        let changes = compare(old, new, &prefixes).unwrap();
        changes.into_iter().map(|file| file.change.text).collect()
    }

    #[test]
    fn files_are_compared_by_name() {
        let old = b"match \0\nd 0755   00 \0\0\nf 0644   11 a\nb\0\0\nf 0644   22 run.sh\0\0\n";
        let new = b"match \0\nd 0755   00 \0\0\nf 0644   12 a\nb\0\0\nf 0755   22 run.sh\0\0\nl 0777   00 new\0run.sh\0\n";
        assert_eq!(
            texts(old, new, &["src"]),
            ["src/a?b changed", "src/new is new", "mode of src/run.sh 0644 -> 0755"]
        );
        assert_eq!(texts(new, old, &[]), ["a?b changed", "new is gone", "mode of run.sh 0755 -> 0644"]);
        assert!(texts(old, old, &[]).is_empty());
    }

    #[test]
    fn a_file_that_is_matched_itself_has_its_own_name() {
        let (old, new) = (b"match tool\0\nf 0755   11 \0\0\n", b"match tool\0\nf 0755   12 \0\0\n");
        assert_eq!(texts(old, new, &["bin/tool"]), ["bin/tool changed"]);
        assert_eq!(texts(old, new, &[]), ["tool changed"]);
    }

    #[test]
    fn a_further_match_moves_none_of_the_others() {
        let old = b"match b\0\nf 0644   11 \0\0\nmatch c\0\nf 0644   22 \0\0\n";
        let new = b"match a\0\nf 0644   33 \0\0\nmatch b\0\nf 0644   11 \0\0\nmatch c\0\nf 0644   22 \0\0\n";
        assert_eq!(texts(old, new, &["x/a", "x/b", "x/c"]), ["x/a is new"]);
        assert_eq!(texts(new, old, &["x/b", "x/c"]), ["a is gone"]);
        let directory = b"match \0\nd 0755   00 \0\0\n";
        assert!(compare(directory, &[directory.as_slice(), directory].concat(), &[]).is_none());
    }

    #[test]
    fn kinds_links_and_owners() {
        let line = |text: &str| [b"match \0\n", text.as_bytes()].concat();
        let compare = |old: &str, new: &str| texts(&line(old), &line(new), &[]);
        assert_eq!(compare("f 0644   11 a\0\0\n", "l 0777   00 a\0b\0\n"), ["a was a file and is a link"]);
        assert_eq!(compare("l 0777   00 a\0b\0\n", "l 0777   00 a\0c\0\n"), ["a leads b -> c"]);
        assert_eq!(compare("f 0644 0:0  11 a\0\0\n", "f 0644 5:6  11 a\0\0\n"), ["owner of a 0:0 -> 5:6"]);
        assert!(compare("f 0644  1 11 a\0\0\n", "f 0644  2 11 a\0\0\n").is_empty(), "links are numbered");
    }
}
