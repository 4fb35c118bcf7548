//! What people can do about a command that failed: what its exit code, its signal or the kernel's refusal usually means.
//!
//! Only what is true of nearly every case is said. Called by [`crate::error`].

use std::io::ErrorKind;

use kiln_sandbox::SandboxError;

use crate::error::StepError;
use crate::step::user::UserError;

/// What a shell answers when it cannot execute a program, and when it does not find one.
const NOT_EXECUTABLE: i32 = 126;
const NOT_FOUND: i32 = 127;

/// What a shell adds to the number of the signal that killed a program.
const SIGNALLED: i32 = 128;

/// The signal that nobody can handle; sent by the kernel when memory runs out.
const KILL: i32 = 9;

/// Said where a program was killed.
const KILLED: &str = "something killed it: where memory runs out, that is the kernel";

/// What can be done about it, if there is something to say.
pub(crate) fn of_step(cause: &StepError) -> Option<String> {
    match cause {
        StepError::Exited { code: NOT_EXECUTABLE } => Some(
            "126 says that a program was found and cannot be executed: is it a file with the permission, made for this \
             platform?"
                .to_owned(),
        ),
        StepError::Exited { code: NOT_FOUND } => Some(
            "127 says that a program was not found: check its name, or install it in an earlier step".to_owned(),
        ),
        StepError::Exited { code } if *code == SIGNALLED + KILL => Some(KILLED.to_owned()),
        StepError::Killed { signal: KILL } => Some(KILLED.to_owned()),
        StepError::Sandbox(SandboxError::CommandNotFound { command, .. }) => Some(format!(
            "the image has no `{command}`: install it in an earlier step or use its full path"
        )),
        StepError::Sandbox(SandboxError::CommandNotExecutable { command, source }) => not_executable(command, source),
        StepError::Sandbox(error @ SandboxError::Limit { .. }) => of_limit(error),
        StepError::User(error) | StepError::File(crate::FileError::User(error)) => of_user(error),
        _ => None,
    }
}

/// The same for a limit of a step or a container that the kernel refuses.
pub(crate) fn of_limit(error: &SandboxError) -> Option<String> {
    match error {
        SandboxError::Limit { source, .. } if source.kind() == ErrorKind::PermissionDenied => Some(
            "give a lower limit: above kiln's own hard limit, kiln has to have CAP_SYS_RESOURCE, and that of open files is \
             never above /proc/sys/fs/nr_open"
                .to_owned(),
        ),
        _ => None,
    }
}

fn of_user(error: &UserError) -> Option<String> {
    match error {
        UserError::Unknown { kind, .. } => {
            let program = if *kind == "group" { "addgroup" } else { "adduser" };
            Some(format!("make the {kind} in an earlier step (RUN {program} …), or write its number"))
        }
        _ => None,
    }
}

fn not_executable(command: &str, source: &std::io::Error) -> Option<String> {
    match source.kind() {
        ErrorKind::NotFound => Some(format!(
            "`{command}` is there: what is missing is the interpreter that its first line names (#!…), or its dynamic \
             loader"
        )),
        ErrorKind::PermissionDenied => Some(format!(
            "`{command}` is no file, or lacks the permission: RUN chmod +x, or COPY --chmod=755"
        )),
        // ENOEXEC has no kind of its own.
        _ if source.raw_os_error() == Some(rustix::io::Errno::NOEXEC.raw_os_error()) => Some(format!(
            "`{command}` is made for another platform, or is a script without a first line `#!/bin/sh`"
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hint(cause: &StepError) -> String {
        of_step(cause).unwrap_or_default()
    }

    #[test]
    fn exit_codes_that_mean_something_are_explained() {
        assert!(hint(&StepError::Exited { code: 127 }).contains("not found"));
        assert!(hint(&StepError::Exited { code: 126 }).contains("permission"));
        assert!(hint(&StepError::Exited { code: 137 }).contains("memory"));
        assert!(hint(&StepError::Killed { signal: 9 }).contains("memory"));
        for silent in [1, 2, 7, 143] {
            assert_eq!(hint(&StepError::Exited { code: silent }), "");
        }
    }

    #[test]
    fn a_command_that_the_kernel_refuses_says_why() {
        let refused = |errno: rustix::io::Errno| {
            hint(&StepError::Sandbox(SandboxError::CommandNotExecutable {
                command: "/s".to_owned(),
                source: errno.into(),
            }))
        };
        assert!(refused(rustix::io::Errno::NOENT).contains("interpreter"));
        assert!(refused(rustix::io::Errno::ACCESS).contains("chmod"));
        assert!(refused(rustix::io::Errno::NOEXEC).contains("another platform"));
        assert_eq!(refused(rustix::io::Errno::IO), "");
    }

    #[test]
    fn a_limit_that_is_too_high_says_what_is_high_enough() {
        let refused = |errno: rustix::io::Errno| {
            let limit = kiln_sandbox::Limit { name: "nofile".to_owned(), soft: None, hard: None };
            hint(&StepError::Sandbox(SandboxError::Limit { limit, source: errno.into() }))
        };
        assert!(refused(rustix::io::Errno::PERM).contains("nr_open"));
        assert_eq!(refused(rustix::io::Errno::INVAL), "");
    }

    #[test]
    fn an_unknown_user_can_be_made() {
        let unknown = |kind| UserError::Unknown { kind, name: "app".to_owned(), file: "/etc/passwd" };
        assert!(hint(&StepError::User(unknown("user"))).contains("adduser"));
        assert!(hint(&StepError::User(unknown("group"))).contains("addgroup"));
    }
}
