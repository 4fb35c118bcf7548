//! The content stores that a client offers: images of its OCI layouts, caches in its directories, and outputs that are
//! directories in place of archives.
//!
//! Blobs are asked for by digest; a store is named by an id that client and server make of the same words. What is read
//! is verified by whoever takes it into kiln's store; documents, which are followed, are verified here.

use std::io::{self, Read, Write};
use std::path::Path;
use std::str::FromStr;

use kiln_registry::{
    Descriptor, Digest, Document, MAX_DOCUMENT, ManifestOrIndex, MediaType, is_index, is_manifest,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::AsciiMetadataValue;
use tonic::{Code, Request, Status};

use super::Session;
use crate::api::containerd::services::content::v1::content_client::ContentClient;
use crate::api::containerd::services::content::v1::{
    InfoRequest, ReadContentRequest, WriteAction, WriteContentRequest,
};
use crate::failure::told;

/// The name of a store in a call.
const STORE: &str = "buildkit-attachable-store-id";

/// Bytes in one message: well below every client's limit.
const PIECE: usize = 1 << 20;

/// Largest message that is taken: above what any client sends in one.
const MAX_MESSAGE: usize = 16 << 20;

/// Messages that may wait for the client.
const WAITING: usize = 4;

/// Indexes within indexes that are followed.
const MAX_DEPTH: usize = 4;

/// One content store of a client.
#[derive(Debug, Clone)]
pub(crate) struct ContentStore {
    session: Session,
    id: String,
}

impl ContentStore {
    /// The store of that id, which the client may or may not have.
    pub(crate) fn new(session: &Session, id: String) -> Self {
        Self { session: session.clone(), id }
    }

    fn request<T>(&self, message: T) -> Result<Request<T>, Status> {
        let id = AsciiMetadataValue::try_from(self.id.as_str());
        let id = id.map_err(|_| Status::invalid_argument(format!("`{}` is no plain text", self.id)))?;
        let mut request = Request::new(message);
        request.metadata_mut().insert(STORE, id);
        Ok(request)
    }

    fn client(&self) -> ContentClient<tonic::transport::Channel> {
        ContentClient::new(self.session.channel()).max_decoding_message_size(MAX_MESSAGE)
    }

    /// Whether the store has the blob.
    async fn has(&self, digest: &Digest) -> Result<bool, Status> {
        let request = self.request(InfoRequest { digest: digest.to_string() })?;
        match self.client().info(request).await {
            Ok(_) => Ok(true),
            Err(status) if status.code() == Code::NotFound => Ok(false),
            Err(status) => Err(status),
        }
    }

    /// Copies a blob of at most `limit` bytes out of the store.
    async fn read(&self, digest: &Digest, limit: u64, mut to: impl Write) -> Result<(), Status> {
        let request = self.request(ReadContentRequest { digest: digest.to_string(), offset: 0, size: 0 })?;
        let mut answers = self.client().read(request).await?.into_inner();
        let mut read = 0;
        while let Some(piece) = answers.message().await? {
            read += piece.data.len() as u64;
            if read > limit {
                return Err(Status::out_of_range(format!("{digest} is larger than its {limit} bytes")));
            }
            to.write_all(&piece.data).map_err(|error| told(Code::Internal, &error))?;
        }
        Ok(())
    }

    /// Makes `directory` an OCI layout of the image or the artifact with that digest: its documents, and the layers of
    /// its manifest. Of an index, the manifests that `takes` says, as far as the store has them.
    pub(crate) async fn layout(
        &self,
        root: &Digest,
        directory: &Path,
        takes: impl Fn(&Descriptor) -> bool,
    ) -> Result<(), Status> {
        let failed = |error: io::Error| told(Code::Internal, &error);
        let blobs = directory.join("blobs").join(root.algorithm().to_string());
        std::fs::create_dir_all(&blobs).map_err(failed)?;
        let mut pending = vec![(root.clone(), None, 0)];
        let mut top = None;
        while let Some((digest, media_type, depth)) = pending.pop() {
            let document = self.document(&digest, media_type).await?;
            std::fs::write(blobs.join(digest.digest()), &document.bytes).map_err(failed)?;
            let content = document.read().map_err(|error| told(Code::InvalidArgument, &error))?;
            top.get_or_insert(document);
            match content {
                ManifestOrIndex::Manifest(manifest) => {
                    for blob in std::iter::once(&manifest.config).chain(&manifest.layers) {
                        self.copy(blob, &blobs).await?;
                    }
                }
                ManifestOrIndex::Index(_) if depth == MAX_DEPTH => {
                    return Err(Status::invalid_argument(format!("{digest}: indexes are nested too deeply")));
                }
                ManifestOrIndex::Index(entries) => {
                    for entry in entries.iter().filter(|entry| takes(entry)) {
                        let kind = entry.media_type();
                        if (is_index(kind) || is_manifest(kind)) && self.has(entry.digest()).await? {
                            pending.push((entry.digest().clone(), Some(kind.clone()), depth + 1));
                        }
                    }
                }
            }
        }
        let Some(top) = top else { return Ok(()) };
        let entry = serde_json::json!({
            "mediaType": top.media_type.to_string(), "digest": root.to_string(), "size": top.bytes.len(),
        });
        let index = serde_json::json!({ "schemaVersion": 2, "manifests": [entry] });
        std::fs::write(directory.join("index.json"), index.to_string()).map_err(failed)?;
        std::fs::write(directory.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).map_err(failed)
    }

    /// A manifest or an index.
    async fn document(&self, digest: &Digest, media_type: Option<MediaType>) -> Result<Document, Status> {
        let mut bytes = Vec::new();
        self.read(digest, MAX_DOCUMENT, &mut bytes).await?;
        let kind = media_type.unwrap_or_else(|| said(&bytes));
        let verified = Document::verified(bytes.into(), digest, kind);
        verified.map_err(|error| told(Code::InvalidArgument, &error))
    }

    async fn copy(&self, blob: &Descriptor, into: &Path) -> Result<(), Status> {
        let failed = |error: io::Error| told(Code::Internal, &error);
        let path = into.join(blob.digest().digest());
        if path.exists() {
            return Ok(());
        }
        let file = std::fs::File::create(&path).map_err(failed)?;
        self.read(blob.digest(), blob.size(), io::BufWriter::new(file)).await
    }

    /// Puts a blob into the store, unless it is there.
    pub(crate) async fn write(
        &self,
        digest: &Digest,
        size: u64,
        mut content: impl Read + Send + 'static,
    ) -> Result<(), Status> {
        if self.has(digest).await? {
            return Ok(());
        }
        let total = i64::try_from(size).map_err(|_| Status::out_of_range("a blob is too large"))?;
        let base = WriteContentRequest {
            r#ref: format!("kiln-{digest}"),
            total,
            expected: digest.to_string(),
            ..WriteContentRequest::default()
        };
        let (sender, outgoing) = mpsc::channel(WAITING);
        let feeding = tokio::task::spawn_blocking(move || feed(&base, &mut content, &sender));
        let answers = self.client().write(self.request(ReceiverStream::new(outgoing))?).await;
        let streamed = async {
            let mut answers = answers?.into_inner();
            while answers.message().await?.is_some() {}
            Ok(())
        };
        let streamed: Result<(), Status> = streamed.await;
        let fed = feeding.await.map_err(|_| Status::internal("a task ended without a result"))?;
        match streamed {
            Err(status) if status.code() == Code::AlreadyExists => Ok(()),
            Err(status) => Err(status),
            Ok(()) => fed.map_err(|error| told(Code::Internal, &error)),
        }
    }
}

/// The type that a document gives itself; an index has manifests, a manifest has none.
fn said(bytes: &[u8]) -> MediaType {
    let value: serde_json::Value = serde_json::from_slice(bytes).unwrap_or_default();
    match value.get("mediaType").and_then(serde_json::Value::as_str) {
        Some(text) => MediaType::from(text),
        None if value.get("manifests").is_some() => MediaType::ImageIndex,
        None => MediaType::ImageManifest,
    }
}

/// Sends the content in pieces, and then the word that it is whole. Blocks the thread.
fn feed(
    base: &WriteContentRequest,
    content: &mut impl Read,
    sender: &mpsc::Sender<WriteContentRequest>,
) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    let mut offset = 0;
    loop {
        let length = content.read(&mut piece)?;
        let action = if length == 0 { WriteAction::Commit } else { WriteAction::Write };
        let data = piece[..length].to_vec();
        let message = WriteContentRequest { action: action.into(), offset, data, ..base.clone() };
        // A client that has gone, or has the blob already, is told where its answers are read.
        if sender.blocking_send(message).is_err() || length == 0 {
            return Ok(());
        }
        offset += i64::try_from(length).unwrap_or(0);
    }
}

/// A digest that a client names.
pub(crate) fn digest(text: &str) -> Result<Digest, Status> {
    Digest::from_str(text).map_err(|_| Status::invalid_argument(format!("`{text}` is not a digest")))
}
