//! Logs of builds as clients read them: blobs by digest, which nobody but the daemon writes.

use std::pin::Pin;
use std::sync::Arc;

use tokio_stream::Stream;
use tonic::{Request, Response, Status, Streaming};

use crate::api::containerd::services::content::v1 as wire;
use crate::server::Server;

/// Largest piece in one message.
const PIECE: usize = 1 << 20;

/// The service.
#[derive(Clone)]
pub(crate) struct ContentService(pub(crate) Arc<Server>);

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

impl ContentService {
    async fn blob(&self, digest: String) -> Result<Vec<u8>, Status> {
        let server = Arc::clone(&self.0);
        let missing = Status::not_found(format!("content {digest}: not found"));
        let read = tokio::task::spawn_blocking(move || server.history.blob(&digest)).await;
        let read = read.map_err(|error| Status::internal(error.to_string()))?;
        read.map_err(|error| Status::internal(error.to_string()))?.ok_or(missing)
    }
}

fn read_only<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented("records of builds are only read here"))
}

#[tonic::async_trait]
impl wire::content_server::Content for ContentService {
    type ListStream = Answers<wire::ListContentResponse>;
    type ReadStream = Answers<wire::ReadContentResponse>;
    type WriteStream = Answers<wire::WriteContentResponse>;

    async fn info(
        &self,
        request: Request<wire::InfoRequest>,
    ) -> Result<Response<wire::InfoResponse>, Status> {
        let digest = request.into_inner().digest;
        let size = self.blob(digest.clone()).await?.len();
        let size = i64::try_from(size).unwrap_or(i64::MAX);
        let info = wire::Info { digest, size, ..wire::Info::default() };
        Ok(Response::new(wire::InfoResponse { info: Some(info) }))
    }

    async fn read(
        &self,
        request: Request<wire::ReadContentRequest>,
    ) -> Result<Response<Self::ReadStream>, Status> {
        let wire::ReadContentRequest { digest, offset, size } = request.into_inner();
        let bytes = self.blob(digest).await?;
        let out_of_range = |_| Status::out_of_range("the range begins before the blob");
        let start = usize::try_from(offset).map_err(out_of_range)?.min(bytes.len());
        let length = usize::try_from(size).map_err(out_of_range)?;
        let end = if length == 0 { bytes.len() } else { start.saturating_add(length).min(bytes.len()) };
        let pieces: Vec<_> = bytes[start..end]
            .chunks(PIECE)
            .scan(offset, |at, piece| {
                let message = wire::ReadContentResponse { offset: *at, data: piece.to_vec() };
                *at += i64::try_from(piece.len()).unwrap_or(i64::MAX);
                Some(Ok(message))
            })
            .collect();
        Ok(Response::new(Box::pin(tokio_stream::iter(pieces))))
    }

    async fn update(
        &self,
        _: Request<wire::UpdateRequest>,
    ) -> Result<Response<wire::UpdateResponse>, Status> {
        read_only()
    }

    async fn list(&self, _: Request<wire::ListContentRequest>) -> Result<Response<Self::ListStream>, Status> {
        read_only()
    }

    async fn delete(&self, _: Request<wire::DeleteContentRequest>) -> Result<Response<()>, Status> {
        read_only()
    }

    async fn status(
        &self,
        _: Request<wire::StatusRequest>,
    ) -> Result<Response<wire::StatusResponse>, Status> {
        read_only()
    }

    async fn list_statuses(
        &self,
        _: Request<wire::ListStatusesRequest>,
    ) -> Result<Response<wire::ListStatusesResponse>, Status> {
        read_only()
    }

    async fn write(
        &self,
        _: Request<Streaming<wire::WriteContentRequest>>,
    ) -> Result<Response<Self::WriteStream>, Status> {
        read_only()
    }

    async fn abort(&self, _: Request<wire::AbortRequest>) -> Result<Response<()>, Status> {
        read_only()
    }
}
