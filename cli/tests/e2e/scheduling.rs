//! How many steps are executed at once, what happens to the others when one fails, and who waits for whom.

use std::process::Stdio;
use std::thread;

use crate::concurrency::read_until;
use crate::support::beacon::Beacon;
use crate::support::environment::TestEnvironment;
use crate::support::leftovers;

fn beacon_argument(beacon: &Beacon) -> String {
    format!("BEACON={}", beacon.address())
}

#[test]
fn a_failure_stops_everything_that_runs() {
    let env = TestEnvironment::new();
    let beacon = Beacon::start();
    let marker = env.root().display().to_string().replace('/', "-");
    let text = "ARG REGISTRY\nFROM ${REGISTRY}/busybox AS endless\nARG BEACON MARKER\n\
        RUN trap '' TERM INT; wget -q -O /one http://$BEACON/endless; sleep 1000000\n\
        FROM ${REGISTRY}/busybox AS failing\nARG BEACON MARKER\n\
        RUN wget -q -O /two http://$BEACON/hold/failing; exit 7\n\
        FROM scratch\nCOPY --from=endless /one /\nCOPY --from=failing /two /\n";
    let context = env.dockerfile("context", text);
    let (at, word) = (beacon_argument(&beacon), format!("MARKER={marker}"));
    let arguments = ["--jobs", "2", "--build-arg", &at, "--build-arg", &word];
    let mut command = env.build_command(&context, "never", &arguments);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    beacon.wait_for(2);
    beacon.release();
    // This ends only if the endless step was stopped.
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("exited with code 7"), "{said}");
    assert!(said.contains("CANCELED"), "{said}");
    assert_eq!(leftovers::processes(env.root(), &marker), [""; 0]);
    assert_eq!(leftovers::mounts(env.root()), [""; 0]);
}

/// Three stages, each with a step that says when it begins and when it ends.
fn three_stages(hold: &str) -> String {
    let stage = |name: char| {
        format!(
            "FROM ${{REGISTRY}}/busybox AS {name}\nARG BEACON\n\
             RUN wget -q -O /{name} http://$BEACON/{hold}/{name} && wget -q -O /{name} http://$BEACON/end/{name}\n"
        )
    };
    let stages: String = ['a', 'b', 'c'].map(stage).concat();
    format!(
        "ARG REGISTRY\n{stages}FROM scratch\nCOPY --from=a /a /\nCOPY --from=b /b /\nCOPY --from=c /c /\n"
    )
}

#[test]
fn one_job_is_one_step_at_a_time() {
    let env = TestEnvironment::new();
    let beacon = Beacon::start();
    let context = env.dockerfile("context", &three_stages("begin"));
    env.build(&context, "image", &["--jobs=1", "--build-arg", &beacon_argument(&beacon)]).ok();
    let requests = beacon.requests();
    assert_eq!(requests.len(), 6);
    for pair in requests.chunks(2) {
        assert_eq!(pair[0].replace("/begin/", ""), pair[1].replace("/end/", ""), "{requests:?}");
    }
}

#[test]
fn as_many_jobs_as_asked_for_run_at_once() {
    let env = TestEnvironment::new();
    let beacon = Beacon::start();
    let context = env.dockerfile("context", &three_stages("hold"));
    let argument = beacon_argument(&beacon);
    let mut command = env.build_command(&context, "image", &["--build-arg", &argument]);
    let child = command.env("KILN_JOBS", "3").stderr(Stdio::piped()).spawn().unwrap();
    beacon.wait_for(3);
    beacon.release();
    assert!(child.wait_with_output().unwrap().status.success());
}

#[test]
fn a_step_that_waits_for_another_process_takes_no_job_and_says_for_whom() {
    let env = TestEnvironment::new();
    let beacon = Beacon::start();
    let argument = beacon_argument(&beacon);
    let shared = "ARG REGISTRY\nFROM ${REGISTRY}/busybox AS shared\nARG BEACON\n\
        RUN wget -q -O /shared http://$BEACON/hold/shared\n";
    let first = env.dockerfile("first", shared);
    let second = format!(
        "{shared}FROM ${{REGISTRY}}/busybox AS own\nARG BEACON\nRUN wget -q -O /own http://$BEACON/own\n\
         FROM scratch\nCOPY --from=shared /shared /\nCOPY --from=own /own /\n"
    );
    let second = env.dockerfile("second", &second);
    thread::scope(|scope| {
        let mut command = env.build_command(&first, "first", &["--build-arg", &argument]);
        let holder = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let pid = holder.id();
        beacon.wait_for(1);
        let mut command = env.build_command(&second, "second", &["--jobs=1", "--build-arg", &argument]);
        let mut waiting = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let line = read_until(&mut waiting, "waiting for process");
        let dockerfile = first.join("Dockerfile").canonicalize().unwrap();
        let said = format!("waiting for process {pid} (kiln build of {})", dockerfile.display());
        assert!(line.contains(&said), "{line}");
        // The only job is free for the other step, though the first process still holds the shared one.
        beacon.wait_for(2);
        assert_eq!(beacon.requests(), ["/hold/shared", "/own"]);
        let rest = scope.spawn(move || waiting.wait_with_output().unwrap());
        beacon.release();
        assert!(holder.wait_with_output().unwrap().status.success());
        assert!(rest.join().unwrap().status.success());
    });
    assert_eq!(beacon.requests(), ["/hold/shared", "/own"], "the shared step ran once");
}

#[test]
fn equal_steps_of_one_build_are_executed_once() {
    let env = TestEnvironment::new();
    let (beacon, gate) = (Beacon::start(), Beacon::start());
    // The second stage comes to the step only when the first one is executing it: it passes a gate, which leaves no files.
    let stage = |name: &str, before: &str| {
        format!(
            "FROM ${{REGISTRY}}/busybox AS {name}\nARG BEACON GATE\n{before}RUN wget -q -O /x http://$BEACON/hold/x\n"
        )
    };
    let text = format!(
        "ARG REGISTRY\n{}{}FROM scratch\nCOPY --from=a /x /a\nCOPY --from=b /x /b\n",
        stage("a", ""),
        stage("b", "RUN wget -q -O /dev/null http://$GATE/hold/b\n")
    );
    let context = env.dockerfile("context", &text);
    let (at, through) = (beacon_argument(&beacon), format!("GATE={}", gate.address()));
    let arguments = ["--jobs", "2", "--build-arg", &at, "--build-arg", &through];
    let mut command = env.build_command(&context, "image", &arguments);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    beacon.wait_for(1);
    gate.wait_for(1);
    gate.release();
    read_until(&mut child, "of this build, which is the same step");
    beacon.release();
    assert!(child.wait_with_output().unwrap().status.success());
    assert_eq!(beacon.requests(), ["/hold/x"]);
}

#[test]
fn what_is_no_number_of_jobs_is_refused() {
    let env = TestEnvironment::new();
    let context = env.dockerfile("context", "FROM scratch\nCOPY Dockerfile /\n");
    for wrong in ["0", "many", "-3"] {
        let outcome = env.build(&context, "image", &[&format!("--jobs={wrong}")]);
        assert_eq!(outcome.status.code(), Some(2), "{outcome}");
        assert!(outcome.stderr.contains("1 or more may be executed at a time"), "{outcome}");
    }
    let mut command = env.build_command(&context, "image", &[]);
    let outcome = crate::support::tool::run(command.env("KILN_JOBS", "0"));
    assert_eq!(outcome.status.code(), Some(2), "{outcome}");
    assert!(outcome.stderr.contains("KILN_JOBS: `0`"), "{outcome}");
}
