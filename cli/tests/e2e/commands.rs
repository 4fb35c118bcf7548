//! The commands around images, as scripts written for docker use them.

use crate::support::environment::TestEnvironment;

fn with_image(tag: &str) -> TestEnvironment {
    let env = TestEnvironment::new();
    let text = "ARG REGISTRY\nFROM ${REGISTRY}/busybox\nRUN echo x > /x\nENV A=b\nLABEL name=value\nCMD [\"cat\", \"/x\"]\n";
    let context = env.dockerfile("context", text);
    env.build(&context, tag, &[]).ok();
    env
}

#[test]
fn images_tag_and_rmi() {
    let env = with_image("one:1");
    let id = env.id("one:1").unwrap();
    env.run(["tag", "one:1", "two"]).ok();
    let list = env.run(["images", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}"]).ok();
    let short = &id.trim_start_matches("sha256:")[..12];
    // The base that was pulled for the build is an image too.
    let base = env.reference("busybox");
    let mut lines: Vec<&str> = list.lines().filter(|line| !line.starts_with(&base)).collect();
    lines.sort_unstable();
    assert_eq!(lines.len() + 1, list.lines().count(), "{list}");
    env.run(["rmi", &base]).ok();
    assert_eq!(lines, [format!("one:1 {short}"), format!("two:latest {short}")]);
    let ids = env.run(["images", "-q"]).ok();
    assert!(ids.lines().all(|id| id == short), "{ids}");

    let said = env.run(["rmi", "two"]).ok();
    assert!(said.contains("Untagged: two:latest"), "{said}");
    assert_eq!(env.id("two"), None);
    assert_eq!(env.id("one:1").as_ref(), Some(&id), "the other name stays");
    env.run(["rmi", short]).ok();
    assert_eq!(env.run(["images", "-q"]).ok(), "");
    let said = env.run(["rmi", "one:1"]).fails();
    assert!(said.contains("one:1"), "{said}");
}

#[test]
fn inspect_and_history() {
    let env = with_image("seen:1");
    let format = "{{.Config.Env}} {{.Config.Labels.name}} {{json .Config.Cmd}} {{.Architecture}}";
    let seen = env.run(["inspect", "--format", format, "seen:1"]).ok();
    assert!(seen.contains("A=b] value [\"cat\",\"/x\"] "), "{seen}");
    let json: serde_json::Value = serde_json::from_str(&env.run(["inspect", "seen:1"]).ok()).unwrap();
    assert_eq!(json[0]["RepoTags"][0], "seen:1");
    assert_eq!(json[0]["RootFS"]["Layers"].as_array().unwrap().len(), 2);

    let history = env.run(["history", "--no-trunc", "--format", "{{.CreatedBy}}", "seen:1"]).ok();
    let lines: Vec<&str> = history.lines().collect();
    assert!(lines[0].contains("CMD") && lines[3].contains("echo x > /x"), "{history}");
    assert_eq!(lines.len(), 5, "{history}");
    env.run(["inspect", "missing:1"]).fails();
    env.run(["history", "missing:1"]).fails();
}

#[test]
fn prune_keeps_what_is_named() {
    let env = with_image("kept:1");
    env.run(["prune", "--force"]).ok();
    assert_eq!(env.run(["run", "--rm", "kept:1"]).ok(), "x\n");
    env.run(["prune", "--force", "--all"]).ok();
    assert_eq!(env.run(["run", "--rm", "kept:1"]).ok(), "x\n");
    env.run(["rmi", "kept:1"]).ok();
    env.run(["rmi", &env.reference("busybox")]).code();
    env.run(["prune", "--force", "--all"]).ok();
    assert_eq!(env.run(["images", "-q", "--all"]).ok(), "");
    let size = size_below(env.root());
    assert!(size < 200_000, "an empty store still has {size} bytes");
}

fn size_below(directory: &std::path::Path) -> u64 {
    let entries = std::fs::read_dir(directory).unwrap().map(Result::unwrap);
    let directory = |entry: &std::fs::DirEntry| entry.file_type().unwrap().is_dir();
    entries
        .map(
            |entry| {
                if directory(&entry) { size_below(&entry.path()) } else { entry.metadata().unwrap().len() }
            },
        )
        .sum()
}

#[test]
fn quiet_and_iidfile_give_the_id() {
    let env = with_image("named:1");
    let file = env.path("iid");
    let context = env.path("context");
    let registry = format!("REGISTRY={}", env.registry.host());
    let mut command = env.kiln(["build", "-q", "--build-arg", &registry, "--iidfile"]);
    let said = crate::support::tool::run(command.arg(&file).arg(&context)).ok();
    let id = env.id("named:1").unwrap();
    assert_eq!(said.trim(), id);
    assert_eq!(std::fs::read_to_string(file).unwrap(), id);
}

#[test]
fn several_tags_and_labels() {
    let env = with_image("base:1");
    let context = env.path("context");
    env.build(&context, "first:1", &["-t", "second:1", "--label", "from=outside"]).ok();
    assert_eq!(env.id("first:1"), env.id("second:1"));
    let label = env.run(["inspect", "--format", "{{index .Config.Labels \"from\"}}", "first:1"]).ok();
    assert_eq!(label.trim(), "outside");
}

#[test]
fn hosts_of_a_build_are_known_to_its_commands() {
    let env = TestEnvironment::new();
    let text = "ARG REGISTRY\nFROM ${REGISTRY}/busybox\nRUN grep 10.0.0 /etc/hosts > /known\n";
    let context = env.dockerfile("context", text);
    env.build(&context, "app:1", &["--add-host", "db:10.0.0.5", "--memory=1g"]).ok();
    assert_eq!(env.run(["run", "--rm", "app:1", "cat", "/known"]).ok(), "10.0.0.5\tdb\n");
    // As in BuildKit, names count and addresses do not.
    env.build(&context, "app:2", &["--add-host", "db:10.0.0.6", "--require-cached"]).ok();
    env.build(&context, "app:3", &["--add-host", "other:10.0.0.6"]).ok();
    assert_eq!(env.run(["run", "--rm", "app:3", "cat", "/known"]).ok(), "10.0.0.6\tother\n");
}

#[test]
fn scripts_that_make_a_builder_first_go_on() {
    let env = TestEnvironment::new();
    assert_eq!(env.run(["buildx", "create", "--use", "--name", "mine"]).ok(), "mine\n");
    assert!(env.run(["buildx", "inspect", "--bootstrap"]).ok().contains("Status:    running"));
    let info = env.run(["info", "--format", "{{.Images}} {{.OSType}}"]).ok();
    assert_eq!(info.trim(), "0 linux");
}

#[test]
fn version_and_help() {
    let env = TestEnvironment::new();
    assert!(env.run(["version"]).ok().contains(env!("CARGO_PKG_VERSION")));
    assert!(env.run(["--help"]).ok().contains("build"));
    let said = env.run(["bulid"]).fails();
    assert!(said.contains("build"), "a near miss is named: {said}");
}
