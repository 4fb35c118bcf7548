//! Reading the documents of shared caches, all at once, each within a time limit.

use std::sync::Arc;
use std::time::Duration;

use kiln_cache::{
    CacheDocument, CacheDocumentError, CacheName, DiffId, Key, LayerOrigin, Record, SharedMount,
};
use kiln_registry::{Descriptor, Document, ManifestOrIndex, MediaType, Storage, StorageError};
use serde_json::Value;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::OpenPlace;
use crate::event::Progress;
use crate::snapshot::Remote;
use crate::text;

/// The media type of kiln's cache document, and the type of the artifact that it makes.
pub(super) const CONFIG: &str = "application/vnd.kiln.cache.config.v1+json";
/// The field of an image's configuration that holds an inline cache.
pub(super) const INLINE: &str = "kiln.cache.v1";
/// The largest cache document that is read: some hundred thousand records.
const MAX_CACHE_DOCUMENT: u64 = 32 << 20;
/// How long one import may take. A build that has waited so long is better off without it.
const PATIENCE: Duration = Duration::from_mins(1);

/// A document that was read.
pub(super) struct Imported {
    /// The line of the place that it is from.
    line: Arc<str>,
    pub(super) document: CacheDocument,
    /// Bytes that were fetched for it.
    pub(super) bytes: u64,
    /// Whether it was read; otherwise the document is empty.
    pub(super) is_read: bool,
}

/// Why a cache is not used.
#[derive(Debug, thiserror::Error)]
enum ImportError {
    /// The place did not give it.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Nothing is there.
    #[error("there is no cache there yet")]
    Absent,
    /// It is something else.
    #[error("what is there is no cache of kiln's, and no image with one in it")]
    Foreign,
    /// It cannot be read.
    #[error(transparent)]
    Document(#[from] CacheDocumentError),
    /// The build was over before.
    #[error("it was not needed")]
    Unneeded,
    /// It took too long.
    #[error("it did not come within {} s", PATIENCE.as_secs())]
    Slow,
}

impl Imported {
    /// Where the place has that layer, if it does.
    pub(super) fn origin(&self, layer: &DiffId) -> Option<LayerOrigin> {
        let blob = self.document.layers.get(layer)?.clone();
        Some(LayerOrigin { blob, place: self.line.to_string() })
    }

    /// The cache mount of that name, and where it is.
    pub(super) fn mount(&self, name: &CacheName) -> Option<(&SharedMount, Remote)> {
        let mount = self.document.mounts.iter().find(|mount| mount.name.key() == name.key())?;
        let origin = LayerOrigin { blob: mount.blob.clone(), place: self.line.to_string() };
        Some((mount, Remote::shared(&origin)))
    }

    /// The newest record of a slot.
    pub(super) fn latest(&self, slot: &Key) -> Option<Record> {
        let of_slot = self.document.records.iter().filter(|(_, record)| record.slot == Some(*slot));
        let (key, record) = of_slot.max_by_key(|(_, record)| record.created)?;
        Some(Record {
            key: *key,
            slot: *slot,
            parts: record.parts.clone(),
            notes: Vec::new(),
            layer: Some(record.layer.clone()),
            origin: self.origin(&record.layer),
            created: record.created,
            milliseconds: record.milliseconds,
        })
    }
}

/// Reads all imports. What cannot be read is warned of, and empty.
pub(super) async fn read(
    places: &[OpenPlace],
    platform: &str,
    over: &CancellationToken,
    progress: &Progress,
) -> Vec<Imported> {
    let mut reading = JoinSet::new();
    for (number, place) in places.iter().enumerate() {
        let (storage, line) = (place.storage.clone(), place.line.clone());
        let (platform, over, progress) = (platform.to_owned(), over.clone(), progress.clone());
        reading.spawn(async move { (number, one(&storage, line, &platform, &over, &progress).await) });
    }
    let mut imported = Vec::new();
    while let Some(joined) = reading.join_next().await {
        // A reader that died of a defect has read nothing.
        imported.extend(joined.ok());
    }
    imported.sort_by_key(|(number, _)| *number);
    imported.into_iter().map(|(_, imported)| imported).collect()
}

async fn one(
    storage: &Storage,
    line: Arc<str>,
    platform: &str,
    over: &CancellationToken,
    progress: &Progress,
) -> Imported {
    let step = progress.step(format!("[internal] load cache from {}", storage.location()));
    let read = tokio::time::timeout(PATIENCE, document(storage, platform));
    let read = tokio::select! {
        read = read => read.unwrap_or(Err(ImportError::Slow)),
        () = over.cancelled() => Err(ImportError::Unneeded),
    };
    let remark = match read {
        Ok((document, bytes)) => {
            step.note(format!("{} steps, {bytes} bytes", document.records.len()));
            step.done();
            return Imported { line, document, bytes, is_read: true };
        }
        Err(error @ (ImportError::Absent | ImportError::Unneeded)) => error.to_string(),
        Err(error) => {
            let cause = text::chain(&error);
            progress.warn(format!("the cache {} is not used: {cause}", storage.location()));
            "it is not used".to_owned()
        }
    };
    step.note(remark);
    step.done();
    Imported { line, document: CacheDocument::default(), bytes: 0, is_read: false }
}

/// The document of a place, and the bytes that it cost.
async fn document(storage: &Storage, platform: &str) -> Result<(CacheDocument, u64), ImportError> {
    let named = storage.document().await?.ok_or(ImportError::Absent)?;
    let size = named.bytes.len() as u64;
    if let Ok(ManifestOrIndex::Manifest(manifest)) = named.read()
        && manifest.config.media_type().as_ref() == CONFIG
    {
        let bytes = storage.small_blob(&manifest.config, MAX_CACHE_DOCUMENT).await?;
        let size = size + bytes.len() as u64;
        return Ok((parse(bytes).await?, size));
    }
    let (config, layers) = storage.image(platform).await?.ok_or(ImportError::Foreign)?;
    let size = size + config.bytes.len() as u64;
    Ok((inline(&config, &layers).ok_or(ImportError::Foreign)??, size))
}

/// Parses beside the build: a large document takes a moment.
async fn parse(bytes: impl AsRef<[u8]> + Send + 'static) -> Result<CacheDocument, CacheDocumentError> {
    match tokio::task::spawn_blocking(move || CacheDocument::read(bytes.as_ref())).await {
        Ok(read) => read,
        // The runtime is going down, and the build with it.
        Err(_) => Ok(CacheDocument::default()),
    }
}

/// The cache in an image's configuration; its layers are the image's.
fn inline(config: &Document, blobs: &[Descriptor]) -> Option<Result<CacheDocument, CacheDocumentError>> {
    let json: Value = serde_json::from_slice(&config.bytes).ok()?;
    let text = json.get(INLINE)?.to_string();
    let diff_ids = json.pointer("/rootfs/diff_ids")?.as_array()?;
    Some(CacheDocument::read(text.as_bytes()).map(|mut document| {
        for (diff_id, blob) in diff_ids.iter().zip(blobs) {
            let layer = diff_id.as_str().and_then(|text| text.parse::<DiffId>().ok());
            if let Some(layer) = layer {
                let blob = Descriptor::new(layer_type(blob.media_type()), blob.size(), blob.digest().clone());
                document.layers.insert(layer, blob);
            }
        }
        document
    }))
}

/// OCI's name for the same form of a layer.
fn layer_type(media_type: &MediaType) -> MediaType {
    match media_type.as_ref() {
        kiln_registry::DOCKER_LAYER => MediaType::ImageLayer,
        kiln_registry::DOCKER_LAYER_GZIP => MediaType::ImageLayerGzip,
        _ => media_type.clone(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_inline_cache_has_the_layers_of_its_image() {
        let layer = DiffId::from_hash([1; 32]);
        let blob = Descriptor::new(
            MediaType::from(kiln_registry::DOCKER_LAYER_GZIP),
            7,
            kiln_cache::digest_of(b"blob"),
        );
        let document: Value = serde_json::from_slice(&CacheDocument::default().to_bytes()).unwrap();
        let config = serde_json::json!({ INLINE: document, "rootfs": { "diff_ids": [layer] } });
        let config = Document::new(config.to_string(), MediaType::ImageConfig);
        let read = inline(&config, &[blob]).unwrap().unwrap();
        assert_eq!(read.layers[&layer].media_type(), &MediaType::ImageLayerGzip);
        let without = Document::new("{}", MediaType::ImageConfig);
        assert!(inline(&without, &[]).is_none());
        let damaged = serde_json::json!({ INLINE: "x", "rootfs": { "diff_ids": [] } });
        assert!(inline(&Document::new(damaged.to_string(), MediaType::ImageConfig), &[]).unwrap().is_err());
    }
}
