//! RUN: flags, and a command in shell, exec or heredoc form.

use super::flags::{Flags, Rule};
use super::form::command_line;
use super::mount::mount;
use super::request::Request;
use crate::diagnostic::Diagnostic;
use crate::instruction::{Command, CommandLine, Network, Run, Security};
use crate::span::Spanned;
use crate::suggest::nearest;

const FLAGS: &[Rule] =
    &[Rule::values("mount"), Rule::value("network"), Rule::value("security"), Rule::values("device")];

const NETWORKS: &[(&str, Network)] =
    &[("default", Network::Default), ("none", Network::None), ("host", Network::Host)];

const SECURITY: &[(&str, Security)] = &[("sandbox", Security::Sandbox), ("insecure", Security::Insecure)];

/// RUN.
pub(super) fn run(request: &mut Request<'_>) -> Option<Command> {
    let flags = request.flags(FLAGS);
    let mounts = flags.all("mount").filter_map(|flag| mount(flag, request.found)).collect();
    let network = choice(request, &flags, "network", NETWORKS);
    let security = choice(request, &flags, "security", SECURITY);
    request.requires_arguments()?;
    let command = command_line(request, request.arguments())?;
    if matches!(&command, CommandLine::Exec(members) if members.is_empty()) {
        let span = request.line_span();
        request.error("missing-argument", "RUN requires at least one argument", span);
        return None;
    }
    let heredocs = std::mem::take(&mut request.heredocs);
    Some(Command::Run(Run { mounts, network, security, devices: flags.words("device"), command, heredocs }))
}

/// The value of a flag that names one of a few things.
fn choice<T: Copy>(
    request: &mut Request<'_>,
    flags: &Flags<'_>,
    name: &str,
    choices: &[(&str, T)],
) -> Option<Spanned<T>> {
    let word = flags.word(name)?;
    if let Some((_, value)) = choices.iter().find(|(choice, _)| *choice == word.value) {
        return Some(Spanned::new(*value, word.span));
    }
    let names: Vec<&str> = choices.iter().map(|(choice, _)| *choice).collect();
    let message = format!("invalid {name} mode \"{}\"", word.value);
    let diagnostic = Diagnostic::error("invalid-flag-value", message, word.span);
    request.report(match nearest(&word.value, names.iter().copied()) {
        Some(candidate) => diagnostic.with_suggestion(Some(candidate)),
        None => diagnostic.with_help(format!("use {}", names.join(", "))),
    });
    None
}
