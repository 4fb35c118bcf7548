//! What a privileged process may do beyond the others, and devices that one is given.

use kiln_sandbox::{Device, DeviceKind, Exit, RunSpec, SandboxError};

use crate::fixture::{Fixture, describe, names, refused, run};
use crate::tests;

tests!("privileges":
    a_privileged_process_keeps_all_capabilities, so_does_one_of_another_user, nothing_is_hidden_from_a_privileged_process,
    a_privileged_process_mounts_and_makes_devices, namespaces_stay, a_device_is_where_it_should_be,
    a_device_leaves_no_trace_and_follows_no_link_out, a_device_needs_a_place,
);

const STATUS: &str = "grep -E '^(Cap|Seccomp:)' /proc/self/status";

fn privileged(fixture: &Fixture, script: &str) -> RunSpec {
    RunSpec { privileged: true, ..fixture.shell(script) }
}

/// What this process has, which is the most that any process it starts can.
fn own_capabilities() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("CapPrm")).unwrap();
    line.split_whitespace().nth(1).unwrap().to_owned()
}

fn all_own() -> Vec<String> {
    let own = own_capabilities();
    let mut expected: Vec<String> =
        ["Inh", "Prm", "Eff", "Bnd", "Amb"].map(|set| format!("Cap{set}:\t{own}")).to_vec();
    expected.push("Seccomp:\t0".to_owned());
    expected
}

fn a_privileged_process_keeps_all_capabilities() {
    assert_eq!(run(&privileged(&Fixture::new(), STATUS)).lines(), all_own());
}

fn so_does_one_of_another_user() {
    let fixture = Fixture::new();
    let spec = RunSpec { uid: 1000, gid: 1000, ..privileged(&fixture, STATUS) };
    assert_eq!(run(&spec).lines(), all_own());
}

fn nothing_is_hidden_from_a_privileged_process() {
    let lines = run(&privileged(&Fixture::new(), "cat /proc/self/mounts")).lines();
    for line in &lines {
        let fields: Vec<&str> = line.split(' ').collect();
        assert!(!fields[3].starts_with("ro"), "{line}");
    }
    assert!(!lines.iter().any(|line| line.contains(" /proc/")), "{lines:?}");
    let script = "f=$(find /sys/fs/cgroup -name cgroup.procs -maxdepth 2 | head -n 1); [ -z $f ] || echo $$ > $f; \
        [ -c /dev/fuse ] && [ -c /dev/net/tun ] && [ -c /dev/kvm ] && [ -b /dev/loop0 ] && [ -b /dev/loop15 ] && \
        [ -c /dev/kmsg ] && head -c 1 /proc/kcore > /dev/null; echo done";
    assert_eq!(run(&privileged(&Fixture::new(), script)).text(), "done\n");
}

fn a_privileged_process_mounts_and_makes_devices() {
    let script = "mkdir /m && mount -t tmpfs none /m && mknod /m/null c 1 3 && echo x > /m/null && mknod /null c 1 3 && \
        echo x > /null && rm /dev/null && mknod /dev/null c 1 3 && echo x > /dev/null && umount /m && echo done";
    let fixture = Fixture::new();
    assert_eq!(run(&privileged(&fixture, script)).text(), "done\n");
    assert_eq!(fixture.changes(), names(&["m", "null"]));
    // The same is refused to others.
    let refused = run(&Fixture::new().shell("mkdir /m && mount -t tmpfs none /m"));
    assert_ne!(refused.exit, Exit::Code(0));
}

fn namespaces_stay() {
    let fixture = Fixture::new();
    let mut spec = privileged(&fixture, "echo $$; hostname other; ip link | grep -c link/");
    spec.network = kiln_sandbox::Network::None;
    assert_eq!(run(&spec).text(), "1\n1\n");
    assert_ne!(rustix::system::uname().nodename().to_bytes(), b"other");
}

fn zero(path: &str) -> Device {
    let kind = DeviceKind::Character { major: 1, minor: 5 };
    Device { path: path.into(), kind, mode: 0o640, uid: 7, gid: 8 }
}

fn a_device_is_where_it_should_be() {
    let fixture = Fixture::new();
    let mut spec = fixture.shell(
        "for f in /dev/own /dev/deep/er/own /anywhere/own; do stat -c '%a %u:%g %t,%T' $f && head -c 2 $f | wc -c; done
         stat -c %F /dev/pipe; stat -c '%F %t' /dev/block",
    );
    spec.devices = ["/dev/own", "/dev/deep/er/own", "/anywhere/own"].map(zero).to_vec();
    spec.devices.push(Device { path: "/dev/pipe".into(), kind: DeviceKind::Fifo, ..zero("") });
    let block = DeviceKind::Block { major: 7, minor: 0 };
    spec.devices.push(Device { path: "/dev/block".into(), kind: block, ..zero("") });
    let mut expected = ["640 7:8 1,5", "2"].repeat(3);
    expected.extend(["fifo", "block special file 7"]);
    assert_eq!(run(&spec).lines(), expected);
    // Of another user's only what its mode gives.
    (spec.uid, spec.gid) = (9, 9);
    spec.args = ["sh", "-c", "head -c 1 /dev/own"].map(str::to_owned).to_vec();
    fixture.reset();
    assert!(run(&spec).stderr.contains("Permission denied"));
}

fn a_device_leaves_no_trace_and_follows_no_link_out() {
    let fixture = Fixture::new();
    let outside = fixture.beside("outside");
    std::fs::create_dir(&outside).unwrap();
    std::os::unix::fs::symlink(&outside, fixture.layer("link")).unwrap();
    let mut spec = fixture.spec(&["true"]);
    spec.devices = vec![zero("/link/own"), zero("/dev/own"), zero("/new/own")];
    assert_eq!(run(&spec).exit, Exit::Code(0));
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
    assert_eq!(fixture.changes(), names(&[]));
}

fn a_device_needs_a_place() {
    for path in ["dev/own", "/", ""] {
        let mut spec = Fixture::new().spec(&["true"]);
        spec.devices = vec![zero(path)];
        let error = refused(&spec);
        assert!(matches!(error, SandboxError::InvalidSpec { .. }), "{path}: {}", describe(&error));
    }
}
