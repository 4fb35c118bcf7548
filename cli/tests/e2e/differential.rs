//! The image that kiln makes of a Dockerfile is the one that other builders make of it: the same files (path, type, mode,
//! owner, link target, contents, names), the same configuration, the same shape of history.
//!
//! The Dockerfiles of `testdata/images` together cover every instruction. Where a builder does not know a syntax yet,
//! a `Dockerfile.peer` says the same in older words.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

use crate::support::compare::{compare, names};
use crate::support::environment::TestEnvironment;
use crate::support::image::Image;
use crate::support::peer::{Containers, Docker, Peer};
use crate::support::registry::Registry;
use crate::support::tool::run;
use crate::support::{scratch_dir, workspace};

/// A Dockerfile to compare.
struct Case {
    name: &'static str,
    /// What its build is given.
    args: &'static [&'static str],
    /// The peers that it is compared with.
    peers: &'static [&'static str],
}

const fn case(name: &'static str) -> Case {
    Case { name, args: &[], peers: &["buildah", "docker"] }
}

/// `onbuild-child` stands on the image that `onbuild` makes, so it comes after it.
const CASES: &[Case] = &[
    case("stages"),
    Case { args: &["--build-arg", "GIVEN=given"], ..case("arguments") },
    case("run"),
    case("heredoc"),
    case("copy"),
    case("copy-from"),
    case("add"),
    case("workdir"),
    case("user"),
    case("command"),
    case("inherited"),
    case("metadata"),
    case("volume"),
    case("shell"),
    case("onbuild"),
    case("onbuild-child"),
    case("ignore"),
    case("links"),
    case("escape"),
    case("delete"),
    case("debian"),
    // buildah does not know this way to write a name that looks like a pattern.
    Case { peers: &["docker"], ..case("wildcards") },
    // buildah takes a pattern that matches nothing for a mistake.
    Case { peers: &["docker"], ..case("flags") },
    // buildah knows neither all keys nor all defaults of mounts.
    Case { args: &["--secret", "id=given,src=/etc/debian_version"], peers: &["docker"], ..case("mounts") },
    // buildah gives its steps fewer capabilities.
    Case { peers: &["docker"], ..case("rights") },
];

/// A difference that is the peer's doing, is understood, and is meant to stay.
struct Known {
    peer: &'static str,
    /// The case, or `*`.
    case: &'static str,
    /// The difference's name as [`compare`] gives it: a path, or a field; a trailing `*` stands for any end.
    what: &'static str,
    why: &'static str,
}

const KNOWN: &[Known] = &[
    Known {
        peer: "buildah",
        case: "*",
        what: "etc/hostname",
        why: "buildah leaves its mount points in the layers",
    },
    Known { peer: "buildah", case: "*", what: "etc/hosts", why: "the same" },
    Known { peer: "buildah", case: "*", what: "etc/resolv.conf", why: "the same" },
    Known { peer: "buildah", case: "*", what: "run", why: "the same, for /run/.containerenv" },
    Known { peer: "buildah", case: "*", what: "history", why: "buildah's WORKDIR makes no layer" },
    Known {
        peer: "buildah",
        case: "workdir",
        what: "last",
        why: "buildah's WORKDIR alone makes no directory",
    },
    Known { peer: "buildah", case: "workdir", what: "made/as*", why: "the same" },
    Known { peer: "buildah", case: "onbuild", what: "parent", why: "the same" },
    Known {
        peer: "buildah",
        case: "add",
        what: "owned*",
        why: "buildah's --chown does not reach into archives",
    },
    Known { peer: "buildah", case: "links", what: "tree/set*", why: "buildah's COPY drops set-user-id bits" },
    Known { peer: "buildah", case: "links", what: "followed-tree/set*", why: "the same" },
    Known {
        peer: "buildah",
        case: "arguments",
        what: "config.Env",
        why: "buildah moves a changed PATH to the end",
    },
    Known {
        peer: "buildah",
        case: "arguments",
        what: "args",
        why: "buildah shows its build arguments to all steps",
    },
    Known {
        peer: "buildah",
        case: "metadata",
        what: "config.ExposedPorts",
        why: "buildah keeps a range as one port",
    },
    Known { peer: "buildah", case: "shell", what: "config.Cmd", why: "buildah forgets SHELL for CMD" },
    Known {
        peer: "buildah",
        case: "shell",
        what: "config.Entrypoint",
        why: "buildah forgets SHELL for ENTRYPOINT",
    },
    Known {
        peer: "buildah",
        case: "escape",
        what: "config.Env",
        why: "buildah expands with the default escape",
    },
    Known { peer: "buildah", case: "escape", what: "config.Labels", why: "the same" },
    Known { peer: "buildah", case: "escape", what: "three", why: "the same" },
    Known {
        peer: "docker",
        case: "add",
        what: "owned/*",
        why: "Debian's BuildKit is older than --chown of archives",
    },
    Known {
        peer: "docker",
        case: "run",
        what: "id",
        why: "Debian's BuildKit has the primary group as the only one",
    },
    Known { peer: "docker", case: "user", what: "out/*", why: "the same" },
    Known {
        peer: "docker",
        case: "mounts",
        what: "cache",
        why: "Debian's BuildKit leaves mount points behind",
    },
    Known { peer: "docker", case: "mounts", what: "in", why: "the same" },
    Known { peer: "docker", case: "mounts", what: "memory", why: "the same" },
    Known { peer: "docker", case: "mounts", what: "run*", why: "the same" },
    Known { peer: "docker", case: "mounts", what: "app/rel", why: "the same" },
    Known { peer: "docker", case: "flags", what: "history", why: "the older words are more steps" },
];

/// The entry of the table that explains a difference.
fn known(peer: &str, case: &str, what: &str) -> Option<usize> {
    KNOWN.iter().position(|known| {
        known.peer == peer && (known.case == "*" || known.case == case) && names(known.what, what)
    })
}

/// Builds every case with kiln and with the peer, and reports all that differs and is not known to.
fn same_as(peer: &dyn Peer, publish: impl Fn(&TestEnvironment, &str)) {
    // A registry of its own: `onbuild` is the peer's image there.
    let env = TestEnvironment::with_registry(Arc::new(Registry::with_bases()));
    let mut report = String::new();
    let mut used = BTreeSet::new();
    for case in CASES.iter().filter(|case| case.peers.contains(&peer.name())) {
        let context = env.context(case.name);
        let theirs = build_with_peer(peer, &env, case, &context);
        if case.name == "onbuild" {
            publish(&env, case.name);
        }
        let ours = env.build(&context, case.name, case.args);
        if !ours.status.success() {
            writeln!(report, "{}: kiln failed\n{ours}", case.name).unwrap();
            continue;
        }
        for (what, text) in compare(&env.image(case.name), &theirs) {
            match known(peer.name(), case.name, &what) {
                Some(number) => _ = used.insert(number),
                None => writeln!(report, "{}: {what}{text}", case.name).unwrap(),
            }
        }
    }
    for (number, known) in KNOWN.iter().enumerate().filter(|(_, known)| known.peer == peer.name()) {
        if !used.contains(&number) {
            writeln!(report, "{}: {} is no difference any more ({})", known.case, known.what, known.why)
                .unwrap();
        }
    }
    assert!(report.is_empty(), "kiln and {} differ:\n{report}", peer.name());
}

fn build_with_peer(peer: &dyn Peer, env: &TestEnvironment, case: &Case, context: &Path) -> Image {
    let registry = format!("REGISTRY={}", env.registry.host());
    let older = context.join("Dockerfile.peer");
    let mut args = vec!["--build-arg", &registry];
    args.extend(case.args);
    if older.exists() {
        args.extend(["-f", older.to_str().unwrap()]);
    }
    peer.build(context, case.name, &args).ok();
    peer.image(case.name)
}

#[test]
fn the_same_image_as_buildah() {
    let dir = scratch_dir("buildah-");
    let buildah = Containers::new(dir.path());
    same_as(&buildah, |env, name| {
        let target = format!("docker://{}", env.reference(name));
        run(buildah.buildah().args(["push", "--quiet", "--tls-verify=false", name, &target])).ok();
    });
}

#[test]
fn the_same_image_as_docker() {
    let dir = scratch_dir("docker-");
    let docker = Docker::start(dir.path());
    same_as(&docker, |env, name| {
        let target = env.reference(name);
        run(docker.docker().args(["tag", name, &target])).ok();
        run(docker.docker().args(["push", "--quiet", &target])).ok();
    });
}

#[test]
fn the_dockerfiles_cover_every_instruction() {
    const INSTRUCTIONS: [&str; 18] = [
        "ADD",
        "ARG",
        "CMD",
        "COPY",
        "ENTRYPOINT",
        "ENV",
        "EXPOSE",
        "FROM",
        "HEALTHCHECK",
        "LABEL",
        "MAINTAINER",
        "ONBUILD",
        "RUN",
        "SHELL",
        "STOPSIGNAL",
        "USER",
        "VOLUME",
        "WORKDIR",
    ];
    let images = workspace().join("testdata/images");
    let text = |case: &Case| std::fs::read_to_string(images.join(case.name).join("Dockerfile")).unwrap();
    let all: String = CASES.iter().map(text).collect();
    for instruction in INSTRUCTIONS {
        assert!(
            all.lines().any(|line| line.starts_with(&format!("{instruction} "))),
            "no case has {instruction}"
        );
    }
}
