//! Gives a client what it asked a build for: a directory in the packets of file synchronisation, or a stream of bytes.
//!
//! The client chooses what to take of a directory; here it is listed in the order of a walk, and what is asked for is
//! read. The exporter's number tells the client's outputs apart.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::codegen::Bytes;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::{AsciiMetadataKey, AsciiMetadataValue, MetadataMap};
use tonic::{Request, Status, Streaming};

use super::Session;
use super::files::go_mode;
use crate::api::files::packet::PacketType;
use crate::api::files::{Packet, Stat};
use crate::api::moby::filesync::v1::BytesMessage;

/// The method that takes outputs. Directories and streams come over the same one, with different messages.
const METHOD: &str = "/moby.filesync.v1.FileSend/diffcopy";
const PATH: &str = "/moby.filesync.v1.FileSend/DiffCopy";

/// Bytes in one packet: well below every client's limit.
const PIECE: usize = 1 << 20;

/// Packets that may wait for the client.
const WAITING: usize = 8;

/// Why an output did not reach the client.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    /// The client has no place for it.
    #[error("the client takes no output of this kind")]
    Unsupported,
    /// The client said no, or went away.
    #[error("the client does not take the output: {}", .0.message())]
    Call(Box<Status>),
    /// What is to be sent cannot be read.
    #[error("cannot read the output `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The client does not keep to the protocol.
    #[error("the client asked for {what}")]
    Protocol {
        /// What.
        what: &'static str,
    },
    /// A part of the server stopped without an answer.
    #[error("an internal task ended without a result")]
    Lost,
}

impl From<Status> for SendError {
    fn from(status: Status) -> Self {
        Self::Call(Box::new(status))
    }
}

/// Sends a directory's content to the client's output of that number.
pub(crate) async fn directory(session: &Session, output: usize, root: &Path) -> Result<(), SendError> {
    let (sender, outgoing) = mpsc::channel(WAITING);
    let (requests, asked) = mpsc::unbounded_channel();
    let root = root.to_owned();
    // A client says nothing before it has heard something: the disk goes first.
    let disk = tokio::task::spawn_blocking(move || serve(&root, asked, &sender));
    let streamed = async {
        let incoming: Streaming<Packet> = call(session, output, &BTreeMap::new(), outgoing).await?;
        listen(incoming, &requests).await
    };
    let streamed = streamed.await;
    drop(requests);
    match disk.await.map_err(|_| SendError::Lost)? {
        // All that the client hears of it is that the list has no end.
        Err(error @ SendError::Read { .. }) => Err(error),
        served => streamed.and(served),
    }
}

/// Sends bytes to the client's output of that number. `metadata` is what the client's output may want to know.
pub(crate) async fn stream(
    session: &Session,
    output: usize,
    metadata: &BTreeMap<String, String>,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static,
) -> Result<(), SendError> {
    let (sender, outgoing) = mpsc::channel(WAITING);
    let written = tokio::task::spawn_blocking(move || {
        let mut writer = io::BufWriter::with_capacity(PIECE, Pieces(sender));
        write(&mut writer)?;
        writer.flush()
    });
    let mut incoming: Streaming<BytesMessage> = call(session, output, metadata, outgoing).await?;
    // The client says nothing until it has everything.
    while incoming.message().await?.is_some() {}
    match written.await.map_err(|_| SendError::Lost)? {
        Ok(()) => Ok(()),
        Err(source) => Err(SendError::Read { path: PathBuf::from("the image"), source }),
    }
}

async fn call<M: prost::Message + Default + 'static>(
    session: &Session,
    output: usize,
    metadata: &BTreeMap<String, String>,
    outgoing: mpsc::Receiver<M>,
) -> Result<Streaming<M>, SendError> {
    if !session.supports(METHOD) {
        return Err(SendError::Unsupported);
    }
    let mut request = Request::new(ReceiverStream::new(outgoing));
    describe(request.metadata_mut(), output, metadata);
    let mut client = tonic::client::Grpc::new(session.channel());
    client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let codec = tonic_prost::ProstCodec::<M, M>::default();
    let answer = client.streaming(request, PathAndQuery::from_static(PATH), codec).await?;
    Ok(answer.into_inner())
}

fn describe(request: &mut MetadataMap, output: usize, metadata: &BTreeMap<String, String>) {
    let number = AsciiMetadataKey::from_static("buildkit-attachable-exporter-id");
    request.insert(number, output.into());
    // All platforms come in one transfer: a client that is to delete what is not among it may do so at its end.
    let whole = AsciiMetadataKey::from_static("buildkit-exporter-multi-platform");
    request.insert(whole, AsciiMetadataValue::from_static("1"));
    for (key, value) in metadata {
        let key = AsciiMetadataKey::from_bytes(format!("exporter-md-{key}").as_bytes());
        if let (Ok(key), Ok(value)) = (key, AsciiMetadataValue::try_from(value.as_str())) {
            request.insert(key, value);
        }
    }
}

/// A writer of messages. Blocks the thread while the client is slow.
struct Pieces(mpsc::Sender<BytesMessage>);

impl Write for Pieces {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let length = data.len().min(PIECE);
        let data = Bytes::copy_from_slice(&data[..length]);
        let gone = |_| io::Error::new(io::ErrorKind::BrokenPipe, "the client has gone");
        self.0.blocking_send(BytesMessage { data }).map_err(gone)?;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What the client asks for, until it has everything.
enum Ask {
    File(u32),
    Finish,
}

async fn listen(
    mut incoming: Streaming<Packet>,
    requests: &mpsc::UnboundedSender<Ask>,
) -> Result<(), SendError> {
    while let Some(packet) = incoming.next().await {
        let packet = packet?;
        let ask = match packet.r#type() {
            PacketType::PacketReq => Ask::File(packet.id),
            PacketType::PacketFin => Ask::Finish,
            PacketType::PacketErr => {
                return Err(Status::aborted(String::from_utf8_lossy(&packet.data)).into());
            }
            PacketType::PacketStat | PacketType::PacketData => {
                return Err(SendError::Protocol { what: "a place for its own files" });
            }
        };
        // Nobody listens once the disk has failed; its error counts.
        drop(requests.send(ask));
    }
    Ok(())
}

/// Lists, then reads what is asked for. Blocks the thread.
fn serve(
    root: &Path,
    mut asked: mpsc::UnboundedReceiver<Ask>,
    packets: &mpsc::Sender<Packet>,
) -> Result<(), SendError> {
    let mut listing = Listing { root, packets, files: Vec::new(), inodes: HashMap::new() };
    listing.directory(b"")?;
    listing.send(Packet::default())?;
    let files = std::mem::take(&mut listing.files);
    while let Some(ask) = asked.blocking_recv() {
        match ask {
            Ask::File(id) => {
                let path = usize::try_from(id).ok().and_then(|id| files.get(id)).and_then(Option::as_ref);
                listing
                    .content(id, path.ok_or(SendError::Protocol { what: "a file that was not listed" })?)?;
            }
            Ask::Finish => {
                return listing.send(Packet { r#type: PacketType::PacketFin.into(), ..Packet::default() });
            }
        }
    }
    Ok(())
}

struct Listing<'a> {
    root: &'a Path,
    packets: &'a mpsc::Sender<Packet>,
    /// The regular files by their number; nothing where an entry has no content of its own.
    files: Vec<Option<Vec<u8>>>,
    inodes: HashMap<(u64, u64), Vec<u8>>,
}

impl Listing<'_> {
    fn send(&self, packet: Packet) -> Result<(), SendError> {
        self.packets.blocking_send(packet).map_err(|_| Status::unavailable("the client has gone").into())
    }

    fn full(&self, path: &[u8]) -> PathBuf {
        self.root.join(OsStr::from_bytes(path))
    }

    fn directory(&mut self, path: &[u8]) -> Result<(), SendError> {
        let full = self.full(path);
        let failed = |source| SendError::Read { path: full.clone(), source };
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&full).map_err(failed)? {
            names.push(entry.map_err(failed)?.file_name().into_vec());
        }
        names.sort_unstable();
        for name in names {
            self.entry(&if path.is_empty() { name } else { [path, &name].join(&b'/') })?;
        }
        Ok(())
    }

    fn entry(&mut self, path: &[u8]) -> Result<(), SendError> {
        let full = self.full(path);
        let failed = |errno: rustix::io::Errno| SendError::Read { path: full.clone(), source: errno.into() };
        let system = rustix::fs::statat(CWD, &full, AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
        let kind = FileType::from_raw_mode(system.st_mode);
        let mut stat = Stat {
            path: path.to_owned(),
            mode: go_mode(kind, system.st_mode),
            uid: system.st_uid,
            gid: system.st_gid,
            size: if kind == FileType::RegularFile { system.st_size } else { 0 },
            mod_time: super::receive::nanoseconds(&system),
            devmajor: rustix::fs::major(system.st_rdev).into(),
            devminor: rustix::fs::minor(system.st_rdev).into(),
            ..Stat::default()
        };
        if kind == FileType::Symlink {
            let target = rustix::fs::readlinkat(CWD, &full, Vec::new()).map_err(failed)?;
            stat.linkname = target.into_bytes();
        }
        let first = match kind {
            FileType::RegularFile if system.st_nlink > 1 => {
                let inode = (system.st_dev, system.st_ino);
                self.inodes.get(&inode).cloned().or_else(|| {
                    self.inodes.insert(inode, path.to_owned());
                    None
                })
            }
            _ => None,
        };
        let has_content = kind == FileType::RegularFile && first.is_none();
        stat.linkname = first.unwrap_or(stat.linkname);
        self.files.push(has_content.then(|| path.to_owned()));
        self.send(Packet { stat: Some(stat), ..Packet::default() })?;
        if kind == FileType::Directory { self.directory(path) } else { Ok(()) }
    }

    fn content(&self, id: u32, path: &[u8]) -> Result<(), SendError> {
        let full = self.full(path);
        let failed = |source| SendError::Read { path: full.clone(), source };
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(CWD, &full, flags, Mode::empty());
        let mut file = File::from(file.map_err(|errno| failed(errno.into()))?);
        let mut piece = vec![0; PIECE];
        loop {
            let length = file.read(&mut piece).map_err(failed)?;
            let data = Bytes::copy_from_slice(&piece[..length]);
            self.send(Packet { r#type: PacketType::PacketData.into(), id, data, stat: None })?;
            if length == 0 {
                return Ok(());
            }
        }
    }
}
