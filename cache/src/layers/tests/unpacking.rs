//! Foreign tars, friendly ones: what their entries mean.

use std::fs;
use std::os::unix::fs::MetadataExt;

use ::tar::EntryType;

use super::*;
use crate::testing::store;

fn unpack(store: &Store, tar: Tar) -> Result<std::path::PathBuf, LayerError> {
    let diff_id = register(store, &tar.end());
    store.layers().ensure_tree(&diff_id)
}

#[test]
fn whiteouts_act_on_lower_layers_only() {
    let (_dir, store) = store();
    let tar = Tar::new()
        .dir("a/")
        .file("a/.wh.gone", b"")
        .dir("b/")
        .file("b/kept", b"1")
        .file("b/.wh..wh..opq", b"")
        .file("b/.wh.kept", b"")
        .file(".wh.c", b"")
        .dir("c/")
        .file("c/new", b"")
        .dir("d/")
        .file(".wh.d", b"")
        .file(".wh..wh.plnk", b"");
    let tree = unpack(&store, tar).unwrap();
    assert_eq!(
        outline(&tree),
        ["a/", "a/gone gone", "b/ opaque", "b/kept", "c/ opaque", "c/new", "d/ opaque"]
    );
}

#[test]
fn later_entries_replace_earlier_ones() {
    let (_dir, store) = store();
    let tar = Tar::new()
        .file("f", b"one")
        .file("f", b"second")
        .dir("d/")
        .dir("d/sub/")
        .file("d/sub/x", b"")
        .file("d", b"now a file")
        .symlink("s", "f")
        .dir("s/")
        .file("s/inside", b"")
        .dir("twice/")
        .file("twice/kept", b"")
        .add_with(EntryType::Directory, "twice/", "", b"", |header| header.set_mode(0o700));
    let tree = unpack(&store, tar).unwrap();
    assert_eq!(outline(&tree), ["d", "f", "s/ opaque", "s/inside", "twice/", "twice/kept"]);
    assert_eq!(fs::read(tree.join("f")).unwrap(), b"second");
    assert_eq!(fs::metadata(tree.join("twice")).unwrap().mode() & 0o7777, 0o700);
}

#[test]
fn links_within_the_layer_are_followed_inside_it() {
    let (_dir, store) = store();
    let tar = Tar::new()
        .dir("usr/")
        .dir("usr/lib/")
        .symlink("lib", "usr/lib")
        .file("lib/one", b"1")
        .symlink("abs", "/usr/../../usr")
        .file("abs/lib/two", b"2")
        .hard_link("three", "lib/one");
    let tree = unpack(&store, tar).unwrap();
    assert_eq!(
        outline(&tree),
        [
            "abs -> /usr/../../usr",
            "lib -> usr/lib",
            "three",
            "usr/",
            "usr/lib/",
            "usr/lib/one = three",
            "usr/lib/two"
        ]
    );
    assert_eq!(fs::read(tree.join("three")).unwrap(), b"1");
}

#[test]
fn the_root_entry_sets_the_root() {
    let (_dir, store) = store();
    let tar = Tar::new().add_with(EntryType::Directory, "./", "", b"", |header| header.set_mode(0o711));
    let tree = unpack(&store, tar.file("./f", b"")).unwrap();
    let root = fs::metadata(&tree).unwrap();
    assert_eq!((root.mode() & 0o7777, root.mtime()), (0o711, 1_500_000_000));
    assert_eq!(outline(&tree), ["f"]);
}

#[test]
fn numbers_and_names_come_from_pax_where_they_are_there() {
    let (_dir, store) = store();
    let long = format!("{}/x", "d".repeat(200));
    let tar = Tar::new()
        .pax(&[("path", b"ddd/")])
        .dir("ignored/")
        .pax(&[
            ("path", b"ddd/f"),
            ("uid", b"3000000"),
            ("gid", b"7"),
            ("mtime", b"-1.5"),
            ("SCHILY.xattr.user.a", b"line\nline"),
            ("SCHILY.xattr.trusted.overlay.redirect", b"/etc"),
            ("SCHILY.xattr.security.selinux", b"x"),
            ("comment", b"nothing"),
        ])
        .file("ignored", b"content")
        .add(EntryType::XGlobalHeader, "pax_global_header", "", b"20 path=everywhere!\n")
        .add(EntryType::GNULongName, "././@LongLink", "", &[&b"ddd/"[..], b"g\0"].concat())
        .file("ignored", b"g")
        .pax(&[("linkpath", long.as_bytes())])
        .symlink("link", "ignored");
    let tree = unpack(&store, tar).unwrap();
    assert_eq!(outline(&tree), ["ddd/", "ddd/f", "ddd/g", &format!("link -> {long}")]);
    let (entry, content) = listing(&tree).remove(1);
    assert_eq!((entry.uid, entry.gid, entry.mtime), (3_000_000, 7, -2));
    assert_eq!(entry.xattrs, BTreeMap::from([(b"user.a".to_vec(), b"line\nline".to_vec())]));
    assert_eq!(content, b"content");
    let names = run(std::process::Command::new("getfattr")
        .args(["-m", "-", "--absolute-names"])
        .arg(tree.join("ddd/f")));
    assert!(!String::from_utf8(names).unwrap().contains("overlay"));
}

#[test]
fn files_with_holes_are_read_in_every_format_that_tar_writes() {
    let (dir, store) = store();
    let source = dir.path().join("source");
    fs::create_dir(&source).unwrap();
    let sparse = fs::File::create(source.join("sparse")).unwrap();
    for (index, at) in (0..40_u64).map(|index| (index, index * 100_000)) {
        std::os::unix::fs::FileExt::write_all_at(&sparse, &[u8::try_from(index).unwrap() + 1; 4096], at)
            .unwrap();
    }
    sparse.set_len(5_000_000).unwrap();
    fs::write(source.join("zz"), "what follows").unwrap();
    let formats = ["--format=gnu", "--sparse-version=0.0", "--sparse-version=0.1", "--sparse-version=1.0"];
    for format in formats {
        let mut command = std::process::Command::new("tar");
        let posix = if format.starts_with("--sparse") { "--format=posix" } else { format };
        command.args(["-c", "--sparse", "--owner=0", "--group=0", posix, format, "-C"]).arg(&source);
        let tar = run(command.args(["sparse", "zz"]));
        assert!(tar.len() < 1_000_000, "{format}: tar wrote the holes");
        let diff_id = register(&store, &tar);
        let tree = store.layers().ensure_tree(&diff_id).unwrap();
        assert!(
            fs::read(tree.join("sparse")).unwrap() == fs::read(source.join("sparse")).unwrap(),
            "{format}"
        );
        assert_eq!(outline(&tree), ["sparse", "zz"], "{format}");
        assert_eq!(fs::read(tree.join("zz")).unwrap(), b"what follows");
    }
}

#[test]
fn everything_of_the_system_tar_is_understood() {
    let (dir, store) = store();
    let info = write(&store, TREE, &everything()).unwrap();
    let tree = store.layers().tree(&info.diff_id).unwrap().unwrap();
    for format in ["gnu", "posix"] {
        let tar = dir.path().join(format);
        let mut command = std::process::Command::new("tar");
        if format == "posix" {
            command.args(["--xattrs", "--xattrs-include=*"]);
        }
        command.args(["-c", "--format", format, "-C"]).arg(&tree);
        run(command.arg("-f").arg(&tar).arg("."));
        let diff_id = register(&store, &fs::read(&tar).unwrap());
        let unpacked = store.layers().ensure_tree(&diff_id).unwrap();
        let mut expected = everything();
        let mut found = listing(&unpacked);
        for (entry, _) in expected.iter_mut().chain(&mut found) {
            if let EntryKind::Directory { opaque } = &mut entry.kind {
                *opaque = false;
            }
            if format == "gnu" {
                entry.xattrs.clear();
            }
        }
        assert_same(&found, &expected);
    }
}

#[test]
fn what_a_layer_leaves_out_comes_from_the_layers_below() {
    let (_dir, store) = store();
    let base = Tar::new()
        .add_with(EntryType::Directory, "etc/", "", b"", |header| header.set_mode(0o700))
        .add_with(EntryType::Regular, "etc/shadow", "", b"secret", |header| header.set_mode(0o600))
        .dir("usr/")
        .dir("usr/lib/")
        .symlink("lib", "usr/lib")
        .end();
    let upper =
        Tar::new().file("etc/new", b"n").file("lib/so", b"s").hard_link("etc/shadow-", "etc/shadow").end();
    let (base, upper) = (register(&store, &base), register(&store, &upper));
    let chain = [base.clone(), upper.clone()];
    let trees = store.layers().ensure_trees(&chain).unwrap();
    assert_eq!(outline(&trees[1]), ["etc/", "etc/new", "etc/shadow-", "usr/", "usr/lib/", "usr/lib/so"]);
    assert_eq!(fs::metadata(trees[1].join("etc")).unwrap().mode() & 0o7777, 0o700);
    let copy = trees[1].join("etc/shadow-");
    assert_eq!(
        (fs::read(&copy).unwrap(), fs::metadata(&copy).unwrap().mode() & 0o777),
        (b"secret".to_vec(), 0o600)
    );
    // The tree holds for this chain only; alone, the layer lacks its file.
    assert_eq!(store.layers().tree(&upper).unwrap(), None);
    assert_eq!(store.layers().ensure_trees(&chain).unwrap(), trees);
    assert!(store.layers().info(&upper).unwrap().is_some());
    let error = store.layers().ensure_tree(&upper).unwrap_err();
    assert!(
        matches!(error, LayerError::Unpack { source, .. } if matches!(*source, LayerError::LinkTarget { .. }))
    );
}

#[test]
fn an_opaque_root_hides_everything_below() {
    let (_dir, store) = store();
    let base = register(&store, &Tar::new().file("a", b"").dir("b/").file("b/x", b"").end());
    let upper = register(&store, &Tar::new().file(".wh..wh..opq", b"").dir("b/").file("c", b"").end());
    let trees = store.layers().ensure_trees(&[base, upper]).unwrap();
    assert_eq!(outline(&trees[1]), ["a gone", "b/ opaque", "c"]);
}

#[test]
fn bytes_after_the_end_of_the_archive_belong_to_the_layer() {
    let (_dir, store) = store();
    let mut tar = Tar::new().file("f", b"x").end();
    tar.extend_from_slice(&[0; 9000]);
    tar.extend_from_slice(b"junk");
    let diff_id = register(&store, &tar);
    store.layers().ensure_tree(&diff_id).unwrap();
    assert_eq!(store.layers().info(&diff_id).unwrap().unwrap().size, tar.len() as u64);
}
