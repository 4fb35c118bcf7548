//! Where operations were written, as clients say: the texts that they made a definition from, and places in them. Errors carry
//! these, so that whoever sees them is shown the lines. Pure.

use std::collections::HashMap;
use std::sync::Arc;

use prost_types::Any;

use crate::api::pb;
use crate::failure;

/// The places of operations, by their digests.
#[derive(Debug, Clone, Default)]
pub(crate) struct Origins {
    all: HashMap<String, Vec<Place>>,
}

/// Lines of a text.
#[derive(Debug, Clone)]
struct Place {
    text: Arc<pb::SourceInfo>,
    ranges: Vec<pb::Range>,
}

impl Origins {
    /// What a definition says. A place in a text that does not come along cannot be shown, and is none.
    pub(super) fn of(definition: &pb::Definition) -> Self {
        let Some(source) = &definition.source else { return Self::default() };
        // The graph that a text came from is nothing that people read.
        let shown = |info: &pb::SourceInfo| Arc::new(pb::SourceInfo { definition: None, ..info.clone() });
        let texts: Vec<Arc<pb::SourceInfo>> = source.infos.iter().map(shown).collect();
        let place = |location: &pb::Location| {
            let text = usize::try_from(location.source_index).ok().and_then(|index| texts.get(index))?;
            Some(Place { text: Arc::clone(text), ranges: location.ranges.clone() })
        };
        let places = |locations: &pb::Locations| locations.locations.iter().filter_map(place).collect();
        let all = source.locations.iter().map(|(digest, locations)| (digest.clone(), places(locations)));
        Self { all: all.collect() }
    }

    /// Takes in what another definition says of operations that this one does not have.
    pub(super) fn take_in(&mut self, other: Self) {
        for (digest, places) in other.all {
            self.all.entry(digest).or_insert(places);
        }
    }

    /// The places of an operation as details of an error.
    pub(super) fn details(&self, digest: &str) -> Vec<Any> {
        let places = self.all.get(digest).map(Vec::as_slice).unwrap_or_default();
        places.iter().map(|place| failure::source(&place.text, &place.ranges)).collect()
    }
}
