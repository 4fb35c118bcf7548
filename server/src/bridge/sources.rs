//! What sources are like, for clients that decide by it what to build: the configuration of an image, what a reference of a
//! repository stands for, the digest of a file.

use std::sync::Arc;

use kiln_builder::PullPolicy;
use kiln_graph::plan::{BaseRequest, ResolveBase, ResolvedBase};
use kiln_registry::Reference;
use tokio::runtime::Handle;
use tonic::{Code, Status};

use crate::api::gateway::{
    ResolveImageConfigRequest, ResolveImageConfigResponse, ResolveSourceImageResponse,
    ResolveSourceMetaRequest, ResolveSourceMetaResponse,
};
use crate::api::pb;
use crate::build::Build;
use crate::failure::told;
use crate::llb;
use crate::server::Server;

/// The scheme of images.
const IMAGE: &str = "docker-image://";

/// The kind of resolver that asks registries; the other one reads layouts.
const REGISTRY: i32 = 0;

/// The configuration of an image.
pub(super) async fn image_config(
    server: &Server,
    build: &Arc<Build>,
    request: ResolveImageConfigRequest,
) -> Result<ResolveImageConfigResponse, Status> {
    if request.resolver_type != REGISTRY {
        return Err(Status::unimplemented("ResolverType: images of a client's OCI layout are not read"));
    }
    let platform = platform(server, request.platform.as_ref());
    let base = resolve(server, build, &request.r#ref, platform, &request.resolve_mode).await?;
    let config = serde_json::to_vec(&base.config).map_err(|error| told(Code::Internal, &error))?;
    Ok(ResolveImageConfigResponse { digest: base.digest, config, r#ref: request.r#ref })
}

/// What a source is like. Only of images there is something to tell; other sources are given back as they are, as something
/// that is known when it is built.
pub(super) async fn meta(
    server: &Server,
    build: &Arc<Build>,
    request: ResolveSourceMetaRequest,
) -> Result<ResolveSourceMetaResponse, Status> {
    let source = request.source.ok_or_else(|| Status::invalid_argument("Source: there is none"))?;
    let Some(reference) = source.identifier.strip_prefix(IMAGE) else {
        let text =
            format!("Source: only images are resolved before they are built, not {}", source.identifier);
        return Err(Status::unimplemented(kiln_graph::redact(&text)));
    };
    let asked = request.image.unwrap_or_default();
    if asked.attestation_chain || !asked.resolve_attestations.is_empty() {
        return Err(Status::unimplemented("Image.AttestationChain: attestations are not resolved"));
    }
    let mode = match source.attrs.get("image.resolvemode") {
        Some(mode) if request.resolve_mode.is_empty() => mode.clone(),
        _ => request.resolve_mode,
    };
    let platform = platform(server, request.platform.as_ref());
    let base = resolve(server, build, reference, platform, &mode).await?;
    let config = if asked.no_config {
        Vec::new()
    } else {
        serde_json::to_vec(&base.config).map_err(|error| told(Code::Internal, &error))?
    };
    let digest = base.digest;
    let image = ResolveSourceImageResponse { digest, config, ..ResolveSourceImageResponse::default() };
    Ok(ResolveSourceMetaResponse {
        source: Some(source),
        image: Some(image),
        ..ResolveSourceMetaResponse::default()
    })
}

async fn resolve(
    server: &Server,
    build: &Arc<Build>,
    reference: &str,
    platform: String,
    mode: &str,
) -> Result<ResolvedBase, Status> {
    Reference::parse(reference).map_err(|error| {
        Status::invalid_argument(format!("`{reference}` is not an image reference: {error}"))
    })?;
    let policy = match mode {
        "pull" => PullPolicy::Always,
        "" | "default" | "local" => PullPolicy::Missing,
        other => return Err(Status::invalid_argument(format!("ResolveMode: `{other}` is not known"))),
    };
    let session = server.sessions.get(&build.session).await?;
    let (progress, told_all) = crate::progress::of(build);
    let resolver = server.builder_for(&session).resolver(policy, progress, Handle::current());
    let request = BaseRequest { reference: reference.to_owned(), platform, layout: None };
    let answers = tokio::task::spawn_blocking(move || resolver.resolve(&[request])).await;
    told_all.wait().await;
    let answers = answers.map_err(|_| Status::internal("the resolution ended without a result"))?;
    let answer =
        answers.into_iter().next().ok_or_else(|| Status::internal("the resolution has no answer"))?;
    answer.map_err(|failure| Status::unknown(failure.message))
}

fn platform(server: &Server, message: Option<&pb::Platform>) -> String {
    message.map_or_else(|| server.platform.clone(), llb::platform)
}
