//! A server started for the tests, known to be ready, and gone when its handle is dropped or the tests die.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use super::tool;

/// How long a server may take until it is ready, on a machine that is busy with other tests.
const READY_WITHIN: Duration = Duration::from_mins(1);

/// A running server.
pub struct Daemon {
    pid: u32,
    /// Dropped to ask the keeper for the end.
    stop: Option<Sender<()>>,
    keeper: Option<JoinHandle<()>>,
}

impl Daemon {
    /// Starts `command` and waits for the line of its standard error in which `ready` finds what it looks for; gives that too.
    ///
    /// # Panics
    /// If the server ends or is not ready in time; the message has its log.
    pub fn start<T: Send + 'static>(
        command: &Command,
        ready: impl Fn(&str) -> Option<T> + Send + 'static,
    ) -> (Daemon, T) {
        let mut wrapped = dying_with_its_parent(command);
        let (stop, stopped) = channel();
        let (started, pid) = channel();
        // The parent that the server dies with is the thread that started it, so one thread does that and stays.
        let keeper = std::thread::spawn(move || {
            let mut child = wrapped.spawn().expect("setpriv starts");
            let stderr = child.stderr.take().expect("standard error is a pipe");
            started.send((child.id(), stderr)).expect("the starter waits");
            wait_for_stop(&stopped);
            end(&mut child);
        });
        let (pid, stderr) = pid.recv().expect("the keeper starts the server");
        let daemon = Daemon { pid, stop: Some(stop), keeper: Some(keeper) };
        let found = first_match(BufReader::new(stderr), ready, &tool::line(command));
        (daemon, found)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(keeper) = self.keeper.take() {
            keeper.join().ok();
        }
    }
}

fn wait_for_stop(stopped: &Receiver<()>) {
    // Nothing is ever sent: the error of the hung-up channel is the message.
    stopped.recv().unwrap_err();
}

/// The same command, ended by the kernel when the thread that starts it ends.
fn dying_with_its_parent(command: &Command) -> Command {
    let mut wrapped = tool::tool("setpriv");
    wrapped.args(["--pdeathsig", "TERM", "--"]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        wrapped.env(name, value.unwrap_or(OsStr::new("")));
    }
    wrapped.stdout(Stdio::null()).stderr(Stdio::piped());
    wrapped
}

/// Reads lines until one matches, and goes on reading for as long as the server writes, so that it never blocks.
fn first_match<T: Send + 'static>(
    lines: impl BufRead + Send + 'static,
    ready: impl Fn(&str) -> Option<T> + Send + 'static,
    name: &str,
) -> T {
    let (found, result) = channel();
    std::thread::spawn(move || {
        let mut log = String::new();
        for line in lines.lines().map_while(Result::ok) {
            if let Some(value) = ready(&line) {
                found.send(Ok(value)).ok();
                log.clear();
            }
            if log.len() < 100_000 {
                log.push_str(&line);
                log.push('\n');
            }
        }
        found.send(Err(log)).ok();
    });
    match result.recv_timeout(READY_WITHIN) {
        Ok(Ok(value)) => value,
        Ok(Err(log)) => panic!("`{name}` ended before it was ready:\n{log}"),
        Err(error) => panic!("`{name}` was not ready within {READY_WITHIN:?}: {error}"),
    }
}

fn end(child: &mut Child) {
    let pid = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid {
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).ok();
    }
    child.wait().ok();
}
