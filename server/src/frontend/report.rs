//! What is found in a Dockerfile, and why its build failed, in the words and details that clients print.

use std::collections::HashMap;

use kiln_builder::{BuildError, StepError};
use kiln_graph::Location;
use kiln_graph::op::Op;
use kiln_graph::plan::Plan;
use kiln_parser::check::Rule;
use kiln_parser::{Diagnostic, Severity};
use tonic::{Code, Status};

use crate::api::control::VertexWarning;
use crate::api::pb::{Position, Range, SourceInfo};
use crate::build::Build;
use crate::failure::{self, Lines, SourceText};

/// Reports about one Dockerfile.
#[derive(Debug, Clone)]
pub(super) struct Report {
    /// The file.
    pub(super) source: SourceText,
}

impl Report {
    /// Mistakes of the Dockerfile's form as one error that shows their lines.
    pub(super) fn malformed(&self, diagnostics: &[Diagnostic]) -> Status {
        self.errors(diagnostics, |lines| {
            lines
                .map_or_else(String::new, |lines| format!("dockerfile parse error on line {}: ", lines.first))
        })
    }

    /// Mistakes of its meaning, in the same way.
    pub(super) fn mistakes(&self, diagnostics: &[Diagnostic]) -> Status {
        self.errors(diagnostics, |_| String::new())
    }

    fn errors(&self, diagnostics: &[Diagnostic], before: impl Fn(Option<Lines>) -> String) -> Status {
        let errors: Vec<_> = diagnostics.iter().filter(|found| found.is_error()).collect();
        let lines: Vec<Lines> = errors.iter().filter_map(|found| self.lines(found)).collect();
        let message = errors.iter().map(|found| {
            let help = found.help.as_ref().map(|help| format!(" ({help})")).unwrap_or_default();
            format!("{}{}{help}", before(self.lines(found)), found.message)
        });
        let message: Vec<String> = message.collect();
        failure::at(Code::InvalidArgument, &message.join("\n"), &self.source, &lines, Vec::new())
    }

    fn lines(&self, found: &Diagnostic) -> Option<Lines> {
        let span = found.span;
        (span != kiln_parser::span::Span::default())
            .then(|| failure::lines(&self.source.text, &(span.start..span.end)))
    }

    /// Tells the warnings to whoever watches the build.
    pub(super) fn warn(&self, build: &Build, diagnostics: &[Diagnostic]) {
        for found in diagnostics.iter().filter(|found| found.severity == Severity::Warning) {
            let lines = self.lines(found);
            let place = lines.map_or_else(String::new, |lines| format!(" (line {})", lines.first));
            let range = lines.map(|lines| Range {
                start: Some(Position { line: line_number(lines.first), character: 0 }),
                end: Some(Position { line: line_number(lines.last), character: 0 }),
            });
            let rule = Rule::named(found.code);
            let detail = rule.map(|rule| rule.description.to_owned()).into_iter().chain(found.help.clone());
            build.status.warn(VertexWarning {
                vertex: build.status.first(),
                level: 1,
                short: format!("{}: {}{place}", found.code, found.message).into_bytes(),
                detail: detail.map(String::into_bytes).collect(),
                url: rule.and_then(Rule::url).unwrap_or_default(),
                info: Some(SourceInfo {
                    filename: self.source.name.clone(),
                    data: self.source.text.clone().into_bytes(),
                    language: "Dockerfile".to_owned(),
                    ..SourceInfo::default()
                }),
                ranges: range.into_iter().collect(),
            });
        }
    }

    /// An error with the lines of an instruction.
    pub(super) fn at(&self, location: Option<&Location>, status: Status) -> Status {
        let Some(location) = location else { return status };
        let lines = [Lines::from(location)];
        let shown = failure::at(status.code(), status.message(), &self.source, &lines, Vec::new());
        failure::retold(&shown, Some(&status))
    }

    /// A failed build as clients know it.
    pub(super) fn failed(&self, build: &Build, error: &BuildError) -> Status {
        if error.is_cancelled() {
            return Status::cancelled("context canceled");
        }
        let hint = error.hint().map_or_else(String::new, |hint| format!(" ({hint})"));
        match error {
            BuildError::Step { name, location, cause, .. } => {
                let process = build.status.process(name, &cause.to_string());
                let message = match process.or_else(|| missing(error)) {
                    Some(message) => format!("{message}{hint}"),
                    None if matches!(**cause, StepError::Mount(_) | StepError::File(_)) => {
                        format!("{}{hint}", kiln_builder::text::chain(&**cause))
                    }
                    None => format!("{}{hint}", kiln_builder::text::chain(error)),
                };
                let lines: Vec<Lines> = location.iter().map(Lines::from).collect();
                let vertex = build.status.named(name).map(|digest| failure::vertex(&digest));
                failure::at(Code::Unknown, &message, &self.source, &lines, vertex.into_iter().collect())
            }
            _ => Status::unknown(format!("{}{hint}", kiln_builder::text::chain(error))),
        }
    }
}

/// A missing source of a copy, in BuildKit's words and then in kiln's.
fn missing(error: &BuildError) -> Option<String> {
    let (pattern, _) = error.missing_source()?;
    let cause = std::error::Error::source(error).map(kiln_builder::text::chain).unwrap_or_default();
    let path = pattern.trim_start_matches('/');
    Some(format!("failed to compute cache key: \"/{path}\": not found: {cause}"))
}

/// The commands of a plan by the names of their steps.
pub(super) fn commands(plan: &Plan) -> HashMap<String, String> {
    let of = |vertex: &kiln_graph::Vertex| match &vertex.op {
        Op::Exec(exec) => Some((vertex.display.name.clone(), exec.args.join(" "))),
        _ => None,
    };
    plan.graph.iter().filter_map(|(_, vertex)| of(vertex)).collect()
}

fn line_number(line: u32) -> i32 {
    i32::try_from(line).unwrap_or(i32::MAX)
}
