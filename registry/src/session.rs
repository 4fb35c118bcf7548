//! One registry as the client sees it: requests with login, redirects, time limits and errors.
//!
//! Invariants: an Authorization header and an answer to a challenge go only to the registry's own origin,
//! and never after a redirect has left it (CVE-2020-15157); no redirect leads from TLS to clear text.
//! Retries are the callers' business: only they know what has to start anew.

mod answer;
mod login;

use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, LOCATION};
use reqwest::{Method, Response, StatusCode, Url};
use tokio::sync::{Mutex, OnceCell};

use crate::auth::config::DockerConfig;
use crate::auth::{AuthError, Authority, Logins, Scope};
use crate::client::ClientOptions;
use crate::endpoint::{HTTP, HTTPS, base_url, is_insecure, is_same_origin, schemes};
use crate::error::{RegistryError, redact};
use crate::retry::retrying;
use crate::transport::Transport;
use crate::upload::Upload;
pub(crate) use answer::{failed, to_status_error};

/// Redirects followed for one request.
const MAX_REDIRECTS: u32 = 10;
/// After an upload a registry may copy the blob within its storage before it answers: this many times the
/// usual limit.
const UPLOAD_PATIENCE: u32 = 5;

/// What all sessions of a client share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: Arc<ClientOptions>,
    pub(crate) transport: Arc<Transport>,
    pub(crate) config: OnceCell<Arc<DockerConfig>>,
    /// Asked for logins in place of the configuration file.
    pub(crate) logins: Option<Arc<dyn Logins>>,
}

/// One registry.
#[derive(Debug)]
pub(crate) struct Session {
    shared: Arc<Shared>,
    registry: String,
    base: OnceCell<Url>,
    authority: Mutex<Authority>,
}

/// What a request carries.
pub(crate) enum Payload {
    Empty,
    Bytes(Bytes),
    Blob(Box<Upload>),
}

/// A request.
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) scope: Scope,
    pub(crate) headers: HeaderMap,
    pub(crate) payload: Payload,
}

impl Call {
    pub(crate) fn new(method: Method, url: Url, scope: Scope) -> Self {
        Self { method, url, scope, headers: HeaderMap::new(), payload: Payload::Empty }
    }

    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    pub(crate) fn payload(mut self, payload: Payload) -> Self {
        self.payload = payload;
        self
    }

    /// An error about this call's answer.
    pub(crate) fn answer(&self, problem: impl Into<String>) -> RegistryError {
        RegistryError::Answer { method: self.method.clone(), url: redact(&self.url), problem: problem.into() }
    }
}

impl Session {
    pub(crate) fn new(shared: Arc<Shared>, registry: &str) -> Self {
        Self { shared, registry: registry.to_owned(), base: OnceCell::new(), authority: Mutex::default() }
    }

    /// The URL of `path` below the registry's API root.
    pub(crate) async fn url(&self, path: &str) -> Result<Url, RegistryError> {
        let find = || retrying(&self.shared.options.retry, async || self.find_base().await);
        let base = self.base.get_or_try_init(find).await?;
        base.join(path).map_err(|_| RegistryError::Url { url: format!("{}{path}", redact(base)) })
    }

    /// Settles on TLS or clear text, which takes a request only where both are allowed.
    async fn find_base(&self) -> Result<Url, RegistryError> {
        let secure = base_url(HTTPS, &self.registry)?;
        if !is_insecure(&secure, &self.shared.options.insecure) {
            return Ok(secure);
        }
        let [first, second] = schemes(&secure);
        let failure = match self.probe(first).await {
            Ok(Some(base)) => return Ok(base),
            Ok(None) => None,
            // Nobody is there; the other scheme would be answered by nobody either, or be a downgrade.
            Err(error @ RegistryError::Connect { .. }) if first == HTTP || error.is_timeout() => {
                return Err(error);
            }
            Err(error) => Some(error),
        };
        match self.probe(second).await {
            Ok(Some(base)) => Ok(base),
            Ok(None) => base_url(first, &self.registry),
            Err(error) => match failure {
                // It did answer the first time, so it has no TLS but a way of its own to answer.
                None => base_url(first, &self.registry),
                Some(failure) if first == HTTP => Err(failure),
                Some(_) => Err(error),
            },
        }
    }

    /// Asks whether the registry answers by a scheme; nothing if the answer is that of a TLS server to
    /// clear text.
    async fn probe(&self, scheme: &str) -> Result<Option<Url>, RegistryError> {
        let base = base_url(scheme, &self.registry)?;
        let call = Call::new(Method::GET, base.clone(), Scope::default());
        let status = self.exchange(&call, &base, None).await?.status();
        Ok((scheme != HTTP || status != StatusCode::BAD_REQUEST).then_some(base))
    }

    /// Sends a request and gives the answer if it is a success, an error otherwise.
    pub(crate) async fn send(&self, call: &Call) -> Result<Response, RegistryError> {
        let own = self.url("").await?;
        let mut url = call.url.clone();
        let mut trusted = is_same_origin(&url, &own);
        let mut challenged = false;
        let mut granted = None;
        let mut redirects = 0;
        loop {
            let authorization = match (trusted, granted.take()) {
                (false, _) => None,
                (true, Some(header)) => Some(header),
                (true, None) => self.authority.lock().await.authorization(&call.scope, Instant::now()),
            };
            let response = self.exchange(call, &url, authorization.as_deref()).await?;
            let status = response.status();
            if status.is_success() {
                return Ok(response);
            }
            if status == StatusCode::UNAUTHORIZED && trusted && !challenged {
                challenged = true;
                granted = self.log_in(&response, &call.scope, authorization.as_deref()).await?;
                if granted.is_some() {
                    continue;
                }
            }
            let follows = matches!(call.method, Method::GET | Method::HEAD);
            match response.headers().get(LOCATION).filter(|_| follows && status.is_redirection()) {
                Some(location) if redirects < MAX_REDIRECTS => {
                    redirects += 1;
                    url = self.redirected(&url, location)?;
                    trusted = trusted && is_same_origin(&url, &own);
                }
                _ => {
                    let mut error = to_status_error(&call.method, &url, response).await;
                    error.login = self.login_use(authorization.as_deref()).await;
                    return Err(RegistryError::Status(Box::new(error)));
                }
            }
        }
    }

    /// The target of a redirect, if it may be followed.
    fn redirected(&self, from: &Url, location: &HeaderValue) -> Result<Url, RegistryError> {
        let refused = |target: String, reason| RegistryError::Redirect {
            host: from.host_str().unwrap_or_default().to_owned(),
            target,
            reason,
        };
        let target = location.to_str().ok().and_then(|location| from.join(location).ok());
        let target = target.ok_or_else(|| refused("nowhere".into(), "the Location is not a URL"))?;
        match (from.scheme(), target.scheme()) {
            (_, HTTPS) | (HTTP, HTTP) => Ok(target),
            (_, HTTP) if is_insecure(&target, &self.shared.options.insecure) => Ok(target),
            (_, HTTP) => Err(refused(redact(&target), "content does not go from TLS to clear text")),
            _ => Err(refused(redact(&target), "it is not an HTTP URL")),
        }
    }

    /// One request, one answer of any status.
    async fn exchange(
        &self,
        call: &Call,
        url: &Url,
        authorization: Option<&str>,
    ) -> Result<Response, RegistryError> {
        let mut request = self.shared.transport.client(url)?.request(call.method.clone(), url.clone());
        request = request.headers(call.headers.clone());
        if let Some(authorization) = authorization {
            let mut value = HeaderValue::from_str(authorization).map_err(|_| RegistryError::Auth {
                host: self.registry.clone(),
                source: AuthError::Refused,
            })?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        let request = match &call.payload {
            Payload::Empty if matches!(call.method, Method::POST | Method::PUT) => {
                request.header(CONTENT_LENGTH, 0)
            }
            Payload::Empty => request,
            Payload::Bytes(bytes) => request.body(bytes.clone()),
            Payload::Blob(upload) => request.header(CONTENT_LENGTH, upload.size()).body(upload.start()),
        };
        let answer = self.within_limit(call, url, request.send()).await?;
        answer.map_err(|source| match &call.payload {
            Payload::Blob(upload) => {
                upload.take_failure().unwrap_or_else(|| failed(&call.method, url, source))
            }
            _ => failed(&call.method, url, source).through(self.shared.transport.proxy(url)),
        })
    }

    /// Waits for `future` as long as something moves.
    async fn within_limit<T>(
        &self,
        call: &Call,
        url: &Url,
        future: impl Future<Output = T>,
    ) -> Result<T, RegistryError> {
        let mut future = std::pin::pin!(future);
        let mut seen = 0;
        loop {
            let (limit, sent) = match &call.payload {
                Payload::Blob(upload) => {
                    (self.shared.options.read_timeout.saturating_mul(UPLOAD_PATIENCE), upload.sent())
                }
                _ => (self.shared.options.read_timeout, 0),
            };
            match tokio::time::timeout(limit, &mut future).await {
                Ok(value) => return Ok(value),
                Err(_) if sent > seen => seen = sent,
                Err(_) => {
                    return Err(RegistryError::Stalled {
                        method: call.method.clone(),
                        url: redact(url),
                        limit,
                    });
                }
            }
        }
    }

    /// The next bytes of an answer's body.
    pub(crate) async fn chunk(
        &self,
        call: &Call,
        response: &mut Response,
    ) -> Result<Option<Bytes>, RegistryError> {
        let limit = self.shared.options.read_timeout;
        match tokio::time::timeout(limit, response.chunk()).await {
            Ok(Ok(chunk)) => Ok(chunk),
            Ok(Err(source)) => Err(failed(&call.method, &call.url, source)),
            Err(_) => {
                Err(RegistryError::Stalled { method: call.method.clone(), url: redact(&call.url), limit })
            }
        }
    }

    /// A whole body of at most `limit` bytes; nothing if it is longer.
    pub(crate) async fn body(
        &self,
        call: &Call,
        mut response: Response,
        limit: u64,
    ) -> Result<Option<Bytes>, RegistryError> {
        if response.content_length().is_some_and(|length| length > limit) {
            return Ok(None);
        }
        let mut body = BytesMut::new();
        while let Some(chunk) = self.chunk(call, &mut response).await? {
            if (body.len() + chunk.len()) as u64 > limit {
                return Ok(None);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Some(body.freeze()))
    }
}
