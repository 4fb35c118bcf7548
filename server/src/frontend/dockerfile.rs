//! Dockerfiles: what the client sends, lowered and solved, one image for each platform.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use kiln_builder::SharedCaches;
use kiln_builder::{
    Bases, BuildError, BuildRequest, Credentials, Progress, PullPolicy, RequireCached, Secret,
};
use kiln_graph::Entitlements;
use kiln_graph::lower::lower;
use kiln_graph::op::{ExecMount, Op, Source};
use kiln_graph::plan::Plan;
use kiln_parser::{Diagnostic, Severity};
use tokio::runtime::Handle;
use tonic::{Code, Status};

use super::load::{self, Loaded, Names};
use super::options;
use crate::api::control::VertexWarning;
use crate::api::pb::{Position, Range, SourceInfo};
use crate::build::{Build, Outcome, Solved};
use crate::contexts::Synced;
use crate::failure::{self, Lines, told};
use crate::server::Server;
use crate::session::{Session, services};

/// Metadata of a result: the image's configuration, by itself or for a platform (`KEY/PLATFORM`).
pub(crate) const CONFIG: &str = "containerimage.config";

/// Metadata of a result with several platforms: which.
pub(crate) const PLATFORMS: &str = "refs.platforms";

/// The agent that repositories are fetched with.
const DEFAULT_AGENT: &str = "default";

/// Everything that one solve is about.
struct Work<'a> {
    server: &'a Server,
    build: &'a Arc<Build>,
    session: Session,
    builder: kiln_builder::Builder,
    names: Names,
    loaded: Loaded,
    progress: Progress,
}

/// Builds what the attributes say.
pub(crate) async fn solve(
    server: &Server,
    build: &Arc<Build>,
    attributes: &HashMap<String, String>,
) -> Result<Outcome, Status> {
    let session = server.sessions.get(&build.session).await?;
    let (progress, told_all) = crate::progress::of(build);
    let work = async {
        let names = Names::read(attributes);
        let loaded = load::load(&session, &names, &progress).await?;
        let builder = server.builder_for(&session);
        let work = Work { server, build, session, builder, names, loaded, progress };
        work.all(attributes).await
    };
    let result = tokio::select! {
        result = work => result,
        () = build.cancel.cancelled() => Err(Status::cancelled("the client has gone")),
    };
    told_all.wait().await;
    result
}

impl Work<'_> {
    async fn all(&self, attributes: &HashMap<String, String>) -> Result<Outcome, Status> {
        let platforms = options::platforms(attributes);
        if platforms.len() <= 1 {
            let platform = platforms.first().map(String::as_str);
            let solved = self.one(attributes, platform, true).await?;
            let metadata = HashMap::from([(CONFIG.to_owned(), solved.config.clone())]);
            return Ok(Outcome { images: vec![(String::new(), solved)], metadata });
        }
        let mut outcome = Outcome::default();
        let mut listed = Vec::new();
        for (number, platform) in platforms.iter().enumerate() {
            let solved = self.one(attributes, Some(platform), number == 0).await?;
            outcome.metadata.insert(format!("{CONFIG}/{platform}"), solved.config.clone());
            listed.push(serde_json::json!({ "ID": platform, "Platform": platform_of(platform) }));
            outcome.images.push((platform.clone(), solved));
        }
        let listed = serde_json::json!({ "Platforms": listed }).to_string();
        outcome.metadata.insert(PLATFORMS.to_owned(), listed.into_bytes());
        Ok(outcome)
    }

    async fn one(
        &self,
        attributes: &HashMap<String, String>,
        platform: Option<&str>,
        warns: bool,
    ) -> Result<Arc<Solved>, Status> {
        let host = self.server.platform.as_str();
        let mut options = options::read(attributes, platform, host, self.loaded.ignore.clone())?;
        options.entitlements = self.entitlements()?;
        let text = &self.loaded.source.text;
        let check = options.build_args.get(kiln_parser::check::BUILD_ARGUMENT).map(String::as_str);
        let parsed = kiln_parser::parse_with(text, check);
        if parsed.diagnostics.iter().any(Diagnostic::is_error) {
            return Err(self.mistakes(&parsed.diagnostics));
        }
        let policy = match attributes.get("image-resolve-mode").map(String::as_str) {
            Some("pull") => PullPolicy::Always,
            _ => PullPolicy::Missing,
        };
        let resolver = self.builder.resolver(policy, self.progress.clone(), Handle::current());
        let bases = resolver.bases();
        let (owned, dockerfile) = (text.clone(), parsed.dockerfile);
        let lowered = tokio::task::spawn_blocking(move || lower(&owned, &dockerfile, &options, &resolver));
        let lowered = lowered.await.map_err(|_| Status::internal("the lowering ended without a result"))?;
        let mut diagnostics = parsed.diagnostics;
        diagnostics.extend(lowered.diagnostics);
        let Some(plan) = lowered.plan else { return Err(self.mistakes(&diagnostics)) };
        if warns {
            self.warn(&diagnostics);
        }
        self.run(plan, bases).await
    }

    async fn run(&self, plan: Plan, bases: Bases) -> Result<Arc<Solved>, Status> {
        let synced = self.contexts(&plan).await?;
        let contexts = synced.iter().map(|(name, synced)| (name.clone(), synced.path().to_owned()));
        let agents = tempfile::tempdir().map_err(|error| told(Code::Internal, &error))?;
        let request = BuildRequest {
            credentials: self.credentials(&plan, agents.path()).await?,
            plan,
            contexts: contexts.collect::<BTreeMap<String, PathBuf>>(),
            bases,
            project: format!("{} {}", self.session.shared_key, self.names.filename),
            require_cached: kiln_builder::RequireCached::Nothing,
            entitlements: self.entitlements()?,
            shared: kiln_builder::SharedCaches::default(),
            cancel: self.build.cancel.clone(),
        };
        let record = self.builder.build(request, &self.progress).await;
        let record = record.map_err(|error| self.failed(&error))?;
        let config = self.builder.images().config(&record).map_err(|error| told(Code::Internal, &error))?;
        let config = serde_json::to_vec(&config).map_err(|error| told(Code::Internal, &error))?;
        Ok(Arc::new(Solved { record, config }))
    }

    /// What the client granted its build.
    fn entitlements(&self) -> Result<Entitlements, Status> {
        let mut granted = Entitlements::default();
        for text in &self.build.entitlements {
            granted.grant(text).map_err(|error| Status::invalid_argument(error.to_string()))?;
        }
        Ok(granted)
    }

    /// The directories that the plan reads.
    async fn contexts(&self, plan: &Plan) -> Result<BTreeMap<String, Synced>, Status> {
        let mut synced = BTreeMap::new();
        for (_, vertex) in plan.graph.iter() {
            let Op::Source(Source::Context { name, ignore }) = &vertex.op else { continue };
            if synced.contains_key(name) {
                continue;
            }
            let at_client = if name == Source::MAIN_CONTEXT { &self.names.context } else { name };
            let context =
                load::context(self.server, &self.session, at_client, ignore, &self.progress).await?;
            synced.insert(name.clone(), context);
        }
        Ok(synced)
    }

    /// The secrets and agents that steps of the plan name, as far as the client has them.
    async fn credentials(&self, plan: &Plan, agents: &std::path::Path) -> Result<Credentials, Status> {
        let (mut secrets, mut wanted) = (BTreeSet::new(), BTreeSet::new());
        for (_, vertex) in plan.graph.iter() {
            match &vertex.op {
                Op::Exec(exec) => {
                    for mount in &exec.mounts {
                        match mount {
                            ExecMount::Secret { id, .. } => drop(secrets.insert(id.clone())),
                            ExecMount::Ssh { id, .. } => drop(wanted.insert(id.clone())),
                            _ => {}
                        }
                    }
                }
                Op::Source(Source::Git(_)) => drop(wanted.insert(DEFAULT_AGENT.to_owned())),
                _ => {}
            }
        }
        let mut credentials = Credentials::default();
        for id in secrets {
            if let Some(value) = services::secret(&self.session, &id).await? {
                credentials.secrets.insert(id, Secret::new(value));
            }
        }
        for id in wanted {
            if services::has_agent(&self.session, &id).await {
                let socket = services::agent(&self.session, &id, agents);
                credentials.agents.insert(id, socket.map_err(|error| told(Code::Internal, &error))?);
            }
        }
        Ok(credentials)
    }

    /// Mistakes of the Dockerfile as one error that shows their lines.
    fn mistakes(&self, diagnostics: &[Diagnostic]) -> Status {
        let errors: Vec<_> = diagnostics.iter().filter(|found| found.is_error()).collect();
        let place = |found: &&Diagnostic| self.lines(found);
        let lines: Vec<Lines> = errors.iter().filter_map(place).collect();
        let message: Vec<String> = errors
            .iter()
            .map(|found| match (self.lines(found), &found.help) {
                (Some(lines), Some(help)) => {
                    format!("dockerfile parse error on line {}: {} ({help})", lines.first, found.message)
                }
                (Some(lines), None) => {
                    format!("dockerfile parse error on line {}: {}", lines.first, found.message)
                }
                (None, _) => found.message.clone(),
            })
            .collect();
        failure::at(Code::InvalidArgument, &message.join("\n"), &self.loaded.source, &lines)
    }

    fn lines(&self, found: &Diagnostic) -> Option<Lines> {
        let span = found.span;
        (span != kiln_parser::span::Span::default())
            .then(|| failure::lines(&self.loaded.source.text, &(span.start..span.end)))
    }

    fn warn(&self, diagnostics: &[Diagnostic]) {
        for found in diagnostics.iter().filter(|found| found.severity == Severity::Warning) {
            let lines = self.lines(found);
            let place = lines.map_or_else(String::new, |lines| format!(" (line {})", lines.first));
            let range = lines.map(|lines| Range {
                start: Some(Position { line: line_number(lines.first), character: 0 }),
                end: Some(Position { line: line_number(lines.last), character: 0 }),
            });
            self.build.status.warn(VertexWarning {
                vertex: self.build.status.first(),
                level: 1,
                short: format!("{}: {}{place}", found.code, found.message).into_bytes(),
                detail: found.help.iter().map(|help| help.clone().into_bytes()).collect(),
                info: Some(SourceInfo {
                    filename: self.loaded.source.name.clone(),
                    data: self.loaded.source.text.clone().into_bytes(),
                    language: "Dockerfile".to_owned(),
                    ..SourceInfo::default()
                }),
                ranges: range.into_iter().collect(),
                ..VertexWarning::default()
            });
        }
    }

    fn failed(&self, error: &BuildError) -> Status {
        let code = if error.is_cancelled() { Code::Cancelled } else { Code::Unknown };
        let hint = error.hint().map_or_else(String::new, |hint| format!(" ({hint})"));
        let message = format!("{}{hint}", kiln_builder::text::chain(error));
        match error {
            BuildError::Step { location: Some(location), .. } => {
                failure::at(code, &message, &self.loaded.source, &[Lines::from(location)])
            }
            _ => Status::new(code, message),
        }
    }
}

fn line_number(line: u32) -> i32 {
    i32::try_from(line).unwrap_or(i32::MAX)
}

/// `os/architecture[/variant]` as JSON has it.
fn platform_of(text: &str) -> serde_json::Value {
    let mut parts = text.split('/');
    let (os, architecture) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    match parts.next() {
        Some(variant) => serde_json::json!({ "os": os, "architecture": architecture, "variant": variant }),
        None => serde_json::json!({ "os": os, "architecture": architecture }),
    }
}
