//! `--ulimit` and `--shm-size`, of builds and of containers: what a command has, why it runs again, and what is said of wrong ones.

use std::path::PathBuf;

use crate::support::environment::TestEnvironment;

/// What a command writes of its limits; blocks have 4096 bytes.
const SHOW: &str = "ulimit -n; ulimit -Hn; ulimit -c; stat -f -c %b /dev/shm";

fn limited() -> (TestEnvironment, PathBuf) {
    let env = TestEnvironment::new();
    let text = format!("ARG REGISTRY\nFROM ${{REGISTRY}}/busybox\nRUN {{ {SHOW}; }} > /report\n");
    let context = env.dockerfile("limited", &text);
    (env, context)
}

#[test]
fn commands_of_a_build_have_them_and_run_again_for_others() {
    let (env, context) = limited();
    let report = |flags: &[&str]| {
        let said = env.build(&context, "limited", flags);
        assert!(said.status.success(), "{said}");
        let tree = env.image("limited").tree;
        (said.stderr, tree["report"].clone())
    };
    let (said, before) = report(&["--ulimit", "core=0"]);
    assert!(!said.contains("no effect"), "{said}");
    assert!(before.contains("0\\n16384"), "{before}");
    let (said, after) = report(&["--ulimit", "nofile=100:200", "--shm-size=128m", "--ulimit", "core=0"]);
    assert!(after.contains("100\\n200\\n0\\n32768"), "{after}");
    assert!(said.contains("ulimit nofile 100:200 is new, the size of /dev/shm 128m is new"), "{said}");
    let (said, again) = report(&["--ulimit", "core=0:0", "--shm-size=131072k", "--ulimit", "nofile=100:200"]);
    assert_eq!(again, after);
    assert!(!said.contains("is new") && !said.contains(" -> "), "{said}");
    let (said, _) = report(&["--ulimit", "nofile=100:300", "--shm-size=1g", "--ulimit", "core=0"]);
    assert!(said.contains("ulimit nofile 100:200 -> 100:300, the size of /dev/shm 128m -> 1g"), "{said}");
}

#[test]
fn a_limit_that_the_kernel_refuses_is_named_with_what_can_be_done() {
    let (env, context) = limited();
    let said = env.build(&context, "limited", &["--ulimit", "nofile=-1"]).fails();
    assert!(said.contains("cannot set the limit nofile=-1:-1"), "{said}");
    assert!(said.contains("/proc/sys/fs/nr_open"), "{said}");
}

#[test]
fn the_command_of_a_container_has_them() {
    let env = TestEnvironment::new();
    let image = env.reference("busybox");
    let run =
        |flags: &[&str]| env.run([&["run", "--rm", "-q"], flags, &[&image, "sh", "-c", SHOW]].concat()).ok();
    assert!(run(&["--ulimit", "core=0"]).ends_with("\n0\n16384\n"));
    let flags = ["--ulimit", "nofile=100:200", "--ulimit=core=0", "--shm-size", "1m"];
    assert_eq!(run(&flags), "100\n200\n0\n256\n");
    let outcome = env.run(["run", "--ulimit", "nofile=-1", &image]);
    assert_eq!(outcome.status.code(), Some(125), "{outcome}");
    assert!(outcome.stderr.contains("cannot set the limit nofile=-1:-1"), "{outcome}");
    assert!(outcome.stderr.contains("/proc/sys/fs/nr_open"), "{outcome}");
    let outcome = env.run(["run", "--ulimit", "nofile=2:1", &image]);
    assert_eq!(outcome.status.code(), Some(125), "{outcome}");
    assert!(outcome.stderr.contains("the soft limit of nofile is 2, above its hard limit 1"), "{outcome}");
}

#[test]
fn a_provenance_names_them_as_clients_of_buildkit_do() {
    let (env, context) = limited();
    let out = env.path("out");
    let output = format!("type=local,dest={}", out.display());
    let flags =
        ["--ulimit=nofile=100:200", "--ulimit=core=0", "--shm-size=1m", "--provenance=mode=max", "-o"];
    env.build(&context, "limited", &[flags.as_slice(), &[&output]].concat()).ok();
    let text = std::fs::read_to_string(out.join("provenance.json")).unwrap();
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    let args = &document["predicate"]["buildDefinition"]["externalParameters"]["request"]["args"];
    assert_eq!((&args["ulimit"], &args["shm-size"]), (&"core=0:0,nofile=100:200".into(), &"1048576".into()));
}
