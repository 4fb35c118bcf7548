//! What can go wrong between this machine and a registry, told so that a user can act on it.
//!
//! An error names the request (method and URL without secrets), what the registry said about it, and
//! offers the decisions that callers make: temporary or not, not found or not, and a hint. Archives have
//! their own error type.

mod connection;
mod status;

use std::path::PathBuf;
use std::time::Duration;

use oci_spec::image::Digest;
use reqwest::{Method, StatusCode};

use crate::auth::AuthError;
use crate::digest::VerifyError;
use crate::document::DocumentError;
use crate::platform::PlatformError;
use crate::reference::ReferenceError;
pub use connection::ConnectionError;
pub(crate) use status::redact;
pub use status::{LoginUse, RegistryDiagnostic, StatusError};

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
        /// The proxy that was to lead there, without secrets.
        proxy: Option<String>,
        /// Why.
        #[source]
        source: ConnectionError,
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
        source: ConnectionError,
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

impl RegistryError {
    /// Whether the same request may succeed a moment later.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Transport { .. } | Self::Stalled { .. } | Self::Truncated { .. } => true,
            Self::Connect { source, .. } => is_reset(source.inner()),
            Self::Status(error) => error.is_temporary(),
            Self::Auth { source, .. } => source.is_temporary(),
            _ => false,
        }
    }

    /// Whether nobody was there in time.
    pub(crate) fn is_timeout(&self) -> bool {
        matches!(self, Self::Connect { source, .. } if source.is_timeout())
    }

    /// The same, if no connection could be made: it was to lead through that proxy.
    pub(crate) fn through(mut self, by: Option<String>) -> Self {
        if let Self::Connect { proxy, .. } = &mut self {
            *proxy = by;
        }
        self
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
            Self::Status(error) => error.hint(),
            Self::Auth { host, source } => source.hint(host),
            Self::Connect { host, proxy, source } => {
                Some(connect_hint(host, proxy.as_deref(), source.inner()))
            }
            Self::Transport { source, .. } if is_no_tls(source.inner()) => Some(NO_TLS.to_owned()),
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

fn connect_hint(host: &str, proxy: Option<&str>, error: &reqwest::Error) -> String {
    if is_no_tls(error) {
        return NO_TLS.to_owned();
    }
    if chain(error).any(|cause| cause.downcast_ref::<rustls::Error>().is_some()) {
        return format!(
            "the TLS certificate of {host} is not trusted: add its CA as certs.d/{host}/ca.crt, or name the host as an insecure registry"
        );
    }
    if let Some(proxy) = proxy {
        return format!(
            "connections to {host} lead through the proxy {proxy}: check that it answers, or name the host in NO_PROXY"
        );
    }
    if error.is_timeout() {
        return format!("{host} did not answer in time: check the network and the proxy settings");
    }
    if error.is_dns() {
        return format!("the name {host} cannot be resolved: check its spelling and the network");
    }
    format!("check that a registry listens on {host}")
}

/// Said where something else than TLS answers.
const NO_TLS: &str = "what answers there does not speak TLS: if it is to be plain HTTP, name the host with --insecure-registry";

fn is_no_tls(error: &reqwest::Error) -> bool {
    let is_no_message = |error: &rustls::Error| matches!(error, rustls::Error::InvalidMessage(_));
    chain(error).any(|cause| cause.downcast_ref().is_some_and(is_no_message))
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

fn list(platforms: &[String]) -> String {
    if platforms.is_empty() { "none".to_owned() } else { platforms.join(", ") }
}
