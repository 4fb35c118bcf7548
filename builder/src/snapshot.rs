//! What a vertex results in: a chain of layers, most of which need not be on this disk.

use std::sync::Arc;

use kiln_cache::{DiffId, Key, KeyBuilder, LayerOrigin};
use kiln_registry::{Descriptor, Reference};

/// A file system as a chain of layers, bottom first. Cheap to clone, and to put a layer on: each step of a build has one, and
/// those of a long chain share what they know of their layers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Snapshot {
    layers: Arc<Vec<Arc<LayerRef>>>,
    identity: Identity,
}

/// The content identity of a chain: one hash over the diff ids in order, and nothing for an empty chain. It grows with the
/// chain, layer by layer, so that a step costs the same however many there are below it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Identity(Option<[u8; 32]>);

impl Identity {
    /// The identity of the chain with one more layer. One without entries changes nothing, so it is not in there.
    fn with(self, diff_id: &DiffId) -> Self {
        if diff_id.is_empty_layer() {
            return self;
        }
        let below = self.0.unwrap_or_default();
        let (key, _) =
            KeyBuilder::new("chain").part("below", below).part("layer", diff_id.to_string()).finish();
        Self(Some(key.0))
    }
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

/// A blob that is elsewhere.
#[derive(Debug, Clone)]
pub(crate) struct Remote {
    /// Where.
    pub(crate) origin: Origin,
    /// The blob.
    pub(crate) descriptor: Descriptor,
}

/// Where a blob can be fetched.
#[derive(Debug, Clone)]
pub(crate) enum Origin {
    /// From the registry that has the image it belongs to.
    Image(Arc<Reference>),
    /// From a shared cache: the line of its location.
    Shared(Arc<str>),
}

impl Remote {
    /// The image in a registry that the blob belongs to, if that is where it is.
    pub(crate) fn image(&self) -> Option<&Reference> {
        match &self.origin {
            Origin::Image(reference) => Some(reference),
            Origin::Shared(_) => None,
        }
    }

    /// The blob of a layer in a shared cache.
    pub(crate) fn shared(origin: &LayerOrigin) -> Self {
        Self { origin: Origin::Shared(origin.place.as_str().into()), descriptor: origin.blob.clone() }
    }

    /// What the store remembers of it, if it is in a shared cache.
    pub(crate) fn layer_origin(&self) -> Option<LayerOrigin> {
        match &self.origin {
            Origin::Image(_) => None,
            Origin::Shared(place) => {
                Some(LayerOrigin { blob: self.descriptor.clone(), place: place.to_string() })
            }
        }
    }
}

impl Snapshot {
    /// A snapshot of these layers, bottom first.
    pub(crate) fn new(layers: Vec<impl Into<Arc<LayerRef>>>) -> Self {
        let layers: Vec<Arc<LayerRef>> = layers.into_iter().map(Into::into).collect();
        let identity =
            layers.iter().fold(Identity::default(), |identity, layer| identity.with(&layer.diff_id));
        Self { layers: Arc::new(layers), identity }
    }

    /// The layers, bottom first.
    pub(crate) fn layers(&self) -> &[Arc<LayerRef>] {
        &self.layers
    }

    /// This snapshot with one more layer on top.
    pub(crate) fn with(&self, layer: LayerRef) -> Self {
        let mut layers = Vec::with_capacity(self.layers.len() + 1);
        layers.extend(self.layers.iter().cloned());
        let identity = self.identity.with(&layer.diff_id);
        layers.push(Arc::new(layer));
        Self { layers: Arc::new(layers), identity }
    }

    /// The diff ids, bottom first.
    pub(crate) fn diff_ids(&self) -> Vec<DiffId> {
        self.layers.iter().map(|layer| layer.diff_id.clone()).collect()
    }

    /// The content identity: equal chains are equal file systems. Empty for a chain without entries.
    pub(crate) fn identity(&self) -> String {
        self.identity.0.map_or_else(String::new, |hash| Key(hash).to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(number: u8) -> LayerRef {
        LayerRef { diff_id: DiffId::from_hash([number; 32]), remote: None, created: None }
    }

    #[test]
    fn an_identity_is_that_of_the_chain_however_it_was_made() {
        let whole = Snapshot::new(vec![layer(1), layer(2)]);
        let grown = Snapshot::default().with(layer(1)).with(layer(2));
        assert_eq!(whole.identity(), grown.identity());
        let others = [
            Snapshot::default(),
            Snapshot::new(vec![layer(1)]),
            Snapshot::new(vec![layer(2), layer(1)]),
            Snapshot::new(vec![layer(1), layer(2), layer(2)]),
        ];
        for other in others {
            assert_ne!(whole.identity(), other.identity());
        }
        assert_eq!(Snapshot::default().identity(), "");
    }
}
