//! TLS, certs.d, and a proxy, which is how the tests reach a host that is not this machine.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::serve::Listener;
use kiln_registry::testing::{Fault, Login, TestRegistry, Trouble};
use kiln_registry::{
    CertificateError, Client, ClientOptions, HostOptions, Proxies, Reference, RegistryError,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig, crypto};
use tokio_rustls::server::TlsStream;

use crate::support::{options, text};

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/registry/tls").join(name)
}

struct TlsListener {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = self.tcp.accept().await.unwrap();
            // Clear text and clients that do not trust the certificate are part of the tests.
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.tcp.local_addr()
    }
}

/// A registry with TLS, which wants a client certificate or not.
async fn registry(wants_client: bool) -> TestRegistry {
    let provider = Arc::new(crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = if wants_client {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(testdata("ca.crt")).unwrap()).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build().unwrap();
        builder.with_client_cert_verifier(verifier)
    } else {
        builder.with_no_client_auth()
    };
    let certificate = CertificateDer::from_pem_file(testdata("server.crt")).unwrap();
    let key = PrivateKeyDer::from_pem_file(testdata("server.key")).unwrap();
    let config = builder.with_single_cert(vec![certificate], key).unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = tcp.local_addr().unwrap();
    TestRegistry::serve(
        TlsListener { tcp, acceptor: TlsAcceptor::from(Arc::new(config)) },
        address,
        Login::None,
    )
}

/// A proxy that leads every CONNECT to one address.
async fn proxy(target: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let target = target.clone();
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(client.read_u8().await.unwrap());
                }
                assert!(
                    head.starts_with(b"CONNECT registry.test:443 "),
                    "{}",
                    String::from_utf8_lossy(&head)
                );
                client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                let mut server = TcpStream::connect(target).await.unwrap();
                // Either side may end as it likes.
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    format!("http://{address}")
}

/// Options that reach `registry` under the name `registry.test`, and a certs.d with the given files.
async fn reached(registry: &TestRegistry, files: &[(&str, &str)]) -> (ClientOptions, tempfile::TempDir) {
    let certs = tempfile::tempdir().unwrap();
    let dir = certs.path().join("registry.test");
    std::fs::create_dir(&dir).unwrap();
    for (name, source) in files {
        std::fs::copy(testdata(source), dir.join(name)).unwrap();
    }
    let proxies = Proxies { https: Some(proxy(registry.host()).await), ..Proxies::default() };
    (ClientOptions { certs_dir: Some(certs.path().into()), proxies, ..options() }, certs)
}

/// Asks for a manifest that is not there: 404 means that the connection was made.
async fn ask(options: ClientOptions, name: &str) -> RegistryError {
    let reference = Reference::parse(&format!("{name}/a:t")).unwrap();
    Client::new(options).unwrap().manifest(&reference).await.unwrap_err()
}

#[tokio::test]
async fn a_proxy_that_nobody_answers_at_is_named() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = format!("http://user:word@{}", listener.local_addr().unwrap());
    drop(listener);
    let proxies = Proxies { https: Some(proxy), none_for: Some("exempt.test".into()), ..Proxies::default() };
    let hint =
        ask(ClientOptions { proxies: proxies.clone(), ..options() }, "registry.test").await.hint().unwrap();
    assert!(hint.contains("through the proxy http://") && hint.contains("127.0.0.1"), "{hint}");
    assert!(!hint.contains("word"), "{hint}");
    let hint = ask(ClientOptions { proxies, ..options() }, "sub.exempt.test").await.hint().unwrap();
    assert!(!hint.contains("proxy http"), "{hint}");
}

#[tokio::test]
async fn a_server_without_tls_is_told_as_one() {
    let registry = TestRegistry::start().await;
    let (options, _dir) = reached(&registry, &[]).await;
    let hint = ask(options, "registry.test").await.hint();
    assert!(hint.as_deref().is_some_and(|hint| hint.contains("does not speak TLS")), "{hint:?}");
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_refused() {
    let registry = registry(false).await;
    let (options, _dir) = reached(&registry, &[]).await;
    let error = ask(options, "registry.test").await;
    assert!(matches!(error, RegistryError::Connect { .. }), "{error:?}");
    assert!(error.hint().unwrap().contains("certs.d/registry.test/ca.crt"), "{:?}", error.hint());
    assert!(registry.seen().is_empty());
}

#[tokio::test]
async fn a_ca_of_certs_d_is_trusted() {
    let registry = registry(false).await;
    let (options, _dir) = reached(&registry, &[("ca.crt", "ca.crt")]).await;
    let error = ask(options, "registry.test").await;
    assert!(error.is_not_found(), "{error:?}");
}

#[tokio::test]
async fn an_insecure_registry_needs_no_ca() {
    let registry = registry(false).await;
    let (options, _dir) = reached(&registry, &[]).await;
    let options = ClientOptions { insecure: vec!["registry.test".into()], ..options };
    let error = ask(options, "registry.test").await;
    assert!(error.is_not_found(), "{error:?}");
}

#[tokio::test]
async fn loopback_is_found_with_and_without_tls() {
    let registry = registry(false).await;
    let error = ask(options(), &registry.host()).await;
    assert!(error.is_not_found(), "{error:?}");
}

#[tokio::test]
async fn a_client_certificate_is_presented() {
    let registry = registry(true).await;
    let files = [("ca.crt", "ca.crt"), ("me.cert", "client.crt"), ("me.key", "client.key")];
    let (options, _dir) = reached(&registry, &files[..1]).await;
    let error = ask(options, "registry.test").await;
    assert!(matches!(error, RegistryError::Transport { .. } | RegistryError::Connect { .. }), "{error:?}");
    let (options, _dir) = reached(&registry, &files).await;
    let error = ask(options, "registry.test").await;
    assert!(error.is_not_found(), "{error:?}");
}

#[tokio::test]
async fn options_of_one_registry_name_authorities_and_certificates() {
    let registry = registry(true).await;
    let host = |identities| HostOptions {
        authorities: vec![testdata("ca.crt")],
        identities,
        ..HostOptions::default()
    };
    let identity = vec![(testdata("client.crt"), testdata("client.key"))];
    for (options, is_let_in) in [(host(Vec::new()), false), (host(identity), true)] {
        let (client, _dir) = reached(&registry, &[]).await;
        let hosts = [("registry.test".to_owned(), options)].into();
        let error = ask(ClientOptions { hosts, certs_dir: None, ..client }, "registry.test").await;
        assert_eq!(error.is_not_found(), is_let_in, "{error:?}");
    }
}

#[tokio::test]
async fn damaged_certificate_files_are_named() {
    let registry = registry(false).await;
    let (options, _dir) = reached(&registry, &[("me.cert", "client.crt")]).await;
    let error = ask(options, "registry.test").await;
    assert!(
        matches!(error, RegistryError::Certificate { source: CertificateError::Unpaired(_), .. }),
        "{error:?}"
    );
    let (options, _dir) = reached(&registry, &[("me.key", "client.key")]).await;
    let error = ask(options, "registry.test").await;
    assert!(
        matches!(error, RegistryError::Certificate { source: CertificateError::Unpaired(_), .. }),
        "{error:?}"
    );
    let (options, dir) = reached(&registry, &[("me.cert", "client.crt"), ("me.key", "client.crt")]).await;
    let error = ask(options, "registry.test").await;
    assert!(
        text(&error).contains(&dir.path().join("registry.test/me.cert").display().to_string()),
        "{error:?}"
    );
}

#[tokio::test]
async fn tls_is_not_left_by_a_redirect() {
    let registry = registry(false).await;
    let (options, _dir) = reached(&registry, &[("ca.crt", "ca.crt")]).await;
    let target = "http://storage.example/manifest".to_owned();
    registry.order(Fault::always("GET", "/manifests/", Trouble::Redirect(target)));
    let error = ask(options, "registry.test").await;
    assert!(text(&error).contains("registry.test redirects to http://storage.example/manifest"), "{error:?}");
}
