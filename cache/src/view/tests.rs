//! Tests of views: what the kernel's overlay would show, without mounting one. One test mounts one and compares.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, XattrFlags, mknodat, setxattr};

use super::*;

/// Trees in the making, bottom first.
struct Trees {
    dir: tempfile::TempDir,
    count: usize,
}

impl Trees {
    fn new(count: usize) -> Trees {
        let dir = tempfile::tempdir().unwrap();
        for layer in 0..count {
            fs::create_dir(dir.path().join(layer.to_string())).unwrap();
        }
        Trees { dir, count }
    }

    fn path(&self, layer: usize, path: &str) -> PathBuf {
        let path = self.dir.path().join(layer.to_string()).join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    fn file(&self, layer: usize, path: &str, content: &str) -> &Trees {
        fs::write(self.path(layer, path), content).unwrap();
        self
    }

    fn link(&self, layer: usize, path: &str, target: &str) -> &Trees {
        symlink(target, self.path(layer, path)).unwrap();
        self
    }

    fn whiteout(&self, layer: usize, path: &str) -> &Trees {
        mknodat(CWD, self.path(layer, path), FileType::CharacterDevice, Mode::empty(), 0).unwrap();
        self
    }

    fn opaque(&self, layer: usize, path: &str) -> &Trees {
        fs::create_dir_all(self.path(layer, path)).unwrap();
        setxattr(self.path(layer, path), "trusted.overlay.opaque", b"y", XattrFlags::empty()).unwrap();
        self
    }

    fn paths(&self) -> Vec<PathBuf> {
        (0..self.count).map(|layer| self.dir.path().join(layer.to_string())).collect()
    }

    fn view(&self) -> View {
        View::new(&self.paths()).unwrap()
    }
}

/// Every path of a view, with the layer it comes from.
fn walk(view: &View) -> Vec<(PathBuf, usize)> {
    let mut all = Vec::new();
    let mut todo = vec![PathBuf::from("/")];
    while let Some(dir) = todo.pop() {
        for (name, node) in view.read_dir(&dir).unwrap() {
            all.push((dir.join(&name), node.layer));
            assert_eq!(view.lookup(&dir.join(&name)).unwrap(), Some(node.clone()));
            if node.kind == NodeKind::Directory {
                todo.push(dir.join(name));
            }
        }
    }
    all.sort();
    all
}

fn mixed() -> Trees {
    let trees = Trees::new(4);
    trees
        .file(0, "etc/passwd", "root")
        .file(0, "etc/group", "0")
        .file(0, "usr/bin/a", "a")
        .file(0, "f/below", "");
    trees.file(0, "opaque/old", "").file(0, "gone/x", "").file(0, "back/old", "");
    trees.link(0, "bin", "usr/bin").file(0, "swap", "file first");
    trees
        .file(1, "etc/passwd", "changed")
        .whiteout(1, "etc/group")
        .file(1, "f", "a file now")
        .whiteout(1, "back");
    trees.file(2, "swap/inside", "").opaque(2, "opaque").file(2, "opaque/new", "").whiteout(2, "gone");
    trees.file(2, "f/again", "a directory again").file(2, "back/new", "");
    trees.file(3, "usr/bin/b", "b").file(3, "opaque/newer", "").whiteout(3, "never-there");
    // The kernel makes a directory that replaces something opaque.
    trees.opaque(2, "f").opaque(2, "swap").opaque(2, "back");
    trees
}

#[test]
fn layers_hide_what_lies_below_them() {
    let trees = mixed();
    let found = walk(&trees.view());
    let found: Vec<(&str, usize)> =
        found.iter().map(|(path, layer)| (path.to_str().unwrap(), *layer)).collect();
    let expected = [
        ("/back", 2),
        ("/back/new", 2),
        ("/bin", 0),
        ("/etc", 1),
        ("/etc/passwd", 1),
        ("/f", 2),
        ("/f/again", 2),
        ("/opaque", 3),
        ("/opaque/new", 2),
        ("/opaque/newer", 3),
        ("/swap", 2),
        ("/swap/inside", 2),
        ("/usr", 3),
        ("/usr/bin", 3),
        ("/usr/bin/a", 0),
        ("/usr/bin/b", 3),
    ];
    assert_eq!(found, expected);
    let view = trees.view();
    for gone in ["/gone", "/gone/x", "/etc/group", "/opaque/old", "/f/below", "/never-there"] {
        assert_eq!(view.lookup(Path::new(gone)).unwrap(), None, "{gone}");
    }
}

#[test]
fn the_kernel_sees_the_same() {
    let trees = mixed();
    let lower: Vec<String> =
        trees.paths().iter().rev().map(|path| path.to_str().unwrap().to_owned()).collect();
    let mountpoint = trees.dir.path().join("merged");
    fs::create_dir(&mountpoint).unwrap();
    // In a mount namespace of its own, so that nothing is left behind whatever happens.
    let script =
        "mount -t overlay overlay -o lowerdir=\"$1\" \"$2\" && cd \"$2\" && find . -mindepth 1 | sort";
    let mut command = std::process::Command::new("unshare");
    command.args(["-m", "sh", "-c", script, "sh", &lower.join(":")]).arg(&mountpoint);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut kernel: Vec<String> =
        String::from_utf8(output.stdout).unwrap().lines().map(|line| line[1..].to_owned()).collect();
    kernel.sort();
    let mut ours: Vec<String> =
        walk(&trees.view()).iter().map(|(path, _)| path.to_str().unwrap().to_owned()).collect();
    ours.sort();
    assert_eq!(ours, kernel);
}

#[test]
fn nodes_say_what_stat_says() {
    let trees = Trees::new(2);
    trees.file(0, "f", "12345").link(1, "l", "f");
    mknodat(
        CWD,
        trees.path(1, "dev"),
        FileType::BlockDevice,
        Mode::from_raw_mode(0o640),
        rustix::fs::makedev(8, 3),
    )
    .unwrap();
    let view = trees.view();
    let node = view.lookup(Path::new("/f")).unwrap().unwrap();
    let stat = fs::metadata(trees.path(0, "f")).unwrap();
    assert_eq!((node.kind, node.size, node.identity), (NodeKind::File, 5, (stat.dev(), stat.ino())));
    assert_eq!((node.mtime, i64::from(node.mtime_nsec)), (stat.mtime(), stat.mtime_nsec()));
    let link = view.lookup(Path::new("l")).unwrap().unwrap();
    assert_eq!((link.kind, link.link_target), (NodeKind::Symlink, Some("f".into())));
    let dev = view.lookup(Path::new("dev")).unwrap().unwrap();
    assert_eq!((dev.kind, dev.rdev), (NodeKind::BlockDevice, (8, 3)));
    assert_eq!(view.lookup(Path::new("/")).unwrap().unwrap().kind, NodeKind::Directory);
}

#[test]
fn paths_resolve_as_if_the_view_were_the_root() {
    let trees = Trees::new(2);
    trees.file(0, "usr/lib/so", "").link(0, "lib", "usr/lib").link(0, "abs", "/lib/so").file(0, "etc/x", "");
    trees.link(1, "up", "../../../../etc").link(1, "loop", "loop").link(1, "dangling", "nowhere/at/all");
    trees.link(1, "etc/rel", "../lib/./so").link(1, "outside", "/proc/self/root/etc");
    let view = trees.view();
    let resolve = |path: &str, follow| {
        let resolved = view.resolve(Path::new(path), follow).unwrap();
        (resolved.path.to_str().unwrap().to_owned(), resolved.node.map(|node| node.kind))
    };
    let file = Some(NodeKind::File);
    let dir = Some(NodeKind::Directory);
    let link = Some(NodeKind::Symlink);
    for (path, follow, expected, kind) in [
        ("/", true, "/", dir),
        ("", true, "/", dir),
        ("../../..", true, "/", dir),
        ("lib/so", true, "/usr/lib/so", file),
        ("/lib", false, "/lib", link),
        ("/lib", true, "/usr/lib", dir),
        ("/lib/../so", true, "/usr/so", None),
        ("abs", true, "/usr/lib/so", file),
        ("up/x", true, "/etc/x", file),
        ("etc/rel", true, "/usr/lib/so", file),
        ("dangling", true, "/nowhere/at/all", None),
        ("dangling/more", false, "/nowhere/at/all/more", None),
        ("new/dir/../file", true, "/new/file", None),
        ("new/../etc", true, "/etc", dir),
        ("outside", true, "/proc/self/root/etc", None),
    ] {
        assert_eq!(resolve(path, follow), (expected.to_owned(), kind), "{path}");
    }
    assert!(matches!(view.resolve(Path::new("loop"), true), Err(ViewError::TooManyLinks { .. })));
    assert!(
        matches!(view.resolve(Path::new("etc/x/y"), true), Err(ViewError::NotADirectory { path }) if path == Path::new("/etc/x"))
    );
}

#[test]
fn only_regular_files_are_opened() {
    let trees = Trees::new(1);
    trees.file(0, "etc/passwd", "root:x:0:0").link(0, "etc/alias", "/etc/passwd");
    trees.link(0, "escape", "/../../../../../../etc/hostname").whiteout(0, "gone");
    for (name, kind) in [("fifo", FileType::Fifo), ("null", FileType::CharacterDevice)] {
        mknodat(CWD, trees.path(0, name), kind, Mode::from_raw_mode(0o666), rustix::fs::makedev(1, 3))
            .unwrap();
    }
    let view = trees.view();
    assert_eq!(view.read(Path::new("/etc/alias"), 100).unwrap(), b"root:x:0:0");
    assert!(matches!(
        view.read(Path::new("/etc/passwd"), 3),
        Err(ViewError::TooLarge { size: 10, limit: 3, .. })
    ));
    assert!(matches!(view.read(Path::new("escape"), 100), Err(ViewError::NotFound { .. })));
    for name in ["fifo", "null", "etc"] {
        assert!(matches!(view.read(Path::new(name), 100), Err(ViewError::NotAFile { .. })), "{name}");
    }
    assert!(matches!(view.read(Path::new("gone"), 100), Err(ViewError::NotFound { .. })));
}

#[test]
fn a_link_of_a_lower_layer_is_no_way_out_of_a_tree() {
    let trees = Trees::new(2);
    // The upper tree's link hides the lower's directory of the same name.
    trees.file(0, "d/secret", "lower").link(1, "d", "/etc");
    let view = trees.view();
    assert!(matches!(view.lookup(Path::new("/d/passwd")), Err(ViewError::NotADirectory { .. })));
    assert!(matches!(view.read(Path::new("/d/passwd"), 100), Err(ViewError::NotFound { .. })));
    assert!(matches!(view.read_dir(Path::new("/d")), Err(ViewError::NotADirectory { .. })));
}

#[test]
fn attributes_are_those_of_the_layer() {
    let trees = Trees::new(1);
    trees.file(0, "f", "").link(0, "l", "f");
    let flags = XattrFlags::empty();
    setxattr(trees.path(0, "f"), "user.a", b"1", flags).unwrap();
    setxattr(trees.path(0, "f"), "trusted.overlay.origin", b"x", flags).unwrap();
    rustix::fs::lsetxattr(trees.path(0, "l"), "trusted.b", b"2", flags).unwrap();
    let view = trees.view();
    let xattrs = |path: &str| view.xattrs(&view.lookup(Path::new(path)).unwrap().unwrap()).unwrap();
    assert_eq!(xattrs("f"), BTreeMap::from([(b"user.a".to_vec(), b"1".to_vec())]));
    assert_eq!(xattrs("l"), BTreeMap::from([(b"trusted.b".to_vec(), b"2".to_vec())]));
}

#[test]
fn a_tree_that_is_a_link_or_missing_is_no_tree() {
    let trees = Trees::new(1);
    let link = trees.dir.path().join("link");
    symlink("/etc", &link).unwrap();
    assert!(View::new(&[link]).is_err());
    assert!(View::new(&[trees.dir.path().join("missing")]).is_err());
}

#[test]
fn a_view_of_nothing_is_empty() {
    let view = View::new(&[]).unwrap();
    assert_eq!(view.lookup(Path::new("/etc")).unwrap(), None);
    assert_eq!(view.read_dir(Path::new("/")).unwrap(), Vec::<(OsString, Node)>::new());
    let resolved = view.resolve(Path::new("a/../b"), true).unwrap();
    assert_eq!((resolved.path, resolved.node), ("/b".into(), None));
}

/// Whether layers 0, 1, 2 … make the same tree as those numbered in `other`.
fn same(trees: &Trees, one: &[usize], other: &[usize]) -> bool {
    let paths = trees.paths();
    for path in walk_files(&paths) {
        let time = fs::FileTimes::new().set_modified(std::time::UNIX_EPOCH);
        fs::File::open(path).unwrap().set_times(time).unwrap();
    }
    let chain = |numbers: &[usize]| numbers.iter().map(|number| paths[*number].clone()).collect::<Vec<_>>();
    let (one, other) = (chain(one), chain(other));
    let found = is_same_tree(&one, &other).unwrap();
    assert_eq!(found, is_same_tree(&other, &one).unwrap(), "either way round");
    assert!(is_same_tree(&one, &one).unwrap());
    found
}

/// Every regular file and directory, what is deepest first.
fn walk_files(dirs: &[PathBuf]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for dir in dirs {
        let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
        for path in entries.filter(|path| !path.is_symlink()) {
            let kind = fs::metadata(&path).unwrap().file_type();
            if kind.is_dir() {
                found.extend(walk_files(std::slice::from_ref(&path)));
                found.push(path);
            } else if kind.is_file() {
                found.push(path);
            }
        }
    }
    found
}

#[test]
fn chains_that_make_the_same_tree() {
    // What is hidden does not count, nor how the same files are spread.
    let trees = Trees::new(6);
    trees
        .file(0, "d/base", "0")
        .file(1, "d/a", "1")
        .file(2, "d/b", "2")
        .file(3, "d/a", "1")
        .file(3, "d/b", "2");
    trees.file(4, "d/a", "hidden").file(5, "d/a", "1").file(5, "d/b", "2");
    assert!(same(&trees, &[0, 1, 2], &[0, 3]));
    assert!(same(&trees, &[0, 1, 2], &[0, 2, 1]));
    assert!(same(&trees, &[0, 4, 3], &[0, 5]));
    assert!(!same(&trees, &[0, 1], &[0, 3]));
    assert!(!same(&trees, &[0, 4], &[0, 1]));
    assert!(!same(&trees, &[1, 2], &[0, 1, 2]));
}

#[test]
fn what_one_chain_hides_and_the_other_does_not_is_a_difference() {
    let trees = Trees::new(8);
    trees.file(0, "d/s/x", "0").file(0, "e", "0");
    trees.file(1, "d", "file in the way");
    trees.file(2, "d/new", "2");
    trees.opaque(3, "d").file(3, "d/new", "2");
    trees.whiteout(4, "d");
    trees.whiteout(5, "e");
    trees.file(6, "e", "0");
    trees.opaque(7, "d/s").file(7, "d/s/y", "1").file(7, "d/new", "2");
    assert!(!same(&trees, &[0, 1, 2], &[0, 2]), "a file between two directories");
    assert!(!same(&trees, &[0, 3], &[0, 2]), "an opaque directory");
    assert!(!same(&trees, &[0, 4, 2], &[0, 2]), "a deletion");
    assert!(same(&trees, &[0, 4, 2], &[0, 3]), "a deletion and an opaque directory");
    assert!(same(&trees, &[0, 1, 2], &[0, 3]), "a file in between and an opaque directory");
    assert!(same(&trees, &[0, 5, 6], &[0, 5, 6, 6]));
    assert!(same(&trees, &[0, 5, 6], &[0]), "deleted, and made again as it was");
    assert!(!same(&trees, &[0, 5], &[0]));
    assert!(!same(&trees, &[0, 2, 7], &[0, 2]), "opaque further down");
}

#[test]
fn every_attribute_of_a_file_is_compared() {
    use std::os::unix::fs::{PermissionsExt, lchown};
    let change: [fn(&Path); 8] = [
        |path| fs::write(path, "2").unwrap(),
        |path| fs::write(path, "11").unwrap(),
        |path| fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap(),
        |path| lchown(path, Some(1), None).unwrap(),
        |path| lchown(path, None, Some(1)).unwrap(),
        |path| setxattr(path, "user.a", b"1", XattrFlags::empty()).unwrap(),
        |path| {
            fs::remove_file(path).unwrap();
            symlink("1", path).unwrap();
        },
        |path| fs::hard_link(path, path.with_extension("link")).unwrap(),
    ];
    let trees = Trees::new(2);
    trees.file(0, "d/f", "1").file(1, "d/f", "1");
    assert!(same(&trees, &[0], &[1]));
    for change in change {
        let trees = Trees::new(2);
        trees.file(0, "d/f", "1").file(1, "d/f", "1");
        change(&trees.path(1, "d/f"));
        assert!(!same(&trees, &[0], &[1]));
    }
    let trees = Trees::new(2);
    trees.file(0, "d/f", "1").file(1, "d/f", "1");
    assert!(same(&trees, &[0], &[1]));
    let later = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1);
    fs::File::open(trees.path(1, "d/f")).unwrap().set_modified(later).unwrap();
    assert!(!is_same_tree(&trees.paths()[..1], &trees.paths()[1..]).unwrap(), "a time");
}
