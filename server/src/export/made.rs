//! How the images of a build were made: what statements about them are written from, kept until the build is over.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use jiff::Timestamp;
use kiln_builder::provenance::{Capture, ConfigFile, Invocation};
use kiln_cache::{DiffId, ImageRecord};

use crate::api::control::Descriptor;

/// The argument that dates a build.
const EPOCH: &str = "build-arg:SOURCE_DATE_EPOCH";

/// How one image was made.
#[derive(Debug, Clone, Default)]
pub(crate) struct Made {
    /// What it was made of.
    pub(crate) capture: Capture,
    /// Which frontend was asked; none where a client sent a graph.
    pub(crate) frontend: String,
    /// What it was asked.
    pub(crate) args: BTreeMap<String, String>,
    /// The Dockerfile.
    pub(crate) config: Option<ConfigFile>,
}

impl Made {
    /// The time that the build was asked to bear.
    pub(super) fn epoch(&self) -> Option<i64> {
        self.args.get(EPOCH)?.parse().ok()
    }
}

/// An image by what it is on the disk: a client may give it another configuration, and with it another id.
type Key = (String, Vec<DiffId>);

/// Results that are remembered for builds that begin with them.
const REMEMBERED: usize = 256;

/// Results given to clients whose ids are remembered.
const GIVEN: usize = 4096;

/// What results of other builds were made of, by their ids: a client may begin another build with one. The newest are kept.
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    captures: Mutex<VecDeque<(String, Capture)>>,
    /// The ids of those that clients were given to begin builds with.
    given: Mutex<VecDeque<String>>,
}

impl Remembered {
    fn note(&self, record: &ImageRecord, capture: &Capture) {
        let mut all = self.captures.lock().unwrap_or_else(PoisonError::into_inner);
        all.push_front((record.id.to_string(), capture.clone()));
        all.truncate(REMEMBERED);
    }

    fn give(&self, id: String) {
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        given.retain(|known| *known != id);
        given.push_front(id);
        given.truncate(GIVEN);
    }

    /// Whether a client was given the image of that id as the result of its build. Of what was given long ago nothing is known.
    pub(crate) fn gave(&self, id: &str) -> bool {
        self.given.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|known| known == id)
    }

    fn of(&self, reference: &str) -> Option<Capture> {
        let id = crate::llb::result_id(reference)?;
        let all = self.captures.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().find(|(known, _)| *known == id).map(|(_, capture)| capture.clone())
    }
}

/// What a build has made, and what is written down about that when it is over.
#[derive(Debug)]
pub(crate) struct Making {
    started: Timestamp,
    made: Mutex<HashMap<Key, Made>>,
    /// What other builds of the daemon have made.
    pub(crate) remembered: OnceLock<Arc<Remembered>>,
    results: Mutex<Results>,
}

/// What is kept of a build's results.
#[derive(Debug, Clone, Default)]
pub(crate) struct Results {
    /// Provenances, with their types, by platform; one without a name where there is only one image.
    pub(crate) provenances: Vec<(String, String, Vec<u8>)>,
    /// What the outputs are, by their numbers.
    pub(crate) descriptors: Vec<(i64, Descriptor)>,
}

impl Making {
    /// A build begins.
    pub(crate) fn begin() -> Self {
        Self {
            started: Timestamp::now(),
            made: Mutex::default(),
            remembered: OnceLock::new(),
            results: Mutex::default(),
        }
    }

    /// Notes how an image was made; the first time counts, for later ones take it from there.
    pub(crate) fn note(&self, record: &ImageRecord, mut made: Made) {
        if let Some(remembered) = self.remembered.get() {
            let results: Vec<Capture> =
                made.capture.results().iter().filter_map(|reference| remembered.of(reference)).collect();
            for result in &results {
                made.capture.merge(result);
            }
            remembered.note(record, &made.capture);
        }
        let mut all = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(key(record)).or_insert(made);
    }

    /// Notes that the client is given a result, which it may begin other builds with.
    pub(crate) fn give(&self, record: &ImageRecord) {
        if let Some(remembered) = self.remembered.get() {
            remembered.give(record.id.to_string());
        }
    }

    /// How an image was made, with what went into it from other parts of the build: whatever is none of its results.
    pub(super) fn of(&self, record: &ImageRecord, results: &[ImageRecord]) -> Made {
        let results: Vec<Key> = results.iter().map(key).collect();
        let all = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let mut made = all.get(&key(record)).cloned().unwrap_or_default();
        for (_, part) in all.iter().filter(|(key, _)| !results.contains(key)) {
            made.capture.merge(&part.capture);
        }
        made
    }

    /// What was asked for and when.
    pub(super) fn invocation(
        &self,
        id: &str,
        made: &Made,
        root: &HashMap<String, String>,
        platform: &str,
    ) -> Invocation {
        let sorted: BTreeMap<String, String> = root.clone().into_iter().collect();
        let is_other = sorted != made.args;
        Invocation {
            id: id.to_owned(),
            frontend: made.frontend.clone(),
            args: made.args.clone(),
            root: is_other.then_some(sorted),
            config: made.config.clone(),
            started: self.started,
            finished: Timestamp::now(),
            platform: platform.to_owned(),
            dockerfile_version: if made.frontend.is_empty() {
                String::new()
            } else {
                crate::control::DOCKERFILE_VERSION.to_owned()
            },
        }
    }

    /// Keeps what the history is to know.
    pub(super) fn keep(&self, change: impl FnOnce(&mut Results)) {
        change(&mut self.results.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// What the history is to know.
    pub(crate) fn results(&self) -> Results {
        self.results.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn key(record: &ImageRecord) -> Key {
    (record.platform.clone(), record.layers.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_is_known_for_a_while() {
        let remembered = Remembered::default();
        for number in 0..=GIVEN {
            remembered.give(format!("sha256:{number:064x}"));
            // What is given again counts once, and is not the oldest any more.
            remembered.give(format!("sha256:{:064x}", 1));
        }
        let gave = |number: usize| remembered.gave(&format!("sha256:{number:064x}"));
        assert!(!gave(0) && gave(1) && gave(2) && gave(GIVEN) && !gave(GIVEN + 1));
        assert!(!remembered.gave("sha256:") && !remembered.gave("sha256:00"));
    }
}
