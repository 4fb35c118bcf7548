//! Tables of words and what they expand to.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use super::{Lex, NothingSet};

fn scope() -> BTreeMap<String, String> {
    let pairs = [
        ("A", "alpha"),
        ("B", "beta"),
        ("EMPTY", ""),
        ("SPACED", " one  two "),
        ("FILE", "src/lib/main.tar.gz"),
        ("STARS", "a*b*c"),
        ("LINES", "x1\nx2"),
        ("é1", "accent"),
        ("_u", "under"),
        ("WILD", "a*b\\*"),
    ];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn word(text: &str) -> Result<String, String> {
    let expanded = Lex::new('\\').expand_word(text, &scope());
    expanded.map(|expanded| expanded.value).map_err(|error| error.message)
}

/// What each word comes to, with a backslash as escape character.
const VALUES: &[(&str, &str)] = &[
    // Plain text and quotes.
    ("", ""),
    ("plain", "plain"),
    ("two words", "two words"),
    ("\"two  words\"", "two  words"),
    ("'two  words'", "two  words"),
    ("a'b'c\"d\"e", "abcde"),
    ("\"it's\"", "it's"),
    ("'say \"x\"'", "say \"x\""),
    ("\"\"", ""),
    ("naïve", "naïve"),
    // Escapes.
    ("a\\ b", "a b"),
    ("a\\\\b", "a\\b"),
    ("a\\nb", "anb"),
    ("\\\"a\\'", "\"a'"),
    ("a\\", "a"),
    ("a\\\\", "a\\"),
    ("\\é", "é"),
    ("\"a\\\"b\"", "a\"b"),
    ("\"a\\\\b\"", "a\\b"),
    ("\"a\\nb\"", "a\\nb"),
    ("\"a\\$A\"", "a$A"),
    ("'a\\$A'", "a\\$A"),
    ("'a\\'", "a\\"),
    ("\\$A", "$A"),
    ("\\\\$A", "\\alpha"),
    ("\\${A}", "${A}"),
    // Names.
    ("$A", "alpha"),
    ("${A}", "alpha"),
    ("x${A}y", "xalphay"),
    ("$A/$B", "alpha/beta"),
    ("$A$B", "alphabeta"),
    ("$AB", ""),
    ("${A}B", "alphaB"),
    ("$A-1", "alpha-1"),
    ("$_u", "under"),
    ("$é1", "accent"),
    ("\"$A\"", "alpha"),
    ("'$A'", "$A"),
    ("\"'$A'\"", "'alpha'"),
    ("$SPACED.", " one  two ."),
    ("$EMPTY.", "."),
    ("$NONE.", "."),
    ("${é1}", "accent"),
    ("$A.$B:$A", "alpha.beta:alpha"),
    ("$A\"$B\"'$A'", "alphabeta$A"),
    ("\"${A}'s\"", "alpha's"),
    ("\"a $A\\\"b\"", "a alpha\"b"),
    ("$A\\$B", "alpha$B"),
    ("\"$SPACED\"", " one  two "),
    ("$LINES", "x1\nx2"),
    // A dollar that is none.
    ("$", "$"),
    ("a$", "a$"),
    ("$.", "$."),
    ("$ A", "$ A"),
    ("\"$\"", "$"),
    ("$'x'", "$x"),
    ("$/", "$/"),
    // Positional and special parameters are names that nobody sets.
    ("$1a", "a"),
    ("$12a", "a"),
    ("${1:-x}", "x"),
    ("$$x", "x"),
    ("$@x$*y$#z", "xyz"),
    ("${?}", ""),
    ("${!:-x}", "x"),
    ("$0", ""),
    // Defaults.
    ("${NONE:-w}", "w"),
    ("${NONE-w}", "w"),
    ("${EMPTY:-w}", "w"),
    ("${EMPTY-w}", ""),
    ("${A:-w}", "alpha"),
    ("${A-w}", "alpha"),
    ("${NONE:-}", ""),
    ("${NONE:-a b}", "a b"),
    ("${NONE:-\"a } b\"}", "a } b"),
    ("${NONE:-'$A'}", "$A"),
    ("${NONE:-$A}", "alpha"),
    ("${NONE:-${NOR:-${B}}}", "beta"),
    ("${NONE:-a\\}b}", "a}b"),
    ("${NONE:--}", "-"),
    ("${NONE:-http://x:1/y}", "http://x:1/y"),
    ("${NONE:-$NOR}.", "."),
    ("${NONE:-${A}}${NOR:-${B}}", "alphabeta"),
    ("${EMPTY:-${EMPTY-w}}", ""),
    ("\"${NONE:-a b}\"", "a b"),
    ("${NONE-:-}", ":-"),
    ("${NONE:-é}", "é"),
    // Alternatives.
    ("${A:+w}", "w"),
    ("${A+w}", "w"),
    ("${EMPTY:+w}", ""),
    ("${EMPTY+w}", "w"),
    ("${NONE:+w}", ""),
    ("${NONE+w}", ""),
    ("${A:+${B}:}x", "beta:x"),
    ("${A:+}", ""),
    ("${A:+:$A}", ":alpha"),
    // Required.
    ("${A:?no}", "alpha"),
    ("${A?no}", "alpha"),
    ("${EMPTY?no}", ""),
    // Without a start.
    ("${FILE#*/}", "lib/main.tar.gz"),
    ("${FILE##*/}", "main.tar.gz"),
    ("${FILE#src/}", "lib/main.tar.gz"),
    ("${FILE#lib}", "src/lib/main.tar.gz"),
    ("${FILE#???}", "/lib/main.tar.gz"),
    ("${FILE##*}", ""),
    ("${FILE#*}", "src/lib/main.tar.gz"),
    ("${FILE#}", "src/lib/main.tar.gz"),
    ("${STARS#a\\*}", "b*c"),
    ("${STARS##*\\*}", "c"),
    ("${A#$A}", ""),
    ("${A#${NONE:-al}}", "pha"),
    ("${NONE#x}", ""),
    ("${LINES#*2}", "x1\nx2"),
    ("${FILE##*.}", "gz"),
    ("${FILE#*.}", "tar.gz"),
    ("${EMPTY##*}", ""),
    ("${A#?}", "lpha"),
    // Without an end.
    ("${FILE%.*}", "src/lib/main.tar"),
    ("${FILE%%.*}", "src/lib/main"),
    ("${FILE%/*}", "src/lib"),
    ("${FILE%%/*}", "src"),
    ("${FILE%.gz}", "src/lib/main.tar"),
    ("${FILE%?}", "src/lib/main.tar.g"),
    ("${FILE%zip}", "src/lib/main.tar.gz"),
    ("${STARS%\\**}", "a*b"),
    ("${STARS%%\\**}", "a"),
    ("${é1%cent}", "ac"),
    ("${FILE%%*}", ""),
    ("${FILE%%.gz}", "src/lib/main.tar"),
    ("${A%$A}", ""),
    ("${NONE%x}", ""),
    // Replaced.
    ("${FILE/lib/bin}", "src/bin/main.tar.gz"),
    ("${FILE/a/A}", "src/lib/mAin.tar.gz"),
    ("${FILE//a/A}", "src/lib/mAin.tAr.gz"),
    ("${FILE//\\//-}", "src-lib-main.tar.gz"),
    ("${FILE/\\/*/}", "src"),
    ("${FILE//./}", "src/lib/maintargz"),
    ("${FILE//?/x}", "xxxxxxxxxxxxxxxxxxx"),
    ("${FILE//zip/x}", "src/lib/main.tar.gz"),
    ("${FILE/m*n/$A}", "src/lib/alpha.tar.gz"),
    ("${LINES//x*/y}", "y\ny"),
    ("${STARS//\\*/+}", "a+b+c"),
    ("${A/$A/${B}}", "beta"),
    ("${NONE/a/b}", ""),
    ("${FILE/\\//\\/}", "src\\/lib/main.tar.gz"),
    ("${A//$EMPTY/-}", "-a-l-p-h-a-"),
    ("${A/$EMPTY/-}", "-alpha"),
    ("${STARS/$WILD/-}", "-c"),
    ("${A///}", "alpha"),
    ("${EMPTY//*/-}", "-"),
    ("${A/a/}", "lpha"),
    ("${A//a/}", "lph"),
    ("${A/a/$B$B}", "betabetalpha"),
    ("${FILE//./ }", "src/lib/main tar gz"),
    ("${FILE/src\\//}", "lib/main.tar.gz"),
    // Redirections mean nothing here.
    ("a<b", "a<b"),
    ("<< $A", "<< alpha"),
];

#[test]
fn words_expand_to_their_values() {
    assert!(VALUES.len() >= 150);
    for (text, expected) in VALUES {
        assert_eq!(word(text).as_deref(), Ok(*expected), "{text}");
    }
}

/// What is wrong with a word, and where.
const ERRORS: &[(&str, &str, &str)] = &[
    ("a'b", "unexpected end of statement while looking for matching single-quote", "'b"),
    ("a\"b", "unexpected end of statement while looking for matching double-quote", "\"b"),
    ("\"a\\\"", "unexpected end of statement while looking for matching double-quote", "\"a\\\""),
    ("a\\\\'b", "unexpected end of statement while looking for matching single-quote", "'b"),
    ("x${", "syntax error: missing '}'", "${"),
    ("x${A", "syntax error: missing '}'", "${A"),
    ("x${A:-b", "syntax error: missing '}' in ${}", "${A:-b"),
    ("x${A:-${B}", "syntax error: missing '}' in ${}", "${A:-${B}"),
    ("${A/x", "syntax error: missing '/' in ${}", "${A/x"),
    ("${A/x/y", "syntax error: missing '}' in ${}", "${A/x/y"),
    ("${}", "syntax error: bad substitution", "${"),
    ("a${{A}}", "syntax error: bad substitution", "${"),
    ("${:-x}", "syntax error: bad substitution", "${"),
    ("${.}", "unsupported modifier (.) in substitution", "."),
    ("${A@Q}", "unsupported modifier (@) in substitution", "@"),
    ("${A:=x}", "unsupported modifier (:=) in substitution", ":="),
    ("${A=x}", "unsupported modifier (=) in substitution", "="),
    ("${A:1}", "unsupported modifier (:1) in substitution", ":1"),
    ("${A:#x}", "unsupported modifier (:#) in substitution", ":#"),
    ("${A^^}", "unsupported modifier (^) in substitution", "^"),
    ("${NONE?}", "NONE: is not allowed to be unset", "${NONE?}"),
    ("${NONE:?}", "NONE: is not allowed to be unset", "${NONE:?}"),
    ("${EMPTY:?}", "EMPTY: is not allowed to be empty", "${EMPTY:?}"),
    ("a/${NONE:?give $A}/b", "NONE: give alpha", "${NONE:?give $A}"),
    ("${EMPTY:?set it}", "EMPTY: set it", "${EMPTY:?set it}"),
    ("${NONE:-${NOR?inner}}", "NOR: inner", "${NOR?inner}"),
    // What is not used is expanded all the same.
    ("${NONE:+${NOR?unused}}", "NOR: unused", "${NOR?unused}"),
    ("${A#\\x}", "invalid pattern (\\x) in substitution: invalid escape '\\x'", "${A#\\x}"),
];

#[test]
fn mistakes_are_named_with_their_place() {
    for (text, message, place) in ERRORS {
        let error = Lex::new('\\').expand_word(text, &scope()).unwrap_err();
        assert_eq!((error.message.as_str(), &text[error.range.clone()]), (*message, *place), "{text}");
    }
}

#[test]
fn deep_nesting_is_refused() {
    let deep = format!("{}x{}", "${A:+".repeat(5000), "}".repeat(5000));
    assert_eq!(word(&deep), Err("syntax error: substitutions are nested too deeply".to_owned()));
    let fine = format!("{}x{}", "${A:+".repeat(40), "}".repeat(40));
    assert_eq!(word(&fine), Ok("x".to_owned()));
}

#[test]
fn values_without_bounds_are_refused() {
    let replaced = format!("{}$FILE{}", "${FILE//?/".repeat(40), "}".repeat(40));
    let mut vars = scope();
    vars.insert("LONG".to_owned(), "a".repeat(5_000_000));
    for text in
        [replaced.as_str(), "$LONG$LONG$LONG$LONG", "${LONG//a/$LONG}", "\"$LONG$LONG${A:-$LONG}$LONG\""]
    {
        let error = Lex::new('\\').expand_word(text, &vars).unwrap_err();
        assert_eq!(error.message, "the value would be larger than 16 MiB", "{text}");
        assert!(text.get(error.range).is_some());
    }
    assert!(Lex::new('\\').expand_word("$LONG$LONG$LONG", &vars).is_ok());
}

#[test]
fn the_backtick_escapes_where_a_directive_says_so() {
    let lex = Lex::new('`');
    let cases = [("a`$A", "a$A"), ("C:\\$A", "C:\\alpha"), ("a` b", "a b"), ("\"`\"\"", "\""), ("``", "`")];
    for (text, expected) in cases {
        assert_eq!(lex.expand_word(text, &scope()).unwrap().value, expected, "{text}");
    }
}

#[test]
fn words_split_at_unquoted_white_space() {
    let cases: &[(&str, &[&str])] = &[
        ("", &[]),
        ("  ", &[]),
        ("a b", &["a", "b"]),
        (" a \t b ", &["a", "b"]),
        ("$SPACED", &["one", "two"]),
        ("x${SPACED}y", &["x", "one", "two", "y"]),
        ("\"$SPACED\"", &[" one  two "]),
        ("a\" \"b c", &["a b", "c"]),
        ("a' 'b", &["a b"]),
        ("a\\ b", &["a b"]),
        ("\"\" ''", &[]),
        ("$NONE", &[]),
        ("$EMPTY$A", &["alpha"]),
        ("${NONE:-80 443}", &["80", "443"]),
        ("${NONE:-\"80 443\"}", &["80", "443"]),
        ("80 ${NONE} $B", &["80", "beta"]),
        ("<< EOF", &["<< EOF"]),
        ("a<b c", &["a<b", "c"]),
    ];
    for (text, expected) in cases {
        let words = Lex::new('\\').expand_words(text, &scope()).unwrap();
        assert_eq!(words.values, *expected, "{text}");
    }
}

#[test]
fn heredoc_bodies_keep_their_quotes() {
    let cases = [
        ("it's $A \"x\"\n", "it's alpha \"x\"\n"),
        ("\\$A \\\\ \\n", "$A \\ n"),
        ("'$A' ${NONE:-'q'}", "'alpha' 'q'"),
        ("`$A`", "`alpha`"),
    ];
    for (text, expected) in cases {
        assert_eq!(Lex::new('`').expand_raw(text, &scope()).unwrap().value, expected, "{text}");
    }
}

#[test]
fn names_of_steps_keep_what_is_not_set() {
    let cases = [
        ("RUN echo \"$A\" '$A' $NONE", "RUN echo \"alpha\" '$A' $NONE"),
        ("RUN ${NONE:-$A} ${B}", "RUN ${NONE:-$A} beta"),
        ("RUN \"open $A", "RUN \"open $A"),
    ];
    for (text, expected) in cases {
        assert_eq!(Lex::new('\\').expand_display(text, &scope()), expected, "{text}");
    }
}

#[test]
fn used_and_unset_names_are_listed_once() {
    let text = "$B $NONE ${A} $B ${NONE} ${NOR:-$Z} ${Q+$A} ${EMPTY} ${R#x}";
    let expanded = Lex::new('\\').expand_word(text, &scope()).unwrap();
    assert_eq!(expanded.used, ["B", "A", "EMPTY"]);
    assert_eq!(expanded.unset, ["NONE", "Z", "R"]);
    assert!(Lex::new('\\').expand_word("$A", &NothingSet).unwrap().used.is_empty());
}

#[test]
fn long_values_are_matched_in_little_time() {
    let mut vars = scope();
    vars.insert("LONG".to_owned(), "a".repeat(100_000));
    let lex = Lex::new('\\');
    for (text, length) in [
        ("${LONG//*b/x}", 100_000),
        ("${LONG//a/bb}", 200_000),
        ("${LONG##*a*a*a}", 0),
        ("${LONG%%b*}", 100_000),
    ] {
        assert_eq!(lex.expand_word(text, &vars).unwrap().value.len(), length, "{text}");
    }
}
