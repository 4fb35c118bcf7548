//! Two kilns at once on one store: both succeed, and what both need is executed once.

use std::process::Stdio;
use std::thread;

use crate::support::beacon::Beacon;
use crate::support::environment::TestEnvironment;
use crate::support::tool::{Outcome, run};

/// Three steps, each of which tells the test that it runs.
const STEPS: &str = "ARG REGISTRY\nFROM ${REGISTRY}/busybox\nARG BEACON\n\
    RUN wget -q -O /one http://$BEACON/hold/one\n\
    RUN wget -q -O /two http://$BEACON/two\n\
    COPY Dockerfile /copied\n\
    RUN wget -q -O /three http://$BEACON/three\n";

#[test]
fn two_builds_of_one_file_execute_each_step_once() {
    let env = TestEnvironment::new();
    let beacon = Beacon::start();
    let context = env.dockerfile("context", STEPS);
    let argument = format!("BEACON={}", beacon.address());
    let build = |tag: &str| run(&mut env.build_command(&context, tag, &["--build-arg", &argument]));

    let (first, second) = thread::scope(|scope| {
        let first = scope.spawn(|| build("first"));
        // The first is within its first step; the second begins, and may end only after that.
        beacon.wait_for(1);
        let mut command = env.build_command(&context, "second", &["--build-arg", &argument]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let seen = read_until(&mut child, "/hold/one");
        beacon.release();
        let output = child.wait_with_output().unwrap();
        (first.join().unwrap(), (seen, output))
    });

    assert_succeeded(&first);
    let (seen, output) = second;
    assert!(output.status.success(), "{seen}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(beacon.requests(), ["/hold/one", "/two", "/three"], "each step runs once");
    assert_eq!(env.image("first").diff_ids(), env.image("second").diff_ids());
}

#[test]
fn many_builds_of_different_files_share_a_store() {
    let env = TestEnvironment::new();
    let beacon = Beacon::start();
    let argument = format!("BEACON={}", beacon.address());
    thread::scope(|scope| {
        let builds: Vec<_> = (0..6)
            .map(|number| {
                let text = format!(
                    "ARG REGISTRY\nFROM ${{REGISTRY}}/busybox\nARG BEACON\nRUN wget -q -O /out http://$BEACON/shared\n\
                     RUN echo {number} > /own\n"
                );
                let context = env.dockerfile(&format!("context-{number}"), &text);
                let (env, argument) = (&env, &argument);
                scope.spawn(move || env.build(&context, &format!("image-{number}"), &["--build-arg", argument]))
            })
            .collect();
        for build in builds {
            assert_succeeded(&build.join().unwrap());
        }
    });
    assert_eq!(beacon.requests(), ["/shared"], "the step that all have runs once");
    for number in 0..6 {
        let own = env.image(&format!("image-{number}")).tree["own"].clone();
        assert!(own.contains(&format!("\"{number}\\n\"")), "{own}");
    }
}

#[track_caller]
fn assert_succeeded(outcome: &Outcome) {
    assert!(outcome.status.success(), "{outcome}");
}

/// Reads a child's progress until a line contains a word; what comes later is left in the pipe.
pub fn read_until(child: &mut std::process::Child, word: &str) -> String {
    use std::io::Read;
    let stderr = child.stderr.as_mut().unwrap();
    let mut text = String::new();
    let mut byte = [0];
    while !(text.ends_with('\n') && text.lines().next_back().is_some_and(|line| line.contains(word))) {
        match stderr.read(&mut byte).unwrap() {
            0 => panic!("the build ended without `{word}`:\n{text}"),
            _ => text.push(char::from(byte[0])),
        }
    }
    text
}
