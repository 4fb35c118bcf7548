//! Build contexts: copies of `testdata/images/NAME`, completed by what a checkout cannot hold (set-user-id bits, other
//! owners, hard links, empty directories, archives).

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;

use super::tool::{run, tool};
use super::workspace;

/// Makes the context NAME in `target`, which must not exist.
pub fn make(name: &str, target: &Path) {
    let source = workspace().join("testdata/images").join(name);
    assert!(source.is_dir(), "{} is not there", source.display());
    copy(&source, target);
    match name {
        "add" => archives(target),
        "copy" => modes(target),
        "links" => links(target),
        "wildcards" => odd_names(&target.join("tree")),
        _ => {}
    }
}

/// Copies a directory; modes are set to what a checkout with the usual umask has, so that everybody's is the same.
fn copy(source: &Path, target: &Path) {
    fs::create_dir(target).expect("the target is new");
    for entry in fs::read_dir(source).expect("testdata is readable") {
        let entry = entry.expect("testdata is readable");
        let (from, to) = (entry.path(), target.join(entry.file_name()));
        let kind = entry.file_type().expect("testdata is readable");
        if kind.is_dir() {
            copy(&from, &to);
        } else if kind.is_symlink() {
            symlink(fs::read_link(&from).expect("a link"), &to).expect("the target is new");
        } else {
            fs::copy(&from, &to).expect("testdata is readable");
            let executable = fs::metadata(&from).expect("testdata is readable").permissions().mode() & 0o100;
            set_mode(&to, if executable == 0 { 0o644 } else { 0o755 });
        }
    }
    set_mode(target, 0o755);
}

/// Sets the mode of a file.
pub fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("root may");
}

/// The directory `packed` as archives of every kind that ADD unpacks, and one that only looks like an archive.
fn archives(target: &Path) {
    let packed = target.join("packed");
    set_mode(&packed.join("run.sh"), 0o4755);
    chown(packed.join("owned"), Some(1234), Some(4321)).expect("root may");
    fs::hard_link(packed.join("run.sh"), packed.join("same.sh")).expect("one file system");
    symlink("sub/file", packed.join("link")).expect("the context is new");
    symlink("/etc/passwd", packed.join("absolute")).expect("the context is new");
    for (flag, name) in [("-c", "a.tar"), ("-cz", "b.tar.gz"), ("-cj", "c.tar.bz2"), ("-cJ", "d.tar.xz")] {
        let mut tar = tool("tar");
        tar.arg(flag)
            .args(["--sort=name", "--mtime=@1700000000", "--numeric-owner", "-f"])
            .arg(target.join(name));
        run(tar.arg("-C").arg(&packed).arg(".")).ok();
    }
    fs::remove_dir_all(packed).expect("root may");
    fs::write(target.join("not-really.tar.gz"), "only its name says so\n").expect("root may");
}

fn modes(target: &Path) {
    set_mode(&target.join("tree/secret"), 0o600);
    set_mode(&target.join("tree/deep"), 0o750);
    chown(target.join("tree/secret"), Some(77), Some(78)).expect("root may");
}

fn links(target: &Path) {
    let tree = target.join("tree");
    for name in ["empty", "empty/inner", "sticky", "with space", "ünï-😀"] {
        fs::create_dir(tree.join(name)).expect("the context is new");
    }
    set_mode(&tree.join("sticky"), 0o1777);
    for (name, mode) in [("setuid", 0o4755), ("setgid", 0o2755), ("none", 0o000), ("with space/a b", 0o640)] {
        fs::write(tree.join(name), name).expect("the context is new");
        set_mode(&tree.join(name), mode);
    }
    odd_names(&tree);
    fs::write(tree.join("ünï-😀/ß"), "odd\n").expect("the context is new");
    let long = "long-".repeat(40);
    fs::create_dir(tree.join(&long)).expect("the context is new");
    fs::write(tree.join(&long).join(&long), "long\n").expect("the context is new");
    for (link, to) in [
        ("relative", "regular"),
        ("absolute", "/etc/passwd"),
        ("broken", "nowhere"),
        ("loop", "loop"),
        ("up", "../../.."),
    ] {
        symlink(to, tree.join(link)).expect("the context is new");
    }
    symlink("tree", target.join("to-tree")).expect("the context is new");
    symlink("tree/regular", target.join("to-file")).expect("the context is new");
    fs::hard_link(tree.join("regular"), tree.join("second")).expect("one file system");
    fs::hard_link(tree.join("regular"), tree.join("empty/third")).expect("one file system");
}

/// Names that a shell, a pattern or a terminal may misread.
fn odd_names(tree: &Path) {
    for name in
        ["-dash", "quo\"te", "new\nline", "back\\slash", "star*", "[set]", "$dollar", ".hidden", "tab\t"]
    {
        fs::write(tree.join(name), "odd\n").expect("the context is new");
    }
}
