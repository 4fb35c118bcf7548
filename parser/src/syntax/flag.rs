//! `--name=value` in front of an instruction's arguments.
//!
//! The grammar of one flag as BuildKit splits it: words with quotes and escapes, which are taken away. What a
//! flag's name and value mean is the typed instructions' business.

use std::ops::Range;

use nom::Parser;
use nom::branch::alt;
use nom::bytes::complete::{tag, take_while1};
use nom::character::complete::char;
use nom::combinator::{cut, map, peek, recognize, rest};
use nom::error::context;
use nom::multi::fold_many0;
use nom::sequence::{preceded, terminated};

use crate::input::{Input, Match, Mismatch};
use crate::span::{Span, Spanned};
use crate::text::Text;

/// One flag as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// All of it.
    pub span: Span,
    /// The name without `--`.
    pub name: Spanned<String>,
    /// What stands behind the first `=`, without quotes and escapes.
    pub value: Option<Text<'static>>,
}

impl Flag {
    /// The name as it is written in messages.
    pub fn dashed(&self) -> String {
        format!("--{}", self.name.value)
    }
}

/// What stands next where a flag may stand.
pub(super) enum Next<'a> {
    /// A flag's pieces, without its quotes and escapes.
    Flag(Vec<Input<'a>>),
    /// `--` alone: no more flags.
    End,
    /// No flag.
    Arguments,
}

/// Reads the next flag of `input`, which starts at a word.
pub(super) fn next_flag(escape: char, input: Input<'_>) -> Match<'_, Next<'_>> {
    if peek(dashes).parse(input).is_err() {
        return Ok((input, Next::Arguments));
    }
    let (rest, pieces) = word(escape).parse(input)?;
    let written: usize = pieces.iter().map(|piece| piece.as_str().len()).sum();
    Ok((rest, if written == 2 { Next::End } else { Next::Flag(pieces) }))
}

/// Puts a flag together from its pieces; `range` is the whole of it in `text`.
pub(super) fn flag(text: &Text<'_>, pieces: &[Input<'_>], range: &Range<usize>) -> Flag {
    let mut word = Text::new();
    for piece in pieces {
        let place = text.part(&piece.range());
        word.append(&place);
    }
    let end = word.as_str().len();
    let equals = word.as_str().find('=');
    let name = word.spanned(&(2.min(end)..equals.unwrap_or(end)));
    let value = equals.map(|equals| word.part(&(equals + 1..end)));
    Flag { span: text.span(range), name, value }
}

fn dashes(input: Input<'_>) -> Match<'_, Input<'_>> {
    tag("--").parse(input)
}

/// A word that white space ends: plain characters, escaped ones and quoted ones.
fn word<'a>(escape: char) -> impl Parser<Input<'a>, Output = Vec<Input<'a>>, Error = Mismatch> {
    let plain = take_while1(move |c: char| !c.is_whitespace() && c != '\'' && c != '"' && c != escape);
    let one = |piece: Input<'a>| vec![piece];
    let piece = alt((
        map(plain, one),
        map(escaped(escape), one),
        quoted(escape, '\'', "a closing single quote"),
        quoted(escape, '"', "a closing double quote"),
    ));
    fold_many0(piece, Vec::new, |mut pieces, more| {
        pieces.extend(more);
        pieces
    })
}

/// The escape character and another, of which only the latter is left; alone at the end it vanishes.
fn escaped<'a>(escape: char) -> impl Parser<Input<'a>, Output = Input<'a>, Error = Mismatch> {
    let any = recognize(nom::character::complete::anychar);
    preceded(char(escape), alt((any, rest)))
}

fn quoted<'a>(
    escape: char,
    quote: char,
    closing: &'static str,
) -> impl Parser<Input<'a>, Output = Vec<Input<'a>>, Error = Mismatch> {
    let plain = take_while1(move |c: char| c != quote && c != escape);
    let pieces = fold_many0(alt((plain, escaped(escape))), Vec::new, |mut pieces, piece| {
        pieces.push(piece);
        pieces
    });
    preceded(char(quote), terminated(pieces, cut(context(closing, char(quote)))))
}
