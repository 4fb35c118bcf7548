//! What the store holds, and how what nobody needs any more leaves it: mark from the roots, sweep the rest.
//!
//! Roots are images and step records. Everything is removed under the sole use of the store: builds and whoever else
//! relies on layers hold a share in it ([`Store::use_lock`]), so nothing disappears under them. A kill in the middle
//! leaves less garbage than before, never a reference to something that is gone that would be believed: what refers
//! goes before what is referred to.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::digest::{DiffId, Digest, sha256_hex};
use crate::error::{At, FileError, optional};
use crate::images::ImageRecord;
use crate::keys::Key;
use crate::locks;
use crate::store::{Store, StoreError, list};
use crate::tmp::remove_all;

/// What the store holds. Bytes are those taken on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of blobs.
    pub blobs: u64,
    /// Bytes of unpacked trees.
    pub layers: u64,
    /// Bytes of records, memos and indexes.
    pub records: u64,
    /// Bytes of cache mounts.
    pub mounts: u64,
    /// How many blobs.
    pub blob_count: u64,
    /// How many layers.
    pub layer_count: u64,
    /// How many step records.
    pub record_count: u64,
    /// How many images.
    pub image_count: u64,
}

/// What may go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PruneOptions {
    /// Also the results of steps (the build cache) and the cache mounts, which nothing refers to and which are worth
    /// keeping all the same. Otherwise only what no named image and no record leads to.
    pub all: bool,
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
    /// How many cache mounts.
    pub mounts: u64,
    /// Bytes set free on disk.
    pub bytes: u64,
}

/// What is needed.
#[derive(Debug, Default)]
struct Marked {
    layers: BTreeSet<String>,
    blobs: BTreeSet<String>,
}

impl Usage {
    /// Bytes of everything.
    pub fn total(&self) -> u64 {
        self.blobs + self.layers + self.records + self.mounts
    }
}

impl Store {
    /// How much there is. Looks at every file of the store.
    pub fn usage(&self) -> Result<Usage, StoreError> {
        let (blobs, blob_count) = files_below(&self.inside("blobs/sha256"))?;
        let (records, record_count) = files_below(&self.inside("records"))?;
        let others = ["slots", "memos", "indexes"].map(|dir| files_below(&self.inside(dir)));
        let mut usage = Usage { blobs, records, blob_count, record_count, ..Usage::default() };
        for other in others {
            usage.records += other?.0;
        }
        usage.layers = files_below(&self.inside("layers"))?.0;
        usage.mounts = files_below(&self.inside("mounts"))?.0;
        usage.layer_count = list(&self.inside("layers"))?.len() as u64;
        usage.image_count = list(&self.inside("images/ids"))?.len() as u64;
        Ok(usage)
    }

    /// Removes what no named image and no step record needs. Waits until no build is running.
    pub fn prune(&self, options: PruneOptions) -> Result<PruneReport, StoreError> {
        let _sole = locks::sole_use(&self.inside("locks/use"))?;
        self.prune_alone(options)
    }

    /// Like [`Store::prune`], but does nothing (and says so) while others use the store.
    pub fn try_prune(&self, options: PruneOptions) -> Result<Option<PruneReport>, StoreError> {
        match locks::try_sole_use(&self.inside("locks/use"))? {
            Some(_sole) => self.prune_alone(options).map(Some),
            None => Ok(None),
        }
    }

    /// Removes layers and blobs that no image, named or not, and no step record needs: what is left to do after
    /// [`Images::remove`](crate::Images::remove). Does nothing (and says so) while others use the store; the next
    /// prune will find it.
    pub fn remove_unreferenced(&self) -> Result<Option<PruneReport>, StoreError> {
        let Some(_sole) = locks::try_sole_use(&self.inside("locks/use"))? else { return Ok(None) };
        let mut report = PruneReport::default();
        self.sweep(&mut report)?;
        Ok(Some(report))
    }

    fn prune_alone(&self, options: PruneOptions) -> Result<PruneReport, StoreError> {
        let mut report = PruneReport::default();
        for (name, image) in self.images().list()? {
            if name.is_none() && self.images().remove(&image.id)? {
                report.images.push(image.id);
            }
        }
        if options.all {
            for dir in ["slots", "records", "memos", "indexes"] {
                let dir = self.inside(dir);
                let (bytes, count) = files_below(&dir)?;
                report.bytes += bytes;
                report.records += if dir.ends_with("records") { count } else { 0 };
                for name in list(&dir)? {
                    remove_all(&dir.join(name))?;
                }
            }
            self.remove_mounts(&mut report)?;
        } else {
            self.sweep_records(&mut report)?;
        }
        self.sweep(&mut report)?;
        self.sweep_locks()?;
        self.tmp().sweep()?;
        Ok(report)
    }

    /// Removes records that count no more: damaged, or lost in a crash. Records whose layer is not here any more
    /// could only disappoint.
    fn sweep_records(&self, report: &mut PruneReport) -> Result<(), StoreError> {
        for key in self.keys_in("records")? {
            let record = self.records().get(&key)?;
            let alive = match record.as_ref().map(|record| &record.layer) {
                Some(Some(layer)) => self.layers().info(layer)?.is_some(),
                Some(None) => true,
                None => false,
            };
            if !alive {
                let name = key.to_string();
                let path = self.inside("records").join(&name[..2]).join(&name);
                report.bytes += optional(disk_size(&path))?.unwrap_or(0);
                report.records += 1;
                remove_all(&path)?;
            }
        }
        for slot in self.keys_in("slots")? {
            if self.records().latest(&slot)?.is_none() {
                let name = slot.to_string();
                remove_all(&self.inside("slots").join(&name[..2]).join(&name))?;
            }
        }
        Ok(())
    }

    fn mark(&self) -> Result<Marked, StoreError> {
        let mut marked = Marked::default();
        for image in self.images().records()? {
            marked.image(&image)?;
        }
        for key in self.keys_in("records")? {
            if let Some(layer) = self.records().get(&key)?.and_then(|record| record.layer) {
                marked.layers.insert(layer.hex().to_owned());
            }
        }
        for hex in marked.layers.clone() {
            let Ok(diff_id) = format!("sha256:{hex}").parse::<DiffId>() else { continue };
            for form in self.layers().file(&diff_id)?.map(|file| file.blobs).unwrap_or_default() {
                marked.blobs.insert(sha256_hex(form.descriptor.digest())?.to_owned());
            }
        }
        Ok(marked)
    }

    /// Removes every layer and blob that is not marked.
    fn sweep(&self, report: &mut PruneReport) -> Result<(), StoreError> {
        let marked = self.mark()?;
        for (hex, path) in self.named("layers")? {
            if !marked.layers.contains(&hex) {
                report.bytes += files_below(&path)?.0;
                report.layers += 1;
                self.remove_layer(&path)?;
            }
        }
        for (hex, path) in self.named("blobs/sha256")? {
            if !marked.blobs.contains(&hex) {
                report.bytes += optional(disk_size(&path))?.unwrap_or(0);
                report.blobs += 1;
                remove_all(&self.inside("blobs/stamps").join(&hex))?;
                remove_all(&path)?;
            }
        }
        for (hex, path) in self.named("blobs/stamps")? {
            if !marked.blobs.contains(&hex) {
                remove_all(&path)?;
            }
        }
        Ok(())
    }

    /// A layer leaves its place in one step: half a tree must never be taken for one.
    fn remove_layer(&self, path: &Path) -> Result<(), StoreError> {
        remove_all(&path.join("info"))?;
        let trash = self.tmp().directory()?;
        crate::tmp::rename(path, &trash.path().join("layer"))?;
        Ok(remove_all(trash.path())?)
    }

    /// A cache leaves its place in one step as well: a part of it must never be taken for all.
    fn remove_mounts(&self, report: &mut PruneReport) -> Result<(), StoreError> {
        for (_, path) in self.named("mounts")? {
            report.bytes += files_below(&path)?.0;
            report.mounts += 1;
            let trash = self.tmp().directory()?;
            crate::tmp::rename(&path, &trash.path().join("mount"))?;
            remove_all(trash.path())?;
        }
        Ok(())
    }

    fn sweep_locks(&self) -> Result<(), StoreError> {
        for (_, path) in self.named("locks")? {
            // Whoever opened the file meanwhile notices, once it has the lock, that it is not there any more.
            if let Some(_held) = locks::try_exclusive(&path)? {
                remove_all(&path)?;
            }
        }
        Ok(())
    }

    /// Files named by 64 hexadecimal digits.
    fn named(&self, dir: &str) -> Result<Vec<(String, std::path::PathBuf)>, StoreError> {
        let dir = self.inside(dir);
        let names = list(&dir)?.into_iter().filter_map(|name| name.into_string().ok());
        let names = names.filter(|name| crate::digest::from_hex(name).is_some());
        Ok(names.map(|name| (name.clone(), dir.join(name))).collect())
    }

    fn keys_in(&self, dir: &str) -> Result<Vec<Key>, StoreError> {
        let mut keys = Vec::new();
        for shard in list(&self.inside(dir))? {
            for name in list(&self.inside(dir).join(shard))? {
                keys.extend(name.to_str().and_then(|name| name.parse::<Key>().ok()));
            }
        }
        Ok(keys)
    }
}

impl Marked {
    fn image(&mut self, image: &ImageRecord) -> Result<(), StoreError> {
        self.blobs.insert(sha256_hex(&image.id)?.to_owned());
        for descriptor in image.manifest.iter().chain(&image.layer_blobs) {
            self.blobs.insert(sha256_hex(descriptor.digest())?.to_owned());
        }
        self.layers.extend(image.layers.iter().map(|layer| layer.hex().to_owned()));
        Ok(())
    }
}

/// Bytes on disk and number of everything below a directory that is not a directory.
fn files_below(dir: &Path) -> Result<(u64, u64), FileError> {
    let (mut bytes, mut count) = (0, 0);
    let mut todo = vec![dir.to_owned()];
    while let Some(dir) = todo.pop() {
        let Some(entries) = optional(fs::read_dir(&dir).at("list", &dir))? else { continue };
        for entry in entries {
            let entry = entry.at("list", &dir)?;
            if entry.file_type().at("look at", &entry.path())?.is_dir() {
                todo.push(entry.path());
            } else if let Some(size) = optional(disk_size(&entry.path()))? {
                bytes += size;
                count += 1;
            }
        }
    }
    Ok((bytes, count))
}

/// Bytes on disk of one of a file's names: with several, the file's share.
fn disk_size(path: &Path) -> Result<u64, FileError> {
    let metadata = path.symlink_metadata().at("look at", path)?;
    Ok(metadata.blocks() * 512 / metadata.nlink().max(1))
}

#[cfg(test)]
mod tests;
