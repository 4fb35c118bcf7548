//! `kiln build --check` and `--call`: questions about a Dockerfile, answered on standard output without a build.
//!
//! The answers are docker's, in text and in JSON, so that tools that read them keep working; the fields that only
//! kiln has are additions. What they hold is made in `kiln_graph::answer`.

mod check;
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
use kiln_graph::answer::is_mistake;
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
