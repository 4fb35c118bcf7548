//! COPY and ADD where no peer of the machine knows the flag: linked layers, parents, symbolic modes, sources from elsewhere.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::support::daemon::Daemon;
use crate::support::environment::TestEnvironment;
use crate::support::progress::Steps;
use crate::support::tool::{Outcome, tool};
use crate::web::{Page, WebServer};

/// SHA-256 of `hello`.
const HELLO: &str = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

fn executed(outcome: &Outcome) -> Vec<String> {
    assert!(outcome.status.success(), "{outcome}");
    let steps = Steps::read(&format!("{}{}", outcome.stdout, outcome.stderr));
    steps.executed().iter().map(|name| (*name).to_owned()).collect()
}

fn write(dir: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

/// What the image has at each path: as [`crate::support::image::Image::tree`] says it.
fn paths<'a>(tree: &'a std::collections::BTreeMap<String, String>, beginning: &str) -> Vec<&'a str> {
    tree.keys().filter(|path| path.starts_with(beginning)).map(String::as_str).collect()
}

#[test]
fn a_linked_layer_does_not_depend_on_what_is_below() {
    let env = TestEnvironment::new();
    let context = env.dockerfile(
        "linked",
        "ARG REGISTRY\nFROM ${REGISTRY}/busybox\nARG BELOW\nRUN echo $BELOW > /below && mkdir /real && \
         ln -s /real /link && echo app:x:7:8::/: >> /etc/passwd\nCOPY --link --chown=app a /link/\n\
         ADD --link b /deep/er/b\nRUN cat /link/a /deep/er/b /below\n",
    );
    write(&context, &[("a", "a\n"), ("b", "b\n")]);
    let first = env.build(&context, "linked", &["--build-arg", "BELOW=1"]);
    assert_eq!(executed(&first).len(), 4, "{first}");
    let second = env.build(&context, "linked", &["--build-arg", "BELOW=2"]);
    let again = executed(&second);
    assert!(again.len() == 2 && again.iter().all(|name| name.contains("RUN")), "{again:?}");
    let tree = env.image("linked").tree;
    assert!(tree["link"].starts_with("dir"), "the base's link is not followed: {}", tree["link"]);
    assert!(tree["link/a"].contains("7:8"), "{}", tree["link/a"]);
    assert_eq!(paths(&tree, "real"), ["real"]);
    fs::write(context.join("b"), "new\n").unwrap();
    let third = executed(&env.build(&context, "linked", &["--build-arg", "BELOW=2"]));
    assert!(third.len() == 2 && third[0].contains("ADD --link b"), "{third:?}");
}

#[test]
fn parents_modes_and_exclusions() {
    let env = TestEnvironment::new();
    let context = env.dockerfile(
        "parents",
        "FROM scratch AS files\nCOPY --chmod=u=rwX,go=rX,a-s --exclude=**/*.md --exclude=skip src /src/\nFROM scratch\n\
         COPY --parents src/./lib/*/*.h ./src/run /include/\n\
         COPY --from=files --parents /src/./lib /out\nCOPY --from=files /src/run /none* /\n",
    );
    write(
        &context,
        &[("src/lib/a/x.h", "x"), ("src/lib/a/x.c", "c"), ("src/lib/b/y.h", "y"), ("src/lib/read.md", "m")],
    );
    write(&context, &[("src/run", "r"), ("src/skip/me", "s"), ("src/lib/skip/this", "t")]);
    let mode =
        |path: &str, mode| fs::set_permissions(context.join(path), fs::Permissions::from_mode(mode)).unwrap();
    mode("src/run", 0o4710);
    mode("src/lib/a/x.c", 0o600);
    mode("src/lib", 0o700);
    let outcome = env.build(&context, "parents", &[]);
    assert!(outcome.status.success(), "{outcome}");
    assert!(format!("{outcome}").contains("nothing matches none*"), "{outcome}");
    let tree = env.image("parents").tree;
    assert_eq!(
        paths(&tree, "include/"),
        [
            "include/lib",
            "include/lib/a",
            "include/lib/a/x.h",
            "include/lib/b",
            "include/lib/b/y.h",
            "include/src",
            "include/src/run"
        ]
    );
    assert!(tree["include/lib"].contains("700"), "{}", tree["include/lib"]);
    assert_eq!(
        paths(&tree, "out/"),
        [
            "out/lib",
            "out/lib/a",
            "out/lib/a/x.c",
            "out/lib/a/x.h",
            "out/lib/b",
            "out/lib/b/y.h",
            "out/lib/skip",
            "out/lib/skip/this"
        ]
    );
    assert!(tree["out/lib/a/x.c"].contains("644") && tree["out/lib"].contains("755"), "{tree:#?}");
    assert!(tree["run"].contains("755") && !tree["run"].contains("4755"), "{}", tree["run"]);
}

#[test]
fn a_missing_source_says_where_it_was_looked_for() {
    let env = TestEnvironment::new();
    let says = |text: &str, files: &[(&str, &str)], expected: &[&str]| {
        let context = env.dockerfile("missing", text);
        write(&context, files);
        let said = env.build(&context, "missing", &[]).fails();
        for part in expected {
            assert!(said.contains(part), "`{part}` is not in:\n{said}");
        }
    };
    says(
        "FROM scratch\nCOPY helo.txt /\n",
        &[("hello.txt", "")],
        &["Dockerfile:2", "helo.txt is not in the build context", "did you mean `hello.txt`"],
    );
    says(
        "FROM scratch\nCOPY key.pem /\n",
        &[("key.pem", ""), (".dockerignore", "# keys\n\n*.pem\n")],
        &["key.pem is not in the build context", "line 3 of .dockerignore", "`*.pem`"],
    );
    says(
        "ARG REGISTRY\nFROM ${REGISTRY}/busybox AS build\nRUN touch /program\nFROM scratch\nCOPY --from=build /progam /\n",
        &[],
        &["progam is not in stage build", "did you mean `program`"],
    );
    let image = env.reference("busybox");
    says(
        &format!("FROM scratch\nCOPY --from={image} /bin/nothing /\n"),
        &[],
        &["bin/nothing is not in image", &image],
    );
}

#[test]
fn add_takes_files_from_the_web() {
    let env = TestEnvironment::new();
    let server = WebServer::start();
    server.serve("/a%20b.txt", [Page::new("hello").header("ETag", "\"1\"")]);
    server.serve("/moved", [Page::redirect("/checked")]);
    server.serve("/checked", [Page::new("hello")]);
    let (plain, checked) = (server.url("/a%20b.txt"), server.url("/moved"));
    let secret = plain.replace("http://", "http://me:s3cret@");
    let context = env.dockerfile(
        "web",
        &format!(
            "FROM scratch\nADD {secret} /files/\nADD --checksum={HELLO} --chmod=644 --chown=5:6 {checked} /checked\n"
        ),
    );
    let first = env.build(&context, "web", &[]);
    assert!(first.status.success(), "{first}");
    assert!(!format!("{first}").contains("s3cret"), "{first}");
    let image = env.image("web");
    assert!(image.tree["files/a b.txt"].contains("600"), "{:?}", image.tree);
    assert!(
        image.tree["checked"].contains("644") && image.tree["checked"].contains("5:6"),
        "{:?}",
        image.tree
    );
    assert!(!image.config.to_string().contains("s3cret"), "{}", image.config);
    let id = env.id("web");
    let requests = server.seen().len();
    assert_eq!(executed(&env.build(&context, "web", &[])), [""; 0]);
    assert_eq!((env.id("web"), server.seen().len()), (id, requests + 1), "a known checksum asks nobody");
    server.serve("/a%20b.txt", [Page::new("other")]);
    let changed = executed(&env.build(&context, "web", &[]));
    assert!(changed.iter().any(|name| name.contains("/files/")), "{changed:?}");
}

#[test]
fn what_the_web_does_not_give_is_an_error_at_its_line() {
    let env = TestEnvironment::new();
    let server = WebServer::start();
    server.serve("/changed", [Page::new("other")]);
    for (line, expected) in [
        (format!("ADD {} /", server.url("/none")), "404"),
        (format!("ADD --checksum={HELLO} {} /", server.url("/changed")), "its checksum is sha256:"),
        ("ADD http://127.0.0.1:1/x /".to_owned(), "cannot connect to 127.0.0.1:1"),
    ] {
        let context = env.dockerfile("broken", &format!("FROM scratch\n\n{line}\n"));
        let said = env.build(&context, "broken", &[]).fails();
        assert!(said.contains(expected) && said.contains("Dockerfile:3"), "{expected}:\n{said}");
        assert_eq!(env.id("broken"), None);
    }
}

/// A repository behind `git daemon`, and the URL's beginning.
pub(super) fn git_server(dir: &Path) -> (Daemon, String) {
    let repository = dir.join("x.git");
    fs::create_dir_all(repository.join("sub/dir")).unwrap();
    write(&repository, &[("file", "one"), ("sub/dir/inner", "in")]);
    std::os::unix::fs::symlink("/etc", repository.join("sub/out")).unwrap();
    git(&repository, &["init", "-q", "-b", "main"]);
    git(&repository, &["add", "-A"]);
    git(&repository, &["commit", "-q", "-m", "one"]);
    git(&repository, &["tag", "v1"]);
    // The port that the system gives is free a moment later too.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut command = tool("git");
    command.args(["daemon", "--verbose", "--export-all", "--listen=127.0.0.1"]);
    command.arg(format!("--port={port}")).arg(format!("--base-path={}", dir.display())).arg(dir);
    command.env("HOME", dir);
    let (daemon, ()) = Daemon::start(&command, |line| line.contains("Ready to rumble").then_some(()));
    (daemon, format!("git://127.0.0.1:{port}"))
}

#[test]
fn contexts_need_not_be_directories() {
    let env = TestEnvironment::new();
    let dir = env.dockerfile("packed", "FROM scratch\nCOPY . /all/\n");
    write(
        &dir,
        &[
            ("file", "f"),
            ("hidden", "h"),
            (".dockerignore", "hidden\n"),
            ("other/File", "FROM scratch\nCOPY file /\n"),
        ],
    );
    std::os::unix::fs::symlink("/etc/passwd", dir.join("outside")).unwrap();
    let archive = env.path("context.tar.gz");
    let mut tar = tool("tar");
    crate::support::tool::run(tar.arg("-czf").arg(&archive).arg("-C").arg(&dir).arg(".")).ok();
    let from_stdin = |args: &[&str]| {
        let mut command = env.build_command(Path::new("-"), "context", args);
        command.stdin(fs::File::open(&archive).unwrap());
        crate::support::tool::run(&mut command)
    };
    from_stdin(&[]).ok();
    let found = env.image("context").tree;
    assert!(found.contains_key("all/file") && !found.contains_key("all/hidden"), "{found:?}");
    from_stdin(&["-f", "other/File"]).ok();
    assert_eq!(env.image("context").tree.keys().collect::<Vec<_>>(), ["file"]);
    let said = from_stdin(&["-f", "outside"]).fails();
    assert!(said.contains("outside") && !said.contains("root:"), "{said}");
    let said = from_stdin(&["-f", "none"]).fails();
    assert!(said.contains("there is no none in the build context"), "{said}");

    let alone = env.path("Dockerfile.alone");
    for (line, place) in
        [("COPY file /", ":2:6"), ("ADD dir/ /", ":2:5"), ("RUN --mount=target=/x,source=y true", ":2:1")]
    {
        fs::write(&alone, format!("FROM {}/busybox\n{line}\n", env.registry.host())).unwrap();
        let mut command = env.build_command(Path::new("-"), "alone", &[]);
        let said = crate::support::tool::run(command.stdin(fs::File::open(&alone).unwrap())).fails();
        assert!(said.contains(&format!("<stdin>{place}")), "{line}: {said}");
        assert!(
            line.starts_with("RUN") || said.contains("the build context is empty: name a directory"),
            "{said}"
        );
    }

    let server = WebServer::start();
    server.serve("/context", [Page::new(fs::read(&archive).unwrap())]);
    server.serve("/Dockerfile", [Page::new("FROM scratch\nLABEL from=web\n")]);
    env.build(Path::new(&server.url("/context")), "web-context", &[]).ok();
    assert!(env.image("web-context").tree.contains_key("all/file"));
    env.build(Path::new(&server.url("/Dockerfile")), "web-file", &[]).ok();
    let said = env.build(Path::new(&server.url("/none")), "web-none", &[]).fails();
    assert!(said.contains("404"), "{said}");

    let served = env.path("served");
    let (_daemon, url) = git_server(&served);
    write(&served.join("x.git"), &[("sub/dir/Dockerfile", "FROM scratch\nCOPY inner /\n")]);
    git(&served.join("x.git"), &["add", "-A"]);
    git(&served.join("x.git"), &["commit", "-q", "-m", "file"]);
    let context = format!("{url}/x.git#main:sub/dir");
    env.build(Path::new(&context), "git-context", &[]).ok();
    assert_eq!(env.image("git-context").tree.keys().collect::<Vec<_>>(), ["inner"]);
    assert_eq!(executed(&env.build(Path::new(&context), "git-context", &[])), [""; 0]);
}

pub(super) fn git(dir: &Path, args: &[&str]) -> String {
    let mut command = tool("git");
    command.args(["-c", "user.name=t", "-c", "user.email=t@t"]).args(args).current_dir(dir);
    crate::support::tool::run(&mut command).ok().trim().to_owned()
}

#[test]
fn add_takes_commits_of_repositories() {
    let env = TestEnvironment::new();
    let served = env.path("served");
    let (_daemon, url) = git_server(&served);
    let repository = served.join("x.git");
    let commit = git(&repository, &["rev-parse", "HEAD"]);
    let context = env.dockerfile(
        "git",
        &format!(
            "FROM scratch\nADD {url}/x.git#main /main\nADD --link --checksum={commit} {url}/x.git?tag=v1&subdir=sub/dir /dir/\n\
             ADD --keep-git-dir {url}/x.git /kept\n"
        ),
    );
    let first = env.build(&context, "git", &[]);
    assert!(first.status.success(), "{first}");
    let tree = env.image("git").tree;
    assert_eq!(
        paths(&tree, "main/"),
        ["main/file", "main/sub", "main/sub/dir", "main/sub/dir/inner", "main/sub/out"]
    );
    assert_eq!(paths(&tree, "dir/"), ["dir/inner"]);
    assert!(tree.contains_key("kept/.git/HEAD") && tree.contains_key("kept/file"), "{tree:?}");
    assert_eq!(executed(&env.build(&context, "git", &[])), [""; 0]);
    fs::write(repository.join("file"), "two").unwrap();
    git(&repository, &["commit", "-q", "-a", "-m", "two"]);
    let again = executed(&env.build(&context, "git", &[]));
    assert!(again.iter().any(|name| name.contains("ADD") && name.contains("/main")), "{again:?}");
    assert!(!again.iter().any(|name| name.contains("/dir/")), "the tag has not moved: {again:?}");
    for (source, expected) in [
        (format!("{url}/x.git#nowhere"), "has no branch, tag or commit nowhere"),
        (format!("{url}/x.git#main:sub/out"), "has no directory sub/out"),
        (format!("--checksum=0123456 {url}/x.git#main"), "is the commit"),
        (format!("{url}/y.git"), "git cannot read"),
    ] {
        let context = env.dockerfile("git-wrong", &format!("FROM scratch\nADD {source} /\n"));
        let said = env.build(&context, "git-wrong", &[]).fails();
        assert!(said.contains(expected) && said.contains("Dockerfile:2"), "{expected}:\n{said}");
    }
}
