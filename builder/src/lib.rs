//! Solves a build plan and makes images: scheduler, one executor per operation, image assembly, and what is
//! done with finished images.
//!
//! The builder takes a [`kiln_graph::plan::Plan`] and never sees Dockerfile syntax. It uses the cache for
//! everything on disk, the sandbox for everything that runs, the registry for everything from outside. It
//! prints nothing: what happens goes out as [`event::Event`]s.

mod assemble;
mod base;
mod causes;
mod content;
mod context;
mod error;
pub mod event;
mod fetch;
pub mod images;
mod run;
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

use kiln_cache::{ImageRecord, Store};
use kiln_graph::plan::Plan;
use kiln_registry::Client;

pub use base::{Bases, PullPolicy, Resolver};
pub use content::select::{Place, SelectError};
pub use content::{Missing, TreeError};
pub use context::{ContextError, Fetched, FetchedContext};
pub use error::{BuildError, StepError};
pub use event::{Event, EventSender, Progress};
pub use fetch::FetchError;
pub use run::{RunError, RunRequest, Running, Volume};
pub use source::{GitError, SourceError};
pub use step::file::FileError;
pub use step::mounts::{Credentials, MountError, Secret};
pub use step::user::UserError;
pub use tokio_util::sync::CancellationToken;

use crate::fetch::Fetcher;
use crate::step::exec::Host;
use crate::writeback::Writeback;

/// What the machine and the user decide once for all builds.
#[derive(Debug, Clone)]
pub struct BuilderOptions {
    /// How many steps may run at once; at least 1.
    pub jobs: usize,
    /// What commands find as `/etc/resolv.conf`; `None` leaves the image's.
    pub resolv_conf: Option<Vec<u8>>,
    /// What commands find as `/etc/hosts`; `None` leaves the image's.
    pub hosts: Option<Vec<u8>>,
}

/// A builder on one store. Cheap to clone.
#[derive(Clone)]
pub struct Builder {
    /// Where everything is kept.
    pub store: Store,
    /// How registries are reached.
    pub client: Client,
    fetcher: Fetcher,
    jobs: usize,
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
    /// Which Dockerfile this is (its path): a cache miss is explained by the last build of the same one.
    pub project: String,
    /// Stops the build when cancelled.
    pub cancel: CancellationToken,
}

impl Builder {
    /// A builder that keeps everything in `store`.
    pub fn new(store: Store, client: Client, options: BuilderOptions) -> Self {
        let fetcher = Fetcher::new(store.clone(), client.clone());
        let host = Arc::new(Host { resolv_conf: options.resolv_conf, hosts: options.hosts });
        let writeback = Arc::new(Writeback::new(store.clone()));
        Self { store, client, fetcher, jobs: options.jobs, host, writeback }
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
        let surroundings = solve::Surroundings {
            store: self.store.clone(),
            fetcher: self.fetcher.clone(),
            progress: progress.clone(),
            host: Arc::clone(&self.host),
            credentials: Arc::new(request.credentials),
            bases: request.bases,
            project: request.project,
            contexts: request.contexts,
            jobs: self.jobs,
            cancel: request.cancel,
            writeback: Arc::clone(&self.writeback),
        };
        let snapshot = solve::solve(&request.plan, surroundings).await?;
        assemble::assemble(&self.store, &request.plan, &snapshot)
    }

    /// Makes what builds have left in the store survive a crash of the machine: one sync of the file system, and none
    /// if no step was executed. To be called once the image has its names.
    pub async fn make_durable(&self) -> Result<(), BuildError> {
        Ok(self.writeback.finish().await.ok_or(BuildError::Cancelled)??)
    }
}
