//! COPY and ADD: flags, sources and destination.

use super::flags::Rule;
use super::form::json_strings;
use super::request::Request;
use crate::diagnostic::Diagnostic;
use crate::instruction::{Add, Command, Copy, FileSource, Word};

const COPY_FLAGS: &[Rule] = &[
    Rule::value("from"),
    Rule::value("chown"),
    Rule::value("chmod"),
    Rule::switch("link"),
    Rule::switch("parents"),
    Rule::values("exclude"),
];

const ADD_FLAGS: &[Rule] = &[
    Rule::value("chown"),
    Rule::value("chmod"),
    Rule::switch("link"),
    Rule::switch("keep-git-dir"),
    Rule::value("checksum"),
    Rule::switch("unpack"),
    Rule::values("exclude"),
];

/// COPY.
pub(super) fn copy(request: &mut Request<'_>) -> Option<Command> {
    let flags = request.flags(COPY_FLAGS);
    let (sources, destination) = files(request)?;
    Some(Command::Copy(Copy {
        sources,
        destination,
        from: flags.word("from"),
        chown: flags.word("chown"),
        chmod: flags.word("chmod"),
        link: flags.switch("link"),
        parents: flags.switch("parents"),
        excludes: flags.words("exclude"),
    }))
}

/// ADD.
pub(super) fn add(request: &mut Request<'_>) -> Option<Command> {
    let flags = request.flags(ADD_FLAGS);
    let (sources, destination) = files(request)?;
    Some(Command::Add(Add {
        sources,
        destination,
        chown: flags.word("chown"),
        chmod: flags.word("chmod"),
        link: flags.switch("link"),
        keep_git_dir: flags.switch("keep-git-dir"),
        checksum: flags.word("checksum"),
        unpack: flags.switch("unpack"),
        excludes: flags.words("exclude"),
    }))
}

/// The sources and, last, the destination.
fn files(request: &mut Request<'_>) -> Option<(Vec<FileSource>, Word)> {
    let words = match json_strings(request, request.arguments())? {
        Some(members) => members.into_iter().map(FileSource::Path).collect(),
        None => with_heredocs(request),
    };
    let mut sources: Vec<FileSource> = words;
    let last = sources.pop();
    if sources.is_empty() {
        report_count(request, last.is_some());
        return None;
    }
    match last? {
        FileSource::Path(destination) => Some((sources, destination)),
        FileSource::Heredoc(heredoc) => {
            let message = format!("{} cannot accept a heredoc as a destination", request.name);
            request.error("heredoc-destination", message, heredoc.marker);
            None
        }
    }
}

/// The words, those that are markers replaced by their heredocs. A marker with a quoted blank is several words.
fn with_heredocs(request: &mut Request<'_>) -> Vec<FileSource> {
    let mut heredocs = std::mem::take(&mut request.heredocs).into_iter().peekable();
    let mut sources = Vec::new();
    let mut covered = 0;
    for range in request.words() {
        let word = request.word(&range);
        if let Some(heredoc) = heredocs.next_if(|heredoc| heredoc.marker.start == word.span.start) {
            covered = heredoc.marker.end;
            sources.push(FileSource::Heredoc(heredoc));
        } else if word.span.start >= covered {
            sources.push(FileSource::Path(word));
        }
    }
    sources
}

fn report_count(request: &mut Request<'_>, one: bool) {
    let name = request.name;
    let provided = if one { "only one was" } else { "none was" };
    let message = format!(
        "{name} requires at least two arguments, but {provided} provided. Destination could not be determined"
    );
    let diagnostic = Diagnostic::error("missing-destination", message, request.line_span());
    request.report(diagnostic.with_help(format!("write {name} SOURCE… DESTINATION")));
}
