//! `key=value` lists: ARG, ENV and LABEL, and the old `key value` form of the last two.

use std::ops::Range;

use nom::Parser;
use nom::bytes::complete::{take_till, take_while};
use nom::character::complete::char;
use nom::combinator::{opt, rest};
use nom::sequence::preceded;

use super::request::Request;
use crate::diagnostic::Diagnostic;
use crate::input::{Input, Match, complete};
use crate::instruction::{ArgDeclaration, Command, KeyValue};
use crate::syntax::is_blank;
use crate::word::quoted_words;

/// A word cut at its first `=`.
type Pair<'a> = (Input<'a>, Option<Input<'a>>);

/// ENV and LABEL.
pub(super) fn key_values(request: &mut Request<'_>) -> Option<Vec<KeyValue>> {
    request.flags(&[]);
    request.requires_arguments()?;
    let words = quoted_words(request.text.as_str(), request.arguments(), request.escape);
    let first = words.first().map_or("", |first| request.text.get(first));
    if !first.contains('=') {
        return legacy(request).map(|pair| vec![pair]);
    }
    let before = request.found.len();
    let pairs: Vec<KeyValue> = words.iter().filter_map(|word| key_value(request, word)).collect();
    (request.found.len() == before).then_some(pairs)
}

fn key_value(request: &mut Request<'_>, word: &Range<usize>) -> Option<KeyValue> {
    let (key, value) = split(request, word);
    let Some(value) = value else {
        report_no_equals(request, word);
        return None;
    };
    if key.is_empty() {
        report_blank(request, word);
        return None;
    }
    Some(KeyValue { key: request.word(&key.range()), value: request.word(&value.range()), legacy: false })
}

/// `ENV key the rest of the line`.
fn legacy(request: &mut Request<'_>) -> Option<KeyValue> {
    let parts = (take_till(is_blank), take_while(is_blank), rest);
    let parsed: Result<(Input<'_>, Input<'_>, Input<'_>), _> = complete(parts, request.input());
    let (key, _, value) = parsed.ok()?;
    let name = request.name;
    if value.is_empty() {
        let message = format!("{name} must have two arguments");
        let diagnostic = Diagnostic::error("missing-value", message, request.span_of(request.arguments()));
        request.report(diagnostic.with_help(format!("write {name} {}=…", key.as_str())));
        return None;
    }
    let written = request.text.get(&request.head.keyword);
    let message =
        format!("\"{written} key=value\" should be used instead of legacy \"{written} key value\" format");
    let span = request.span_of(request.arguments());
    request.report(Diagnostic::warning("LegacyKeyValueFormat", message, span));
    Some(KeyValue { key: request.word(&key.range()), value: request.word(&value.range()), legacy: true })
}

/// ARG: names, with or without a default.
pub(super) fn arg(request: &mut Request<'_>) -> Option<Command> {
    request.flags(&[]);
    request.requires_arguments()?;
    let words = quoted_words(request.text.as_str(), request.arguments(), request.escape);
    let before = request.found.len();
    let mut declarations = Vec::with_capacity(words.len());
    for word in &words {
        let (name, default) = split(request, word);
        if name.is_empty() {
            report_blank(request, word);
            continue;
        }
        let default = default.map(|default| request.word(&default.range()));
        declarations.push(ArgDeclaration { name: request.word(&name.range()), default });
    }
    (request.found.len() == before && !declarations.is_empty()).then_some(Command::Arg(declarations))
}

fn split<'n>(request: &Request<'n>, word: &Range<usize>) -> Pair<'n> {
    let input = Input::part(request.text.as_str(), word);
    complete(pair, input).unwrap_or((input, None))
}

fn pair(input: Input<'_>) -> Match<'_, Pair<'_>> {
    (take_till(|c| c == '='), opt(preceded(char('='), rest))).parse(input)
}

fn report_no_equals(request: &mut Request<'_>, word: &Range<usize>) {
    let written = super::shortened(request.text.get(word));
    let message = format!("Syntax error - can't find = in \"{written}\". Must be of the form: name=value");
    let diagnostic = Diagnostic::error("missing-equals", message, request.span_of(word));
    request.report(
        diagnostic
            .with_label("no `=` in this word")
            .with_help("a value with white space needs quotes: name=\"a b\""),
    );
}

fn report_blank(request: &mut Request<'_>, word: &Range<usize>) {
    let message = format!("{} names can not be blank", request.name);
    let diagnostic = Diagnostic::error("blank-name", message, request.span_of(word));
    request.report(diagnostic.with_label("nothing in front of the `=`"));
}
