//! Making room: what may go, what must stay, and how it goes while others work.
//!
//! [`scan`] looks at the store, [`policy`] chooses (pure), [`remove`] takes away what nobody needs by then. One process at
//! a time removes (`locks/gc`), beside any number that build: what those rely on is in their leases ([`crate::lease`]),
//! and what an image's name leads to is kept. Pruning is told what to remove by its caller; a store with a limit
//! ([`keeper`]) removes what was used least recently.

mod evicted;
mod inventory;
mod item;
mod keeper;
mod policy;
mod remove;
mod scan;
mod sizes;

use std::io::ErrorKind;

use jiff::Timestamp;

use crate::digest::Digest;
use crate::disk::disk_usage;
use crate::error::At;
use crate::locks;
use crate::store::{Store, StoreError, list};
use crate::tmp::remove_all;

pub use item::{Item, ItemKind};
pub(crate) use keeper::Keeper;

use self::inventory::{Itemised, itemise};
use self::item::is_prefix;
use self::scan::{Scan, Thing};

/// What may go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PruneOptions {
    /// Also what nothing refers to and is worth keeping all the same: results of steps, cache mounts, images that only
    /// a build pulled. So does each of the other options. Otherwise only what no image, no name and no record leads to.
    pub all: bool,
    /// Stop as soon as the store takes no more than this; what was used least recently goes first.
    pub keep: Option<u64>,
    /// Only these.
    pub only: Selection,
}

/// Which items are meant. Each condition that is given must hold; of several values of one, any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Of one of these kinds.
    pub kinds: Vec<ItemKind>,
    /// With an id that begins with one of these.
    pub ids: Vec<String>,
    /// Not used since then.
    pub unused_since: Option<Timestamp>,
    /// Whether a running process relies on it.
    pub in_use: Option<bool>,
    /// Whether more than one thing refers to it.
    pub shared: Option<bool>,
    /// With one of these texts in its description.
    pub descriptions: Vec<String>,
}

/// What went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PruneReport {
    /// Ids of removed images.
    pub images: Vec<Digest>,
    /// How many layers.
    pub layers: u64,
    /// How many blobs.
    pub blobs: u64,
    /// How many step records.
    pub records: u64,
    /// How many directories of cache mounts.
    pub mounts: u64,
    /// Bytes set free on disk.
    pub bytes: u64,
}

impl Selection {
    /// Whether an item is meant.
    pub fn matches(&self, item: &Item) -> bool {
        let any = |count: usize, found: bool| count == 0 || found;
        any(self.kinds.len(), self.kinds.contains(&item.kind))
            && any(self.ids.len(), self.ids.iter().any(|id| is_prefix(&item.id, id)))
            && self.unused_since.is_none_or(|since| item.last_used.is_some_and(|used| used < since))
            && self.in_use.is_none_or(|in_use| item.in_use == in_use)
            && self.shared.is_none_or(|shared| item.shared == shared)
            && any(
                self.descriptions.len(),
                self.descriptions.iter().any(|text| item.description.contains(text.as_str())),
            )
    }
}

impl Store {
    /// Removes what the options say, as far as no running process relies on it and no name of an image leads to it.
    /// Waits for nobody but another one that removes.
    pub fn prune(&self, options: &PruneOptions) -> Result<PruneReport, StoreError> {
        let _alone = locks::exclusive(&self.inside("locks/gc"))?;
        let tmp = self.inside("tmp");
        let garbage = disk_usage(&tmp)?;
        self.tmp().sweep()?;
        let garbage = garbage.saturating_sub(disk_usage(&tmp)?);
        let mut scan = Scan::of(self)?;
        let cache = options.all || options.keep.is_some() || options.only != Selection::default();
        let Itemised { items, item_of } = itemise(&scan);
        for index in 0..scan.units.len() {
            let wanted = match &scan.things[index] {
                Thing::Layer(_) | Thing::Blob(_) | Thing::DeadRecord(_) | Thing::Slot(_) => true,
                Thing::Image { names, .. } => cache || names.is_empty(),
                Thing::Record(_) | Thing::Mount { .. } | Thing::Index(_) | Thing::Memo(_) => cache,
            };
            scan.units[index].eligible = wanted && options.only.matches(&items[item_of[index]]);
        }
        let mut report = remove_down_to(self, &scan, options.keep.unwrap_or(0))?;
        self.sweep_locks()?;
        self.sweep_leases()?;
        report.bytes += self.sweep_empty()?;
        report.bytes += garbage;
        Ok(report)
    }

    /// Removes layers and blobs that no image, named or not, and no step record needs: what is left to do after
    /// [`Images::remove`](crate::Images::remove).
    pub fn remove_unreferenced(&self) -> Result<PruneReport, StoreError> {
        let _alone = locks::exclusive(&self.inside("locks/gc"))?;
        let mut scan = Scan::of(self)?;
        for (unit, thing) in scan.units.iter_mut().zip(&scan.things) {
            unit.eligible = matches!(thing, Thing::Layer(_) | Thing::Blob(_));
        }
        remove_down_to(self, &scan, 0)
    }

    /// Removes the leases of dead processes.
    fn sweep_leases(&self) -> Result<(), StoreError> {
        let _gate = locks::exclusive(&self.gate())?;
        self.leased(true)?;
        Ok(())
    }

    /// Removes directories that have become empty: whoever needs one makes it. Gives the bytes set free.
    fn sweep_empty(&self) -> Result<u64, StoreError> {
        let mut bytes = 0;
        for dir in ["records", "slots", "memos"].map(|dir| self.inside(dir)) {
            for shard in list(&dir)?.into_iter().map(|name| dir.join(name)) {
                let size = disk_usage(&shard)?;
                match std::fs::remove_dir(&shard) {
                    Err(error)
                        if [ErrorKind::DirectoryNotEmpty, ErrorKind::NotFound].contains(&error.kind()) => {}
                    result => {
                        result.at("remove", &shard)?;
                        bytes += size;
                    }
                }
            }
        }
        Ok(bytes)
    }

    fn sweep_locks(&self) -> Result<(), StoreError> {
        let dir = self.inside("locks");
        for name in list(&dir)? {
            // The others are taken all the time.
            if name.to_str().and_then(crate::digest::from_hex).is_none() {
                continue;
            }
            // Whoever opened the file meanwhile notices, once it has the lock, that it is not there any more.
            let path = dir.join(name);
            if let Some(_held) = locks::try_exclusive(&path)? {
                remove_all(&path)?;
            }
        }
        Ok(())
    }
}

/// Makes the store fit: everything that nobody needs may go. Gives what went, and the bytes that are left. The caller
/// is the only one who removes.
fn collect(store: &Store, limit: u64) -> Result<keeper::Collected, StoreError> {
    let scan = Scan::of(store)?;
    let report = remove_down_to(store, &scan, limit)?;
    let left = scan.total().saturating_sub(report.bytes);
    Ok((report, left))
}

fn remove_down_to(store: &Store, scan: &Scan, limit: u64) -> Result<PruneReport, StoreError> {
    let victims = policy::victims(&scan.units, scan.rest, limit);
    let mut report = PruneReport::default();
    for index in remove::remove(store, scan, &victims)? {
        report.bytes += scan.units[index].bytes;
        match &scan.things[index] {
            Thing::Record(_) | Thing::DeadRecord(_) => report.records += 1,
            Thing::Image { record, .. } => report.images.push(record.id.clone()),
            Thing::Layer(_) => report.layers += 1,
            Thing::Blob(_) => report.blobs += 1,
            Thing::Mount { .. } => report.mounts += 1,
            Thing::Index(_) | Thing::Memo(_) | Thing::Slot(_) => {}
        }
    }
    Ok(report)
}

#[cfg(test)]
mod tests;
