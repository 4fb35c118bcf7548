//! kiln as a daemon, seen from the other end of the wire: builds, outputs, secrets, entitlements, and clients that go.

mod client;
mod outputs;
mod repositories;
mod sessions;

use std::fs;
use std::thread;

use serde_json::{Value, json};

use self::client::{Server, report};
use crate::support::beacon::Beacon;
use crate::support::environment::TestEnvironment;
use crate::support::image::Image;
use crate::support::leftovers;
use crate::support::tool::{run, tool};

/// A build of that context, as both kinds of client ask for it.
fn build(server: &Server, context: &std::path::Path, is_driven: bool) -> Value {
    json!({
        "driven": is_driven,
        "attributes": { "build-arg:REGISTRY": server.env.registry.host() },
        "directories": { "context": context, "dockerfile": context },
        "shared_key": "tests",
    })
}

/// Names of the steps that were executed, and of those that the cache answered.
fn steps(report: &Value, cached: bool) -> Vec<String> {
    let vertexes = report["vertexes"].as_object().unwrap().values();
    let mut names: Vec<String> = vertexes
        .filter(|vertex| vertex["cached"] == cached)
        .map(|vertex| vertex["name"].as_str().unwrap().to_owned())
        .filter(|name| name.contains("RUN") || name.contains("COPY"))
        .collect();
    names.sort();
    names
}

#[test]
fn a_dockerfile_is_built_and_sent_back_in_every_form() {
    let server = Server::start(&[]);
    let text = "ARG REGISTRY\nFROM ${REGISTRY}/busybox\nCOPY sub /sub\n\
                RUN --mount=type=secret,id=token,required=true cat /run/secrets/token /sub/a > /made && cat /made\n";
    let context = server.env.dockerfile("context", text);
    fs::create_dir(context.join("sub")).unwrap();
    fs::write(context.join("sub/a"), "content\n").unwrap();
    std::os::unix::fs::symlink("a", context.join("sub/link")).unwrap();
    fs::write(context.join("unused"), "never sent\n").unwrap();

    for is_driven in [true, false] {
        let form = |name: &str| server.env.path(&format!("{name}-{is_driven}"));
        let mut asked = build(&server, &context, is_driven);
        asked["secrets"] = json!({ "token": "secret " });
        asked["outputs"] = json!([
            { "type": "oci", "attrs": { "name": "example.com/made:1" }, "to": form("oci") },
            { "type": "local", "to": form("dir") },
            { "type": "tar", "to": form("tar") },
        ]);
        let report = server.client(asked);
        assert_eq!(report["error"], Value::Null, "{report:#}");
        let executed = steps(&report, false);
        assert_eq!((executed.len(), steps(&report, true).len()), if is_driven { (2, 0) } else { (0, 2) });
        assert!(report["vertexes"].as_object().unwrap().values().all(|vertex| vertex["completed"] == true));
        if is_driven {
            assert!(report["logs"].as_str().unwrap().contains("secret content"), "{report:#}");
        }
        let sent = report["sent"]["context"].as_array().unwrap();
        let expected = if is_driven { json!(["sub/a"]) } else { json!([]) };
        assert_eq!(json!(sent), expected, "only what is read is sent, and only once");

        let made = fs::read_to_string(form("dir").join("made")).unwrap();
        assert_eq!(made, "secret content\n");
        assert_eq!(fs::read_link(form("dir").join("sub/link")).unwrap().to_str(), Some("a"));
        let listed = run(tool("tar").arg("-tf").arg(form("tar"))).ok();
        assert!(listed.lines().any(|line| line == "made"), "{listed}");
        let image = Image::read(&format!("oci-archive:{}", form("oci").display()));
        assert!(image.tree.contains_key("made") && image.tree.contains_key("sub/a"));
        let response = &report["response"];
        for key in ["containerimage.digest", "containerimage.config.digest"] {
            assert!(response[key].as_str().unwrap().starts_with("sha256:"), "{response:#}");
        }
    }
}

#[test]
fn a_client_is_told_what_is_wrong() {
    let server = Server::start(&[]);
    let failing =
        server.env.dockerfile("failing", "ARG REGISTRY\nFROM ${REGISTRY}/busybox\nRUN echo out; exit 7\n");
    let report = server.client(build(&server, &failing, false));
    assert!(report["error"].as_str().unwrap().contains('7'), "{report:#}");
    assert!(report["logs"].as_str().unwrap().contains("out"), "{report:#}");

    let wrong = server.env.dockerfile("wrong", "FROM scratch\nPOTATO x\n");
    let report = server.client(build(&server, &wrong, true));
    assert!(report["error"].as_str().unwrap().contains("POTATO"), "{report:#}");

    let mut nowhere = build(&server, &wrong, true);
    nowhere["directories"] = json!({});
    let report = server.client(nowhere);
    assert!(report["error"].as_str().unwrap().contains("dockerfile"), "{report:#}");
}

#[test]
fn only_allowed_entitlements_are_granted() {
    let env = TestEnvironment::new();
    fs::write(env.path("buildkitd.toml"), "insecure-entitlements = [\"network.host\"]\n").unwrap();
    let config = env.path("buildkitd.toml").display().to_string();
    let server = Server::start_in(env, &["--config", &config, "--containerd-worker=false", "--rootless"]);
    let context = server.env.dockerfile("context", "FROM scratch\nCOPY Dockerfile /\n");
    for (asked, refused) in [
        ("network.host", None),
        (
            "security.insecure",
            Some("granting entitlement security.insecure is not allowed by build daemon configuration"),
        ),
        ("potato", Some("unknown entitlement potato")),
    ] {
        let mut request = build(&server, &context, false);
        request["entitlements"] = json!([asked]);
        let report = server.client(request);
        assert_eq!(report["error"].as_str(), refused, "{report:#}");
    }
}

#[test]
fn a_step_ends_when_its_client_goes() {
    let server = Server::start(&["--debug"]);
    let beacon = Beacon::start();
    let marker = server.env.root().display().to_string().replace('/', "-");
    let text = "ARG REGISTRY\nFROM ${REGISTRY}/busybox\nARG BEACON MARKER\n\
                RUN trap '' TERM INT HUP; wget -q -O /held http://$BEACON/hold/step\n";
    let context = server.env.dockerfile("context", text);
    for is_driven in [true, false] {
        let mut asked = build(&server, &context, is_driven);
        asked["attributes"]["build-arg:BEACON"] = json!(beacon.address());
        asked["attributes"]["build-arg:MARKER"] = json!(marker);
        let mut client = server.begin(asked);
        beacon.wait_for(if is_driven { 1 } else { 2 });
        client.kill().unwrap();
        client.wait().unwrap();
        assert_eq!(leftovers::processes(&server.env.path("nobody's"), &marker), [""; 0]);
    }
    let good = server.env.dockerfile("good", "ARG REGISTRY\nFROM ${REGISTRY}/busybox\nRUN true\n");
    let report = server.client(build(&server, &good, true));
    assert_eq!(report["error"], Value::Null, "{report:#}");
}

#[test]
fn clients_at_once_share_work() {
    let server = Server::start(&[]);
    let beacon = Beacon::start();
    let text = "ARG REGISTRY\nFROM ${REGISTRY}/busybox\nARG BEACON\n\
                RUN wget -q -O /held http://$BEACON/hold/step\nRUN wget -q -O /after http://$BEACON/after\n";
    let context = server.env.dockerfile("context", text);
    let ask = |is_driven| {
        let mut asked = build(&server, &context, is_driven);
        asked["attributes"]["build-arg:BEACON"] = json!(beacon.address());
        asked
    };
    let reports: Vec<Value> = thread::scope(|scope| {
        let first = server.begin(ask(true));
        beacon.wait_for(1);
        let others: Vec<_> = (0..5).map(|number| server.begin(ask(number % 2 == 0))).collect();
        beacon.release();
        let all: Vec<_> =
            std::iter::once(first).chain(others).map(|child| scope.spawn(|| report(child))).collect();
        all.into_iter().map(|report| report.join().unwrap()).collect()
    });
    for report in &reports {
        assert_eq!(report["error"], Value::Null, "{report:#}");
    }
    assert_eq!(beacon.requests(), ["/hold/step", "/after"], "each step is executed once");
}

#[test]
fn what_the_store_holds_is_told_and_pruned() {
    let server = Server::start(&[
        "--oci-worker-labels=where=here",
        "--oci-worker-platform=linux/amd64",
        "--oci-worker-platform=linux/arm64",
    ]);
    let context =
        server.env.dockerfile("context", "ARG REGISTRY\nFROM ${REGISTRY}/busybox\nRUN echo made > /made\n");
    let built = server.client(build(&server, &context, false));
    assert_eq!(built["error"], Value::Null, "{built:#}");
    let worker = server.client(json!({ "question": "workers" }))["answer"]["record"][0].clone();
    assert_eq!(worker["Labels"]["where"], "here", "{worker:#}");
    assert_eq!(worker["platforms"].as_array().unwrap().len(), 2, "{worker:#}");
    let kinds = || -> Vec<String> {
        let usage = server.client(json!({ "question": "usage" }));
        let records = usage["answer"]["record"].as_array().unwrap().clone();
        records.iter().map(|record| record["RecordType"].as_str().unwrap().to_owned()).collect()
    };
    assert!(kinds().iter().any(|kind| kind == "regular"));
    let went = server.client(json!({ "question": "prune" }));
    assert!(!went["answer"].as_array().unwrap().is_empty(), "{went:#}");
    assert!(!kinds().iter().any(|kind| kind == "regular"), "{:?}", kinds());
}

#[test]
fn a_stop_lets_builds_end_and_takes_the_socket_away() {
    let server = Server::start(&[]);
    let beacon = Beacon::start();
    let text =
        "ARG REGISTRY\nFROM ${REGISTRY}/busybox\nARG BEACON\nRUN wget -q -O /held http://$BEACON/hold/step\n";
    let context = server.env.dockerfile("context", text);
    let mut asked = build(&server, &context, true);
    asked["attributes"]["build-arg:BEACON"] = json!(beacon.address());
    asked["outputs"] = json!([{ "type": "oci", "to": server.env.path("oci") }]);
    let client = server.begin(asked);
    beacon.wait_for(1);
    let Server { env, daemon, .. } = server;
    let socket = env.path("b.sock");
    thread::scope(|scope| {
        // Dropping the handle asks for the end and waits for it.
        let stopped = scope.spawn(move || drop(daemon));
        beacon.release();
        let report = report(client);
        assert_eq!(report["error"], Value::Null, "{report:#}");
        stopped.join().unwrap();
    });
    assert!(env.path("oci").exists() && !socket.exists());
}
