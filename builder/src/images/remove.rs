//! Removing: names, images, and what nothing needs any more.

use kiln_cache::{Digest, PruneOptions, PruneReport};
use kiln_registry::Reference;

use super::{ImageError, Images, is_id};

/// One thing that was removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removed {
    /// A name; the image may live on under another.
    Untagged(Reference),
    /// An image.
    Deleted(Digest),
}

impl Images {
    /// Removes a name, and the image with it if that was its last one; or an image by its id.
    ///
    /// An image that has several names is removed by its id only if `force` says so. Layers go unless another image
    /// or the cache needs them, or a running process does.
    pub fn remove(&self, name: &str, force: bool) -> Result<Vec<Removed>, ImageError> {
        // Without a share in the store's use: nothing that is looked up here has to stay, and noting it would need room
        // on a disk that may be full.
        let removed = self.remove_names(name, force)?;
        self.store.remove_unreferenced()?;
        Ok(removed)
    }

    fn remove_names(&self, name: &str, force: bool) -> Result<Vec<Removed>, ImageError> {
        let record = self.find(name)?;
        let names = self.store.images().names_of(&record.id)?;
        let by_name = Reference::parse(name).ok().map(|reference| reference.to_string());
        let mut removed = Vec::new();
        if let Some(full) = by_name.filter(|full| names.contains(full)) {
            self.store.images().untag(&full)?;
            removed.push(Removed::Untagged(Reference::parse(&full)?));
            if names.len() > 1 {
                return Ok(removed);
            }
        } else {
            if names.len() > 1 && !force && is_id(name) {
                let names = names.iter().map(|name| Ok(Reference::parse(name)?.familiar()));
                let names = names.collect::<Result<_, ImageError>>()?;
                return Err(ImageError::SeveralNames { id: record.id, names });
            }
            for full in names {
                self.store.images().untag(&full)?;
                removed.push(Removed::Untagged(Reference::parse(&full)?));
            }
        }
        self.store.images().remove(&record.id)?;
        removed.push(Removed::Deleted(record.id));
        Ok(removed)
    }

    /// Removes what nothing needs: see [`PruneOptions`]. What running builds rely on stays.
    pub fn prune(&self, options: &PruneOptions) -> Result<PruneReport, ImageError> {
        Ok(self.store.prune(options)?)
    }
}
