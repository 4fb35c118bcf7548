//! Dockerfiles in the manner of what people have: nothing in them is a mistake, and what the checks say about each is on record.
//!
//! `testdata/parser/corpus` holds the files, `testdata/parser/corpus.expected` what is found in them, a line each.
//! `KILN_BLESS=1 cargo test -p kiln-graph --test corpus` writes it anew; read the difference before you keep it. The binary is
//! run over the same files by the end-to-end tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::disallowed_methods, reason = "goldens are files, and the room's ban is for its own code")]

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use kiln_graph::image::{ContainerConfig, ImageConfig};
use kiln_graph::plan::{BaseRequest, ResolveBase, ResolveFailure, ResolvedBase};
use kiln_graph::{LowerOptions, lower};
use kiln_parser::check::advice;
use kiln_parser::{Diagnostic, Severity, render};

/// Fewer files than this mean that the directory was not found as a whole.
const LEAST: usize = 220;

/// What some images set, besides `PATH`: by the last part of their name.
const ENVIRONMENTS: [(&str, &[&str]); 12] = [
    ("aspnet", &["APP_UID"]),
    ("eclipse-temurin", &["JAVA_HOME"]),
    ("golang", &["GOPATH", "GOLANG_VERSION"]),
    ("node", &["NODE_VERSION"]),
    ("openjdk", &["JAVA_HOME"]),
    ("php", &["PHP_INI_DIR", "PHPIZE_DEPS"]),
    ("python", &["PYTHON_VERSION"]),
    ("ruby", &["RUBY_VERSION", "GEM_HOME"]),
    ("rust", &["CARGO_HOME", "RUSTUP_HOME"]),
    ("scipy-notebook", &["CONDA_DIR", "NB_UID", "NB_USER"]),
    ("tomcat", &["CATALINA_HOME"]),
    ("wordpress", &["PHP_INI_DIR"]),
];

/// Where commands of some images start; elsewhere that is the root.
const WORKING_DIRECTORIES: [(&str, &str); 2] = [("golang", "/go"), ("tomcat", "/usr/local/tomcat")];

/// A registry that has every image.
struct Everything;

impl ResolveBase for Everything {
    fn resolve(&self, requests: &[BaseRequest]) -> Vec<Result<ResolvedBase, ResolveFailure>> {
        requests.iter().map(|request| Ok(image(request))).collect()
    }
}

/// A machine without network.
struct Nothing;

impl ResolveBase for Nothing {
    fn resolve(&self, requests: &[BaseRequest]) -> Vec<Result<ResolvedBase, ResolveFailure>> {
        let failure = ResolveFailure { message: "no network".to_owned(), help: None };
        vec![Err(failure); requests.len()]
    }
}

fn image(request: &BaseRequest) -> ResolvedBase {
    let mut platform = request.platform.split('/').map(str::to_owned);
    let last = request.reference.rsplit('/').next().unwrap();
    let name = last.split([':', '@']).next().unwrap();
    let sets = ENVIRONMENTS.iter().find(|(image, _)| *image == name).map_or(&[][..], |(_, sets)| *sets);
    let working_dir = WORKING_DIRECTORIES.iter().find(|(image, _)| *image == name);
    let working_dir = working_dir.map_or("", |(_, directory)| *directory).to_owned();
    let env = ["PATH"].iter().chain(sets).map(|variable| format!("{variable}=/{variable}")).collect();
    let config = ImageConfig {
        os: platform.next().unwrap_or_default(),
        architecture: platform.next().unwrap_or_default(),
        variant: platform.next(),
        config: ContainerConfig { env, working_dir, ..ContainerConfig::default() },
        ..ImageConfig::default()
    };
    ResolvedBase { digest: format!("sha256:{name}"), config }
}

fn corpus() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/parser/corpus");
    let mut files: Vec<PathBuf> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= LEAST, "{} files only", files.len());
    files
}

/// Everything that `build --check` finds in `source`, apart from that bases are not known.
fn check(source: &str, bases: &dyn ResolveBase) -> Vec<Diagnostic> {
    let parsed = kiln_parser::parse(source);
    let options = LowerOptions { check: true, ..LowerOptions::default() };
    let lowered = lower(source, &parsed.dockerfile, &options, bases);
    let mut found = parsed.diagnostics;
    found.extend(lowered.diagnostics);
    found.extend(advice(source, &parsed.dockerfile, None));
    found.retain(|diagnostic| diagnostic.code != "unknown-base");
    found.sort_by_key(|diagnostic| diagnostic.span);
    found
}

/// What no file of these may have: mistakes, and names that nobody knows.
fn false_findings(name: &str, source: &str, found: &[Diagnostic]) -> String {
    let wrong = found.iter().filter(|found| found.is_error() || found.code.starts_with("unknown"));
    render(&wrong.cloned().collect::<Vec<_>>(), source, name, false)
}

/// `LINE: CODE: message`
fn lines(source: &str, found: &[Diagnostic]) -> Vec<String> {
    let line = |found: &Diagnostic| {
        let line = source[..found.span.start].matches('\n').count() + 1;
        let mark = if found.severity == Severity::Note { " (advice)" } else { "" };
        format!("{line}: {}{mark}: {}", found.code, found.message)
    };
    found.iter().map(line).collect()
}

#[test]
fn what_people_write_is_understood_and_what_is_said_about_it_is_on_record() {
    let (mut text, mut wrong) = (String::new(), String::new());
    for file in corpus() {
        let (name, source) =
            (file.file_name().unwrap().to_str().unwrap(), fs::read_to_string(&file).unwrap());
        let found = check(&source, &Everything);
        wrong.push_str(&false_findings(name, &source, &found));
        let found = lines(&source, &found);
        if !found.is_empty() {
            writeln!(text, "{name}\n    {}", found.join("\n    ")).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/parser/corpus.expected");
    if std::env::var_os("KILN_BLESS").is_some() {
        fs::write(&golden, &text).unwrap();
    }
    let kept = fs::read_to_string(&golden).unwrap();
    let (kept, now): (BTreeSet<&str>, BTreeSet<&str>) = (kept.lines().collect(), text.lines().collect());
    let (gone, new) = (kept.difference(&now), now.difference(&kept));
    assert!(kept == now, "gone: {:#?}\nnew: {:#?}", gone.collect::<Vec<_>>(), new.collect::<Vec<_>>());
}

#[test]
fn without_network_nothing_is_said_that_is_not_so() {
    for file in corpus() {
        let (name, source) = (file.display().to_string(), fs::read_to_string(&file).unwrap());
        let known = lines(&source, &check(&source, &Everything));
        let mut found = check(&source, &Nothing);
        // That an image may have been meant to be a stage is a guess, and told as one.
        found.retain(|found| found.code != "base-image" || found.severity != Severity::Note);
        for line in lines(&source, &found) {
            assert!(known.contains(&line), "{name}: {line}");
        }
    }
}

#[test]
fn line_ends_and_a_byte_order_mark_make_no_difference() {
    for file in corpus() {
        let (name, source) = (file.display().to_string(), fs::read_to_string(&file).unwrap());
        let plain = source.replace("\r\n", "\n");
        let plain = plain.trim_start_matches('\u{feff}');
        let expected = lines(plain, &check(plain, &Everything));
        for other in [plain.replace('\n', "\r\n"), format!("\u{feff}{plain}")] {
            assert_eq!(lines(&other, &check(&other, &Everything)), expected, "{name}");
        }
    }
}
