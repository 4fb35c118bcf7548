//! The table of what enters a key (at the head of the cache's documentation), row by row: a change that the cache must answer,
//! and one that it must not.
//!
//! [`ROWS`] says which tests a row has. A row without one fails [`every_row_has_tests`].

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::support::environment::TestEnvironment;
use crate::support::progress::Steps;
use crate::support::tool::{run, tool_ok};
use crate::support::workspace;
use crate::web::{Page, WebServer};

const HERE: &str = "cli/tests/e2e/key_table.rs";
const KEYS: &str = "builder/src/solve/key.rs";
const GIT: &str = "builder/src/source/git/tests.rs";

/// The beginning of each row; the files and names of its tests.
const ROWS: &[(&str, &[(&str, &str)])] = &[
    ("RUN: the command", &[(HERE, "a_command_counts_as_it_is_executed")]),
    ("RUN: environment", &[(HERE, "what_a_command_is_given_counts")]),
    ("RUN: predefined proxy", &[(HERE, "proxies_do_not_count_unless_they_are_declared")]),
    ("RUN: working directory", &[(HERE, "what_a_command_is_given_counts")]),
    ("RUN: platform", &[(KEYS, "proxies_do_not_count_and_everything_else_does"), (HERE, "a_platform_counts_where_a_root_has_it")]),
    ("RUN: scripts", &[(HERE, "what_stands_in_the_file_counts")]),
    ("RUN: mounts", &[(HERE, "mounts_count_as_they_are_made")]),
    ("RUN: bind mount", &[(HERE, "a_bind_counts_by_what_it_shows")]),
    ("RUN: cache mount: what is in it", &[(HERE, "a_cache_counts_by_its_beginning")]),
    ("RUN: cache mount: what it begins", &[(HERE, "a_cache_counts_by_its_beginning")]),
    ("RUN: secrets and SSH", &[(HERE, "a_secret_counts_by_its_id"), (KEYS, "credentials_count_by_id_and_place")]),
    ("RUN: whether a secret", &[(HERE, "a_secret_counts_by_its_id")]),
    ("RUN: devices", &[(HERE, "a_device_counts_by_its_name")]),
    ("RUN: which devices", &[(HERE, "a_device_counts_by_its_name")]),
    ("RUN: network", &[(HERE, "network_and_host_name_count")]),
    ("RUN: host name", &[(HERE, "network_and_host_name_count")]),
    ("RUN: what the machine lends", &[(HERE, "what_the_machine_lends_does_not_count")]),
    ("RUN: the root", &[(HERE, "a_root_counts_by_its_content")]),
    ("COPY, ADD: the root", &[(HERE, "a_copy_counts_what_it_lies_on_unless_it_is_linked")]),
    ("COPY, ADD: tree digest", &[(HERE, "sources_count_by_what_they_are"), (HERE, "odd_files_are_told_apart")]),
    ("COPY, ADD: extended attributes", &[(HERE, "attributes_count")]),
    ("COPY, ADD: which sources are hard links", &[(HERE, "hard_links_count_within_a_source")]),
    ("COPY, ADD: sources' owners", &[(HERE, "owners_count_where_there_are_any")]),
    ("COPY, ADD: sources' times", &[(HERE, "times_and_inodes_do_not_count")]),
    ("COPY, ADD: sockets", &[(HERE, "what_is_not_copied_does_not_count")]),
    ("COPY, ADD: what no source takes", &[(HERE, "only_what_is_taken_counts")]),
    ("COPY, ADD: destination", &[(HERE, "where_files_go_and_what_becomes_of_them_counts")]),
    ("COPY, ADD: where in the context", &[(HERE, "where_files_were_does_not_count")]),
    ("COPY, ADD: files that stand", &[(HERE, "what_stands_in_the_file_counts")]),
    ("COPY, ADD with `--link`", &[(HERE, "a_copy_counts_what_it_lies_on_unless_it_is_linked")]),
    ("ADD of a URL", &[(HERE, "a_download_counts_by_its_body")]),
    ("ADD of a repository", &[(GIT, "a_commit_that_is_here_is_not_fetched"), (GIT, "a_checkout_is_a_function_of_its_commit")]),
    (
        "contexts by name",
        &[("cli/tests/e2e/named_contexts.rs", "a_directory_has_its_own_ignore_file_and_counts_by_its_content")],
    ),
    ("WORKDIR", &[(HERE, "a_directory_counts_by_its_path")]),
    ("labels", &[(HERE, "what_only_describes_does_not_count")]),
    ("SOURCE_DATE_EPOCH", &[(HERE, "the_date_counts_where_it_is_declared")]),
    ("HEALTHCHECK", &[(HERE, "what_only_describes_does_not_count")]),
];

/// The first cells of the table's rows.
fn table() -> Vec<String> {
    let text = fs::read_to_string(workspace().join("cache/src/lib.rs")).unwrap();
    let rows = text.lines().skip_while(|line| !line.starts_with("//! | input |")).skip(2);
    let rows = rows.map_while(|line| line.strip_prefix("//! | "));
    rows.map(|row| row.split(" | ").next().unwrap().to_owned()).collect()
}

#[test]
fn every_row_has_tests() {
    let table = table();
    assert!(table.len() > 30, "the table should be found: {table:#?}");
    for row in &table {
        let known = ROWS.iter().filter(|(begin, _)| row.starts_with(begin)).count();
        assert_eq!(known, 1, "the row `{row}` should be in ROWS, once");
    }
    for (begin, tests) in ROWS {
        assert!(table.iter().any(|row| row.starts_with(begin)), "no row begins with `{begin}`");
        for (file, test) in *tests {
            let text = fs::read_to_string(workspace().join(file)).unwrap();
            assert!(text.contains(&format!("fn {test}(")), "{file} has no test {test}");
        }
    }
}

/// A build that is repeated with one thing changed at a time.
struct Trial {
    env: TestEnvironment,
    context: PathBuf,
    text: String,
    args: Vec<String>,
}

impl Trial {
    /// Builds `text`, with these files in the context.
    fn new(text: &str, files: &[(&str, &str)]) -> Trial {
        let env = TestEnvironment::new();
        let context = env.dockerfile("trial", "");
        let mut trial = Trial { env, context, text: String::new(), args: Vec::new() };
        for (path, content) in files {
            trial.write(path, content);
        }
        trial.text(text);
        trial.build();
        trial.hits("nothing changed");
        trial
    }

    /// Another Dockerfile. `BASE` in it is the name of busybox, on which everything is built that has no FROM.
    fn text(&mut self, text: &str) -> &mut Trial {
        let text = if text.contains("FROM") { text.to_owned() } else { format!("FROM BASE\n{text}") };
        self.text = format!("ARG REGISTRY\n{}", text.replace("BASE", "${REGISTRY}/busybox"));
        self
    }

    fn args(&mut self, args: &[&str]) -> &mut Trial {
        self.args = args.iter().map(|arg| (*arg).to_owned()).collect();
        self
    }

    fn write(&self, path: &str, content: &str) -> &Trial {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    fn path(&self, path: &str) -> PathBuf {
        self.context.join(path)
    }

    fn build(&self) -> Steps {
        fs::write(self.path("Dockerfile"), &self.text).unwrap();
        let args: Vec<&str> = self.args.iter().map(String::as_str).collect();
        let outcome = self.env.build(&self.context, "trial", &args);
        assert!(outcome.status.success(), "{}\n{outcome}", self.text);
        Steps::read(&format!("{}{}", outcome.stdout, outcome.stderr))
    }

    /// Nothing is executed.
    #[track_caller]
    fn hits(&self, why: &str) -> &Trial {
        let steps = self.build();
        assert_eq!(steps.executed(), [""; 0], "should hit: {why}\n{}\n{steps:#?}", self.text);
        self
    }

    /// Steps whose names have these parts are executed, and no others; once.
    #[track_caller]
    fn misses(&self, parts: &[&str], why: &str) -> &Trial {
        let steps = self.build();
        let names = steps.executed();
        let fits = names.len() == parts.len()
            && parts.iter().all(|part| names.iter().any(|name| name.contains(part)));
        assert!(fits, "{parts:?} should miss: {why}\n{}\nexecuted {names:?}\n{steps:#?}", self.text);
        assert_eq!(self.build().executed(), [""; 0], "the second time: {why}");
        self
    }

    fn tree(&self) -> BTreeMap<String, String> {
        self.env.image("trial").tree
    }
}

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
        let internal = if mount.ends_with("bind,source=f,target=/t") { 1 } else { 0 };
        let steps = trial.text(&run(mount)).build();
        let names: Vec<&str> = steps.executed();
        assert!(names.iter().any(|name| name.contains("RUN")) && names.len() <= 1 + internal, "{why}: {names:?}");
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
        format!("FROM BASE AS s\nRUN {build}\nFROM BASE\nRUN --mount=from=s,source=/o,target=/t cat /t/f > /a")
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
    trial.args(&[]).text(&text("COPY f /d/\nCOPY g /d/")).misses(&["COPY f", "COPY g"], "two copies in place of one");
    trial.text(&text("COPY other/f /d/\nCOPY f g /d/")).misses(&["other/f", "COPY f"], "a file that another hides");
    trial.write("f", "2").misses(&["COPY f", "RUN"], "content");
    trial.text(&text("COPY f /d/")).misses(&["COPY", "RUN"], "a name");
}

#[test]
fn a_copy_counts_what_it_lies_on_unless_it_is_linked() {
    let text = |before: &str, flags: &str| format!("{before}\nCOPY {flags} f /d/f");
    let mut trial = Trial::new(&text("RUN echo 1 > /x", ""), &[("f", "1")]);
    trial.text(&text("RUN echo 2 > /x", "")).misses(&["RUN", "COPY"], "another root");
    trial.text(&text("RUN ln -s tmp /d", "")).misses(&["RUN", "COPY"], "a link at the destination");
    assert!(trial.tree().contains_key("tmp/f"));

    let mut trial = Trial::new(&text("RUN echo 1 > /x", "--link --chown=5"), &[("f", "1")]);
    trial.text(&text("RUN echo 2 > /x", "--link --chown=5")).misses(&["RUN"], "linked");
    trial.text(&text("RUN echo 2 > /x", "--link --chown=6")).misses(&["COPY"], "an owner");
    // A name is what the root says it is.
    let user = |id: &str| format!("RUN echo me:x:{id}:{id}::/: >> /etc/passwd");
    trial.text(&text(&user("70"), "--link --chown=me")).misses(&["RUN", "COPY"], "a name");
    trial.text(&text(&format!("{} && echo > /x", user("70")), "--link --chown=me")).misses(&["RUN"], "the same number");
    trial.text(&text(&user("71"), "--link --chown=me")).misses(&["RUN", "COPY"], "another number");
}

#[test]
fn sources_count_by_what_they_are() {
    let trial = Trial::new("COPY d /d", &[("d/a", "1"), ("d/b", "2"), ("d/s/c", "3")]);
    trial.write("d/a", "9").misses(&["COPY"], "content of the same length");
    fs::rename(trial.path("d/a"), trial.path("d/z")).unwrap();
    trial.misses(&["COPY"], "a name");
    fs::set_permissions(trial.path("d/b"), fs::Permissions::from_mode(0o640)).unwrap();
    trial.misses(&["COPY"], "a mode");
    fs::set_permissions(trial.path("d/s"), fs::Permissions::from_mode(0o750)).unwrap();
    trial.misses(&["COPY"], "a directory's mode");
    symlink("b", trial.path("d/l")).unwrap();
    trial.misses(&["COPY"], "a link");
    fs::remove_file(trial.path("d/l")).unwrap();
    symlink("z", trial.path("d/l")).unwrap();
    trial.misses(&["COPY"], "where it leads");
    fs::create_dir(trial.path("d/empty")).unwrap();
    trial.misses(&["COPY"], "an empty directory");
    fs::remove_dir(trial.path("d/empty")).unwrap();
    fs::write(trial.path("d/empty"), "").unwrap();
    trial.misses(&["COPY"], "an empty file in its place");
    fs::rename(trial.path("d"), trial.path("e")).unwrap();
    fs::create_dir(trial.path("d")).unwrap();
    trial.misses(&["COPY"], "all files gone");
    fs::remove_dir(trial.path("d")).unwrap();
    fs::rename(trial.path("e"), trial.path("d")).unwrap();
    trial.hits("all files there again");
    // The order in which sources are given decides which of two files wins.
    let mut trial = Trial::new("COPY d/f e/f /d/", &[("d/f", "1"), ("e/f", "2")]);
    trial.text("COPY e/f d/f /d/").misses(&["COPY"], "another order");
    trial.text("COPY nothing* d/f /d/").misses(&["COPY"], "one file");
    trial.text("COPY d/f none* /d/").hits("patterns that match nothing");
}

#[test]
fn odd_files_are_told_apart() {
    let trial = Trial::new("COPY d /d", &[("d/a\nb", "1"), ("d/ab", "1")]);
    fs::rename(trial.path("d/a\nb"), trial.path("d/a")).unwrap();
    trial.misses(&["COPY"], "a name with a newline");
    tool_ok("mkfifo", [trial.path("d/p")]);
    trial.misses(&["COPY"], "a pipe");
    for (kind, major, minor) in [("c", "1", "3"), ("c", "1", "5"), ("c", "4", "3"), ("b", "4", "3")] {
        fs::remove_file(trial.path("d/p")).unwrap();
        tool_ok("mknod", [trial.path("d/p").as_os_str(), kind.as_ref(), major.as_ref(), minor.as_ref()]);
        trial.misses(&["COPY"], "a device");
    }
    // Two files of the same content, one of them with holes.
    let size = 1 << 20;
    fs::write(trial.path("d/zeros"), vec![0; size]).unwrap();
    trial.misses(&["COPY"], "zeros");
    fs::File::create(trial.path("d/zeros")).unwrap().set_len(size as u64).unwrap();
    trial.hits("holes are zeros");
}

#[test]
fn attributes_count() {
    let trial = Trial::new("COPY f d /d/", &[("f", "1"), ("d/g", "1")]);
    set_attribute(&trial.path("f"), "user.a", b"1");
    trial.misses(&["COPY"], "a new one");
    assert!(trial.tree()["d/f"].contains("user.a"), "{:?}", trial.tree()["d/f"]);
    set_attribute(&trial.path("f"), "user.a", b"2");
    trial.misses(&["COPY"], "another value");
    set_attribute(&trial.path("d/g"), "user.a", b"2");
    trial.misses(&["COPY"], "in a directory");
    // What programs may do: the kernel's own form, version 2, of cap_net_raw.
    let capability = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    set_attribute(&trial.path("f"), "security.capability", &capability);
    trial.misses(&["COPY"], "a capability");
    rustix::fs::removexattr(trial.path("f"), "user.a").unwrap();
    trial.misses(&["COPY"], "one less");
    set_attribute(&trial.path("f"), "user.overlay.origin", b"x");
    trial.hits("what is no layer's");
}

#[test]
fn hard_links_count_within_a_source() {
    let trial = Trial::new("COPY d /d/", &[("d/a", "1"), ("d/b", "1"), ("e/a", "1")]);
    fs::hard_link(trial.path("e/a"), trial.path("e/b")).unwrap();
    trial.hits("elsewhere");
    fs::remove_file(trial.path("d/b")).unwrap();
    fs::hard_link(trial.path("d/a"), trial.path("d/b")).unwrap();
    trial.misses(&["COPY"], "one file with two names");
    let trial = Trial::new("COPY d/a e/b /d/", &[("d/a", "1"), ("e/b", "1")]);
    fs::remove_file(trial.path("e/b")).unwrap();
    fs::hard_link(trial.path("d/a"), trial.path("e/b")).unwrap();
    trial.hits("across sources links are not kept");
}

#[test]
fn owners_count_where_there_are_any() {
    let trial = Trial::new("COPY f /f", &[("f", "1")]);
    lchown(trial.path("f"), Some(5), Some(6)).unwrap();
    trial.hits("the owner in a context");
    let stages = |owner: &str, flags: &str| {
        format!("FROM BASE AS s\nRUN echo > /f && chown {owner} /f\nFROM BASE\nCOPY {flags} --from=s /f /f")
    };
    let mut trial = Trial::new(&stages("5", ""), &[]);
    trial.text(&stages("6", "")).misses(&["RUN", "COPY"], "the owner in a stage");
    trial.text(&stages("6", "--chown=0")).misses(&["COPY"], "an owner in place of the source's");
}

#[test]
fn times_and_inodes_do_not_count() {
    let trial = Trial::new("COPY d /d", &[("d/f", "1"), ("d/g", "1")]);
    set_time(&trial.path("d/f"), 1_000_000);
    trial.hits("a time");
    set_time(&trial.path("d"), 1_000_000);
    trial.hits("a directory's time");
    fs::copy(trial.path("d/f"), trial.path("copy")).unwrap();
    fs::rename(trial.path("copy"), trial.path("d/f")).unwrap();
    trial.hits("another inode");
    // What a stat index must not be taken in by: size and time as they were, right after a build.
    for round in 2..10 {
        let time = fs::metadata(trial.path("d/f")).unwrap().modified().unwrap();
        trial.write("d/f", &round.to_string());
        fs::File::options().append(true).open(trial.path("d/f")).unwrap().set_modified(time).unwrap();
        trial.misses(&["COPY"], "content behind an old time");
    }
    for round in 2..10 {
        // A new file with the time and size of the old one, which may get its inode, too.
        let time = fs::metadata(trial.path("d/g")).unwrap().modified().unwrap();
        fs::remove_file(trial.path("d/g")).unwrap();
        trial.write("d/g", &round.to_string());
        fs::File::options().append(true).open(trial.path("d/g")).unwrap().set_modified(time).unwrap();
        trial.misses(&["COPY"], "another file behind an old time");
    }
}

#[test]
fn what_is_not_copied_does_not_count() {
    let trial = Trial::new("COPY . /d", &[("f", "1")]);
    let socket = std::os::unix::net::UnixListener::bind(trial.path("socket")).unwrap();
    trial.hits("a socket");
    drop(socket);
    fs::set_permissions(&trial.context, fs::Permissions::from_mode(0o700)).unwrap();
    trial.hits("the mode of the context's directory");
    let mut trial = Trial::new("COPY --parents ./d/./f /d/", &[("d/f", "1"), ("d/s/f", "1")]);
    fs::set_permissions(trial.path("d"), fs::Permissions::from_mode(0o700)).unwrap();
    trial.hits("a directory that only leads to what is copied");
    trial.text("COPY --parents d/f /d/").misses(&["COPY"], "a directory that comes along");
    fs::set_permissions(trial.path("d"), fs::Permissions::from_mode(0o755)).unwrap();
    trial.misses(&["COPY"], "its mode");
}

#[test]
fn only_what_is_taken_counts() {
    let files = [("d/a", "1"), ("d/b", "1"), ("other", "1"), (".dockerignore", "*.log\n")];
    let mut trial = Trial::new("COPY d /d", &files);
    trial.write(".dockerignore", "**/*.log\n").write("other", "2").write("d/x.log", "2");
    trial.hits("files that are not taken");
    trial.write(".dockerignore", "# comment\n**/*.log\nother\n").hits("rules that leave the same files");
    trial.write(".dockerignore", "**/*.log\nd/a\n").misses(&["COPY"], "a rule that takes a file away");
    trial.text("COPY --exclude=*.txt d /d").hits("a pattern that leaves the same files");
    trial.text("COPY --exclude=b d /d").misses(&["COPY"], "a pattern that takes a file away");
    trial.write("d/b", "2").hits("a file that is taken away");
}

#[test]
fn where_files_go_and_what_becomes_of_them_counts() {
    let mut trial = Trial::new("COPY f /d", &[("f", "1"), ("dir/f", "1")]);
    trial.text("ENV D=/d\nCOPY f $D").hits("the same destination");
    for (text, why) in [
        ("COPY f /d/", "a directory"),
        ("COPY f /e", "another name"),
        ("COPY --chmod=600 f /d", "a mode"),
        ("COPY --chmod=u+x f /d", "a change of the mode"),
        ("COPY --chown=0 f /d", "an owner"),
        ("COPY --chown=1 f /d", "another owner"),
        ("COPY --chown=1:0 f /d", "a group"),
        ("COPY --parents dir/f /d", "with its directory"),
        ("COPY dir /d", "a directory's contents"),
        ("COPY --link f /d", "on nothing"),
        ("ADD f /d", "archives are unpacked"),
    ] {
        trial.text(text).misses(&[&text[..3]], why);
    }
    trial.text("COPY --link=false f /d").hits("the default");
    trial.text("ADD --unpack=false f /d").hits("as COPY does");
}

#[test]
fn where_files_were_does_not_count() {
    let mut trial = Trial::new("COPY a/f /d/", &[("a/f", "1"), ("b/c/f", "1"), ("b/c/g", "1")]);
    trial.text("COPY b/c/f /d/").hits("the same name in another directory");
    trial.text("COPY b/c/g /d/").misses(&["COPY"], "another name");
}

#[test]
fn a_download_counts_by_its_body() {
    let server = WebServer::start();
    let page = |text: &str, date: &str| Page::new(text).header("Last-Modified", date);
    let [early, late, last] = [1, 2, 3].map(|day| format!("Mon, {day:02} Jan 2024 00:00:00 GMT"));
    for path in ["/f", "/moved/f", "/g"] {
        server.serve(path, [page("1", &early)]);
    }
    let mut trial = Trial::new(&format!("ADD {} /d/", server.url("/f")), &[]);
    server.serve("/f", [page("1", &late)]);
    trial.hits("a later date of the same body");
    trial.text(&format!("ADD {} /d/", server.url("/moved/f"))).hits("another address");
    trial.text(&format!("ADD {} /d/", server.url("/g"))).misses(&["ADD"], "another name");
    trial.text(&format!("ADD {} /d/", server.url("/f")));
    server.serve("/f", [page("2", &last)]);
    trial.misses(&["ADD"], "another body");
}

#[test]
fn a_directory_counts_by_its_path() {
    let mut trial = Trial::new("WORKDIR /a/b", &[]);
    trial.text("WORKDIR /a/./b/").hits("the same path");
    trial.text("ENV X=1\nLABEL a=b\nWORKDIR /a/b").hits("what is no file");
    trial.text("WORKDIR /a/c").misses(&["WORKDIR"], "another path");
    trial.text("RUN echo > /x\nWORKDIR /a/c").misses(&["RUN", "WORKDIR"], "another root");
}

#[test]
fn what_only_describes_does_not_count() {
    let steps = |before: &str| format!("FROM BASE AS s\n{before}\nCOPY f /f\nRUN echo 1 > /a");
    let mut trial = Trial::new(&steps(""), &[("f", "1")]);
    for text in
        ["LABEL a=b", "EXPOSE 80", "CMD [\"x\"]", "HEALTHCHECK CMD x", "ONBUILD RUN x", "VOLUME /v", "STOPSIGNAL 9"]
    {
        trial.text(&steps(text)).hits(text);
    }
    trial.args(&["--label", "b=c"]).hits("a label of the command line");
    trial.args(&[]).text(&steps("").replace("AS s", "AS another")).hits("a stage's name");
    trial.text(&steps("ENV X=1")).misses(&["RUN"], "a variable: not for the COPY");
}

#[test]
fn the_date_counts_where_it_is_declared() {
    let mut trial = Trial::new("COPY f /f\nRUN echo > /a", &[("f", "1")]);
    trial.args(&["--build-arg", "SOURCE_DATE_EPOCH=5"]).hits("a date that nobody declared");
    let mut trial = Trial::new("ARG SOURCE_DATE_EPOCH\nCOPY f /f\nRUN echo > /a", &[("f", "1")]);
    trial.args(&["--build-arg", "SOURCE_DATE_EPOCH=5"]).misses(&["RUN"], "as any argument");
    trial.args(&["--build-arg", "SOURCE_DATE_EPOCH=6"]).misses(&["RUN"], "another one");
}

fn set_time(path: &Path, seconds: u64) {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    fs::File::open(path).unwrap().set_modified(time).unwrap();
}

fn set_attribute(path: &Path, name: &str, value: &[u8]) {
    rustix::fs::setxattr(path, name, value, rustix::fs::XattrFlags::empty()).unwrap();
}
