//! Foreign tars, hostile ones: none may reach outside its tree, stop the builder, or pass for another layer.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use ::tar::EntryType;
use proptest::prelude::*;

use super::*;
use crate::testing::store;

/// Unpacks a tar in a store beside a file that it must not touch.
struct Victim {
    dir: tempfile::TempDir,
    store: Store,
}

impl Victim {
    fn new() -> Victim {
        let (dir, store) = store();
        fs::write(dir.path().join("victim"), "untouched").unwrap();
        fs::create_dir(dir.path().join("victims")).unwrap();
        Victim { dir, store }
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    fn unpack(&self, tar: Tar) -> Result<PathBuf, LayerError> {
        let diff_id = register(&self.store, &tar.end());
        let result = self.store.layers().ensure_tree(&diff_id);
        let victim = fs::metadata(self.dir.path().join("victim")).unwrap();
        assert_eq!(fs::read(self.dir.path().join("victim")).unwrap(), b"untouched");
        assert_eq!((victim.nlink(), victim.mode() & 0o777, victim.uid()), (1, 0o644, 0));
        assert_eq!(fs::read_dir(self.dir.path().join("victims")).unwrap().count(), 0);
        assert_eq!(fs::read_dir(self.store.inside("tmp")).unwrap().count(), 0);
        result
    }

    fn refused(&self, tar: Tar) -> LayerError {
        match self.unpack(tar).unwrap_err() {
            LayerError::Unpack { source, .. } => *source,
            other => panic!("{other}"),
        }
    }
}

#[test]
fn paths_with_dots_stay_inside_or_are_refused() {
    let victim = Victim::new();
    for path in ["../x", "a/../../x", "/../x", "./../../../../tmp/x", ".."] {
        let error = victim.refused(Tar::new().file(path, b""));
        assert!(matches!(error, LayerError::Escapes { .. }), "{path}: {error}");
        let error = victim.refused(Tar::new().file("f", b"").hard_link("g", path));
        assert!(matches!(error, LayerError::Escapes { .. }), "{path}: {error}");
    }
    let tree = victim.unpack(Tar::new().dir("a/").file("a/../b", b"").file("//a//./c", b"")).unwrap();
    assert_eq!(outline(&tree), ["a/", "a/c", "b"]);
}

#[test]
fn absolute_paths_begin_at_the_root_of_the_tree() {
    let victim = Victim::new();
    let path = victim.path("victim");
    let tree = victim.unpack(Tar::new().file(&path, b"mine")).unwrap();
    assert_eq!(fs::read(tree.join(path.trim_start_matches('/'))).unwrap(), b"mine");
}

#[test]
fn links_in_the_way_are_followed_inside_the_tree() {
    let victim = Victim::new();
    let outside = victim.path("victims");
    let tree = victim.unpack(Tar::new().symlink("out", &outside).file("out/x", b"")).unwrap();
    assert!(tree.join(outside.trim_start_matches('/')).join("x").exists());
    let tree = victim.unpack(Tar::new().symlink("up", "../../../../../..").file("up/tmp/x", b"")).unwrap();
    assert_eq!(outline(&tree), ["tmp/", "tmp/x", "up -> ../../../../../.."]);
    let tree = victim.unpack(Tar::new().symlink("p", "/proc/self/root").file("p/x", b"")).unwrap();
    assert_eq!(
        outline(&tree),
        ["p -> /proc/self/root", "proc/", "proc/self/", "proc/self/root/", "proc/self/root/x"]
    );
}

#[test]
fn the_last_component_is_never_followed() {
    let victim = Victim::new();
    let path = victim.path("victim");
    let tree = victim.unpack(Tar::new().symlink("f", &path).file("f", b"mine")).unwrap();
    assert_eq!(outline(&tree), ["f"]);
    let tree = victim.unpack(Tar::new().symlink("f", &path).hard_link("g", "f")).unwrap();
    assert!(tree.join("g").is_symlink());
    // A directory entry on a link must not change what the link points to.
    let dirs = victim.path("victims");
    let mode = |header: &mut ::tar::Header| header.set_mode(0o777);
    let tar =
        Tar::new().symlink("d", &dirs).add_with(EntryType::Directory, "d", "", b"", mode).file("d/x", b"");
    let tree = victim.unpack(tar).unwrap();
    assert_eq!(outline(&tree), ["d/ opaque", "d/x"]);
    assert_eq!(fs::metadata(&dirs).unwrap().mode() & 0o777, 0o755);
}

#[test]
fn hard_links_reach_nothing_outside() {
    let victim = Victim::new();
    let path = victim.path("victim");
    assert!(matches!(victim.refused(Tar::new().hard_link("mine", &path)), LayerError::LinkTarget { .. }));
    let outside = victim.path("");
    let tar = Tar::new().symlink("out", outside.trim_end_matches('/')).hard_link("mine", "out/victim");
    assert!(matches!(victim.refused(tar), LayerError::LinkTarget { .. }));
    assert!(matches!(victim.refused(Tar::new().dir("d").hard_link("e", "d")), LayerError::LinkTarget { .. }));
    assert!(matches!(
        victim.refused(Tar::new().file("f", b"").hard_link("f", "f")),
        LayerError::LinkTarget { .. }
    ));
}

#[test]
fn the_root_is_a_directory_or_nothing() {
    let victim = Victim::new();
    for root in [".", "/", "./", "a/.."] {
        let error = victim.refused(Tar::new().symlink(root, &victim.path("victims")).file("x", b""));
        assert!(matches!(error, LayerError::RootNotDirectory), "{root}: {error}");
    }
}

#[test]
fn whiteouts_delete_nothing_but_what_they_name() {
    let victim = Victim::new();
    for name in [".wh..", ".wh...", ".wh.", "a/.wh..."] {
        let error = victim.refused(Tar::new().dir("a").file(name, b""));
        assert!(matches!(error, LayerError::InvalidPath { .. }), "{name}: {error}");
    }
    for tar in [Tar::new().file(".wh.a/x", b""), Tar::new().symlink("a", ".wh.b").file("a/x", b"")] {
        assert!(matches!(victim.refused(tar), LayerError::ReservedName { .. }));
    }
    assert!(outline(&victim.unpack(Tar::new().file(".wh..wh.plnk/1.2", b"")).unwrap()).is_empty());
    let tar = Tar::new().symlink("out", &victim.path("")).file("out/.wh.victim", b"");
    let tree = victim.unpack(tar).unwrap();
    assert!(tree.join(victim.path("victim").trim_start_matches('/')).symlink_metadata().is_ok());
}

#[test]
fn sizes_that_disagree_have_one_meaning() {
    let victim = Victim::new();
    // The PAX size counts: the second header is content of the first file, not an entry.
    let hidden = Tar::new().file("hidden", b"").0;
    let tar = Tar::new().pax(&[("size", b"512")]).add_with(EntryType::Regular, "f", "", &hidden, |header| {
        header.set_size(0);
    });
    let tree = victim.unpack(tar.file("g", b"")).unwrap();
    assert_eq!(outline(&tree), ["f", "g"]);
    assert_eq!(fs::read(tree.join("f")).unwrap(), hidden);
    // Types without content have none, whatever they claim.
    let tar = Tar::new().add_with(EntryType::Symlink, "s", "t", b"", |header| header.set_size(512));
    assert_eq!(outline(&victim.unpack(tar.file("h", b"")).unwrap()), ["h", "s -> t"]);
}

#[test]
fn damaged_archives_are_refused() {
    let victim = Victim::new();
    let (whole, store) = (Tar::new().file("f", &[1; 1000]).end(), &victim.store);
    for end in [100, 512, 900, 1535] {
        let diff_id = register(store, &whole[..end]);
        let error = store.layers().ensure_tree(&diff_id).unwrap_err();
        assert!(matches!(error, LayerError::Unpack { .. }), "{end}: {error}");
    }
    let mut wrong = whole;
    wrong[0] = b'g';
    let error = store.layers().ensure_tree(&register(store, &wrong)).unwrap_err();
    assert!(matches!(error, LayerError::Unpack { source, .. } if matches!(*source, LayerError::Tar(_))));
    for records in [&b"7 path\n"[..], b"12 size=-12\n", b"9 path=a", b"999999999999999999999 a=b\n"] {
        let tar = Tar::new().add(EntryType::XHeader, "x", "", records).file("f", b"");
        assert!(matches!(victim.refused(tar), LayerError::Tar(_)), "{records:?}");
    }
    let huge = Tar::new().add_with(EntryType::XHeader, "x", "", b"", |header| header.set_size(1 << 40));
    assert!(matches!(victim.refused(huge), LayerError::Tar(_)));
    let unknown = Tar::new().add(EntryType::new(b'Z'), "x", "", b"");
    assert!(matches!(victim.refused(unknown), LayerError::Tar(_)));
}

#[test]
fn a_file_cannot_be_a_directory_for_others() {
    let victim = Victim::new();
    let error = victim.refused(Tar::new().file("f", b"").file("f/x", b""));
    assert!(matches!(error, LayerError::NotADirectory { .. }), "{error}");
    let error = victim.refused(Tar::new().symlink("a", "b").symlink("b", "a").file("a/x", b""));
    assert!(matches!(error, LayerError::TooManyLinks { .. }), "{error}");
}

#[test]
fn a_blob_that_is_not_the_layer_is_named_and_nothing_is_kept() {
    let victim = Victim::new();
    let layers = victim.store.layers();
    let other = DiffId::from_hash([3; 32]);
    let tar = Tar::new().file("f", b"x").end();
    register_as(&victim.store, &other, &gzip(&tar));
    let error = layers.ensure_tree(&other).unwrap_err();
    let LayerError::Mismatch { diff_id, blob, actual } = &error else { panic!("{error}") };
    assert_eq!((diff_id, actual.digest()), (&other, &digest_of(&tar)));
    assert_eq!(*blob, digest_of(&gzip(&tar)));
    assert_eq!(layers.tree(&other).unwrap(), None);
    let mut truncated = gzip(&tar);
    truncated.truncate(truncated.len() - 20);
    let diff_id = DiffId::try_from(digest_of(&tar)).unwrap();
    register_as(&victim.store, &diff_id, &truncated);
    assert!(matches!(layers.ensure_tree(&diff_id).unwrap_err(), LayerError::Unpack { .. }));
    assert_eq!(fs::read_dir(victim.store.inside("tmp")).unwrap().count(), 0);
}

fn component() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "b", "c", "..", ".", "", ".wh.a", ".wh..wh..opq", "..."])
}

fn path() -> impl Strategy<Value = String> {
    prop::collection::vec(component(), 1..4).prop_map(|parts| parts.join("/"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]
    /// Whatever names and links a tar puts together, it stays in its tree, and what was made is what a layer can be.
    #[test]
    fn no_combination_of_entries_leaves_the_tree(
        entries in prop::collection::vec((0..4_u8, path(), path()), 1..8)
    ) {
        let victim = Victim::new();
        let mut tar = Tar::new();
        for (kind, path, target) in &entries {
            tar = match kind {
                0 => tar.file(path, b"content"),
                1 => tar.dir(path),
                2 => tar.symlink(path, target),
                _ => tar.hard_link(path, target),
            };
        }
        if let Ok(tree) = victim.unpack(tar) {
            listing(&tree);
        }
        let mut names: Vec<_> = fs::read_dir(victim.dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        prop_assert_eq!(names, ["store", "victim", "victims"]);
    }
}
