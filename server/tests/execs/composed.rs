//! Graphs in which results decide what is built: builds within graphs, what waits for others, shared caches.

use kiln_registry::testing::TestRegistry;
use kiln_server::api::control::{CacheOptions, CacheOptionsEntry};
use kiln_server::api::pb;
use prost::Message as _;

use crate::graph::{Edge, Graph, shell};
use crate::tests;
use crate::world::{PROGRAMS, World, run, texts};

tests!("composed":
    a_command_s_definition_is_built,
    builds_may_be_in_builds,
    definitions_that_cannot_be_built_are_refused,
    what_waits_has_its_own_result_and_fails_with_the_others,
    overlapping_trees_are_merged_in_order_and_compared,
    a_shared_cache_answers_for_commands,
);

const DEFINITION: &str = "buildkit.llb.definition";

/// A build of the definition that a result has.
fn build(graph: &mut Graph, from: &Edge, filename: Option<&str>) -> Edge {
    let op = pb::BuildOp {
        builder: -1,
        inputs: [(DEFINITION.to_owned(), pb::BuildInput { input: 0 })].into(),
        attrs: filename.map(|name| ("llbbuild.filename".to_owned(), name.to_owned())).into_iter().collect(),
        def: None,
    };
    graph.add(pb::op::Op::Build(op), &[from])
}

/// A definition of a file that a command makes.
fn inner(text: &str) -> Vec<u8> {
    let mut graph = Graph::default();
    let programs = graph.source(PROGRAMS);
    let made = graph.exec(shell(&format!("echo {text} > /made")), &[&programs]);
    let result = graph.collected(&[(&made, "/made", "/made")]);
    graph.definition(&result).encode_to_vec()
}

fn a_command_s_definition_is_built() {
    run(async {
        let world = World::new().await;
        let mut graph = Graph::default();
        let (programs, file) = (graph.source(PROGRAMS), graph.file("/in", &inner("inside")));
        let mut exec = shell("mkdir /out; cat /given/in > /out/definition");
        exec.mounts.push(crate::graph::mount("/given", 1, -1));
        let maker = graph.exec(exec, &[&programs, &file]);
        let built = build(&mut graph, &maker, Some("out/definition"));
        assert_eq!(world.files(&graph, &built).await["made"], "inside\n");
        // What is built is an input as any other.
        let after = graph.collected(&[(&built, "/made", "/again")]);
        assert_eq!(world.files(&graph, &after).await["again"], "inside\n");
        let again = world.solve(&graph, &after).await;
        assert_eq!(world.executed(&again).await, [""; 0]);
    });
}

fn builds_may_be_in_builds() {
    run(async {
        let world = World::new().await;
        let mut middle = Graph::default();
        let file = middle.file(DEFINITION, &inner("innermost"));
        let built = build(&mut middle, &file, None);
        let mut graph = Graph::default();
        let file = graph.file(DEFINITION, &middle.definition(&built).encode_to_vec());
        let built = build(&mut graph, &file, None);
        assert_eq!(world.files(&graph, &built).await["made"], "innermost\n");
    });
}

fn definitions_that_cannot_be_built_are_refused() {
    run(async {
        let world = World::new().await;
        for (path, bytes, words) in [
            ("/elsewhere", inner("x"), "there is no such file"),
            ("/buildkit.llb.definition/x", inner("x"), "it is not a regular file"),
            ("/buildkit.llb.definition", b"\xff\xff".to_vec(), "it is none"),
            ("/buildkit.llb.definition", Vec::new(), "empty definition"),
        ] {
            let mut graph = Graph::default();
            let made = pb::FileActionMkDir {
                path: "/buildkit.llb.definition".into(),
                mode: 0o755,
                timestamp: 0,
                ..pb::FileActionMkDir::default()
            };
            let file = if path.ends_with("/x") {
                graph.actions(vec![(pb::file_action::Action::Mkdir(made), -1)], &[])
            } else {
                graph.file(path, &bytes)
            };
            let built = build(&mut graph, &file, None);
            let status = world.failure(&graph, &built).await;
            assert!(status.message().contains(words), "{words}: {status}");
        }
    });
}

fn what_waits_has_its_own_result_and_fails_with_the_others() {
    run(async {
        let world = World::new().await;
        let mut graph = Graph::default();
        let (programs, file) = (graph.source(PROGRAMS), graph.file("/file", b"text\n"));
        let waits =
            |id: &str| pb::op::Op::Passthrough(pb::PassthroughOp { id: id.into(), outputs: vec![1, 0] });
        let good = graph.exec(shell("echo tested > /tested"), &[&programs]);
        let through = graph.add(waits("good"), &[&good, &file]);
        assert_eq!(
            world.files(&graph, &through).await.into_iter().collect::<Vec<_>>(),
            [("file".to_owned(), "text\n".to_owned())]
        );
        let tested = graph.collected(&[(&through.output(1), "/tested", "/tested")]);
        assert_eq!(world.files(&graph, &tested).await["tested"], "tested\n");
        let bad = graph.exec(shell("exit 5"), &[&programs]);
        let through = graph.add(waits("bad"), &[&bad, &file]);
        let status = world.failure(&graph, &through).await;
        assert!(status.message().contains("exit code: 5"), "{status}");
    });
}

fn merge(graph: &mut Graph, inputs: &[&Edge]) -> Edge {
    let input = |number: usize| pb::MergeInput { input: i64::try_from(number).unwrap() };
    let inputs_of = (0..inputs.len()).map(input).collect();
    graph.add(pb::op::Op::Merge(pb::MergeOp { inputs: inputs_of }), inputs)
}

fn diff(graph: &mut Graph, lower: &Edge, upper: &Edge) -> Edge {
    let op = pb::DiffOp {
        lower: Some(pb::LowerDiffInput { input: 0 }),
        upper: Some(pb::UpperDiffInput { input: 1 }),
    };
    graph.add(pb::op::Op::Diff(op), &[lower, upper])
}

/// What a tree is, its result, and its files.
type Case = (&'static str, Edge, &'static [(&'static str, &'static str)]);

/// Trees that commands make of one another, put together in every way: what is on top counts, and what was removed on top is gone.
fn overlapping_trees_are_merged_in_order_and_compared() {
    run(async {
        let world = World::new().await;
        let mut graph = Graph::default();
        let programs = graph.source(PROGRAMS);
        let on = |graph: &mut Graph, below: &Edge, script: &str| {
            let exec = pb::ExecOp {
                mounts: vec![crate::graph::mount("/", 0, -1), crate::graph::mount("/t", 1, 0)],
                ..shell(&format!("cd /t; {script}"))
            };
            graph.exec(exec, &[&programs, below])
        };
        let base = graph.file("/d/common", b"base");
        let kept = graph.file("/d/kept", b"");
        let base = merge(&mut graph, &[&base, &kept]);
        let left = on(&mut graph, &base, "busybox rm d/common; echo left > d/left; echo left > both");
        let right = on(&mut graph, &base, "echo right > d/common; echo right > both; mkdir -p e/f");
        let opaque = on(&mut graph, &base, "busybox rm -r d; mkdir d; echo new > d/new");
        let (of_left, of_right) = (diff(&mut graph, &base, &left), diff(&mut graph, &base, &right));
        let of_opaque = diff(&mut graph, &base, &opaque);
        let cases: [Case; 7] = [
            ("only what differs", of_left.clone(), &[("both", "left\n"), ("d/left", "left\n")]),
            (
                "the right on top",
                merge(&mut graph, &[&base, &of_left, &of_right]),
                &[("both", "right\n"), ("d/common", "right\n"), ("d/kept", ""), ("d/left", "left\n")],
            ),
            (
                "the left on top",
                merge(&mut graph, &[&base, &of_right, &of_left]),
                &[("both", "left\n"), ("d/kept", ""), ("d/left", "left\n")],
            ),
            (
                "a directory that was made anew",
                merge(&mut graph, &[&left, &of_opaque]),
                &[("both", "left\n"), ("d/new", "new\n")],
            ),
            (
                "and on top of it",
                merge(&mut graph, &[&opaque, &of_right]),
                &[("both", "right\n"), ("d/common", "right\n"), ("d/new", "new\n")],
            ),
            ("nothing", diff(&mut graph, &left, &left), &[]),
            (
                "from one side to the other",
                {
                    let across = diff(&mut graph, &left, &right);
                    merge(&mut graph, &[&left, &across])
                },
                &[("both", "right\n"), ("d/common", "right\n"), ("d/kept", "")],
            ),
        ];
        for (what, result, expected) in cases {
            let files = world.files(&graph, &result).await;
            let shown: Vec<(&str, &str)> =
                files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
            assert_eq!(shown, expected, "{what}");
        }
    });
}

fn a_shared_cache_answers_for_commands() {
    run(async {
        let registry = TestRegistry::start().await;
        let reference = format!("{}/cache:1", registry.host());
        let entry = |mode: Option<&str>| CacheOptionsEntry {
            r#type: "registry".into(),
            attrs: [("ref".to_owned(), reference.clone())]
                .into_iter()
                .chain(mode.map(|mode| ("mode".to_owned(), mode.to_owned())))
                .collect(),
        };
        let mut graph = Graph::default();
        let programs = graph.source(PROGRAMS);
        let made = graph.exec(shell("echo made > /made"), &[&programs]);
        let result = graph.collected(&[(&made, "/made", "/made")]);
        let first = World::new().await;
        let exports = CacheOptions { exports: vec![entry(Some("max"))], ..CacheOptions::default() };
        let done = first.request(&graph, &result, |request| request.cache = Some(exports)).await;
        assert_eq!(first.executed(&done).await.len(), 1);
        done.answer.unwrap();
        assert!(registry.manifest("cache", "1").is_some());

        let second = World::new().await;
        let imports = CacheOptions { imports: vec![entry(None)], ..CacheOptions::default() };
        let done = second.request(&graph, &result, |request| request.cache = Some(imports)).await;
        assert_eq!(second.executed(&done).await, [""; 0]);
        assert_eq!(texts(done)["made"], "made\n");
    });
}
