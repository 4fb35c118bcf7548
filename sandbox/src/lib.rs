//! Runs one process isolated from the host: a [`RunSpec`] in, an [`Exit`] out.
//!
//! Three processes take part. The caller (kiln, any number of threads) re-executes its own binary as a
//! single-threaded **supervisor**; the supervisor clones **init**, process 1 of new namespaces, which turns
//! the specification into a list of steps (`plan`), performs them and becomes the user's command. One
//! socket ties the caller to the supervisor, a parent-death signal ties the supervisor to init, and process 1
//! takes every other process of its namespace with it: whoever dies first, nothing stays behind.
//!
//! All mounts are made inside init's private mount namespace, so the host sees none of them, and every path
//! inside the root is resolved beneath an open directory descriptor.
//!
//! The program that uses this crate calls [`run_child_if_asked`] first thing in `main`. What to run, as whom, on
//! which layers, and what becomes of the result, is the caller's business; so are user names (`/etc/passwd`),
//! default environment and pulling output from the pipes.

mod capabilities;
mod cgroup;
mod device;
mod error;
mod exit;
mod init;
mod limit;
mod plan;
mod reexec;
mod seccomp;
mod spawn;
mod spec;
mod supervisor;
mod sys;
mod wire;

pub use device::{Device, DeviceKind};
pub use error::SandboxError;
pub use exit::Exit;
pub use limit::Limit;
pub use spawn::{Sandbox, Signaller, resize, spawn};
pub use spec::{
    ChangesDirectory, Mount, MountKind, MountTree, Network, Root, RunSpec, Stdin, Stdio, WindowSize,
};
pub use supervisor::run_child_if_asked;
