//! Takes a client's directory over, as file synchronisation does it: the client lists, kiln asks for what differs.
//!
//! Packets come in a stream; what they mean for the disk is [`tree::Tree`]'s, on a thread that may block, and for the few files
//! that are only read [`held::Held`]'s. Source of the packets: the public protocol of BuildKit's sessions.

mod held;
mod order;
#[cfg(test)]
mod tests;
mod tree;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::metadata::{AsciiMetadataKey, AsciiMetadataValue, MetadataMap};
use tonic::{Code, Request, Status, Streaming};

pub(crate) use self::held::Held;
use self::tree::Tree;
pub(crate) use self::tree::{Received, TreeError, nanoseconds};
use super::Session;
use crate::api::files::packet::PacketType;
use crate::api::files::{Packet, Stat};
use crate::api::moby::filesync::v1::file_sync_client::FileSyncClient;
use crate::contexts::Synced;

/// Packets that may wait for the disk.
const WAITING: usize = 256;

/// Largest packet: above what any client sends in one.
const MAX_PACKET: usize = 16 << 20;

/// What is wanted of a client's directory.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    /// The name under which the client offers it.
    pub(crate) name: String,
    /// Only what matches one of these patterns, if there are any.
    pub(crate) include: Vec<String>,
    /// Not what matches these.
    pub(crate) exclude: Vec<String>,
    /// Also what symlinks on the way to these lead to.
    pub(crate) follow: Vec<String>,
    /// Counts the bytes of files that have come.
    pub(crate) received: Arc<AtomicU64>,
}

/// Why a client's directory could not be taken over.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReceiveError {
    /// The client said no, or went away.
    #[error("the client does not send `{name}`: {}", .status.message())]
    Call {
        /// The directory's name.
        name: String,
        /// What it said.
        status: Box<Status>,
    },
    /// The client failed while it sent.
    #[error("the client could not send `{name}`: {message}")]
    Client {
        /// The directory's name.
        name: String,
        /// What it said.
        message: String,
    },
    /// What the client sent cannot be kept.
    #[error("cannot keep what the client sends of `{name}`")]
    Tree {
        /// The directory's name.
        name: String,
        /// Why.
        #[source]
        source: TreeError,
    },
    /// The stream ended too early.
    #[error("the client stopped sending `{name}` in the middle")]
    Truncated {
        /// The directory's name.
        name: String,
    },
}

impl ReceiveError {
    /// True when the client has nothing of that name.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self, Self::Call { status, .. } if matches!(status.code(), Code::NotFound))
    }
}

/// What a listing and the files that are asked for become.
pub(crate) trait Keep {
    /// The next entry of the listing. Gives its number if its content is wanted.
    fn entry(&mut self, stat: &Stat) -> Result<Option<u32>, TreeError>;
    /// The listing has ended.
    fn listed(&mut self);
    /// A piece of a file; an empty one ends it.
    fn data(&mut self, id: u32, data: &[u8]) -> Result<(), TreeError>;
    /// True when everything that was listed is here.
    fn is_complete(&self) -> bool;
}

/// The files of a client's directory that are wanted, in memory: a few small ones.
pub(crate) async fn files(session: &Session, wanted: &Wanted) -> Result<Held, ReceiveError> {
    let (requests, mut incoming) = call(session, wanted).await?;
    let mut held = Held::default();
    loop {
        let packet = incoming.message().await;
        let packet = packet.map_err(|status| refused(wanted, status))?;
        let packet = packet.ok_or_else(|| ReceiveError::Truncated { name: wanted.name.clone() })?;
        if take(&mut held, &packet, &wanted.name, &requests)? {
            ask(&requests, PacketType::PacketFin, 0);
            return Ok(held);
        }
    }
}

/// Makes `into` what the client's directory is. What is there already and looks the same is not sent again. Nobody else gets
/// the place before the last packet is on the disk, even if nobody waits for it any more.
pub(crate) async fn directory(
    session: &Session,
    wanted: &Wanted,
    into: &Synced,
) -> Result<Received, ReceiveError> {
    let (requests, incoming) = call(session, wanted).await?;
    let (sender, packets) = mpsc::channel(WAITING);
    let (into, name) = (into.clone(), wanted.name.clone());
    let disk = tokio::task::spawn_blocking(move || keep(into.path(), &name, packets, &requests));
    let streamed = forward(incoming, sender, wanted).await;
    let kept = disk.await.map_err(|_| ReceiveError::Truncated { name: wanted.name.clone() })?;
    // What the disk says is the cause when both failed: the stream ends because nobody reads it any more.
    match (kept, streamed) {
        (Err(ReceiveError::Truncated { .. }), Err(error)) => Err(error),
        (kept, _) => kept,
    }
}

/// Asks the client for its directory: what is sent to it, and what it sends.
async fn call(
    session: &Session,
    wanted: &Wanted,
) -> Result<(mpsc::UnboundedSender<Packet>, Streaming<Packet>), ReceiveError> {
    let (requests, outgoing) = mpsc::unbounded_channel();
    let mut request = Request::new(UnboundedReceiverStream::new(outgoing));
    describe(request.metadata_mut(), wanted);
    let mut client = FileSyncClient::new(session.channel()).max_decoding_message_size(MAX_PACKET);
    let incoming = client.diff_copy(request).await.map_err(|status| refused(wanted, status))?;
    Ok((requests, incoming.into_inner()))
}

fn refused(wanted: &Wanted, status: Status) -> ReceiveError {
    ReceiveError::Call { name: wanted.name.clone(), status: Box::new(status) }
}

/// Hands packets on until the stream ends or nobody wants more.
async fn forward(
    mut incoming: Streaming<Packet>,
    sender: mpsc::Sender<Packet>,
    wanted: &Wanted,
) -> Result<(), ReceiveError> {
    loop {
        match incoming.message().await {
            Ok(Some(packet)) => {
                wanted.received.fetch_add(packet.data.len() as u64, Ordering::Relaxed);
                if sender.send(packet).await.is_err() {
                    return Ok(());
                }
            }
            Ok(None) => return Ok(()),
            Err(status) => return Err(refused(wanted, status)),
        }
    }
}

/// Gives the packets to the tree and sends what it asks for. Blocks the thread.
pub(crate) fn keep(
    into: &Path,
    name: &str,
    mut packets: mpsc::Receiver<Packet>,
    requests: &mpsc::UnboundedSender<Packet>,
) -> Result<Received, ReceiveError> {
    let failed = |source| ReceiveError::Tree { name: name.to_owned(), source };
    let mut tree = Tree::open(into).map_err(failed)?;
    while let Some(packet) = packets.blocking_recv() {
        if take(&mut tree, &packet, name, requests)? {
            let received = tree.finish().map_err(failed)?;
            ask(requests, PacketType::PacketFin, 0);
            return Ok(received);
        }
    }
    Err(ReceiveError::Truncated { name: name.to_owned() })
}

/// Takes one packet, and asks for what its entry wants. True when everything is here.
pub(crate) fn take(
    into: &mut impl Keep,
    packet: &Packet,
    name: &str,
    requests: &mpsc::UnboundedSender<Packet>,
) -> Result<bool, ReceiveError> {
    let failed = |source| ReceiveError::Tree { name: name.to_owned(), source };
    match packet.r#type() {
        PacketType::PacketStat => match &packet.stat {
            Some(stat) => {
                if let Some(id) = into.entry(stat).map_err(failed)? {
                    ask(requests, PacketType::PacketReq, id);
                }
            }
            None => into.listed(),
        },
        PacketType::PacketData => into.data(packet.id, &packet.data).map_err(failed)?,
        PacketType::PacketErr => {
            let message = String::from_utf8_lossy(&packet.data).into_owned();
            return Err(ReceiveError::Client { name: name.to_owned(), message });
        }
        PacketType::PacketFin => return Err(ReceiveError::Truncated { name: name.to_owned() }),
        PacketType::PacketReq => return Err(failed(TreeError::Unexpected { what: "a request" })),
    }
    Ok(into.is_complete())
}

/// A client that is gone is noticed where packets come from.
fn ask(requests: &mpsc::UnboundedSender<Packet>, kind: PacketType, id: u32) {
    drop(requests.send(Packet { r#type: kind.into(), id, ..Packet::default() }));
}

fn describe(metadata: &mut MetadataMap, wanted: &Wanted) {
    let name = std::slice::from_ref(&wanted.name);
    let fields: [(&'static str, &[String]); 4] = [
        ("dir-name", name),
        ("include-patterns", &wanted.include),
        ("exclude-patterns", &wanted.exclude),
        ("followpaths", &wanted.follow),
    ];
    for (key, values) in fields {
        let encoded = values.iter().any(|value| !is_plain(value));
        for value in values {
            let text = if encoded { escape(value) } else { value.clone() };
            if let Ok(value) = AsciiMetadataValue::try_from(text) {
                metadata.append(AsciiMetadataKey::from_static(key), value);
            }
        }
        if encoded && let Ok(key) = AsciiMetadataKey::from_bytes(format!("{key}-encoded").as_bytes()) {
            metadata.insert(key, AsciiMetadataValue::from_static("1"));
        }
    }
}

fn is_plain(value: &str) -> bool {
    value.bytes().all(|byte| (b' '..0x7f).contains(&byte))
}

/// Percent-encoding as in a query: what is not a letter, a digit or one of `-_.~`.
fn escape(value: &str) -> String {
    use std::fmt::Write;
    value.bytes().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
        text
    })
}
