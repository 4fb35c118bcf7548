//! FROM: the base, the platform and the stage's name.

use std::ops::Range;

use nom::Parser;
use nom::bytes::complete::take_while;
use nom::character::complete::satisfy;
use nom::combinator::recognize;
use nom::sequence::pair;

use super::flags::Rule;
use super::request::Request;
use crate::diagnostic::Diagnostic;
use crate::input::{Input, Match, complete};
use crate::instruction::From;
use crate::span::Spanned;

const FLAGS: &[Rule] = &[Rule::value("platform")];

/// Reads FROM; `whole` is the line without white space at its ends.
pub(super) fn from(request: &mut Request<'_>, whole: &Range<usize>) -> Option<From> {
    let flags = request.flags(FLAGS);
    let words = request.words();
    let (base, name) = match words.as_slice() {
        [base] => (base, None),
        [base, keyword, name] if request.text.get(keyword).eq_ignore_ascii_case("as") => {
            warn_casing(request, keyword);
            (base, Some(stage_name(request, name)?))
        }
        _ => {
            report_count(request, &words);
            return None;
        }
    };
    Some(From {
        platform: flags.word("platform"),
        base: request.word(base),
        name,
        text: request.text.get(whole).to_owned(),
        span: request.span,
        keyword: request.span_of(&request.head.keyword),
    })
}

fn report_count(request: &mut Request<'_>, words: &[Range<usize>]) {
    let message = "FROM requires either one or three arguments";
    let diagnostic = Diagnostic::error("invalid-from", message, request.line_span());
    request.report(match words {
        [] => diagnostic.with_help("name an image, an earlier stage, or scratch"),
        [_, keyword, ..] if request.text.get(keyword).eq_ignore_ascii_case("as") => {
            diagnostic.with_help("one name follows AS")
        }
        _ => diagnostic.with_help("write FROM IMAGE, or FROM IMAGE AS NAME"),
    });
}

/// The name in lower case, if it may be one.
fn stage_name(request: &mut Request<'_>, range: &Range<usize>) -> Option<Spanned<String>> {
    let written = request.text.get(range);
    let lower = written.to_lowercase();
    let span = request.span_of(range);
    if complete(name, Input::new(&lower)).is_err() {
        let message = format!(
            "invalid name for build stage: \"{written}\", name can't start with a number or contain symbols"
        );
        let help = "a name starts with a letter; letters, digits, `-`, `_` and `.` follow";
        request.report(Diagnostic::error("invalid-stage-name", message, span).with_help(help));
        return None;
    }
    if lower != written {
        let message = format!("Stage name '{written}' should be lowercase");
        request.report(Diagnostic::warning("StageNameCasing", message, span));
    }
    Some(Spanned::new(lower, span))
}

/// `[a-z][a-z0-9-_.]*`
fn name(input: Input<'_>) -> Match<'_, Input<'_>> {
    let more = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.');
    recognize(pair(satisfy(|c| c.is_ascii_lowercase()), take_while(more))).parse(input)
}

/// FROM and AS should both be upper case, or both lower case.
fn warn_casing(request: &mut Request<'_>, keyword: &Range<usize>) {
    let from = request.text.get(&request.head.keyword);
    let written = request.text.get(keyword);
    let matches = match (from == from.to_lowercase(), from == from.to_uppercase()) {
        (true, _) => written == written.to_lowercase(),
        (_, true) => written == written.to_uppercase(),
        _ => true,
    };
    if !matches {
        let message = format!("'{written}' and '{from}' keywords' casing do not match");
        let span = request.span_of(keyword);
        request.report(Diagnostic::warning("FromAsCasing", message, span));
    }
}
