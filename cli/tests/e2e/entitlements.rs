//! What steps may ask for beyond the ordinary: privileges, the host's network, devices. Without a grant nothing is
//! executed at all; with one, the step has it, and its key says so.

use std::fs;
use std::path::PathBuf;

use crate::support::environment::TestEnvironment;
use crate::support::progress::Steps;
use crate::support::tool::{Outcome, run};

fn context(env: &TestEnvironment, steps: &str) -> PathBuf {
    env.dockerfile("context", &format!("ARG REGISTRY\nFROM ${{REGISTRY}}/busybox\n{steps}"))
}

/// Builds with `directory` as the only one with descriptions of devices.
fn build_with_devices(env: &TestEnvironment, steps: &str, args: &[&str]) -> Outcome {
    let context = context(env, steps);
    run(env.build_command(&context, "devices", args).env("KILN_CDI_DIRS", env.path("cdi")))
}

/// Describes a device that is a second /dev/zero, one that is shared by class, and one that nobody may use unasked.
fn describe_devices(env: &TestEnvironment) {
    let directory = env.path("cdi");
    fs::create_dir(&directory).unwrap();
    fs::create_dir(env.path("driver")).unwrap();
    fs::write(env.path("driver/library"), "of the driver\n").unwrap();
    let text = format!(
        "cdiVersion: \"0.6.0\"\nkind: \"kiln.test/device\"\ndevices:\n\
         - name: zero\n  annotations: {{org.mobyproject.buildkit.device.autoallow: true}}\n  containerEdits:\n    \
             env: [ZERO=given]\n    deviceNodes: [{{path: /dev/kiln-zero, hostPath: /dev/zero}}]\n    \
             mounts: [{{hostPath: {}, containerPath: /driver, options: [ro, nosuid, nodev, rbind]}}]\n\
         - name: closed\n  containerEdits:\n    env: [CLOSED=given]\n\
         - name: hooked\n  containerEdits:\n    hooks: [{{hookName: createContainer, path: /bin/hook}}]\n",
        env.path("driver").display()
    );
    fs::write(directory.join("kiln.yaml"), text).unwrap();
}

#[track_caller]
fn assert_nothing_ran(said: &str) {
    assert!(!said.contains("not cached"), "a step was executed:\n{said}");
}

#[test]
fn privileges_that_are_not_granted_are_refused_before_anything_runs() {
    let env = TestEnvironment::new();
    let context =
        context(&env, "RUN touch /ran\nRUN --security=insecure true\nRUN --security=insecure false\n");
    let said = env.build(&context, "insecure", &[]).fails();
    for part in [
        "Dockerfile:4:16",
        "Dockerfile:5:16",
        "needs the entitlement security.insecure",
        "--allow security.insecure",
    ] {
        assert!(said.contains(part), "`{part}` is not in:\n{said}");
    }
    assert_nothing_ran(&said);
    // Granting something else does not help.
    let said = env.build(&context, "insecure", &["--allow", "network.host", "--allow=device"]).fails();
    assert!(said.contains("security.insecure"), "{said}");
    assert_nothing_ran(&said);
    let check = env.run(["build", "--check", context.to_str().unwrap()]);
    assert!(!check.stderr.contains("entitlement"), "a check grants nothing and refuses nothing: {check}");
}

#[test]
fn a_privileged_step_may_do_what_others_may_not() {
    let env = TestEnvironment::new();
    let script = "mkdir -p /m; if mount -t tmpfs none /m && [ -c /dev/fuse ] && mknod /node c 1 3 && echo x > /node && \
                  grep -q '^Seccomp:.0' /proc/self/status && ! grep -q ' /sys sysfs ro' /proc/mounts; \
                  then echo may > /answer; else echo may not > /answer; fi; rm -f /node; umount /m 2>/dev/null; rmdir /m";
    let answer = |security: &str| {
        let context = context(&env, &format!("RUN --security={security} {script}\n"));
        let outcome = env.build(&context, "security", &["--allow", "security.insecure"]);
        let steps = Steps::read(&outcome.stderr);
        let cached = steps.step("RUN").is_cached();
        outcome.ok();
        let text = env.image("security").tree["answer"].clone();
        (text.contains("may\\n"), cached)
    };
    assert_eq!(answer("sandbox"), (false, false));
    assert_eq!(answer("insecure"), (true, false), "how far a step is confined stands in its key");
    assert_eq!(answer("insecure"), (true, true));
    assert_eq!(answer("sandbox"), (false, true));
}

#[test]
fn the_hosts_network_has_to_be_granted_where_it_is_turned_off() {
    let env = TestEnvironment::new();
    let context =
        context(&env, "RUN --network=host readlink /proc/self/ns/net\nRUN readlink /proc/self/ns/net\n");
    let own = fs::read_link("/proc/self/ns/net").unwrap().to_str().unwrap().to_owned();
    let said = env.build(&context, "network", &["--network=none"]).fails();
    for part in ["Dockerfile:3", "network.host", "--allow network.host"] {
        assert!(said.contains(part), "`{part}` is not in:\n{said}");
    }
    assert_nothing_ran(&said);
    let outcome = env.build(&context, "network", &["--network=none", "--allow=network.host"]);
    assert!(outcome.status.success(), "{outcome}");
    let steps = Steps::read(&outcome.stderr);
    let on_the_hosts = |step: &str| steps.step(step).lines.iter().any(|line| line.ends_with(&own));
    assert!(on_the_hosts("--network=host") && !on_the_hosts("] RUN readlink"), "{outcome}");
    env.build(&context, "network", &[]).ok();
}

#[test]
fn a_grant_that_is_none_is_a_wrong_command_line() {
    let env = TestEnvironment::new();
    let context = context(&env, "RUN true\n");
    let outcome = env.build(&context, "grant", &["--allow", "security"]);
    assert_eq!(outcome.code(), 2, "{outcome}");
    assert!(outcome.stderr.contains("network.host, security.insecure and device"), "{outcome}");
}

#[test]
fn a_device_is_there_for_its_step_alone() {
    let env = TestEnvironment::new();
    describe_devices(&env);
    let steps = "RUN --device=kiln.test/device=zero head -c 3 /dev/kiln-zero | wc -c | tr -d '\\n' > /seen && \
                 echo \" $ZERO\" >> /seen && cat /driver/library >> /seen && ! touch /driver/x 2>/dev/null\n\
                 RUN [ ! -e /dev/kiln-zero ] && [ ! -e /driver ] && [ -z \"$ZERO\" ]\n";
    build_with_devices(&env, steps, &[]).ok();
    let tree = env.image("devices").tree;
    assert!(tree["seen"].contains("3 given\\nof the driver\\n"), "{}", tree["seen"]);
    let left: Vec<&String> =
        tree.keys().filter(|path| path.starts_with("dev/") || path.starts_with("driver")).collect();
    assert!(left.is_empty(), "{left:?}");
    let again = build_with_devices(&env, steps, &[]);
    assert!(Steps::read(&again.stderr).executed().is_empty(), "{again}");
}

#[test]
fn a_device_that_is_not_everybodys_has_to_be_granted() {
    let env = TestEnvironment::new();
    describe_devices(&env);
    let steps = "RUN touch /ran\nRUN --device=kiln.test/device=closed,required [ \"$CLOSED\" = given ]\n";
    let said = build_with_devices(&env, steps, &[]).fails();
    for part in ["Dockerfile:4", "device=kiln.test/device=closed", "--allow device=kiln.test/device=closed"] {
        assert!(said.contains(part), "`{part}` is not in:\n{said}");
    }
    assert_nothing_ran(&said);
    build_with_devices(&env, steps, &["--allow", "device=kiln.test/device=closed"]).ok();
    build_with_devices(&env, steps, &["--no-cache", "--allow", "device"]).ok();
    let aliased = steps.replace("kiln.test/device=closed", "mine");
    build_with_devices(&env, &aliased, &["--allow", "device=kiln.test/device=closed,alias=mine"]).ok();
}

#[test]
fn a_device_that_is_not_there_is_needed_or_not() {
    let env = TestEnvironment::new();
    describe_devices(&env);
    let outcome = build_with_devices(&env, "RUN --device=vendor.com/gpu=0 true\n", &[]);
    assert!(outcome.stderr.contains("there is no device `vendor.com/gpu=0` in"), "{outcome}");
    assert!(outcome.stderr.contains("the command runs without it"), "{outcome}");
    outcome.ok();
    let said = build_with_devices(&env, "RUN --device=vendor.com/gpu=0,required true\n", &["--allow=device"])
        .fails();
    let directory = env.path("cdi");
    for part in ["Dockerfile:3", "`vendor.com/gpu=0`", directory.to_str().unwrap(), "kiln.test/device=zero"] {
        assert!(said.contains(part), "`{part}` is not in:\n{said}");
    }
    let hooked = "RUN --device=kiln.test/device=hooked,required true\n";
    let said = build_with_devices(&env, hooked, &["--allow=device"]).fails();
    for part in ["Dockerfile:3", "createContainer hook /bin/hook", "kiln.yaml"] {
        assert!(said.contains(part), "`{part}` is not in:\n{said}");
    }
}
