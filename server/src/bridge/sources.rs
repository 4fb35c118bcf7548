//! What sources are like, for clients that decide by it what to build: the configuration of an image, what a reference of a
//! repository stands for, the digest of a file.

use std::collections::HashMap;
use std::sync::Arc;

use kiln_builder::{Commit, RemoteFile};
use kiln_graph::redact;
use kiln_registry::Reference;
use prost_types::Timestamp;
use tonic::{Code, Status};

use crate::api::gateway::{
    ResolveImageConfigRequest, ResolveImageConfigResponse, ResolveSourceGitResponse,
    ResolveSourceHttpResponse, ResolveSourceImageResponse, ResolveSourceMetaRequest,
    ResolveSourceMetaResponse,
};
use crate::api::pb;
use crate::build::Build;
use crate::failure::told;
use crate::llb::{self, Known};
use crate::policy::{IMAGE, LAYOUT};
use crate::server::Server;

/// The kind of resolver that asks registries; the other one reads layouts.
const REGISTRY: i32 = 0;

/// The attribute that says when a registry is asked, and those that say where a layout is.
const RESOLVE_MODE: &str = "image.resolvemode";
const LAYOUT_SESSION: &str = "oci.session";
const LAYOUT_STORE: &str = "oci.store";

/// The configuration of an image.
pub(super) async fn image_config(
    server: &Server,
    build: &Arc<Build>,
    request: ResolveImageConfigRequest,
) -> Result<ResolveImageConfigResponse, Status> {
    let policies = build.policies().and(request.source_policies).await?;
    let mut reference = request.r#ref;
    let source = if request.resolver_type == REGISTRY {
        pb::SourceOp { identifier: format!("{IMAGE}{reference}"), attrs: HashMap::new() }
    } else {
        let place = [(LAYOUT_SESSION, request.session_id), (LAYOUT_STORE, request.store_id)];
        let place = place.into_iter().filter(|(_, value)| !value.is_empty());
        let attrs = place.map(|(name, value)| (name.to_owned(), value)).collect();
        pb::SourceOp { identifier: format!("{LAYOUT}{reference}"), attrs }
    };
    let other = policies.judge(server, build, request.platform.clone(), &source).await?;
    if let Some(other) = &other {
        let scheme = if other.identifier.starts_with(LAYOUT) { LAYOUT } else { IMAGE };
        reference = other.identifier.strip_prefix(scheme).map(str::to_owned).ok_or_else(|| {
            let (source, other) = (redact(&source.identifier), redact(&other.identifier));
            Status::unknown(format!("{source} is no image: the policy puts {other:?} in its place"))
        })?;
    }
    let source = other.unwrap_or(source);
    match known(server, build, &source, request.platform, &request.resolve_mode).await? {
        Known::Image(base) => {
            let config = serde_json::to_vec(&base.config).map_err(|error| told(Code::Internal, &error))?;
            Ok(ResolveImageConfigResponse { digest: base.digest, config, r#ref: reference })
        }
        Known::Git(..) | Known::File(_) => Err(Status::internal("an image was resolved to something else")),
    }
}

/// What a source is like, or what the policies put in its place.
pub(super) async fn meta(
    server: &Server,
    build: &Arc<Build>,
    mut request: ResolveSourceMetaRequest,
) -> Result<ResolveSourceMetaResponse, Status> {
    let policies = build.policies().and(std::mem::take(&mut request.source_policies)).await?;
    if let Some(source) = &request.source
        && let Some(other) = policies.judge(server, build, request.platform.clone(), source).await?
    {
        request.source = Some(other);
    }
    described(server, build, request).await
}

/// What a source is like that may be used.
pub(crate) async fn described(
    server: &Server,
    build: &Arc<Build>,
    request: ResolveSourceMetaRequest,
) -> Result<ResolveSourceMetaResponse, Status> {
    let source = request.source.ok_or_else(|| Status::invalid_argument("Source: there is none"))?;
    let image = request.image.unwrap_or_default();
    if image.attestation_chain || !image.resolve_attestations.is_empty() {
        return Err(Status::unimplemented("Image.AttestationChain: attestations are not resolved"));
    }
    if request.git.is_some_and(|git| git.return_object) {
        return Err(Status::unimplemented("Git.ReturnObject: objects of repositories are not sent"));
    }
    if request.http.is_some_and(|http| http.checksum_request.is_some()) {
        return Err(Status::unimplemented(
            "HTTP.ChecksumRequest: the checksum of a file is SHA-256 of its content",
        ));
    }
    let known = known(server, build, &source, request.platform, &request.resolve_mode).await?;
    let mut response = ResolveSourceMetaResponse { source: Some(source), ..Default::default() };
    match known {
        Known::Image(base) => {
            let config = if image.no_config {
                Vec::new()
            } else {
                serde_json::to_vec(&base.config).map_err(|error| told(Code::Internal, &error))?
            };
            let digest = base.digest;
            response.image = Some(ResolveSourceImageResponse { digest, config, ..Default::default() });
        }
        Known::Git(commit, keeps_git) => response.git = Some(repository(commit, keeps_git)),
        Known::File(file) => response.http = Some(remote_file(file)),
    }
    Ok(response)
}

/// A tag counts by its own object, beside which stands the commit unless the tag will be seen.
fn repository(commit: Commit, keeps_git: bool) -> ResolveSourceGitResponse {
    let Commit { reference, commit, tag } = commit;
    let (checksum, commit_checksum) = match tag {
        Some(tag) if keeps_git => (tag, String::new()),
        Some(tag) => (tag, commit),
        None => (commit, String::new()),
    };
    ResolveSourceGitResponse { checksum, r#ref: reference, commit_checksum, ..Default::default() }
}

fn remote_file(file: RemoteFile) -> ResolveSourceHttpResponse {
    let RemoteFile { digest, filename, modified } = file;
    let last_modified = modified.map(|seconds| Timestamp { seconds, nanos: 0 });
    ResolveSourceHttpResponse { checksum: digest, filename, last_modified, ..Default::default() }
}

async fn known(
    server: &Server,
    build: &Arc<Build>,
    source: &pb::SourceOp,
    platform: Option<pb::Platform>,
    mode: &str,
) -> Result<Known, Status> {
    if let Some(reference) = source.identifier.strip_prefix(IMAGE) {
        Reference::parse(reference).map_err(|error| {
            Status::invalid_argument(format!("`{reference}` is not an image reference: {error}"))
        })?;
    }
    let attribute = source.attrs.get(RESOLVE_MODE).map(String::as_str).unwrap_or_default();
    let pulls = match if mode.is_empty() { attribute } else { mode } {
        "pull" => true,
        "" | "default" | "local" => false,
        other => return Err(Status::invalid_argument(format!("ResolveMode: `{other}` is not known"))),
    };
    llb::resolve(server, build, source, platform, pulls).await
}
