//! What each instruction's parser works on: its node, and where its mistakes go.

use std::ops::Range;

use super::flags::{Flags, Rule};
use crate::diagnostic::Diagnostic;
use crate::input::Input;
use crate::instruction::{Heredoc, Word};
use crate::span::{Span, Spanned};
use crate::syntax::Head;
use crate::text::Text;
use crate::word::blank_separated;

/// One instruction to be read.
pub(super) struct Request<'n> {
    /// The whole source.
    pub source: &'n str,
    /// The logical line.
    pub text: &'n Text<'n>,
    /// The keyword, in upper case.
    pub name: &'static str,
    /// How the line divides.
    pub head: &'n Head,
    /// The bodies behind the line.
    pub heredocs: Vec<Heredoc>,
    /// The file's escape character.
    pub escape: char,
    /// The whole instruction.
    pub span: Span,
    /// Where mistakes go.
    pub found: &'n mut Vec<Diagnostic>,
}

impl<'n> Request<'n> {
    /// The range of the arguments.
    pub fn arguments(&self) -> &'n Range<usize> {
        &self.head.arguments
    }

    /// The arguments as input of a grammar.
    pub fn input(&self) -> Input<'n> {
        Input::part(self.text.as_str(), self.arguments())
    }

    /// The arguments cut at white space.
    pub fn words(&self) -> Vec<Range<usize>> {
        blank_separated(self.text.as_str(), self.arguments())
    }

    /// The text at `range` with its place.
    pub fn word(&self, range: &Range<usize>) -> Word {
        self.text.spanned(range)
    }

    /// Where `range` was written.
    pub fn span_of(&self, range: &Range<usize>) -> Span {
        self.text.span(range)
    }

    /// `value`, written at `range`.
    pub fn at<T>(&self, value: T, range: &Range<usize>) -> Spanned<T> {
        Spanned::new(value, self.span_of(range))
    }

    /// The keyword and the arguments: what a mistake in the whole instruction points at.
    pub fn line_span(&self) -> Span {
        self.span_of(&(self.head.keyword.start..self.arguments().end.max(self.head.keyword.end)))
    }

    /// The flags, checked against `rules`.
    pub fn flags(&mut self, rules: &'static [Rule]) -> Flags<'n> {
        Flags::check(&self.head.flags, rules, self.name, self.found)
    }

    /// Reports an error at `span`.
    pub fn error(&mut self, code: &'static str, message: impl Into<String>, span: Span) {
        self.report(Diagnostic::error(code, message, span));
    }

    /// Reports a mistake.
    pub fn report(&mut self, diagnostic: Diagnostic) {
        self.found.push(diagnostic);
    }

    /// Reports that the instruction has no arguments, if that is so.
    pub fn requires_arguments(&mut self) -> Option<()> {
        if !self.arguments().is_empty() {
            return Some(());
        }
        let message = format!("{} requires at least one argument", self.name);
        let span = self.line_span();
        self.report(Diagnostic::error("missing-argument", message, span).with_label("nothing follows"));
        None
    }
}
