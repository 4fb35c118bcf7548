//! What the plan of a run says, without a kernel.

#![allow(clippy::unwrap_used)]

use super::*;

fn spec() -> RunSpec {
    RunSpec::new(Root::OverlayScratch { lowers: vec!["/base".into()], size: None }, vec!["true".into()])
}

fn plan(spec: &RunSpec) -> Vec<Step> {
    steps(spec, Stdio::Pipes, &Layout::None)
}

fn position(steps: &[Step], wanted: impl Fn(&Step) -> bool) -> usize {
    steps.iter().position(wanted).unwrap()
}

fn new_mounts(steps: &[Step]) -> Vec<&NewMount> {
    steps.iter().filter_map(|step| if let Step::Mount(mount) = step { Some(mount) } else { None }).collect()
}

#[test]
fn mounts_are_private_before_anything_is_mounted() {
    assert_eq!(plan(&spec())[0], Step::PrivateMounts);
}

#[test]
fn privileges_are_dropped_last_and_after_the_host_is_gone() {
    let steps = plan(&spec());
    let pivot = position(&steps, |step| *step == Step::Pivot);
    let last_mount = steps.iter().rposition(|step| matches!(step, Step::Mount(_) | Step::Mask(_))).unwrap();
    let enter = position(&steps, |step| matches!(step, Step::Enter { .. }));
    assert!(last_mount < pivot && pivot < enter);
    assert!(matches!(steps[enter + 1..], [Step::Credentials { .. }, Step::Execute { .. }]));
}

#[test]
fn limits_are_set_when_nothing_else_is_to_be_done() {
    let mut spec = spec();
    let limit = |name: &str| Limit { name: name.into(), soft: Some(1), hard: None };
    spec.limits = vec![limit("nofile"), limit("nofile"), limit("as")];
    let steps = plan(&spec);
    let enter = position(&steps, |step| matches!(step, Step::Enter { .. }));
    let [set @ .., Step::Credentials { .. }, Step::Execute { .. }] = &steps[enter + 1..] else {
        unreachable!()
    };
    assert_eq!(set, spec.limits.into_iter().map(Step::Raise).collect::<Vec<_>>());
}

#[test]
fn memory_to_share_has_the_size_that_is_asked_for_unless_something_else_is_there() {
    let shared = |spec: &RunSpec| {
        let steps = plan(spec);
        let mounts: Vec<NewMount> = new_mounts(&steps).into_iter().cloned().collect();
        mounts
            .into_iter()
            .filter(|mount| mount.target.trim_end_matches('/') == "/dev/shm")
            .collect::<Vec<_>>()
    };
    let size = |mount: &NewMount| mount.parameters.iter().find(|(key, _)| key == "size").unwrap().1.clone();
    let mut spec = spec();
    assert_eq!(shared(&spec).iter().map(size).collect::<Vec<_>>(), [Some("67108864".to_owned())]);
    spec.shared_memory = Some(4096);
    assert_eq!(shared(&spec).iter().map(size).collect::<Vec<_>>(), [Some("4096".to_owned())]);
    let kind = MountKind::Tmpfs { size: Some(8192), mode: 0o1777 };
    spec.mounts.push(Mount { target: "/dev/shm/".into(), kind });
    assert_eq!(shared(&spec).iter().map(size).collect::<Vec<_>>(), [Some("8192".to_owned())]);
}

#[test]
fn what_shows_the_host_is_masked_or_read_only_after_the_users_mounts() {
    let mut spec = spec();
    spec.mounts
        .push(Mount { target: "/proc/sys".into(), kind: MountKind::Tmpfs { size: None, mode: 0o755 } });
    let steps = plan(&spec);
    let user = steps.iter().rposition(|step| matches!(step, Step::Mount(_))).unwrap();
    for path in MASKED {
        assert!(user < position(&steps, |step| *step == Step::Mask(path)));
    }
    for path in READ_ONLY {
        assert!(user < position(&steps, |step| *step == Step::ReadOnly(path.to_owned())));
    }
}

#[test]
fn only_terminals_have_devices_and_nothing_has_programs() {
    let steps = plan(&spec());
    for mount in new_mounts(&steps) {
        assert_eq!(mount.devices, mount.target == "/dev/pts", "{}", mount.target);
        assert!(!mount.programs, "{}", mount.target);
        assert!(!mount.follow, "{}", mount.target);
        assert_eq!(mount.read_only, mount.target == "/sys", "{}", mount.target);
    }
}

#[test]
fn device_nodes_are_mounts_of_their_own_and_lie_in_nothing_that_has_devices() {
    let mut spec = spec();
    spec.mounts.push(Mount {
        target: "/in".into(),
        kind: MountKind::Bind { source: "/host".into(), read_only: false, recursive: true },
    });
    let steps = plan(&spec);
    assert!(steps.iter().any(|step| matches!(step, Step::Root { devices: false, .. })));
    assert!(
        steps.iter().any(|step| matches!(step, Step::Bind { view: View { devices: false, .. }, .. })),
        "not even what the user mounts"
    );
    assert_eq!(
        steps.iter().filter(|step| matches!(step, Step::Device(_))).count(),
        device::system(false).len()
    );
    assert!(!steps.iter().any(|step| matches!(step, Step::Node(_))));
}

#[test]
fn a_privileged_process_finds_the_machine_as_it_is() {
    let mut spec = spec();
    spec.privileged = true;
    let steps = steps(&spec, Stdio::Pipes, &Layout::parse("2:cpu,cpuacct:/\n0::/\n"));
    assert!(!steps.iter().any(|step| matches!(step, Step::Mask(_) | Step::ReadOnly(_))));
    assert!(new_mounts(&steps).iter().all(|mount| !mount.read_only));
    assert!(steps.iter().any(|step| matches!(step, Step::Root { devices: true, .. })));
    assert!(steps.iter().any(|step| matches!(step, Step::Credentials { privileged: true, .. })));
    let nodes = steps.iter().filter(|step| matches!(step, Step::Node(_))).count();
    assert_eq!(nodes, device::system(true).len());
    assert!(device::system(true).len() > device::system(false).len());
}

#[test]
fn loopback_is_brought_up_only_without_network() {
    let mut spec = spec();
    assert!(!plan(&spec).contains(&Step::Loopback));
    spec.network = Network::None;
    assert!(plan(&spec).contains(&Step::Loopback));
}

#[test]
fn every_mount_has_a_target_that_is_provided() {
    let mut spec = spec();
    spec.hosts = Some(Vec::new());
    spec.mounts = vec![
        Mount {
            target: "/in".into(),
            kind: MountKind::Bind { source: "/host".into(), read_only: true, recursive: false },
        },
        Mount {
            target: "/run/secret".into(),
            kind: MountKind::File { data: vec![1], mode: 0o400, uid: 0, gid: 0 },
        },
    ];
    let steps = plan(&spec);
    let Some(Step::Root { targets, .. }) = steps.iter().find(|step| matches!(step, Step::Root { .. })) else {
        unreachable!("the plan has no root")
    };
    let provided: Vec<(&str, &TargetKind)> =
        targets.iter().map(|target| (target.path.as_str(), &target.kind)).collect();
    assert_eq!(
        provided,
        [
            ("/proc", &TargetKind::Directory),
            ("/sys", &TargetKind::Directory),
            ("/dev", &TargetKind::Directory),
            ("/etc/hosts", &TargetKind::File),
            ("/in", &TargetKind::Like("/host".into())),
            ("/run/secret", &TargetKind::File),
        ]
    );
}

#[test]
fn control_groups_are_shown_as_the_machine_has_them() {
    let targets = |layout: &str| {
        let steps = steps(&spec(), Stdio::Pipes, &Layout::parse(layout));
        let shown = new_mounts(&steps).into_iter().filter(|mount| mount.target.starts_with("/sys/fs/cgroup"));
        shown.map(|mount| (mount.target.clone(), mount.filesystem, mount.read_only)).collect::<Vec<_>>()
    };
    assert_eq!(targets(""), []);
    assert_eq!(targets("0::/\n"), [("/sys/fs/cgroup".to_owned(), "cgroup2", true)]);
    assert_eq!(
        targets("2:cpu,cpuacct:/\n1:name=systemd:/\n0::/\n"),
        [
            ("/sys/fs/cgroup".to_owned(), "tmpfs", false),
            ("/sys/fs/cgroup/cpu,cpuacct".to_owned(), "cgroup", true),
            ("/sys/fs/cgroup/systemd".to_owned(), "cgroup", true),
            ("/sys/fs/cgroup/unified".to_owned(), "cgroup2", true),
        ]
    );
    let hybrid = steps(&spec(), Stdio::Pipes, &Layout::parse("2:cpu,cpuacct:/\n0::/\n"));
    assert!(hybrid.contains(&Step::ReadOnly("/sys/fs/cgroup".to_owned())));
    assert!(hybrid.contains(&Step::Link { path: "/sys/fs/cgroup/cpu".into(), target: "cpu,cpuacct".into() }));
}

#[test]
fn a_terminal_replaces_the_streams() {
    let mut spec = spec();
    spec.stdin = Stdin::Inherit;
    spec.uid = 7;
    let with = steps(&spec, Stdio::Terminal, &Layout::None);
    assert!(with.contains(&Step::Terminal { size: WindowSize::default(), owner: 7 }));
    assert!(!with.iter().any(|step| matches!(step, Step::Streams { .. })));
    assert!(steps(&spec, Stdio::Inherit, &Layout::None).contains(&Step::Streams {
        owner: 7,
        input: false,
        output: false
    }));
}
