//! Here-documents: their markers in the line, their bodies behind it.
//!
//! Markers are found as BuildKit finds them: the line is split like a shell would split it, and a word that is
//! nothing but `[N]<<[-]WORD` is one. A body runs to the line that is exactly the delimiter.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use nom::Parser;
use nom::bytes::complete::{tag, take_till1, take_while};
use nom::character::complete::{char, digit0};
use nom::combinator::opt;
use nom::sequence::terminated;

use crate::expand::{SplitWord, split_delimiter, split_written};
use crate::input::{Input, Match, complete};
use crate::instruction::Heredoc;
use crate::line::{Line, Lines};
use crate::span::{Span, Spanned};
use crate::text::Text;
use crate::word::blank_separated;

/// A marker: everything about a heredoc but its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Marker {
    pub name: String,
    pub expand: bool,
    pub strip_tabs: bool,
    pub file_descriptor: u32,
    pub range: Range<usize>,
}

/// A body that has no end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unterminated {
    /// A line that holds the delimiter and white space: probably meant to be the end.
    pub likely_end: Option<Span>,
}

/// The markers in `line`, in order; `None` when the line cannot be split, so that nobody sees any.
pub(super) fn markers(line: &str) -> Option<Vec<Marker>> {
    let words = split_written(line)?;
    Some(words.iter().filter_map(|word| marker(line, word)).collect())
}

/// The first word of a line that looks like a marker, where [`markers`] could not say.
pub(super) fn lookalike(line: &str) -> Option<Range<usize>> {
    let words = blank_separated(line, &(0..line.len()));
    words.into_iter().find(|word| {
        let parsed = complete(parts, Input::part(line, word));
        let delimiter = parsed.ok().and_then(|(_, _, delimiter)| delimiter.first());
        delimiter.is_some_and(|first| first.is_alphabetic() || matches!(first, '_' | '"' | '\''))
    })
}

fn marker(line: &str, word: &SplitWord) -> Option<Marker> {
    let written = Input::part(line, &word.range);
    let (descriptor, dash, delimiter) = complete(parts, written).ok()?;
    let (names, quoted) = split_delimiter(delimiter.as_str())?;
    let [name] = names.as_slice() else { return None };
    Some(Marker {
        name: name.value.clone(),
        expand: !quoted,
        strip_tabs: dash.is_some(),
        file_descriptor: number(descriptor.as_str()),
        range: word.range.clone(),
    })
}

/// `[N]<<[-]DELIMITER`; the delimiter holds no `<`.
fn parts(input: Input<'_>) -> Match<'_, (Input<'_>, Option<char>, Input<'_>)> {
    let operator = terminated(opt(char('-')), take_while(char::is_whitespace));
    let (rest, (descriptor, _, dash, delimiter)) =
        (digit0, tag("<<"), operator, take_till1(|c| c == '<')).parse(input)?;
    Ok((rest, (descriptor, dash, delimiter)))
}

/// The file descriptor: 0 when none is written, the highest there is when it is beyond all bounds.
fn number(digits: &str) -> u32 {
    if digits.is_empty() { 0 } else { digits.parse().unwrap_or(u32::MAX) }
}

/// The lines that could end a heredoc, so that a file full of heredocs without end is not searched to its end
/// for each of them.
#[derive(Debug, Default)]
pub(super) struct Ends<'a> {
    /// Where each line, cut as [`End`] says, stands last; filled when a search first reached the end.
    last: Option<HashMap<(End, &'a str), usize>>,
}

/// What of a line must be the delimiter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum End {
    /// All of it.
    Exact,
    /// What follows its leading tabs.
    Stripped,
    /// What is not white space at its ends: no end at all, but probably meant to be one.
    Likely,
}

impl End {
    fn of<'t>(self, line: &Line<'t>) -> &'t str {
        match self {
            Self::Exact => line.text,
            Self::Stripped => line.text.trim_start_matches('\t'),
            Self::Likely => line.text.trim(),
        }
    }
}

impl<'a> Ends<'a> {
    /// The first line of `lines` that ends the heredoc `name`, and the lines behind it.
    fn find(
        &mut self,
        end: End,
        name: &str,
        source: &'a str,
        lines: &Lines<'a>,
    ) -> Option<(Line<'a>, Lines<'a>)> {
        if let Some(last) = &self.last
            && last.get(&(end, name)).is_none_or(|last| *last < lines.at())
        {
            return None;
        }
        let mut ahead = lines.clone();
        let found = ahead.by_ref().find(|line| end.of(line) == name);
        if found.is_none() {
            let kinds = [End::Exact, End::Stripped, End::Likely];
            let every = |line: Line<'a>| kinds.map(|end| ((end, end.of(&line)), line.start));
            self.last.get_or_insert_with(|| Lines::new(source, 0).flat_map(every).collect());
        }
        found.map(|line| (line, ahead))
    }
}

/// Reads the body that belongs to `marker` from `lines`. Without an end the likely end, or else the end of the
/// file, is taken for it.
pub(super) fn body<'a>(
    source: &'a str,
    text: &Text<'_>,
    marker: Marker,
    lines: &mut Lines<'a>,
    ends: &mut Ends<'a>,
) -> (Heredoc, Span, Option<Unterminated>) {
    let start = lines.at();
    let exact = if marker.strip_tabs { End::Stripped } else { End::Exact };
    let mut end = ends.find(exact, &marker.name, source, lines);
    let mut unterminated = None;
    if end.is_none() {
        end = ends.find(End::Likely, &marker.name, source, lines);
        unterminated = Some(Unterminated { likely_end: end.as_ref().map(|(line, _)| line.span()) });
    }
    let (end, rest) = end.map_or((None, Lines::new(source, source.len())), |(line, rest)| (Some(line), rest));
    *lines = rest;
    let span = Span::new(start, end.map_or(source.len(), |line| line.start));
    let last = end.map_or(span, |line| line.span());
    let written = source.get(span.range()).unwrap_or_default();
    let body = if marker.strip_tabs { strip_tabs(written) } else { Cow::Borrowed(written) };
    let heredoc = Heredoc {
        name: marker.name,
        body: Spanned::new(body.into_owned(), span),
        expand: marker.expand,
        strip_tabs: marker.strip_tabs,
        file_descriptor: marker.file_descriptor,
        marker: text.span(&marker.range),
    };
    (heredoc, last, unterminated)
}

/// Every line without its leading tabs.
fn strip_tabs(body: &str) -> Cow<'_, str> {
    if !body.contains('\t') {
        return Cow::Borrowed(body);
    }
    body.split_inclusive('\n').map(|line| line.trim_start_matches('\t')).collect::<String>().into()
}
