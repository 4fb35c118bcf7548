//! Commands on images: pull, push, tag, untag, save, load, export, inspect, history, list, prune.
//!
//! Everything here works on the records that a build or a pull has left in the store; no step is solved and
//! nothing is printed. Called by the command line, one method a command. Methods that talk to a registry are
//! `async`; the others block, and what they read stays until they return (they hold the store's use lock).

mod annotations;
mod attest;
mod attributes;
mod bundle;
mod clamp;
mod error;
mod export;
mod fileset;
mod layout;
mod list;
mod load;
mod mend;
mod pack;
mod packing;
mod pull;
mod push;
mod read;
mod remove;
mod save;
mod tar;

use kiln_cache::{Digest, ImageRecord, Store};
use kiln_graph::image::ImageConfig;
use kiln_registry::{Client, Reference};

use crate::fetch::Fetcher;

pub use annotations::{AnnotationError, Annotations};
pub use attest::{Attestation, Subject};
pub use attributes::{AttributeError, Dangling, OutputAttributes, OutputKind, boolean};
pub use bundle::{Bundle, BundleRequest};
pub use error::ImageError;
pub use fileset::FileSet;
pub use list::{HistoryLine, Inspected, Listed};
pub use load::{LoadSource, Loaded};
pub use packing::{DocumentTypes, Packing};
pub use pull::Pulled;
pub use push::Pushed;
pub use read::ImageFiles;
pub use remove::Removed;
pub use save::ArchiveFormat;

/// Shortest beginning of an id that is taken for one: shorter ones are more often names that are not there.
const SHORTEST_ID: usize = 4;

/// The images of a store, and the registries that they come from and go to. Cheap to clone.
#[derive(Clone)]
pub struct Images {
    store: Store,
    client: Client,
    fetcher: Fetcher,
}

impl crate::Builder {
    /// The commands on the images of the builder's store. What both fetch at the same moment is fetched once.
    pub fn images(&self) -> Images {
        let (store, client, fetcher) = (self.store.clone(), self.client.clone(), self.fetcher.clone());
        Images { store, client, fetcher }
    }
}

impl Images {
    /// The images of this store. Nothing is read or asked before a command is.
    pub fn new(store: Store, client: Client) -> Self {
        let fetcher = Fetcher::new(store.clone(), client.clone());
        Self { store, client, fetcher }
    }

    /// The image that a user means: by name, by `name@digest`, by id or by the beginning of an id.
    pub fn find(&self, name: &str) -> Result<ImageRecord, ImageError> {
        let parsed = Reference::parse(name);
        if let Ok(reference) = &parsed
            && !name.starts_with("sha256:")
            && let Some(record) = self.by_reference(reference)?
        {
            return Ok(record);
        }
        match self.by_id(name)? {
            Some(record) => Ok(record),
            None if is_id(name) => Err(ImageError::NotFound { name: name.to_owned() }),
            None => Err(ImageError::NotFound { name: parsed?.familiar() }),
        }
    }

    /// The image of exactly that name.
    pub fn named(&self, reference: &Reference) -> Result<ImageRecord, ImageError> {
        let record = self.store.images().get(&reference.to_string())?;
        record.ok_or_else(|| ImageError::NotFound { name: reference.familiar() })
    }

    /// The configuration of an image.
    pub fn config(&self, record: &ImageRecord) -> Result<ImageConfig, ImageError> {
        Ok(self.fetcher.config(record)?)
    }

    /// Gives an image another name. A name that was another image's moves.
    pub fn tag(&self, source: &str, target: &Reference) -> Result<(), ImageError> {
        let _use = self.store.use_lock()?;
        let record = self.find(source)?;
        self.name(&record, target)
    }

    /// Names a record that the caller has at hand, such as a build's result.
    pub fn name(&self, record: &ImageRecord, target: &Reference) -> Result<(), ImageError> {
        if target.digest().is_some() {
            return Err(ImageError::DigestName { reference: target.familiar() });
        }
        Ok(self.store.images().set(&target.to_string(), record)?)
    }

    fn by_reference(&self, reference: &Reference) -> Result<Option<ImageRecord>, ImageError> {
        let Some(digest) = reference.digest() else {
            return Ok(self.store.images().get(&reference.to_string())?);
        };
        let mut known = self.store.images().list()?.into_iter().map(|(_, record)| record);
        Ok(known.find(|record| is_known_as(record, reference, digest)))
    }

    fn by_id(&self, text: &str) -> Result<Option<ImageRecord>, ImageError> {
        if !is_id(text) {
            return Ok(None);
        }
        let mut found = self.store.images().by_id_prefix(text)?;
        if found.len() > 1 {
            return Err(ImageError::Ambiguous { prefix: text.to_owned(), count: found.len() });
        }
        Ok(found.pop())
    }
}

/// Where a registry has this very image. A built image has none: its origin is where its base's layers are.
fn origin_of(record: &ImageRecord) -> Option<Reference> {
    record.manifest.as_ref()?;
    Reference::parse(record.origin.as_deref()?).ok()
}

/// Whether a registry knows the image by that digest, under that repository.
fn is_known_as(record: &ImageRecord, reference: &Reference, digest: &Digest) -> bool {
    origin_of(record).is_some_and(|origin| {
        let manifest = record.manifest.as_ref().map(kiln_registry::Descriptor::digest);
        origin.name() == reference.name() && (origin.digest() == Some(digest) || manifest == Some(digest))
    })
}

fn is_id(text: &str) -> bool {
    let digits = text.strip_prefix("sha256:").unwrap_or(text);
    (SHORTEST_ID..=64).contains(&digits.len())
        && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests;
