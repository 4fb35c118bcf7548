//! Which of the files in the store can be believed: those of this boot, and those that an earlier boot had synced.
//!
//! The kernel keeps what was written in order for every reader of the same boot, so a file renamed into place is
//! complete at once and needs no fsync. After a crash of the machine a renamed file may be there without its bytes.
//! Everything that counts therefore carries a [`Stamp`], taken after its bytes were written; a stamp of another boot
//! is believed only if that boot completed a sync of the whole file system that began after the stamp.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use crate::error::{At, FileError, optional};

/// Where the kernel says which boot this is.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// When something was written: the boot, and the nanoseconds since it began (suspended time included).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stamp {
    pub boot: String,
    pub at: u64,
}

/// What this process knows about boots.
#[derive(Debug)]
pub(crate) struct Boot {
    id: String,
    /// The start of the last completed sync of each earlier boot. Those boots are over: this never changes.
    synced: BTreeMap<String, u64>,
}

impl Boot {
    /// Reads which boot this is, and what earlier boots synced according to the file `synced`.
    pub fn read(synced: &Path) -> Result<Boot, FileError> {
        let path = PathBuf::from(BOOT_ID);
        let id = fs::read_to_string(&path).at("read", &path)?.trim().to_owned();
        Ok(Boot { id, synced: read_synced(synced)? })
    }

    /// The id of the running boot.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// A stamp of this moment: take it after the bytes it speaks for are written.
    pub fn stamp(&self) -> Stamp {
        Stamp { boot: self.id.clone(), at: since_boot() }
    }

    /// Whether what carries this stamp is certainly complete on disk.
    pub fn trusts(&self, stamp: &Stamp) -> bool {
        stamp.boot == self.id || self.synced.get(&stamp.boot).is_some_and(|synced| stamp.at < *synced)
    }
}

/// Nanoseconds since the machine started.
pub(crate) fn since_boot() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}

/// The syncs that were completed, by boot. A damaged file is an empty one: less is believed, nothing is wrong.
pub(crate) fn read_synced(path: &Path) -> Result<BTreeMap<String, u64>, FileError> {
    let text = optional(fs::read(path).at("read", path))?.unwrap_or_default();
    Ok(serde_json::from_slice(&text).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn this_boot_is_believed_and_others_as_far_as_they_synced() {
        let boot = Boot { id: "now".into(), synced: BTreeMap::from([("before".to_owned(), 100)]) };
        assert!(boot.trusts(&boot.stamp()));
        assert!(boot.trusts(&Stamp { boot: "before".into(), at: 99 }));
        assert!(!boot.trusts(&Stamp { boot: "before".into(), at: 100 }));
        assert!(!boot.trusts(&Stamp { boot: "crashed".into(), at: 1 }));
    }

    #[test]
    fn a_damaged_list_of_syncs_believes_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("synced");
        assert!(read_synced(&path).unwrap().is_empty());
        fs::write(&path, [0; 40]).unwrap();
        assert!(read_synced(&path).unwrap().is_empty());
    }
}
