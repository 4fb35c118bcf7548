//! Wildcards in the sources of COPY and ADD: Go's `filepath.Match`, one component at a time.

use globset::GlobMatcher;

use super::token::{Stars, Token, parse};
use super::{PatternError, token, translate};

/// Whether COPY and ADD treat `path` as a pattern: an unescaped `*`, `?` or `[` is in it. Without one, a path is
/// taken as it is, backslashes included.
pub fn has_wildcard(path: &str) -> bool {
    let mut chars = path.chars();
    while let Some(c) = chars.next() {
        match c {
            '*' | '?' | '[' => return true,
            '\\' => drop(chars.next()),
            _ => {}
        }
    }
    false
}

/// A path as the pattern that matches just that path.
pub fn literal(path: &str) -> String {
    let mut pattern = String::with_capacity(path.len());
    for character in path.chars() {
        if matches!(character, '*' | '?' | '[' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern
}

/// A source pattern. `*`, `?` and brackets never match a `/`.
#[derive(Debug, Clone)]
pub struct Glob {
    tokens: Vec<Token>,
    matcher: GlobMatcher,
    slashes: usize,
}

impl Glob {
    /// Compiles `pattern`, relative and `/`-separated.
    pub fn new(pattern: &str) -> Result<Self, PatternError> {
        let tokens = parse(pattern, Stars::Flat)?;
        let matcher = translate::compile(pattern, &tokens)?;
        let slashes = tokens.iter().filter(|token| **token == Token::Literal('/')).count();
        Ok(Self { tokens, matcher, slashes })
    }

    /// Whether the whole of `path` (relative, `/`-separated) matches.
    pub fn matches(&self, path: &str) -> bool {
        // A bracket could take a `/`; then the path has more of them than the pattern.
        path.bytes().filter(|byte| *byte == b'/').count() == self.slashes && self.matches_text(path)
    }

    /// The directory that every match is in, without wildcards: where a walk may start. Empty for the root.
    pub fn literal_directory(&self) -> String {
        let mut directory = String::new();
        let mut component = String::new();
        for token in &self.tokens {
            match token {
                Token::Literal('/') => {
                    if !directory.is_empty() {
                        directory.push('/');
                    }
                    directory.push_str(&component);
                    component.clear();
                }
                Token::Literal(c) => component.push(*c),
                _ => break,
            }
        }
        directory
    }

    /// Whether something below the directory `path` could match: a walk need not enter others.
    pub fn may_match_below(&self, path: &str) -> bool {
        if path.is_empty() {
            return true;
        }
        let mut components = self.tokens.split(|token| *token == Token::Literal('/'));
        let mut names = path.split('/');
        let prefix_matches =
            names.all(|name| components.next().is_some_and(|tokens| token::matches(tokens, name)));
        prefix_matches && components.next().is_some()
    }

    fn matches_text(&self, path: &str) -> bool {
        let exact =
            translate::is_exact(&self.tokens) || (path.is_ascii() && translate::is_ascii_exact(&self.tokens));
        if exact { self.matcher.is_match(path) } else { token::matches(&self.tokens, path) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn wildcards_are_those_of_filepath_match() {
        for (path, expected) in [
            ("a*", true),
            ("a?", true),
            ("a[b]", true),
            ("a\\*", false),
            ("a\\\\*", true),
            ("a{b,c}", false),
            ("plain/path.txt", false),
            ("trailing\\", false),
        ] {
            assert_eq!(has_wildcard(path), expected, "{path}");
        }
    }

    /// Facts of Go's `filepath.Match`, and of COPY matching component by component.
    #[test]
    fn matches_like_filepath_match() {
        for (pattern, path, expected) in [
            ("abc", "abc", true),
            ("*", "abc", true),
            ("*", "a/b", false),
            ("*c", "abc", true),
            ("a*", "a", true),
            ("a*", "ab/c", false),
            ("a*/b", "abc/b", true),
            ("a*/b", "a/c/b", false),
            ("a*b*c*d*e*/f", "axbxcxdxexxx/f", true),
            ("a*b*c*d*e*/f", "axbxcxdxexxx/fff", false),
            ("a*b?c*x", "abxbbxdbxebxczzx", true),
            ("a*b?c*x", "abxbbxdbxebxczzy", false),
            ("ab[c]", "abc", true),
            ("ab[b-d]", "abc", true),
            ("ab[e-g]", "abc", false),
            ("ab[^c]", "abc", false),
            ("ab[^e-g]", "abc", true),
            ("a\\*b", "a*b", true),
            ("a\\*b", "ab", false),
            ("a?b", "a☺b", true),
            ("a[^a]b", "a☺b", true),
            ("a???b", "a☺b", false),
            ("[a-ζ]*", "α", true),
            ("*[a-ζ]", "A", false),
            ("a?b", "a/b", false),
            ("a[^x]b", "a/b", false),
            ("a[/]b", "a/b", false),
            ("[\\]a]", "]", true),
            ("[\\-]", "-", true),
            ("[x\\-]", "-", true),
            ("[x\\-]", "z", false),
            ("[\\-x]", "x", true),
            ("[!a]", "!", true),
            ("[!a]", "b", false),
            ("{a,b}", "a", false),
            ("{a,b}", "{a,b}", true),
            ("[[]0.txt", "[0.txt", true),
            ("a**b", "axxb", true),
            ("a**b", "a/b", false),
            ("*.txt", ".txt", true),
            ("*", ".hidden", true),
            ("[^\\]\\-]", "]", false),
            ("[^\\]\\-]", "x", true),
            ("[ -~]", "]", true),
            ("[^ -~]", "]", false),
            ("[\\^a]", "^", true),
            ("[\\!]", "!", true),
            ("a,b", "a,b", true),
        ] {
            assert_eq!(Glob::new(pattern).unwrap().matches(path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn walks_can_be_cut_short() {
        let glob = Glob::new("src/*/lib/*.rs").unwrap();
        assert_eq!(glob.literal_directory(), "src");
        assert_eq!(Glob::new("*.rs").unwrap().literal_directory(), "");
        assert_eq!(Glob::new("a\\*/b/*").unwrap().literal_directory(), "a*/b");
        for (directory, expected) in [
            ("", true),
            ("src", true),
            ("doc", false),
            ("src/a", true),
            ("src/a/lib", true),
            ("src/a/b", false),
        ] {
            assert_eq!(glob.may_match_below(directory), expected, "{directory}");
        }
        assert!(!glob.may_match_below("src/a/lib/x.rs"));
    }
}
