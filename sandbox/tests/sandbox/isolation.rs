//! What the command sees of the machine: /proc, /sys, /dev, names.

use kiln_sandbox::Exit;

use crate::fixture::{Fixture, run};
use crate::tests;

tests!("isolation":
    the_host_name_is_its_own, paths_that_show_the_host_are_masked, paths_that_change_the_host_are_read_only,
    devices_are_the_standard_ones, memory_file_systems_are_as_in_docker, control_groups_are_shown_read_only,
    mounts_of_the_host_are_not_visible, nothing_reaches_the_mounts_of_the_host, namespaces_are_new,
);

fn the_host_name_is_its_own() {
    let fixture = Fixture::new();
    let mut spec = fixture.spec(&["hostname"]);
    spec.hostname = "builder-7".into();
    assert_eq!(run(&spec).text(), "builder-7\n");
    assert_ne!(rustix::system::uname().nodename().to_bytes(), b"builder-7");
}

fn paths_that_show_the_host_are_masked() {
    let script = "
        for path in /proc/kcore /proc/keys /proc/latency_stats /proc/timer_list /proc/timer_stats /proc/sched_debug; do
            if [ -e $path ]; then [ -c $path ] || echo $path; cat $path; echo x 2>/dev/null > $path; fi
        done
        for path in /proc/acpi /proc/asound /proc/scsi /sys/firmware /sys/devices/virtual/powercap; do
            if [ -e $path ]; then ls -A $path; touch $path/x 2>/dev/null && echo $path; fi
        done
        [ -c /proc/keys ] && [ -e /sys/devices/virtual ] && echo checked";
    assert_eq!(run(&Fixture::new().shell(script)).text(), "checked\n");
}

fn paths_that_change_the_host_are_read_only() {
    let lines = run(&Fixture::new().spec(&["cat", "/proc/self/mounts"])).lines();
    for path in ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger", "/sys"] {
        if std::fs::exists(path).unwrap() {
            let line = lines.iter().find(|line| line.split(' ').nth(1) == Some(path));
            assert!(line.is_some_and(|line| line.contains(" ro,")), "{path}: {line:?}");
        }
    }
    let output = run(&Fixture::new().shell("echo x > /proc/sys/kernel/hostname"));
    assert!(output.stderr.contains("Read-only file system"), "{}", output.stderr);
    assert_eq!(output.exit, Exit::Code(1));
}

fn devices_are_the_standard_ones() {
    let lines = run(&Fixture::new()
        .shell("cd /dev; for f in *; do echo $f $(stat -c '%a %t,%T' $f) $(readlink $f); done"))
    .lines();
    assert_eq!(
        lines,
        [
            "core 777 0,0 /proc/kcore",
            "fd 777 0,0 /proc/self/fd",
            "full 666 1,7",
            "mqueue 1777 0,0",
            "null 666 1,3",
            "ptmx 777 0,0 pts/ptmx",
            "pts 755 0,0",
            "random 666 1,8",
            "shm 1777 0,0",
            "stderr 777 0,0 /proc/self/fd/2",
            "stdin 777 0,0 /proc/self/fd/0",
            "stdout 777 0,0 /proc/self/fd/1",
            "tty 666 5,0",
            "urandom 666 1,9",
            "zero 666 1,5",
        ]
    );
    let script =
        "echo x > /dev/null; head -c 3 /dev/zero | wc -c; head -c 3 /dev/urandom | wc -c; stat -c %a /dev";
    assert_eq!(run(&Fixture::new().shell(script)).lines(), ["3", "3", "755"]);
}

fn memory_file_systems_are_as_in_docker() {
    let lines = run(&Fixture::new().spec(&["cat", "/proc/mounts"])).lines();
    let options = |target: &str| {
        let line = lines.iter().find(|line| line.split(' ').nth(1) == Some(target)).unwrap();
        let fields: Vec<&str> = line.split(' ').collect();
        format!("{} {}", fields[2], fields[3])
    };
    assert_eq!(options("/dev"), "tmpfs rw,nosuid,nodev,noexec,relatime,size=65536k,mode=755");
    assert_eq!(options("/dev/shm"), "tmpfs rw,nosuid,nodev,noexec,relatime,size=65536k");
    assert_eq!(options("/dev/pts"), "devpts rw,nosuid,noexec,relatime,gid=5,mode=620,ptmxmode=666");
    assert_eq!(options("/dev/mqueue"), "mqueue rw,nosuid,nodev,noexec,relatime");
    assert_eq!(options("/proc"), "proc rw,nosuid,nodev,noexec,relatime");
    assert_eq!(options("/sys"), "sysfs ro,nosuid,nodev,noexec,relatime");
}

fn control_groups_are_shown_read_only() {
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap();
    let script = "cat /proc/self/cgroup; ls /sys/fs/cgroup; find /sys/fs/cgroup -name cgroup.procs -maxdepth 2 | head -n 1";
    let lines = run(&Fixture::new().shell(script)).lines();
    // The namespace hides where in the host's hierarchy it is.
    for line in &lines[..groups.lines().count()] {
        assert!(line.ends_with(":/"), "{line}");
    }
    if !groups.is_empty() {
        assert!(lines.last().unwrap().ends_with("cgroup.procs"), "{lines:?}");
        let write = "f=$(find /sys/fs/cgroup -name cgroup.procs -maxdepth 2 | head -n 1); echo 1 > $f";
        assert!(run(&Fixture::new().shell(write)).stderr.contains("Read-only file system"));
    }
}

fn mounts_of_the_host_are_not_visible() {
    let lines = run(&Fixture::new().spec(&["cat", "/proc/self/mountinfo"])).lines();
    assert!(lines[0].contains(" / / rw"), "{}", lines[0]);
    assert!(lines[0].contains(" - overlay overlay "), "{}", lines[0]);
    for line in &lines {
        let target = line.split(' ').nth(4).unwrap();
        assert!(["/", "/proc", "/sys", "/dev"].iter().any(|known| target.starts_with(known)), "{line}");
        assert!(!line.contains("ext4") && !line.contains("/tmp/"), "{line}");
    }
    assert_eq!(lines.iter().filter(|line| line.split(' ').nth(4) == Some("/")).count(), 1);
}

fn nothing_reaches_the_mounts_of_the_host() {
    let fixture = Fixture::new();
    let mine = fixture.beside("").to_str().unwrap().to_owned();
    let output = run(&fixture.shell("echo in; mount -t tmpfs none /bin; true"));
    assert!(output.stdout == "in\n" && output.stderr.contains("denied"), "{output:?}");
    let host = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!host.contains(mine.trim_end_matches('/')), "{host}");
}

fn namespaces_are_new() {
    let script = "for n in mnt pid uts ipc cgroup net user; do readlink /proc/self/ns/$n; done";
    let inside = run(&Fixture::new().shell(script)).lines();
    let names = ["mnt", "pid", "uts", "ipc", "cgroup", "net", "user"];
    for (name, inside) in names.iter().zip(inside) {
        let outside = std::fs::read_link(format!("/proc/self/ns/{name}")).unwrap();
        let same = outside.to_str().unwrap() == inside;
        assert_eq!(same, ["net", "user"].contains(name), "{name}");
    }
}
