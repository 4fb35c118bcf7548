//! HEALTHCHECK: NONE, or a command with its options.

use std::ops::Range;

use nom::bytes::complete::{take_till, take_while};
use nom::combinator::rest;

use super::flags::{Flags, Rule};
use super::form::command_line;
use super::request::Request;
use crate::diagnostic::Diagnostic;
use crate::duration::nanoseconds;
use crate::input::{Input, complete};
use crate::instruction::{CommandLine, Healthcheck};
use crate::span::Spanned;

const FLAGS: &[Rule] = &[
    Rule::value("interval"),
    Rule::value("timeout"),
    Rule::value("start-period"),
    Rule::value("start-interval"),
    Rule::value("retries"),
];

/// The shortest interval but none, in nanoseconds: Docker refuses what is below.
const SHORTEST: i64 = 1_000_000;

/// HEALTHCHECK.
pub(super) fn healthcheck(request: &mut Request<'_>) -> Option<Healthcheck> {
    let flags = request.flags(FLAGS);
    request.requires_arguments()?;
    let (kind, arguments) = split(request)?;
    let written = request.text.get(&kind);
    if written.eq_ignore_ascii_case("NONE") {
        return none(request, &arguments);
    }
    if !written.eq_ignore_ascii_case("CMD") {
        let message = format!("Unknown type \"{}\" in HEALTHCHECK (try CMD)", super::shortened(written));
        let span = request.span_of(&kind);
        request.report(
            Diagnostic::error("invalid-healthcheck", message, span)
                .with_help("write HEALTHCHECK CMD command, or HEALTHCHECK NONE"),
        );
        return None;
    }
    let interval = duration(request, &flags, "interval");
    let timeout = duration(request, &flags, "timeout");
    let start_period = duration(request, &flags, "start-period");
    let start_interval = duration(request, &flags, "start-interval");
    let retries = retries(request, &flags);
    let command = test(request, &arguments)?;
    Some(Healthcheck::Command { command, interval, timeout, start_period, start_interval, retries })
}

/// The first word, and what follows it.
fn split(request: &Request<'_>) -> Option<(Range<usize>, Range<usize>)> {
    let parts = (take_till(char::is_whitespace), take_while(char::is_whitespace), rest);
    let parsed: Result<(Input<'_>, Input<'_>, Input<'_>), _> = complete(parts, request.input());
    parsed.ok().map(|(kind, _, arguments)| (kind.range(), arguments.range()))
}

fn none(request: &mut Request<'_>, arguments: &Range<usize>) -> Option<Healthcheck> {
    if arguments.is_empty() {
        return Some(Healthcheck::None);
    }
    let span = request.span_of(arguments);
    request.error("invalid-healthcheck", "HEALTHCHECK NONE takes no arguments", span);
    None
}

fn test(request: &mut Request<'_>, arguments: &Range<usize>) -> Option<CommandLine> {
    let command = if arguments.is_empty() { None } else { Some(command_line(request, arguments)?) };
    match command {
        None => {}
        Some(CommandLine::Exec(members)) if members.is_empty() => {}
        Some(command) => return Some(command),
    }
    let span = request.line_span();
    request.error("missing-argument", "Missing command after HEALTHCHECK CMD", span);
    None
}

/// A duration option; an empty one counts as absent, as in Docker.
fn duration(request: &mut Request<'_>, flags: &Flags<'_>, name: &str) -> Option<Spanned<i64>> {
    let word = flags.word(name).filter(|word| !word.value.is_empty())?;
    match nanoseconds(&word.value) {
        Ok(value) if value == 0 || value >= SHORTEST => Some(Spanned::new(value, word.span)),
        Ok(_) => {
            let message = format!("Interval \"{name}\" cannot be less than 1ms");
            request.error("invalid-duration", message, word.span);
            None
        }
        Err(mismatch) => {
            let message = format!("invalid duration \"{}\" for --{name}", super::shortened(&word.value));
            let diagnostic = Diagnostic::error("invalid-duration", message, word.span);
            let diagnostic = match mismatch.expected {
                Some(expected) => diagnostic.with_label(format!("expected {expected}")),
                None => diagnostic,
            };
            request.report(diagnostic.with_help("write it like 30s, 1m30s or 500ms"));
            None
        }
    }
}

fn retries(request: &mut Request<'_>, flags: &Flags<'_>) -> Option<Spanned<u32>> {
    let word = flags.word("retries").filter(|word| !word.value.is_empty())?;
    let message = match word.value.parse::<i32>() {
        Ok(count) => match u32::try_from(count) {
            Ok(count) => return Some(Spanned::new(count, word.span)),
            Err(_) => format!("--retries cannot be negative ({count})"),
        },
        Err(_) => format!("invalid number \"{}\" for --retries", super::shortened(&word.value)),
    };
    request.error("invalid-retries", message, word.span);
    None
}
