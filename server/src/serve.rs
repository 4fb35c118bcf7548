//! A daemon's life: it answers wherever it listens, and stops when the builds that are under way have ended.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_stream::wrappers::UnixListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server as Transport;
use tonic::transport::server::{Router, TcpIncoming};

use crate::api::containerd::services::content::v1::content_server::ContentServer;
use crate::api::control::control_server::ControlServer;
use crate::api::gateway::llb_bridge_server::LlbBridgeServer;
use crate::api::grpc::health::v1::health_check_response::ServingStatus;
use crate::api::grpc::health::v1::health_server::{Health, HealthServer};
use crate::api::grpc::health::v1::{HealthCheckRequest, HealthCheckResponse};
use crate::bridge::BridgeService;
use crate::control::ControlService;
use crate::history::content::ContentService;
use crate::listen::{Doors, ListenError, Listener, ListenerKind, Open};
use crate::server::{Server, ServerOptions};
use crate::session::connection::CONNECTION_WINDOW;

/// Largest message, both ways.
const MAX_MESSAGE: usize = 16 << 20;

/// Window of one stream, in bytes: sessions carry files.
const WINDOW: u32 = 2 << 20;

/// How long clients that have nothing to wait for may take to go when the daemon stops.
const FAREWELL: Duration = Duration::from_secs(5);

/// How often a silent network connection is asked whether anybody is there, and how long the answer may take.
const ALIVE_INTERVAL: Duration = Duration::from_mins(1);
const ALIVE_TIMEOUT: Duration = Duration::from_secs(30);

/// Calls of one connection at a time: a client has a handful for each of its builds.
const MAX_STREAMS: u32 = 4096;

/// Why a daemon does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// It cannot be reached.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// Serving failed.
    #[error("the server at {address} stopped")]
    Transport {
        /// Where.
        address: String,
        /// Why.
        #[source]
        source: tonic::transport::Error,
    },
}

/// Serves wherever the doors are, until `stop` is cancelled and the builds that were under way have ended. `listening` is
/// called once clients can come.
pub async fn serve(
    options: ServerOptions,
    doors: Doors,
    stop: CancellationToken,
    listening: impl FnOnce(),
) -> Result<(), ServeError> {
    let server = Arc::new(Server::new(options));
    let open = doors.open().await?;
    for address in open.strangers() {
        (server.log)(&format!(
            "warning: whoever reaches {address} can build here: --tlscert, --tlskey and --tlscacert keep strangers out"
        ));
    }
    // Their names last as long as this does.
    let Open { listeners, files: _files } = open;
    let end = CancellationToken::new();
    let mut serving = JoinSet::new();
    for listener in listeners {
        serving.spawn(one(Arc::clone(&server), listener, end.clone()));
    }
    listening();
    let stopped = async {
        stop.cancelled().await;
        server.running.stop().await;
    };
    tokio::select! {
        () = stopped => {}
        ended = first_failure(&mut serving) => return ended,
    }
    end.cancel();
    let farewell = tokio::time::timeout(FAREWELL, first_failure(&mut serving)).await;
    // Who is still there after that waits for nothing.
    farewell.unwrap_or(Ok(()))
}

/// Ends with the first listener that fails, or when all have ended.
async fn first_failure(serving: &mut JoinSet<Result<(), ServeError>>) -> Result<(), ServeError> {
    while let Some(served) = serving.join_next().await {
        // A task that panicked has no answer; the others go on.
        if let Ok(result) = served {
            result?;
        }
    }
    Ok(())
}

async fn one(server: Arc<Server>, listener: Listener, end: CancellationToken) -> Result<(), ServeError> {
    let Listener { address, kind, tls } = listener;
    let failed = |source| ServeError::Transport { address: address.clone(), source };
    let end = end.cancelled_owned();
    match kind {
        ListenerKind::Unix(listener) => {
            let incoming = UnixListenerStream::new(listener);
            let router = router(&server, Transport::builder());
            router.serve_with_incoming_shutdown(incoming, end).await.map_err(failed)
        }
        ListenerKind::Tcp(listener) => {
            let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
            let mut transport = Transport::builder()
                .http2_keepalive_interval(Some(ALIVE_INTERVAL))
                .http2_keepalive_timeout(Some(ALIVE_TIMEOUT));
            if let Some(tls) = tls {
                transport = transport.tls_config(tls).map_err(failed)?;
            }
            router(&server, transport).serve_with_incoming_shutdown(incoming, end).await.map_err(failed)
        }
    }
}

fn router(server: &Arc<Server>, transport: Transport) -> Router {
    let control = ControlServer::new(ControlService(Arc::clone(server)))
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(MAX_MESSAGE);
    let bridge = LlbBridgeServer::new(BridgeService(Arc::clone(server)))
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(MAX_MESSAGE);
    let content = ContentServer::new(ContentService(Arc::clone(server)));
    transport
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .add_service(control)
        .add_service(bridge)
        .add_service(content)
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
