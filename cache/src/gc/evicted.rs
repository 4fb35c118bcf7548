//! When the records of steps were evicted: so that a step that has to run again can say why.
//!
//! One file of fixed entries, oldest first: `key (32 bytes), slot (32), seconds since 1970 (8, little endian)`. Never
//! more than [`MOST`] of them. No build relies on it: a file that is damaged or lost makes an explanation poorer.

use std::collections::HashSet;
use std::fs;

use jiff::Timestamp;

use crate::error::{At, FileError, optional};
use crate::keys::Key;
use crate::records::Records;
use crate::store::Store;

/// How many evictions are remembered: some 150 kB.
const MOST: usize = 2048;

/// Bytes of an entry.
const ENTRY: usize = 72;

impl Records {
    /// When the record of this key, or the last one of this slot, was removed to make room, as far as that is remembered.
    pub fn evicted(&self, key: &Key) -> Result<Option<Timestamp>, FileError> {
        let bytes = read(self.store())?;
        let found =
            bytes.chunks_exact(ENTRY).rev().find(|entry| entry[..32] == key.0 || entry[32..64] == key.0);
        let seconds =
            found.and_then(|entry| entry[64..].first_chunk()).map(|bytes| i64::from_le_bytes(*bytes));
        Ok(seconds.and_then(|seconds| Timestamp::from_second(seconds).ok()))
    }
}

/// Remembers that the records of these keys and slots were evicted now. The caller is the only one who removes things.
pub(crate) fn remember(store: &Store, evicted: &[(Key, Key)]) -> Result<(), FileError> {
    if evicted.is_empty() {
        return Ok(());
    }
    let now = Timestamp::now().as_second().to_le_bytes();
    let again: HashSet<&[u8]> = evicted.iter().map(|(key, _)| key.0.as_slice()).collect();
    let mut bytes = Vec::new();
    for entry in read(store)?.chunks_exact(ENTRY).filter(|entry| !again.contains(&entry[..32])) {
        bytes.extend_from_slice(entry);
    }
    for (key, slot) in evicted {
        bytes.extend([key.0, slot.0].concat());
        bytes.extend(now);
    }
    let first = bytes.len().saturating_sub(MOST * ENTRY);
    store.tmp().publish(&bytes[first..], &store.inside("evicted"))
}

fn read(store: &Store) -> Result<Vec<u8>, FileError> {
    let path = store.inside("evicted");
    Ok(optional(fs::read(&path).at("read", &path))?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::testing::store;

    fn key(number: usize) -> Key {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&number.to_le_bytes());
        Key(key)
    }

    #[test]
    fn evictions_are_remembered_by_key_and_slot_up_to_a_number() {
        let (_dir, store) = store();
        let records = store.records();
        assert_eq!(records.evicted(&key(1)).unwrap(), None);
        remember(&store, &[(key(1), Key([9; 32]))]).unwrap();
        let at = records.evicted(&key(1)).unwrap().unwrap();
        assert!(Timestamp::now().duration_since(at).as_secs() < 100);
        assert_eq!(records.evicted(&Key([9; 32])).unwrap(), Some(at));
        for round in 0..3 {
            let many: Vec<_> = (0..1000).map(|number| (key(round * 1000 + number), Key([8; 32]))).collect();
            remember(&store, &many).unwrap();
        }
        assert_eq!(records.evicted(&Key([9; 32])).unwrap(), None, "the oldest are forgotten");
        assert_eq!(
            records.evicted(&key(2999)).unwrap().is_some(),
            records.evicted(&key(1000)).unwrap().is_some()
        );
        assert_eq!(fs::metadata(store.inside("evicted")).unwrap().len(), (MOST * ENTRY) as u64);
        remember(&store, &[(key(2999), Key([7; 32]))]).unwrap();
        assert_eq!(fs::metadata(store.inside("evicted")).unwrap().len(), (MOST * ENTRY) as u64);
        fs::write(store.inside("evicted"), [0; 100]).unwrap();
        assert_eq!(records.evicted(&key(2999)).unwrap(), None);
    }
}
