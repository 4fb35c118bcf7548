//! Bad input: one clear error that names the place, an exit code that is not zero, nothing tagged, and the image that had
//! the name before still has it.

use std::fs;
use std::sync::Arc;

use crate::support::environment::TestEnvironment;
use crate::support::registry::Registry;

/// An environment in which the name `victim` belongs to a good image.
struct Victim {
    env: TestEnvironment,
    id: String,
}

fn victim() -> Victim {
    victim_in(TestEnvironment::new())
}

fn victim_in(env: TestEnvironment) -> Victim {
    let context = env.dockerfile("good", "ARG REGISTRY\nFROM ${REGISTRY}/bare\nLABEL good=yes\n");
    env.build(&context, "victim", &[]).ok();
    let id = env.id("victim").unwrap();
    Victim { env, id }
}

impl Victim {
    /// Builds a Dockerfile that must fail under the victim's name; gives what was said.
    #[track_caller]
    fn fails(&self, text: &str, expected: &[&str]) {
        let context = self.env.dockerfile("bad", text);
        self.build_fails(&context, &[], expected);
    }

    #[track_caller]
    fn build_fails(&self, context: &std::path::Path, args: &[&str], expected: &[&str]) {
        let said = self.env.build(context, "victim", &[&["-t", "another"], args].concat()).fails();
        for part in expected {
            assert!(said.contains(part), "`{part}` is not in:\n{said}");
        }
        // An error with an excerpt is followed by one line that sums up.
        let starting = |start: &str| said.lines().filter(|line| line.starts_with(start)).count();
        let errors = if starting("error[") > 0 { starting("error[") } else { starting("error:") };
        assert_eq!(errors, 1, "one error:\n{said}");
        assert_eq!(self.env.id("victim").as_ref(), Some(&self.id), "the previous image keeps its name");
        assert_eq!(self.env.id("another"), None, "nothing is tagged");
        let images = self.env.run(["images", "--all", "--format", "{{.Repository}} {{.ID}}"]).ok();
        assert!(!images.contains("<none>"), "no image is left:\n{images}");
    }
}

#[test]
fn a_missing_dockerfile() {
    let victim = victim();
    let empty = victim.env.path("empty");
    fs::create_dir(&empty).unwrap();
    victim.build_fails(&empty, &[], &["Dockerfile", empty.to_str().unwrap()]);
    victim.build_fails(&empty, &["-f", "/no/such/File"], &["/no/such/File"]);
    victim.build_fails(&victim.env.path("no-context"), &[], &["no-context"]);
}

#[test]
fn syntax_errors_name_their_line() {
    let victim = victim();
    victim.fails("FROM scratch\nENV\n", &["Dockerfile:2", "ENV"]);
    victim.fails("FROM scratch\nCOPY one\n", &["Dockerfile:2", "COPY"]);
    victim.fails("FROM scratch\n\nENV A=\"no end\n", &["Dockerfile:3"]);
    victim.fails("RUN true\nFROM scratch\n", &["Dockerfile:1", "FROM"]);
    victim.fails("", &["Dockerfile"]);
    victim.fails("# only a comment\n", &["Dockerfile"]);
    victim.fails("FROM scratch\nRUN <<EOT\nno end\n", &["Dockerfile:2", "EOT"]);
    victim.fails("FROM scratch\nHEALTHCHECK --interval=soon CMD true\n", &["Dockerfile:2", "soon"]);
    victim.fails("FROM scratch\nSHELL sh -c\n", &["Dockerfile:2", "SHELL"]);
    victim.fails("FROM scratch\nEXPOSE eighty\n", &["Dockerfile:2", "eighty"]);
}

#[test]
fn unknown_words_get_a_suggestion() {
    let victim = victim();
    victim.fails("FROM scratch\nCOPPY a b\n", &["Dockerfile:2", "COPPY", "COPY"]);
    victim.fails("FROM scratch\nCOPY --chwon=1 a b\n", &["Dockerfile:2", "chwon", "chown"]);
    victim.fails("FROM scratch AS one\nFROM scratch\nCOPY --from=tow / /\n", &["tow"]);
}

#[test]
fn a_missing_source_is_named() {
    let victim = victim();
    let from = "ARG REGISTRY\nFROM ${REGISTRY}/bare\n";
    victim.fails(&format!("{from}COPY no-such-file /\n"), &["Dockerfile:3", "no-such-file"]);
    victim.fails(&format!("{from}ADD missing/ /\n"), &["Dockerfile:3", "missing"]);
    victim.fails(&format!("{from}COPY ../outside /\n"), &["Dockerfile:3", "outside"]);
    victim.fails(
        "ARG REGISTRY\nFROM ${REGISTRY}/bare AS a\nFROM a\nCOPY --from=a /nowhere /\n",
        &["Dockerfile:4", "nowhere"],
    );
    let ignored = victim.env.dockerfile("ignored", &format!("{from}COPY secret /\n"));
    fs::write(ignored.join("secret"), "x").unwrap();
    fs::write(ignored.join(".dockerignore"), "secret\n").unwrap();
    victim.build_fails(&ignored, &[], &["Dockerfile:3", "secret", ".dockerignore"]);
}

#[test]
fn a_command_that_fails() {
    let victim = victim();
    let from = "ARG REGISTRY\nFROM ${REGISTRY}/busybox\n";
    victim.fails(
        &format!("{from}RUN echo about to fail >&2; exit 9\n"),
        &["Dockerfile:3", "about to fail", "9"],
    );
    victim.fails(&format!("{from}RUN [\"no-such-program\"]\n"), &["Dockerfile:3", "no-such-program"]);
    victim.fails(&format!("{from}USER nobody-here\nRUN true\n"), &["nobody-here"]);
    victim.fails("FROM scratch\nRUN true\n", &["Dockerfile:2"]);
    victim.fails("ARG REGISTRY\nFROM ${REGISTRY}/busybox AS a\nRUN sleep 1000\nFROM ${REGISTRY}/busybox\nRUN false\nCOPY --from=a / /\n", &["Dockerfile:5"]);
}

#[test]
fn a_registry_that_does_not_answer() {
    let victim = victim();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    victim.fails(&format!("FROM {address}/image:1\n"), &["Dockerfile:1", &address]);
    victim.fails("FROM registry.invalid/image:1\n", &["Dockerfile:1", "registry.invalid"]);
    let missing = victim.env.reference("not/here:1");
    victim.fails(&format!("FROM {missing}\n"), &["Dockerfile:1", &missing]);
    let said = victim.env.run(["push", "victim:none"]).fails();
    assert!(said.contains("victim:none"), "{said}");
    victim.env.run(["tag", "victim", &format!("{address}/victim:1")]).ok();
    let said = victim.env.run(["push", &format!("{address}/victim:1")]).fails();
    assert!(said.contains(&address), "{said}");
}

#[test]
fn a_digest_that_does_not_exist() {
    let victim = victim();
    let reference = format!("{}@sha256:{}", victim.env.reference("busybox"), "0".repeat(64));
    victim.fails(&format!("FROM {reference}\n"), &["Dockerfile:1", &reference]);
    victim.fails(
        &format!("FROM {}@sha256:123\n", victim.env.reference("busybox")),
        &["Dockerfile:1", "sha256:123"],
    );
}

/// A registry whose `busybox` has one blob damaged.
fn damaged(which: &str, damage: impl Fn(Vec<u8>) -> Vec<u8>) -> (Victim, String) {
    let registry = Arc::new(Registry::with_bases());
    let manifest = registry.manifest("busybox");
    let digest = match which {
        "config" => &manifest["config"]["digest"],
        _ => &manifest["layers"][0]["digest"],
    };
    let digest = digest.as_str().unwrap().to_owned();
    let path = registry.blob_path(&digest);
    let whole = fs::read(&path).unwrap();
    fs::write(&path, damage(whole)).unwrap();
    (victim_in(TestEnvironment::with_registry(registry)), digest)
}

const USES_THE_BASE: &str = "ARG REGISTRY\nFROM ${REGISTRY}/busybox\nRUN true\n";

#[test]
fn a_layer_that_ends_too_early() {
    let (victim, digest) = damaged("layer", |whole| whole[..whole.len() / 2].to_vec());
    victim.fails(USES_THE_BASE, &[&digest]);
    let said = victim.env.run(["pull", &victim.env.reference("busybox")]).fails();
    assert!(said.contains(&digest), "{said}");
}

#[test]
fn a_layer_with_other_bytes() {
    let (victim, digest) = damaged("layer", |mut whole| {
        let middle = whole.len() / 2;
        whole[middle] ^= 1;
        whole
    });
    victim.fails(USES_THE_BASE, &[&digest]);
}

#[test]
fn a_configuration_with_other_bytes() {
    let (victim, digest) =
        damaged("config", |whole| String::from_utf8(whole).unwrap().replace("linux", "lINUX").into_bytes());
    victim.fails(USES_THE_BASE, &["Dockerfile:2", &digest]);
}

#[test]
fn a_damaged_archive_is_not_loaded() {
    let victim = victim();
    let archive = victim.env.path("victim.tar");
    for format in ["docker", "oci"] {
        victim.env.run(["save", "--format", format, "-o", archive.to_str().unwrap(), "victim"]).ok();
        let whole = fs::read(&archive).unwrap();
        fs::write(&archive, &whole[..whole.len() / 2]).unwrap();
        let other = victim.env.another_store(format);
        let said = other.run(["load", "-i", archive.to_str().unwrap()]).fails();
        assert!(said.contains("victim.tar"), "{said}");
        assert_eq!(other.run(["images", "-q", "--all"]).ok(), "");
    }
}

/// What somebody who writes a first Dockerfile runs into, and what there is to do about it.
#[test]
fn failures_say_what_can_be_done() {
    let victim = victim();
    let base = "ARG REGISTRY\nFROM ${REGISTRY}/busybox\n";
    for (step, expected) in [
        ("COPY ../other /\n", &["Dockerfile:3:6", "`../other` leads out of the build context"][..]),
        ("COPY [\"/etc/hostname\", \"/\"]\n", &["Dockerfile:3:8", "whose root the first / stands for"]),
        ("COPY Dockerfile Dockerfil /x/\n", &["Dockerfile:3:17", "did you mean `Dockerfile`?"]),
        ("RUN pyhton --version\n", &["Dockerfile:3", "pyhton", "127 says that a program was not found"]),
        ("RUN /etc\n", &["Dockerfile:3", "126 says"]),
        ("RUN exit 137\n", &["Dockerfile:3", "memory"]),
        ("RUN [\"pyhton\"]\n", &["Dockerfile:3", "the image has no `pyhton`"]),
        ("RUN printf '#!/no/such' > /s; chmod +x /s\nRUN [\"/s\"]\n", &["Dockerfile:4", "interpreter"]),
        ("RUN touch /s\nRUN [\"/s\"]\n", &["Dockerfile:4", "chmod"]),
        ("USER nobdy\nRUN true\n", &["Dockerfile:4", "nobdy", "adduser"]),
        ("COPY --chown=root:nogrp Dockerfile /\n", &["Dockerfile:3", "nogrp", "addgroup"]),
        ("RUN --mount=type=cache,target=/a, x\n", &["Dockerfile:3:33", "a space ends the flag"]),
        ("RUN --device=gpu,requird true\n", &["Dockerfile:3:14", "did you mean `required`?"]),
        ("COPY --from=9 / /\n", &["Dockerfile:3:13", "the file has 1 stage, counted from 0"]),
    ] {
        victim.fails(&format!("{base}{step}"), expected);
    }
    victim.fails("#!/bin/sh\n{\"not\": 1}\n", &["Dockerfile:2:1", "a Dockerfile begins with `FROM IMAGE`"]);
    victim.fails("\u{feff}FORM scratch\n", &["Dockerfile:1:1", "did you mean `FROM`?"]);
    let context = victim.env.dockerfile("bad", "FROM scratch AS base\n");
    victim.build_fails(
        &context,
        &["--target", "bse"],
        &["\"bse\" could not be found", "did you mean `base`?"],
    );
}
