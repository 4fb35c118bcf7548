//! What went wrong in a build, shown at its place: mistakes in the Dockerfile, warnings, a step that failed.

use kiln_builder::{BuildError, NotCached, Place, TreeError};
use kiln_parser::span::Span;
use kiln_parser::{Diagnostic, Severity};

use super::place;
use super::source::{BuildSource, ContextDir};
use crate::error::{CliError, full_disk, not_root};
use crate::output::progress::tracker::visible;

/// Lines of a failed command's output that are repeated.
const LAST_LINES: usize = 20;

/// What parser and lowering found.
pub struct Findings<'a> {
    /// The mistakes and warnings.
    pub diagnostics: &'a [Diagnostic],
    /// The Dockerfile.
    pub source: &'a BuildSource,
    /// Whether excerpts have colours.
    pub color: bool,
}

impl Findings<'_> {
    /// The mistakes as an error, warnings with them: they often say why.
    pub fn into_error(self) -> CliError {
        let errors = self.diagnostics.iter().filter(|diagnostic| diagnostic.is_error()).count();
        CliError::Dockerfile { file: self.source.name.clone(), rendered: self.rendered(), errors }
    }

    /// The warnings as text, one line each in docker's words; a check shows the places.
    pub fn warnings(&self) -> String {
        let warnings = self.diagnostics.iter().filter(|found| found.severity == Severity::Warning);
        let lines: Vec<String> = warnings.map(|found| self.line(found)).collect();
        let count = match lines.len() {
            0 => return String::new(),
            1 => "1 warning".to_owned(),
            several => format!("{several} warnings"),
        };
        format!(" {count} found (`kiln build --check` shows the places):\n{}", lines.concat())
    }

    /// ` - RULE: message (line N)`; what is about no line names none.
    fn line(&self, found: &Diagnostic) -> String {
        let line = self.source.text.get(..found.span.start).unwrap_or_default().matches('\n').count() + 1;
        let place = if found.span == Span::default() { String::new() } else { format!(" (line {line})") };
        format!(" - {}: {}{place}\n", found.code, found.message)
    }

    fn rendered(&self) -> String {
        kiln_parser::render(self.diagnostics, &self.source.text, &self.source.name, self.color)
    }
}

/// A failed build as an error that shows the lines of the Dockerfile and the last lines of output.
pub fn of_build(error: BuildError, source: &BuildSource, color: bool) -> CliError {
    if let Some(error) = malformed_ignore(&error, source, color) {
        return error;
    }
    let excerpt = match &error {
        BuildError::Step { name, location, log, cause, .. } => {
            let mut text = last_lines(name, log);
            if let Some(location) = location {
                let span = place::of(&error, location, &source.text);
                let mut diagnostic =
                    at_place(span, kiln_builder::text::chain(&**cause), hint(&error, source));
                let from = source.text.get(location.range.clone()).unwrap_or_default();
                diagnostic.notes.extend(trigger(name, from));
                text.push_str(&kiln_parser::render(&[diagnostic], &source.text, &source.name, color));
            }
            text
        }
        BuildError::NotCached { steps } => not_cached(steps),
        _ => String::new(),
    };
    CliError::Build { source: Box::new(error), excerpt }
}

/// A malformed pattern of an ignore file, at its place in that file.
fn malformed_ignore(error: &BuildError, source: &BuildSource, color: bool) -> Option<CliError> {
    let BuildError::Context { source: cause, .. } = error else { return None };
    let TreeError::Pattern { pattern, message } = &**cause else { return None };
    let (file, line) = source.pattern_place(pattern)?;
    let before = "\n".repeat((line as usize).saturating_sub(1));
    let text = format!("{before}{pattern}");
    let diagnostic = at_place(Span::new(before.len(), text.len()), message.clone(), None);
    let rendered = kiln_parser::render(&[diagnostic], &text, file, color);
    Some(CliError::Dockerfile { file: file.to_owned(), rendered, errors: 1 })
}

/// What there is to say of a step that no line of the file asks for: which trigger of which base, as its FROM names it.
fn trigger(name: &str, from: &str) -> Option<String> {
    let (_, text) = name.split_once("] ").filter(|(_, text)| text.starts_with("ONBUILD "))?;
    let base = from.split_whitespace().skip(1).find(|word| !word.starts_with("--"))?;
    Some(format!("this is `{text}`, a trigger of the base {base}"))
}

/// The steps that had to be cached, one a line, each with its reason.
fn not_cached(steps: &[NotCached]) -> String {
    let lines = steps.iter().flat_map(|NotCached { name, reason }| {
        let reason = reason.as_deref().unwrap_or("it follows from a step that is not cached");
        ["not cached: ", name.as_str(), ": ", reason, "\n"]
    });
    lines.collect()
}

/// What the user can do; a pattern that leaves a file out is shown with its line.
pub fn hint(error: &BuildError, source: &BuildSource) -> Option<String> {
    let ignored = error.ignored_by().and_then(|(place, rule)| {
        let (file, pattern) = match place {
            Place::NamedContext { name } => source.named.ignore_line(name, rule)?,
            _ => (source.ignore_file.as_ref()?, source.ignore.get(rule)?.as_str()),
        };
        let line = file.lines.get(rule)?;
        Some(format!("it exists, but line {line} of {} leaves it out: `{pattern}`", file.name))
    });
    let above = || place::above(error, error.location()?, &source.text);
    let rooted = || place::rooted(error, error.location()?, &source.text);
    full_disk(error)
        .or_else(|| not_root(error))
        .or(ignored)
        .or_else(|| no_files(error, source))
        .or_else(above)
        .or_else(|| error.hint())
        .or_else(rooted)
}

/// What there is to say when the context is empty because there is none.
fn no_files(error: &BuildError, source: &BuildSource) -> Option<String> {
    let is_missing = matches!(error.missing_source(), Some((_, Place::Context)));
    (is_missing && matches!(source.context, Some(ContextDir::Empty(_)))).then(|| {
        let name = &source.name;
        format!(
            "{name} came alone, so the build context is empty: name a directory, as in `kiln build -f - DIR`"
        )
    })
}

fn at_place(span: Span, message: String, hint: Option<String>) -> Diagnostic {
    let diagnostic = Diagnostic::error("step-failed", message, span);
    match hint {
        Some(hint) => diagnostic.with_help(hint),
        None => diagnostic,
    }
}

/// The end of the command's output between two rules, as BuildKit shows it.
fn last_lines(name: &str, log: &[Vec<u8>]) -> String {
    if log.is_empty() {
        return String::new();
    }
    let shown = log.iter().skip(log.len().saturating_sub(LAST_LINES)).map(|line| visible(line) + "\n");
    format!("------\n > {name}:\n{}------\n", shown.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::super::source::IgnoreFile;
    use super::*;

    #[test]
    fn a_trigger_is_told_with_its_base() {
        let told = trigger("[2/2] ONBUILD COPY a .", "FROM --platform=linux/amd64 python:onbuild AS x");
        assert_eq!(told.as_deref(), Some("this is `ONBUILD COPY a .`, a trigger of the base python:onbuild"));
        assert_eq!(trigger("[2/2] COPY a .", "COPY a ."), None);
    }

    #[test]
    fn a_malformed_pattern_is_shown_in_its_file() {
        let cause = TreeError::Pattern { pattern: "b[a".into(), message: "a syntax error".into() };
        let error = || BuildError::Context { path: "/c".into(), source: Box::new(cause_of(&cause)) };
        let mut source = BuildSource::new("Dockerfile".into(), "FROM a".into());
        assert!(malformed_ignore(&error(), &source, false).is_none());
        source.ignore = vec!["foo".into(), "b[a".into()];
        source.ignore_file = Some(IgnoreFile { name: ".dockerignore".into(), lines: vec![1, 3] });
        let shown = match malformed_ignore(&error(), &source, false) {
            Some(CliError::Dockerfile { rendered, .. }) => rendered,
            other => format!("{other:?}"),
        };
        assert!(shown.contains(".dockerignore:3:1") && shown.contains("a syntax error"), "{shown}");
    }

    fn cause_of(cause: &TreeError) -> TreeError {
        let TreeError::Pattern { pattern, message } = cause else {
            return TreeError::Loop { path: "".into() };
        };
        TreeError::Pattern { pattern: pattern.clone(), message: message.clone() }
    }

    #[test]
    fn only_the_end_of_the_output_is_repeated() {
        let log: Vec<Vec<u8>> = (0..50).map(|number| format!("line {number}").into_bytes()).collect();
        let text = last_lines("[1/1] RUN x", &log);
        assert!(
            text.starts_with("------\n > [1/1] RUN x:\nline 30\n") && text.ends_with("line 49\n------\n")
        );
        assert_eq!(last_lines("x", &[]), "");
    }
}
