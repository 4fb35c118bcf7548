//! Images on their way: push and pull, save and load, between kiln, a registry, skopeo, podman and docker.

use std::fs;

use crate::support::environment::TestEnvironment;
use crate::support::image::Image;
use crate::support::peer::{Containers, Docker, PODMAN_RUN};
use crate::support::scratch_dir;
use crate::support::tool::{installed, run, tool, tool_ok};

const TEXT: &str = "ARG REGISTRY\nFROM ${REGISTRY}/busybox\nCOPY file.txt /file\nRUN echo made > /made && rm /etc/group\n\
    LABEL a=b\nHEALTHCHECK CMD true\nONBUILD RUN true\nSHELL [\"/bin/sh\", \"-ec\"]\n";

fn built(env: &TestEnvironment, tag: &str) -> Image {
    let context = env.dockerfile("context", TEXT);
    fs::write(context.join("file.txt"), "file\n").unwrap();
    env.build(&context, tag, &[]).ok();
    env.image(tag)
}

fn assert_same(left: &Image, right: &Image) {
    assert_eq!(left.tree, right.tree);
    assert_eq!(left.config, right.config, "the configuration travels as it is");
}

#[test]
fn push_and_pull() {
    let env = TestEnvironment::new();
    let name = env.reference("exchange/push:1");
    let original = built(&env, &name);
    env.run(["push", &name]).ok();
    assert_same(&original, &Image::read(&format!("docker://{name}")));

    let other = env.another_store("other");
    other.run(["pull", &name]).ok();
    assert_eq!(other.id(&name), env.id(&name));
    assert_same(&original, &other.image(&name));

    // What was pulled is pushed as it came: the same manifest, byte for byte.
    let copy = env.reference("exchange/copied:1");
    other.run(["tag", &name, &copy]).ok();
    other.run(["push", &copy]).ok();
    assert_eq!(env.registry.manifest("exchange/push:1"), env.registry.manifest("exchange/copied:1"));
}

#[test]
fn pull_by_digest() {
    let env = TestEnvironment::new();
    let target = format!("docker://{}", env.reference("busybox"));
    let digest = tool_ok("skopeo", ["inspect", "--tls-verify=false", "--format", "{{.Digest}}", &target]);
    let pinned = format!("{}@{}", env.reference("busybox"), digest.trim());
    env.run(["pull", &pinned]).ok();
    assert_eq!(env.run(["run", "--rm", &pinned, "echo", "pinned"]).ok(), "pinned\n");
    let context = env.dockerfile("pinned", &format!("FROM {pinned}\nRUN true\n"));
    env.build(&context, "pinned", &[]).ok();
}

#[test]
fn pull_of_docker_schema_2_and_of_an_index() {
    let env = TestEnvironment::new();
    let (source, schema2) = (env.reference("busybox"), env.reference("exchange/schema2:1"));
    let (from, to) = (format!("docker://{source}"), format!("docker://{schema2}"));
    tool_ok(
        "skopeo",
        ["copy", "--quiet", "--format=v2s2", "--src-tls-verify=false", "--dest-tls-verify=false", &from, &to],
    );
    env.run(["pull", &schema2]).ok();
    assert_eq!(env.run(["run", "--rm", &schema2, "echo", "ran"]).ok(), "ran\n");

    // buildah makes the index: an image for this machine among images for others.
    let dir = scratch_dir("buildah-");
    let buildah = Containers::new(dir.path());
    let index = env.reference("exchange/index:1");
    let context = env.dockerfile(
        "index",
        "FROM scratch\nARG TARGETARCH\nCOPY busybox /bin/echo\nLABEL arch=$TARGETARCH\n",
    );
    fs::copy(installed("busybox").unwrap(), context.join("busybox")).unwrap();
    let platforms = ["--platform", "linux/arm64,linux/amd64,linux/s390x", "--manifest", "several"];
    run(buildah.buildah().args(["build", "--network", "host"]).args(platforms).arg(&context)).ok();
    let push = ["manifest", "push", "--all", "--tls-verify=false", "several", &format!("docker://{index}")];
    run(buildah.buildah().args(push)).ok();
    env.run(["pull", &index]).ok();
    assert_eq!(env.run(["run", "--rm", &index, "/bin/echo", "ran"]).ok(), "ran\n");
    env.run(["pull", "--platform", "linux/arm64", &index]).ok();
    assert_eq!(env.run(["inspect", "--format", "{{.Architecture}}", &index]).ok(), "arm64\n");
    let said = env.run(["pull", "--platform", "linux/riscv64", &index]).fails();
    assert!(said.contains("riscv64") && said.contains("s390x"), "what there is should be named: {said}");
}

#[test]
fn save_and_load() {
    let env = TestEnvironment::new();
    let original = built(&env, "saved:1");
    for format in ["docker", "oci"] {
        let archive = env.path(&format!("{format}.tar"));
        env.run(["save", "--format", format, "-o", archive.to_str().unwrap(), "saved:1"]).ok();
        assert_same(&original, &Image::read(&format!("{format}-archive:{}", archive.display())));
        let other = env.another_store(format);
        let said = other.run(["load", "-i", archive.to_str().unwrap()]).ok();
        assert!(said.contains("saved:1"), "{said}");
        assert_eq!(other.id("saved:1"), env.id("saved:1"), "{format}");
        assert_eq!(other.run(["run", "--rm", "saved:1", "cat", "/made"]).ok(), "made\n");
    }
}

#[test]
fn build_outputs() {
    let env = TestEnvironment::new();
    let original = built(&env, "output:1");
    let context = env.path("context");
    for format in ["docker", "oci"] {
        let archive = env.path(&format!("built-{format}.tar"));
        let spec = format!("type={format},dest={}", archive.display());
        env.build(&context, "output:1", &["-o", &spec]).ok();
        assert_same(&original, &Image::read(&format!("{format}-archive:{}", archive.display())));
    }
    let directory = env.path("files");
    env.build(&context, "output:1", &["-o", directory.to_str().unwrap()]).ok();
    assert_eq!(fs::read_to_string(directory.join("made")).unwrap(), "made\n");
    assert!(directory.join("bin/busybox").exists() && !directory.join("etc/group").exists());
}

#[test]
fn podman_and_docker_load_what_kiln_saves() {
    let env = TestEnvironment::new();
    built(&env, "travels:1");
    let archive = env.path("travels.tar");
    env.run(["save", "-o", archive.to_str().unwrap(), "travels:1"]).ok();
    let archive = archive.to_str().unwrap();

    let dir = scratch_dir("podman-");
    let podman = Containers::new(dir.path());
    run(podman.podman().args(["load", "-i", archive])).ok();
    assert_eq!(run(podman.podman().args(PODMAN_RUN).args(["travels:1", "cat", "/made"])).ok(), "made\n");

    let dir = scratch_dir("docker-");
    let docker = Docker::start(dir.path());
    run(docker.docker().args(["load", "-i", archive])).ok();
    let cat = ["run", "--rm", "--network", "host", "travels:1", "cat", "/made"];
    assert_eq!(run(docker.docker().args(cat)).ok(), "made\n");
    let id = run(docker.docker().args(["inspect", "--format", "{{.Id}}", "travels:1"])).ok();
    assert_eq!(Some(id.trim().to_owned()), env.id("travels:1"), "the same image has the same id");
}

#[test]
fn kiln_loads_what_docker_podman_and_skopeo_save() {
    let env = TestEnvironment::new();
    built(&env, "home:1");
    let own = env.path("home.tar");
    env.run(["save", "-o", own.to_str().unwrap(), "home:1"]).ok();

    let dir = scratch_dir("docker-");
    let docker = Docker::start(dir.path());
    run(docker.docker().args(["load", "-i"]).arg(&own)).ok();
    run(docker.docker().args(["save", "-o"]).arg(env.path("docker.tar")).arg("home:1")).ok();

    let dir = scratch_dir("podman-");
    let podman = Containers::new(dir.path());
    run(podman.podman().args(["load", "-i"]).arg(&own)).ok();
    run(podman.podman().args(["save", "-o"]).arg(env.path("podman.tar")).arg("home:1")).ok();
    run(podman
        .podman()
        .args(["save", "--format", "oci-archive", "-o"])
        .arg(env.path("oci.tar"))
        .arg("home:1"))
    .ok();
    let layout = format!("oci:{}:home:1", env.path("layout").display());
    tool_ok("skopeo", ["copy", "--quiet", &format!("docker-archive:{}", own.display()), &layout]);

    for source in ["docker.tar", "podman.tar", "oci.tar", "layout"] {
        let other = env.another_store(source);
        other.run(["load".as_ref(), "-i".as_ref(), env.path(source).as_os_str()]).ok();
        let id = other.run(["images", "-q"]).ok();
        assert_eq!(other.run(["run", "--rm", id.trim(), "cat", "/made"]).ok(), "made\n", "{source}");
    }
}

#[test]
fn save_and_load_through_pipes() {
    let env = TestEnvironment::new();
    built(&env, "piped:1");
    let other = env.another_store("other");
    let script = "\"$0\" save piped:1 | KILN_ROOT=\"$1\" \"$0\" load";
    let mut shell = tool("sh");
    env.prepare(&mut shell).args(["-c", script, env!("CARGO_BIN_EXE_kiln")]).arg(other.root());
    run(&mut shell).ok();
    assert_eq!(other.id("piped:1"), env.id("piped:1"));
}
