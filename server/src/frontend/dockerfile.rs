//! Dockerfiles: what the client sends, lowered and solved, one image for each platform.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use kiln_builder::{Bases, BuildRequest, Builder, PatientBases, Progress, RequireCached};
use kiln_graph::Entitlements;
use kiln_graph::lower::{LowerOptions, lower};
use kiln_graph::op::{Op, Source};
use kiln_graph::plan::Plan;
use kiln_parser::Diagnostic;
use tokio::runtime::Handle;
use tonic::{Code, Status};

use super::load::{self, MainContext, Names};
use super::named::Named;
use super::report::{self, Report};
use super::{credentials, limits, options, paths, questions};
use crate::build::{Build, Outcome, Solved};
use crate::caches::{self, BuildCaches};
use crate::contexts::Synced;
use crate::failure::told;
use crate::progress::for_platform;
use crate::server::Server;
use crate::session::Session;

/// Metadata of a result: the image's configuration, by itself or for a platform (`KEY/PLATFORM`).
pub(crate) const CONFIG: &str = "containerimage.config";

/// Metadata of a result with several platforms: which.
pub(crate) const PLATFORMS: &str = "refs.platforms";

/// Everything that one solve is about.
struct Work<'a> {
    server: &'a Server,
    build: &'a Arc<Build>,
    attributes: &'a HashMap<String, String>,
    session: Session,
    builder: Builder,
    names: Names,
    report: Report,
    ignore: Vec<String>,
    context: MainContext,
    named: Named,
    progress: Progress,
}

/// Builds what the attributes say, or answers what they ask.
pub(crate) async fn solve(
    server: &Server,
    build: &Arc<Build>,
    attributes: &HashMap<String, String>,
) -> Result<Outcome, Status> {
    let question = questions::of(attributes);
    if let Some(question) = question
        && let Some(outcome) = questions::without_dockerfile(question)?
    {
        return Ok(outcome);
    }
    let session = server.sessions.get(&build.session).await?;
    let (progress, told_all) = crate::progress::of(build);
    let work = async {
        let work = Work::prepare(server, build, attributes, session, progress).await?;
        match question {
            Some(question) => work.answer(question).await,
            None => work.all().await,
        }
    };
    let result = tokio::select! {
        result = work => result,
        () = build.cancel.cancelled() => Err(Status::cancelled("the client has gone")),
    };
    told_all.wait().await;
    result
}

impl<'a> Work<'a> {
    /// Reads what the build starts from.
    async fn prepare(
        server: &'a Server,
        build: &'a Arc<Build>,
        attributes: &'a HashMap<String, String>,
        session: Session,
        progress: Progress,
    ) -> Result<Self, Status> {
        let limits = limits::read(attributes)?;
        let mut builder = server.builder_for(&session);
        if !limits.hosts.is_empty() {
            builder = builder.with_hosts(&limits.hosts);
        }
        let names = Names::read(attributes);
        let agents = tempfile::tempdir().map_err(|error| told(Code::Internal, &error))?;
        let context = attributes.get("context").map(String::as_str).unwrap_or_default();
        let credentials = credentials::for_context(&session, context, agents.path()).await?;
        let from = (&builder, &credentials);
        let loaded = load::load(server, &session, from, (&names, attributes), &progress).await?;
        let named = Named::read(server, &session, attributes, &progress).await?;
        // Clients show no warnings before there is a step that they could belong to.
        for warning in limits.warnings {
            progress.warn(warning);
        }
        let report = Report { source: loaded.source };
        let (ignore, context) = (loaded.ignore, loaded.context);
        Ok(Self {
            server,
            build,
            attributes,
            session,
            builder,
            names,
            report,
            ignore,
            context,
            named,
            progress,
        })
    }

    async fn all(&self) -> Result<Outcome, Status> {
        let platforms = options::platforms(self.attributes)?;
        if platforms.len() <= 1 && !options::is_multi(self.attributes) {
            let platform = platforms.first().map(String::as_str);
            let solved = self.one(platform, None, true).await?;
            let metadata = HashMap::from([(CONFIG.to_owned(), solved.config.clone())]);
            return Ok(Outcome { images: vec![(String::new(), solved)], metadata });
        }
        let platforms = if platforms.is_empty() { vec![self.server.platform.clone()] } else { platforms };
        let mut outcome = Outcome::default();
        let mut listed = Vec::new();
        for (number, platform) in platforms.iter().enumerate() {
            let solved = self.one(Some(platform), Some(platform), number == 0).await?;
            outcome.metadata.insert(format!("{CONFIG}/{platform}"), solved.config.clone());
            listed.push(serde_json::json!({ "ID": platform, "Platform": platform_of(platform) }));
            outcome.images.push((platform.clone(), solved));
        }
        let listed = serde_json::json!({ "Platforms": listed }).to_string();
        outcome.metadata.insert(PLATFORMS.to_owned(), listed.into_bytes());
        Ok(outcome)
    }

    /// The lowering's options for a platform.
    fn options(&self, platform: Option<&str>) -> Result<LowerOptions, Status> {
        let host = self.server.platform.as_str();
        let options = options::read(self.attributes, platform, host, self.ignore.clone())?;
        let (contexts, entitlements) = (self.named.all.clone(), self.entitlements()?);
        Ok(LowerOptions { contexts, entitlements, ..options })
    }

    async fn answer(&self, question: &str) -> Result<Outcome, Status> {
        let platforms = options::platforms(self.attributes)?;
        let options = self.options(platforms.first().map(String::as_str))?;
        let options = LowerOptions { check: true, ..options };
        let (quiet, _) = tokio::sync::mpsc::unbounded_channel();
        let builder = Ok(self.builder.clone());
        let bases = PatientBases::new(builder, Progress::new(quiet), Handle::current());
        let (question, report) = (question.to_owned(), self.report.clone());
        let answered =
            tokio::task::spawn_blocking(move || questions::answer(&question, &report, &options, &bases));
        answered.await.map_err(|_| Status::internal("the check ended without a result"))?
    }

    async fn one(
        &self,
        platform: Option<&str>,
        shown: Option<&str>,
        warns: bool,
    ) -> Result<Arc<Solved>, Status> {
        let options = self.options(platform)?;
        let text = &self.report.source.text;
        let check = options.build_args.get(kiln_parser::check::BUILD_ARGUMENT).map(String::as_str);
        let parsed = kiln_parser::parse_with(text, check);
        if parsed.diagnostics.iter().any(Diagnostic::is_error) {
            return Err(self.report.malformed(&parsed.diagnostics));
        }
        let (progress, told_all) = crate::progress::of_builder(self.build, shown);
        let result = async {
            let target = platform.unwrap_or(self.server.platform.as_str());
            let places = caches::of(self.server, self.build, &self.session, self.attributes);
            // The caches are there until they are written, and keep their progress: nobody waits for its end.
            let (caches_progress, _) = crate::progress::of(self.build);
            let shared = places.await?.start(&self.builder, target, &caches_progress)?;
            let policy = options::policy(self.attributes)?;
            let resolver = self.builder.resolver(policy, progress.clone(), Handle::current());
            let bases = resolver.bases();
            self.build.tell_known(&bases);
            let (owned, dockerfile) = (text.clone(), parsed.dockerfile);
            let lowered =
                tokio::task::spawn_blocking(move || lower(&owned, &dockerfile, &options, &resolver));
            let lowered =
                lowered.await.map_err(|_| Status::internal("the lowering ended without a result"))?;
            let mut diagnostics = parsed.diagnostics;
            diagnostics.extend(lowered.diagnostics);
            let Some(plan) = lowered.plan else { return Err(self.report.mistakes(&diagnostics)) };
            if warns {
                self.report.warn(self.build, &diagnostics);
            }
            self.run((plan, bases), shown, shared, &progress).await
        };
        let result = result.await;
        drop(progress);
        told_all.wait().await;
        result
    }

    async fn run(
        &self,
        (plan, bases): (Plan, Bases),
        shown: Option<&str>,
        shared: BuildCaches,
        progress: &Progress,
    ) -> Result<Arc<Solved>, Status> {
        let commands = report::commands(&plan).into_iter();
        let commands = commands.flat_map(|(name, command)| {
            [(for_platform(name.clone(), shown), command.clone()), (name, command)]
        });
        self.build.status.learn(commands.collect());
        let synced = self.contexts(&plan).await?;
        let mut contexts: BTreeMap<String, PathBuf> =
            synced.iter().map(|(name, synced)| (name.clone(), synced.path().to_owned())).collect();
        if let MainContext::Fetched(elsewhere) = &self.context {
            contexts.insert(Source::MAIN_CONTEXT.to_owned(), elsewhere.context.clone());
        }
        let agents = tempfile::tempdir().map_err(|error| told(Code::Internal, &error))?;
        let request = BuildRequest {
            credentials: credentials::of(&self.session, &plan, agents.path()).await?,
            plan,
            contexts,
            bases,
            project: format!("{} {}", self.session.shared_key, self.names.filename),
            require_cached: RequireCached::Nothing,
            entitlements: self.entitlements()?,
            shared: shared.shared.clone(),
            cancel: self.build.cancel.clone(),
        };
        let record = self.builder.build(request, progress).await;
        let record = record.map_err(|error| self.report.failed(self.build, &error))?;
        if shared.is_passing() {
            let fetched = self.builder.images().fetch(&record, progress).await;
            fetched.map_err(|error| told(Code::Unknown, &error))?;
        }
        self.build.keep_caches(&record.id, shared);
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

    /// The client's directories that the plan reads.
    async fn contexts(&self, plan: &Plan) -> Result<BTreeMap<String, Synced>, Status> {
        let mut synced = BTreeMap::new();
        for (_, vertex) in plan.graph.iter() {
            let Op::Source(Source::Context { name, ignore }) = &vertex.op else { continue };
            if synced.contains_key(name) {
                continue;
            }
            let at_client = match self.named.directories.get(name) {
                Some(directory) => directory,
                None if !matches!(self.context, MainContext::Client) => continue,
                None => &self.names.context,
            };
            let session = self.server.session_of(&self.session, self.attributes, at_client).await?;
            let wanted = (ignore.as_slice(), paths::of(plan, name));
            let context = load::context(self.server, &session, at_client, wanted, &self.progress).await?;
            synced.insert(name.clone(), context);
        }
        Ok(synced)
    }
}

/// `os/architecture[/variant]` as JSON has it.
pub(crate) fn platform_of(text: &str) -> serde_json::Value {
    let mut parts = text.split('/');
    let (os, architecture) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    match parts.next() {
        Some(variant) => serde_json::json!({ "os": os, "architecture": architecture, "variant": variant }),
        None => serde_json::json!({ "os": os, "architecture": architecture }),
    }
}
