//! Limits of what a command may use, and the memory that its processes share.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use kiln_sandbox::{Limit, Mount, MountKind, SandboxError, Stdio, spawn};

use crate::fixture::{Fixture, refused, run};
use crate::tests;

tests!("limits":
    they_hold_for_the_command_and_what_it_starts, without_any_they_are_the_callers, the_last_of_a_name_counts,
    users_have_them_too, one_that_the_kernel_refuses_is_named, the_smallest_ones_end_in_the_command_or_are_told,
    senseless_ones_are_no_specification, shared_memory_has_its_size, a_mount_takes_the_place_of_shared_memory,
);

fn limit(name: &str, soft: Option<u64>, hard: Option<u64>) -> Limit {
    Limit { name: name.into(), soft, hard }
}

/// One of the limits of this process: soft and hard, as the kernel writes them.
fn own(title: &str) -> Vec<String> {
    values(&fs::read_to_string("/proc/self/limits").unwrap(), title)
}

fn values(table: &str, title: &str) -> Vec<String> {
    let line = table.lines().find_map(|line| line.strip_prefix(title)).unwrap();
    line.split_whitespace().take(2).map(str::to_owned).collect()
}

fn they_hold_for_the_command_and_what_it_starts() {
    let fixture = Fixture::new();
    let mut spec = fixture.shell("sh -c 'cat /proc/self/limits'");
    spec.limits = vec![
        limit("nofile", Some(100), Some(200)),
        limit("core", Some(0), Some(4096)),
        limit("nproc", Some(50), Some(60)),
        limit("rttime", Some(1_000_000), Some(2_000_000)),
    ];
    let table = run(&spec).text();
    for (title, expected) in [
        ("Max open files", ["100", "200"]),
        ("Max core file size", ["0", "4096"]),
        ("Max processes", ["50", "60"]),
        ("Max realtime timeout", ["1000000", "2000000"]),
    ] {
        assert_eq!(values(&table, title), expected, "{title}");
    }
    assert_eq!(values(&table, "Max file size"), own("Max file size"), "what nobody limited");
    let fixture = Fixture::new();
    let mut spec = fixture.shell("ulimit -n; ulimit -n 300 2> /dev/null || echo refused");
    spec.limits = vec![limit("nofile", Some(100), Some(200))];
    assert_eq!(run(&spec).lines(), ["100", "refused"], "nobody raises a hard limit");
}

fn without_any_they_are_the_callers() {
    let table = run(&Fixture::new().shell("cat /proc/self/limits")).text();
    for title in ["Max open files", "Max core file size", "Max processes", "Max stack size"] {
        assert_eq!(values(&table, title), own(title), "{title}");
    }
}

fn the_last_of_a_name_counts() {
    let fixture = Fixture::new();
    let mut spec = fixture.shell("ulimit -n");
    spec.limits = vec![limit("nofile", Some(100), Some(200)), limit("nofile", Some(90), Some(150))];
    assert_eq!(run(&spec).text(), "90\n");
}

fn users_have_them_too() {
    let fixture = Fixture::new();
    let mut spec = fixture.shell("id -u; ulimit -n; ulimit -Hn");
    (spec.uid, spec.gid) = (1234, 1234);
    spec.limits = vec![limit("nofile", Some(100), Some(200)), limit("nproc", Some(4096), Some(4096))];
    assert_eq!(run(&spec).lines(), ["1234", "100", "200"]);
}

fn one_that_the_kernel_refuses_is_named() {
    let fixture = Fixture::new();
    let mut spec = fixture.spec(&["true"]);
    // Above what the kernel has open for anybody (fs.nr_open).
    spec.limits = vec![limit("nofile", None, None)];
    let error = refused(&spec);
    assert_eq!(error.to_string(), "cannot set the limit nofile=-1:-1");
    let is_denied =
        matches!(&error, SandboxError::Limit { source, .. } if source.raw_os_error() == Some(libc::EPERM));
    assert!(is_denied, "{error:?}");
    assert_eq!(error.exit_code(), 125);
}

fn the_smallest_ones_end_in_the_command_or_are_told() {
    // None of them is for a command that is to do something; none may leave the caller without an answer.
    let long = "x".repeat(120_000);
    for name in ["as", "core", "cpu", "data", "fsize", "locks", "memlock", "nproc", "rss", "stack"] {
        let fixture = Fixture::new();
        let mut spec = fixture.spec(&["sh", "-c", "true", &long, &long, &long]);
        spec.limits = vec![limit(name, Some(0), Some(0))];
        let ended = spawn(&spec, Stdio::Pipes).and_then(|mut sandbox| sandbox.wait());
        let is_told = match &ended {
            Ok(_) => true,
            Err(error) => {
                matches!(error, SandboxError::Step { .. } | SandboxError::CommandNotExecutable { .. })
            }
        };
        assert!(is_told, "{name}: {ended:?}");
    }
    let fixture = Fixture::new();
    let mut spec = fixture.shell("sh -c 'echo word > /file'; echo $?; echo word > /dev/null; echo $?");
    spec.limits = vec![limit("fsize", Some(0), Some(0))];
    assert_eq!(run(&spec).lines(), [(128 + libc::SIGXFSZ).to_string(), "0".to_owned()]);
}

fn senseless_ones_are_no_specification() {
    for wrong in [
        limit("nofile", Some(2), Some(1)),
        limit("nofile", Some(0), None),
        limit("files", Some(1), Some(1)),
        limit("", None, None),
    ] {
        let fixture = Fixture::new();
        let mut spec = fixture.spec(&["true"]);
        spec.limits = vec![wrong.clone()];
        let error = refused(&spec);
        assert!(
            matches!(&error, SandboxError::InvalidSpec { field, .. } if *field == format!("limit {wrong}"))
        );
    }
}

fn shared_memory_has_its_size() {
    let script = "grep -c ' /dev/shm ' /proc/mounts; stat -f -c '%S %b' /dev/shm; stat -c %a /dev/shm";
    for (size, blocks) in [(None, 16384), (Some(128 << 20), 32768), (Some(1), 1)] {
        let fixture = Fixture::new();
        let mut spec = fixture.shell(script);
        spec.shared_memory = size;
        assert_eq!(run(&spec).lines(), ["1".to_owned(), format!("4096 {blocks}"), "1777".to_owned()]);
    }
    let fixture = Fixture::new();
    let mut spec = fixture.shell("head -c 5000 /dev/zero > /dev/shm/f; wc -c < /dev/shm/f");
    spec.shared_memory = Some(4096);
    assert_eq!(run(&spec).lines(), ["4096"], "more does not fit");
}

fn a_mount_takes_the_place_of_shared_memory() {
    // What an image has there is in nobody's way.
    let fixture = Fixture::new();
    fs::create_dir_all(fixture.layer("/dev/shm")).unwrap();
    fs::set_permissions(fixture.layer("/dev/shm"), fs::Permissions::from_mode(0o700)).unwrap();
    let mut spec =
        fixture.shell("grep ' /dev/shm ' /proc/mounts; cp /bin/busybox /dev/shm/echo; /dev/shm/echo ran");
    let kind = MountKind::Tmpfs { size: Some(8 << 20), mode: 0o1777 };
    spec.mounts.push(Mount { target: "/dev/shm".into(), kind });
    assert_eq!(run(&spec).lines(), ["tmpfs /dev/shm tmpfs rw,nosuid,nodev,relatime,size=8192k 0 0", "ran"]);
    assert!(fixture.changes().is_empty(), "{:?}", fixture.changes());
}
