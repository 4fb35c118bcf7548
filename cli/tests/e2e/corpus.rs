//! `build --check` over the Dockerfiles of `testdata/parser/corpus`: the binary finds what is on record, and nothing else.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::environment::TestEnvironment;
use crate::support::tool::run;

/// Fewer files than this mean that the directory was not found as a whole.
const LEAST: usize = 220;

/// The one rule that cannot be applied without the configuration of the base.
const OF_THE_BASE: &str = "UndefinedVar";

/// How often each of docker's rules holds, by file name: kiln's own begin with small letters.
fn on_record(testdata: &Path) -> BTreeMap<String, Vec<String>> {
    let text = fs::read_to_string(testdata.join("corpus.expected")).unwrap();
    let mut record: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut file = "";
    for line in text.lines() {
        match line.strip_prefix("    ") {
            None => file = line,
            Some(finding) => {
                let rule = finding.split(": ").nth(1).unwrap();
                let dockers = rule.starts_with(|c: char| c.is_ascii_uppercase());
                record.entry(file.to_owned()).or_default().extend(dockers.then(|| rule.to_owned()));
            }
        }
    }
    for rules in record.values_mut() {
        rules.sort();
    }
    record
}

#[test]
fn files_in_the_manner_of_what_people_have_are_checked_without_network() {
    let env = TestEnvironment::new();
    let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/parser");
    let mut record = on_record(&testdata);
    let context = env.dockerfile("context", "");
    // A store that is none: nothing is asked of a registry, and no base is known.
    let no_store = context.join("Dockerfile");
    let entries = fs::read_dir(testdata.join("corpus")).unwrap();
    let files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() >= LEAST, "{} files only", files.len());
    for file in files {
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        let mut kiln = env.kiln(["build", "--check", "--format=json", "-f"]);
        let outcome = run(kiln.arg(&file).arg(&context).env("KILN_ROOT", &no_store));
        let answer: Value =
            serde_json::from_str(&outcome.stdout).unwrap_or_else(|_| panic!("{name}: {outcome}"));
        assert_eq!(answer.get("buildError"), None, "{name}: {outcome}");
        let warnings = answer["warnings"].as_array().unwrap();
        assert_eq!(outcome.code(), i32::from(!warnings.is_empty()), "{name}: {outcome}");
        let rules = warnings.iter().map(|warning| warning["ruleName"].as_str().unwrap().to_owned());
        let mut rules: Vec<String> = rules.filter(|rule| rule != OF_THE_BASE).collect();
        rules.sort();
        let mut expected = record.remove(&name).unwrap_or_default();
        expected.retain(|rule| rule != OF_THE_BASE);
        assert_eq!(rules, expected, "{name}: {outcome}");
    }
    assert!(record.is_empty(), "no such files: {:?}", record.keys());
}
