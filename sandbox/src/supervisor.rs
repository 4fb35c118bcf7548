//! The process between caller and sandbox: starts init in its namespaces, passes on its reports, and kills it when the
//! caller is gone.
//!
//! It runs in kiln's own binary, re-executed by [`crate::spawn()`], with one thread. Standard input is the socket to
//! the caller; the other two standard streams are the command's. What happens inside the sandbox is [`crate::init`]'s.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::exit;
use std::{env, io};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{PidfdFlags, Signal, WaitId, WaitIdOptions, WaitIdStatus};

use crate::error::Failure;
use crate::init::{self, Assignment};
use crate::sys::{self, Cloned};
use crate::wire::{self, Reply, Report, Request};
use crate::{Exit, Network};

/// The name (`argv[0]`) under which the binary knows that it is the supervisor.
pub(crate) const PROCESS_NAME: &str = "kiln-sandbox";

/// To be called first in `main`, before threads are started: in a process that [`crate::spawn()`] started it does the
/// sandbox's work and does not return; in any other it does nothing.
pub fn run_child_if_asked() {
    if env::args_os().next().is_none_or(|name| name != PROCESS_NAME) {
        return;
    }
    // Started by hand under this name, it has no socket as standard input and fails here.
    let outcome = take_control().and_then(|control| supervise(&control));
    exit(if outcome.is_ok() { 0 } else { 125 });
}

/// Moves the socket off standard input, where a child would inherit it.
fn take_control() -> io::Result<UnixStream> {
    let control = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?;
    rustix::stdio::dup2_stdin(null_device()?)?;
    Ok(UnixStream::from(control))
}

fn null_device() -> io::Result<OwnedFd> {
    Ok(rustix::fs::openat(CWD, "/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?)
}

fn supervise(control: &UnixStream) -> io::Result<()> {
    let Some((request, mut descriptors)) = wire::receive::<Request>(control)? else { return Ok(()) };
    let reply = match start_init(request, descriptors.pop()) {
        Ok(started) => return attend(control, &started),
        Err(failure) => Reply::Failed(failure),
    };
    wire::tell(control, &reply, &[])
}

/// A running init.
struct Started {
    pidfd: OwnedFd,
    reports: UnixStream,
}

fn start_init(request: Request, stdin: Option<OwnedFd>) -> Result<Started, Failure> {
    let prepare = |error: io::Error| Failure::step("prepare the start of a process", error);
    let (reports, theirs) = UnixStream::pair().map_err(prepare)?;
    let own = rustix::process::pidfd_open(rustix::process::getpid(), PidfdFlags::empty());
    let supervisor = own.map_err(|errno| prepare(errno.into()))?;
    let namespaces = to_namespaces(request.spec.network);
    match sys::clone_process(namespaces)
        .map_err(|error| Failure::step("start a process in new namespaces", error))?
    {
        Cloned::Child => {
            drop(reports);
            init::run(Assignment {
                spec: request.spec,
                stdio: request.stdio,
                stdin,
                supervisor,
                reports: theirs,
            })
        }
        Cloned::Parent(pidfd) => {
            // The command's output ends when the command does, not when the supervisor does.
            let null = null_device().map_err(prepare)?;
            rustix::stdio::dup2_stdout(&null)
                .and_then(|()| rustix::stdio::dup2_stderr(&null))
                .map_err(|errno| prepare(errno.into()))?;
            Ok(Started { pidfd, reports })
        }
    }
}

fn to_namespaces(network: Network) -> i32 {
    let network = match network {
        Network::Host => 0,
        Network::None => libc::CLONE_NEWNET,
    };
    libc::CLONE_NEWNS
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWCGROUP
        | network
}

/// What the supervisor knows of the start.
enum Phase {
    /// Init is at work.
    Preparing,
    /// Init said that it is about to execute the command.
    Executing(Vec<OwnedFd>),
    /// Init said that it failed, and will exit.
    Failed(Failure),
    /// The caller knows that the command runs.
    Running,
}

/// Follows init to its end. Returns when nothing of the sandbox is left.
fn attend(control: &UnixStream, init: &Started) -> io::Result<()> {
    let mut phase = Phase::Preparing;
    loop {
        let watched = match phase {
            Phase::Running => init.pidfd.as_fd(),
            _ => init.reports.as_fd(),
        };
        if wait_for_either(control.as_fd(), watched)? {
            return end(&init.pidfd).map(drop);
        }
        if matches!(phase, Phase::Running) {
            let exit = to_exit(wait(&init.pidfd)?);
            return wire::tell(control, &Reply::Exited(exit), &[]);
        }
        phase = match (wire::receive::<Report>(&init.reports)?, phase) {
            (Some((Report::Ready, descriptors)), _) => Phase::Executing(descriptors),
            (Some((Report::Failed(failure), _)), _) => Phase::Failed(failure),
            (None, Phase::Executing(descriptors)) => {
                let mut sent: Vec<BorrowedFd<'_>> = vec![init.pidfd.as_fd()];
                sent.extend(descriptors.iter().map(AsFd::as_fd));
                wire::tell(control, &Reply::Started, &sent)?;
                Phase::Running
            }
            (None, Phase::Failed(failure)) => {
                wait(&init.pidfd)?;
                return wire::tell(control, &Reply::Failed(failure), &[]);
            }
            (None, Phase::Preparing | Phase::Running) => {
                let ended = to_exit(end(&init.pidfd)?);
                let failure =
                    Failure::step("prepare the sandbox", io::Error::other(format!("init ended: {ended}")));
                return wire::tell(control, &Reply::Failed(failure), &[]);
            }
        };
    }
}

/// Waits until either is readable; true if the caller hung up. The caller never writes after its request, so anything
/// that happens on its socket means that.
fn wait_for_either(control: BorrowedFd<'_>, watched: BorrowedFd<'_>) -> io::Result<bool> {
    let mut polled =
        [PollFd::from_borrowed_fd(control, PollFlags::IN), PollFd::from_borrowed_fd(watched, PollFlags::IN)];
    rustix::io::retry_on_intr(|| poll(&mut polled, None))?;
    Ok(!polled[0].revents().is_empty())
}

/// Kills init, with it every process of its namespace, and waits until they are gone.
fn end(pidfd: &OwnedFd) -> io::Result<WaitIdStatus> {
    match rustix::process::pidfd_send_signal(pidfd, Signal::KILL) {
        Ok(()) | Err(Errno::SRCH) => wait(pidfd),
        Err(errno) => Err(errno.into()),
    }
}

fn wait(pidfd: &OwnedFd) -> io::Result<WaitIdStatus> {
    let status = rustix::io::retry_on_intr(|| {
        rustix::process::waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED)
    })?;
    status.ok_or_else(|| io::Error::other("the end of a process was reported without a status"))
}

fn to_exit(status: WaitIdStatus) -> Exit {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, signal) => Exit::Signal(signal.unwrap_or(0)),
    }
}
