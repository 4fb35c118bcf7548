//! What files take on disk, as `du` counts it: blocks of files and of directories, a file with several names shared
//! between them.
//!
//! Used by everything that says how large something in the store is.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::error::{At, FileError, optional};

/// Bytes of a block in what stat says.
const BLOCK: u64 = 512;

/// Bytes on disk of a file, or of a directory with everything below it; 0 if it is not there. What disappears
/// meanwhile counts as gone.
pub(crate) fn disk_usage(path: &Path) -> Result<u64, FileError> {
    let Some(metadata) = optional(path.symlink_metadata().at("look at", path))? else { return Ok(0) };
    let mut bytes = share(&metadata);
    let mut todo = if metadata.is_dir() { vec![path.to_owned()] } else { Vec::new() };
    while let Some(dir) = todo.pop() {
        let Some(entries) = optional(fs::read_dir(&dir).at("list", &dir))? else { continue };
        for entry in entries {
            let entry = entry.at("list", &dir)?;
            let path = entry.path();
            let Some(metadata) = optional(entry.metadata().at("look at", &path))? else { continue };
            bytes += share(&metadata);
            if metadata.is_dir() {
                todo.push(path);
            }
        }
    }
    Ok(bytes)
}

/// Bytes on disk of one of a file's names: with several, the file's share. A directory's names count its
/// subdirectories, and are no shares of it.
pub(crate) fn share(metadata: &Metadata) -> u64 {
    let names = if metadata.is_dir() { 1 } else { metadata.nlink().max(1) };
    metadata.blocks() * BLOCK / names
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn it_is_what_du_says() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tree");
        fs::create_dir_all(path.join("a/b/c")).unwrap();
        fs::write(path.join("a/large"), vec![1; 300_000]).unwrap();
        fs::write(path.join("a/b/small"), "x").unwrap();
        fs::hard_link(path.join("a/large"), path.join("a/b/c/again")).unwrap();
        std::os::unix::fs::symlink("/nowhere", path.join("link")).unwrap();
        let du =
            std::process::Command::new("du").arg("-s").arg("--block-size=1").arg(&path).output().unwrap();
        let du = String::from_utf8(du.stdout).unwrap();
        assert_eq!(disk_usage(&path).unwrap(), du.split('\t').next().unwrap().parse::<u64>().unwrap());
        assert_eq!(disk_usage(&dir.path().join("none")).unwrap(), 0);
    }
}
