//! `--check` and `--call=check`: everything that the rules find, in docker's words and JSON.
//!
//! Docker's rules decide about the exit code, as they do there; what only kiln has to say follows apart, as remarks.

use kiln_graph::lower::lower;
use kiln_parser::check::{self, Rule, is_violation};
use kiln_parser::{Diagnostic, Severity, render};
use serde::Serialize;
use tokio::runtime::Handle;

use super::bases::PatientBases;
use super::location::{Location, Places, Range};
use super::{Call, is_mistake, is_unsupported, print_json};
use crate::error::CliError;
use crate::flags::call::AnswerFormat;
use crate::output;
use crate::output::progress::View;
use crate::work::with_progress;

/// Docker's answer; `mistakes` and `remarks` are kiln's.
#[derive(Debug, Serialize)]
struct Answer {
    warnings: Vec<Warning>,
    sources: Vec<Source>,
    #[serde(rename = "buildError", skip_serializing_if = "Option::is_none")]
    error: Option<BuildError>,
    /// All mistakes; docker's field has the first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mistakes: Vec<Warning>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    remarks: Vec<Warning>,
}

/// A finding: docker's five fields, and then what kiln knows beyond them.
#[derive(Debug, Serialize)]
struct Warning {
    #[serde(rename = "ruleName")]
    rule: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    detail: String,
    location: Location,
    /// The very bytes.
    span: Range,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Source {
    filename: String,
    data: String,
    language: &'static str,
}

#[derive(Debug, Serialize)]
struct BuildError {
    message: String,
    location: Location,
}

/// What was found, by what becomes of it.
#[derive(Debug, Default)]
struct Found {
    violations: Vec<Diagnostic>,
    mistakes: Vec<Diagnostic>,
    remarks: Vec<Diagnostic>,
}

impl Found {
    /// Sorted by place.
    fn new(mut diagnostics: Vec<Diagnostic>) -> Self {
        diagnostics.sort_by_key(|diagnostic| diagnostic.span);
        diagnostics.dedup();
        let mut found = Self::default();
        for diagnostic in diagnostics {
            if is_violation(&diagnostic) {
                found.violations.push(diagnostic);
            } else if is_mistake(&diagnostic) {
                found.mistakes.push(diagnostic);
            } else {
                found.remarks.push(diagnostic);
            }
        }
        found
    }

    /// The rules that `error=true` made errors of, each once, as a message.
    fn forbidden(&self) -> Option<String> {
        let mut rules: Vec<&str> =
            self.violations.iter().filter(|found| found.is_error()).map(|found| found.code).collect();
        rules.sort_unstable();
        rules.dedup();
        (!rules.is_empty()).then(|| format!("lint violation found for rules: {}", rules.join(", ")))
    }
}

/// Checks the file; the exit code is 1 when something was found.
pub fn answer(call: &Call<'_>) -> Result<u8, CliError> {
    let parsed = call.parse();
    let places = Places::new(&call.source.text, &parsed.dockerfile);
    let mut diagnostics = parsed.diagnostics;
    if !diagnostics.iter().any(is_mistake) {
        diagnostics.extend(check::advice(&call.source.text, &parsed.dockerfile, call.checks()));
        diagnostics.extend(lowered(call, parsed.dockerfile)?);
    }
    let found = Found::new(diagnostics);
    match call.format {
        AnswerFormat::Json => print_json(&to_answer(call, &found, &places))?,
        AnswerFormat::Text => output::print(&to_text(call, &found))?,
    }
    if !found.mistakes.is_empty() {
        return Err(call.mistakes(&found.mistakes));
    }
    if let Some(message) = found.forbidden() {
        output::remark(&format!("error: {message}"));
    }
    let ignore = call.flags.call.is_some_and(|spec| spec.ignore_status);
    Ok(u8::from(!found.violations.is_empty() && !ignore))
}

/// What the lowering finds.
fn lowered(call: &Call<'_>, dockerfile: kiln_parser::Dockerfile) -> Result<Vec<Diagnostic>, CliError> {
    let builder = call.session.builder();
    let (text, options) = (call.source.text.clone(), call.options.clone());
    let work = |progress| async move {
        let bases = PatientBases::new(builder, progress, Handle::current());
        let lowered = tokio::task::spawn_blocking(move || lower(&text, &dockerfile, &options, &bases)).await;
        lowered.map_err(|error| CliError::System {
            action: "read the Dockerfile's meaning",
            source: std::io::Error::other(error),
        })
    };
    Ok(with_progress(View::Quiet, None, work)?.0.diagnostics)
}

fn to_answer(call: &Call<'_>, found: &Found, places: &Places<'_>) -> Answer {
    let mistake = found.mistakes.first().map(|mistake| BuildError {
        message: mistake.message.clone(),
        location: places.location(mistake.span),
    });
    let forbidden = || Some(BuildError { message: found.forbidden()?, location: Location::default() });
    Answer {
        warnings: found.violations.iter().map(|finding| to_warning(finding, places)).collect(),
        sources: vec![Source {
            filename: call.source.name.clone(),
            data: places.data(),
            language: "Dockerfile",
        }],
        error: mistake.or_else(forbidden),
        mistakes: found.mistakes.iter().map(|finding| to_warning(finding, places)).collect(),
        remarks: found.remarks.iter().map(|finding| to_warning(finding, places)).collect(),
    }
}

fn to_warning(finding: &Diagnostic, places: &Places<'_>) -> Warning {
    let rule = Rule::named(finding.code);
    Warning {
        rule: finding.code,
        description: rule.map(|rule| rule.description),
        url: rule.and_then(Rule::url),
        detail: finding.message.clone(),
        location: places.location(finding.span),
        span: places.range(finding.span),
        help: finding.help.clone(),
        notes: finding.notes.clone(),
    }
}

fn to_text(call: &Call<'_>, found: &Found) -> String {
    let mut text = match (found.violations.len(), found.mistakes.is_empty()) {
        (0, true) => "Check complete, no warnings found.\n".to_owned(),
        (0, false) => String::new(),
        (1, _) => "Check complete, 1 warning has been found!\n".to_owned(),
        (count, _) => format!("Check complete, {count} warnings have been found!\n"),
    };
    for finding in &found.violations {
        text.push_str(&block(call, "WARNING", finding));
    }
    for finding in &found.remarks {
        let word = if finding.severity == Severity::Note { "NOTE" } else { "REMARK" };
        text.push_str(&block(call, word, finding));
    }
    text
}

/// A finding under docker's headline, with kiln's excerpt.
fn block(call: &Call<'_>, word: &str, finding: &Diagnostic) -> String {
    let color = call.session.colors_stdout();
    let url = Rule::named(finding.code).and_then(Rule::url).map(|url| format!(" - {url}"));
    let head = format!("\n{word}: {}{}\n{}\n", finding.code, url.unwrap_or_default(), finding.message);
    // What is not supported yet is an error of a build and none of a check.
    let severity = if is_unsupported(finding) { Severity::Note } else { Severity::Warning };
    let shown = Diagnostic { severity, ..finding.clone() };
    head + &render::excerpt(&shown, &call.source.text, &call.source.name, color)
}
