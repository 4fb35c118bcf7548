//! `--check` and `--call`: what people and programs are told about a Dockerfile that is not built.

use serde_json::{Value, json};

use crate::support::environment::TestEnvironment;
use crate::support::tool::Outcome;

/// One file with two findings of docker's rules and one of kiln's own.
const DOUBTFUL: &str = "FROM scratch AS Build\nENV NAME value\nCMD ['a', 'b']\n";

fn asked(env: &TestEnvironment, text: &str, args: &[&str]) -> Outcome {
    let context = env.dockerfile("asked", text);
    let context = context.to_str().unwrap().to_owned();
    let mut words = vec!["build"];
    words.extend(args);
    words.push(&context);
    env.run(words)
}

fn json_of(outcome: &Outcome) -> Value {
    serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}\n{outcome}"))
}

#[test]
fn findings_are_shown_in_dockers_words_with_the_place() {
    let env = TestEnvironment::new();
    let outcome = asked(&env, DOUBTFUL, &["--check"]);
    assert_eq!(outcome.code(), 1, "{outcome}");
    let file = env.path("asked/Dockerfile");
    let expected = format!(
        "Check complete, 3 warnings have been found!

WARNING: StageNameCasing - https://docs.docker.com/go/dockerfile/rule/stage-name-casing/
Stage name 'Build' should be lowercase
 --> {file}:1:17
  |
1 | FROM scratch AS Build
  |                 ^^^^^

WARNING: LegacyKeyValueFormat - https://docs.docker.com/go/dockerfile/rule/legacy-key-value-format/
\"ENV key=value\" should be used instead of legacy \"ENV key value\" format
 --> {file}:2:5
  |
2 | ENV NAME value
  |     ^^^^^^^^^^

WARNING: JSONArgsRecommended - https://docs.docker.com/go/dockerfile/rule/json-args-recommended/
JSON arguments recommended for CMD to prevent unintended behavior related to OS signals
 --> {file}:3:5
  |
3 | CMD ['a', 'b']
  |     ^^^^^^^^^^

REMARK: malformed-json
this is not a JSON array, so CMD takes it as plain text
",
        file = file.display()
    );
    assert!(outcome.stdout.starts_with(&expected), "{outcome}");
    assert_eq!(outcome.stderr, "", "{outcome}");
    assert_eq!(env.run(["images", "-q", "--all"]).ok(), "", "nothing is built");
}

#[test]
fn a_clean_file_and_skipped_rules_succeed() {
    let env = TestEnvironment::new();
    for text in ["FROM scratch\nCOPY . /\n".to_owned(), format!("# check=skip=all\n{DOUBTFUL}")] {
        let outcome = asked(&env, &text, &["--call=check"]);
        assert_eq!(outcome.ok(), "Check complete, no warnings found.\n");
    }
    let argument = "BUILDKIT_DOCKERFILE_CHECK=skip=all";
    asked(&env, DOUBTFUL, &["--check", "--build-arg", argument]).ok();
    let ignored = asked(&env, DOUBTFUL, &["--call=check,ignorestatus=true"]);
    assert!(ignored.ok().starts_with("Check complete, 3 warnings"));
}

#[test]
fn findings_as_json_have_dockers_fields() {
    let env = TestEnvironment::new();
    let outcome = asked(&env, DOUBTFUL, &["--call=check,format=json"]);
    assert_eq!(outcome.code(), 1, "{outcome}");
    let answer = json_of(&outcome);
    let line = |line: u32| json!({ "ranges": [{ "start": { "line": line }, "end": { "line": line } }] });
    let warning = &answer["warnings"][0];
    assert_eq!(warning["ruleName"], "StageNameCasing");
    assert_eq!(warning["description"], "Stage names should be lowercase");
    assert_eq!(warning["url"], "https://docs.docker.com/go/dockerfile/rule/stage-name-casing/");
    assert_eq!(warning["detail"], "Stage name 'Build' should be lowercase");
    assert_eq!(warning["location"], line(1));
    assert_eq!(answer["warnings"].as_array().map(Vec::len), Some(3));
    assert_eq!(answer["remarks"][0]["ruleName"], "malformed-json");
    assert_eq!(answer["sources"][0]["filename"], env.path("asked/Dockerfile").to_str().unwrap());
    assert_eq!(answer.get("buildError"), None);
    let again = asked(&env, DOUBTFUL, &["--check", "--format", "json"]);
    assert_eq!(json_of(&again), answer);
}

#[test]
fn mistakes_are_told_beside_the_findings() {
    let env = TestEnvironment::new();
    let text = "FROM scratch AS Build\nRNU make\nCOPPY a b\n";
    let outcome = asked(&env, text, &["--check"]);
    assert_eq!(outcome.code(), 1, "{outcome}");
    assert!(outcome.stdout.starts_with("Check complete, 1 warning has been found!\n"), "{outcome}");
    for part in ["unknown instruction: RNU", "unknown instruction: COPPY", "did you mean `COPY`?"] {
        assert!(outcome.stderr.contains(part), "{outcome}");
    }
    let answer = json_of(&asked(&env, text, &["--check", "--format=json"]));
    assert_eq!(answer["buildError"]["message"], "unknown instruction: RNU");
    assert_eq!(answer["buildError"]["location"]["ranges"][0]["start"]["line"], 2);
}

#[test]
fn a_file_may_make_errors_of_its_findings() {
    let env = TestEnvironment::new();
    let text = "# check=error=true\nFROM scratch AS Build\nCMD [\"a\"]\n";
    let outcome = asked(&env, text, &["--check"]);
    assert_eq!(outcome.code(), 1, "{outcome}");
    assert!(outcome.stderr.contains("lint violation found for rules: StageNameCasing"), "{outcome}");
    let build = asked(&env, text, &[]).fails();
    assert!(build.contains("Stage name 'Build' should be lowercase"), "{build}");
}

#[test]
fn a_base_that_nobody_has_fails_no_check() {
    let env = TestEnvironment::new();
    let text = format!(
        "FROM {}\nENV PATH=$SOMEWHERE/bin:$PATH\nCOPY --from=nobody /has /this\n",
        env.reference("nobody/has:this")
    );
    let outcome = asked(&env, &text, &["--check"]);
    let said = outcome.ok();
    assert!(said.starts_with("Check complete, no warnings found.\n\nNOTE: unknown-base\n"), "{said}");
}

#[test]
fn advice_is_only_given_to_who_asks() {
    let env = TestEnvironment::new();
    let text = "FROM scratch\nCOPY Dockerfile /run\nRUN chmod +x /run && npm ci\n";
    let said = asked(&env, text, &["--check"]).ok();
    assert!(said.starts_with("Check complete, no warnings found.\n\nNOTE: stored-twice\n"), "{said}");
    assert!(said.contains("\nNOTE: download-without-cache\n"), "{said}");
    let build = asked(&env, &text.replace("RUN chmod +x /run && npm ci\n", ""), &[]);
    assert!(!build.stderr.contains("warning"), "{build}");
}

#[test]
fn targets_and_their_parameters() {
    let env = TestEnvironment::new();
    let text = "# VERSION of the thing\nARG VERSION=1\nFROM scratch AS base\n# app runs it\nFROM base AS app\nARG VERSION\n\
                RUN --mount=type=secret,id=key,required make\nFROM app\n";
    let targets = asked(&env, text, &["--call=targets"]).ok();
    assert_eq!(targets, "TARGET    DESCRIPTION\nbase      \napp       runs it\n(default) \n");
    let answer = json_of(&asked(&env, text, &["--call", "targets,format=json"]));
    assert_eq!(answer["targets"][1]["name"], "app");
    assert_eq!(answer["targets"][1]["description"], "runs it");
    assert_eq!(answer["targets"][1]["base"], "base");
    assert_eq!(answer["targets"][2]["default"], true);
    let outline = asked(&env, text, &["--call=outline", "--target=app", "--build-arg=VERSION=2"]).ok();
    let expected = "TARGET:      app\nDESCRIPTION: runs it\n\nBUILD ARG   VALUE   DESCRIPTION\n\
                    VERSION     2       \n\nSECRET   REQUIRED\nkey      true\n\n";
    assert_eq!(outline, expected);
    let answer = json_of(&asked(&env, text, &["--call=outline,format=json"]));
    assert_eq!(answer["args"][0]["name"], "VERSION");
    assert_eq!(answer["args"][0]["value"], "1");
    assert_eq!(answer["args"][0]["description"], "of the thing");
    assert_eq!(
        answer["secrets"][0],
        json!({ "name": "key", "required": true,
        "location": { "ranges": [{ "start": { "line": 7 }, "end": { "line": 7 } }] } })
    );
}
