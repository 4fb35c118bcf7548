//! Mark and sweep.

use crate::store::{Store, StoreError};

/// What the store holds, in bytes and in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of blobs.
    pub blobs: u64,
    /// Bytes of unpacked trees.
    pub layers: u64,
    /// Bytes of records, memos and indexes.
    pub records: u64,
    /// How many blobs.
    pub blob_count: u64,
    /// How many layers.
    pub layer_count: u64,
    /// How many step records.
    pub record_count: u64,
    /// How many images.
    pub image_count: u64,
}

/// What may go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PruneOptions {
    /// Also the results of steps (the build cache), not only what nothing leads to.
    pub all: bool,
}

/// What went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PruneReport {
    /// Ids of removed images.
    pub images: Vec<crate::digest::Digest>,
    /// Removed layers.
    pub layers: u64,
    /// Removed blobs.
    pub blobs: u64,
    /// Removed step records.
    pub records: u64,
    /// Bytes set free.
    pub bytes: u64,
}

impl Store {
    /// How much there is.
    pub fn usage(&self) -> Result<Usage, StoreError> {
        unimplemented!()
    }
    /// Removes what no named image, step record or running build needs. Waits for running builds.
    pub fn prune(&self, options: PruneOptions) -> Result<PruneReport, StoreError> {
        unimplemented!()
    }
    /// Removes layers and blobs that no image (named or not) and no record needs; nothing while others use the store.
    pub fn remove_unreferenced(&self) -> Result<Option<PruneReport>, StoreError> {
        unimplemented!()
    }
}
