//! How a logical line divides: keyword, flags, arguments.
//!
//! Used for every instruction, and again for the trigger of ONBUILD.

use std::ops::Range;

use nom::Parser;
use nom::bytes::complete::{take_till, take_while};

use super::flag::{Flag, Next, flag, next_flag};
use crate::diagnostic::Diagnostic;
use crate::input::{Input, Match, Mismatch};
use crate::span::Span;
use crate::text::{Text, trim};

/// The parts of a logical line, as ranges of its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The first word.
    pub keyword: Range<usize>,
    /// The flags in front of the arguments, in order.
    pub flags: Vec<Flag>,
    /// Everything behind the flags, trimmed.
    pub arguments: Range<usize>,
    /// Whether a quote in the flags is never closed, so that nobody knows where the arguments start.
    pub broken: bool,
}

/// White space that separates the words of a line.
pub(crate) const fn is_blank(c: char) -> bool {
    matches!(c, '\t' | '\u{b}' | '\u{c}' | '\r' | ' ')
}

/// Divides `range` of `text`, which may have white space around it.
pub(crate) fn split_head(
    text: &Text<'_>,
    range: Range<usize>,
    escape: char,
    found: &mut Vec<Diagnostic>,
) -> Head {
    let input = Input::part(text.as_str(), &trim(text.as_str(), range));
    let end = input.range().end;
    let split: Match<'_, _> = (take_till(is_blank), take_while(char::is_whitespace)).parse(input);
    let (mut rest, (keyword, _)): (_, (Input<'_>, Input<'_>)) = split.unwrap_or((input, (input, input)));
    let mut flags = Vec::new();
    let mut broken = false;
    loop {
        match next_flag(escape, rest) {
            Ok((after, Next::Flag(pieces))) => {
                flags.push(flag(text, &pieces, &(rest.offset()..after.offset())));
                rest = skip_blanks(after);
            }
            Ok((after, Next::End)) => {
                rest = skip_blanks(after);
                break;
            }
            Err(nom::Err::Error(mismatch) | nom::Err::Failure(mismatch)) => {
                found.push(unclosed_flag(text.span(&(rest.offset()..end)), mismatch));
                rest = Input::part(text.as_str(), &(end..end));
                broken = true;
                break;
            }
            Ok((_, Next::Arguments)) | Err(nom::Err::Incomplete(_)) => break,
        }
    }
    Head { keyword: keyword.range(), flags, arguments: rest.offset()..end, broken }
}

fn skip_blanks(input: Input<'_>) -> Input<'_> {
    let skipped: Match<'_, Input<'_>> = take_while(char::is_whitespace).parse(input);
    skipped.map_or(input, |(rest, _)| rest)
}

fn unclosed_flag(span: Span, mismatch: Mismatch) -> Diagnostic {
    let expected = mismatch.expected.unwrap_or("the end of the flag");
    Diagnostic::error("unclosed-flag", format!("{expected} is missing in a flag"), span)
        .with_label("the quote that is opened here is not closed")
}
