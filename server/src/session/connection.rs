//! The connection inside a connection: a client that opens a session becomes a server on it.
//!
//! The bytes of the session's messages are an HTTP/2 connection with the roles reversed. Here they are given to a gRPC
//! client; the two directions end together.

use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Status, Streaming};

use crate::api::control::BytesMessage;

/// Bytes that may wait in each direction.
const BUFFER: usize = 1 << 20;

/// Largest piece in one message: half of the smallest limit that clients have.
const PIECE: usize = 64 << 10;

/// Window of one stream and of the whole connection: files are sent in it.
const WINDOW: u32 = 4 << 20;

/// What goes back to the client.
pub(crate) type Answers = ReceiverStream<Result<BytesMessage, Status>>;

/// A channel on which the client answers, and the messages to send it. The channel fails once the client is gone.
pub(crate) async fn reverse(
    incoming: Streaming<BytesMessage>,
) -> Result<(Channel, Answers, Closed), tonic::transport::Error> {
    let (ours, theirs) = tokio::io::duplex(BUFFER);
    let (from_channel, to_channel) = tokio::io::split(theirs);
    let (sender, answers) = mpsc::channel(16);
    let closed = Closed::default();
    tokio::spawn(receive(incoming, to_channel, closed.clone()));
    tokio::spawn(send(from_channel, sender, closed.clone()));
    let mut once = Some(ours);
    let endpoint = Endpoint::from_static("http://session")
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW);
    let connector = tower::service_fn(move |_| {
        let stream = once.take();
        async move { stream.map(TokioIo::new).ok_or_else(|| std::io::Error::other("the session has ended")) }
    });
    Ok((connect(endpoint, connector).await?, ReceiverStream::new(answers), closed))
}

async fn connect<C>(endpoint: Endpoint, connector: C) -> Result<Channel, tonic::transport::Error>
where
    C: tower::Service<tonic::codegen::http::Uri, Response = TokioIo<DuplexStream>, Error = std::io::Error>
        + Send
        + 'static,
    C::Future: Send + 'static,
{
    endpoint.connect_with_connector(connector).await
}

/// Cancelled when the client is gone.
pub(crate) type Closed = tokio_util::sync::CancellationToken;

type Half<T> = T;

async fn receive(
    mut incoming: Streaming<BytesMessage>,
    mut channel: Half<tokio::io::WriteHalf<DuplexStream>>,
    closed: Closed,
) {
    let ended = closed.drop_guard();
    // An error and an end are the same here: nobody is there any more.
    while let Ok(Some(message)) = incoming.message().await {
        if channel.write_all(&message.data).await.is_err() {
            return;
        }
    }
    drop(ended);
}

async fn send(
    mut channel: tokio::io::ReadHalf<DuplexStream>,
    sender: mpsc::Sender<Result<BytesMessage, Status>>,
    closed: Closed,
) {
    let ended = closed.clone().drop_guard();
    let mut piece = vec![0; PIECE];
    loop {
        let read = tokio::select! {
            read = channel.read(&mut piece) => read,
            () = closed.cancelled() => return,
        };
        let Ok(length @ 1..) = read else { return };
        let data = tonic::codegen::Bytes::copy_from_slice(&piece[..length]);
        if sender.send(Ok(BytesMessage { data })).await.is_err() {
            return;
        }
    }
    #[allow(unreachable_code)]
    drop(ended);
}
