//! The calls that a client's builds begin and end with.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
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
use crate::rendezvous::Rendezvous;
use crate::server::Server;
use crate::{export, frontend};

/// How long a watcher waits for its build.
const PATIENCE: Duration = Duration::from_secs(6);

/// How long the account of a build is there for watchers that come late.
const AFTERWARDS: Duration = Duration::from_secs(10);

/// The version of the Dockerfile language that is understood.
const DOCKERFILE_VERSION: &str = "1.26.0";

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
        _request: Request<DiskUsageRequest>,
    ) -> Result<Response<DiskUsageResponse>, Status> {
        Err(Status::unimplemented("disk usage is not answered yet; `kiln du` tells it"))
    }

    async fn prune(&self, _request: Request<PruneRequest>) -> Result<Response<Self::PruneStream>, Status> {
        Err(Status::unimplemented("prune is not answered yet; `kiln prune` does it"))
    }

    async fn solve(&self, request: Request<SolveRequest>) -> Result<Response<SolveResponse>, Status> {
        let request = request.into_inner();
        let answer = self.0.solve(request).await?;
        Ok(Response::new(SolveResponse { exporter_response: answer }))
    }

    async fn status(&self, request: Request<StatusRequest>) -> Result<Response<Self::StatusStream>, Status> {
        let build = self.0.build(&request.into_inner().r#ref, PATIENCE).await?;
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
        _request: Request<BuildHistoryRequest>,
    ) -> Result<Response<Self::ListenBuildHistoryStream>, Status> {
        Err(Status::unimplemented("no history of builds is kept"))
    }

    async fn update_build_history(
        &self,
        _request: Request<UpdateBuildHistoryRequest>,
    ) -> Result<Response<UpdateBuildHistoryResponse>, Status> {
        Err(Status::unimplemented("no history of builds is kept"))
    }
}

impl Server {
    async fn solve(&self, request: SolveRequest) -> Result<HashMap<String, String>, Status> {
        let exporters = exporters(&request);
        let (frontend, attributes) = (request.frontend, request.frontend_attrs);
        let (build, returned) =
            Build::new(&request.r#ref, &request.session, attributes, exporters, request.entitlements);
        let place = Rendezvous::put(&self.builds, &build.id, Arc::clone(&build))
            .ok_or_else(|| Status::already_exists(format!("job ID {} exists", build.id)))?;
        // The client's going away drops this call, and with it the guard.
        let _stops = build.cancel.clone().drop_guard();
        let result = self.result(&build, &frontend, returned).await;
        build.status.finish();
        tokio::spawn(async move {
            tokio::time::sleep(AFTERWARDS).await;
            drop(place);
        });
        result
    }

    async fn result(
        &self,
        build: &Arc<Build>,
        frontend: &str,
        returned: tokio::sync::oneshot::Receiver<Result<Outcome, Status>>,
    ) -> Result<HashMap<String, String>, Status> {
        let outcome = if frontend.is_empty() {
            // The client drives the build itself and says how it ended.
            returned.await.map_err(|_| Status::cancelled("the client has gone"))??
        } else {
            frontend::solve(self, build, frontend, &build.attributes).await?
        };
        export::export(self, build, &outcome).await
    }

    /// What this daemon says of itself.
    pub(crate) fn worker(&self) -> WorkerRecord {
        let label =
            |key: &str, value: &str| (format!("org.mobyproject.buildkit.worker.{key}"), value.to_owned());
        WorkerRecord {
            id: self.worker_id.clone(),
            labels: HashMap::from([label("executor", "kiln"), label("snapshotter", "overlayfs")]),
            platforms: vec![platform(&self.platform)],
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
