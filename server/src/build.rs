//! One build that a client asked for: who watches it, what it has solved so far, what the client returned.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use kiln_builder::Bases;
use kiln_cache::{Digest, ImageRecord};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::api::control::{CacheOptions, Exporter};
use crate::api::pb;
use crate::caches::BuildCaches;
use crate::export::made::Making;
use crate::policy::Policies;
use crate::results::Held;
use crate::status::StatusLog;

/// A file system that was solved, with the configuration that it was solved for.
#[derive(Debug, Clone)]
pub(crate) struct Solved {
    /// The image that it is.
    pub(crate) record: ImageRecord,
    /// Its configuration, as it was given to the client.
    pub(crate) config: Vec<u8>,
}

/// What a build results in.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outcome {
    /// By platform; one without a name when there is only one.
    pub(crate) images: Vec<(String, Arc<Solved>)>,
    /// What goes with it.
    pub(crate) metadata: HashMap<String, Vec<u8>>,
}

/// One build.
pub(crate) struct Build {
    /// The name that the client gave it.
    pub(crate) id: String,
    /// The id of the client's session.
    pub(crate) session: String,
    /// What the frontend was given.
    pub(crate) attributes: HashMap<String, String>,
    /// Where the result goes.
    pub(crate) exporters: Vec<Exporter>,
    /// What steps may do that they usually may not.
    pub(crate) entitlements: Vec<String>,
    /// Caches that are read and written, if the client named any when the build began.
    pub(crate) caches: OnceLock<CacheOptions>,
    /// What its sources are held against.
    pub(crate) policies: OnceLock<Policies>,
    /// Graphs that the client gave it by name when it began.
    pub(crate) inputs: OnceLock<HashMap<String, pb::Definition>>,
    /// How what it makes was made.
    pub(crate) making: Making,
    /// What is told to watchers.
    pub(crate) status: Arc<StatusLog>,
    /// Stops it.
    pub(crate) cancel: CancellationToken,
    /// Why it was not begun, which is known before anybody else has it.
    pub(crate) refusal: OnceLock<Status>,
    /// Images that no registry has, by the references that stand for them.
    known: Mutex<HashMap<String, Arc<Solved>>>,
    results: Mutex<Vec<Arc<Held>>>,
    /// Directories that only this daemon has, and what the client calls what is in them.
    names: Mutex<Vec<(String, String)>>,
    /// What people are shown of operations of clients' graphs, by their digests.
    operations: Mutex<HashMap<String, String>>,
    /// The shared caches of each image that was solved, by its id.
    shared: Mutex<HashMap<Digest, BuildCaches>>,
    returned: Mutex<Option<oneshot::Sender<Result<Outcome, Status>>>>,
}

impl Build {
    /// A build, and where what the client returns arrives.
    pub(crate) fn new(
        id: &str,
        session: &str,
        attributes: HashMap<String, String>,
        exporters: Vec<Exporter>,
        entitlements: Vec<String>,
    ) -> (Arc<Self>, oneshot::Receiver<Result<Outcome, Status>>) {
        let (sender, receiver) = oneshot::channel();
        let build = Self {
            id: id.to_owned(),
            session: session.to_owned(),
            attributes,
            exporters,
            entitlements,
            caches: OnceLock::new(),
            policies: OnceLock::new(),
            inputs: OnceLock::new(),
            making: Making::begin(),
            status: Arc::new(StatusLog::new(id)),
            cancel: CancellationToken::new(),
            refusal: OnceLock::new(),
            known: Mutex::default(),
            results: Mutex::default(),
            names: Mutex::default(),
            operations: Mutex::default(),
            shared: Mutex::default(),
            returned: Mutex::new(Some(sender)),
        };
        (Arc::new(build), receiver)
    }

    /// Keeps the shared caches that an image was solved with, until they are written.
    pub(crate) fn keep_caches(&self, image: &Digest, caches: BuildCaches) {
        let mut all = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(image.clone(), caches);
    }

    /// Remembers what people are shown of operations.
    pub(crate) fn name_operations(&self, names: impl Iterator<Item = (String, String)>) {
        self.operations.lock().unwrap_or_else(PoisonError::into_inner).extend(names);
    }

    /// The step that watchers are told of for an operation that a client names; what is none has its own name.
    pub(crate) fn step_of(&self, operation: String) -> String {
        let names = self.operations.lock().unwrap_or_else(PoisonError::into_inner);
        names.get(&operation).and_then(|name| self.status.named(name)).unwrap_or(operation)
    }

    /// The shared caches that an image was solved with.
    pub(crate) fn caches_of(&self, image: &Digest) -> Option<BuildCaches> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).get(image).cloned()
    }

    /// Has a directory that only this daemon has told by a name that the client knows.
    pub(crate) fn call(&self, directory: &Path, name: String) {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.push((directory.display().to_string(), name));
    }

    /// A text for the client, with the names that it knows.
    pub(crate) fn in_known_names(&self, text: &mut String) {
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        for (directory, name) in names.iter() {
            *text = text.replace(directory, name);
        }
    }

    /// Lets the build know an image that no registry has.
    pub(crate) fn know(&self, reference: &str, image: &Arc<Solved>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(reference.to_owned(), Arc::clone(image));
    }

    /// Whether a reference stands for an image that only this build knows.
    pub(crate) fn knows(&self, reference: &str) -> bool {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).contains_key(reference)
    }

    /// What the sources of all its parts are held against.
    pub(crate) fn policies(&self) -> Policies {
        self.policies.get().cloned().unwrap_or_default()
    }

    /// Tells a lowering of the images that only this build knows.
    pub(crate) fn tell_known(&self, bases: &Bases) {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        for (reference, image) in known.iter() {
            bases.know(reference, &image.record);
        }
    }

    /// Keeps a result and gives it a name for the client.
    pub(crate) fn keep(&self, result: Arc<Held>) -> String {
        let mut all = self.results.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(result);
        format!("{}-{}", self.id, all.len())
    }

    /// The result of that name.
    pub(crate) fn result(&self, name: &str) -> Result<Arc<Held>, Status> {
        let number = name.strip_prefix(self.id.as_str()).and_then(|rest| rest.strip_prefix('-'));
        let number = number.and_then(|number| number.parse::<usize>().ok());
        let all = self.results.lock().unwrap_or_else(PoisonError::into_inner);
        let result =
            number.and_then(|number| number.checked_sub(1)).and_then(|index| all.get(index)).cloned();
        result.ok_or_else(|| Status::not_found(format!("no such ref: {name}")))
    }

    /// Takes what the client returns; the first time counts.
    pub(crate) fn returns(&self, result: Result<Outcome, Status>) -> Result<(), Status> {
        let sender = self.returned.lock().unwrap_or_else(PoisonError::into_inner).take();
        let sender = sender.ok_or_else(|| Status::failed_precondition("the build has returned already"))?;
        sender.send(result).map_err(|_| Status::cancelled("the build is over"))
    }
}
