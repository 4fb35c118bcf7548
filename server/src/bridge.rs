//! The calls of a client that drives its build itself: it asks for frontends and files, and returns what it made of them.

mod answer;
mod files;
pub(crate) mod sources;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tonic::{Request, Response, Status};

use self::answer::{Parts, Style, answer, exporter_attributes, graph, outcome, returned};
use crate::api::control::VertexWarning;
use crate::api::control::apicaps::ApiCap;
use crate::api::gateway::llb_bridge_server::LlbBridge;
use crate::api::gateway::{
    EvaluateRequest, EvaluateResponse, InputsRequest, InputsResponse, PingRequest, PongResponse,
    ReadDirRequest, ReadDirResponse, ReadFileRequest, ReadFileResponse, ResolveImageConfigRequest,
    ResolveImageConfigResponse, ResolveSourceMetaRequest, ResolveSourceMetaResponse, ReturnRequest,
    ReturnResponse, SolveRequest, SolveResponse, StatFileRequest, StatFileResponse, WarnRequest,
    WarnResponse,
};
use crate::build::{Build, Outcome};
use crate::server::Server;
use crate::{export, failure, frontend, llb, policy};

/// How long a call waits for its build to begin.
const PATIENCE: Duration = Duration::from_secs(3);

/// What this side of the protocol can do.
const CAPABILITIES: &[&str] = &[
    "solve.base",
    "solve.inlinereturn",
    "resolveimage",
    "resolveimage.resolvemode",
    "readfile",
    "readdir",
    "statfile",
    "source.metaresolver",
    "reference.output",
    "frontend.inputs",
    "return",
    "returnmap",
    "importcaches",
    "proto.refarray",
    "gateway.solve.metadata",
    "frontend.caps",
    "gateway.solve.evaluate",
    "gateway.evaluate",
    "gateway.warnings",
];

/// What graphs, outputs and policies may hold.
fn llb_capabilities() -> impl Iterator<Item = &'static &'static str> {
    llb::CAPABILITIES.iter().chain(export::CAPABILITIES).chain(policy::CAPABILITIES)
}

/// The service.
#[derive(Clone)]
pub(crate) struct BridgeService(pub(crate) Arc<Server>);

impl BridgeService {
    /// The build that a call is about.
    async fn build<T>(&self, request: &Request<T>) -> Result<Arc<Build>, Status> {
        let id = request.metadata().get("buildkit-controlapi-buildid").and_then(|id| id.to_str().ok());
        let id = id.ok_or_else(|| Status::invalid_argument("no buildid found in context"))?;
        let build = self.0.build(id, PATIENCE).await?;
        if let Some(refusal) = build.refusal.get() {
            return Err(refusal.clone());
        }
        if build.cancel.is_cancelled() {
            return Err(Status::cancelled(format!("the build {id} is over")));
        }
        Ok(build)
    }
}

#[tonic::async_trait]
impl LlbBridge for BridgeService {
    async fn resolve_image_config(
        &self,
        request: Request<ResolveImageConfigRequest>,
    ) -> Result<Response<ResolveImageConfigResponse>, Status> {
        let build = self.build(&request).await?;
        Ok(Response::new(sources::image_config(&self.0, &build, request.into_inner()).await?))
    }

    async fn resolve_source_meta(
        &self,
        request: Request<ResolveSourceMetaRequest>,
    ) -> Result<Response<ResolveSourceMetaResponse>, Status> {
        let build = self.build(&request).await?;
        Ok(Response::new(sources::meta(&self.0, &build, request.into_inner()).await?))
    }

    async fn solve(&self, request: Request<SolveRequest>) -> Result<Response<SolveResponse>, Status> {
        let build = self.build(&request).await?;
        let mut request = request.into_inner();
        let policies = build.policies().and(std::mem::take(&mut request.source_policies)).await?;
        let (ends, attributes) = (request.r#final, std::mem::take(&mut request.exporter_attr));
        let returned = if ends { Some(exporter_attributes(&attributes)?) } else { None };
        let style = Style { array: request.allow_result_array_ref, returns: request.allow_result_return };
        let definition = request.definition.filter(|definition| !definition.def.is_empty());
        let attributes = frontend::with_imports(request.frontend_opt, request.cache_imports);
        let solved = if let Some(definition) = definition {
            if !request.frontend.is_empty() {
                let message = "cannot solve with both Definition and Frontend specified";
                return Err(Status::invalid_argument(message));
            }
            let graph = graph(&self.0, &build, (definition, attributes, policies), request.evaluate || ends);
            let result = graph.await?;
            Parts { named: vec![result], metadata: HashMap::new() }
        } else if request.frontend.is_empty() {
            Parts::default()
        } else {
            let given = (&attributes, &policies);
            let attributes = llb::as_images(&self.0, &build, &request.frontend_inputs, given).await?;
            let given = (&attributes, &policies);
            Parts::of(&build, frontend::solve(&self.0, &build, &request.frontend, given).await?)
        };
        if let Some(mut metadata) = returned {
            metadata.extend(solved.metadata.clone());
            let refs = solved.named.iter().map(|(part, reference)| (part.clone(), reference.id.clone()));
            build.returns(outcome(&self.0, &build, refs.collect(), metadata).await)?;
        }
        Ok(Response::new(answer(solved, style)?))
    }

    async fn read_file(
        &self,
        request: Request<ReadFileRequest>,
    ) -> Result<Response<ReadFileResponse>, Status> {
        let build = self.build(&request).await?;
        let data = files::read(&self.0, &build, request.into_inner()).await?;
        Ok(Response::new(ReadFileResponse { data }))
    }

    async fn read_dir(&self, request: Request<ReadDirRequest>) -> Result<Response<ReadDirResponse>, Status> {
        let build = self.build(&request).await?;
        let entries = files::list(&self.0, &build, request.into_inner()).await?;
        Ok(Response::new(ReadDirResponse { entries }))
    }

    async fn stat_file(
        &self,
        request: Request<StatFileRequest>,
    ) -> Result<Response<StatFileResponse>, Status> {
        let build = self.build(&request).await?;
        let stat = files::look(&self.0, &build, request.into_inner()).await?;
        Ok(Response::new(StatFileResponse { stat: Some(stat) }))
    }

    async fn evaluate(
        &self,
        request: Request<EvaluateRequest>,
    ) -> Result<Response<EvaluateResponse>, Status> {
        let build = self.build(&request).await?;
        build.result(&request.into_inner().r#ref)?.get(&self.0, &build).await?;
        Ok(Response::new(EvaluateResponse {}))
    }

    async fn ping(&self, request: Request<PingRequest>) -> Result<Response<PongResponse>, Status> {
        self.build(&request).await?;
        let cap = |id: &&str| ApiCap { id: (*id).to_owned(), enabled: true, ..ApiCap::default() };
        Ok(Response::new(PongResponse {
            frontend_api_caps: CAPABILITIES.iter().map(cap).collect(),
            llb_caps: llb_capabilities().map(cap).collect(),
            workers: vec![self.0.worker()],
        }))
    }

    async fn r#return(&self, request: Request<ReturnRequest>) -> Result<Response<ReturnResponse>, Status> {
        let build = self.build(&request).await?;
        let request = request.into_inner();
        let result = match (request.error, request.result) {
            (Some(error), _) => Err(failure::returned(error)),
            (None, Some(result)) => returned(&self.0, &build, result).await,
            (None, None) => Ok(Outcome::default()),
        };
        build.returns(result)?;
        Ok(Response::new(ReturnResponse {}))
    }

    async fn inputs(&self, request: Request<InputsRequest>) -> Result<Response<InputsResponse>, Status> {
        let build = self.build(&request).await?;
        Ok(Response::new(InputsResponse { definitions: build.inputs.get().cloned().unwrap_or_default() }))
    }

    async fn warn(&self, request: Request<WarnRequest>) -> Result<Response<WarnResponse>, Status> {
        let build = self.build(&request).await?;
        let WarnRequest { digest, level, short, detail, url, info, ranges } = request.into_inner();
        let vertex = build.step_of(digest);
        build.status.warn(VertexWarning { vertex, level, short, detail, url, info, ranges });
        Ok(Response::new(WarnResponse {}))
    }
}
