//! What one build has used: the records of its steps, whether they were executed or known, and what led to their keys.

use std::collections::{BTreeMap, BTreeSet};

use kiln_cache::{CacheDocument, DiffId, Key, Part, Record, SharedRecord};

use crate::snapshot::{LayerRef, Remote};

/// Parts whose values are told apart by their digests only: what a build was given may be nobody else's business.
const PRIVATE: [&str; 3] = ["variable ", "script ", "file "];

/// What a build has used.
#[derive(Clone, Default)]
pub(super) struct Trace {
    records: BTreeMap<Key, SharedRecord>,
    /// Where the layers are that are not in the store.
    remotes: BTreeMap<DiffId, Remote>,
    pub(super) memos: BTreeMap<Key, Vec<u8>>,
}

impl Trace {
    pub(super) fn record(&mut self, record: &Record, layer: &LayerRef) {
        let shared = SharedRecord {
            slot: Some(record.slot),
            parts: record.parts.iter().map(to_public).collect(),
            layer: layer.diff_id.clone(),
            created: record.created,
            milliseconds: record.milliseconds,
        };
        self.records.insert(record.key, shared);
        if let Some(remote) = &layer.remote {
            self.remotes.insert(layer.diff_id.clone(), remote.clone());
        }
    }

    /// Takes over what another part of the same build has used.
    pub(super) fn join(&mut self, other: Trace) {
        self.records.extend(other.records);
        self.remotes.extend(other.remotes);
        self.memos.extend(other.memos);
    }

    /// The layers that steps of the build gave.
    pub(super) fn layers(&self) -> BTreeSet<DiffId> {
        self.records.values().map(|record| record.layer.clone()).collect()
    }

    /// Where a layer is that was not in the store.
    pub(super) fn remote(&self, layer: &DiffId) -> Option<&Remote> {
        self.remotes.get(layer)
    }

    /// Everything that a build on an empty store needs to find its steps; the layers are others' to add.
    pub(super) fn to_document(&self, with_parts: bool) -> CacheDocument {
        let mut records = self.records.clone();
        if !with_parts {
            for record in records.values_mut() {
                (record.parts, record.slot) = (Vec::new(), None);
            }
        }
        CacheDocument { records, memos: self.memos.clone(), ..CacheDocument::default() }
    }
}

/// A part as others may see it.
fn to_public(part: &Part) -> Part {
    let is_private = PRIVATE.iter().any(|prefix| part.name.starts_with(prefix));
    let value = if is_private { digest(&part.value) } else { part.value.clone() };
    Part { name: part.name.clone(), value }
}

fn digest(value: &str) -> String {
    // A value that was long is a digest already.
    if value.starts_with("sha256:") {
        value.to_owned()
    } else {
        kiln_cache::digest_of(value.as_bytes()).to_string()
    }
}

/// Parts that others made public, beside the parts of the same step here: what is the same here is shown as it is.
pub(super) fn recognised(mut theirs: Vec<Part>, ours: &[Part]) -> Vec<Part> {
    for part in &mut theirs {
        let same = ours.iter().find(|our| our.name == part.name && to_public(our).value == part.value);
        if let Some(our) = same {
            part.value.clone_from(&our.value);
        }
    }
    theirs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(name: &str, value: &str) -> Part {
        Part { name: name.into(), value: value.into() }
    }

    #[test]
    fn values_given_to_a_build_are_not_told() {
        let public = to_public(&part("variable TOKEN", "secret"));
        assert!(public.value.starts_with("sha256:") && !public.value.contains("secret"));
        assert_eq!(to_public(&public), public, "a digest stays what it is");
        assert_eq!(to_public(&part("command", "make")), part("command", "make"));
    }

    #[test]
    fn a_value_that_is_known_here_is_recognised() {
        let ours = [part("variable A", "1"), part("variable B", "2")];
        let theirs = vec![to_public(&part("variable A", "1")), to_public(&part("variable B", "3"))];
        let seen = recognised(theirs, &ours);
        assert_eq!(seen[0], ours[0]);
        assert!(seen[1].value.starts_with("sha256:"));
    }
}
