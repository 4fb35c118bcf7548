//! Clocks that are wrong: times of files, of what the store keeps and of its stamps, long past or not yet come. They decide
//! what goes first when room is made, and nothing else.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::support::environment::TestEnvironment;
use crate::support::progress::Steps;

const APP: &str = "ARG REGISTRY\nFROM ${REGISTRY}/busybox\nCOPY files /files\nRUN cat /files/* > /all\n";

/// Seconds since 1970 that a clock may show by mistake: long before, the beginning, the end of signed 32 bits, of what fits
/// into eleven octal digits of a tar header, and of what fits into 64 bits of nanoseconds.
const TIMES: [i64; 7] = [-4_000_000_000, -1, 0, 1, 1 << 31, 1 << 33, 10_000_000_000];

fn at(seconds: i64) -> SystemTime {
    let distance = Duration::from_secs(seconds.unsigned_abs());
    if seconds < 0 { UNIX_EPOCH - distance } else { UNIX_EPOCH + distance }
}

fn set_time(path: &Path, time: SystemTime) {
    let times = fs::FileTimes::new().set_modified(time).set_accessed(time);
    fs::File::open(path).unwrap().set_times(times).unwrap();
}

/// Gives every file of the store this time, but not those of layers: they are what layers consist of.
fn set_times(dir: &Path, time: SystemTime) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() && path.file_name().unwrap() != "tree" {
            set_times(&path, time);
        } else if path.is_file() {
            set_time(&path, time);
        }
    }
}

fn app(env: &TestEnvironment) -> PathBuf {
    let context = env.dockerfile("app", APP);
    fs::create_dir_all(context.join("files")).unwrap();
    for (number, seconds) in TIMES.into_iter().enumerate() {
        let path = context.join(format!("files/{number}"));
        fs::write(&path, format!("{number} a\n")).unwrap();
        set_time(&path, at(seconds));
    }
    context
}

fn executed(env: &TestEnvironment, context: &Path) -> usize {
    let outcome = env.build(context, "app", &[]);
    assert!(outcome.status.success(), "{outcome}");
    Steps::read(&format!("{}{}", outcome.stdout, outcome.stderr)).executed().len()
}

#[test]
fn files_of_any_time_hit_and_miss_by_what_is_in_them() {
    let env = TestEnvironment::new();
    let context = app(&env);
    assert_eq!(executed(&env, &context), 2);
    assert_eq!(executed(&env, &context), 0);
    for (number, seconds) in TIMES.into_iter().enumerate() {
        // Another content of the same length, at the same time: as a clock that was set back can make it.
        let path = context.join(format!("files/{number}"));
        fs::write(&path, format!("{number} b\n")).unwrap();
        set_time(&path, at(seconds));
        assert_eq!(executed(&env, &context), 2, "{seconds}");
        assert_eq!(executed(&env, &context), 0, "{seconds}");
        // Another time says nothing.
        set_time(&path, at(seconds + 7));
        assert_eq!(executed(&env, &context), 0, "{seconds}");
    }
    let all = (0..TIMES.len()).fold(String::new(), |all, number| all + &number.to_string() + " b\n");
    assert_eq!(env.run(["run", "--rm", "app", "cat", "/all"]).ok(), all);
    assert_eq!(env.image("app").tree.keys().filter(|path| path.starts_with("files/")).count(), TIMES.len());
}

#[test]
fn a_store_of_any_time_answers_and_makes_room() {
    let env = TestEnvironment::new();
    let context = app(&env);
    executed(&env, &context);
    let right = env.image("app").tree;
    for seconds in TIMES {
        set_times(env.root(), at(seconds));
        assert_eq!(executed(&env, &context), 0, "{seconds}");
        env.run(["du"]).ok();
        env.run(["images"]).ok();
        // What a name leads to stays, whatever the clock says; what nothing leads to goes.
        let other =
            env.dockerfile("other", "ARG REGISTRY\nFROM ${REGISTRY}/busybox\nARG N\nRUN echo $N > /n\n");
        env.build(&other, "other", &["--build-arg", &format!("N={seconds}")]).ok();
        env.run(["rmi", "other"]).ok();
        set_times(env.root(), at(seconds));
        env.run(["prune", "--force", "--older-than", "1h"]).ok();
        env.run(["prune", "--force", "--keep-storage", "0"]).ok();
        assert_eq!(env.image("app").tree, right, "{seconds}");
        let layers = fs::read_dir(env.root().join("layers")).unwrap().count();
        assert_eq!(layers, env.image("app").diff_ids().len(), "{seconds}");
        // The records of its steps went: nothing but the image's name was said to be worth keeping.
        executed(&env, &context);
    }
    // Still what it is for: a change is one.
    fs::write(context.join("files/0"), "0 c\n").unwrap();
    assert_eq!(executed(&env, &context), 2);
}
