//! Solves a build plan and makes images: scheduler, one executor per operation, image assembly, and what is
//! done with finished images.
//!
//! The builder takes a [`kiln_graph::plan::Plan`] and never sees Dockerfile syntax. It uses the cache for
//! everything on disk, the sandbox for everything that runs, the registry for everything from outside. It
//! prints nothing: what happens goes out as [`event::Event`]s.

pub mod account;
mod assemble;
mod base;
mod causes;
mod content;
mod context;
mod device;
mod entitlement;
mod error;
pub mod event;
mod fetch;
mod hint;
mod hosts;
pub mod images;
mod keyring;
mod limits;
mod patient;
pub mod provenance;
mod run;
mod shared;
mod snapshot;
mod solve;
mod source;
mod step;
mod task;
pub mod text;
mod writeback;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use kiln_cache::{ImageRecord, LayerError, Store};
use kiln_graph::plan::Plan;
use kiln_registry::Client;
use tokio::sync::Semaphore;

pub use base::{Bases, PullPolicy, Resolver};
pub use content::select::{Place, SelectError};
pub use content::{Missing, TreeError};
pub use context::{ContextError, Fetched, FetchedContext};
pub use device::DeviceError;
pub use error::{BuildError, NotCached, StepError};
pub use event::{Event, EventSender, Progress};
pub use fetch::FetchError;
pub use keyring::{KeyError, Keyring};
pub use kiln_graph::Entitlements;
pub use patient::PatientBases;
pub use run::{RunError, RunRequest, Running, Volume};
pub use shared::{
    CacheExport, CacheExportError, CacheExportReport, CacheImportReport, CacheMode, CachePlace, CacheTarget,
    SharedCaches,
};
pub use solve::require::RequireCached;
pub use source::{Commit, GitError, RemoteFile, SourceError};
pub use step::file::FileError;
pub use step::mounts::{Credentials, MountError, Secret};
pub use step::user::UserError;
pub use tokio_util::sync::CancellationToken;

use crate::fetch::Fetcher;
use crate::snapshot::Snapshot;
use crate::step::exec::Host;
use crate::writeback::Writeback;

/// What the machine and the user decide once for all builds.
#[derive(Debug, Clone)]
pub struct BuilderOptions {
    /// How many steps may be executed at once, over all builds; at least 1.
    pub jobs: usize,
    /// What commands find as `/etc/resolv.conf`; `None` leaves the image's.
    pub resolv_conf: Option<Vec<u8>>,
    /// What commands find as `/etc/hosts`; `None` leaves the image's.
    pub hosts: Option<Vec<u8>>,
    /// Directories with descriptions of devices (Container Device Interface), later ones win.
    pub device_directories: Vec<PathBuf>,
}

/// A builder on one store. Cheap to clone.
#[derive(Clone)]
pub struct Builder {
    /// Where everything is kept.
    pub store: Store,
    /// How registries are reached.
    pub client: Client,
    fetcher: Fetcher,
    slots: Arc<Semaphore>,
    host: Arc<Host>,
    writeback: Arc<Writeback>,
}

/// A plan and what it needs from outside.
pub struct BuildRequest {
    /// What to build.
    pub plan: Plan,
    /// Context directories by name.
    pub contexts: BTreeMap<String, PathBuf>,
    /// The base images as they were resolved for the plan.
    pub bases: Bases,
    /// Secrets and SSH agents that commands may ask for.
    pub credentials: Credentials,
    /// What commands may ask for beyond the ordinary.
    pub entitlements: Entitlements,
    /// Which Dockerfile this is (its path): a cache miss is explained by the last build of the same one.
    pub project: String,
    /// Which steps must not be executed.
    pub require_cached: RequireCached,
    /// Caches that machines share.
    pub shared: SharedCaches,
    /// Stops the build when cancelled.
    pub cancel: CancellationToken,
}

impl Builder {
    /// A builder that keeps everything in `store`.
    pub fn new(store: Store, client: Client, options: BuilderOptions) -> Self {
        let fetcher = Fetcher::new(store.clone(), client.clone());
        let host = Arc::new(Host {
            resolv_conf: options.resolv_conf,
            hosts: options.hosts,
            device_directories: options.device_directories,
        });
        let writeback = Arc::new(Writeback::new(store.clone()));
        let slots = Arc::new(Semaphore::new(options.jobs.clamp(1, Semaphore::MAX_PERMITS)));
        Self { store, client, fetcher, slots, host, writeback }
    }

    /// This builder with another way to reach registries: one build's logins.
    #[must_use]
    pub fn with_client(&self, client: Client) -> Self {
        let fetcher = Fetcher::new(self.store.clone(), client.clone());
        Self { client, fetcher, ..self.clone() }
    }

    /// Resolves base images for a lowering; see [`Resolver`] for where it may be called.
    pub fn resolver(
        &self,
        policy: PullPolicy,
        progress: Progress,
        runtime: tokio::runtime::Handle,
    ) -> Resolver {
        Resolver { fetcher: self.fetcher.clone(), policy, progress, runtime, bases: Bases::default() }
    }

    /// Solves the plan and keeps the image in the store, without a name.
    ///
    /// A build that fails keeps the results of the steps that succeeded, and nothing else.
    pub async fn build(&self, request: BuildRequest, progress: &Progress) -> Result<ImageRecord, BuildError> {
        let _in_use = self.store.use_lock()?;
        let snapshot = loop {
            match solve::solve(&request.plan, self.surroundings(&request, progress)).await {
                Ok(snapshot) if self.lacks(&request.shared, &snapshot)? => {}
                Err(error) if request.shared.is_to_blame(&error, progress) => {}
                result => break result?,
            }
        };
        let mut plan = request.plan;
        request.shared.inline(&mut plan.config);
        assemble::assemble(&self.store, &plan, &snapshot)
    }

    fn surroundings(&self, request: &BuildRequest, progress: &Progress) -> solve::Surroundings {
        solve::Surroundings {
            store: self.store.clone(),
            fetcher: self.fetcher.clone(),
            progress: progress.clone(),
            host: Arc::clone(&self.host),
            credentials: Arc::new(request.credentials.clone()),
            entitlements: request.entitlements.clone(),
            bases: request.bases.clone(),
            project: request.project.clone(),
            contexts: request.contexts.clone(),
            slots: Arc::clone(&self.slots),
            require_cached: request.require_cached.clone(),
            cancel: request.cancel.clone(),
            writeback: Arc::clone(&self.writeback),
            shared: request.shared.clone(),
        }
    }

    /// Whether the result has a layer that is neither here nor anywhere.
    fn lacks(&self, shared: &SharedCaches, result: &Snapshot) -> Result<bool, BuildError> {
        let layers = self.store.layers();
        Ok(shared.lacks(result, |layer| Ok::<_, LayerError>(layers.info(layer)?.is_some()))?)
    }

    /// Makes what builds have left in the store survive a crash of the machine: one sync of the file system, and none
    /// if no step was executed. To be called once the image has its names.
    pub async fn make_durable(&self) -> Result<(), BuildError> {
        Ok(self.writeback.finish().await.ok_or(BuildError::Cancelled)??)
    }
}
