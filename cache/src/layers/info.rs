//! The file `layers/HEX/info`: which forms a layer has, and which of them can be believed.
//!
//! Replaced as a whole under the layer's lock; read without one. A file that cannot be read is no layer.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use oci_spec::image::Descriptor;
use serde::{Deserialize, Serialize};

use crate::boot::Stamp;
use crate::digest::DiffId;
use crate::error::{At, FileError, optional};
use crate::keys::{Key, KeyBuilder};
use crate::layers::{LayerInfo, Layers};
use crate::lease::Held;
use crate::locks::{self, KeyLock};

/// What is known of a layer and its forms.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct LayerFile {
    pub diff_id: DiffId,
    /// Bytes and entries of the tar; 0 until it was read through.
    pub size: u64,
    pub entries: u64,
    pub tree: Option<TreeForm>,
    /// Trees that hold for one chain of lower layers only, by the chain's key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub bound: BTreeMap<String, Stamp>,
    #[serde(default)]
    pub blobs: Vec<BlobForm>,
}

/// The unpacked directory.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct TreeForm {
    pub stamp: Stamp,
    /// Whether walking it gives the layer's tar back: true for what was made here, false for a foreign tar.
    pub gives_tar: bool,
}

/// A blob that holds the layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BlobForm {
    pub descriptor: Descriptor,
    /// Which compressor made it here, with its version; none for a blob from elsewhere.
    pub maker: Option<String>,
}

impl LayerFile {
    pub fn new(diff_id: DiffId) -> LayerFile {
        LayerFile { diff_id, size: 0, entries: 0, tree: None, bound: BTreeMap::new(), blobs: Vec::new() }
    }

    /// What callers get to see.
    pub fn info(&self) -> LayerInfo {
        LayerInfo { diff_id: self.diff_id.clone(), size: self.size, entries: self.entries }
    }

    /// Adds a blob form, once.
    pub fn add_blob(&mut self, form: BlobForm) {
        if !self.blobs.iter().any(|other| other.descriptor.digest() == form.descriptor.digest()) {
            self.blobs.push(form);
        }
    }
}

impl Layers {
    /// The layer's own directory.
    pub(crate) fn dir(&self, diff_id: &DiffId) -> PathBuf {
        self.store.inside("layers").join(diff_id.hex())
    }

    /// What is known of a layer, believed or not. It stays for as long as the store is in use.
    pub(crate) fn file(&self, diff_id: &DiffId) -> Result<Option<LayerFile>, FileError> {
        self.store.hold(Held::layer(diff_id))?;
        self.read_file(diff_id)
    }

    /// What is known of a layer at this moment.
    pub(crate) fn read_file(&self, diff_id: &DiffId) -> Result<Option<LayerFile>, FileError> {
        let path = self.dir(diff_id).join("info");
        let Some(text) = optional(fs::read(&path).at("read", &path))? else { return Ok(None) };
        Ok(serde_json::from_slice::<LayerFile>(&text).ok().filter(|file| file.diff_id == *diff_id))
    }

    /// Changes what is known of a layer.
    pub(crate) fn update(
        &self,
        diff_id: &DiffId,
        change: impl FnOnce(&mut LayerFile),
    ) -> Result<LayerFile, FileError> {
        let _lock = self.work_lock("layer info", diff_id)?;
        let mut file = self.file(diff_id)?.unwrap_or_else(|| LayerFile::new(diff_id.clone()));
        change(&mut file);
        self.store.tmp().publish(&self.store.to_json(&file), &self.dir(diff_id).join("info"))?;
        Ok(file)
    }

    /// Waits for the lock on one kind of work on a layer.
    pub(crate) fn work_lock(&self, work: &str, diff_id: &DiffId) -> Result<KeyLock, FileError> {
        let (key, _) = KeyBuilder::new(work).part("layer", diff_id.hex()).finish();
        locks::exclusive(&self.store.inside("locks").join(key.to_string()))
    }
}

/// The key of a chain of lower layers.
pub(crate) fn chain_key(lowers: &[DiffId]) -> Key {
    let start = KeyBuilder::new("chain");
    lowers.iter().fold(start, |key, diff_id| key.part("layer", diff_id.hex())).finish().0
}
