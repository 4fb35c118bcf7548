//! Images: which there are, what they are called, which layers they have.
//!
//! An image is its record, kept under its id; a name is a small file that points to an id. Documents (manifest,
//! configuration) are blobs. Names are the callers' strings, already normalised: this module does not parse them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use oci_spec::image::Descriptor;
use rustix::fs::{Timespec, UTIME_NOW};
use serde::{Deserialize, Serialize};

use crate::digest::{DiffId, Digest, digest_of, sha256_hex};
use crate::error::{At, FileError, optional};
use crate::lease::Held;
use crate::records::note_use;
use crate::remote::LayerOrigin;
use crate::store::{Store, StoreError};
use crate::tmp::remove_all;

/// The images of a store.
#[derive(Clone, Debug)]
pub struct Images {
    store: Store,
}

/// One image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageRecord {
    /// The digest of its configuration: the image id.
    pub id: Digest,
    /// The manifest as it was pulled or loaded, if it was.
    pub manifest: Option<Descriptor>,
    /// Its layers, bottom first.
    pub layers: Vec<DiffId>,
    /// For an image from elsewhere: the blob of each layer, in the same order. Otherwise empty.
    pub layer_blobs: Vec<Descriptor>,
    /// The reference it can be fetched from.
    pub origin: Option<String>,
    /// For layers that come from a shared cache, and need not be here: where they can be had.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub layer_origins: BTreeMap<DiffId, LayerOrigin>,
    /// Operating system and architecture ("linux/amd64").
    pub platform: String,
    /// When it was made, as its configuration says it.
    pub created: Option<String>,
    /// The size of its layers in bytes.
    pub size: u64,
}

/// A name of an image.
#[derive(Serialize, Deserialize)]
pub(crate) struct Named {
    pub name: String,
    pub id: Digest,
    /// Only builds asked for it: the image is cache, and may go like the results of steps.
    #[serde(default, skip_serializing_if = "is_false")]
    pub pulled: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_false(value: &bool) -> bool {
    !value
}

impl Images {
    pub(crate) fn new(store: Store) -> Images {
        Images { store }
    }

    /// The image of that name.
    pub fn get(&self, name: &str) -> Result<Option<ImageRecord>, StoreError> {
        match read_name(&self.name_path(name))? {
            Some(named) if named.name == name => self.by_id(&named.id),
            _ => Ok(None),
        }
    }

    /// The image of that id.
    pub fn by_id(&self, id: &Digest) -> Result<Option<ImageRecord>, StoreError> {
        self.store.hold(Held::image(id)?)?;
        let record = self.read(id)?;
        if let Some(since) = self.store.lease().since().filter(|_| record.is_some()) {
            note_use(&self.id_path(id)?, since);
        }
        Ok(record)
    }

    /// The image of that id as it lies there.
    pub(crate) fn read(&self, id: &Digest) -> Result<Option<ImageRecord>, StoreError> {
        let path = self.id_path(id)?;
        let Some(text) = optional(fs::read(&path).at("read", &path))? else { return Ok(None) };
        match serde_json::from_slice::<ImageRecord>(&text) {
            Ok(record) if record.id == *id => Ok(Some(record)),
            // Not written to the end before the machine stopped: there is no such image.
            _ => Ok(remove_all(&path).map(|()| None)?),
        }
    }

    /// Keeps an image without a name.
    pub fn add(&self, record: &ImageRecord) -> Result<(), StoreError> {
        self.store.hold(Held::image(&record.id)?)?;
        let text = self.store.to_json(record);
        self.keep(&text, &self.id_path(&record.id)?)
    }

    /// Keeps a document, by its use alone if it is there.
    fn keep(&self, text: &[u8], path: &Path) -> Result<(), StoreError> {
        if optional(fs::read(path).at("read", path))?.is_some_and(|there| there == text) {
            note_use(path, Timespec { tv_sec: 0, tv_nsec: UTIME_NOW });
            return Ok(());
        }
        Ok(self.store.tmp().publish(text, path)?)
    }

    /// Keeps an image and gives it a name, in one step for everybody who looks at the name.
    pub fn set(&self, name: &str, record: &ImageRecord) -> Result<(), StoreError> {
        self.add(record)?;
        self.point(name, record, false)
    }

    /// Like [`Images::set`], for an image that only a build needs: it may go when room is needed, unless the user has
    /// asked for that name before.
    pub fn set_pulled(&self, name: &str, record: &ImageRecord) -> Result<(), StoreError> {
        self.add(record)?;
        let asked_for = read_name(&self.name_path(name))?.is_some_and(|named| !named.pulled);
        self.point(name, record, !asked_for)
    }

    fn point(&self, name: &str, record: &ImageRecord, pulled: bool) -> Result<(), StoreError> {
        let named = Named { name: name.to_owned(), id: record.id.clone(), pulled };
        self.keep(&self.store.to_json(&named), &self.name_path(name))
    }

    /// Takes a name away; the image stays. Says whether there was such a name.
    pub fn untag(&self, name: &str) -> Result<bool, StoreError> {
        let path = self.name_path(name);
        Ok(optional(fs::remove_file(&path).at("remove", &path))?.is_some())
    }

    /// Removes an image and every name it has. Its layers and documents stay until
    /// [`Store::remove_unreferenced`] or [`Store::prune`]. Says whether there was such an image.
    pub fn remove(&self, id: &Digest) -> Result<bool, StoreError> {
        for named in self.names()? {
            if named.id == *id {
                self.untag(&named.name)?;
            }
        }
        let path = self.id_path(id)?;
        Ok(optional(fs::remove_file(&path).at("remove", &path))?.is_some())
    }

    /// Every name with its image, sorted by name; then the images without one.
    pub fn list(&self) -> Result<Vec<(Option<String>, ImageRecord)>, StoreError> {
        let mut unnamed = self.records()?;
        let mut list = Vec::new();
        let mut names = self.names()?;
        names.sort_by(|a, b| a.name.cmp(&b.name));
        for named in names {
            if let Some(record) = self.by_id(&named.id)? {
                unnamed.retain(|other| other.id != record.id);
                list.push((Some(named.name), record));
            }
        }
        list.extend(unnamed.into_iter().map(|record| (None, record)));
        Ok(list)
    }

    /// The names of one image, sorted.
    pub fn names_of(&self, id: &Digest) -> Result<Vec<String>, StoreError> {
        let of_id = self.names()?.into_iter().filter(|named| named.id == *id);
        let mut names: Vec<String> = of_id.map(|named| named.name).collect();
        names.sort();
        Ok(names)
    }

    /// The images whose id begins with these hexadecimal digits (a leading `sha256:` is allowed).
    pub fn by_id_prefix(&self, prefix: &str) -> Result<Vec<ImageRecord>, StoreError> {
        let digits = prefix.strip_prefix("sha256:").unwrap_or(prefix);
        if digits.is_empty() {
            return Ok(Vec::new());
        }
        let mut records = self.records()?;
        records.retain(|record| record.id.digest().starts_with(digits));
        Ok(records)
    }

    /// Every image once, sorted by id.
    pub(crate) fn records(&self) -> Result<Vec<ImageRecord>, StoreError> {
        let dir = self.store.inside("images/ids");
        let mut records = Vec::new();
        for name in crate::store::list(&dir)? {
            if let Ok(id) = format!("sha256:{}", name.to_string_lossy()).parse() {
                records.extend(self.by_id(&id)?);
            }
        }
        records.sort_by(|a, b| a.id.as_ref().cmp(b.id.as_ref()));
        Ok(records)
    }

    fn names(&self) -> Result<Vec<Named>, StoreError> {
        let dir = self.store.inside("images/names");
        let mut names = Vec::new();
        for name in crate::store::list(&dir)? {
            names.extend(read_name(&dir.join(name))?);
        }
        Ok(names)
    }

    fn id_path(&self, id: &Digest) -> Result<PathBuf, StoreError> {
        Ok(self.store.inside("images/ids").join(sha256_hex(id)?))
    }

    /// Names may be longer than a file name may, and hold slashes: their digest is the file's name.
    fn name_path(&self, name: &str) -> PathBuf {
        self.store.inside("images/names").join(digest_of(name.as_bytes()).digest())
    }
}

pub(crate) fn read_name(path: &Path) -> Result<Option<Named>, FileError> {
    let Some(text) = optional(fs::read(path).at("read", path))? else { return Ok(None) };
    match serde_json::from_slice(&text) {
        Ok(named) => Ok(Some(named)),
        Err(_) => remove_all(path).map(|()| None),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::testing::store;

    fn image(content: &str) -> ImageRecord {
        ImageRecord {
            id: digest_of(content.as_bytes()),
            manifest: None,
            layers: vec![DiffId::from_hash([1; 32])],
            layer_blobs: Vec::new(),
            origin: None,
            layer_origins: BTreeMap::new(),
            platform: "linux/amd64".into(),
            created: None,
            size: 1,
        }
    }

    #[test]
    fn a_name_points_to_one_image_and_can_move() {
        let (_dir, store) = store();
        let images = store.images();
        assert_eq!(images.get("docker.io/library/app:latest").unwrap(), None);
        images.set("docker.io/library/app:latest", &image("a")).unwrap();
        images.set("docker.io/library/app:latest", &image("b")).unwrap();
        images.set("docker.io/library/app:2", &image("b")).unwrap();
        assert_eq!(images.get("docker.io/library/app:latest").unwrap(), Some(image("b")));
        assert_eq!(images.names_of(&image("b").id).unwrap().len(), 2);
        let list = images.list().unwrap();
        let names: Vec<_> = list.iter().map(|(name, _)| name.as_deref()).collect();
        assert_eq!(names, [Some("docker.io/library/app:2"), Some("docker.io/library/app:latest"), None]);
    }

    #[test]
    fn untag_keeps_the_image_and_remove_takes_its_names() {
        let (_dir, store) = store();
        let images = store.images();
        images.set("a", &image("x")).unwrap();
        images.set("b", &image("x")).unwrap();
        assert!(images.untag("a").unwrap() && !images.untag("a").unwrap());
        assert!(images.by_id(&image("x").id).unwrap().is_some());
        assert!(images.remove(&image("x").id).unwrap() && !images.remove(&image("x").id).unwrap());
        assert!(images.list().unwrap().is_empty());
    }

    #[test]
    fn prefixes_of_ids_select() {
        let (_dir, store) = store();
        let images = store.images();
        images.add(&image("x")).unwrap();
        let hex = image("x").id.digest().to_owned();
        assert_eq!(images.by_id_prefix(&hex[..12]).unwrap().len(), 1);
        assert_eq!(images.by_id_prefix(&format!("sha256:{hex}")).unwrap().len(), 1);
        assert_eq!(images.by_id_prefix("zz").unwrap().len(), 0);
        assert_eq!(images.by_id_prefix("").unwrap().len(), 0);
    }

    #[test]
    fn damaged_files_are_absent_images() {
        let (_dir, store) = store();
        let images = store.images();
        images.set("a", &image("x")).unwrap();
        fs::write(images.id_path(&image("x").id).unwrap(), [0; 64]).unwrap();
        assert_eq!(images.get("a").unwrap(), None);
        images.set("a", &image("x")).unwrap();
        fs::write(images.name_path("a"), "").unwrap();
        assert_eq!(images.get("a").unwrap(), None);
        assert_eq!(images.list().unwrap().len(), 1);
    }
}
