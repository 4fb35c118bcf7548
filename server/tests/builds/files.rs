//! Files both ways: directories that the client sends, and outputs that it takes.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use kiln_builder::CancellationToken;
use kiln_server::api::files::Packet;
use kiln_server::api::files::packet::PacketType;
use kiln_server::api::moby::filesync::v1::BytesMessage;
use kiln_server::api::moby::filesync::v1::file_sync_server::FileSync;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::codegen::http;
use tonic::metadata::MetadataMap;
use tonic::server::{Grpc, NamedService, StreamingService};
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

use crate::entries::{DIRECTORY, Entry, is_wanted, walk};
use crate::manners::{self, Gate, Manner};

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
        let manner = if name == "context" { self.manner.clone() } else { Manner::Whole };
        let mut entries = Vec::new();
        match &manner {
            Manner::Listed(listed) => {
                entries.extend(listed.iter().filter(|it| is_wanted(&it.path(), &patterns)).cloned());
            }
            Manner::Silent => {
                self.gone.cancel();
                return std::future::pending().await;
            }
            _ => walk(&root, "", &patterns, &mut entries),
        }
        let (sender, answers) = mpsc::channel(256);
        let (gone, sent, requests) = (self.gone.clone(), Arc::clone(&self.sent), request.into_inner());
        tokio::spawn(async move {
            match manner {
                Manner::Packets(packets) => manners::packets(packets, requests, sender).await,
                Manner::CutAfter(cut) if cut <= entries.len() => {
                    // Whether the daemon is still there does not matter to a client that goes.
                    drop(list(&entries[..cut], &sender).await);
                    gone.cancel();
                }
                manner => drop(send(&entries, &manner, requests, (&sender, &sent)).await),
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

type Sender = mpsc::Sender<Result<Packet, Status>>;
type Sending = Result<(), mpsc::error::SendError<Result<Packet, Status>>>;

async fn list(entries: &[Entry], sender: &Sender) -> Sending {
    for entry in entries {
        sender.send(Ok(Packet { stat: Some(entry.stat.clone()), ..Packet::default() })).await?;
    }
    Ok(())
}

/// Lists the entries, and sends what is asked for; tells in `sent` what that was.
async fn send(
    entries: &[Entry],
    manner: &Manner,
    mut requests: Streaming<Packet>,
    (sender, sent): (&Sender, &Mutex<Vec<String>>),
) -> Sending {
    list(entries, sender).await?;
    sender.send(Ok(Packet::default())).await?;
    if let Manner::Held(gate) = manner {
        gate.pass().await;
    }
    while let Ok(Some(request)) = requests.message().await {
        if request.r#type() == PacketType::PacketFin {
            return sender.send(Ok(packet(PacketType::PacketFin))).await;
        }
        let entry = &entries[request.id as usize];
        sent.lock().unwrap().push(entry.path());
        let content = entry.content();
        // An empty piece ends the file.
        for data in content.chunks(1 << 20).chain([&[][..]]) {
            let data = data.to_vec().into();
            let data = Packet { id: request.id, data, ..packet(PacketType::PacketData) };
            sender.send(Ok(data)).await?;
        }
    }
    Ok(())
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
                                paths.insert(next, String::from_utf8_lossy(&stat.path).into_owned());
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
