//! Parts of trees that nobody vouches for: what a build step binds, its caches, its secrets.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use kiln_sandbox::{ChangesDirectory, Exit, Mount, MountKind, MountTree};

use crate::fixture::{Fixture, describe, names, refused, run};

crate::tests!("parts":
    layers_are_merged_and_read_only,
    what_is_written_goes_to_the_changes_alone,
    a_file_can_be_shown_and_no_layers_at_all,
    links_in_layers_stay_inside,
    a_part_that_is_not_there_is_an_error,
    a_missing_directory_of_a_cache_is_made,
    links_in_a_cache_stay_inside,
    a_race_for_a_directory_leads_nowhere,
    mounts_leave_no_trace_and_remove_nothing,
    a_secret_has_its_owner_and_mode,
);

/// Directories beside the fixture's own, by name, each with files.
fn trees<'a>(fixture: &Fixture, files: impl IntoIterator<Item = (&'a str, &'a str)>) {
    for (path, text) in files {
        let path = fixture.beside(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

fn part(target: &str, tree: MountTree, path: &str, directory: bool, read_only: bool) -> Mount {
    Mount { target: target.into(), kind: MountKind::Part { tree, path: path.into(), directory, read_only } }
}

fn layers(fixture: &Fixture, lowers: &[&str]) -> MountTree {
    MountTree::Layers { lowers: lowers.iter().map(|name| fixture.beside(name)).collect(), changes: None }
}

fn layers_are_merged_and_read_only() {
    let fixture = Fixture::new();
    trees(
        &fixture,
        [("low/src/a", "low a"), ("low/src/b", "low b"), ("low/other", "x"), ("high/src/b", "high b")],
    );
    let mut spec = fixture.shell("cat /deep/er/a /deep/er/b; ls /deep/er; touch /deep/er/c");
    spec.mounts = vec![part("/deep/er", layers(&fixture, &["high", "low"]), "src", true, true)];
    let output = run(&spec);
    assert_eq!(output.stdout, "low ahigh ba\nb\n");
    assert!(output.stderr.contains("Read-only file system"), "{}", output.stderr);
    assert_eq!(fixture.changes(), names(&[]));
}

fn what_is_written_goes_to_the_changes_alone() {
    let fixture = Fixture::new();
    trees(&fixture, [("low/src/a", "a"), ("changes/upper/none", ""), ("changes/work/none", "")]);
    for name in ["changes/upper/none", "changes/work/none"] {
        fs::remove_file(fixture.beside(name)).unwrap();
    }
    let changes =
        ChangesDirectory { upper: fixture.beside("changes/upper"), work: fixture.beside("changes/work") };
    let tree = MountTree::Layers { lowers: vec![fixture.beside("low")], changes: Some(changes) };
    let mut spec = fixture.shell("cd /m && rm a && echo b > b && cat b");
    spec.mounts = vec![part("/m", tree, "src", true, false)];
    assert_eq!(run(&spec).text(), "b\n");
    assert_eq!(fs::read_to_string(fixture.beside("low/src/a")).unwrap(), "a");
    assert!(fixture.beside("changes/upper/src/b").exists());
    assert_eq!(fixture.changes(), names(&[]));
}

fn a_file_can_be_shown_and_no_layers_at_all() {
    let fixture = Fixture::new();
    trees(&fixture, [("low/src/a", "a\n")]);
    let mut spec = fixture.shell("cat /file; ls -a /nothing | wc -l; ls /one");
    spec.mounts = vec![
        part("/file", layers(&fixture, &["low"]), "src/a", false, true),
        part("/nothing", layers(&fixture, &[]), ".", true, true),
        part("/one", layers(&fixture, &["low"]), ".", true, true),
    ];
    assert_eq!(run(&spec).text(), "a\n2\nsrc\n");
}

/// CVE-2024-1753: the source of a bind is a link to `/`.
fn links_in_layers_stay_inside() {
    let fixture = Fixture::new();
    trees(&fixture, [("low/inside", "inside\n"), ("host/secret", "secret\n")]);
    symlink("/", fixture.beside("low/root")).unwrap();
    symlink("../../../../..", fixture.beside("low/up")).unwrap();
    symlink(fixture.beside("host"), fixture.beside("low/host")).unwrap();
    symlink("/proc/self/root", fixture.beside("low/magic")).unwrap();
    for path in ["root", "up", "root/root/up", "../../.."] {
        let mut spec = fixture.shell("cat /m/inside");
        spec.mounts = vec![part("/m", layers(&fixture, &["low"]), path, true, true)];
        assert_eq!(run(&spec).text(), "inside\n", "{path}");
        fixture.reset();
    }
    for path in ["host", "magic"] {
        let mut spec = fixture.spec(&["true"]);
        spec.mounts = vec![part("/m", layers(&fixture, &["low"]), path, true, true)];
        assert!(describe(&refused(&spec)).contains("on `/m`"), "{path}");
        fixture.reset();
    }
}

fn a_part_that_is_not_there_is_an_error() {
    let fixture = Fixture::new();
    trees(&fixture, [("low/a", "")]);
    let mut spec = fixture.spec(&["true"]);
    spec.mounts = vec![part("/m", layers(&fixture, &["low"]), "missing", true, true)];
    let text = describe(&refused(&spec));
    assert!(text.contains("cannot mount `missing` on `/m`") && text.contains("No such file"), "{text}");
}

fn a_missing_directory_of_a_cache_is_made() {
    let fixture = Fixture::new();
    fs::create_dir(fixture.beside("cache")).unwrap();
    for _ in 0..2 {
        let mut spec = fixture.shell("echo x >> /c/made");
        spec.mounts = vec![part("/c", MountTree::Directory(fixture.beside("cache")), "sub/dir", true, false)];
        assert_eq!(run(&spec).exit, Exit::Code(0));
        fixture.reset();
    }
    assert_eq!(fs::read_to_string(fixture.beside("cache/sub/dir/made")).unwrap(), "x\nx\n");
    let mut spec = fixture.shell("echo x > /c/refused");
    spec.mounts = vec![part("/c", MountTree::Directory(fixture.beside("cache")), ".", true, true)];
    assert_eq!(run(&spec).exit, Exit::Code(1));
    assert_eq!(fixture.changes(), names(&[]));
}

/// CVE-2024-9675 and its like: a step left a link in a cache, and the next one mounts what it leads to.
fn links_in_a_cache_stay_inside() {
    let fixture = Fixture::new();
    trees(&fixture, [("host/secret", "secret\n"), ("cache/inside", "")]);
    symlink(fixture.beside("host"), fixture.beside("cache/absolute")).unwrap();
    symlink("../host", fixture.beside("cache/relative")).unwrap();
    for path in ["absolute", "relative", "../host", "../../../../../../../../../etc"] {
        let mut spec = fixture.shell("ls -A /c; echo x > /c/written");
        spec.mounts = vec![part("/c", MountTree::Directory(fixture.beside("cache")), path, true, false)];
        let seen = run(&spec).text();
        assert!(!seen.contains("secret") && !seen.contains("passwd"), "{path}: {seen}");
        fixture.reset();
    }
    assert_eq!(fs::read_dir(fixture.beside("host")).unwrap().count(), 1);
}

/// CVE-2024-23651: another process swaps the directory for a link between the look at it and the mount.
fn a_race_for_a_directory_leads_nowhere() {
    let fixture = Fixture::new();
    trees(&fixture, [("host/secret", "secret\n"), ("cache/sub/inside", "inside\n")]);
    symlink(fixture.beside("host"), fixture.beside("cache/link")).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (sub, link) = (fixture.beside("cache/sub"), fixture.beside("cache/link"));
        let stop = &stop;
        let swapping = scope.spawn(move || swap_until(stop, &sub, &link));
        for _ in 0..40 {
            let mut spec = fixture.shell("cat /c/secret");
            spec.mounts = vec![part("/c", MountTree::Directory(fixture.beside("cache")), "sub", true, false)];
            // A race that is lost may be an error; what lies outside is never shown.
            if let Ok(sandbox) = kiln_sandbox::spawn(&spec, kiln_sandbox::Stdio::Pipes) {
                assert_eq!(crate::fixture::finish(sandbox).stdout, "");
            }
            fixture.reset();
        }
        stop.store(true, Ordering::Relaxed);
        assert!(swapping.join().unwrap() > 0);
    });
    assert_eq!(fs::read_dir(fixture.beside("host")).unwrap().count(), 1);
}

fn swap_until(stop: &AtomicBool, left: &Path, right: &Path) -> usize {
    let mut swaps = 0;
    while !stop.load(Ordering::Relaxed) {
        let flags = rustix::fs::RenameFlags::EXCHANGE;
        rustix::fs::renameat_with(rustix::fs::CWD, left, rustix::fs::CWD, right, flags).unwrap();
        swaps += 1;
    }
    swaps
}

/// CVE-2024-23652: a target whose parents a step replaces by a link to the host, hoping that cleaning up follows it.
fn mounts_leave_no_trace_and_remove_nothing() {
    let fixture = Fixture::new();
    trees(&fixture, [("low/src/a", ""), ("host/empty/kept", "")]);
    fs::remove_file(fixture.beside("host/empty/kept")).unwrap();
    fs::create_dir(fixture.beside("cache")).unwrap();
    symlink(fixture.beside("host"), fixture.layer("out")).unwrap();
    let secret = MountKind::File { data: b"s".to_vec(), mode: 0o400, uid: 0, gid: 0 };
    let mut spec = fixture.shell("cat /run/secrets/s /out/empty/x && touch /kept");
    spec.mounts = vec![
        part("/opt/a/b/c", layers(&fixture, &["low"]), "src", true, true),
        part("/var/cache/x", MountTree::Directory(fixture.beside("cache")), ".", true, false),
        Mount { target: "/run/secrets/s".into(), kind: secret.clone() },
        Mount { target: "/out/empty/x".into(), kind: secret },
    ];
    assert_eq!(run(&spec).text(), "ss");
    assert_eq!(fixture.changes(), names(&["kept"]));
    assert!(fixture.beside("host/empty").is_dir() && fixture.beside("cache").is_dir());
    assert_eq!(fs::read_dir(fixture.beside("host/empty")).unwrap().count(), 0);
}

fn a_secret_has_its_owner_and_mode() {
    let fixture = Fixture::new();
    let mut spec =
        fixture.shell("stat -c '%u:%g %a' /run/secrets/s; cat /run/secrets/s; echo x > /run/secrets/s");
    (spec.uid, spec.gid) = (1000, 1000);
    let kind = MountKind::File { data: b"value\n".to_vec(), mode: 0o400, uid: 1000, gid: 2000 };
    spec.mounts = vec![Mount { target: "/run/secrets/s".into(), kind }];
    let output = run(&spec);
    assert_eq!(output.stdout, "1000:2000 400\nvalue\n");
    assert!(output.exit != Exit::Code(0));
    assert_eq!(fs::metadata(fixture.beside("upper")).unwrap().uid(), 0);
    assert_eq!(fixture.changes(), names(&[]));
}
