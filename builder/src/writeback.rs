//! Getting what a build leaves in the store onto the disk, without making the build wait for it.
//!
//! Durability costs one sync, at the end of a build. So that little is left to write by then, the disk is kept busy
//! while later steps run: each finished layer starts a sync beside the build, one at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kiln_cache::{Store, StoreError};

use crate::task::blocking;

/// What is known about unwritten results of one store.
#[derive(Debug)]
pub(crate) struct Writeback {
    store: Store,
    /// A step was executed since the last complete sync began.
    dirty: AtomicBool,
    /// A sync is under way beside the build.
    flushing: AtomicBool,
}

impl Writeback {
    /// Nothing to write yet.
    pub(crate) fn new(store: Store) -> Self {
        Self { store, dirty: AtomicBool::new(false), flushing: AtomicBool::new(false) }
    }

    /// A step left something behind: it may be written from now on.
    pub(crate) fn wrote(self: &Arc<Self>) {
        self.dirty.store(true, Ordering::Release);
        if !self.flushing.swap(true, Ordering::AcqRel) {
            let this = Arc::clone(self);
            tokio::task::spawn_blocking(move || {
                // What could not be written now is written, or reported, by the sync at the end.
                drop(this.store.sync());
                this.flushing.store(false, Ordering::Release);
            });
        }
    }

    /// Returns when all that was executed is on the disk; `None` when the runtime is going down.
    pub(crate) async fn finish(&self) -> Option<Result<(), StoreError>> {
        if !self.dirty.swap(false, Ordering::AcqRel) {
            return Some(Ok(()));
        }
        let store = self.store.clone();
        blocking(move || store.sync()).await
    }
}
