//! Files both ways: directories that the client sends, and outputs that it takes.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::future::Future;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use kiln_builder::CancellationToken;
use kiln_server::api::files::packet::PacketType;
use kiln_server::api::files::{Packet, Stat};
use kiln_server::api::moby::filesync::v1::BytesMessage;
use kiln_server::api::moby::filesync::v1::file_sync_server::FileSync;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::codegen::http;
use tonic::metadata::MetadataMap;
use tonic::server::{Grpc, NamedService, StreamingService};
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

use crate::manners::{self, Gate, Manner};

/// Go's bit for directories.
const DIRECTORY: u32 = 1 << 31;

type Answers<T> = ReceiverStream<Result<T, Status>>;

/// Directories that are sent.
pub struct Directories {
    pub all: BTreeMap<String, PathBuf>,
    pub manner: Manner,
    pub sent: Arc<Mutex<Vec<String>>>,
    pub gone: CancellationToken,
}

fn values(metadata: &MetadataMap, key: &str) -> Vec<String> {
    metadata.get_all(key).iter().map(|value| value.to_str().unwrap().to_owned()).collect()
}

/// The entries below a directory in the order of a walk; without patterns, all of them.
fn walk(root: &Path, path: &str, patterns: &[String], into: &mut Vec<(String, std::fs::Metadata)>) {
    let mut names: Vec<String> = std::fs::read_dir(root.join(path))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    for name in names {
        let inside = if path.is_empty() { name } else { format!("{path}/{name}") };
        let below = |one: &str, other: &str| one == other || one.starts_with(&format!("{other}/"));
        let wanted = patterns.iter().any(|pattern| below(&inside, pattern) || below(pattern, &inside));
        if !patterns.is_empty() && !wanted {
            continue;
        }
        let metadata = std::fs::symlink_metadata(root.join(&inside)).unwrap();
        let is_directory = metadata.is_dir();
        into.push((inside.clone(), metadata));
        if is_directory {
            walk(root, &inside, patterns, into);
        }
    }
}

fn packet(kind: PacketType) -> Packet {
    Packet { r#type: kind.into(), ..Packet::default() }
}

#[tonic::async_trait]
impl FileSync for Directories {
    type DiffCopyStream = Answers<Packet>;
    type TarStreamStream = Answers<Packet>;

    async fn diff_copy(
        &self,
        request: Request<Streaming<Packet>>,
    ) -> Result<Response<Self::DiffCopyStream>, Status> {
        let name = values(request.metadata(), "dir-name").pop().unwrap();
        let root =
            self.all.get(&name).ok_or_else(|| Status::not_found(format!("no directory {name}")))?.clone();
        let mut patterns = values(request.metadata(), "include-patterns");
        patterns.extend(values(request.metadata(), "followpaths"));
        let mut entries = Vec::new();
        walk(&root, "", &patterns, &mut entries);
        let mut requests = request.into_inner();
        let (sender, answers) = mpsc::channel(8);
        let manner = if name == "context" { self.manner.clone() } else { Manner::Whole };
        let (gone, sent) = (self.gone.clone(), Arc::clone(&self.sent));
        if let Manner::Silent = manner {
            gone.cancel();
            return std::future::pending().await;
        }
        tokio::spawn(async move {
            if let Manner::Packets(packets) = manner {
                return manners::packets(packets, &mut requests, sender).await;
            }
            for (number, (path, metadata)) in entries.iter().enumerate() {
                if matches!(manner, Manner::CutAfter(cut) if cut == number) {
                    return gone.cancel();
                }
                let kind = if metadata.is_dir() { DIRECTORY } else { 0 };
                let size = if metadata.is_file() { i64::try_from(metadata.size()).unwrap() } else { 0 };
                let stat = Stat {
                    path: path.clone(),
                    mode: kind | (metadata.mode() & 0o777),
                    size,
                    mod_time: metadata.mtime() * 1_000_000_000 + metadata.mtime_nsec(),
                    ..Stat::default()
                };
                sender.send(Ok(Packet { stat: Some(stat), ..Packet::default() })).await.unwrap();
            }
            sender.send(Ok(Packet::default())).await.unwrap();
            if let Manner::Held(gate) = manner {
                gate.pass().await;
            }
            while let Ok(Some(request)) = requests.message().await {
                if request.r#type() == PacketType::PacketFin {
                    drop(sender.send(Ok(packet(PacketType::PacketFin))).await);
                    return;
                }
                let (path, _) = &entries[request.id as usize];
                sent.lock().unwrap().push(path.clone());
                for data in [std::fs::read(root.join(path)).unwrap(), Vec::new()] {
                    // An empty piece ends the file, so an empty file has only that one.
                    let data: Packet =
                        Packet { id: request.id, data: data.into(), ..packet(PacketType::PacketData) };
                    sender.send(Ok(data.clone())).await.unwrap();
                    if data.data.is_empty() {
                        break;
                    }
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(answers)))
    }

    async fn tar_stream(
        &self,
        _request: Request<Streaming<Packet>>,
    ) -> Result<Response<Self::TarStreamStream>, Status> {
        Err(Status::unimplemented("no tar"))
    }
}

/// What a client was sent.
#[derive(Debug, Clone, Default)]
pub struct Taken {
    /// The bytes of a file.
    pub bytes: Vec<u8>,
    /// The files of a directory.
    pub files: BTreeMap<String, Vec<u8>>,
}

/// Takes outputs: one method, whose messages depend on what the client expects.
#[derive(Clone)]
pub struct FileSend {
    pub is_directory: bool,
    pub taken: Arc<Mutex<Taken>>,
    pub gate: Option<Arc<Gate>>,
}

impl NamedService for FileSend {
    const NAME: &'static str = "moby.filesync.v1.FileSend";
}

type Pending<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl tower::Service<http::Request<tonic::body::Body>> for FileSend {
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = Pending<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            if this.is_directory {
                let mut grpc = Grpc::new(ProstCodec::<Packet, Packet>::default());
                Ok(grpc.streaming(TakeDirectory(this.taken), request).await)
            } else {
                let mut grpc = Grpc::new(ProstCodec::<BytesMessage, BytesMessage>::default());
                Ok(grpc.streaming(TakeFile(this.taken, this.gate), request).await)
            }
        })
    }
}

struct TakeFile(Arc<Mutex<Taken>>, Option<Arc<Gate>>);

impl StreamingService<BytesMessage> for TakeFile {
    type Response = BytesMessage;
    type ResponseStream = Answers<BytesMessage>;
    type Future = Pending<Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<Streaming<BytesMessage>>) -> Self::Future {
        let (taken, gate) = (Arc::clone(&self.0), self.1.clone());
        Box::pin(async move {
            let mut pieces = request.into_inner();
            let (sender, answers) = mpsc::channel(1);
            tokio::spawn(async move {
                while let Ok(Some(piece)) = pieces.message().await {
                    taken.lock().unwrap().bytes.extend_from_slice(&piece.data);
                    if let Some(gate) = &gate {
                        gate.pass().await;
                    }
                }
                drop(sender);
            });
            Ok(Response::new(ReceiverStream::new(answers)))
        })
    }
}

struct TakeDirectory(Arc<Mutex<Taken>>);

impl StreamingService<Packet> for TakeDirectory {
    type Response = Packet;
    type ResponseStream = Answers<Packet>;
    type Future = Pending<Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<Streaming<Packet>>) -> Self::Future {
        let taken = Arc::clone(&self.0);
        Box::pin(async move {
            let mut packets = request.into_inner();
            let (sender, answers) = mpsc::channel(1024);
            tokio::spawn(async move {
                let (mut paths, mut next, mut is_listed) = (HashMap::new(), 0, false);
                while let Ok(Some(packet_in)) = packets.message().await {
                    match (packet_in.r#type(), packet_in.stat) {
                        (PacketType::PacketStat, Some(stat)) => {
                            if stat.mode & DIRECTORY == 0 {
                                paths.insert(next, stat.path);
                                let ask = Packet { id: next, ..packet(PacketType::PacketReq) };
                                sender.send(Ok(ask)).await.unwrap();
                            }
                            next += 1;
                        }
                        (PacketType::PacketStat, None) => is_listed = true,
                        (PacketType::PacketData, _) if packet_in.data.is_empty() => {
                            let path = paths.remove(&packet_in.id).unwrap();
                            taken.lock().unwrap().files.entry(path).or_default();
                        }
                        (PacketType::PacketData, _) => {
                            let path = paths[&packet_in.id].clone();
                            let mut taken = taken.lock().unwrap();
                            taken.files.entry(path).or_default().extend_from_slice(&packet_in.data);
                        }
                        _ => break,
                    }
                    if is_listed && paths.is_empty() {
                        is_listed = false;
                        sender.send(Ok(packet(PacketType::PacketFin))).await.unwrap();
                    }
                }
            });
            Ok(Response::new(ReceiverStream::new(answers)))
        })
    }
}
