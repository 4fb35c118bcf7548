//! Ctrl-C and SIGTERM: everything that kiln started ends with it, nothing is tagged, and the store stays good.

use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::beacon::Beacon;
use crate::support::environment::TestEnvironment;
use crate::support::leftovers;

fn send(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

/// Two stages at once, each with a step that never ends, in a process that ignores what it can.
const ENDLESS: &str = "ARG REGISTRY\nFROM ${REGISTRY}/busybox AS one\nARG BEACON MARKER\n\
    RUN trap '' INT TERM HUP; wget -q -O /one http://$BEACON/hold/one\n\
    FROM ${REGISTRY}/busybox AS two\nARG BEACON MARKER\n\
    RUN (trap '' INT; sleep 1000000) & wget -q -O /two http://$BEACON/hold/two\n\
    FROM scratch\nCOPY --from=one /one /\nCOPY --from=two /two /\n";

fn interrupted_build(signal: Signal, expected: i32) {
    let env = TestEnvironment::new();
    let beacon = Beacon::start();
    let marker = env.root().display().to_string().replace('/', "-");
    let context = env.dockerfile("context", ENDLESS);
    let (at, word) = (format!("BEACON={}", beacon.address()), format!("MARKER={marker}"));
    let mut command = env.build_command(&context, "endless", &["--build-arg", &at, "--build-arg", &word]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    beacon.wait_for(2);
    send(&child, signal);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(expected), "{} {said}", output.status);
    assert!(!said.contains("panicked"), "{said}");
    assert_eq!(leftovers::processes(env.root(), &marker), [""; 0]);
    assert_eq!(leftovers::mounts(env.root()), [""; 0]);
    assert_eq!(env.id("endless"), None);

    let good = env.dockerfile("good", "ARG REGISTRY\nFROM ${REGISTRY}/busybox\nRUN echo well > /done\n");
    env.build(&good, "good", &[]).ok();
    assert!(env.image("good").tree.contains_key("done"));
}

#[test]
fn ctrl_c_ends_a_build_and_all_its_steps() {
    interrupted_build(Signal::INT, 130);
}

#[test]
fn a_termination_ends_a_build_and_all_its_steps() {
    interrupted_build(Signal::TERM, 143);
}

#[test]
fn run_forwards_signals_to_the_process() {
    let env = TestEnvironment::new();
    let beacon = Beacon::start();
    let image = env.reference("busybox");
    env.run(["pull", &image]).ok();
    let script = format!(
        "trap 'echo got it; exit 42' TERM; wget -q -O /dev/null http://{}/ready; while :; do sleep 0.1; done",
        beacon.address()
    );
    let mut command = env.kiln(["run", "--rm", &image, "sh", "-c", &script]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    beacon.wait_for(1);
    send(&child, Signal::TERM);
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "got it\n");
    assert_eq!(output.status.code(), Some(42), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(leftovers::processes(env.root(), "no such word"), [""; 0]);
}
