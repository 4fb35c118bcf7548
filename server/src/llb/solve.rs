//! Solving a client's graph: its directories and credentials are got, the graph is built, and the result is an image without
//! a configuration of its own, which the client may give it when it returns.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use kiln_builder::provenance::Capture;
use kiln_builder::{Bases, BuildError, BuildRequest, Builder, Progress, PullPolicy, RequireCached};
use kiln_cache::ImageRecord;
use kiln_graph::image::{ContainerConfig, ImageConfig};
use kiln_graph::op::{Op, Source};
use kiln_graph::plan::{BaseRequest, Plan, ResolveBase};
use kiln_graph::{Entitlements, VertexId};
use tokio::runtime::Handle;
use tonic::{Code, Status};

use super::exec::PATH;
use super::inputs::result_id;
use super::nested::Nested;
use super::origin::Origins;
use super::{Definition, Layouts, Lowered, lower};
use crate::api::pb;
use crate::build::{Build, Outcome, Solved};
use crate::caches::{self, BuildCaches};
use crate::export::made;
use crate::failure::{self, told};
use crate::frontend::credentials;
use crate::policy::Policies;
use crate::server::Server;
use crate::session::Session;

/// The entitlement to the host's network.
const NETWORK_HOST: &str = "network.host";

/// Solves the graph for a build. The attributes say which shared caches are read beside those of the build, and the policies what
/// sources it may have.
pub(crate) async fn solve(
    server: &Server,
    build: &Arc<Build>,
    definition: &pb::Definition,
    given: (&HashMap<String, String>, &Policies),
) -> Result<Outcome, Status> {
    let solved = result_of(server, build, definition, given).await?;
    Ok(Outcome { images: vec![(String::new(), solved)], metadata: HashMap::new() })
}

/// What can be said against a graph before anything of it is made.
pub(crate) fn check(server: &Server, definition: &pb::Definition) -> Result<(), Status> {
    let definition = Definition::read(definition)?;
    let origins = definition.origins.clone();
    let checked = match Nested::first(&definition) {
        // What is made from files that are not here yet is seen when they are.
        Ok(None) if definition.layouts().is_empty() => {
            lower(definition, &server.platform, Layouts::new()).map(drop)
        }
        other => other.map(drop),
    };
    checked.map_err(|error| error.told(&origins))
}

/// The file system that the graph stands for.
pub(crate) async fn result_of(
    server: &Server,
    build: &Arc<Build>,
    definition: &pb::Definition,
    (attributes, policies): (&HashMap<String, String>, &Policies),
) -> Result<Arc<Solved>, Status> {
    let definition = Definition::read(definition)?;
    let session = server.sessions.get(&build.session).await?;
    let (progress, told_all) = crate::progress::of_builder(build, None);
    let work = async {
        let builder = server.builder_for(&session);
        let work = Work { server, build, attributes, policies, session, builder, progress };
        work.image(work.expanded(definition).await?).await
    };
    let result = tokio::select! {
        result = work => result,
        () = build.cancel.cancelled() => Err(Status::cancelled("the client has gone")),
    };
    told_all.wait().await;
    result
}

/// One solve.
pub(super) struct Work<'a> {
    pub(super) server: &'a Server,
    pub(super) build: &'a Arc<Build>,
    pub(super) attributes: &'a HashMap<String, String>,
    pub(super) policies: &'a Policies,
    pub(super) session: Session,
    pub(super) builder: Builder,
    pub(super) progress: Progress,
}

/// What errors need to know of a graph.
struct Made {
    operations: HashMap<VertexId, String>,
    origins: Origins,
}

impl Work<'_> {
    /// The image that the operations make; all builds among them were taken in.
    pub(super) async fn image(&self, definition: Definition) -> Result<Arc<Solved>, Status> {
        let definition = self.judged(definition).await?;
        // They are there until the result is.
        let mut copies = Vec::new();
        let layouts = self.layouts(&definition, &mut copies).await?;
        let origins = definition.origins.clone();
        let lowered = lower(definition, &self.server.platform, layouts);
        let lowered = lowered.map_err(|error| error.told(&origins))?;
        // A graph that names the host's network has to be granted it, whatever network others are on.
        if lowered.host_network && !self.build.entitlements.iter().any(|granted| granted == NETWORK_HOST) {
            return Err(Status::permission_denied(format!("{NETWORK_HOST} is not allowed")));
        }
        let commands = lowered.graph.iter().filter_map(|(_, vertex)| match &vertex.op {
            Op::Exec(exec) => Some((vertex.display.name.clone(), exec.args.join(" "))),
            _ => None,
        });
        self.build.status.learn(commands.collect());
        let name = |(vertex, digest): (&VertexId, &String)| {
            Some((digest.clone(), lowered.graph.get(*vertex)?.display.name.clone()))
        };
        self.build.name_operations(lowered.operations.iter().filter_map(name));
        let made = Made { operations: lowered.operations.clone(), origins };
        let (record, shared) = self.record(lowered, &made).await?;
        self.build.keep_caches(&record.id, shared);
        let config = self.builder.images().config(&record).map_err(|error| told(Code::Internal, &error))?;
        let config = serde_json::to_vec(&config).map_err(|error| told(Code::Internal, &error))?;
        Ok(Arc::new(Solved { record, config }))
    }

    async fn record(&self, lowered: Lowered, made: &Made) -> Result<(ImageRecord, BuildCaches), Status> {
        let Lowered { graph, target, platform, locals, pulls, .. } = lowered;
        let places = caches::of(self.server, self.build, &self.session, self.attributes).await?;
        // The caches are there until they are written, and keep their progress: nobody waits for its end.
        let (caches_progress, _) = crate::progress::of(self.build);
        let shared = places.start(&self.builder, &platform, &caches_progress)?;
        let synced = self.contexts(&locals).await?;
        let contexts = synced.iter().map(|(name, synced)| (name.clone(), synced.path().to_owned()));
        let plan = Plan { graph, target, config: configuration(&platform), platform };
        let mut agents = credentials::Agents::default();
        let bases = self.bases(&plan, pulls).await?;
        let (planned, known) = (plan.clone(), bases.clone());
        let request = BuildRequest {
            credentials: credentials::of(&self.session, &plan, &mut agents).await?,
            contexts: contexts.collect::<BTreeMap<String, PathBuf>>(),
            bases,
            plan,
            project: format!("{} llb", self.session.shared_key),
            require_cached: RequireCached::Nothing,
            entitlements: self.entitlements()?,
            shared: shared.shared.clone(),
            cancel: self.build.cancel.clone(),
        };
        let record = self.builder.build(request, &self.progress).await;
        let record = record.map_err(|error| self.failed(&error, made))?;
        let capture = Capture::of(&planned, &known);
        self.build.making.note(&record, made::Made { capture, ..made::Made::default() });
        if shared.is_passing() {
            let fetched = self.builder.images().fetch(&record, &self.progress).await;
            fetched.map_err(|error| told(Code::Unknown, &error))?;
        }
        Ok((record, shared))
    }

    /// What the client granted its build.
    fn entitlements(&self) -> Result<Entitlements, Status> {
        let mut granted = Entitlements::default();
        for text in &self.build.entitlements {
            granted.grant(text).map_err(|error| Status::invalid_argument(error.to_string()))?;
        }
        Ok(granted)
    }

    /// The images that are known already: earlier results of this daemon, and what the registries say that names stand for
    /// now, if they are to be asked.
    async fn bases(&self, plan: &Plan, pulls: bool) -> Result<Bases, Status> {
        let resolver = self.builder.resolver(PullPolicy::Always, self.progress.clone(), Handle::current());
        let bases = resolver.bases();
        let mut requests = Vec::new();
        for (_, vertex) in plan.graph.iter() {
            let Op::Source(Source::Image { reference, platform, .. }) = &vertex.op else { continue };
            if let Some(id) = result_id(reference) {
                let record = self.builder.images().find(&id);
                bases.know(reference, &record.map_err(|error| told(Code::NotFound, &error))?);
            } else if pulls {
                let (reference, platform) = (reference.clone(), platform.clone());
                requests.push(BaseRequest { reference, platform, layout: None });
            }
        }
        let answers = tokio::task::spawn_blocking(move || resolver.resolve(&requests)).await;
        let answers = answers.map_err(|_| Status::internal("the resolution ended without a result"))?;
        for answer in answers {
            answer.map_err(|failure| Status::unknown(failure.message))?;
        }
        Ok(bases)
    }

    fn failed(&self, error: &BuildError, made: &Made) -> Status {
        if error.is_cancelled() {
            return Status::cancelled("context canceled");
        }
        match error {
            BuildError::Step { vertex, name, cause, .. } => {
                let process = self.build.status.process(name, &cause.to_string());
                let message = process.unwrap_or_else(|| kiln_builder::text::chain(&**cause));
                let operation = made.operations.get(vertex);
                let mut details = operation.map(|it| made.origins.details(it)).unwrap_or_default();
                details.extend(self.build.status.named(name).map(|digest| failure::vertex(&digest)));
                failure::with_details(Code::Unknown, &message, details)
            }
            BuildError::NoContext { .. } | BuildError::Plan { .. } => told(Code::InvalidArgument, error),
            _ => told(Code::Unknown, error),
        }
    }
}

/// What an image is configured with that nobody configured.
fn configuration(platform: &str) -> ImageConfig {
    let mut parts = platform.split('/').map(str::to_owned);
    let mut part = || parts.next().unwrap_or_default();
    let (os, architecture) = (part(), part());
    let config = ContainerConfig {
        env: vec![format!("PATH={PATH}")],
        working_dir: "/".to_owned(),
        ..ContainerConfig::default()
    };
    ImageConfig { os, architecture, variant: parts.next(), config, ..ImageConfig::default() }
}
