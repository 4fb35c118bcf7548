//! The HTTP clients: one for each way of connecting, made when first needed.
//!
//! HTTP/1.1 only (one connection a blob is faster than one for all), no redirects (the session judges
//! them), no environment. The system's roots of trust are read when the first host needs them, so a command
//! that makes no request pays nothing. Docker's `certs.d` is honoured. Used by the session.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::{Certificate, ClientBuilder, Identity, NoProxy, Proxy, Url, redirect};

use crate::client::{ClientOptions, HostOptions};
use crate::endpoint::{HTTPS, host_of, is_insecure, is_loopback};
use crate::error::{CertificateError, RegistryError, redact};

/// How a connection is made; each has its own client.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Way {
    /// Without TLS.
    Plain { direct: bool },
    /// With TLS and the system's roots of trust.
    Tls,
    /// With TLS, and what `certs.d` and the list of insecure registries say about one host.
    TlsOf { host: String, direct: bool },
}

/// All clients made so far.
#[derive(Debug)]
pub(crate) struct Transport {
    options: Arc<ClientOptions>,
    clients: Mutex<HashMap<Way, reqwest::Client>>,
}

/// What a `certs.d` directory has for one host.
#[derive(Debug, Default)]
struct HostCertificates {
    roots: Vec<PathBuf>,
    /// Certificate and key.
    identities: Vec<(PathBuf, PathBuf)>,
}

impl Transport {
    pub(crate) fn new(options: Arc<ClientOptions>) -> Self {
        Self { options, clients: Mutex::default() }
    }

    /// The client for a URL.
    pub(crate) fn client(&self, url: &Url) -> Result<reqwest::Client, RegistryError> {
        let way = self.way(url);
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&way) {
            return Ok(client.clone());
        }
        let client = self.make(&way, url)?;
        clients.insert(way, client.clone());
        Ok(client)
    }

    /// The proxy that leads to a URL, without secrets.
    pub(crate) fn proxy(&self, url: &Url) -> Option<String> {
        let proxies = &self.options.proxies;
        let proxy = if url.scheme() == HTTPS { &proxies.https } else { &proxies.http };
        let proxy = proxy.as_deref().filter(|proxy| !proxy.is_empty() && !is_loopback(url))?;
        let host = url.host_str()?;
        let is_exempt = |name: &str| {
            let name = name.trim().trim_start_matches("*.").trim_start_matches('.');
            name == "*" || host == name || host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'))
        };
        if proxies.none_for.as_deref().is_some_and(|names| names.split(',').any(is_exempt)) {
            return None;
        }
        let written = if proxy.contains("://") { proxy.to_owned() } else { format!("http://{proxy}") };
        Url::parse(&written).ok().map(|proxy| redact(&proxy))
    }

    fn way(&self, url: &Url) -> Way {
        let direct = is_loopback(url);
        if url.scheme() != HTTPS {
            return Way::Plain { direct };
        }
        let is_special = self.host(url).is_some() || self.certificates_dir(url).is_some();
        if is_insecure(url, &self.options.insecure) || is_special {
            return Way::TlsOf { host: host_and_port(url), direct };
        }
        Way::Tls
    }

    /// What the options say about the host.
    fn host(&self, url: &Url) -> Option<&HostOptions> {
        let name = host_and_port(url);
        let mut hosts = self.options.hosts.iter();
        let found = hosts.find(|(registry, _)| host_of(registry) == name).map(|(_, host)| host);
        found.filter(|host| !host.authorities.is_empty() || !host.identities.is_empty())
    }

    /// The host's directory below `certs.d`: `host:port`, or `host` for the default port.
    fn certificates_dir(&self, url: &Url) -> Option<PathBuf> {
        let dir = self.options.certs_dir.as_ref()?.join(host_and_port(url));
        dir.is_dir().then_some(dir)
    }

    fn make(&self, way: &Way, url: &Url) -> Result<reqwest::Client, RegistryError> {
        let direct = matches!(way, Way::Plain { direct: true } | Way::TlsOf { direct: true, .. });
        let builder = self.builder(direct)?;
        let builder = match way {
            // Without roots nothing is read from disk; a client for plain HTTP verifies nobody.
            Way::Plain { .. } => builder.tls_certs_only([]),
            Way::Tls => builder,
            Way::TlsOf { .. } => self.trust(builder, url)?,
        };
        builder.build().map_err(|source| RegistryError::Setup { source })
    }

    fn builder(&self, direct: bool) -> Result<ClientBuilder, RegistryError> {
        // Only the first call of a process installs the provider; the others find it there.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = reqwest::Client::builder()
            .http1_only()
            .user_agent(&self.options.user_agent)
            .redirect(redirect::Policy::none())
            .referer(false)
            .retry(reqwest::retry::never())
            .connect_timeout(self.options.connect_timeout)
            .no_proxy();
        if direct {
            return Ok(builder);
        }
        let proxies = &self.options.proxies;
        let none_for = proxies.none_for.as_deref().and_then(NoProxy::from_string);
        let wanted = [(&proxies.http, Proxy::http as fn(String) -> _), (&proxies.https, Proxy::https)];
        wanted.into_iter().try_fold(builder, |builder, (url, make)| match url {
            Some(url) if !url.is_empty() => {
                let proxy = make(url.clone()).map_err(|source| RegistryError::Setup { source })?;
                Ok(builder.proxy(proxy.no_proxy(none_for.clone())))
            }
            _ => Ok(builder),
        })
    }

    /// Adds what is special about one host's TLS.
    fn trust(&self, builder: ClientBuilder, url: &Url) -> Result<ClientBuilder, RegistryError> {
        let mut certificates = match self.certificates_dir(url) {
            Some(dir) => HostCertificates::list(&dir)?,
            None => HostCertificates::default(),
        };
        if let Some(host) = self.host(url) {
            certificates.roots.extend_from_slice(&host.authorities);
            certificates.identities.splice(0..0, host.identities.iter().cloned());
        }
        let mut roots = Vec::new();
        for path in &certificates.roots {
            let pem = read(path)?;
            roots.extend(Certificate::from_pem_bundle(&pem).map_err(|source| not_pem(path, source))?);
        }
        let mut builder = if is_insecure(url, &self.options.insecure) {
            builder.tls_danger_accept_invalid_certs(true)
        } else {
            builder.tls_certs_merge(roots)
        };
        // A client presents one identity; the first in order of name, as there is no way to ask the host.
        if let Some((certificate, key)) = certificates.identities.first() {
            let mut pem = read(certificate)?;
            pem.push(b'\n');
            pem.extend(read(key)?);
            builder =
                builder.identity(Identity::from_pem(&pem).map_err(|source| not_pem(certificate, source))?);
        }
        Ok(builder)
    }
}

impl HostCertificates {
    /// Sorts a host's files by their endings, as docker does: `.crt` CA, `.cert` and `.key` client.
    fn list(dir: &Path) -> Result<Self, RegistryError> {
        let unreadable = |source| RegistryError::Certificate {
            path: dir.to_owned(),
            source: CertificateError::Read(source),
        };
        let entries = std::fs::read_dir(dir).map_err(unreadable)?;
        let mut paths =
            entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
        paths.sort_unstable();
        let mut found = Self::default();
        for path in &paths {
            let other = |ending| path.with_extension(ending);
            match path.extension().and_then(|ending| ending.to_str()) {
                Some("crt") => found.roots.push(path.clone()),
                Some("cert") if paths.contains(&other("key")) => {
                    found.identities.push((path.clone(), other("key")));
                }
                Some("cert") => return Err(unpaired(path, other("key"))),
                Some("key") if !paths.contains(&other("cert")) => return Err(unpaired(path, other("cert"))),
                _ => {}
            }
        }
        Ok(found)
    }
}

fn host_and_port(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, RegistryError> {
    std::fs::read(path).map_err(|source| RegistryError::Certificate {
        path: path.to_owned(),
        source: CertificateError::Read(source),
    })
}

fn not_pem(path: &Path, source: reqwest::Error) -> RegistryError {
    RegistryError::Certificate { path: path.to_owned(), source: CertificateError::Pem(source) }
}

fn unpaired(path: &Path, other: PathBuf) -> RegistryError {
    RegistryError::Certificate { path: path.to_owned(), source: CertificateError::Unpaired(other) }
}
