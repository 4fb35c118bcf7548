//! Recognising a selection by its stats alone.
//!
//! Ten thousand files that did not change need neither an index of their digests nor a listing: if names, inodes, sizes,
//! modes and times are all what they were when the digest was made, so is the digest. The rule is the stat index's own,
//! for all files at once, and so is its exception: what was touched just before it was looked at is not remembered,
//! because the clock of file times is coarse.

use std::os::unix::ffi::OsStrExt;

use kiln_cache::{Key, KeyBuilder, StatKey, Store};
use sha2::{Digest as _, Sha256};

use super::Match;
use crate::content::{Item, TreeError};

/// Bytes of an item in the hash, for most paths.
const ITEM: usize = 96;

/// A selection as its stats describe it.
pub(super) struct Stats {
    key: Key,
    settled: bool,
}

impl Stats {
    /// The stats of what was matched; `None` where items have none. `began` is the wall clock from before they were
    /// looked at, in nanoseconds since the epoch.
    pub(super) fn of(matches: &[Match], began: i64) -> Option<Self> {
        let count: usize = matches.iter().map(|found| found.below.len() + 1).sum();
        let mut bytes = Vec::with_capacity(count * ITEM);
        let mut settled = true;
        for found in matches {
            push(&mut bytes, found.name.as_bytes());
            bytes.push(u8::from(found.contents_only));
            bytes.extend_from_slice(&(found.below.len() as u64).to_le_bytes());
            for item in std::iter::once(&found.top).chain(&found.below) {
                let stat = item.stat.as_ref()?;
                push_item(&mut bytes, item, stat);
                settled &= stat.is_settled(began);
            }
        }
        let hash: [u8; 32] = Sha256::digest(&bytes).into();
        let key = KeyBuilder::new("stats of a selection").part("stats", hash).finish().0;
        Some(Self { key, settled })
    }

    /// The digest that the selection had when its stats were these.
    pub(super) fn recall(&self, store: &Store) -> Result<Option<[u8; 32]>, TreeError> {
        let memo = store.records().memo(&self.key)?;
        Ok(memo.and_then(|bytes| <[u8; 32]>::try_from(bytes.as_slice()).ok()))
    }

    /// Remembers the digest, unless a file was touched too recently to be sure of it.
    pub(super) fn remember(&self, store: &Store, digest: &[u8; 32]) -> Result<(), TreeError> {
        if self.settled {
            store.records().set_memo(&self.key, digest)?;
        }
        Ok(())
    }
}

fn push_item(bytes: &mut Vec<u8>, item: &Item, stat: &StatKey) {
    push(bytes, item.path.as_os_str().as_bytes());
    for number in [stat.dev, stat.ino, stat.size, u64::from(stat.mode)] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    for time in [stat.mtime_ns, stat.ctime_ns] {
        bytes.extend_from_slice(&time.to_le_bytes());
    }
}

/// Adds a text so that no two lists of texts give the same bytes: its length comes first.
fn push(bytes: &mut Vec<u8>, text: &[u8]) {
    bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
    bytes.extend_from_slice(text);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::content::ItemKind;
    use std::path::PathBuf;

    fn item(path: &str, ctime_ns: i64) -> Item {
        Item {
            path: PathBuf::from(path),
            kind: ItemKind::File { size: 1 },
            mode: 0o644,
            uid: 0,
            gid: 0,
            mtime: 0,
            identity: None,
            stat: Some(StatKey { dev: 1, ino: 2, size: 1, mode: 0o100_644, mtime_ns: 5, ctime_ns }),
        }
    }

    fn found(name: &str, top: Item, below: Vec<Item>) -> Match {
        Match { name: name.into(), top, below, contents_only: false }
    }

    fn key(matches: &[Match]) -> Key {
        Stats::of(matches, i64::MAX).unwrap().key
    }

    #[test]
    fn every_stat_and_every_name_counts() {
        let base = key(&[found("a", item("a", 7), vec![item("a/b", 7)])]);
        assert_eq!(base, key(&[found("a", item("a", 7), vec![item("a/b", 7)])]));
        assert_ne!(base, key(&[found("a", item("a", 7), vec![item("a/b", 8)])]));
        assert_ne!(base, key(&[found("a", item("a", 7), vec![item("a/c", 7)])]));
        assert_ne!(base, key(&[found("b", item("a", 7), vec![item("a/b", 7)])]));
        assert_ne!(base, key(&[found("a", item("a", 7), vec![]), found("a/b", item("a/b", 7), vec![])]));
        let mut other = item("a/b", 7);
        other.stat.as_mut().unwrap().mode = 0o100_755;
        assert_ne!(base, key(&[found("a", item("a", 7), vec![other])]));
    }

    #[test]
    fn what_was_just_touched_is_not_remembered() {
        let matches = [found("a", item("a", 7), vec![item("a/b", 1_000_000_001)])];
        assert!(!Stats::of(&matches, 1_000_000_001).unwrap().settled);
        assert!(!Stats::of(&matches, 1_020_000_001).unwrap().settled);
        assert!(Stats::of(&matches, 1_020_000_002).unwrap().settled);
    }

    #[test]
    fn items_without_a_stat_have_no_stats() {
        let mut bare = item("a", 1);
        bare.stat = None;
        assert!(Stats::of(&[found("a", bare, Vec::new())], 0).is_none());
    }
}
