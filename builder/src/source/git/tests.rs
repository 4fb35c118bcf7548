//! Commits of repositories that the tests make with git itself.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod access;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command as Process;

use kiln_cache::{NodeKind, Store, View};
use kiln_graph::op::{Git, GitAccess};

use super::*;
use crate::SharedCaches;
use crate::text;

struct Bench {
    dir: tempfile::TempDir,
    store: Store,
    progress: Progress,
}

/// Executes git in the tests' own name and returns what it wrote.
fn git(dir: &Path, args: &[&str]) -> String {
    let identity = ["-c", "user.name=t", "-c", "user.email=t@t", "-c", "protocol.file.allow=always"];
    let output = Process::new("git")
        .args(identity)
        .args(args)
        .current_dir(dir)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_COMMITTER_DATE", "2001-02-03T04:05:06Z")
        .output()
        .expect("git is installed");
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

impl Bench {
    /// A repository with `file`, `run` (executable), `dir/inner`, `dir/out` -> /etc and `up` -> `..`, tagged v1 (annotated), and
    /// a branch `next` where `file` says otherwise.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store")).unwrap();
        let progress = Progress::new(tokio::sync::mpsc::unbounded_channel().0);
        let bench = Self { dir, store, progress };
        let repository = bench.repository();
        fs::create_dir_all(repository.join("dir")).unwrap();
        git(&repository, &["init", "-q", "-b", "main"]);
        fs::write(repository.join("file"), "one").unwrap();
        fs::write(repository.join("run"), "x").unwrap();
        fs::set_permissions(repository.join("run"), fs::Permissions::from_mode(0o775)).unwrap();
        fs::write(repository.join("dir/inner"), "in").unwrap();
        symlink("/etc", repository.join("dir/out")).unwrap();
        symlink("..", repository.join("up")).unwrap();
        git(&repository, &["add", "-A"]);
        git(&repository, &["commit", "-q", "-m", "one"]);
        git(&repository, &["tag", "-a", "-m", "first", "v1"]);
        git(&repository, &["checkout", "-q", "-b", "next"]);
        fs::write(repository.join("file"), "two").unwrap();
        git(&repository, &["commit", "-q", "-a", "-m", "two"]);
        git(&repository, &["checkout", "-q", "main"]);
        bench
    }

    fn repository(&self) -> PathBuf {
        self.dir.path().join("origin")
    }

    fn commit(&self, name: &str) -> String {
        git(&self.repository(), &["rev-parse", &format!("{name}^{{commit}}")])
    }

    fn source(&self, reference: Option<&str>) -> Git {
        Git {
            remote: format!("file://{}", self.repository().display()),
            reference: reference.map(str::to_owned),
            subdir: None,
            keep_git_dir: false,
            submodules: true,
            checksum: None,
            by_commit: false,
            fetch_times: false,
            access: GitAccess::default(),
        }
    }

    async fn load(&self, source: &Git) -> Result<(Snapshot, bool), SourceError> {
        let kept = Kept { store: &self.store, shared: &SharedCaches::default() };
        load(kept, source, &Access::default(), "git", &self.progress).await
    }

    async fn files(&self, source: &Git) -> BTreeMap<String, String> {
        self.shown(&self.load(source).await.unwrap().0)
    }

    fn shown(&self, snapshot: &Snapshot) -> BTreeMap<String, String> {
        let trees = self.store.layers().ensure_trees(&snapshot.diff_ids()).unwrap();
        let view = View::new(&trees).unwrap();
        let mut found = BTreeMap::new();
        show(&view, Path::new("/"), &mut found);
        found
    }
}

fn show(view: &View, dir: &Path, found: &mut BTreeMap<String, String>) {
    for (name, node) in view.read_dir(dir).unwrap() {
        let path = dir.join(&name);
        let detail = match node.kind {
            NodeKind::File => {
                let content = view.read(&path, 1 << 20).unwrap();
                format!("{:o} {} {}", node.mode, node.mtime, String::from_utf8_lossy(&content))
            }
            NodeKind::Directory => format!("{:o} {}", node.mode, node.mtime),
            _ => format!("-> {}", node.link_target.as_ref().unwrap().display()),
        };
        found.insert(path.to_str().unwrap()[1..].to_owned(), detail);
        if node.kind == NodeKind::Directory && name != ".git" {
            show(view, &path, found);
        }
    }
}

/// 2001-02-03T04:05:06Z.
const TIME: &str = "981173106";

#[tokio::test]
async fn a_checkout_is_a_function_of_its_commit() {
    let bench = Bench::new();
    let found = bench.files(&bench.source(None)).await;
    let expected: BTreeMap<String, String> = [
        ("dir", format!("755 {TIME}")),
        ("dir/inner", format!("644 {TIME} in")),
        ("dir/out", "-> /etc".to_owned()),
        ("file", format!("644 {TIME} one")),
        ("run", format!("755 {TIME} x")),
        ("up", "-> ..".to_owned()),
    ]
    .into_iter()
    .map(|(path, detail)| (path.to_owned(), detail))
    .collect();
    assert_eq!(found, expected);
    let other = Store::open(&bench.dir.path().join("other")).unwrap();
    let kept = Kept { store: &other, shared: &SharedCaches::default() };
    let (elsewhere, _) =
        load(kept, &bench.source(None), &Access::default(), "git", &bench.progress).await.unwrap();
    assert_eq!(elsewhere.identity(), bench.load(&bench.source(None)).await.unwrap().0.identity());
}

#[tokio::test]
async fn every_way_to_name_a_commit() {
    let bench = Bench::new();
    let (one, two) = (bench.commit("main"), bench.commit("next"));
    for (name, content) in [
        ("main", "one"),
        ("refs/heads/next", "two"),
        ("next", "two"),
        ("v1", "one"),
        ("refs/tags/v1", "one"),
        ("heads/next", "two"),
        (two.as_str(), "two"),
        (one.as_str(), "one"),
        (&two[..9], "two"),
    ] {
        let found = bench.files(&bench.source(Some(name))).await;
        assert!(found["file"].ends_with(content), "{name}: {}", found["file"]);
    }
    let error = bench.load(&bench.source(Some("main2"))).await.unwrap_err();
    assert!(matches!(error, SourceError::Git(GitError::NoReference { .. })), "{error}");
    let error = bench.load(&bench.source(Some("0123456789"))).await.unwrap_err();
    assert!(matches!(error, SourceError::Git(GitError::NoReference { .. })), "{error}");
    for bad in ["--upload-pack=x", "a b", "a:b", "v1~1"] {
        let error = bench.load(&bench.source(Some(bad))).await.unwrap_err();
        assert!(matches!(error, SourceError::Git(GitError::Unusable { .. })), "{error}");
    }
}

#[tokio::test]
async fn a_commit_that_is_here_is_not_fetched() {
    let bench = Bench::new();
    let commit = bench.commit("next");
    let (first, is_new) = bench.load(&bench.source(Some("next"))).await.unwrap();
    assert!(is_new);
    assert!(!bench.load(&bench.source(Some("next"))).await.unwrap().1);
    fs::rename(bench.repository(), bench.dir.path().join("gone")).unwrap();
    let (same, is_new) = bench.load(&bench.source(Some(&commit))).await.unwrap();
    assert_eq!((same.identity(), is_new), (first.identity(), false));
    let error = bench.load(&bench.source(Some("next"))).await.unwrap_err();
    assert!(matches!(error, SourceError::Git(GitError::Failed { .. })), "{error}");
}

#[tokio::test]
async fn a_checksum_is_a_commit_a_tag_or_their_beginning() {
    let bench = Bench::new();
    let commit = bench.commit("v1");
    let tag = git(&bench.repository(), &["rev-parse", "v1"]);
    for checksum in [&commit, &commit[..7], &commit.to_uppercase(), &tag] {
        let source = Git { checksum: Some(checksum.to_owned()), ..bench.source(Some("v1")) };
        bench.load(&source).await.unwrap();
    }
    let source = Git { checksum: Some(bench.commit("next")), ..bench.source(Some("v1")) };
    let error = bench.load(&source).await.unwrap_err();
    assert!(
        matches!(&error, SourceError::Git(GitError::Checksum { actual, .. }) if *actual == commit),
        "{error}"
    );
}

#[tokio::test]
async fn a_subdirectory_is_looked_for_beneath_the_checkout() {
    let bench = Bench::new();
    let with = |subdir: &str| Git { subdir: Some(subdir.to_owned()), ..bench.source(None) };
    let found = bench.files(&with("dir")).await;
    assert_eq!(found.keys().map(String::as_str).collect::<Vec<_>>(), ["inner", "out"]);
    for subdir in ["none", "file", "dir/out", "up", "../origin", "/etc"] {
        let error = bench.load(&with(subdir)).await.unwrap_err();
        assert!(matches!(error, SourceError::Git(GitError::NoDirectory { .. })), "{subdir}: {error}");
    }
}

#[tokio::test]
async fn a_git_directory_stays_where_it_is_asked_for() {
    let bench = Bench::new();
    let keep = Git { keep_git_dir: true, ..bench.source(Some("next")) };
    let (snapshot, _) = bench.load(&keep).await.unwrap();
    let tree = bench.store.layers().ensure_trees(&snapshot.diff_ids()).unwrap().remove(0);
    assert_eq!(git(&tree, &["-c", "safe.directory=*", "rev-parse", "HEAD"]), bench.commit("next"));
    assert_eq!(git(&tree, &["-c", "safe.directory=*", "status", "--porcelain"]), "");
    let remote = git(&tree, &["-c", "safe.directory=*", "config", "remote.origin.url"]);
    assert_eq!(remote, keep.remote);
    assert!(!tree.join(".git/FETCH_HEAD").exists() && !tree.join(".git/logs").exists());
    let of_subdir = Git { subdir: Some("dir".to_owned()), ..keep };
    assert!(!bench.files(&of_subdir).await.contains_key(".git"));
}

#[tokio::test]
async fn submodules_come_along_unless_they_are_not_wanted() {
    let bench = Bench::new();
    let (repository, library) = (bench.repository(), bench.dir.path().join("library"));
    fs::create_dir(&library).unwrap();
    git(&library, &["init", "-q", "-b", "main"]);
    fs::write(library.join("lib"), "l").unwrap();
    git(&library, &["add", "-A"]);
    git(&library, &["commit", "-q", "-m", "l"]);
    git(&repository, &["submodule", "--quiet", "add", &format!("file://{}", library.display()), "sub"]);
    git(&repository, &["commit", "-q", "-m", "sub"]);
    let found = bench.files(&bench.source(None)).await;
    assert!(found.contains_key("sub/lib") && !found.contains_key("sub/.git"), "{found:?}");
    let without = Git { submodules: false, ..bench.source(None) };
    assert!(!bench.files(&without).await.contains_key("sub/lib"));
}

#[test]
fn remotes_that_are_something_else_are_refused() {
    for remote in ["", "-x", "--upload-pack=touch x", "ext::sh -c x", "fd::1", "https://h/\nx"] {
        assert!(
            matches!(Command::new(remote, &Access::default()), Err(GitError::Unusable { .. })),
            "{remote}"
        );
    }
    for remote in ["https://h/x.git", "git@h:x::y", "ssh://h/a::b", "file:///x"] {
        Command::new(remote, &Access::default()).unwrap();
    }
}

#[tokio::test]
async fn a_remote_cannot_name_files_and_secrets_are_not_told() {
    let bench = Bench::new();
    for remote in [bench.repository().display().to_string(), "https://me:s3cret@127.0.0.1:1/x.git".to_owned()]
    {
        let error = bench.load(&Git { remote, ..bench.source(None) }).await.unwrap_err();
        let said = text::chain(&error);
        assert!(matches!(error, SourceError::Git(GitError::Failed { .. })), "{said}");
        assert!(!said.contains("s3cret"), "{said}");
    }
}

#[tokio::test]
async fn a_silent_repository_is_given_up() {
    // What it is sent has no line, so this server waits for the end of one.
    let server = kiln_registry::testing::WebServer::start();
    let remote = server.url("/x.git").replace("http://", "git://");
    let access = Access::default();
    let git = Command::new(&remote, &access).unwrap().patient_for(Duration::from_millis(300));
    let source = Git { remote: remote.clone(), ..Bench::new().source(None) };
    let error = resolve(&git, &source).await.unwrap_err();
    assert!(matches!(error, GitError::Stalled { what: "read", .. }), "{error:?}");
    assert!(error.to_string().contains(&remote) && error.hint().is_some(), "{error}");
}

#[tokio::test]
async fn a_commit_that_is_vouched_for_is_fetched_whatever_the_branch_is_by_now() {
    let bench = Bench::new();
    let commit = bench.commit("v1");
    let pinned = Git { checksum: Some(commit), by_commit: true, ..bench.source(Some("next")) };
    let files = bench.files(&pinned).await;
    assert_eq!(files, bench.files(&bench.source(Some("v1"))).await);
    assert_ne!(files, bench.files(&bench.source(Some("next"))).await);
    let asked = Git { by_commit: false, ..pinned };
    assert!(bench.load(&asked).await.is_err(), "the branch is another commit");
}

#[tokio::test]
async fn files_may_have_the_time_of_their_fetch() {
    let bench = Bench::new();
    let (commit_time, _) = bench.load(&bench.source(Some("v1"))).await.unwrap();
    let fetched = Git { fetch_times: true, ..bench.source(Some("v1")) };
    let (fetch_time, is_new) = bench.load(&fetched).await.unwrap();
    assert!(is_new && commit_time.diff_ids() != fetch_time.diff_ids());
    let (again, is_new) = bench.load(&fetched).await.unwrap();
    assert_eq!((again.diff_ids(), is_new), (fetch_time.diff_ids(), false));
}

#[tokio::test]
async fn what_a_reference_stands_for_is_known_without_its_files() {
    let bench = Bench::new();
    git(&bench.repository(), &["tag", "-a", "-m", "told", "noted", "main"]);
    let looked = async |reference: Option<&str>| look(&bench.source(reference), &Access::default()).await;
    let (main, next) = (bench.commit("main"), bench.commit("next"));
    let tag = git(&bench.repository(), &["rev-parse", "noted"]);
    for (asked, reference, commit, tag) in [
        (None, "refs/heads/main", &main, None),
        (Some("next"), "refs/heads/next", &next, None),
        (Some("refs/heads/next"), "refs/heads/next", &next, None),
        (Some("noted"), "refs/tags/noted", &main, Some(tag)),
        (Some(next.as_str()), next.as_str(), &next, None),
    ] {
        let expected = Commit { reference: reference.to_owned(), commit: commit.clone(), tag };
        assert_eq!(looked(asked).await.unwrap(), expected, "{asked:?}");
    }
    assert!(looked(Some("nowhere")).await.is_err());
    let pinned = Git { checksum: Some(main.clone()), ..bench.source(Some("next")) };
    assert!(matches!(look(&pinned, &Access::default()).await, Err(GitError::Checksum { .. })));
}
