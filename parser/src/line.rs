//! Physical lines of the source, and what a line is: a comment, a blank, or one that goes on.
//!
//! The reader of the syntax tree joins them; heredoc bodies are read from them as they are.

use crate::span::Span;

/// The longest physical line, its line end not counted: the limit of the Dockerfile reference. A longer one
/// is refused by Docker, so a file that kiln took would not build there.
pub(crate) const LONGEST: usize = 65_535;

/// One physical line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    /// Its text without line feed and carriage returns.
    pub text: &'a str,
    /// Where its text starts.
    pub start: usize,
    /// Where the next line starts.
    pub next: usize,
}

impl<'a> Line<'a> {
    /// The text alone.
    pub fn span(&self) -> Span {
        Span::new(self.start, self.start + self.text.len())
    }

    /// The text and the line end.
    pub fn extent(&self) -> Span {
        Span::new(self.start, self.next)
    }

    /// The same line without leading white space.
    pub fn trim_start(self) -> Self {
        let text = self.text.trim_start();
        Self { text, start: self.start + (self.text.len() - text.len()), next: self.next }
    }

    /// Whether a `#` is the first thing on it.
    pub fn is_comment(&self) -> bool {
        self.text.trim_start().starts_with('#')
    }

    /// Whether only white space is on it.
    pub fn is_blank(&self) -> bool {
        self.text.trim_start().is_empty()
    }

    /// The text without a continuation mark at its end; `None` when the line ends here. The mark is the escape
    /// character with blanks behind it, unless another escape character stands in front.
    pub fn continued(&self, escape: char) -> Option<&'a str> {
        let before = self.text.trim_end_matches([' ', '\t']).strip_suffix(escape)?;
        (!before.ends_with(escape)).then_some(before)
    }
}

/// The lines from some byte on.
#[derive(Debug, Clone)]
pub(crate) struct Lines<'a> {
    source: &'a str,
    at: usize,
}

impl<'a> Lines<'a> {
    /// The lines of `source` from byte `at`, which starts a line.
    pub fn new(source: &'a str, at: usize) -> Self {
        Self { source, at }
    }

    /// Where the next line starts.
    pub fn at(&self) -> usize {
        self.at
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        let start = self.at;
        let rest = self.source.get(start..).filter(|rest| !rest.is_empty())?;
        let length = rest.find('\n').map_or(rest.len(), |end| end + 1);
        self.at = start + length;
        Some(Line { text: rest[..length].trim_end_matches(['\n', '\r']), start, next: self.at })
    }
}

#[cfg(test)]
mod tests {
    use super::{Line, Lines};

    fn line(text: &str) -> Line<'_> {
        Line { text, start: 0, next: text.len() }
    }

    #[test]
    fn lines_lose_their_ends_and_keep_their_places() {
        let lines: Vec<_> =
            Lines::new("a\r\n\nb\r\r\nc", 0).map(|line| (line.text, line.start, line.next)).collect();
        assert_eq!(lines, [("a", 0, 3), ("", 3, 4), ("b", 4, 8), ("c", 8, 9)]);
        assert_eq!(Lines::new("", 0).count(), 0);
    }

    #[test]
    fn a_continuation_is_a_lone_escape_at_the_end() {
        let cases = [
            ("RUN a \\", Some("RUN a ")),
            ("RUN a \\  \t", Some("RUN a ")),
            ("\\", Some("")),
            ("RUN a", None),
            ("RUN a \\\\", None),
            ("RUN a \\\\\\", None),
            ("RUN a \\ b", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(line(text).continued('\\'), expected, "{text:?}");
        }
        assert_eq!(line("RUN a `").continued('`'), Some("RUN a "));
        assert_eq!(line("RUN a \\").continued('`'), None);
    }
}
