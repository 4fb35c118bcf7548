//! Listening: addresses as clients write them, and everything that is answered there.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::{TcpListener, UnixListener};
use tokio_stream::wrappers::{TcpListenerStream, UnixListenerStream};
use tokio_util::sync::CancellationToken;
use tonic::transport::Server as Transport;
use tonic::transport::server::Router;

use crate::api::control::control_server::ControlServer;
use crate::api::gateway::llb_bridge_server::LlbBridgeServer;
use crate::api::grpc::health::v1::health_check_response::ServingStatus;
use crate::api::grpc::health::v1::health_server::{Health, HealthServer};
use crate::api::grpc::health::v1::{HealthCheckRequest, HealthCheckResponse};
use crate::bridge::BridgeService;
use crate::control::ControlService;
use crate::server::{Server, ServerOptions};

/// Largest message, both ways.
const MAX_MESSAGE: usize = 16 << 20;

/// Window of one stream and of a whole connection, in bytes: sessions carry files.
const WINDOW: u32 = 4 << 20;

/// Where a daemon is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// `unix://PATH`.
    Unix(PathBuf),
    /// `tcp://HOST:PORT`.
    Tcp(String),
}

/// Why a daemon does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is none.
    #[error("`{text}` is no address: unix:///PATH or tcp://HOST:PORT is meant")]
    Address {
        /// As given.
        text: String,
    },
    /// It cannot be listened at.
    #[error("cannot listen at {address}")]
    Listen {
        /// Where.
        address: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Serving failed.
    #[error("the server stopped")]
    Transport(#[from] tonic::transport::Error),
}

impl Address {
    /// Reads an address.
    pub fn parse(text: &str) -> Result<Self, ServeError> {
        match text.split_once("://") {
            Some(("unix", path)) if path.starts_with('/') => Ok(Self::Unix(PathBuf::from(path))),
            Some(("tcp", address)) if address.contains(':') => Ok(Self::Tcp(address.to_owned())),
            _ => Err(ServeError::Address { text: text.to_owned() }),
        }
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp://{address}"),
        }
    }
}

/// Serves at all addresses until `stop` is cancelled and the builds that were under way have ended.
pub async fn serve(
    options: ServerOptions,
    addresses: &[Address],
    stop: CancellationToken,
    listening: impl FnOnce(),
) -> Result<(), ServeError> {
    let server = Arc::new(Server::new(options));
    let mut serving = tokio::task::JoinSet::new();
    for address in addresses {
        let failed = |source| ServeError::Listen { address: address.to_string(), source };
        let (router, stop) = (router(&server), stop.clone());
        match address {
            Address::Unix(path) => {
                let listener = UnixListenerStream::new(bind(path).map_err(failed)?);
                serving.spawn(router.serve_with_incoming_shutdown(listener, stop.cancelled_owned()));
            }
            Address::Tcp(name) => {
                let listener = TcpListenerStream::new(TcpListener::bind(name).await.map_err(failed)?);
                serving.spawn(router.serve_with_incoming_shutdown(listener, stop.cancelled_owned()));
            }
        }
    }
    listening();
    while let Some(served) = serving.join_next().await {
        // A task that panicked has no answer; the others go on.
        if let Ok(result) = served {
            result?;
        }
    }
    Ok(())
}

/// A socket that only this user and its group may use. A socket that nobody listens at is replaced.
fn bind(path: &PathBuf) -> std::io::Result<UnixListener> {
    use std::os::unix::fs::PermissionsExt;
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    if path.exists() && std::os::unix::net::UnixStream::connect(path).is_err() {
        std::fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
    Ok(listener)
}

fn router(server: &Arc<Server>) -> Router {
    let control = ControlServer::new(ControlService(Arc::clone(server)))
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(MAX_MESSAGE);
    let bridge = LlbBridgeServer::new(BridgeService(Arc::clone(server)))
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(MAX_MESSAGE);
    Transport::builder()
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .add_service(control)
        .add_service(bridge)
        .add_service(HealthServer::new(Alive))
}

/// Says that the daemon is there.
struct Alive;

#[tonic::async_trait]
impl Health for Alive {
    type WatchStream = tokio_stream::Once<Result<HealthCheckResponse, tonic::Status>>;

    async fn check(
        &self,
        _request: tonic::Request<HealthCheckRequest>,
    ) -> Result<tonic::Response<HealthCheckResponse>, tonic::Status> {
        Ok(tonic::Response::new(serving()))
    }

    async fn watch(
        &self,
        _request: tonic::Request<HealthCheckRequest>,
    ) -> Result<tonic::Response<Self::WatchStream>, tonic::Status> {
        Ok(tonic::Response::new(tokio_stream::once(Ok(serving()))))
    }
}

fn serving() -> HealthCheckResponse {
    HealthCheckResponse { status: ServingStatus::Serving.into() }
}
