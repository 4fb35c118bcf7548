//! Predicates of a small build, in both versions, and what is asked of them.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use kiln_graph::op::{
    CopyAction, CopySource, Exec, ExecMount, ExecRules, FileAction, FileOp, Network, Op, Security, Source,
};
use kiln_graph::plan::Plan;
use kiln_graph::{Display, Graph, Location, Vertex, VertexId};
use serde_json::{Value, json};

use super::*;
use crate::base::Bases;

fn vertex(graph: &mut Graph, op: Op, inputs: &[VertexId], line: u32) -> VertexId {
    let location = (line > 0).then_some(Location { range: 0..1, line, end_line: line });
    let display = Display { location, ..Display::default() };
    graph.add(Vertex { op, inputs: inputs.to_vec(), no_cache: false, display }).unwrap()
}

/// FROM an image, COPY from the context, RUN with a secret.
fn capture() -> Capture {
    let mut graph = Graph::new();
    let digest = Some(format!("sha256:{}", "1".repeat(64)));
    let image = Source::Image { reference: "alpine".into(), platform: "linux/amd64".into(), digest };
    let base = vertex(&mut graph, Op::Source(image), &[], 1);
    let context = Source::Context { name: Source::MAIN_CONTEXT.into(), ignore: Vec::new() };
    let context = vertex(&mut graph, Op::Source(context), &[], 0);
    let copy = CopyAction {
        input: Some(1),
        sources: vec![CopySource::Path("f".into())],
        destination: "/f".into(),
        owner: None,
        mode: None,
        excludes: Vec::new(),
        unpack: false,
        directories_themselves: false,
    };
    let copy = FileOp { actions: vec![FileAction::Copy(copy)], link: false };
    let copied = vertex(&mut graph, Op::File(copy), &[base, context], 2);
    let secret = ExecMount::Secret {
        id: "token".into(),
        target: Some("/run/secrets/token".into()),
        env: None,
        access: kiln_graph::op::Access { mode: 0o400, uid: 0, gid: 0 },
        required: false,
    };
    let exec = Exec {
        args: vec!["make".into()],
        env: vec![("A".into(), "b".into())],
        proxies: vec![("HTTP_PROXY".into(), "http://user:hidden@proxy".into())],
        platform: "linux/amd64".into(),
        cwd: "/".into(),
        user: String::new(),
        mounts: vec![secret],
        network: Network::None,
        security: Security::Sandbox,
        devices: Vec::new(),
        hostname: None,
        rules: ExecRules::default(),
    };
    let target = vertex(&mut graph, Op::Exec(exec), &[copied], 3);
    let config = kiln_graph::image::ImageConfig::default();
    let plan = Plan { graph, target, config, platform: "linux/amd64".into() };
    let bases = Bases::default();
    bases.fetched(Material::of_commit("https://xxxxx:xxxxx@host/repo.git#main".into(), &"2".repeat(40)));
    Capture::of(&plan, &bases)
}

fn invocation() -> Invocation {
    let args = [
        ("build-arg:WHO", "moon"),
        ("label:a", "b"),
        ("filename", "Dockerfile"),
        ("platform", "linux/amd64"),
        ("attest:provenance", "mode=max"),
        ("context", "https://user:hidden@host/repo.git#main"),
        ("vcs:revision", "abc"),
    ];
    Invocation {
        id: "build-1".into(),
        frontend: "dockerfile.v0".into(),
        args: args.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        root: Some(BTreeMap::new()),
        config: Some(ConfigFile { filename: "Dockerfile".into(), text: "FROM alpine\n".into() }),
        started: "2026-01-01T00:00:00Z".parse().unwrap(),
        finished: "2026-01-01T00:00:01Z".parse().unwrap(),
        platform: "linux/amd64".into(),
        dockerfile_version: "1.26.0".into(),
    }
}

fn predicate(text: &str) -> (&'static str, Value) {
    let options = ProvenanceOptions::read(text.split(',')).unwrap();
    capture().predicate(&options, &invocation()).unwrap()
}

#[test]
fn everything_is_told_in_version_1() {
    let (kind, predicate) = predicate("mode=max,builder-id=https://ci,reproducible=true");
    assert_eq!(kind, "https://slsa.dev/provenance/v1");
    let definition = &predicate["buildDefinition"];
    assert_eq!(
        definition["resolvedDependencies"],
        json!([
            {
                "uri": "pkg:docker/alpine@latest?platform=linux%2Famd64",
                "digest": { "sha256": "1".repeat(64) },
            },
            { "uri": "https://xxxxx:xxxxx@host/repo.git#main", "digest": { "sha1": "2".repeat(40) } },
        ])
    );
    let external = &definition["externalParameters"];
    assert_eq!(
        external["configSource"],
        json!({
            "uri": "https://xxxxx:xxxxx@host/repo.git#main",
            "digest": { "sha1": "2".repeat(40) },
            "path": "Dockerfile",
        })
    );
    assert_eq!(
        external["request"],
        json!({
            "frontend": "dockerfile.v0",
            "args": { "build-arg:WHO": "moon", "label:a": "b" },
            "locals": [{ "name": "context" }],
            "secrets": [{ "id": "token", "optional": true }],
            "root": { "configSource": {}, "request": {} },
        })
    );
    let steps = definition["internalParameters"]["buildConfig"]["llbDefinition"].as_array().unwrap();
    assert_eq!(steps.len(), 5);
    assert_eq!(steps[2]["inputs"], json!(["step0:0", "step1:0"]));
    assert_eq!(steps[3]["op"]["Op"]["exec"]["meta"]["env"], json!(["A=b"]));
    assert_eq!(steps[4], json!({ "id": "step4", "op": { "Op": {} }, "inputs": ["step3:0"] }));
    let run = &predicate["runDetails"];
    assert_eq!(run["builder"]["id"], "https://ci");
    assert_eq!(run["metadata"]["startedOn"], "2026-01-01T00:00:00Z");
    assert_eq!(run["metadata"]["buildkit_reproducible"], true);
    assert_eq!(
        run["metadata"]["buildkit_completeness"],
        json!({ "request": true, "resolvedDependencies": false })
    );
    let metadata = &run["metadata"]["buildkit_metadata"];
    assert_eq!(metadata["vcs"], json!({ "revision": "abc" }));
    assert_eq!(metadata["source"]["infos"][0]["data"], "RlJPTSBhbHBpbmUK");
    assert_eq!(metadata["source"]["locations"]["step3"]["locations"][0]["ranges"][0]["start"]["line"], 3);
    assert!(!predicate.to_string().contains("hidden"), "{predicate:#}");
}

#[test]
fn little_is_told_where_that_is_asked() {
    for version in ["v1", "v0.2"] {
        let (_, predicate) = predicate(&format!("mode=min,version={version}"));
        let text = predicate.to_string();
        for told in ["moon", "token", "make", "RlJPTSBhbHBpbmUK"] {
            assert!(!text.contains(told), "{told} in {predicate:#}");
        }
        assert!(text.contains("pkg:docker/alpine@latest"));
    }
}

#[test]
fn version_0_2_says_the_same_in_its_own_words() {
    let (kind, predicate) = predicate("mode=max,version=v0.2");
    assert_eq!(kind, "https://slsa.dev/provenance/v0.2");
    assert_eq!(predicate["buildType"], "https://mobyproject.org/buildkit@v1");
    assert_eq!(predicate["invocation"]["configSource"]["entryPoint"], "Dockerfile");
    assert_eq!(predicate["materials"].as_array().unwrap().len(), 2);
    assert_eq!(predicate["metadata"]["buildInvocationID"], "build-1");
    assert_eq!(
        predicate["metadata"]["completeness"],
        json!({ "parameters": true, "environment": true, "materials": false })
    );
    assert_eq!(predicate["invocation"]["environment"]["dockerfileVersion"], "1.26.0");
}

#[test]
fn the_lowest_layers_are_the_base_s() {
    assert_eq!(capture().base_layers(), 0, "a base that nobody knows has none");
}

#[test]
fn parts_of_a_build_are_merged() {
    let mut merged = capture();
    merged.merge(&capture().with_local("dockerfile"));
    assert_eq!(merged.locals, ["context", "dockerfile"]);
    assert_eq!(merged.images.len(), 1);
}

#[test]
fn what_cannot_be_had_is_told() {
    let read = |text: &str| ProvenanceOptions::read(text.split(',')).unwrap_err().to_string();
    assert_eq!(read("mode=most"), "provenance: mode=most: min or max is meant");
    assert_eq!(read("version=v2"), "provenance: version=v2: v0.2 or v1 is meant");
    assert!(read("inline-only=perhaps").contains("true or false"));
    assert_eq!(read("capture-usage=true"), "provenance: `capture-usage=true` is not supported");
    assert_eq!(read("colour=red"), "provenance: `colour` is not supported");
    assert!(read("filename=a/b").contains("the name of a file"));
    let options = ProvenanceOptions::read(["complete-materials=true"]).unwrap();
    let error = capture().predicate(&options, &invocation()).unwrap_err();
    assert_eq!(error.to_string(), "provenance materials are incomplete: the build reads context");
}
