//! `RUN --mount`: what steps see, what stays in no layer, and what runs again when something changes.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Stdio;
use std::thread;

use crate::concurrency::read_until;
use crate::support::beacon::Beacon;
use crate::support::environment::TestEnvironment;
use crate::support::progress::Steps;
use crate::support::tool::Outcome;

/// A value that no file of a store may hold.
const SECRET: &str = "correct horse battery staple";

fn steps(outcome: &Outcome) -> Steps {
    assert!(outcome.status.success(), "{outcome}");
    Steps::read(&format!("{}{}", outcome.stdout, outcome.stderr))
}

/// A context whose Dockerfile begins with the busybox base.
fn context(env: &TestEnvironment, steps: &str) -> std::path::PathBuf {
    env.dockerfile("context", &format!("ARG REGISTRY\nFROM ${{REGISTRY}}/busybox\n{steps}"))
}

fn write(context: &Path, files: &[(&str, &str)]) {
    for (path, text) in files {
        let path = context.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

#[test]
fn a_cache_outlives_builds_and_is_in_no_image() {
    let env = TestEnvironment::new();
    let context = context(
        &env,
        "ARG N\nRUN --mount=type=cache,target=/deep/cache/apt,sharing=locked --mount=type=cache,target=/deep/lists \
         echo $N >> /deep/cache/apt/log && echo $N >> /deep/lists/log && cat /deep/cache/apt/log > /seen\n",
    );
    env.build(&context, "cache", &["--build-arg", "N=one"]).ok();
    env.build(&context, "cache", &["--build-arg", "N=two"]).ok();
    let same = steps(&env.build(&context, "cache", &["--build-arg", "N=two"]));
    assert_eq!(same.executed(), [""; 0], "what a cache holds does not count");
    let image = env.image("cache");
    assert!(image.tree["seen"].contains("\"one\\ntwo\\n\""), "{}", image.tree["seen"]);
    let left: Vec<&String> = image.tree.keys().filter(|path| path.starts_with("deep")).collect();
    assert!(left.is_empty(), "{left:?}");

    env.run(["prune", "--force"]).ok();
    env.build(&context, "cache", &["--build-arg", "N=three"]).ok();
    assert!(env.image("cache").tree["seen"].contains("one\\ntwo\\nthree"), "pruning keeps caches");
    env.run(["prune", "--all", "--force"]).ok();
    env.build(&context, "cache", &["--build-arg", "N=four"]).ok();
    assert!(env.image("cache").tree["seen"].contains("\"four\\n\""), "pruning everything does not");
}

/// CVE-2024-9675: an id is no path.
#[test]
fn a_cache_s_id_mode_owner_and_beginning() {
    let env = TestEnvironment::new();
    let text = "ARG REGISTRY\nFROM ${REGISTRY}/busybox AS seed\nRUN mkdir -m 0750 /seed && echo seeded > /seed/file\n\
        FROM ${REGISTRY}/busybox\nARG N\n\
        RUN --mount=type=cache,id=../../escape,target=/c touch /c/escaped\n\
        RUN --mount=type=cache,id=own,target=/o,uid=12,gid=34,mode=1770 stat -c '%u:%g %a' /o > /own\n\
        RUN --mount=type=cache,from=seed,source=/seed,target=/s \
            stat -c %a /s > /mode && echo $N >> /s/file && cat /s/file > /seeded\n\
        RUN --mount=type=cache,id=own,source=sub/dir,target=/a --mount=type=cache,id=own,target=/b \
            echo $N > /a/part && cat /b/sub/dir/part > /part\n";
    let context = env.dockerfile("context", text);
    env.build(&context, "cache", &["--build-arg", "N=1"]).ok();
    env.build(&context, "cache", &["--build-arg", "N=2"]).ok();
    let tree = env.image("cache").tree;
    for (path, expected) in
        [("own", "12:34 1770"), ("mode", "750"), ("seeded", "seeded\\n1\\n2\\n"), ("part", "\"2\\n\"")]
    {
        assert!(tree[path].contains(expected), "{path}: {}", tree[path]);
    }
    assert!(!env.root().join("escape").exists() && !env.path("escape").exists());
}

#[test]
fn a_locked_cache_is_used_by_one_step_at_a_time() {
    let env = TestEnvironment::new();
    let beacon = Beacon::start();
    let argument = format!("BEACON={}", beacon.address());
    let step = |name: &str| {
        let text = format!(
            "ARG REGISTRY\nFROM ${{REGISTRY}}/busybox\nARG BEACON\n\
             RUN --mount=type=cache,id=c,target=/c,sharing=locked echo {name} begins >> /c/log && \
             wget -q -O /dev/null http://$BEACON/hold/{name} && echo {name} ends >> /c/log && cp /c/log /log\n"
        );
        env.dockerfile(name, &text)
    };
    let (first, second) = (step("first"), step("second"));
    thread::scope(|scope| {
        let held = scope.spawn(|| env.build(&first, "first", &["--build-arg", &argument]));
        beacon.wait_for(1);
        let mut command = env.build_command(&second, "second", &["--build-arg", &argument]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        read_until(&mut child, "waiting for another step that uses the cache mount `c`");
        beacon.release();
        assert!(child.wait_with_output().unwrap().status.success());
        held.join().unwrap().ok();
    });
    let log = &env.image("second").tree["log"];
    assert!(log.contains("first begins\\nfirst ends\\nsecond begins\\nsecond ends\\n"), "{log}");
}

#[test]
fn secrets_are_seen_by_their_step_alone() {
    let env = TestEnvironment::new();
    let context = context(
        &env,
        "RUN --mount=type=secret,id=file --mount=type=secret,id=file,target=/etc/secret/x,mode=0444,uid=7 \
             --mount=type=secret,id=variable,env=TOKEN \
             [ \"$(cat /run/secrets/file)\" = \"$TOKEN\" ] && cmp /run/secrets/file /etc/secret/x && \
             stat -c '%u %a' /etc/secret/x > /seen && echo ${#TOKEN} >> /seen\n\
         RUN --mount=type=secret,id=absent,target=/a/b --mount=type=secret,id=absent,env=NONE \
             [ ! -e /a ] && [ -z \"${NONE+x}\" ] && [ ! -e /run/secrets/file ] && [ -z \"${TOKEN+x}\" ]\n",
    );
    let file = env.path("secret");
    fs::write(&file, SECRET).unwrap();
    let given = format!("id=file,src={}", file.display());
    let build = || {
        let mut command =
            env.build_command(&context, "secret", &["--secret", &given, "--secret", "id=variable,env=VALUE"]);
        crate::support::tool::run(command.env("VALUE", SECRET))
    };
    build().ok();
    let tree = env.image("secret").tree;
    assert!(tree["seen"].contains("7 444\\n28\\n"), "{}", tree["seen"]);
    for path in ["etc/secret", "run/secrets", "run/secrets/file", "a"] {
        assert!(!tree.contains_key(path), "{path} is in the image");
    }
    assert_eq!(files_with(env.root(), SECRET.as_bytes()), [""; 0], "the store holds the secret");

    fs::write(&file, "another value").unwrap();
    assert_eq!(steps(&build()).executed(), [""; 0], "a value does not count");
}

#[test]
fn a_secret_that_is_required_and_not_given_is_named() {
    let env = TestEnvironment::new();
    let context =
        context(&env, "RUN true\nRUN --mount=type=secret,id=token,required cat /run/secrets/token\n");
    let text = env.build(&context, "secret", &[]).fails();
    for part in ["the secret `token` is required", "Dockerfile:4", "--secret id=token,src=FILE"] {
        assert!(text.contains(part), "`{part}` is missing:\n{text}");
    }
    let text = env.build(&context, "secret", &["--secret", "id=token,src=/nowhere"]).fails();
    assert!(text.contains("cannot read /nowhere"), "{text}");
}

#[test]
fn files_of_the_context_can_be_read_and_not_changed() {
    let env = TestEnvironment::new();
    let context = context(
        &env,
        "WORKDIR /work\n\
         RUN --mount=target=. ls -A > /list && stat -c '%u:%g' src/a >> /list && ! touch x 2>/dev/null\n\
         RUN --mount=source=src,target=/deep/er/src,rw cat /deep/er/src/* > /text && echo new > /deep/er/src/a && rm /deep/er/src/b\n\
         RUN --mount=type=bind,src=src/a,target=/one.txt cat /one.txt > /one\n",
    );
    write(&context, &[("src/a", "a\n"), ("src/b", "b\n"), ("ignored", "x"), (".dockerignore", "ignored\n")]);
    std::os::unix::fs::chown(context.join("src/a"), Some(1234), Some(1234)).unwrap();
    env.build(&context, "bind", &[]).ok();
    let tree = env.image("bind").tree;
    let list = &tree["list"];
    assert!(list.contains(".dockerignore\\nDockerfile\\nsrc\\n0:0\\n"), "{list}");
    assert!(tree["text"].contains("a\\nb\\n") && tree["one"].contains("\"a\\n\""), "{tree:#?}");
    assert!(!tree.contains_key("deep") && !tree.contains_key("one.txt") && !tree.contains_key("work/src"));
    assert_eq!(fs::read_to_string(context.join("src/a")).unwrap(), "a\n", "the user's own files");
    assert!(context.join("src/b").exists());
}

#[test]
fn only_mounted_files_count() {
    let env = TestEnvironment::new();
    let context = context(&env, "RUN --mount=source=src,target=/src cat /src/a > /a\n");
    write(&context, &[("src/a", "a\n"), ("other", "x")]);
    env.build(&context, "bind", &[]).ok();
    write(&context, &[("other", "changed")]);
    let time = std::time::SystemTime::now() - std::time::Duration::from_hours(3);
    fs::File::options().append(true).open(context.join("src/a")).unwrap().set_modified(time).unwrap();
    assert_eq!(steps(&env.build(&context, "bind", &[])).executed(), [""; 0]);

    fs::set_permissions(context.join("src/a"), fs::Permissions::from_mode(0o600)).unwrap();
    let again = steps(&env.build(&context, "bind", &[]));
    let reason = again.step("RUN --mount").lines.join("\n");
    assert!(reason.contains("mode of src/a 0644 -> 0600"), "{reason}");
    write(&context, &[("src/a", "changed\n")]);
    let again = steps(&env.build(&context, "bind", &[]));
    let reason = again.step("RUN --mount").lines.join("\n");
    assert!(reason.contains("src/a changed"), "{reason}");

    let text = "ARG REGISTRY\nFROM ${REGISTRY}/busybox\nRUN --mount=source=srk,target=/src true\n";
    fs::write(context.join("Dockerfile"), text).unwrap();
    let text = env.build(&context, "bind", &[]).fails();
    assert!(text.contains("srk") && text.contains("Dockerfile:3"), "{text}");
}

#[test]
fn files_of_stages_and_images_and_an_early_stop() {
    let env = TestEnvironment::new();
    let text = "ARG REGISTRY\nFROM ${REGISTRY}/busybox AS made\nARG N\n\
        RUN echo $N > /log && mkdir -p /out && echo made > /out/file\n\
        FROM ${REGISTRY}/busybox\n\
        RUN --mount=from=made,source=/out,target=/in --mount=from=REGISTRY/busybox,source=/bin,target=/tools \
            --mount=from=made,target=/rw,rw cat /in/file > /copied && /tools/busybox echo y > /rw/out/file && \
            cat /rw/out/file >> /copied && ! touch /in/x 2>/dev/null\n"
        .replace("REGISTRY/", &format!("{}/", env.registry.host()))
        .replace(&format!("${{{}/", env.registry.host()), "${REGISTRY}/");
    let context = env.dockerfile("context", &text.replace("target=/rw,rw", "source=/out/..,target=/rw,rw"));
    env.build(&context, "bind", &["--build-arg", "N=1"]).ok();
    let copied = &env.image("bind").tree["copied"];
    assert!(copied.contains("made\\ny\\n"), "{copied}");

    let narrow = text
        .replace("--mount=from=made,target=/rw,rw", "")
        .replace("&& /tools/busybox echo y > /rw/out/file && cat /rw/out/file >> /copied", "");
    let context = env.dockerfile("narrow", &narrow);
    env.build(&context, "bind", &["--build-arg", "N=1"]).ok();
    let again = steps(&env.build(&context, "bind", &["--build-arg", "N=2"]));
    let names = again.executed();
    assert_eq!(names.len(), 1, "what is mounted is the same: {names:#?}");
    assert!(names[0].contains("/log"), "{names:#?}");
}

/// CVE-2024-1753: a stage makes what is bound a link to `/`.
#[test]
fn links_lead_nowhere_outside_of_what_is_mounted() {
    let env = TestEnvironment::new();
    let host = env.path("host-only");
    fs::write(&host, "host").unwrap();
    let text = format!(
        "ARG REGISTRY\nFROM ${{REGISTRY}}/busybox AS evil\nRUN echo inside > /marker && ln -s / /link && ln -s ../../../.. /up\n\
         FROM ${{REGISTRY}}/busybox\nRUN --mount=from=evil,source=/link,target=/m,rw --mount=from=evil,source=/up,target=/n \
         cat /m/marker /n/marker > /seen && [ ! -e /m{0} ] && [ ! -e /n{0} ]\n\
         RUN --mount=source=link,target=/c [ ! -e /c/passwd ] && cat /c/file > /file\n",
        host.display()
    );
    let context = env.dockerfile("context", &text);
    symlink("/etc", context.join("link")).unwrap();
    write(&context, &[("etc/file", "of the context\n")]);
    env.build(&context, "links", &[]).ok();
    let tree = env.image("links").tree;
    assert!(tree["seen"].contains("inside\\ninside\\n"), "{}", tree["seen"]);
    assert!(tree["file"].contains("of the context"));
}

#[test]
fn an_agent_can_be_spoken_to() {
    let env = TestEnvironment::new();
    let context = env.dockerfile(
        "context",
        "ARG REGISTRY\nFROM ${REGISTRY}/debian\n\
         USER 1000\n\
         RUN --mount=type=ssh,required,uid=1000,mode=0600 --mount=type=tmpfs,target=/tmp \
         perl -MIO::Socket::UNIX -e '$s = IO::Socket::UNIX->new(Peer => $ENV{SSH_AUTH_SOCK}) or die $!; \
         for (17, 11) { syswrite $s, pack(\"NC\", 1, $_); sysread $s, $a, 100; print unpack(\"H*\", $a), \" \" }' > /tmp/answer && \
         grep -qx '0000000105 000000020c22 ' /tmp/answer && [ \"$(stat -c '%u %a' $SSH_AUTH_SOCK)\" = '1000 600' ] && \
         chmod 0666 $SSH_AUTH_SOCK\n\
         RUN [ -z \"${SSH_AUTH_SOCK+x}\" ]\n",
    );
    let text = env.build(&context, "ssh", &[]).fails();
    assert!(text.contains("the SSH agent `default` is required") && text.contains("--ssh default"), "{text}");

    let path = env.path("agent");
    let listener = UnixListener::bind(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    let agent = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut asked = [0; 5];
        stream.read_exact(&mut asked).unwrap();
        stream.write_all(&[0, 0, 0, 2, 12, 34]).unwrap();
        asked
    });
    let mut command = env.build_command(&context, "ssh", &["--ssh", "default"]);
    crate::support::tool::run(command.env("SSH_AUTH_SOCK", &path)).ok();
    assert_eq!(agent.join().unwrap(), [0, 0, 0, 1, 11], "keys may be listed, not added");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o700, "the agent's own socket");
    let tree = env.image("ssh").tree;
    assert!(!tree.contains_key("run/buildkit"), "the socket's place is in the image");
}

/// The files below a directory that contain these bytes.
fn files_with(directory: &Path, bytes: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            found.extend(files_with(&entry.path(), bytes));
        } else if kind.is_file()
            && fs::read(entry.path()).unwrap().windows(bytes.len()).any(|part| part == bytes)
        {
            found.push(entry.path().display().to_string());
        }
    }
    found
}
