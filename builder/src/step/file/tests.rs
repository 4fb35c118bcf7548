//! File steps on real stores: what a copy makes of a base and a context.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod hostile;
mod places;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use kiln_cache::{Content, Entry, EntryKind, Forms, LayerInfo, NodeKind, Store, View};
use kiln_graph::op::{CopyAction, CopySource, FileAction, FileOp, ModeChange, Owner};

use super::{FileError, execute};
use crate::content::context::Context;
use crate::content::{Missing, Tree};
use crate::step::file::SelectError;

const TREE: Forms = Forms { tree: true, tar: false };

/// A store, a context directory and a base of a few files.
struct Bench {
    dir: tempfile::TempDir,
    store: Store,
    context: PathBuf,
    base: Vec<PathBuf>,
}

impl Bench {
    /// The base has /etc/passwd (user `app` is 10:20), /usr/lib, /lib -> usr/lib and /data/old.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store")).unwrap();
        let context = dir.path().join("context");
        fs::create_dir(&context).unwrap();
        let passwd = b"root:x:0:0::/root:/bin/sh\napp:x:10:20::/home/app:/bin/sh\n";
        let group = b"root:x:0:\nstaff:x:50:app\n";
        let file = |path: &str, content: &'static [u8]| {
            (Entry::new(path, EntryKind::File { size: content.len() as u64 }, 0o644), content)
        };
        let directory =
            |path: &str| (Entry::new(path, EntryKind::Directory { opaque: false }, 0o755), &b""[..]);
        let link = Entry::new("lib", EntryKind::Symlink { target: b"usr/lib".to_vec() }, 0o777);
        let mut entries = vec![
            directory("data"),
            file("data/old", b"old"),
            directory("etc"),
            file("etc/group", group),
            file("etc/passwd", passwd),
            (link, &b""[..]),
            directory("usr"),
            directory("usr/lib"),
        ];
        entries[0].0.mtime = 1_000_000;
        let mut writer = store.layers().writer(TREE).unwrap();
        for (entry, content) in &entries {
            let content = if content.is_empty() { Content::None } else { Content::Bytes(content) };
            writer.add(entry, content).unwrap();
        }
        let info = writer.finish().unwrap();
        let base = vec![store.layers().tree(&info.diff_id).unwrap().unwrap()];
        Self { dir, store, context, base }
    }

    fn write(&self, path: &str, content: &str) {
        let path = self.context.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn try_execute(&self, actions: Vec<FileAction>, ignore: &[&str]) -> Result<LayerInfo, FileError> {
        let ignore: Vec<String> = ignore.iter().map(|pattern| (*pattern).to_owned()).collect();
        let context = Context::open(&self.store, &self.context, &ignore)?;
        let trees: [Option<&dyn Tree>; 2] = [None, Some(&context)];
        let base = View::new(&self.base)?;
        execute(&self.store, &FileOp { actions, link: false }, &base, &trees, Vec::new(), TREE)
    }

    /// Executes and returns the new layer's own files, path -> description.
    fn execute(&self, actions: Vec<FileAction>) -> BTreeMap<String, String> {
        let info = self.try_execute(actions, &[]).unwrap();
        let tree = self.store.layers().tree(&info.diff_id).unwrap().unwrap();
        let view = View::new(&[tree]).unwrap();
        let mut found = BTreeMap::new();
        describe(&view, Path::new("/"), &mut found);
        found
    }
}

fn describe(view: &View, dir: &Path, found: &mut BTreeMap<String, String>) {
    for (name, node) in view.read_dir(dir).unwrap() {
        let path = dir.join(name);
        let detail = match node.kind {
            NodeKind::File => {
                let mut text = String::new();
                std::io::Read::read_to_string(&mut view.open(&node).unwrap(), &mut text).unwrap();
                format!("{:o} {}:{} {text}", node.mode, node.uid, node.gid)
            }
            NodeKind::Directory => format!("{:o} {}:{}/", node.mode, node.uid, node.gid),
            NodeKind::Symlink => format!("-> {}", node.link_target.as_ref().unwrap().display()),
            other => format!("{other:?}"),
        };
        found.insert(path.to_str().unwrap()[1..].to_owned(), detail);
        if node.kind == NodeKind::Directory {
            describe(view, &path, found);
        }
    }
}

fn copy(sources: &[&str], destination: &str) -> CopyAction {
    CopyAction {
        input: Some(1),
        sources: sources.iter().map(|source| CopySource::Path((*source).to_owned())).collect(),
        destination: destination.to_owned(),
        owner: None,
        mode: None,
        excludes: Vec::new(),
        unpack: false,
        directories_themselves: false,
    }
}

fn chmod(source: &str, destination: &str, mode: &str) -> FileAction {
    let mode = Some(ModeChange::Symbolic(mode.to_owned()));
    FileAction::Copy(CopyAction { mode, ..copy(&[source], destination) })
}

fn with_parents(sources: &[(&str, &str)], destination: &str) -> CopyAction {
    let parents = |(pivot, pattern): &(&str, &str)| CopySource::Parents {
        pivot: (*pivot).to_owned(),
        pattern: (*pattern).to_owned(),
    };
    CopyAction { sources: sources.iter().map(parents).collect(), ..copy(&[], destination) }
}

fn expect(found: &BTreeMap<String, String>, expected: &[(&str, &str)]) {
    let expected: BTreeMap<String, String> =
        expected.iter().map(|(path, detail)| ((*path).to_owned(), (*detail).to_owned())).collect();
    assert_eq!(*found, expected);
}

#[test]
fn a_file_keeps_its_mode_and_belongs_to_root() {
    let bench = Bench::new();
    bench.write("run.sh", "x");
    fs::set_permissions(bench.context.join("run.sh"), fs::Permissions::from_mode(0o750)).unwrap();
    std::os::unix::fs::chown(bench.context.join("run.sh"), Some(7), Some(8)).unwrap();
    expect(&bench.execute(vec![FileAction::Copy(copy(&["run.sh"], "/start"))]), &[("start", "750 0:0 x")]);
}

#[test]
fn destinations_are_directories_by_slash_number_or_existence() {
    let bench = Bench::new();
    bench.write("a", "1");
    bench.write("b", "2");
    let found = bench.execute(vec![FileAction::Copy(copy(&["a"], "/new/"))]);
    expect(&found, &[("new", "755 0:0/"), ("new/a", "644 0:0 1")]);
    let found = bench.execute(vec![FileAction::Copy(copy(&["a", "b"], "/data"))]);
    expect(&found, &[("data", "755 0:0/"), ("data/a", "644 0:0 1"), ("data/b", "644 0:0 2")]);
    let found = bench.execute(vec![FileAction::Copy(copy(&["a"], "/data"))]);
    expect(&found, &[("data", "755 0:0/"), ("data/a", "644 0:0 1")]);
    let found = bench.execute(vec![FileAction::Copy(copy(&["a"], "/x/y"))]);
    expect(&found, &[("x", "755 0:0/"), ("x/y", "644 0:0 1")]);
}

#[test]
fn a_directory_gives_its_contents() {
    let bench = Bench::new();
    bench.write("src/main.c", "m");
    bench.write("src/sub/x.c", "x");
    fs::create_dir(bench.context.join("src/empty")).unwrap();
    let found = bench.execute(vec![FileAction::Copy(copy(&["src"], "/app"))]);
    expect(
        &found,
        &[
            ("app", "755 0:0/"),
            ("app/empty", "755 0:0/"),
            ("app/main.c", "644 0:0 m"),
            ("app/sub", "755 0:0/"),
            ("app/sub/x.c", "644 0:0 x"),
        ],
    );
}

#[test]
fn links_in_the_destination_are_followed_beneath_the_root() {
    let bench = Bench::new();
    bench.write("libx.so", "x");
    let found = bench.execute(vec![FileAction::Copy(copy(&["libx.so"], "/lib/"))]);
    expect(&found, &[("usr", "755 0:0/"), ("usr/lib", "755 0:0/"), ("usr/lib/libx.so", "644 0:0 x")]);
}

#[test]
fn owners_are_looked_up_in_the_base() {
    let bench = Bench::new();
    bench.write("a", "1");
    let mut action = copy(&["a"], "/new/");
    action.owner = Some(Owner { user: "app".into(), group: Some("staff".into()) });
    action.mode = Some(ModeChange::Set(0o600));
    expect(
        &bench.execute(vec![FileAction::Copy(action.clone())]),
        &[("new", "600 10:50/"), ("new/a", "600 10:50 1")],
    );
    action.owner = Some(Owner { user: "app".into(), group: None });
    expect(
        &bench.execute(vec![FileAction::Copy(action.clone())]),
        &[("new", "600 10:20/"), ("new/a", "600 10:20 1")],
    );
    action.owner = Some(Owner { user: "nobody-here".into(), group: None });
    let error = bench.try_execute(vec![FileAction::Copy(action)], &[]).unwrap_err();
    assert!(error.to_string().contains("nobody-here"), "{error}");
}

#[test]
fn wildcards_and_excludes_choose() {
    let bench = Bench::new();
    for name in ["a.c", "b.c", "c.h", "sub/d.c"] {
        bench.write(name, name);
    }
    let found = bench.execute(vec![FileAction::Copy(copy(&["*.c"], "/src/"))]);
    expect(&found, &[("src", "755 0:0/"), ("src/a.c", "644 0:0 a.c"), ("src/b.c", "644 0:0 b.c")]);
    let mut action = copy(&["."], "/src/");
    action.excludes = vec!["*.c".into()];
    let found = bench.execute(vec![FileAction::Copy(action)]);
    expect(
        &found,
        &[
            ("src", "755 0:0/"),
            ("src/c.h", "644 0:0 c.h"),
            ("src/sub", "755 0:0/"),
            ("src/sub/d.c", "644 0:0 sub/d.c"),
        ],
    );
}

#[test]
fn ignored_files_are_not_there_and_the_reason_is_named() {
    let bench = Bench::new();
    bench.write("secret.key", "s");
    bench.write("logs/a", "a");
    bench.write("logs/keep", "k");
    let ignore = ["*.key", "logs", "!logs/keep"];
    let info = bench.try_execute(vec![FileAction::Copy(copy(&["."], "/c/"))], &ignore).unwrap();
    let view = View::new(&[bench.store.layers().tree(&info.diff_id).unwrap().unwrap()]).unwrap();
    let mut found = BTreeMap::new();
    describe(&view, Path::new("/"), &mut found);
    expect(&found, &[("c", "755 0:0/"), ("c/logs", "755 0:0/"), ("c/logs/keep", "644 0:0 k")]);
    let error = bench.try_execute(vec![FileAction::Copy(copy(&["secret.key"], "/"))], &ignore).unwrap_err();
    match error {
        FileError::Select(SelectError::NotFound { missing: Missing::Ignored { pattern, .. }, .. }) => {
            assert_eq!(pattern, "*.key");
        }
        other => panic!("{other}"),
    }
}

#[test]
fn a_missing_source_names_its_neighbour() {
    let bench = Bench::new();
    bench.write("README.md", "");
    let error = bench.try_execute(vec![FileAction::Copy(copy(&["Readme.md"], "/"))], &[]).unwrap_err();
    match error {
        FileError::Select(SelectError::NotFound { similar, missing: Missing::Absent, .. }) => {
            assert_eq!(similar.as_deref(), Some("README.md"));
        }
        other => panic!("{other}"),
    }
}

#[test]
fn a_name_of_one_letter_has_no_neighbour_but_itself() {
    let bench = Bench::new();
    bench.write("t", "");
    let similar = |name: &str| match bench.try_execute(vec![FileAction::Copy(copy(&[name], "/"))], &[]) {
        Err(FileError::Select(SelectError::NotFound { similar, .. })) => similar,
        other => panic!("{other:?}"),
    };
    assert_eq!(similar("f"), None);
    assert_eq!(similar("T").as_deref(), Some("t"));
}

#[test]
fn a_link_out_of_the_context_leads_nowhere() {
    let bench = Bench::new();
    fs::write(bench.context.parent().unwrap().join("outside"), "secret").unwrap();
    symlink("../outside", bench.context.join("up")).unwrap();
    symlink("/etc/hostname", bench.context.join("abs")).unwrap();
    for (source, leads_to) in
        [("up", Some("../outside")), ("abs", Some("/etc/hostname")), ("../outside", None)]
    {
        let error = bench.try_execute(vec![FileAction::Copy(copy(&[source], "/x"))], &[]).unwrap_err();
        let FileError::Select(SelectError::NotFound { missing, .. }) = &error else { panic!("{error}") };
        let expected = leads_to.map_or(Missing::Absent, |target| Missing::Link { target: target.into() });
        assert_eq!(*missing, expected, "{source}");
    }
}

#[test]
fn links_and_hard_links_survive_a_copy() {
    let bench = Bench::new();
    bench.write("d/a", "same");
    fs::hard_link(bench.context.join("d/a"), bench.context.join("d/b")).unwrap();
    symlink("a", bench.context.join("d/l")).unwrap();
    let info = bench.try_execute(vec![FileAction::Copy(copy(&["d"], "/d"))], &[]).unwrap();
    let view = View::new(&[bench.store.layers().tree(&info.diff_id).unwrap().unwrap()]).unwrap();
    let node = |path: &str| view.lookup(Path::new(path)).unwrap().unwrap();
    assert_eq!(node("/d/a").identity, node("/d/b").identity);
    assert_eq!(node("/d/l").link_target.as_deref(), Some(Path::new("a")));
}

#[test]
fn a_file_does_not_replace_a_directory() {
    let bench = Bench::new();
    bench.write("usr/lib", "no directory");
    let error = bench.try_execute(vec![FileAction::Copy(copy(&["usr"], "/usr"))], &[]).unwrap_err();
    assert!(matches!(error, FileError::DirectoryInTheWay { .. }), "{error}");
}

#[test]
fn made_directories_have_their_parents_time() {
    let bench = Bench::new();
    let mkdir = |path: &str| FileAction::Mkdir { path: path.into(), mode: 0o755, owner: None };
    // The root directory has no time in a layer: the newest of what is in it counts, which is /data's.
    let info = bench.try_execute(vec![mkdir("/data/x/y"), mkdir("/top")], &[]).unwrap();
    let view = View::new(&[bench.store.layers().tree(&info.diff_id).unwrap().unwrap()]).unwrap();
    for path in ["/data", "/data/x", "/data/x/y", "/top"] {
        assert_eq!(view.lookup(Path::new(path)).unwrap().unwrap().mtime, 1_000_000, "{path}");
    }
}

#[test]
fn inline_files_are_written_as_they_are() {
    let bench = Bench::new();
    let mut action = copy(&[], "/etc/");
    action.input = None;
    action.sources = vec![CopySource::Inline { name: "conf".into(), data: b"a=1\n".to_vec() }];
    let found = bench.execute(vec![FileAction::Copy(action)]);
    expect(&found, &[("etc", "755 0:0/"), ("etc/conf", "644 0:0 a=1\n")]);
}

#[test]
fn an_archive_is_unpacked_and_other_files_are_not() {
    let bench = Bench::new();
    bench.write("tree/bin/tool", "t");
    symlink("tool", bench.context.join("tree/bin/alias")).unwrap();
    let tar = |name: &str, flag: &str| {
        let status = std::process::Command::new("tar")
            .args(["-C", "tree", "--owner=10", "--group=20", flag, name, "."])
            .current_dir(&bench.context)
            .status()
            .unwrap();
        assert!(status.success());
    };
    tar("plain", "-cf");
    tar("packed.bin", "-czf");
    bench.write("text.tar", "this is no archive");
    for archive in ["plain", "packed.bin"] {
        let mut action = copy(&[archive], "/opt/");
        action.unpack = true;
        let found = bench.execute(vec![FileAction::Copy(action)]);
        expect(
            &found,
            &[
                ("opt", "755 0:0/"),
                ("opt/bin", "755 10:20/"),
                ("opt/bin/alias", "-> tool"),
                ("opt/bin/tool", "644 10:20 t"),
            ],
        );
    }
    let mut action = copy(&["text.tar"], "/opt/");
    action.unpack = true;
    let found = bench.execute(vec![FileAction::Copy(action)]);
    expect(&found, &[("opt", "755 0:0/"), ("opt/text.tar", "644 0:0 this is no archive")]);
}

#[test]
fn the_same_inputs_give_the_same_layer() {
    let (one, two) = (Bench::new(), Bench::new());
    let mut ids = Vec::new();
    for bench in [&one, &two] {
        bench.write("a/b", "x");
        let time =
            fs::FileTimes::new().set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(5));
        for path in ["a/b", "a"] {
            fs::File::open(bench.context.join(path)).unwrap().set_times(time).unwrap();
        }
        ids.push(bench.try_execute(vec![FileAction::Copy(copy(&["."], "/w/"))], &[]).unwrap().diff_id);
    }
    assert_eq!(ids[0], ids[1]);
}

#[test]
fn a_symbolic_mode_changes_what_each_file_has() {
    let bench = Bench::new();
    bench.write("dir/plain", "1");
    bench.write("dir/tool", "2");
    let mode = |path: &str, mode| {
        fs::set_permissions(bench.context.join(path), fs::Permissions::from_mode(mode)).unwrap();
    };
    mode("dir", 0o700);
    mode("dir/plain", 0o600);
    mode("dir/tool", 0o4711);
    symlink("plain", bench.context.join("dir/link")).unwrap();
    expect(
        &bench.execute(vec![chmod("dir", "/out", "u=rwX,go=rX,u-s")]),
        &[
            ("out", "755 0:0/"),
            ("out/link", "-> plain"),
            ("out/plain", "644 0:0 1"),
            ("out/tool", "755 0:0 2"),
        ],
    );
    expect(&bench.execute(vec![chmod("dir/plain", "/run", "+x")]), &[("run", "711 0:0 1")]);
}

#[test]
fn parents_come_along_from_the_pivot_on() {
    let bench = Bench::new();
    for path in ["a/b/c/d/foo", "a/b/c/d/e/bay", "a/b2/c/d/e/bar", "a/b/c2/d/e/baz", "a/b/c2/d/e2/baz"] {
        bench.write(path, "x");
    }
    fs::create_dir(bench.context.join("a/b/c/empty")).unwrap();
    fs::set_permissions(bench.context.join("a/b"), fs::Permissions::from_mode(0o750)).unwrap();
    let files = |sources: &[(&str, &str)]| {
        let found = bench.execute(vec![FileAction::Copy(with_parents(sources, "/out/"))]);
        let below = found.keys().filter_map(|path| path.strip_prefix("out/"));
        below.map(str::to_owned).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(files(&[(".", "a/b/c/d/foo")]), "a a/b a/b/c a/b/c/d a/b/c/d/foo");
    assert_eq!(files(&[("a/b", "c/d")]), "c c/d c/d/e c/d/e/bay c/d/foo");
    assert_eq!(files(&[("a", "*/c/d/foo")]), "b b/c b/c/d b/c/d/foo");
    assert_eq!(files(&[("a/b*", "c/**/e")]), "c c/d c/d/e c/d/e/bar c/d/e/bay");
    assert_eq!(
        files(&[("a/b/c*", "d/**/baz"), ("a/b*", "c/**/bar")]),
        "c c/d c/d/e c/d/e/bar d d/e d/e/baz d/e2 d/e2/baz"
    );
    assert_eq!(files(&[("a/b/c", ".")]), "d d/e d/e/bay d/foo empty");
    assert_eq!(files(&[(".", "none*"), ("non*", "e")]), "");
    let found = bench.execute(vec![FileAction::Copy(with_parents(&[("a", "b/c/d/foo")], "/data"))]);
    assert_eq!((found["data"].as_str(), found["data/b"].as_str()), ("755 0:0/", "750 0:0/"));
    let mut excluding = with_parents(&[("a", "b*")], "/out/");
    excluding.excludes = vec!["**/e*".to_owned(), "b2".to_owned()];
    let found = bench.execute(vec![FileAction::Copy(excluding)]);
    let names: Vec<&str> = found.keys().map(String::as_str).collect();
    assert_eq!(names.join(" "), "out out/b out/b/c out/b/c/d out/b/c/d/foo out/b/c2 out/b/c2/d");
}

#[test]
fn parents_without_wildcards_must_exist() {
    let bench = Bench::new();
    bench.write("a/file", "x");
    symlink("a", bench.context.join("link")).unwrap();
    for (pivot, pattern) in
        [(".", "a/other"), ("a", "flie"), ("none", "file"), (".", "link/file"), ("a/file", "x")]
    {
        let copy = with_parents(&[(pivot, pattern)], "/out/");
        let error = bench.try_execute(vec![FileAction::Copy(copy)], &[]).unwrap_err();
        assert!(
            matches!(error, FileError::Select(SelectError::NotFound { .. })),
            "{pivot} {pattern}: {error:?}"
        );
    }
}

#[test]
fn a_pattern_may_match_nothing_and_a_path_may_not() {
    let bench = Bench::new();
    bench.write("a", "1");
    bench.write("[b]", "2");
    let found = bench.execute(vec![FileAction::Copy(copy(&["a", "none*", "[[]b]"], "/new/"))]);
    expect(&found, &[("new", "755 0:0/"), ("new/[b]", "644 0:0 2"), ("new/a", "644 0:0 1")]);
    expect(&bench.execute(vec![FileAction::Copy(copy(&["*.none"], "/new/"))]), &[]);
    assert!(bench.try_execute(vec![FileAction::Copy(copy(&["none"], "/"))], &[]).is_err());
}
