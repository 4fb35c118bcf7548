//! The zoo: one build context with a specimen of everything that a file system can hold and a builder can get wrong.
//!
//! The Dockerfiles of `testdata/zoo` are built in it. Most of it is what no checkout can hold, so all of it is made here.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, XattrFlags, mknodat, setxattr};

use super::context::set_mode;
use super::zoo_archives;

/// Names that a shell, a pattern, a terminal or an archive may misread.
const ODD_NAMES: &[&str] = &[
    "-dash",
    "--from=x",
    "with space",
    " around ",
    "quo\"te",
    "single'quote",
    "new\nline",
    "tab\t",
    "back\\slash",
    "star*",
    "question?",
    "[set]",
    "{brace}",
    "$dollar",
    "${braced}",
    "#hash",
    "!bang",
    "~",
    ".hidden",
    "..double",
    "...",
    "a,b",
    "co:lon",
    "per%20cent",
    "ünï-😀",
    "<<EOF",
];

/// Makes the zoo in `zoo`, which must not exist.
pub fn make(zoo: &Path) {
    fs::create_dir(zoo).expect("the target is new");
    plain_files(zoo);
    odd_names(&zoo.join("names"));
    modes(&zoo.join("modes"));
    links(&zoo.join("links"));
    hard_links(&zoo.join("hard"));
    special_files(&zoo.join("special"));
    deep(&zoo.join("deep"));
    project(&zoo.join("project"));
    zoo_archives::make(&zoo.join("archives"));
    set_mode(zoo, 0o755);
}

fn plain_files(zoo: &Path) {
    for (path, text) in [
        ("one.txt", "one\n"),
        ("two.txt", "two\n"),
        ("three.md", "three\n"),
        ("empty.txt", ""),
        ("with space.txt", "with space\n"),
        ("dir/a.txt", "a\n"),
        ("dir/b.md", "b\n"),
        ("dir/sub/c.txt", "c\n"),
        ("dir/sub/.d", "d\n"),
        ("other/a.txt", "another a\n"),
        ("other/sub", "a file where dir has a directory\n"),
    ] {
        write(&zoo.join(path), text);
    }
    for path in ["none", "none/at/all"] {
        make_dir(&zoo.join(path));
    }
}

fn odd_names(dir: &Path) {
    make_dir(dir);
    for name in ODD_NAMES {
        write(&dir.join(name), "odd\n");
    }
    make_dir(&dir.join("dir [x]"));
    write(&dir.join("dir [x]/in*side"), "odd\n");
    let long = "long-".repeat(45);
    write(&dir.join(&long).join(&long), "long\n");
}

fn modes(dir: &Path) {
    make_dir(dir);
    for mode in [0o000, 0o400, 0o444, 0o640, 0o711, 0o777, 0o1644, 0o2755, 0o4755, 0o6711] {
        let file = dir.join(format!("file-{mode:04o}"));
        write(&file, "mode\n");
        set_mode(&file, mode);
    }
    for mode in [0o700, 0o711, 0o777, 0o1777, 0o2770, 0o4755] {
        let sub = dir.join(format!("dir-{mode:04o}"));
        write(&sub.join("file"), "mode\n");
        set_mode(&sub, mode);
    }
    for (name, owner, group) in [("owned", 77, 78), ("large", 4_000_000_000, 3_999_999_999)] {
        write(&dir.join(name), "owned\n");
        chown(dir.join(name), Some(owner), Some(group)).expect("root may");
    }
    // Last, since it would be lost by a change of the owner.
    let capable = dir.join("capable");
    write(&capable, "may bind low ports\n");
    let capability = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    setxattr(&capable, "security.capability", &capability, XattrFlags::empty()).expect("root may");
}

fn links(dir: &Path) {
    make_dir(dir);
    write(&dir.join("file"), "target\n");
    write(&dir.join("real/inside"), "inside\n");
    for (link, to) in [
        ("relative", "file"),
        ("dotted", "./real/../file"),
        ("absolute", "/links/file"),
        ("absolute-dir", "/links/real"),
        ("system", "/etc/passwd"),
        ("dangling", "nowhere"),
        ("loop", "loop"),
        ("ping", "pong"),
        ("pong", "ping"),
        ("to-dir", "real"),
        ("to-dir-slash", "real/"),
        ("chain", "to-chain"),
        ("to-chain", "relative"),
        ("up", ".."),
        ("out", "../../../../../.."),
        ("out-and-in", "../../../../../../links/file"),
        ("real/out", "../relative"),
        ("long", &"../links/".repeat(30)),
    ] {
        symlink(to, dir.join(link)).expect("the context is new");
    }
}

fn hard_links(dir: &Path) {
    make_dir(&dir.join("sub"));
    write(&dir.join("first"), "linked\n");
    symlink("first", dir.join("symlink")).expect("the context is new");
    for (name, of) in [("second", "first"), ("sub/third", "first"), ("sub/link", "symlink")] {
        // Not std's: that follows the symbolic link on some systems.
        rustix::fs::linkat(CWD, dir.join(of), CWD, dir.join(name), rustix::fs::AtFlags::empty())
            .expect("one file system");
    }
}

fn special_files(dir: &Path) {
    make_dir(dir);
    write(&dir.join("beside"), "beside\n");
    mknodat(CWD, dir.join("fifo"), FileType::Fifo, Mode::from_raw_mode(0o640), 0).expect("root may");
    // A socket stays when its listener goes. Bound by a short name: a socket's path has room for 107 bytes.
    let short = tempfile::tempdir_in("/run").expect("root may write to /run");
    drop(UnixListener::bind(short.path().join("s")).expect("root may"));
    if fs::rename(short.path().join("s"), dir.join("socket")).is_err() {
        mknodat(CWD, dir.join("socket"), FileType::Socket, Mode::from_raw_mode(0o755), 0).expect("root may");
    }
}

fn deep(dir: &Path) {
    let bottom = (1..=60).fold(dir.to_owned(), |path, level| path.join(format!("level-{level}")));
    write(&bottom.join("bottom"), "deep\n");
}

/// What a repository of an application looks like to an ignore file.
fn project(dir: &Path) {
    for path in [
        "README.md",
        "Makefile",
        ".env",
        ".git/HEAD",
        ".git/objects/ab/cdef",
        "src/main.c",
        "src/main.o",
        "src/lib/util.c",
        "src/lib/util.h",
        "src/lib/util.o",
        "src/lib/README.md",
        "node_modules/left/index.js",
        "node_modules/left/README.md",
        "node_modules/right/node_modules/left/index.js",
        "build/out/app",
        "build/keep/this",
        "docs/a/b/c/page.md",
        "docs/a/b/c/page.txt",
        "docs/index.md",
        "temp1/x",
        "temp22/x",
        "a[b]/x",
        "with space/x y",
    ] {
        write(&dir.join(path), &format!("{path}\n"));
    }
    make_dir(&dir.join("build/empty"));
    symlink("src", dir.join("link-to-src")).expect("the context is new");
}

/// A directory and those above it, with the usual mode whatever the umask is.
pub fn make_dir(path: &Path) {
    let missing: Vec<&Path> = path.ancestors().take_while(|dir| !dir.exists()).collect();
    fs::create_dir_all(path).expect("the context is new");
    for dir in missing {
        set_mode(dir, 0o755);
    }
}

fn write(path: &Path, text: &str) {
    make_dir(path.parent().expect("a path in the context"));
    let mut file = File::create_new(path).expect("the context is new");
    file.write_all(text.as_bytes()).expect("the disk has room");
    file.set_permissions(fs::Permissions::from_mode(0o644)).expect("root may");
}
