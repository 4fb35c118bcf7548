//! Getting images and layers that are not here yet.
//!
//! Resolving a name costs a manifest and a configuration; a layer's blob is fetched only when something
//! reads its files or sends them on. What is fetched at the same moment from several places is fetched once:
//! within this process through [`Flights`], across processes through the store's locks. Images of OCI layouts are
//! [`layout`]'s, layers of shared caches [`shared`]'s.

mod layout;
mod shared;

use std::io::Write;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use dashmap::DashMap;
use kiln_cache::{DiffId, Digest, ImageRecord, KeyBuilder, LayerError, Store, StoreError};
use kiln_graph::image::ImageConfig;
use kiln_registry::archive::ArchiveError;
use kiln_registry::{Client, Descriptor, Location, Reference, ReferenceError, RegistryError, StorageError};
use tokio::sync::OnceCell;

use self::layout::InLayout;
use self::shared::SharedPlaces;
use crate::event::Progress;
use crate::snapshot::{LayerRef, Origin, Remote, Snapshot};
use crate::task::blocking;

/// Largest image configuration that is read back from the store: the registry's limit on documents.
const MAX_CONFIG: u64 = kiln_registry::MAX_DOCUMENT;

/// Why an image or a layer could not be had.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The name is not one.
    #[error("`{reference}` is not an image reference")]
    Reference {
        /// As written.
        reference: String,
        /// Why.
        #[source]
        source: ReferenceError,
    },
    /// The registry did not give it.
    #[error("cannot pull {reference}")]
    Pull {
        /// The image.
        reference: String,
        /// Why.
        #[source]
        source: Box<RegistryError>,
    },
    /// The store has the image for another platform, and what was asked for cannot be had.
    #[error("{reference} is in the store for {found}; for {wanted} it has to be pulled")]
    OtherPlatform {
        /// The image.
        reference: String,
        /// The platform that the store has.
        found: String,
        /// The platform that was asked for.
        wanted: String,
        /// Why it cannot be pulled.
        #[source]
        source: Box<FetchError>,
    },
    /// The image's documents contradict each other.
    #[error("{reference} is not a usable image: {detail}")]
    Inconsistent {
        /// The image.
        reference: String,
        /// What is wrong.
        detail: String,
    },
    /// A layer is neither here nor anywhere it could be fetched from.
    #[error("layer {diff_id} is missing from the store")]
    LayerMissing {
        /// Which.
        diff_id: DiffId,
    },
    /// An OCI layout does not have the image, or not a usable one.
    #[error("cannot use {reference}")]
    Layout {
        /// The image, as a user of a build writes it.
        reference: String,
        /// Why.
        #[source]
        source: Box<ArchiveError>,
    },
    /// A layer of an OCI layout could not be read, or is not what its digest says.
    #[error("cannot copy layer {digest} of {reference}")]
    LayoutLayer {
        /// The image, as a user of a build writes it.
        reference: String,
        /// The layer.
        digest: Digest,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A shared cache does not give a layer that it said it has.
    #[error("layer {diff_id} cannot be had from the cache {place}")]
    Shared {
        /// The layer.
        diff_id: DiffId,
        /// The cache.
        place: Box<Location>,
        /// Why.
        #[source]
        source: Box<StorageError>,
    },
    /// A shared cache gave something else for a layer.
    #[error("blob {digest} of the cache {place} is not layer {diff_id}")]
    NotTheLayer {
        /// The layer.
        diff_id: DiffId,
        /// What came for it.
        digest: Digest,
        /// The cache.
        place: String,
    },
    /// Where the layer is said to be is no place that this kiln knows.
    #[error("layer {diff_id} is in a cache of a kind that is not known: {place}")]
    UnknownPlace {
        /// The layer.
        diff_id: DiffId,
        /// The place as it was written.
        place: String,
    },
    /// A blob could not be written.
    #[error("cannot write the blob {digest}")]
    Write {
        /// Which.
        digest: Digest,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A part of the builder stopped without an answer.
    #[error("an internal task of the builder ended without a result")]
    Lost,
}

crate::causes::store_causes!(FetchError);

impl FetchError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Pull { source, .. } => source.hint(),
            Self::OtherPlatform { source, .. } => source.hint(),
            Self::Layout { source, .. } => match &**source {
                ArchiveError::NoImage { .. } => {
                    Some("write oci-layout://DIRECTORY:TAG or oci-layout://DIRECTORY@DIGEST".to_owned())
                }
                _ => None,
            },
            Self::Shared { place, .. } if matches!(**place, Location::Bucket(_)) => {
                Some("set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or build its image again".to_owned())
            }
            Self::LayerMissing { .. }
            | Self::Shared { .. }
            | Self::NotTheLayer { .. }
            | Self::UnknownPlace { .. } => Some("pull or build its image again".to_owned()),
            _ => None,
        }
    }
}

/// One download at a time for each blob.
///
/// This is the only place that touches the map: no guard of it lives across an await.
#[derive(Debug, Default)]
struct Flights {
    cells: DashMap<Digest, Arc<OnceCell<()>>>,
}

impl Flights {
    fn cell(&self, digest: &Digest) -> Arc<OnceCell<()>> {
        self.cells.entry(digest.clone()).or_default().clone()
    }

    fn landed(&self, digest: &Digest) {
        self.cells.remove(digest);
    }
}

/// Gets images and layers, into the store.
#[derive(Clone)]
pub(crate) struct Fetcher {
    store: Store,
    client: Client,
    flights: Arc<Flights>,
    /// Trees that are known to be there, for as long as the store's use lock holds their layers.
    known: Arc<DashMap<DiffId, PathBuf>>,
    /// Layers that OCI layouts have.
    layouts: Arc<DashMap<DiffId, InLayout>>,
    /// The shared caches that are open, and what came from them.
    shared: Arc<SharedPlaces>,
}

impl Fetcher {
    /// A fetcher between this store and this client.
    pub(crate) fn new(store: Store, client: Client) -> Self {
        Self {
            store,
            client,
            flights: Arc::default(),
            known: Arc::default(),
            layouts: Arc::default(),
            shared: Arc::default(),
        }
    }

    /// How servers are reached.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// The image that `reference` stands for: the store's if it has one for the platform and `always` is
    /// false, else the registry's, which is then recorded under its name.
    pub(crate) async fn image(
        &self,
        reference: &str,
        platform: &str,
        always: bool,
        progress: &Progress,
    ) -> Result<ImageRecord, FetchError> {
        let parsed = Reference::parse(reference)
            .map_err(|source| FetchError::Reference { reference: reference.to_owned(), source })?;
        let name = parsed.to_string();
        if !always
            && let Some(record) = self.store.images().get(&name)?
            && record.platform == platform
            && self.store.blobs().contains(&record.id)?
        {
            return Ok(record);
        }
        let step = progress.step(format!("[internal] load metadata for {}", parsed.familiar()));
        match self.resolve(&parsed, platform).await {
            Ok(record) => {
                self.store.images().set_pulled(&name, &record)?;
                step.done();
                Ok(record)
            }
            Err(error) => {
                step.failed(crate::text::chain(&error));
                let stored = self.store.images().get(&name)?.filter(|record| record.platform != platform);
                Err(match stored {
                    Some(record) if !always => FetchError::OtherPlatform {
                        reference: parsed.familiar(),
                        found: record.platform,
                        wanted: platform.to_owned(),
                        source: Box::new(error),
                    },
                    _ => error,
                })
            }
        }
    }

    async fn resolve(&self, reference: &Reference, platform: &str) -> Result<ImageRecord, FetchError> {
        let resolved = self.client.resolve(reference, platform).await.map_err(|source| FetchError::Pull {
            reference: reference.familiar(),
            source: Box::new(source),
        })?;
        let inconsistent =
            |detail: String| FetchError::Inconsistent { reference: reference.familiar(), detail };
        let config: ImageConfig = serde_json::from_slice(&resolved.config.bytes)
            .map_err(|error| inconsistent(format!("its configuration cannot be read: {error}")))?;
        let mut layers = Vec::with_capacity(config.rootfs.diff_ids.len());
        for diff_id in &config.rootfs.diff_ids {
            layers.push(DiffId::from_str(diff_id).map_err(|error| inconsistent(error.to_string()))?);
        }
        if layers.len() != resolved.layers.len() {
            let (blobs, ids) = (resolved.layers.len(), layers.len());
            return Err(inconsistent(format!("its manifest has {blobs} layers and its configuration {ids}")));
        }
        self.store.blobs().put(&resolved.manifest.bytes)?;
        let id = self.store.blobs().put(&resolved.config.bytes)?;
        let size = resolved.layers.iter().map(Descriptor::size).sum();
        let known_as = resolved.index.unwrap_or_else(|| resolved.manifest.digest.clone());
        Ok(ImageRecord {
            id,
            manifest: Some(resolved.manifest.descriptor()),
            layers,
            layer_blobs: resolved.layers,
            origin: Some(reference.with_digest(known_as).to_string()),
            layer_origins: std::collections::BTreeMap::new(),
            platform: resolved.platform,
            created: config.created,
            size,
        })
    }

    /// The configuration of an image of the store.
    pub(crate) fn config(&self, record: &ImageRecord) -> Result<ImageConfig, FetchError> {
        let bytes = self.store.blobs().read(&record.id, MAX_CONFIG)?;
        serde_json::from_slice(&bytes).map_err(|error| FetchError::Inconsistent {
            reference: record.id.to_string(),
            detail: format!("its configuration cannot be read: {error}"),
        })
    }

    /// An image's layers as a snapshot; nothing is fetched.
    pub(crate) fn snapshot(record: &ImageRecord) -> Result<Snapshot, FetchError> {
        let reference = match &record.origin {
            Some(origin) => {
                let parsed = Reference::parse(origin)
                    .map_err(|source| FetchError::Reference { reference: origin.clone(), source })?;
                // Blobs are asked for by their own digests: the image's only makes its name unreadable.
                Some(Arc::new(parsed.tag().and_then(|tag| parsed.with_tag(tag).ok()).unwrap_or(parsed)))
            }
            None => None,
        };
        let layers = record.layers.iter().enumerate().map(|(index, diff_id)| {
            let of_image = reference.clone().zip(record.layer_blobs.get(index).cloned());
            let of_image = of_image
                .map(|(reference, descriptor)| Remote { origin: Origin::Image(reference), descriptor });
            let remote = of_image.or_else(|| record.layer_origins.get(diff_id).map(Remote::shared));
            LayerRef { diff_id: diff_id.clone(), remote, created: None }
        });
        Ok(Snapshot::new(layers.collect()))
    }

    /// Makes sure that the store has some form of each layer, fetching several at once.
    pub(crate) async fn ensure_blobs(
        &self,
        snapshot: &Snapshot,
        progress: &Progress,
    ) -> Result<(), FetchError> {
        let is_here =
            |layer: &DiffId| Ok(self.knows(layer).is_some() || self.store.layers().info(layer)?.is_some());
        self.ensure(snapshot, is_here, progress).await
    }

    /// Likewise, a form that can be sent on: the files of a foreign layer are not enough.
    pub(crate) async fn ensure_tars(
        &self,
        snapshot: &Snapshot,
        progress: &Progress,
    ) -> Result<(), FetchError> {
        self.ensure(snapshot, |layer| Ok(self.store.layers().has_tar(layer)?), progress).await
    }

    /// Fetches the layers that are not here.
    async fn ensure(
        &self,
        snapshot: &Snapshot,
        is_here: impl Fn(&DiffId) -> Result<bool, FetchError>,
        progress: &Progress,
    ) -> Result<(), FetchError> {
        let mut downloads = tokio::task::JoinSet::new();
        for layer in snapshot.layers() {
            if is_here(&layer.diff_id)? {
                continue;
            }
            let (fetcher, diff_id, progress) = (self.clone(), layer.diff_id.clone(), progress.clone());
            if let Some(place) = self.in_layout(&diff_id) {
                downloads.spawn(async move { fetcher.take(&diff_id, place, &progress).await });
            } else if let Some(remote) = layer.remote.clone() {
                downloads.spawn(async move { fetcher.layer(&diff_id, &remote, &progress).await });
            } else {
                return Err(FetchError::LayerMissing { diff_id });
            }
        }
        while let Some(joined) = downloads.join_next().await {
            joined.map_err(|_| FetchError::Lost)??;
        }
        Ok(())
    }

    /// The unpacked trees of a snapshot's layers, bottom first, fetched and unpacked where they are not. Blobs that turn
    /// out to be damaged are fetched again.
    pub(crate) async fn trees(
        &self,
        snapshot: &Snapshot,
        progress: &Progress,
    ) -> Result<Vec<PathBuf>, FetchError> {
        let mut result = self.unpacked(snapshot, progress).await;
        // Each time another one is found and removed, unless the disk damages what is written to it.
        for _ in snapshot.layers() {
            if !is_damage(&result) {
                break;
            }
            result = self.unpacked(snapshot, progress).await.map_err(|error| match error {
                FetchError::LayerMissing { diff_id } => LayerError::Lost { diff_id }.into(),
                error => error,
            });
        }
        result
    }

    async fn unpacked(&self, snapshot: &Snapshot, progress: &Progress) -> Result<Vec<PathBuf>, FetchError> {
        let known = |layer: &Arc<LayerRef>| self.knows(&layer.diff_id);
        if let Some(trees) = snapshot.layers().iter().map(known).collect() {
            return Ok(trees);
        }
        self.ensure_blobs(snapshot, progress).await?;
        let mut missing = 0_usize;
        for layer in snapshot.layers() {
            let here =
                self.knows(&layer.diff_id).is_some() || self.store.layers().tree(&layer.diff_id)?.is_some();
            missing += usize::from(!here);
        }
        let step = (missing > 0).then(|| progress.step(format!("[internal] unpack {missing} layer(s)")));
        let (store, chain) = (self.store.clone(), snapshot.diff_ids());
        let trees = blocking(move || store.layers().ensure_trees(&chain)).await.ok_or(FetchError::Lost)?;
        match &trees {
            Ok(trees) => {
                for (layer, tree) in snapshot.layers().iter().zip(trees) {
                    self.known.insert(layer.diff_id.clone(), tree.clone());
                }
                if let Some(step) = step {
                    step.done();
                }
            }
            Err(error) => {
                if let Some(step) = step {
                    step.failed(crate::text::chain(error));
                }
            }
        }
        Ok(trees?)
    }

    /// A tree that is known to be there and that nobody may remove by now.
    fn knows(&self, diff_id: &DiffId) -> Option<PathBuf> {
        let tree = self.known.get(diff_id).map(|tree| tree.clone());
        tree.filter(|_| self.store.holds(diff_id))
    }

    /// One layer's blob, once.
    async fn layer(&self, diff_id: &DiffId, remote: &Remote, progress: &Progress) -> Result<(), FetchError> {
        let reference = match &remote.origin {
            Origin::Image(reference) => reference,
            Origin::Shared(place) => {
                return self.shared_layer(diff_id, place, &remote.descriptor, progress).await;
            }
        };
        let digest = remote.descriptor.digest().clone();
        let cell = self.flights.cell(&digest);
        let result =
            cell.get_or_try_init(|| self.download(reference, &remote.descriptor, progress)).await.copied();
        self.flights.landed(&digest);
        result?;
        self.store.layers().register_blob(diff_id, &remote.descriptor)?;
        Ok(())
    }

    async fn download(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
        progress: &Progress,
    ) -> Result<(), FetchError> {
        let digest = descriptor.digest();
        let (store, key) =
            (self.store.clone(), KeyBuilder::new("fetch").part("digest", digest.to_string()).finish().0);
        let lock = blocking(move || store.lock(&key)).await.ok_or(FetchError::Lost)??;
        if self.store.blobs().contains(digest)? {
            return Ok(());
        }
        let shown = reference.familiar();
        let step = progress.step(format!("[internal] pull {shown} {}", short(digest)));
        let pull =
            |source: RegistryError| FetchError::Pull { reference: shown.clone(), source: Box::new(source) };
        let result = async {
            let mut reader = self.client.blob(reference, descriptor);
            let mut writer = self.store.blobs().writer()?;
            let (mut done, total) = (0_u64, descriptor.size());
            while let Some(chunk) = reader.chunk().await.map_err(pull)? {
                writer
                    .write_all(&chunk)
                    .map_err(|source| FetchError::Write { digest: digest.clone(), source })?;
                done += chunk.len() as u64;
                step.progress(short(digest), done, Some(total));
            }
            writer.finish(Some((digest, total)))?;
            Ok(())
        }
        .await;
        drop(lock);
        match result {
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
}

/// Whether a blob was found to be damaged, and removed.
fn is_damage<T>(result: &Result<T, FetchError>) -> bool {
    matches!(result, Err(FetchError::Store(StoreError::Layer(LayerError::Damaged { .. }))))
}

/// A digest as it is shown: its first twelve digits, as docker does.
fn short(digest: &Digest) -> String {
    digest.digest().chars().take(12).collect()
}
