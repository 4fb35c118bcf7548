//! Drafts: what a step leaves in an overlay's upper directory becomes the layer.

use std::fs;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, symlink as make_symlink};
use std::os::unix::net::UnixListener;

use rustix::fs::{CWD, FileType, Mode, XattrFlags, mknodat, setxattr};

use super::*;
use crate::layers::Unpack;
use crate::testing::{forget_boot, store};

#[test]
fn a_sealed_upper_is_renamed_and_gives_its_tar() {
    let (_dir, store) = store();
    let draft = store.layers().draft().unwrap();
    let upper = draft.upper().to_owned();
    assert_eq!(fs::metadata(&upper).unwrap().mode() & 0o7777, 0o755);
    fs::write(upper.join("file"), vec![1; 500_000]).unwrap();
    fs::create_dir(upper.join("dir")).unwrap();
    make_symlink("file", upper.join("dir/link")).unwrap();
    fs::hard_link(upper.join("file"), upper.join("same")).unwrap();
    mknodat(CWD, upper.join("gone"), FileType::CharacterDevice, Mode::empty(), 0).unwrap();
    let opaque = XattrFlags::empty();
    setxattr(upper.join("dir"), "trusted.overlay.opaque", b"y", opaque).unwrap();
    setxattr(upper.join("file"), "trusted.overlay.origin", b"\0\xfb!", opaque).unwrap();
    let inode = fs::metadata(upper.join("file")).unwrap().ino();
    let info = draft.seal().unwrap();
    let tree = store.layers().tree(&info.diff_id).unwrap().unwrap();
    assert_eq!(fs::metadata(tree.join("file")).unwrap().ino(), inode);
    assert_eq!(outline(&tree), ["dir/ opaque", "dir/link -> file", "file", "gone gone", "same = file"]);
    let mut tar = Vec::new();
    store.layers().open_tar(&info.diff_id).unwrap().read_to_end(&mut tar).unwrap();
    assert_eq!((digest_of(&tar), tar.len() as u64), (info.diff_id.digest().clone(), info.size));
    assert_eq!(fs::read_dir(store.inside("tmp")).unwrap().count(), 0);
}

#[test]
fn sealing_equals_writing() {
    let (dir, store) = store();
    let (_other_dir, other) = crate::testing::store();
    let info = write(&store, TREE, &everything()).unwrap();
    let tree = store.layers().tree(&info.diff_id).unwrap().unwrap();
    let draft = other.layers().draft().unwrap();
    run(std::process::Command::new("cp").arg("-a").arg(tree.join(".")).arg(draft.upper()));
    assert_eq!(draft.seal().unwrap(), info);
    drop(dir);
}

#[test]
fn an_empty_upper_is_a_layer() {
    let (_dir, store) = store();
    let info = store.layers().draft().unwrap().seal().unwrap();
    assert_eq!((info.size, info.entries), (1024, 0));
    let tree = store.layers().ensure_tree(&info.diff_id).unwrap();
    assert_eq!(outline(&tree), Vec::<String>::new());
    assert_eq!(fs::metadata(tree).unwrap().mode() & 0o7777, 0o755);
}

#[test]
fn the_same_changes_are_one_layer() {
    let (_dir, store) = store();
    let seal = || {
        let draft = store.layers().draft().unwrap();
        fs::write(draft.upper().join("f"), "same").unwrap();
        let times = fs::FileTimes::new().set_modified(std::time::SystemTime::UNIX_EPOCH);
        fs::File::options().write(true).open(draft.upper().join("f")).unwrap().set_times(times).unwrap();
        draft.seal().unwrap()
    };
    assert_eq!(seal(), seal());
    assert_eq!(fs::read_dir(store.inside("layers")).unwrap().count(), 1);
    assert_eq!(fs::read_dir(store.inside("tmp")).unwrap().count(), 0);
}

#[test]
fn sockets_are_left_out_and_leave_no_trace() {
    let (_dir, store) = store();
    let draft = store.layers().draft().unwrap();
    let dir = draft.upper().join("d");
    fs::create_dir(&dir).unwrap();
    drop(UnixListener::bind(dir.join("socket")).unwrap());
    let before = fs::metadata(&dir).unwrap();
    let info = draft.seal().unwrap();
    let tree = store.layers().tree(&info.diff_id).unwrap().unwrap();
    assert_eq!(fs::read_dir(tree.join("d")).unwrap().count(), 0);
    let after = fs::metadata(tree.join("d")).unwrap();
    assert_eq!((after.mtime(), after.mtime_nsec()), (before.mtime(), before.mtime_nsec()));
    std::io::copy(&mut store.layers().open_tar(&info.diff_id).unwrap(), &mut std::io::sink()).unwrap();
}

#[test]
fn names_that_mean_deletion_cannot_be_stored() {
    let (_dir, store) = store();
    let draft = store.layers().draft().unwrap();
    fs::write(draft.upper().join(".wh.passwd"), "").unwrap();
    assert!(matches!(draft.seal().unwrap_err(), LayerError::ReservedName { path } if path == ".wh.passwd"));
}

#[test]
fn a_tree_that_was_changed_is_not_handed_on() {
    let (_dir, store) = store();
    let info = write(&store, TREE, &vec![(file("f", b"right"), b"right".into())]).unwrap();
    let tree = store.layers().tree(&info.diff_id).unwrap().unwrap();
    fs::write(tree.join("f"), "wrong").unwrap();
    let mut tar = store.layers().open_tar(&info.diff_id).unwrap();
    let error = std::io::copy(&mut tar, &mut std::io::sink()).unwrap_err();
    assert!(error.to_string().contains("were changed"), "{error}");
    let error = store.layers().compressed(&info.diff_id, crate::layers::Compression::Gzip).unwrap_err();
    assert!(matches!(error, LayerError::Lost { .. }));
    assert_eq!(fs::read_dir(store.inside("blobs/sha256")).unwrap().count(), 0);
}

#[test]
fn after_a_crash_an_unsynced_tree_does_not_count_and_can_be_made_again() {
    let (_dir, store) = store();
    let entries = vec![(file("f", b"content"), b"content".to_vec())];
    let synced = write(&store, TREE, &vec![(file("g", b""), vec![])]).unwrap();
    store.sync().unwrap();
    let info = write(&store, TREE, &entries).unwrap();
    let tree = store.layers().tree(&info.diff_id).unwrap().unwrap();
    fs::write(tree.join("f"), [0; 7]).unwrap();
    let store = forget_boot(&store);
    assert!(store.layers().tree(&synced.diff_id).unwrap().is_some());
    assert_eq!(store.layers().tree(&info.diff_id).unwrap(), None);
    assert_eq!(store.layers().info(&info.diff_id).unwrap(), None);
    assert!(matches!(store.layers().ensure_tree(&info.diff_id), Err(LayerError::Unknown { .. })));
    assert_eq!(write(&store, TREE, &entries).unwrap(), info);
    let tree = store.layers().tree(&info.diff_id).unwrap().unwrap();
    assert_eq!(fs::read(tree.join("f")).unwrap(), b"content");
    assert_eq!(fs::read_dir(store.inside("tmp")).unwrap().count(), 0);
}

#[test]
fn archives_are_unpacked_over_one_another_in_a_draft() {
    let (_dir, store) = store();
    let base = [dir("srv"), with(dir("srv/app"), |entry| (entry.mode, entry.uid) = (0o750, 33))];
    let base: Listing = base.into_iter().map(|entry| (entry, vec![])).collect();
    let base = write(&store, TREE, &base).unwrap();
    let lower = crate::View::new(&[store.layers().tree(&base.diff_id).unwrap().unwrap()]).unwrap();
    let mut draft = store.layers().draft().unwrap();
    let how = Unpack { at: b"srv/app", owner: Some((4, 5)), lower: Some(&lower) };
    draft.unpack(Tar::new().dir("x/").file("x/1", b"1").file("x/2", b"2").end().as_slice(), &how).unwrap();
    draft.unpack(Tar::new().file("x/2", b"changed").symlink("x/3", "1").end().as_slice(), &how).unwrap();
    let hostile = Tar::new().file("../../../etc/passwd", b"").end();
    assert!(matches!(draft.unpack(hostile.as_slice(), &how).unwrap_err(), LayerError::Escapes { .. }));
    let reserved = Tar::new().file("x/.wh.1", b"").end();
    assert!(matches!(draft.unpack(reserved.as_slice(), &how).unwrap_err(), LayerError::ReservedName { .. }));
    let info = draft.seal().unwrap();
    let tree = store.layers().tree(&info.diff_id).unwrap().unwrap();
    let expected = ["srv/", "srv/app/", "srv/app/x/", "srv/app/x/1", "srv/app/x/2", "srv/app/x/3 -> 1"];
    assert_eq!(outline(&tree), expected);
    let app = fs::metadata(tree.join("srv/app")).unwrap();
    assert_eq!((app.mode() & 0o7777, app.uid(), app.mtime()), (0o750, 33, 1_600_000_001));
    let x = fs::metadata(tree.join("srv/app/x")).unwrap();
    assert_eq!((x.uid(), x.gid(), x.mtime()), (4, 5, 1_500_000_000));
    assert_eq!(fs::read(tree.join("srv/app/x/2")).unwrap(), b"changed");
}
