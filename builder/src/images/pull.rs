//! Pull: an image and all its layers, from a registry into the store.

use kiln_cache::{Digest, ImageRecord};
use kiln_registry::Reference;

use super::{ImageError, Images};
use crate::event::Progress;
use crate::fetch::Fetcher;

/// What a pull brought.
#[derive(Debug, Clone)]
pub struct Pulled {
    /// The image.
    pub record: ImageRecord,
    /// The digest that the registry knows it by: of the index if there is one, else of the manifest.
    pub digest: Option<Digest>,
    /// False when the store had this very image under this name.
    pub is_new: bool,
}

impl Images {
    /// Downloads an image and names it. What is here already is not downloaded again.
    pub async fn pull(
        &self,
        reference: &Reference,
        platform: &str,
        exact: bool,
        progress: &Progress,
    ) -> Result<Pulled, ImageError> {
        let _use = self.store.use_lock()?;
        let before = self.store.images().get(&reference.to_string())?;
        let record = self.fetcher.image(&reference.to_string(), platform, true, progress).await?;
        if exact && !is_for(&record.platform, platform) {
            self.give_back(reference, before.as_ref())?;
            let (reference, wanted, actual) = (reference.familiar(), platform.to_owned(), record.platform);
            return Err(ImageError::OtherPlatform { reference, wanted, actual });
        }
        if let Err(error) = self.fetcher.ensure_blobs(&Fetcher::snapshot(&record)?, progress).await {
            self.give_back(reference, before.as_ref())?;
            return Err(error.into());
        }
        // The user asked for it by that name: it is more than a build's base.
        self.store.images().set(&reference.to_string(), &record)?;
        self.store.sync()?;
        let digest = super::origin_of(&record).and_then(|origin| origin.digest().cloned());
        let digest = digest.or_else(|| record.manifest.as_ref().map(|manifest| manifest.digest().clone()));
        let is_new = before.is_none_or(|before| before.id != record.id);
        Ok(Pulled { record, digest, is_new })
    }

    /// Lets a name mean what it meant before: a pull that failed changes nothing.
    fn give_back(&self, reference: &Reference, before: Option<&ImageRecord>) -> Result<(), ImageError> {
        match before {
            Some(record) => self.store.images().set_pulled(&reference.to_string(), record)?,
            None => drop(self.store.images().untag(&reference.to_string())?),
        }
        Ok(())
    }

    /// The image of that name, pulled if the store has none (or if `always`).
    pub async fn obtain(
        &self,
        reference: &Reference,
        platform: &str,
        always: bool,
        progress: &Progress,
    ) -> Result<ImageRecord, ImageError> {
        let _use = self.store.use_lock()?;
        let record = self.fetcher.image(&reference.to_string(), platform, always, progress).await?;
        self.store.images().set(&reference.to_string(), &record)?;
        Ok(record)
    }

    /// Makes an image ready to run: its layers fetched and unpacked.
    pub async fn unpack(&self, record: &ImageRecord, progress: &Progress) -> Result<(), ImageError> {
        let _use = self.store.use_lock()?;
        self.fetcher.trees(&Fetcher::snapshot(record)?, progress).await?;
        Ok(())
    }
}

/// Whether an image for one platform does for another: system and architecture are the same.
fn is_for(image: &str, wanted: &str) -> bool {
    image.split('/').take(2).eq(wanted.split('/').take(2))
}
