//! A look at the whole store: what there is, how large, what refers to what, what is needed.
//!
//! Reads without adding to any lease, and beside whoever works: what it says may be out of date when it is done, so
//! [`super::remove`] looks again at what it is about to remove.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, Metadata};
use std::path::Path;
use std::time::SystemTime;

use crate::digest::{DiffId, Digest, from_hex, sha256_hex, to_hex};
use crate::disk::share;
use crate::error::{At, FileError, optional};
use crate::gc::policy::Unit;
use crate::gc::sizes::{Sizes, nanoseconds};
use crate::images::ImageRecord;
use crate::keys::Key;
use crate::lease::Held;
use crate::mounts::CacheMount;
use crate::records::Record;
use crate::store::{Store, StoreError, list};

/// What a unit of the policy is.
#[derive(Clone, Debug)]
pub(crate) enum Thing {
    /// A step's result, with the slot that it is the last one of.
    Record(Box<Record>),
    /// A record that counts no more: damaged, lost in a crash, or of a layer that is nowhere.
    DeadRecord(Key),
    /// An image with its names, and whether one of them is the user's.
    Image { record: Box<ImageRecord>, names: Vec<String>, kept: bool },
    /// A layer's directory, by its digits.
    Layer([u8; 32]),
    /// A blob and its stamp.
    Blob([u8; 32]),
    /// One directory of a cache mount.
    Mount { mount: Box<CacheMount>, number: usize },
    /// A stat index.
    Index(Key),
    /// Bytes that can be computed again.
    Memo(Key),
    /// A slot whose record is gone.
    Slot(Key),
}

/// The store as it was found.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    pub units: Vec<Unit>,
    /// What each unit is.
    pub things: Vec<Thing>,
    /// Which units running processes rely on.
    pub in_use: Vec<bool>,
    /// Bytes of everything that is no unit, except what is under construction.
    pub rest: u64,
    /// What living processes rely on.
    pub leased: BTreeSet<Held>,
    by_thing: HashMap<Held, usize>,
    /// The time of the look: nothing was used later than that, whatever clocks said then.
    now: i64,
}

/// A file's size and time.
struct Looked {
    bytes: u64,
    time: i64,
}

impl Scan {
    /// Looks at everything. Cache mounts and trees are walked unless their size is remembered.
    pub fn of(store: &Store) -> Result<Scan, StoreError> {
        let mut sizes = Sizes::load(store)?;
        let mut scan =
            Scan { leased: store.leased(false)?, now: nanoseconds(SystemTime::now()), ..Scan::default() };
        scan.blobs(store)?;
        scan.layers(store, &mut sizes)?;
        scan.records(store)?;
        scan.images(store)?;
        scan.mounts(store, &mut sizes)?;
        scan.small_files(store)?;
        for path in [".", "tmp", "format", "synced", "evicted", "sizes", "blobs", "images"] {
            scan.rest += optional(look(&store.inside(path)))?.map_or(0, |looked| looked.bytes);
        }
        for index in 0..scan.units.len() {
            scan.units[index].pinned = scan.in_use[index] || scan.is_named(index);
        }
        sizes.save(store);
        Ok(scan)
    }

    /// The unit of a layer, blob or image.
    pub fn find(&self, thing: Held) -> Option<usize> {
        self.by_thing.get(&thing).copied()
    }

    /// Whether it is an image that the user gave a name.
    pub fn is_named(&self, index: usize) -> bool {
        matches!(self.things[index], Thing::Image { kept: true, .. })
    }

    /// Bytes of everything that was found.
    pub fn total(&self) -> u64 {
        self.units.iter().fold(self.rest, |total, unit| total + unit.bytes)
    }

    fn add(&mut self, thing: Thing, looked: &Looked) -> usize {
        let used = looked.time.min(self.now);
        self.units.push(Unit { bytes: looked.bytes, used, made: used, eligible: true, ..Unit::default() });
        self.things.push(thing);
        self.in_use.push(false);
        self.units.len() - 1
    }

    fn add_held(&mut self, held: Held, thing: Thing, looked: &Looked) -> usize {
        let index = self.add(thing, looked);
        self.in_use[index] = self.leased.contains(&held);
        self.by_thing.insert(held, index);
        index
    }

    fn blobs(&mut self, store: &Store) -> Result<(), StoreError> {
        let mut stamps = BTreeMap::new();
        for (name, path) in self.listed(&store.inside("blobs/stamps"))? {
            if let Some(looked) = optional(look(&path))? {
                stamps.insert(name, looked);
            }
        }
        for (name, path) in self.listed(&store.inside("blobs/sha256"))? {
            let Some(digits) = from_hex(&name) else { continue };
            let Some(mut looked) = optional(look(&path))? else { continue };
            if let Some(stamp) = stamps.remove(&name) {
                looked.bytes += stamp.bytes;
                looked.time = looked.time.max(stamp.time);
            }
            self.add_held(Held::Blob(digits), Thing::Blob(digits), &looked);
        }
        // A stamp without its blob goes as the blob would.
        for (name, looked) in stamps {
            if let Some(digits) = from_hex(&name) {
                self.add_held(Held::Blob(digits), Thing::Blob(digits), &looked);
            }
        }
        Ok(())
    }

    fn layers(&mut self, store: &Store, sizes: &mut Sizes) -> Result<(), StoreError> {
        for (name, path) in self.listed(&store.inside("layers"))? {
            let Some(digits) = from_hex(&name) else { continue };
            let Some(metadata) = optional(path.symlink_metadata().at("look at", &path))? else { continue };
            let changed = metadata.modified().at("look at", &path)?;
            let bytes = sizes.of(format!("layers/{name}"), &path, changed)?;
            let looked = Looked { bytes, time: nanoseconds(changed) };
            let index = self.add_held(Held::Layer(digits), Thing::Layer(digits), &looked);
            for blob in layer_blobs(store, &digits)? {
                self.hold(index, Held::Blob(blob));
            }
        }
        Ok(())
    }

    fn records(&mut self, store: &Store) -> Result<(), StoreError> {
        let mut slots = BTreeMap::new();
        for (key, path) in self.sharded(store, "slots")? {
            let Some(text) = optional(fs::read_to_string(&path).at("read", &path))? else { continue };
            if let Some(looked) = optional(look(&path))? {
                slots.insert(key, (text.parse::<Key>().ok(), looked));
            }
        }
        for (key, path) in self.sharded(store, "records")? {
            let Some(mut looked) = optional(look(&path))? else { continue };
            let record = store.records().read(&key)?.filter(|record| Self::is_alive(store, record));
            let Some(record) = record else {
                self.add(Thing::DeadRecord(key), &looked);
                continue;
            };
            if slots.get(&record.slot).is_some_and(|(last, _)| *last == Some(key)) {
                looked.bytes += slots.remove(&record.slot).map_or(0, |(_, slot)| slot.bytes);
            }
            let layer = record.layer.as_ref().and_then(Held::layer);
            let made = i64::try_from(record.created.as_nanosecond()).unwrap_or(i64::MAX);
            let index = self.add(Thing::Record(Box::new(record)), &looked);
            self.units[index].made = made;
            if let Some(layer) = layer {
                self.hold(index, layer);
                // Its layer stays for the build that has it: so does what says that it is there.
                self.in_use[index] = self.leased.contains(&layer);
            }
        }
        for (slot, (_, looked)) in slots {
            self.add(Thing::Slot(slot), &looked);
        }
        Ok(())
    }

    /// Whether a record can still be the answer to anything.
    pub fn is_alive(store: &Store, record: &Record) -> bool {
        let Some(layer) = &record.layer else { return true };
        let here = store.layers().read_file(layer).ok().flatten().is_some_and(|file| {
            let trusted = |stamp| store.boot().trusts(stamp);
            // On the disk, not in this scan: it may be newer than the look at the blobs.
            let blob = |digest: &Digest| store.blobs().size(digest).is_ok_and(|size| size.is_some());
            file.tree.as_ref().is_some_and(|tree| trusted(&tree.stamp))
                || file.bound.values().any(trusted)
                || file.blobs.iter().any(|form| blob(form.descriptor.digest()))
        });
        here || record.origin.is_some()
    }

    fn images(&mut self, store: &Store) -> Result<(), StoreError> {
        let mut names: HashMap<Digest, (Vec<String>, bool, u64)> = HashMap::new();
        for (_, path) in self.listed(&store.inside("images/names"))? {
            let Some(named) = crate::images::read_name(&path)? else { continue };
            let entry = names.entry(named.id).or_default();
            entry.0.push(named.name);
            entry.1 |= !named.pulled;
            entry.2 += optional(look(&path))?.map_or(0, |looked| looked.bytes);
        }
        for (name, path) in self.listed(&store.inside("images/ids"))? {
            let Ok(id) = format!("sha256:{name}").parse::<Digest>() else { continue };
            let Some(record) = store.images().read(&id)? else { continue };
            let Some(mut looked) = optional(look(&path))? else { continue };
            let (names, kept, bytes) = names.remove(&id).unwrap_or_default();
            looked.bytes += bytes;
            let Some(held) = Held::image(&id)? else { continue };
            let parts = image_parts(&record)?;
            let index = self.add_held(held, Thing::Image { record: Box::new(record), names, kept }, &looked);
            for part in parts {
                self.hold(index, part);
            }
        }
        for (_, _, bytes) in names.into_values() {
            self.rest += bytes;
        }
        Ok(())
    }

    fn mounts(&mut self, store: &Store, sizes: &mut Sizes) -> Result<(), StoreError> {
        for (name, path) in self.listed(&store.inside("mounts"))? {
            let Ok(key) = name.parse::<Key>() else { continue };
            let home = path.clone();
            let mount = store.mounts().look_at(&key, |number, directory, changed, in_use| {
                // What is being written to has no size to be remembered.
                if in_use {
                    return crate::disk::disk_usage(directory);
                }
                sizes.of(format!("mounts/{name}/{number}"), directory, changed)
            })?;
            for part in [home.clone(), home.join("name")] {
                self.rest += optional(look(&part))?.map_or(0, |looked| looked.bytes);
            }
            for copy in &mount.copies {
                let time = i64::try_from(copy.last_used.as_nanosecond()).unwrap_or(i64::MAX);
                let looked = Looked { bytes: copy.bytes, time };
                let thing = Thing::Mount { mount: Box::new(mount.clone()), number: copy.number };
                let index = self.add(thing, &looked);
                self.in_use[index] = copy.in_use;
            }
        }
        Ok(())
    }

    fn small_files(&mut self, store: &Store) -> Result<(), StoreError> {
        for (key, path) in self.sharded(store, "memos")? {
            if let Some(looked) = optional(look(&path))? {
                self.add(Thing::Memo(key), &looked);
            }
        }
        for (name, path) in self.listed(&store.inside("indexes"))? {
            if let (Ok(key), Some(looked)) = (name.parse(), optional(look(&path))?) {
                self.add(Thing::Index(key), &looked);
            }
        }
        for dir in ["builds", "locks", "leases"] {
            for (_, path) in self.listed(&store.inside(dir))? {
                self.rest += optional(look(&path))?.map_or(0, |looked| looked.bytes);
            }
        }
        Ok(())
    }

    fn hold(&mut self, holder: usize, thing: Held) {
        if let Some(held) = self.find(thing)
            && !self.units[holder].holds.contains(&held)
        {
            self.units[holder].holds.push(held);
            // What a running build relies on, it relies on with all its parts.
            self.in_use[held] |= self.in_use[holder];
        }
    }

    /// Names and paths in a directory; the directory itself is nobody's.
    fn listed(&mut self, dir: &Path) -> Result<Vec<(String, std::path::PathBuf)>, FileError> {
        self.rest += optional(look(dir))?.map_or(0, |looked| looked.bytes);
        let names = list(dir)?.into_iter().filter_map(|name| name.into_string().ok());
        Ok(names.map(|name| (name.clone(), dir.join(name))).collect())
    }

    /// Keys and paths below a directory with one more level.
    fn sharded(&mut self, store: &Store, dir: &str) -> Result<Vec<(Key, std::path::PathBuf)>, FileError> {
        let mut files = Vec::new();
        for (_, shard) in self.listed(&store.inside(dir))? {
            for (name, path) in self.listed(&shard)? {
                files.extend(name.parse().ok().map(|key| (key, path)));
            }
        }
        Ok(files)
    }
}

/// The blobs that hold a layer, whether they are here or not.
pub(crate) fn layer_blobs(store: &Store, digits: &[u8; 32]) -> Result<Vec<[u8; 32]>, StoreError> {
    let Some(file) = store.layers().read_file(&DiffId::from_hash(*digits))? else { return Ok(Vec::new()) };
    let digests = file.blobs.iter().filter_map(|form| sha256_hex(form.descriptor.digest()).ok());
    Ok(digests.filter_map(from_hex).collect())
}

/// Everything that an image is made of.
pub(crate) fn image_parts(image: &ImageRecord) -> Result<Vec<Held>, StoreError> {
    let mut parts: Vec<Held> = image.layers.iter().filter_map(Held::layer).collect();
    parts.extend(Held::blob(&image.id)?);
    for descriptor in image.manifest.iter().chain(&image.layer_blobs) {
        parts.extend(Held::blob(descriptor.digest())?);
    }
    Ok(parts)
}

/// The file name of 32 bytes.
pub(crate) fn name_of(digits: &[u8; 32]) -> String {
    to_hex(digits)
}

fn look(path: &Path) -> Result<Looked, FileError> {
    let metadata: Metadata = path.symlink_metadata().at("look at", path)?;
    let time = nanoseconds(metadata.modified().at("look at", path)?);
    Ok(Looked { bytes: share(&metadata), time })
}
