//! What this crate's tests share: stores in temporary directories, and the crash of a machine.

#![allow(clippy::unwrap_used)]

use std::fs;

use crate::store::Store;

/// A new store in a directory of its own.
pub(crate) fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("store")).unwrap();
    (dir, store)
}

/// The same store as it is seen after the machine crashed and started again: everything was written by another boot.
pub(crate) fn forget_boot(store: &Store) -> Store {
    let this = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    rewrite(store.root(), this.trim(), "00000000-0000-4000-8000-000000000000");
    Store::open(store.root()).unwrap()
}

fn rewrite(dir: &std::path::Path, from: &str, to: &str) {
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() && entry.file_name() != "tree" {
            rewrite(&entry.path(), from, to);
        } else if entry.file_type().unwrap().is_file() {
            replace(&entry.path(), from.as_bytes(), to.as_bytes());
        }
    }
}

fn replace(path: &std::path::Path, from: &[u8], to: &[u8]) {
    let mut bytes = fs::read(path).unwrap();
    let Some(at) = bytes.windows(from.len()).position(|window| window == from) else { return };
    bytes[at..at + to.len()].copy_from_slice(to);
    fs::write(path, bytes).unwrap();
    replace(path, from, to);
}
