//! The calls of a client that drives its build itself: it asks for frontends and files, and returns what it made of them.

mod files;
pub(crate) mod sources;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::try_join_all;
use tonic::{Request, Response, Status};

use crate::api::control::VertexWarning;
use crate::api::control::apicaps::ApiCap;
use crate::api::gateway::llb_bridge_server::LlbBridge;
use crate::api::gateway::result::Result as Refs;
use crate::api::gateway::{
    EvaluateRequest, EvaluateResponse, InputsRequest, InputsResponse, PingRequest, PongResponse,
    ReadDirRequest, ReadDirResponse, ReadFileRequest, ReadFileResponse, Ref, RefMap, RefMapDeprecated,
    ResolveImageConfigRequest, ResolveImageConfigResponse, ResolveSourceMetaRequest,
    ResolveSourceMetaResponse, Result as PbResult, ReturnRequest, ReturnResponse, SolveRequest,
    SolveResponse, StatFileRequest, StatFileResponse, WarnRequest, WarnResponse,
};
use crate::api::pb::Definition;
use crate::build::{Build, Outcome, Solved};
use crate::frontend::dockerfile::CONFIG;
use crate::results::Held;
use crate::server::Server;
use crate::{failure, frontend, llb, unmet};

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

/// The service.
#[derive(Clone)]
pub(crate) struct BridgeService(pub(crate) Arc<Server>);

impl BridgeService {
    /// The build that a call is about.
    async fn build<T>(&self, request: &Request<T>) -> Result<Arc<Build>, Status> {
        let id = request.metadata().get("buildkit-controlapi-buildid").and_then(|id| id.to_str().ok());
        let id = id.ok_or_else(|| Status::invalid_argument("no buildid found in context"))?;
        let build = self.0.build(id, PATIENCE).await?;
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
        unmet::policies(&request.source_policies)?;
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
            let result = graph(&self.0, &build, (definition, attributes), request.evaluate || ends).await?;
            Parts { named: vec![result], metadata: HashMap::new() }
        } else if request.frontend.is_empty() {
            Parts::default()
        } else {
            let attributes = llb::as_images(&self.0, &build, &request.frontend_inputs, &attributes).await?;
            Parts::of(&build, frontend::solve(&self.0, &build, &request.frontend, &attributes).await?)
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
            llb_caps: llb::CAPABILITIES.iter().chain(crate::export::CAPABILITIES).map(cap).collect(),
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

/// How a client takes results: old ones know less.
#[derive(Clone, Copy)]
struct Style {
    /// Names of results with their graphs.
    array: bool,
    /// Results of several parts.
    returns: bool,
}

/// What a client that ends its build with a solve says of its result.
fn exporter_attributes(json: &[u8]) -> Result<HashMap<String, Vec<u8>>, Status> {
    if json.is_empty() {
        return Ok(HashMap::new());
    }
    let wrong = |detail: String| Status::invalid_argument(format!("ExporterAttr: {detail}"));
    let values: HashMap<String, Option<String>> =
        serde_json::from_slice(json).map_err(|error| wrong(error.to_string()))?;
    let decoded = values.into_iter().map(|(key, value)| {
        let bytes = STANDARD.decode(value.unwrap_or_default());
        bytes.map(|bytes| (key.clone(), bytes)).map_err(|error| wrong(format!("{key}: {error}")))
    });
    decoded.collect()
}

/// What a solve results in, with names for what it consists of.
#[derive(Default)]
struct Parts {
    /// By platform; one without a name when there is only one.
    named: Vec<(String, Ref)>,
    metadata: HashMap<String, Vec<u8>>,
}

impl Parts {
    /// What a frontend has solved.
    fn of(build: &Build, outcome: Outcome) -> Self {
        let named = outcome.images.into_iter().map(|(platform, solved)| {
            let def = Some(llb::definition_of(&solved));
            (platform, Ref { id: build.keep(Arc::new(Held::solved(solved))), def })
        });
        Self { named: named.collect(), metadata: outcome.metadata }
    }
}

/// A graph under a name. It is solved when somebody needs its result, or `now`.
async fn graph(
    server: &Server,
    build: &Arc<Build>,
    (definition, attributes): (Definition, HashMap<String, String>),
    now: bool,
) -> Result<(String, Ref), Status> {
    llb::check(server, &definition)?;
    let held = Arc::new(Held::graph(definition.clone(), attributes));
    if now {
        held.get(server, build).await?;
    }
    Ok((String::new(), Ref { id: build.keep(held), def: Some(definition) }))
}

/// The answer to a solve.
fn answer(solved: Parts, style: Style) -> Result<SolveResponse, Status> {
    let Parts { mut named, metadata } = solved;
    let mut only = String::new();
    let refs = match named.as_mut_slice() {
        [] if style.array => Refs::Ref(Ref::default()),
        [] => Refs::RefDeprecated(String::new()),
        [(platform, reference)] if platform.is_empty() => {
            let reference = std::mem::take(reference);
            only.clone_from(&reference.id);
            if style.array { Refs::Ref(reference) } else { Refs::RefDeprecated(reference.id) }
        }
        _ if !style.returns => {
            return Err(Status::failed_precondition(
                "the result has several parts, and the client takes only one",
            ));
        }
        _ if style.array => Refs::Refs(RefMap { refs: named.into_iter().collect() }),
        _ => {
            let refs = named.into_iter().map(|(platform, reference)| (platform, reference.id)).collect();
            Refs::RefsDeprecated(RefMapDeprecated { refs })
        }
    };
    let result = PbResult { result: Some(refs), metadata, attestations: HashMap::new() };
    let reference = if style.returns { String::new() } else { only };
    Ok(SolveResponse { r#ref: reference, result: Some(result) })
}

/// What a client returned.
async fn returned(server: &Server, build: &Arc<Build>, result: PbResult) -> Result<Outcome, Status> {
    if result.attestations.values().any(|stated| !stated.attestation.is_empty()) {
        return Err(Status::unimplemented("the result has attestations of its own, which are not exported"));
    }
    let named: Vec<(String, String)> = match result.result {
        None => Vec::new(),
        Some(Refs::RefDeprecated(id)) => vec![(String::new(), id)],
        Some(Refs::Ref(reference)) => vec![(String::new(), reference.id)],
        Some(Refs::RefsDeprecated(refs)) => refs.refs.into_iter().collect(),
        Some(Refs::Refs(refs)) => refs.refs.into_iter().map(|(key, reference)| (key, reference.id)).collect(),
    };
    outcome(server, build, named, result.metadata).await
}

/// What names of results stand for, all of it solved by now, as it is exported.
async fn outcome(
    server: &Server,
    build: &Arc<Build>,
    named: Vec<(String, String)>,
    metadata: HashMap<String, Vec<u8>>,
) -> Result<Outcome, Status> {
    let named = named.into_iter().filter(|(_, id)| !id.is_empty());
    let solving = named.map(async |(platform, id)| {
        let solved = build.result(&id)?.get(server, build).await?;
        Ok::<_, Status>((platform, solved))
    });
    let solved = try_join_all(solving).await?;
    let images = solved.into_iter().map(|(platform, solved)| {
        let image = configured(server, Arc::clone(&solved), &platform, &metadata)?;
        // The shared caches are written for the image that is exported.
        if let Some(caches) = build.caches_of(&solved.record.id) {
            build.keep_caches(&image.record.id, caches);
        }
        Ok((platform, image))
    });
    let images = images.collect::<Result<_, Status>>()?;
    Ok(Outcome { images, metadata })
}

/// A result with the configuration that the client gives it, if it gives it one.
fn configured(
    server: &Server,
    solved: Arc<Solved>,
    platform: &str,
    metadata: &HashMap<String, Vec<u8>>,
) -> Result<Arc<Solved>, Status> {
    let own = metadata.get(&format!("{CONFIG}/{platform}")).or_else(|| metadata.get(CONFIG));
    let Some(given) = own.filter(|given| **given != solved.config && !given.is_empty()) else {
        return Ok(solved);
    };
    let config = serde_json::from_slice(given).map_err(|error| {
        Status::invalid_argument(format!("{CONFIG} is not an image's configuration: {error}"))
    })?;
    llb::configured(server, &solved, config)
}
