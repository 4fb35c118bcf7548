//! Looking at images: which there are, what one is, how it was made.
//!
//! Data only; the command line makes tables and JSON of it.

use std::collections::BTreeMap;

use kiln_cache::{Digest, ImageRecord};
use kiln_graph::image::{History, ImageConfig};
use kiln_registry::{Descriptor, Reference};

use super::{ImageError, Images};

/// One image with everything that points to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its id: the digest of its configuration.
    pub id: Digest,
    /// Its names, sorted.
    pub names: Vec<Reference>,
    /// Where it came from or was pushed to, with the digest it has there.
    pub origin: Option<Reference>,
    /// When it was made, as its configuration says.
    pub created: Option<String>,
    /// Bytes of its layers, uncompressed where that is known.
    pub size: u64,
    /// `os/arch[/variant]`.
    pub platform: String,
}

impl Listed {
    /// The digest that a registry knows the image by under that name, or under the name of its origin.
    pub fn digest_of(&self, name: Option<&Reference>) -> Option<&Digest> {
        let origin = self.origin.as_ref()?;
        if name.is_some_and(|name| name.name() != origin.name()) {
            return None;
        }
        origin.digest()
    }

    /// `name@digest`, as docker lists them.
    pub fn repo_digests(&self) -> Vec<String> {
        let origin = self.origin.iter();
        origin.filter_map(|origin| Some(format!("{}@{}", origin.familiar_name(), origin.digest()?))).collect()
    }
}

/// Everything about one image.
#[derive(Debug, Clone)]
pub struct Inspected {
    /// The image and its names.
    pub listed: Listed,
    /// Its configuration.
    pub config: ImageConfig,
}

/// One line of an image's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryLine {
    /// When, RFC 3339.
    pub created: Option<String>,
    /// The instruction.
    pub created_by: String,
    /// A remark.
    pub comment: String,
    /// Bytes of the layer it made, 0 if it made none.
    pub size: u64,
}

impl Images {
    /// All images, newest first. One that goes meanwhile is not listed. Needs no room on the disk.
    pub fn list(&self) -> Result<Vec<Listed>, ImageError> {
        let mut images: BTreeMap<String, Listed> = BTreeMap::new();
        for (name, record) in self.store.images().list()? {
            let listed = match images.entry(record.id.to_string()) {
                std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
                std::collections::btree_map::Entry::Vacant(entry) => {
                    entry.insert(self.to_listed(&record, Vec::new())?)
                }
            };
            if let Some(name) = name {
                listed.names.push(Reference::parse(&name)?);
            }
        }
        let mut images: Vec<Listed> = images.into_values().collect();
        images.sort_by(|a, b| moment(b).cmp(&moment(a)).then_with(|| a.id.as_ref().cmp(b.id.as_ref())));
        Ok(images)
    }

    /// One image by its name, id or the beginning of its id.
    pub fn inspect(&self, name: &str) -> Result<Inspected, ImageError> {
        let _use = self.store.use_lock()?;
        let record = self.find(name)?;
        let names = self.store.images().names_of(&record.id)?;
        let names = names.iter().map(|name| Reference::parse(name)).collect::<Result<_, _>>()?;
        Ok(Inspected { listed: self.to_listed(&record, names)?, config: self.config(&record)? })
    }

    /// The history of an image, newest line first.
    pub fn history(&self, record: &ImageRecord) -> Result<Vec<HistoryLine>, ImageError> {
        let mut layers = record.layers.iter().enumerate();
        let mut lines = Vec::new();
        for entry in self.config(record)?.history {
            let layer = if entry.empty_layer { None } else { layers.next() };
            let size = layer.map_or(Ok(0), |(index, _)| self.layer_size(record, index))?;
            lines.push(to_line(entry, size));
        }
        // An image whose configuration has no history (or too little) still has layers.
        for (index, _) in layers {
            let size = self.layer_size(record, index)?;
            lines.push(to_line(History::default(), size));
        }
        lines.reverse();
        Ok(lines)
    }

    fn to_listed(&self, record: &ImageRecord, names: Vec<Reference>) -> Result<Listed, ImageError> {
        let sizes = (0..record.layers.len()).map(|index| self.layer_size(record, index));
        Ok(Listed {
            id: record.id.clone(),
            names,
            origin: super::origin_of(record),
            created: record.created.clone(),
            size: sizes.sum::<Result<u64, _>>()?,
            platform: record.platform.clone(),
        })
    }

    /// Bytes of the layer's tar; of its compressed form where only that is known.
    fn layer_size(&self, record: &ImageRecord, index: usize) -> Result<u64, ImageError> {
        let info = self.store.layers().info(&record.layers[index])?;
        let known = info.map(|info| info.size).filter(|size| *size > 0);
        match known.or_else(|| record.layer_blobs.get(index).map(Descriptor::size)) {
            Some(size) => Ok(size),
            // What came from an OCI layout and was never unpacked.
            None => Ok(self.store.layers().blob(&record.layers[index])?.map_or(0, |blob| blob.size())),
        }
    }
}

fn moment(image: &Listed) -> Option<jiff::Timestamp> {
    image.created.as_deref().and_then(|text| text.parse().ok())
}

fn to_line(entry: History, size: u64) -> HistoryLine {
    HistoryLine {
        created: entry.created,
        created_by: entry.created_by.unwrap_or_default(),
        comment: entry.comment.unwrap_or_default(),
        size,
    }
}
