//! The caller's side: starts a supervisor, hands it the specification, and holds what comes back.
//!
//! Safe to call from any thread of a multi-threaded process: nothing is forked here that would go on running
//! this process's code. All calls block; an asynchronous caller uses a blocking thread.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio as Inherited};
use std::sync::Arc;

use rustix::process::Signal;
use rustix::termios::Winsize;

use crate::supervisor::PROCESS_NAME;
use crate::wire::{self, Reply, Request};
use crate::{Exit, RunSpec, SandboxError, Stdin, Stdio, WindowSize, reexec};

/// Starts the command and returns as soon as it runs; an error means that it never did and that nothing is left.
pub fn spawn(spec: &RunSpec, stdio: Stdio) -> Result<Sandbox, SandboxError> {
    spec.check()?;
    let request = wire::encode(&Request { spec: spec.clone(), stdio })
        .map_err(|source| SandboxError::Encode { source })?;
    let input = Input::open(spec.stdin, stdio)?;
    let (control, theirs) = UnixStream::pair().map_err(start("make a socket for the sandbox"))?;
    let mut supervisor = start_supervisor(theirs, stdio)?;

    let mut channels = Channels {
        stdin: input.writer,
        stdout: supervisor.stdout.take().map(OwnedFd::from),
        stderr: supervisor.stderr.take().map(OwnedFd::from),
        terminal: None,
    };
    let reader: Vec<BorrowedFd<'_>> = input.reader.iter().map(AsFd::as_fd).collect();
    let sent = wire::send(&control, &request, &reader);
    drop(input.reader);
    let mut supervisor = Supervisor { control, child: supervisor };
    if let Err(source) = sent {
        supervisor.end();
        return Err(SandboxError::Channel { action: "send the specification to the sandbox", source });
    }
    match supervisor.receive()? {
        (Reply::Started, descriptors) => {
            let mut descriptors = descriptors.into_iter();
            let Some(pidfd) = descriptors.next() else { return Err(supervisor.lost()) };
            channels.terminal = descriptors.next();
            Ok(Sandbox { supervisor, signaller: Signaller { pidfd: Arc::new(pidfd) }, channels, exit: None })
        }
        (Reply::Failed(failure), _) => {
            supervisor.end();
            Err(failure.into())
        }
        (Reply::Exited(_), _) => Err(supervisor.lost()),
    }
}

fn start(action: &'static str) -> impl Fn(io::Error) -> SandboxError {
    move |source| SandboxError::Start { action, source }
}

/// The two ends of what the process reads.
struct Input {
    reader: Option<OwnedFd>,
    writer: Option<OwnedFd>,
}

impl Input {
    fn open(stdin: Stdin, stdio: Stdio) -> Result<Input, SandboxError> {
        match stdin {
            _ if stdio == Stdio::Terminal => Ok(Input { reader: None, writer: None }),
            Stdin::Null => Ok(Input { reader: None, writer: None }),
            Stdin::Inherit => {
                let own =
                    io::stdin().as_fd().try_clone_to_owned().map_err(start("pass on standard input"))?;
                Ok(Input { reader: Some(own), writer: None })
            }
            Stdin::Pipe => {
                let (reader, writer) = io::pipe().map_err(start("make a pipe for standard input"))?;
                Ok(Input { reader: Some(reader.into()), writer: Some(writer.into()) })
            }
        }
    }
}

fn start_supervisor(control: UnixStream, stdio: Stdio) -> Result<Child, SandboxError> {
    let output = || match stdio {
        Stdio::Pipes => Inherited::piped(),
        Stdio::Inherit => Inherited::inherit(),
        Stdio::Terminal => Inherited::null(),
    };
    let program = reexec::program().map_err(start("open kiln's own program file"))?;
    // A process group of its own keeps the keys of the caller's terminal away from it: the caller decides what
    // Ctrl-C means. The command's copy of the socket is dropped with it, so that each side sees the other's end.
    Command::new(program)
        .arg0(PROCESS_NAME)
        .env_clear()
        .stdin(OwnedFd::from(control))
        .stdout(output())
        .stderr(output())
        .process_group(0)
        .spawn()
        .map_err(start("start the sandbox's supervisor"))
}

/// The supervisor process as the caller sees it.
#[derive(Debug)]
struct Supervisor {
    control: UnixStream,
    child: Child,
}

impl Supervisor {
    fn receive(&mut self) -> Result<(Reply, Vec<OwnedFd>), SandboxError> {
        match wire::receive(&self.control) {
            Ok(Some(message)) => Ok(message),
            Ok(None) => Err(self.lost()),
            Err(source) => {
                self.end();
                Err(SandboxError::Channel { action: "read the sandbox's report", source })
            }
        }
    }

    /// Closes the conversation, at which the supervisor kills what still runs, and waits until it is gone.
    fn end(&mut self) -> String {
        // Both can only fail if there is nothing left to end: a socket without a peer, a child already waited for.
        let _ = self.control.shutdown(std::net::Shutdown::Both);
        self.child.wait().map_or_else(|error| error.to_string(), |status| status.to_string())
    }

    fn lost(&mut self) -> SandboxError {
        SandboxError::Lost { status: self.end() }
    }
}

#[derive(Debug)]
struct Channels {
    stdin: Option<OwnedFd>,
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
    terminal: Option<OwnedFd>,
}

/// A running command. Dropping it kills the command and everything it started.
#[derive(Debug)]
pub struct Sandbox {
    supervisor: Supervisor,
    signaller: Signaller,
    channels: Channels,
    exit: Option<Exit>,
}

impl Sandbox {
    /// The writing end of the command's input, with [`Stdin::Pipe`]; once.
    pub fn take_stdin(&mut self) -> Option<OwnedFd> {
        self.channels.stdin.take()
    }

    /// The reading end of the command's output, with [`Stdio::Pipes`]; once.
    pub fn take_stdout(&mut self) -> Option<OwnedFd> {
        self.channels.stdout.take()
    }

    /// The reading end of the command's error output, with [`Stdio::Pipes`]; once.
    pub fn take_stderr(&mut self) -> Option<OwnedFd> {
        self.channels.stderr.take()
    }

    /// The master side of the command's terminal, with [`Stdio::Terminal`]; once. Reading it fails with `EIO` when
    /// the last process that has the terminal open is gone: that is its end of file.
    pub fn take_terminal(&mut self) -> Option<OwnedFd> {
        self.channels.terminal.take()
    }

    /// A pidfd of the command: readable when it has ended.
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.signaller.pidfd.as_fd()
    }

    /// Something to send signals with while another thread is in [`Sandbox::wait`].
    pub fn signaller(&self) -> Signaller {
        self.signaller.clone()
    }

    /// See [`Signaller::signal`].
    pub fn signal(&self, signal: i32) -> Result<(), SandboxError> {
        self.signaller.signal(signal)
    }

    /// See [`Signaller::kill`].
    pub fn kill(&self) -> Result<(), SandboxError> {
        self.signaller.kill()
    }

    /// Waits until the command has ended and all other processes of the sandbox with it. Output that nobody read
    /// keeps the command from ending: read the pipes beside. A second call returns the same.
    pub fn wait(&mut self) -> Result<Exit, SandboxError> {
        if let Some(exit) = self.exit {
            return Ok(exit);
        }
        self.channels.stdin = None;
        let outcome = match self.supervisor.receive() {
            Ok((Reply::Exited(exit), _)) => {
                self.supervisor.end();
                self.exit = Some(exit);
                return Ok(exit);
            }
            Ok((Reply::Started | Reply::Failed(_), _)) => self.supervisor.lost(),
            Err(error) => error,
        };
        self.kill()?;
        Err(outcome)
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if self.exit.is_none() {
            self.supervisor.end();
            // Init dies with the supervisor, unless the command is a setuid program, which withdraws that. It can only
            // fail for a process that is gone.
            let _ = self.kill();
        }
    }
}

/// Sends signals to a sandboxed command, from any thread, also after its end (which is no error).
#[derive(Debug, Clone)]
pub struct Signaller {
    pidfd: Arc<OwnedFd>,
}

impl Signaller {
    /// Sends a signal to the command. It is process 1 of its namespace: a signal that it has no handler for does
    /// nothing, except SIGKILL and SIGSTOP.
    pub fn signal(&self, signal: i32) -> Result<(), SandboxError> {
        let failed = |source| SandboxError::Channel { action: "send a signal to the sandbox", source };
        let signal =
            Signal::from_named_raw(signal).ok_or_else(|| failed(io::ErrorKind::InvalidInput.into()))?;
        match rustix::process::pidfd_send_signal(&self.pidfd, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(errno) => Err(failed(errno.into())),
        }
    }

    /// Kills the command and, with it, every process of the sandbox.
    pub fn kill(&self) -> Result<(), SandboxError> {
        self.signal(Signal::KILL.as_raw())
    }
}

/// Changes the size of a terminal that [`Sandbox::take_terminal`] returned; the foreground process gets SIGWINCH.
pub fn resize(terminal: BorrowedFd<'_>, size: WindowSize) -> Result<(), SandboxError> {
    rustix::termios::tcsetwinsize(terminal, winsize(size)).map_err(|errno| SandboxError::Channel {
        action: "resize the sandbox's terminal",
        source: errno.into(),
    })
}

/// The kernel's form of a size.
pub(crate) fn winsize(size: WindowSize) -> Winsize {
    Winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 }
}
