//! Dockerfiles: what the client sends, lowered and solved, one image for each platform.

use std::collections::HashMap;
use std::sync::Arc;

use kiln_builder::{Builder, PatientBases, Progress};
use kiln_graph::Entitlements;
use kiln_graph::lower::LowerOptions;
use kiln_graph::plan::ResolveBase;
use tokio::runtime::Handle;
use tonic::Status;

use super::limits::Limits;
use super::load::{self, MainContext, Names};
use super::named::Named;
use super::platforms::Wanted;
use super::report::Report;
use super::sources::{self, Judge};
use super::{credentials, limits, options, questions};
use crate::build::{Build, Outcome};
use crate::policy::Policies;
use crate::server::Server;
use crate::session::Session;

/// Metadata of a result: the image's configuration, by itself or for a platform (`KEY/PLATFORM`).
pub(crate) const CONFIG: &str = "containerimage.config";

/// Metadata of a result with several platforms: which.
pub(crate) const PLATFORMS: &str = "refs.platforms";

/// Everything that one solve is about.
pub(super) struct Work<'a> {
    pub(super) server: &'a Server,
    pub(super) build: &'a Arc<Build>,
    pub(super) policies: &'a Policies,
    pub(super) attributes: &'a HashMap<String, String>,
    pub(super) session: Session,
    pub(super) builder: Builder,
    pub(super) names: Names,
    pub(super) report: Report,
    pub(super) ignore: Vec<String>,
    pub(super) context: MainContext,
    pub(super) named: Named,
    /// Hosts that every command knows, and limits of what it may use.
    pub(super) limits: Limits,
    pub(super) progress: Progress,
}

/// Builds what the attributes say, or answers what they ask.
pub(crate) async fn solve(
    server: &Server,
    build: &Arc<Build>,
    (attributes, policies): (&HashMap<String, String>, &Policies),
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
        let work = Work::prepare((server, build, policies), attributes, session, progress).await?;
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
        judge: Judge<'a>,
        attributes: &'a HashMap<String, String>,
        session: Session,
        progress: Progress,
    ) -> Result<Self, Status> {
        let (server, build, policies) = judge;
        let limits = limits::read(attributes)?;
        let builder = server.builder_for(&session);
        let names = Names::read(attributes);
        let mut agents = credentials::Agents::default();
        let main = sources::main_context(judge, attributes, &names).await?;
        let credentials = credentials::for_context(&session, main.as_ref(), &mut agents).await?;
        let from = (&builder, &credentials, main.as_ref());
        let loaded = load::load(server, &session, from, (&names, attributes), &progress).await?;
        let named = Named::read(judge, &session, attributes, &progress).await?;
        // Clients show no warnings before there is a step that they could belong to.
        for warning in &limits.warnings {
            progress.warn(warning.clone());
        }
        let report = Report { source: loaded.source };
        let (ignore, context) = (loaded.ignore, loaded.context);
        Ok(Self {
            server,
            build,
            policies,
            attributes,
            session,
            builder,
            names,
            report,
            ignore,
            context,
            named,
            limits,
            progress,
        })
    }

    async fn all(&self) -> Result<Outcome, Status> {
        let platforms = options::platforms(self.attributes)?;
        if platforms.len() <= 1 && !options::is_multi(self.attributes) {
            let wanted = Wanted { platform: platforms.first().cloned(), shown: None, warns: true };
            let solved = self.solve(vec![wanted]).await?.remove(0);
            let metadata = HashMap::from([(CONFIG.to_owned(), solved.config.clone())]);
            return Ok(Outcome { images: vec![(String::new(), solved)], metadata });
        }
        let platforms = if platforms.is_empty() { vec![self.server.platform.clone()] } else { platforms };
        let wanted = platforms.iter().enumerate().map(|(number, platform)| {
            // What is found in the Dockerfile is told once.
            let platform = Some(platform.clone());
            Wanted { shown: platform.clone(), platform, warns: number == 0 }
        });
        let images = self.solve(wanted.collect()).await?;
        let mut outcome = Outcome::default();
        let mut listed = Vec::new();
        for (platform, solved) in platforms.into_iter().zip(images) {
            outcome.metadata.insert(format!("{CONFIG}/{platform}"), solved.config.clone());
            listed.push(serde_json::json!({ "ID": platform, "Platform": platform_of(&platform) }));
            outcome.images.push((platform, solved));
        }
        let listed = serde_json::json!({ "Platforms": listed }).to_string();
        outcome.metadata.insert(PLATFORMS.to_owned(), listed.into_bytes());
        Ok(outcome)
    }

    /// The lowering's options for a platform. What asks for the host's network by name has to be granted it.
    pub(super) fn options(&self, platform: Option<&str>) -> Result<LowerOptions, Status> {
        let host = self.server.platform.as_str();
        let options = options::read(self.attributes, platform, host, self.ignore.clone())?;
        let (contexts, entitlements) = (self.named.all.clone(), self.granted()?);
        if options::names_host_network(self.attributes) && !entitlements.network_host {
            return Err(Status::permission_denied("network.host is not allowed"));
        }
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
        let answer = move |bases: &dyn ResolveBase| questions::answer(&question, &report, &options, bases);
        let (answer, verdicts) = self.with_bases(Arc::new(bases), answer).await?;
        // Nothing is said of a file that would not be built for that reason.
        verdicts.refused.map_or(answer, Err)
    }

    /// What the client granted its build.
    fn granted(&self) -> Result<Entitlements, Status> {
        let mut granted = Entitlements { network_host: false, ..Entitlements::default() };
        for text in &self.build.entitlements {
            granted.grant(text).map_err(|error| Status::invalid_argument(error.to_string()))?;
        }
        Ok(granted)
    }

    /// What its steps may do. The network that steps are on which name none is the host's.
    pub(super) fn entitlements(&self) -> Result<Entitlements, Status> {
        Ok(Entitlements { network_host: true, ..self.granted()? })
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
