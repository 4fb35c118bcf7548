//! The calls that a client's builds begin and end with.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kiln_builder::text;
use tokio_stream::wrappers::{BroadcastStream, ReceiverStream};
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming};

use crate::api::control::control_server::Control;
use crate::api::control::types::{BuildkitVersion, WorkerRecord};
use crate::api::control::{
    BuildHistoryEvent, BuildHistoryRequest, BytesMessage, DiskUsageRequest, DiskUsageResponse, Exporter,
    InfoRequest, InfoResponse, ListWorkersRequest, ListWorkersResponse, PruneRequest, SolveRequest,
    SolveResponse, StatusRequest, StatusResponse, UpdateBuildHistoryRequest, UpdateBuildHistoryResponse,
    UsageRecord,
};
use crate::api::pb;
use crate::build::{Build, Outcome};
use crate::ending::{Ending, Told};
use crate::history::{self, filter::Asked};
use crate::policy::Policies;
use crate::rendezvous::Rendezvous;
use crate::running::{Running, UnderWay};
use crate::server::Server;
use crate::usage::{self, Policy};
use crate::{collect, entitlements, export, frontend, llb, unmet};

/// How long a watcher waits for its build.
const PATIENCE: Duration = Duration::from_secs(6);

/// How long the account of a build is there for watchers that come late.
const AFTERWARDS: Duration = Duration::from_secs(10);

/// The version of the Dockerfile language that is understood.
pub(crate) const DOCKERFILE_VERSION: &str = "1.26.0";

/// The service.
#[derive(Clone)]
pub(crate) struct ControlService(pub(crate) Arc<Server>);

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl Control for ControlService {
    type PruneStream = Answers<UsageRecord>;
    type StatusStream = Answers<StatusResponse>;
    type SessionStream = Answers<BytesMessage>;
    type ListenBuildHistoryStream = Answers<BuildHistoryEvent>;

    async fn disk_usage(
        &self,
        request: Request<DiskUsageRequest>,
    ) -> Result<Response<DiskUsageResponse>, Status> {
        let DiskUsageRequest { filter, age_limit } = request.into_inner();
        let asked = PruneRequest { filter, keep_duration: age_limit, all: true, ..PruneRequest::default() };
        let (store, policy) = (self.0.builder.store.clone(), Policy::asked(asked));
        let record = beside(move || usage::records(&store, &policy, Timestamp::now())).await?;
        Ok(Response::new(DiskUsageResponse { record }))
    }

    async fn prune(&self, request: Request<PruneRequest>) -> Result<Response<Self::PruneStream>, Status> {
        let (store, policy) = (self.0.builder.store.clone(), Policy::asked(request.into_inner()));
        let went = beside(move || policy.apply(&store, Timestamp::now())).await?;
        Ok(Response::new(Box::pin(tokio_stream::iter(went.into_iter().map(Ok)))))
    }

    async fn solve(&self, request: Request<SolveRequest>) -> Result<Response<SolveResponse>, Status> {
        let request = request.into_inner();
        let told = self.0.verbose.then(|| Told::begin(&self.0, &request.r#ref));
        let answer = self.0.solve(request).await;
        if let Some(told) = told {
            told.end(&answer);
        }
        collect::soon(&self.0);
        Ok(Response::new(SolveResponse { exporter_response: answer? }))
    }

    async fn status(&self, request: Request<StatusRequest>) -> Result<Response<Self::StatusStream>, Status> {
        let id = request.into_inner().r#ref;
        if let Some(build) = self.0.builds.now(&id) {
            return Ok(Response::new(Box::pin(ReceiverStream::new(build.status.watch()))));
        }
        let (history, past) = (Arc::clone(&self.0.history), id.clone());
        if let Some(messages) = beside(move || history.log(&past).map_err(|error| unreadable(&error))).await?
        {
            return Ok(Response::new(Box::pin(tokio_stream::iter(messages.into_iter().map(Ok)))));
        }
        let build = self.0.build(&id, PATIENCE).await?;
        Ok(Response::new(Box::pin(ReceiverStream::new(build.status.watch()))))
    }

    async fn session(
        &self,
        request: Request<Streaming<BytesMessage>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        Ok(Response::new(Box::pin(self.0.sessions.open(request)?)))
    }

    async fn list_workers(
        &self,
        _request: Request<ListWorkersRequest>,
    ) -> Result<Response<ListWorkersResponse>, Status> {
        Ok(Response::new(ListWorkersResponse { record: vec![self.0.worker()] }))
    }

    async fn info(&self, _request: Request<InfoRequest>) -> Result<Response<InfoResponse>, Status> {
        Ok(Response::new(InfoResponse { buildkit_version: Some(self.0.buildkit_version()) }))
    }

    async fn listen_build_history(
        &self,
        request: Request<BuildHistoryRequest>,
    ) -> Result<Response<Self::ListenBuildHistoryStream>, Status> {
        let request = request.into_inner();
        let asked = Asked::read(&request, Timestamp::now());
        let asked = asked.map_err(|error| Status::invalid_argument(error.to_string()))?;
        let (history, first) = (Arc::clone(&self.0.history), asked.clone());
        let (events, later) =
            beside(move || history.listen(&request, &first).map_err(|error| unreadable(&error))).await?;
        let now = tokio_stream::iter(events.into_iter().map(Ok));
        let Some(later) = later else { return Ok(Response::new(Box::pin(now))) };
        // A listener that is too far behind misses what was in between.
        let later = BroadcastStream::new(later).filter_map(Result::ok);
        let later = later.filter(move |event| asked.takes(event)).map(Ok);
        Ok(Response::new(Box::pin(now.chain(later))))
    }

    async fn update_build_history(
        &self,
        request: Request<UpdateBuildHistoryRequest>,
    ) -> Result<Response<UpdateBuildHistoryResponse>, Status> {
        let (history, request) = (Arc::clone(&self.0.history), request.into_inner());
        beside(move || history.update(&request)).await?;
        Ok(Response::new(UpdateBuildHistoryResponse {}))
    }
}

pub(crate) fn unreadable(error: &std::io::Error) -> Status {
    Status::internal(format!("the history of builds: {error}"))
}

impl Server {
    async fn solve(&self, request: SolveRequest) -> Result<HashMap<String, String>, Status> {
        let rules = request.source_policy.clone();
        let policies = Policies::read(rules, &request.source_policy_session).await;
        // A daemon that stops waits for the end of this.
        let under_way = policies.and_then(|policies| Ok((self.begin(&request)?, policies)));
        let (under_way, policies) = match under_way {
            Ok((under_way, policies)) => (Ok(under_way), policies),
            Err(refusal) => (Err(refusal), Policies::default()),
        };
        let exporters = exporters(&request);
        // Internal builds are questions of clients to themselves.
        let record = (!request.internal).then(|| history::record(&request, exporters.clone()));
        let (frontend, attributes) = (request.frontend, request.frontend_attrs);
        let definition = request.definition.filter(|definition| !definition.def.is_empty());
        let inputs = request.frontend_inputs;
        let (build, returned) =
            Build::new(&request.r#ref, &request.session, attributes, exporters, request.entitlements);
        // Nobody else has the build yet.
        drop(build.policies.set(policies));
        drop(build.caches.set(request.cache.unwrap_or_default()));
        drop(build.making.remembered.set(Arc::clone(&self.made)));
        drop(build.inputs.set(inputs.clone()));
        if let Err(refusal) = &under_way {
            drop(build.refusal.set(refusal.clone()));
        }
        // What is refused has a place, too: the client's other calls about it need not wait for it to begin.
        let place = Rendezvous::put(&self.builds, &build.id, Arc::clone(&build))
            .ok_or_else(|| Status::already_exists(format!("job ID {} exists", build.id)))?;
        // The client's going away drops this call, and with it the guards.
        let _stops = build.cancel.clone().drop_guard();
        let ending = Ending::of(self, &build);
        let result = match &under_way {
            Ok(_) => {
                if let Some(record) = record {
                    self.history.begin(record);
                }
                self.result(&build, (&frontend, definition, &inputs), returned).await
            }
            Err(refusal) => Err(refusal.clone()),
        };
        ending.with(result.clone()).await;
        self.settle(under_way);
        tokio::spawn(async move {
            tokio::time::sleep(AFTERWARDS).await;
            drop(place);
        });
        result
    }

    /// Makes what a build has left behind survive a crash of the machine. Its client does not wait for that, which may take
    /// as long as the disk has something to write; a daemon that stops does.
    fn settle(&self, under_way: Result<UnderWay, Status>) {
        let (builder, log) = (self.builder.clone(), Arc::clone(&self.log));
        tokio::spawn(async move {
            if let Err(error) = builder.make_durable().await {
                log(&format!("warning: what was built may be lost in a crash: {}", text::chain(&error)));
            }
            drop(under_way);
        });
    }

    /// Begins a build, if it may.
    fn begin(&self, request: &SolveRequest) -> Result<UnderWay, Status> {
        unmet::check(request)?;
        export::check(&exporters(request), &request.frontend_attrs)?;
        entitlements::check(&request.entitlements, &self.entitlements)?;
        Running::begin(&self.running)
    }

    async fn result(
        &self,
        build: &Arc<Build>,
        (frontend, definition, inputs): (&str, Option<pb::Definition>, &HashMap<String, pb::Definition>),
        returned: tokio::sync::oneshot::Receiver<Result<Outcome, Status>>,
    ) -> Result<HashMap<String, String>, Status> {
        let policies = build.policies();
        let given = (&build.attributes, &policies);
        let outcome = if let Some(definition) = definition {
            if !frontend.is_empty() {
                return Err(Status::invalid_argument(
                    "cannot solve with both Definition and Frontend specified",
                ));
            }
            llb::solve(self, build, &definition, given).await?
        } else if frontend.is_empty() {
            // The client drives the build itself and says how it ended.
            returned.await.map_err(|_| Status::cancelled("the client has gone"))??
        } else {
            let attributes = llb::as_images(self, build, inputs, given).await?;
            frontend::solve(self, build, frontend, (&attributes, &policies)).await?
        };
        export::export(self, build, &outcome).await
    }

    /// What this daemon says of itself.
    pub(crate) fn worker(&self) -> WorkerRecord {
        let label =
            |key: &str, value: &str| (format!("org.mobyproject.buildkit.worker.{key}"), value.to_owned());
        WorkerRecord {
            id: self.worker_id.clone(),
            labels: [label("executor", "kiln"), label("snapshotter", "overlayfs")]
                .into_iter()
                .chain(self.labels.clone())
                .collect(),
            platforms: if self.platforms.is_empty() {
                vec![platform(&self.platform)]
            } else {
                self.platforms.iter().map(|text| platform(text)).collect()
            },
            gc_policy: self.policies.iter().map(Policy::message).collect(),
            buildkit_version: Some(self.buildkit_version()),
            ..WorkerRecord::default()
        }
    }

    fn buildkit_version(&self) -> BuildkitVersion {
        BuildkitVersion {
            package: "kiln".to_owned(),
            version: format!("v{}", self.version),
            revision: String::new(),
            dockerfile_version: DOCKERFILE_VERSION.to_owned(),
        }
    }
}

/// Work that blocks, beside everything else.
pub(crate) async fn beside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Status> + Send + 'static,
) -> Result<T, Status> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Status::internal(format!("the work ended without a result: {error}")))?
}

/// Where the result goes, in old clients' words or new ones'.
fn exporters(request: &SolveRequest) -> Vec<Exporter> {
    if request.exporters.is_empty() && !request.exporter_deprecated.is_empty() {
        let (r#type, attrs) =
            (request.exporter_deprecated.clone(), request.exporter_attrs_deprecated.clone());
        return vec![Exporter { r#type, attrs }];
    }
    request.exporters.clone()
}

/// `os/architecture[/variant]` as a message.
pub(crate) fn platform(text: &str) -> pb::Platform {
    let mut parts = text.split('/').map(str::to_owned);
    let mut part = || parts.next().unwrap_or_default();
    let (os, architecture, variant) = (part(), part(), part());
    pb::Platform { os, architecture, variant, ..pb::Platform::default() }
}
