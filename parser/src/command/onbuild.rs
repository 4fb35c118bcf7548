//! ONBUILD: an instruction for later, parsed now so that its mistakes show up here.

use super::request::Request;
use super::{command, known_or_report};
use crate::check::is_violation;
use crate::diagnostic::Diagnostic;
use crate::instruction::{Command, Heredoc, Instruction, Onbuild};
use crate::span::Span;
use crate::syntax::split_head;

/// ONBUILD.
pub(super) fn onbuild(request: &mut Request<'_>) -> Option<Command> {
    request.flags(&[]);
    request.requires_arguments()?;
    let range = request.arguments().clone();
    let head = split_head(request.text, range.clone(), request.escape, request.found);
    let name = known_or_report(request.text, &head, request.escape, false, request.found)?;
    if head.broken {
        return None;
    }
    let keyword = request.span_of(&head.keyword);
    if let Some(message) = refused(name) {
        let diagnostic = Diagnostic::error("invalid-trigger", message, keyword);
        request.report(diagnostic.with_label("not allowed here"));
        return None;
    }
    let written = request.text.get(&range).to_owned();
    let text = with_bodies(request.source, &written, &request.heredocs);
    let span = Span::new(keyword.start, request.span.end);
    let mut trigger = Request {
        source: request.source,
        text: request.text,
        name,
        head: &head,
        heredocs: std::mem::take(&mut request.heredocs),
        escape: request.escape,
        span,
        found: &mut *request.found,
    };
    let before = trigger.found.len();
    let command = command(&mut trigger)?;
    let said = request.found.split_off(before);
    // Docker's rules look at a trigger when it runs.
    request.found.extend(said.into_iter().filter(|diagnostic| !is_violation(diagnostic)));
    let trigger = Box::new(Instruction { command, text: written, span, keyword });
    Some(Command::Onbuild(Onbuild { trigger, text }))
}

fn refused(name: &str) -> Option<String> {
    match name {
        "ONBUILD" => Some("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed".to_owned()),
        "FROM" | "MAINTAINER" => Some(format!("{name} isn't allowed as an ONBUILD trigger")),
        _ => None,
    }
}

/// The trigger as the image configuration stores it: its line, then each body as written and its delimiter.
fn with_bodies(source: &str, line: &str, heredocs: &[Heredoc]) -> String {
    let mut text = line.to_owned();
    for heredoc in heredocs {
        text.push('\n');
        text.push_str(source.get(heredoc.body.span.range()).unwrap_or_default());
        text.push_str(&heredoc.name);
    }
    text
}
