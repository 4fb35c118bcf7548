//! What was done, step by step, in the form that readers of BuildKit's provenance know: its ops as JSON.

use kiln_graph::op::{
    CopyAction, CopySource, Exec, ExecMount, FileAction, Http, ModeChange, Network, Op, Security, Source,
};
use kiln_graph::{Graph, Vertex, VertexId, redact};
use serde_json::{Map, Value, json};

/// Kinds of mounts, by number.
const SECRET: u8 = 1;
const SSH: u8 = 2;
const CACHE: u8 = 3;
const TMPFS: u8 = 4;

/// Networks and ways of confinement, by number.
const NO_NETWORK: u8 = 2;
const INSECURE: u8 = 1;

/// The name of a step.
pub(super) fn name(id: VertexId) -> String {
    format!("step{}", id.index())
}

/// The steps in an order of execution, and what the last of them leads to.
pub(super) fn steps(graph: &Graph, target: VertexId) -> Vec<Value> {
    let mut steps: Vec<Value> = graph.iter().map(|(id, vertex)| step(id, vertex)).collect();
    steps.push(json!({
        "id": format!("step{}", graph.len()),
        "op": { "Op": {} },
        "inputs": [format!("{}:0", name(target))],
    }));
    steps
}

fn step(id: VertexId, vertex: &Vertex) -> Value {
    let mut described = json!({ "constraints": {} });
    described["Op"] = op(&vertex.op);
    if let Some(platform) = platform(&vertex.op) {
        let mut parts = platform.split('/');
        let mut fields = json!({
            "OS": parts.next().unwrap_or_default(),
            "Architecture": parts.next().unwrap_or_default(),
        });
        if let Some(variant) = parts.next() {
            fields["Variant"] = variant.into();
        }
        described["platform"] = fields;
    }
    let mut step = json!({ "id": name(id) });
    step["op"] = described;
    if !vertex.inputs.is_empty() {
        step["inputs"] = vertex.inputs.iter().map(|input| format!("{}:0", name(*input))).collect();
    }
    step
}

fn platform(op: &Op) -> Option<&str> {
    match op {
        Op::Source(Source::Image { platform, .. } | Source::Layout { platform, .. }) => Some(platform),
        Op::Exec(exec) => Some(&exec.platform),
        _ => None,
    }
}

fn op(op: &Op) -> Value {
    match op {
        Op::Source(from) => json!({ "source": source(from) }),
        Op::Exec(run) => json!({ "exec": exec(run) }),
        Op::File(files) => {
            let actions: Vec<Value> = files.actions.iter().flat_map(actions).collect();
            json!({ "file": { "actions": actions } })
        }
        Op::Merge => json!({ "merge": {} }),
        Op::Diff => json!({ "diff": { "lower": { "input": 0 }, "upper": { "input": 1 } } }),
        // It is what its first input is; the others only have to have been.
        Op::After => json!({}),
        // A result of the step that it is an input of.
        Op::Output(mount) => json!({ "output": mount }),
    }
}

fn source(source: &Source) -> Value {
    match source {
        Source::Scratch => json!({ "identifier": "scratch" }),
        Source::Image { reference, digest, .. } => {
            let pinned = digest.as_ref().filter(|_| !reference.contains('@'));
            let pinned = pinned.map(|digest| format!("@{digest}")).unwrap_or_default();
            json!({ "identifier": format!("docker-image://{reference}{pinned}") })
        }
        Source::Layout { image, .. } => json!({ "identifier": image.to_string() }),
        Source::Context { name, ignore } => {
            let mut source = json!({ "identifier": format!("local://{name}") });
            if !ignore.is_empty() {
                source["attrs"] = json!({ "local.excludepatterns": json!(ignore).to_string() });
            }
            source
        }
        Source::Http(http) => self::http(http),
        Source::Git(git) => {
            let reference = git.reference.as_ref().map(|text| format!("#{text}")).unwrap_or_default();
            let mut attrs = json!({ "git.fullurl": redact(&git.remote) });
            if git.keep_git_dir {
                attrs["git.keepgitdir"] = "true".into();
            }
            json!({ "identifier": format!("git://{}{reference}", bare(&git.remote)), "attrs": attrs })
        }
    }
}

fn http(http: &Http) -> Value {
    let mut attrs = json!({ "http.filename": http.filename });
    if let Some(checksum) = &http.checksum {
        attrs["http.checksum"] = checksum.as_str().into();
    }
    json!({ "identifier": redact(&http.url), "attrs": attrs })
}

fn bare(url: &str) -> String {
    let shown = redact(url);
    shown.split_once("://").map_or(shown.clone(), |(_, rest)| rest.to_owned())
}

fn exec(exec: &Exec) -> Value {
    let env: Vec<String> = exec.env.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let mut meta = json!({ "args": exec.args, "env": env, "cwd": exec.cwd });
    if !exec.user.is_empty() {
        meta["user"] = exec.user.as_str().into();
    }
    if let Some(hostname) = &exec.hostname {
        meta["hostname"] = hostname.as_str().into();
    }
    let root = json!({ "dest": "/", "input": 0 });
    let mounts: Vec<Value> = std::iter::once(root).chain(exec.mounts.iter().filter_map(mount)).collect();
    let mut op = json!({ "meta": meta, "mounts": mounts });
    if exec.network == Network::None {
        op["network"] = NO_NETWORK.into();
    }
    if exec.security == Security::Insecure {
        op["security"] = INSECURE.into();
    }
    let named = exec.mounts.iter().filter_map(|mount| match mount {
        ExecMount::Secret { id, env: Some(name), required, .. } => {
            Some(json!({ "ID": id, "name": name, "optional": !required }))
        }
        _ => None,
    });
    let named: Vec<Value> = named.collect();
    if !named.is_empty() {
        op["secretenv"] = named.into();
    }
    op
}

fn mount(mount: &ExecMount) -> Option<Value> {
    Some(match mount {
        ExecMount::File { target, .. } => json!({ "dest": target, "readonly": true }),
        ExecMount::Tmpfs { target, size } => {
            json!({ "dest": target, "mountType": TMPFS, "TmpfsOpt": { "size": size.unwrap_or(0) } })
        }
        ExecMount::Bind { input, source, target, read_only } => {
            json!({ "dest": target, "input": input, "selector": source, "readonly": read_only })
        }
        ExecMount::Output { input, source, target } => {
            json!({ "dest": target, "input": input, "selector": source })
        }
        ExecMount::Cache(cache) => {
            json!({ "dest": cache.target, "mountType": CACHE, "cacheOpt": { "ID": cache.id } })
        }
        ExecMount::Secret { id, target, required, .. } => json!({
            "dest": target.as_ref()?,
            "mountType": SECRET,
            "secretOpt": { "ID": id, "optional": !required },
        }),
        ExecMount::Ssh { id, target, required, .. } => {
            json!({ "dest": target, "mountType": SSH, "SSHOpt": { "ID": id, "optional": !required } })
        }
    })
}

/// The actions as BuildKit would have them: one for each source.
fn actions(action: &FileAction) -> Vec<Value> {
    let one = |name: &str, fields: Value, secondary: Option<usize>| {
        let mut named = Map::new();
        named.insert(name.to_owned(), fields);
        let secondary = secondary.map_or(json!(-1), |input| json!(input));
        json!({ "Action": named, "input": 0, "output": 0, "secondaryInput": secondary })
    };
    match action {
        FileAction::Copy(copy) => {
            copies(copy).into_iter().map(|(name, fields)| one(name, fields, copy.input)).collect()
        }
        FileAction::Mkdir { path, mode, .. } => {
            vec![one("mkdir", json!({ "path": path, "mode": mode, "makeParents": true }), None)]
        }
        FileAction::Transfer(transfer) => {
            let fields = json!({ "src": transfer.source, "dest": transfer.destination, "mode": mode(transfer.mode.as_ref()) });
            vec![one("copy", fields, Some(transfer.input))]
        }
        FileAction::MakeFile(file) => {
            vec![one("mkfile", json!({ "path": file.path, "mode": file.mode }), None)]
        }
        FileAction::MakeDirectory(made) => {
            let fields = json!({ "path": made.path, "mode": made.mode, "makeParents": made.parents });
            vec![one("mkdir", fields, None)]
        }
        FileAction::MakeLink(link) => {
            vec![one("symlink", json!({ "oldpath": link.target, "newpath": link.path }), None)]
        }
        FileAction::Remove(remove) => {
            let fields = json!({ "path": remove.path, "allowNotFound": remove.allow_missing });
            vec![one("rm", fields, None)]
        }
    }
}

fn copies(copy: &CopyAction) -> Vec<(&'static str, Value)> {
    let copied = |source: &str| {
        let mut fields = json!({
            "src": source,
            "dest": copy.destination,
            "mode": mode(copy.mode.as_ref()),
        });
        if copy.unpack {
            fields["attemptUnpackDockerCompatibility"] = true.into();
        }
        if !copy.excludes.is_empty() {
            fields["excludePatterns"] = json!(copy.excludes);
        }
        ("copy", fields)
    };
    let action = |source: &CopySource| match source {
        CopySource::Path(path) => copied(path),
        CopySource::Parents { pivot, pattern } => copied(&format!("{pivot}/./{pattern}")),
        CopySource::Inline { name, data } => {
            let path = format!("{}/{name}", copy.destination.trim_end_matches('/'));
            ("mkfile", json!({ "path": path, "size": data.len() }))
        }
    };
    copy.sources.iter().map(action).collect()
}

/// -1 keeps what a file has.
fn mode(mode: Option<&ModeChange>) -> Value {
    match mode {
        None => json!(-1),
        Some(ModeChange::Set(bits)) => json!(bits),
        Some(ModeChange::Symbolic(text)) => json!(text),
    }
}
