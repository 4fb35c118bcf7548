//! Keeping a store within its limit while it is written to: room is made beside the work, on a thread of its own.
//!
//! Whatever writes to the store says how much. When that is as much as there was room for, what was used least recently
//! goes, as far as nobody needs it; what running processes need counts, and stays. The end of a command makes room once
//! more, when its own lease is over.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};

use crate::gc::{PruneReport, collect};
use crate::locks;
use crate::store::{Store, StoreError};

/// Written at least before room is made again: a look at the store is not free.
const STRIDE: u64 = 4 << 20;

/// The keeper of one store handle.
#[derive(Debug, Default)]
pub(crate) struct Keeper {
    limit: OnceLock<u64>,
    /// Something was written since room was made last.
    dirty: AtomicBool,
    /// Bytes written since then, and how many there may be; none are known before the first look.
    written: AtomicU64,
    room: AtomicU64,
    thread: Mutex<Option<JoinHandle<Result<(), StoreError>>>>,
}

impl Store {
    /// Keeps the store within that many bytes from now on, for as long as this handle writes to it: never more than the
    /// limit, or than what running processes and the names of images need, if that is more. The first limit counts.
    pub fn keep_within(&self, limit: u64) {
        let _ = self.keeper().limit.set(limit);
    }

    /// Makes room one last time: to be called when the command's own use of the store is over. Does nothing without a
    /// limit, or if nothing was written. Gives the first failure of all attempts.
    pub fn settle(&self) -> Result<(), StoreError> {
        let keeper = self.keeper();
        let Some(limit) = keeper.limit.get() else { return Ok(()) };
        // Not held while waiting: the thread takes it at its end.
        let thread = keeper.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A thread that panicked has been reported by the panic.
            thread.join().unwrap_or(Ok(()))?;
        }
        if !keeper.dirty.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        let _alone = locks::exclusive(&self.inside("locks/gc"))?;
        collect(self, *limit)?;
        Ok(())
    }

    /// Told by whatever writes to the store: that many bytes are new.
    pub(crate) fn wrote(&self, bytes: u64) {
        let keeper = self.keeper();
        if keeper.limit.get().is_none() {
            return;
        }
        keeper.dirty.store(true, Ordering::Release);
        let written = keeper.written.fetch_add(bytes, Ordering::AcqRel).saturating_add(bytes);
        if written < keeper.room.load(Ordering::Acquire) {
            return;
        }
        let mut thread = keeper.thread.lock().unwrap_or_else(PoisonError::into_inner);
        // One that failed keeps its failure until the end; nothing more is tried until then.
        if thread.is_none() {
            keeper.written.store(0, Ordering::Release);
            keeper.room.store(u64::MAX, Ordering::Release);
            let store = self.clone();
            *thread = Some(thread::spawn(move || store.make_room()));
        }
    }

    /// What the thread does.
    fn make_room(&self) -> Result<(), StoreError> {
        let keeper = self.keeper();
        let Some(limit) = keeper.limit.get() else { return Ok(()) };
        let mut after = 0;
        // Another process that is at it does it for all.
        if let Some(_alone) = locks::try_exclusive(&self.inside("locks/gc"))? {
            after = collect(self, *limit)?.1;
        }
        keeper.room.store(limit.saturating_sub(after).max(STRIDE), Ordering::Release);
        // Nobody waits for a thread that went well.
        drop(keeper.thread.lock().unwrap_or_else(PoisonError::into_inner).take());
        Ok(())
    }
}

/// What a look at the store found removable, and the bytes that are left.
pub(crate) type Collected = (PruneReport, u64);
