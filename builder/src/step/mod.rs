//! Executing steps: commands in the sandbox, file changes without one.

pub(crate) mod exec;
pub(crate) mod file;
pub(crate) mod user;
