//! The file system that every builder's state is on: an ext4 with a journal, in a file, mounted for the benchmark.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::support::peer::unmount_below;
use crate::support::tool::{run, tool};
use crate::support::workspace;

/// Room for three builders' stores, twice what they need.
const SIZE: &str = "24G";

/// The mounted file system; unmounted and removed when dropped.
pub struct Disk {
    image: PathBuf,
    mount: PathBuf,
}

impl Disk {
    /// Makes and mounts it. What an interrupted benchmark has left is removed first.
    pub fn mount() -> Disk {
        let directory = workspace().join("target/bench");
        let disk = Disk { image: directory.join("disk.img"), mount: directory.join("disk") };
        disk.remove();
        fs::create_dir_all(&disk.mount).expect("the build directory is writable");
        // All blocks are there from the beginning: nobody pays for the growth of the file.
        run(tool("fallocate").args(["--length", SIZE]).arg(&disk.image)).ok();
        // Tables are written now, not by a kernel thread during the measurements.
        let mut mkfs = tool("mkfs.ext4");
        mkfs.args([
            "-q",
            "-F",
            "-O",
            "has_journal",
            "-E",
            "lazy_itable_init=0,lazy_journal_init=0,nodiscard",
        ]);
        run(mkfs.arg(&disk.image)).ok();
        run(tool("mount").args(["-o", "loop"]).arg(&disk.image).arg(&disk.mount)).ok();
        disk
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.mount
    }

    /// Writes out what is not on the disk yet, so that it does not count in the next measurement.
    pub fn settle(&self) {
        let directory = File::open(&self.mount).expect("it is mounted");
        rustix::fs::syncfs(&directory).expect("it is mounted");
    }

    fn remove(&self) {
        unmount_below(&self.mount);
        fs::remove_file(&self.image).ok();
        fs::remove_dir(&self.mount).ok();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.remove();
    }
}
