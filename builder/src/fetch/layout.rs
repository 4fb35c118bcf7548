//! Images of OCI layouts on this machine: their documents at once, their layers when something needs them.
//!
//! A layer is copied into the store, verified on the way, and not before: what only gives a copied file that the cache
//! knows is never read. What a build's result has of a layout is always taken, so that it does not depend on the layout
//! any more.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use kiln_cache::{DiffId, ImageRecord};
use kiln_graph::op::LayoutImage;
use kiln_registry::archive::{Archive, ArchiveError, ArchivedLayer, Wanted, open_layout};
use kiln_registry::{Descriptor, Digest, Platform};

use super::{FetchError, Fetcher, short};
use crate::event::Progress;
use crate::snapshot::Snapshot;
use crate::task::blocking;

/// A layer that a layout has.
#[derive(Debug, Clone)]
pub(super) struct InLayout {
    archive: Arc<Archive>,
    layer: ArchivedLayer,
    /// The image, as the user wrote it.
    shown: Arc<str>,
}

impl Fetcher {
    /// The image that the layout has under that name for the platform. It gets no name in the store.
    pub(crate) async fn layout(
        &self,
        image: &LayoutImage,
        platform: &str,
        progress: &Progress,
    ) -> Result<ImageRecord, FetchError> {
        let shown = image.to_string();
        let step = progress.step(format!("[internal] load metadata for {shown}"));
        let (fetcher, image, platform) = (self.clone(), image.clone(), platform.to_owned());
        let found = blocking(move || fetcher.open_layout(&image, &platform)).await;
        match found.ok_or(FetchError::Lost).flatten() {
            Ok(record) => {
                step.done();
                Ok(record)
            }
            Err(error) => {
                step.failed(crate::text::chain(&error));
                Err(error)
            }
        }
    }

    fn open_layout(&self, image: &LayoutImage, platform: &str) -> Result<ImageRecord, FetchError> {
        let reference = image.to_string();
        let inconsistent = |detail: String| FetchError::Inconsistent { reference: reference.clone(), detail };
        let unusable = |source: ArchiveError| FetchError::Layout {
            reference: reference.clone(),
            source: Box::new(source),
        };
        let platform = Platform::parse(platform).map_err(|error| inconsistent(error.to_string()))?;
        let digest = image.digest.as_deref().map(Digest::from_str).transpose();
        let digest = digest.map_err(|error| inconsistent(error.to_string()))?;
        let wanted = Wanted { tag: image.tag.as_deref(), digest: digest.as_ref(), platform: &platform };
        let archive = Arc::new(open_layout(Path::new(&image.directory), &wanted).map_err(unusable)?);
        let Some(found) = archive.images.first() else {
            return Err(inconsistent("it has no manifest".to_owned()));
        };
        let id = self.store.blobs().put(&found.config.bytes)?;
        if let Some(manifest) = &found.manifest {
            self.store.blobs().put(&manifest.bytes)?;
        }
        let mut layers = Vec::with_capacity(found.layers.len());
        let shown: Arc<str> = reference.as_str().into();
        for layer in &found.layers {
            let diff_id =
                DiffId::try_from(layer.diff_id.clone()).map_err(|error| inconsistent(error.to_string()))?;
            let (archive, layer, shown) = (Arc::clone(&archive), layer.clone(), Arc::clone(&shown));
            self.layouts.insert(diff_id.clone(), InLayout { archive, layer, shown });
            layers.push(diff_id);
        }
        let mut record = ImageRecord {
            id,
            manifest: found.manifest.as_ref().map(kiln_registry::Document::descriptor),
            size: found.layers.iter().map(|layer| layer.size).sum(),
            layers,
            // Nobody but this process knows where they are.
            layer_blobs: Vec::new(),
            origin: None,
            layer_origins: BTreeMap::new(),
            platform: found.platform.clone(),
            created: None,
        };
        record.created = self.config(&record)?.created;
        Ok(record)
    }

    /// Takes the layers of a result that only a layout has into the store.
    pub(crate) async fn take_from_layouts(
        &self,
        snapshot: &Snapshot,
        progress: &Progress,
    ) -> Result<(), FetchError> {
        for layer in snapshot.layers().iter().filter(|layer| layer.remote.is_none()) {
            if let Some(place) = self.in_layout(&layer.diff_id)
                && self.store.layers().info(&layer.diff_id)?.is_none()
            {
                self.take(&layer.diff_id, place, progress).await?;
            }
        }
        Ok(())
    }

    /// Where a layout has the layer, if one does.
    pub(super) fn in_layout(&self, diff_id: &DiffId) -> Option<InLayout> {
        self.layouts.get(diff_id).map(|place| place.clone())
    }

    /// Copies a layer's blob out of a layout, once.
    pub(super) async fn take(
        &self,
        diff_id: &DiffId,
        place: InLayout,
        progress: &Progress,
    ) -> Result<(), FetchError> {
        let key = place.layer.descriptor.as_ref().map_or(&place.layer.diff_id, Descriptor::digest).clone();
        let cell = self.flights.cell(&key);
        let result = cell.get_or_try_init(|| self.take_now(diff_id, place, progress)).await.copied();
        self.flights.landed(&key);
        result
    }

    async fn take_now(
        &self,
        diff_id: &DiffId,
        place: InLayout,
        progress: &Progress,
    ) -> Result<(), FetchError> {
        let step =
            progress.step(format!("[internal] take {} from {}", short(&place.layer.diff_id), place.shown));
        let (fetcher, diff_id) = (self.clone(), diff_id.clone());
        let copied = blocking(move || fetcher.copy(&diff_id, &place)).await;
        match copied.ok_or(FetchError::Lost).flatten() {
            Ok(()) => {
                step.done();
                Ok(())
            }
            Err(error) => {
                step.failed(crate::text::chain(&error));
                Err(error)
            }
        }
    }

    fn copy(&self, diff_id: &DiffId, place: &InLayout) -> Result<(), FetchError> {
        let InLayout { archive, layer, shown } = place;
        let unusable = |source: ArchiveError| FetchError::Layout {
            reference: shown.to_string(),
            source: Box::new(source),
        };
        let mut content = archive.open_layer(layer).map_err(unusable)?;
        let mut writer = self.store.blobs().writer()?;
        io::copy(&mut content, &mut writer).map_err(|source| FetchError::LayoutLayer {
            reference: shown.to_string(),
            digest: layer.diff_id.clone(),
            source,
        })?;
        let expected = layer.descriptor.as_ref().map(|known| (known.digest(), known.size()));
        let (digest, size) = writer.finish(expected)?;
        let blob = Descriptor::new(layer.media_type.clone(), size, digest);
        self.store.layers().register_blob(diff_id, &blob)?;
        Ok(())
    }
}
