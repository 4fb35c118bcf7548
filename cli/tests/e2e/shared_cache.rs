//! Caches that machines share. Two stores stand for two machines: what one builds, the other finds.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::bucket::{Bucket, KEY, SECRET, spec};
use crate::support::counter::Counter;
use crate::support::environment::TestEnvironment;
use crate::support::progress::Steps;
use crate::support::registry::Registry;
use crate::support::tool::{Outcome, run};
use crate::web::{Page, WebServer};

/// Everything that a key is made with: a stage whose files are copied and bound, owners by name, a linked layer.
const APP: &str = "ARG REGISTRY\nFROM ${REGISTRY}/busybox AS build\nCOPY src /src\n\
    RUN cat /src/a > /program && head -c 3000000 /dev/urandom > /ballast\nRUN echo tools > /tools\n\
    FROM ${REGISTRY}/busybox\nRUN echo nobody:x:65534:65534::/:/bin/sh >> /etc/passwd && echo nogroup:x:65533: >> /etc/group\n\
    WORKDIR /work\nCOPY --from=build --chown=nobody /program /ballast /app/\n\
    COPY --from=build --link --chown=nobody:nogroup /tools /linked/tools\n\
    RUN --mount=type=bind,from=build,source=/tools,target=/mnt cat /mnt /app/program > /list\n";

/// More bytes than documents have, and fewer than layers.
const METADATA: u64 = 100_000;

fn app(env: &TestEnvironment) -> PathBuf {
    let context = env.dockerfile("app", APP);
    fs::create_dir_all(context.join("src")).unwrap();
    fs::write(context.join("src/a"), "a\n").unwrap();
    context
}

fn steps(outcome: &Outcome) -> Steps {
    assert!(outcome.status.success(), "{outcome}");
    Steps::read(&format!("{}{}", outcome.stdout, outcome.stderr))
}

fn build(env: &TestEnvironment, context: &Path, tag: &str, flags: &[&str]) -> Outcome {
    env.build(context, tag, flags)
}

/// Asserts that a build on an empty store ran nothing and fetched no layer, and that the image can be run all the same.
#[track_caller]
fn assert_cached(outcome: &Outcome, env: &TestEnvironment, original: &TestEnvironment) {
    let steps = steps(outcome);
    assert_eq!(steps.executed(), [""; 0], "{outcome}");
    assert!(outcome.stderr.contains("0B of layers fetched"), "{outcome}");
    assert_eq!(env.id("app"), original.id("app"));
    assert!(bytes_of_blobs(env) < METADATA, "a layer was fetched");
}

fn bytes_of_blobs(env: &TestEnvironment) -> u64 {
    let blobs = fs::read_dir(env.root().join("blobs/sha256")).unwrap();
    blobs.map(|blob| blob.unwrap().metadata().unwrap().len()).sum()
}

#[track_caller]
fn assert_runs(env: &TestEnvironment) {
    assert_eq!(env.run(["run", "--rm", "app", "cat", "/list"]).ok(), "tools\na\n");
    let owner = env.run(["run", "--rm", "app", "stat", "-c", "%U", "/app/program"]).ok();
    assert_eq!(owner, "nobody\n");
}

#[test]
fn a_registry_answers_a_whole_build() {
    let (one, two) = (TestEnvironment::new(), TestEnvironment::new());
    let context = app(&one);
    let cache = one.reference("shared/registry:cache");
    let to = format!("type=registry,ref={cache},mode=max");
    let first = build(&one, &context, "app", &["--cache-to", &to]);
    assert_eq!(steps(&first).executed().len(), 8, "{first}");
    assert!(first.stderr.contains("cache to "), "{first}");

    let door = Counter::before(one.registry.host());
    let from = format!("type=registry,ref={}/shared/registry:cache", door.host);
    let second = build(&two, &context, "app", &["--cache-from", &from]);
    assert_cached(&second, &two, &one);
    assert!(door.served() < METADATA, "{} bytes were served", door.served());
    // What was found is known from now on.
    let third = build(&two, &context, "app", &[]);
    assert_eq!(steps(&third).executed(), [""; 0], "{third}");
    assert!(door.served() < METADATA);
    assert_runs(&two);
    assert!(door.served() > 3_000_000, "the layers came when they were needed");
    assert_eq!(two.image("app").tree, one.image("app").tree);
}

#[test]
fn what_the_registry_has_is_not_sent_again() {
    let env = TestEnvironment::new();
    let context = app(&env);
    let to = format!("type=registry,ref={},mode=max", env.reference("shared/again:cache"));
    let first = build(&env, &context, "app", &["--cache-to", &to]);
    assert!(first.stderr.contains("8 blobs sent"), "{first}");
    let again = build(&env, &context, "app", &["--cache-to", &to]);
    assert!(again.stderr.contains("0 blobs sent (0B), 8 already there"), "{again}");
    // Another repository takes them from the first one.
    let other = format!("type=registry,ref={},mode=max", env.reference("shared/other:cache"));
    let two = TestEnvironment::new();
    let from = env.reference("shared/again:cache");
    let carried = build(&two, &context, "app", &["--cache-from", &from, "--cache-to", &other]);
    assert!(carried.stderr.contains("0 blobs sent (0B), 8 already there"), "{carried}");
    assert!(bytes_of_blobs(&two) < METADATA, "mounted, not fetched");
}

#[test]
fn a_push_to_the_same_registry_fetches_nothing() {
    let (one, two) = (TestEnvironment::new(), TestEnvironment::new());
    let context = app(&one);
    let cache = one.reference("shared/push:cache");
    build(&one, &context, "app", &["--cache-to", &format!("type=registry,ref={cache},mode=max")]).ok();
    let name = two.reference("shared/pushed:1");
    let outcome = build(&two, &context, &name, &["--cache-from", &cache, "--push"]);
    assert_eq!(steps(&outcome).executed(), [""; 0], "{outcome}");
    assert!(bytes_of_blobs(&two) < METADATA, "mounted, not fetched");
    let pulled = crate::support::image::Image::read(&format!("docker://{name}"));
    assert_eq!(pulled.tree, one.image("app").tree);
}

#[test]
fn the_smallest_cache_answers_a_whole_build_too() {
    let (one, two) = (TestEnvironment::new(), TestEnvironment::new());
    let context = app(&one);
    let cache = one.reference("shared/min:cache");
    let first = build(&one, &context, "app", &["--cache-to", &cache]);
    assert!(first.stderr.contains("5 blobs sent"), "only the layers of the image: {first}");
    let second = build(&two, &context, "app", &["--cache-from", &cache]);
    assert_cached(&second, &two, &one);
    assert_runs(&two);

    // A change in the stage whose layers are nowhere: what it is built on is executed again.
    fs::write(context.join("src/a"), "b\n").unwrap();
    let three = TestEnvironment::new();
    let changed = build(&three, &context, "app", &["--cache-from", &cache]);
    assert!(!steps(&changed).executed().is_empty());
    assert_eq!(three.run(["run", "--rm", "app", "cat", "/list"]).ok(), "tools\nb\n");
}

#[test]
fn a_directory_answers_a_whole_build() {
    let (one, two) = (TestEnvironment::new(), TestEnvironment::new());
    let (context, dir) = (app(&one), one.path("cache"));
    let to = format!("type=local,dest={},mode=max,compression=zstd", dir.display());
    build(&one, &context, "app", &["--cache-to", &to]).ok();
    let from = format!("type=local,src={}", dir.display());
    let second = build(&two, &context, "app", &["--cache-from", &from]);
    assert_cached(&second, &two, &one);
    assert_runs(&two);
    assert_eq!(two.image("app").tree, one.image("app").tree);
}

#[test]
fn a_bucket_answers_a_whole_build() {
    let (one, two) = (TestEnvironment::new(), TestEnvironment::new());
    let (context, bucket) = (app(&one), Bucket::start());
    let keys = format!("access_key_id={KEY},secret_access_key={SECRET},prefix=team/,name=main");
    let to = spec(&bucket.host, &format!("mode=max,{keys}"));
    build(&one, &context, "app", &["--cache-to", &to]).ok();
    assert!(bucket.object("team/manifests/main").is_file());
    let door = Counter::before(&bucket.host);
    // The keys may be the environment's.
    let from = spec(&door.host, "prefix=team/,name=main");
    let mut command = two.build_command(&context, "app", &["--cache-from", &from]);
    let second = run(command.env("AWS_ACCESS_KEY_ID", KEY).env("AWS_SECRET_ACCESS_KEY", SECRET));
    assert_cached(&second, &two, &one);
    assert!(door.served() < METADATA, "{} bytes were served", door.served());
    let mut command = two.kiln(["run", "--rm", "app", "cat", "/list"]);
    let ran = run(command.env("AWS_ACCESS_KEY_ID", KEY).env("AWS_SECRET_ACCESS_KEY", SECRET));
    assert_eq!(ran.ok(), "tools\na\n");

    let wrong = spec(&bucket.host, "access_key_id=a,secret_access_key=b");
    let three = TestEnvironment::new();
    let refused = build(&three, &context, "app", &["--cache-from", &wrong]);
    assert_eq!(steps(&refused).executed().len(), 8, "{refused}");
    assert!(refused.stderr.contains("warning: the cache s3://cache/"), "{refused}");
}

#[test]
fn a_large_layer_goes_to_a_bucket_in_parts() {
    let (one, two, bucket) = (TestEnvironment::new(), TestEnvironment::new(), Bucket::start());
    let text = "ARG REGISTRY\nFROM ${REGISTRY}/busybox\nRUN head -c 40000000 /dev/urandom > /big && sha256sum /big > /sum\n";
    let context = one.dockerfile("large", text);
    let place = spec(&bucket.host, &format!("access_key_id={KEY},secret_access_key={SECRET}"));
    build(&one, &context, "large", &["--cache-to", &place]).ok();
    let more = two.dockerfile("large", &format!("{text}RUN sha256sum -c /sum\n"));
    let outcome = build(&two, &more, "large", &["--cache-from", &place]);
    assert_eq!(steps(&outcome).executed().len(), 1, "{outcome}");
    assert!(outcome.stderr.contains("and 40MB of layers fetched"), "{outcome}");
}

#[test]
fn an_image_carries_its_own_cache() {
    let (one, two) = (TestEnvironment::new(), TestEnvironment::new());
    let context = app(&one);
    let name = one.reference("shared/inline:1");
    let inline = ["--push", "--build-arg", "BUILDKIT_INLINE_CACHE=1"];
    build(&one, &context, &name, &inline).ok();
    one.run(["tag", &name, "app"]).ok();
    let more = ["--cache-from", &name, "--cache-to", "type=inline"];
    let second = build(&two, &context, "app", &more);
    assert_cached(&second, &two, &one);
    assert_runs(&two);
    // An image without one is no cache, and no harm.
    let plain = two.reference("busybox");
    let third = build(&TestEnvironment::new(), &context, "app", &["--cache-from", &plain]);
    assert_eq!(steps(&third).executed().len(), 8);
    assert!(third.stderr.contains("no cache of kiln's"), "{third}");
}

#[test]
fn a_cache_that_cannot_be_had_costs_a_warning() {
    let env = TestEnvironment::new();
    let context =
        env.dockerfile("simple", "ARG REGISTRY\nFROM ${REGISTRY}/busybox\nARG N\nRUN echo $N > /n\n");
    let dir = env.path("garbage");
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("index.json"), "{").unwrap();
    let closed = Registry::with_password();
    let busybox = env.reference("busybox");
    let places = [
        ("127.0.0.1:1/cache".to_owned(), "is not used"),
        (format!("type=local,src={}", dir.display()), "is not an OCI index"),
        (format!("{}/cache", closed.host()), "is not used"),
        (busybox, "no cache of kiln's"),
    ];
    for (number, (place, message)) in places.iter().enumerate() {
        let argument = format!("N={number}");
        let flags = ["--cache-from", place, "--build-arg", &argument];
        let outcome = build(&env, &context, "simple", &flags);
        assert_eq!(steps(&outcome).executed().len(), 1, "{outcome}");
        assert!(outcome.stderr.contains("warning: ") && outcome.stderr.contains(message), "{outcome}");
    }
    // Nothing there yet is what a first build finds.
    let absent = env.reference("shared/absent:yet");
    let outcome = build(&env, &context, "simple", &["--cache-from", &absent]);
    assert!(outcome.status.success() && !outcome.stderr.contains("warning: the cache"), "{outcome}");

    let to = "type=registry,ref=127.0.0.1:1/cache";
    let outcome = build(&env, &context, "simple", &["--cache-to", to]);
    assert!(outcome.status.success() && outcome.stderr.contains("cannot be written"), "{outcome}");
    let strict = build(&env, &context, "simple", &["--cache-to", &format!("{to},ignore-error=false")]);
    assert_eq!(strict.code(), 1, "{strict}");
    assert!(strict.stderr.contains("cannot be written"), "{strict}");
}

/// A directory cache of the app, whose documents may be changed.
struct Forged {
    dir: PathBuf,
}

impl Forged {
    fn new(env: &TestEnvironment, context: &Path) -> Forged {
        let dir = env.path("forged");
        let to = format!("type=local,dest={},mode=max", dir.display());
        build(env, context, "app", &["--cache-to", &to]).ok();
        Forged { dir }
    }

    fn blob(&self, digest: &Value) -> PathBuf {
        self.dir.join("blobs/sha256").join(digest.as_str().unwrap().trim_start_matches("sha256:"))
    }

    fn json(path: &Path) -> Value {
        serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
    }

    fn index(&self) -> Value {
        Forged::json(&self.dir.join("index.json"))
    }

    fn manifest(&self) -> Value {
        Forged::json(&self.blob(&self.index()["manifests"][0]["digest"]))
    }

    fn document(&self) -> Value {
        Forged::json(&self.blob(&self.manifest()["config"]["digest"]))
    }

    fn put(&self, bytes: &[u8]) -> (String, usize) {
        let digest = kiln_cache::digest_of(bytes);
        fs::write(self.dir.join("blobs/sha256").join(digest.digest()), bytes).unwrap();
        (digest.to_string(), bytes.len())
    }

    /// Makes these bytes the document, with everything around it right.
    fn replace(&self, document: &[u8]) {
        let mut manifest = self.manifest();
        let (digest, size) = self.put(document);
        (manifest["config"]["digest"], manifest["config"]["size"]) = (json!(digest), json!(size));
        let (digest, size) = self.put(manifest.to_string().as_bytes());
        let mut index = self.index();
        (index["manifests"][0]["digest"], index["manifests"][0]["size"]) = (json!(digest), json!(size));
        fs::write(self.dir.join("index.json"), index.to_string()).unwrap();
    }

    fn flag(&self) -> String {
        format!("type=local,src={}", self.dir.display())
    }
}

#[test]
fn a_layer_that_is_not_what_was_promised_is_made_again() {
    let one = TestEnvironment::new();
    let context = app(&one);
    let forged = Forged::new(&one, &context);
    // Each layer's blob is another layer's: every digest is right, and every promise is a lie.
    let mut document = forged.document();
    let blobs: Vec<Value> =
        document["layers"].as_array().unwrap().iter().map(|layer| layer["blob"].clone()).collect();
    for (index, layer) in document["layers"].as_array_mut().unwrap().iter_mut().enumerate() {
        layer["blob"] = blobs[(index + 1) % blobs.len()].clone();
    }
    forged.replace(document.to_string().as_bytes());
    let two = TestEnvironment::new();
    // One more step needs the files of all others.
    let text = format!("{APP}RUN cat /list > /last\n");
    let context = two.dockerfile("more", &text);
    fs::create_dir_all(context.join("src")).unwrap();
    fs::write(context.join("src/a"), "a\n").unwrap();
    let outcome = build(&two, &context, "app", &["--cache-from", &forged.flag()]);
    assert!(outcome.status.success(), "{outcome}");
    assert!(outcome.stderr.contains("is not layer"), "{outcome}");
    assert_runs(&two);
    assert_eq!(two.run(["run", "--rm", "app", "cat", "/last"]).ok(), "tools\na\n");
}

#[test]
fn a_damaged_layer_is_made_again() {
    let one = TestEnvironment::new();
    let context = app(&one);
    let forged = Forged::new(&one, &context);
    for layer in forged.manifest()["layers"].as_array().unwrap() {
        let path = forged.blob(&layer["digest"]);
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&path, bytes).unwrap();
    }
    let two = TestEnvironment::new();
    let directory = two.path("out");
    let output = format!("type=local,dest={}", directory.display());
    let outcome = build(&two, &context, "app", &["--cache-from", &forged.flag()]);
    assert_eq!(steps(&outcome).executed(), [""; 0], "nobody has looked yet");
    // Whoever needs the files is told, and the next build makes what is missing.
    let failed = two.run(["run", "--rm", "app", "true"]);
    assert!(!failed.status.success() && failed.stderr.contains("does not verify"), "{failed}");
    let again = build(&two, &context, "app", &["--no-cache"]);
    // More if a command took no second: then what lies on it is taken from the cache first, and found to be damaged.
    assert!(steps(&again).executed().len() >= 8, "{again}");
    assert_runs(&two);
    build(&two, &context, "app", &["-o", &output]).ok();
    assert_eq!(fs::read_to_string(directory.join("list")).unwrap(), "tools\na\n");
}

#[test]
fn hostile_documents_are_passed_over() {
    let one = TestEnvironment::new();
    let context = app(&one);
    let forged = Forged::new(&one, &context);
    let good = forged.document();
    let with = |pointer: &str, value: Value| {
        let mut document = good.clone();
        *document.pointer_mut(pointer).unwrap() = value;
        document.to_string().into_bytes()
    };
    let whole = good.to_string().into_bytes();
    let documents = [
        whole[..whole.len() / 2].to_vec(),
        Vec::new(),
        b"\0\0\0\0".to_vec(),
        b"[[[[[[[[".repeat(10_000),
        with("/version", json!(99)),
        with("/layers/0/blob/digest", json!("sha256:../../../../etc/passwd")),
        with("/layers/0/blob/size", json!(u64::MAX)),
        with("/records/0/layer", json!("sha256:../../x")),
        with("/records/0/key", json!("../../x")),
        with("/memos/0/value", json!({"a": 1})),
    ];
    let two = TestEnvironment::new();
    let simple = two.dockerfile("simple", "ARG REGISTRY\nFROM ${REGISTRY}/busybox\nRUN true\n");
    for document in documents {
        forged.replace(&document);
        let outcome = build(&two, &simple, "simple", &["--cache-from", &forged.flag()]);
        assert!(outcome.status.success(), "{outcome}");
        assert!(outcome.stderr.contains("is not used"), "{outcome}");
    }
}

#[test]
fn a_cache_that_goes_away_is_done_without() {
    let one = TestEnvironment::new();
    let context = app(&one);
    let cache = one.reference("shared/gone:cache");
    build(&one, &context, "app", &["--cache-to", &format!("type=registry,ref={cache},mode=max")]).ok();
    let two = TestEnvironment::new();
    let door = Counter::before(one.registry.host());
    let from = format!("{}/shared/gone:cache", door.host);
    build(&two, &context, "app", &["--cache-from", &from]).ok();
    door.shut();
    // Everything is known, and nothing can be had: a step that needs files makes the build begin again.
    fs::write(context.join("src/a"), "b\n").unwrap();
    let outcome = build(&two, &context, "app", &["--cache-from", &from]);
    assert!(outcome.status.success(), "{outcome}");
    assert_eq!(two.run(["run", "--rm", "app", "cat", "/list"]).ok(), "tools\nb\n");
    // A store that remembers where layers were does without them, too, when nobody names the cache any more.
    let three = TestEnvironment::new();
    let door = Counter::before(one.registry.host());
    let from = format!("{}/shared/gone:cache", door.host);
    fs::write(context.join("src/a"), "a\n").unwrap();
    build(&three, &context, "app", &["--cache-from", &from]).ok();
    door.shut();
    fs::write(context.join("src/a"), "c\n").unwrap();
    let outcome = build(&three, &context, "app", &[]);
    assert!(outcome.status.success(), "{outcome}");
    assert_eq!(three.run(["run", "--rm", "app", "cat", "/list"]).ok(), "tools\nc\n");
}

#[test]
fn a_cache_is_carried_on_by_whoever_imports_it() {
    let (one, two, three) = (TestEnvironment::new(), TestEnvironment::new(), TestEnvironment::new());
    let (context, bucket) = (app(&one), Bucket::start());
    // The smallest one, whose first stage is known by name only, to a place of another kind: what has to come along does.
    let cache = one.reference("shared/carried:cache");
    build(&one, &context, "app", &["--cache-to", &cache]).ok();
    let keys = format!("access_key_id={KEY},secret_access_key={SECRET}");
    let to = spec(&bucket.host, &format!("mode=max,compression=zstd,force-compression=true,{keys}"));
    let carried = build(&two, &context, "app", &["--cache-from", &cache, "--cache-to", &to]);
    assert_eq!(steps(&carried).executed(), [""; 0], "{carried}");
    assert!(carried.stderr.contains("5 blobs sent"), "{carried}");
    let from = spec(&bucket.host, &keys);
    let last = build(&three, &context, "app", &["--cache-from", &from]);
    assert_cached(&last, &three, &one);
    let more = ["--cache-from", &from, "-o", "type=docker,dest=app.tar"];
    build(&three, &context, "app", &more).ok();
    assert_eq!(three.image("app").tree, one.image("app").tree);
}

#[test]
fn a_miss_is_explained_on_a_machine_that_never_built_it() {
    let env = TestEnvironment::new();
    let context = app(&env);
    let cache = env.path("cache").display().to_string();
    let (to, from) = (format!("type=local,dest={cache},mode=max"), format!("type=local,src={cache}"));
    build(&env, &context, "app", &["--cache-to", &to]).ok();
    fs::write(context.join("src/a"), "b\n").unwrap();
    // The same checkout on another machine: the path says which Dockerfile it is.
    fs::rename(env.root(), env.path("elsewhere")).unwrap();
    let again = build(&env, &context, "app", &["--cache-from", &from]);
    let again = steps(&again);
    let lines = again.step("COPY src").lines.join("\n");
    assert!(lines.contains("a changed"), "{lines}");
}

#[test]
fn files_from_elsewhere_are_asked_about_and_not_sent() {
    let (one, two, server) = (TestEnvironment::new(), TestEnvironment::new(), WebServer::start());
    server.serve("/file", [Page::new(vec![b'x'; 500_000]).header("ETag", "\"1\"")]);
    let text = format!(
        "ARG REGISTRY\nFROM ${{REGISTRY}}/busybox\nADD {} /added/\nRUN wc -c /added/file > /list\n",
        server.url("/file")
    );
    let context = one.dockerfile("elsewhere", &text);
    let dir = one.path("cache").display().to_string();
    build(&one, &context, "app", &["--cache-to", &format!("type=local,dest={dir},mode=max")]).ok();
    let outcome = build(&two, &context, "app", &["--cache-from", &format!("type=local,src={dir}")]);
    assert_cached(&outcome, &two, &one);
    let last = server.seen().pop().unwrap();
    assert!(last.to_ascii_lowercase().contains("if-none-match"), "{last}");
}

#[test]
fn cache_mounts_travel() {
    let (one, two) = (TestEnvironment::new(), TestEnvironment::new());
    let text = "ARG REGISTRY\nFROM ${REGISTRY}/busybox\nARG N\n\
        RUN --mount=type=cache,target=/c,id=mine --mount=type=cache,target=/o echo $N >> /c/log && echo x >> /o/log && \
        cat /c/log /o/log > /seen\n";
    let context = one.dockerfile("mounts", text);
    let dir = one.path("cache").display().to_string();
    let to = format!("type=local,dest={dir},mode=max,mounts=mine,nothing");
    let first = build(&one, &context, "app", &["--build-arg", "N=1", "--cache-to", &to]);
    assert!(
        first.stderr.contains("1 cache mount") && first.stderr.contains("no cache mount `nothing`"),
        "{first}"
    );
    let from = format!("type=local,src={dir}");
    let second = build(&two, &context, "app", &["--build-arg", "N=2", "--cache-from", &from]);
    assert_eq!(steps(&second).executed().len(), 1, "{second}");
    assert_eq!(
        two.run(["run", "--rm", "app", "cat", "/seen"]).ok(),
        "1\n2\nx\n",
        "the other one began empty"
    );
    // What is here is not replaced.
    let third = build(&two, &context, "app", &["--build-arg", "N=3", "--cache-from", &from]);
    assert!(third.status.success(), "{third}");
    assert_eq!(two.run(["run", "--rm", "app", "cat", "/seen"]).ok(), "1\n2\n3\nx\nx\n");
}

/// Kills of an export, and as many of an import.
const KILLS: u64 = 12;

#[test]
fn a_killed_export_or_import_loses_nothing() {
    let (one, two) = (TestEnvironment::new(), TestEnvironment::new());
    let context = app(&one);
    let cache = one.reference("shared/killed:cache");
    let dir = one.path("cache").display().to_string();
    let (to, to_dir) =
        (format!("type=registry,ref={cache},mode=max"), format!("type=local,dest={dir},mode=max"));
    let exports = ["--cache-to", &to, "--cache-to", &to_dir];
    let begun = Instant::now();
    build(&one, &context, "app", &exports).ok();
    let longest = u64::try_from(begun.elapsed().as_micros()).unwrap();
    let id = one.id("app");
    let from_dir = format!("type=local,src={dir}");
    for number in 0..KILLS {
        let context = one.dockerfile("changed", &format!("{APP}RUN echo {number} > /number\n"));
        fs::create_dir_all(context.join("src")).unwrap();
        fs::write(context.join("src/a"), "a\n").unwrap();
        kill_after(one.build_command(&context, "new", &exports), longest * number / KILLS);
        for from in [&cache, &from_dir] {
            let runner = TestEnvironment::new();
            let outcome = build(&runner, &app(&runner), "app", &["--cache-from", from]);
            assert_eq!(steps(&outcome).executed(), [""; 0], "after kill {number}: {outcome}");
        }
        assert_eq!(one.id("app"), id, "what was tagged is tagged");
    }
    assert_runs(&one);
    let more = two.dockerfile("more", &format!("{APP}RUN cat /list > /last\n"));
    fs::create_dir_all(more.join("src")).unwrap();
    fs::write(more.join("src/a"), "a\n").unwrap();
    for number in 0..KILLS {
        fs::remove_dir_all(two.root()).ok();
        kill_after(two.build_command(&more, "app", &["--cache-from", &cache]), longest * number / KILLS);
        build(&two, &more, "app", &[]).ok();
        assert_eq!(two.run(["run", "--rm", "app", "cat", "/last"]).ok(), "tools\na\n");
    }
}

/// Starts the command and kills it after so many microseconds. The moment is what the test is about: nothing else tells
/// where kiln is then.
fn kill_after(mut command: Command, microseconds: u64) {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let (_sender, nothing_comes) = mpsc::channel::<()>();
    nothing_comes.recv_timeout(Duration::from_micros(microseconds)).unwrap_err();
    // It may have come to its end.
    child.kill().ok();
    child.wait().unwrap();
}

#[test]
fn exporters_to_one_name_leave_a_whole_cache() {
    let one = TestEnvironment::new();
    let context = app(&one);
    let cache = one.reference("shared/many:cache");
    let to = format!("type=registry,ref={cache},mode=max");
    let environments: Vec<TestEnvironment> = (0..3).map(|_| TestEnvironment::new()).collect();
    let commands = environments.iter().map(|env| env.build_command(&context, "app", &["--cache-to", &to]));
    let children: Vec<_> = commands.map(|mut command| command.spawn().unwrap()).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let two = TestEnvironment::new();
    let outcome = build(&two, &context, "app", &["--cache-from", &cache]);
    assert_eq!(steps(&outcome).executed(), [""; 0], "{outcome}");
    assert_runs(&two);
}
