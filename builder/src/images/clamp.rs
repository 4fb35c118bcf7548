//! An image with no time in it later than a given one (`SOURCE_DATE_EPOCH`), so that it is the same whenever it is built.

use kiln_cache::{ImageRecord, LayerOrigin};
use kiln_graph::image::History;

use super::{ImageError, Images};
use crate::event::Progress;
use crate::fetch::Fetcher;
use crate::snapshot::Snapshot;

impl Images {
    /// The image with its files, its history and itself dated `epoch` (seconds) where they are later.
    ///
    /// The lowest `base_layers` layers are a base's and stay as they are, and so does everything that is early enough.
    pub async fn clamped(
        &self,
        record: &ImageRecord,
        base_layers: usize,
        epoch: i64,
        progress: &Progress,
    ) -> Result<ImageRecord, ImageError> {
        let _use = self.store.use_lock()?;
        let own = Fetcher::snapshot(record)?.layers().iter().skip(base_layers).cloned().collect();
        self.fetcher.ensure_tars(&Snapshot::new(own), progress).await?;
        let step = progress.step(format!("rewriting layers with source-date-epoch {epoch}"));
        let (this, record) = (self.clone(), record.clone());
        let work = move || this.write_clamped(&record, base_layers, epoch);
        let clamped = tokio::task::spawn_blocking(work)
            .await
            .map_err(|source| ImageError::Worker { doing: "rewriting layers", source })?;
        match &clamped {
            Ok(_) => step.done(),
            Err(error) => step.failed(crate::text::chain(error)),
        }
        clamped
    }

    fn write_clamped(
        &self,
        record: &ImageRecord,
        base: usize,
        epoch: i64,
    ) -> Result<ImageRecord, ImageError> {
        let mut layers = record.layers.clone();
        for layer in layers.iter_mut().skip(base) {
            *layer = self.store.layers().clamped(layer, epoch)?;
        }
        let mut config = self.config(record)?;
        config.rootfs.diff_ids = layers.iter().map(ToString::to_string).collect();
        date(&mut config.history, config.created.as_mut(), epoch);
        let unwritable = |source| ImageError::Config { image: record.id.to_string(), source };
        let bytes = serde_json::to_vec(&config).map_err(unwritable)?;
        let id = self.store.blobs().put(&bytes)?;
        if let Some(known) = self.store.images().by_id(&id)? {
            return Ok(known);
        }
        let kept = layers.iter().zip(&record.layers).take_while(|(new, old)| new == old).count();
        let origins = record.layer_origins.iter().filter(|(layer, _)| layers.contains(layer));
        let clamped = ImageRecord {
            id,
            manifest: None,
            layer_blobs: record.layer_blobs.iter().take(kept).cloned().collect(),
            layer_origins: origins
                .map(|(layer, origin)| (layer.clone(), LayerOrigin::clone(origin)))
                .collect(),
            layers,
            created: config.created,
            ..record.clone()
        };
        self.store.images().add(&clamped)?;
        Ok(clamped)
    }
}

/// Dates what has no time or a later one.
fn date(history: &mut [History], created: Option<&mut String>, epoch: i64) {
    let Ok(epoch) = jiff::Timestamp::from_second(epoch) else { return };
    let is_late = |time: &str| time.parse::<jiff::Timestamp>().is_ok_and(|time| time > epoch);
    for entry in history.iter_mut() {
        if entry.created.as_deref().is_none_or(is_late) {
            entry.created = Some(epoch.to_string());
        }
    }
    if let Some(created) = created.filter(|created| is_late(created)) {
        *created = epoch.to_string();
    }
}
