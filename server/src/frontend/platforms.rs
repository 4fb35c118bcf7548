//! The images of a Dockerfile, one for each platform: all are lowered, what they read of the client's directories is fetched
//! once, and then all are solved, at the same time.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::try_join_all;
use kiln_builder::provenance::{Capture, ConfigFile};
use kiln_builder::{Bases, BuildRequest, Progress, RequireCached};
use kiln_graph::lower::lower;
use kiln_graph::op::{Op, Source};
use kiln_graph::plan::{Plan, ResolveBase};
use kiln_parser::Diagnostic;
use tokio::runtime::Handle;
use tonic::{Code, Status};

use super::dockerfile::Work;
use super::load::{self, MainContext};
use super::{credentials, options, paths, report};
use crate::build::Solved;
use crate::caches::{self, BuildCaches};
use crate::contexts::Synced;
use crate::export::made::Made;
use crate::failure::{self, told};
use crate::progress::{ToldAll, for_platform};

/// One image that is wanted.
pub(super) struct Wanted {
    /// Its platform; the daemon's if none is named.
    pub(super) platform: Option<String>,
    /// The platform that its steps are shown with.
    pub(super) shown: Option<String>,
    /// Whether what is found in the Dockerfile is told.
    pub(super) warns: bool,
}

/// An image that is known well enough to be built.
struct Planned {
    plan: Plan,
    bases: Bases,
    shared: BuildCaches,
    shown: Option<String>,
    progress: Progress,
    told_all: ToldAll,
}

impl Work<'_> {
    /// The images, in the order in which they are wanted.
    pub(super) async fn solve(&self, wanted: Vec<Wanted>) -> Result<Vec<Arc<Solved>>, Status> {
        // Boxed, for the room that they take on the stack.
        let planned = try_join_all(wanted.into_iter().map(|one| Box::pin(self.plan(one)))).await?;
        let plans: Vec<&Plan> = planned.iter().map(|one| &one.plan).collect();
        let synced = self.contexts(&plans).await?;
        try_join_all(planned.into_iter().map(|one| Box::pin(self.run(one, &synced)))).await
    }

    async fn plan(&self, wanted: Wanted) -> Result<Planned, Status> {
        let Wanted { platform, shown, warns } = wanted;
        let options = self.options(platform.as_deref())?;
        let text = &self.report.source.text;
        let check = options.build_args.get(kiln_parser::check::BUILD_ARGUMENT).map(String::as_str);
        let parsed = kiln_parser::parse_with(text, check);
        if parsed.diagnostics.iter().any(Diagnostic::is_error) {
            return Err(self.report.malformed(&parsed.diagnostics));
        }
        let target = platform.as_deref().unwrap_or(self.server.platform.as_str());
        let places = caches::of(self.server, self.build, &self.session, self.attributes).await?;
        // The caches are there until they are written, and keep their progress: nobody waits for its end.
        let (caches_progress, _) = crate::progress::of(self.build);
        let shared = places.start(&self.builder, target, &caches_progress)?;
        let (progress, told_all) = crate::progress::of_builder(self.build, shown.as_deref());
        let policy = options::policy(self.attributes)?;
        let resolver = self.builder.resolver(policy, progress.clone(), Handle::current());
        let bases = resolver.bases();
        self.build.tell_known(&bases);
        let (owned, dockerfile) = (text.clone(), parsed.dockerfile);
        let lowering = move |bases: &dyn ResolveBase| lower(&owned, &dockerfile, &options, bases);
        let (lowered, verdicts) = self.with_bases(Arc::new(resolver), lowering).await?;
        let mut diagnostics = parsed.diagnostics;
        diagnostics.extend(lowered.diagnostics);
        let Some(mut plan) = lowered.plan else {
            let mistakes = self.report.mistakes(&diagnostics);
            return Err(failure::retold(&mistakes, verdicts.refused.as_ref()));
        };
        self.limits.apply(&mut plan.graph);
        if warns {
            self.report.warn(self.build, &diagnostics);
        }
        let plan = self.judged_plan(plan, &verdicts.converted).await?;
        Ok(Planned { plan, bases, shared, shown, progress, told_all })
    }

    async fn run(&self, planned: Planned, synced: &BTreeMap<String, Synced>) -> Result<Arc<Solved>, Status> {
        let Planned { plan, bases, shared, shown, progress, told_all } = planned;
        let commands = report::commands(&plan).into_iter();
        let commands = commands.flat_map(|(name, command)| {
            [(for_platform(name.clone(), shown.as_deref()), command.clone()), (name, command)]
        });
        self.build.status.learn(commands.collect());
        let mut agents = credentials::Agents::default();
        let (planned, known) = (plan.clone(), bases.clone());
        let request = BuildRequest {
            credentials: credentials::of(&self.session, &plan, &mut agents).await?,
            contexts: self.directories(synced),
            plan,
            bases,
            project: format!("{} {}", self.session.shared_key, self.names.filename),
            require_cached: RequireCached::Nothing,
            entitlements: self.entitlements()?,
            shared: shared.shared.clone(),
            cancel: self.build.cancel.clone(),
        };
        let solved = self.builder.build(request, &progress).await;
        let fetched = match &solved {
            Ok(record) if shared.is_passing() => self.builder.images().fetch(record, &progress).await,
            _ => Ok(()),
        };
        drop(progress);
        // Failures are told by the names of their steps: these have to be known.
        told_all.wait().await;
        let record = solved.map_err(|error| self.report.failed(self.build, &error))?;
        fetched.map_err(|error| told(Code::Unknown, &error))?;
        self.build.keep_caches(&record.id, shared);
        self.build.making.note(&record, self.made(Capture::of(&planned, &known)));
        let config = self.builder.images().config(&record).map_err(|error| told(Code::Internal, &error))?;
        let config = serde_json::to_vec(&config).map_err(|error| told(Code::Internal, &error))?;
        Ok(Arc::new(Solved { record, config }))
    }

    /// How an image was made, for statements about it.
    fn made(&self, capture: Capture) -> Made {
        let capture = match &self.context {
            MainContext::Client => capture.with_local(&self.names.dockerfile),
            MainContext::Fetched(elsewhere) => {
                let capture = capture.without_local(Source::MAIN_CONTEXT);
                elsewhere.material().into_iter().fold(capture, Capture::with_material)
            }
            MainContext::Empty(_) => capture,
        };
        let config =
            ConfigFile { filename: self.names.filename.clone(), text: self.report.source.text.clone() };
        let args = self.attributes.clone().into_iter().collect();
        Made { capture, frontend: super::DOCKERFILE.to_owned(), args, config: Some(config) }
    }

    /// Where the builder finds what the plans read.
    fn directories(&self, synced: &BTreeMap<String, Synced>) -> BTreeMap<String, PathBuf> {
        let client = synced.iter().map(|(name, synced)| (name.clone(), synced.path().to_owned()));
        let fetched = match &self.context {
            MainContext::Fetched(elsewhere) => Some(elsewhere.context.clone()),
            MainContext::Empty(empty) => Some(empty.path().to_owned()),
            MainContext::Client => None,
        };
        client.chain(fetched.map(|path| (Source::MAIN_CONTEXT.to_owned(), path))).collect()
    }

    /// The client's directories that the plans read: of each, what any of them does.
    async fn contexts(&self, plans: &[&Plan]) -> Result<BTreeMap<String, Synced>, Status> {
        let vertices = plans.iter().flat_map(|plan| plan.graph.iter());
        let read: BTreeMap<&String, &Vec<String>> = vertices
            .filter_map(|(_, vertex)| match &vertex.op {
                Op::Source(Source::Context { name, ignore }) => Some((name, ignore)),
                _ => None,
            })
            .collect();
        let mut synced = BTreeMap::new();
        for (name, ignore) in read {
            let at_client = match self.named.directories.get(name) {
                Some(directory) => directory,
                None if !matches!(self.context, MainContext::Client) => continue,
                None => &self.names.context,
            };
            let session = self.server.session_of(&self.session, self.attributes, at_client).await?;
            let wanted = (ignore.as_slice(), paths::of_all(plans, name));
            let context = load::context(self.server, &session, at_client, wanted, &self.progress).await?;
            synced.insert(name.clone(), context);
        }
        Ok(synced)
    }
}
