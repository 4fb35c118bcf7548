//! The patterns of rules, and what their replacements stand for: wildcards, and regular expressions in the language of Go, which
//! clients write them in. An expression that means something else here is refused, never read otherwise. Pure.
//!
//! Whatever the pattern is, matching takes time in proportion to its size and that of the text: nothing backtracks.

use std::ops::Range;

use regex::{Captures, Regex, RegexBuilder};
use regex_syntax::ast::{
    self, AssertionKind, Ast, ClassPerl, ClassPerlKind, ClassSetItem, Flag, Flags, FlagsItemKind,
};

/// Longest expression, in bytes; those that people write have a hundred.
const LONGEST_EXPRESSION: usize = 16 << 10;

/// Most memory of one expression once it is compiled, in bytes: what counts is repeated classes of Unicode.
const LARGEST_EXPRESSION: usize = 512 << 10;

/// Longest text that a replacement may become, in bytes.
const LONGEST_RESULT: usize = 64 << 10;

/// What is wrong with a pattern or a replacement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum PatternError {
    /// Nobody knows how much each of two stars stands for.
    #[error("`{text}` has `**`: one `*` stands for any text")]
    Stars {
        /// The wildcard.
        text: String,
    },
    /// It is longer than any that is meant.
    #[error("the expression has {length} bytes, more than {LONGEST_EXPRESSION}")]
    Length {
        /// How many it has.
        length: usize,
    },
    /// It is no expression, or none that means the same to clients.
    #[error("the expression `{text}` cannot be used: {detail}")]
    Expression {
        /// The expression.
        text: String,
        /// Why.
        detail: String,
    },
    /// The result would fill the memory.
    #[error("what its updates make of the source is longer than {LONGEST_RESULT} bytes")]
    Result,
}

/// A text in which each `*` stands for any other.
#[derive(Debug, Clone)]
pub(super) struct Wildcard {
    /// What stands between the stars: one piece more than there are stars.
    pieces: Vec<String>,
}

impl Wildcard {
    pub(super) fn new(text: &str) -> Result<Self, PatternError> {
        if text.contains("**") {
            return Err(PatternError::Stars { text: text.to_owned() });
        }
        Ok(Self { pieces: text.split('*').map(str::to_owned).collect() })
    }

    /// The text, and what each star stands for in it: the first ones as much as there is. `None` if it does not match.
    pub(super) fn captures<'t>(&self, text: &'t str) -> Option<Vec<&'t str>> {
        let (first, others) = self.pieces.split_first()?;
        let Some((last, middle)) = others.split_last() else {
            return (first == text).then(|| vec![text]);
        };
        let mut rest = text.strip_prefix(first.as_str())?.strip_suffix(last.as_str())?;
        let mut captures = Vec::with_capacity(self.pieces.len());
        for piece in middle.iter().rev() {
            let start = rest.rfind(piece.as_str())?;
            captures.push(&rest[start + piece.len()..]);
            rest = &rest[..start];
        }
        captures.extend([rest, text]);
        captures.reverse();
        Some(captures)
    }

    /// What `template` stands for where the text matches.
    pub(super) fn replace(&self, text: &str, template: &str) -> Result<Option<String>, PatternError> {
        let Some(captures) = self.captures(text) else { return Ok(None) };
        let mut result = String::new();
        expand(template, &mut result, |name| captures.get(number(name)?).copied())?;
        Ok(Some(result))
    }
}

/// A regular expression.
#[derive(Debug, Clone)]
pub(super) struct Expression(Regex);

impl Expression {
    pub(super) fn new(text: &str) -> Result<Self, PatternError> {
        if text.len() > LONGEST_EXPRESSION {
            return Err(PatternError::Length { length: text.len() });
        }
        let wrong = |detail: String| PatternError::Expression { text: text.to_owned(), detail };
        let parsed =
            ast::parse::Parser::new().parse(text).map_err(|error| wrong(error.kind().to_string()))?;
        let differences = ast::visit(&parsed, Differences::default()).map_err(wrong)?;
        let mut translated = String::with_capacity(text.len());
        let mut at = 0;
        for (range, replacement) in differences {
            translated.push_str(text.get(at..range.start).unwrap_or_default());
            translated.push_str(replacement);
            at = range.end;
        }
        translated.push_str(text.get(at..).unwrap_or_default());
        let compiled = RegexBuilder::new(&translated).size_limit(LARGEST_EXPRESSION).build();
        compiled.map(Self).map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => wrong("it is too large once it is compiled".to_owned()),
            error => wrong(error.to_string()),
        })
    }

    /// Whether it matches anywhere in the text.
    pub(super) fn is_match(&self, text: &str) -> bool {
        self.0.is_match(text)
    }

    /// The text with `template` in the place of each part that matches.
    pub(super) fn replace(&self, text: &str, template: &str) -> Result<String, PatternError> {
        let mut result = String::new();
        let mut at = 0;
        for captures in self.0.captures_iter(text) {
            let Some(all) = captures.get(0) else { continue };
            result.push_str(text.get(at..all.start()).unwrap_or_default());
            expand(template, &mut result, |name| group(&captures, name))?;
            at = all.end();
        }
        result.push_str(text.get(at..).unwrap_or_default());
        Ok(result)
    }
}

fn group<'t>(captures: &Captures<'t>, name: &str) -> Option<&'t str> {
    let group = match number(name) {
        Some(number) => captures.get(number),
        None => captures.name(name),
    };
    group.map(|group| group.as_str())
}

/// The number that a name in a template is, if it is one.
fn number(name: &str) -> Option<usize> {
    let is_number =
        name.bytes().all(|byte| byte.is_ascii_digit()) && (name.len() == 1 || !name.starts_with('0'));
    name.parse().ok().filter(|_| is_number)
}

/// Appends a template: `$1`, `${1}` and names stand for groups, or nothing where there is none; `$$` is a dollar sign, and so
/// is one that nothing of that kind follows.
fn expand<'t>(
    template: &str,
    result: &mut String,
    group: impl Fn(&str) -> Option<&'t str>,
) -> Result<(), PatternError> {
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('$') {
        result.push_str(before);
        rest = after;
        if let Some(after) = after.strip_prefix('$') {
            result.push('$');
            rest = after;
        } else if let Some((name, after)) = name(after) {
            result.push_str(group(name).unwrap_or_default());
            rest = after;
        } else {
            result.push('$');
        }
        if result.len() > LONGEST_RESULT {
            return Err(PatternError::Result);
        }
    }
    result.push_str(rest);
    if result.len() > LONGEST_RESULT { Err(PatternError::Result) } else { Ok(()) }
}

/// The name that a text begins with, with or without braces, and what follows it.
fn name(text: &str) -> Option<(&str, &str)> {
    let (braced, text) = match text.strip_prefix('{') {
        Some(text) => (true, text),
        None => (false, text),
    };
    let end = text.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(text.len());
    let (name, after) = text.split_at(end);
    let after = if braced { after.strip_prefix('}')? } else { after };
    (!name.is_empty()).then_some((name, after))
}

/// Where an expression means something else here than in Go: classes of Perl are those of ASCII there, brackets in classes are
/// characters, and there are fewer flags and assertions.
#[derive(Default)]
struct Differences(Vec<(Range<usize>, &'static str)>);

impl Differences {
    fn perl(&mut self, class: &ClassPerl) {
        let replacement = match (&class.kind, class.negated) {
            (ClassPerlKind::Digit, false) => "[0-9]",
            (ClassPerlKind::Digit, true) => "[^0-9]",
            (ClassPerlKind::Space, false) => r"[\t\n\f\r ]",
            (ClassPerlKind::Space, true) => r"[^\t\n\f\r ]",
            (ClassPerlKind::Word, false) => "[0-9A-Za-z_]",
            (ClassPerlKind::Word, true) => "[^0-9A-Za-z_]",
        };
        self.0.push((class.span.start.offset..class.span.end.offset, replacement));
    }
}

fn flags(flags: &Flags) -> Result<(), String> {
    let known = |kind: &FlagsItemKind| match kind {
        FlagsItemKind::Negation => true,
        FlagsItemKind::Flag(flag) => matches!(
            flag,
            Flag::CaseInsensitive | Flag::MultiLine | Flag::DotMatchesNewLine | Flag::SwapGreed
        ),
    };
    if flags.items.iter().all(|item| known(&item.kind)) {
        return Ok(());
    }
    Err("flags are i, m, s and U".to_owned())
}

impl ast::Visitor for Differences {
    type Output = Vec<(Range<usize>, &'static str)>;
    type Err = String;

    fn finish(mut self) -> Result<Self::Output, String> {
        self.0.sort_by_key(|(range, _)| range.start);
        Ok(self.0)
    }

    fn visit_pre(&mut self, part: &Ast) -> Result<(), String> {
        match part {
            Ast::ClassPerl(class) => self.perl(class),
            Ast::Flags(set) => flags(&set.flags)?,
            Ast::Group(group) => {
                if let ast::GroupKind::NonCapturing(set) = &group.kind {
                    flags(set)?;
                }
            }
            Ast::Assertion(assertion) => {
                let range = assertion.span.start.offset..assertion.span.end.offset;
                match assertion.kind {
                    AssertionKind::WordBoundary => self.0.push((range, r"(?-u:\b)")),
                    AssertionKind::NotWordBoundary => self.0.push((range, r"(?-u:\B)")),
                    AssertionKind::StartLine
                    | AssertionKind::EndLine
                    | AssertionKind::StartText
                    | AssertionKind::EndText => {}
                    _ => return Err(r"boundaries of words are \b and \B".to_owned()),
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn visit_class_set_item_pre(&mut self, item: &ClassSetItem) -> Result<(), String> {
        match item {
            ClassSetItem::Bracketed(_) => Err(r"a `[` in a class is written `\[`".to_owned()),
            ClassSetItem::Perl(class) => {
                self.perl(class);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn visit_class_set_binary_op_pre(&mut self, _: &ast::ClassSetBinaryOp) -> Result<(), String> {
        Err(r"`&&`, `--` and `~~` in a class are written `&`, `\-` and `~`".to_owned())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn wild(pattern: &str, text: &str) -> Option<Vec<String>> {
        let captures = Wildcard::new(pattern).unwrap();
        captures.captures(text).map(|all| all.into_iter().map(str::to_owned).collect())
    }

    #[test]
    fn stars_take_what_an_expression_would() {
        let some = |all: &[&str]| Some(all.iter().map(|&text| text.to_owned()).collect::<Vec<_>>());
        for (pattern, text, expected) in [
            ("", "", some(&[""])),
            ("", "a", None),
            ("a", "a", some(&["a"])),
            ("a", "ab", None),
            ("*", "", some(&["", ""])),
            ("*", "ab", some(&["ab", "ab"])),
            ("a*", "a", some(&["a", ""])),
            ("a*a", "a", None),
            ("a*a", "aa", some(&["aa", ""])),
            ("a*b*c", "axbybzc", some(&["axbybzc", "xby", "z"])),
            ("*:*", "r:5000/a:1", some(&["r:5000/a:1", "r:5000/a", "1"])),
            ("*.*", "none", None),
            ("*é*", "aéb", some(&["aéb", "a", "b"])),
            ("a.c", "abc", None),
        ] {
            assert_eq!(wild(pattern, text), expected, "{pattern} {text}");
        }
        assert!(matches!(Wildcard::new("a**b"), Err(PatternError::Stars { .. })));
    }

    #[test]
    fn stars_are_those_of_an_expression() {
        let alphabet = ["", "a", "b", "ab", "ba", "aba", "bab", "abab", "aabb", "bbaa", "babab"];
        for pattern in ["*", "a*", "*b", "a*b", "*a*", "*a*b", "*a*b*", "a*b*a*", "*ab*b*", "*ba*ab*"] {
            let expression = format!("^{}$", pattern.replace('*', "(.*)"));
            let expression = Regex::new(&expression).unwrap();
            for text in alphabet {
                let expected = expression.captures(text).map(|all| {
                    all.iter().map(|group| group.unwrap().as_str().to_owned()).collect::<Vec<_>>()
                });
                assert_eq!(wild(pattern, text), expected, "{pattern} {text}");
            }
        }
    }

    #[test]
    fn templates_are_those_of_go() {
        let wildcard = Wildcard::new("a:*/*").unwrap();
        for (template, expected) in [
            ("x", "x"),
            ("$1-$2", "b-c"),
            ("${1}x", "bx"),
            ("$1x", ""),
            ("$0", "a:b/c"),
            ("$3|${9}|$01|${01}", "|||"),
            ("$$1", "$1"),
            ("$-", "$-"),
            ("${1", "${1"),
            ("${}", "${}"),
            ("${a-b}", "${a-b}"),
            ("$", "$"),
            ("$é", ""),
            ("$99999999999999999999", ""),
        ] {
            assert_eq!(wildcard.replace("a:b/c", template).unwrap().unwrap(), expected, "{template}");
        }
        assert_eq!(wildcard.replace("b", "x").unwrap(), None);
        let expression = Expression::new("(?P<first>[a-c]+)-(?<second>[a-c]+)").unwrap();
        let replaced = expression.replace("x:ab-c,a-b", "${second}_$1$first").unwrap();
        assert_eq!(replaced, "x:c_abab,b_aa");
        assert_eq!(expression.replace("x", "y").unwrap(), "x");
        assert_eq!(Expression::new("a*").unwrap().replace("baac", "x").unwrap(), "xbxcx");
        assert_eq!(Expression::new(".*").unwrap().replace("abc", "x").unwrap(), "x");
    }

    #[test]
    fn classes_are_those_of_go() {
        for (expression, text, expected) in [
            (r"^\w$", "é", false),
            (r"^\W$", "é", true),
            (r"^\d$", "٣", false),
            (r"^[\d.]+$", "1.2", true),
            (r"^[^\d]$", "٣", true),
            (r"^[\S]$", "\u{b}", true),
            (r"^\s$", "\u{a0}", false),
            (r"a\b", "aé", true),
            (r"a\B", "aé", false),
            (r"(?i)^ABC$", "abc", true),
            (r"^(?s:.)$", "\n", true),
            (r"^[[:alpha:]]+$", "ab", true),
            (r"^\pL$", "é", true),
            (r"^[]a]$", "]", true),
        ] {
            assert_eq!(Expression::new(expression).unwrap().is_match(text), expected, "{expression} {text}");
        }
        for expression in [
            r"[a[b]]",
            r"[a&&b]",
            r"[a--b]",
            r"\<a\>",
            r"\b{start}a",
            "(?x)a",
            "(?u)a",
            "(?R:a)",
            "(",
            r"\Qa\E",
            r"\1",
        ] {
            let error = Expression::new(expression).unwrap_err();
            assert!(matches!(error, PatternError::Expression { .. }), "{expression}: {error}");
        }
    }

    #[test]
    fn hostile_patterns_end() {
        let text = "a".repeat(20_000);
        let expression = Expression::new("^(a+)+$|^(a|aa)+b$|(a*)*c").unwrap();
        assert!(!expression.is_match(&format!("{text}d")));
        let wildcard = Wildcard::new(&format!("{}b", "*a".repeat(5_000))).unwrap();
        assert_eq!(wildcard.captures(&text), None);
        for expression in [r"\pL{1000}", "((a{100}){100}){100}", &"(".repeat(5_000), &"a".repeat(20_000)] {
            assert!(Expression::new(expression).is_err());
        }
        let wildcard = Wildcard::new("*").unwrap();
        assert_eq!(wildcard.replace(&text, &"$1".repeat(100_000)), Err(PatternError::Result));
        let expression = Expression::new("").unwrap();
        assert_eq!(expression.replace(&text, &text), Err(PatternError::Result));
    }
}
