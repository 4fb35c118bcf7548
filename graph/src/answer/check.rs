//! `--check` and `--call=check`: everything that the rules find, in docker's words and JSON.
//!
//! Docker's rules decide about the exit code, as they do there; what only kiln has to say follows apart, as remarks.

use kiln_parser::check::{self, Rule, is_violation};
use kiln_parser::{Diagnostic, Dockerfile, Parsed, Severity, render};
use serde::Serialize;

use super::location::{Location, Places, Range};
use super::{is_mistake, is_unsupported};
use crate::lower::{LowerOptions, lower};
use crate::plan::ResolveBase;

/// Docker's answer; `mistakes` and `remarks` are kiln's.
#[derive(Debug, Clone, Serialize)]
pub struct Answer {
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
#[derive(Debug, Clone, Serialize)]
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

#[derive(Debug, Clone, Serialize)]
struct Source {
    filename: String,
    data: String,
    language: &'static str,
}

#[derive(Debug, Clone, Serialize)]
struct BuildError {
    message: String,
    location: Location,
}

/// What was found, by what becomes of it.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// What rules forbid.
    pub violations: Vec<Diagnostic>,
    /// What keeps the file from being built.
    pub mistakes: Vec<Diagnostic>,
    /// What only kiln has to say.
    pub remarks: Vec<Diagnostic>,
}

impl Found {
    /// Sorted by place.
    pub fn new(mut diagnostics: Vec<Diagnostic>) -> Self {
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
    pub fn forbidden(&self) -> Option<String> {
        let mut rules: Vec<&str> =
            self.violations.iter().filter(|found| found.is_error()).map(|found| found.code).collect();
        rules.sort_unstable();
        rules.dedup();
        (!rules.is_empty()).then(|| format!("lint violation found for rules: {}", rules.join(", ")))
    }
}

/// Everything that parser, rules and lowering find; `checks` are those that were asked for in place of the file's own.
///
/// Blocks for as long as the bases take.
pub fn find(
    text: &str,
    parsed: Parsed,
    checks: Option<&str>,
    options: &LowerOptions,
    bases: &dyn ResolveBase,
) -> (Found, Dockerfile) {
    let Parsed { dockerfile, mut diagnostics, .. } = parsed;
    if !diagnostics.iter().any(is_mistake) {
        diagnostics.extend(check::advice(text, &dockerfile, checks));
        diagnostics.extend(lower(text, &dockerfile, options, bases).diagnostics);
    }
    (Found::new(diagnostics), dockerfile)
}

/// The answer for programs; `name` is the file's.
pub fn to_answer(name: &str, found: &Found, places: &Places<'_>) -> Answer {
    let mistake = found.mistakes.first().map(|mistake| BuildError {
        message: mistake.message.clone(),
        location: places.location(mistake.span),
    });
    let forbidden = || Some(BuildError { message: found.forbidden()?, location: Location::default() });
    Answer {
        warnings: found.violations.iter().map(|finding| to_warning(finding, places)).collect(),
        sources: vec![Source { filename: name.to_owned(), data: places.data(), language: "Dockerfile" }],
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

/// A text and how it is shown.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    /// Its name.
    pub name: &'a str,
    /// The text.
    pub text: &'a str,
    /// Whether excerpts are coloured.
    pub color: bool,
}

/// The answer for people, with a line that counts.
pub fn to_text(shown: Shown<'_>, found: &Found) -> String {
    let text = match (found.violations.len(), found.mistakes.is_empty()) {
        (0, true) => "Check complete, no warnings found.\n".to_owned(),
        (0, false) => String::new(),
        (1, _) => "Check complete, 1 warning has been found!\n".to_owned(),
        (count, _) => format!("Check complete, {count} warnings have been found!\n"),
    };
    text + &blocks(shown, found)
}

/// The findings for people.
pub fn blocks(shown: Shown<'_>, found: &Found) -> String {
    let mut text = String::new();
    for finding in &found.violations {
        text.push_str(&block(shown, "WARNING", finding));
    }
    for finding in &found.remarks {
        let word = if finding.severity == Severity::Note { "NOTE" } else { "REMARK" };
        text.push_str(&block(shown, word, finding));
    }
    text
}

/// A finding under docker's headline, with kiln's excerpt.
fn block(shown: Shown<'_>, word: &str, finding: &Diagnostic) -> String {
    let url = Rule::named(finding.code).and_then(Rule::url).map(|url| format!(" - {url}"));
    let head = format!("\n{word}: {}{}\n{}\n", finding.code, url.unwrap_or_default(), finding.message);
    // What is not supported yet is an error of a build and none of a check.
    let severity = if is_unsupported(finding) { Severity::Note } else { Severity::Warning };
    let excerpt = Diagnostic { severity, ..finding.clone() };
    head + &render::excerpt(&excerpt, shown.text, shown.name, shown.color)
}
