//! Any text as a `.dockerignore`, and what its patterns say of a path: nothing panics, and a directory that a walk skips
//! hides nothing that would be taken.
//!
//! The path is what follows the first NUL byte of the input; without one, it is a fixed path.

#![no_main]

use kiln_graph::pattern::{Glob, IgnoreMatcher, has_wildcard, literal};
use kiln_parser::dockerignore::parse;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &str| {
    let (text, path) = input.split_once('\0').unwrap_or((input, "a/b/c.d"));
    let path = clean(path);
    let lines = parse(text);
    assert!(lines.len() <= text.lines().count(), "more patterns than lines");
    assert!(lines.windows(2).all(|pair| pair[0].line < pair[1].line), "patterns out of order");
    let patterns: Vec<String> = lines.into_iter().map(|line| line.pattern).collect();
    let length: usize = patterns.iter().map(String::len).sum();
    assert!(length <= text.len() + patterns.len(), "{length} bytes of patterns from {}", text.len());
    if let Ok(matcher) = IgnoreMatcher::new(&patterns) {
        decisions(&matcher, patterns.len(), &path);
    }
    for pattern in &patterns {
        glob(pattern, &path);
    }
});

/// A relative path as a walk makes it.
fn clean(path: &str) -> String {
    let names: Vec<&str> = path.split('/').filter(|name| !matches!(*name, "" | "." | "..")).collect();
    names.join("/")
}

fn decisions(matcher: &IgnoreMatcher, count: usize, path: &str) {
    let decision = matcher.decide(path);
    assert!(decision.rule.is_none_or(|rule| rule < count), "a pattern that is not there decides");
    assert!(!decision.ignored || decision.rule.is_some(), "ignored by nothing");
    for (end, _) in path.match_indices('/') {
        if matcher.may_skip_dir(&path[..end]) {
            assert!(decision.ignored, "`{path}` is hidden by skipping `{}`", &path[..end]);
        }
    }
}

/// The same patterns as sources of COPY.
fn glob(pattern: &str, path: &str) {
    if let Ok(glob) = Glob::new(pattern) {
        let directory = glob.literal_directory();
        assert!(directory.len() <= pattern.len(), "`{directory}` is longer than `{pattern}`");
        if glob.matches(path) && !has_wildcard(pattern) {
            assert!(path.len() <= pattern.len(), "`{pattern}` without wildcard matches `{path}`");
        }
        glob.may_match_below(path);
    }
    let exact = Glob::new(&literal(path)).expect("a literal is a pattern");
    assert!(exact.matches(path), "`{path}` does not match itself");
}
