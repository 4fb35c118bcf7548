//! What runs again when something changes, and what does not.

use std::fs;
use std::time::{Duration, SystemTime};

use crate::support::environment::TestEnvironment;
use crate::support::progress::Steps;
use crate::support::tool::Outcome;

const APP: &str = "ARG REGISTRY\nFROM ${REGISTRY}/busybox AS build\nRUN echo tools > /tools\nCOPY src /src\n\
    RUN cat /src/a /src/b > /program\n\
    FROM ${REGISTRY}/busybox AS docs\nCOPY docs /docs\nRUN cat /docs/* > /manual\n\
    FROM ${REGISTRY}/busybox\nCOPY --from=build /program /program\nCOPY --from=docs /manual /manual\nRUN ls -l / > /list\n";

fn steps(outcome: &Outcome) -> Steps {
    assert!(outcome.status.success(), "{outcome}");
    Steps::read(&format!("{}{}", outcome.stdout, outcome.stderr))
}

fn app(env: &TestEnvironment) -> std::path::PathBuf {
    let context = env.dockerfile("app", APP);
    for (name, text) in [("src/a", "a\n"), ("src/b", "b\n"), ("docs/one", "1\n"), ("unused", "x\n")] {
        let path = context.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    context
}

#[test]
fn only_what_depends_on_a_change_runs_again() {
    let env = TestEnvironment::new();
    let context = app(&env);
    let first = steps(&env.build(&context, "app", &[]));
    assert_eq!(first.executed().len(), 8, "{first:#?}");
    let id = env.id("app");

    let same = steps(&env.build(&context, "app", &[]));
    assert_eq!(same.executed(), [""; 0], "nothing changed");
    assert_eq!(env.id("app"), id, "a build that does nothing makes the same image");

    fs::write(context.join("src/b"), "changed\n").unwrap();
    let changed = steps(&env.build(&context, "app", &[]));
    let names: Vec<&str> = changed.executed();
    assert_eq!(names.len(), 5, "{names:#?}");
    for part in ["COPY src", "cat /src/a", "COPY --from=build", "COPY --from=docs", "ls -l"] {
        assert!(names.iter().any(|name| name.contains(part)), "`{part}` should have run: {names:#?}");
    }
    let reason = changed.step("COPY src").lines.join("\n");
    assert!(reason.contains("b changed"), "the miss should name the file that changed: {reason}");
}

#[test]
fn a_step_that_runs_again_with_the_same_result_stops_there() {
    let env = TestEnvironment::new();
    let context = app(&env);
    env.build(&context, "app", &[]).ok();
    // Another input, but the same program comes out of it.
    fs::write(context.join("src/a"), "a\nb\n").unwrap();
    fs::write(context.join("src/b"), "").unwrap();
    let again = steps(&env.build(&context, "app", &[]));
    let names = again.executed();
    assert!(names.iter().any(|name| name.contains("cat /src/a")), "{names:#?}");
    assert!(!names.iter().any(|name| name.contains("ls -l")), "the copied program is the same: {names:#?}");
}

#[test]
fn what_a_build_does_not_read_does_not_count() {
    let env = TestEnvironment::new();
    let context = app(&env);
    env.build(&context, "app", &[]).ok();
    fs::write(context.join("unused"), "changed\n").unwrap();
    let file = fs::File::options().append(true).open(context.join("src/a")).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_hours(5)).unwrap();
    let again = steps(&env.build(&context, "app", &["--label", "new=label"]));
    assert_eq!(again.executed(), [""; 0], "another file, another time stamp, a label");
}

#[test]
fn a_mode_counts_and_is_named() {
    use std::os::unix::fs::PermissionsExt;
    let env = TestEnvironment::new();
    let context = app(&env);
    env.build(&context, "app", &[]).ok();
    fs::set_permissions(context.join("src/a"), fs::Permissions::from_mode(0o755)).unwrap();
    let again = steps(&env.build(&context, "app", &[]));
    let reason = again.step("COPY src").lines.join("\n");
    assert!(reason.contains("mode of src/a 0644 -> 0755"), "{reason}");
}

#[test]
fn no_cache_runs_everything_and_saves_it() {
    let env = TestEnvironment::new();
    let context = app(&env);
    env.build(&context, "app", &[]).ok();
    let again = steps(&env.build(&context, "app", &["--no-cache"]));
    assert_eq!(again.executed().len(), 8, "{again:#?}");
    assert_eq!(steps(&env.build(&context, "app", &[])).executed(), [""; 0]);
}

#[test]
fn the_cache_can_be_left_out_for_stages() {
    let env = TestEnvironment::new();
    let text = "ARG REGISTRY\nFROM ${REGISTRY}/busybox AS one\nRUN echo 1 > /1\nFROM one AS two\nRUN echo 2 > /2\n\
                FROM ${REGISTRY}/busybox AS three\nRUN echo 3 > /3\nCOPY --from=two /2 /2\n";
    let context = env.dockerfile("filtered", text);
    env.build(&context, "app", &[]).ok();
    let executed = |filter: &str| {
        let steps = steps(&env.build(&context, "app", &["--no-cache-filter", filter]));
        steps.executed().iter().map(|name| name.split_once("] ").unwrap().1.to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(executed("two"), ["RUN echo 2 > /2"]);
    let mut both = executed("ONE");
    both.sort();
    assert_eq!(both, ["RUN echo 1 > /1", "RUN echo 2 > /2"], "and what begins with its files");
    let mut listed = executed("two,three");
    listed.sort();
    assert_eq!(listed, ["COPY --from=two /2 /2", "RUN echo 2 > /2", "RUN echo 3 > /3"]);
    assert_eq!(executed("nobody"), [""; 0]);
}

#[test]
fn only_the_stages_that_the_target_needs_are_built() {
    let env = TestEnvironment::new();
    let context = app(&env);
    let docs = steps(&env.build(&context, "docs", &["--target", "docs"]));
    assert_eq!(docs.executed().len(), 2, "{docs:#?}");
    assert!(env.image("docs").tree.contains_key("manual"));
}

#[test]
fn build_arguments_count_where_they_are_declared() {
    let env = TestEnvironment::new();
    let text = "ARG REGISTRY\nFROM ${REGISTRY}/busybox\nRUN echo before > /before\nARG WORD\nRUN echo $WORD > /after\n";
    let context = env.dockerfile("args", text);
    env.build(&context, "args", &["--build-arg", "WORD=one"]).ok();
    let again = steps(&env.build(&context, "args", &["--build-arg", "WORD=two"]));
    let names = again.executed();
    assert_eq!(names.len(), 1, "{names:#?}");
    assert!(names[0].contains("/after"), "{names:#?}");
    assert!(env.image("args").tree["after"].contains("two"));
}
