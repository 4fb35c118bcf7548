//! What a client's session is asked for, each service both ways: what it has arrives, and what it lacks is told in words.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::client::{Server, report};
use super::{build, steps};
use crate::authentication::guarded;
use crate::support::beacon::Beacon;
use crate::support::image::Image;
use crate::support::leftovers;
use crate::support::registry::{PASSWORD, USER, base_images};
use crate::support::tool::{run, tool};

/// The error of a build that should have one.
#[track_caller]
pub(super) fn error(report: &Value) -> String {
    report["error"].as_str().unwrap_or_else(|| panic!("it should have failed: {report:#}")).to_owned()
}

#[track_caller]
pub(super) fn is_fine(report: &Value) {
    assert_eq!(report["error"], Value::Null, "{report:#}");
}

#[test]
fn registries_are_reached_with_the_client_s_login() {
    let server = Server::start_in(guarded(), &[]);
    let (host, name) = (server.env.registry.host().to_owned(), server.env.reference("pushed:1"));
    let context =
        server.env.dockerfile("context", "ARG REGISTRY\nFROM ${REGISTRY}/busybox\nCOPY Dockerfile /\n");
    let ask = |login: Value| {
        let mut asked = build(&server, &context, true);
        asked["logins"] = json!({ host.as_str(): login });
        asked["outputs"] = json!([{ "type": "image", "attrs": { "name": name.as_str(), "push": "true" } }]);
        server.client(asked)
    };
    for login in [json!({}), json!({ "username": USER, "secret": "not-this-one" })] {
        let said = error(&ask(login));
        assert!(said.contains(&host) && said.contains("log in"), "{said}");
        assert!(!said.contains("not-this-one"), "{said}");
    }
    let said = error(&ask(json!({ "fails": "the keychain is locked" })));
    assert!(said.contains("the keychain is locked"), "{said}");
    let report = ask(json!({ "username": USER, "secret": PASSWORD }));
    is_fine(&report);
    assert!(report["asked"]["logins"].as_array().unwrap().iter().all(|asked| *asked == host.as_str()));
    let mut pull = tool("skopeo");
    pull.args(["inspect", "--raw", "--tls-verify=false", "--creds", &format!("{USER}:{PASSWORD}")]);
    let manifest = run(pull.arg(format!("docker://{name}"))).ok();
    let digest = report["response"]["containerimage.config.digest"].as_str().unwrap();
    assert!(manifest.contains(digest), "{manifest}");
}

#[test]
fn secrets_are_there_or_not_or_missed() {
    let server = Server::start(&[]);
    let mount = |more: &str, command: &str| {
        format!("ARG REGISTRY\nFROM ${{REGISTRY}}/busybox\nRUN --mount=type=secret,id=word{more} {command}\n")
    };
    for (name, more, command, value) in [
        ("there", ",required", "[ \"$(cat /run/secrets/word)\" = sesame ]", Some("sesame")),
        ("variable", ",env=WORD", "[ \"$WORD\" = sesame ]", Some("sesame")),
        ("absent", "", "[ ! -e /run/secrets/word ]", None),
    ] {
        let context = server.env.dockerfile(name, &mount(more, command));
        let mut asked = build(&server, &context, true);
        asked["secrets"] = value.map_or(json!({}), |value| json!({ "word": value }));
        let report = server.client(asked);
        is_fine(&report);
        assert_eq!(report["asked"]["secrets"], json!(["word"]));
    }
    let context = server.env.dockerfile("required", &mount(",required", "true"));
    let said = error(&server.client(build(&server, &context, true)));
    assert!(said.contains("the secret `word` is required"), "{said}");
}

/// An agent with one key. It ends with the handle; its socket, and the key's public half.
pub(super) fn agent(server: &Server) -> (crate::support::daemon::Daemon, String, String) {
    let (key, socket) = (server.env.path("key"), server.env.path("agent").display().to_string());
    run(tool("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", "tests", "-f"]).arg(&key)).ok();
    // It tells where it is on its standard output, and daemons are listened to on the other one.
    let mut agent = tool("sh");
    agent.args(["-c", "exec ssh-agent -D -a \"$0\" >&2", &socket]).env("HOME", server.env.path("home"));
    let (agent, ()) =
        crate::support::daemon::Daemon::start(&agent, |line| line.contains("SSH_AUTH_SOCK").then_some(()));
    run(tool("ssh-add").arg("-q").arg(&key).env("SSH_AUTH_SOCK", &socket)).ok();
    (agent, socket, fs::read_to_string(key.with_extension("pub")).unwrap())
}

#[test]
fn steps_speak_to_the_client_s_agent() {
    let server = Server::start(&[]);
    let (_agent, socket, public) = agent(&server);
    // Asks for the list of keys, and looks for the blob of the one that is in it.
    let blob = public.split(' ').nth(1).unwrap();
    let text = "ARG REGISTRY\nFROM ${REGISTRY}/debian\nARG BLOB\n\
         RUN --mount=type=ssh,required perl -MIO::Socket::UNIX -MMIME::Base64 -e \
         '$s = IO::Socket::UNIX->new(Peer => $ENV{SSH_AUTH_SOCK}) or die $!; syswrite $s, pack(\"NC\", 1, 11); \
         sysread $s, $a, 9999; exit(index($a, decode_base64($ENV{BLOB})) < 0)'\n";
    let context = server.env.dockerfile("context", text);
    let mut asked = build(&server, &context, true);
    asked["attributes"]["build-arg:BLOB"] = json!(blob);
    let said = error(&server.client(asked.clone()));
    assert!(said.contains("the SSH agent `default` is required"), "{said}");
    asked["agents"] = json!({ "default": socket });
    let report = server.client(asked);
    is_fine(&report);
    assert_eq!(report["asked"]["forwarded"], json!(["default"]), "{report:#}");
}

#[test]
fn a_tar_of_the_client_s_is_a_context() {
    let server = Server::start(&[]);
    let dir = server.env.dockerfile("packed", "FROM scratch\nCOPY file /\n");
    fs::write(dir.join("file"), "content").unwrap();
    let archive = server.env.path("context.tar.gz");
    run(tool("tar").arg("-czf").arg(&archive).arg("-C").arg(&dir).arg(".")).ok();
    fs::write(server.env.path("broken"), &fs::read(&archive).unwrap()[..100]).unwrap();
    fs::write(server.env.path("text"), "FROM scratch\nLABEL from=text\n").unwrap();
    let ask = |path: &str| {
        let mut asked = build(&server, &dir, false);
        asked["directories"] = json!({});
        asked["attributes"]["context"] = json!(format!("http://buildkit-session{path}"));
        let uploads = [("/tar", "context.tar.gz"), ("/broken", "broken"), ("/text", "text")];
        let uploads = uploads.map(|(path, name)| (path.to_owned(), json!(server.env.path(name))));
        asked["uploads"] = Value::Object(uploads.into_iter().collect());
        asked["outputs"] = json!([{ "type": "local", "to": server.env.path("dir") }]);
        server.client(asked)
    };
    let report = ask("/tar");
    is_fine(&report);
    assert_eq!(report["asked"]["uploads"], json!(["buildkit-session/tar"]));
    assert_eq!(fs::read_to_string(server.env.path("dir/file")).unwrap(), "content");
    is_fine(&ask("/text"));
    for (path, told) in
        [("/none", "no http response from session for /none"), ("/broken", "cannot read the archive")]
    {
        let said = error(&ask(path));
        assert!(said.contains(told), "{path}: {said}");
    }
}

/// The digest of the image in a layout.
fn root(layout: &Path) -> String {
    let index: Value = serde_json::from_slice(&fs::read(layout.join("index.json")).unwrap()).unwrap();
    index["manifests"][0]["digest"].as_str().unwrap().to_owned()
}

#[test]
fn images_come_from_the_client_s_layouts() {
    let server = Server::start(&[]);
    let context = server.env.dockerfile("context", "FROM base\nRUN echo made > /made\n");
    let layout = base_images().join("busybox");
    let ask = |store: &str, digest: &str, directory: &Path| {
        let mut asked = build(&server, &context, true);
        asked["attributes"]["context:base"] = json!(format!("oci-layout://{store}@{digest}"));
        asked["stores"] = json!({ "oci:mine": directory });
        asked["outputs"] = json!([{ "type": "oci", "to": server.env.path("oci") }]);
        server.client(asked)
    };
    let digest = root(&layout);
    let none = format!("sha256:{:064}", 0);
    for (store, digest, told) in [
        ("other", digest.as_str(), "no content store 'oci:other'"),
        ("mine", none.as_str(), none.as_str()),
        ("mine", "sha256:zz", "`sha256:zz` is not a digest"),
    ] {
        let said = error(&ask(store, digest, &layout));
        assert!(said.contains("context:base=oci-layout://") && said.contains(told), "{said}");
    }
    // A blob that is another than it is called.
    let damaged = server.env.path("damaged");
    run(tool("cp").arg("-r").arg(&layout).arg(&damaged)).ok();
    fs::write(damaged.join("blobs/sha256").join(digest.trim_start_matches("sha256:")), "{}").unwrap();
    assert!(error(&ask("mine", &digest, &damaged)).contains(&digest));

    let report = ask("mine", &digest, &layout);
    is_fine(&report);
    assert!(report["asked"]["read"].as_array().unwrap().contains(&json!(digest)));
    let image = Image::read(&format!("oci-archive:{}", server.env.path("oci").display()));
    assert!(image.tree.contains_key("made"), "{:?}", image.tree.keys());
}

#[test]
fn a_cache_in_a_directory_of_the_client_s_goes_and_comes() {
    let text = "ARG REGISTRY\nFROM ${REGISTRY}/busybox\nRUN echo made > /made\n";
    let (first, second) = (Server::start(&[]), Server::start(&[]));
    let cache = first.env.path("cache");
    let name = format!("local:{}", cache.display());
    let ask = |server: &Server, caches: Value, stores: Value| {
        let context = server.env.dockerfile("context", text);
        let mut asked = build(server, &context, false);
        (asked["caches"], asked["stores"]) = (caches, stores);
        server.client(asked)
    };
    let exports = json!({ "exports": [{ "type": "local", "attrs": { "dest": cache, "mode": "max" } }] });
    let refused = ask(&first, exports.clone(), json!({}));
    assert!(error(&refused).contains(&format!("no content store '{name}'")), "{refused:#}");
    let written = ask(&first, exports, json!({ name.as_str(): cache }));
    is_fine(&written);
    let manifest: Value =
        serde_json::from_str(written["response"]["cache.manifest"].as_str().unwrap()).unwrap();
    let digest = manifest["digest"].as_str().unwrap();
    assert!(written["asked"]["written"].as_array().unwrap().contains(&json!(digest)), "{written:#}");

    let imports = |digest: &str| json!({ "imports": [{ "type": "local", "attrs": { "src": cache, "digest": digest } }] });
    let none = format!("sha256:{:064}", 0);
    let without = ask(&second, imports(&none), json!({ name.as_str(): cache }));
    is_fine(&without);
    assert!(
        without["warnings"].to_string().contains(&none),
        "a cache that cannot be had is a warning: {without:#}"
    );
    assert_eq!(steps(&without, false).len(), 1);
    let third = Server::start(&[]);
    let with = ask(&third, imports(digest), json!({ name.as_str(): cache }));
    is_fine(&with);
    assert_eq!((steps(&with, false).len(), steps(&with, true).len()), (0, 1), "{with:#}");
}

#[test]
fn outputs_that_the_client_does_not_take_are_told() {
    let server = Server::start(&[]);
    let context = server.env.dockerfile("context", "FROM scratch\nCOPY Dockerfile /\n");
    for kind in ["oci", "docker", "tar", "local"] {
        let mut asked = build(&server, &context, true);
        asked["outputs"] = json!([{ "type": kind }]);
        let said = error(&server.client(asked));
        assert!(
            said.ends_with("the client does not take the output: output 0 is not taken"),
            "{kind}: {said}"
        );
        let mut asked = build(&server, &context, true);
        let path = server.env.path(&if kind == "local" { "dir".to_owned() } else { format!("made-{kind}") });
        asked["outputs"] = json!([{ "type": kind, "to": path, "attrs": { "name": "example.com/made:1" } }]);
        is_fine(&server.client(asked));
        match kind {
            "local" => assert!(path.join("Dockerfile").exists()),
            "tar" => assert_eq!(run(tool("tar").arg("-tf").arg(&path)).ok(), "Dockerfile\n"),
            kind => {
                let image = Image::read(&format!("{kind}-archive:{}", path.display()));
                assert_eq!(image.tree.keys().collect::<Vec<_>>(), ["Dockerfile"], "{kind}");
            }
        }
    }
}

#[test]
fn a_client_that_dies_while_it_sends_leaves_nothing() {
    let server = Server::start(&["--debug"]);
    let context = server.env.dockerfile("context", "FROM scratch\nCOPY . /\n");
    for number in 0..50 {
        fs::write(context.join(format!("file{number:02}")), vec![0; 100_000]).unwrap();
    }
    // In the list, at its end, between files, and within one.
    for packets in [0, 20, 51, 60, 61] {
        let mut asked = build(&server, &context, packets % 2 == 0);
        asked["dies_after"] = json!(packets);
        let output = server.begin(asked).wait_with_output().unwrap();
        assert!(output.status.success() && output.stdout.is_empty(), "it should have died");
    }
    let mut asked = build(&server, &context, true);
    asked["outputs"] = json!([{ "type": "local", "to": server.env.path("dir") }]);
    is_fine(&server.client(asked));
    assert_eq!(fs::read_dir(server.env.path("dir")).unwrap().count(), 51);
    let below = |path: PathBuf| fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    let own = below(server.env.root().join("contexts"));
    let own: Vec<PathBuf> =
        own.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("own-")).collect();
    assert_eq!(own.len(), 1, "the output in a directory was made in the daemon's own: {own:?}");
    let kept: Vec<PathBuf> = own.into_iter().flat_map(below).collect();
    assert!(kept.iter().all(|path| path.to_string_lossy().contains("/gone-")), "{kept:?}");
    let root = server.env.root().to_owned();
    let Server { env, daemon, .. } = server;
    drop(daemon);
    assert_eq!(leftovers::processes(&root, "nobody's"), [""; 0]);
    assert_eq!(leftovers::mounts(env.path("").as_path()), [""; 0]);
}

#[test]
fn fifty_builds_from_separate_sessions_execute_a_step_once() {
    let server = Server::start(&[]);
    let beacon = Beacon::start();
    let text = "ARG REGISTRY\nFROM ${REGISTRY}/busybox\nARG BEACON\nCOPY file /\n\
                RUN wget -q -O /got http://$BEACON/once && wget -q -O /got http://$BEACON/hold/once\n";
    let context = server.env.dockerfile("context", text);
    fs::write(context.join("file"), "content").unwrap();
    let mut asked = build(&server, &context, false);
    asked["attributes"]["build-arg:BEACON"] = json!(beacon.address());
    asked["at_once"] = json!(50);
    let clients = server.begin(asked);
    beacon.wait_for(2);
    beacon.release();
    let reports = report(clients);
    let reports = reports.as_array().unwrap();
    assert_eq!(reports.len(), 50);
    let mut executed = 0;
    for report in reports {
        is_fine(report);
        executed += steps(report, false).iter().filter(|name| name.contains("RUN")).count();
    }
    assert_eq!(beacon.requests(), ["/once", "/hold/once"]);
    assert!(executed >= 1);
}
