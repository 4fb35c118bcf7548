//! Regular expressions of rules, in the language of Go, which clients write them in: one that means something else here is refused,
//! never read otherwise. Pure; `rule` uses it.
//!
//! Matching takes time in proportion to the size of the expression, which is bounded, and that of the text.

use std::ops::Range;

use regex::{Captures, Regex, RegexBuilder};
use regex_syntax::ast::{
    self, AssertionKind, Ast, ClassPerl, ClassPerlKind, ClassSetItem, Flag, Flags, FlagsItemKind,
};

use super::pattern::{PatternError, expand, number};

/// Longest expression, in bytes; those that people write have a hundred.
const LONGEST_EXPRESSION: usize = 16 << 10;

/// Most memory of one expression once it is compiled, in bytes: what counts is repeated classes of Unicode.
const LARGEST_EXPRESSION: usize = 256 << 10;

/// A regular expression.
#[derive(Debug, Clone)]
pub(super) struct Expression(Regex);

impl Expression {
    pub(super) fn new(text: &str) -> Result<Self, PatternError> {
        if text.len() > LONGEST_EXPRESSION {
            return Err(PatternError::Length { length: text.len(), most: LONGEST_EXPRESSION });
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

    #[test]
    fn what_matches_is_replaced() {
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

    proptest::proptest! {
        #[test]
        fn what_is_read_can_be_used(text in r"[\\\[\](){}?*+|^$.:<>=!&\-a-cdwsbBQEipPU0-9é]{0,16}", subject in ".{0,20}") {
            if let Ok(expression) = Expression::new(&text) {
                let is_match = expression.is_match(&subject);
                let replaced = expression.replace(&subject, "$1x").unwrap();
                proptest::prop_assert!(is_match || replaced == subject);
            }
        }
    }

    #[test]
    fn hostile_expressions_end() {
        let text = "a".repeat(20_000);
        let expression = Expression::new("^(a+)+$|^(a|aa)+b$|(a*)*c").unwrap();
        assert!(!expression.is_match(&format!("{text}d")));
        for expression in [r"\pL{1000}", "((a{100}){100}){100}", &"(".repeat(5_000), &"a".repeat(20_000)] {
            assert!(Expression::new(expression).is_err());
        }
        let expression = Expression::new("").unwrap();
        assert_eq!(expression.replace(&text, &text), Err(PatternError::Result));
    }
}
