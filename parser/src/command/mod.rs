//! Syntax nodes to typed instructions: one parser for each of the eighteen keywords.
//!
//! Each looks at one node alone; which stage an instruction belongs to is decided in `stage`. Mistakes become
//! diagnostics, and a parser goes on after one where the next is independent of it.

mod flags;
mod form;
mod from;
mod healthcheck;
mod mount;
mod onbuild;
mod pairs;
mod request;
mod run;
mod settle;
mod transfer;

use crate::diagnostic::{Diagnostic, shortened};
use crate::instruction::{Command, From, Instruction};
use crate::suggest::nearest;
use crate::syntax::{Head, Node};
use request::Request;

/// The keywords, in the order of the Dockerfile reference.
const KEYWORDS: [&str; 18] = [
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// What a node says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Statement {
    /// A new stage.
    From(From),
    /// Anything else.
    Instruction(Instruction),
}

/// The keyword of `node` in upper case, if it is one.
pub(crate) fn keyword(node: &Node<'_>) -> Option<&'static str> {
    known(node.text.get(&node.head.keyword))
}

/// Reads `node`, the file's first or a later one; `None` when it cannot be understood, which `found` then says.
pub(crate) fn statement(
    source: &str,
    node: Node<'_>,
    escape: char,
    is_first: bool,
    found: &mut Vec<Diagnostic>,
) -> Option<Statement> {
    let whole = node.text.trimmed();
    if whole.is_empty() {
        return None;
    }
    let Node { text, head, heredocs, span, .. } = node;
    let name = known_or_report(&text, &head, escape, is_first, found)?;
    if head.broken {
        return None;
    }
    let mut request = Request { source, text: &text, name, head: &head, heredocs, escape, span, found };
    if name == "FROM" {
        return from::from(&mut request, &whole).map(Statement::From);
    }
    let command = command(&mut request)?;
    let keyword = text.span(&head.keyword);
    let text = text.get(&whole).to_owned();
    Some(Statement::Instruction(Instruction { command, text, span, keyword }))
}

fn command(request: &mut Request<'_>) -> Option<Command> {
    match request.name {
        "ADD" => transfer::add(request),
        "ARG" => pairs::arg(request),
        "CMD" => form::command(request).map(Command::Cmd),
        "COPY" => transfer::copy(request),
        "ENTRYPOINT" => form::command(request).map(Command::Entrypoint),
        "ENV" => pairs::key_values(request).map(Command::Env),
        "EXPOSE" => form::words(request).map(Command::Expose),
        "HEALTHCHECK" => healthcheck::healthcheck(request).map(Command::Healthcheck),
        "LABEL" => pairs::key_values(request).map(Command::Label),
        "MAINTAINER" => form::maintainer(request),
        "ONBUILD" => onbuild::onbuild(request),
        "RUN" => run::run(request),
        "SHELL" => form::shell(request),
        "STOPSIGNAL" => form::single(request).map(Command::Stopsignal),
        "USER" => form::single(request).map(Command::User),
        "VOLUME" => form::volume(request),
        "WORKDIR" => form::single(request).map(Command::Workdir),
        _ => None,
    }
}

fn known(keyword: &str) -> Option<&'static str> {
    KEYWORDS.into_iter().find(|name| keyword.eq_ignore_ascii_case(name))
}

/// The keyword that `head` starts with, or a diagnostic that it is none.
fn known_or_report(
    text: &crate::text::Text<'_>,
    head: &Head,
    escape: char,
    is_first: bool,
    found: &mut Vec<Diagnostic>,
) -> Option<&'static str> {
    let written = text.get(&head.keyword);
    let name = known(written);
    if name.is_none() {
        let message = format!("unknown instruction: {}", shortened(written));
        let diagnostic = Diagnostic::error("unknown-instruction", message, text.span(&head.keyword));
        found.push(explained(diagnostic, written, escape, is_first));
    }
    name
}

fn explained(diagnostic: Diagnostic, written: &str, escape: char, is_first: bool) -> Diagnostic {
    let letters = written.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(written.len());
    if let Some(name) = known(&written[..letters]) {
        return diagnostic.with_help(format!("put a space behind `{name}`"));
    }
    match nearest(written, KEYWORDS) {
        Some(name) => diagnostic.with_suggestion(Some(name)),
        None if is_first => diagnostic.with_help(
            "a Dockerfile begins with `FROM IMAGE`, perhaps after ARG: is this one? `-f FILE` names another",
        ),
        None => diagnostic
            .with_help(format!("if this line continues the one before it, end that line with `{escape}`")),
    }
}
