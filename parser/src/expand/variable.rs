//! The written forms of a variable: `$name`, `${name}` and `${name` with an operator.
//!
//! Only the grammar; the engine reads the operator's words and gives the forms their meaning.

use nom::Parser;
use nom::branch::alt;
use nom::bytes::complete::{tag, take_while, take_while1};
use nom::character::complete::{char, one_of, satisfy};
use nom::combinator::{map, opt, recognize, value};
use nom::sequence::pair;

use crate::input::{Input, Match};

/// What stands behind `$` and, in braces, behind the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form<'a> {
    /// A `$` before something that is no name: itself.
    Dollar,
    /// `$name`.
    Bare(Input<'a>),
    /// `${name}`, all of it.
    Braced(Input<'a>),
    /// `${name` and an operator; words follow.
    Operator(Input<'a>, Operator),
    /// `${name` and something that is no operator.
    Unsupported(Input<'a>),
    /// `${{`, `${}` or `${:`.
    Bad,
    /// The text ends before the closing brace.
    Unclosed,
}

/// An operator of the braced form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    /// `-` or `:-`: the word when there is no value.
    Default { empty_too: bool },
    /// `+` or `:+`: the word when there is a value.
    Alternative { empty_too: bool },
    /// `?` or `:?`: an error with the word as its message when there is no value.
    Required { empty_too: bool },
    /// `#` or `##`: without the pattern at the start.
    TrimStart { longest: bool },
    /// `%` or `%%`: without the pattern at the end.
    TrimEnd { longest: bool },
    /// `/` or `//`: with the pattern replaced.
    Replace { all: bool },
}

/// Reads a form; `input` starts behind the `$`.
pub(super) fn form(input: Input<'_>) -> (Input<'_>, Form<'_>) {
    let Ok((inside, _)) = open(input) else {
        return name(input).map_or((input, Form::Dollar), |(rest, name)| (rest, Form::Bare(name)));
    };
    match inside.first() {
        None => return (inside, Form::Unclosed),
        Some('{' | '}' | ':') => return (inside, Form::Bad),
        Some(_) => {}
    }
    let (rest, name) = name(inside).unwrap_or((inside, Input::part_at("", inside.offset())));
    if let Ok((rest, _)) = close(rest) {
        return (rest, Form::Braced(name));
    }
    match operator(rest) {
        Ok((rest, operator)) => (rest, Form::Operator(name, operator)),
        Err(_) if rest.is_empty() => (rest, Form::Unclosed),
        Err(_) => (rest, Form::Unsupported(modifier(rest))),
    }
}

/// The closing brace.
fn close(input: Input<'_>) -> Match<'_, char> {
    char('}').parse(input)
}

fn open(input: Input<'_>) -> Match<'_, char> {
    char('{').parse(input)
}

/// A name: digits, one special parameter, or letters, digits and `_`.
fn name(input: Input<'_>) -> Match<'_, Input<'_>> {
    let positional = take_while1(char::is_numeric);
    let special = recognize(one_of("@*#?-$!0"));
    let start = satisfy(|c| c.is_alphabetic() || c == '_');
    let word = recognize(pair(start, take_while(|c: char| c.is_alphanumeric() || c == '_')));
    alt((positional, special, word)).parse(input)
}

fn operator(input: Input<'_>) -> Match<'_, Operator> {
    let conditional = (map(opt(char(':')), |colon| colon.is_some()), one_of("-+?"));
    let conditional = map(conditional, |(empty_too, sign)| match sign {
        '-' => Operator::Default { empty_too },
        '+' => Operator::Alternative { empty_too },
        _ => Operator::Required { empty_too },
    });
    alt((
        conditional,
        value(Operator::TrimStart { longest: true }, tag("##")),
        value(Operator::TrimStart { longest: false }, tag("#")),
        value(Operator::TrimEnd { longest: true }, tag("%%")),
        value(Operator::TrimEnd { longest: false }, tag("%")),
        value(Operator::Replace { all: true }, tag("//")),
        value(Operator::Replace { all: false }, tag("/")),
    ))
    .parse(input)
}

/// What stands where an operator should: a colon with its next character, or one character.
fn modifier(input: Input<'_>) -> Input<'_> {
    let any = |input| satisfy(|_| true).parse(input);
    let found: Match<'_, Input<'_>> = recognize(pair(opt(char(':')), any)).parse(input);
    found.map_or(input, |(_, modifier)| modifier)
}
