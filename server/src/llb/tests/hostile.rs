//! Definitions that no client of good will sends: each is an error with words, never a panic.

use proptest::prelude::*;
use prost::Message as _;

use super::{Writer, file, source};
use crate::api::pb;
use crate::api::pb::file_action::Action;
use crate::llb::nested::Nested;
use crate::llb::{Definition, Layouts, lower};

fn said(definition: &pb::Definition) -> Result<(), String> {
    let definition = Definition::read(definition).map_err(|error| error.to_string())?;
    Nested::first(&definition).map_err(|error| error.to_string())?;
    lower(definition, "linux/amd64", Layouts::new()).map(drop).map_err(|error| error.to_string())
}

#[track_caller]
fn refused(definition: &pb::Definition, words: &str) {
    match said(definition) {
        Err(text) => assert!(text.contains(words), "{text}"),
        Ok(()) => panic!("it was taken; `{words}` was expected"),
    }
}

#[test]
fn definitions_without_sense_are_refused() {
    refused(&pb::Definition::default(), "empty definition");
    let garbage = pb::Definition { def: vec![vec![0xff; 9]], ..pb::Definition::default() };
    refused(&garbage, "operation 0");
    let writer = Writer::default();
    refused(&writer.definition(("sha256:00", 0)), "missing input digest sha256:00");
    let mut writer = Writer::default();
    let image = writer.add(source("docker-image://a", &[]), &[]);
    refused(&writer.definition((&image, 1)), "has no output 1");
    refused(&writer.definition((&image, i64::MIN)), "has no output");
    let two = pb::Input { digest: image.clone(), index: 0 };
    let end = pb::Op { inputs: vec![two.clone(), two], ..pb::Op::default() };
    writer.push(&end);
    let definition = pb::Definition { def: vec![end.encode_to_vec()], ..pb::Definition::default() };
    refused(&definition, "2 inputs");
    let many = pb::Definition { def: vec![Vec::new(); 100_001], ..pb::Definition::default() };
    refused(&many, "100001 operations");
}

#[test]
fn operations_without_sense_are_refused() {
    let exec = |exec: pb::ExecOp| pb::op::Op::Exec(exec);
    let meta = || pb::Meta { args: vec!["a".into()], cwd: "/".into(), ..pb::Meta::default() };
    let root = || pb::Mount { dest: "/".into(), input: -1, ..pb::Mount::default() };
    let remove =
        |path: &str| Action::Rm(pb::FileActionRm { path: path.into(), ..pb::FileActionRm::default() });
    let cases = [
        (exec(pb::ExecOp::default()), "meta"),
        (exec(pb::ExecOp { meta: Some(meta()), ..pb::ExecOp::default() }), "none is the root"),
        (
            exec(pb::ExecOp {
                meta: Some(pb::Meta::default()),
                mounts: vec![root()],
                ..pb::ExecOp::default()
            }),
            "meta.args",
        ),
        (
            exec(pb::ExecOp {
                meta: Some(meta()),
                mounts: vec![pb::Mount { input: 7, ..root() }],
                ..pb::ExecOp::default()
            }),
            "input 7",
        ),
        (
            exec(pb::ExecOp {
                meta: Some(meta()),
                mounts: vec![root(), pb::Mount { dest: "x".into(), ..root() }],
                ..pb::ExecOp::default()
            }),
            "absolute path",
        ),
        (
            exec(pb::ExecOp {
                meta: Some(meta()),
                mounts: vec![root(), pb::Mount { dest: "/x".into(), mount_type: 99, ..root() }],
                ..pb::ExecOp::default()
            }),
            "mountType",
        ),
        (
            exec(pb::ExecOp {
                meta: Some(meta()),
                mounts: vec![root()],
                network: 9,
                ..pb::ExecOp::default()
            }),
            "network: 9",
        ),
        (
            exec(pb::ExecOp {
                meta: Some(meta()),
                mounts: vec![root()],
                security: 9,
                ..pb::ExecOp::default()
            }),
            "security: 9",
        ),
        (pb::op::Op::File(pb::FileOp::default()), "actions"),
        (file(vec![(remove("/"), -1)], -1, 0), "root itself"),
        (file(vec![(remove("/../x/.."), -1)], -1, 0), "root itself"),
        (file(vec![(remove("/a"), -1)], 5, 0), "not made before it"),
        (file(vec![(remove("/a"), -1)], i64::MIN, 0), "not one of its"),
        (pb::op::Op::Merge(pb::MergeOp::default()), "two at least"),
        (pb::op::Op::Diff(pb::DiffOp::default()), "lower"),
        (pb::op::Op::Build(pb::BuildOp::default()), "builder"),
        (pb::op::Op::Build(pb::BuildOp { builder: -1, ..pb::BuildOp::default() }), "buildkit.llb.definition"),
        (
            pb::op::Op::Build(pb::BuildOp {
                builder: -1,
                attrs: [("what".into(), String::new())].into(),
                ..pb::BuildOp::default()
            }),
            "what",
        ),
        (
            pb::op::Op::Build(pb::BuildOp {
                builder: -1,
                inputs: [("buildkit.llb.definition".into(), pb::BuildInput { input: 3 })].into(),
                ..pb::BuildOp::default()
            }),
            "input 3",
        ),
        (pb::op::Op::Passthrough(pb::PassthroughOp { id: String::new(), outputs: vec![0] }), "id"),
        (pb::op::Op::Passthrough(pb::PassthroughOp { id: "p".into(), outputs: vec![] }), "outputs"),
        (pb::op::Op::Passthrough(pb::PassthroughOp { id: "p".into(), outputs: vec![0] }), "input 0"),
    ];
    refused_alone(cases);
}

#[test]
fn sources_without_sense_are_refused() {
    refused_alone([
        (source("docker-image", &[]), "no scheme"),
        (source("docker-image://", &[]), "names no image"),
        (source("ftp://x/y", &[]), "scheme `ftp`"),
        (source("https://x/y", &[("http.perm", "x")]), "http.perm"),
        (source("https://x/y", &[("http.perm", "010000")]), "http.perm"),
        (source("https://x/y", &[("http.uid", "-1")]), "http.uid"),
        (source("https://x/y", &[("http.header.accept", "x")]), "http.header.accept"),
        (source("https://x/y", &[("http.filename", "../y")]), "not the name of a file"),
        (source("git://x/y#:../..", &[]), "leads out"),
        (source("docker-image://kiln.invalid/result/012345", &[]), "64 hexadecimal digits"),
        (source("git://x/y", &[("git.fullurl", "file:///srv/r")]), "`file`"),
        (source("git://x/y", &[("git.fullurl", "ext::sh -c x://")]), "ext::sh"),
        (source("local://x", &[("local.includepattern", "{")]), "local.includepattern"),
    ]);
}

#[track_caller]
fn refused_alone<const N: usize>(cases: [(pb::op::Op, &str); N]) {
    for (op, words) in cases {
        let mut writer = Writer::default();
        let digest = writer.add(op, &[]);
        refused(&writer.definition((&digest, 0)), words);
    }
}

#[test]
fn a_build_of_itself_is_refused() {
    let mut writer = Writer::default();
    let file = writer.add(source("local://a", &[]), &[]);
    let build = pb::BuildOp {
        builder: -1,
        inputs: [("buildkit.llb.definition".into(), pb::BuildInput { input: 0 })].into(),
        ..pb::BuildOp::default()
    };
    let build = writer.add(pb::op::Op::Build(build), &[(&file, 0)]);
    let message = writer.definition((&build, 0));
    let mut definition = Definition::read(&message).unwrap();
    let error = definition.take_in(&build, Definition::read(&message).unwrap()).unwrap_err();
    assert!(error.to_string().contains("needs its own result"), "{error}");
}

#[test]
fn a_long_chain_does_not_exhaust_the_stack() {
    let mut writer = Writer::default();
    let mut last = writer.add(source("docker-image://a", &[]), &[]);
    for number in 0..20_000 {
        let inputs = [pb::Input { digest: last, index: 0 }];
        let merge = pb::MergeOp { inputs: vec![pb::MergeInput { input: 0 }, pb::MergeInput { input: -1 }] };
        let platform = pb::Platform { os: number.to_string(), ..pb::Platform::default() };
        let op = Some(pb::op::Op::Merge(merge));
        let op = pb::Op { inputs: inputs.to_vec(), op, platform: Some(platform), constraints: None };
        let bytes = op.encode_to_vec();
        last = crate::llb::definition::digest(&bytes);
        writer.ops.push(bytes);
    }
    said(&writer.definition((&last, 0))).unwrap();
}

proptest! {
    #[test]
    fn bytes_never_panic(ops in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..64), 0..8)) {
        drop(said(&pb::Definition { def: ops, ..pb::Definition::default() }));
    }

    /// Messages that were right, with some bytes changed.
    #[test]
    fn spoilt_messages_never_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()), 1..6),
        input in -2_i64..4,
        output in -2_i64..4,
    ) {
        let mut writer = Writer::default();
        let make = Action::Mkfile(pb::FileActionMkFile { path: "/a".into(), ..pb::FileActionMkFile::default() });
        let copy = Action::Copy(pb::FileActionCopy { src: "/a".into(), dest: "/b".into(), ..pb::FileActionCopy::default() });
        let first = writer.add(file(vec![(make, -1)], -1, 0), &[]);
        let second = writer.add(file(vec![(copy, input)], 0, 1), &[(&first, 0)]);
        let meta = pb::Meta { args: vec!["a".into()], cwd: "/".into(), ..pb::Meta::default() };
        let root = pb::Mount { dest: "/".into(), output, ..pb::Mount::default() };
        let side = pb::Mount { dest: "/m".into(), input, output: 1, ..pb::Mount::default() };
        let exec = pb::ExecOp { meta: Some(meta), mounts: vec![root, side], ..pb::ExecOp::default() };
        let third = writer.add(pb::op::Op::Exec(exec), &[(&first, 0), (&second, 0)]);
        let whole = writer.definition((&third, output));
        drop(said(&whole));
        let mut spoilt = whole;
        for (op, byte, value) in changes {
            let op = op.index(spoilt.def.len());
            if !spoilt.def[op].is_empty() {
                let byte = byte.index(spoilt.def[op].len());
                spoilt.def[op][byte] = value;
            }
        }
        drop(said(&spoilt));
    }
}
