//! Solving a plan: every vertex once, as many at a time as allowed, the first failure stops the rest.
//!
//! The order is decided by [`scheduler`], a state machine; this module starts what it says and tells it what
//! happened. What a vertex means is in [`vertex`]. Key by key the graph is answered from the cache, and only
//! what has no record is executed.

mod ask;
mod command;
mod files;
pub(crate) mod key;
mod layered;
#[cfg(test)]
mod malformed_tests;
mod outputs;
mod prefetch;
pub(crate) mod require;
mod same_root;
mod scheduler;
mod shared;
mod vertex;
mod why;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};

use kiln_cache::Store;
use kiln_graph::op::{Op, Source};
use kiln_graph::plan::Plan;
use kiln_graph::{Entitlements, Graph, VertexId};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::prefetch::Prefetched;
use self::require::{RequireCached, Work};
use self::scheduler::{Effect, Happened, Scheduler};
use self::why::Why;
use crate::base::Bases;
use crate::content::context::Context;
use crate::device::Devices;
use crate::entitlement;
use crate::error::BuildError;
use crate::event::Progress;
use crate::fetch::Fetcher;
use crate::shared::SharedCaches;
use crate::snapshot::Snapshot;
use crate::step::exec::Host;
use crate::step::mounts::Credentials;
use crate::task::blocking;
use crate::writeback::Writeback;

/// What a vertex results in.
#[derive(Clone)]
pub(crate) enum Outcome {
    /// A file system.
    Snapshot(Snapshot),
    /// A context directory.
    Context(Arc<Context>),
}

/// What all vertices of one solve share.
pub(crate) struct Solve {
    pub(crate) store: Store,
    pub(crate) fetcher: Fetcher,
    pub(crate) progress: Progress,
    pub(crate) host: Arc<Host>,
    pub(crate) credentials: Arc<Credentials>,
    pub(crate) devices: Arc<Devices>,
    pub(crate) bases: Bases,
    pub(crate) writeback: Arc<Writeback>,
    /// Caches that machines share.
    pub(crate) shared: SharedCaches,
    /// Which Dockerfile this is, so that a miss is explained by an earlier build of the same one.
    pub(crate) project: String,
    /// Which platform its result is for.
    pub(crate) platform: String,
    graph: Graph,
    contexts: HashMap<VertexId, Arc<Context>>,
    prefetched: Prefetched,
    /// What is found out about hits and misses.
    why: Why,
    /// What may be executed.
    work: Work,
    /// True for a vertex whose files some other vertex reads.
    is_read: Vec<bool>,
    outcomes: Vec<OnceLock<Outcome>>,
    /// What commands left in their mounts, by vertex and mount.
    left: Mutex<HashMap<(VertexId, usize), Snapshot>>,
}

/// What a solve is given beside the plan.
pub(crate) struct Surroundings {
    pub(crate) store: Store,
    pub(crate) fetcher: Fetcher,
    pub(crate) progress: Progress,
    pub(crate) host: Arc<Host>,
    pub(crate) credentials: Arc<Credentials>,
    pub(crate) entitlements: Entitlements,
    pub(crate) bases: Bases,
    pub(crate) project: String,
    pub(crate) contexts: BTreeMap<String, PathBuf>,
    pub(crate) slots: Arc<Semaphore>,
    pub(crate) require_cached: RequireCached,
    pub(crate) cancel: CancellationToken,
    pub(crate) writeback: Arc<Writeback>,
    pub(crate) shared: SharedCaches,
}

/// Solves `plan` and returns the target's file system. What became of each step is kept as the account of the build,
/// whether it succeeds or not.
pub(crate) async fn solve(plan: &Plan, with: Surroundings) -> Result<Snapshot, BuildError> {
    let cancel = with.cancel.child_token();
    let solve = Arc::new(Solve::prepare(plan, with).await?);
    let (scheduler, first) = Scheduler::new(&solve.graph, plan.target);
    let result = drive(&solve, scheduler, first, &cancel).await;
    cancel.cancel();
    if let Err(error) = solve.keep_account(result.is_ok()) {
        let why = crate::text::chain(&error);
        solve.progress.warn(format!("`kiln why` will know nothing of this build: {why}"));
    }
    result?;
    match solve.outcome(plan.target) {
        Some(Outcome::Snapshot(snapshot)) => {
            vertex::take_from_layouts(&solve, plan.target, &snapshot).await?;
            Ok(snapshot)
        }
        _ => Err(BuildError::Plan { detail: "its target is not a file system".to_owned() }),
    }
}

/// Starts vertices and waits for them until the target is done or everything that ran has stopped.
async fn drive(
    solve: &Arc<Solve>,
    mut scheduler: Scheduler,
    first: Effect,
    cancel: &CancellationToken,
) -> Result<(), BuildError> {
    let mut running = JoinSet::new();
    let mut failure: Option<BuildError> = None;
    let mut effect = first;
    loop {
        match effect {
            Effect::Start(ids) => {
                for id in ids {
                    let (solve, cancel) = (Arc::clone(solve), cancel.clone());
                    running.spawn(async move { (id, run(&solve, id, &cancel).await) });
                }
            }
            Effect::Cancel => cancel.cancel(),
            Effect::Complete => return Ok(()),
        }
        effect = match running.join_next().await {
            None if failure.is_none() && solve.work.has_refused() => {
                return Err(solve.not_cached(|id| scheduler.needs(id)));
            }
            None | Some(Err(_)) => return Err(failure.unwrap_or(BuildError::Cancelled)),
            Some(Ok((id, Ok(outcome)))) => {
                // Each vertex is started once, so its place is still empty.
                drop(solve.outcomes[id.index()].set(outcome));
                scheduler.step(Happened::Finished(id))
            }
            Some(Ok((id, Err(error)))) if solve.work.has_refused() && error.is_no_failure() => {
                scheduler.step(Happened::Refused(id))
            }
            Some(Ok((id, Err(error)))) => {
                if failure.as_ref().is_none_or(BuildError::is_cancelled) {
                    failure = Some(error);
                }
                scheduler.step(Happened::Failed(id))
            }
        };
    }
}

async fn run(solve: &Solve, id: VertexId, cancel: &CancellationToken) -> Result<Outcome, BuildError> {
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(BuildError::Cancelled),
        outcome = vertex::execute(solve, id) => outcome,
    }
}

impl Solve {
    /// Opens the contexts and begins to select from them.
    async fn prepare(plan: &Plan, with: Surroundings) -> Result<Self, BuildError> {
        let devices = Devices::for_graph(&plan.graph, &with.host.device_directories);
        entitlement::check(&plan.graph, &with.entitlements, &devices)?;
        let mut contexts = HashMap::new();
        for (id, vertex) in plan.graph.iter() {
            let Op::Source(Source::Context { name, ignore }) = &vertex.op else { continue };
            let path =
                with.contexts.get(name).ok_or_else(|| BuildError::NoContext { name: name.clone() })?.clone();
            let (store, ignore, root) = (with.store.clone(), ignore.clone(), path.clone());
            let context = blocking(move || Context::open(&store, &root, &ignore)).await;
            let context = context.ok_or(BuildError::Cancelled)?;
            let context = context.map_err(|source| BuildError::Context { path, source: Box::new(source) })?;
            contexts.insert(id, Arc::new(context));
        }
        let prefetched = Prefetched::begin(&plan.graph, &contexts, &with.progress);
        let mut is_read = vec![false; plan.graph.len()];
        for (_, vertex) in plan.graph.iter() {
            for input in &vertex.inputs {
                is_read[input.index()] = true;
            }
        }
        Ok(Self {
            store: with.store,
            fetcher: with.fetcher,
            progress: with.progress,
            host: with.host,
            credentials: with.credentials,
            devices: Arc::new(devices),
            bases: with.bases,
            writeback: with.writeback,
            shared: with.shared,
            project: with.project,
            platform: plan.platform.clone(),
            left: Mutex::default(),
            outcomes: (0..plan.graph.len()).map(|_| OnceLock::new()).collect(),
            graph: plan.graph.clone(),
            contexts,
            prefetched,
            why: Why::new(plan.graph.len()),
            work: Work::new(with.require_cached, with.slots),
            is_read,
        })
    }

    /// Keeps the account of the build for those who ask later.
    fn keep_account(&self, succeeded: bool) -> Result<(), BuildError> {
        if self.project.is_empty() {
            return Ok(());
        }
        self.why.account(self, succeeded)?.save(&self.store, &self.project)
    }

    fn slot(&self, stage: &str, name: &str) -> kiln_cache::Key {
        key::slot(&self.project, &self.platform, stage, name)
    }

    fn outcome(&self, id: VertexId) -> Option<Outcome> {
        self.outcomes.get(id.index()).and_then(OnceLock::get).cloned()
    }
}
