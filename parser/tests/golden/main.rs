//! The goldens of testdata/parser: each Dockerfile beside what it is parsed to.
//!
//! `ok/NAME.expected` is the typed form, with warnings below it; `err/NAME.expected` is what the user sees;
//! `check/RULE.bad1.expected` is what a check says of a file, and of `RULE.good1` its rule says nothing.
//! `KILN_BLESS=1 cargo test -p kiln-parser --test golden` writes them anew; read the difference before it is kept.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::disallowed_methods, reason = "a test reads its inputs from files and a variable")]

mod dump;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use kiln_parser::{Parsed, parse, render, syntax};

/// Fewer cases than this mean that the directory was not found as a whole.
const LEAST: usize = 160;

#[test]
fn dockerfiles_are_parsed_to_their_expected_forms() {
    let cases = cases("ok");
    for case in &cases {
        let source = read(case);
        let parsed = parse(&source);
        let shown = render(&parsed.diagnostics, &source, "Dockerfile", false);
        assert!(!parsed.has_errors(), "{}:\n{shown}", case.display());
        let mut text = dump::dockerfile(&parsed.dockerfile, &source);
        if !shown.is_empty() {
            text.push_str("\n---\n");
            text.push_str(&shown);
        }
        compare(case, &text);
    }
    assert!(cases.len() + self::cases("err").len() >= LEAST);
}

#[test]
fn mistakes_are_shown_as_expected() {
    for case in &cases("err") {
        let source = read(case);
        let parsed: Parsed = parse(&source);
        assert!(parsed.has_errors(), "{} has no error", case.display());
        compare(case, &render(&parsed.diagnostics, &source, "Dockerfile", false));
    }
}

/// The checks that need nothing but the text. Those that need more are shown in testdata/graph/check.
const CHECKS: [&str; 11] = [
    "ConsistentInstructionCasing",
    "DuplicateStageName",
    "FromAsCasing",
    "InvalidDefinitionDescription",
    "LegacyKeyValueFormat",
    "MaintainerDeprecated",
    "MultipleInstructionsDisallowed",
    "NoEmptyContinuation",
    "ReservedStageName",
    "SecretsUsedInArgOrEnv",
    "StageNameCasing",
];

#[test]
fn checks_find_what_they_are_for_and_nothing_else() {
    let mut seen = BTreeMap::new();
    for case in &cases("check") {
        let name = case.file_stem().unwrap().to_str().unwrap();
        let (rule, kind) = name.split_once('.').unwrap();
        let bad = kind.starts_with("bad");
        let source = read(case);
        let parsed = parse(&source);
        assert!(!parsed.has_errors(), "{} has an error", case.display());
        let found = parsed.diagnostics.iter().any(|diagnostic| diagnostic.code == rule);
        assert_eq!(found, bad, "{}", case.display());
        compare(case, &render(&parsed.diagnostics, &source, "Dockerfile", false));
        *seen.entry((rule.to_owned(), bad)).or_insert(0) += 1;
    }
    for rule in CHECKS {
        for bad in [true, false] {
            assert!(seen.get(&(rule.to_owned(), bad)).is_some_and(|count| *count >= 2), "{rule}, bad: {bad}");
        }
    }
}

#[test]
fn every_tree_holds_every_byte_once() {
    for case in cases("ok").iter().chain(&cases("err")) {
        let source = read(case);
        let mut at = 0;
        for item in syntax::tree(&source).items {
            assert_eq!(item.extent().start, at, "{}", case.display());
            at = item.extent().end;
        }
        assert_eq!(at, source.len(), "{}", case.display());
    }
}

fn cases(kind: &str) -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/parser").join(kind);
    let entries = fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|extension| extension == "Dockerfile")).collect();
    paths.sort();
    paths
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn compare(case: &Path, text: &str) {
    let expected = case.with_extension("expected");
    if std::env::var_os("KILN_BLESS").is_some() {
        fs::write(&expected, text).unwrap();
        return;
    }
    let kept = read(&expected);
    assert!(kept == text, "{} differs; it is now:\n{text}", expected.display());
}
