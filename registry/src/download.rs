//! A file from a web server: streamed to a sink, from the start again where a connection breaks.
//!
//! What is asked for is named by a user and has nothing to do with registries: no login is sent but the one in the
//! URL, and that one to its own origin only; no redirect leads from TLS to clear text. Whether the content is the
//! right one is the sink's business. The builder's sources call this.

use std::io;

use reqwest::header::{
    ACCEPT_ENCODING, ETAG, HeaderMap, HeaderName, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH,
    LAST_MODIFIED, LOCATION,
};
use reqwest::{Method, Response, StatusCode, Url};

use crate::endpoint::{HTTP, HTTPS, is_insecure};
use crate::error::{RegistryError, redact};
use crate::session::{Shared, failed, to_status_error};

/// Redirects followed for one file: what Go's client allows, and so Docker.
const MAX_REDIRECTS: u32 = 10;

/// What a server said about a file's version, to ask it later whether that is still the current one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Validators {
    /// The `ETag` header.
    pub etag: Option<String>,
    /// The `Last-Modified` header.
    pub last_modified: Option<String>,
}

/// Where a download goes.
pub trait DownloadSink: Send {
    /// Forgets all that was written: the file is sent from its start.
    fn restart(&mut self) -> io::Result<()>;
    /// Takes the next bytes.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;
}

/// How a download ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Downloaded {
    /// The file is the one that the validators were given for; nothing was written.
    Unchanged,
    /// The sink has the whole file.
    Complete(Validators),
}

/// A download that failed.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// The server or the way to it.
    #[error(transparent)]
    Request(#[from] RegistryError),
    /// The sink.
    #[error("cannot write what was downloaded")]
    Write(#[source] io::Error),
}

/// How a URL is written by what asks for it: a text may have a scheme, a host or a path that is read otherwise than it looks. Nothing
/// if the text is no URL, and nothing is asked.
pub fn plain_url(text: &str) -> Option<String> {
    Url::parse(text).ok().map(String::from)
}

/// Downloads `url`, trying again after temporary failures.
pub(crate) async fn download(
    shared: &Shared,
    url: &str,
    known: &Validators,
    sink: &mut dyn DownloadSink,
) -> Result<Downloaded, DownloadError> {
    let unusable = || RegistryError::Url { url: shown(url) };
    let url = Url::parse(url).map_err(|_| unusable())?;
    if !matches!(url.scheme(), HTTP | HTTPS) || !url.has_host() {
        return Err(unusable().into());
    }
    let mut failures = 0;
    loop {
        match attempt(shared, &url, known, sink).await {
            Err(DownloadError::Request(error)) => {
                failures += 1;
                if !shared.options.retry.pause(failures, &error).await {
                    return Err(error.into());
                }
            }
            ended => return ended,
        }
    }
}

/// A text that is no URL, without what may be a secret in it.
fn shown(url: &str) -> String {
    url.rsplit_once('@').map_or_else(|| url.to_owned(), |(_, host)| format!("…@{host}"))
}

async fn attempt(
    shared: &Shared,
    url: &Url,
    known: &Validators,
    sink: &mut dyn DownloadSink,
) -> Result<Downloaded, DownloadError> {
    let (url, mut response) = open(shared, url, known).await?;
    if response.status() == StatusCode::NOT_MODIFIED {
        return Ok(Downloaded::Unchanged);
    }
    sink.restart().map_err(DownloadError::Write)?;
    let size = response.content_length();
    let mut received = 0;
    loop {
        let chunk = match timed(shared, &url, response.chunk()).await? {
            Ok(Some(chunk)) => chunk,
            Ok(None) if size.is_none_or(|size| size == received) => break,
            Ok(None) | Err(_) if size.is_some() => {
                let (subject, size) = (redact(&url), size.unwrap_or_default());
                return Err(RegistryError::Truncated { subject, received, size }.into());
            }
            Ok(None) => break,
            Err(source) => return Err(failed(&Method::GET, &url, source).into()),
        };
        received += chunk.len() as u64;
        sink.write(&chunk).map_err(DownloadError::Write)?;
    }
    Ok(Downloaded::Complete(Validators {
        etag: text(&response, ETAG),
        last_modified: text(&response, LAST_MODIFIED),
    }))
}

/// Asks for the file and follows redirects; the answer is a success or says that nothing changed.
async fn open(shared: &Shared, url: &Url, known: &Validators) -> Result<(Url, Response), RegistryError> {
    let headers = headers(known);
    let mut url = url.clone();
    for _ in 0..=MAX_REDIRECTS {
        let request = shared.transport.client(&url)?.get(url.clone()).headers(headers.clone());
        let response = timed(shared, &url, request.send()).await?;
        let response = response.map_err(|source| failed(&Method::GET, &url, source))?;
        let status = response.status();
        // Only an answer to a condition can say that nothing changed.
        let conditional = headers.contains_key(IF_NONE_MATCH) || headers.contains_key(IF_MODIFIED_SINCE);
        if status == StatusCode::OK || (status == StatusCode::NOT_MODIFIED && conditional) {
            return Ok((url, response));
        }
        let Some(location) = response.headers().get(LOCATION).filter(|_| is_redirect(status)) else {
            let error = to_status_error(&Method::GET, &url, response).await;
            return Err(RegistryError::Status(Box::new(error)));
        };
        url = redirected(shared, &url, location)?;
    }
    Err(refused(&url, redact(&url), "there are too many redirects"))
}

fn headers(known: &Validators) -> HeaderMap {
    // A compressed answer would be another file than the one that was named.
    let mut headers = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static("identity"))]);
    // The tag is the better judge; with both, servers have to ignore the date anyway.
    let condition = match (&known.etag, &known.last_modified) {
        (Some(etag), _) => Some((IF_NONE_MATCH, etag)),
        (None, Some(date)) => Some((IF_MODIFIED_SINCE, date)),
        (None, None) => None,
    };
    if let Some((name, value)) = condition
        && let Ok(value) = HeaderValue::from_str(value)
    {
        headers.insert(name, value);
    }
    headers
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// The target of a redirect, if it may be followed.
fn redirected(shared: &Shared, from: &Url, location: &HeaderValue) -> Result<Url, RegistryError> {
    let target = location.to_str().ok().and_then(|location| from.join(location).ok());
    let Some(target) = target else {
        return Err(refused(from, "nowhere".to_owned(), "the Location is not a URL"));
    };
    match (from.scheme(), target.scheme()) {
        (_, HTTPS) | (HTTP, HTTP) => Ok(target),
        (_, HTTP) if is_insecure(&target, &shared.options.insecure) => Ok(target),
        (_, HTTP) => Err(refused(from, redact(&target), "content does not go from TLS to clear text")),
        _ => Err(refused(from, redact(&target), "it is not an HTTP URL")),
    }
}

fn refused(from: &Url, target: String, reason: &'static str) -> RegistryError {
    RegistryError::Redirect { host: from.host_str().unwrap_or_default().to_owned(), target, reason }
}

/// Waits for an answer or its next bytes, not for ever.
async fn timed<T>(shared: &Shared, url: &Url, future: impl Future<Output = T>) -> Result<T, RegistryError> {
    let limit = shared.options.read_timeout;
    let stalled = || RegistryError::Stalled { method: Method::GET, url: redact(url), limit };
    tokio::time::timeout(limit, future).await.map_err(|_| stalled())
}

fn text(response: &Response, name: HeaderName) -> Option<String> {
    response.headers().get(name)?.to_str().ok().map(str::to_owned)
}

#[cfg(test)]
mod tests;
