//! How large layers and cache mounts are on disk, remembered: they are walked once, not each time that room is made.
//!
//! A size counts for as long as the time of the file that it was noted with stays the same: a layer's directory changes
//! with each of its forms, a cache's lock with each use. One JSON file; lost, it is made again.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::disk::disk_usage;
use crate::error::{At, FileError, optional};
use crate::store::Store;

/// How long something must have been left alone for its size to be remembered: times on files advance with the timer
/// tick, at most 10 ms long.
const SETTLED: Duration = Duration::from_millis(20);

/// Sizes by the path below the store's directory, with the time (nanoseconds since 1970) that they were noted with.
#[derive(Debug)]
pub(crate) struct Sizes {
    known: BTreeMap<String, (i64, u64)>,
    current: BTreeMap<String, (i64, u64)>,
    /// When the look at the store began.
    now: SystemTime,
}

impl Sizes {
    /// What is remembered. A file that cannot be read is an empty one.
    pub fn load(store: &Store) -> Result<Sizes, FileError> {
        let path = store.inside("sizes");
        let text = optional(fs::read(&path).at("read", &path))?.unwrap_or_default();
        let known = serde_json::from_slice(&text).unwrap_or_default();
        Ok(Sizes { known, current: BTreeMap::new(), now: SystemTime::now() })
    }

    /// Bytes on disk of a directory that has not changed as long as `changed` has not.
    pub fn of(&mut self, name: String, directory: &Path, changed: SystemTime) -> Result<u64, FileError> {
        let at = nanoseconds(changed);
        let bytes = match self.known.get(&name) {
            Some((noted, bytes)) if *noted == at => *bytes,
            _ => disk_usage(directory)?,
        };
        // A time in the future is no time that has passed.
        if self.now.duration_since(changed).is_ok_and(|age| age >= SETTLED) {
            self.current.insert(name, (at, bytes));
        }
        Ok(bytes)
    }

    /// Remembers what was found; what was not asked for is forgotten.
    pub fn save(&self, store: &Store) {
        if self.current != self.known {
            // On a full disk it cannot be written, and that is when room is made: it is found out again then.
            let _ = store.tmp().publish(&store.to_json(&self.current), &store.inside("sizes"));
        }
    }
}

/// Nanoseconds since 1970.
pub(crate) fn nanoseconds(time: SystemTime) -> i64 {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |before| -before),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::testing::store;

    #[test]
    fn a_size_counts_until_something_changes() {
        let (_dir, store) = store();
        let tree = store.inside("layers/x");
        fs::create_dir(&tree).unwrap();
        fs::write(tree.join("file"), vec![1; 10_000]).unwrap();
        let old = SystemTime::now() - Duration::from_secs(9);
        let mut sizes = Sizes::load(&store).unwrap();
        let first = sizes.of("x".into(), &tree, old).unwrap();
        assert!(first > 10_000);
        sizes.of("racy".into(), &tree, SystemTime::now()).unwrap();
        sizes.of("future".into(), &tree, SystemTime::now() + Duration::from_secs(99)).unwrap();
        sizes.save(&store);
        fs::write(tree.join("more"), vec![1; 10_000]).unwrap();
        let mut sizes = Sizes::load(&store).unwrap();
        assert_eq!(sizes.of("x".into(), &tree, old).unwrap(), first);
        assert!(sizes.of("racy".into(), &tree, old).unwrap() > first);
        assert!(sizes.of("future".into(), &tree, old).unwrap() > first);
        assert!(sizes.of("x".into(), &tree, old + Duration::from_secs(1)).unwrap() > first);
        fs::write(store.inside("sizes"), "{").unwrap();
        assert!(Sizes::load(&store).unwrap().of("x".into(), &tree, old).unwrap() > first);
    }
}
