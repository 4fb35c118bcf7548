//! `kiln build`: Dockerfile, flags and context to an image, and to wherever it goes from there.
//!
//! The way through: [`source`] reads the Dockerfile and the ignore rules, [`options`] turns flags into the lowering's
//! options, the builder solves the plan, [`results`] names, exports and pushes the image, [`failure`] shows what
//! went wrong. Nothing is named before everything has succeeded.

pub mod call;
mod contexts;
mod credentials;
mod elsewhere;
mod failure;
mod options;
mod place;
mod raw;
mod require;
mod results;
pub mod shared;
mod source;

use std::sync::OnceLock;
use std::time::Instant;

use kiln_builder::{
    Bases, BuildRequest, Builder, CancellationToken, Credentials, Progress, PullPolicy, RequireCached,
    SharedCaches,
};
use kiln_cache::ImageRecord;
use kiln_graph::lower::{LowerOptions, lower};
use kiln_graph::op::Source;
use kiln_graph::plan::Plan;
use kiln_parser::{Diagnostic, Parsed};
use tokio::runtime::Handle;

use crate::error::CliError;
use crate::flags::build::{BuildFlags, ProgressKind};
use crate::output;
use crate::session::Session;
use crate::work::with_progress;
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
    let begun = Instant::now();
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
    let builder = session.builder_for(flags.jobs)?;
    // From the first look at a base until the image has its names.
    let _in_use = builder.store.use_lock()?;
    let images = builder.images();
    let (job_ref, builder, images) = (&job, &builder, &images);
    let work = |progress: Progress| async move {
        let job = job_ref;
        let caches = job.caches.open(builder, &job.options.platform, &progress)?;
        let record = job.build(builder, &caches, &progress).await?;
        let pushed = job.results.deliver(&record, images, &progress).await?;
        builder.make_durable().await.map_err(|error| failure::of_build(error, &job.source, job.color))?;
        let written = builder.export_caches(&caches, &record, &progress).await?;
        let cached = shared::summary(&builder.import_report(&caches), &written);
        Ok::<_, CliError>((record, pushed, cached))
    };
    let result = with_progress(session.view(kind), Some(&job.cancel), work);
    if let Some(warnings) = job.warnings.get().filter(|warnings| !quiet && !warnings.is_empty()) {
        output::remark(&format!("{}\n", warnings.trim_end()));
    }
    let ((record, pushed, cached), tracker) =
        result.map_err(|error| if job.raw { raw::told(&error, &job.source) } else { error })?;
    results::write_files(flags, &record, &job.results, pushed.as_ref())?;
    match quiet {
        true if job.raw || job.results.uses_stdout() => Ok(()),
        true => output::print_line(record.id.as_ref()),
        false => {
            let summary = job.results.summary(&record, tracker.counts(), begun.elapsed());
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
        progress: &Progress,
    ) -> Result<ImageRecord, CliError> {
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
        let Some(plan) = lowered.plan else { return Err(findings.into_error()) };
        drop(self.warnings.set(findings.warnings()));
        self.solve(builder, (plan, bases, required), caches, progress).await
    }

    async fn solve(
        &self,
        builder: &Builder,
        (plan, bases, require_cached): (Plan, Bases, RequireCached),
        caches: &SharedCaches,
        progress: &Progress,
    ) -> Result<ImageRecord, CliError> {
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
