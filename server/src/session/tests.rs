//! How long a session lasts: clients that answer, that have no health service, that are ill, that are silent, and that go at once.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hyper_util::rt::TokioIo;
use tokio::time::Instant;
use tokio_stream::StreamExt;
use tonic::transport::{Endpoint, Server};
use tonic::{Code, Response};

use super::*;
use crate::api::grpc::health::v1::HealthCheckResponse;
use crate::api::grpc::health::v1::health_server::{Health, HealthServer};

/// What a client says to the question whether it is there, and how often it was asked.
#[derive(Clone)]
struct Client {
    /// Fewer than so many times it says that it is.
    well: usize,
    /// Then this; nothing is silence.
    then: Option<Code>,
    asked: Arc<AtomicUsize>,
}

#[tonic::async_trait]
impl Health for Client {
    type WatchStream = tokio_stream::Pending<Result<HealthCheckResponse, Status>>;

    async fn check(
        &self,
        _request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        match (self.asked.fetch_add(1, Ordering::Relaxed) < self.well, self.then) {
            (true, _) => Ok(Response::new(HealthCheckResponse::default())),
            (false, Some(code)) => Err(Status::new(code, "as told")),
            (false, None) => std::future::pending().await,
        }
    }

    async fn watch(
        &self,
        _request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented("nobody watches"))
    }
}

/// A session with that client, and how often it was asked.
fn session(well: usize, then: Option<Code>) -> (Session, Arc<AtomicUsize>) {
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let asked = Arc::new(AtomicUsize::new(0));
    let client = HealthServer::new(Client { well, then, asked: Arc::clone(&asked) });
    let incoming = tokio_stream::once(Ok::<_, std::io::Error>(theirs)).chain(tokio_stream::pending());
    tokio::spawn(Server::builder().add_service(client).serve_with_incoming(incoming));
    let mut once = Some(ours);
    let connector = tower::service_fn(move |_| {
        let stream = once.take();
        async move { stream.map(TokioIo::new).ok_or_else(|| std::io::Error::other("gone")) }
    });
    let channel = Endpoint::from_static("http://localhost").connect_with_connector_lazy(connector);
    let closed = CancellationToken::new();
    (Session { channel, methods: Arc::default(), shared_key: "".into(), closed }, asked)
}

#[tokio::test(start_paused = true)]
async fn a_client_is_there_until_it_fails_or_is_silent_for_too_long() {
    for (then, lasts) in
        [(Some(Code::Internal), HEALTH_INTERVAL * 4), (None, HEALTH_INTERVAL * 4 + HEALTH_TIMEOUT)]
    {
        let (session, asked) = session(3, then);
        let began = Instant::now();
        session.watch().await;
        assert!(session.closed.is_cancelled());
        assert_eq!(asked.load(Ordering::Relaxed), 4, "{then:?}");
        let lasted = began.elapsed();
        assert!(lasted >= lasts && lasted < lasts + HEALTH_INTERVAL, "{then:?}: {lasted:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_without_the_service_is_there_until_it_goes() {
    let (session, asked) = session(0, Some(Code::Unimplemented));
    let watched = session.clone();
    let watching = tokio::spawn(async move { watched.watch().await });
    tokio::time::sleep(HEALTH_INTERVAL * 11).await;
    assert!(!watching.is_finished() && asked.load(Ordering::Relaxed) >= 10);
    session.closed.cancel();
    watching.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_soon_is_sent_nothing() {
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    let connector = tower::service_fn(move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        std::future::ready(Err::<TokioIo<tokio::io::DuplexStream>, _>(std::io::Error::other("gone")))
    });
    let channel = Endpoint::from_static("http://localhost").connect_with_connector_lazy(connector);
    let closed = CancellationToken::new();
    let session = Session { channel, methods: Arc::default(), shared_key: "".into(), closed };
    let watched = session.clone();
    let watching = tokio::spawn(async move { watched.watch().await });
    tokio::time::sleep(HEALTH_INTERVAL / 2).await;
    session.closed.cancel();
    watching.await.unwrap();
    assert_eq!(connections.load(Ordering::Relaxed), 0);
}
