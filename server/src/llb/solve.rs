//! Solving a client's graph: its directories and credentials are got, the graph is built, and the result is an image without
//! a configuration of its own, which the client may give it when it returns.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use kiln_builder::{
    Bases, BuildError, BuildRequest, Builder, Progress, PullPolicy, RequireCached, SharedCaches,
};
use kiln_graph::Entitlements;
use kiln_graph::image::{ContainerConfig, ImageConfig};
use kiln_graph::op::{Op, Source};
use kiln_graph::plan::{BaseRequest, Plan, ResolveBase};
use tempfile::TempDir;
use tokio::runtime::Handle;
use tonic::{Code, Status};

use super::inputs::result_id;
use super::{Definition, Layouts, Local, Lowered, lower, platform as llb_platform};
use crate::api::pb;
use crate::build::{Build, Outcome, Solved};
use crate::contexts::Synced;
use crate::failure::told;
use crate::frontend::credentials;
use crate::server::Server;
use crate::session::Session;
use crate::session::content::{ContentStore, digest};
use crate::session::receive::{self, Wanted};

/// The entitlement to the host's network.
const NETWORK_HOST: &str = "network.host";

/// Where commands are found in an image that nobody configured.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Solves the graph for a build.
pub(crate) async fn solve(
    server: &Server,
    build: &Arc<Build>,
    definition: &pb::Definition,
) -> Result<Outcome, Status> {
    let solved = result_of(server, build, definition).await?;
    Ok(Outcome { images: vec![(String::new(), solved)], metadata: HashMap::new() })
}

/// The file system that the graph stands for.
pub(crate) async fn result_of(
    server: &Server,
    build: &Arc<Build>,
    definition: &pb::Definition,
) -> Result<Arc<Solved>, Status> {
    let definition = Definition::read(definition)?;
    let session = server.sessions.get(&build.session).await?;
    let (progress, told_all) = crate::progress::of(build);
    let work = async {
        let builder = server.builder_for(&session);
        Work { server, build, session, builder, progress }.run(definition).await
    };
    let result = tokio::select! {
        result = work => result,
        () = build.cancel.cancelled() => Err(Status::cancelled("the client has gone")),
    };
    told_all.wait().await;
    result
}

struct Work<'a> {
    server: &'a Server,
    build: &'a Arc<Build>,
    session: Session,
    builder: Builder,
    progress: Progress,
}

impl Work<'_> {
    async fn run(&self, definition: Definition) -> Result<Arc<Solved>, Status> {
        // They are there until the result is.
        let mut copies = Vec::new();
        let layouts = self.layouts(&definition, &mut copies).await?;
        let Lowered { graph, target, platform, locals, pulls, host_network } =
            lower(definition, &self.server.platform, layouts)?;
        // A graph that names the host's network has to be granted it, whatever network others are on.
        if host_network && !self.build.entitlements.iter().any(|granted| granted == NETWORK_HOST) {
            return Err(Status::permission_denied(format!("{NETWORK_HOST} is not allowed")));
        }
        let commands = graph.iter().filter_map(|(_, vertex)| match &vertex.op {
            Op::Exec(exec) => Some((vertex.display.name.clone(), exec.args.join(" "))),
            _ => None,
        });
        self.build.status.learn(commands.collect());
        let synced = self.contexts(&locals).await?;
        let contexts = synced.iter().map(|(name, synced)| (name.clone(), synced.path().to_owned()));
        let plan = Plan { graph, target, config: configuration(&platform), platform };
        let agents = tempfile::tempdir().map_err(|error| told(Code::Internal, &error))?;
        let request = BuildRequest {
            credentials: credentials::of(&self.session, &plan, agents.path()).await?,
            contexts: contexts.collect::<BTreeMap<String, PathBuf>>(),
            bases: self.bases(&plan, pulls).await?,
            plan,
            project: format!("{} llb", self.session.shared_key),
            require_cached: RequireCached::Nothing,
            entitlements: self.entitlements()?,
            shared: SharedCaches::default(),
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

    /// Copies what clients have in layouts.
    async fn layouts(&self, definition: &Definition, copies: &mut Vec<TempDir>) -> Result<Layouts, Status> {
        let mut layouts = Layouts::new();
        for (layout, platform) in definition.layouts() {
            if layouts.contains_key(&layout) {
                continue;
            }
            let step = self.progress.step(format!("[internal] load oci-layout://{}", layout.store));
            let session = self.session(layout.session.as_deref()).await?;
            let store = ContentStore::new(&session, format!("oci:{}", layout.store));
            let copy = self.server.contexts.temporary().map_err(|error| told(Code::Internal, &error))?;
            let wanted = platform.map_or_else(|| self.server.platform.clone(), llb_platform);
            let takes = |entry: &kiln_registry::Descriptor| {
                entry.platform().as_ref().is_none_or(|platform| {
                    wanted.starts_with(&format!("{}/{}", platform.os(), platform.architecture()))
                })
            };
            let copied = store.layout(&digest(&layout.digest)?, copy.path(), takes).await;
            match &copied {
                Ok(()) => step.done(),
                Err(status) => step.failed(status.message()),
            }
            copied?;
            let path = copy.path().to_str().map(str::to_owned);
            layouts.insert(layout, path.ok_or_else(|| Status::internal("the store's path is not UTF-8"))?);
            copies.push(copy);
        }
        Ok(layouts)
    }

    /// The build's own session, or the one of that id.
    async fn session(&self, id: Option<&str>) -> Result<Session, Status> {
        match id {
            Some(id) if id != self.build.session => self.server.sessions.get(id).await,
            _ => Ok(self.session.clone()),
        }
    }

    async fn contexts(&self, locals: &BTreeMap<String, Local>) -> Result<BTreeMap<String, Synced>, Status> {
        let mut synced = BTreeMap::new();
        for (name, local) in locals {
            let step = self.progress.step(format!("[internal] load local://{}", local.name));
            match self.context(local).await {
                Ok((context, received)) => {
                    step.progress("transferring", received.bytes, Some(received.bytes));
                    step.done();
                    synced.insert(name.clone(), context);
                }
                Err(status) => {
                    step.failed(status.message());
                    return Err(status);
                }
            }
        }
        Ok(synced)
    }

    async fn context(&self, local: &Local) -> Result<(Synced, receive::Received), Status> {
        let session = self.session(local.session.as_deref()).await?;
        let synced = self.server.contexts.open(&session.shared_key, &local.place).await;
        let synced = synced.map_err(|error| told(Code::Internal, &error))?;
        let wanted = Wanted {
            name: local.name.clone(),
            include: local.include.clone(),
            exclude: local.exclude.clone(),
            follow: local.follow.clone(),
        };
        let received = receive::directory(&session, &wanted, synced.path()).await;
        Ok((synced, received.map_err(|error| told(Code::FailedPrecondition, &error))?))
    }

    fn failed(&self, error: &BuildError) -> Status {
        if error.is_cancelled() {
            return Status::cancelled("context canceled");
        }
        match error {
            BuildError::Step { name, cause, .. } => {
                let process = self.build.status.process(name, &cause.to_string());
                Status::unknown(process.unwrap_or_else(|| kiln_builder::text::chain(&**cause)))
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
        env: vec![PATH.to_owned()],
        working_dir: "/".to_owned(),
        ..ContainerConfig::default()
    };
    ImageConfig { os, architecture, variant: parts.next(), config, ..ImageConfig::default() }
}
