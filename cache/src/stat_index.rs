//! Digests of files by what stat says of them: how an unchanged context of ten thousand files costs ten thousand
//! stats and no read.
//!
//! A file is taken for unchanged if device, inode, size, mode, mtime and ctime are those it had when it was hashed,
//! and it had been left alone for a moment before that (the racy-timestamp rule: the kernel's clock for timestamps is
//! coarse, so a write right after the hash could leave the same times). Where change times are whole seconds, as on file
//! systems that keep no better ones and in images that were made to be reproducible, they prove nothing: such a file is
//! read each time.
//!
//! On disk, an index is one file: a line of JSON with stamp, count and checksum, then the entries sorted by path:
//! `path length (2 bytes), path, age (1 byte), dev, ino, size, mtime, ctime (8 each), mode (4), digest (32)`, little
//! endian. What cannot be read is an empty index.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::boot::Stamp;
use crate::error::{At, FileError, optional};
use crate::keys::Key;
use crate::store::Store;

/// How long a file must have been left alone before it was hashed, in nanoseconds. Timestamps advance with the timer
/// tick, at most 10 ms long; twice that is safe.
const SETTLED_NS: i64 = 20_000_000;

/// Nanoseconds in a second.
const SECOND_NS: i64 = 1_000_000_000;

/// Saves that an entry survives without having been asked for: a context is often built in several ways in turn.
const MOST_AGE: u8 = 8;

/// Bytes of an entry after its path.
const FIXED: usize = 1 + 5 * 8 + 4 + 32;

/// The stat indexes of a store.
#[derive(Clone, Debug)]
pub struct Indexes {
    store: Store,
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

impl StatKey {
    /// Whether an equal stat will mean an equal file: whether the file had been left alone for long enough at `now_ns`,
    /// the wall clock (nanoseconds since 1970) right before it was looked at.
    pub fn is_settled(&self, now_ns: i64) -> bool {
        let settled = now_ns.saturating_sub(SETTLED_NS);
        self.mtime_ns < settled && self.ctime_ns < settled && self.ctime_ns % SECOND_NS != 0
    }
}

/// One index, for one directory of files. Used from any number of threads.
#[derive(Debug)]
pub struct StatIndex {
    store: Store,
    path: PathBuf,
    bytes: Vec<u8>,
    /// Where each entry begins, in order of paths, and whether it was asked for.
    entries: Vec<Loaded>,
    /// Where the last search ended: files are asked for in order.
    cursor: AtomicUsize,
    inserted: Mutex<Inserted>,
}

/// What was added since the index was loaded, by path.
type Inserted = BTreeMap<Vec<u8>, (StatKey, [u8; 32])>;

#[derive(Debug)]
struct Loaded {
    start: usize,
    used: AtomicBool,
}

#[derive(Serialize, Deserialize)]
struct Head {
    stamp: Stamp,
    count: usize,
    crc: u32,
}

impl Indexes {
    pub(crate) fn new(store: Store) -> Indexes {
        Indexes { store }
    }

    /// Loads the index of that name, empty if there is none.
    pub fn load(&self, name: &Key) -> Result<StatIndex, FileError> {
        StatIndex::load(&self.store, name)
    }
}

impl StatIndex {
    /// Loads the index of that name, empty if there is none.
    pub fn load(store: &Store, name: &Key) -> Result<StatIndex, FileError> {
        let path = store.inside("indexes").join(name.to_string());
        let bytes = optional(fs::read(&path).at("read", &path))?.unwrap_or_default();
        let entries = parse(store, &bytes);
        let bytes = if entries.is_some() { bytes } else { Vec::new() };
        Ok(StatIndex {
            store: store.clone(),
            path,
            bytes,
            entries: entries.unwrap_or_default(),
            cursor: AtomicUsize::new(0),
            inserted: Mutex::new(BTreeMap::new()),
        })
    }

    /// The digest of the file at this path, if it has not changed since it was hashed.
    pub fn get(&self, path: &[u8], stat: &StatKey) -> Option<[u8; 32]> {
        let inserted = self.inserted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, digest)) = inserted.get(path) {
            return (known == stat).then_some(*digest);
        }
        drop(inserted);
        let index = self.find(path)?;
        let loaded = self.entries.get(index)?;
        let (known, digest) = decode(&self.bytes, loaded.start)?;
        if known != *stat {
            return None;
        }
        loaded.used.store(true, Ordering::Relaxed);
        Some(digest)
    }

    /// Remembers a digest. `hashed_at_ns` is the wall clock, in nanoseconds since 1970, right before the file was
    /// looked at and read; a file that was touched just before is not remembered.
    pub fn insert(&self, path: &[u8], stat: &StatKey, digest: [u8; 32], hashed_at_ns: i64) {
        if !stat.is_settled(hashed_at_ns) || path.len() > usize::from(u16::MAX) {
            return;
        }
        let mut inserted = self.inserted.lock().unwrap_or_else(PoisonError::into_inner);
        inserted.insert(path.to_owned(), (*stat, digest));
    }

    /// Writes the index if something was added. Entries not asked for in a while are left out.
    pub fn save(&self) -> Result<(), FileError> {
        let inserted = self.inserted.lock().unwrap_or_else(PoisonError::into_inner);
        if inserted.is_empty() {
            return Ok(());
        }
        let (body, count) = self.merged(&inserted);
        let mut crc = flate2::Crc::new();
        crc.update(&body);
        let head = Head { stamp: self.store.boot().stamp(), count, crc: crc.sum() };
        let mut bytes = self.store.to_json(&head);
        bytes.push(b'\n');
        bytes.extend_from_slice(&body);
        self.store.tmp().publish_loosely(&bytes, &self.path)
    }

    /// Old entries and new ones in order of their paths; a new one replaces an old one.
    fn merged(&self, inserted: &Inserted) -> (Vec<u8>, usize) {
        let mut body = Vec::with_capacity(self.bytes.len() + inserted.len() * 128);
        let mut count = 0;
        let mut new = inserted.iter().peekable();
        let mut put = |path: &[u8], age: u8, stat: &StatKey, digest: &[u8; 32]| {
            encode(&mut body, path, age, stat, digest);
            count += 1;
        };
        for old in &self.entries {
            let Some(path) = path_at(&self.bytes, old.start) else { continue };
            while let Some((path, (stat, digest))) = new.next_if(|(new, _)| new.as_slice() < path) {
                put(path, 0, stat, digest);
            }
            if new.peek().is_some_and(|(new, _)| new.as_slice() == path) {
                continue;
            }
            let used = old.used.load(Ordering::Relaxed);
            let age = if used { 0 } else { self.age(old).saturating_add(1) };
            if let Some((stat, digest)) = decode(&self.bytes, old.start).filter(|_| age <= MOST_AGE) {
                put(path, age, &stat, &digest);
            }
        }
        for (path, (stat, digest)) in new {
            put(path, 0, stat, digest);
        }
        (body, count)
    }

    fn age(&self, entry: &Loaded) -> u8 {
        let len = path_at(&self.bytes, entry.start).map_or(0, <[u8]>::len);
        self.bytes.get(entry.start + 2 + len).copied().unwrap_or(0)
    }

    /// The entry of a path. Looks first where the one before it was found.
    fn find(&self, path: &[u8]) -> Option<usize> {
        let at = |index: usize| self.entries.get(index).and_then(|entry| path_at(&self.bytes, entry.start));
        let next = self.cursor.load(Ordering::Relaxed);
        let index = if at(next) == Some(path) {
            next
        } else {
            let order = |entry: &Loaded| path_at(&self.bytes, entry.start).unwrap_or_default().cmp(path);
            self.entries.binary_search_by(order).ok()?
        };
        self.cursor.store(index + 1, Ordering::Relaxed);
        Some(index)
    }
}

/// Where the entries begin, if the file is whole and can be believed.
fn parse(store: &Store, bytes: &[u8]) -> Option<Vec<Loaded>> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let head: Head = serde_json::from_slice(&bytes[..end]).ok()?;
    let mut crc = flate2::Crc::new();
    crc.update(&bytes[end + 1..]);
    if crc.sum() != head.crc || !store.boot().trusts(&head.stamp) {
        return None;
    }
    let mut entries = Vec::with_capacity(head.count.min(bytes.len() / FIXED));
    let mut start = end + 1;
    while start < bytes.len() {
        let len = path_at(bytes, start)?.len();
        entries.push(Loaded { start, used: AtomicBool::new(false) });
        start += 2 + len + FIXED;
    }
    (start == bytes.len() && entries.len() == head.count).then_some(entries)
}

fn path_at(bytes: &[u8], start: usize) -> Option<&[u8]> {
    let len = usize::from(u16::from_le_bytes(*bytes.get(start..)?.first_chunk()?));
    bytes.get(start + 2..start + 2 + len)
}

fn decode(bytes: &[u8], start: usize) -> Option<(StatKey, [u8; 32])> {
    let len = path_at(bytes, start)?.len();
    let fixed: &[u8; FIXED] = bytes.get(start + 2 + len..)?.first_chunk()?;
    let number = |at: usize| fixed[at..].first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
    let stat = StatKey {
        dev: number(1)?,
        ino: number(9)?,
        size: number(17)?,
        mtime_ns: number(25)?.cast_signed(),
        ctime_ns: number(33)?.cast_signed(),
        mode: u32::from_le_bytes(*fixed[41..].first_chunk()?),
    };
    Some((stat, *fixed[45..].first_chunk()?))
}

fn encode(out: &mut Vec<u8>, path: &[u8], age: u8, stat: &StatKey, digest: &[u8; 32]) {
    // Longer paths are never inserted.
    let len = u16::try_from(path.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(path);
    out.push(age);
    for number in
        [stat.dev, stat.ino, stat.size, stat.mtime_ns.cast_unsigned(), stat.ctime_ns.cast_unsigned()]
    {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out.extend_from_slice(&stat.mode.to_le_bytes());
    out.extend_from_slice(digest);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::testing::{forget_boot, store};
    use proptest::prelude::*;

    const NAME: Key = Key([1; 32]);

    fn stat(number: u64) -> StatKey {
        StatKey { dev: 1, ino: number, size: number * 3, mode: 0o100_644, mtime_ns: -5, ctime_ns: 7 }
    }

    fn digest(number: u64) -> [u8; 32] {
        std::array::from_fn(|i| number.to_le_bytes()[i % 8])
    }

    #[test]
    fn what_was_saved_is_found_and_a_changed_file_is_not() {
        let (_dir, store) = store();
        let index = store.indexes().load(&NAME).unwrap();
        for number in 0..1000 {
            index.insert(format!("dir/{number}").as_bytes(), &stat(number), digest(number), i64::MAX);
        }
        index.save().unwrap();
        let index = store.indexes().load(&NAME).unwrap();
        for number in (0..1000).rev() {
            let path = format!("dir/{number}");
            assert_eq!(index.get(path.as_bytes(), &stat(number)), Some(digest(number)));
            for changed in [
                StatKey { size: 1, ..stat(number) },
                StatKey { mtime_ns: 0, ..stat(number) },
                StatKey { ctime_ns: 8, ..stat(number) },
                StatKey { mode: 0o100_664, ..stat(number) },
            ] {
                assert_eq!(index.get(path.as_bytes(), &changed), None);
            }
        }
        assert_eq!(index.get(b"other", &stat(1)), None);
    }

    #[test]
    fn a_file_touched_right_before_it_was_hashed_is_not_remembered() {
        let (_dir, store) = store();
        let index = store.indexes().load(&NAME).unwrap();
        let now = SECOND_NS;
        for (mtime_ns, ctime_ns, kept) in [
            (0, now - SETTLED_NS - 1, true),
            (0, now - SETTLED_NS, false),
            (now - SETTLED_NS, 1, false),
            (0, now + 5, false),
            (-5 * SECOND_NS, -SECOND_NS - 1, true),
            (-5 * SECOND_NS, -SECOND_NS, false),
        ] {
            let stat = StatKey { mtime_ns, ctime_ns, ..stat(1) };
            index.insert(format!("{mtime_ns} {ctime_ns}").as_bytes(), &stat, digest(1), now);
            assert_eq!(index.get(format!("{mtime_ns} {ctime_ns}").as_bytes(), &stat).is_some(), kept);
        }
    }

    #[test]
    fn saving_merges_replaces_and_forgets_what_nobody_asks_for() {
        let (_dir, store) = store();
        let index = store.indexes().load(&NAME).unwrap();
        index.insert(b"kept", &stat(1), digest(1), i64::MAX);
        index.insert(b"forgotten", &stat(2), digest(2), i64::MAX);
        index.insert(b"replaced", &stat(3), digest(3), i64::MAX);
        index.save().unwrap();
        for round in 0..=u64::from(MOST_AGE) {
            let index = store.indexes().load(&NAME).unwrap();
            assert_eq!(index.get(b"kept", &stat(1)), Some(digest(1)));
            index.insert(b"replaced", &stat(10 + round), digest(round), i64::MAX);
            index.save().unwrap();
        }
        let index = store.indexes().load(&NAME).unwrap();
        assert_eq!(index.get(b"kept", &stat(1)), Some(digest(1)));
        assert_eq!(index.get(b"forgotten", &stat(2)), None);
        assert_eq!(
            index.get(b"replaced", &stat(10 + u64::from(MOST_AGE))),
            Some(digest(u64::from(MOST_AGE)))
        );
        assert_eq!(index.entries.len(), 2);
    }

    #[test]
    fn an_index_without_changes_is_not_written() {
        let (_dir, store) = store();
        let index = store.indexes().load(&NAME).unwrap();
        index.save().unwrap();
        assert!(!index.path.exists());
    }

    #[test]
    fn damage_and_crashes_make_an_empty_index() {
        let (_dir, store) = store();
        let index = store.indexes().load(&NAME).unwrap();
        index.insert(b"a", &stat(1), digest(1), i64::MAX);
        index.save().unwrap();
        let whole = fs::read(&index.path).unwrap();
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x55;
            fs::write(&index.path, &damaged).unwrap();
            let get = store.indexes().load(&NAME).unwrap().get(b"a", &stat(1));
            assert!(get.is_none() || get == Some(digest(1)));
            fs::write(&index.path, &whole[..at]).unwrap();
            assert_eq!(store.indexes().load(&NAME).unwrap().get(b"a", &stat(1)), None);
        }
        fs::write(&index.path, &whole).unwrap();
        let store = forget_boot(&store);
        assert_eq!(store.indexes().load(&NAME).unwrap().get(b"a", &stat(1)), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn any_paths_are_kept_apart(paths in proptest::collection::btree_set(any::<Vec<u8>>(), 0..20)) {
            let (_dir, store) = store();
            let index = store.indexes().load(&NAME).unwrap();
            for (number, path) in (0..).zip(&paths) {
                index.insert(path, &stat(number), digest(number), i64::MAX);
            }
            index.save().unwrap();
            let index = store.indexes().load(&NAME).unwrap();
            for (number, path) in (0..).zip(&paths) {
                prop_assert_eq!(index.get(path, &stat(number)), Some(digest(number)));
            }
        }
    }
}
