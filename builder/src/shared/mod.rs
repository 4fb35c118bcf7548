//! Caches that machines share: what a build takes from them, and what it gives to them.
//!
//! Importing reads documents, once, beside everything else; a step that the store does not know is looked up in them by
//! its key. A hit says which layer the step gives and where its blob is; the blob is fetched when something needs the
//! files. Exporting happens when the image is done, with what the build has used.
//!
//! What is not fetched is not verified: a push that finds the layers where it goes passes on what the cache says of them,
//! and whoever pulls the image verifies it.
//!
//! Invariant: nothing that a shared cache does or fails to do ends a build. A layer that was promised and cannot be had
//! makes its promise void, and the plan is solved again without it: what is still known costs nothing the second time.
//!
//! [`import`] reads documents, [`trace`] remembers what a build uses, [`export`] writes. Called by the solver
//! ([`SharedCaches::find`], [`SharedCaches::memo`]), by [`crate::Builder`], and by the command line, which has the flags.

mod export;
mod import;
mod mounts;
mod open;
mod report;
mod send;
mod take;
mod trace;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kiln_cache::{Compression, DiffId, Key, LayerOrigin, Part, Record, SharedRecord};
use kiln_registry::{Access, Location, Storage};
use tokio::sync::OnceCell;
use tokio_util::sync::{CancellationToken, DropGuard};

use self::import::Imported;
use self::trace::Trace;
use crate::error::{BuildError, StepError};
use crate::event::Progress;
use crate::fetch::FetchError;
use crate::snapshot::{LayerRef, Remote, Snapshot};

pub use export::CacheExportError;
pub use report::{CacheExportReport, CacheImportReport};

/// How many wrong or missing blobs it takes until nothing of a place is believed any more: each costs another look at all
/// steps.
const MOST_FAILURES: u32 = 4;

/// Where a cache is.
#[derive(Debug, Clone)]
pub struct CachePlace {
    /// The place.
    pub location: Location,
    /// What the place asks for; the client's own if absent.
    pub access: Option<Access>,
}

/// A cache to write.
#[derive(Debug, Clone)]
pub struct CacheExport {
    /// Where it goes.
    pub target: CacheTarget,
    /// How much of the build is in it.
    pub mode: CacheMode,
    /// How layers are compressed that are not compressed yet; gzip if absent.
    pub compression: Option<Compression>,
    /// Layers that are compressed otherwise are compressed again.
    pub force_compression: bool,
    /// A cache that cannot be written is a warning; otherwise the build has failed.
    pub ignore_error: bool,
    /// Ids of cache mounts that travel along.
    pub mounts: Vec<String>,
}

/// Where a cache goes.
#[derive(Debug, Clone)]
pub enum CacheTarget {
    /// Into the configuration of the image.
    Inline,
    /// To a place of its own.
    Place(Box<CachePlace>),
}

/// Which layers a cache has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CacheMode {
    /// Those of the image.
    #[default]
    Min,
    /// Those of every step.
    Max,
}

/// The shared caches of one build. Cheap to clone; clones are the same caches. The default is none.
#[derive(Clone, Default)]
pub struct SharedCaches {
    /// What is imported and exported, if anything is.
    inner: Option<Arc<Inner>>,
    /// A build without shared caches may still find layers that came from one earlier.
    state: Arc<Mutex<State>>,
    /// Dropped with the last clone, it ends the reading: a build that asked for nothing waits for nothing.
    _reading: Option<Arc<DropGuard>>,
}

struct Inner {
    imports: Vec<OpenPlace>,
    exports: Vec<CacheExport>,
    platform: String,
    imported: OnceCell<Vec<Imported>>,
    /// Cancelled when nobody can ask any more.
    over: CancellationToken,
    progress: Progress,
}

/// An import whose place is open.
struct OpenPlace {
    storage: Arc<Storage>,
    line: Arc<str>,
}

/// What changes while a build goes on.
#[derive(Default)]
struct State {
    trace: Trace,
    doubts: Doubts,
    /// How many steps each import has answered.
    hits: BTreeMap<usize, BTreeSet<Key>>,
}

/// What is not believed any more.
#[derive(Default)]
struct Doubts {
    layers: BTreeSet<DiffId>,
    /// Lines of places that failed, and how often.
    places: BTreeMap<String, u32>,
    /// Every layer has to be somewhere.
    all_needed: bool,
}

impl Doubts {
    fn believes(&self, origin: &LayerOrigin, layer: &DiffId) -> bool {
        !self.layers.contains(layer)
            && self.places.get(&origin.place).is_none_or(|failures| *failures < MOST_FAILURES)
    }

    /// Whether it is enough to know what a layer is called.
    fn may_be_named(&self, layer: &DiffId) -> bool {
        !self.all_needed && !self.layers.contains(layer)
    }
}

/// What a shared cache says about a step.
pub(crate) struct Found {
    /// What the step gives.
    pub(crate) record: SharedRecord,
    /// Where the layer can be had; nowhere if only its name is known.
    pub(crate) origin: Option<LayerOrigin>,
}

impl SharedCaches {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the imports say about a key. Waits until they have been read.
    ///
    /// A layer that is only named is good for finding what is built on it. `has` says whether the store has it.
    pub(crate) async fn find<E>(
        &self,
        key: &Key,
        mut has: impl FnMut(&DiffId) -> Result<bool, E>,
    ) -> Result<Option<Found>, E> {
        let Some(inner) = &self.inner else { return Ok(None) };
        let imported = inner.imported().await;
        let mut named = None;
        for (number, import) in imported.iter().enumerate() {
            let Some(record) = import.document.records.get(key) else { continue };
            let origin = import.origin(&record.layer);
            let found = Found { record: record.clone(), origin };
            let believed = |origin| self.state().doubts.believes(origin, &record.layer);
            if found.origin.as_ref().is_some_and(believed) || has(&record.layer)? {
                self.hit(number, key);
                return Ok(Some(found));
            }
            if found.origin.is_none() && named.is_none() && self.state().doubts.may_be_named(&record.layer) {
                named = Some((number, found));
            }
        }
        Ok(named.map(|(number, found)| {
            self.hit(number, key);
            found
        }))
    }

    /// Where the layer of a record of the store can be had, if that is still believed.
    pub(crate) fn remote_of(&self, record: &Record) -> Option<Remote> {
        let (origin, layer) = (record.origin.as_ref()?, record.layer.as_ref()?);
        self.state().doubts.believes(origin, layer).then(|| Remote::shared(origin))
    }

    /// What the imports remember under a key.
    pub(crate) async fn memo(&self, key: &Key) -> Option<Vec<u8>> {
        let imported = self.inner.as_ref()?.imported().await;
        imported.iter().find_map(|import| import.document.memos.get(key).cloned())
    }

    /// The newest record that the imports have of a step, with its parts as they are called here; nothing while they
    /// are being read.
    pub(crate) fn latest(&self, slot: &Key, parts: &[Part]) -> Option<Record> {
        let imported = self.inner.as_ref()?.imported.get()?;
        let mut record = imported.iter().find_map(|import| import.latest(slot))?;
        record.parts = trace::recognised(record.parts, parts);
        Some(record)
    }

    /// What the imports remember under a key; nothing while they are being read.
    pub(crate) fn memo_now(&self, key: &Key) -> Option<&[u8]> {
        let imported = self.inner.as_ref()?.imported.get()?;
        imported.iter().find_map(|import| import.document.memos.get(key)).map(Vec::as_slice)
    }

    /// Remembers that a step's result is part of the build.
    pub(crate) fn used(&self, record: &Record, layer: &LayerRef) {
        if self.inner.is_some() {
            self.state().trace.record(record, layer);
        }
    }

    /// Takes over what another part of the same build has used: what is exported then has both.
    pub fn join(&self, other: &SharedCaches) {
        let theirs = other.state().trace.clone();
        self.state().trace.join(theirs);
    }

    /// Remembers something that led to a key.
    pub(crate) fn used_memo(&self, key: &Key, value: &[u8]) {
        if self.inner.is_some() {
            self.state().trace.memos.insert(*key, value.to_owned());
        }
    }

    /// After a failure: whether a shared cache is to blame, so that the plan can be solved again without what it
    /// promised. Each time something more is not believed.
    pub(crate) fn is_to_blame(&self, error: &BuildError, progress: &Progress) -> bool {
        let BuildError::Step { cause, .. } = error else { return false };
        let StepError::Fetch(cause) = &**cause else { return false };
        let mut state = self.state();
        let doubts = &mut state.doubts;
        let blamed = match cause {
            FetchError::Shared { diff_id, place, source } => {
                // A place that does not answer would not answer for the other layers, either, each time after a while.
                let weight = if source.is_of_one_blob() { 1 } else { MOST_FAILURES };
                *doubts.places.entry(place.to_line()).or_default() += weight;
                doubts.layers.insert(diff_id.clone())
            }
            FetchError::NotTheLayer { diff_id, .. } | FetchError::UnknownPlace { diff_id, .. } => {
                doubts.layers.insert(diff_id.clone())
            }
            FetchError::LayerMissing { .. } if self.inner.is_some() => {
                !std::mem::replace(&mut doubts.all_needed, true)
            }
            _ => false,
        };
        if blamed {
            state.trace = Trace::default();
            if !matches!(cause, FetchError::LayerMissing { .. }) {
                let cause = crate::text::chain(cause);
                progress.warn(format!("{cause}; its step is executed instead"));
            }
        }
        blamed
    }

    /// Whether a result has a layer that is nowhere: then the plan is solved again, and every layer has to be somewhere.
    pub(crate) fn lacks<E>(
        &self,
        result: &Snapshot,
        mut has: impl FnMut(&DiffId) -> Result<bool, E>,
    ) -> Result<bool, E> {
        if self.inner.is_none() {
            return Ok(false);
        }
        for layer in result.layers().iter().filter(|layer| layer.remote.is_none()) {
            if !has(&layer.diff_id)? {
                let mut state = self.state();
                state.trace = Trace::default();
                return Ok(!std::mem::replace(&mut state.doubts.all_needed, true));
            }
        }
        Ok(false)
    }

    fn hit(&self, import: usize, key: &Key) {
        self.state().hits.entry(import).or_default().insert(*key);
    }
}

impl Inner {
    async fn imported(&self) -> &[Imported] {
        self.imported
            .get_or_init(|| import::read(&self.imports, &self.platform, &self.over, &self.progress))
            .await
    }
}
