//! Blobs and manifests on their way out (distribution specification, "Push").
//!
//! A blob is looked for first, mounted from another repository if that may have it, else sent in one PUT:
//! some registries know no chunked upload. The order (blobs, then manifests, then indexes) is the
//! caller's. Called by the client.

use std::str::FromStr as _;

use oci_spec::image::Digest;
use reqwest::header::{CONTENT_TYPE, HeaderValue, LOCATION};
use reqwest::{Method, Response, StatusCode, Url};

use crate::auth::Scope;
use crate::digest::VerifyError;
use crate::document::Document;
use crate::error::RegistryError;
use crate::reference::Reference;
use crate::resolve::CONTENT_DIGEST;
use crate::retry::{RetryPolicy, retrying};
use crate::session::{Call, Payload, Session};
use crate::upload::Upload;

/// How a blob came to be in the repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushOutcome {
    /// It was there already.
    Existed,
    /// The registry took it from another of its repositories.
    Mounted,
    /// It was sent.
    Uploaded,
}

/// Whether the repository has a blob. A registry that knows no HEAD is taken to have none.
pub(crate) async fn has_blob(
    session: &Session,
    retry: &RetryPolicy,
    reference: &Reference,
    digest: &Digest,
) -> Result<bool, RegistryError> {
    has_blob_in(session, retry, reference, digest, Scope::pull(reference.repository())).await
}

async fn has_blob_in(
    session: &Session,
    retry: &RetryPolicy,
    reference: &Reference,
    digest: &Digest,
    scope: Scope,
) -> Result<bool, RegistryError> {
    let url = session.url(&format!("{}/blobs/{digest}", reference.repository())).await?;
    let call = Call::new(Method::HEAD, url, scope);
    match retrying(retry, || session.send(&call)).await {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.status().map(|status| status.as_u16()), Some(404 | 405 | 501)) => {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// Brings a blob into the repository.
pub(crate) async fn blob(
    session: &Session,
    retry: &RetryPolicy,
    reference: &Reference,
    digest: &Digest,
    upload: &Upload,
    mount_from: Option<&str>,
) -> Result<PushOutcome, RegistryError> {
    let mount_from = mount_from.filter(|from| *from != reference.repository());
    let scope = Scope::push(reference.repository());
    if has_blob_in(session, retry, reference, digest, scope.clone()).await? {
        return Ok(PushOutcome::Existed);
    }
    retrying(retry, || async {
        let Some(location) = begin(session, reference, digest, mount_from).await? else {
            return Ok(PushOutcome::Mounted);
        };
        let call = Call::new(Method::PUT, location, scope.clone())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"))
            .payload(Payload::Blob(Box::new(upload.clone())));
        let response = session.send(&call).await?;
        check_digest(&call, &response, digest, reference)?;
        Ok(PushOutcome::Uploaded)
    })
    .await
}

/// Begins an upload; gives the URL to PUT to, or nothing if the registry mounted the blob.
async fn begin(
    session: &Session,
    reference: &Reference,
    digest: &Digest,
    mount_from: Option<&str>,
) -> Result<Option<Url>, RegistryError> {
    let mut url = session.url(&format!("{}/blobs/uploads/", reference.repository())).await?;
    let mut scope = Scope::push(reference.repository());
    if let Some(from) = mount_from {
        url.query_pairs_mut().append_pair("mount", digest.as_ref()).append_pair("from", from);
        scope = scope.and_pull(from);
    }
    let call = Call::new(Method::POST, url, scope);
    let response = match session.send(&call).await {
        // Whoever may not read the other repository can still upload.
        Err(error) if mount_from.is_some() && error.is_unauthorized() => {
            return Box::pin(begin(session, reference, digest, None)).await;
        }
        answer => answer?,
    };
    if response.status() == StatusCode::CREATED {
        return Ok(None);
    }
    upload_url(&call, &response, digest).map(Some)
}

/// Where the blob goes: the answer's Location, absolute or relative, with its query, and the digest added.
fn upload_url(call: &Call, response: &Response, digest: &Digest) -> Result<Url, RegistryError> {
    let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
    let location = location.ok_or_else(|| call.answer("has no Location to upload to"))?;
    let mut url =
        response.url().join(location).map_err(|_| call.answer("has a Location that is not a URL"))?;
    if !matches!((response.url().scheme(), url.scheme()), (_, "https") | ("http", "http")) {
        return Err(call.answer("wants the upload in clear text"));
    }
    url.query_pairs_mut().append_pair("digest", digest.as_ref());
    Ok(url)
}

/// Stores a manifest or an index.
pub(crate) async fn manifest(
    session: &Session,
    retry: &RetryPolicy,
    reference: &Reference,
    document: &Document,
) -> Result<Digest, RegistryError> {
    if let Some(pinned) = reference.digest().filter(|pinned| **pinned != document.digest) {
        let source = VerifyError::Digest { expected: pinned.clone(), actual: document.digest.to_string() };
        return Err(RegistryError::Verify { subject: reference.familiar(), source });
    }
    let target = reference.tag().unwrap_or(document.digest.as_ref());
    let url = session.url(&format!("{}/manifests/{target}", reference.repository())).await?;
    let media_type = HeaderValue::from_str(document.media_type.as_ref())
        .map_err(|_| RegistryError::Url { url: document.media_type.to_string() })?;
    let call = Call::new(Method::PUT, url, Scope::push(reference.repository()))
        .header(CONTENT_TYPE, media_type)
        .payload(Payload::Bytes(document.bytes.clone()));
    let response = retrying(retry, || session.send(&call)).await?;
    check_digest(&call, &response, &document.digest, reference)?;
    Ok(document.digest.clone())
}

/// A registry that names another digest has stored something else.
fn check_digest(
    call: &Call,
    response: &Response,
    expected: &Digest,
    reference: &Reference,
) -> Result<(), RegistryError> {
    let Some(named) = response.headers().get(CONTENT_DIGEST).and_then(|value| value.to_str().ok()) else {
        return Ok(());
    };
    match Digest::from_str(named) {
        Ok(named) if named == *expected => Ok(()),
        // Another algorithm's digest of the same content cannot be compared.
        Ok(named) if named.algorithm() != expected.algorithm() => Ok(()),
        Ok(named) => {
            let source = VerifyError::Digest { expected: expected.clone(), actual: named.to_string() };
            Err(RegistryError::Verify { subject: reference.familiar(), source })
        }
        Err(_) => Err(call.answer(format!("names the digest `{named}`, which is none"))),
    }
}
