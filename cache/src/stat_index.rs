//! Digests of files by what stat says of them.

use crate::error::FileError;
use crate::keys::Key;
use crate::store::Store;

/// The stat indexes of a store.
#[derive(Clone, Debug)]
pub struct Indexes {
    store: Store,
}

impl Indexes {
    pub(crate) fn new(store: Store) -> Indexes {
        Indexes { store }
    }
    /// Loads the index of that name.
    pub fn load(&self, name: &Key) -> Result<StatIndex, FileError> {
        StatIndex::load(&self.store, name)
    }
}

/// What identifies a version of a file without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatKey {
    /// Device.
    pub dev: u64,
    /// Inode.
    pub ino: u64,
    /// Bytes.
    pub size: u64,
    /// Type and permission bits (st_mode).
    pub mode: u32,
    /// Modification time, nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Change time, nanoseconds since 1970.
    pub ctime_ns: i64,
}

/// An index.
#[derive(Debug)]
pub struct StatIndex;

impl StatIndex {
    /// Loads the index of that name, empty if there is none.
    pub fn load(store: &Store, name: &Key) -> Result<StatIndex, FileError> {
        unimplemented!()
    }
    /// The digest of the file at this path, if it has not changed.
    pub fn get(&self, path: &[u8], stat: &StatKey) -> Option<[u8; 32]> {
        unimplemented!()
    }
    /// Remembers a digest; `hashed_at_ns` is the wall clock, in nanoseconds since 1970, before the file was read.
    pub fn insert(&self, path: &[u8], stat: &StatKey, digest: [u8; 32], hashed_at_ns: i64) {
        unimplemented!()
    }
    /// Writes the index if it changed.
    pub fn save(&self) -> Result<(), FileError> {
        unimplemented!()
    }
}
