//! Images and specifications that try to reach the host: what went wrong in other builders.

use std::fs;
use std::os::unix::fs::symlink;

use kiln_sandbox::{Exit, Mount, MountKind, SandboxError};

use crate::fixture::{Fixture, describe, names, refused, run};
use crate::{helper, tests};

tests!("attacks":
    a_working_directory_through_a_descriptor_is_refused, the_supervisors_program_cannot_be_written,
    standard_devices_are_not_those_of_the_image, a_console_link_in_the_image_is_ignored,
    mount_targets_are_followed_beneath_the_root, system_directories_must_not_be_links, masks_hold_against_links,
    the_hosts_files_are_out_of_reach, a_working_directory_link_stays_beneath_the_root, descriptors_lead_nowhere,
    device_nodes_open_nothing,
);

/// CVE-2024-21626.
fn a_working_directory_through_a_descriptor_is_refused() {
    let fixture = Fixture::new();
    symlink("/proc/self/fd/5", fixture.layer("link")).unwrap();
    symlink("/proc/1/cwd", fixture.layer("cwd")).unwrap();
    let paths = (0..40).map(|number| format!("/proc/self/fd/{number}"));
    let others = ["/link", "/cwd", "/proc/self/cwd", "/proc/1/root", "/proc/1/root/.."];
    for path in paths.chain(others.map(str::to_owned)) {
        for create in [false, true] {
            let mut spec = fixture.spec(&["true"]);
            spec.cwd.clone_from(&path);
            spec.create_cwd = create;
            let error = refused(&spec);
            assert!(matches!(error, SandboxError::WorkingDirectory { .. }), "{path}: {}", describe(&error));
            fixture.reset();
        }
    }
}

/// CVE-2019-5736: the image makes init execute kiln's own binary again, which then is the attacker's to open.
fn the_supervisors_program_cannot_be_written() {
    let before = fs::read("/proc/self/exe").unwrap();
    for program in ["/proc/self/exe", "/link"] {
        let fixture = Fixture::new();
        symlink("/proc/self/exe", fixture.layer("link")).unwrap();
        let mut spec = fixture.spec(&["replaced"]);
        spec.args = helper::arguments(program, "write-own-program");
        let output = run(&spec);
        assert_eq!(output.stdout, "false Read-only file system (os error 30)\n", "{}", output.stderr);
    }
    assert!(before == fs::read("/proc/self/exe").unwrap());
}

/// CVE-2025-31133 and CVE-2025-52565.
fn standard_devices_are_not_those_of_the_image() {
    let fixture = Fixture::new();
    fs::create_dir(fixture.layer("dev")).unwrap();
    fs::create_dir(fixture.layer("etc")).unwrap();
    fs::write(fixture.layer("etc/victim"), "untouched").unwrap();
    for device in
        ["null", "zero", "random", "urandom", "full", "tty", "ptmx", "console", "pts", "shm", "mqueue"]
    {
        symlink("/etc/victim", fixture.layer(&format!("dev/{device}"))).unwrap();
    }
    let script = "echo x > /dev/null; [ -c /dev/null ] && [ -d /dev/pts ] && cat /etc/victim /proc/keys";
    assert_eq!(run(&fixture.shell(script)).text(), "untouched");
    assert_eq!(fixture.changes(), names(&[]));
}

/// CVE-2025-52565.
fn a_console_link_in_the_image_is_ignored() {
    let fixture = Fixture::new();
    fs::create_dir(fixture.layer("dev")).unwrap();
    symlink("/proc/sys/kernel/core_pattern", fixture.layer("dev/console")).unwrap();
    let mut spec = fixture.shell("stat -c %t /dev/console");
    spec.window = kiln_sandbox::WindowSize { rows: 1, columns: 1 };
    let mut sandbox = kiln_sandbox::spawn(&spec, kiln_sandbox::Stdio::Terminal).unwrap();
    let mut terminal = fs::File::from(sandbox.take_terminal().unwrap());
    assert_eq!(crate::fixture::read_line(&mut terminal), "88\r\n");
    assert_eq!(sandbox.wait().unwrap(), Exit::Code(0));
}

/// CVE-2021-30465 and its like: the target of a mount is a link to somewhere on the host.
fn mount_targets_are_followed_beneath_the_root() {
    let fixture = Fixture::new();
    let host = fixture.beside("host");
    fs::create_dir(&host).unwrap();
    symlink(&host, fixture.layer("absolute")).unwrap();
    symlink("../../../../../../../../media", fixture.layer("relative")).unwrap();
    symlink("/proc/self/root/tmp", fixture.layer("magic")).unwrap();
    let tmpfs =
        |target: &str| Mount { target: target.into(), kind: MountKind::Tmpfs { size: None, mode: 0o755 } };

    let mut spec = fixture.shell("touch /absolute/x /relative/x; ls /absolute /media");
    spec.mounts = vec![tmpfs("/absolute"), tmpfs("/relative")];
    let output = run(&spec).text();
    assert_eq!(output, "/absolute:\nx\n\n/media:\nx\n");
    assert_eq!(fs::read_dir(&host).unwrap().count(), 0);
    assert_eq!(fixture.changes(), names(&[]));

    fixture.reset();
    let mut spec = fixture.spec(&["true"]);
    spec.mounts = vec![tmpfs("/magic")];
    let text = describe(&refused(&spec));
    assert!(text.contains("mount tmpfs on `/magic`"), "{text}");
}

fn system_directories_must_not_be_links() {
    for name in ["proc", "sys", "dev"] {
        let fixture = Fixture::new();
        fs::create_dir(fixture.layer("elsewhere")).unwrap();
        symlink("/elsewhere", fixture.layer(name)).unwrap();
        let text = describe(&refused(&fixture.spec(&["true"])));
        assert!(text.contains(&format!("on `/{name}`")) && text.contains("symbolic links"), "{text}");
    }
}

/// A mount of the user's over a masked path's parent must not take the mask's place outside of /proc.
fn masks_hold_against_links() {
    let fixture = Fixture::new();
    fs::create_dir_all(fixture.beside("fake/sys")).unwrap();
    symlink("/bin", fixture.beside("fake/acpi")).unwrap();
    let mut spec = fixture.shell("ls /bin | head -n 1");
    let kind = MountKind::Bind { source: fixture.beside("fake"), read_only: false, recursive: true };
    spec.mounts = vec![Mount { target: "/proc".into(), kind }];
    let text = describe(&refused(&spec));
    assert!(text.contains("hide `/proc/acpi`"), "{text}");
}

fn the_hosts_files_are_out_of_reach() {
    let fixture = Fixture::new();
    fs::write(fixture.beside("secret"), "secret").unwrap();
    let secret = fixture.beside("secret").to_str().unwrap().to_owned();
    let script = format!(
        "cat {secret} /../../..{secret} /proc/1/root{secret} /proc/1/cwd/../..{secret} 2>/dev/null; chroot / cat {secret} 2>/dev/null; echo done"
    );
    assert_eq!(run(&fixture.shell(&script)).stdout, "done\n");
}

fn a_working_directory_link_stays_beneath_the_root() {
    let fixture = Fixture::new();
    fs::create_dir(fixture.beside("outside")).unwrap();
    symlink(fixture.beside("outside"), fixture.layer("link")).unwrap();
    let mut spec = fixture.spec(&["true"]);
    spec.cwd = "/link".into();
    assert!(matches!(refused(&spec), SandboxError::WorkingDirectory { .. }));
    fixture.reset();
    spec.create_cwd = true;
    assert_eq!(run(&spec).exit, Exit::Code(0));
    assert!(fixture.upper(fixture.beside("outside").to_str().unwrap()).is_dir());
}

fn descriptors_lead_nowhere() {
    let script = "for fd in /proc/self/fd/* /proc/1/fd/*; do ls $fd/ 2>/dev/null; readlink $fd; done | grep -v -e pipe: -e /dev/null -e /proc/";
    let output = run(&Fixture::new().shell(script));
    assert_eq!(output.stdout, "");
}

/// A node of any device can be made, and an image can bring one: the host's disks must not be behind it. The loop devices
/// stand for them here; opening one changes nothing.
fn device_nodes_open_nothing() {
    let fixture = Fixture::new();
    let beside = fixture.beside("beside");
    fs::create_dir(&beside).unwrap();
    for place in [fixture.layer("block"), beside.join("block")] {
        let (mode, number) = (rustix::fs::Mode::from_raw_mode(0o666), rustix::fs::makedev(7, 0));
        rustix::fs::mknodat(rustix::fs::CWD, place, rustix::fs::FileType::BlockDevice, mode, number).unwrap();
    }
    let mut spec = fixture.shell(
        "for node in /made /dev/made /dev/shm/made /bind/made /memory/made; do mknod $node b 7 0 || echo $node; done
         mknod /null c 1 3
         for node in /made /dev/made /dev/shm/made /bind/made /memory/made /block /bind/block /null; do
             (exec 3< $node) 2>/dev/null && echo opened $node
         done
         mount -o remount,dev / 2>/dev/null && echo mounted
         rm /bind/made
         exec 3< /dev/null && echo done",
    );
    let kind = MountKind::Bind { source: beside, read_only: false, recursive: true };
    let memory = MountKind::Tmpfs { size: None, mode: 0o755 };
    spec.mounts =
        vec![Mount { target: "/bind".into(), kind }, Mount { target: "/memory".into(), kind: memory }];
    assert_eq!(run(&spec).text(), "done\n");
}
