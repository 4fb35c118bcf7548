//! Images whose layers were damaged in the store: found out, and had again where that can be.
//!
//! Whatever leaves the store is compared with its digest on the way. Who finds a difference calls this.

use kiln_cache::{Compression, ImageRecord, LayerError};
use kiln_registry::RegistryError;
use kiln_registry::archive::ArchiveError;

use super::{ImageError, Images};
use crate::event::Progress;
use crate::fetch::{FetchError, Fetcher};

impl ImageError {
    /// True if bytes of the store may not be what they should be.
    pub(super) fn may_be_damage(&self) -> bool {
        matches!(
            self,
            Self::Archive(ArchiveError::Blob { .. })
                | Self::Registry(RegistryError::Verify { .. })
                | Self::Layer(LayerError::Lost { .. } | LayerError::Compress { .. })
        )
    }
}

impl Images {
    /// Removes what is damaged of the image's layers, and fetches or makes it again. False if nothing was damaged.
    pub(super) async fn mend(&self, record: &ImageRecord, progress: &Progress) -> Result<bool, ImageError> {
        let (layers, chain) = (self.store.layers(), record.layers.clone());
        let damaged = in_background(move || {
            let mut damaged = Vec::new();
            for layer in chain {
                if layers.drop_damaged(&layer)? || !layers.has_tar(&layer)? {
                    damaged.push(layer);
                }
            }
            Ok(damaged)
        });
        let damaged = damaged.await?;
        if damaged.is_empty() {
            return Ok(false);
        }
        let had = self.fetcher.ensure_tars(&Fetcher::snapshot(record)?, progress).await;
        had.map_err(|error| match error {
            FetchError::LayerMissing { diff_id } => LayerError::Lost { diff_id }.into(),
            error => ImageError::from(error),
        })?;
        // A manifest may name the blob that was removed: what was compressed here gives the same bytes again.
        let layers = self.store.layers();
        in_background(move || {
            damaged.iter().try_for_each(|layer| layers.compressed(layer, Compression::Gzip).map(drop))?;
            Ok(true)
        })
        .await
    }
}

async fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LayerError> + Send + 'static,
) -> Result<T, ImageError> {
    let done = tokio::task::spawn_blocking(work).await;
    Ok(done.map_err(|source| ImageError::Worker { doing: "reading layers", source })??)
}
