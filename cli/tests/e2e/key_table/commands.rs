//! The rows of RUN.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::{Trial, set_time};
use crate::support::environment::TestEnvironment;
use crate::support::progress::Steps;
use crate::support::tool::run;

#[test]
fn a_command_counts_as_it_is_executed() {
    let mut trial = Trial::new("RUN echo a  > /a", &[]);
    trial.text("# a comment\nRUN   echo a  > /a").hits("the same command, written in another way");
    trial.text(r#"RUN ["/bin/sh", "-c", "echo a  > /a"]"#).hits("what the shell form means");
    trial.text("RUN echo b  > /a").misses(&["RUN"], "another command");
    trial.text("SHELL [\"/bin/sh\", \"-ec\"]\nRUN echo a  > /a").misses(&["RUN"], "another shell");
    trial.text(r#"RUN ["/bin/sh", "-c", "echo a ", "> /a"]"#).misses(&["RUN"], "other boundaries of words");
}

#[test]
fn what_a_command_is_given_counts() {
    let run = "RUN id -G > /a";
    let text = |before: &str| format!("{before}\n{run}");
    let mut trial = Trial::new(&text("ARG A=1\nENV B=1"), &[]);
    trial.args(&["--build-arg", "A=1"]).hits("the default itself");
    trial.args(&["--build-arg", "UNDECLARED=1"]).hits("an argument that nobody declared");
    trial.args(&["--build-arg", "A=2"]).misses(&["RUN"], "an argument");
    trial.args(&[]).text(&text("ARG A=1\nENV B=2")).misses(&["RUN"], "a variable");
    trial.text(&text("ARG A=1\nENV B=1 C=")).misses(&["RUN"], "an empty variable");
    trial.text(&text("ENV B=1")).misses(&["RUN"], "an argument that is not declared any more");
    trial.text(&text("ARG A=1\nENV B=1\nWORKDIR /tmp")).misses(&["WORKDIR", "RUN"], "a directory");
    trial.text(&text("ARG A=1\nENV B=1\nUSER 0:1")).misses(&["RUN"], "a user");
    trial.text(&format!("{}\nUSER 5\nENV B=3", text("ARG A=1\nENV B=1"))).hits("what is said later");
    // The groups of a user are what a file of the root says.
    let groups = text("RUN echo more:x:77:root >> /etc/group\nARG A=1\nENV B=1");
    trial.text(&groups).misses(&["group", "id -G"], "another group");
    assert!(trial.tree()["a"].contains("77"), "{}", trial.tree()["a"]);
}

#[test]
fn proxies_do_not_count_unless_they_are_declared() {
    let mut trial = Trial::new("RUN env > /a", &[]);
    trial.args(&["--build-arg", "HTTP_PROXY=http://one"]).hits("a proxy");
    trial.args(&["--build-arg", "no_proxy=two"]).hits("where it is not used");
    let mut trial = Trial::new("ARG HTTP_PROXY=x\nRUN env > /a", &[]);
    trial.args(&["--build-arg", "HTTP_PROXY=http://one"]).misses(&["RUN"], "an argument like any other");
}

#[test]
fn a_platform_counts_where_a_root_has_it() {
    let text = "FROM --platform=$BUILDPLATFORM BASE AS tools\nRUN echo 1 > /tool\n\
                FROM scratch\nARG TARGETARCH\nCOPY --from=tools /tool /tool-$TARGETARCH";
    let mut trial = Trial::new(text, &[]);
    // What the target is does not matter to tools that run on this machine.
    trial.args(&["--platform", "linux/s390x"]).misses(&["COPY"], "another name");
}

#[test]
fn what_stands_in_the_file_counts() {
    let script = |word: &str| format!("RUN <<EOF\n#!/bin/sh\necho {word} > /a\nEOF");
    let mut trial = Trial::new(&script("one"), &[]);
    trial.text(&format!("# a comment\n{}", script("one"))).hits("the same script");
    trial.text(&script("two")).misses(&["RUN"], "another script");
    let file = |name: &str, variable: &str| format!("ENV V={variable}\nCOPY <<{name} /\nword $V\n{name}");
    let mut trial = Trial::new(&file("EOF", "1"), &[]);
    trial.text(&file("EOF", "1").replace("$V", "${V}")).hits("what the variable is");
    trial.text(&file("EOF", "2")).misses(&["COPY"], "another value");
    trial.text(&file("OTHER", "1")).misses(&["COPY"], "another name");
}

#[test]
fn mounts_count_as_they_are_made() {
    let run = |mounts: &str| format!("RUN {mounts} true > /a");
    let mut trial = Trial::new(&run("--mount=type=tmpfs,target=/t,size=1m"), &[("f", "1")]);
    trial.text(&run("--mount=type=tmpfs,target=/t,size=1024k")).hits("the same size");
    for (mount, why) in [
        ("--mount=type=tmpfs,target=/t,size=2m", "another size"),
        ("--mount=type=tmpfs,target=/t", "no size"),
        ("--mount=type=tmpfs,target=/u,size=1m", "another place"),
        ("--mount=type=cache,target=/t", "another type"),
        ("--mount=type=cache,target=/t,sharing=locked", "another sharing"),
        ("--mount=type=cache,target=/t,id=x", "another id"),
        ("--mount=type=cache,target=/t,ro", "not to be written"),
        ("--mount=type=cache,target=/t,mode=0700", "another mode"),
        ("--mount=type=cache,target=/t,uid=5", "another owner"),
        ("--mount=type=bind,source=f,target=/t", "a file"),
        ("--mount=type=bind,source=f,target=/t,rw", "a file that may be written"),
        ("--mount=type=tmpfs,target=/t --mount=type=tmpfs,target=/t/u", "one more"),
        ("", "none"),
    ] {
        // What is selected for a mount is a COPY of its own.
        let internal = usize::from(mount.ends_with("bind,source=f,target=/t"));
        let steps = trial.text(&run(mount)).build();
        let names: Vec<&str> = steps.executed();
        assert!(
            names.iter().any(|name| name.contains("RUN")) && names.len() <= 1 + internal,
            "{why}: {names:?}"
        );
        trial.hits(why);
    }
    trial.text(&run("--mount=target=/t,source=/f")).hits("the defaults");
}

#[test]
fn a_bind_counts_by_what_it_shows() {
    let files = [("d/f", "1"), ("d/g", "1"), ("e/f", "1"), ("e/g", "1"), ("other", "1")];
    let run = |source: &str| {
        format!("RUN --mount=source={source},target=/t ls -lR /t > /a; cat /t/* /t >> /a || true")
    };
    let mut trial = Trial::new(&run("d"), &files);
    trial.write("other", "2").hits("what is not shown");
    trial.text(&run("e")).hits("the same files elsewhere");
    set_time(&trial.path("e/f"), 1_000_000);
    trial.hits("a time");
    trial.write("e/f", "2").misses(&["RUN"], "content");
    fs::set_permissions(trial.path("e/f"), fs::Permissions::from_mode(0o755)).unwrap();
    trial.misses(&["RUN"], "a mode");
    fs::rename(trial.path("e/f"), trial.path("e/h")).unwrap();
    trial.misses(&["RUN"], "a name");
    trial.text(&run("e/g")).misses(&["RUN"], "a file in place of its directory");

    // From a stage that is built again with the same files, and with others.
    let stages = |build: &str| {
        format!(
            "FROM BASE AS s\nRUN {build}\nFROM BASE\nRUN --mount=from=s,source=/o,target=/t cat /t/f > /a"
        )
    };
    let mut trial = Trial::new(&stages("mkdir /o; echo 1 > /o/f"), &[]);
    trial.text(&stages("mkdir /o; echo 1 > /o/f; echo > /x")).misses(&["mkdir"], "equal files");
    trial.text(&stages("mkdir /o; echo 2 > /o/f")).misses(&["mkdir", "cat"], "other files");
    trial.text(&stages("mkdir /o; echo 2 > /o/f; chown 5 /o/f")).misses(&["mkdir", "cat"], "an owner");
}

#[test]
fn a_cache_counts_by_its_beginning() {
    let stages = |word: &str, more: &str| {
        format!(
            "FROM scratch AS s\nCOPY <<EOF /seed/f\n{word}\nEOF\n{more}FROM BASE\n\
             RUN --mount=type=cache,target=/c,from=s,source=/seed cat /c/f > /a; echo more >> /c/f"
        )
    };
    let mut trial = Trial::new(&stages("one", ""), &[]);
    trial.hits("what the command left in it");
    trial.text(&stages("one", "COPY <<EOF /other\n\nEOF\n")).misses(&["COPY"], "what it does not begin with");
    trial.text(&stages("two", "")).misses(&["COPY", "RUN"], "another beginning");
    assert!(trial.tree()["a"].contains("two"), "{:?}", trial.tree()["a"]);
}

#[test]
fn a_secret_counts_by_its_id() {
    let run = |options: &str| format!("RUN --mount=type=secret,{options} true > /a");
    let mut trial = Trial::new(&run("id=one"), &[("../one", "1"), ("../two", "2")]);
    trial.args(&["--secret", "id=one,src=one"]).hits("given or not");
    trial.args(&["--secret", "id=one,src=two"]).hits("another value");
    trial.text(&run("id=two")).misses(&["RUN"], "another id");
    trial.text(&run("id=one,target=/s")).misses(&["RUN"], "another place");
    trial.text(&run("id=one,env=S")).misses(&["RUN"], "a variable");
    trial.text(&run("id=one,mode=0444")).misses(&["RUN"], "another mode");
    trial.text(&run("id=one,required")).misses(&["RUN"], "needed");
}

#[test]
fn network_and_host_name_count() {
    let mut trial = Trial::new("RUN hostname > /a", &[]);
    trial.args(&["--network", "default"]).hits("the default");
    trial.args(&["--network", "none"]).misses(&["RUN"], "another network");
    trial.text("RUN --network=none hostname > /a").args(&[]).hits("as its own flag says");
    let host = |name: &str| format!("BUILDKIT_SANDBOX_HOSTNAME={name}");
    trial.text("RUN hostname > /a").args(&["--build-arg", &host("")]).hits("an empty name is none");
    assert!(trial.tree()["a"].contains("buildkitsandbox"));
    trial.args(&["--build-arg", &host("other")]).misses(&["RUN"], "another name");
    assert!(trial.tree()["a"].contains("other"));
}

#[test]
fn limits_count_by_what_they_are() {
    let mut trial = Trial::new("RUN ulimit -n > /a; stat -f -c %b /dev/shm >> /a", &[]);
    trial.args(&["--shm-size", "0"]).hits("the usual size");
    trial.args(&["--ulimit", "nofile=90:100"]).misses(&["RUN"], "a limit");
    trial.args(&["--ulimit", "nofile=1", "--ulimit", "nofile=90:100"]).hits("the last counts");
    trial.args(&["--ulimit", "nofile=90"]).misses(&["RUN"], "another hard limit");
    let two = ["--ulimit", "nproc=4096", "--ulimit", "nofile=90"];
    trial.args(&two).misses(&["RUN"], "one more");
    trial.args(&["--ulimit", "nofile=90:90", "--ulimit", "nproc=4096"]).hits("in another order");
    trial.args(&[two.as_slice(), &["--shm-size", "1m"]].concat()).misses(&["RUN"], "a size");
    trial.args(&[two.as_slice(), &["--shm-size", "1024k"]].concat()).hits("the same size");
    trial.args(&["--shm-size", "2m"]).misses(&["RUN"], "another size, and no limits");
    assert!(trial.tree()["a"].contains("512"), "{}", trial.tree()["a"]);
    trial.args(&[]).hits("what the command was before anybody limited it");
}

#[test]
fn a_device_counts_by_its_name() {
    let env = TestEnvironment::new();
    fs::create_dir(env.path("cdi")).unwrap();
    let executed = |device: &str, value: &str| {
        let describe = |name: &str| {
            format!(
                "- name: {name}\n  annotations: {{org.mobyproject.buildkit.device.autoallow: true}}\n  \
                 containerEdits: {{env: [V={value}]}}\n"
            )
        };
        let head = "cdiVersion: \"0.6.0\"\nkind: \"kiln.test/device\"\ndevices:\n";
        let text = format!("{head}{}{}", describe("one"), describe("two"));
        fs::write(env.path("cdi/kiln.yaml"), text).unwrap();
        let steps = format!("ARG REGISTRY\nFROM ${{REGISTRY}}/busybox\nRUN --device={device} echo $V > /a\n");
        let context = env.dockerfile("devices", &steps);
        let outcome = run(env.build_command(&context, "devices", &[]).env("KILN_CDI_DIRS", env.path("cdi")));
        assert!(outcome.status.success(), "{outcome}");
        Steps::read(&outcome.stderr).executed().len()
    };
    assert_eq!(executed("kiln.test/device=one", "1"), 1);
    assert_eq!(executed("kiln.test/device=one", "2"), 0, "what it is on this machine");
    assert_eq!(executed("kiln.test/device=two", "2"), 1, "another device");
    assert_eq!(executed("kiln.test/device=two,required", "2"), 1, "needed");
}

#[test]
fn what_the_machine_lends_does_not_count() {
    // What a command makes of the resolver's file stays what it was, as with docker; the root's own files count.
    let mut trial = Trial::new("RUN cat /etc/hosts /etc/resolv.conf > /a", &[]);
    trial.hits("the same machine");
    trial.text("RUN echo 1 > /tmp/hosts\nRUN cat /etc/hosts /etc/resolv.conf > /a");
    trial.misses(&["tmp/hosts", "cat"], "a file of the root");
}

#[test]
fn a_root_counts_by_its_content() {
    let list = "RUN ls -l / /d > /a";
    let text = |before: &str| format!("{before}\n{list}");
    let files = [("f", "1"), ("g", "1"), ("sub/f", "1"), ("other/f", "2")];
    let mut trial = Trial::new(&text("COPY f g /d/"), &files);
    trial.text(&text("COPY sub/f g /d/")).hits("the same root by another step");
    trial.text(&text("COPY f g /d/\nRUN true")).misses(&["RUN true"], "a step that changes nothing");
    trial.text(&text("FROM BASE AS s\nCOPY f g /d/\nFROM s")).hits("by way of a stage");
    trial.text(&text("FROM BASE\nLABEL a=b\nENTRYPOINT [\"x\"]\nCOPY f g /d/")).hits("the same files");
    // Other layers, the same tree.
    set_time(&trial.path("f"), 1_000_000);
    set_time(&trial.path("g"), 1_000_000);
    let mut trial = Trial::new(&text("COPY f g /d/"), &files);
    for path in ["f", "g", "sub/f", "other/f"] {
        set_time(&trial.path(path), 1_000_000);
    }
    trial.args(&["--no-cache"]).build();
    trial
        .args(&[])
        .text(&text("COPY f /d/\nCOPY g /d/"))
        .misses(&["COPY f", "COPY g"], "two copies in place of one");
    trial
        .text(&text("COPY other/f /d/\nCOPY f g /d/"))
        .misses(&["other/f", "COPY f"], "a file that another hides");
    trial.write("f", "2").misses(&["COPY f", "RUN"], "content");
    trial.text(&text("COPY f /d/")).misses(&["RUN"], "a file less; the COPY is that of other/f");
}
