//! `--build-context`: what each kind of value puts in the place of a name, and what a wrong one is told.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::copy::{git, git_server};
use crate::support::environment::TestEnvironment;
use crate::support::peer::{Containers, Peer};
use crate::support::progress::Steps;
use crate::support::tool::{Outcome, run, tool, tool_ok};
use crate::support::{scratch_dir, workspace};
use crate::web::{Page, WebServer};

/// A directory with these files.
fn directory(env: &TestEnvironment, name: &str, files: &[(&str, &str)]) -> PathBuf {
    let dir = env.path(name);
    for (path, text) in files {
        let path = dir.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    dir
}

/// Builds with these contexts.
fn build(env: &TestEnvironment, dockerfile: &str, contexts: &[(&str, &str)], more: &[&str]) -> Outcome {
    let context = env.dockerfile("main", dockerfile);
    let contexts: Vec<String> =
        contexts.iter().map(|(name, value)| format!("--build-context={name}={value}")).collect();
    let args: Vec<&str> = contexts.iter().map(String::as_str).chain(more.iter().copied()).collect();
    env.build(&context, "named", &args)
}

fn tree(env: &TestEnvironment) -> std::collections::BTreeMap<String, String> {
    env.image("named").tree
}

fn paths(env: &TestEnvironment) -> Vec<String> {
    tree(env).into_keys().collect()
}

fn executed(outcome: &Outcome) -> Vec<String> {
    assert!(outcome.status.success(), "{outcome}");
    let steps = Steps::read(&format!("{}{}", outcome.stdout, outcome.stderr));
    steps.executed().iter().map(|name| (*name).to_owned()).collect()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn layout(name: &str) -> String {
    format!("oci-layout://{}", workspace().join("target/base-images").join(name).display())
}

#[test]
fn a_directory_has_its_own_ignore_file_and_counts_by_its_content() {
    let env = TestEnvironment::new();
    let libs =
        directory(&env, "libs", &[("a", "a"), ("x.o", "x"), ("sub/b", "b"), (".dockerignore", "*.o\n")]);
    let dockerfile = "ARG REGISTRY\nFROM ${REGISTRY}/busybox\nCOPY --from=libs . /libs\n\
                      RUN --mount=from=libs,source=sub,target=/m cat /m/b > /seen && test ! -e /libs/x.o\n";
    let contexts = [("libs", text(&libs))];
    assert_eq!(executed(&build(&env, dockerfile, &contexts, &[])).len(), 2);
    let found = tree(&env);
    assert!(found.contains_key("libs/a") && found.contains_key("libs/sub/b") && found.contains_key("seen"));
    assert!(!found.contains_key("libs/x.o"));

    fs::write(libs.join("x.o"), "what is ignored does not count").unwrap();
    filetime(&libs.join("a"));
    let moved = env.path("moved");
    fs::rename(&libs, &moved).unwrap();
    assert_eq!(executed(&build(&env, dockerfile, &[("libs", text(&moved))], &[])), [""; 0]);
    fs::write(moved.join("a"), "A").unwrap();
    let again = executed(&build(&env, dockerfile, &[("libs", text(&moved))], &[]));
    assert!(again[0].contains("COPY --from=libs"), "{again:?}");
}

/// Touches a file.
fn filetime(path: &Path) {
    tool_ok("touch", ["-d", "2001-02-03", text(path)]);
}

#[test]
fn a_context_stands_for_a_base_however_its_name_is_written() {
    let env = TestEnvironment::new();
    let busybox = layout("busybox");
    let dockerfile =
        "FROM alpine\nRUN busybox true\nCOPY --from=docker.io/library/alpine:latest /bin/busybox /copied\n";
    let built = build(&env, dockerfile, &[("docker.io/library/alpine", &busybox)], &[]);
    assert_eq!(executed(&built).len(), 2, "{built}");
    assert!(tree(&env).contains_key("copied"));

    let image = format!("docker-image://{}", env.reference("busybox"));
    let platform = "alpine::linux/amd64";
    let built = build(&env, dockerfile, &[("alpine", "docker-image://scratch"), (platform, &image)], &[]);
    assert_eq!(executed(&built), [""; 0], "the same image from a registry has the same content: {built}");

    let root = directory(&env, "root", &[("etc/hello", "hello")]);
    build(&env, "FROM root\nCOPY --from=root etc/hello /copy\n", &[("root", text(&root))], &[]).ok();
    assert_eq!(paths(&env), ["copy", "etc", "etc/hello"]);
    let found = env.image("named");
    assert_eq!(found.history(), [true, true], "a layer each");
    assert_eq!(found.diff_ids().len(), 2);
}

#[test]
fn a_context_stands_for_a_stage_which_is_not_built() {
    let env = TestEnvironment::new();
    let out = directory(&env, "out", &[("app", "prebuilt")]);
    let dockerfile = "FROM nowhere.invalid/none AS build\nRUN false\nFROM build AS tested\nRUN false\n\
                      FROM scratch\nCOPY --from=build /app /app\n";
    let built = build(&env, dockerfile, &[("build", text(&out))], &[]);
    assert_eq!(executed(&built).len(), 1, "{built}");
    assert_eq!(paths(&env), ["app"]);
    build(&env, dockerfile, &[("build", text(&out))], &["--target=build"]).ok();
    assert_eq!(paths(&env), ["app"]);
}

#[test]
fn a_layout_is_read_only_as_far_as_it_is_needed_and_not_kept() {
    let env = TestEnvironment::new();
    let copy = env.path("layout");
    tool_ok("cp", ["-a", text(&workspace().join("target/base-images/busybox")), text(&copy)]);
    let index: Value = serde_json::from_slice(&fs::read(copy.join("index.json")).unwrap()).unwrap();
    let digest = index["manifests"][0]["digest"].as_str().unwrap().to_owned();
    let value = format!("oci-layout://{}", copy.display());
    let dockerfile = "FROM scratch\nCOPY --from=tools /bin/busybox /b\n";
    let first = build(&env, dockerfile, &[("tools", &value)], &[]);
    assert!(first.stderr.contains("take ") && first.stderr.contains("from oci-layout://"), "{first}");
    for named in [format!("{value}:latest"), format!("{value}@{digest}"), format!("{value}:any@{digest}")] {
        let again = build(&env, dockerfile, &[("tools", &named)], &[]);
        assert_eq!(executed(&again), [""; 0], "{named}");
        assert!(!again.stderr.contains("take "), "{again}");
    }

    let manifest = copy.join("blobs/sha256").join(digest.strip_prefix("sha256:").unwrap());
    let layers: Value = serde_json::from_slice(&fs::read(manifest).unwrap()).unwrap();
    let layer = layers["layers"][0]["digest"].as_str().unwrap().replace(':', "/");
    build(&env, "FROM tools\n", &[("tools", &value)], &[]).ok();
    fs::remove_file(copy.join("blobs").join(&layer)).unwrap();
    assert_eq!(env.run(["run", "--rm", "named", "busybox", "echo", "still here"]).ok(), "still here\n");

    let other = env.another_store("other");
    tool_ok("cp", ["-a", text(&workspace().join("target/base-images/busybox/blobs")), text(&copy)]);
    build(&other, "FROM tools\n", &[("tools", &value)], &[]).ok();
    let size = other.run(["inspect", "--format", "{{.Size}}", "named"]).ok();
    assert!(size.trim().parse::<u64>().unwrap() > 100_000, "{size}");
    let other = env.another_store("damaged");
    fs::write(copy.join("blobs").join(&layer), "something else").unwrap();
    let said = build(&other, dockerfile, &[("tools", &value)], &[]).fails();
    assert!(said.contains("cannot copy layer") && said.contains("oci-layout://"), "{said}");
    let said = build(&env, dockerfile, &[("tools", &format!("{value}:none"))], &[]).fails();
    assert!(said.contains("has no image `none`; it has latest"), "{said}");
}

#[test]
fn an_index_of_a_layout_is_read_for_the_platform() {
    let env = TestEnvironment::new();
    let dir = directory(&env, "d", &[("f", "f")]);
    let archive = env.path("image.tar");
    for platform in ["linux/amd64", "linux/arm64"] {
        let dockerfile = format!("FROM scratch\nLABEL of={platform}\nCOPY --from=d f /\n");
        let out = format!("--output=type=oci,dest={}", archive.display());
        build(&env, &dockerfile, &[("d", text(&dir))], &["--platform", platform, &out]).ok();
        let tag = platform.rsplit('/').next().unwrap();
        let target = format!("oci:{}:{tag}", env.path("both").display());
        tool_ok("skopeo", ["copy", "--quiet", &format!("oci-archive:{}", archive.display()), &target]);
    }
    let index = env.path("both/index.json");
    let mut several: Value = serde_json::from_slice(&fs::read(&index).unwrap()).unwrap();
    for (entry, architecture) in
        several["manifests"].as_array_mut().unwrap().iter_mut().zip(["amd64", "arm64"])
    {
        entry["annotations"]["org.opencontainers.image.ref.name"] = "app".into();
        entry["platform"] = serde_json::json!({"os": "linux", "architecture": architecture});
    }
    fs::write(&index, several.to_string()).unwrap();
    let value = format!("oci-layout://{}:app", env.path("both").display());
    for platform in ["linux/amd64", "linux/arm64"] {
        build(&env, "FROM base\n", &[("base", &value)], &["--platform", platform]).ok();
        assert_eq!(env.image("named").field("Labels"), serde_json::json!({"of": platform}));
    }
    let said = build(&env, "FROM base\n", &[("base", &value)], &["--platform=linux/s390x"]).fails();
    assert!(said.contains("has no image for linux/s390x; it has linux/amd64, linux/arm64"), "{said}");
}

#[test]
fn repositories_and_web_servers_are_asked_when_they_are_needed() {
    let env = TestEnvironment::new();
    let served = env.path("served");
    let (_daemon, url) = git_server(&served);
    let source = format!("{url}/x.git#main:sub");
    let dockerfile = "FROM src AS base\nFROM scratch\nCOPY --from=src dir /dir\nCOPY --from=base / /base\n";
    let first = build(&env, dockerfile, &[("src", &source)], &[]);
    assert_eq!(executed(&first).len(), 2, "{first}");
    assert_eq!(paths(&env), ["base", "base/dir", "base/dir/inner", "base/out", "dir", "dir/inner"]);
    assert_eq!(executed(&build(&env, dockerfile, &[("src", &source)], &[])), [""; 0]);

    let whole = format!("{url}/x.git");
    let kept = "FROM scratch\nCOPY --from=src . /\n";
    build(&env, kept, &[("src", &whole)], &["--build-arg=BUILDKIT_CONTEXT_KEEP_GIT_DIR=1"]).ok();
    assert!(tree(&env).contains_key(".git/HEAD"));
    build(&env, kept, &[("src", &format!("{whole}?keep-git-dir=true"))], &[]).ok();
    assert!(tree(&env).contains_key(".git/HEAD"));
    build(&env, kept, &[("src", &whole)], &[]).ok();
    assert!(!tree(&env).contains_key(".git/HEAD"));

    let server = WebServer::start();
    let files = directory(&env, "files", &[("one", "1"), ("two/three", "3")]);
    let archive = env.path("files.tar.gz");
    run(tool("tar").arg("-czf").arg(&archive).arg("-C").arg(&files).arg(".")).ok();
    server.serve("/files.tar.gz", [Page::new(fs::read(&archive).unwrap())]);
    server.serve("/plain", [Page::new("plain text")]);
    let (packed, plain) = (server.url("/files.tar.gz"), server.url("/plain"));
    let dockerfile =
        "FROM packed AS base\nFROM scratch\nCOPY --from=packed two /two\nCOPY --from=plain /context /plain\n";
    build(
        &env,
        dockerfile,
        &[("packed", &packed), ("plain", &plain), ("not", "http://nowhere.invalid/x")],
        &[],
    )
    .ok();
    assert_eq!(paths(&env), ["plain", "two", "two/three"]);
    build(&env, dockerfile, &[("packed", &packed), ("plain", &plain)], &["--target=base"]).ok();
    assert_eq!(paths(&env), ["one", "two", "two/three"]);
    server.serve("/archive", [Page::new(fs::read(&archive).unwrap())]);
    let unpacked = server.url("/archive");
    let said = build(&env, dockerfile, &[("packed", &packed), ("plain", &unpacked)], &[]).fails();
    assert!(said.contains("context is not in the context plain"), "{said}");
}

#[test]
fn the_git_directory_of_the_main_context_can_stay() {
    let env = TestEnvironment::new();
    let served = env.path("served");
    let (_daemon, url) = git_server(&served);
    let repository = served.join("x.git");
    fs::write(repository.join("Dockerfile"), "FROM scratch\nCOPY . /\n").unwrap();
    git(&repository, &["add", "-A"]);
    git(&repository, &["commit", "-q", "-m", "file"]);
    let context = format!("{url}/x.git");
    for (more, kept) in [(&["--build-arg=BUILDKIT_CONTEXT_KEEP_GIT_DIR=true"][..], true), (&[], false)] {
        env.build(Path::new(&context), "named", more).ok();
        assert_eq!(tree(&env).contains_key(".git/HEAD"), kept, "{more:?}");
    }
}

#[test]
fn what_is_wrong_names_the_context() {
    let env = TestEnvironment::new();
    let libs = directory(
        &env,
        "libs",
        &[("keep.o", "k"), ("x.o", "x"), (".dockerignore", "# none\n*.o\n!keep.o\n")],
    );
    let value = text(&libs);
    let said = build(&env, "FROM scratch\nCOPY --from=libs x.o /\n", &[("libs", value)], &[]).fails();
    let line = format!("line 2 of {value}/.dockerignore leaves it out: `*.o`");
    assert!(said.contains("x.o is not in the context libs") && said.contains(&line), "{said}");
    let said = build(&env, "FROM scratch\nCOPY --from=libs kep.o /\n", &[("libs", value)], &[]).fails();
    assert!(said.contains("did you mean `keep.o`?"), "{said}");
    let said = build(&env, "FROM scratch\n", &[("libs", "./nowhere")], &[]).fails();
    assert!(
        said.contains("--build-context libs=./nowhere: there is no directory")
            && said.contains("hint: a context is"),
        "{said}"
    );
    let said = build(&env, "FROM scratch\n", &[("Libs", value)], &[]).fails();
    assert!(said.contains("`Libs` cannot be the name of a stage or an image"), "{said}");
    let wrong = format!("docker-image://{}", env.reference("none:1"));
    let said = build(&env, "FROM base\n", &[("base", &wrong)], &[]).fails();
    assert!(said.contains("`base` is the build context that was given for this name"), "{said}");

    let noted = build(&env, "FROM scratch AS libs\nLABEL a=b\n", &[("lib", value)], &[]);
    assert!(noted.status.success(), "{noted}");
    let note = "unused-build-context: no stage, FROM or --from is called like the build context lib (did you mean libs?)";
    assert!(noted.stderr.contains(note), "{noted}");
}

#[test]
fn checks_take_contexts_for_what_they_are() {
    let env = TestEnvironment::new();
    let out = directory(&env, "out", &[("app", "")]);
    let context = env
        .dockerfile("checked", "FROM nowhere.invalid/a AS build\nCOPY $WRONG /\nFROM build\nFROM missing\n");
    let spec = [format!("build={}", out.display()), format!("missing={}", out.display())];
    let asked = |call: &str| {
        let contexts = ["--build-context", &spec[0], "--build-context", &spec[1]];
        env.run(["build", call].into_iter().chain(contexts).chain([text(&context)]))
    };
    let checked = asked("--call=check,format=json");
    assert_eq!(checked.code(), 1, "{checked}");
    let answer: Value = serde_json::from_str(&checked.stdout).unwrap();
    let rules: Vec<&str> =
        answer["warnings"].as_array().unwrap().iter().map(|one| one["ruleName"].as_str().unwrap()).collect();
    assert_eq!(rules, ["UndefinedVar"], "{checked}");
    assert_eq!(answer["remarks"], Value::Null, "no base is unknown: {checked}");
    assert_eq!(asked("--call=outline").code(), 0);
    let targets = asked("--call=targets");
    assert!(targets.stdout.contains("build"), "{targets}");
}

#[test]
fn contexts_are_what_they_are_for_buildah() {
    let env = TestEnvironment::new();
    let libs =
        directory(&env, "libs", &[("a", "a"), ("sub/b", "b"), ("x.o", "x"), (".dockerignore", "*.o\n")]);
    let out = directory(&env, "out", &[("app", "prebuilt")]);
    let base = format!("docker-image://{}", env.reference("busybox"));
    let context = env.dockerfile(
        "compared",
        "FROM nowhere.invalid/none AS build\nRUN false\nFROM alpine\nCOPY --from=libs / /libs/\nCOPY --from=build app /app\n\
         RUN --mount=type=bind,from=libs,target=/m cp /m/sub/b /b\n",
    );
    let contexts: Vec<String> = [("libs", text(&libs)), ("build", text(&out)), ("alpine", &base)]
        .iter()
        .map(|(name, value)| format!("--build-context={name}={value}"))
        .collect();
    let args: Vec<&str> = contexts.iter().map(String::as_str).collect();
    env.build(&context, "named", &args).ok();
    let dir = scratch_dir("buildah-");
    let buildah = Containers::new(dir.path());
    buildah.build(&context, "named", &args).ok();
    let (ours, theirs) = (env.image("named").tree, buildah.image("named").tree);
    for path in ["libs/a", "libs/sub/b", "app", "b"] {
        assert_eq!(ours.get(path), theirs.get(path), "{path}");
    }
    // buildah does not look for ignore files in named contexts; BuildKit does.
    assert!(!ours.contains_key("libs/x.o") && theirs.contains_key("libs/x.o"));
}
