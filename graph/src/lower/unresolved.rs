//! Images that could not be resolved: what a build says of them, and what a check does.

use kiln_parser::span::Span;
use kiln_parser::{Diagnostic, Severity, suggest};

use super::stages::{Origin, Stages};
use crate::plan::{BaseRequest, ResolveFailure};

/// An image without an answer.
pub(super) struct Unresolved {
    /// What was asked for.
    pub request: BaseRequest,
    /// The answer.
    pub failure: ResolveFailure,
    /// Where it is named.
    pub span: Span,
}

/// What a check says instead of failing: one remark on all, and one on each that may be a slip of the fingers.
pub(super) fn unknown_bases(stages: &Stages<'_>, unknown: Vec<Unresolved>) -> Vec<Diagnostic> {
    let Some(first) = unknown.first() else { return Vec::new() };
    let mut names: Vec<&str> = unknown.iter().map(|one| one.request.reference.as_str()).collect();
    names.dedup();
    let message = format!("what depends on the configuration of {} is not checked", names.join(", "));
    let note = Diagnostic::note("unknown-base", message, first.span).with_note(first.failure.message.clone());
    let slips = unknown.into_iter().filter(|one| stage_meant(stages, &one.request).is_some());
    // Without network nobody knows whether there is such an image, so this is no more than a remark.
    let slips = slips.map(|one| Diagnostic { severity: Severity::Note, ..unresolved(stages, one) });
    std::iter::once(note).chain(slips).collect()
}

/// The mistake that it is in a build.
pub(super) fn unresolved(stages: &Stages<'_>, failed: Unresolved) -> Diagnostic {
    let Unresolved { request, failure, span } = failed;
    let error = Diagnostic::error("base-image", failure.message, span);
    if let Some(name) = stages.context_of(&request) {
        let error = error.with_note(format!("`{name}` is the build context that was given for this name"));
        return failure.help.into_iter().fold(error, Diagnostic::with_help);
    }
    // Who has written that very name need not be told to check it.
    let help = failure.help.filter(|_| !is_stage(stages, &request));
    match (stage_meant(stages, &request), help) {
        (Some(meant), None) => error.with_help(meant),
        (Some(meant), Some(help)) => error.with_help(meant).with_note(help),
        (None, Some(help)) => error.with_help(help),
        (None, None) => error,
    }
}

/// The stage that may have been meant by the name of an image.
fn stage_meant(stages: &Stages<'_>, request: &BaseRequest) -> Option<String> {
    let name = &request.reference;
    if stages.context_of(request).is_some() {
        return None;
    }
    if is_stage(stages, request) {
        return Some(format!(
            "a stage named `{name}` is defined later: FROM can only name a stage before it"
        ));
    }
    let stage = suggest::nearest(name, others(stages, request));
    let stage = stage.map(|stage| format!("did you mean the stage `{stage}`?"));
    stage.or_else(|| {
        let context = suggest::nearest(name, stages.contexts())?;
        Some(format!("did you mean the build context `{context}`?"))
    })
}

fn is_stage(stages: &Stages<'_>, request: &BaseRequest) -> bool {
    others(stages, request).any(|stage| stage.eq_ignore_ascii_case(&request.reference))
}

/// The names of the stages but for those that start from that very image: many are called after it.
fn others<'s>(stages: &'s Stages<'_>, request: &BaseRequest) -> impl Iterator<Item = &'s str> {
    let from = Origin::Image(request.clone());
    let all = (0..stages.len()).map(|index| stages.get(index));
    let others = all.filter(move |stage| stage.origin.as_ref().ok() != Some(&from));
    others.filter_map(|stage| stage.source.from.name.as_ref()).map(|name| name.value.as_str())
}
