//! What stands where files are copied to: directories that are made, and what gives way to an archive.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::process::Command;

use super::*;
use crate::step::file::selection;

#[test]
fn a_new_directory_is_made_and_not_copied() {
    let bench = Bench::new();
    bench.write("src/sub/x", "x");
    for path in ["src", "src/sub"] {
        fs::set_permissions(bench.context.join(path), fs::Permissions::from_mode(0o2750)).unwrap();
    }
    let found = bench.execute(vec![FileAction::Copy(copy(&["src"], "/app"))]);
    expect(&found, &[("app", "755 0:0/"), ("app/sub", "2750 0:0/"), ("app/sub/x", "644 0:0 x")]);

    let owner = Some(Owner { user: "7".to_owned(), group: None });
    let mode = Some(ModeChange::Set(0o4711));
    let action = CopyAction { owner, mode, ..copy(&["src"], "/made/app") };
    let found = bench.execute(vec![FileAction::Copy(action)]);
    let expected = [
        ("made", "711 7:7/"),
        ("made/app", "711 7:7/"),
        ("made/app/sub", "4711 7:7/"),
        ("made/app/sub/x", "4711 7:7 x"),
    ];
    expect(&found, &expected);

    let action = CopyAction { directories_themselves: true, ..copy(&["src"], "/mounted") };
    assert_eq!(bench.execute(vec![FileAction::Copy(action)])["mounted"], "2750 0:0/");
}

#[test]
fn parents_get_their_directory_even_if_nothing_matches() {
    let bench = Bench::new();
    let found = bench.execute(vec![FileAction::Copy(with_parents(&[(".", "none*")], "/out"))]);
    expect(&found, &[("out", "755 0:0/")]);
}

#[test]
fn a_link_that_leads_nowhere_is_not_suggested_for_itself() {
    let bench = Bench::new();
    symlink("nowhere", bench.context.join("link")).unwrap();
    let error = bench.try_execute(vec![FileAction::Copy(copy(&["link"], "/x"))], &[]).unwrap_err();
    assert!(matches!(error, FileError::Select(SelectError::NotFound { similar: None, .. })), "{error}");
}

#[test]
fn wildcards_match_names_that_are_no_text() {
    let bench = Bench::new();
    let name = std::ffi::OsStr::from_bytes(b"n\xff");
    fs::write(bench.context.join(name), "n").unwrap();
    let is_there = |sources: &[&str], ignore: &[&str]| {
        let info = bench.try_execute(vec![FileAction::Copy(copy(sources, "/u/"))], ignore).unwrap();
        bench.store.layers().tree(&info.diff_id).unwrap().unwrap().join("u").join(name).exists()
    };
    for pattern in ["n*", "n?", "[^a]?", "."] {
        assert!(is_there(&[pattern], &[]), "{pattern}");
    }
    for pattern in ["*", "**", "n*", "n?"] {
        assert!(!is_there(&["."], &[pattern]), "{pattern}");
    }
    assert!(is_there(&["."], &["*", "!n?"]));
}

/// An archive of `tree`, unpacked into `/`.
fn unpack(bench: &Bench) -> LayerInfo {
    let status = Command::new("tar")
        .args(["-C", "tree", "--owner=0", "--group=0", "-cf", "archive", "."])
        .current_dir(&bench.context)
        .status()
        .unwrap();
    assert!(status.success());
    let action = CopyAction { unpack: true, ..copy(&["archive"], "/") };
    bench.try_execute(vec![FileAction::Copy(action)], &[]).unwrap()
}

/// In the base, `lib` is a link to `usr/lib` and `data/old` a file.
#[test]
fn directories_of_an_archive_take_the_place_of_links_and_files() {
    let bench = Bench::new();
    bench.write("tree/lib/inside", "i");
    bench.write("tree/data/old/inside", "o");
    let info = unpack(&bench);
    let tree = bench.store.layers().tree(&info.diff_id).unwrap().unwrap();
    let view = View::new(&[bench.base[0].clone(), tree]).unwrap();
    let mut found = BTreeMap::new();
    describe(&view, Path::new("/"), &mut found);
    assert_eq!((found["lib"].as_str(), found["lib/inside"].as_str()), ("755 0:0/", "644 0:0 i"));
    assert_eq!(found["data/old/inside"], "644 0:0 o");
    assert!(!found.contains_key("usr/lib/inside"), "{found:?}");
}

#[test]
fn links_in_an_archive_may_have_several_names() {
    let bench = Bench::new();
    bench.write("tree/file", "f");
    symlink("file", bench.context.join("tree/one")).unwrap();
    fs::hard_link(bench.context.join("tree/one"), bench.context.join("tree/two")).unwrap();
    let info = unpack(&bench);
    let tree = bench.store.layers().tree(&info.diff_id).unwrap().unwrap();
    let number = |name: &str| fs::symlink_metadata(tree.join(name)).unwrap().ino();
    assert_eq!(number("one"), number("two"));
    assert_eq!(fs::read_link(tree.join("two")).unwrap(), Path::new("file"));
}

#[test]
fn the_mode_of_a_directory_counts_where_it_is_seen() {
    let bench = Bench::new();
    bench.write("src/x", "x");
    let digest = |mode: u32, directories_themselves: bool| {
        fs::set_permissions(bench.context.join("src"), fs::Permissions::from_mode(mode)).unwrap();
        let context = Context::open(&bench.store, &bench.context, &[]).unwrap();
        let action = CopyAction { directories_themselves, ..copy(&["src"], "/app") };
        selection(&action, &context).unwrap().unwrap().digest
    };
    assert_eq!(digest(0o755, false), digest(0o700, false));
    assert_ne!(digest(0o755, true), digest(0o700, true));
}

#[test]
fn an_ignored_directory_is_there_for_what_is_taken_back_in() {
    let bench = Bench::new();
    bench.write("src/deep/a", "a");
    let files = |exception: &str| {
        bench.try_execute(vec![FileAction::Copy(copy(&["src"], "/app"))], &["**", exception]).map(|_| ())
    };
    files("!src/deep/a").unwrap();
    files("!**/a").unwrap();
    for nothing in ["!src/deep/b", "!*/a", "!other"] {
        let error = files(nothing).unwrap_err();
        assert!(matches!(error, FileError::Select(SelectError::NotFound { .. })), "{nothing}: {error}");
    }
}
