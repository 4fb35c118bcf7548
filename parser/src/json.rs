//! JSON, as far as Dockerfiles use it: arrays of strings, and one key of a document.
//!
//! Docker's rule: what looks like an array but is not well formed is shell form; a well-formed array that
//! holds something else than strings is a mistake. So the grammar has to know all of JSON (RFC 8259).

use std::ops::Range;

use nom::Parser;
use nom::branch::alt;
use nom::bytes::complete::{tag, take_while_m_n};
use nom::character::complete::{char, digit1, one_of, satisfy};
use nom::combinator::{map, opt, recognize, value};
use nom::multi::{fold_many0, separated_list0};
use nom::sequence::{delimited, preceded, separated_pair};

use crate::input::{Input, Match, Mismatch, complete};
use crate::span::{Span, Spanned};

/// How deep arrays and objects may nest; a recursive grammar must end before the stack does.
const DEEPEST: usize = 64;

/// A string of an array: its value, and the bytes it covers with its quotes.
pub(crate) type Member = (String, Range<usize>);

/// Why a text is not an array of strings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotStrings {
    /// It is not a JSON array at all: shell form.
    NotJson(Mismatch),
    /// It is one, but this member is no string.
    Member(Range<usize>),
}

/// A value, as far as anybody here looks into it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Value<'a> {
    Text(String),
    Array(Vec<(Value<'a>, Input<'a>)>),
    Object(Vec<((String, Input<'a>), (Value<'a>, Input<'a>))>),
    Other,
}

/// The strings of the array that `input` is; white space around it is allowed.
pub(crate) fn strings(input: Input<'_>) -> Result<Vec<Member>, NotStrings> {
    if !input.as_str().trim_start().starts_with('[') {
        return Err(NotStrings::NotJson(Mismatch { at: input.offset(), expected: Some("`[`") }));
    }
    let parsed = complete(delimited(spaces, |input| any_value(input, 0), spaces), input);
    let Value::Array(members) = parsed.map_err(NotStrings::NotJson)?.0 else {
        return Err(NotStrings::NotJson(Mismatch { at: input.offset(), expected: Some("`[`") }));
    };
    let to_string = |(value, place): (Value<'_>, Input<'_>)| match value {
        Value::Text(text) => Ok((text, place.range())),
        _ => Err(NotStrings::Member(place.range())),
    };
    members.into_iter().map(to_string).collect()
}

/// The string under `key` of the object that `input` is, and the place of the key.
pub(crate) fn member(input: Input<'_>, key: &str) -> Option<(Span, Spanned<String>)> {
    if !input.as_str().trim_start().starts_with('{') {
        return None;
    }
    let (value, _) = complete(delimited(spaces, |input| any_value(input, 0), spaces), input).ok()?;
    let Value::Object(members) = value else { return None };
    let ((_, name), (value, place)) = members.into_iter().rev().find(|((name, _), _)| name == key)?;
    let Value::Text(text) = value else { return None };
    Some((span(name), Spanned::new(text, span(place))))
}

fn span(input: Input<'_>) -> Span {
    Span::new(input.range().start, input.range().end)
}

/// White space of JSON, and nothing else.
fn spaces(input: Input<'_>) -> Match<'_, Input<'_>> {
    nom::bytes::complete::take_while(|c| matches!(c, ' ' | '\t' | '\n' | '\r')).parse(input)
}

/// A value and the text it was read from.
fn any_value(input: Input<'_>, depth: usize) -> Match<'_, (Value<'_>, Input<'_>)> {
    if depth > DEEPEST {
        return Err(nom::Err::Failure(Mismatch { at: input.offset(), expected: None }));
    }
    let item = |input| delimited(spaces, |input| any_value(input, depth + 1), spaces).parse(input);
    let array = delimited(char('['), alt((list(item), map(spaces, |_| Vec::new()))), char(']'));
    let key = |input| delimited(spaces, with_place(text), spaces).parse(input);
    let pairs = separated_list0(char(','), separated_pair(key, char(':'), item));
    let object = delimited(char('{'), pairs, preceded(spaces, char('}')));
    with_place(alt((
        map(text, Value::Text),
        map(array, Value::Array),
        map(object, Value::Object),
        value(Value::Other, alt((number, tag("true"), tag("false"), tag("null")))),
    )))
    .parse(input)
}

/// One or more of `item`, with commas between.
fn list<'a, O>(
    item: impl Parser<Input<'a>, Output = O, Error = Mismatch>,
) -> impl Parser<Input<'a>, Output = Vec<O>, Error = Mismatch> {
    nom::multi::separated_list1(char(','), item)
}

fn with_place<'a, O>(
    grammar: impl Parser<Input<'a>, Output = O, Error = Mismatch>,
) -> impl Parser<Input<'a>, Output = (O, Input<'a>), Error = Mismatch> {
    map(nom::combinator::consumed(grammar), |(place, output)| (output, place))
}

fn number(input: Input<'_>) -> Match<'_, Input<'_>> {
    let whole = alt((tag("0"), recognize((satisfy(|c| matches!(c, '1'..='9')), opt(digit1)))));
    let fraction = (char('.'), digit1);
    let exponent = (one_of("eE"), opt(one_of("+-")), digit1);
    recognize((opt(char('-')), whole, opt(fraction), opt(exponent))).parse(input)
}

/// A string with its quotes.
fn text(input: Input<'_>) -> Match<'_, String> {
    let plain = nom::bytes::complete::take_while1(|c: char| c != '"' && c != '\\' && c >= ' ');
    let part = alt((map(plain, |plain: Input<'_>| Part::Plain(plain)), map(escape, Part::Char)));
    let body = fold_many0(part, String::new, |mut text, part| {
        match part {
            Part::Plain(plain) => text.push_str(plain.as_str()),
            Part::Char(c) => text.push(c),
        }
        text
    });
    delimited(char('"'), body, char('"')).parse(input)
}

enum Part<'a> {
    Plain(Input<'a>),
    Char(char),
}

fn escape(input: Input<'_>) -> Match<'_, char> {
    let simple = alt((
        one_of("\"\\/"),
        value('\u{8}', char('b')),
        value('\u{c}', char('f')),
        value('\n', char('n')),
        value('\r', char('r')),
        value('\t', char('t')),
    ));
    preceded(char('\\'), alt((simple, preceded(char('u'), unicode)))).parse(input)
}

/// Four hexadecimal digits, or two times four for a surrogate pair; a lone surrogate is U+FFFD.
fn unicode(input: Input<'_>) -> Match<'_, char> {
    let (rest, high) = hexadecimal(input)?;
    if let Some(c) = char::from_u32(high) {
        return Ok((rest, c));
    }
    let pair: Match<'_, u32> = preceded(tag("\\u"), hexadecimal).parse(rest);
    if let Ok((after, low @ 0xdc00..=0xdfff)) = pair
        && high < 0xdc00
        && let Some(c) = char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00))
    {
        return Ok((after, c));
    }
    Ok((rest, char::REPLACEMENT_CHARACTER))
}

fn hexadecimal(input: Input<'_>) -> Match<'_, u32> {
    let (rest, digits) = take_while_m_n(4, 4, |c: char| c.is_ascii_hexdigit()).parse(input)?;
    let digits: Input<'_> = digits;
    Ok((rest, u32::from_str_radix(digits.as_str(), 16).unwrap_or(0xfffd)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{NotStrings, member, strings};
    use crate::input::Input;

    fn values(text: &str) -> Vec<String> {
        strings(Input::new(text)).unwrap().into_iter().map(|(value, _)| value).collect()
    }

    #[test]
    fn arrays_of_strings_are_read() {
        assert_eq!(values("[]"), [""; 0]);
        assert_eq!(values(" [ ] "), [""; 0]);
        assert_eq!(values(r#"["a", "b c",""]"#), ["a", "b c", ""]);
        assert_eq!(values(r#"["\"\\\/\b\f\n\r\t"]"#), ["\"\\/\u{8}\u{c}\n\r\t"]);
        assert_eq!(values(r#"["\u00e9\ud83d\ude00\ud83dx\ude00"]"#), ["é😀\u{fffd}x\u{fffd}"]);
    }

    #[test]
    fn members_know_their_places() {
        let members = strings(Input::new(r#" ["a", "bc"]"#)).unwrap();
        assert_eq!(members, [("a".to_owned(), 2..5), ("bc".to_owned(), 7..11)]);
    }

    #[test]
    fn what_is_not_json_is_told_from_what_holds_no_strings() {
        let malformed = [
            "",
            "x",
            "[",
            "[\"a\"",
            "['a']",
            "[\"a\",]",
            "[a]",
            "[\"\u{1}\"]",
            "[\"\\x\"]",
            "[] x",
            "[01]",
            "[ -f x ]",
        ];
        for text in malformed {
            assert!(matches!(strings(Input::new(text)), Err(NotStrings::NotJson(_))), "{text}");
        }
        for text in ["[1]", "[\"a\", [\"b\"]]", "[null]", "[true]", "[-1.5e+3]", "[{\"a\": 1}]", "[{}]"] {
            assert!(matches!(strings(Input::new(text)), Err(NotStrings::Member(_))), "{text}");
        }
        assert_eq!(strings(Input::new("[\"a\", 12]")), Err(NotStrings::Member(6..8)));
    }

    #[test]
    fn deep_nesting_ends() {
        let deep = "[".repeat(60_000);
        assert!(matches!(strings(Input::new(&deep)), Err(NotStrings::NotJson(_))));
    }

    #[test]
    fn a_document_names_its_frontend() {
        let (_, value) = member(Input::new("{ \"x\": [1], \"syntax\": \"a/b:1\" }\n"), "syntax").unwrap();
        assert_eq!(value.value, "a/b:1");
        assert!(member(Input::new("{ \"syntax\": 1 }"), "syntax").is_none());
        assert!(member(Input::new("{ syntax }"), "syntax").is_none());
    }
}
