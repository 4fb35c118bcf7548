//! What the store takes on disk: told, limited, removed; while builds run, and when things go wrong.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::support::beacon::Beacon;
use crate::support::environment::TestEnvironment;
use crate::support::leftovers;
use crate::support::progress::Steps;
use crate::support::tool::{Outcome, run};

/// Bytes on disk, as the machine's own tool counts them.
fn du(path: &Path) -> u64 {
    let output = Command::new("du").args(["-s", "--block-size=1"]).arg(path).output().unwrap();
    String::from_utf8(output.stdout).unwrap().split('\t').next().unwrap().parse().unwrap()
}

/// The rows of a listing in JSON.
fn rows(env: &TestEnvironment, arguments: &[&str]) -> Vec<serde_json::Value> {
    let text = env.run([arguments, &["--format", "json"]].concat()).ok();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn sum(rows: &[serde_json::Value]) -> u64 {
    rows.iter().map(|row| row["Bytes"].as_u64().unwrap()).sum()
}

fn is_close(a: u64, b: u64) -> bool {
    a.abs_diff(b) * 50 <= a.max(b)
}

/// The number that a command ends its output with, in bytes.
fn reclaimed(outcome: &Outcome) -> u64 {
    let text = outcome.stdout.lines().last().unwrap().strip_prefix("Total reclaimed space: ").unwrap();
    let digits = text.trim_end_matches(char::is_alphabetic);
    let factor = match &text[digits.len()..] {
        "B" => 1.0,
        "kB" => 1e3,
        "MB" => 1e6,
        unit => panic!("{unit}"),
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a size")]
    {
        (digits.parse::<f64>().unwrap() * factor) as u64
    }
}

/// A chain of steps with some megabytes each.
fn chain(env: &TestEnvironment, name: &str, megabytes: usize) -> PathBuf {
    let text = format!(
        "ARG REGISTRY\nFROM ${{REGISTRY}}/busybox AS one\nRUN head -c {megabytes}000000 /dev/urandom > /{name}-one\n\
         FROM ${{REGISTRY}}/busybox\nCOPY Dockerfile /\nRUN head -c {megabytes}000000 /dev/urandom > /{name}-two\n\
         COPY --from=one /{name}-one /copied\nRUN --mount=type=cache,target=/cache,id={name} \
         head -c 1000000 /dev/urandom > /cache/file && cat /copied /{name}-two | sha256sum > /sum\n"
    );
    env.dockerfile(&format!("context-{name}"), &text)
}

#[test]
fn sizes_add_up_to_what_the_disk_says() {
    let env = TestEnvironment::new();
    env.build(&chain(&env, "kept", 3), "kept", &[]).ok();
    env.build(&chain(&env, "lost", 5), "lost", &[]).ok();
    env.run(["rmi", "lost"]).ok();
    let everything = rows(&env, &["du"]);
    let (told, measured) = (sum(&everything), du(env.root()));
    assert!(is_close(told, measured), "{told} told, {measured} on the disk");

    let table = env.run(["du"]).ok();
    for part in ["ID", "RECLAIMABLE", "LAST ACCESSED", "exec.cachemount", "regular", "Total:", "RUN"] {
        assert!(table.contains(part), "`{part}` is missing:\n{table}");
    }
    let details = env.run(["buildx", "du", "--verbose", "--filter", "type=exec.cachemount"]).ok();
    assert!(details.contains("cache mount kept") && !details.contains("regular"), "{details}");
    let kinds = rows(&env, &["system", "df"]);
    let names: Vec<&str> = kinds.iter().map(|row| row["Type"].as_str().unwrap()).collect();
    assert_eq!(names, ["Images", "Containers", "Local Volumes", "Build Cache", "Cache Mounts"]);
    assert!(env.run(["du", "--filter", "type=nothing"]).fails().contains("no type"));

    // Little by little, and each time as much as was told.
    let filters: [&[&str]; 4] = [
        &["--filter", "type=exec.cachemount", "--filter", "description=lost"],
        &["--older-than", "1w"],
        &["--filter", "unused-for=0s", "--filter", "type=regular"],
        &["--all"],
    ];
    let mut before = sum(&rows(&env, &["du"]));
    for (index, filter) in filters.into_iter().enumerate() {
        let told = reclaimed(&env.run([&["builder", "prune", "--force"], filter].concat()));
        let after = sum(&rows(&env, &["du"]));
        assert!(
            is_close(told, before - after) || told.abs_diff(before - after) < 20_000,
            "{filter:?}: {told}, {before} - {after}"
        );
        assert_eq!(told == 0, index == 1, "{filter:?}");
        assert!(is_close(after, du(env.root())), "{filter:?}");
        before = after;
    }
    assert_eq!(env.run(["run", "--rm", "kept", "sha256sum", "-c", "/dev/null"]).code(), 1, "it still runs");
    let left = rows(&env, &["du", "--filter", "type=regular"]);
    assert!(left.iter().all(|row| row["Reclaimable"] == "false"), "{left:#?}");
}

#[test]
fn a_limit_is_held_and_what_went_is_explained() {
    let env = TestEnvironment::new();
    let build = |name: &str, more: &[&str]| env.build(&chain(&env, name, 4), name, more);
    build("named", &[]).ok();
    // Each of the others leaves some 13 MB in the cache, and its name goes with the next.
    let limit = du(env.root()) + 40_000_000;
    let flag = format!("{limit}");
    for number in 0..8 {
        build(&format!("build-{number}"), &["--keep-storage", &flag]).ok();
        let size = du(env.root());
        assert!(size <= limit || number == 0, "{size} after build {number}, {limit} at most");
        env.run(["rmi", &format!("build-{number}")]).ok();
    }
    assert!(env.id("named").is_some());
    let again = build("build-0", &["--keep-storage", &flag]);
    let again = Steps::read(&format!("{}{}", again.stdout, again.stderr));
    let reason = again.step("> /build-0-one").lines.join("\n");
    assert!(reason.contains("evicted by gc on"), "{reason}");
    let named = build("named", &[]);
    let named = Steps::read(&format!("{}{}", named.stdout, named.stderr));
    let kept = ["COPY Dockerfile", "> /named-two"];
    let ran = |part: &&str| named.executed().iter().any(|step| step.contains(part) && !step.contains("sum"));
    assert!(!kept.iter().any(ran), "{:#?}", named.executed());

    let mut command = env.build_command(&chain(&env, "bad", 1), "bad", &[]);
    let text = run(command.env("KILN_KEEP_STORAGE", "lots")).fails();
    assert!(text.contains("`lots` is no size") && text.contains("10GB"), "{text}");
}

#[test]
fn a_base_of_builds_goes_and_one_that_was_pulled_stays() {
    let env = TestEnvironment::new();
    let context = env.dockerfile("context", "ARG REGISTRY\nFROM ${REGISTRY}/busybox\nRUN true\n");
    env.build(&context, "app", &[]).ok();
    env.run(["rmi", "app"]).ok();
    assert!(env.run(["images"]).ok().contains("busybox"), "it is there, and can be run");
    env.run(["prune", "--force"]).ok();
    assert!(env.id(&env.reference("busybox")).is_some());
    env.run(["prune", "--force", "--all"]).ok();
    assert_eq!(env.run(["images", "-q"]).ok(), "");

    env.run(["pull", &env.reference("busybox")]).ok();
    env.build(&context, "app", &[]).ok();
    env.run(["rmi", "app"]).ok();
    env.run(["prune", "--force", "--all"]).ok();
    assert!(env.id(&env.reference("busybox")).is_some(), "the user asked for it");
}

/// Something of everything that a removal at the wrong moment could hurt.
fn fragile(env: &TestEnvironment, number: usize) -> PathBuf {
    let text = format!(
        "ARG REGISTRY\nFROM ${{REGISTRY}}/busybox AS shared\nRUN echo shared > /shared && mkdir /deep && ln /shared /deep/link\n\
         FROM ${{REGISTRY}}/busybox AS own\nCOPY files /files\nRUN for i in $(seq 50); do echo {number} $i > /files/$i; done\n\
         FROM shared\nCOPY --from=own /files /files\n\
         RUN --mount=from=own,target=/own --mount=type=cache,target=/cache cat /own/files/* > /all && echo x >> /cache/log\n\
         COPY --from=REGISTRY/busybox /bin/busybox /tools/\nWORKDIR /work\nRUN cat /shared /all | sha256sum > sum && rm /files/7\n"
    );
    let text = text.replace("=REGISTRY/", &format!("={}/", env.registry.host()));
    let context = env.dockerfile(&format!("fragile-{number}"), &text);
    fs::create_dir_all(context.join("files")).unwrap();
    for file in 0..20 {
        fs::write(context.join(format!("files/context-{file}")), format!("{file}")).unwrap();
    }
    context
}

#[test]
fn removing_everything_all_the_time_harms_no_build() {
    let env = TestEnvironment::new();
    for number in [0, 1, 2, 3, 11, 13, 21, 23, 100] {
        fragile(&env, number);
    }
    let done = AtomicBool::new(false);
    let turns = thread::scope(|scope| {
        let remover = scope.spawn(|| {
            let mut turns = 0;
            while !done.load(Ordering::Acquire) {
                env.run(["prune", "--force", "--keep-storage", "0"]).ok();
                turns += 1;
            }
            turns
        });
        let builders: Vec<_> = (0..3)
            .map(|builder| {
                let env = &env;
                scope.spawn(move || {
                    for round in 0..4 {
                        // Some of the same at the same time, some of its own.
                        let number = if round % 2 == 0 { 100 } else { builder * 10 + round };
                        env.build(
                            &env.path(&format!("fragile-{number}")),
                            &format!("image-{builder}-{round}"),
                            &["--keep-storage", "0"],
                        )
                        .ok();
                    }
                })
            })
            .collect();
        let results: Vec<_> = builders.into_iter().map(thread::ScopedJoinHandle::join).collect();
        done.store(true, Ordering::Release);
        assert!(results.iter().all(Result::is_ok));
        remover.join().unwrap()
    });
    assert!(turns > 1, "{turns}");
    let calm = env.another_store("calm");
    for (builder, round, number) in [(0, 0, 100), (1, 1, 11), (2, 2, 100), (0, 3, 3)] {
        calm.build(&fragile(&calm, number), "same", &[]).ok();
        let image = env.image(&format!("image-{builder}-{round}"));
        assert_eq!(image.tree, calm.image("same").tree, "image-{builder}-{round}");
    }
}

#[test]
fn a_killed_prune_loses_nothing_that_has_a_name() {
    let env = TestEnvironment::new();
    env.build(&fragile(&env, 1), "kept", &[]).ok();
    let before = env.image("kept").tree;
    let mut killed = 0;
    for number in 0..40_u32 {
        if number % 10 == 0 {
            env.build(&chain(&env, &format!("lost-{number}"), 1), "lost", &[]).ok();
            env.run(["rmi", "lost"]).ok();
        }
        let mut child = env.kiln(["prune", "--force", "--all"]);
        let mut child = child.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // Each time a little later, told by what happens on the disk and not by a clock.
        for _ in 0..number % 10 * 3 {
            let _ = fs::read_dir(env.root().join("tmp")).unwrap().count();
        }
        killed += u32::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(leftovers::mounts(env.root()), [""; 0]);
    }
    assert!(killed > 10, "only {killed} were still at it");
    assert_eq!(env.image("kept").tree, before);
    env.build(&fragile(&env, 1), "again", &[]).ok();
    assert_eq!(env.image("again").tree, before);
    env.run(["prune", "--force", "--all"]).ok();
    assert_eq!(fs::read_dir(env.root().join("tmp")).unwrap().count(), 0, "garbage is gone");
    assert_eq!(env.image("kept").tree, before);
}

#[test]
fn cache_mounts_can_be_listed_moved_and_removed() {
    let env = TestEnvironment::new();
    let text = "ARG REGISTRY\nFROM ${REGISTRY}/busybox\nARG N\n\
        RUN --mount=type=cache,id=deps,target=/deps echo $N >> /deps/log && chown 12:34 /deps/log && chmod 640 /deps/log && \
        cat /deps/log > /seen && stat -c '%u:%g %a' /deps/log >> /seen\n";
    let context = env.dockerfile("context", text);
    env.build(&context, "app", &["--build-arg", "N=one"]).ok();
    let listed = rows(&env, &["cache", "ls"]);
    assert_eq!((listed.len(), &listed[0]["ID"], &listed[0]["InUse"]), (1, &"deps".into(), &"false".into()));
    for name in ["deps.tar", "deps.tar.gz", "deps.tar.zst"] {
        let path = env.path(name);
        let outcome = env.run(["cache", "export", "deps", "-o", path.to_str().unwrap()]);
        assert!(outcome.status.success() && outcome.stderr.contains("sha256:"), "{outcome}");

        let there = env.another_store(&format!("there-{name}"));
        let digest = outcome.stderr.split_whitespace().find(|word| word.starts_with("sha256:")).unwrap();
        there.run(["cache", "import", "deps", "-i", path.to_str().unwrap(), "--digest", digest]).ok();
        there.build(&context, "app", &["--build-arg", "N=two"]).ok();
        let seen = there.image("app").tree["seen"].clone();
        assert!(seen.contains("one\\ntwo\\n12:34 640"), "{name}: {seen}");
        let wrong = format!("sha256:{}", "0".repeat(64));
        let text =
            there.run(["cache", "import", "deps", "-i", path.to_str().unwrap(), "--digest", &wrong]).fails();
        assert!(text.contains("do not match") && text.contains("is what it was before"), "{text}");
    }
    let rubbish = env.path("rubbish");
    fs::write(&rubbish, "no archive at all").unwrap();
    let text = env.run(["cache", "import", "deps", "-i", rubbish.to_str().unwrap()]).fails();
    assert!(text.contains("is no tar archive"), "{text}");
    assert!(
        env.run(["cache", "export", "nothing", "-o", "x"])
            .fails()
            .contains("there is no cache mount `nothing`")
    );
    assert!(!env.path("x").exists());

    env.run(["cache", "rm", "deps"]).ok();
    assert_eq!(rows(&env, &["cache", "ls"]).len(), 0);
    assert!(env.run(["cache", "rm", "deps"]).fails().contains("kiln cache ls"));
    env.run(["cache", "rm", "--force", "deps"]).ok();
    env.build(&context, "app", &["--build-arg", "N=three"]).ok();
    assert!(env.image("app").tree["seen"].contains("\"three\\n12:34"));
}

#[test]
fn a_cache_mount_in_use_is_nobody_elses() {
    let env = TestEnvironment::new();
    let beacon = Beacon::start();
    let text = "ARG REGISTRY\nFROM ${REGISTRY}/busybox\nARG BEACON\n\
        RUN --mount=type=cache,id=held,target=/c echo x > /c/file && wget -q -O /dev/null http://$BEACON/hold && cat /c/file > /seen\n";
    let context = env.dockerfile("context", text);
    let argument = format!("BEACON={}", beacon.address());
    let archive = env.path("archive.tar");
    env.build(&chain(&env, "other", 1), "other", &[]).ok();
    env.run(["cache", "export", "other", "-o", archive.to_str().unwrap()]).ok();
    thread::scope(|scope| {
        let built = scope.spawn(|| env.build(&context, "app", &["--build-arg", &argument]));
        beacon.wait_for(1);
        for arguments in [
            vec!["cache", "rm", "held"],
            vec!["cache", "export", "held", "-o", "x.tar"],
            vec!["cache", "import", "held", "-i", archive.to_str().unwrap()],
        ] {
            let text = env.run(&arguments).fails();
            assert!(text.contains("`held` is in use by a running build"), "{arguments:?}: {text}");
        }
        env.run(["cache", "rm", "--all"]).ok();
        env.run(["prune", "--all", "--force"]).ok();
        beacon.release();
        built.join().unwrap().ok();
    });
    assert!(env.image("app").tree["seen"].contains("x\\n"));
    assert_eq!(env.run(["cache", "ls", "-q"]).ok(), "held\n");
}

#[test]
fn a_build_that_is_killed_leaves_its_cache_usable() {
    let env = TestEnvironment::new();
    let beacon = Beacon::start();
    let text = "ARG REGISTRY\nFROM ${REGISTRY}/busybox\nARG BEACON HOLD\n\
        RUN --mount=type=cache,id=c,target=/c,sharing=locked echo $HOLD >> /c/log && \
        if [ $HOLD = yes ]; then wget -q -O /dev/null http://$BEACON/hold; fi && cat /c/log > /seen\n";
    let context = env.dockerfile("context", text);
    let argument = format!("BEACON={}", beacon.address());
    let mut command =
        env.build_command(&context, "app", &["--build-arg", &argument, "--build-arg", "HOLD=yes"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    beacon.wait_for(1);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(leftovers::mounts(env.root()), [""; 0]);
    env.build(&context, "app", &["--build-arg", &argument, "--build-arg", "HOLD=no"]).ok();
    assert!(env.image("app").tree["seen"].contains("yes\\nno\\n"), "{}", env.image("app").tree["seen"]);
    assert_eq!(
        fs::read_dir(env.root().join("leases")).unwrap().count(),
        1,
        "the dead one's lease counts for nothing"
    );
    env.run(["prune", "--force"]).ok();
    assert_eq!(fs::read_dir(env.root().join("leases")).unwrap().count(), 0);
}

/// A file system of its own for a store, taken down at the end.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn new(path: &Path, megabytes: usize) -> SmallDisk {
        fs::create_dir_all(path).unwrap();
        let options = format!("size={megabytes}m,mode=0700");
        let status =
            Command::new("mount").args(["-t", "tmpfs", "-o", &options, "kiln-test"]).arg(path).status();
        assert!(status.unwrap().success());
        SmallDisk(path.to_owned())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_is_named_and_leaves_nothing_half_made() {
    let env = TestEnvironment::new().another_store("small");
    let _disk = SmallDisk::new(env.root(), 48);
    let fits = env
        .dockerfile("fits", "ARG REGISTRY\nFROM ${REGISTRY}/busybox\nRUN head -c 15000000 /dev/zero > /a\n");
    env.build(&fits, "fits", &[]).ok();
    let before = env.image("fits").tree;
    let too_large = env.dockerfile(
        "too-large",
        "ARG REGISTRY\nFROM ${REGISTRY}/busybox\nRUN head -c 15000000 /dev/zero > /a\nRUN head -c 60000000 /dev/zero > /b\n",
    );
    env.build(&too_large, "too-large", &[]).fails();
    let copied = env.dockerfile("copied", "FROM scratch\nCOPY large /\n");
    fs::write(copied.join("large"), vec![1; 60_000_000]).unwrap();
    let text = env.build(&copied, "copied", &[]).fails();
    for part in ["No space left on device", env.root().to_str().unwrap(), "kiln prune"] {
        assert!(text.contains(part), "`{part}` is missing:\n{text}");
    }
    assert_eq!(env.id("too-large"), None);
    assert_eq!(env.image("fits").tree, before);
    assert_eq!(fs::read_dir(env.root().join("tmp")).unwrap().count(), 0);

    // To the last byte, and room can still be made.
    let filler = env.root().join("locks/filler");
    fs::write(&filler, vec![0; 60_000_000]).unwrap_err();
    assert!(env.run(["images"]).ok().contains("fits") && env.run(["du"]).ok().contains("fits"));
    env.run(["prune", "--force"]).ok();
    env.run(["rmi", "fits"]).ok();
    env.run(["prune", "--force", "--all"]).ok();
    fs::remove_file(&filler).unwrap();
    let smaller = env.dockerfile("smaller", "FROM scratch\nCOPY large /\n");
    fs::write(smaller.join("large"), vec![1; 20_000_000]).unwrap();
    env.build(&smaller, "smaller", &[]).ok();
    assert_eq!(env.image("smaller").tree.len(), 1);
}

#[test]
fn a_store_of_another_format_is_left_alone() {
    let env = TestEnvironment::new();
    fs::create_dir_all(env.root().join("layers")).unwrap();
    fs::write(env.root().join("format"), "kiln store 0\n").unwrap();
    for arguments in [vec!["images"], vec!["du"], vec!["prune", "--force"], vec!["cache", "ls"]] {
        let text = env.run(&arguments).fails();
        for part in ["kiln store 0", "kiln store 1", env.root().to_str().unwrap(), "KILN_ROOT"] {
            assert!(text.contains(part), "`{part}` is missing: {text}");
        }
    }
    assert_eq!(fs::read_dir(env.root()).unwrap().count(), 2);
}

/// Every file of that name below a directory.
fn named(directory: &Path, name: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            found.extend(named(&path, name));
        } else if name.is_empty() || path.file_name().unwrap() == name {
            found.push(path);
        }
    }
    found
}

#[test]
fn what_is_damaged_is_made_again_or_told() {
    let env = TestEnvironment::new();
    let context = fragile(&env, 1);
    env.build(&context, "app", &[]).ok();
    let right = env.image("app").tree;
    let damage: [(&str, &[u8]); 6] = [
        ("records", b"{"),
        ("slots", &[0; 64]),
        ("memos", b""),
        ("indexes", &[7; 1000]),
        ("images", b"[]"),
        ("blobs/stamps", b"x"),
    ];
    for (place, damage) in damage {
        for file in named(&env.root().join(place), "") {
            fs::write(&file, damage).unwrap();
        }
        env.build(&context, "app", &[]).ok();
        assert_eq!(env.image("app").tree, right, "{place}");
    }
    for info in fs::read_dir(env.root().join("layers")).unwrap() {
        fs::write(info.unwrap().path().join("info"), [0; 9]).unwrap();
    }
    env.build(&context, "app", &[]).ok();
    assert_eq!(env.image("app").tree, right, "descriptions of layers");

    // Blobs: cut short is noticed at once; other bytes are noticed when they are unpacked, and told.
    for blob in named(&env.root().join("blobs/sha256"), "") {
        let length = fs::metadata(&blob).unwrap().len();
        fs::File::options().write(true).open(&blob).unwrap().set_len(length / 2).unwrap();
    }
    for layer in fs::read_dir(env.root().join("layers")).unwrap() {
        let _ = fs::remove_dir_all(layer.unwrap().path().join("tree"));
    }
    let mut last = env.build(&context, "app", &["--no-cache"]);
    for _ in 0..5 {
        if last.status.success() {
            break;
        }
        assert!(last.stderr.contains("damaged") || last.stderr.contains("store"), "{last}");
        last = env.build(&context, "app", &["--no-cache"]);
    }
    last.ok();
    assert_eq!(env.image("app").tree, right, "blobs");
}
