//! Images, archives and Dockerfiles that mean harm: what went wrong in other builders, tried on the whole program.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::environment::TestEnvironment;
use crate::support::tool::{run, tool};

fn context(env: &TestEnvironment, steps: &str) -> PathBuf {
    env.dockerfile("context", &format!("ARG REGISTRY\nFROM ${{REGISTRY}}/busybox\n{steps}"))
}

/// A FIFO in place of the user database would be waited for, a link would read the host's (CVE-2024-9676).
#[test]
fn an_image_s_user_database_is_a_file_of_its_own() {
    let env = TestEnvironment::new();
    for trick in [
        "rm -f /etc/passwd && mkfifo /etc/passwd",
        "rm -f /etc/passwd && ln -s /proc/self/environ /etc/passwd",
        "rm -f /etc/passwd && mkfifo /f && ln -s /f /etc/passwd",
    ] {
        let steps = format!("RUN {trick}\nUSER nobody-here\nRUN true\n");
        let said = env.build(&context(&env, &steps), "users", &[]).fails();
        assert!(said.contains("Dockerfile:5"), "{trick}: {said}");
        let steps = format!("RUN {trick}\nCOPY --chown=nobody-here Dockerfile /\n");
        let said = env.build(&context(&env, &steps), "users", &[]).fails();
        assert!(said.contains("Dockerfile:4"), "{trick}: {said}");
    }
}

/// A node of any device can be made or brought by an archive; behind it must not be the host's disk. The first loop device
/// stands for it: opening it changes nothing.
#[test]
fn device_nodes_of_an_image_open_nothing() {
    let env = TestEnvironment::new();
    let steps = "RUN mknod /block b 7 0 && mknod /null c 1 3 && ! head -c 1 /block && ! head -c 1 /null\n\
                 ADD nodes.tar /nodes/\n\
                 RUN ! head -c 1 /nodes/block && ! head -c 1 /block && head -c 1 /dev/zero > /dev/null\n\
                 RUN --mount=type=cache,target=/c mknod /c/block b 7 0 && ! head -c 1 /c/block\n\
                 RUN --mount=type=tmpfs,target=/t mknod /t/block b 7 0 && ! head -c 1 /t/block\n\
                 RUN --mount=type=bind,from=0,target=/b,rw ! head -c 1 /b/bin/../block\n";
    let steps = steps.replace("from=0", "from=nodes");
    let text = format!(
        "ARG REGISTRY\nFROM ${{REGISTRY}}/busybox AS nodes\nRUN mknod /block b 7 0\nFROM ${{REGISTRY}}/busybox\n{steps}"
    );
    let context = env.dockerfile("context", &text);
    let nodes = env.path("nodes");
    fs::create_dir(&nodes).unwrap();
    run(tool("mknod").arg(nodes.join("block")).args(["b", "7", "0"])).ok();
    run(tool("tar").arg("-cf").arg(context.join("nodes.tar")).arg("-C").arg(&nodes).arg("block")).ok();
    let outcome = env.build(&context, "nodes", &[]);
    assert!(outcome.status.success(), "{outcome}");
    assert!(!outcome.stderr.contains("No such"), "the nodes are there: {outcome}");
}

/// CVE-2026-41567: programs of the image, or of whoever changed PATH, must not unpack archives.
#[test]
fn archives_are_unpacked_without_any_program() {
    let env = TestEnvironment::new();
    let steps = "RUN for p in tar gzip gunzip bzip2 bunzip2 xz unxz zstd unzstd unpigz; do \
                     printf '#!/bin/sh\\ntouch /evil\\nexit 1\\n' > /bin/$p.new && chmod 755 /bin/$p.new && mv -f /bin/$p.new /bin/$p; done\n\
                 ADD a.tar a.tar.gz a.tar.bz2 a.tar.xz a.tar.zst /out/\n";
    let context = context(&env, steps);
    fs::write(env.path("file"), "content").unwrap();
    for (flag, name) in [
        ("-cf", "a.tar"),
        ("-czf", "a.tar.gz"),
        ("-cjf", "a.tar.bz2"),
        ("-cJf", "a.tar.xz"),
        ("--zstd", "a.tar.zst"),
    ] {
        let mut tar = tool("tar");
        if flag == "--zstd" {
            tar.args(["--zstd", "-cf"]);
        } else {
            tar.arg(flag);
        }
        run(tar.arg(context.join(name)).arg("-C").arg(env.path("")).arg("file")).ok();
    }
    let mut build = env.build_command(&context, "unpacked", &[]);
    // Whatever kiln would execute, it would not find.
    let outcome = run(build.env("PATH", "/nonexistent"));
    assert!(outcome.status.success(), "{outcome}");
    let tree = env.image("unpacked").tree;
    assert!(tree["out/file"].contains("content") && !tree.contains_key("evil"), "{}", tree["out/file"]);
}

/// CVE-2024-24557: an image that differs in nothing but how it is checked or what its children run is another image.
#[test]
fn what_an_image_says_of_itself_is_never_another_s() {
    let env = TestEnvironment::new();
    let id = |steps: &str| {
        let context = context(&env, &format!("RUN true\n{steps}"));
        env.build(&context, "config", &[]).ok();
        (env.id("config").unwrap(), env.run(["inspect", "config"]).ok())
    };
    let cases = [
        ("", "\"/usr/bin/evil\""),
        ("HEALTHCHECK CMD /usr/bin/evil\n", "/usr/bin/evil"),
        ("HEALTHCHECK --interval=3s CMD /usr/bin/evil\n", "3000000000"),
        ("HEALTHCHECK NONE\n", "NONE"),
        ("ONBUILD RUN evil\n", "RUN evil"),
        ("ONBUILD RUN other\n", "RUN other"),
        ("SHELL [\"/bin/evil\"]\n", "/bin/evil"),
        ("STOPSIGNAL 9\n", "\"9\""),
        ("VOLUME /evil\n", "/evil"),
        ("EXPOSE 666\n", "666"),
    ];
    let built: Vec<(String, String)> = cases.iter().map(|(steps, _)| id(steps)).collect();
    for (index, (steps, part)) in cases.iter().enumerate() {
        assert_eq!(built[index].1.contains(part), index > 0, "{steps}: {}", built[index].1);
        assert_eq!(built.iter().filter(|(other, _)| *other == built[index].0).count(), 1, "{steps}");
    }
    assert_eq!(id(cases[1].0).0, built[1].0, "and the same again");
}

/// CVE-2023-26054 and CVE-2025-0495: a password in a URL is in no output, no image and no file of the store.
#[test]
fn credentials_in_urls_are_kept_nowhere() {
    const PASSWORD: &str = "open-sesame-42";
    let env = TestEnvironment::new();
    let server = crate::web::WebServer::start();
    server.serve("/file", [crate::web::Page::new("content")]);
    let url = server.url("/file").replace("http://", &format!("http://user:{PASSWORD}@"));
    let context = context(&env, &format!("ARG URL\nADD {url} /one\nADD ${{URL}} /two\nRUN true\n"));
    let url = format!("URL={url}");
    let outcome = env.build(&context, "urls", &["--build-arg", &url]);
    let said = format!("{}{}", outcome.stdout, outcome.stderr);
    assert!(outcome.status.success() && !said.contains(PASSWORD), "{outcome}");
    let again = env.build(&context, "urls", &["--build-arg", &url]);
    assert!(
        again.status.success() && !format!("{again}").replace(&again.line, "").contains(PASSWORD),
        "{again}"
    );
    for args in [&["inspect", "urls"][..], &["history", "--no-trunc", "urls"]] {
        let shown = env.run(args).ok();
        // An ARG's value is in the history of the steps after it, as under docker: that is what secrets are for.
        assert!(!shown.replace(&url, "").contains(PASSWORD), "{shown}");
    }
    let history = env.run(["history", "--no-trunc", "--format", "{{.CreatedBy}}", "urls"]).ok();
    assert!(
        history.lines().filter(|line| line.starts_with("ADD")).all(|line| !line.contains(PASSWORD)),
        "{history}"
    );
}

/// A mount on what another step keeps turning into a link and back (CVE-2021-30465): it is made beneath the root or not
/// at all, and the host's directory stays as it is.
#[test]
fn a_mount_target_that_is_swapped_leads_nowhere() {
    let env = TestEnvironment::new();
    let host = env.path("host");
    fs::create_dir(&host).unwrap();
    let swap = format!(
        "RUN --mount=type=cache,target=/shared,sharing=shared N=$N; i=0; while [ $i -lt 400 ]; do \
             ln -sfn {0} /shared/t 2>/dev/null; rm -f /shared/t; mkdir -p /shared/t; rmdir /shared/t 2>/dev/null; i=$((i+1)); done; true\n",
        host.display()
    );
    let victim = |number: usize| {
        format!(
            "FROM ${{REGISTRY}}/busybox AS victim{number}\n\
             RUN --mount=type=cache,target=/shared,sharing=shared --mount=type=tmpfs,target=/shared/t \
             echo {number} > /shared/t/written 2>/dev/null; true\n"
        )
    };
    let mut text = format!("ARG REGISTRY\nFROM ${{REGISTRY}}/busybox AS swapper\n{swap}");
    for number in 0..6 {
        text += &victim(number);
    }
    text += "FROM ${REGISTRY}/busybox\nCOPY --from=swapper /bin/busybox /0\n";
    for number in 0..6 {
        text.extend([
            "COPY --from=victim",
            &number.to_string(),
            " /bin/busybox /v",
            &number.to_string(),
            "\n",
        ]);
    }
    let context = env.dockerfile("context", &text);
    let outcome = env.build(&context, "swapped", &[]);
    // Losing the race may fail a step: the target is gone. Reaching the host may not happen.
    assert!(outcome.status.success() || outcome.stderr.contains("/shared/t"), "{outcome}");
    assert_eq!(fs::read_dir(&host).unwrap().count(), 0, "{outcome}");
}

/// GHSA-49p4-px3h-rq49 and CVE-2026-33748: a context reaches nothing outside of itself.
#[test]
fn a_context_reaches_nothing_outside_of_itself() {
    let env = TestEnvironment::new();
    fs::write(env.path("outside"), "of the host").unwrap();
    let outside = env.path("outside");
    let steps = "COPY link /link\nCOPY dir/up /up\n";
    let context = context(&env, steps);
    fs::create_dir(context.join("dir")).unwrap();
    std::os::unix::fs::symlink(&outside, context.join("link")).unwrap();
    std::os::unix::fs::symlink("../../outside", context.join("dir/up")).unwrap();
    let said = env.build(&context, "outside", &[]);
    let all = format!("{}{}", said.stdout, said.stderr);
    assert!(!said.status.success() && all.contains("Dockerfile:3"), "{said}");
    // The same as an archive from standard input.
    let archive = env.path("context.tar");
    run(tool("tar").arg("-cf").arg(&archive).arg("-C").arg(&context).arg(".")).ok();
    let file = fs::File::open(&archive).unwrap();
    let registry = format!("REGISTRY={}", env.registry.host());
    let mut build: Command = env.kiln(["build", "--progress=plain", "--build-arg", &registry, "-"]);
    let said = run(build.stdin(file)).fails();
    assert!(said.contains("link") && !said.contains("of the host"), "{said}");
    assert!(Path::new(&outside).is_file());
}
