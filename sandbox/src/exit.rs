//! How a sandboxed process ended. Made by the supervisor, handed to the caller by [`crate::Sandbox::wait`].

use std::fmt;

use serde::{Deserialize, Serialize};

/// How the process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exit {
    /// It returned this code (0 to 255).
    Code(i32),
    /// This signal killed it.
    Signal(i32),
}

impl Exit {
    /// True for code 0.
    pub fn success(self) -> bool {
        self == Exit::Code(0)
    }

    /// The code as shells and `docker run` report it: a signal counts as 128 plus its number.
    pub fn shell_code(self) -> i32 {
        match self {
            Exit::Code(code) => code,
            Exit::Signal(signal) => 128 + signal,
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Code(code) => write!(f, "exit code {code}"),
            Exit::Signal(signal) => write!(f, "killed by signal {signal}"),
        }
    }
}
