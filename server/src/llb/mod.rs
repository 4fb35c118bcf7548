//! Graphs that clients send themselves: decoded (`definition`), lowered into kiln's own graph (`lower`, one module for
//! each kind of operation), and solved (`solve`).
//!
//! What an operation asks for that is not done here is an error that names it, before anything is executed.

mod compose;
mod definition;
mod error;
mod exec;
mod file;
mod inputs;
mod lower;
mod materials;
mod nested;
mod origin;
mod solve;
mod source;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;

pub(crate) use definition::Definition;
#[cfg(feature = "fuzzing")]
pub(crate) use definition::digest;
pub(crate) use error::LlbError;
pub(crate) use inputs::{as_images, configured, definition_of};
pub(crate) use lower::{Layouts, Local, Lowered, lower, platform};
pub(crate) use solve::solve;

/// What may stand in such a graph.
pub(crate) const CAPABILITIES: &[&str] = &[
    "source.image",
    "source.image.resolvemode",
    "source.local",
    "source.local.unique",
    "source.local.sessionid",
    "source.local.includepatterns",
    "source.local.followpaths",
    "source.local.excludepatterns",
    "source.local.sharedkeyhint",
    "source.local.differ",
    "source.ocilayout",
    "source.git",
    "source.git.keepgitdir",
    "source.git.fullurl",
    "source.git.subdir",
    "source.git.checksum",
    "source.git.skipsubmodules",
    "source.git.mtime",
    "source.git.fetchbycommit",
    "source.git.httpauth",
    "source.git.knownsshhosts",
    "source.git.mountsshsock",
    "source.http",
    "source.http.checksum",
    "exec.meta.base",
    "exec.meta.network",
    "exec.meta.proxyenv",
    "exec.meta.security",
    "exec.meta.setsdefaultpath",
    "exec.meta.cdi",
    "exec.mount.bind",
    "exec.mount.bind.readwrite-nooutput",
    "exec.mount.cache",
    "exec.mount.cache.sharing",
    "exec.mount.selector",
    "exec.mount.tmpfs",
    "exec.mount.tmpfs.size",
    "exec.mount.secret",
    "exec.mount.ssh",
    "exec.mount.cache.content",
    "exec.secretenv",
    "exec.validexitcode",
    "file.base",
    "file.rm.wildcard",
    "file.rm.nofollowsymlink",
    "file.copy.includeexcludepatterns",
    "file.copy.alwaysreplaceexistingdestpaths",
    "file.copy.modestring",
    "file.symlink.create",
    "constraints",
    "platform",
    "meta.ignorecache",
    "meta.description",
    "mergeop",
    "diffop",
];
