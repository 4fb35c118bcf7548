//! Programs of the machine, run in a cleared environment, with what they said kept for the message of a failed test.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

/// Where programs are looked for: Debian's directories, not the caller's PATH, which may put others in front.
pub const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// A command of the Debian package that brings `program`, with nothing in its environment but a PATH.
///
/// # Panics
/// If the program is not installed; the message says how to install it.
pub fn tool(program: &str) -> Command {
    let path = installed(program).unwrap_or_else(|| {
        panic!("`{program}` is not installed; run `make set-up`, or `apt-get install {}`", package(program))
    });
    tool_at(&path)
}

/// A command of the program at this path, with nothing in its environment but a PATH.
pub fn tool_at(path: &Path) -> Command {
    let mut command = Command::new(path);
    command.env_clear().env("PATH", PATH).stdin(Stdio::null());
    command
}

/// Where `program` is, if it is installed.
pub fn installed(program: &str) -> Option<PathBuf> {
    PATH.split(':').map(|dir| PathBuf::from(dir).join(program)).find(|path| path.is_file())
}

/// The Debian package that brings a program; most are named alike.
fn package(program: &str) -> &str {
    match program {
        "docker" | "dockerd" => "docker.io",
        "busybox" => "busybox-static",
        "xz" => "xz-utils",
        "ssh-keygen" | "ssh-agent" | "ssh-add" => "openssh-client",
        "sshd" => "openssh-server",
        "mkfs.ext4" => "e2fsprogs",
        "protoc" => "protobuf-compiler",
        "setpriv" | "losetup" | "mount" | "umount" => "util-linux mount",
        other => other,
    }
}

/// What became of a command.
pub struct Outcome {
    /// The command line, for messages.
    pub line: String,
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to its standard output.
    pub stdout: String,
    /// What it wrote to its standard error.
    pub stderr: String,
}

impl Outcome {
    /// Its exit code; -1 if a signal ended it.
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or(-1)
    }

    /// Its standard output, if it succeeded.
    #[track_caller]
    pub fn ok(self) -> String {
        assert!(self.status.success(), "a command failed\n{self}");
        self.stdout
    }

    /// Both outputs, if it failed the way a program is meant to: with an exit code, not by a signal or a panic.
    #[track_caller]
    pub fn fails(self) -> String {
        let all = format!("{}{}", self.stdout, self.stderr);
        assert!(self.status.code().is_some_and(|code| code != 0), "a command should have failed\n{self}");
        assert!(!all.contains("panicked at"), "a command panicked\n{self}");
        all
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "$ {}\n{}", self.line, self.status)?;
        writeln!(f, "--- stdout\n{}--- stderr\n{}", self.stdout, self.stderr)
    }
}

/// Runs a command to its end.
#[track_caller]
pub fn run(command: &mut Command) -> Outcome {
    let line = line(command);
    let output = command.output().unwrap_or_else(|error| panic!("cannot start `{line}`: {error}"));
    Outcome {
        line,
        status: output.status,
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Runs a tool that has to succeed; gives its standard output.
#[track_caller]
pub fn tool_ok(program: &str, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> String {
    run(tool(program).args(args)).ok()
}

/// The command line as a person would type it, near enough.
pub fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
