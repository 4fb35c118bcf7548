//! What can go wrong between this machine and a registry, told so that a user can act on it.
//!
//! An error names the request (method and URL without secrets), what the registry said about it, and
//! offers the decisions that callers make: temporary or not, not found or not, and a hint. Archives have
//! their own error type.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use oci_spec::image::Digest;
use reqwest::{Method, StatusCode, Url};
use serde::Deserialize;

use crate::auth::AuthError;
use crate::digest::VerifyError;
use crate::document::DocumentError;
use crate::platform::PlatformError;
use crate::reference::ReferenceError;

/// Any failure of the client.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// An option or a reference that no request could be made of.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// A platform that is not one.
    #[error(transparent)]
    Platform(#[from] PlatformError),
    /// A URL that is not one: a strange host, or a Location that makes no sense.
    #[error("`{url}` is not a usable URL")]
    Url {
        /// The URL as far as it is known, without secrets.
        url: String,
    },
    /// No connection: name not found, refused, no route, TLS failed.
    #[error("cannot connect to {host}")]
    Connect {
        /// Host and port.
        host: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// The connection broke or timed out while a request was under way.
    #[error("{method} {url}: the connection failed")]
    Transport {
        /// The request's method.
        method: Method,
        /// The request's URL, without secrets.
        url: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// Nothing came or went for too long.
    #[error("{method} {url}: nothing was heard for {} s", limit.as_secs())]
    Stalled {
        /// The request's method.
        method: Method,
        /// The request's URL, without secrets.
        url: String,
        /// The longest wait that is allowed.
        limit: Duration,
    },
    /// The registry answered with an error.
    #[error(transparent)]
    Status(Box<StatusError>),
    /// Credentials could not be had, or a token server refused.
    #[error("cannot log in to {host}")]
    Auth {
        /// The registry.
        host: String,
        /// Why.
        #[source]
        source: AuthError,
    },
    /// A redirect that must not be followed.
    #[error("{host} redirects to {target}: {reason}")]
    Redirect {
        /// Who redirects.
        host: String,
        /// Where to, without secrets.
        target: String,
        /// Why it is not followed.
        reason: &'static str,
    },
    /// An answer without something it must have.
    #[error("{method} {url}: the answer {problem}")]
    Answer {
        /// The request's method.
        method: Method,
        /// The request's URL, without secrets.
        url: String,
        /// What is wrong with the answer.
        problem: String,
    },
    /// A manifest, an index or a configuration cannot be used.
    #[error("{reference}: unusable document")]
    Document {
        /// The image.
        reference: String,
        /// Why.
        #[source]
        source: DocumentError,
    },
    /// Content that came or was to be sent is not what its digest says.
    #[error("{subject}: content does not verify")]
    Verify {
        /// The blob's or image's name.
        subject: String,
        /// What differs.
        #[source]
        source: VerifyError,
    },
    /// A blob ended early, again and again.
    #[error("{subject}: the download broke off after {received} of {size} bytes")]
    Truncated {
        /// The blob's name.
        subject: String,
        /// Bytes that came.
        received: u64,
        /// Bytes that should have come.
        size: u64,
    },
    /// The index has no image for the platform.
    #[error("{reference} has no image for {wanted}; it has {}", list(.available))]
    NoPlatform {
        /// The image.
        reference: String,
        /// The platform that was asked for.
        wanted: String,
        /// The platforms that are there.
        available: Vec<String>,
    },
    /// A blob to be pushed could not be read.
    #[error("cannot read blob {digest} to push it")]
    Source {
        /// The blob.
        digest: Digest,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A certificate or key file cannot be used.
    #[error("cannot use the certificate file {}", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: CertificateError,
    },
    /// The HTTP client could not be set up.
    #[error("cannot set up the HTTP client")]
    Setup {
        /// Why.
        #[source]
        source: reqwest::Error,
    },
}

/// Why a file below the certificates directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// It cannot be read.
    #[error("it cannot be read")]
    Read(#[source] std::io::Error),
    /// It is no certificate or key in PEM form.
    #[error("it is not valid PEM")]
    Pem(#[source] reqwest::Error),
    /// A `NAME.cert` without its `NAME.key`, or the other way round.
    #[error("its other half, {}, is missing", .0.display())]
    Unpaired(PathBuf),
}

/// An answer that says no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusError {
    /// The request's method.
    pub method: Method,
    /// The request's URL, without secrets.
    pub url: String,
    /// The status.
    pub status: StatusCode,
    /// What the registry says about it.
    pub diagnostics: Vec<RegistryDiagnostic>,
    /// How long the registry asks to wait.
    pub retry_after: Option<Duration>,
}

/// One entry of the `errors` list in a registry's answer (distribution specification, "Error codes").
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct RegistryDiagnostic {
    /// The code, such as `MANIFEST_UNKNOWN`.
    #[serde(default)]
    pub code: String,
    /// A sentence.
    #[serde(default)]
    pub message: String,
}

impl std::error::Error for StatusError {}

impl fmt::Display for StatusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.method, self.url, self.status)?;
        for diagnostic in &self.diagnostics {
            match (diagnostic.code.as_str(), diagnostic.message.as_str()) {
                ("", "") => {}
                ("", text) | (text, "") => write!(f, ": {text}")?,
                (code, message) => write!(f, ": {message} ({code})")?,
            }
        }
        Ok(())
    }
}

impl StatusError {
    /// Reads the registry's diagnostics from an answer's body, of which only text and JSON are understood.
    pub(crate) fn new(method: Method, url: &Url, status: StatusCode, body: &[u8]) -> Self {
        Self { method, url: redact(url), status, diagnostics: diagnostics(body), retry_after: None }
    }

    /// Whether the same request may succeed a moment later.
    pub fn is_temporary(&self) -> bool {
        matches!(self.status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504)
    }
}

impl RegistryError {
    /// Whether the same request may succeed a moment later.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Transport { .. } | Self::Stalled { .. } | Self::Truncated { .. } => true,
            Self::Connect { source, .. } => is_reset(source),
            Self::Status(error) => error.is_temporary(),
            Self::Auth { source, .. } => source.is_temporary(),
            _ => false,
        }
    }

    /// Whether the registry says that the image, the blob or the repository is not there.
    pub fn is_not_found(&self) -> bool {
        self.status() == Some(StatusCode::NOT_FOUND)
    }

    /// Whether the registry wants other credentials than it got.
    pub fn is_unauthorized(&self) -> bool {
        matches!(self.status(), Some(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN))
            || matches!(self, Self::Auth { source, .. } if source.is_refused())
    }

    /// The status of the answer, if the failure is one.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Status(error) => Some(error.status),
            _ => None,
        }
    }

    /// How long the registry asks to wait before the next try.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status(error) => error.retry_after,
            _ => None,
        }
    }

    /// What the user can do about it, where something is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Status(error) => status_hint(error),
            Self::Auth { host, source } => source.hint(host),
            Self::Connect { host, source } => Some(connect_hint(host, source)),
            Self::NoPlatform { available, .. } if !available.is_empty() => {
                Some(format!("choose one with --platform, for example --platform={}", available[0]))
            }
            Self::Document { source: DocumentError::Schema1 { .. }, .. } => {
                Some("push the image again with a current tool: it will be stored in a current format".into())
            }
            _ => None,
        }
    }
}

fn status_hint(error: &StatusError) -> Option<String> {
    match error.status {
        StatusCode::UNAUTHORIZED => Some("log in to the registry first (docker login)".into()),
        StatusCode::FORBIDDEN => Some("the account that is logged in may not do this".into()),
        StatusCode::NOT_FOUND => Some(
            "check the name and the tag; a private repository also looks like this without a login".into(),
        ),
        StatusCode::TOO_MANY_REQUESTS => {
            Some("the registry limits requests: wait, or log in for a higher limit".into())
        }
        StatusCode::PAYLOAD_TOO_LARGE => {
            Some("the registry or a proxy before it limits the size of an upload".into())
        }
        _ => None,
    }
}

fn connect_hint(host: &str, error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return format!("{host} did not answer in time: check the network and the proxy settings");
    }
    if error.is_dns() {
        return format!("the name {host} cannot be resolved: check its spelling and the network");
    }
    if chain(error).any(|cause| cause.downcast_ref::<rustls::Error>().is_some()) {
        return format!(
            "the TLS certificate of {host} is not trusted: add its CA as certs.d/{host}/ca.crt, or name the host as an insecure registry"
        );
    }
    format!("check that a registry listens on {host}")
}

/// Whether a connection was made and then lost (as opposed to refused).
fn is_reset(error: &reqwest::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    chain(error)
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|cause| matches!(cause.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof))
}

/// An error's causes, with those that an `io::Error` wraps.
pub(crate) fn chain<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| match error.downcast_ref::<std::io::Error>() {
        Some(io) => io.get_ref().map(|inner| inner as &(dyn std::error::Error + 'static)),
        None => error.source(),
    })
}

/// A URL that may be shown: no user, no password, no query (signed URLs and tokens live there).
pub(crate) fn redact(url: &Url) -> String {
    let mut url = url.clone();
    // A URL that cannot have a user has none to remove.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    if url.query().is_some() {
        url.set_query(Some("…"));
        return url.to_string().replace("%E2%80%A6", "…");
    }
    url.to_string()
}

/// Longest piece of an answer that is not the specification's JSON and is shown all the same.
const MAX_SNIPPET: usize = 200;

fn diagnostics(body: &[u8]) -> Vec<RegistryDiagnostic> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(rename = "errors")]
        list: Option<Vec<RegistryDiagnostic>>,
        details: Option<String>,
        message: Option<String>,
        error: Option<String>,
    }
    if let Ok(parsed) = serde_json::from_slice::<Answer>(body) {
        let single = [parsed.details, parsed.message, parsed.error].into_iter().flatten().next();
        let single = single.map(|message| RegistryDiagnostic { code: String::new(), message });
        return parsed.list.unwrap_or_default().into_iter().chain(single).map(printable).collect();
    }
    let text: String = String::from_utf8_lossy(body).trim().chars().take(MAX_SNIPPET).collect();
    if text.is_empty() || text.starts_with('<') {
        return Vec::new();
    }
    vec![printable(RegistryDiagnostic { code: String::new(), message: text })]
}

/// Control characters of a registry must not reach a terminal.
fn printable(diagnostic: RegistryDiagnostic) -> RegistryDiagnostic {
    let clean = |text: String| text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    RegistryDiagnostic { code: clean(diagnostic.code), message: clean(diagnostic.message) }
}

fn list(platforms: &[String]) -> String {
    if platforms.is_empty() { "none".to_owned() } else { platforms.join(", ") }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn status(code: u16, body: &str) -> StatusError {
        let url = Url::parse("https://user:secret@r.example/v2/a/manifests/b?token=secret").unwrap();
        StatusError::new(Method::GET, &url, StatusCode::from_u16(code).unwrap(), body.as_bytes())
    }

    #[test]
    fn secrets_of_a_url_are_not_shown() {
        let text = status(500, "").to_string();
        assert!(!text.contains("secret"), "{text}");
        assert_eq!(text, "GET https://r.example/v2/a/manifests/b?…: 500 Internal Server Error");
    }

    #[test]
    fn tells_what_the_registry_says() {
        let error = status(
            404,
            r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown","detail":{}}]}"#,
        );
        assert!(error.to_string().ends_with("404 Not Found: manifest unknown (MANIFEST_UNKNOWN)"), "{error}");
        assert!(status(502, "<html>").diagnostics.is_empty());
        assert!(status(502, "bad\u{1b}[2J gateway").to_string().ends_with(": bad [2J gateway"));
        assert!(
            status(401, r#"{"details":"incorrect password"}"#).to_string().ends_with("incorrect password")
        );
    }

    #[test]
    fn knows_what_may_pass() {
        for (code, temporary) in
            [(400, false), (401, false), (404, false), (429, true), (500, true), (501, false), (503, true)]
        {
            assert_eq!(status(code, "").is_temporary(), temporary, "{code}");
        }
        let error = RegistryError::Status(Box::new(status(404, "")));
        assert!(error.is_not_found() && error.hint().is_some());
    }
}
