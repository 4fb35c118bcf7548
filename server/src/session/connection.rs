//! The connection inside a connection: a client that opens a session becomes a server on it.
//!
//! The bytes of the session's messages are an HTTP/2 connection with the roles reversed. Here they are given to a gRPC
//! client; when either direction ends, the other one does.

use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::codegen::Bytes;
use tonic::transport::{Channel, Endpoint};
use tonic::{Status, Streaming};

use crate::api::control::BytesMessage;

/// Bytes that may wait in each direction.
const BUFFER: usize = 1 << 20;

/// Largest piece in one message.
const PIECE: usize = 64 << 10;

/// Pieces that may wait to be sent.
const PIECES: usize = 16;

/// Window of one stream, in bytes: a client's files come through it.
const WINDOW: u32 = 2 << 20;

/// Window of the whole connection. Clients list directories in packets of a few bytes, a frame for each, and the transport
/// takes more small frames than fit into half of this window for an attack: the stream's window has to be used up long
/// before that.
pub(crate) const CONNECTION_WINDOW: u32 = 256 << 20;

/// What goes back to the client.
pub(crate) type Answers = ReceiverStream<Result<BytesMessage, Status>>;

/// A connection on which the client answers.
pub(crate) struct Reversed {
    /// Calls the client.
    pub(crate) channel: Channel,
    /// To be sent to the client.
    pub(crate) answers: Answers,
    /// Cancelled when the client is gone; cancelling it ends the connection.
    pub(crate) closed: CancellationToken,
}

/// Makes the client of `incoming` callable. Its first calls wait until the answers are on their way.
pub(crate) fn reverse(incoming: Streaming<BytesMessage>) -> Reversed {
    let (ours, theirs) = tokio::io::duplex(BUFFER);
    let (from_channel, to_channel) = tokio::io::split(theirs);
    let (sender, answers) = mpsc::channel(PIECES);
    let closed = CancellationToken::new();
    tokio::spawn(receive(incoming, to_channel, closed.clone()));
    tokio::spawn(send(from_channel, sender, closed.clone()));
    let mut once = Some(ours);
    let connector = tower::service_fn(move |_| {
        let stream = once.take();
        async move { stream.map(TokioIo::new).ok_or_else(|| std::io::Error::other("the session has ended")) }
    });
    let channel = Endpoint::from_static("http://localhost")
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .connect_with_connector_lazy(connector);
    Reversed { channel, answers: ReceiverStream::new(answers), closed }
}

async fn receive(
    mut incoming: Streaming<BytesMessage>,
    mut channel: WriteHalf<DuplexStream>,
    closed: CancellationToken,
) {
    let _ends = closed.clone().drop_guard();
    loop {
        let message = tokio::select! {
            message = incoming.message() => message,
            () = closed.cancelled() => return,
        };
        // An error and an end are the same here: nobody is there any more.
        let Ok(Some(message)) = message else { return };
        if channel.write_all(&message.data).await.is_err() {
            return;
        }
    }
}

async fn send(
    mut channel: ReadHalf<DuplexStream>,
    sender: mpsc::Sender<Result<BytesMessage, Status>>,
    closed: CancellationToken,
) {
    let _ends = closed.clone().drop_guard();
    let mut piece = vec![0; PIECE];
    loop {
        let read = tokio::select! {
            read = channel.read(&mut piece) => read,
            () = closed.cancelled() => return,
        };
        let Ok(length @ 1..) = read else { return };
        let data = Bytes::copy_from_slice(&piece[..length]);
        if sender.send(Ok(BytesMessage { data })).await.is_err() {
            return;
        }
    }
}
