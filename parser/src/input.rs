//! What every nom grammar here reads, and what it says when it fails.
//!
//! nom's own errors carry no places of ours, so input and error are wrapped once, here: an [`Input`] knows
//! at which byte of its text it stands, a [`Mismatch`] says at which byte what was expected.

use std::ops::Range;
use std::str::{CharIndices, Chars};

use nom::error::{ContextError, ErrorKind, ParseError};
use nom::{Compare, CompareResult, Needed, Offset, Parser};

/// A part of a text, and the offset at which it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Input<'a> {
    text: &'a str,
    offset: usize,
}

/// Why a grammar did not match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mismatch {
    /// The byte at which it stopped.
    pub at: usize,
    /// What it wanted there; `None` where the grammar gave it no name.
    pub expected: Option<&'static str>,
}

/// The result of a grammar: what is left, and what was read.
pub(crate) type Match<'a, O> = nom::IResult<Input<'a>, O, Mismatch>;

impl<'a> Input<'a> {
    /// The whole of `text`.
    pub fn new(text: &'a str) -> Self {
        Self { text, offset: 0 }
    }

    /// The part of `text` at `range`, with offsets that count from the start of `text`.
    pub fn part(text: &'a str, range: &Range<usize>) -> Self {
        Self { text: text.get(range.clone()).unwrap_or_default(), offset: range.start }
    }

    /// `text` that starts at `offset` of a longer one.
    pub fn part_at(text: &'a str, offset: usize) -> Self {
        Self { text, offset }
    }

    /// What is here.
    pub fn as_str(&self) -> &'a str {
        self.text
    }

    /// Where it starts.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// The bytes it covers.
    pub fn range(&self) -> Range<usize> {
        self.offset..self.offset + self.text.len()
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// The first character.
    pub fn first(&self) -> Option<char> {
        self.text.chars().next()
    }
}

/// Runs `grammar` over the whole of `input`; something left over is a mismatch.
pub(crate) fn complete<'a, O>(
    grammar: impl Parser<Input<'a>, Output = O, Error = Mismatch>,
    input: Input<'a>,
) -> Result<O, Mismatch> {
    match nom::combinator::all_consuming(grammar).parse(input) {
        Ok((_, output)) => Ok(output),
        Err(nom::Err::Error(mismatch) | nom::Err::Failure(mismatch)) => Err(mismatch),
        Err(nom::Err::Incomplete(_)) => Err(Mismatch { at: input.range().end, expected: None }),
    }
}

impl<'a> nom::Input for Input<'a> {
    type Item = char;
    type Iter = Chars<'a>;
    type IterIndices = CharIndices<'a>;

    fn input_len(&self) -> usize {
        self.text.len()
    }

    fn take(&self, index: usize) -> Self {
        Self { text: self.text.take(index), offset: self.offset }
    }

    fn take_from(&self, index: usize) -> Self {
        Self { text: self.text.take_from(index), offset: self.offset + index }
    }

    fn take_split(&self, index: usize) -> (Self, Self) {
        (self.take_from(index), self.take(index))
    }

    fn position<P: Fn(char) -> bool>(&self, predicate: P) -> Option<usize> {
        self.text.find(predicate)
    }

    fn iter_elements(&self) -> Chars<'a> {
        self.text.chars()
    }

    fn iter_indices(&self) -> CharIndices<'a> {
        self.text.char_indices()
    }

    fn slice_index(&self, count: usize) -> Result<usize, Needed> {
        self.text.slice_index(count)
    }
}

impl Offset for Input<'_> {
    fn offset(&self, second: &Self) -> usize {
        second.offset - self.offset
    }
}

impl Compare<&str> for Input<'_> {
    fn compare(&self, wanted: &str) -> CompareResult {
        self.text.compare(wanted)
    }

    fn compare_no_case(&self, wanted: &str) -> CompareResult {
        self.text.compare_no_case(wanted)
    }
}

impl<'a> ParseError<Input<'a>> for Mismatch {
    fn from_error_kind(input: Input<'a>, _: ErrorKind) -> Self {
        Self { at: input.offset, expected: None }
    }

    fn append(_: Input<'a>, _: ErrorKind, other: Self) -> Self {
        other
    }

    /// Of two alternatives, the one that got further knows better.
    fn or(self, other: Self) -> Self {
        if self.at > other.at { self } else { other }
    }
}

impl<'a> ContextError<Input<'a>> for Mismatch {
    fn add_context(_: Input<'a>, context: &'static str, other: Self) -> Self {
        Self { expected: other.expected.or(Some(context)), ..other }
    }
}
