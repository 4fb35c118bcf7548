//! Text put together from pieces of the source, with the way back to where each piece was written.
//!
//! Continuation lines are joined and flags lose their quotes before they are parsed; every grammar works on
//! such a [`Text`] and turns the ranges it finds into source [`Span`]s here. Nothing here knows Dockerfiles.

use std::borrow::Cow;
use std::ops::Range;

use crate::span::{Span, Spanned};

/// Joined text that remembers its places. One piece of source is borrowed, several are copied.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Text<'a> {
    text: Cow<'a, str>,
    pieces: Vec<Piece>,
}

/// From byte `at` of the text up to the next piece, byte `at + n` was written at `source + n`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Piece {
    at: usize,
    source: usize,
}

impl<'a> Text<'a> {
    /// No text, to which pieces are pushed.
    pub const fn new() -> Self {
        Self { text: Cow::Borrowed(""), pieces: Vec::new() }
    }

    /// Appends `piece`, written at byte `source`.
    pub fn push(&mut self, piece: &'a str, source: usize) {
        let at = self.text.len();
        if self.pieces.last().is_none_or(|last| last.source + (at - last.at) != source) {
            self.pieces.push(Piece { at, source });
        }
        if self.text.is_empty() {
            self.text = Cow::Borrowed(piece);
        } else {
            self.text.to_mut().push_str(piece);
        }
    }

    /// Appends a copy of `other` with its places.
    pub fn append(&mut self, other: &Text<'_>) {
        let base = self.text.len();
        self.text.to_mut().push_str(&other.text);
        for piece in &other.pieces {
            let joins = self
                .pieces
                .last()
                .is_some_and(|last| last.source + (base + piece.at - last.at) == piece.source);
            if !joins {
                self.pieces.push(Piece { at: base + piece.at, source: piece.source });
            }
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// A part of the text; `range` must lie on character boundaries, as the ranges of the grammars do.
    pub fn get(&self, range: &Range<usize>) -> &str {
        self.text.get(range.clone()).unwrap_or_default()
    }

    /// Where the bytes of `range` were written: from the first of them to the last, with whatever stands between.
    pub fn span(&self, range: &Range<usize>) -> Span {
        if range.is_empty() {
            let at = if range.start == self.text.len() { self.end() } else { self.source_of(range.start) };
            return Span::new(at, at);
        }
        Span::new(self.source_of(range.start), self.source_of(range.end - 1) + 1)
    }

    /// The part at `range` with its place.
    pub fn spanned(&self, range: &Range<usize>) -> Spanned<String> {
        Spanned::new(self.get(range).to_owned(), self.span(range))
    }

    /// A copy of the part at `range` that keeps its places.
    pub fn part(&self, range: &Range<usize>) -> Text<'static> {
        let mut pieces = Vec::new();
        if range.start < range.end {
            pieces.push(Piece { at: 0, source: self.source_of(range.start) });
            let after = self.pieces.partition_point(|piece| piece.at <= range.start);
            let inside = self.pieces[after..].iter().take_while(|piece| piece.at < range.end);
            pieces.extend(inside.map(|piece| Piece { at: piece.at - range.start, source: piece.source }));
        } else {
            pieces.push(Piece { at: 0, source: self.span(range).start });
        }
        Text { text: Cow::Owned(self.get(range).to_owned()), pieces }
    }

    /// The same text, copied where it was borrowed.
    pub fn into_owned(self) -> Text<'static> {
        Text { text: Cow::Owned(self.text.into_owned()), pieces: self.pieces }
    }

    /// The range of the text without white space at both ends.
    pub fn trimmed(&self) -> Range<usize> {
        trim(&self.text, 0..self.text.len())
    }

    fn end(&self) -> usize {
        self.pieces.last().map_or(0, |last| last.source + (self.text.len() - last.at))
    }

    fn source_of(&self, at: usize) -> usize {
        let after = self.pieces.partition_point(|piece| piece.at <= at);
        let Some(piece) = after.checked_sub(1).and_then(|index| self.pieces.get(index)) else { return 0 };
        piece.source + (at - piece.at)
    }
}

/// `range` of `text` without white space at both ends.
pub(crate) fn trim(text: &str, range: Range<usize>) -> Range<usize> {
    let part = text.get(range.clone()).unwrap_or_default();
    let start = range.start + (part.len() - part.trim_start().len());
    start..(start + part.trim().len())
}

#[cfg(test)]
mod tests {
    use super::{Text, trim};
    use crate::span::Span;

    /// "ab" at 10, "cdé" at 20, "f" right behind it.
    fn joined() -> Text<'static> {
        let mut text = Text::new();
        text.push("ab", 10);
        text.push("cdé", 20);
        text.push("f", 24);
        text
    }

    #[test]
    fn spans_reach_over_the_joints() {
        let text = joined();
        assert_eq!(text.as_str(), "abcdéf");
        assert_eq!(text.span(&(0..2)), Span::new(10, 12));
        assert_eq!(text.span(&(1..3)), Span::new(11, 21));
        assert_eq!(text.span(&(4..6)), Span::new(22, 24));
        assert_eq!(text.span(&(4..7)), Span::new(22, 25));
        assert_eq!(text.span(&(7..7)), Span::new(25, 25));
        assert_eq!(text.span(&(2..2)), Span::new(20, 20));
    }

    #[test]
    fn parts_keep_their_places() {
        let part = joined().part(&(1..6));
        assert_eq!(part.as_str(), "bcdé");
        assert_eq!(part.span(&(0..1)), Span::new(11, 12));
        assert_eq!(part.span(&(1..5)), Span::new(20, 24));
        assert_eq!(joined().part(&(3..3)).span(&(0..0)), Span::new(21, 21));
    }

    #[test]
    fn trimming_keeps_the_middle() {
        assert_eq!(trim("  a b ", 0..6), 2..5);
        assert_eq!(trim("   ", 0..3), 3..3);
    }

    #[test]
    fn no_text_has_an_empty_span() {
        assert_eq!(Text::new().span(&(0..0)), Span::new(0, 0));
    }
}
