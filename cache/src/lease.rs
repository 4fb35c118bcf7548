//! What running processes rely on: a lease is a list of layers, blobs and images that nothing may remove while the
//! process that wrote it lives.
//!
//! ```text
//! leases/BOOT-PID-NUMBER   one line for each thing: its kind and 64 digits; locked by its owner, removed when that is dead
//! locks/gate               held together for a moment by who adds to a lease, alone by who removes things
//! ```
//!
//! Whatever says that something is here ([`Layers::info`](crate::Layers::info), [`Blobs::contains`](crate::Blobs::contains),
//! [`Images::get`](crate::Images::get) and what is built on them) first adds it to the lease and then looks: so either the
//! remover finds it in the lease, or the looker finds it gone. Adding costs three system calls, once for each thing.
//! There is a lease only while somebody holds a [`UseLock`].

use std::collections::{BTreeSet, HashSet};
use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::Timespec;
use rustix::time::{ClockId, clock_gettime};

use crate::digest::{DiffId, Digest, DigestError, from_hex, sha256_hex, to_hex};
use crate::error::{At, FileError, optional};
use crate::store::{Store, list};
use crate::tmp::remove_all;

/// Something that a lease can keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Held {
    Layer([u8; 32]),
    Blob([u8; 32]),
    Image([u8; 32]),
}

/// A share in the use of the store: while it is held, nothing that was looked up since is removed.
#[derive(Debug)]
#[must_use = "what was looked up may be removed when this is dropped"]
pub struct UseLock {
    store: Store,
}

/// The lease of one store handle.
#[derive(Debug, Default)]
pub(crate) struct Lease {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    users: usize,
    /// When the first of the users came: what they use counts as used then, so that one build's steps are equals.
    since: Option<Timespec>,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    path: PathBuf,
    file: File,
    gate: File,
    held: HashSet<Held>,
}

impl Held {
    pub fn layer(diff_id: &DiffId) -> Option<Held> {
        from_hex(diff_id.hex()).map(Held::Layer)
    }

    pub fn blob(digest: &Digest) -> Result<Option<Held>, DigestError> {
        Ok(from_hex(sha256_hex(digest)?).map(Held::Blob))
    }

    pub fn image(id: &Digest) -> Result<Option<Held>, DigestError> {
        Ok(from_hex(sha256_hex(id)?).map(Held::Image))
    }

    fn line(self) -> String {
        let (kind, digits) = match self {
            Held::Layer(digits) => ('l', digits),
            Held::Blob(digits) => ('b', digits),
            Held::Image(digits) => ('i', digits),
        };
        format!("{kind} {}\n", to_hex(&digits))
    }

    fn parse(line: &str) -> Option<Held> {
        let (kind, digits) = line.split_once(' ')?;
        let digits = from_hex(digits)?;
        match kind {
            "l" => Some(Held::Layer(digits)),
            "b" => Some(Held::Blob(digits)),
            "i" => Some(Held::Image(digits)),
            _ => None,
        }
    }
}

impl Lease {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the use of the store began that is going on, if one is.
    pub fn since(&self) -> Option<Timespec> {
        self.lock().since
    }
}

impl Drop for UseLock {
    fn drop(&mut self) {
        let mut state = self.store.lease().lock();
        state.users -= 1;
        if state.users == 0 {
            state.since = None;
            if let Some(open) = state.open.take() {
                // Left behind, it is a dead process's lease: the next remover takes it away.
                let _ = remove_all(&open.path);
            }
        }
    }
}

impl Store {
    /// A share in the use of the store. Everything that reads images, records or layers and expects them to stay holds
    /// one from before it looks. Never waits.
    pub fn use_lock(&self) -> Result<UseLock, crate::StoreError> {
        let mut state = self.lease().lock();
        state.users += 1;
        state.since.get_or_insert_with(|| clock_gettime(ClockId::Realtime));
        Ok(UseLock { store: self.clone() })
    }

    /// Keeps something for as long as the store is in use, whether or not it is there: who looks after this is not
    /// deceived. Does nothing outside of any use.
    pub(crate) fn hold(&self, thing: Option<Held>) -> Result<(), FileError> {
        let Some(thing) = thing else { return Ok(()) };
        let mut state = self.lease().lock();
        if state.users == 0 {
            return Ok(());
        }
        let open = match &mut state.open {
            Some(open) if open.held.contains(&thing) => return Ok(()),
            Some(open) => open,
            none => none.insert(self.begin_lease()?),
        };
        let gate = self.gate();
        open.gate.lock_shared().at("lock", &gate)?;
        let written = open.file.write_all(thing.line().as_bytes()).at("write", &open.path);
        open.gate.unlock().at("unlock", &gate)?;
        written?;
        open.held.insert(thing);
        Ok(())
    }

    /// Whether the use of the store that is going on has looked up this layer.
    pub fn holds(&self, diff_id: &DiffId) -> bool {
        let state = self.lease().lock();
        let held = |open: &Open| Held::layer(diff_id).is_some_and(|layer| open.held.contains(&layer));
        state.open.as_ref().is_some_and(held)
    }

    /// What is locked alone by whoever removes things.
    pub(crate) fn gate(&self) -> PathBuf {
        self.inside("locks/gate")
    }

    fn begin_lease(&self) -> Result<Open, FileError> {
        let path = self.inside("leases").join(self.tmp().file_name());
        let gate_path = self.gate();
        let gate = File::options().write(true).create(true).truncate(false).open(&gate_path);
        let gate = gate.at("open", &gate_path)?;
        fs::create_dir_all(self.inside("leases")).at("create", &self.inside("leases"))?;
        // Under the gate: nobody may see it before it is locked, and take it for a dead one's.
        gate.lock_shared().at("lock", &gate_path)?;
        let file = File::options().append(true).create_new(true).open(&path).at("create", &path);
        let locked = file.and_then(|file| file.lock().at("lock", &path).map(|()| file));
        gate.unlock().at("unlock", &gate_path)?;
        Ok(Open { path, file: locked?, gate, held: HashSet::new() })
    }

    /// Everything that a living process relies on. With the gate held alone, none of it grows meanwhile; leases of the
    /// dead are removed then. Without it, it is a look for people.
    pub(crate) fn leased(&self, alone: bool) -> Result<BTreeSet<Held>, FileError> {
        let dir = self.inside("leases");
        let mut leased = BTreeSet::new();
        for name in list(&dir)? {
            let path = dir.join(name);
            let Some(file) = optional(File::open(&path).at("open", &path))? else { continue };
            if file.try_lock_shared().is_ok() {
                if alone {
                    remove_all(&path)?;
                }
                continue;
            }
            let text = optional(fs::read_to_string(&path).at("read", &path))?.unwrap_or_default();
            leased.extend(text.lines().filter_map(Held::parse));
        }
        Ok(leased)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::testing::store;

    const LAYER: Held = Held::Layer([1; 32]);

    #[test]
    fn things_are_held_while_the_store_is_in_use() {
        let (_dir, store) = store();
        store.hold(Some(LAYER)).unwrap();
        assert!(store.leased(true).unwrap().is_empty(), "nobody uses the store");
        let (first, second) = (store.use_lock().unwrap(), store.use_lock().unwrap());
        for thing in [LAYER, LAYER, Held::Blob([2; 32]), Held::Image([3; 32])] {
            store.hold(Some(thing)).unwrap();
        }
        let all = [LAYER, Held::Blob([2; 32]), Held::Image([3; 32])];
        let other = Store::open(store.root()).unwrap();
        assert_eq!(other.leased(true).unwrap(), BTreeSet::from(all));
        drop(first);
        assert_eq!(other.leased(true).unwrap().len(), 3);
        drop(second);
        assert!(other.leased(true).unwrap().is_empty());
        assert!(list(&store.inside("leases")).unwrap().is_empty());
    }

    #[test]
    fn a_lease_of_the_dead_counts_for_nothing_and_goes() {
        let (_dir, store) = store();
        let using = store.use_lock().unwrap();
        store.hold(Some(LAYER)).unwrap();
        let dead = store.inside("leases/ffffffff-1-1");
        fs::write(&dead, Held::Blob([9; 32]).line()).unwrap();
        fs::write(store.inside("leases/ffffffff-1-2"), "x\0\n\nl 12\n").unwrap();
        assert_eq!(store.leased(false).unwrap(), BTreeSet::from([LAYER]));
        assert!(dead.exists());
        assert_eq!(store.leased(true).unwrap(), BTreeSet::from([LAYER]));
        assert_eq!(list(&store.inside("leases")).unwrap().len(), 1);
        drop(using);
    }

    #[test]
    fn who_adds_waits_for_who_removes() {
        let (_dir, store) = store();
        let _using = store.use_lock().unwrap();
        store.hold(Some(Held::Blob([0; 32]))).unwrap();
        let gate = crate::locks::exclusive(&store.gate()).unwrap();
        let (sender, receiver) = std::sync::mpsc::channel();
        let there = store.clone();
        let adding = std::thread::spawn(move || {
            there.hold(Some(LAYER)).unwrap();
            sender.send(()).unwrap();
        });
        assert!(!store.leased(true).unwrap().contains(&LAYER));
        assert!(receiver.try_recv().is_err());
        drop(gate);
        receiver.recv().unwrap();
        adding.join().unwrap();
        assert!(store.leased(true).unwrap().contains(&LAYER));
    }
}
