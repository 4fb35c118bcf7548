//! Getting what a build leaves in the store onto the disk, without making the build wait for it.
//!
//! Durability costs one sync, at the end of a build. So that little is left to write by then, the disk is kept busy
//! while later steps run: whenever enough new layers have come together, a sync starts beside the build, one at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use kiln_cache::{Store, StoreError};

use crate::task::blocking;

/// How many bytes of new layers make a sync beside the build worth its own cost (a commit of the journal).
const ENOUGH: u64 = 32 << 20;

/// What is known about unwritten results of one store.
#[derive(Debug)]
pub(crate) struct Writeback {
    store: Store,
    /// A step was executed since the last sync that a build waited for.
    dirty: AtomicBool,
    /// Bytes of layers made since the last sync beside a build began.
    unwritten: AtomicU64,
    /// A sync is under way beside a build.
    flushing: AtomicBool,
}

impl Writeback {
    /// Nothing to write yet.
    pub(crate) fn new(store: Store) -> Self {
        Self {
            store,
            dirty: AtomicBool::new(false),
            unwritten: AtomicU64::new(0),
            flushing: AtomicBool::new(false),
        }
    }

    /// A step left a layer of `bytes` bytes behind: it may be written from now on.
    pub(crate) fn wrote(self: &Arc<Self>, bytes: u64) {
        self.dirty.store(true, Ordering::Release);
        let unwritten = self.unwritten.fetch_add(bytes, Ordering::AcqRel).saturating_add(bytes);
        if unwritten >= ENOUGH && !self.flushing.swap(true, Ordering::AcqRel) {
            self.unwritten.store(0, Ordering::Release);
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
