//! The account of the last build of each project: one document a project, whose meaning is its writer's.
//!
//! Accounts are for people who ask what a build did: no build relies on one, and one that is lost is lost. So they carry no
//! stamp, and there are never more than [`MAX_BUILDS`] of them: those that were written longest ago go first.

use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

use crate::error::{At, FileError, optional};
use crate::keys::Key;
use crate::store::{Store, list};
use crate::tmp::remove_all;

/// How many projects have an account: more than anybody works on at a time.
const MAX_BUILDS: usize = 500;

/// The accounts of a store.
#[derive(Clone, Debug)]
pub struct Builds {
    store: Store,
}

impl Builds {
    pub(crate) fn new(store: Store) -> Builds {
        Builds { store }
    }

    /// The account of a project's last build.
    pub fn get(&self, project: &Key) -> Result<Option<Vec<u8>>, FileError> {
        let path = self.path(project);
        optional(fs::read(&path).at("read", &path))
    }

    /// Keeps an account in place of the last one.
    pub fn put(&self, project: &Key, account: &[u8]) -> Result<(), FileError> {
        let path = self.path(project);
        let is_new = optional(path.metadata().at("look at", &path))?.is_none();
        self.store.tmp().publish_loosely(account, &path)?;
        if is_new { self.keep_newest(MAX_BUILDS) } else { Ok(()) }
    }

    /// Removes all but the newest accounts.
    fn keep_newest(&self, count: usize) -> Result<(), FileError> {
        let dir = self.store.inside("builds");
        let names = list(&dir)?;
        if names.len() <= count {
            return Ok(());
        }
        let mut accounts: Vec<(SystemTime, PathBuf)> = Vec::with_capacity(names.len());
        for path in names.into_iter().map(|name| dir.join(name)) {
            // Another process may have removed it.
            if let Some(metadata) = optional(path.metadata().at("look at", &path))? {
                accounts.push((metadata.modified().at("look at", &path)?, path));
            }
        }
        accounts.sort_unstable_by(|left, right| right.cmp(left));
        accounts.iter().skip(count).try_for_each(|(_, path)| remove_all(path))
    }

    fn path(&self, project: &Key) -> PathBuf {
        self.store.inside("builds").join(project.to_string())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::testing::store;

    #[test]
    fn the_last_account_of_a_project_is_kept() {
        let (_dir, store) = store();
        let builds = store.builds();
        assert_eq!(builds.get(&Key([1; 32])).unwrap(), None);
        builds.put(&Key([1; 32]), b"first").unwrap();
        builds.put(&Key([1; 32]), b"second").unwrap();
        assert_eq!(builds.get(&Key([1; 32])).unwrap().as_deref(), Some(b"second".as_slice()));
        assert_eq!(builds.get(&Key([2; 32])).unwrap(), None);
    }

    #[test]
    fn the_oldest_accounts_go() {
        let (_dir, store) = store();
        let builds = store.builds();
        for number in 0..5_u8 {
            let project = Key([number; 32]);
            builds.put(&project, b"x").unwrap();
            let at = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1000 - u64::from(number));
            fs::File::options().write(true).open(builds.path(&project)).unwrap().set_modified(at).unwrap();
        }
        builds.keep_newest(2).unwrap();
        let left: Vec<bool> =
            (0..5).map(|number| builds.get(&Key([number; 32])).unwrap().is_some()).collect();
        assert_eq!(left, [true, true, false, false, false]);
    }
}
