//! Process 1 of a sandbox, from the moment it exists to the moment it becomes the user's command.
//!
//! Cloned by [`crate::supervisor`]; reports to it. The list of what to do comes from [`crate::plan`], the single
//! steps are in the modules below; [`perform`] joins the two.

mod beneath;
mod credentials;
mod devices;
mod execute;
mod mounts;
mod overlay;
mod parts;
mod perform;
mod rootfs;
mod streams;
mod stubs;

use std::convert::Infallible;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::exit;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::Mode;
use rustix::process::Signal;

use crate::cgroup::Layout;
use crate::error::Failure;
use crate::wire::{self, Report};
use crate::{RunSpec, Stdio, plan, sys};

/// What init is to do and what it was given for it.
pub(crate) struct Assignment {
    pub(crate) spec: RunSpec,
    pub(crate) stdio: Stdio,
    /// What the command reads; `None` is nothing, or the terminal.
    pub(crate) stdin: Option<OwnedFd>,
    /// A pidfd of the supervisor.
    pub(crate) supervisor: OwnedFd,
    /// Where to report.
    pub(crate) reports: UnixStream,
}

/// Does it. Returns neither on success, being the command then, nor on failure.
pub(crate) fn run(assignment: Assignment) -> ! {
    let Assignment { spec, stdio, stdin, supervisor, reports } = assignment;
    let outcome = prepare(&supervisor).and_then(|cgroups| {
        let steps = plan::steps(&spec, stdio, &cgroups);
        perform::Init::new(stdin, supervisor, &reports).perform_all(&steps)
    });
    let Err(failure) = outcome;
    // If even this fails the supervisor is gone, and with it whoever could want to know.
    let _ = wire::tell(&reports, &Report::Failed(failure), &[]);
    exit(125)
}

fn prepare(supervisor: &OwnedFd) -> Result<Layout, Failure> {
    let prepare = |error: io::Error| Failure::step("prepare the first process of the sandbox", error);
    die_with(supervisor).map_err(prepare)?;
    // Modes are given in full by every step; the command gets its own mask when it is executed.
    rustix::process::umask(Mode::empty());
    rustix::process::setsid().map_err(|errno| prepare(errno.into()))?;
    sys::reset_signals().map_err(prepare)?;
    match std::fs::read_to_string("/proc/self/cgroup") {
        Ok(text) => Ok(Layout::parse(&text)),
        // A kernel without control groups has no such file.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Layout::None),
        Err(error) => Err(Failure::step("read /proc/self/cgroup", error)),
    }
}

/// Asks to be killed when the supervisor ends, and makes sure that it has not ended before. Has to be repeated after
/// credentials change: that withdraws the request.
fn die_with(supervisor: &OwnedFd) -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    let mut polled = [PollFd::new(supervisor, PollFlags::IN)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    match rustix::io::retry_on_intr(|| poll(&mut polled, Some(&now)))? {
        0 => Ok(()),
        _ => Err(io::Error::other("the supervisor is gone")),
    }
}

/// The result of something that only returns if it fails.
type Never = Result<Infallible, Failure>;
