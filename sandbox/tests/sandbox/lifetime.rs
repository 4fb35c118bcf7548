//! Whoever is killed, nothing stays behind.

use std::fs;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, ChildStdout, Stdio as Inherited};
use std::time::{Duration, Instant};

use kiln_sandbox::{SandboxError, Stdio, spawn};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::fixture::{Fixture, base, read_line};
use crate::{helper, program, tests};

tests!("lifetime":
    killing_the_caller_kills_everything, killing_the_caller_at_any_moment_leaves_nothing,
    killing_the_supervisor_kills_everything, killing_the_supervisor_kills_setuid_programs_too, dropping_the_sandbox_kills_everything,
);

const LIMIT: Duration = Duration::from_secs(20);

/// Waits until a process has ended.
fn wait_for_end(pidfd: &OwnedFd) {
    let limit = Timespec::try_from(LIMIT).unwrap();
    let mut polled = [PollFd::new(pidfd, PollFlags::IN)];
    assert_eq!(poll(&mut polled, Some(&limit)).unwrap(), 1, "a process is still there");
}

fn open_process(pid: i32) -> OwnedFd {
    pidfd_open(Pid::from_raw(pid).unwrap(), PidfdFlags::empty()).unwrap()
}

fn parent_of(pid: i32) -> i32 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    status.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap().trim().parse().unwrap()
}

fn children_of(pid: i32) -> Vec<i32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    children.split_whitespace().map(|child| child.parse().unwrap()).collect()
}

/// Every mount of this machine that mentions the fixture, in any mount namespace.
fn mounts_of(fixture: &Fixture) -> Vec<String> {
    let mark = fixture.beside("").to_str().unwrap().trim_end_matches('/').to_owned();
    let processes =
        fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().into_string().ok());
    processes
        .filter_map(|process| fs::read_to_string(format!("/proc/{process}/mountinfo")).ok())
        .filter(|mounts| mounts.contains(&mark))
        .collect()
}

fn start_helper(fixture: &Fixture, script: &str) -> (Child, ChildStdout) {
    let (lower, upper, work) = (base(), fixture.upper(""), fixture.beside("work"));
    let arguments = [lower.to_str().unwrap(), upper.to_str().unwrap(), work.to_str().unwrap(), script];
    let mut helper = helper::command("run", &arguments).stdout(Inherited::piped()).spawn().unwrap();
    let stdout = helper.stdout.take().unwrap();
    (helper, stdout)
}

fn killing_the_caller_kills_everything() {
    let fixture = Fixture::new();
    let (mut caller, mut stdout) = start_helper(&fixture, "sleep 1000 & echo running; sleep 1000");
    let mut lines = [read_line(&mut stdout), read_line(&mut stdout), read_line(&mut stdout)];
    lines.sort();
    assert_eq!(lines[0], "running\n");
    let init: i32 = lines[1].trim().strip_prefix("started ").unwrap().parse().unwrap();
    let mut processes = vec![init, parent_of(init)];
    processes.extend(children_of(init));
    assert!(processes.len() >= 3);
    let processes: Vec<OwnedFd> = processes.into_iter().map(open_process).collect();

    caller.kill().unwrap();
    caller.wait().unwrap();
    processes.iter().for_each(wait_for_end);
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert_eq!(mounts_of(&fixture), Vec::<String>::new());
}

fn killing_the_caller_at_any_moment_leaves_nothing() {
    for round in 0..40 {
        let fixture = Fixture::new();
        let (mut caller, mut stdout) = start_helper(&fixture, "sleep 1000");
        assert_eq!(read_line(&mut stdout), "starting\n");
        // From before the supervisor is there to after the command runs.
        let moment = Instant::now() + Duration::from_micros(round * 500);
        while Instant::now() < moment {
            std::hint::spin_loop();
        }
        let descendants: Vec<OwnedFd> = descendants_of(caller.id().cast_signed());
        caller.kill().unwrap();
        caller.wait().unwrap();
        descendants.iter().for_each(wait_for_end);
        // Ends when the last process that could write to it is gone.
        let mut rest = String::new();
        stdout.read_to_string(&mut rest).unwrap();
        wait_for_orphans();
        assert_eq!(mounts_of(&fixture), Vec::<String>::new());
    }
}

fn descendants_of(pid: i32) -> Vec<OwnedFd> {
    let children = children_of(pid);
    let open = |pid: &i32| pidfd_open(Pid::from_raw(*pid).unwrap(), PidfdFlags::empty()).ok();
    let mut found: Vec<OwnedFd> = children.iter().filter_map(open).collect();
    found.extend(children.into_iter().flat_map(descendants_of));
    found
}

/// Waits for the end of every supervisor whose caller is gone.
fn wait_for_orphans() {
    for entry in fs::read_dir("/proc").unwrap() {
        let Ok(pid) = entry.unwrap().file_name().to_str().unwrap().parse::<i32>() else { continue };
        let name = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        if name == "kiln-sandbox\0"
            && status.contains("PPid:\t1\n")
            && let Ok(process) = pidfd_open(Pid::from_raw(pid).unwrap(), PidfdFlags::empty())
        {
            wait_for_end(&process);
        }
    }
}

fn killing_the_supervisor_kills_everything() {
    // As root and as another user: changing credentials withdraws the request to die with the parent.
    for uid in [0, 1000] {
        let fixture = Fixture::new();
        let mut spec = fixture.shell("sleep 1000 & echo running; sleep 1000");
        spec.uid = uid;
        let mut sandbox = spawn(&spec, Stdio::Pipes).unwrap();
        let mut stdout = fs::File::from(sandbox.take_stdout().unwrap());
        assert_eq!(read_line(&mut stdout), "running\n");
        let init = sandbox.pidfd().try_clone_to_owned().unwrap();
        let supervisor = open_process(parent_of(pid_of(&init)));
        pidfd_send_signal(&supervisor, Signal::KILL).unwrap();
        wait_for_end(&init);
        assert!(matches!(sandbox.wait(), Err(SandboxError::Lost { .. })));
        let mut rest = String::new();
        stdout.read_to_string(&mut rest).unwrap();
    }
}

/// Executing such a program withdraws the request to die with the parent, so the caller has to see to it.
fn killing_the_supervisor_kills_setuid_programs_too() {
    let fixture = Fixture::new();
    program::write(&fixture.layer("pause"), 34, 0);
    fs::set_permissions(fixture.layer("pause"), fs::Permissions::from_mode(0o4755)).unwrap();
    let mut spec = fixture.spec(&["/pause"]);
    spec.uid = 1000;
    let mut sandbox = spawn(&spec, Stdio::Pipes).unwrap();
    let init = sandbox.pidfd().try_clone_to_owned().unwrap();
    let supervisor = open_process(parent_of(pid_of(&init)));
    pidfd_send_signal(&supervisor, Signal::KILL).unwrap();
    assert!(matches!(sandbox.wait(), Err(SandboxError::Lost { .. })));
    wait_for_end(&init);
}

fn pid_of(pidfd: &OwnedFd) -> i32 {
    use std::os::fd::AsRawFd;
    let text = fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd())).unwrap();
    text.lines().find_map(|line| line.strip_prefix("Pid:")).unwrap().trim().parse().unwrap()
}

fn dropping_the_sandbox_kills_everything() {
    let fixture = Fixture::new();
    let sandbox = spawn(&fixture.shell("sleep 1000 & sleep 1000"), Stdio::Pipes).unwrap();
    let init = sandbox.pidfd().try_clone_to_owned().unwrap();
    drop(sandbox);
    // Gone already, not only about to be.
    let mut polled = [PollFd::new(&init, PollFlags::IN)];
    assert_eq!(poll(&mut polled, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).unwrap(), 1);
    assert_eq!(mounts_of(&fixture), Vec::<String>::new());
}
