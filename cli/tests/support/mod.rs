//! What the end-to-end tests and the benchmark stand on: the machine's tools, a registry of their own, the builders
//! that kiln is compared with, a hermetic environment for the kiln binary, and images read back as plain data.
//!
//! Used by the test binary `e2e` and the benchmark `peers`, each of which uses its part.

pub mod beacon;
pub mod bucket;
pub mod compare;
pub mod context;
pub mod counter;
pub mod daemon;
pub mod environment;
pub mod image;
pub mod leftovers;
pub mod peer;
pub mod progress;
pub mod registry;
pub mod tool;
pub mod zoo;
mod zoo_archives;

use std::path::{Path, PathBuf};

/// The checkout's root directory.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate is a member of a workspace").to_owned()
}

/// A fresh directory, on the file system that the build directory is on.
///
/// Not in the machine's temporary directory: that may be a tmpfs, which no overlay can use as a user's disk.
pub fn scratch_dir(prefix: &str) -> tempfile::TempDir {
    tempfile::Builder::new()
        .prefix(prefix)
        .tempdir_in(env!("CARGO_TARGET_TMPDIR"))
        .expect("the build directory is writable")
}
