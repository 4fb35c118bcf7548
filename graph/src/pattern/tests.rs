//! Ignore lists: facts of moby/patternmatcher, and laws that hold for every list.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::token::{Stars, parse};
use super::{IgnoreMatcher, PatternError, token, translate};

fn list(patterns: &[&str]) -> IgnoreMatcher {
    let patterns: Vec<String> = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
    IgnoreMatcher::new(&patterns).unwrap()
}

fn ignored(patterns: &[&str], path: &str) -> bool {
    list(patterns).decide(path).ignored
}

#[test]
fn one_pattern() {
    for (pattern, path, expected) in [
        ("**", "file", true),
        ("**/", "file", true),
        ("**", "dir/file", true),
        ("**/**", "dir/file", true),
        ("dir/**", "dir/file", true),
        ("dir/**", "dir/dir2/file", true),
        ("dir/**", "dir", false),
        ("**/dir", "dir", true),
        ("**/dir", "dir/file", true),
        ("**/dir", "a/dir/file", true),
        ("**/dir", "a/mydir", false),
        ("**/dir2/*", "dir/dir2/file", true),
        ("**/dir2/**", "dir/dir2/dir3/file", true),
        ("**file", "file", true),
        ("**file", "dir/file", true),
        ("**file", "dir/afile", true),
        ("**/file", "dir/dir/file", true),
        ("**/file*", "dir/dir/file.txt", true),
        ("**/file*txt", "dir/dir/file.txt", true),
        ("**/file*.txt*", "dir/dir/file.txt", true),
        ("**/**/*.txt", "dir/dir/file.txt", true),
        ("**/**/*.txt2", "dir/dir/file.txt", false),
        ("**/*.txt", "file.txt", true),
        ("a**/*.txt", "a/file.txt", true),
        ("a**/*.txt", "a/dir/dir/file.txt", true),
        ("a/*.txt", "a/dir/file.txt", false),
        ("a/*.txt", "a/file.txt", true),
        ("a/*.txt**", "a/file.txt", true),
        ("a[b-d]e", "ae", false),
        ("a[b-d]e", "ace", true),
        ("a[b-d]e", "aae", false),
        ("a[^b-d]e", "aze", true),
        ("a[!b]e", "a!e", true),
        ("a[!b]e", "aze", false),
        (".*", ".foo", true),
        (".*", "foo", false),
        ("abc.def", "abcZdef", false),
        ("abc?def", "abcZdef", true),
        ("abc?def", "abcdef", false),
        ("a\\\\", "a\\", true),
        ("a\\*b", "a*b", true),
        ("a\\*b", "axb", false),
        ("**/foo/bar", "dir/dir2/foo/bar", true),
        ("**/.foo", "bar.foo", false),
        ("a(b)c/def", "a(b)c/def", true),
        ("a.|)$(}+{bc", "a.|)$(}+{bc", true),
        ("{a,b}", "a", false),
        ("dist/*.whl", "dist/proxy.py-2.4.0rc3.dev36+g08acad9-py3-none-any.whl", true),
        ("a?b", "a☺b", true),
        ("a[^a]b", "a☺b", true),
        ("a???b", "a☺b", false),
        ("[a-ζ]*", "α", true),
        ("docs/", "docs/README.md", true),
        ("./docs//x/..", "docs/README.md", true),
        ("node_modules", "src/node_modules", false),
        ("*", "a/b/c", true),
        ("*/temp*", "some/temporary.txt", true),
        ("*/*/temp*", "some/sub/temp", true),
        ("temp?", "tempa/x", true),
        ("/docs", "docs", false),
        ("..", "x", false),
        ("a", "A", false),
        ("a", "ab", false),
        ("a/b", "a", false),
        ("a/b", "b/a/b", false),
        ("**/a/b", "a/b", true),
        ("**/a/**/b", "a/b", true),
        ("**/a/**/b", "x/a/y/z/b", true),
        ("a/**/b", "a/b", true),
        ("a/**/b", "a/x/y/b", true),
        ("a/**/b", "a/xb", false),
        ("a/**/b/**", "a/b", false),
        ("a/**/b/**", "a/x/b/c", true),
        ("*/b", "b", false),
        ("*/b", "a/b", true),
        ("*/b", "x/a/b", false),
        ("*.", "a.", true),
        ("*.*", "a", false),
        ("*.*", ".a", true),
        ("?", "é", true),
        ("?", "/", false),
        ("??", "a", false),
        ("**/?.c", "x/y.c", true),
        ("**/?.c", "x/yy.c", false),
        ("[0-9]*", "7.log", true),
        ("[0-9]*", "x7.log", false),
        ("[a\\]]", "]", true),
        ("[^/]x", "ax", true),
        ("a\\ b", "a b", true),
        ("a b", "a b", true),
        ("#a", "#a", true),
        ("é*", "één/x", true),
        ("a\\[b", "a[b", true),
        ("./", "x", false),
        ("a/../b", "b", true),
        ("**/.git", ".git/config", true),
        ("**/.git", ".gitignore", false),
        ("**/*", "a", true),
        ("*/*", "a", false),
        ("*/*", "a/b/c", true),
    ] {
        assert_eq!(ignored(&[pattern], path), expected, "{pattern} {path}");
    }
}

#[test]
fn several_patterns() {
    for (patterns, path, expected) in [
        (&["*.go", "!a.go"][..], "a.go", false),
        (&["!a.go", "*.go"], "a.go", true),
        (&["docs", "!docs/README.md"], "docs/README.md", false),
        (&["docs", "!docs/README.md"], "docs/other", true),
        (&["docs/*", "!docs/README.md"], "docs", false),
        (&["**", "!util/docker/web"], "util/docker/web/foo", false),
        (&["**", "!util/docker/web"], "util", true),
        (&["**", "!util/docker/web", "util/docker/web/foo"], "util/docker/web/foo", true),
        (&["**", "!util/docker/web", "util/docker/web/foo"], "util/docker/web/foo/deeper", true),
        (&["**", "!dist/*.whl"], "dist/a.whl", false),
        (&["*.md", "!README*.md", "README-secret.md"], "README-secret.md", true),
        (&["*.md", "README-secret.md", "!README*.md"], "README-secret.md", false),
        (&["a", "!a/b", "a"], "a/b", true),
        (&["a", "!a/b", "a/b/c"], "a/b/d", false),
        (&["a/b", "!a"], "a/b/c", false),
        (&["*", "!keep"], "keep/me", false),
        (&["", "  ", "x "], "x", true),
        (&[], "x", false),
        (&["*", "!*/"], "dir/file", false),
        (&["**/*.log", "!**/keep.log"], "a/b/keep.log", false),
        (&["**/*.log", "!**/keep.log"], "a/b/other.log", true),
        (&["*", "!src", "src/**/*.tmp"], "src/a/b.tmp", true),
        (&["*", "!src", "src/**/*.tmp"], "src/a/b.rs", false),
        (&["!x", "x", "!x", "x"], "x/y", true),
        (&["a/*", "!a/b/"], "a/b/c/d", false),
        (&["a", "!a/b/c"], "a/b", true),
        (&["**", "!**/*.rs"], "deep/down/lib.rs", false),
        (&["**", "!*.rs"], "deep/down/lib.rs", true),
        (&["vendor", "!vendor/*/LICENSE"], "vendor/x/LICENSE", false),
        (&["vendor", "!vendor/*/LICENSE"], "vendor/x/y/LICENSE", true),
        (&["# no comment here"], "# no comment here", true),
    ] {
        assert_eq!(ignored(patterns, path), expected, "{patterns:?} {path}");
    }
}

#[test]
fn the_deciding_pattern_is_named() {
    let matcher = list(&["docs", "", "*.md", "!docs/README.md", "docs/README.md"]);
    let rule = |path: &str| matcher.decide(path).rule;
    assert_eq!(rule("docs/x.md"), Some(0));
    assert_eq!(rule("top.md"), Some(2));
    assert_eq!(rule("docs/README.md"), Some(4));
    assert_eq!(rule("src"), None);
    assert_eq!(list(&["a", "!a/b"]).decide("a/b").rule, Some(1));
}

#[test]
fn the_root_is_never_ignored() {
    for path in ["", "."] {
        assert!(!ignored(&["**", "."], path));
    }
}

#[test]
fn directories_are_skipped_only_when_nothing_comes_back() {
    for (patterns, directory, expected) in [
        (&["node_modules"][..], "node_modules", true),
        (&["node_modules"], "node_modules/x", true),
        (&["node_modules"], "src", false),
        (&["*.o"], "src", false),
        (&["*", "!src"], "doc", true),
        (&["*", "!src"], "src", false),
        (&["*", "!src/lib/*.rs"], "src", false),
        (&["*", "!src/lib/*.rs"], "src/lib", false),
        (&["*", "!src/lib/*.rs"], "src/bin", true),
        (&["*", "!s*/lib"], "src", false),
        (&["*", "!s*/lib"], "doc", true),
        (&["*", "!**/keep"], "any/where", false),
        (&["!a/keep", "a"], "a", true),
        (&["a", "!a/keep", "a"], "a", true),
        (&["a", "!b"], "a", true),
        (&["a", "!a[^x]keep"], "a", false),
    ] {
        assert_eq!(list(patterns).may_skip_dir(directory), expected, "{patterns:?} {directory}");
    }
}

#[test]
fn what_is_no_pattern_is_refused() {
    let new = |pattern: &str| IgnoreMatcher::new(&[pattern.to_owned()]);
    assert_eq!(new("!").unwrap_err(), PatternError::LoneNegation);
    for pattern in ["[", "a[", "[]a]", "[-]", "\\", "![", "[b-a]"] {
        assert!(matches!(new(pattern), Err(PatternError::Syntax { .. })), "{pattern}");
    }
    let text = new("src/[").unwrap_err().to_string();
    assert_eq!(text, "pattern `src/[` has a syntax error: `[` is never closed");
}

fn patterns() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec("!?(\\*\\*/|\\*\\*|\\*|\\?|a|b|c|/|\\[a-b\\]|\\[\\^a\\]|\\.|é){1,5}", 0..6)
}

fn paths() -> impl Strategy<Value = String> {
    "(a|b|c|ab|é|\\.a)(/(a|b|c|bc|é)){0,4}"
}

/// The meaning of a list, written down as slowly and plainly as possible.
fn slow_decide(patterns: &[String], path: &str) -> bool {
    let mut prefixes: Vec<&str> = path.match_indices('/').map(|(end, _)| &path[..end]).collect();
    prefixes.push(path);
    let mut ignored = false;
    for pattern in patterns {
        let pattern = crate::path::clean(pattern);
        let (negated, pattern) =
            pattern.strip_prefix('!').map_or((false, pattern.as_str()), |rest| (true, rest));
        let tokens = parse(pattern, Stars::Deep).unwrap();
        if prefixes.iter().any(|prefix| token::matches(&tokens, prefix)) {
            ignored = !negated;
        }
    }
    ignored
}

proptest! {
    #[test]
    fn decisions_follow_the_plain_rule(patterns in patterns(), path in paths()) {
        let Ok(matcher) = IgnoreMatcher::new(&patterns) else { return Ok(()) };
        prop_assert_eq!(matcher.decide(&path).ignored, slow_decide(&patterns, &path));
    }

    #[test]
    fn a_skipped_directory_hides_nothing(patterns in patterns(), directory in paths(), below in paths()) {
        let Ok(matcher) = IgnoreMatcher::new(&patterns) else { return Ok(()) };
        if matcher.may_skip_dir(&directory) {
            let path = format!("{directory}/{below}");
            prop_assert!(matcher.decide(&path).ignored, "{}", path);
        }
    }

    #[test]
    fn globset_agrees_with_the_tokens(
        pattern in "(\\*\\*/|\\*\\*|\\*|\\?|a|b|/|\\[a-b\\]|\\[\\^a\\]|\\[\\]-\\^\\]|[ -~]|\\\\[ -~]|\\[\\^?(\\\\?[ -~]|[!-/]-[:-~]){1,3}\\]){0,6}",
        path in "[ -~]{0,6}|(a|b|ab|\\]|-|!|,|\\{)(/(a|b|bc)){0,3}",
    ) {
        for stars in [Stars::Deep, Stars::Flat] {
            let Ok(tokens) = parse(&pattern, stars) else { return Ok(()) };
            let globset = translate::compile(&pattern, &tokens).unwrap();
            prop_assert_eq!(
                globset.is_match(&path), token::matches(&tokens, &path),
                "{} as {} on {}", pattern, translate::to_globset(&tokens), path
            );
        }
    }

    #[test]
    fn any_text_is_a_pattern_or_an_error(pattern in any::<String>(), path in any::<String>()) {
        if let Ok(matcher) = IgnoreMatcher::new(std::slice::from_ref(&pattern)) {
            matcher.decide(&path);
            matcher.may_skip_dir(&path);
        }
        if let Ok(glob) = super::Glob::new(&pattern) {
            glob.matches(&path);
            glob.may_match_below(&path);
            glob.literal_directory();
            super::has_wildcard(&pattern);
        }
    }
}
