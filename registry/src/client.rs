//! The client: options, and one method for everything that is asked of a registry.
//!
//! What the methods do is in [`crate::resolve`], [`crate::blob`] and [`crate::push`]; how requests are
//! made is the session's. The builder and the image commands call this.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use oci_spec::image::{Descriptor, Digest};
use tokio::sync::OnceCell;

use crate::auth::Logins;
use crate::blob::BlobReader;
use crate::document::Document;
use crate::download::{self, DownloadError, DownloadSink, Downloaded, Validators};
use crate::error::RegistryError;
use crate::platform::Platform;
use crate::push::{self, PushOutcome};
use crate::reference::Reference;
use crate::resolve::{self, ResolvedImage};
use crate::retry::RetryPolicy;
use crate::session::{Session, Shared};
use crate::storage::Access;
use crate::transport::Transport;
use crate::upload::{BlobSource, Upload};

/// How a client reaches registries.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// Docker's configuration file (`~/.docker/config.json`): logins and credential helpers. A missing file
    /// means no logins.
    pub docker_config: Option<PathBuf>,
    /// Registries (`host`, `host:port`, or an address range such as `10.0.0.0/8`) that may be spoken to over
    /// plain HTTP, or over TLS with a certificate that nobody vouches for. Loopback addresses always may.
    pub insecure: Vec<String>,
    /// Docker's directory of certificates (`/etc/docker/certs.d`): `HOST/*.crt` are CAs, `HOST/*.cert` with
    /// `HOST/*.key` client certificates.
    pub certs_dir: Option<PathBuf>,
    /// What is special about some registries, by the name that references have.
    pub hosts: BTreeMap<String, HostOptions>,
    /// The User-Agent header.
    pub user_agent: String,
    /// Proxies, as the environment names them. Loopback addresses are always reached directly.
    pub proxies: Proxies,
    /// When and how often a request is tried again.
    pub retry: RetryPolicy,
    /// Longest wait for a connection.
    pub connect_timeout: Duration,
    /// Longest wait for the next byte of an answer.
    pub read_timeout: Duration,
    /// What places of shared caches ask of whoever comes, where nobody says otherwise.
    pub access: Access,
}

/// What is special about one registry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostOptions {
    /// Registries that are asked for its images first, in this order: `HOST[:PORT]`, with a path if its repositories
    /// are below one there. Nothing is written to them.
    pub mirrors: Vec<String>,
    /// Files of authorities that vouch for it, beside the system's.
    pub authorities: Vec<PathBuf>,
    /// Files of a certificate and its key that show who this client is; the first counts.
    pub identities: Vec<(PathBuf, PathBuf)>,
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

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            docker_config: None,
            insecure: Vec::new(),
            certs_dir: None,
            hosts: BTreeMap::new(),
            user_agent: concat!("kiln/", env!("CARGO_PKG_VERSION")).to_owned(),
            proxies: Proxies::default(),
            retry: RetryPolicy::default(),
            connect_timeout: Duration::from_secs(30),
            read_timeout: Duration::from_mins(1),
            access: Access::default(),
        }
    }
}

/// A client for any number of registries. Cheap to make and to clone; clones share connections and logins.
#[derive(Debug, Clone)]
pub struct Client {
    shared: Arc<Shared>,
    sessions: Arc<Mutex<HashMap<String, Arc<Session>>>>,
}

impl Client {
    /// Makes a client. No file is read and no connection made before the first request.
    pub fn new(options: ClientOptions) -> Result<Self, RegistryError> {
        let probe = Reference::parse("name")?;
        for mirror in options.hosts.values().flat_map(|host| &host.mirrors) {
            mirrored(&probe, mirror)?;
        }
        let options = Arc::new(options);
        let transport = Arc::new(Transport::new(Arc::clone(&options)));
        let shared = Shared { options, transport, config: OnceCell::new(), logins: None };
        Ok(Self { shared: Arc::new(shared), sessions: Arc::default() })
    }

    /// This client with the logins that somebody else knows in place of those of docker's configuration file. It
    /// shares no login with this one.
    #[must_use]
    pub fn with_logins(&self, logins: Arc<dyn Logins>) -> Self {
        let shared = Shared {
            options: Arc::clone(&self.shared.options),
            transport: Arc::clone(&self.shared.transport),
            config: OnceCell::new(),
            logins: Some(logins),
        };
        Self { shared: Arc::new(shared), sessions: Arc::default() }
    }

    /// Finds the image that `reference` names for `platform` (`os/architecture[/variant]`) and fetches its
    /// manifest and configuration. The layers are left where they are.
    pub async fn resolve(
        &self,
        reference: &Reference,
        platform: &str,
    ) -> Result<ResolvedImage, RegistryError> {
        let platform = Platform::parse(platform)?;
        for mirror in self.mirrors(reference) {
            let image = resolve::image(&self.session(&mirror), self.retry(), &mirror, &platform).await;
            if let Ok(image) = image {
                return Ok(image);
            }
        }
        resolve::image(&self.session(reference), self.retry(), reference, &platform).await
    }

    /// Fetches the manifest or index that `reference` names, as it is.
    pub async fn manifest(&self, reference: &Reference) -> Result<Document, RegistryError> {
        for mirror in self.mirrors(reference) {
            let found =
                resolve::manifest(&self.session(&mirror), self.retry(), &mirror, mirror.target()).await;
            if let Ok(document) = found {
                return Ok(document);
            }
        }
        resolve::manifest(&self.session(reference), self.retry(), reference, reference.target()).await
    }

    /// The digest that `reference` stands for now: its own, or its tag's, without fetching the document where
    /// the registry allows that.
    pub async fn manifest_digest(&self, reference: &Reference) -> Result<Digest, RegistryError> {
        if let Some(digest) = reference.digest() {
            return Ok(digest.clone());
        }
        for mirror in self.mirrors(reference) {
            if let Ok(digest) = resolve::digest(&self.session(&mirror), self.retry(), &mirror).await {
                return Ok(digest);
            }
        }
        resolve::digest(&self.session(reference), self.retry(), reference).await
    }

    /// Reads a blob, verified, from a mirror or the registry itself. Nothing is requested before the first chunk is asked for.
    pub fn blob(&self, reference: &Reference, descriptor: &Descriptor) -> BlobReader {
        let own = BlobReader::new(self.session(reference), self.retry().clone(), reference, descriptor);
        let mirrors = self.mirrors(reference).into_iter().rev();
        mirrors.fold(own, |reader, mirror| reader.through(self.session(&mirror), &mirror))
    }

    /// Reads a small blob (a configuration) at once, verified.
    pub async fn blob_document(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
    ) -> Result<Document, RegistryError> {
        resolve::small_blob(self.blob(reference, descriptor), reference, descriptor).await
    }

    /// Whether the repository has the blob.
    pub async fn has_blob(&self, reference: &Reference, digest: &Digest) -> Result<bool, RegistryError> {
        push::has_blob(&self.session(reference), self.retry(), reference, digest).await
    }

    /// Brings a blob into the repository unless it is there. `mount_from` names another repository of the
    /// same registry that probably has it. `on_progress` is told the bytes sent so far; the number falls
    /// when an upload starts again.
    pub async fn push_blob(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
        source: &BlobSource,
        mount_from: Option<&str>,
        on_progress: impl Fn(u64) + Send + Sync + 'static,
    ) -> Result<PushOutcome, RegistryError> {
        let upload = Upload::new(descriptor, source, on_progress);
        let session = self.session(reference);
        push::blob(&session, self.retry(), reference, descriptor.digest(), &upload, mount_from).await
    }

    /// Stores a manifest or an index under the reference's tag, or under its digest if there is no tag. All
    /// it names must be in the repository before.
    pub async fn put_manifest(
        &self,
        reference: &Reference,
        document: &Document,
    ) -> Result<Digest, RegistryError> {
        push::manifest(&self.session(reference), self.retry(), reference, document).await
    }

    /// Downloads a file that is named by its URL. `known` is what the server said of the version that the caller
    /// has, if it has one.
    pub async fn download(
        &self,
        url: &str,
        known: &Validators,
        sink: &mut dyn DownloadSink,
    ) -> Result<Downloaded, DownloadError> {
        download::download(&self.shared, url, known, sink).await
    }

    /// A client that is like this one, but to which this registry may speak plain HTTP, or with a certificate that
    /// nobody vouches for.
    pub fn trusting(&self, registry: &str) -> Result<Self, RegistryError> {
        let mut options = self.options().clone();
        options.insecure.push(registry.to_owned());
        let client = Self::new(options)?;
        Ok(match &self.shared.logins {
            Some(logins) => client.with_logins(Arc::clone(logins)),
            None => client,
        })
    }

    pub(crate) fn options(&self) -> &ClientOptions {
        &self.shared.options
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// The same image at the mirrors of its registry, in the order in which they are asked. A mirror that does not give
    /// what is asked for is passed over, whatever the reason: the registry's own answer is the last word.
    fn mirrors(&self, reference: &Reference) -> Vec<Reference> {
        let host = self.options().hosts.get(reference.registry());
        let mirrors = host.map(|host| host.mirrors.as_slice()).unwrap_or_default();
        // A mirror whose name makes no reference was refused when the client was made.
        mirrors.iter().filter_map(|mirror| mirrored(reference, mirror).ok()).collect()
    }

    fn retry(&self) -> &RetryPolicy {
        &self.shared.options.retry
    }

    fn session(&self, reference: &Reference) -> Arc<Session> {
        self.session_with(reference.registry())
    }

    /// The session with a registry (`host[:port]`).
    pub(crate) fn session_with(&self, registry: &str) -> Arc<Session> {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = sessions.get(registry) {
            return Arc::clone(session);
        }
        let session = Arc::new(Session::new(Arc::clone(&self.shared), registry));
        sessions.insert(registry.to_owned(), Arc::clone(&session));
        session
    }
}

/// The reference's image at a mirror: `HOST[:PORT][/PATH]`, with a scheme or without one.
fn mirrored(reference: &Reference, mirror: &str) -> Result<Reference, RegistryError> {
    let bare = mirror.strip_prefix("https://").or_else(|| mirror.strip_prefix("http://")).unwrap_or(mirror);
    let bare = bare.trim_end_matches('/');
    let host = bare.split('/').next().unwrap_or_default();
    // A first part that is no host's name would be part of a repository at the default registry.
    if !(host.contains(['.', ':']) || host == "localhost") {
        return Err(RegistryError::Url { url: mirror.to_owned() });
    }
    let tag = reference.tag().map(|tag| format!(":{tag}")).unwrap_or_default();
    let digest = reference.digest().map(|digest| format!("@{digest}")).unwrap_or_default();
    Ok(Reference::parse(&format!("{bare}/{}{tag}{digest}", reference.repository()))?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_image_has_the_same_name_at_a_mirror() {
        let at = |mirror: &str, name: &str| {
            mirrored(&Reference::parse(name).unwrap(), mirror).map(|reference| reference.to_string())
        };
        assert_eq!(at("m.example", "alpine:3").unwrap(), "m.example/library/alpine:3");
        assert_eq!(at("https://m.example:5000/", "r.example/a/b").unwrap(), "m.example:5000/a/b:latest");
        assert_eq!(at("m.example/proxy", "docker.io/a/b:1").unwrap(), "m.example/proxy/a/b:1");
        for bad in ["", "mirror", "http://", "m.example/UPPER"] {
            assert!(at(bad, "alpine").is_err(), "{bad}");
        }
    }
}
