//! What each operation is lowered to: text beside the messages it is made from.

use std::fmt::Write as _;
use std::path::Path;

use super::{Writer, file, source};
use crate::api::pb;
use crate::api::pb::file_action::Action;
use crate::llb::nested::Nested;
use crate::llb::{Definition, Layouts, Lowered, lower};

/// Where the expected texts are.
const GOLDENS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/llb");

fn shown(definition: Definition) -> String {
    let lowered = match lower(definition, "linux/amd64", Layouts::new()) {
        Ok(lowered) => lowered,
        Err(error) => return format!("{error}\n"),
    };
    let Lowered { graph, target, platform, locals, pulls, .. } = lowered;
    let mut text = String::new();
    for (id, vertex) in graph.iter() {
        let inputs: Vec<u32> = vertex.inputs.iter().map(|input| input.0).collect();
        let cached = if vertex.no_cache { " (not from the cache)" } else { "" };
        writeln!(text, "{} {:?} from {inputs:?}{cached}\n{:#?}", id.0, vertex.display.name, vertex.op)
            .unwrap();
    }
    writeln!(text, "target {} platform {platform} pulls {pulls}\n{locals:#?}", target.0).unwrap();
    text
}

#[track_caller]
fn matches(name: &str, definition: &pb::Definition) {
    matches_read(name, Definition::read(definition).unwrap());
}

#[track_caller]
fn matches_read(name: &str, definition: Definition) {
    let path = Path::new(GOLDENS).join(format!("{name}.txt"));
    let shown = shown(definition);
    if std::env::var_os("KILN_BLESS").is_some() {
        std::fs::create_dir_all(GOLDENS).unwrap();
        std::fs::write(&path, &shown).unwrap();
    }
    assert_eq!(shown, std::fs::read_to_string(&path).unwrap(), "{name}");
}

fn alone(name: &str, op: pb::op::Op) {
    let mut writer = Writer::default();
    let digest = writer.add(op, &[]);
    matches(name, &writer.definition((&digest, 0)));
}

#[test]
fn sources() {
    alone("image", source("docker-image://docker.io/library/alpine:3", &[("image.resolvemode", "pull")]));
    alone(
        "http",
        source("https://h.example/x/f.tgz?q=1", &[("http.checksum", "sha256:00"), ("http.filename", "g")]),
    );
    let attributes =
        [("git.fullurl", "https://h.example/r.git"), ("git.keepgitdir", "true"), ("git.mtime", "commit")];
    alone("git", source("git://h.example/r.git#main:sub/dir", &attributes));
    let attributes = [("git.fullurl", "deploy@h.example:o/r.git"), ("git.checksum", "0123456")];
    alone("git_short", source("git://h.example/o/r.git", &attributes));
    alone("git_short_name", source("git://deploy@h.example:o/r.git", &attributes[1..]));
    let attributes = [
        ("local.session", "s1"),
        ("local.includepattern", "[\"a\",\"b/*\"]"),
        ("local.excludepatterns", "[\"c\"]"),
        ("local.followpaths", "[\"d\"]"),
        ("local.sharedkeyhint", "hint"),
    ];
    alone("local", source("local://src", &attributes));
    alone("oci_layout", source("oci-layout://x@sha256:00", &[]));
    let attributes = [("http.perm", "0755"), ("http.uid", "7"), ("http.gid", "8")];
    alone("http_access", source("https://h.example/tool", &attributes));
}

#[test]
fn execs() {
    let mut writer = Writer::default();
    let image = writer.add(source("docker-image://a", &[]), &[]);
    let local = writer.add(source("local://src", &[]), &[]);
    let mount =
        |dest: &str, input, output| pb::Mount { dest: dest.into(), input, output, ..pb::Mount::default() };
    let cache = pb::CacheOpt { id: "c".into(), sharing: 2 };
    let secret = pb::SecretOpt { id: "s".into(), uid: 1, gid: 2, mode: 0o400, optional: true };
    let exec = pb::ExecOp {
        meta: Some(pb::Meta {
            args: vec!["sh".into(), "-c".into(), "make".into()],
            env: vec!["A=1".into(), "B=2".into(), "A=3".into()],
            cwd: "/w".into(),
            user: "u".into(),
            proxy_env: Some(pb::ProxyEnv { http_proxy: "p".into(), ..pb::ProxyEnv::default() }),
            extra_hosts: vec![pb::HostIp { host: "h".into(), ip: "10.0.0.1".into() }],
            hostname: "name".into(),
            ulimit: [("nofile", 5, 6), ("CORE", 0, -1), ("nofile", 7, 8)]
                .map(|(name, soft, hard)| pb::Ulimit { name: name.into(), soft, hard })
                .to_vec(),
            valid_exit_codes: vec![0, 3],
            ..pb::Meta::default()
        }),
        mounts: vec![
            mount("/", 0, 0),
            pb::Mount { readonly: true, selector: "/sub".into(), ..mount("/ro", 1, -1) },
            mount("/forgotten", 1, -1),
            mount("/out", -1, 1),
            pb::Mount { mount_type: 3, cache_opt: Some(cache), ..mount("/cache", 0, -1) },
            pb::Mount { mount_type: 4, tmpfs_opt: Some(pb::TmpfsOpt { size: 5 }), ..mount("/tmp", -1, -1) },
            pb::Mount { mount_type: 1, secret_opt: Some(secret), ..mount("/secret", -1, 0) },
            pb::Mount { mount_type: 2, ssh_opt: Some(pb::SshOpt::default()), ..mount("/ssh", -1, 0) },
        ],
        network: 2,
        security: 1,
        secretenv: vec![pb::SecretEnv { id: "t".into(), name: "T".into(), optional: false }],
        cdi_devices: vec![pb::CdiDevice { name: "v/c=1".into(), optional: true }],
    };
    let exec = writer.add(pb::op::Op::Exec(exec), &[(&image, 0), (&local, 0)]);
    let mut definition = writer.definition((&exec, 1));
    let described = pb::OpMetadata {
        ignore_cache: true,
        description: [("llb.customname".to_owned(), "named".to_owned())].into(),
        ..pb::OpMetadata::default()
    };
    definition.metadata.insert(exec, described);
    matches("exec", &definition);
}

#[test]
fn files() {
    let mut writer = Writer::default();
    let local = writer.add(source("local://src", &[]), &[]);
    let named = pb::UserOpt {
        user: Some(pb::user_opt::User::ByName(pb::NamedUserOpt { name: "bob".into(), input: 3 })),
    };
    let owner = Some(pb::ChownOpt { user: Some(named), group: None });
    let copy = pb::FileActionCopy {
        src: "/x*".into(),
        dest: "y/../z/".into(),
        owner,
        mode: -1,
        mode_str: "u+x".into(),
        allow_wildcard: true,
        timestamp: -1,
        include_patterns: vec!["i".into()],
        ..pb::FileActionCopy::default()
    };
    let add = pb::FileActionCopy {
        src: "/t.tar".into(),
        dest: "/".into(),
        mode: -1,
        follow_symlink: true,
        dir_copy_contents: true,
        attempt_unpack_docker_compatibility: true,
        create_dest_path: true,
        timestamp: -1,
        ..pb::FileActionCopy::default()
    };
    let actions = vec![
        (
            Action::Mkdir(pb::FileActionMkDir {
                path: "/d".into(),
                mode: 0o4755,
                timestamp: -1,
                ..Default::default()
            }),
            -1,
        ),
        (
            Action::Mkfile(pb::FileActionMkFile {
                path: "f".into(),
                timestamp: 1_500_000_000,
                ..Default::default()
            }),
            -1,
        ),
        (
            Action::Rm(pb::FileActionRm {
                path: "/a/../b".into(),
                allow_not_found: true,
                allow_wildcard: true,
            }),
            -1,
        ),
        (Action::Copy(copy), 0),
        (
            Action::Symlink(pb::FileActionSymlink {
                oldpath: "o".into(),
                newpath: "n".into(),
                ..Default::default()
            }),
            -1,
        ),
        (Action::Copy(add), 0),
    ];
    let file = writer.add(file(actions, -1, 1), &[(&local, 0)]);
    matches("file", &writer.definition((&file, 0)));
}

#[test]
fn merges_and_differences() {
    let mut writer = Writer::default();
    let (image, local) =
        (writer.add(source("docker-image://a", &[]), &[]), writer.add(source("local://src", &[]), &[]));
    let inputs = (-1..2).map(|input| pb::MergeInput { input }).collect();
    let merge = writer.add(pb::op::Op::Merge(pb::MergeOp { inputs }), &[(&image, 0), (&local, 0)]);
    let diff = pb::DiffOp {
        lower: Some(pb::LowerDiffInput { input: 0 }),
        upper: Some(pb::UpperDiffInput { input: 1 }),
    };
    let diff = writer.add(pb::op::Op::Diff(diff), &[(&image, 0), (&merge, 0)]);
    matches("merge_diff", &writer.definition((&diff, 0)));
}

#[test]
fn what_waits() {
    let mut writer = Writer::default();
    let (image, local) =
        (writer.add(source("docker-image://a", &[]), &[]), writer.add(source("local://src", &[]), &[]));
    let op = pb::op::Op::Passthrough(pb::PassthroughOp { id: "gate".into(), outputs: vec![1, 0] });
    let through = writer.add(op, &[(&image, 0), (&local, 0)]);
    let merge = pb::MergeOp { inputs: (0..2).map(|input| pb::MergeInput { input }).collect() };
    let merge = writer.add(pb::op::Op::Merge(merge), &[(&through, 0), (&through, 1)]);
    matches("passthrough", &writer.definition((&merge, 0)));
}

#[test]
fn builds() {
    let mut inner = Writer::default();
    let image = inner.add(source("docker-image://inner", &[]), &[]);
    let mut writer = Writer::default();
    let local = writer.add(source("local://src", &[]), &[]);
    let build = pb::BuildOp {
        builder: -1,
        inputs: [("buildkit.llb.definition".to_owned(), pb::BuildInput { input: 0 })].into(),
        ..pb::BuildOp::default()
    };
    let build = writer.add(pb::op::Op::Build(build), &[(&local, 0)]);
    let link = pb::FileActionSymlink { oldpath: "o".into(), newpath: "n".into(), ..Default::default() };
    let file = writer.add(file(vec![(Action::Symlink(link), -1)], 0, 1), &[(&build, 0)]);
    let mut definition = Definition::read(&writer.definition((&file, 0))).unwrap();
    let nested = Nested::first(&definition).unwrap().unwrap();
    let inner = Definition::read(&inner.definition((&image, 0))).unwrap();
    definition.take_in(&nested.operation, inner).unwrap();
    assert_eq!(Nested::first(&definition).unwrap(), None);
    // What only made the definition is not part of the graph any more.
    matches_read("build", definition);
}
