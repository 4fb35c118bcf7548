//! What is announced, beside what is done: each name that the protocol knows has an operation that needs it, and either the
//! name is announced and the operation is taken, or neither.

use super::{Writer, file, source};
use crate::api::pb;
use crate::api::pb::file_action::Action;
use crate::api::pb::op::Op;
use crate::llb::nested::Nested;
use crate::llb::{CAPABILITIES, Definition, Layouts, lower};

/// Names of what is no operation, or nothing that can be seen of one: they are about outputs, caches and the daemon.
const ELSEWHERE: &[&str] = &[
    "cache.gha",
    "cache.s3",
    "cache.azblob",
    "exporter.image.annotations",
    "exporter.image.attestations",
    "exporter.sourcedateepoch",
    "exporter.multiple",
    "exporter.session",
    "source.policy",
    "source.policy.session",
    "gc.freespacefilter",
    "history.filter",
];

/// An operation that needs what the name says.
type Example = (&'static str, Op);

fn image(attributes: &[(&str, &str)]) -> Op {
    source("docker-image://a", attributes)
}

fn local(attributes: &[(&str, &str)]) -> Op {
    source("local://a", attributes)
}

fn git(attributes: &[(&str, &str)]) -> Op {
    source("git://h.example/r.git", attributes)
}

fn http(attributes: &[(&str, &str)]) -> Op {
    source("https://h.example/f", attributes)
}

fn sources() -> Vec<Example> {
    vec![
        ("source.image", image(&[])),
        ("source.image.resolvemode", image(&[("image.resolvemode", "pull")])),
        ("source.image.layerlimit", image(&[("image.layerlimit", "1")])),
        ("source.image.checksum", image(&[("image.checksum", "sha256:00")])),
        ("source.local", local(&[])),
        ("source.local.unique", local(&[("local.unique", "a")])),
        ("source.local.sessionid", local(&[("local.session", "a")])),
        ("source.local.includepatterns", local(&[("local.includepattern", "[\"a\"]")])),
        ("source.local.followpaths", local(&[("local.followpaths", "[\"a\"]")])),
        ("source.local.excludepatterns", local(&[("local.excludepatterns", "[\"a\"]")])),
        ("source.local.sharedkeyhint", local(&[("local.sharedkeyhint", "a")])),
        ("source.local.differ", local(&[("local.differ", "none")])),
        ("source.local.metadatatransfer", local(&[("local.metadatatransfer", "true")])),
        ("source.git", git(&[])),
        ("source.git.keepgitdir", git(&[("git.keepgitdir", "true")])),
        ("source.git.fullurl", git(&[("git.fullurl", "https://h.example/r")])),
        ("source.git.httpauth", git(&[("git.authtokensecret", "a"), ("git.authheadersecret", "b")])),
        ("source.git.knownsshhosts", git(&[("git.knownsshhosts", "h ssh-ed25519 AAAA")])),
        ("source.git.mountsshsock", git(&[("git.mountsshsock", "default")])),
        ("source.git.subdir", source("git://h.example/r.git#:sub", &[])),
        ("source.git.checksum", git(&[("git.checksum", "0123456789")])),
        ("source.git.skipsubmodules", git(&[("git.skipsubmodules", "true")])),
        ("source.git.signatureverify", git(&[("git.sig.pubkey", "k")])),
        ("source.git.mtime", git(&[("git.mtime", "commit")])),
        ("source.git.fetchbycommit", git(&[("git.fetchbycommit", "true")])),
        ("source.git.bundle", git(&[("git.bundle", "b")])),
        ("source.git.checkoutbundle", git(&[("git.checkoutbundle", "true")])),
        ("source.http", http(&[])),
        ("source.http.auth", http(&[("http.authheadersecret", "a")])),
        ("source.http.checksum", http(&[("http.checksum", "sha256:00")])),
        ("source.http.perm", http(&[("http.perm", "0644")])),
        ("soruce.http.uidgid", http(&[("http.uid", "1"), ("http.gid", "2")])),
        ("source.http.header", http(&[("http.header.accept", "a")])),
        ("source.http.signatureverify", http(&[("http.sig.pubkey", "k")])),
        ("source.imageblob", source("docker-image+blob://a@sha256:00", &[])),
    ]
}

fn root() -> pb::Mount {
    pb::Mount { dest: "/".into(), input: -1, ..pb::Mount::default() }
}

fn meta() -> pb::Meta {
    pb::Meta { args: vec!["a".into()], cwd: "/".into(), ..pb::Meta::default() }
}

fn exec(change: impl FnOnce(&mut pb::ExecOp)) -> Op {
    let mut exec = pb::ExecOp { meta: Some(meta()), mounts: vec![root()], ..pb::ExecOp::default() };
    change(&mut exec);
    Op::Exec(exec)
}

fn command(change: impl FnOnce(&mut pb::Meta)) -> Op {
    exec(|exec| change(exec.meta.as_mut().unwrap()))
}

fn mount(kind: pb::MountType, change: impl FnOnce(&mut pb::Mount)) -> Op {
    let mut mount = pb::Mount {
        dest: "/m".into(),
        mount_type: kind.into(),
        output: -1,
        cache_opt: Some(pb::CacheOpt::default()),
        secret_opt: Some(pb::SecretOpt::default()),
        ssh_opt: Some(pb::SshOpt::default()),
        ..root()
    };
    change(&mut mount);
    exec(|exec| exec.mounts.push(mount))
}

fn execs() -> Vec<Example> {
    use pb::MountType::{Bind, Cache, Secret, Ssh, Tmpfs};
    let limit = pb::Ulimit { name: "nofile".into(), soft: 1, hard: 1 };
    let proxy = pb::ProxyEnv { http_proxy: "p".into(), ..pb::ProxyEnv::default() };
    let device = pb::CdiDevice { name: "v.example/c=1".into(), optional: false };
    let secret = pb::SecretEnv { id: "a".into(), name: "A".into(), optional: false };
    vec![
        ("exec.meta.base", command(|_| ())),
        ("exec.meta.cgroup.parent", command(|meta| meta.cgroup_parent = "c".into())),
        ("exec.meta.network", exec(|exec| exec.network = pb::NetMode::None.into())),
        ("exec.meta.network.proxy", exec(|exec| exec.network = 3)),
        ("exec.meta.proxyenv", command(|meta| meta.proxy_env = Some(proxy))),
        ("exec.meta.security", exec(|exec| exec.security = pb::SecurityMode::Insecure.into())),
        ("exec.meta.security.devices.v1", exec(|exec| exec.security = 2)),
        ("exec.meta.setsdefaultpath", command(|meta| meta.env = vec!["A=1".into()])),
        ("exec.meta.ulimit", command(|meta| meta.ulimit = vec![limit])),
        ("exec.meta.cdi", exec(|exec| exec.cdi_devices = vec![device])),
        ("exec.meta.removemountstubs.recursive", command(|meta| meta.remove_mount_stubs_recursive = true)),
        ("exec.mount.bind", mount(Bind, |mount| mount.readonly = true)),
        ("exec.mount.bind.readwrite-nooutput", mount(Bind, |_| ())),
        ("exec.mount.cache", mount(Cache, |_| ())),
        (
            "exec.mount.cache.sharing",
            mount(Cache, |mount| mount.cache_opt = Some(pb::CacheOpt { id: "c".into(), sharing: 2 })),
        ),
        ("exec.mount.selector", mount(Bind, |mount| mount.selector = "/sub".into())),
        ("exec.mount.tmpfs", mount(Tmpfs, |_| ())),
        ("exec.mount.tmpfs.size", mount(Tmpfs, |mount| mount.tmpfs_opt = Some(pb::TmpfsOpt { size: 9 }))),
        ("exec.mount.secret", mount(Secret, |_| ())),
        ("exec.mount.ssh", mount(Ssh, |_| ())),
        (
            "exec.mount.cache.content",
            mount(Bind, |mount| mount.content_cache = pb::MountContentCache::On.into()),
        ),
        ("exec.cgroup", command(|_| ())),
        ("exec.secretenv", exec(|exec| exec.secretenv = vec![secret])),
        ("exec.validexitcode", command(|meta| meta.valid_exit_codes = vec![3])),
    ]
}

fn one(action: Action) -> Op {
    file(vec![(action, -1)], -1, 0)
}

fn copy(change: impl FnOnce(&mut pb::FileActionCopy)) -> Op {
    let mut copy = pb::FileActionCopy { src: "/a".into(), dest: "/b".into(), mode: -1, ..Default::default() };
    change(&mut copy);
    one(Action::Copy(copy))
}

fn files() -> Vec<Example> {
    let remove = |path: &str, allow_wildcard| pb::FileActionRm {
        path: path.into(),
        allow_not_found: true,
        allow_wildcard,
    };
    let link = pb::FileActionSymlink { oldpath: "o".into(), newpath: "/n".into(), ..Default::default() };
    vec![
        ("file.base", one(Action::Mkfile(pb::FileActionMkFile { path: "/f".into(), ..Default::default() }))),
        ("file.rm.wildcard", one(Action::Rm(remove("/a*", true)))),
        ("file.rm.nofollowsymlink", one(Action::Rm(remove("/a", false)))),
        ("file.copy.includeexcludepatterns", copy(|copy| copy.include_patterns = vec!["a".into()])),
        ("file.copy.requiredpaths", copy(|copy| copy.required_paths = vec!["a".into()])),
        (
            "file.copy.alwaysreplaceexistingdestpaths",
            copy(|copy| copy.always_replace_existing_dest_paths = true),
        ),
        ("file.copy.modestring", copy(|copy| copy.mode_str = "u+x".into())),
        ("file.symlink.create", one(Action::Symlink(link))),
    ]
}

/// Operations that take two results of others.
fn composed() -> Vec<Example> {
    let merge = pb::MergeOp { inputs: vec![pb::MergeInput { input: 0 }, pb::MergeInput { input: 1 }] };
    let diff = pb::DiffOp {
        lower: Some(pb::LowerDiffInput { input: 0 }),
        upper: Some(pb::UpperDiffInput { input: 1 }),
    };
    vec![
        ("mergeop", Op::Merge(merge)),
        ("diffop", Op::Diff(diff)),
        ("passthroughop", Op::Passthrough(pb::PassthroughOp { id: "p".into(), outputs: vec![1] })),
    ]
}

/// What is said beside operations.
fn described() -> Vec<(&'static str, pb::OpMetadata)> {
    let nothing = pb::OpMetadata::default;
    vec![
        ("meta.ignorecache", pb::OpMetadata { ignore_cache: true, ..nothing() }),
        (
            "meta.description",
            pb::OpMetadata { description: [("llb.customname".into(), "n".into())].into(), ..nothing() },
        ),
        (
            "meta.exportcache",
            pb::OpMetadata { export_cache: Some(pb::ExportCache { value: false }), ..nothing() },
        ),
        (
            "exec.meta.linux.resources",
            pb::OpMetadata { linux_resources: Some(pb::LinuxResources::default()), ..nothing() },
        ),
    ]
}

fn is_taken(definition: &pb::Definition) -> bool {
    Definition::read(definition).and_then(|it| lower(it, "linux/amd64", Layouts::new())).is_ok()
}

/// Whether an operation is taken that may take the results of two others.
fn takes(op: &Op, metadata: Option<pb::OpMetadata>) -> bool {
    let mut writer = Writer::default();
    let (one, two) = (writer.add(image(&[]), &[]), writer.add(local(&[]), &[]));
    let inputs: &[(&str, i64)] = match op {
        Op::Merge(_) | Op::Diff(_) | Op::Passthrough(_) => &[(&one, 0), (&two, 0)],
        _ => &[],
    };
    let digest = writer.add(op.clone(), inputs);
    let mut definition = writer.definition((&digest, 0));
    definition.metadata.extend(metadata.map(|metadata| (digest, metadata)));
    is_taken(&definition)
}

#[track_caller]
fn agrees(name: &str, is_done: bool) {
    assert_eq!(CAPABILITIES.contains(&name), is_done, "{name}: announced on the left, done on the right");
}

#[test]
fn what_is_announced_is_done_and_nothing_else() {
    let mut known = vec!["constraints", "platform", "source.ocilayout", "source.buildop.llbfilename"];
    for (name, op) in [sources(), execs(), files(), composed()].into_iter().flatten() {
        agrees(name, takes(&op, None));
        known.push(name);
    }
    for (name, metadata) in described() {
        agrees(name, takes(&image(&[]), Some(metadata)));
        known.push(name);
    }
    let unknown: Vec<&&str> = CAPABILITIES.iter().filter(|name| !known.contains(*name)).collect();
    assert!(unknown.is_empty(), "announced, and not known to the protocol: {unknown:?}");
    assert!(ELSEWHERE.iter().all(|name| !CAPABILITIES.contains(name)));
}

#[test]
fn what_is_about_more_than_one_operation_is_done() {
    let on = |op: Op| {
        let (os, architecture) = ("linux".to_owned(), "arm64".to_owned());
        let platform = Some(pb::Platform { os, architecture, ..pb::Platform::default() });
        let constraints = Some(pb::WorkerConstraints { filter: vec!["platform".into()] });
        pb::Op { op: Some(op), platform, constraints, inputs: Vec::new() }
    };
    let mut writer = Writer::default();
    let digest = writer.push(&on(image(&[])));
    let definition = Definition::read(&writer.definition((&digest, 0))).unwrap();
    assert_eq!(lower(definition, "linux/amd64", Layouts::new()).unwrap().platform, "linux/arm64");

    let mut writer = Writer::default();
    let layout = format!("oci-layout://x@sha256:{}", "0".repeat(64));
    let digest = writer.add(source(&layout, &[]), &[]);
    let definition = Definition::read(&writer.definition((&digest, 0))).unwrap();
    let copied = |(layout, _)| (layout, "/copy".to_owned());
    let layouts: Layouts = definition.layouts().into_iter().map(copied).collect();
    assert!(lower(definition, "linux/amd64", layouts).is_ok());

    let mut writer = Writer::default();
    let maker = writer.add(local(&[]), &[]);
    let build = pb::BuildOp {
        builder: -1,
        inputs: [("buildkit.llb.definition".into(), pb::BuildInput { input: 0 })].into(),
        attrs: [("llbbuild.filename".into(), "other".into())].into(),
        def: None,
    };
    let digest = writer.add(Op::Build(build), &[(&maker, 0)]);
    let definition = Definition::read(&writer.definition((&digest, 0))).unwrap();
    let nested = Nested::first(&definition).unwrap().unwrap();
    assert_eq!((nested.operation, nested.result, nested.file), (digest, (maker, 0), "other".to_owned()));
}

#[test]
fn what_clients_need_and_is_not_done_is_named() {
    let needs = |name: &str, needed| pb::OpMetadata {
        caps: [(name.to_owned(), needed)].into(),
        ..pb::OpMetadata::default()
    };
    let said = |metadata| {
        let mut writer = Writer::default();
        let digest = writer.add(image(&[]), &[]);
        let mut definition = writer.definition((&digest, 0));
        definition.metadata.insert(digest, metadata);
        let lowered = lower(Definition::read(&definition).unwrap(), "linux/amd64", Layouts::new());
        lowered.map(drop).map_err(|error| error.to_string())
    };
    assert_eq!(said(needs("source.image", true)), Ok(()));
    assert_eq!(said(needs("exec.meta.tomorrow", false)), Ok(()));
    let refused = said(needs("exec.meta.tomorrow", true)).unwrap_err();
    assert!(refused.contains("caps") && refused.contains("`exec.meta.tomorrow`"), "{refused}");
}
