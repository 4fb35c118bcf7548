//! What steps gave: one small file for each step that was executed, found by its key.
//!
//! A record is believed as its [stamp](crate::boot) says. One that cannot be read is no record: the step runs again.
//! The solver calls this; what a key or a slot is made from is its decision.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
use serde::{Deserialize, Serialize};

use crate::boot::Stamp;
use crate::digest::DiffId;
use crate::error::{At, FileError, optional};
use crate::keys::{Key, Part};
use crate::remote::LayerOrigin;
use crate::store::Store;
use crate::tmp::remove_all;

/// The step records of a store.
#[derive(Clone, Debug)]
pub struct Records {
    store: Store,
}

/// The result of one executed step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// What the step was made from.
    pub key: Key,
    /// Which step it is, content aside: the same line of the same Dockerfile, before and after an edit of its inputs.
    pub slot: Key,
    /// What the key was made from, to explain a later miss.
    pub parts: Vec<Part>,
    /// What else is known of it, for people: none of it is in the key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Part>,
    /// The layer the step added, if it added one.
    pub layer: Option<DiffId>,
    /// Where the layer can be had, if another machine made it and the store need not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<LayerOrigin>,
    /// When the step was executed.
    pub created: Timestamp,
    /// How long it took.
    pub milliseconds: u64,
}

#[derive(Serialize, Deserialize)]
struct Stored<T> {
    stamp: Stamp,
    #[serde(flatten)]
    value: T,
}

/// The part of a memo's file in front of its bytes.
#[derive(Serialize, Deserialize)]
struct MemoHead {
    stamp: Stamp,
    len: usize,
    /// Of the bytes. Some of what is remembered (an owner's numbers) would make another layer if it changed.
    crc: u32,
}

impl Records {
    pub(crate) fn new(store: Store) -> Records {
        Records { store }
    }

    /// The record of this key, if there is one that can be believed. That counts as a use of it, while the store is in
    /// use.
    pub fn get(&self, key: &Key) -> Result<Option<Record>, FileError> {
        let record = self.read(key)?;
        if let Some(since) = self.store.lease().since().filter(|_| record.is_some()) {
            note_use(&self.path("records", key), since);
        }
        Ok(record)
    }

    /// The record of this key as it lies there.
    pub(crate) fn read(&self, key: &Key) -> Result<Option<Record>, FileError> {
        let path = self.path("records", key);
        let Some(text) = optional(fs::read(&path).at("read", &path))? else { return Ok(None) };
        match serde_json::from_slice::<Stored<Record>>(&text) {
            Ok(stored) if stored.value.key == *key => {
                Ok(self.store.boot().trusts(&stored.stamp).then_some(stored.value))
            }
            _ => remove_all(&path).map(|()| None),
        }
    }

    /// Keeps a record, in place of an earlier one of the same key, and makes it the latest of its slot.
    pub fn put(&self, record: &Record) -> Result<(), FileError> {
        let stored = Stored { stamp: self.store.boot().stamp(), value: record };
        let text = self.store.to_json(&stored);
        let path = self.path("records", &record.key);
        self.store.tmp().publish_loosely(&text, &path)?;
        if let Some(since) = self.store.lease().since() {
            note_use(&path, since);
        }
        self.store.tmp().publish_loosely(record.key.to_string().as_bytes(), &self.path("slots", &record.slot))
    }

    /// The record that was put last for this slot.
    pub fn latest(&self, slot: &Key) -> Result<Option<Record>, FileError> {
        self.latest_key(slot)?.map_or(Ok(None), |key| self.read(&key))
    }

    /// The key of the record that was put last for this slot; the record itself may be gone.
    pub fn latest_key(&self, slot: &Key) -> Result<Option<Key>, FileError> {
        let path = self.path("slots", slot);
        let Some(text) = optional(fs::read(&path).at("read", &path))? else { return Ok(None) };
        match std::str::from_utf8(&text).ok().and_then(|text| text.parse().ok()) {
            Some(key) => Ok(Some(key)),
            None => remove_all(&path).map(|()| None),
        }
    }

    /// Bytes remembered under a key: something that can be computed again, but not for nothing.
    pub fn memo(&self, key: &Key) -> Result<Option<Vec<u8>>, FileError> {
        let path = self.path("memos", key);
        let Some(mut bytes) = optional(fs::read(&path).at("read", &path))? else { return Ok(None) };
        let Some((head, start)) = read_head(&bytes) else { return remove_all(&path).map(|()| None) };
        if !self.store.boot().trusts(&head.stamp) {
            return Ok(None);
        }
        bytes.drain(..start);
        Ok(Some(bytes))
    }

    /// Remembers bytes under a key, in place of earlier ones.
    pub fn set_memo(&self, key: &Key, bytes: &[u8]) -> Result<(), FileError> {
        let head = MemoHead { stamp: self.store.boot().stamp(), len: bytes.len(), crc: checksum(bytes) };
        let mut text = self.store.to_json(&head);
        text.push(b'\n');
        text.extend_from_slice(bytes);
        self.store.tmp().publish_loosely(&text, &self.path("memos", key))
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    fn path(&self, kind: &str, key: &Key) -> PathBuf {
        let name = key.to_string();
        self.store.inside(kind).join(&name[..2]).join(name)
    }
}

/// Notes when a file's content was used last: that is its modification time. A time that cannot be noted lets the file
/// look older than it is, nothing else.
pub(crate) fn note_use(path: &Path, at: Timespec) {
    let times = Timestamps { last_access: at, last_modification: at };
    let _ = utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW);
}

/// A memo's head and where its bytes begin, if the file is whole.
fn read_head(bytes: &[u8]) -> Option<(MemoHead, usize)> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let head: MemoHead = serde_json::from_slice(&bytes[..end]).ok()?;
    let body = &bytes[end + 1..];
    (body.len() == head.len && checksum(body) == head.crc).then_some((head, end + 1))
}

fn checksum(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::testing::{forget_boot, store};

    fn record(key: u8) -> Record {
        Record {
            key: Key([key; 32]),
            slot: Key([0; 32]),
            parts: vec![Part { name: "argv".into(), value: "true".into() }],
            notes: vec![Part { name: "name".into(), value: "[2/2] RUN true".into() }],
            layer: Some(DiffId::from_hash([1; 32])),
            origin: None,
            created: Timestamp::UNIX_EPOCH,
            milliseconds: 12,
        }
    }

    #[test]
    fn records_are_found_by_key_and_the_latest_by_slot() {
        let (_dir, store) = store();
        let records = store.records();
        assert_eq!(records.get(&Key([1; 32])).unwrap(), None);
        records.put(&record(1)).unwrap();
        records.put(&record(2)).unwrap();
        assert_eq!(records.get(&Key([1; 32])).unwrap(), Some(record(1)));
        assert_eq!(records.latest(&Key([0; 32])).unwrap(), Some(record(2)));
        assert_eq!(records.latest(&Key([9; 32])).unwrap(), None);
    }

    #[test]
    fn a_corrupt_record_is_no_record_and_is_removed() {
        let (_dir, store) = store();
        let records = store.records();
        let path = records.path("records", &Key([1; 32]));
        let mut whole = Vec::new();
        for damage in [vec![], vec![0; 300], b"{\"stamp\":".to_vec(), b"[]".to_vec()] {
            records.put(&record(1)).unwrap();
            whole = fs::read(&path).unwrap();
            fs::write(&path, &damage).unwrap();
            assert_eq!(records.get(&Key([1; 32])).unwrap(), None);
            assert!(!path.exists());
        }
        // Another key's record under this name is damage too.
        let other = records.path("records", &Key([3; 32]));
        fs::create_dir_all(other.parent().unwrap()).unwrap();
        fs::write(&other, whole).unwrap();
        assert_eq!(records.get(&Key([3; 32])).unwrap(), None);
        fs::create_dir_all(records.path("slots", &Key([0; 32])).parent().unwrap()).unwrap();
        fs::write(records.path("slots", &Key([0; 32])), "../../etc/passwd").unwrap();
        assert_eq!(records.latest(&Key([0; 32])).unwrap(), None);
    }

    #[test]
    fn memos_keep_any_bytes_and_notice_damage() {
        let (_dir, store) = store();
        let records = store.records();
        let key = Key([5; 32]);
        for bytes in [b"".as_slice(), b"\n\n\0binary", &[7; 5000]] {
            records.set_memo(&key, bytes).unwrap();
            assert_eq!(records.memo(&key).unwrap().as_deref(), Some(bytes));
        }
        let path = records.path("memos", &key);
        let bytes = fs::read(&path).unwrap();
        let mut flipped = bytes.clone();
        *flipped.last_mut().unwrap() ^= 1;
        for damage in [&bytes[..bytes.len() - 1], &flipped] {
            fs::write(&path, damage).unwrap();
            assert_eq!(records.memo(&key).unwrap(), None);
            assert!(!path.exists());
        }
    }

    #[test]
    fn after_a_crash_only_what_was_synced_counts() {
        let (_dir, store) = store();
        store.records().put(&record(1)).unwrap();
        store.records().set_memo(&Key([8; 32]), b"x").unwrap();
        store.sync().unwrap();
        store.records().put(&record(2)).unwrap();
        store.records().set_memo(&Key([9; 32]), b"x").unwrap();
        let store = forget_boot(&store);
        assert!(store.records().get(&Key([1; 32])).unwrap().is_some());
        assert!(store.records().get(&Key([2; 32])).unwrap().is_none());
        assert!(store.records().memo(&Key([8; 32])).unwrap().is_some());
        assert!(store.records().memo(&Key([9; 32])).unwrap().is_none());
    }
}
