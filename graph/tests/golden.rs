//! Lowering, shown on whole files.
//!
//! Each directory of `testdata/graph` holds a `Dockerfile`, the caller's choices in `options.json` where they differ
//! from the defaults, and what comes out in `plan.txt`; in `check`, `RULE.bad1.expected` is what a check says of a file,
//! and of `RULE.good1` its rule says nothing. `KILN_BLESS=1 cargo test -p kiln-graph` writes the
//! plans anew; read the difference before you keep it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::disallowed_methods, reason = "goldens are files, and the room's ban is for its own code")]

mod toy;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use kiln_graph::lower::{NamedContext, context_name};
use kiln_graph::op::{LayoutImage, Network, Source};
use kiln_graph::{Entitlements, LowerOptions, lower, remote_source};
use kiln_parser::{Diagnostic, render};
use serde_json::Value;

#[test]
fn every_file_lowers_to_its_plan() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/graph");
    let bless = std::env::var_os("KILN_BLESS").is_some();
    let mut cases: Vec<PathBuf> = fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.retain(|case| !case.ends_with(CHECKS));
    cases.sort();
    assert!(cases.len() >= 40, "goldens are missing in {}", root.display());
    let mut wrong = Vec::new();
    for case in cases {
        let name = case.file_name().unwrap().to_string_lossy().into_owned();
        let got = plan_of(&case);
        let golden = case.join("plan.txt");
        if bless {
            fs::write(&golden, &got).unwrap();
        } else if fs::read_to_string(&golden).unwrap_or_default() != got {
            wrong.push(format!("--- {name}: this came out, and plan.txt says otherwise\n{got}"));
        }
    }
    assert!(wrong.is_empty(), "{}\n(KILN_BLESS=1 writes the plans anew)", wrong.join("\n"));
}

fn plan_of(case: &Path) -> String {
    let source = fs::read_to_string(case.join("Dockerfile")).unwrap();
    let parsed = kiln_parser::parse(&source);
    let bases = toy::Bases::default();
    let lowered = lower(&source, &parsed.dockerfile, &options(&case.join("options.json")), &bases);
    let errors = parsed.diagnostics.into_iter().filter(kiln_parser::Diagnostic::is_error);
    let diagnostics: Vec<_> = errors.chain(lowered.diagnostics).collect();
    toy::check_invariants(lowered.plan.as_ref());
    toy::show(lowered.plan.as_ref(), &diagnostics, &bases.asked(), &source)
}

/// The checks that need scopes, platforms, a base or the ignore patterns. The others are shown in
/// testdata/parser/check.
const RULES: [&str; 11] = [
    "CopyIgnoredFile",
    "ExposeInvalidFormat",
    "ExposeProtoCasing",
    "FromPlatformFlagConstDisallowed",
    "InvalidBaseImagePlatform",
    "InvalidDefaultArgInFrom",
    "JSONArgsRecommended",
    "RedundantTargetPlatform",
    "UndefinedArgInFrom",
    "UndefinedVar",
    "WorkdirRelativePath",
];

/// The directory of their files.
const CHECKS: &str = "check";

#[test]
fn checks_find_what_they_are_for_and_nothing_else() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/graph").join(CHECKS);
    let bless = std::env::var_os("KILN_BLESS").is_some();
    let mut seen = BTreeMap::new();
    for entry in fs::read_dir(&root).unwrap() {
        let file = entry.unwrap().path();
        let name = file.file_name().unwrap().to_str().unwrap();
        let Some(case) = name.strip_suffix(".Dockerfile") else { continue };
        let (rule, kind) = case.split_once('.').unwrap();
        let bad = kind.starts_with("bad");
        let source = fs::read_to_string(&file).unwrap();
        let diagnostics = checked(&source, &options(&file.with_extension("json")));
        assert_eq!(diagnostics.iter().any(|diagnostic| diagnostic.code == rule), bad, "{case}");
        let shown = render(&diagnostics, &source, "Dockerfile", false);
        let golden = file.with_extension("expected");
        if bless {
            fs::write(&golden, &shown).unwrap();
        }
        assert!(fs::read_to_string(&golden).unwrap() == shown, "{case}; it is now:\n{shown}");
        *seen.entry((rule.to_owned(), bad)).or_insert(0) += 1;
    }
    for rule in RULES {
        for bad in [true, false] {
            assert!(seen.get(&(rule.to_owned(), bad)).is_some_and(|count| *count >= 2), "{rule}, bad: {bad}");
        }
    }
}

/// What a check finds: by the parser and by the lowering, in the order of the places.
fn checked(source: &str, options: &LowerOptions) -> Vec<Diagnostic> {
    let options = LowerOptions { check: true, ..options.clone() };
    let parsed = kiln_parser::parse(source);
    assert!(!parsed.has_errors(), "{source}");
    let lowered = lower(source, &parsed.dockerfile, &options, &toy::Bases::default());
    let mut diagnostics = parsed.diagnostics;
    diagnostics.extend(lowered.diagnostics);
    diagnostics.sort_by_key(|diagnostic| diagnostic.span);
    diagnostics
}

fn options(file: &Path) -> LowerOptions {
    let mut options = LowerOptions::default();
    let Ok(text) = fs::read_to_string(file) else { return options };
    let json: Value = serde_json::from_str(&text).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    for (key, value) in json.as_object().unwrap() {
        match key.as_str() {
            "target" => options.target = Some(text(value)),
            "platform" => {
                options.platform = text(value);
                options.platform_is_default = false;
            }
            "build_platform" => options.build_platform = text(value),
            "no_cache" => options.no_cache = value.as_bool().unwrap(),
            "network" => options.network = if value == "none" { Network::None } else { Network::Host },
            "allow" => options.entitlements = entitlements(value, json["network"] != "none"),
            "ignore" => options.ignore = value.as_array().unwrap().iter().map(text).collect(),
            "contexts" => {
                let pairs = value.as_object().unwrap().iter();
                options.contexts =
                    pairs.map(|(name, value)| (context_name(name).unwrap(), context(value))).collect();
            }
            "build_args" => {
                let pairs = value.as_object().unwrap().iter();
                options.build_args = pairs.map(|(name, value)| (name.clone(), text(value))).collect();
            }
            "labels" => {
                let pairs = value.as_object().unwrap().iter();
                options.labels = pairs.map(|(name, value)| (name.clone(), text(value))).collect();
            }
            other => panic!("{other} is no option"),
        }
    }
    options
}

/// `["network.host", …]`; without `--network=none` the host's network needs none.
fn entitlements(granted: &Value, network_host: bool) -> Entitlements {
    let mut entitlements = Entitlements { network_host, ..Entitlements::default() };
    for text in granted.as_array().unwrap() {
        entitlements.grant(text.as_str().unwrap()).unwrap();
    }
    entitlements
}

/// `{"directory": [PATTERN…]}`, `{"image": REFERENCE}`, `{"layout": DIRECTORY}` or `{"url": URL}`.
fn context(value: &Value) -> NamedContext {
    let (kind, value) = value.as_object().unwrap().iter().next().unwrap();
    let text = || value.as_str().unwrap().to_owned();
    match kind.as_str() {
        "directory" => {
            let patterns = value.as_array().unwrap().iter();
            NamedContext::Directory { ignore: patterns.map(|one| one.as_str().unwrap().to_owned()).collect() }
        }
        "image" => NamedContext::Image { reference: text() },
        "layout" => NamedContext::Layout(LayoutImage { directory: text(), tag: None, digest: None }),
        "url" => match remote_source(&text()).unwrap() {
            Some(Source::Git(git)) => NamedContext::Git(git),
            _ => NamedContext::Http { url: text() },
        },
        other => panic!("{other} is no kind of context"),
    }
}
