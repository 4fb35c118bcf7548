//! What can keep a command from starting or its end from being known. A command that ran and failed is no error:
//! that is an [`crate::Exit`].
//!
//! [`Failure`] is the form in which init and the supervisor report over the socket; it becomes a
//! [`SandboxError`] in the caller.

use std::io;

use serde::{Deserialize, Serialize};

use crate::Limit;

/// Why there is no [`crate::Exit`].
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The specification makes no sense.
    #[error("invalid sandbox specification: {field}: {problem}")]
    InvalidSpec {
        /// Which part.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The specification cannot be sent (a path of the host that is not UTF-8).
    #[error("the sandbox specification cannot be encoded")]
    Encode {
        /// The reason.
        #[source]
        source: serde_json::Error,
    },
    /// The supervisor process cannot be started.
    #[error("cannot {action}")]
    Start {
        /// What was tried.
        action: &'static str,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// Preparing the sandbox failed before the command ran.
    #[error("cannot {step}")]
    Step {
        /// What was tried, with its subject: `mount proc on /proc`.
        step: String,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// There is no such command.
    #[error("executable file `{command}` not found{}", if *.searched { " in PATH" } else { "" })]
    CommandNotFound {
        /// As it was given.
        command: String,
        /// Whether it was searched in `PATH` (it has no `/`).
        searched: bool,
    },
    /// The command exists but the system refuses to execute it.
    #[error("cannot execute `{command}`")]
    CommandNotExecutable {
        /// As it was given.
        command: String,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// The working directory cannot be entered.
    #[error("cannot change to the working directory `{path}`")]
    WorkingDirectory {
        /// As it was given.
        path: String,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// The kernel refuses a limit of the process.
    #[error("cannot set the limit {limit}")]
    Limit {
        /// Which.
        limit: Limit,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// The supervisor vanished without a report. What ran in the sandbox is gone too.
    #[error("the sandbox's supervisor ended without a report ({status})")]
    Lost {
        /// How it ended, as far as is known.
        status: String,
    },
    /// Talking to the supervisor or to the process failed.
    #[error("cannot {action}")]
    Channel {
        /// What was tried.
        action: &'static str,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
}

impl SandboxError {
    /// The exit code that `docker run` has for this: 127 for a command (or a script's interpreter) that is not there,
    /// 126 for one that cannot be executed or a working directory that cannot be entered, 125 for everything else.
    pub fn exit_code(&self) -> i32 {
        match self {
            SandboxError::CommandNotFound { .. } => 127,
            SandboxError::CommandNotExecutable { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                127
            }
            SandboxError::CommandNotExecutable { .. } | SandboxError::WorkingDirectory { .. } => 126,
            _ => 125,
        }
    }
}

/// A [`SandboxError`] on its way to the caller: the same without things that cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Failure {
    Step { step: String, errno: Option<i32>, message: String },
    NotFound { command: String, searched: bool },
    NotExecutable { command: String, errno: i32 },
    WorkingDirectory { path: String, errno: i32 },
    Limit { limit: Limit, errno: i32 },
}

impl Failure {
    pub(crate) fn step(step: impl Into<String>, source: impl Into<io::Error>) -> Failure {
        let source = source.into();
        Failure::Step { step: step.into(), errno: source.raw_os_error(), message: source.to_string() }
    }
}

impl From<Failure> for SandboxError {
    fn from(failure: Failure) -> SandboxError {
        match failure {
            Failure::Step { step, errno, message } => SandboxError::Step {
                step,
                source: errno.map_or_else(|| io::Error::other(message), io::Error::from_raw_os_error),
            },
            Failure::NotFound { command, searched } => SandboxError::CommandNotFound { command, searched },
            Failure::NotExecutable { command, errno } => {
                SandboxError::CommandNotExecutable { command, source: io::Error::from_raw_os_error(errno) }
            }
            Failure::WorkingDirectory { path, errno } => {
                SandboxError::WorkingDirectory { path, source: io::Error::from_raw_os_error(errno) }
            }
            Failure::Limit { limit, errno } => {
                SandboxError::Limit { limit, source: io::Error::from_raw_os_error(errno) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_keep_their_subject_and_cause() {
        let failure = Failure::step("mount proc on /proc", io::Error::from_raw_os_error(1));
        let error = SandboxError::from(failure);
        assert_eq!(error.to_string(), "cannot mount proc on /proc");
        assert!(matches!(&error, SandboxError::Step { source, .. } if source.raw_os_error() == Some(1)));
        assert_eq!(error.exit_code(), 125);
    }

    #[test]
    fn a_missing_command_reads_like_dockers() {
        let searched = SandboxError::from(Failure::NotFound { command: "foo".into(), searched: true });
        assert_eq!(searched.to_string(), "executable file `foo` not found in PATH");
        assert_eq!(searched.exit_code(), 127);
        let path = SandboxError::from(Failure::NotFound { command: "/foo".into(), searched: false });
        assert_eq!(path.to_string(), "executable file `/foo` not found");
        let refused = SandboxError::from(Failure::NotExecutable { command: "/etc".into(), errno: 13 });
        assert_eq!(refused.exit_code(), 126);
    }
}
