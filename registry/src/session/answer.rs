//! Failures of one request as errors: no connection, a broken one, an answer that says no.

use std::fmt::Write as _;
use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use reqwest::{Method, Response, Url};

use crate::error::{RegistryError, StatusError, redact};

/// Bytes of an error's answer that are read.
const MAX_ANSWER: usize = 64 << 10;
/// Longest wait for an error's answer: the status is the message, the body its commentary.
const ANSWER_PATIENCE: Duration = Duration::from_secs(5);

/// A request that got no answer, or only a part of one.
pub(crate) fn failed(method: &Method, url: &Url, source: reqwest::Error) -> RegistryError {
    let source = source.without_url();
    if source.is_connect() {
        let mut host = url.host_str().unwrap_or_default().to_owned();
        if let Some(port) = url.port() {
            // Writing to a String cannot fail.
            let _ = write!(host, ":{port}");
        }
        return RegistryError::Connect { host, proxy: None, source: source.into() };
    }
    RegistryError::Transport { method: method.clone(), url: redact(url), source: source.into() }
}

/// An answer that says no.
pub(crate) async fn to_status_error(method: &Method, url: &Url, response: Response) -> StatusError {
    let (status, retry_after) = (response.status(), retry_after(&response));
    let body = read_some(response).await;
    StatusError { retry_after, ..StatusError::new(method.clone(), url, status, &body) }
}

/// Seconds only: a date would need the server's clock.
fn retry_after(response: &Response) -> Option<Duration> {
    let value = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    value.trim().parse().ok().map(Duration::from_secs)
}

/// What can be had of an error's body within a moment.
async fn read_some(mut response: Response) -> Vec<u8> {
    let mut body = Vec::new();
    let reading = async {
        while let Ok(Some(chunk)) = response.chunk().await {
            body.extend_from_slice(&chunk);
            if body.len() >= MAX_ANSWER {
                break;
            }
        }
    };
    // A body that does not come is as good as none.
    let _ = tokio::time::timeout(ANSWER_PATIENCE, reading).await;
    body
}
