//! A toy registry for the lowering's tests, the laws every plan keeps, and plans as text.

use std::cell::RefCell;
use std::fmt::Write;

use kiln_graph::Graph;
use kiln_graph::image::{ContainerConfig, History, ImageConfig, RootFs};
use kiln_graph::op::{CopySource, Exec, ExecMount, FileAction, ModeChange, Op, Owner, Security, Source};
use kiln_graph::plan::{BaseRequest, Plan, ResolveBase, ResolveFailure, ResolvedBase};
use kiln_parser::{Diagnostic, Severity};
use serde_json::json;

/// Answers from a fixed list of images, and remembers what it was asked.
#[derive(Default)]
pub struct Bases {
    asked: RefCell<Vec<String>>,
}

impl Bases {
    /// One line a question: the requests that came together.
    pub fn asked(&self) -> Vec<String> {
        self.asked.borrow().clone()
    }
}

impl ResolveBase for Bases {
    fn resolve(&self, requests: &[BaseRequest]) -> Vec<Result<ResolvedBase, ResolveFailure>> {
        let words: Vec<String> =
            requests.iter().map(|request| format!("{} ({})", request.reference, request.platform)).collect();
        self.asked.borrow_mut().push(words.join(", "));
        requests.iter().map(resolve).collect()
    }
}

fn resolve(request: &BaseRequest) -> Result<ResolvedBase, ResolveFailure> {
    let mut config = debian(&request.platform);
    match request.reference.as_str() {
        "debian:12"
        | "docker.io/library/debian:12"
        | "alpine"
        | "golang:1.22"
        | "oci-layout:///srv/layout" => {}
        "service" => config.config = service(),
        "bare" => {
            config.config = ContainerConfig::default();
            config.history.clear();
        }
        "amd64-only" => "amd64".clone_into(&mut config.architecture),
        "onbuild" => on_build(&mut config, &["COPY . /app", "RUN make $TARGET"]),
        "onbuild-from" => {
            on_build(&mut config, &["COPY --from=tools /bin/tool /bin/", "COPY --from=alpine /a /"]);
        }
        "onbuild-bad" => on_build(&mut config, &["FROM scratch", "RUNN make"]),
        "onbuild-env" => on_build(&mut config, &["ARG VERSION=1", "ENV VERSION=$VERSION GONE=$NOT_SET"]),
        reference => {
            let message = format!("no such image: {reference}");
            return Err(ResolveFailure { message, help: Some("check the name".to_owned()) });
        }
    }
    let name = request.reference.rsplit('/').next().unwrap_or_default();
    let digest = format!("sha256:{name}-{}", request.platform.replace('/', "-"));
    Ok(ResolvedBase { digest, config })
}

fn on_build(config: &mut ImageConfig, triggers: &[&str]) {
    config.config.on_build = triggers.iter().map(|&trigger| trigger.to_owned()).collect();
}

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

fn debian(platform: &str) -> ImageConfig {
    let mut parts = platform.split('/').map(str::to_owned);
    ImageConfig {
        os: parts.next().unwrap_or_default(),
        architecture: parts.next().unwrap_or_default(),
        variant: parts.next(),
        created: Some("2026-01-01T00:00:00Z".to_owned()),
        config: ContainerConfig {
            env: strings(&["PATH=/usr/local/bin:/usr/bin:/bin"]),
            cmd: Some(strings(&["bash"])),
            ..ContainerConfig::default()
        },
        rootfs: RootFs { diff_ids: strings(&["sha256:base"]), ..RootFs::default() },
        history: vec![
            History { created_by: Some("ADD rootfs.tar /".to_owned()), ..History::default() },
            History {
                created_by: Some("CMD [\"bash\"]".to_owned()),
                empty_layer: true,
                ..History::default()
            },
        ],
        other: [("docker_version".to_owned(), json!("24")), ("os.version".to_owned(), json!("12"))].into(),
        ..ImageConfig::default()
    }
}

fn service() -> ContainerConfig {
    ContainerConfig {
        user: "app".to_owned(),
        working_dir: "/srv/".to_owned(),
        env: strings(&["PATH=/opt/bin", "MODE=base", "EMPTY="]),
        entrypoint: Some(strings(&["/entry"])),
        cmd: Some(strings(&["serve"])),
        exposed_ports: [("80/tcp".to_owned(), json!({}))].into(),
        volumes: [("/data".to_owned(), json!({}))].into(),
        labels: [("maintainer".to_owned(), "base".to_owned())].into(),
        shell: Some(strings(&["/bin/ash", "-ec"])),
        stop_signal: Some("SIGQUIT".to_owned()),
        other: [("Hostname".to_owned(), json!("0123"))].into(),
        ..ContainerConfig::default()
    }
}

/// The laws that the documentation of plan.rs and graph.rs states.
pub fn check_invariants(plan: Option<&Plan>) {
    let Some(plan) = plan else { return };
    let told = plan.config.history.iter().filter(|entry| !entry.empty_layer).count();
    assert_eq!(told, layers(&plan.graph, plan.target), "history and layers");
    assert!(plan.config.created.is_none() && plan.config.rootfs == RootFs::default());
    for (id, vertex) in plan.graph.iter() {
        assert!(vertex.inputs.iter().all(|input| *input < id));
        match &vertex.op {
            Op::Source(_) => assert!(vertex.inputs.is_empty()),
            Op::Exec(exec) => {
                assert!(!exec.args.is_empty() && exec.cwd.starts_with('/'));
                let mut taken: Vec<usize> = exec.mounts.iter().filter_map(input_of).collect();
                taken.sort_unstable();
                taken.dedup();
                assert_eq!(taken, (1..vertex.inputs.len()).collect::<Vec<_>>(), "every input has its use");
            }
            Op::File(file) => {
                for action in &file.actions {
                    let FileAction::Copy(copy) = action else { continue };
                    assert!(copy.destination.starts_with('/'));
                    assert!(copy.input.is_none_or(|input| input > 0 && input < vertex.inputs.len()));
                }
            }
            other => assert!(matches!(other, Op::Source(_)), "no Dockerfile makes {other:?}"),
        }
    }
}

fn input_of(mount: &ExecMount) -> Option<usize> {
    match mount {
        ExecMount::Bind { input, .. } => Some(*input),
        ExecMount::Cache(cache) => cache.input,
        _ => None,
    }
}

/// The layers of a result: those of the base, which the toy images have one of, and one a step.
fn layers(graph: &Graph, mut at: kiln_graph::VertexId) -> usize {
    let mut count = 0;
    while let Some(vertex) = graph.get(at) {
        match (&vertex.op, vertex.inputs.first()) {
            (Op::Source(Source::Scratch), _) => return count,
            (Op::Exec(_) | Op::File(_), Some(input)) => {
                count += 1;
                at = *input;
            }
            _ => return count + 1,
        }
    }
    count
}

/// Everything that a lowering gave, as text.
pub fn show(plan: Option<&Plan>, diagnostics: &[Diagnostic], asked: &[String], source: &str) -> String {
    let mut out = String::new();
    for line in asked {
        writeln!(out, "asked for {line}").unwrap();
    }
    for diagnostic in diagnostics {
        show_diagnostic(&mut out, diagnostic, source);
    }
    if let Some(plan) = plan {
        show_graph(&mut out, &plan.graph);
        writeln!(out, "target #{}, {}", plan.target.0, plan.platform).unwrap();
        let mut config = plan.config.clone();
        let history = std::mem::take(&mut config.history);
        writeln!(out, "{}", serde_json::to_string_pretty(&config).unwrap()).unwrap();
        for entry in history {
            let mark = if entry.empty_layer { ' ' } else { '*' };
            let time = entry.created.map(|created| format!(" ({created})")).unwrap_or_default();
            let text = entry.created_by.or(entry.comment).unwrap_or_default();
            writeln!(out, "{mark} {}{time}", text.escape_debug()).unwrap();
        }
    }
    out
}

fn show_diagnostic(out: &mut String, diagnostic: &Diagnostic, source: &str) {
    let severity = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    };
    let text = source.get(diagnostic.span.range()).unwrap_or("?");
    writeln!(out, "{severity} [{}] {}", diagnostic.code, diagnostic.message).unwrap();
    writeln!(out, "  at `{}`", text.escape_debug()).unwrap();
    for line in
        diagnostic.help.iter().map(|help| format!("help: {help}")).chain(diagnostic.notes.iter().cloned())
    {
        writeln!(out, "  {line}").unwrap();
    }
}

fn show_graph(out: &mut String, graph: &Graph) {
    for (id, vertex) in graph.iter() {
        let inputs: Vec<String> = vertex.inputs.iter().map(|input| format!("#{}", input.0)).collect();
        let lines =
            vertex.display.location.as_ref().map(|place| format!(" @{}-{}", place.line, place.end_line));
        let no_cache = if vertex.no_cache { " no-cache" } else { "" };
        let stage = &vertex.display.stage;
        let name = vertex.display.name.escape_debug();
        writeln!(
            out,
            "#{} ({}) \"{name}\" stage={stage:?}{}{no_cache}",
            id.0,
            inputs.join(" "),
            lines.unwrap_or_default()
        )
        .unwrap();
        show_op(out, &vertex.op);
    }
}

fn show_op(out: &mut String, op: &Op) {
    match op {
        Op::Source(source) => writeln!(out, "    {source:?}").unwrap(),
        Op::Exec(exec) => show_exec(out, exec),
        Op::File(file) => {
            if file.link {
                writeln!(out, "    link").unwrap();
            }
            file.actions.iter().for_each(|action| show_action(out, action));
        }
        other => writeln!(out, "    {other:?}").unwrap(),
    }
}

fn show_exec(out: &mut String, exec: &Exec) {
    writeln!(out, "    exec {:?}", exec.args).unwrap();
    let pairs = |pairs: &[(String, String)]| -> Vec<String> {
        pairs.iter().map(|(name, value)| format!("{name}={value}")).collect()
    };
    writeln!(out, "    env {:?}", pairs(&exec.env)).unwrap();
    if !exec.proxies.is_empty() {
        writeln!(out, "    proxies {:?}", pairs(&exec.proxies)).unwrap();
    }
    writeln!(
        out,
        "    cwd {} user {:?} network {:?} hostname {:?}",
        exec.cwd, exec.user, exec.network, exec.hostname
    )
    .unwrap();
    if exec.security != Security::Sandbox {
        writeln!(out, "    security {:?}", exec.security).unwrap();
    }
    for device in &exec.devices {
        writeln!(out, "    device {} required {}", device.name, device.required).unwrap();
    }
    for mount in &exec.mounts {
        match mount {
            ExecMount::File { target, data, mode } => {
                writeln!(out, "    file {target} {mode:o} {:?}", String::from_utf8_lossy(data)).unwrap();
            }
            ExecMount::Tmpfs { target, size } => writeln!(out, "    tmpfs {target} {size:?}").unwrap(),
            mount => writeln!(out, "    {mount:?}").unwrap(),
        }
    }
}

fn show_mode(mode: Option<&ModeChange>) -> String {
    match mode {
        None => "kept".to_owned(),
        Some(ModeChange::Set(mode)) => format!("{mode:o}"),
        Some(ModeChange::Symbolic(text)) => text.clone(),
    }
}

fn show_action(out: &mut String, action: &FileAction) {
    match action {
        FileAction::Mkdir { path, mode, owner } => {
            writeln!(out, "    mkdir {path} {mode:o} owner {}", show_owner(owner.as_ref())).unwrap();
        }
        FileAction::Copy(copy) => {
            writeln!(
                out,
                "    copy from {:?} to {} owner {} mode {} excludes {:?} unpack {}",
                copy.input,
                copy.destination,
                show_owner(copy.owner.as_ref()),
                show_mode(copy.mode.as_ref()),
                copy.excludes,
                copy.unpack
            )
            .unwrap();
            for source in &copy.sources {
                match source {
                    CopySource::Path(path) => writeln!(out, "      {path}").unwrap(),
                    CopySource::Parents { pivot, pattern } => {
                        writeln!(out, "      {pivot} /./ {pattern}").unwrap();
                    }
                    CopySource::Inline { name, data } => {
                        writeln!(out, "      <<{name} {:?}", String::from_utf8_lossy(data)).unwrap();
                    }
                }
            }
        }
        other => writeln!(out, "    {other:?}").unwrap(),
    }
}

fn show_owner(owner: Option<&Owner>) -> String {
    owner.map_or_else(|| "root".to_owned(), |owner| format!("{:?}:{:?}", owner.user, owner.group))
}
