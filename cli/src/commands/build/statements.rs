//! What is stated about a built image (`--provenance`, `--attest`): who asked for what, taken from the flags.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use kiln_builder::images::Attestation;
use kiln_builder::provenance::{Capture, ConfigFile, Invocation, ProvenanceOptions};
use kiln_graph::lower::LowerOptions;
use kiln_graph::op::Source;

use super::source::{BuildSource, ContextDir};
use crate::error::CliError;
use crate::flags::attest::{AttestSpec, ProvenanceSpec};
use crate::flags::build::BuildFlags;

/// The frontend, as clients of BuildKit call it, and the version of its language.
const FRONTEND: &str = "dockerfile.v0";
const LANGUAGE: &str = "1.26.0";

/// The name of the directory that a Dockerfile of its own is in.
const DOCKERFILE: &str = "dockerfile";

/// What is asked of the provenance; the last flag counts.
pub fn wanted(flags: &BuildFlags) -> Option<ProvenanceOptions> {
    let mut attested = flags.attest.iter().filter_map(|spec| match spec {
        AttestSpec::Provenance(spec) => Some(spec),
        AttestSpec::Nothing => None,
    });
    let last: Option<&ProvenanceSpec> = flags.provenance.as_ref().or_else(|| attested.next_back());
    last.and_then(|spec| spec.0.clone())
}

/// What a build was made of, as far as this side knows more than the builder.
pub fn capture(captured: Capture, source: &BuildSource) -> Capture {
    match &source.context {
        Some(ContextDir::Fetched(context)) => {
            let captured = captured.without_local(Source::MAIN_CONTEXT);
            context.material().cloned().into_iter().fold(captured, Capture::with_material)
        }
        Some(ContextDir::Own(_)) => captured.with_local(DOCKERFILE),
        Some(ContextDir::Empty(_)) => captured.without_local(Source::MAIN_CONTEXT),
        None => captured,
    }
}

/// The provenance.
pub fn provenance(
    options: &ProvenanceOptions,
    capture: &Capture,
    (flags, lowered, source): (&BuildFlags, &LowerOptions, &BuildSource),
    started: Timestamp,
) -> Result<Attestation, CliError> {
    let finished = Timestamp::now();
    let invocation = Invocation {
        id: format!("{}.{}", started.as_nanosecond(), std::process::id()),
        frontend: FRONTEND.to_owned(),
        args: arguments(flags, lowered, source),
        root: None,
        config: Some(ConfigFile { filename: filename(source), text: source.text.clone() }),
        started,
        finished,
        platform: lowered.build_platform.clone(),
        dockerfile_version: LANGUAGE.to_owned(),
    };
    let predicate = capture.predicate(options, &invocation);
    let (kind, predicate) = predicate.map_err(|error| CliError::usage(error.to_string()))?;
    Ok(Attestation {
        predicate_type: kind.to_owned(),
        predicate,
        filename: options.filename.clone(),
        inline_only: options.inline_only,
    })
}

/// The Dockerfile's own name: where it lies on this machine says nothing about the image.
fn filename(source: &BuildSource) -> String {
    let name = Path::new(&source.name).file_name().and_then(std::ffi::OsStr::to_str);
    name.unwrap_or(&source.name).to_owned()
}

/// The flags as the frontend's arguments.
fn arguments(flags: &BuildFlags, lowered: &LowerOptions, source: &BuildSource) -> BTreeMap<String, String> {
    let mut args = BTreeMap::new();
    args.extend(lowered.build_args.iter().map(|(key, value)| (format!("build-arg:{key}"), value.clone())));
    args.extend(lowered.labels.iter().map(|(key, value)| (format!("label:{key}"), value.clone())));
    args.extend(lowered.target.iter().map(|target| ("target".to_owned(), target.clone())));
    args.insert("filename".to_owned(), filename(source));
    if flags.no_cache {
        args.insert("no-cache".to_owned(), String::new());
    } else if !flags.no_cache_filter.is_empty() {
        args.insert("no-cache".to_owned(), flags.no_cache_filter.join(","));
    }
    let limits: Vec<String> = flags.limits.ulimits().iter().map(ToString::to_string).collect();
    if !limits.is_empty() {
        args.insert("ulimit".to_owned(), limits.join(","));
    }
    args.extend(flags.limits.shared_memory().map(|size| ("shm-size".to_owned(), size.to_string())));
    if let (Some(ContextDir::Fetched(_)), Some(url)) = (&source.context, flags.context.to_str())
        && url != "-"
    {
        args.insert("context".to_owned(), url.to_owned());
    }
    args
}
