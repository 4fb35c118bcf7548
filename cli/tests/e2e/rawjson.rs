//! `--progress=rawjson`: every line is a document in the shape of BuildKit's `client.SolveStatus`, whatever happens.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::support::environment::TestEnvironment;
use crate::support::tool::{Outcome, run};

/// What a client of BuildKit's reads; anything else is refused here.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Line {
    vertexes: Vec<Vertex>,
    statuses: Vec<Status>,
    logs: Vec<Log>,
    warnings: Vec<Warning>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Vertex {
    digest: String,
    #[serde(default)]
    inputs: Vec<String>,
    name: String,
    started: Option<Timestamp>,
    completed: Option<Timestamp>,
    #[serde(default)]
    cached: bool,
    #[serde(default)]
    error: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Status {
    id: String,
    vertex: String,
    #[serde(default)]
    total: i64,
    current: i64,
    timestamp: Timestamp,
    started: Option<Timestamp>,
    completed: Option<Timestamp>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Log {
    vertex: String,
    stream: u8,
    data: String,
    timestamp: Timestamp,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Warning {
    #[serde(default)]
    vertex: String,
    level: u8,
    short: String,
    #[serde(default)]
    detail: Vec<String>,
    #[serde(default)]
    url: String,
    #[serde(rename = "sourceInfo")]
    source_info: Option<SourceInfo>,
    #[serde(default)]
    range: Vec<Range>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceInfo {
    filename: String,
    data: String,
    language: String,
}

#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
struct Range {
    start: Position,
    end: Position,
}

#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
struct Position {
    line: i32,
    #[serde(default)]
    character: i32,
}

fn decoded(text: &str) -> String {
    String::from_utf8(BASE64_STANDARD.decode(text).unwrap()).unwrap()
}

/// All lines of one build.
#[derive(Debug)]
struct Stream {
    /// Each as it was at the end.
    vertexes: BTreeMap<String, Vertex>,
    /// What each is built on.
    inputs: BTreeMap<String, BTreeSet<String>>,
    logs: BTreeMap<String, String>,
    statuses: Vec<Status>,
    warnings: Vec<Warning>,
}

impl Stream {
    /// Reads every line of standard error, and checks what holds for each.
    #[track_caller]
    fn read(outcome: &Outcome) -> Stream {
        let mut stream = Stream {
            vertexes: BTreeMap::new(),
            inputs: BTreeMap::new(),
            logs: BTreeMap::new(),
            statuses: Vec::new(),
            warnings: Vec::new(),
        };
        for text in outcome.stderr.lines() {
            let line: Line =
                serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}\n{outcome}"));
            for vertex in line.vertexes {
                assert!(vertex.digest.starts_with("sha256:") && vertex.digest.len() == 71, "{vertex:?}");
                assert!(vertex.completed.is_none() || vertex.started.is_some(), "{vertex:?}");
                assert!(vertex.completed.is_none_or(|end| Some(end) >= vertex.started), "{vertex:?}");
                let digest = vertex.digest.clone();
                stream.inputs.entry(digest.clone()).or_default().extend(vertex.inputs.clone());
                stream.vertexes.insert(digest, vertex);
                let known = |input: &String| stream.vertexes.contains_key(input);
                assert!(stream.inputs.values().flatten().all(known), "{text}");
            }
            for log in line.logs {
                assert!([1, 2].contains(&log.stream) && log.timestamp > Timestamp::UNIX_EPOCH, "{log:?}");
                let name = stream.vertexes[&log.vertex].name.clone();
                *stream.logs.entry(name).or_default() += &decoded(&log.data);
            }
            for status in &line.statuses {
                assert!(stream.vertexes.contains_key(&status.vertex), "{status:?}");
                assert!(
                    status.started.is_some() && status.completed.is_none_or(|end| end <= status.timestamp)
                );
                assert!(status.total == 0 || status.current <= status.total, "{status:?}");
            }
            stream.statuses.extend(line.statuses);
            for warning in &line.warnings {
                assert_eq!(warning.level, 1, "{warning:?}");
                let known = warning.vertex.is_empty() || stream.vertexes.contains_key(&warning.vertex);
                assert!(known, "{warning:?}");
                assert_eq!(warning.source_info.is_some(), !warning.range.is_empty(), "{warning:?}");
            }
            stream.warnings.extend(line.warnings);
        }
        let open: Vec<&Vertex> = stream
            .vertexes
            .values()
            .filter(|vertex| vertex.started.is_some() && vertex.completed.is_none())
            .collect();
        assert!(open.is_empty(), "{open:?}");
        stream
    }

    #[track_caller]
    fn vertex(&self, part: &str) -> &Vertex {
        self.vertexes.values().find(|vertex| vertex.name.contains(part)).unwrap()
    }

    /// `short` of each warning and the lines that it names.
    fn told(&self) -> Vec<(String, Vec<i32>)> {
        let lines = |warning: &Warning| warning.range.iter().map(|range| range.start.line).collect();
        self.warnings.iter().map(|warning| (decoded(&warning.short), lines(warning))).collect()
    }
}

fn build(env: &TestEnvironment, text: &str, args: &[&str]) -> Outcome {
    let context = env.dockerfile("context", text);
    let mut command = env.kiln(["build", "--progress=rawjson"]);
    run(command.args(args).arg(context))
}

fn base(env: &TestEnvironment) -> String {
    format!("FROM {}\n", env.reference("busybox"))
}

#[test]
fn a_build_that_succeeds_and_again_from_the_cache() {
    let env = TestEnvironment::new();
    let text = format!("{}RUN echo out; echo err >&2; printf 'no end'\n", base(&env));
    let outcome = build(&env, &text, &["-t", "raw"]);
    assert!(outcome.status.success() && outcome.stdout.is_empty(), "{outcome}");
    let stream = Stream::read(&outcome);
    let run = stream.vertex("RUN echo out");
    assert!(!run.cached && run.error.is_empty(), "{run:?}");
    let log = &stream.logs[&run.name];
    assert!(log.contains("out\n") && log.contains("err\n") && log.contains("no end\n"), "{log}");
    assert!(stream.statuses.iter().any(|status| status.id.starts_with("not cached: ")), "{stream:?}");
    assert!(stream.warnings.is_empty(), "{stream:?}");
    let read = stream.vertex("[internal] load build definition from");
    assert!(read.error.is_empty());
    let base = stream.inputs[&run.digest].iter().map(|input| stream.vertexes[input].name.as_str());
    assert!(base.collect::<String>().contains("FROM "), "{stream:?}");

    let context = env.path("context");
    let again = run_with(&env, &["build", context.to_str().unwrap()]);
    let again = Stream::read(&again);
    assert!(again.vertex("RUN echo out").cached && again.logs.is_empty());
    assert_eq!(again.vertex("RUN echo out").digest, run.digest, "a step has the same digest in every build");
}

/// The environment asks for it as well.
fn run_with(env: &TestEnvironment, args: &[&str]) -> Outcome {
    run(env.kiln(args).env("BUILDKIT_PROGRESS", "rawjson"))
}

#[test]
fn a_quiet_build_and_a_wrong_word() {
    let env = TestEnvironment::new();
    let outcome = build(&env, "FROM scratch\nLABEL a=b\n", &["--quiet"]);
    assert!(outcome.stderr.is_empty() && outcome.stdout.starts_with("sha256:"), "{outcome}");
    let context = env.path("context");
    let wrong = run(env.kiln(["build"]).arg(context).env("BUILDKIT_PROGRESS", "json"));
    assert_eq!(wrong.code(), 2, "{wrong}");
    assert!(wrong.stderr.contains("rawjson"), "{wrong}");
}

#[test]
fn a_command_that_fails_is_told_at_its_lines() {
    let env = TestEnvironment::new();
    let outcome = build(&env, &format!("{}RUN echo before && \\\n    exit 7\n", base(&env)), &["-t", "raw"]);
    assert_eq!(outcome.code(), 1, "{outcome}");
    let stream = Stream::read(&outcome);
    let step = stream.vertex("RUN echo before");
    assert!(step.error.contains("code 7"), "{step:?}");
    assert_eq!(stream.logs[&step.name], "before\n");
    let [warning] = stream.warnings.as_slice() else { panic!("{stream:?}") };
    assert_eq!(warning.vertex, step.digest);
    assert_eq!(stream.told()[0].1, [2, 3]);
    assert!(decoded(&warning.short).contains("code 7"), "{stream:?}");
    let source = warning.source_info.as_ref().unwrap();
    assert!(source.filename.ends_with("/Dockerfile") && source.language == "Dockerfile", "{source:?}");
    assert!(decoded(&source.data).contains("exit 7"));
    assert_eq!(warning.range[0].start.character, 0);
    assert_eq!(warning.range[0].start, warning.range[0].end);
}

#[test]
fn a_missing_file_says_why() {
    let env = TestEnvironment::new();
    let text = "FROM scratch\nCOPY secret /\n";
    let context = env.dockerfile("context", text);
    fs::write(context.join("secret"), "x").unwrap();
    fs::write(context.join(".dockerignore"), "# all\nsecret\n").unwrap();
    let stream = Stream::read(&build(&env, text, &[]));
    let warning = stream.warnings.last().unwrap();
    assert!(
        stream.vertexes[&warning.vertex].error.contains("secret is not in the build context"),
        "{stream:?}"
    );
    let detail: Vec<String> = warning.detail.iter().map(|line| decoded(line)).collect();
    assert!(detail.iter().any(|line| line.contains("line 2 of")), "{detail:?}");
    assert_eq!(warning.range[0].start.line, 2);
}

#[test]
fn mistakes_are_data_each_of_them() {
    let env = TestEnvironment::new();
    let outcome = build(&env, "FROM scratch AS Build\nRNU make\nCOPPY a b\n", &[]);
    assert_eq!(outcome.code(), 1, "{outcome}");
    let stream = Stream::read(&outcome);
    let mut told = stream.told();
    told.sort();
    assert_eq!(
        told,
        [
            ("StageNameCasing: Stage name 'Build' should be lowercase (line 1)".to_owned(), vec![1]),
            ("unknown-instruction: unknown instruction: COPPY (line 3)".to_owned(), vec![3]),
            ("unknown-instruction: unknown instruction: RNU (line 2)".to_owned(), vec![2]),
        ]
    );
    let read = stream.vertex("load build definition");
    assert!(read.error.contains("RNU") && read.error.contains("COPPY"), "{read:?}");
    assert!(stream.warnings.iter().all(|warning| warning.vertex == read.digest));
    let lowering = Stream::read(&build(&env, "FROM scratch\nRUN --security=insecure x\n", &[]));
    assert!(
        lowering.told().iter().any(|(short, lines)| short.contains("entitlement") && *lines == [2]),
        "{lowering:?}"
    );
}

#[test]
fn what_is_about_no_file_is_data_too() {
    let env = TestEnvironment::new();
    let reference = env.reference("nobody/has:this");
    let outcome = build(&env, &format!("FROM {reference}\n"), &[]);
    assert_eq!(outcome.code(), 1, "{outcome}");
    let stream = Stream::read(&outcome);
    assert!(stream.told().iter().any(|(short, _)| short.contains("nobody/has")), "{stream:?}");
}

/// The findings of a build are those of a check.
#[test]
fn a_check_finds_the_same() {
    let env = TestEnvironment::new();
    let doubtful = "from scratch AS Build\nMAINTAINER me\nENV A $B\nCMD echo x\nCMD [\"y\"]\nEXPOSE 80/TCP\n";
    for text in [doubtful, "FROM scratch AS Build\nCOPPY a b\nEVN x\n"] {
        let built = Stream::read(&build(&env, text, &[]));
        let context = env.path("context");
        let check = env.run(["build", "--check", "--format", "json", context.to_str().unwrap()]);
        let answer: Value = serde_json::from_str(&check.stdout).unwrap();
        let listed = |key: &str| answer[key].as_array().cloned().unwrap_or_default();
        let found: BTreeSet<(String, Vec<i32>)> = [listed("warnings"), listed("mistakes")]
            .concat()
            .iter()
            .map(|one| {
                let ranges = one["location"]["ranges"].as_array().unwrap();
                let lines: Vec<i32> = ranges
                    .iter()
                    .map(|range| i32::try_from(range["start"]["line"].as_i64().unwrap()).unwrap())
                    .collect();
                let (rule, detail) = (one["ruleName"].as_str().unwrap(), one["detail"].as_str().unwrap());
                (format!("{rule}: {detail} (line {})", lines[0]), lines)
            })
            .collect();
        let told: BTreeSet<(String, Vec<i32>)> = built.told().into_iter().collect();
        assert_eq!(told, found, "{answer}");
        assert!(found.len() >= 3, "{found:?}");
        let urls =
            |warning: &&Warning| warning.url.starts_with("https://docs.docker.com/go/dockerfile/rule/");
        assert_eq!(built.warnings.iter().filter(urls).count(), listed("warnings").len());
    }
}
