//! `kiln build`: Dockerfile, flags and context to an image, and to wherever it goes from there.
//!
//! The way through: [`source`] reads the Dockerfile and the ignore rules, [`options`] turns flags into the lowering's
//! options, the builder solves the plan, [`results`] says where the image goes and [`deliver`] brings it there, [`failure`]
//! shows what went wrong. Nothing is named before everything has succeeded.

pub mod call;
mod contexts;
mod credentials;
mod deliver;
mod elsewhere;
mod failure;
mod options;
mod place;
mod raw;
mod require;
mod results;
pub mod shared;
mod source;
mod statements;

use std::sync::OnceLock;
use std::time::Instant;

use kiln_builder::provenance::Capture;
use kiln_builder::{
    Bases, BuildRequest, Builder, CancellationToken, Credentials, Progress, PullPolicy, RequireCached,
    SharedCaches,
};
use kiln_graph::lower::{LowerOptions, lower};
use kiln_graph::op::Source;
use kiln_graph::plan::Plan;
use kiln_parser::{Diagnostic, Parsed};
use kiln_registry::Reference;
use tokio::runtime::Handle;

use crate::error::CliError;
use crate::flags::build::{BuildFlags, ProgressKind};
use crate::output;
use crate::session::Session;
use crate::work::with_progress;
use deliver::{Built, Delivery};
use failure::Findings;
use results::Results;
use shared::Caches;
use source::BuildSource;

/// One build, everything that does not change while it goes on.
struct Job<'a> {
    flags: &'a BuildFlags,
    source: BuildSource,
    options: LowerOptions,
    credentials: Credentials,
    results: Results,
    caches: Caches,
    color: bool,
    /// Whether everything on standard error is JSON.
    raw: bool,
    cancel: CancellationToken,
    /// Warnings are shown after the steps, so that they do not scroll away.
    warnings: OnceLock<String>,
}

/// Builds an image.
pub fn perform(flags: &BuildFlags, session: &Session) -> Result<(), CliError> {
    let (begun, started) = (Instant::now(), jiff::Timestamp::now());
    require::check(flags)?;
    let kind = progress_kind(flags, session)?;
    let source = BuildSource::obtain(flags, session)?;
    let job = Job {
        options: options::read(flags, &source, session)?,
        credentials: credentials::read(flags, &session.environment)?,
        results: Results::read(flags)?,
        caches: Caches::read(flags, &session.environment)?,
        source,
        flags,
        color: session.colors_stderr(),
        raw: kind == ProgressKind::RawJson,
        cancel: CancellationToken::new(),
        warnings: OnceLock::new(),
    };
    let quiet = [ProgressKind::Quiet, ProgressKind::RawJson].contains(&kind);
    if let Some(warning) = flags.without_effect.warning().filter(|_| !quiet) {
        output::remark(&warning);
    }
    let builder = session.builder_for(flags.jobs)?;
    // From the first look at a base until the image has its names.
    let _in_use = builder.store.use_lock()?;
    let images = builder.images();
    let (job_ref, builder, images) = (&job, &builder, &images);
    let work = |progress: Progress| async move {
        let job = job_ref;
        let caches = job.caches.open(builder, &job.options.platform, &progress)?;
        let built = job.build(builder, &caches, started, &progress).await?;
        let trusting = |name: &Reference| {
            let client = builder.client.trusting(name.registry())?;
            Ok(builder.with_client(client).images())
        };
        let (results, progress) = (&job.results, &progress);
        let delivery = Delivery { results, built: &built, images, progress, trusting: &trusting };
        let made = delivery.perform().await?;
        builder.make_durable().await.map_err(|error| failure::of_build(error, &job.source, job.color))?;
        let written = builder.export_caches(&caches, std::slice::from_ref(&built.record), progress).await?;
        let cached = shared::summary(&builder.import_report(&caches), &written);
        Ok::<_, CliError>((built, made, cached))
    };
    let result = with_progress(session.view(kind), Some(&job.cancel), work);
    if let Some(warnings) = job.warnings.get().filter(|warnings| !quiet && !warnings.is_empty()) {
        output::remark(&format!("{}\n", warnings.trim_end()));
    }
    let ((built, made, cached), tracker) =
        result.map_err(|error| if job.raw { raw::told(&error, &job.source) } else { error })?;
    results::write_files(flags, &built, &job.results, made.as_ref())?;
    match quiet {
        true if job.raw || job.results.uses_stdout() => Ok(()),
        true => output::print_line(built.record.id.as_ref()),
        false => {
            let summary = job.results.summary(&built.record, tracker.counts(), begun.elapsed());
            output::remark(&[vec![summary], cached].concat().join("\n"));
            Ok(())
        }
    }
}

impl Job<'_> {
    async fn build(
        &self,
        builder: &Builder,
        caches: &SharedCaches,
        started: jiff::Timestamp,
        progress: &Progress,
    ) -> Result<Built, CliError> {
        let parsed = kiln_parser::parse_with(&self.source.text, check_argument(&self.options));
        if parsed.diagnostics.iter().any(Diagnostic::is_error) {
            self.tell(&parsed.diagnostics);
            return Err(self.findings(&parsed.diagnostics).into_error());
        }
        let policy = if self.flags.pull { PullPolicy::Always } else { PullPolicy::Missing };
        let resolver = builder.resolver(policy, progress.clone(), Handle::current());
        let bases = resolver.bases();
        let (text, options) = (self.source.text.clone(), self.options.clone());
        let Parsed { dockerfile, mut diagnostics, .. } = parsed;
        let required = require::read(self.flags, &dockerfile)?;
        let lowered = tokio::task::spawn_blocking(move || lower(&text, &dockerfile, &options, &resolver));
        let lowered = lowered.await.map_err(|error| CliError::System {
            action: "read the Dockerfile's meaning",
            source: std::io::Error::other(error),
        })?;
        diagnostics.extend(lowered.diagnostics);
        self.tell(&diagnostics);
        let findings = self.findings(&diagnostics);
        let Some(mut plan) = lowered.plan else { return Err(findings.into_error()) };
        plan.graph.add_hosts(&options::hosts(&self.flags.hosts));
        plan.graph.limit(&self.flags.limits.ulimits(), self.flags.limits.shared_memory());
        drop(self.warnings.set(findings.warnings()));
        // Most builds need not know what they were made of.
        let planned = self.results.needs_capture().then(|| (plan.clone(), bases.clone()));
        let record = self.solve(builder, (plan, bases, required), caches, progress).await?;
        let epoch = self.options.build_args.get(options::SOURCE_DATE_EPOCH);
        let epoch = epoch.and_then(|epoch| epoch.parse().ok());
        let Some((plan, bases)) = planned else {
            return Ok(Built { record, base_layers: 0, epoch, attestations: Vec::new() });
        };
        let capture = statements::capture(Capture::of(&plan, &bases), &self.source);
        let about = (self.flags, &self.options, &self.source);
        let stated = self.results.provenance.iter();
        let stated = stated.map(|options| statements::provenance(options, &capture, about, started));
        let attestations = stated.collect::<Result<_, CliError>>()?;
        Ok(Built { record, base_layers: capture.base_layers(), epoch, attestations })
    }

    async fn solve(
        &self,
        builder: &Builder,
        (plan, bases, require_cached): (Plan, Bases, RequireCached),
        caches: &SharedCaches,
        progress: &Progress,
    ) -> Result<kiln_cache::ImageRecord, CliError> {
        let mut contexts = self.source.named.directories.clone();
        // No other context is ever asked for by this name.
        contexts.remove(Source::MAIN_CONTEXT);
        let main = self.source.context.as_ref();
        contexts.extend(main.map(|dir| (Source::MAIN_CONTEXT.to_owned(), dir.path().to_owned())));
        if self.raw {
            output::lines(&raw::plan(&plan.graph));
        }
        let request = BuildRequest {
            plan,
            contexts,
            bases,
            credentials: self.credentials.clone(),
            entitlements: self.options.entitlements.clone(),
            project: self.source.project.clone(),
            require_cached,
            shared: caches.clone(),
            cancel: self.cancel.clone(),
        };
        let built = builder.build(request, progress).await;
        built.map_err(|error| failure::of_build(error, &self.source, self.color))
    }

    /// Tells what was found as data, if that was asked for.
    fn tell(&self, diagnostics: &[Diagnostic]) {
        if self.raw {
            output::lines(&raw::findings(diagnostics, &self.source));
        }
    }

    fn findings<'a>(&'a self, diagnostics: &'a [Diagnostic]) -> Findings<'a> {
        Findings { diagnostics, source: &self.source, color: self.color }
    }
}

/// The checks that a build argument asks for in place of the file's own.
fn check_argument(options: &LowerOptions) -> Option<&str> {
    options.build_args.get(kiln_parser::check::BUILD_ARGUMENT).map(String::as_str)
}

/// What the flags ask for, else what the environment does.
fn progress_kind(flags: &BuildFlags, session: &Session) -> Result<ProgressKind, CliError> {
    if flags.quiet {
        return Ok(ProgressKind::Quiet);
    }
    match (flags.progress, session.environment.progress()) {
        (Some(kind), _) => Ok(kind),
        (None, Some(text)) => <ProgressKind as clap::ValueEnum>::from_str(text, true).map_err(|_| {
            CliError::usage_with_hint(
                format!("BUILDKIT_PROGRESS is `{text}`"),
                "it may be auto, plain, tty, rawjson or quiet",
            )
        }),
        (None, None) => Ok(ProgressKind::Auto),
    }
}
