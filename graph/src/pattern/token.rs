//! Patterns as tokens: the one parse that the translation and the character-exact matcher share.
//!
//! Source of the syntax: Go's `path/filepath.Match` and moby/patternmatcher's treatment of `**`.

use super::PatternError;

/// One piece of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// Itself.
    Literal(char),
    /// `?`: one character, not `/`.
    Any,
    /// `*`: characters, none `/`.
    Star,
    /// `**` with something behind it: any number of whole leading directories, or none.
    Directories,
    /// `**` at the end: anything.
    Rest,
    /// `[…]`: one character of the ranges, or one of none of them. May be `/`, as in Go.
    Class {
        /// True for `[^…]`.
        negated: bool,
        /// Inclusive ranges, as written.
        ranges: Vec<(char, char)>,
    },
}

/// Whether `**` has its own meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stars {
    /// Ignore files: `**` spans directories.
    Deep,
    /// Sources: `**` is two `*`.
    Flat,
}

/// Parses `pattern`.
pub(super) fn parse(pattern: &str, stars: Stars) -> Result<Vec<Token>, PatternError> {
    let mut parser = Parser { pattern, rest: pattern };
    let mut tokens = Vec::new();
    while let Some(c) = parser.bump() {
        match c {
            '*' if stars == Stars::Deep && parser.eat('*') => {
                parser.eat('/');
                tokens.push(if parser.rest.is_empty() { Token::Rest } else { Token::Directories });
            }
            // Two stars in a row are one, and must stay one when they are written out for globset.
            '*' if tokens.last() == Some(&Token::Star) => {}
            '*' => tokens.push(Token::Star),
            '?' => tokens.push(Token::Any),
            '[' => tokens.push(parser.class()?),
            '\\' => tokens.push(Token::Literal(parser.escaped()?)),
            c => tokens.push(Token::Literal(c)),
        }
    }
    if stars == Stars::Deep && is_plain_suffix(pattern, &tokens) {
        tokens.splice(0..1, [Token::Directories, Token::Star]);
    }
    Ok(tokens)
}

/// `**name`: moby matches it as a plain suffix of the path, so that `**file` finds `dir/a-file` too, but only
/// while nothing else in the pattern is special, escapes included.
fn is_plain_suffix(pattern: &str, tokens: &[Token]) -> bool {
    let Some(suffix) = pattern.strip_prefix("**") else { return false };
    let plain = tokens.iter().skip(1).all(|token| matches!(token, Token::Literal(_)));
    tokens.first() == Some(&Token::Directories) && !suffix.starts_with('/') && plain && !suffix.contains('\\')
}

struct Parser<'a> {
    pattern: &'a str,
    rest: &'a str,
}

impl Parser<'_> {
    fn bump(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let c = chars.next()?;
        self.rest = chars.as_str();
        Some(c)
    }

    fn eat(&mut self, c: char) -> bool {
        let Some(rest) = self.rest.strip_prefix(c) else { return false };
        self.rest = rest;
        true
    }

    fn error(&self, reason: &'static str) -> PatternError {
        PatternError::Syntax { pattern: self.pattern.to_owned(), reason }
    }

    fn escaped(&mut self) -> Result<char, PatternError> {
        self.bump().ok_or_else(|| self.error("a backslash at its end escapes nothing"))
    }

    /// What follows `[`. In Go a class is never empty, and `-` and `]` must be escaped in it.
    fn class(&mut self) -> Result<Token, PatternError> {
        let negated = self.eat('^');
        let mut ranges = Vec::new();
        while ranges.is_empty() || !self.eat(']') {
            let low = self.class_char()?;
            let high = if self.eat('-') { self.class_char()? } else { low };
            if high < low {
                return Err(self.error("a range in brackets runs backwards"));
            }
            ranges.push((low, high));
        }
        Ok(Token::Class { negated, ranges })
    }

    fn class_char(&mut self) -> Result<char, PatternError> {
        match self.bump() {
            None => Err(self.error("`[` is never closed")),
            Some('-') => Err(self.error("a `-` in brackets must be escaped or stand between two characters")),
            Some(']') => Err(self.error("a `]` in brackets must be escaped, and brackets cannot be empty")),
            Some('\\') => self.escaped(),
            Some(c) => Ok(c),
        }
    }
}

/// Whether `c` is what a class asks for.
pub(super) fn class_matches(negated: bool, ranges: &[(char, char)], c: char) -> bool {
    ranges.iter().any(|(low, high)| *low <= c && c <= *high) != negated
}

/// Matches character by character.
///
/// globset works on bytes: there `?` is one byte and a class of non-ASCII characters is a class of their
/// bytes. This matcher answers where that difference shows. Time is the product of the two lengths, whatever
/// the pattern.
pub(super) fn matches(tokens: &[Token], path: &str) -> bool {
    let chars: Vec<char> = path.chars().collect();
    // One row of the table "do the first i tokens match the first j characters".
    let mut row = vec![false; chars.len() + 1];
    row[0] = true;
    for token in tokens {
        row = advance(token, &chars, &row);
    }
    row[chars.len()]
}

/// From the ends that the tokens so far can reach to those that one more token can reach.
fn advance(token: &Token, chars: &[char], ends: &[bool]) -> Vec<bool> {
    let mut next = vec![false; ends.len()];
    let one = |next: &mut Vec<bool>, accepts: &dyn Fn(char) -> bool| {
        for (at, c) in chars.iter().enumerate() {
            next[at + 1] = ends[at] && accepts(*c);
        }
    };
    match token {
        Token::Literal(literal) => one(&mut next, &|c| c == *literal),
        Token::Any => one(&mut next, &|c| c != '/'),
        Token::Class { negated, ranges } => one(&mut next, &|c| class_matches(*negated, ranges, c)),
        Token::Star | Token::Rest | Token::Directories => spread(token, chars, ends, &mut next),
    }
    next
}

fn spread(token: &Token, chars: &[char], ends: &[bool], next: &mut [bool]) {
    let mut reached = false;
    for at in 0..ends.len() {
        let before = at.checked_sub(1).and_then(|index| chars.get(index));
        if *token == Token::Star && before == Some(&'/') {
            reached = false;
        }
        // Reached from an earlier place; for whole directories only just behind a slash.
        next[at] = ends[at] || (reached && (*token != Token::Directories || before == Some(&'/')));
        reached |= ends[at];
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn deep(pattern: &str, path: &str) -> bool {
        matches(&parse(pattern, Stars::Deep).unwrap(), path)
    }

    #[test]
    fn table_matcher_knows_each_token() {
        let cases = [
            ("a?b", "a☺b", true),
            ("a?b", "a/b", false),
            ("[a-ζ]*", "α", true),
            ("a[^a]b", "a☺b", true),
            ("*b", "a/b", false),
            ("a**b", "ab", true),
            ("a**b", "ax/b", true),
            ("a**b", "axb", false),
            ("a/**", "a/b/c", true),
            ("a/**", "a", false),
            ("**/x/**/y", "a/x/b/c/y", true),
            ("**/x/**/y", "x/y", true),
            ("**x", "a/bx", true),
            ("**x*", "bx", false),
        ];
        for (pattern, path, expected) in cases {
            assert_eq!(deep(pattern, path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn flat_stars_stay_in_their_directory() {
        assert!(!matches(&parse("a**", Stars::Flat).unwrap(), "a/b"));
        assert!(matches(&parse("a**", Stars::Flat).unwrap(), "abc"));
    }

    #[test]
    fn bad_syntax_is_refused_as_in_go() {
        for pattern in
            ["[", "[]a]", "[-]", "[x-]", "[-x]", "\\", "[a-b-c]", "[^", "[^bc", "a[", "[\\", "[z-a]"]
        {
            assert!(parse(pattern, Stars::Deep).is_err(), "{pattern}");
        }
    }
}
