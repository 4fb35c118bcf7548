//! Removing what was chosen, in short turns: for each, the gate is held alone, what is needed by now is looked up once
//! more, and what still may go is moved away in one step each. Deleting the bytes comes after that, with the gate open.
//!
//! A kill at any moment leaves what was moved away in `tmp/`, for the next sweep. What refers goes before what it
//! refers to: nothing that is left leads nowhere.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::PathBuf;

use crate::digest::Digest;
use crate::error::{At, FileError, optional};
use crate::gc::evicted;
use crate::gc::scan::{Scan, Thing, image_parts, layer_blobs, name_of};
use crate::images::{Named, read_name};
use crate::keys::Key;
use crate::lease::Held;
use crate::locks;
use crate::store::{Store, StoreError, list};
use crate::tmp::remove_all;

/// Removed in one turn at most: the gate is closed for a few milliseconds.
const TURN: usize = 64;

/// Removes what it can of the victims and gives their numbers. The caller holds the lock of who removes.
pub(crate) fn remove(store: &Store, scan: &Scan, victims: &[usize]) -> Result<Vec<usize>, StoreError> {
    let mut removed = Vec::with_capacity(victims.len());
    for turn in victims.chunks(TURN) {
        let mut turned = Turn::new(store);
        let gate = locks::exclusive(&store.gate())?;
        let needed = turned.needed(scan)?;
        for index in turn.iter().copied() {
            if turned.take(&scan.things[index], &needed)? {
                removed.push(index);
            }
        }
        drop(gate);
        for path in turned.moved {
            remove_all(&path)?;
        }
        // On a disk that is full nothing can be noted; what is lost is a word of explanation.
        let _ = evicted::remember(store, &turned.evicted);
        for index in turn.iter().copied() {
            if let Thing::Mount { mount, number } = &scan.things[index]
                && store.mounts().try_remove_copy(&mount.key, *number)?.is_some()
            {
                removed.push(index);
            }
        }
    }
    Ok(removed)
}

/// What is done while the gate is closed.
struct Turn<'a> {
    store: &'a Store,
    /// Out of their places, to be deleted.
    moved: Vec<PathBuf>,
    evicted: Vec<(Key, Key)>,
    /// What living processes rely on.
    leased: BTreeSet<Held>,
    /// The names that images have by now.
    images: HashMap<Digest, Vec<(PathBuf, Named)>>,
}

impl Turn<'_> {
    fn new(store: &Store) -> Turn<'_> {
        let (leased, images) = (BTreeSet::new(), HashMap::new());
        Turn { store, moved: Vec::new(), evicted: Vec::new(), leased, images }
    }

    /// What is leased by now, and what the images consist of that nobody knew of or that are needed by now.
    fn needed(&mut self, scan: &Scan) -> Result<BTreeSet<Held>, StoreError> {
        self.leased = self.store.leased(true)?;
        let mut needed = self.leased.clone();
        let dir = self.store.inside("images/names");
        for path in list(&dir)?.into_iter().map(|name| dir.join(name)) {
            if let Some(named) = read_name(&path)? {
                self.images.entry(named.id.clone()).or_default().push((path, named));
            }
        }
        for name in list(&self.store.inside("images/ids"))? {
            let Ok(id) = format!("sha256:{}", name.to_string_lossy()).parse::<Digest>() else { continue };
            let Some(held) = Held::image(&id)? else { continue };
            let kept = self.images.get(&id).is_some_and(|names| names.iter().any(|(_, named)| !named.pulled));
            if !kept && !needed.contains(&held) && scan.find(held).is_some() {
                continue;
            }
            needed.insert(held);
            if let Some(image) = self.store.images().read(&id)? {
                needed.extend(image_parts(&image)?);
            }
        }
        let layers: Vec<Held> =
            needed.iter().filter(|held| matches!(held, Held::Layer(_))).copied().collect();
        for layer in layers {
            needed.extend(self.blobs_of(scan, layer)?);
        }
        Ok(needed)
    }

    /// The blobs that hold a layer, as they were found; one that is new is looked at now.
    fn blobs_of(&self, scan: &Scan, layer: Held) -> Result<Vec<Held>, StoreError> {
        match (scan.find(layer), layer) {
            (Some(index), _) => {
                let held = scan.units[index].holds.iter().map(|held| &scan.things[*held]);
                Ok(held
                    .filter_map(|thing| {
                        if let Thing::Blob(digits) = thing { Some(Held::Blob(*digits)) } else { None }
                    })
                    .collect())
            }
            (None, Held::Layer(digits)) => {
                Ok(layer_blobs(self.store, &digits)?.into_iter().map(Held::Blob).collect())
            }
            (None, _) => Ok(Vec::new()),
        }
    }

    /// Takes one thing out of its place unless it is needed. Says whether it is gone.
    fn take(&mut self, thing: &Thing, needed: &BTreeSet<Held>) -> Result<bool, StoreError> {
        match thing {
            Thing::Record(record) => {
                let layer = record.layer.as_ref().and_then(Held::layer);
                if layer.is_some_and(|layer| self.leased.contains(&layer)) {
                    return Ok(false);
                }
                self.take_record(&record.key, Some(&record.slot))?;
                self.evicted.push((record.key, record.slot));
            }
            Thing::DeadRecord(key) => {
                let again = self.store.records().read(key)?;
                if again.is_some_and(|record| Scan::is_alive(self.store, &record)) {
                    return Ok(false);
                }
                self.take_record(key, None)?;
            }
            Thing::Slot(slot) => {
                if self.store.records().latest(slot)?.is_some() {
                    return Ok(false);
                }
                self.remove_key("slots", slot)?;
            }
            Thing::Memo(key) => self.remove_key("memos", key)?,
            Thing::Index(key) => remove_all(&self.store.inside("indexes").join(key.to_string()))?,
            Thing::Image { record, .. } => {
                if Held::image(&record.id)?.is_some_and(|held| needed.contains(&held)) {
                    return Ok(false);
                }
                for (path, _) in self.images.get(&record.id).into_iter().flatten() {
                    remove_all(path)?;
                }
                remove_all(&self.store.inside("images/ids").join(record.id.digest()))?;
            }
            Thing::Layer(digits) => {
                if needed.contains(&Held::Layer(*digits)) {
                    return Ok(false);
                }
                self.move_away("layers", digits)?;
            }
            Thing::Blob(digits) => {
                if needed.contains(&Held::Blob(*digits)) {
                    return Ok(false);
                }
                // The stamp goes first: a stamp alone must never vouch for what is written here later.
                remove_all(&self.store.inside("blobs/stamps").join(name_of(digits)))?;
                self.move_away("blobs/sha256", digits)?;
            }
            // Guarded by its own lock, not by the gate.
            Thing::Mount { .. } => return Ok(false),
        }
        Ok(true)
    }

    fn move_away(&mut self, dir: &str, digits: &[u8; 32]) -> Result<(), FileError> {
        let path = self.store.inside(dir).join(name_of(digits));
        self.moved.extend(self.store.tmp().take_away(&path)?);
        Ok(())
    }

    fn take_record(&self, key: &Key, slot: Option<&Key>) -> Result<(), FileError> {
        if let Some(slot) = slot {
            let path = self.path("slots", slot);
            let last = optional(fs::read(&path).at("read", &path))?;
            if last.is_some_and(|last| last == key.to_string().as_bytes()) {
                remove_all(&path)?;
            }
        }
        self.remove_key("records", key)
    }

    fn remove_key(&self, dir: &str, key: &Key) -> Result<(), FileError> {
        remove_all(&self.path(dir, key))
    }

    fn path(&self, dir: &str, key: &Key) -> PathBuf {
        let name = key.to_string();
        self.store.inside(dir).join(&name[..2]).join(name)
    }
}
