//! What a vertex results in: a chain of layers, most of which need not be on this disk.

use std::sync::Arc;

use kiln_cache::DiffId;
use kiln_registry::{Descriptor, Reference};

/// A file system as a chain of layers, bottom first. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Snapshot {
    layers: Arc<Vec<LayerRef>>,
}

/// One layer of a [`Snapshot`].
#[derive(Debug, Clone)]
pub(crate) struct LayerRef {
    /// Which layer.
    pub(crate) diff_id: DiffId,
    /// Where its blob can be fetched while the store has no form of it.
    pub(crate) remote: Option<Remote>,
    /// When a build of kiln made it, RFC 3339; `None` for the layers of a base image.
    pub(crate) created: Option<String>,
}

/// A blob in a registry.
#[derive(Debug, Clone)]
pub(crate) struct Remote {
    /// The image it belongs to.
    pub(crate) reference: Arc<Reference>,
    /// The blob.
    pub(crate) descriptor: Descriptor,
}

impl Snapshot {
    /// A snapshot of these layers, bottom first.
    pub(crate) fn new(layers: Vec<LayerRef>) -> Self {
        Self { layers: Arc::new(layers) }
    }

    /// The layers, bottom first.
    pub(crate) fn layers(&self) -> &[LayerRef] {
        &self.layers
    }

    /// This snapshot with one more layer on top.
    pub(crate) fn with(&self, layer: LayerRef) -> Self {
        let mut layers = Vec::with_capacity(self.layers.len() + 1);
        layers.extend(self.layers.iter().cloned());
        layers.push(layer);
        Self::new(layers)
    }

    /// The diff ids, bottom first.
    pub(crate) fn diff_ids(&self) -> Vec<DiffId> {
        self.layers.iter().map(|layer| layer.diff_id.clone()).collect()
    }

    /// The content identity: the diff ids in order, one a line. Equal chains are equal file systems.
    pub(crate) fn identity(&self) -> String {
        let mut identity = String::with_capacity(self.layers.len() * 72);
        for layer in self.layers.iter() {
            identity.push_str(&layer.diff_id.to_string());
            identity.push('\n');
        }
        identity
    }
}
