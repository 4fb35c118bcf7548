//! Tests of what the sandbox is asked to show.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt;

use kiln_cache::{Content, Entry, EntryKind, Forms};
use kiln_graph::op::{Access, CacheMount, Network, Sharing};
use kiln_sandbox::MountTree;

use super::*;

const ACCESS: Access = Access { mode: 0o400, uid: 1, gid: 2 };

fn store() -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&directory.path().join("store")).unwrap();
    (directory, store)
}

/// An input with the directory `dir` and the file `dir/file`.
fn input(store: &Store) -> Layers {
    let mut writer = store.layers().writer(Forms { tree: true, tar: false }).unwrap();
    let directory = Entry::new("dir", EntryKind::Directory { opaque: false }, 0o755);
    writer.add(&directory, Content::None).unwrap();
    let file = Entry::new("dir/file", EntryKind::File { size: 1 }, 0o644);
    writer.add(&file, Content::Bytes(b"x")).unwrap();
    let diff_id = writer.finish().unwrap().diff_id;
    Layers { trees: vec![store.layers().ensure_tree(&diff_id).unwrap()], diff_ids: vec![diff_id] }
}

fn exec(mounts: Vec<ExecMount>) -> Exec {
    Exec {
        args: vec!["true".into()],
        env: Vec::new(),
        proxies: Vec::new(),
        cwd: "/".into(),
        user: String::new(),
        mounts,
        network: Network::None,
        security: kiln_graph::op::Security::Sandbox,
        devices: Vec::new(),
        platform: "linux/amd64".into(),
        hostname: None,
        rules: kiln_graph::op::ExecRules::default(),
    }
}

fn prepared(
    store: &Store,
    mounts: Vec<ExecMount>,
    credentials: &Credentials,
) -> Result<Prepared, MountError> {
    let inputs = BTreeMap::from([(1, input(store))]);
    prepare(&exec(mounts), &Sources { store, inputs: &inputs, credentials, note: &|_| () })
}

fn bind(source: &str, read_only: bool) -> ExecMount {
    ExecMount::Bind { input: 1, source: source.into(), target: "/target".into(), read_only }
}

fn cache(id: &str, target: &str, sharing: Sharing) -> CacheMount {
    CacheMount {
        namespace: String::new(),
        id: id.into(),
        target: target.into(),
        sharing,
        input: None,
        source: ".".into(),
        access: None,
        read_only: false,
    }
}

fn directory_of(mount: &Mount) -> &Path {
    match &mount.kind {
        MountKind::Part { tree: MountTree::Directory(path), .. } => path,
        other => unreachable!("not a directory of the host: {other:?}"),
    }
}

#[test]
fn a_bind_knows_what_it_shows() {
    let (_dir, store) = store();
    for (source, expected) in [("dir", true), ("dir/file", false), (".", true)] {
        let prepared = prepared(&store, vec![bind(source, true)], &Credentials::default()).unwrap();
        let MountKind::Part { directory, tree: MountTree::Layers { changes, .. }, .. } =
            &prepared.mounts[0].kind
        else {
            unreachable!("a bind is a part of layers")
        };
        assert_eq!((*directory, changes.is_none()), (expected, true), "{source}");
    }
    let missing = prepared(&store, vec![bind("dir/other", true)], &Credentials::default()).unwrap_err();
    assert_eq!(missing.to_string(), "cannot mount /dir/other on /target: there is no such file");
}

#[test]
fn what_is_written_to_a_bind_goes_with_the_step() {
    let (_dir, store) = store();
    let prepared = prepared(&store, vec![bind("dir", false)], &Credentials::default()).unwrap();
    let MountKind::Part { tree: MountTree::Layers { changes: Some(changes), .. }, .. } =
        &prepared.mounts[0].kind
    else {
        unreachable!("a bind that can be written to has a place for it")
    };
    let upper = changes.upper.clone();
    fs::write(upper.join("written"), "x").unwrap();
    drop(prepared);
    assert!(!upper.exists());
}

#[test]
fn outer_mounts_come_first() {
    let (_dir, store) = store();
    let tmpfs = |target: &str| ExecMount::Tmpfs { target: target.into(), size: None };
    let mounts = vec![tmpfs("/a/b/c"), tmpfs("/a-b"), tmpfs("/a"), tmpfs("/a/b")];
    let prepared = prepared(&store, mounts, &Credentials::default()).unwrap();
    let targets: Vec<&str> = prepared.mounts.iter().map(|mount| mount.target.as_str()).collect();
    assert_eq!(targets, ["/a", "/a/b", "/a/b/c", "/a-b"]);
}

#[test]
fn a_tmpfs_has_the_mode_of_what_it_covers() {
    let (_dir, store) = store();
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("private")).unwrap();
    fs::set_permissions(root.path().join("private"), fs::Permissions::from_mode(0o700)).unwrap();
    std::os::unix::fs::symlink("private", root.path().join("link")).unwrap();
    fs::write(root.path().join("file"), "").unwrap();
    let tmpfs = |target: &str| ExecMount::Tmpfs { target: target.into(), size: None };
    // Every sandbox has a file system of its own over this one.
    fs::create_dir_all(root.path().join("dev/shm")).unwrap();
    fs::set_permissions(root.path().join("dev/shm"), fs::Permissions::from_mode(0o700)).unwrap();
    let mounts = ["/dev/shm", "/file", "/link", "/new", "/private"].map(tmpfs).to_vec();
    let mut prepared = prepared(&store, mounts, &Credentials::default()).unwrap();
    prepared.cover(&View::new(&[root.path().to_owned()]).unwrap()).unwrap();
    let modes = prepared.mounts.iter().map(|mount| match mount.kind {
        MountKind::Tmpfs { mode, .. } => mode,
        _ => unreachable!("only such were asked for"),
    });
    assert_eq!(modes.collect::<Vec<_>>(), [0o1777, 0o1777, 0o700, 0o1777, 0o700]);
}

#[test]
fn a_cache_that_is_mounted_twice_is_taken_once() {
    let (_dir, store) = store();
    let mounts = vec![
        ExecMount::Cache(cache("x", "/1", Sharing::Shared)),
        ExecMount::Cache(cache("x", "/2", Sharing::Locked)),
        ExecMount::Cache(cache("y", "/3", Sharing::Shared)),
    ];
    let found = prepared(&store, mounts, &Credentials::default()).unwrap();
    assert_eq!(directory_of(&found.mounts[0]), directory_of(&found.mounts[1]));
    assert_ne!(directory_of(&found.mounts[0]), directory_of(&found.mounts[2]));
    let private = vec![ExecMount::Cache(cache("x", "/1", Sharing::Private))];
    let other = prepared(&store, private, &Credentials::default()).unwrap();
    assert_ne!(directory_of(&found.mounts[0]), directory_of(&other.mounts[0]), "it is locked");
}

#[test]
fn a_cache_s_name_is_what_it_begins_as_and_never_a_path() {
    let (_dir, store) = store();
    let base = cache("../../../escape", "/1", Sharing::Shared);
    let variants = [
        base.clone(),
        CacheMount { namespace: "../..".into(), id: "/../../escape".into(), ..base.clone() },
        CacheMount { namespace: "n".into(), ..base.clone() },
        CacheMount { access: Some(ACCESS), ..base.clone() },
        CacheMount { input: Some(1), source: "dir".into(), ..base.clone() },
    ];
    let mut seen = std::collections::BTreeSet::new();
    for variant in variants {
        let found = prepared(&store, vec![ExecMount::Cache(variant)], &Credentials::default()).unwrap();
        let path = directory_of(&found.mounts[0]).to_owned();
        assert!(path.canonicalize().unwrap().starts_with(store.root().join("mounts")), "{}", path.display());
        assert!(seen.insert(path));
    }
    let part = CacheMount { source: "sub/../..".into(), target: "/elsewhere".into(), ..base };
    let found = prepared(&store, vec![ExecMount::Cache(part)], &Credentials::default()).unwrap();
    assert!(seen.contains(directory_of(&found.mounts[0])), "target and part are no part of the name");
}

#[test]
fn secrets_are_files_variables_both_or_missing() {
    let (_dir, store) = store();
    let secret = |id: &str, target: Option<&str>, env: Option<&str>, required| ExecMount::Secret {
        id: id.into(),
        target: target.map(str::to_owned),
        env: env.map(str::to_owned),
        access: ACCESS,
        required,
    };
    let given = Credentials {
        secrets: BTreeMap::from([
            ("text".to_owned(), Secret::new(b"value".to_vec())),
            ("bytes".to_owned(), Secret::new(vec![0xff])),
        ]),
        ..Credentials::default()
    };
    let mounts = vec![
        secret("text", Some("/s"), Some("BOTH"), true),
        secret("absent", Some("/a"), Some("ABSENT"), false),
        secret("bytes", Some("/b"), None, true),
    ];
    let found = prepared(&store, mounts, &given).unwrap();
    assert_eq!(found.env, [("BOTH".to_owned(), "value".to_owned())]);
    let file = |data: &[u8]| MountKind::File { data: data.to_vec(), mode: 0o400, uid: 1, gid: 2 };
    let kinds: Vec<_> =
        found.mounts.iter().map(|mount| (mount.target.as_str(), mount.kind.clone())).collect();
    assert_eq!(kinds, [("/b", file(&[0xff])), ("/s", file(b"value"))]);

    let missing = prepared(&store, vec![secret("absent", Some("/a"), None, true)], &given);
    assert!(matches!(missing, Err(MountError::NoSecret { id, given }) if id == "absent" && given.len() == 2));
    let binary = prepared(&store, vec![secret("bytes", None, Some("NAME"), true)], &given);
    assert!(matches!(binary, Err(MountError::NotText { .. })));
    assert!(!format!("{given:?}").contains("value"), "a secret is not shown by accident");
}

#[test]
fn an_agent_is_a_socket() {
    let (dir, store) = store();
    let agent = |id: &str, required| ExecMount::Ssh {
        id: id.into(),
        target: format!("/run/{id}"),
        access: ACCESS,
        required,
    };
    fs::write(dir.path().join("file"), "").unwrap();
    let agents = BTreeMap::from([("file".to_owned(), dir.path().join("file"))]);
    let given = Credentials { agents, ..Credentials::default() };
    let refused = prepared(&store, vec![agent("file", false)], &given).unwrap_err();
    assert!(refused.to_string().contains("as the socket of the SSH agent `file`"), "{refused}");
    let missing = prepared(&store, vec![agent("absent", true)], &given);
    assert!(matches!(missing, Err(MountError::NoAgent { id }) if id == "absent"));
    let none = prepared(&store, vec![agent("absent", false)], &given).unwrap();
    assert!(none.mounts.is_empty() && none.agent.is_none());
}
