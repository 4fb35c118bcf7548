//! What a tree becomes, packet by packet.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use super::Keep;
use super::tree::{Received, Tree, TreeError};
use crate::api::files::Stat;

const DIRECTORY: u32 = (1 << 31) | 0o755;
const SYMLINK: u32 = (1 << 27) | 0o777;
const PIPE: u32 = (1 << 25) | 0o600;
const SOCKET: u32 = (1 << 24) | 0o600;
const CHARACTER_DEVICE: u32 = (1 << 26) | (1 << 21) | 0o600;

fn stat(path: &str, mode: u32) -> Stat {
    Stat { path: path.into(), mode, mod_time: 1_000_000_001, ..Stat::default() }
}

fn file(path: &str, content: &str) -> (Stat, Option<String>) {
    (Stat { size: i64::try_from(content.len()).unwrap(), ..stat(path, 0o640) }, Some(content.to_owned()))
}

fn link(path: &str, mode: u32, target: &str) -> (Stat, Option<String>) {
    (Stat { linkname: target.into(), ..stat(path, mode) }, None)
}

/// Lists all entries and sends what is asked for, in two pieces each.
fn take(root: &Path, entries: &[(Stat, Option<String>)]) -> Result<Received, TreeError> {
    let mut tree = Tree::open(root)?;
    let mut wanted = Vec::new();
    for (stat, content) in entries {
        if let Some(id) = tree.entry(stat)? {
            wanted.push((id, content.clone().unwrap_or_else(|| panic!("{:?} has content", stat.path))));
        }
    }
    tree.listed();
    for (id, content) in &wanted {
        let (first, second) = content.as_bytes().split_at(content.len() / 2);
        for piece in [first, second].into_iter().filter(|piece| !piece.is_empty()) {
            tree.data(*id, piece)?;
        }
    }
    for (id, _) in wanted.iter().rev() {
        assert!(!tree.is_complete());
        tree.data(*id, b"")?;
    }
    assert!(tree.is_complete());
    tree.finish()
}

#[test]
fn every_kind_of_file_arrives_and_is_not_sent_twice() {
    let root = tempfile::tempdir().unwrap();
    let entries = [
        (stat("d", DIRECTORY), None),
        file("d/a", "content"),
        link("d/hard", 0o640, "d/a"),
        link("d/soft", SYMLINK, "../nowhere"),
        file("e", ""),
        (stat("pipe", PIPE), None),
        (stat("socket", SOCKET), None),
    ];
    let received = take(root.path(), &entries).unwrap();
    assert_eq!(received, Received { listed: 7, files: 2, bytes: 7 });
    let at = |name: &str| root.path().join(name);
    assert_eq!(fs::read(at("d/a")).unwrap(), b"content");
    let metadata = fs::metadata(at("d/a")).unwrap();
    assert_eq!((metadata.permissions().mode() & 0o7777, metadata.mtime_nsec()), (0o640, 1));
    assert_eq!(metadata.ino(), fs::metadata(at("d/hard")).unwrap().ino());
    assert_eq!(fs::read_link(at("d/soft")).unwrap(), Path::new("../nowhere"));
    assert_eq!(fs::symlink_metadata(at("d")).unwrap().mtime(), 1);
    assert!(!at("socket").exists() && fs::symlink_metadata(at("pipe")).is_ok());
    // A file with a second name is sent again: writing through one name would change the other.
    let again = take(root.path(), &entries).unwrap();
    assert_eq!(again, Received { listed: 7, files: 1, bytes: 7 });
    assert_eq!(fs::metadata(at("d/a")).unwrap().ino(), fs::metadata(at("d/hard")).unwrap().ino());
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 3, "d, e and pipe");
}

#[test]
fn what_changed_is_replaced_and_what_is_gone_goes() {
    let root = tempfile::tempdir().unwrap();
    take(root.path(), &[(stat("a", DIRECTORY), None), file("a/x", "1"), file("b", "2"), file("c", "3")])
        .unwrap();
    let entries = [file("a", "now a file"), (stat("b", DIRECTORY), None), file("b/y", "4"), file("c", "33")];
    let received = take(root.path(), &entries).unwrap();
    assert_eq!(received.files, 3);
    assert_eq!(fs::read(root.path().join("a")).unwrap(), b"now a file");
    assert_eq!(fs::read(root.path().join("b/y")).unwrap(), b"4");
    assert_eq!(fs::read(root.path().join("c")).unwrap(), b"33");
    take(root.path(), &[]).unwrap();
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
}

#[test]
fn a_name_is_bytes() {
    let root = tempfile::tempdir().unwrap();
    let named = |path: &[u8], (stat, content): (Stat, Option<String>)| {
        (Stat { path: path.to_vec(), ..stat }, content)
    };
    let entries = [
        named(b"d\xff", (stat("", DIRECTORY), None)),
        named(b"d\xff/\xe9", file("", "latin")),
        (Stat { linkname: b"\xfe".to_vec(), ..stat("e", SYMLINK) }, None),
    ];
    assert_eq!(take(root.path(), &entries).unwrap().files, 1);
    let at = |name: &[u8]| root.path().join(OsStr::from_bytes(name));
    assert_eq!(fs::read(at(b"d\xff/\xe9")).unwrap(), b"latin");
    assert_eq!(fs::read_link(at(b"e")).unwrap(), Path::new(OsStr::from_bytes(b"\xfe")));
    assert_eq!(take(root.path(), &entries).unwrap().files, 0, "it is there");
    take(root.path(), &entries[2..]).unwrap();
    assert!(!at(b"d\xff").exists());
}

#[test]
fn nothing_leads_outside() {
    let outside = tempfile::tempdir().unwrap();
    let target = outside.path().to_str().unwrap();
    let root = tempfile::tempdir().unwrap();
    // A link where a directory is listed later, in one listing and in two.
    take(root.path(), &[link("a", SYMLINK, target)]).unwrap();
    take(root.path(), &[(stat("a", DIRECTORY), None), file("a/x", "1")]).unwrap();
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    let socket = |path: &str| (stat(path, SOCKET), None);
    let refused: [&[(Stat, Option<String>)]; 21] = [
        &[link("l", SYMLINK, target), file("l/x", "1")],
        &[file("../x", "1")],
        &[file("/x", "1")],
        &[file(".kiln-partial", "1")],
        &[file("a", "1"), file("a", "2")],
        &[link("h", 0o644, "../../etc/passwd")],
        &[link("h", 0o644, "never-listed")],
        &[(stat("d", DIRECTORY), None), link("h", 0o644, "d")],
        &[file("", "1")],
        &[file(".", "1")],
        &[file("a\0b", "1")],
        &[(stat("d", DIRECTORY), None), file("d/../../x", "1")],
        &[(stat("d", DIRECTORY), None), file("d//x", "1")],
        &[file("b", "1"), file("a", "1")],
        &[file("a", "1"), file("a/x", "1")],
        &[(stat("a", DIRECTORY), None), file("b", "1"), file("a/x", "1")],
        &[link("d", SYMLINK, target), (stat("d", DIRECTORY), None), file("d/x", "1")],
        &[link("h", 0o644, "a"), (stat("m", DIRECTORY | SYMLINK), None)],
        &[(Stat { size: -1, ..stat("a", 0o644) }, None)],
        &[socket("s"), link("t", 0o644, "s")],
        &[(Stat { devmajor: -1, ..stat("n", CHARACTER_DEVICE) }, None)],
    ];
    for entries in refused {
        let root = tempfile::tempdir().unwrap();
        assert!(matches!(take(root.path(), entries), Err(TreeError::Path { .. })), "{entries:?}");
    }
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[test]
fn links_to_links_lead_nowhere() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("x"), "untouched").unwrap();
    let target = outside.path().join("x");
    let root = tempfile::tempdir().unwrap();
    let entries = [link("a", SYMLINK, target.to_str().unwrap()), link("b", 0o644, "a")];
    take(root.path(), &entries).unwrap();
    assert_eq!(fs::read_link(root.path().join("b")).unwrap(), target, "another name of the link itself");
    // What was a link, and has another name, becomes a file of its own.
    take(root.path(), &[file("a", "1"), file("b", "2")]).unwrap();
    assert_eq!(fs::read(root.path().join("b")).unwrap(), b"2");
    assert_eq!(fs::read(&target).unwrap(), b"untouched");
    assert_eq!(fs::metadata(&target).unwrap().nlink(), 1);
}

#[test]
fn a_name_whose_file_became_a_link_outside_is_no_way_there() {
    let outside = tempfile::tempdir().unwrap();
    let root = tempfile::tempdir().unwrap();
    take(root.path(), &[(stat("d", DIRECTORY), None), file("d/x", "1")]).unwrap();
    let mut tree = Tree::open(root.path()).unwrap();
    tree.entry(&stat("d", DIRECTORY)).unwrap();
    let id = tree.entry(&file("d/x", "22").0).unwrap().unwrap();
    tree.listed();
    tree.data(id, b"22").unwrap();
    // Whatever else has come to be in the place: no link is followed to it.
    fs::rename(root.path().join("d"), root.path().join("was")).unwrap();
    std::os::unix::fs::symlink(outside.path(), root.path().join("d")).unwrap();
    drop(tree.data(id, b""));
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[test]
fn sizes_and_times_at_the_ends_of_their_ranges_are_only_numbers() {
    let root = tempfile::tempdir().unwrap();
    let huge = (Stat { size: i64::MAX, ..stat("huge", 0o644) }, Some("small".to_owned()));
    for time in [i64::MIN, -1, 0, i64::MAX] {
        let dated = (Stat { mod_time: time, ..file("dated", "1").0 }, Some("1".to_owned()));
        // A disk that has no such time may refuse it.
        if let Err(error) = take(root.path(), &[dated, huge.clone()]) {
            assert!(matches!(error, TreeError::Disk { .. }), "{time}: {error}");
        }
    }
    assert_eq!(
        take(root.path(), &[huge]).unwrap().bytes,
        5,
        "room is taken by what comes, not by what is said"
    );
    assert_eq!(fs::metadata(root.path().join("huge")).unwrap().len(), 5);
    let long = "n".repeat(256);
    assert!(matches!(take(root.path(), &[file(&long, "1")]), Err(TreeError::Disk { .. })));
    let deep = vec!["d"; 9000].join("/");
    assert!(matches!(take(root.path(), &[file(&deep, "1")]), Err(TreeError::Path { .. })));
}

#[test]
fn data_that_was_not_asked_for_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let mut tree = Tree::open(root.path()).unwrap();
    assert!(matches!(tree.data(0, b"x"), Err(TreeError::Unexpected { .. })));
    let id = tree.entry(&file("a", "1").0).unwrap().unwrap();
    tree.data(id, b"1").unwrap();
    tree.data(id, b"").unwrap();
    assert!(matches!(tree.data(id, b"2"), Err(TreeError::Unexpected { .. })));
    tree.listed();
    assert!(matches!(tree.entry(&stat("b", DIRECTORY)), Err(TreeError::Unexpected { .. })));
}

#[test]
fn a_transfer_that_is_cut_off_leaves_whole_files() {
    let root = tempfile::tempdir().unwrap();
    take(root.path(), &[file("a", "old")]).unwrap();
    let mut tree = Tree::open(root.path()).unwrap();
    let id = tree.entry(&file("a", "newer").0).unwrap().unwrap();
    tree.data(id, b"ne").unwrap();
    drop(tree);
    assert_eq!(fs::read(root.path().join("a")).unwrap(), b"old");
    assert_eq!(take(root.path(), &[file("a", "newer")]).unwrap().files, 1);
    assert_eq!(fs::read(root.path().join("a")).unwrap(), b"newer");
}
