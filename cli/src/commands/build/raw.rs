//! `--progress=rawjson`: what is wrong with the Dockerfile, or with the build, as data in the stream of the steps.
//!
//! The same findings as `--check --format json` gives, as BuildKit's `VertexWarning`s; mistakes too, which BuildKit only has
//! as text. Everything on standard error is JSON then, so nothing is told a second time. Called by [`super`].

use std::collections::BTreeMap;

use jiff::Timestamp;
use kiln_builder::{BuildError, StepError};
use kiln_graph::Graph;
use kiln_graph::answer::location::Places;
use kiln_parser::check::Rule;
use kiln_parser::{Diagnostic, Span};

use super::failure;
use super::source::BuildSource;
use crate::error::CliError;
use crate::output;
use crate::output::progress::status::{
    Position, Range, SolveStatus, SourceInfo, Vertex, VertexWarning, digest,
};

/// The language of the files that are shown.
const LANGUAGE: &str = "Dockerfile";

/// The line that announces all steps of a plan and what each is built on, as BuildKit does before it begins.
pub fn plan(graph: &Graph) -> Vec<u8> {
    let mut numbers: BTreeMap<&str, usize> = BTreeMap::new();
    let mut digests: Vec<String> = Vec::with_capacity(graph.len());
    let mut vertexes = Vec::with_capacity(graph.len());
    for (_, vertex) in graph.iter() {
        let name = vertex.display.name.as_str();
        let number = numbers.entry(name).or_default();
        let digest = digest(name, *number);
        *number += 1;
        let inputs = vertex.inputs.iter().filter_map(|input| digests.get(input.index()).cloned()).collect();
        vertexes.push(Vertex { digest: digest.clone(), inputs, name: name.to_owned(), ..Vertex::default() });
        digests.push(digest);
    }
    SolveStatus { vertexes, ..SolveStatus::default() }.to_line()
}

/// The lines about what parser and lowering found: the step that read the file, and each finding.
pub fn findings(diagnostics: &[Diagnostic], source: &BuildSource) -> Vec<u8> {
    let file = source.name.rsplit('/').next().unwrap_or_default();
    let name = format!("[internal] load build definition from {file}");
    let digest = digest(&name, 0);
    let now = Some(Timestamp::now());
    let errors: Vec<&str> =
        diagnostics.iter().filter(|found| found.is_error()).map(|found| found.message.as_str()).collect();
    let error = errors.join("; ");
    let vertex =
        Vertex { digest: digest.clone(), name, started: now, completed: now, error, ..Vertex::default() };
    let mut lines = SolveStatus { vertexes: vec![vertex], ..SolveStatus::default() }.to_line();
    let parsed = kiln_parser::parse(&source.text);
    let places = Places::new(&source.text, &parsed.dockerfile);
    for found in diagnostics {
        lines.extend(line(finding(found, &digest, source, &places)));
    }
    lines
}

fn finding(found: &Diagnostic, vertex: &str, source: &BuildSource, places: &Places<'_>) -> VertexWarning {
    let rule = Rule::named(found.code);
    let description = rule.map(|rule| rule.description.to_owned());
    let has_place = found.span != Span::default();
    let line = if has_place { format!(" (line {})", places.line(found.span.start)) } else { String::new() };
    VertexWarning {
        vertex: vertex.to_owned(),
        level: 1,
        short: format!("{}: {}{line}", found.code, found.message).into_bytes(),
        detail: description.into_iter().chain(found.help.clone()).chain(found.notes.clone()).collect(),
        url: rule.and_then(Rule::url),
        source_info: has_place.then(|| source_info(source)),
        range: if has_place { ranges(places, found.span) } else { Vec::new() },
    }
}

fn source_info(source: &BuildSource) -> SourceInfo {
    let data = source.text.clone().into_bytes();
    SourceInfo { filename: source.name.clone(), data, language: LANGUAGE }
}

fn ranges(places: &Places<'_>, span: Span) -> Vec<Range> {
    let at = |line| Position { line, character: 0 };
    let lines = places.location(span).ranges;
    lines.into_iter().map(|range| Range { start: at(range.start.line), end: at(range.end.line) }).collect()
}

/// The end of a build that failed, as a line; gives the error that says no more.
pub fn told(error: &CliError, source: &BuildSource) -> CliError {
    let code = error.code();
    let lines = match error {
        // Its mistakes are told one by one.
        CliError::Dockerfile { .. } | CliError::BrokenPipe | CliError::Told { .. } => Vec::new(),
        CliError::Build { source: cause, .. } => [never_begun(cause), line(step(cause, source))].concat(),
        other => other.report().map_or_else(Vec::new, |report| {
            let short = report.message.unwrap_or_else(|| other.to_string()).into_bytes();
            let detail = report.causes.into_iter().chain(report.hint).collect();
            line(VertexWarning { level: 1, short, detail, ..VertexWarning::default() })
        }),
    };
    output::lines(&lines);
    CliError::Told { code }
}

/// The end of a step that failed before it began, as its key could not be made or it was refused: nothing was said of it.
fn never_begun(error: &BuildError) -> Vec<u8> {
    let BuildError::Step { name, cause, .. } = error else { return Vec::new() };
    if error.missing_source().is_none() && !matches!(**cause, StepError::NotEntitled { .. }) {
        return Vec::new();
    }
    let now = Some(Timestamp::now());
    let error = kiln_builder::text::chain(&**cause);
    let digest = digest(name, 0);
    let vertex =
        Vertex { digest, name: name.clone(), started: now, completed: now, error, ..Vertex::default() };
    SolveStatus { vertexes: vec![vertex], ..SolveStatus::default() }.to_line()
}

/// Why a step failed, at its lines.
fn step(error: &BuildError, source: &BuildSource) -> VertexWarning {
    let short = kiln_builder::text::chain(error).into_bytes();
    let detail = failure::hint(error, source).into_iter().collect();
    let warning = VertexWarning { level: 1, short, detail, ..VertexWarning::default() };
    let BuildError::Step { name, location: Some(location), .. } = error else { return warning };
    let (first, last) = (location.line as usize, location.end_line as usize);
    let at = |line| Position { line, character: 0 };
    VertexWarning {
        vertex: digest(name, 0),
        source_info: Some(source_info(source)),
        range: (first..=last).map(|line| Range { start: at(line), end: at(line) }).collect(),
        ..warning
    }
}

fn line(warning: VertexWarning) -> Vec<u8> {
    SolveStatus { warnings: vec![warning], ..SolveStatus::default() }.to_line()
}
