//! The same inputs give the same image: in another store, on another day, from another copy of the context.

use std::time::{Duration, SystemTime};

use crate::support::environment::TestEnvironment;

#[test]
fn layers_of_files_are_the_same_in_two_stores() {
    let env = TestEnvironment::new();
    let other = env.another_store("other");
    for name in ["copy", "add", "links", "ignore", "volume"] {
        let context = env.context(name);
        env.build(&context, name, &[]).ok();
        other.build(&context, name, &[]).ok();
        let (left, right) = (env.image(name), other.image(name));
        // A step that runs a process stamps its files with the time; those of files alone have no time of their own.
        let steps_that_run = std::fs::read_to_string(context.join("Dockerfile")).unwrap().contains("\nRUN ");
        if !steps_that_run {
            assert_eq!(left.diff_ids(), right.diff_ids(), "{name}");
        }
        assert_eq!(left.tree, right.tree, "{name}");
    }
}

#[test]
fn results_of_processes_are_the_same_but_for_the_time() {
    let env = TestEnvironment::new();
    let other = env.another_store("other");
    for name in ["run", "delete", "user", "stages", "debian"] {
        let (one, two) = (env.context(name), other.context(name));
        env.build(&one, name, &[]).ok();
        other.build(&two, name, &[]).ok();
        assert_eq!(env.image(name).tree, other.image(name).tree, "{name}");
    }
}

#[test]
fn another_copy_of_the_context_gives_the_same_steps() {
    let env = TestEnvironment::new();
    let context = env.context("copy");
    env.build(&context, "one", &[]).ok();
    let copy = env.path("another-copy");
    crate::support::context::make("copy", &copy);
    for entry in ["one.txt", "two.txt", "tree/secret"] {
        let file = std::fs::File::options().append(true).open(copy.join(entry)).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_hours(1000)).unwrap();
    }
    env.build(&copy, "two", &[]).ok();
    assert_eq!(
        env.image("one").diff_ids(),
        env.image("two").diff_ids(),
        "time stamps and directories do not count"
    );
}

#[test]
fn exports_are_the_same_bytes() {
    let env = TestEnvironment::new();
    let context = env.context("copy");
    env.build(&context, "copied", &[]).ok();
    for format in ["oci", "docker"] {
        let save = |file: &str| {
            let path = env.path(file);
            env.run(["save", "--format", format, "-o", path.to_str().unwrap(), "copied"]).ok();
            std::fs::read(path).unwrap()
        };
        assert!(save("one.tar") == save("two.tar"), "two {format} archives of one image differ");
    }
}

#[test]
fn an_image_bears_the_time_that_the_build_was_given() {
    let env = TestEnvironment::new();
    let text = "FROM scratch\nCOPY <<EOF /file\nx\nEOF\nCMD [\"/file\"]\n";
    let context = env.dockerfile("dated", text);
    let time = |tag: &str| env.run(["inspect", "--format", "{{.Created}}", tag]).ok().trim().to_owned();
    env.build(&context, "undated", &[]).ok();
    env.build(&context, "dated", &["--build-arg", "SOURCE_DATE_EPOCH=1700000000"]).ok();
    assert_eq!(time("dated"), "2023-11-14T22:13:20Z");
    assert_ne!(time("undated"), time("dated"));
    let other = env.another_store("other");
    other.build(&context, "dated", &["--build-arg", "SOURCE_DATE_EPOCH=1700000000"]).ok();
    assert_eq!(other.id("dated"), env.id("dated"), "nothing else of the image has a time");
    let wrong = env.build(&context, "wrong", &["--build-arg", "SOURCE_DATE_EPOCH=today"]).fails();
    assert!(wrong.contains("invalid SOURCE_DATE_EPOCH: today"), "{wrong}");
}
