//! Who the command is and what it may do.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use kiln_sandbox::{Exit, RunSpec};

use crate::fixture::{Fixture, run};
use crate::{program, tests};

tests!("identity":
    root_has_dockers_default_capabilities, a_user_has_none, users_and_groups_are_exact, no_new_privs_is_as_asked,
    privileges_come_back_through_setuid_only_if_allowed, calls_are_filtered, calls_of_32_bit_programs_are_filtered,
    user_namespaces_are_refused, pipes_belong_to_the_user,
);

const STATUS: &str = "grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status";

fn status(spec: &RunSpec) -> Vec<String> {
    run(spec).lines().into_iter().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

fn root_has_dockers_default_capabilities() {
    assert_eq!(
        status(&Fixture::new().shell(STATUS)),
        [
            "CapInh: 0000000000000000",
            "CapPrm: 00000000a80425fb",
            "CapEff: 00000000a80425fb",
            "CapBnd: 00000000a80425fb",
            "CapAmb: 0000000000000000",
            "NoNewPrivs: 0",
            "Seccomp: 2",
        ]
    );
}

fn a_user_has_none() {
    let fixture = Fixture::new();
    let mut spec = fixture.shell(STATUS);
    (spec.uid, spec.gid) = (1000, 1000);
    assert_eq!(
        status(&spec),
        [
            "CapInh: 0000000000000000",
            "CapPrm: 0000000000000000",
            "CapEff: 0000000000000000",
            "CapBnd: 00000000a80425fb",
            "CapAmb: 0000000000000000",
            "NoNewPrivs: 0",
            "Seccomp: 2",
        ]
    );
}

fn users_and_groups_are_exact() {
    let script = "grep -E '^(Uid|Gid|Groups)' /proc/self/status";
    let fixture = Fixture::new();
    let mut spec = fixture.shell(script);
    (spec.uid, spec.gid, spec.groups) = (1000, 1001, vec![7, 4_000_000_000]);
    assert_eq!(
        status(&spec),
        ["Uid: 1000 1000 1000 1000", "Gid: 1001 1001 1001 1001", "Groups: 7 4000000000"]
    );
    // None at all: not the caller's, and not the primary one once more.
    let fixture = Fixture::new();
    let mut spec = fixture.shell(script);
    spec.gid = 5;
    assert_eq!(status(&spec), ["Uid: 0 0 0 0", "Gid: 5 5 5 5", "Groups:"]);
}

fn no_new_privs_is_as_asked() {
    let fixture = Fixture::new();
    let mut spec = fixture.shell("grep -E '^(NoNewPrivs|Seccomp:)' /proc/self/status");
    spec.no_new_privs = true;
    assert_eq!(status(&spec), ["NoNewPrivs: 1", "Seccomp: 2"]);
}

fn privileges_come_back_through_setuid_only_if_allowed() {
    for (no_new_privs, expected) in [(false, 0), (true, libc::EPERM)] {
        let fixture = Fixture::new();
        // setuid(0) succeeds for those who are root already, through the bit on the file.
        program::write(&fixture.layer("become-root"), 105, 0);
        fs::set_permissions(fixture.layer("become-root"), fs::Permissions::from_mode(0o4755)).unwrap();
        let mut spec = fixture.spec(&["/become-root"]);
        (spec.uid, spec.gid, spec.no_new_privs) = (1000, 1000, no_new_privs);
        assert_eq!(run(&spec).exit, Exit::Code(expected));
    }
}

/// The error number that a call ends with in a sandbox.
fn answer(write: fn(&std::path::Path, u32, u32), number: u32, argument: u32) -> Exit {
    let fixture = Fixture::new();
    write(&fixture.layer("call"), number, argument);
    run(&fixture.spec(&["/call"])).exit
}

fn calls_are_filtered() {
    let answers = |number: u32, argument: u32| answer(program::write, number, argument);
    let (refused, unknown) = (Exit::Code(libc::EPERM), Exit::Code(libc::ENOSYS));
    assert_eq!(answers(39, 0), Exit::Code(0), "getpid");
    assert_eq!(answers(272, 0), refused, "unshare");
    assert_eq!(answers(165, 0), refused, "mount");
    assert_eq!(answers(250, 0), refused, "keyctl");
    assert_eq!(answers(425, 1), refused, "io_uring_setup");
    assert_eq!(answers(435, 0), unknown, "clone3");
    assert_eq!(answers(1000, 0), unknown, "a call of the future");
    assert_eq!(answers(0x4000_0000 + 39, 0), unknown, "getpid of x32");
    assert_eq!(answers(135, 0xffff_ffff), Exit::Code(0), "personality, asking");
    assert_eq!(answers(135, 0x0040_0000), refused, "personality, changing");
    assert_eq!(answers(41, 38), refused, "socket of AF_ALG");
    assert_eq!(answers(41, 40), refused, "socket of AF_VSOCK");
    assert_eq!(answers(56, 0x1000_0000), refused, "clone with a user namespace");
}

fn calls_of_32_bit_programs_are_filtered() {
    let answers = |number: u32, argument: u32| answer(program::write_32_bit, number, argument);
    assert!(
        fs::metadata("/proc/sys/abi/vsyscall32").is_ok(),
        "this kernel has no 32-bit entry (IA32 emulation), so its filter cannot be shown to work here"
    );
    assert_eq!(answers(20, 0), Exit::Code(0), "getpid");
    assert_eq!(answers(310, 0), Exit::Code(libc::EPERM), "unshare");
    assert_eq!(answers(1000, 0), Exit::Code(libc::ENOSYS), "a call of the future");
}

fn user_namespaces_are_refused() {
    let output = run(&Fixture::new().spec(&["unshare", "-U", "true"]));
    assert_eq!(output.exit, Exit::Code(1));
    assert!(output.stderr.contains("Operation not permitted"), "{}", output.stderr);
}

fn pipes_belong_to_the_user() {
    let fixture = Fixture::new();
    let mut spec = fixture.shell("echo one > /dev/stdout; echo two > /dev/stderr");
    (spec.uid, spec.gid) = (1000, 1000);
    let output = run(&spec);
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("one\n", "two\n"));
}
