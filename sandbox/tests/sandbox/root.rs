//! The root file system and the mounts in it, and above all what they leave behind: nothing.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;

use kiln_sandbox::{Exit, Mount, MountKind, Root, SandboxError};
use rustix::fs::{CWD, Timespec, Timestamps, XattrFlags};

use crate::fixture::{Fixture, base, describe, names, refused, run};
use crate::tests;

tests!("root":
    only_what_the_command_wrote_is_in_the_upper_directory, stubs_change_nothing_about_the_directories_above_them,
    existing_targets_are_used_and_unchanged, a_link_to_nothing_gets_its_target, layers_are_merged_in_order,
    four_hundred_layers_are_mounted, too_many_layers_are_refused, more_layers_than_one_overlay_takes_are_mounted,
    an_image_without_layers_fails_on_the_command_only,
    changes_in_memory_are_forgotten, the_size_of_changes_in_memory_is_limited, host_directories_and_files_can_be_mounted,
    a_read_only_bind_covers_what_is_mounted_below_it, targets_inside_mounts_are_made_there,
    a_memory_mount_has_the_mode_and_size_asked_for, files_are_read_only_with_their_mode, missing_directories_are_named,
    a_missing_source_is_named, removal_leaves_a_whiteout, syncing_is_not_needed,
    a_root_that_is_read_only_refuses_and_mounts_in_it_do_not,
);

fn bind(target: &str, source: impl Into<PathBuf>, read_only: bool, recursive: bool) -> Mount {
    Mount { target: target.into(), kind: MountKind::Bind { source: source.into(), read_only, recursive } }
}

fn only_what_the_command_wrote_is_in_the_upper_directory() {
    let fixture = Fixture::new();
    let mut spec =
        fixture.shell("cat /etc/hosts /etc/resolv.conf /run/secrets/s; touch /made; mkdir -p /a/b");
    spec.hosts = Some(b"127.0.0.1 localhost\n".to_vec());
    spec.resolv_conf = Some(b"nameserver 127.0.0.53\n".to_vec());
    fs::create_dir(fixture.beside("host")).unwrap();
    spec.mounts = vec![
        Mount {
            target: "/run/secrets/s".into(),
            kind: MountKind::File { data: b"s\n".to_vec(), mode: 0o400, uid: 0, gid: 0 },
        },
        Mount { target: "/var/cache/x".into(), kind: MountKind::Tmpfs { size: None, mode: 0o755 } },
        bind("/deep/er/host", fixture.beside("host"), false, true),
    ];
    assert_eq!(run(&spec).text(), "127.0.0.1 localhost\nnameserver 127.0.0.53\ns\n");
    assert_eq!(fixture.changes(), names(&["a", "a/b", "made"]));

    let quiet = Fixture::new();
    let mut spec = quiet.shell("echo x >> /etc/hosts; echo x > /dev/null; ls / > /dev/shm/list");
    spec.hosts = Some(Vec::new());
    run(&spec).text();
    assert_eq!(quiet.changes(), names(&[]));
}

fn stubs_change_nothing_about_the_directories_above_them() {
    let fixture = Fixture::new();
    let etc = fixture.layer("etc");
    fs::create_dir(&etc).unwrap();
    fs::write(etc.join("existing"), "x").unwrap();
    rustix::fs::setxattr(&etc, "user.kept", b"value", XattrFlags::empty()).unwrap();
    std::os::unix::fs::chown(&etc, Some(12), Some(34)).unwrap();
    fs::set_permissions(&etc, fs::Permissions::from_mode(0o2750)).unwrap();
    let then = Timespec { tv_sec: 1_000_000_000, tv_nsec: 5 };
    let times = Timestamps { last_access: then, last_modification: then };
    rustix::fs::utimensat(CWD, &etc, &times, rustix::fs::AtFlags::empty()).unwrap();

    let mut spec = fixture.shell("stat -c '%a %u %g %Y' /etc; ls /etc; touch /etc/new");
    spec.hosts = Some(Vec::new());
    assert_eq!(run(&spec).lines(), ["2750 12 34 1000000000", "existing", "hosts"]);
    assert_eq!(fixture.changes(), names(&["etc", "etc/new"]));
    let copied = fs::metadata(fixture.upper("etc")).unwrap();
    assert_eq!((copied.mode() & 0o7777, copied.uid(), copied.gid()), (0o2750, 12, 34));
    let mut value = [0; 16];
    let length = rustix::fs::getxattr(fixture.upper("etc"), "user.kept", &mut value).unwrap();
    assert_eq!(&value[..length], b"value");
}

fn existing_targets_are_used_and_unchanged() {
    let fixture = Fixture::new();
    for directory in ["proc", "sys", "dev", "etc"] {
        fs::create_dir(fixture.layer(directory)).unwrap();
    }
    fs::write(fixture.layer("etc/hosts"), "of the image").unwrap();
    fs::write(fixture.layer("dev/null"), "not a device").unwrap();
    let mut spec = fixture.shell("cat /etc/hosts; echo changed > /etc/hosts; cat /etc/hosts; cat /dev/null");
    spec.hosts = Some(b"of the sandbox\n".to_vec());
    assert_eq!(run(&spec).text(), "of the sandbox\nchanged\n");
    assert_eq!(fixture.changes(), names(&[]));
    assert_eq!(fs::read_to_string(fixture.layer("etc/hosts")).unwrap(), "of the image");
}

fn a_link_to_nothing_gets_its_target() {
    let fixture = Fixture::new();
    fs::create_dir(fixture.layer("etc")).unwrap();
    symlink("../run/systemd/resolve/stub-resolv.conf", fixture.layer("etc/resolv.conf")).unwrap();
    let mut spec = fixture.shell("cat /etc/resolv.conf; [ -L /etc/resolv.conf ] && echo link");
    spec.resolv_conf = Some(b"nameserver ::1\n".to_vec());
    assert_eq!(run(&spec).text(), "nameserver ::1\nlink\n");
    assert_eq!(fixture.changes(), names(&[]));
}

fn layers_are_merged_in_order() {
    let fixture = Fixture::new();
    let layers: Vec<PathBuf> = ["top", "bottom"].iter().map(|name| fixture.beside(name)).collect();
    for (layer, text) in layers.iter().zip(["top", "bottom"]) {
        fs::create_dir(layer).unwrap();
        fs::write(layer.join("same"), text).unwrap();
        fs::write(layer.join(text), text).unwrap();
    }
    let mut spec = fixture.shell("cat /same /top /bottom");
    spec.root = Root::Overlay {
        lowers: layers.into_iter().chain([base().to_owned()]).collect(),
        upper: fixture.upper(""),
        work: fixture.beside("work"),
    };
    assert_eq!(run(&spec).text(), "toptopbottom");
}

fn many_layers(fixture: &Fixture, count: usize) -> Root {
    let layers = (0..count).map(|number| {
        // Long names, with characters that mean something to mount options.
        let layer = fixture.beside(&format!("layer {number}, with: {} \\ ", "x".repeat(150)));
        fs::create_dir(&layer).unwrap();
        fs::write(layer.join(format!("file-{number}")), "").unwrap();
        layer
    });
    let lowers = layers.chain([base().to_owned()]).collect();
    Root::Overlay { lowers, upper: fixture.upper(""), work: fixture.beside("work") }
}

fn four_hundred_layers_are_mounted() {
    let fixture = Fixture::new();
    let mut spec = fixture.shell("ls / | grep -c file-");
    spec.root = many_layers(&fixture, 400);
    assert_eq!(run(&spec).text(), "400\n");
}

fn more_layers_than_one_overlay_takes_are_mounted() {
    let fixture = Fixture::new();
    let mut spec = fixture.shell("ls / | grep -c file-; cat /same; ls /hidden");
    let mut root = many_layers(&fixture, 600);
    // The lowest ones are mounted by themselves: what hides something must hide it there too.
    if let Root::Overlay { lowers, .. } = &mut root {
        for (layer, text) in [(0, "top"), (550, "middle"), (590, "bottom")] {
            fs::write(lowers[layer].join("same"), text).unwrap();
        }
        fs::create_dir(lowers[595].join("hidden")).unwrap();
        fs::write(lowers[595].join("hidden/file"), "").unwrap();
        let whiteout = rustix::fs::makedev(0, 0);
        fs::create_dir(lowers[100].join("hidden")).unwrap();
        let (kind, mode) = (rustix::fs::FileType::CharacterDevice, rustix::fs::Mode::empty());
        rustix::fs::mknodat(rustix::fs::CWD, lowers[100].join("hidden/file"), kind, mode, whiteout).unwrap();
    }
    spec.root = root;
    assert_eq!(run(&spec).text(), "600\ntop");
}

fn too_many_layers_are_refused() {
    let fixture = Fixture::new();
    let mut spec = fixture.spec(&["true"]);
    spec.root = many_layers(&fixture, 1000);
    let error = refused(&spec);
    assert!(describe(&error).contains("1001 layers"), "{}", describe(&error));
}

fn an_image_without_layers_fails_on_the_command_only() {
    for memory in [false, true] {
        let fixture = Fixture::new();
        let mut spec = fixture.spec(&["/nothing"]);
        spec.root = if memory {
            Root::OverlayScratch { lowers: Vec::new(), size: None }
        } else {
            Root::Overlay { lowers: Vec::new(), upper: fixture.upper(""), work: fixture.beside("work") }
        };
        assert!(matches!(refused(&spec), SandboxError::CommandNotFound { searched: false, .. }));
        assert_eq!(fixture.changes(), names(&[]));
    }
}

fn changes_in_memory_are_forgotten() {
    let fixture = Fixture::new();
    fs::set_permissions(fixture.layer(""), fs::Permissions::from_mode(0o711)).unwrap();
    let mut spec = fixture.shell("echo x > /new; cat /new; rm /bin/vi; stat -c %a /");
    spec.root = Root::OverlayScratch { lowers: vec![fixture.layer(""), base().to_owned()], size: None };
    assert_eq!(run(&spec).text(), "x\n711\n");
    assert_eq!(run(&fixture.shell("ls /")).lines(), ["bin", "dev", "proc", "sys"]);
}

fn the_size_of_changes_in_memory_is_limited() {
    let mut spec = Fixture::new().shell("dd if=/dev/zero of=/big bs=1M count=8 2>&1; stat -c %s /big");
    spec.root = Root::OverlayScratch { lowers: vec![base().to_owned()], size: Some(2 << 20) };
    let output = run(&spec).text();
    assert!(output.contains("No space left on device"), "{output}");
}

fn host_directories_and_files_can_be_mounted() {
    let fixture = Fixture::new();
    fs::create_dir(fixture.beside("host")).unwrap();
    fs::write(fixture.beside("file"), "of the host").unwrap();
    let mut spec = fixture.shell("echo new > /mnt/written; cat /etc/file; touch /ro/x; echo $?");
    spec.mounts = vec![
        bind("/mnt", fixture.beside("host"), false, false),
        bind("/etc/file", fixture.beside("file"), true, false),
        bind("/ro", fixture.beside("host"), true, false),
    ];
    let output = run(&spec);
    assert_eq!(output.stdout, "of the host1\n");
    assert!(output.stderr.contains("Read-only file system"));
    assert_eq!(fs::read_to_string(fixture.beside("host/written")).unwrap(), "new\n");
    assert_eq!(fixture.changes(), names(&[]));
}

fn a_read_only_bind_covers_what_is_mounted_below_it() {
    let fixture = Fixture::new();
    // /dev of the host has at least one more file system below it (pts).
    let mut spec = fixture.shell("touch /host/pts/x; touch /host/x; ls /host/pts | grep -c ptmx");
    spec.mounts = vec![bind("/host", "/dev", true, true)];
    let output = run(&spec);
    assert_eq!(output.stderr.matches("Read-only file system").count(), 2, "{}", output.stderr);
    assert_eq!(output.stdout, "1\n");
    let fixture = Fixture::new();
    let mut spec = fixture.shell("ls /host/pts | wc -l");
    spec.mounts = vec![bind("/host", "/dev", true, false)];
    assert_eq!(run(&spec).text(), "0\n");
}

fn targets_inside_mounts_are_made_there() {
    let fixture = Fixture::new();
    fs::create_dir(fixture.beside("host")).unwrap();
    let tmpfs =
        |target: &str| Mount { target: target.into(), kind: MountKind::Tmpfs { size: None, mode: 0o700 } };
    let mut spec = fixture.shell("stat -c '%a %n' /t/a/b /h/c /dev/own/d");
    spec.mounts = vec![
        tmpfs("/t"),
        tmpfs("/t/a/b"),
        bind("/h", fixture.beside("host"), false, true),
        tmpfs("/h/c"),
        tmpfs("/dev/own/d"),
    ];
    assert_eq!(run(&spec).text(), "700 /t/a/b\n700 /h/c\n700 /dev/own/d\n");
    assert_eq!(fixture.changes(), names(&[]));
    assert!(fixture.beside("host/c").is_dir());
}

fn a_memory_mount_has_the_mode_and_size_asked_for() {
    let fixture = Fixture::new();
    let mut spec = fixture.shell("stat -c %a /m; grep -o 'size=[0-9]*k' /proc/mounts | grep -c size=2048k; cp /bin/busybox /m/echo; /m/echo runs");
    spec.mounts =
        vec![Mount { target: "/m".into(), kind: MountKind::Tmpfs { size: Some(2 << 20), mode: 0o1777 } }];
    assert_eq!(run(&spec).text(), "1777\n1\nruns\n");
}

fn files_are_read_only_with_their_mode() {
    let fixture = Fixture::new();
    let mut spec =
        fixture.shell("/dev/pipes/script; stat -c '%a %u' /dev/pipes/script; echo x > /dev/pipes/script");
    let data = b"#!/bin/sh\necho from the script\n".to_vec();
    spec.mounts = vec![Mount {
        target: "/dev/pipes/script".into(),
        kind: MountKind::File { data, mode: 0o755, uid: 0, gid: 0 },
    }];
    let output = run(&spec);
    assert_eq!((output.exit, output.stdout.as_str()), (Exit::Code(1), "from the script\n755 0\n"));
    assert!(output.stderr.contains("Read-only file system"));
}

fn missing_directories_are_named() {
    let fixture = Fixture::new();
    let mut spec = fixture.spec(&["true"]);
    spec.root = Root::OverlayScratch { lowers: vec!["/no/such/layer".into()], size: None };
    assert_eq!(
        describe(&refused(&spec)),
        "cannot open the directory `/no/such/layer`: No such file or directory (os error 2)"
    );
}

fn a_missing_source_is_named() {
    let fixture = Fixture::new();
    let mut spec = fixture.spec(&["true"]);
    spec.mounts = vec![bind("/x", "/no/such/source", true, true)];
    let text = describe(&refused(&spec));
    assert!(text.contains("/no/such/source") && text.contains("No such file or directory"), "{text}");
}

fn removal_leaves_a_whiteout() {
    let fixture = Fixture::new();
    fs::create_dir(fixture.layer("dir")).unwrap();
    fs::write(fixture.layer("dir/file"), "x").unwrap();
    run(&fixture.shell("rm /dir/file; rm -r /dir; mkdir /dir")).text();
    assert_eq!(fixture.changes(), names(&["dir"]));
    let mut value = [0; 4];
    rustix::fs::getxattr(fixture.upper("dir"), "trusted.overlay.opaque", &mut value).unwrap();
    assert_eq!(value[0], b'y');
}

fn syncing_is_not_needed() {
    // A volatile overlay says so in its mount options; that is what keeps its end from writing all of the disk.
    let text = run(&Fixture::new().spec(&["cat", "/proc/mounts"])).text();
    let root = text.lines().next().unwrap();
    for option in ["volatile", "redirect_dir=nofollow", "metacopy=off", "index=off"] {
        assert!(root.contains(option) || option.ends_with("off"), "{root}");
        assert!(!root.contains("metacopy=on") && !root.contains("index=on"), "{root}");
    }
}

fn a_root_that_is_read_only_refuses_and_mounts_in_it_do_not() {
    let fixture = Fixture::new();
    fs::create_dir(fixture.beside("host")).unwrap();
    let mut spec =
        fixture.shell("touch /new 2>/dev/null && echo written; touch /made/here/x /memory/y; echo done");
    spec.read_only_root = true;
    spec.mounts = vec![
        bind("/made/here", fixture.beside("host"), false, false),
        Mount { target: "/memory".into(), kind: MountKind::Tmpfs { size: None, mode: 0o755 } },
    ];
    assert_eq!(run(&spec).text(), "done\n");
    assert!(fixture.beside("host/x").exists());
    assert_eq!(fixture.changes(), names(&[]));
}
