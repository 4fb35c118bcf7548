//! The writer: one pass, several forms, and what it refuses.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;

use super::*;
use crate::testing::store;

#[test]
fn every_form_of_every_kind_of_entry_agrees() {
    let (_dir, store) = store();
    let entries = everything();
    let both = write(&store, Forms { tree: true, tar: true }, &entries).unwrap();
    let hash_only = write(&store, Forms::default(), &entries).unwrap();
    assert_eq!(both, hash_only);
    let tree = store.layers().tree(&both.diff_id).unwrap().unwrap();
    assert_same(&listing(&tree), &entries);
    // Every entry, and the marker of the opaque directory.
    assert_eq!(both.entries, entries.len() as u64 + 1);
    let mut tar = Vec::new();
    store.layers().open_tar(&both.diff_id).unwrap().read_to_end(&mut tar).unwrap();
    assert_eq!((tar.len() as u64, digest_of(&tar)), (both.size, both.diff_id.digest().clone()));
}

#[test]
fn a_tree_gives_its_tar_back() {
    let (_dir, store) = store();
    let info = write(&store, TREE, &everything()).unwrap();
    assert!(!store.blobs().contains(info.diff_id.digest()).unwrap());
    let mut tar = Vec::new();
    store.layers().open_tar(&info.diff_id).unwrap().read_to_end(&mut tar).unwrap();
    assert_eq!(digest_of(&tar), *info.diff_id.digest());
}

#[test]
fn a_tar_unpacks_to_the_tree_it_was_written_with() {
    let (_dir, store) = store();
    let entries = everything();
    let info = write(&store, TAR, &entries).unwrap();
    assert_eq!(store.layers().tree(&info.diff_id).unwrap(), None);
    let tree = store.layers().ensure_tree(&info.diff_id).unwrap();
    assert_same(&listing(&tree), &entries);
    assert_eq!(store.layers().info(&info.diff_id).unwrap(), Some(info));
}

#[test]
fn two_stores_give_the_same_digest_and_it_stays_the_same() {
    let ((_a, a), (_b, b)) = (store(), store());
    let entries = everything();
    let one = write(&a, TREE, &entries).unwrap();
    let two = write(&b, TAR, &entries).unwrap();
    assert_eq!(one, two);
    let golden = include_str!("../../../../testdata/layers/everything.digest");
    assert_eq!(one.diff_id.to_string(), golden.trim(), "the bytes of layers have changed");
}

#[test]
fn the_system_tar_reads_what_is_written() {
    let (dir, store) = store();
    let entries: Listing =
        everything().into_iter().filter(|(entry, _)| entry.kind != EntryKind::Whiteout).collect();
    let info = write(&store, TAR, &entries).unwrap();
    let tar = store.blobs().path(info.diff_id.digest()).unwrap();
    let out = dir.path().join("out");
    fs::create_dir(&out).unwrap();
    let mut command = std::process::Command::new("tar");
    command
        .args(["--xattrs", "--xattrs-include=*", "--same-owner", "-p", "-xf"])
        .arg(&tar)
        .arg("-C")
        .arg(&out);
    run(&mut command);
    let mut expected = entries;
    for (entry, _) in &mut expected {
        if let EntryKind::Directory { opaque } = &mut entry.kind {
            *opaque = false;
        }
    }
    // The marker of an opaque directory is a plain file to tar.
    fs::remove_file(out.join("opaque/.wh..wh..opq")).unwrap();
    let mut found = listing(&out);
    for (entry, _) in expected.iter_mut().chain(&mut found) {
        if entry.path == b"opaque" {
            entry.mtime = 0;
        }
    }
    assert_same(&found, &expected);
}

#[test]
fn contents_come_from_anywhere() {
    let (dir, store) = store();
    let source = dir.path().join("source");
    let big = vec![b'z'; 1_000_000];
    fs::write(&source, &big).unwrap();
    let mut expected = None;
    for forms in [TREE, TAR, Forms::default()] {
        let mut writer = store.layers().writer(forms).unwrap();
        writer.add(&file("1", b"bytes"), Content::Bytes(b"bytes")).unwrap();
        writer.add(&file("2", &big), Content::File(File::open(&source).unwrap())).unwrap();
        writer.add(&file("3", &big), Content::Reader(&mut big.as_slice())).unwrap();
        writer.add(&file("4", b""), Content::None).unwrap();
        let info = writer.finish().unwrap();
        assert_eq!(*expected.get_or_insert(info.clone()), info);
    }
}

#[test]
fn files_of_another_tree_are_linked_if_they_are_the_same() {
    let (_dir, store) = store();
    let big = vec![7; 300_000];
    let base = write(&store, TREE, &vec![(file("big", &big), big.clone()), (file("f", b"12"), b"12".into())])
        .unwrap();
    let base = store.layers().tree(&base.diff_id).unwrap().unwrap();
    let entries = vec![
        (file("big", &big), "big"),
        (file("f", b"12"), "f"),
        (file("g", b"12"), "f"),
        (with(file("h", b"12"), |entry| entry.mode = 0o600), "f"),
    ];
    let add = |forms| {
        let mut writer = store.layers().writer(forms).unwrap();
        for (entry, source) in &entries {
            writer.add(entry, Content::Link(&base.join(source))).unwrap();
        }
        writer.finish().unwrap()
    };
    let info = add(TREE);
    assert_eq!(info, add(Forms::default()));
    let tree = store.layers().tree(&info.diff_id).unwrap().unwrap();
    let inode = |path: std::path::PathBuf| fs::metadata(path).unwrap().ino();
    assert_eq!(inode(tree.join("big")), inode(base.join("big")));
    assert_eq!(inode(tree.join("f")), inode(base.join("f")));
    // The second name would be a hard link within the layer, and the other mode would change the base.
    assert_ne!(inode(tree.join("g")), inode(base.join("f")));
    assert_eq!(fs::metadata(base.join("f")).unwrap().mode() & 0o777, 0o644);
    assert_eq!(fs::metadata(tree.join("h")).unwrap().mode() & 0o777, 0o600);
    let mut tar = Vec::new();
    store.layers().open_tar(&info.diff_id).unwrap().read_to_end(&mut tar).unwrap();
}

#[test]
fn order_and_form_of_paths_are_checked() {
    let (_dir, store) = store();
    let refused = |entries: &[Entry]| {
        let mut writer = store.layers().writer(TREE).unwrap();
        let mut results = entries.iter().map(|entry| writer.add(entry, Content::None));
        results.find_map(Result::err).unwrap()
    };
    let f = |path: &str| file(path, b"");
    for bad in ["", "/a", "a/", "../a", "a/../b", "a//b", ".", "a\0b"] {
        assert!(matches!(refused(&[f(bad)]), LayerError::InvalidPath { .. }), "{bad}");
    }
    for bad in [[f("b"), f("a")], [f("a"), f("a")], [f("a-"), dir("a")], [f("a"), dir("a")]] {
        assert!(matches!(refused(&bad), LayerError::Order { .. }), "{bad:?}");
    }
    assert!(matches!(refused(&[f("a/b")]), LayerError::MissingParent { .. }));
    assert!(matches!(refused(&[f("a"), f("a/b")]), LayerError::MissingParent { .. }));
    assert!(matches!(refused(&[dir("a"), dir("a/b"), dir("a/c"), f("a/b/c")]), LayerError::Order { .. }));
    assert!(matches!(refused(&[f(".wh.x")]), LayerError::ReservedName { .. }));
    let link = |target: &str| Entry::new("z", EntryKind::Hardlink { target: target.into() }, 0o644);
    assert!(matches!(refused(&[dir("a"), link("a")]), LayerError::LinkTarget { .. }));
    assert!(matches!(refused(&[link("missing")]), LayerError::LinkTarget { .. }));
    assert!(matches!(refused(&[f("a"), link("a")]), LayerError::LinkMetadata { .. }));
    assert_eq!(fs::read_dir(store.inside("tmp")).unwrap().count(), 0);
}

#[test]
fn contents_of_the_wrong_size_are_refused() {
    let (_dir, store) = store();
    for forms in [TREE, TAR] {
        for size in [3_u64, 200_000] {
            for wrong in [size - 1, size + 1] {
                let content = vec![0; usize::try_from(wrong).unwrap()];
                let mut writer = store.layers().writer(forms).unwrap();
                let entry = Entry::new("f", EntryKind::File { size }, 0o644);
                let error = writer.add(&entry, Content::Bytes(&content)).unwrap_err();
                assert!(matches!(error, LayerError::Size { expected, .. } if expected == size), "{error}");
            }
        }
    }
}

#[test]
fn a_failure_on_another_thread_is_told() {
    let (_dir, store) = store();
    let mut writer = store.layers().writer(TREE).unwrap();
    // No file system takes a name of this length; it is found out where the file is created.
    let name = "n".repeat(300);
    let big = vec![0; 900_000];
    let result = writer.add(&file(&name, &big), Content::Bytes(&big)).map(|()| writer.finish());
    let error = match result {
        Ok(finished) => finished.unwrap_err(),
        Err(error) => error,
    };
    assert!(matches!(error, LayerError::File(_)), "{error}");
}

#[test]
fn a_dropped_writer_leaves_nothing() {
    let (_dir, store) = store();
    let mut writer = store.layers().writer(Forms { tree: true, tar: true }).unwrap();
    add_all(&mut writer, &everything()).unwrap();
    drop(writer);
    assert_eq!(fs::read_dir(store.inside("tmp")).unwrap().count(), 0);
    assert_eq!(fs::read_dir(store.inside("layers")).unwrap().count(), 0);
}

#[test]
fn thousands_of_files_arrive_whole() {
    let (_dir, store) = store();
    let mut entries = Listing::new();
    for outer in 0..20 {
        entries.push((dir(&format!("d{outer:02}")), vec![]));
        for inner in 0..100 {
            let content = format!("{outer}/{inner}").repeat(inner);
            entries.push((file(&format!("d{outer:02}/f{inner:03}"), content.as_bytes()), content.into()));
        }
    }
    let info = write(&store, TREE, &entries).unwrap();
    assert_same(&listing(&store.layers().tree(&info.diff_id).unwrap().unwrap()), &entries);
}
