//! A daemon's life as its clients see it: who may come in, what waits, and how it ends.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says so by failing")]

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use kiln_builder::{Builder, BuilderOptions, CancellationToken};
use kiln_cache::Store;
use kiln_registry::{Client, ClientOptions};
use kiln_server::api::control::control_client::ControlClient;
use kiln_server::api::control::{InfoRequest, SolveRequest};
use kiln_server::api::gateway::llb_bridge_client::LlbBridgeClient;
use kiln_server::api::gateway::{PingRequest, ReturnRequest};
use kiln_server::config::TlsFiles;
use kiln_server::listen::{Address, Doors};
use kiln_server::{ServeError, ServerOptions, serve};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request, Status};

/// A daemon at a free port.
struct Daemon {
    stop: CancellationToken,
    serving: JoinHandle<Result<(), ServeError>>,
    port: u16,
    directory: TempDir,
}

impl Daemon {
    fn start(tls: TlsFiles) -> Daemon {
        let directory = tempfile::tempdir().unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let doors = Doors {
            addresses: vec![Address::Inherited(None), Address::Unix(directory.path().join("daemon.sock"))],
            tls,
            inherited: vec![listener.into()],
            ..Doors::default()
        };
        let stop = CancellationToken::new();
        let serving = tokio::spawn(serve(options(directory.path()), doors, stop.clone(), || {}));
        Daemon { stop, serving, port, directory }
    }

    async fn channel(&self) -> Channel {
        let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{}", self.port)).unwrap();
        endpoint.connect().await.unwrap()
    }
}

fn options(directory: &Path) -> ServerOptions {
    let store = Store::open(&directory.join("store")).unwrap();
    let client = Client::new(ClientOptions::default()).unwrap();
    let builder = BuilderOptions { jobs: 1, resolv_conf: None, hosts: None, device_directories: Vec::new() };
    ServerOptions {
        builder: Builder::new(store, client, builder),
        contexts: directory.join("contexts"),
        platform: "linux/amd64".to_owned(),
        version: "1.2.3".to_owned(),
        worker_id: "worker".to_owned(),
        labels: BTreeMap::new(),
        platforms: Vec::new(),
        entitlements: Vec::new(),
        policies: Vec::new(),
        log: Arc::new(|_| {}),
        verbose: false,
    }
}

/// An authority, and what it has signed.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Authority {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Authority { pem, issuer: Issuer::new(params, key) }
    }

    /// A certificate and its key.
    fn sign(&self) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

async fn version(endpoint: &Endpoint) -> Result<String, Box<dyn std::error::Error>> {
    let mut client = ControlClient::new(endpoint.connect().await?);
    let info = client.info(InfoRequest {}).await?.into_inner();
    Ok(info.buildkit_version.unwrap().version)
}

#[tokio::test]
async fn only_clients_of_the_authority_come_in() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let files = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = files.path().join(name);
        std::fs::write(&path, text).unwrap();
        Some(path)
    };
    let (cert, key) = ours.sign();
    let mut tls = TlsFiles {
        cert: write("cert.pem", &cert),
        key: write("key.pem", &key),
        ca: write("ca.pem", &ours.pem),
    };
    let connect = |port: u16, identity: Option<(String, String)>| {
        let mut tls =
            ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&ours.pem)).domain_name("localhost");
        if let Some((cert, key)) = identity {
            tls = tls.identity(Identity::from_pem(cert, key));
        }
        Endpoint::from_shared(format!("https://127.0.0.1:{port}")).unwrap().tls_config(tls).unwrap()
    };
    let daemon = Daemon::start(tls.clone());
    assert_eq!(version(&connect(daemon.port, Some(ours.sign()))).await.unwrap(), "v1.2.3");
    assert!(version(&connect(daemon.port, None)).await.is_err());
    assert!(version(&connect(daemon.port, Some(theirs.sign()))).await.is_err());
    let plain = Endpoint::from_shared(format!("http://127.0.0.1:{}", daemon.port)).unwrap();
    assert!(version(&plain).await.is_err());

    tls.ca = None;
    let open = Daemon::start(tls);
    assert_eq!(version(&connect(open.port, None)).await.unwrap(), "v1.2.3");
}

#[tokio::test]
async fn files_that_do_not_fit_end_the_start() {
    let (ours, files) = (Authority::new(), tempfile::tempdir().unwrap());
    let (cert, _) = ours.sign();
    let (_, other_key) = ours.sign();
    let (cert_path, key_path) = (files.path().join("cert.pem"), files.path().join("key.pem"));
    std::fs::write(&cert_path, cert).unwrap();
    std::fs::write(&key_path, other_key).unwrap();
    let daemon = Daemon::start(TlsFiles { cert: Some(cert_path.clone()), key: Some(key_path), ca: None });
    let error = daemon.serving.await.unwrap().unwrap_err().to_string();
    assert!(error.contains(&cert_path.display().to_string()), "{error}");
}

/// A call about a build.
fn about<T>(build: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("buildkit-controlapi-buildid", build.parse().unwrap());
    request
}

fn solve(build: &str) -> SolveRequest {
    SolveRequest { r#ref: build.to_owned(), ..SolveRequest::default() }
}

#[tokio::test]
async fn a_stop_waits_for_builds_and_refuses_new_ones() {
    let daemon = Daemon::start(TlsFiles::default());
    let channel = daemon.channel().await;
    let (mut control, mut bridge) = (ControlClient::new(channel.clone()), LlbBridgeClient::new(channel));
    let building = tokio::spawn({
        let mut control = control.clone();
        async move { control.solve(solve("first")).await }
    });
    // Answered only once the build has begun.
    bridge.ping(about("first", PingRequest {})).await.unwrap();
    let twice = control.solve(solve("first")).await.unwrap_err();
    assert_eq!(twice.code(), Code::AlreadyExists);

    daemon.stop.cancel();
    let mut names = (0..).map(|number| format!("late-{number}"));
    let refused = loop {
        let name = names.next().unwrap();
        // The daemon stops taking builds some time after it was told to.
        let late = tokio::spawn({
            let mut control = control.clone();
            let request = solve(&name);
            async move { control.solve(request).await }
        });
        let accepted = bridge.ping(about(&name, PingRequest {})).await;
        if accepted.is_ok() {
            bridge.r#return(about(&name, ReturnRequest::default())).await.unwrap();
            late.await.unwrap().unwrap();
            continue;
        }
        break late.await.unwrap().unwrap_err();
    };
    assert_eq!(refused.code(), Code::Unavailable, "{refused}");
    assert!(!daemon.serving.is_finished() && !building.is_finished());
    let socket = daemon.directory.path().join("daemon.sock");
    assert!(socket.exists());

    bridge.r#return(about("first", ReturnRequest::default())).await.unwrap();
    let answer: Result<_, Status> = building.await.unwrap();
    assert_eq!(answer.unwrap().into_inner().exporter_response, HashMap::new());
    drop((control, bridge));
    daemon.serving.await.unwrap().unwrap();
    assert!(!socket.exists());
}

#[tokio::test]
async fn a_message_that_is_too_large_is_refused_and_nothing_else_happens() {
    let daemon = Daemon::start(TlsFiles::default());
    let channel = daemon.channel().await;
    let mut control = ControlClient::new(channel).max_encoding_message_size(64 << 20);
    let huge = SolveRequest { entitlements: vec!["x".repeat(17 << 20)], ..solve("huge") };
    let error = control.solve(huge).await.unwrap_err();
    assert_eq!(error.code(), Code::OutOfRange, "{error}");
    control.info(InfoRequest {}).await.unwrap();
}

#[tokio::test]
async fn a_build_that_its_client_left_is_stopped() {
    let daemon = Daemon::start(TlsFiles::default());
    let channel = daemon.channel().await;
    let leaving = tokio::spawn({
        let mut control = ControlClient::new(channel.clone());
        async move { control.solve(solve("left")).await }
    });
    let mut bridge = LlbBridgeClient::new(channel);
    bridge.ping(about("left", PingRequest {})).await.unwrap();
    leaving.abort();
    assert!(leaving.await.unwrap_err().is_cancelled());
    drop(bridge);
    daemon.stop.cancel();
    // Would wait for ever if the build were still under way.
    daemon.serving.await.unwrap().unwrap();
}
