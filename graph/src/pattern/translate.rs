//! Tokens to globset's syntax.
//!
//! Every character is written so that globset takes it literally; braces are used only for alternatives of
//! our own. Compiled with `literal_separator(true)`, so that `*` and `?` stop at `/`.

use globset::{GlobBuilder, GlobMatcher, GlobSet, GlobSetBuilder};

use super::PatternError;
use super::token::Token;

/// globset's spelling of "any number of whole directories, or none", in any position. Inside braces `**/` is
/// always a prefix to globset, whatever stands before the braces.
const DIRECTORIES: &str = "{**/}";

/// The pattern in globset's syntax.
pub(super) fn to_globset(tokens: &[Token]) -> String {
    let mut out = String::new();
    for (index, token) in tokens.iter().enumerate() {
        match token {
            Token::Literal(c) => push_literal(&mut out, *c),
            Token::Any => out.push('?'),
            Token::Star => out.push('*'),
            // Not in braces at the start: globset has fast paths for `**/name` and `**/*.ext`.
            Token::Directories if index == 0 => out.push_str("**/"),
            Token::Directories => out.push_str(DIRECTORIES),
            Token::Rest => {
                out.push_str(DIRECTORIES);
                out.push('*');
            }
            Token::Class { negated, ranges } => push_class(&mut out, *negated, ranges),
        }
    }
    out
}

/// Whether globset, which works on bytes, agrees with characters on this pattern for every ASCII path.
pub(super) fn is_ascii_exact(tokens: &[Token]) -> bool {
    tokens.iter().all(|token| match token {
        Token::Class { ranges, .. } => ranges.iter().all(|(low, high)| low.is_ascii() && high.is_ascii()),
        _ => true,
    })
}

/// Whether globset agrees with characters on this pattern for every path.
pub(super) fn is_exact(tokens: &[Token]) -> bool {
    !tokens.iter().any(|token| matches!(token, Token::Any | Token::Class { .. }))
}

/// Compiles one pattern.
pub(super) fn compile(pattern: &str, tokens: &[Token]) -> Result<GlobMatcher, PatternError> {
    Ok(build(pattern, tokens)?.compile_matcher())
}

/// Compiles several patterns to be matched at once; indices are those of the list.
pub(super) fn compile_set<'a>(
    patterns: impl Iterator<Item = (&'a str, &'a [Token])>,
) -> Result<GlobSet, PatternError> {
    let mut set = GlobSetBuilder::new();
    for (pattern, tokens) in patterns {
        set.add(build(pattern, tokens)?);
    }
    set.build().map_err(|error| PatternError::Compile {
        pattern: "(the whole list)".to_owned(),
        reason: error.kind().to_string(),
    })
}

fn build(pattern: &str, tokens: &[Token]) -> Result<globset::Glob, PatternError> {
    GlobBuilder::new(&to_globset(tokens)).literal_separator(true).backslash_escape(true).build().map_err(
        |error| PatternError::Compile { pattern: pattern.to_owned(), reason: error.kind().to_string() },
    )
}

fn push_literal(out: &mut String, c: char) {
    if matches!(c, '*' | '?' | '[' | ']' | '{' | '}' | ',' | '\\' | '!') {
        out.push('\\');
    }
    out.push(c);
}

fn push_class(out: &mut String, negated: bool, ranges: &[(char, char)]) {
    let ranges = without_brackets_and_dashes(ranges);
    if negated {
        push_negated_class(out, &ranges);
    } else {
        push_alternatives(out, &ranges);
    }
}

/// `[^…]` with `]` first and `-` last, the places where globset takes them literally.
fn push_negated_class(out: &mut String, ranges: &[(char, char)]) {
    out.push_str("[^");
    let special = |c: char| ranges.contains(&(c, c));
    if special(']') {
        out.push(']');
    }
    for (low, high) in ranges.iter().filter(|range| !matches!(range, (']', ']') | ('-', '-'))) {
        push_range(out, *low, *high);
    }
    if special('-') {
        out.push('-');
    }
    out.push(']');
}

/// `{a,[b-d]}`: alternatives have no reserved places.
fn push_alternatives(out: &mut String, ranges: &[(char, char)]) {
    out.push('{');
    for (index, (low, high)) in ranges.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        if low == high {
            push_literal(out, *low);
        } else {
            out.push('[');
            push_range(out, *low, *high);
            out.push(']');
        }
    }
    out.push('}');
}

fn push_range(out: &mut String, low: char, high: char) {
    out.push(low);
    if low != high {
        out.push('-');
        out.push(high);
    }
}

/// The same characters in ranges that neither begin nor end with a character that is special in a class.
fn without_brackets_and_dashes(ranges: &[(char, char)]) -> Vec<(char, char)> {
    let mut out = ranges.to_vec();
    for special in [']', '-', '!', '^'] {
        out = out.into_iter().flat_map(|range| split_at(range, special)).collect();
    }
    out
}

fn split_at((low, high): (char, char), special: char) -> Vec<(char, char)> {
    if !(low..=high).contains(&special) || low == high {
        return vec![(low, high)];
    }
    let (before, after) = (char::from_u32(special as u32 - 1), char::from_u32(special as u32 + 1));
    let mut out = vec![(special, special)];
    out.extend(before.filter(|end| low <= *end).map(|end| (low, end)));
    out.extend(after.filter(|start| *start <= high).map(|start| (start, high)));
    out
}
