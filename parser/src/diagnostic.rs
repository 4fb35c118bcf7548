//! What is wrong, or doubtful, with a Dockerfile: data that points at the source text.
//!
//! The parser and the graph's lowering make these; [`render`](crate::render()) turns them into text. Nothing
//! here decides what happens next: a caller stops on [`Diagnostic::is_error`].

use crate::span::Span;

/// How much a [`Diagnostic`] matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The build cannot go on.
    Error,
    /// The build goes on, but the author should look.
    Warning,
    /// Only for information.
    Note,
}

/// One finding about the source text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Diagnostic {
    /// How much it matters.
    pub severity: Severity,
    /// A stable name: kebab-case for kiln's own, Docker's rule name for its checks.
    pub code: &'static str,
    /// One sentence that names the subject; no capital, no full stop.
    pub message: String,
    /// The bytes it is about.
    pub span: Span,
    /// What stands beside the underline; may be empty.
    pub label: String,
    /// What the author can do about it.
    pub help: Option<String>,
    /// Further facts.
    pub notes: Vec<String>,
}

impl Diagnostic {
    /// A finding that stops the build.
    pub fn error(code: &'static str, message: impl Into<String>, span: Span) -> Self {
        Self::new(Severity::Error, code, message, span)
    }

    /// A finding that the author should look at.
    pub fn warning(code: &'static str, message: impl Into<String>, span: Span) -> Self {
        Self::new(Severity::Warning, code, message, span)
    }

    /// A finding for information.
    pub fn note(code: &'static str, message: impl Into<String>, span: Span) -> Self {
        Self::new(Severity::Note, code, message, span)
    }

    fn new(severity: Severity, code: &'static str, message: impl Into<String>, span: Span) -> Self {
        let (label, help, notes) = (String::new(), None, Vec::new());
        Self { severity, code, message: message.into(), span, label, help, notes }
    }

    /// With `label` beside the underline.
    pub fn with_label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// With a line that says what to do about it.
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// With one more fact.
    pub fn with_note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// With "did you mean …?" as its help when there is a `candidate`.
    pub fn with_suggestion(self, candidate: Option<&str>) -> Self {
        match candidate {
            Some(candidate) => self.with_help(format!("did you mean `{candidate}`?")),
            None => self,
        }
    }

    /// Whether this stops the build.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// A word for a message: not more of it than fits a line.
pub(crate) fn shortened(word: &str) -> String {
    const MOST: usize = 40;
    let mut chars = word.chars();
    let start: String = chars.by_ref().take(MOST).collect();
    if chars.next().is_some() { format!("{start}…") } else { start }
}
