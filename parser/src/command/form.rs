//! The simple forms: shell or exec, a list of words, one argument.
//!
//! CMD, ENTRYPOINT, EXPOSE, MAINTAINER, SHELL, STOPSIGNAL, USER, VOLUME and WORKDIR are nothing else; RUN,
//! COPY, ADD and HEALTHCHECK use parts of it.

use std::ops::Range;

use super::request::Request;
use crate::diagnostic::Diagnostic;
use crate::input::{Input, Mismatch};
use crate::instruction::{Command, CommandLine, Word};
use crate::json::{self, NotStrings};
use crate::span::Spanned;

/// CMD and ENTRYPOINT.
pub(super) fn command(request: &mut Request<'_>) -> Option<CommandLine> {
    request.flags(&[]);
    request.requires_arguments()?;
    command_line(request, request.arguments())
}

/// Shell or exec form at `range`.
pub(super) fn command_line(request: &mut Request<'_>, range: &Range<usize>) -> Option<CommandLine> {
    if let Some(members) = json_strings(request, range)? {
        return Some(CommandLine::Exec(members));
    }
    Some(CommandLine::Shell { text: request.word(range) })
}

/// The members of a JSON array at `range`; `Some(None)` when it is none, and `None` after a mistake.
#[expect(clippy::option_option, reason = "a mistake, another form and this form are three cases")]
pub(super) fn json_strings(
    request: &mut Request<'_>,
    range: &Range<usize>,
) -> Option<Option<Vec<Spanned<String>>>> {
    match json::strings(Input::part(request.text.as_str(), range)) {
        Ok(members) => {
            Some(Some(members.into_iter().map(|(value, place)| request.at(value, &place)).collect()))
        }
        Err(NotStrings::NotJson(mismatch)) => {
            warn_malformed(request, range, mismatch);
            Some(None)
        }
        Err(NotStrings::Member(place)) => {
            let message = "when using JSON array syntax, arrays must be comprised of strings only";
            let diagnostic = Diagnostic::error("json-not-strings", message, request.span_of(&place));
            request.report(diagnostic.with_label("this is no string").with_help("put it into double quotes"));
            None
        }
    }
}

/// Says that something that looks like an array is not one: `['a', 'b']` runs a program called `[a,`.
fn warn_malformed(request: &mut Request<'_>, range: &Range<usize>, mismatch: Mismatch) {
    if !looks_like_array(request.name, request.text.get(range)) {
        return;
    }
    let at = mismatch.at.clamp(range.start, range.end);
    let next = request.text.get(&(at..range.end)).chars().next().map_or(0, char::len_utf8);
    let message = format!("this is not a JSON array, so {} takes it as plain text", request.name);
    let diagnostic = Diagnostic::warning("malformed-json", message, request.span_of(&(at..at + next)))
        .with_label("not JSON from here on")
        .with_help("a JSON array holds strings in double quotes: [\"a\", \"b\"]");
    request.report(diagnostic);
}

/// In RUN, `[ "$a" = "b" ]` is a test, so an array must show a comma and its end.
fn looks_like_array(instruction: &str, written: &str) -> bool {
    let Some(inside) = written.strip_prefix('[') else { return false };
    let quoted = inside.trim_start().starts_with(['"', '\'']);
    quoted && (instruction != "RUN" || (inside.ends_with(']') && inside.contains(',')))
}

/// EXPOSE: at least one word.
pub(super) fn words(request: &mut Request<'_>) -> Option<Vec<Word>> {
    request.flags(&[]);
    request.requires_arguments()?;
    Some(request.words().iter().map(|range| request.word(range)).collect())
}

/// One argument: everything up to the end of the line.
pub(super) fn single(request: &mut Request<'_>) -> Option<Word> {
    request.flags(&[]);
    if request.arguments().is_empty() {
        let message = format!("{} requires exactly one argument", request.name);
        let span = request.line_span();
        request.report(Diagnostic::error("missing-argument", message, span).with_label("nothing follows"));
        return None;
    }
    Some(request.word(request.arguments()))
}

/// MAINTAINER.
pub(super) fn maintainer(request: &mut Request<'_>) -> Option<Command> {
    let span = request.span_of(&request.head.keyword);
    let message = "Maintainer instruction is deprecated in favor of using label";
    request.report(
        Diagnostic::warning("MaintainerDeprecated", message, span)
            .with_help("write LABEL org.opencontainers.image.authors=\"…\""),
    );
    single(request).map(Command::Maintainer)
}

/// SHELL: JSON only, with at least one member.
pub(super) fn shell(request: &mut Request<'_>) -> Option<Command> {
    request.flags(&[]);
    request.requires_arguments()?;
    match json_strings(request, request.arguments())? {
        Some(members) if !members.is_empty() => Some(Command::Shell(members)),
        Some(_) => {
            let span = request.line_span();
            request.error("missing-argument", "SHELL requires at least one argument", span);
            None
        }
        None => {
            let span = request.span_of(request.arguments());
            let message = "SHELL requires the arguments to be in JSON form";
            request.report(
                Diagnostic::error("shell-not-json", message, span)
                    .with_help("for example SHELL [\"/bin/bash\", \"-c\"]"),
            );
            None
        }
    }
}

/// VOLUME: JSON or words, none of them empty.
pub(super) fn volume(request: &mut Request<'_>) -> Option<Command> {
    request.flags(&[]);
    request.requires_arguments()?;
    let volumes = match json_strings(request, request.arguments())? {
        Some(members) => members,
        None => request.words().iter().map(|range| request.word(range)).collect(),
    };
    if volumes.is_empty() {
        let span = request.line_span();
        request.error("missing-argument", "VOLUME requires at least one argument", span);
        return None;
    }
    let trimmed: Vec<Word> =
        volumes.into_iter().map(|volume| volume.map(|path| path.trim().to_owned())).collect();
    if let Some(empty) = trimmed.iter().find(|volume| volume.value.is_empty()) {
        request.error("empty-volume", "VOLUME specified can not be an empty string", empty.span);
        return None;
    }
    Some(Command::Volume(trimmed))
}
