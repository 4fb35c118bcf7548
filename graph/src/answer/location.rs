//! Places in docker's JSON: the lines of an instruction, one range each.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use kiln_parser::{Dockerfile, Span};
use serde::Serialize;

/// Lines of one source.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Location {
    /// One for each line.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ranges: Vec<Range>,
}

/// From one place to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Range {
    /// The first.
    pub start: Position,
    /// The last.
    pub end: Position,
}

/// A line from 1, and a byte in it from 0, left out when it is 0 as docker does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The byte.
    #[serde(skip_serializing_if = "is_zero")]
    pub character: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// A file and its instructions.
pub struct Places<'a> {
    text: &'a str,
    starts: Vec<usize>,
    instructions: Vec<Span>,
}

impl<'a> Places<'a> {
    /// The places of `dockerfile`, whose text is `text`.
    pub fn new(text: &'a str, dockerfile: &Dockerfile) -> Self {
        // A byte order mark is in no column.
        let first = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        let starts = std::iter::once(first).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        let mut instructions: Vec<Span> = dockerfile.global_args.iter().map(|(_, span)| *span).collect();
        for stage in &dockerfile.stages {
            instructions.push(stage.from.span);
            instructions.extend(stage.instructions.iter().map(|instruction| instruction.span));
        }
        Self { text, starts, instructions }
    }

    /// The lines of the instruction that `span` is in, as docker gives them; the lines of `span` where it is in none.
    pub fn location(&self, span: Span) -> Location {
        let index = self.instructions.partition_point(|instruction| instruction.start <= span.start);
        let around = index.checked_sub(1).map(|index| self.instructions[index]);
        let whole = around.filter(|around| span.start < around.end).unwrap_or(span);
        let (first, last) = (self.line(whole.start), self.line(whole.end.max(whole.start + 1) - 1));
        let at = |line| Position { line, character: 0 };
        Location { ranges: (first..=last).map(|line| Range { start: at(line), end: at(line) }).collect() }
    }

    /// The bytes of `span` themselves.
    pub fn range(&self, span: Span) -> Range {
        let position = |at: usize| {
            let line = self.line(at);
            let start = self.starts.get(line - 1).copied().unwrap_or_default();
            Position { line, character: at.min(self.text.len()).saturating_sub(start) }
        };
        Range { start: position(span.start), end: position(span.end) }
    }

    /// The line of byte `at`, from 1.
    pub fn line(&self, at: usize) -> usize {
        self.starts.partition_point(|start| *start <= at).max(1)
    }

    /// The text as docker's JSON holds it.
    pub fn data(&self) -> String {
        BASE64_STANDARD.encode(self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_shown_by_the_lines_of_its_instruction() {
        let text = "ARG A\nFROM x\nRUN a \\\n  b\n\n";
        let places = Places::new(text, &kiln_parser::parse(text).dockerfile);
        let lines = |start, end| {
            let ranges = places.location(Span::new(start, end)).ranges;
            ranges.iter().map(|range| range.start.line).collect::<Vec<_>>()
        };
        assert_eq!(lines(4, 5), [1]);
        assert_eq!(lines(17, 18), [3, 4]);
        assert_eq!(lines(0, 0), [1]);
        assert_eq!(lines(25, 25), [5]);
        let range = places.range(Span::new(23, 24));
        assert_eq!((range.start.line, range.start.character, range.end.character), (4, 2, 3));
    }
}
