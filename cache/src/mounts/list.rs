//! Which caches there are, what they hold, and how one goes.

use std::fs;
use std::io;
use std::path::Path;
use std::time::SystemTime;

use jiff::Timestamp;

use super::{CacheMountError, CacheMounts, CacheName};
use crate::disk::disk_usage;
use crate::error::{At, FileError, optional};
use crate::keys::Key;
use crate::locks;
use crate::store::{StoreError, list};
use crate::tmp::remove_all;

/// A cache mount with all its directories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheMount {
    /// What its directory is called.
    pub key: Key,
    /// What it is called; unknown for one whose name was lost.
    pub name: Option<CacheName>,
    /// Its directories, by number. More than one only where steps want one each.
    pub copies: Vec<CacheCopy>,
}

/// One directory of a cache mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheCopy {
    /// Its number.
    pub number: usize,
    /// Bytes on disk.
    pub bytes: u64,
    /// When a step had it last.
    pub last_used: Timestamp,
    /// Whether a step has it now.
    pub in_use: bool,
}

impl CacheMount {
    /// The id, or the beginning of the key where no id is known.
    pub fn id(&self) -> String {
        match &self.name {
            Some(name) => name.id.clone(),
            None => self.key.to_string().chars().take(12).collect(),
        }
    }

    /// Bytes on disk of all its directories.
    pub fn bytes(&self) -> u64 {
        self.copies.iter().map(|copy| copy.bytes).sum()
    }

    /// When a step had one of its directories last.
    pub fn last_used(&self) -> Option<Timestamp> {
        self.copies.iter().map(|copy| copy.last_used).max()
    }

    /// Whether a step has one of its directories now.
    pub fn in_use(&self) -> bool {
        self.copies.iter().any(|copy| copy.in_use)
    }
}

impl CacheMounts {
    /// Every cache mount, sorted by id. Looks at every file of them.
    pub fn list(&self) -> Result<Vec<CacheMount>, StoreError> {
        let dir = self.store.inside("mounts");
        let keys = list(&dir)?.into_iter().filter_map(|name| name.to_str()?.parse::<Key>().ok());
        let mut mounts = keys
            .map(|key| self.look_at(&key, |_, directory, _, _| disk_usage(directory)))
            .collect::<Result<Vec<_>, _>>()?;
        mounts.retain(|mount| !mount.copies.is_empty());
        mounts.sort_by_key(|mount| (mount.id(), mount.key));
        Ok(mounts)
    }

    /// The caches that a user may mean: those of that id, or the one whose key begins so (twelve digits at least).
    pub fn find(&self, id: &str) -> Result<Vec<CacheMount>, StoreError> {
        let mut found = self.list()?;
        found.retain(|mount| {
            mount.name.as_ref().is_some_and(|name| name.id == id)
                || (id.len() >= 12 && mount.key.to_string().starts_with(id))
        });
        Ok(found)
    }

    /// Removes all directories of a cache, or none: a step that has one of them keeps it. Gives the bytes that were
    /// set free on disk.
    pub fn remove(&self, mount: &CacheMount) -> Result<u64, CacheMountError> {
        let home = self.home(&mount.key);
        let mut locked = Vec::new();
        for number in numbers(&home)? {
            let path = home.join(number.to_string()).join("lock");
            match optional(locks::try_exclusive(&path))? {
                Some(Some(lock)) => locked.push((number, lock)),
                Some(None) => return Err(CacheMountError::InUse { id: mount.id() }),
                None => {}
            }
        }
        let mut bytes = 0;
        for (number, _lock) in &locked {
            bytes += self.remove_directory(&home.join(number.to_string()))?;
        }
        forget_if_empty(&home)?;
        Ok(bytes)
    }

    /// Removes one directory of a cache unless a step has it. Gives the bytes that were set free.
    pub(crate) fn try_remove_copy(&self, key: &Key, number: usize) -> Result<Option<u64>, StoreError> {
        let home = self.home(key);
        let directory = home.join(number.to_string());
        let Some(Some(_lock)) = optional(locks::try_exclusive(&directory.join("lock")))? else {
            return Ok(None);
        };
        let bytes = self.remove_directory(&directory)?;
        forget_if_empty(&home)?;
        Ok(Some(bytes))
    }

    /// A cache leaves its place in one step: a part of it must never be taken for all. The caller has it alone.
    fn remove_directory(&self, directory: &Path) -> Result<u64, FileError> {
        let bytes = disk_usage(directory)?;
        if let Some(taken) = self.store.tmp().take_away(directory)? {
            remove_all(&taken)?;
        }
        Ok(bytes)
    }

    /// What is known of one cache. `size` tells the bytes of the directory of a number, which was used last then and
    /// may be in use.
    pub(crate) fn look_at(
        &self,
        key: &Key,
        mut size: impl FnMut(usize, &Path, SystemTime, bool) -> Result<u64, FileError>,
    ) -> Result<CacheMount, FileError> {
        let home = self.home(key);
        let mut copies = Vec::new();
        for number in numbers(&home)? {
            let directory = home.join(number.to_string());
            let Some((used, in_use)) = look_at_lock(&directory.join("lock"))? else { continue };
            let last_used = Timestamp::try_from(used).unwrap_or(Timestamp::UNIX_EPOCH);
            copies.push(CacheCopy {
                number,
                bytes: size(number, &directory, used, in_use)?,
                last_used,
                in_use,
            });
        }
        Ok(CacheMount { key: *key, name: read_name(&home)?, copies })
    }
}

/// Removes the name of a cache that has no directory any more.
fn forget_if_empty(home: &Path) -> Result<(), FileError> {
    if !numbers(home)?.is_empty() {
        return Ok(());
    }
    remove_all(&home.join("name"))?;
    match fs::remove_dir(home) {
        // Somebody begins the cache anew at this moment.
        Err(error) if matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::NotFound) => {
            Ok(())
        }
        result => result.at("remove", home),
    }
}

/// The numbers of a cache's directories, in order.
fn numbers(home: &Path) -> Result<Vec<usize>, FileError> {
    let mut numbers: Vec<usize> =
        list(home)?.into_iter().filter_map(|name| name.to_str()?.parse().ok()).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// When a directory was used last, and whether it is in use; nothing if it is gone.
fn look_at_lock(path: &Path) -> Result<Option<(SystemTime, bool)>, FileError> {
    let Some(metadata) = optional(path.metadata().at("look at", path))? else { return Ok(None) };
    let used = metadata.modified().at("look at", path)?;
    let Some(lock) = optional(locks::try_exclusive(path))? else { return Ok(None) };
    Ok(Some((used, lock.is_none())))
}

/// What the cache is called. A name that cannot be read is lost, and the cache is none the worse.
fn read_name(home: &Path) -> Result<Option<CacheName>, FileError> {
    let path = home.join("name");
    let text = optional(fs::read(&path).at("read", &path))?;
    Ok(text.and_then(|text| serde_json::from_slice(&text).ok()))
}
