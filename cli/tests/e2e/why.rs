//! Why a step missed: in the output of the build, and afterwards through `kiln why`; `--require-cached`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::support::environment::TestEnvironment;
use crate::support::progress::Steps;
use crate::support::tool::Outcome;

const APP: &str = "ARG REGISTRY\nFROM ${REGISTRY}/busybox\nARG VERSION=1\nENV MODE=slow\nCOPY src /src\n\
    RUN cat /src/* > /all; touch -d @1 /all\nRUN echo done\n";

/// Its step whose result depends on nothing but the files.
const CAT: &str = "RUN cat /src/* > /all; touch -d @1 /all";

/// A context with two files and this Dockerfile.
fn app(env: &TestEnvironment, text: &str) -> PathBuf {
    let context = env.dockerfile("app", text);
    fs::create_dir_all(context.join("src")).unwrap();
    for (name, text) in [("src/main.rs", "fn main() {}\n"), ("src/run.sh", "true\n")] {
        fs::write(context.join(name), text).unwrap();
    }
    context
}

fn said(outcome: &Outcome) -> String {
    format!("{}{}", outcome.stdout, outcome.stderr)
}

/// What a build says of the steps that it executes: the instruction, and why.
fn reasons(outcome: &Outcome) -> Vec<(String, String)> {
    let steps = Steps::read(&said(outcome));
    let executed = steps.executed().into_iter().map(|name| {
        let line = steps.step(name).lines.iter().find_map(|line| line.strip_prefix("not cached: "));
        let instruction = name.split_once("] ").map_or(name, |(_, text)| text);
        (instruction.to_owned(), line.unwrap_or_default().to_owned())
    });
    executed.collect()
}

#[track_caller]
fn rebuilt(env: &TestEnvironment, context: &Path, more: &[&str], expected: &[(&str, &str)]) {
    let outcome = env.build(context, "app", more);
    assert!(outcome.status.success(), "{outcome}");
    let expected: Vec<(String, String)> =
        expected.iter().map(|(step, reason)| ((*step).to_owned(), (*reason).to_owned())).collect();
    assert_eq!(reasons(&outcome), expected, "{outcome}");
}

const COPY_RAN: &str = "built on [2/4] COPY src /src, which was executed again and gave another result";
const NEVER: &str = "no earlier build of this step";

#[test]
fn files_modes_and_ignore_rules() {
    let env = TestEnvironment::new();
    let context = app(&env, APP);
    rebuilt(&env, &context, &[], &[("COPY src /src", NEVER), (CAT, NEVER), ("RUN echo done", NEVER)]);
    let with =
        |reason: &'static str| [("COPY src /src", reason), (CAT, COPY_RAN), ("RUN echo done", COPY_RAN)];
    fs::write(context.join("src/main.rs"), "fn main() { todo() }\n").unwrap();
    rebuilt(&env, &context, &[], &with("src/main.rs changed"));
    fs::set_permissions(context.join("src/run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    rebuilt(&env, &context, &[], &with("mode of src/run.sh 0644 -> 0755"));
    for name in ["a", "b", "c", "d", "e"] {
        fs::write(context.join("src").join(name), name).unwrap();
    }
    rebuilt(&env, &context, &[], &with("src/a is new, src/b is new, src/c is new and 2 more"));
    fs::write(context.join(".dockerignore"), "src/[a-c]\n").unwrap();
    let left = |name: &str| format!("src/{name} is left out now by src/[a-c] of the ignore file");
    let reason = format!("{}, {}, {} and 1 more", left("a"), left("b"), left("c"));
    rebuilt(&env, &context, &[], &[("COPY src /src", &reason), (CAT, COPY_RAN), ("RUN echo done", COPY_RAN)]);
}

#[test]
fn arguments_variables_and_edited_instructions() {
    let env = TestEnvironment::new();
    let context = app(&env, APP);
    env.build(&context, "app", &[]).ok();
    let write = |text: &str| fs::write(context.join("Dockerfile"), text).unwrap();

    let expected = [(CAT, "ARG VERSION 1 -> 2"), ("RUN echo done", "ARG VERSION 1 -> 2")];
    rebuilt(&env, &context, &["--build-arg", "VERSION=2"], &expected);
    write(&APP.replace("MODE=slow", "MODE=fast"));
    let outcome = env.build(&context, "app", &[]);
    assert_eq!(reasons(&outcome)[0].1, "ARG VERSION 2 -> 1, ENV MODE slow -> fast", "{outcome}");
    write(APP);
    env.build(&context, "app", &[]).ok();

    write(&APP.replace("RUN echo done", "RUN echo finished"));
    rebuilt(
        &env,
        &context,
        &[],
        &[("RUN echo finished", "the instruction changed: RUN echo done -> RUN echo finished")],
    );
    write(&APP.replace("COPY src /src", "WORKDIR /w\nCOPY src /src"));
    let outcome = env.build(&context, "app", &[]);
    let reasons = reasons(&outcome);
    assert_eq!(reasons[0], ("WORKDIR /w".to_owned(), NEVER.to_owned()), "{outcome}");
    assert_eq!(
        reasons[1],
        ("COPY src /src".to_owned(), "WORKDIR /w before it is new".to_owned()),
        "{outcome}"
    );
}

#[test]
fn an_edit_that_failed_is_still_compared_with_what_succeeded() {
    let env = TestEnvironment::new();
    let context = app(&env, APP);
    env.build(&context, "app", &[]).ok();
    fs::write(context.join("Dockerfile"), APP.replace("RUN echo done", "RUN false")).unwrap();
    assert!(!env.build(&context, "app", &[]).status.success());
    fs::write(context.join("Dockerfile"), APP.replace("RUN echo done", "RUN true")).unwrap();
    rebuilt(&env, &context, &[], &[("RUN true", "the instruction changed: RUN echo done -> RUN true")]);
}

#[test]
fn another_base_is_named() {
    let env = TestEnvironment::new();
    let context = app(&env, APP);
    env.build(&context, "app", &[]).ok();
    fs::write(context.join("Dockerfile"), APP.replace("/busybox", "/debian")).unwrap();
    let outcome = env.build(&context, "app", &[]);
    let host = env.registry.host();
    for (_, reason) in reasons(&outcome) {
        assert!(reason.ends_with(&format!("base image {host}/busybox -> {host}/debian")), "{outcome}");
    }
}

#[test]
fn mounted_files_have_the_names_that_they_have_in_the_context() {
    let env = TestEnvironment::new();
    let run = "RUN --mount=type=bind,source=src,target=/in cat /in/main.rs";
    let context = app(&env, &format!("ARG REGISTRY\nFROM ${{REGISTRY}}/busybox\n{run}\n"));
    rebuilt(&env, &context, &[], &[(run, NEVER)]);
    fs::write(context.join("src/main.rs"), "fn main() { todo() }\n").unwrap();
    rebuilt(&env, &context, &[], &[(run, "src/main.rs changed")]);
}

#[test]
fn what_was_evicted_says_so() {
    let env = TestEnvironment::new();
    let context = app(&env, APP);
    env.build(&context, "app", &[]).ok();
    env.run(["rmi", "app"]).ok();
    env.run(["prune", "--all", "--force"]).ok();
    let outcome = env.build(&context, "app", &[]);
    for (_, reason) in reasons(&outcome) {
        assert!(reason.starts_with("evicted by gc on 20"), "{outcome}");
    }
}

#[test]
fn another_digest_of_the_base_is_named() {
    let env = TestEnvironment::new();
    let base = env.dockerfile(
        "base",
        "ARG REGISTRY\nFROM ${REGISTRY}/busybox\nARG NUMBER\nRUN echo $NUMBER > /number\n",
    );
    env.build(&base, "base:1", &["--build-arg", "NUMBER=1"]).ok();
    let context = env.dockerfile("app", "FROM base:1\nRUN cat /number\n");
    env.build(&context, "app", &[]).ok();
    env.build(&base, "base:1", &["--build-arg", "NUMBER=2"]).ok();
    let outcome = env.build(&context, "app", &[]);
    let reasons = reasons(&outcome);
    assert!(reasons[0].1.starts_with("base image base:1 changed (digest "), "{outcome}");
}

#[test]
fn no_cache_is_the_reason_where_it_is() {
    let env = TestEnvironment::new();
    let context = app(&env, APP);
    env.build(&context, "app", &[]).ok();
    rebuilt(
        &env,
        &context,
        &["--no-cache"],
        &[("COPY src /src", "--no-cache"), (CAT, "--no-cache"), ("RUN echo done", "--no-cache")],
    );
}

#[test]
fn why_tells_all_steps_and_one_in_full() {
    let env = TestEnvironment::new();
    let context = app(&env, APP);
    env.build(&context, "app", &[]).ok();
    fs::write(context.join("src/main.rs"), "fn main() { todo() }\n").unwrap();
    env.build(&context, "app", &["--build-arg", "VERSION=2"]).ok();

    let why = |more: &[&str]| {
        let mut command = env.kiln(["why"]);
        command.args(more).current_dir(&context);
        let outcome = crate::support::tool::run(&mut command);
        assert!(outcome.status.success(), "{outcome}");
        outcome.stdout
    };
    let table = why(&[]);
    assert!(table.contains("3 executed"), "{table}");
    assert!(table.contains("src/main.rs changed"), "{table}");
    let copy = why(&["2"]);
    assert!(copy.contains("It is compared with the result of"), "{copy}");
    assert!(copy.contains("Files that changed:\n  src/main.rs changed   file 0644"), "{copy}");
    let run = why(&["cat /src"]);
    assert!(run.contains("What changed:\n  ARG VERSION 1 -> 2\n"), "{run}");
    assert!(run.contains("* variable VERSION"), "{run}");

    let document: serde_json::Value = serde_json::from_str(&why(&["--format", "json"])).unwrap();
    assert_eq!(document["steps"][0]["outcome"], "executed");
    assert_eq!(document["steps"][0]["changes"][0]["subject"], "src/main.rs");
    let document: serde_json::Value = serde_json::from_str(&why(&["3", "--format=json"])).unwrap();
    assert!(document["parts"].as_array().unwrap().iter().any(|part| part["name"] == "variable VERSION"));

    let elsewhere = env.run(["why", "-f", context.join("Dockerfile").to_str().unwrap()]);
    assert_eq!(elsewhere.stdout, table);
    let nothing = env.run(["why"]);
    assert!(!nothing.status.success() && nothing.stderr.contains("no Dockerfile"), "{nothing}");
}

const STAGES: &str = "ARG REGISTRY\nFROM ${REGISTRY}/busybox AS tools\nRUN echo tools > /tools\n\
    FROM ${REGISTRY}/busybox AS app\nCOPY src /src\nRUN cat /src/* > /all\n\
    FROM ${REGISTRY}/busybox\nCOPY --from=tools /tools /\nCOPY --from=app /all /\n";

#[test]
fn nothing_is_executed_that_must_be_cached() {
    let env = TestEnvironment::new();
    let context = app(&env, STAGES);
    let empty = env.build(&context, "app", &["--require-cached"]);
    assert_eq!(empty.status.code(), Some(3), "{empty}");
    assert!(
        empty.stderr.contains("not cached: [tools 2/2] RUN echo tools > /tools: no earlier build"),
        "{empty}"
    );
    assert!(
        empty.stderr.contains("RUN cat /src/* > /all: it follows from a step that is not cached"),
        "{empty}"
    );

    env.build(&context, "app", &[]).ok();
    assert!(env.build(&context, "app", &["--require-cached"]).status.success());

    fs::write(context.join("src/main.rs"), "changed\n").unwrap();
    let changed = env.build(&context, "app", &["--require-cached"]);
    assert_eq!(changed.status.code(), Some(3), "{changed}");
    assert!(changed.stderr.contains("not cached: [app 2/3] COPY src /src: src/main.rs changed"), "{changed}");
    assert!(!changed.stderr.contains("not cached: [tools"), "{changed}");

    let others = env.build(&context, "app", &["--require-cached=tools"]);
    assert!(others.status.success(), "{others}");
    let contradiction = env.build(&context, "app", &["--require-cached", "--no-cache"]);
    assert_eq!(contradiction.status.code(), Some(2), "{contradiction}");
    let typo = env.build(&context, "app", &["--require-cached=tulls"]);
    assert!(typo.stderr.contains("no stage `tulls`") && typo.stderr.contains("tools, app, 2"), "{typo}");
}

#[test]
fn a_shared_cache_may_have_what_must_be_cached() {
    let (one, two) = (TestEnvironment::new(), TestEnvironment::new());
    let context = app(&one, STAGES);
    let cache = one.path("cache");
    let to = format!("type=local,dest={},mode=max", cache.display());
    one.build(&context, "app", &["--cache-to", &to]).ok();
    let from = format!("type=local,src={}", cache.display());
    assert_eq!(two.build(&context, "app", &["--require-cached"]).status.code(), Some(3));
    two.build(&context, "app", &["--require-cached", "--cache-from", &from]).ok();
    let table = two.run(["why", "-f", context.join("Dockerfile").to_str().unwrap()]);
    assert!(table.stdout.contains("imported"), "{table}");

    fs::write(context.join("src/main.rs"), "changed\n").unwrap();
    let third = two.build(&context, "app", &["--require-cached", "--cache-from", &from]);
    assert_eq!(third.status.code(), Some(3), "{third}");
    assert!(third.stderr.contains("COPY src /src: src/main.rs changed"), "{third}");
}

#[test]
fn platforms_in_turn_do_not_explain_each_other() {
    let env = TestEnvironment::new();
    let text = "ARG REGISTRY\nFROM --platform=$BUILDPLATFORM ${REGISTRY}/busybox AS tools\nARG TARGETARCH\nARG V=1\n\
        RUN echo $TARGETARCH $V > /tool\nFROM scratch\nCOPY --from=tools /tool /\n";
    let context = env.dockerfile("app", text);
    let (run, copy) = ("RUN echo $TARGETARCH $V > /tool", "COPY --from=tools /tool /");
    let build = |platform: &str, more: &[&str], reasons: &[(&str, &str)]| {
        rebuilt(&env, &context, &[&["--platform", platform], more].concat(), reasons);
    };
    build("linux/amd64", &[], &[(run, NEVER), (copy, NEVER)]);
    build("linux/arm64", &[], &[(run, NEVER), (copy, NEVER)]);
    let changed = [(run, "ARG V 1 -> 2"), (copy, "tool changed")];
    build("linux/amd64", &["--build-arg", "V=2"], &changed);
    build("linux/arm64", &["--build-arg", "V=2"], &changed);
    assert!(
        env.run(["why", "-f", "app/Dockerfile", "RUN"]).ok().contains('V'),
        "the last one is what is told of"
    );

    // An edited instruction, too, is compared with what it was for its own platform.
    fs::write(context.join("Dockerfile"), text.replace("RUN echo", "RUN printf '%s %s\\n'")).unwrap();
    let edited = env.build(&context, "app", &["--platform", "linux/amd64", "--build-arg", "V=2"]);
    let (_, reason) = reasons(&edited).swap_remove(0);
    assert!(reason.contains("printf") && !reason.contains("TARGETARCH arm64"), "{reason}");
}
