//! Limits of what a process may use: the kernel's, by the names that people know.
//!
//! Part of a [`crate::RunSpec`], which is refused where a limit makes no sense; raised by `init` while it has the privilege, and set
//! as the last thing before it becomes the command. What it does not do: limits of several processes together, which control groups have.

use std::fmt;
use std::io;

use rustix::process::{Resource, Rlimit};
use serde::{Deserialize, Serialize};

use crate::error::Failure;

/// What can be limited. The names are the ends of the kernel's: `RLIMIT_NOFILE`.
const RESOURCES: [(&str, Resource); 16] = [
    ("as", Resource::As),
    ("core", Resource::Core),
    ("cpu", Resource::Cpu),
    ("data", Resource::Data),
    ("fsize", Resource::Fsize),
    ("locks", Resource::Locks),
    ("memlock", Resource::Memlock),
    ("msgqueue", Resource::Msgqueue),
    ("nice", Resource::Nice),
    ("nofile", Resource::Nofile),
    ("nproc", Resource::Nproc),
    ("rss", Resource::Rss),
    ("rtprio", Resource::Rtprio),
    ("rttime", Resource::Rttime),
    ("sigpending", Resource::Sigpending),
    ("stack", Resource::Stack),
];

/// A limit of a process, which what it starts has too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// What is limited: the end of the kernel's name, in small letters (`nofile`).
    pub name: String,
    /// What holds, in the kernel's units; `None` is unlimited.
    pub soft: Option<u64>,
    /// How far the process may raise that; `None` is unlimited.
    pub hard: Option<u64>,
}

impl Limit {
    /// What is wrong with it, if anything is.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        if self.resource().is_none() {
            return Some("there is no limit of that name");
        }
        // The last steps before a command need one, and so does nearly every command.
        if self.resource() == Some(Resource::Nofile) && self.soft == Some(0) {
            return Some("nothing can be started that may open no file");
        }
        let is_above = self.hard.is_some_and(|hard| self.soft.is_none_or(|soft| soft > hard));
        is_above.then_some("the soft limit is above the hard one")
    }

    /// Allows this process as much, if that is more than it may use: without the privilege to do so, it is refused.
    pub(crate) fn raise(&self) -> Result<(), Failure> {
        let Some(resource) = self.resource() else {
            return Err(self.refused(io::ErrorKind::InvalidInput.into()));
        };
        let Rlimit { current, maximum } = rustix::process::getrlimit(resource);
        if maximum.is_some_and(|maximum| self.hard.is_none_or(|hard| hard > maximum)) {
            let raised = rustix::process::setrlimit(resource, Rlimit { current, maximum: self.hard });
            return raised.map_err(|errno| self.refused(errno.into()));
        }
        Ok(())
    }

    /// Sets it for this process.
    pub(crate) fn set(&self) -> Result<(), Failure> {
        let Some(resource) = self.resource() else {
            return Err(self.refused(io::ErrorKind::InvalidInput.into()));
        };
        let set = rustix::process::setrlimit(resource, Rlimit { current: self.soft, maximum: self.hard });
        set.map_err(|errno| self.refused(errno.into()))
    }

    fn refused(&self, error: io::Error) -> Failure {
        match error.raw_os_error() {
            Some(errno) => Failure::Limit { limit: self.clone(), errno },
            None => Failure::step(format!("set the limit {self}"), error),
        }
    }

    fn resource(&self) -> Option<Resource> {
        RESOURCES.iter().find(|(name, _)| *name == self.name).map(|(_, resource)| *resource)
    }
}

impl fmt::Display for Limit {
    /// `nofile=1024:2048`; -1 is unlimited.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |value: Option<u64>| value.map_or_else(|| "-1".to_owned(), |value| value.to_string());
        write!(f, "{}={}:{}", self.name, text(self.soft), text(self.hard))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn senseless_limits_are_told_from_others() {
        let problem = |name: &str, soft, hard| Limit { name: name.into(), soft, hard }.problem();
        assert_eq!(problem("nofile", Some(1), Some(1)), None);
        assert_eq!(problem("nofile", Some(1), None), None);
        assert_eq!(problem("core", None, None), None);
        assert_eq!(problem("nofile", Some(0), Some(1)), Some("nothing can be started that may open no file"));
        assert_eq!(problem("nofile", Some(2), Some(1)), Some("the soft limit is above the hard one"));
        assert_eq!(problem("nofile", None, Some(1)), Some("the soft limit is above the hard one"));
        assert_eq!(problem("files", Some(1), Some(1)), Some("there is no limit of that name"));
    }
}
