//! Wildcards of rules, and what replacements stand for, in the words of Go's templates. Pure; `rule` uses it, and `expression` for
//! the same about regular expressions.
//!
//! Whatever the pattern is, matching takes time in proportion to its size and that of the text: nothing backtracks.

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
    #[error("the expression has {length} bytes, more than {most}")]
    Length {
        /// How many it has.
        length: usize,
        /// How many it may have.
        most: usize,
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

/// The number that a name in a template is, if it is one.
pub(super) fn number(name: &str) -> Option<usize> {
    let is_number =
        name.bytes().all(|byte| byte.is_ascii_digit()) && (name.len() == 1 || !name.starts_with('0'));
    name.parse().ok().filter(|_| is_number)
}

/// Appends a template: `$1`, `${1}` and names stand for groups, or nothing where there is none; `$$` is a dollar sign, and so
/// is one that nothing of that kind follows.
pub(super) fn expand<'t>(
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
            let expression = regex::Regex::new(&expression).unwrap();
            for text in alphabet {
                let expected = expression.captures(text).map(|all| {
                    all.iter().map(|group| group.unwrap().as_str().to_owned()).collect::<Vec<_>>()
                });
                assert_eq!(wild(pattern, text), expected, "{pattern} {text}");
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn any_stars_are_those_of_an_expression(pattern in "[ab:*]{0,10}", text in "[ab:]{0,12}") {
            let Ok(wildcard) = Wildcard::new(&pattern) else { return Ok(()) };
            let expression = format!("^{}$", pattern.replace('*', "(.*)"));
            let expected = regex::Regex::new(&expression).unwrap();
            let expected = expected.captures(&text).map(|all| {
                all.iter().map(|group| group.unwrap().as_str()).collect::<Vec<_>>()
            });
            proptest::prop_assert_eq!(wildcard.captures(&text), expected);
        }

        #[test]
        fn no_template_is_too_strange(template in r"[$\{}0-9a-z_é*]{0,20}", text in ".{0,20}") {
            let replaced = Wildcard::new("*").unwrap().replace(&text, &template);
            proptest::prop_assert!(replaced.is_ok());
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
    }

    #[test]
    fn hostile_patterns_end() {
        let text = "a".repeat(20_000);
        let wildcard = Wildcard::new(&format!("{}b", "*a".repeat(5_000))).unwrap();
        assert_eq!(wildcard.captures(&text), None);
        let wildcard = Wildcard::new("*").unwrap();
        assert_eq!(wildcard.replace(&text, &"$1".repeat(100_000)), Err(PatternError::Result));
    }
}
