//! A client of BuildKit's protocol, made for these tests after the wire's description: it opens a session, over whose
//! reversed connection it is a server, and asks for builds.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use hyper_util::rt::TokioIo;
use kiln_builder::{Builder, BuilderOptions, CancellationToken};
use kiln_cache::Store;
use kiln_registry::{Client as Registries, ClientOptions};
use kiln_server::api::containerd::services::content::v1::content_server::ContentServer;
use kiln_server::api::control::control_client::ControlClient;
use kiln_server::api::control::sourcepolicy::policysession::policy_verifier_server::PolicyVerifierServer;
use kiln_server::api::control::{
    BuildHistoryEventType, BuildHistoryRequest, BytesMessage, Exporter, SolveRequest,
};
use kiln_server::api::moby::buildkit::secrets::v1::secrets_server::SecretsServer;
use kiln_server::api::moby::filesync::v1::auth_server::AuthServer;
use kiln_server::api::moby::filesync::v1::file_sync_server::FileSyncServer;
use kiln_server::api::moby::sshforward::v1::ssh_server::SshServer;
use kiln_server::api::moby::upload::v1::upload_server::UploadServer;
use kiln_server::listen::{Address, Doors};
use kiln_server::{ServerOptions, serve};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use crate::files::{Directories, FileSend, Taken};
use crate::manners::{Gate, Manner};
use crate::services::{Agents, Blobs, Credentials, Policies, Secrets, Uploads, Verifier};

/// A daemon in this process, and its store.
pub struct Daemon {
    dir: TempDir,
    socket: PathBuf,
    stop: CancellationToken,
}

/// What a client offers while its build lasts.
#[derive(Clone, Default)]
pub struct Offer {
    /// Directories by name.
    pub directories: BTreeMap<String, PathBuf>,
    /// How the directory `context` is sent.
    pub manner: Manner,
    /// The output is taken only as far as this lets it, once the first piece is there.
    pub taking: Option<Arc<Gate>>,
    /// The session is there when its build has been given up.
    pub stays: bool,
    /// The name of the session; one of its own for each if there is none.
    pub session: Option<String>,
    /// User and password for registries.
    pub login: Option<(&'static str, &'static str)>,
    /// What it uploads under `/upload`.
    pub upload: Vec<u8>,
    /// Whether its output is a directory.
    pub takes_directory: bool,
    /// Secrets by their ids.
    pub secrets: BTreeMap<String, Vec<u8>>,
    /// Blobs of its content stores, by their digests.
    pub blobs: BTreeMap<String, Vec<u8>>,
    /// Ids of agents that it has.
    pub agents: Vec<&'static str>,
    /// What it says of sources that it is asked about.
    pub verifier: Option<Verifier>,
    /// The same for all builds from one place.
    pub shared_key: String,
}

/// What came of a build.
pub struct Done {
    pub answer: Result<HashMap<String, String>, Status>,
    /// Files of which the content was asked for, in order.
    pub sent: Vec<String>,
    pub taken: Taken,
    /// Its name.
    pub build: String,
}

impl Daemon {
    /// Starts one.
    pub async fn start() -> Self {
        Self::allowing(&[]).await
    }

    /// Starts one whose builds may be granted these entitlements.
    pub async fn allowing(entitlements: &[&str]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), entitlements).await
    }

    /// Starts one whose store is in that directory.
    pub async fn start_in(dir: TempDir, entitlements: &[&str]) -> Self {
        let client = Registries::new(ClientOptions::default()).unwrap();
        let options =
            BuilderOptions { jobs: 2, resolv_conf: None, hosts: None, device_directories: Vec::new() };
        let builder = Builder::new(Store::open(&dir.path().join("store")).unwrap(), client, options);
        let socket = dir.path().join("socket");
        let options = ServerOptions {
            builder,
            contexts: dir.path().join("contexts"),
            platform: "linux/amd64".to_owned(),
            version: "0".to_owned(),
            worker_id: "test".to_owned(),
            labels: BTreeMap::new(),
            platforms: Vec::new(),
            entitlements: entitlements.iter().map(|&name| name.to_owned()).collect(),
            policies: Vec::new(),
            log: Arc::new(|_| {}),
            verbose: false,
        };
        let doors = Doors { addresses: vec![Address::Unix(socket.clone())], ..Doors::default() };
        let stop = CancellationToken::new();
        let (listening, is_listening) = tokio::sync::oneshot::channel();
        let stopped = stop.clone();
        tokio::spawn(async move {
            serve(options, doors, stopped, move || assert!(listening.send(()).is_ok())).await.unwrap();
        });
        is_listening.await.unwrap();
        Self { dir, socket, stop }
    }

    /// A connection of its own.
    pub async fn connect(&self) -> Channel {
        let socket = self.socket.clone();
        let connector = tower::service_fn(move |_| {
            let socket = socket.clone();
            async move { UnixStream::connect(socket).await.map(TokioIo::new) }
        });
        Endpoint::from_static("http://localhost").connect_with_connector(connector).await.unwrap()
    }

    /// Waits until a build has ended, and says with which error.
    pub async fn ended(&self, build: &str) -> Option<String> {
        let request = BuildHistoryRequest { r#ref: build.to_owned(), ..BuildHistoryRequest::default() };
        let mut control = ControlClient::new(self.connect().await);
        let mut events = control.listen_build_history(request).await.unwrap().into_inner();
        loop {
            let event = events.message().await.unwrap().unwrap();
            if event.r#type() == BuildHistoryEventType::Complete {
                return event.record.unwrap().error.map(|error| error.message);
            }
        }
    }

    /// What is left of directories that were only for one build.
    pub fn leftovers(&self) -> Vec<String> {
        let below = |path: PathBuf| std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
        let own = below(self.dir.path().join("contexts"));
        let own = own.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("own-"));
        let left = own.flat_map(below).filter(|path| !path.to_string_lossy().contains("/gone-"));
        left.map(|path| path.display().to_string()).collect()
    }

    /// Builds with the Dockerfile frontend.
    pub async fn build(&self, offer: &Offer, attributes: &[(&str, &str)], exporters: Vec<Exporter>) -> Done {
        let attributes = attributes.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let request = SolveRequest {
            frontend: "dockerfile.v0".to_owned(),
            frontend_attrs: attributes.collect(),
            exporters,
            ..SolveRequest::default()
        };
        self.solve(offer, request).await
    }

    /// Builds what the request says; its session is made here, and its name if it has none.
    pub async fn solve(&self, offer: &Offer, request: SolveRequest) -> Done {
        let channel = self.connect().await;
        let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let id = offer.session.clone().unwrap_or_else(|| format!("id-{number}"));
        let gone = CancellationToken::new();
        let (sent, taken) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Taken::default())));
        let services = Services { offer, sent: &sent, taken: &taken, gone: &gone };
        let session = services.session(channel.clone(), &id);
        let named = Some(request.r#ref.clone()).filter(|name| !name.is_empty());
        let build = named.unwrap_or_else(|| format!("build-{number}"));
        let request = SolveRequest { r#ref: build.clone(), session: id, ..request };
        let mut control = ControlClient::new(channel);
        // A client that goes does not hear what the daemon says to that.
        let answer = tokio::select! {
            biased;
            () = gone.cancelled() => Err(Status::aborted("hung up")),
            answer = control.solve(request) => answer.map(|answer| answer.into_inner().exporter_response),
        };
        if !offer.stays {
            session.abort();
        }
        let (sent, taken) = (sent.lock().unwrap().clone(), taken.lock().unwrap().clone());
        Done { answer, sent, taken, build }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

struct Services<'a> {
    offer: &'a Offer,
    sent: &'a Arc<Mutex<Vec<String>>>,
    taken: &'a Arc<Mutex<Taken>>,
    gone: &'a CancellationToken,
}

impl Services<'_> {
    /// Opens a session and answers on it until the task is aborted.
    fn session(&self, channel: Channel, id: &str) -> tokio::task::JoinHandle<()> {
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        let directories = Directories {
            all: self.offer.directories.clone(),
            manner: self.offer.manner.clone(),
            sent: Arc::clone(self.sent),
            gone: self.gone.clone(),
        };
        let send = FileSend {
            is_directory: self.offer.takes_directory,
            taken: Arc::clone(self.taken),
            gate: self.offer.taking.clone(),
        };
        // A client that lists many files hears a request for each before it reads one; the transport takes more small frames
        // than fit into half of the window for an attack.
        let router = tonic::transport::Server::builder()
            .initial_connection_window_size(256 << 20)
            .add_service(FileSyncServer::new(directories))
            .add_service(send)
            .add_service(AuthServer::new(Credentials(self.offer.login)))
            .add_service(ContentServer::new(Blobs(self.offer.blobs.clone())))
            .add_service(SecretsServer::new(Secrets(self.offer.secrets.clone())))
            .add_service(SshServer::new(Agents(self.offer.agents.clone())))
            .add_service(UploadServer::new(Uploads(self.offer.upload.clone())))
            .add_service(PolicyVerifierServer::new(Policies(self.offer.verifier.clone())));
        let incoming = tokio_stream::once(Ok::<_, std::io::Error>(theirs)).chain(tokio_stream::pending());
        let (mut from_server, mut to_server) = tokio::io::split(ours);
        let (sender, outgoing) = mpsc::channel(16);
        let mut request = Request::new(ReceiverStream::new(outgoing));
        let metadata = request.metadata_mut();
        metadata.insert("x-docker-expose-session-uuid", id.parse().unwrap());
        metadata.insert("x-docker-expose-session-sharedkey", self.offer.shared_key.parse().unwrap());
        for method in ["FileSync/DiffCopy", "FileSend/DiffCopy"] {
            let method = format!("/moby.filesync.v1.{method}");
            metadata.append("x-docker-expose-session-grpc-method", method.parse().unwrap());
        }
        tokio::spawn(async move {
            let pump = async {
                let mut piece = vec![0; 32 << 10];
                while let Ok(length @ 1..) = from_server.read(&mut piece).await {
                    let data = piece[..length].to_vec().into();
                    if sender.send(BytesMessage { data }).await.is_err() {
                        return;
                    }
                }
            };
            let answers = async {
                let answers = ControlClient::new(channel).session(request).await;
                let mut answers = answers.unwrap().into_inner();
                while let Ok(Some(message)) = answers.message().await {
                    if to_server.write_all(&message.data).await.is_err() {
                        return;
                    }
                }
            };
            tokio::select! {
                () = pump => {}
                () = answers => {}
                _ = router.serve_with_incoming(incoming) => {}
            }
        })
    }
}

/// A directory with these files.
pub fn directory(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in files {
        write(dir.path(), path, text);
    }
    dir
}

pub fn write(dir: &Path, path: &str, text: &str) {
    let path = dir.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// An offer of that directory as context and Dockerfile's place.
pub fn context(dir: &Path) -> Offer {
    let directories = ["context", "dockerfile"].map(|name| (name.to_owned(), dir.to_owned()));
    Offer { directories: directories.into(), shared_key: dir.display().to_string(), ..Offer::default() }
}

/// An output of that type.
pub fn output(kind: &str, attributes: &[(&str, &str)]) -> Exporter {
    let attrs = attributes.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Exporter { r#type: kind.to_owned(), attrs }
}
