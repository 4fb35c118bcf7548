//! `kiln build --check` and `--call`: questions about a Dockerfile, answered on standard output without a build.
//!
//! The answers are docker's, in text and in JSON, so that tools that read them keep working; the fields that only
//! kiln has are additions. [`check`] asks parser and lowering for everything that they find, [`outline`] and
//! [`targets`] list what the file offers.

mod bases;
mod check;
pub mod location;
mod outline;
mod targets;

use serde::Serialize;

use super::failure::Findings;
use super::source::BuildSource;
use crate::error::CliError;
use crate::flags::build::BuildFlags;
use crate::flags::call::{AnswerFormat, Question};
use crate::output;
use crate::session::Session;
use kiln_graph::lower::LowerOptions;
use kiln_parser::{Diagnostic, Parsed};

/// Everything that an answer is made from.
struct Call<'a> {
    flags: &'a BuildFlags,
    session: &'a Session,
    source: BuildSource,
    options: LowerOptions,
    format: AnswerFormat,
}

/// Answers the question and gives the exit code.
pub fn perform(question: Question, flags: &BuildFlags, session: &Session) -> Result<u8, CliError> {
    let source = BuildSource::obtain(flags, session)?;
    let options = LowerOptions { check: true, ..super::options::read(flags, &source, session)? };
    let format = flags.answer_format();
    let call = Call { flags, session, source, options, format };
    match question {
        Question::Check => check::answer(&call),
        Question::Outline => outline::answer(&call).map(|()| 0),
        Question::Targets => targets::answer(&call).map(|()| 0),
    }
}

impl Call<'_> {
    /// The file, which must be free of mistakes.
    fn parsed(&self) -> Result<Parsed, CliError> {
        let parsed = self.parse();
        if parsed.diagnostics.iter().any(is_mistake) {
            return Err(self.mistakes(&parsed.diagnostics));
        }
        Ok(parsed)
    }

    fn parse(&self) -> Parsed {
        kiln_parser::parse_with(&self.source.text, self.checks())
    }

    /// The checks that a build argument asks for in place of the file's own.
    fn checks(&self) -> Option<&str> {
        super::check_argument(&self.options)
    }

    /// The mistakes among `diagnostics` as an error.
    fn mistakes(&self, diagnostics: &[Diagnostic]) -> CliError {
        let mistakes: Vec<Diagnostic> =
            diagnostics.iter().filter(|diagnostic| is_mistake(diagnostic)).cloned().collect();
        let color = self.session.colors_stderr();
        Findings { diagnostics: &mistakes, source: &self.source, color }.into_error()
    }
}

/// Writes the answer for programs.
fn print_json(answer: &impl Serialize) -> Result<(), CliError> {
    let text = serde_json::to_string_pretty(answer)
        .map_err(|error| CliError::System { action: "write the answer as JSON", source: error.into() })?;
    output::print_line(&text)
}

/// Whether nothing can be built before this is mended. What a check found is none, even where the file asks for errors.
fn is_mistake(diagnostic: &Diagnostic) -> bool {
    diagnostic.is_error() && !kiln_parser::check::is_violation(diagnostic) && !is_unsupported(diagnostic)
}

/// Whether this is kiln's shortcoming and not the file's.
fn is_unsupported(diagnostic: &Diagnostic) -> bool {
    diagnostic.code == "not-supported-yet"
}

/// Rows with columns aligned as Go's tabwriter does: as wide as their widest cell, `gap` spaces between.
fn aligned(rows: &[Vec<String>], gap: usize) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widest = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(|column| widest(column) + gap).collect();
    let line = |row: &Vec<String>| {
        let last = row.len().saturating_sub(1);
        let cells = row.iter().zip(&widths).enumerate();
        let padded = cells.map(
            |(column, (cell, width))| {
                if column == last { cell.clone() } else { format!("{cell:<width$}") }
            },
        );
        padded.collect::<String>() + "\n"
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::aligned;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let row = |cells: &[&str]| cells.iter().map(|&cell| cell.to_owned()).collect::<Vec<_>>();
        let rows = [row(&["TARGET", "DESCRIPTION"]), row(&["release-é", "makes it"]), row(&["a", ""])];
        assert_eq!(aligned(&rows, 1), "TARGET    DESCRIPTION\nrelease-é makes it\na         \n");
        assert_eq!(aligned(&[], 3), "");
    }
}
