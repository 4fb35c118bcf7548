//! Devices that are described in a directory of the test's.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use kiln_graph::op::{Device as Asked, Exec, Network, Op, Security};
use kiln_graph::{Display, Entitlements, Graph, Vertex};
use kiln_sandbox::{DeviceKind, MountKind};
use tempfile::TempDir;

use super::*;
use crate::entitlement;
use crate::error::BuildError;
use crate::step::user::Ids;

/// The example of BuildKit's documentation, with more in it.
const YAML: &str = r#"
cdiVersion: "0.6.0"
kind: "vendor1.com/device"
annotations:
  org.mobyproject.buildkit.device.autoallow: true
containerEdits:
  env: [COMMON=1]
devices:
- name: bar
  annotations:
    org.mobyproject.buildkit.device.class: class1
  containerEdits:
    env: [BAR=injected]
- name: foo
  containerEdits:
    env:
    - FOO=injected
    - COMMON=2
    deviceNodes:
    - path: /dev/own-zero
      hostPath: /dev/zero
    - {path: /dev/described, type: c, major: 10, minor: 99, fileMode: 0600, uid: 7, gid: 8, permissions: rw}
    mounts:
    - {hostPath: /etc, containerPath: /host, options: [ro, nosuid, nodev, rbind, rprivate]}
    additionalGids: [0, 44]
- name: secret
  annotations:
    org.mobyproject.buildkit.device.autoallow: "false"
    org.mobyproject.buildkit.device.class: class1
"#;

fn json(kind: &str, device: &str, edits: &str) -> String {
    format!(
        r#"{{"cdiVersion": "1.1.0", "kind": "{kind}", "devices": [{{"name": "{device}", "containerEdits": {edits}}}]}}"#
    )
}

fn described(files: &[(&str, &str)]) -> (TempDir, Devices) {
    let directory = TempDir::new().unwrap();
    for (name, text) in files {
        fs::write(directory.path().join(name), text).unwrap();
    }
    let devices = Devices::read(&[directory.path().to_owned(), directory.path().join("missing")]);
    (directory, devices)
}

fn asked(name: &str, required: bool) -> Asked {
    Asked { name: name.into(), required }
}

fn edits(devices: &Devices, names: &[&str]) -> Result<Edits, String> {
    let asked: Vec<Asked> = names.iter().map(|name| asked(name, true)).collect();
    devices.edits(&asked, Ids { uid: 5, gid: 6 }, &|_| ()).map_err(|error| crate::text::chain(&error))
}

#[test]
fn names_stand_for_devices_as_in_buildkit() {
    let (_directory, devices) = described(&[("a.yaml", YAML)]);
    let named = |name: &str| devices.named(name).join(" ");
    assert_eq!(named("vendor1.com/device=foo"), "vendor1.com/device=foo");
    assert_eq!(named("vendor1.com/device"), "vendor1.com/device=bar", "the first");
    assert_eq!(
        named("vendor1.com/device=*"),
        "vendor1.com/device=bar vendor1.com/device=foo vendor1.com/device=secret"
    );
    assert_eq!(named("class1"), "vendor1.com/device=bar vendor1.com/device=secret");
    for nothing in ["vendor1.com/device=fo", "vendor1.com/devic", "foo", "class2", "vendor1.com/devic=*", ""]
    {
        assert_eq!(named(nothing), "", "{nothing}");
    }
}

#[test]
fn a_command_gets_all_of_a_device_once() {
    let (_directory, devices) = described(&[("a.yaml", YAML)]);
    let given = edits(&devices, &["vendor1.com/device=foo", "class1", "vendor1.com/device=foo"]).unwrap();
    let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        given.env,
        [variable("FOO", "injected"), variable("COMMON", "2"), variable("BAR", "injected")],
        "a device says more than its file"
    );
    let [zero, described] = given.nodes.as_slice() else { unreachable!("{given:?}") };
    assert_eq!(
        (zero.path.as_str(), zero.kind),
        ("/dev/own-zero", DeviceKind::Character { major: 1, minor: 5 })
    );
    assert_eq!((zero.mode, zero.uid, zero.gid), (0o666, 5, 6), "of the command's user");
    assert_eq!(described.kind, DeviceKind::Character { major: 10, minor: 99 });
    assert_eq!((described.mode, described.uid, described.gid), (0o600, 7, 8));
    let kind = MountKind::Plain { source: "/etc".into(), read_only: true, programs: true };
    assert_eq!(given.mounts, [kiln_sandbox::Mount { target: "/host".into(), kind }]);
    assert_eq!(given.groups, [44]);
}

#[test]
fn a_missing_device_is_an_error_or_a_remark() {
    let (directory, devices) = described(&[("a.yaml", YAML), ("broken.json", "{"), ("other.txt", "x")]);
    let error = devices.edits(&[asked("gpu", true)], Ids::default(), &|_| ()).unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with(&format!("there is no device `gpu` in {}", directory.path().display())),
        "{text}"
    );
    assert!(text.contains("/missing (not read: ") && text.contains("/broken.json: EOF"), "{text}");
    assert!(error.hint().unwrap().contains("there are vendor1.com/device=bar, "));

    let said = std::cell::RefCell::new(Vec::new());
    let given = devices.edits(&[asked("gpu", false)], Ids::default(), &|text| said.borrow_mut().push(text));
    assert_eq!(given.unwrap(), Edits::default());
    assert!(said.borrow()[0].ends_with("the command runs without it"), "{said:?}");
    let nothing = Devices::read(&[]).unknown("gpu").hint().unwrap();
    assert!(nothing.contains("vendor"), "{nothing}");
}

#[test]
fn what_cannot_be_done_is_refused_by_name() {
    for (edits_text, expected) in [
        (
            r#"{"hooks": [{"hookName": "createContainer", "path": "/bin/ldconfig", "args": ["x"]}]}"#,
            "the createContainer hook /bin/ldconfig",
        ),
        (r#"{"netDevices": [{"hostInterfaceName": "eth1", "name": "eth0"}]}"#, "a network interface"),
        (r#"{"intelRdt": {"closID": "x"}}"#, "intelRdt"),
        (r#"{"env": ["NOVALUE"]}"#, "the variable `NOVALUE`"),
        (r#"{"mounts": [{"hostPath": "/etc", "containerPath": "/x", "options": ["rshared"]}]}"#, "`rshared`"),
        (
            r#"{"mounts": [{"hostPath": "none", "containerPath": "/x", "type": "tmpfs"}]}"#,
            "a tmpfs file system",
        ),
        (r#"{"mounts": [{"hostPath": "/no/such", "containerPath": "/x"}]}"#, "cannot find /no/such"),
        (r#"{"mounts": [{"hostPath": "etc", "containerPath": "/x"}]}"#, "cannot find etc"),
        (r#"{"deviceNodes": [{"path": "/dev/no-such"}]}"#, "cannot find /dev/no-such"),
        (r#"{"deviceNodes": [{"path": "/dev/x", "hostPath": "/etc/passwd"}]}"#, "no device node"),
        (r#"{"deviceNodes": [{"path": "/dev/zero", "type": "b"}]}"#, "no device node of that type"),
        (r#"{"deviceNodes": [{"path": "/dev/zero", "type": "x"}]}"#, "the type `x`"),
        (r#"{"deviceNodes": [{"path": "/dev/zero", "permissions": "none"}]}"#, "the permissions `none`"),
    ] {
        let (_directory, devices) = described(&[("d.json", &json("v.org/c", "d", edits_text))]);
        let refused = edits(&devices, &["v.org/c=d"]).unwrap_err();
        assert!(refused.contains(expected) && refused.contains("v.org/c=d"), "{edits_text}: {refused}");
    }
}

#[test]
fn files_that_are_not_understood_give_no_device() {
    let long = format!("{{\"x\": \"{}\"}}", "y".repeat(5 << 20));
    for (name, text, problem) in [
        ("a.json", "[]", "invalid length"),
        ("a.json", r#"{"cdiVersion": "1.0.0", "kind": "v.org/c"}"#, "missing field `devices`"),
        ("a.json", &json("v.org/c", "d", r#"{"unheardOf": 1}"#), "unknown field `unheardOf`"),
        ("a.json", &json("v.org", "d", "{}"), "not of the form vendor.com/class"),
        ("a.json", &json("v.org/c/d", "d", "{}"), "not of the form vendor.com/class"),
        ("a.json", &json("v.org/c", "d=e", "{}"), "no name of a device"),
        ("a.json", &json("v.org/c", "d", "{}").replace("1.1.0", "2.0.0"), "version 2.0.0"),
        ("a.yml", "kind: [", "a.yml"),
        ("a.json", &long, "larger than"),
    ] {
        let (_directory, devices) = described(&[(name, text)]);
        assert!(devices.known.is_empty());
        assert_eq!(devices.problems.len(), 1, "{problem}");
        assert!(devices.problems[0].contains(problem), "{problem}: {}", devices.problems[0]);
    }
    let directory = TempDir::new().unwrap();
    let fifo = directory.path().join("fifo.json");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &fifo,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    let devices = Devices::read(&[directory.path().to_owned()]);
    assert!(devices.problems[0].contains("not a regular file"), "{:?}", devices.problems);
}

#[test]
fn later_directories_win_and_equals_cancel_each_other() {
    let (low, high) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let write = |directory: &TempDir, name: &str, value: &str| {
        let text = json("v.org/c", "d", &format!(r#"{{"env": ["FROM={value}"]}}"#));
        fs::write(directory.path().join(name), text).unwrap();
    };
    write(&low, "a.json", "low");
    write(&high, "a.json", "high");
    let directories = [low.path().to_owned(), high.path().to_owned()];
    let given = edits(&Devices::read(&directories), &["v.org/c=d"]).unwrap();
    assert_eq!(given.env[0].1, "high");
    write(&high, "b.json", "other");
    let refused = edits(&Devices::read(&directories), &["v.org/c=d"]).unwrap_err();
    assert!(refused.contains("is described in"), "{refused}");
}

fn graph(device: &str) -> Graph {
    let exec = Exec {
        args: vec!["true".into()],
        env: Vec::new(),
        proxies: Vec::new(),
        platform: "linux/amd64".into(),
        cwd: "/".into(),
        user: String::new(),
        mounts: Vec::new(),
        network: Network::None,
        security: Security::Sandbox,
        devices: vec![asked(device, true)],
        hostname: None,
        rules: kiln_graph::op::ExecRules::default(),
    };
    vertex(exec)
}

fn vertex(exec: Exec) -> Graph {
    let display = Display { name: "[1/1] RUN true".into(), ..Display::default() };
    let mut graph = Graph::default();
    graph.add(Vertex { op: Op::Exec(exec), inputs: Vec::new(), no_cache: false, display }).unwrap();
    graph
}

#[test]
fn a_device_needs_a_grant_unless_it_is_everybodys() {
    let (_directory, devices) = described(&[("a.yaml", YAML)]);
    let check = |device: &str, grants: &[&str]| {
        let mut granted = Entitlements::default();
        for grant in grants {
            granted.grant(grant).unwrap();
        }
        match entitlement::check(&graph(device), &granted, &devices) {
            Ok(()) => String::new(),
            Err(error @ BuildError::Step { .. }) => error.hint().unwrap_or_default(),
            Err(other) => unreachable!("{other}"),
        }
    };
    let needed = "grant it with `--allow device=vendor1.com/device=secret`";
    assert_eq!(check("vendor1.com/device=foo", &[]), "");
    assert_eq!(check("vendor1.com/device=secret", &[]), needed);
    assert_eq!(check("vendor1.com/device=*", &[]), needed);
    assert_eq!(check("class1", &["device=vendor1.com/device=foo"]), needed);
    for enough in
        ["device", "device=vendor1.com/device=secret", "device=class1", "device=vendor1.com/device=*"]
    {
        assert_eq!(check("class1", &[enough]), "", "{enough}");
    }
    assert_eq!(check("nowhere.org/x=y", &[]), "", "what is not there cannot be used");
}

/// CVE-2024-23653: a graph asks, whoever made it.
#[test]
fn privileges_in_a_graph_need_a_grant() {
    let template = graph("x");
    let Op::Exec(exec) = &template.iter().next().unwrap().1.op else { unreachable!("it was made so") };
    let plain = Exec { devices: Vec::new(), ..exec.clone() };
    let insecure = vertex(Exec { security: Security::Insecure, ..plain.clone() });
    let host = vertex(Exec { network: Network::Host, ..plain });
    let none = Entitlements { network_host: false, ..Entitlements::default() };
    let nothing = Devices::default();
    for (graph, needed) in [(&insecure, "security.insecure"), (&host, "network.host")] {
        let error = entitlement::check(graph, &none, &nothing).unwrap_err();
        assert!(error.to_string().contains(needed), "{error}");
        let mut granted = none.clone();
        granted.grant(needed).unwrap();
        entitlement::check(graph, &granted, &nothing).unwrap();
    }
}

#[test]
fn nothing_is_read_for_a_graph_without_devices() {
    let (directory, _) = described(&[("a.yaml", YAML)]);
    let directories = [directory.path().to_owned()];
    assert!(Devices::for_graph(&Graph::default(), &directories).known.is_empty());
    assert_eq!(Devices::for_graph(&graph("x"), &directories).known.len(), 3);
    assert_eq!(Devices::read(&[Path::new("/dev/null").to_owned()]).problems.len(), 1);
}
