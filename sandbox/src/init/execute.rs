//! Finds the command and becomes it, as the user and inside the root.
//!
//! Used by [`super::perform`] as the last step.

use std::ffi::{CStr, CString, NulError};
use std::io;

use super::Never;
use crate::error::Failure;
use crate::spec::DEFAULT_PATH;
use crate::sys;

/// A command with everything that it takes to become it.
pub(super) struct Command {
    name: String,
    arguments: Vec<CString>,
    environment: Vec<CString>,
    /// Where it may be.
    candidates: Vec<CString>,
    /// Whether its name says nothing of that.
    searched: bool,
}

impl Command {
    /// The command of these arguments: as it is if it has a `/`, else the first of that name in the directories of `PATH` that
    /// can be executed. Entries of `PATH` that are not absolute are skipped, as Docker does.
    pub(super) fn new(args: &[String], env: &[(String, String)]) -> Result<Self, Failure> {
        let name = args.first().cloned().unwrap_or_default();
        let (arguments, environment) =
            to_c_strings(args, env).map_err(|error| Failure::step(format!("execute `{name}`"), error))?;
        let searched = !name.contains('/');
        let candidates = if searched { candidates(&name, env) } else { vec![name.clone()] };
        let candidates = candidates.into_iter().filter_map(|path| CString::new(path).ok()).collect();
        Ok(Self { name, arguments, environment, candidates, searched })
    }

    /// Becomes it. Takes memory for the pointers to its words only.
    pub(super) fn execute(self) -> Never {
        let mut refused = None;
        for path in &self.candidates {
            let error = sys::execute(path, &self.arguments, &self.environment);
            let errno = error.raw_os_error().unwrap_or(libc::ENOENT);
            // A script whose interpreter is missing exists, and saying that it does not would mislead.
            let absent = [libc::ENOENT, libc::ENOTDIR].contains(&errno) && !exists(path);
            match errno {
                _ if absent => {}
                libc::EACCES if self.searched => refused = refused.or(Some(errno)),
                _ => return Err(Failure::NotExecutable { command: self.name, errno }),
            }
        }
        Err(match refused {
            Some(errno) => Failure::NotExecutable { command: self.name, errno },
            None => Failure::NotFound { command: self.name, searched: self.searched },
        })
    }
}

fn exists(path: &CStr) -> bool {
    rustix::fs::stat(path).is_ok()
}

fn candidates(command: &str, env: &[(String, String)]) -> Vec<String> {
    // Of names that occur twice most C libraries see the first.
    let path = env.iter().find(|(name, _)| name == "PATH").map_or(DEFAULT_PATH, |(_, value)| value);
    path.split(':')
        .filter(|directory| directory.starts_with('/'))
        .map(|directory| format!("{}/{command}", directory.trim_end_matches('/')))
        .collect()
}

fn to_c_strings(args: &[String], env: &[(String, String)]) -> io::Result<(Vec<CString>, Vec<CString>)> {
    let arguments: Result<Vec<_>, NulError> = args.iter().map(|arg| CString::new(arg.as_str())).collect();
    let environment: Result<Vec<_>, NulError> =
        env.iter().map(|(name, value)| CString::new(format!("{name}={value}"))).collect();
    Ok((arguments?, environment?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_path(path: &str) -> Vec<String> {
        candidates("cc", &[("HOME".into(), "/root".into()), ("PATH".into(), path.into())])
    }

    #[test]
    fn the_path_is_searched_in_order_and_only_where_it_is_absolute() {
        assert_eq!(with_path("/usr/bin:/bin/"), ["/usr/bin/cc", "/bin/cc"]);
        assert_eq!(with_path("::.:bin:/bin"), ["/bin/cc"]);
        assert_eq!(with_path("/"), ["/cc"]);
        assert!(with_path("").is_empty());
    }

    #[test]
    fn without_a_path_the_usual_directories_are_searched() {
        let found = candidates("cc", &[]);
        assert_eq!(found.first().map(String::as_str), Some("/usr/local/sbin/cc"));
        assert_eq!(found.len(), 6);
    }
}
