//! One command measured: how long it took, and how much memory its processes had at most.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::tool::{line, tool};

/// What a command cost.
#[derive(Debug, Clone, Copy)]
pub struct Measured {
    /// From its start until it was gone.
    pub wall: Duration,
    /// Most memory that one of its processes had, in bytes.
    pub memory: u64,
    /// Most memory that the daemons had that worked for it, in bytes.
    pub daemons: u64,
}

impl Measured {
    /// The part of one of so many equal pieces of work.
    pub fn divided(self, pieces: usize) -> Measured {
        let pieces = u32::try_from(pieces).expect("not that many");
        Measured { wall: self.wall / pieces, ..self }
    }
}

/// Runs a command that must succeed. `daemons` are the processes that work for it.
pub fn measure(command: &Command, daemons: &[u32]) -> Measured {
    let report = tempfile::NamedTempFile::new_in(env!("CARGO_TARGET_TMPDIR"))
        .expect("the build directory is writable");
    let said = tempfile::NamedTempFile::new_in(env!("CARGO_TARGET_TMPDIR"))
        .expect("the build directory is writable");
    // The kernel tells a process's peak only to its parent; GNU time is a small one that passes it on.
    let mut wrapped = tool("time");
    wrapped.args(["-v", "-o"]).arg(report.path()).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs().filter_map(|(name, value)| Some((name, value?))) {
        wrapped.env(name, value);
    }
    if let Some(directory) = command.get_current_dir() {
        wrapped.current_dir(directory);
    }
    let output = said.as_file();
    wrapped.stdout(Stdio::from(output.try_clone().unwrap())).stderr(Stdio::from(output.try_clone().unwrap()));
    for pid in daemons {
        forget_peak(*pid);
    }

    let begin = Instant::now();
    let status = wrapped.status().expect("time starts");
    let wall = begin.elapsed();

    assert!(
        status.success(),
        "`{}` failed:\n{}",
        line(command),
        fs::read_to_string(said.path()).unwrap_or_default()
    );
    let daemons = daemons.iter().map(|pid| peak(*pid)).sum();
    Measured { wall, memory: maximum(&fs::read_to_string(report.path()).unwrap()), daemons }
}

/// The peak of the most demanding process, from the report of `time -v`.
fn maximum(report: &str) -> u64 {
    let line =
        report.lines().find_map(|line| line.trim().strip_prefix("Maximum resident set size (kbytes):"));
    line.and_then(|number| number.trim().parse::<u64>().ok()).expect("time -v tells the maximum") * 1024
}

/// Lets a process's peak begin anew with what it uses now.
fn forget_peak(pid: u32) {
    fs::write(format!("/proc/{pid}/clear_refs"), "5").expect("the daemon runs");
}

/// A process's peak.
fn peak(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the daemon runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a process has a peak");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number of kilobytes") * 1024
}

/// The processes that a process has started and that still run, with itself.
pub fn family(pid: u32) -> Vec<u32> {
    let mut all = vec![pid];
    for entry in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
        let text = fs::read_to_string(entry.path().join("children")).unwrap_or_default();
        all.extend(text.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
    }
    all
}
