//! How arguments fall into words.
//!
//! Two ways, as in Docker: at white space alone (FROM, COPY, EXPOSE), or with quotes and escapes respected but
//! left in place (ENV, LABEL, ARG). Expansion takes the quotes away later.

use std::ops::Range;

use nom::Parser;
use nom::branch::alt;
use nom::bytes::complete::{take_till, take_till1, take_while};
use nom::character::complete::{anychar, char};
use nom::combinator::{map, opt, recognize};
use nom::multi::{fold_many0, many1_count};
use nom::sequence::{delimited, pair, preceded};

use crate::input::{Input, Match, Mismatch};
use crate::syntax::is_blank;

/// The words of `text` at `range`, cut at white space.
pub(crate) fn blank_separated(text: &str, range: &Range<usize>) -> Vec<Range<usize>> {
    let word = |input| preceded(blanks, take_till1(is_blank)).parse(input);
    let words = fold_many0(word, Vec::new, |mut words, word: Input<'_>| {
        words.push(word.range());
        words
    })
    .parse(Input::part(text, range));
    words.map(|(_, words)| words).unwrap_or_default()
}

/// The words of `text` at `range`, where quotes and escapes keep white space together. An escape character
/// that ends the text belongs to no word.
pub(crate) fn quoted_words(text: &str, range: &Range<usize>, escape: char) -> Vec<Range<usize>> {
    let word = |input| preceded(take_while(char::is_whitespace), quoted_word(escape)).parse(input);
    let words = fold_many0(word, Vec::new, |mut words, word: Input<'_>| {
        words.push(word.range());
        words
    })
    .parse(Input::part(text, range));
    let mut words = words.map(|(_, words)| words).unwrap_or_default();
    if let Some(last) = words.last_mut().filter(|last| last.end == range.end) {
        let word = text.get(last.clone()).unwrap_or_default();
        last.end -= dangling_escape(word, escape);
        if last.start == last.end {
            words.pop();
        }
    }
    words
}

fn blanks(input: Input<'_>) -> Match<'_, Input<'_>> {
    take_while(is_blank).parse(input)
}

fn quoted_word<'a>(escape: char) -> impl Parser<Input<'a>, Output = Input<'a>, Error = Mismatch> {
    let plain = take_till1(move |c: char| c.is_whitespace() || c == '\'' || c == '"' || c == escape);
    let ignore = |_| ();
    recognize(many1_count(alt((
        map(plain, ignore),
        map(escaped(escape), ignore),
        map(single_quoted, ignore),
        map(double_quoted(escape), ignore),
    ))))
}

fn escaped<'a>(escape: char) -> impl Parser<Input<'a>, Output = Input<'a>, Error = Mismatch> {
    recognize(pair(char(escape), opt(anychar)))
}

/// To the closing quote, or to the end where none is: expansion reports that, because only a word that is used
/// needs to be right.
fn single_quoted(input: Input<'_>) -> Match<'_, Input<'_>> {
    recognize(delimited(char('\''), take_till(|c| c == '\''), opt(char('\'')))).parse(input)
}

fn double_quoted<'a>(escape: char) -> impl Parser<Input<'a>, Output = Input<'a>, Error = Mismatch> {
    let plain = take_till1(move |c| c == '"' || c == escape);
    let body = fold_many0(alt((plain, escaped(escape))), || (), |(), _| ());
    recognize(delimited(char('"'), body, opt(char('"'))))
}

/// The length of an escape character at the end of `word` that escapes nothing.
fn dangling_escape(word: &str, escape: char) -> usize {
    let mut pending = false;
    let mut quote = None;
    for c in word.chars() {
        match (pending, quote) {
            (true, _) => pending = false,
            (false, Some('\'')) if c == '\'' => quote = None,
            (false, Some('\'')) => {}
            (false, _) if c == escape => pending = true,
            (false, Some(_)) if c == '"' => quote = None,
            (false, None) if c == '\'' || c == '"' => quote = Some(c),
            (false, _) => {}
        }
    }
    if pending { escape.len_utf8() } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::{blank_separated, quoted_words};

    fn quoted(text: &str) -> Vec<&str> {
        quoted_words(text, &(0..text.len()), '\\').into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn blanks_separate_and_nothing_else() {
        let text = " a  \"b c\"\td ";
        let words: Vec<_> =
            blank_separated(text, &(0..text.len())).into_iter().map(|range| &text[range]).collect();
        assert_eq!(words, ["a", "\"b", "c\"", "d"]);
        assert!(blank_separated("", &(0..0)).is_empty());
    }

    #[test]
    fn quotes_and_escapes_keep_words_together() {
        assert_eq!(quoted(r#"a="b c" d='e f' g=h\ i"#), ["a=\"b c\"", "d='e f'", "g=h\\ i"]);
        assert_eq!(quoted(r#"a="b \" c" d='e\' f"#), ["a=\"b \\\" c\"", "d='e\\'", "f"]);
        assert_eq!(quoted(r#"a="" ''"#), ["a=\"\"", "''"]);
        assert_eq!(quoted(r#"a=\"b c\""#), ["a=\\\"b", "c\\\""]);
    }

    #[test]
    fn an_open_quote_takes_the_rest_and_a_last_escape_vanishes() {
        assert_eq!(quoted("a=\"b c"), ["a=\"b c"]);
        assert_eq!(quoted("a=b\\"), ["a=b"]);
        assert_eq!(quoted("a=b \\"), ["a=b"]);
        assert_eq!(quoted("a=b\\\\"), ["a=b\\\\"]);
        assert_eq!(quoted("a='b\\'"), ["a='b\\'"]);
        assert_eq!(quoted("a=\"b\\"), ["a=\"b"]);
    }
}
