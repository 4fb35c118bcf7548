//! Cache mounts that travel with a shared cache: packed when it is written, restored when a step wants one that this
//! store does not have.
//!
//! A cache's tar travels as a layer does, compressed and verified; only nobody ever builds on it.

use kiln_cache::{CacheName, Compression, DiffId, SharedMount, Store};
use kiln_registry::{Descriptor, MediaType};

use super::SharedCaches;
use super::export::ExportFailure;
use crate::event::Progress;
use crate::fetch::Fetcher;
use crate::snapshot::{LayerRef, Remote, Snapshot};
use crate::task::blocking;
use crate::text;

/// The cache mounts of these ids as blobs of the store. An id that no cache has is warned of, and so is one that a step
/// has to itself.
pub(super) async fn pack(
    store: &Store,
    ids: &[String],
    progress: &Progress,
) -> Result<Vec<SharedMount>, ExportFailure> {
    let mut packed = Vec::new();
    for id in ids {
        let found = store.mounts().find(id)?;
        if found.is_empty() {
            progress.warn(format!("there is no cache mount `{id}` to export"));
        }
        for mount in found {
            let Some(name) = mount.name.clone() else { continue };
            let store = store.clone();
            let made = blocking(move || -> Result<_, ExportFailure> {
                let mut blob = store.blobs().writer()?;
                let tar = store.mounts().export(&mount, &mut blob)?;
                let (digest, size) = blob.finish(None)?;
                let layer = DiffId::try_from(digest.clone()).map_err(kiln_cache::StoreError::from)?;
                store
                    .layers()
                    .register_blob(&layer, &Descriptor::new(MediaType::ImageLayer, size, digest))?;
                Ok((tar.digest, store.layers().compressed(&layer, Compression::Zstd)?))
            });
            match made.await.ok_or(ExportFailure::Lost)? {
                Ok((tar, blob)) => packed.push(SharedMount { name, blob, tar }),
                Err(ExportFailure::Mount(error)) => {
                    progress.warn(format!("a cache mount stays behind: {}", text::chain(&error)));
                }
                Err(error) => return Err(error),
            }
        }
    }
    Ok(packed)
}

impl SharedCaches {
    /// Brings the caches of these names from the imports, where this store has none of the name. A cache must not
    /// matter, so one that cannot be had is warned of and begins empty.
    pub(crate) async fn restore(
        &self,
        names: impl IntoIterator<Item = CacheName>,
        store: &Store,
        fetcher: &Fetcher,
        progress: &Progress,
    ) {
        let Some(inner) = &self.inner else { return };
        if inner.imports.is_empty() {
            return;
        }
        for name in names {
            let mut imports = inner.imported().await.iter();
            let Some((mount, remote)) = imports.find_map(|import| import.mount(&name)) else { continue };
            if store.mounts().has(&name) {
                continue;
            }
            if let Err(error) = bring(store, fetcher, &name, mount, remote, progress).await {
                let cause = text::chain(&error);
                progress.warn(format!("the cache mount `{}` begins empty: {cause}", name.id));
            }
        }
    }
}

async fn bring(
    store: &Store,
    fetcher: &Fetcher,
    name: &CacheName,
    mount: &SharedMount,
    remote: Remote,
    progress: &Progress,
) -> Result<(), ExportFailure> {
    let layer = DiffId::try_from(mount.tar.clone()).map_err(kiln_cache::StoreError::from)?;
    let only = LayerRef { diff_id: layer.clone(), remote: Some(remote), created: None };
    fetcher.ensure_blobs(&Snapshot::new(vec![only]), progress).await?;
    let (store, name, tar) = (store.clone(), name.clone(), mount.tar.clone());
    let restored = blocking(move || -> Result<(), ExportFailure> {
        store.mounts().import(&name, store.layers().open_tar(&layer)?, Some(&tar))?;
        Ok(())
    });
    restored.await.ok_or(ExportFailure::Lost)?
}
