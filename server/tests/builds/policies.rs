//! Policies: what they keep out is not fetched, and what they put in the place of a source is what is built, cached and stated.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use kiln_registry::testing::{Page, TestImage, TestRegistry, WebServer};
use kiln_server::api::control::SolveRequest;
use kiln_server::api::control::sourcepolicy::policysession::check_policy_response::Result as Said;
use kiln_server::api::control::sourcepolicy::policysession::{DecisionResponse, DenyMessage};
use kiln_server::api::control::sourcepolicy::{
    AttrConstraint, AttrMatch, MatchType, Policy, PolicyAction, Rule, Selector, Update,
};
use kiln_server::api::gateway::llb_bridge_client::LlbBridgeClient;
use kiln_server::api::gateway::result::Result as Refs;
use kiln_server::api::gateway::{
    Ref, ResolveImageConfigRequest, ResolveSourceMetaRequest, ReturnRequest, SolveRequest as SolveMessage,
};
use kiln_server::api::pb;
use prost::Message as _;
use tempfile::TempDir;
use tonic::{Request, Status};

use crate::client::{Daemon, Done, Offer, context, directory, output, write};
use crate::graph::{Edge, Graph};
use crate::services::Verifier;

/// A daemon, and two images and two files that builds are made of.
struct World {
    daemon: Daemon,
    registry: TestRegistry,
    web: WebServer,
    dir: TempDir,
    offer: Offer,
}

fn image(text: &str) -> TestImage {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(text.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, "which", text.as_bytes()).unwrap();
    TestImage::new("linux/amd64", &[&tar.into_inner().unwrap()])
}

impl World {
    async fn new() -> Self {
        let (registry, web) = (TestRegistry::start().await, WebServer::start());
        for name in ["a", "b"] {
            registry.put_image("img", name, &image(name));
            web.serve(&format!("/{name}"), [Page::new(format!("file {name}"))]);
        }
        let dir = directory(&[]);
        let offer = Offer { takes_directory: true, ..context(dir.path()) };
        Self { daemon: Daemon::start().await, registry, web, dir, offer }
    }

    /// The identifier of an image.
    fn image(&self, tag: &str) -> String {
        format!("docker-image://{}/img:{tag}", self.registry.host())
    }

    /// The digest of an image.
    fn digest(&self, tag: &str) -> String {
        kiln_cache::digest_of(&self.registry.manifest("img", tag).unwrap().1).to_string()
    }

    async fn dockerfile(&self, rules: Vec<Rule>, text: &str) -> Done {
        self.dockerfile_with(rules, text, &[]).await
    }

    async fn dockerfile_with(&self, rules: Vec<Rule>, text: &str, attributes: &[(&str, &str)]) -> Done {
        let text = text.replace("$R", &self.registry.host()).replace("$W", &self.web.url(""));
        write(self.dir.path(), "Dockerfile", &text);
        let attributes = attributes.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let request = SolveRequest {
            frontend: "dockerfile.v0".to_owned(),
            frontend_attrs: attributes.collect(),
            ..request(rules)
        };
        self.daemon.solve(&self.offer, request).await
    }

    async fn graph(&self, rules: Vec<Rule>, graph: &Graph, result: &Edge) -> Done {
        let definition = Some(graph.definition(result));
        self.daemon.solve(&self.offer, SolveRequest { definition, ..request(rules) }).await
    }
}

fn request(rules: Vec<Rule>) -> SolveRequest {
    SolveRequest {
        source_policy: Some(Policy { version: 1, rules }),
        exporters: vec![output("local", &[])],
        ..SolveRequest::default()
    }
}

fn rule(action: PolicyAction, identifier: &str) -> Rule {
    let selector = Selector { identifier: identifier.to_owned(), ..Selector::default() };
    Rule { action: action.into(), selector: Some(selector), updates: None }
}

fn allow(identifier: &str) -> Rule {
    rule(PolicyAction::Allow, identifier)
}

fn deny(identifier: &str) -> Rule {
    rule(PolicyAction::Deny, identifier)
}

fn convert(from: &str, to: &str, attrs: &[(&str, &str)]) -> Rule {
    let attrs = attrs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let updates = Some(Update { identifier: to.to_owned(), attrs });
    Rule { updates, ..rule(PolicyAction::Convert, from) }
}

/// The files of a build, or why there are none.
fn came(done: Done) -> Result<BTreeMap<String, String>, String> {
    done.answer.map_err(|status| status.message().to_owned())?;
    let text = |(path, bytes): (String, Vec<u8>)| (path, String::from_utf8_lossy(&bytes).into_owned());
    Ok(done.taken.files.into_iter().map(text).collect())
}

#[allow(clippy::unnecessary_wraps, reason = "what came is compared with it")]
fn files(files: &[(&str, &str)]) -> Result<BTreeMap<String, String>, String> {
    Ok(files.iter().map(|&(path, text)| (path.to_owned(), text.to_owned())).collect())
}

const FROM: &str = "FROM $R/img:a\n";
const ADD: &str = "FROM scratch\nADD $W/a /\n";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_denied_is_not_fetched() {
    let world = World::new().await;
    let (image, url) = (world.image("a"), world.web.url("/a"));
    let remote = [("context", url.as_str())];
    let local = [("context:x", "local:context")];
    let named = format!("docker-image://{}/img:a", world.registry.host());
    let named = [("context:x", named.as_str())];
    let zeros = "0".repeat(64);
    let layout = format!("oci-layout://store:1@sha256:{zeros}");
    let layout = [("context:x", layout.as_str())];
    let of_layout = format!("oci-layout://docker.io/library/x@sha256:{zeros}");
    let unused = [("context:x", "local:elsewhere")];
    for (rules, text, attributes, source) in [
        // Contexts that are denied are not read, used or not.
        (vec![deny("oci-layout://*")], "FROM scratch\n", &layout[..], of_layout.as_str()),
        (vec![deny("local://else*")], "FROM scratch\n", &unused, "local://elsewhere"),
        (vec![deny(&image)], FROM, &[][..], image.as_str()),
        (vec![allow(&image), deny("docker-image://*")], FROM, &[], &image),
        (vec![deny("*"), allow("local://*")], FROM, &[], &image),
        (vec![deny(&image)], "FROM scratch\nCOPY --from=$R/img:a which /\n", &[], &image),
        (vec![deny(&image)], "FROM x\n", &named, &image),
        (vec![deny(&image)], FROM, &[("requestid", "frontend.lint")], &image),
        (vec![deny("http://*")], ADD, &[], &url),
        (vec![deny("http://*")], "FROM scratch\nCOPY . /\n", &remote, &url),
        (vec![deny("git://*")], "FROM scratch\nADD git://h.invalid/a.git /\n", &[], "git://h.invalid/a.git"),
        (
            vec![deny("git://h.invalid/a.git")],
            "FROM scratch\nADD https://h.invalid/%61.git /\n",
            &[],
            "git://h.invalid/a.git",
        ),
        (
            vec![deny("git://h.invalid/*")],
            "FROM scratch\nADD deploy@h.invalid:a.git /\n",
            &[],
            "git://h.invalid/a.git",
        ),
        (vec![deny("local://dockerfile")], "FROM scratch\n", &[], "local://dockerfile"),
        (vec![deny("local://context")], "FROM scratch\nCOPY . /\n", &[], "local://context"),
        (vec![deny("local://context")], "FROM scratch\nCOPY --from=x . /\n", &local, "local://context"),
    ] {
        let said = came(world.dockerfile_with(rules, text, attributes).await).unwrap_err();
        assert!(said.contains(&format!("source {source:?} denied by policy: rule ")), "{text}{said}");
    }
    for text in [FROM, "FROM scratch\nADD $W/a /\n"] {
        let status = world.dockerfile(vec![deny("*"), allow("local://*")], text).await.answer.unwrap_err();
        let details = String::from_utf8_lossy(status.details()).into_owned();
        let line = text.lines().count();
        assert!(details.contains(&format!("\"line\":{line}")), "{text}{details}");
    }
    assert_eq!(world.registry.requests(), Vec::<String>::new());
    assert_eq!(world.web.seen(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_for_a_tag_do_not_speak_for_its_digest() {
    let world = World::new().await;
    let image = world.image("a");
    let pinned = format!("{image}@{}", world.digest("a"));
    let strict = || vec![deny("*"), allow("local://*"), allow(&image)];
    let said = came(world.dockerfile(strict(), FROM).await).unwrap_err();
    assert!(said.contains(&format!("{pinned:?} denied by policy: rule 1 (DENY *)")), "{said}");
    let both = [strict(), vec![allow(&pinned)]].concat();
    assert_eq!(came(world.dockerfile(both, FROM).await), files(&[("which", "a")]));
    let said = came(world.dockerfile(vec![deny(&format!("{image}@*"))], FROM).await).unwrap_err();
    assert!(said.contains("denied by policy"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_put_in_a_source_s_place_is_what_is_built_and_cached() {
    let world = World::new().await;
    let (a, b, file_a, file_b) =
        (world.image("a"), world.image("b"), world.web.url("/a"), world.web.url("/b"));
    let digest = world.digest("b");
    let text = "FROM $R/img:a\nCOPY --from=$R/img:a which /copied\nADD $W/a /\n";
    let plain = || files(&[("which", "a"), ("copied", "a"), ("a", "file a")]);
    let other = || files(&[("which", "b"), ("copied", "b"), ("a", "file a")]);
    let regex = |mut rule: Rule| {
        rule.selector.as_mut().unwrap().match_type = MatchType::Regex.into();
        rule
    };
    for (rules, expected) in [
        (vec![], plain()),
        (vec![convert(&a, &b, &[])], other()),
        (vec![], plain()),
        (vec![convert(&a, &format!("{a}@{digest}"), &[])], other()),
        (vec![convert("docker-image://*/img:*", "docker-image://${1}/img:b", &[])], other()),
        (vec![regex(convert("^(.*)/img:a$", "${1}/img:b", &[]))], other()),
        (vec![convert(&format!("{a}@*"), &b, &[])], other()),
        (vec![deny(&a), convert(&a, &b, &[])], other()),
        (vec![convert(&file_a, &file_b, &[])], files(&[("which", "a"), ("copied", "a"), ("a", "file b")])),
        (vec![], plain()),
    ] {
        let shown = format!("{rules:?}");
        assert_eq!(came(world.dockerfile(rules, text).await), expected, "{shown}");
    }
    let denied = vec![convert(&a, &b, &[]), deny(&format!("{b}*"))];
    let said = came(world.dockerfile(denied, text).await).unwrap_err();
    assert!(said.contains(&format!("source {b:?} denied by policy")), "{said}");
    let endless = vec![convert(&a, &b, &[]), convert(&b, &a, &[])];
    let said = came(world.dockerfile(endless, text).await).unwrap_err();
    assert!(said.contains("again and again"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn attributes_are_set_and_looked_at() {
    let world = World::new().await;
    let url = world.web.url("/a");
    let sums = ["file a", "file b"].map(|text| kiln_cache::digest_of(text.as_bytes()).to_string());
    let checked = |sum: &str| vec![convert(&url, "", &[("http.checksum", sum)])];
    assert_eq!(came(world.dockerfile(checked(&sums[0]), ADD).await), files(&[("a", "file a")]));
    // It has been downloaded, and is the wrong one all the same.
    let said = came(world.dockerfile(checked(&sums[1]), ADD).await).unwrap_err();
    assert!(said.contains("checksum"), "{said}");
    let unchecked = |condition: AttrMatch, value: &str| {
        let mut rule = deny("http://*");
        let constraint = AttrConstraint {
            key: "http.checksum".to_owned(),
            value: value.to_owned(),
            condition: condition.into(),
        };
        rule.selector.as_mut().unwrap().constraints.push(constraint);
        rule
    };
    let none = || unchecked(AttrMatch::Equal, "");
    assert!(came(world.dockerfile(vec![none()], ADD).await).unwrap_err().contains("denied by policy"));
    let with_sum = ADD.replace("ADD", &format!("ADD --checksum={}", sums[0]));
    assert!(came(world.dockerfile(vec![none()], &with_sum).await).is_ok());
    assert!(came(world.dockerfile([checked(&sums[0]), vec![none()]].concat(), ADD).await).is_ok());
    let other = unchecked(AttrMatch::Notequal, &sums[0]);
    assert!(came(world.dockerfile(vec![other], &with_sum).await).is_ok());
    let any = unchecked(AttrMatch::Matches, "^sha256:");
    assert!(came(world.dockerfile(vec![any], &with_sum).await).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_is_named() {
    let world = World::new().await;
    let (image, url) = (world.image("a"), world.web.url("/a"));
    let git = "git://h.invalid/a.git";
    let constraint = AttrConstraint { key: "local.unique".to_owned(), ..AttrConstraint::default() };
    let mut on_local = deny("nothing");
    on_local.selector.as_mut().unwrap().constraints.push(constraint);
    for (rules, text, expected) in [
        (vec![convert(&image, &url, &[])], FROM, "in its place, which is not done"),
        (vec![convert(&url, &image, &[])], ADD, "in its place, which is not done"),
        (vec![convert("local://context", "local://x", &[])], FROM, "puts \"local://x\" in its place"),
        (vec![convert("local://context", "", &[("local.a", "1")])], FROM, "sets local.a"),
        (vec![convert(&image, "", &[("image.unknown", "1")])], FROM, "image.unknown"),
        (vec![convert(&image, "", &[("image.resolvemode", "pull")])], FROM, "sets image.resolvemode"),
        (vec![convert(&url, "", &[("http.perm", "0777")])], ADD, "mode and owner"),
        (vec![convert(&url, "", &[("http.filename", "x")])], ADD, "the policy sets http.filename"),
        (
            vec![deny("http://*")],
            "FROM scratch\nADD HTTP://127.0.0.1/x /\n",
            "to be written http://127.0.0.1/x",
        ),
        (vec![deny("git://h*")], "FROM scratch\nADD https:///h/a.git /\n", "its host \"\" is to be written"),
        (
            vec![convert(git, "git://h.invalid/b.git", &[])],
            "FROM scratch\nADD git://h.invalid/a.git /\n",
            "has to set both",
        ),
        (vec![on_local], "FROM scratch\n", "rule 1 (DENY nothing): attributes `local.…`"),
        (vec![allow("x"), deny("**")], "FROM scratch\n", "source policy: rule 2 (DENY **)"),
    ] {
        let said = came(world.dockerfile(rules, text).await).unwrap_err();
        assert!(said.contains(expected), "{said}\n{expected}");
    }
    let mut newer = request(Vec::new());
    newer.source_policy.as_mut().unwrap().version = 2;
    let said = came(world.daemon.solve(&world.offer, newer).await).unwrap_err();
    assert!(said.contains("version 2"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_name_what_was_used() {
    let world = World::new().await;
    let rules = vec![
        convert(&world.image("a"), &world.image("b"), &[]),
        convert(&world.web.url("/a"), &world.web.url("/b"), &[]),
    ];
    let stated = [("attest:provenance", "mode=max,version=v0.2")];
    let done = world.dockerfile_with(rules, "FROM $R/img:a\nADD $W/a /\n", &stated).await;
    let files = came(done).unwrap();
    let statement: serde_json::Value = serde_json::from_str(&files["provenance.json"]).unwrap();
    let materials = statement["predicate"]["materials"].as_array().unwrap();
    let uris: Vec<&str> = materials.iter().map(|material| material["uri"].as_str().unwrap()).collect();
    assert!(uris.iter().any(|uri| uri.contains("/img@b?")), "{uris:?}");
    assert!(uris.contains(&world.web.url("/b").as_str()), "{uris:?}");
    assert!(!uris.iter().any(|uri| uri.contains("/img@a?") || *uri == world.web.url("/a")), "{uris:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn graphs_are_judged_as_they_are_written() {
    let world = World::new().await;
    let (a, b) = (world.image("a"), world.image("b"));
    let mut graph = Graph::default();
    let image = graph.source(&a);
    assert_eq!(came(world.graph(vec![], &graph, &image).await), files(&[("which", "a")]));
    let rules = vec![convert(&a, &b, &[])];
    assert_eq!(came(world.graph(rules, &graph, &image).await), files(&[("which", "b")]));
    assert_eq!(came(world.graph(vec![], &graph, &image).await), files(&[("which", "a")]));
    let said = came(world.graph(vec![deny("docker-image://*")], &graph, &image).await).unwrap_err();
    assert!(said.contains(&format!("source {a:?} denied by policy")), "{said}");
    let mut graph = Graph::default();
    let file = graph.source(&world.web.url("/a"));
    let copied = graph.collected(&[(&file, "/", "/")]);
    let other = vec![convert(&world.web.url("/a"), &world.web.url("/b"), &[("http.filename", "named")])];
    assert_eq!(came(world.graph(other, &graph, &copied).await), files(&[("named", "file b")]));
    // Another kind of source has none of the attributes of the former one.
    let kind = vec![convert(&world.web.url("/a"), &b, &[])];
    assert_eq!(came(world.graph(kind, &graph, &copied).await), files(&[("which", "b")]));
    // However an image is written, it is one and the same.
    let short = graph.source("docker-image://busybox");
    let rules = vec![deny("docker-image://docker.io/library/busybox:latest")];
    assert!(came(world.graph(rules, &graph, &short).await).unwrap_err().contains("denied by policy"));
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_and_parts_of_a_build_are_judged() {
    let world = World::new().await;
    let (a, b) = (world.image("a"), world.image("b"));
    let build = "judged".to_owned();
    let request = SolveRequest { r#ref: build.clone(), ..request(vec![deny("http://*")]) };
    let driven = async {
        let mut client = LlbBridgeClient::new(world.daemon.connect().await);
        let more = || vec![Policy { version: 1, rules: vec![convert(&a, &b, &[])] }];
        let reference = a.trim_start_matches("docker-image://").to_owned();
        let config =
            ResolveImageConfigRequest { r#ref: reference, source_policies: more(), ..Default::default() };
        let answer = client.resolve_image_config(about(&build, config)).await.unwrap().into_inner();
        assert_eq!(format!("docker-image://{}", answer.r#ref), b);
        assert_eq!(answer.digest, world.digest("b"));
        let source =
            |identifier: &str| Some(pb::SourceOp { identifier: identifier.to_owned(), ..Default::default() });
        let meta =
            ResolveSourceMetaRequest { source: source(&a), source_policies: more(), ..Default::default() };
        let answer = client.resolve_source_meta(about(&build, meta)).await.unwrap().into_inner();
        assert_eq!(answer.source, source(&b));
        assert_eq!(answer.image.unwrap().digest, world.digest("b"));
        let meta = ResolveSourceMetaRequest { source: source(&world.web.url("/a")), ..Default::default() };
        let said = client.resolve_source_meta(about(&build, meta)).await.unwrap_err();
        assert!(said.message().contains("denied by policy"), "{said}");
        let mut graph = Graph::default();
        let image = graph.source(&a);
        let part = |source_policies, evaluate| SolveMessage {
            definition: Some(graph.definition(&image)),
            allow_result_return: true,
            allow_result_array_ref: true,
            source_policies,
            evaluate,
            ..SolveMessage::default()
        };
        let denied = vec![Policy { version: 1, rules: vec![deny(&a)] }];
        let said = client.solve(about(&build, part(denied, true))).await.unwrap_err();
        assert!(said.message().contains("denied by policy"), "{said}");
        // What is solved only when it is needed is judged by what came with it.
        let solved = client.solve(about(&build, part(more(), false))).await.unwrap().into_inner();
        let returned = ReturnRequest { result: solved.result, error: None };
        client.r#return(about(&build, returned)).await.unwrap();
    };
    let (done, ()) = tokio::join!(world.daemon.solve(&world.offer, request), driven);
    assert_eq!(came(done), files(&[("which", "b")]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_was_given_is_not_judged_again() {
    let world = World::new().await;
    write(world.dir.path(), "Dockerfile", &ADD.replace("$W", &world.web.url("")));
    let build = "given".to_owned();
    let request = SolveRequest { r#ref: build.clone(), ..request(Vec::new()) };
    let driven = async {
        let mut client = LlbBridgeClient::new(world.daemon.connect().await);
        let part = SolveMessage {
            frontend: "dockerfile.v0".to_owned(),
            allow_result_return: true,
            allow_result_array_ref: true,
            ..SolveMessage::default()
        };
        let solved = client.solve(about(&build, part)).await.unwrap().into_inner();
        let result = solved.result.clone().unwrap().result;
        let Some(Refs::Ref(Ref { def: Some(definition), .. })) = result else { panic!("{result:?}") };
        let returned = ReturnRequest { result: solved.result, error: None };
        client.r#return(about(&build, returned)).await.unwrap();
        definition
    };
    let (done, definition) = tokio::join!(world.daemon.solve(&world.offer, request), driven);
    assert_eq!(came(done), files(&[("a", "file a")]));
    let op = pb::Op::decode(definition.def[0].as_slice()).unwrap();
    let Some(pb::op::Op::Source(pb::SourceOp { identifier, .. })) = op.op else { panic!("{op:?}") };
    let (prefix, id) = identifier.split_at(identifier.len() - 64);
    let begun = async |identifier: &str, rules| {
        let mut graph = Graph::default();
        let result = graph.source(identifier);
        came(world.graph(rules, &graph, &result).await)
    };
    assert_eq!(begun(&identifier, vec![deny("*")]).await, files(&[("a", "file a")]));
    // The beginning of an id is none, and neither is one that no client was given.
    for rules in [vec![deny("*")], Vec::new()] {
        let said = begun(&format!("{prefix}{}", &id[..6]), rules).await.unwrap_err();
        assert!(said.contains("denied by policy") || said.contains("64 hexadecimal digits"), "{said}");
    }
    let unknown = format!("{prefix}{}", "0".repeat(64));
    assert!(begun(&unknown, vec![deny("*")]).await.unwrap_err().contains("denied by policy"));
    assert!(begun(&unknown, Vec::new()).await.unwrap_err().contains("no such image"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dockerfile_by_url_has_no_directory_that_is_judged() {
    let world = World::new().await;
    world.web.serve(
        "/Dockerfile",
        [Page::new("FROM scratch\nCOPY . /\nADD $W/a /\n".replace("$W", &world.web.url("")))],
    );
    let url = world.web.url("/Dockerfile");
    let done = world.dockerfile_with(vec![deny("local://*")], "", &[("context", url.as_str())]).await;
    assert_eq!(came(done), files(&[("a", "file a")]));
    let done = world.dockerfile_with(vec![deny(&url)], "", &[("context", url.as_str())]).await;
    assert!(came(done).unwrap_err().contains(&format!("source {url:?} denied by policy")));
}

/// A call's message, with the build that it is about.
fn about<T>(build: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("buildkit-controlapi-buildid", build.parse().unwrap());
    request
}

/// A decision, with what is to be used instead.
fn decision(action: PolicyAction, instead: &str) -> Said {
    let update = Some(pb::SourceOp { identifier: instead.to_owned(), attrs: HashMap::new() });
    let update = update.filter(|update| !update.identifier.is_empty());
    Said::Decision(DecisionResponse { action: action.into(), update, ..DecisionResponse::default() })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_decides_too() {
    let mut world = World::new().await;
    let (a, b) = (world.image("a"), world.image("b"));
    let text = format!("FROM {}/img:a\n", world.registry.host());
    write(world.dir.path(), "Dockerfile", &text);
    let by = |said: Verifier, name: &'static str| (name, said);
    let (from, to) = (a.clone(), b.clone());
    let converting = by(
        Arc::new(move |source, _| {
            let convert = source.identifier.starts_with(&from);
            let action = if convert { PolicyAction::Convert } else { PolicyAction::Allow };
            Ok(decision(action, if convert { &to } else { "" }))
        }),
        "converting",
    );
    let endless = by(
        Arc::new(|source, _| Ok(decision(PolicyAction::Convert, &format!("{}x", source.identifier)))),
        "endless",
    );
    let strict = by(
        Arc::new(|source, _| {
            let deny = source.identifier.starts_with("docker-image://");
            let message = DenyMessage { message: "no images".to_owned() };
            let action = if deny { PolicyAction::Deny } else { PolicyAction::Allow };
            let (action, deny_messages) = (action.into(), vec![message]);
            Ok(Said::Decision(DecisionResponse { action, deny_messages, update: None }))
        }),
        "strict",
    );
    // It wants to know what an image is like before it decides.
    let curious = by(
        Arc::new(|source, is_known| {
            if is_known || !source.identifier.starts_with("docker-image://") {
                return Ok(decision(PolicyAction::Allow, ""));
            }
            let source = Some(source.clone());
            Ok(Said::Request(ResolveSourceMetaRequest { source, ..ResolveSourceMetaRequest::default() }))
        }),
        "curious",
    );
    let cases = [
        (converting.clone(), vec![], files(&[("which", "b")])),
        (converting, vec![deny(&format!("{b}*"))], Err(format!("source {b:?} denied by policy"))),
        (endless, vec![], Err("again and again".to_owned())),
        (strict, vec![], Err("action DENY, no images".to_owned())),
        (curious, vec![convert(&a, &b, &[])], files(&[("which", "b")])),
    ];
    for (number, ((shown, verifier), rules, expected)) in cases.into_iter().enumerate() {
        let session = format!("{shown}-{number}");
        world.offer =
            Offer { session: Some(session.clone()), verifier: Some(verifier), ..world.offer.clone() };
        let request = SolveRequest {
            frontend: "dockerfile.v0".to_owned(),
            source_policy_session: session,
            ..request(rules)
        };
        let mut done = world.daemon.solve(&world.offer, request).await;
        // Clients show what a policy says from the details of an error.
        done.answer = done.answer.map_err(|status| {
            let details = String::from_utf8_lossy(status.details()).contains("[{\"message\":\"no images\"}]");
            let said = if details { ", no images" } else { "" };
            Status::unknown(format!("{}{said}", status.message()))
        });
        let came = came(done);
        match (&came, &expected) {
            (Err(said), Err(part)) => assert!(said.contains(part.as_str()), "{shown}: {said}"),
            _ => assert_eq!(came, expected, "{shown}"),
        }
    }
}
