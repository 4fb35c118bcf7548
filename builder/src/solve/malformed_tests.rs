//! Graphs that no lowering makes: each is an error with words, never a panic (CVE-2024-23650), and none is executed.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;

use kiln_cache::Store;
use kiln_graph::image::ImageConfig;
use kiln_graph::op::{
    Access, CacheMount, CopyAction, CopySource, Device, Exec, ExecMount, FileAction, FileOp, MakeFile,
    MakeLink, ModeChange, Network, Op, Owner, Remove, Security, Sharing, Source,
};
use kiln_graph::plan::Plan;
use kiln_graph::{Display, Entitlements, Graph, Vertex, VertexId};
use kiln_registry::{Client, ClientOptions};

use crate::{BuildRequest, Builder, BuilderOptions, CancellationToken, Progress};

fn exec() -> Exec {
    Exec {
        args: vec!["/bin/true".into()],
        env: Vec::new(),
        proxies: Vec::new(),
        platform: "linux/amd64".into(),
        cwd: "/".into(),
        user: String::new(),
        mounts: Vec::new(),
        network: Network::None,
        security: Security::Sandbox,
        devices: Vec::new(),
        hostname: None,
        rules: kiln_graph::op::ExecRules::default(),
    }
}

fn copy(input: Option<usize>, path: &str, destination: &str) -> CopyAction {
    CopyAction {
        input,
        sources: vec![CopySource::Path(path.into())],
        destination: destination.into(),
        owner: None,
        mode: None,
        excludes: Vec::new(),
        unpack: false,
        directories_themselves: false,
    }
}

fn file(action: CopyAction) -> Op {
    Op::File(FileOp { actions: vec![FileAction::Copy(action)], link: false })
}

fn changed(action: FileAction) -> Op {
    Op::File(FileOp { actions: vec![action], link: false })
}

fn mounted(mount: ExecMount) -> Op {
    Op::Exec(Exec { mounts: vec![mount], ..exec() })
}

/// Builds a graph whose second vertex is this one, on nothing or with that first vertex as its inputs.
async fn build(op: Op, inputs: usize) -> String {
    let directory = tempfile::tempdir().unwrap();
    let client = Client::new(ClientOptions::default()).unwrap();
    let options = BuilderOptions { jobs: 2, resolv_conf: None, hosts: None, device_directories: Vec::new() };
    let builder = Builder::new(Store::open(directory.path()).unwrap(), client, options);
    let mut graph = Graph::new();
    let vertex = |op, inputs| Vertex { op, inputs, no_cache: false, display: Display::default() };
    let scratch = graph.add(vertex(Op::Source(Source::Scratch), Vec::new())).unwrap();
    let target = graph.add(vertex(op, vec![scratch; inputs])).unwrap();
    let request = BuildRequest {
        plan: plan(graph, target),
        contexts: BTreeMap::new(),
        bases: crate::Bases::default(),
        credentials: crate::Credentials::default(),
        entitlements: Entitlements::default(),
        project: String::new(),
        require_cached: crate::RequireCached::default(),
        shared: crate::SharedCaches::default(),
        cancel: CancellationToken::new(),
    };
    let progress = Progress::new(tokio::sync::mpsc::unbounded_channel().0);
    match builder.build(request, &progress).await {
        Ok(_) => "it was built".to_owned(),
        Err(error) => crate::text::chain(&error),
    }
}

fn plan(graph: Graph, target: VertexId) -> Plan {
    Plan { graph, target, config: ImageConfig::default(), platform: "linux/amd64".into() }
}

#[tokio::test]
async fn inputs_that_are_not_there_are_named() {
    for (op, inputs) in [
        (Op::Exec(exec()), 0),
        (file(copy(Some(1), "a", "/")), 1),
        (file(copy(Some(usize::MAX), "a", "/")), 1),
        (file(copy(None, "a", "/")), 0),
        (mounted(ExecMount::Bind { input: 7, source: ".".into(), target: "/t".into(), read_only: true }), 1),
        (mounted(ExecMount::Output { input: 7, source: ".".into(), target: "/t".into() }), 1),
        (Op::Merge, 0),
        (Op::After, 0),
        (Op::Diff, 1),
        (Op::Output(0), 0),
        (Op::Output(usize::MAX), 1),
        (Op::Source(Source::Context { name: "nobody".into(), ignore: Vec::new() }), 0),
        (Op::Source(Source::Context { name: String::new(), ignore: vec!["[".into()] }), 0),
    ] {
        let said = build(op.clone(), inputs).await;
        assert!(
            ["malformed", "which the step does not have", "no context named"]
                .iter()
                .any(|part| said.contains(part)),
            "{op:?}: {said}"
        );
    }
}

#[tokio::test]
async fn values_that_mean_nothing_are_refused() {
    let access = Access { mode: u32::MAX, uid: u32::MAX, gid: u32::MAX };
    let cache = CacheMount {
        namespace: "../..".into(),
        id: "../../\0".into(),
        target: String::new(),
        sharing: Sharing::Private,
        input: None,
        source: "../../..".into(),
        access: Some(access),
        read_only: false,
    };
    let secret = ExecMount::Secret {
        id: "\0".into(),
        target: Some("relative".into()),
        env: Some("=".into()),
        access,
        required: true,
    };
    let odd = |change: fn(&mut Exec)| {
        let mut odd = exec();
        change(&mut odd);
        Op::Exec(odd)
    };
    let chown = |user: &str| {
        let owner = Owner { user: user.into(), group: Some("\0".into()) };
        file(CopyAction { owner: Some(owner), ..copy(None, "a", "/x") })
    };
    for op in [
        mounted(ExecMount::Cache(cache)),
        mounted(secret),
        mounted(ExecMount::Tmpfs { target: "/".into(), size: Some(u64::MAX) }),
        mounted(ExecMount::File { target: String::new(), data: Vec::new(), mode: u32::MAX }),
        odd(|exec| exec.args.clear()),
        odd(|exec| exec.args = vec!["\0".into()]),
        odd(|exec| exec.env = vec![(String::new(), String::new())]),
        odd(|exec| exec.cwd = "relative".into()),
        odd(|exec| exec.user = "::::\0".into()),
        odd(|exec| exec.user = "4294967295:4294967295".into()),
        odd(|exec| exec.security = Security::Insecure),
        odd(|exec| exec.devices = vec![Device { name: "=*,\0".into(), required: true }]),
        chown("nobody"),
        chown("99999999999999999999"),
        file(CopyAction { mode: Some(ModeChange::Symbolic("u+?".into())), ..copy(Some(1), "a", "/x") }),
        file(copy(Some(1), "[", "/x")),
        file(copy(Some(1), "../../../../etc/passwd", "/x")),
        file(copy(Some(1), "nothing", "")),
        changed(FileAction::MakeFile(MakeFile {
            mode: 0,
            path: "/".into(),
            data: Vec::new(),
            owner: None,
            time: None,
        })),
        changed(FileAction::MakeFile(MakeFile {
            mode: 0,
            path: "/a\0".into(),
            data: Vec::new(),
            owner: None,
            time: None,
        })),
        changed(FileAction::MakeLink(MakeLink {
            path: String::new(),
            target: "a".into(),
            owner: None,
            time: None,
        })),
        changed(FileAction::MakeLink(MakeLink {
            path: "/a".into(),
            target: String::new(),
            owner: None,
            time: None,
        })),
        changed(FileAction::Remove(Remove { path: "/".into(), allow_missing: true, wildcards: false })),
        changed(FileAction::Remove(Remove { path: "/[".into(), allow_missing: true, wildcards: true })),
        changed(FileAction::Remove(Remove { path: "/..".into(), allow_missing: true, wildcards: false })),
    ] {
        let said = build(op.clone(), 2).await;
        assert!(said != "it was built" && !said.is_empty(), "{op:?}: {said}");
    }
}

#[test]
fn an_input_comes_before_what_is_built_on_it() {
    let mut graph = Graph::new();
    let vertex = Vertex {
        op: Op::Source(Source::Scratch),
        inputs: Vec::new(),
        no_cache: false,
        display: Display::default(),
    };
    let first = graph.add(vertex.clone()).unwrap();
    assert!(graph.add(Vertex { inputs: vec![VertexId(9)], ..vertex }).is_err(), "{first:?}");
}
