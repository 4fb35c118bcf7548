//! From a solved file system and a plan's configuration to an image in the store.
//!
//! The same result gives the same bytes: times come from the records of the layers, so a build that is
//! answered by the cache has the image id that it had before.

use std::collections::BTreeMap;
use std::sync::Arc;

use kiln_cache::{DiffId, Digest, ImageRecord, LayerOrigin, Store};
use kiln_graph::image::{History, ImageConfig};
use kiln_graph::plan::Plan;
use kiln_registry::Descriptor;

use crate::error::BuildError;
use crate::snapshot::{LayerRef, Snapshot};

/// Time of an image that has no layer and no base to take one from.
const EPOCH: &str = "1970-01-01T00:00:00Z";

/// Puts the image together and into the store, without a name.
pub(crate) fn assemble(store: &Store, plan: &Plan, snapshot: &Snapshot) -> Result<ImageRecord, BuildError> {
    let config = configuration(&plan.config, snapshot.layers())?;
    let bytes = serde_json::to_vec(&config).map_err(|error| BuildError::Plan {
        detail: format!("its configuration cannot be written: {error}"),
    })?;
    let id: Digest = store.blobs().put(&bytes)?;
    let layer_origins = layer_origins(snapshot);
    if let Some(mut record) = store.images().by_id(&id)? {
        if layer_origins.iter().any(|(layer, origin)| record.layer_origins.get(layer) != Some(origin)) {
            record.layer_origins.extend(layer_origins);
            store.images().add(&record)?;
        }
        return Ok(record);
    }
    let mut size = 0;
    for layer in snapshot.layers() {
        let known = store.layers().info(&layer.diff_id)?.map(|info| info.size);
        let remote = layer.remote.as_ref().map(|remote| remote.descriptor.size());
        size += match known.filter(|size| *size > 0).or(remote) {
            Some(size) => size,
            // What came from an OCI layout and was never unpacked.
            None => store.layers().blob(&layer.diff_id)?.map_or(0, |blob| blob.size()),
        };
    }
    let record = ImageRecord {
        id,
        manifest: None,
        layers: snapshot.diff_ids(),
        layer_blobs: remote_blobs(snapshot),
        origin: origin(snapshot),
        layer_origins,
        platform: plan.platform.clone(),
        created: config.created.clone(),
        size,
    };
    store.images().add(&record)?;
    Ok(record)
}

/// The blobs of the layers that came from a registry: a prefix of the chain, the base's.
fn remote_blobs(snapshot: &Snapshot) -> Vec<Descriptor> {
    let remotes = snapshot.layers().iter().map_while(|layer| layer.remote.as_ref());
    let remotes = remotes.take_while(|remote| remote.image().is_some());
    remotes.map(|remote| remote.descriptor.clone()).collect()
}

fn origin(snapshot: &Snapshot) -> Option<String> {
    let first = snapshot.layers().first()?.remote.as_ref()?;
    Some(first.image()?.to_string())
}

/// Where the layers are that only a shared cache has.
fn layer_origins(snapshot: &Snapshot) -> BTreeMap<DiffId, LayerOrigin> {
    let origin =
        |layer: &Arc<LayerRef>| Some((layer.diff_id.clone(), layer.remote.as_ref()?.layer_origin()?));
    snapshot.layers().iter().filter_map(origin).collect()
}

/// The plan's configuration with layers and times filled in.
fn configuration(planned: &ImageConfig, layers: &[Arc<LayerRef>]) -> Result<ImageConfig, BuildError> {
    let mut config = planned.clone();
    config.rootfs.diff_ids = layers.iter().map(|layer| layer.diff_id.to_string()).collect();
    let made = config.history.iter().filter(|entry| !entry.empty_layer).count();
    if !config.history.is_empty() && made != layers.len() {
        let detail = format!("its history tells of {made} layers, its file system has {}", layers.len());
        return Err(BuildError::Plan { detail });
    }
    date(&mut config.history, layers);
    let last = config.history.iter().rev().find_map(|entry| entry.created.clone());
    config.created = last.or(config.created).or_else(|| Some(EPOCH.to_owned()));
    Ok(config)
}

/// Gives each undated entry a time: its layer's own, else that of the dated entry before it. Where that one is of the
/// base, whose time says nothing about this build, the first layer after it counts, if there is one.
fn date(history: &mut [History], layers: &[Arc<LayerRef>]) {
    let mut layers = layers.iter();
    for entry in history.iter_mut() {
        if entry.empty_layer {
            continue;
        }
        let made = layers.next().and_then(|layer| layer.created.clone());
        if entry.created.is_none() {
            entry.created = made;
        }
    }
    let own = history.iter().position(|entry| entry.created.is_none()).unwrap_or(history.len());
    let (of_base, of_build) = history.split_at_mut(own);
    let first = of_build.iter().find_map(|entry| entry.created.clone());
    let mut last = first.or_else(|| of_base.iter().rev().find_map(|entry| entry.created.clone()));
    for entry in of_build {
        match &entry.created {
            Some(created) => last = Some(created.clone()),
            None => entry.created.clone_from(&last),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::str::FromStr;

    fn layer(digit: char, created: Option<&str>) -> Arc<LayerRef> {
        let hex: String = std::iter::repeat_n(digit, 64).collect();
        Arc::new(LayerRef {
            diff_id: DiffId::from_str(&format!("sha256:{hex}")).unwrap(),
            remote: None,
            created: created.map(str::to_owned),
        })
    }

    fn entry(created: Option<&str>, empty_layer: bool) -> History {
        History { created: created.map(str::to_owned), empty_layer, ..History::default() }
    }

    #[test]
    fn times_come_from_layers_and_neighbours() {
        let planned = ImageConfig {
            history: vec![
                entry(Some("base"), false),
                entry(None, true),
                entry(None, false),
                entry(None, true),
            ],
            ..ImageConfig::default()
        };
        let config = configuration(&planned, &[layer('a', None), layer('b', Some("step"))]).unwrap();
        let times: Vec<_> = config.history.iter().map(|entry| entry.created.as_deref().unwrap()).collect();
        assert_eq!(times, ["base", "step", "step", "step"]);
        assert_eq!(config.created.as_deref(), Some("step"));
        assert_eq!(config.rootfs.diff_ids.len(), 2);
    }

    #[test]
    fn without_a_layer_of_its_own_a_build_is_as_old_as_its_base() {
        let history = vec![entry(Some("older"), false), entry(Some("base"), true), entry(None, true)];
        let planned = ImageConfig { history, ..ImageConfig::default() };
        let config = configuration(&planned, &[layer('a', None)]).unwrap();
        let times: Vec<_> = config.history.iter().map(|entry| entry.created.as_deref().unwrap()).collect();
        assert_eq!(times, ["older", "base", "base"]);
    }

    #[test]
    fn a_history_that_does_not_fit_the_layers_is_refused() {
        let planned = ImageConfig { history: vec![entry(None, false)], ..ImageConfig::default() };
        assert!(configuration(&planned, &[]).is_err());
    }
}
