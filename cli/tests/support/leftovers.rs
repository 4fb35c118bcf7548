//! What a kiln that is gone has left on the machine: processes, mounts, namespaces.
//!
//! Whatever belongs to a test is recognised by its directory, which stands in the environment, the open files or the
//! mounts of every process that works for it, or by a word that the test puts into the environment of its steps.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// How long processes may take to notice that their kiln is gone.
const GONE_WITHIN: Duration = Duration::from_secs(20);

/// Waits until no process works for the test any more; what is left then is told, one line each.
pub fn processes(directory: &Path, word: &str) -> Vec<String> {
    let deadline = Instant::now() + GONE_WITHIN;
    loop {
        let found = working_for(directory, word);
        let left = deadline.saturating_duration_since(Instant::now());
        if found.is_empty() || left.is_zero() {
            return found.into_iter().map(|(_, line)| line).collect();
        }
        for (pid, _) in found {
            wait_for_end(pid, left);
        }
    }
}

/// The mounts that this process sees below a directory.
pub fn mounts(directory: &Path) -> Vec<String> {
    let table = fs::read("/proc/self/mountinfo").expect("/proc is mounted");
    lines_with(&table, directory.as_os_str().as_bytes())
}

fn wait_for_end(pid: Pid, within: Duration) {
    // A process that cannot be opened is gone already.
    if let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) {
        let timeout = Timespec { tv_sec: within.as_secs().cast_signed(), tv_nsec: 0 };
        poll(&mut [PollFd::new(&handle, PollFlags::IN)], Some(&timeout)).ok();
    }
}

fn working_for(directory: &Path, word: &str) -> Vec<(Pid, String)> {
    let own = rustix::process::getpid();
    let entries = fs::read_dir("/proc").expect("/proc is mounted").flatten();
    let pids = entries.filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?));
    pids.filter(|pid| *pid != own)
        .filter_map(|pid| {
            let why = reason(Path::new(&format!("/proc/{}", pid.as_raw_nonzero())), directory, word)?;
            Some((pid, format!("process {} ({why})", pid.as_raw_nonzero())))
        })
        .collect()
}

/// Why a process belongs to the test, if it does. Files of a process that ends meanwhile read as empty.
fn reason(process: &Path, directory: &Path, word: &str) -> Option<String> {
    let wanted = directory.as_os_str().as_bytes();
    let command = fs::read(process.join("cmdline")).unwrap_or_default();
    let shown = String::from_utf8_lossy(&command).replace('\0', " ");
    let mentions = |file: &str, what: &[u8]| {
        !lines_with(&fs::read(process.join(file)).unwrap_or_default(), what).is_empty()
    };
    if mentions("environ", wanted) || mentions("environ", word.as_bytes()) {
        return Some(format!("environment of `{shown}`"));
    }
    if mentions("mountinfo", wanted) {
        return Some(format!("mounts of `{shown}`"));
    }
    let open = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
    let mut targets = open.filter_map(|entry| fs::read_link(entry.path()).ok());
    targets
        .find(|target| target.starts_with(directory))
        .map(|target| format!("`{shown}` has {} open", target.display()))
}

fn lines_with(text: &[u8], what: &[u8]) -> Vec<String> {
    let lines = text.split(|byte| *byte == b'\n');
    let found = lines.filter(|line| line.windows(what.len()).any(|window| window == what));
    found.map(|line| String::from_utf8_lossy(line).into_owned()).collect()
}
