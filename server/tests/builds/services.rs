//! Small things that the client is asked for: a login, an upload.

use kiln_server::api::moby::filesync::v1::auth_server::Auth;
use kiln_server::api::moby::filesync::v1::{
    CredentialsRequest, CredentialsResponse, FetchTokenRequest, FetchTokenResponse, GetTokenAuthorityRequest,
    GetTokenAuthorityResponse, VerifyTokenAuthorityRequest, VerifyTokenAuthorityResponse,
};
use kiln_server::api::moby::upload::v1::BytesMessage;
use kiln_server::api::moby::upload::v1::upload_server::Upload;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

/// User and password for all registries.
pub struct Credentials(pub Option<(&'static str, &'static str)>);

#[tonic::async_trait]
impl Auth for Credentials {
    async fn credentials(
        &self,
        _request: Request<CredentialsRequest>,
    ) -> Result<Response<CredentialsResponse>, Status> {
        let (username, secret) = self.0.unwrap_or_default();
        Ok(Response::new(CredentialsResponse { username: username.to_owned(), secret: secret.to_owned() }))
    }

    async fn fetch_token(
        &self,
        _request: Request<FetchTokenRequest>,
    ) -> Result<Response<FetchTokenResponse>, Status> {
        Err(Status::unimplemented("no tokens"))
    }

    async fn get_token_authority(
        &self,
        _request: Request<GetTokenAuthorityRequest>,
    ) -> Result<Response<GetTokenAuthorityResponse>, Status> {
        Err(Status::unimplemented("no tokens"))
    }

    async fn verify_token_authority(
        &self,
        _request: Request<VerifyTokenAuthorityRequest>,
    ) -> Result<Response<VerifyTokenAuthorityResponse>, Status> {
        Err(Status::unimplemented("no tokens"))
    }
}

/// What is uploaded under `/upload`.
pub struct Uploads(pub Vec<u8>);

#[tonic::async_trait]
impl Upload for Uploads {
    type PullStream = ReceiverStream<Result<BytesMessage, Status>>;

    async fn pull(
        &self,
        request: Request<Streaming<BytesMessage>>,
    ) -> Result<Response<Self::PullStream>, Status> {
        let path = request.metadata().get("urlpath").and_then(|path| path.to_str().ok());
        if path != Some("/upload") {
            return Err(Status::not_found("nothing is uploaded there"));
        }
        let (sender, answers) = mpsc::channel(1);
        let pieces: Vec<Vec<u8>> = self.0.chunks(1000).map(<[u8]>::to_vec).collect();
        tokio::spawn(async move {
            for data in pieces {
                if sender.send(Ok(BytesMessage { data })).await.is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(answers)))
    }
}
