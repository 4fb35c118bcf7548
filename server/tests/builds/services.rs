//! Small things that the client is asked for: a login, an upload, secrets, agents, blobs.

use std::collections::BTreeMap;
use std::sync::Arc;

use kiln_server::api::containerd::services::content::v1::content_server::Content;
use kiln_server::api::containerd::services::content::v1::{
    AbortRequest, DeleteContentRequest, Info, InfoRequest, InfoResponse, ListContentRequest,
    ListContentResponse, ListStatusesRequest, ListStatusesResponse, ReadContentRequest, ReadContentResponse,
    StatusRequest, StatusResponse, UpdateRequest, UpdateResponse, WriteContentRequest, WriteContentResponse,
};
use kiln_server::api::control::sourcepolicy::policysession::check_policy_response::Result as Said;
use kiln_server::api::control::sourcepolicy::policysession::policy_verifier_server::PolicyVerifier;
use kiln_server::api::control::sourcepolicy::policysession::{CheckPolicyRequest, CheckPolicyResponse};
use kiln_server::api::moby::buildkit::secrets::v1::secrets_server::Secrets as SecretsService;
use kiln_server::api::moby::buildkit::secrets::v1::{GetSecretRequest, GetSecretResponse};
use kiln_server::api::moby::filesync::v1::auth_server::Auth;
use kiln_server::api::moby::filesync::v1::{
    CredentialsRequest, CredentialsResponse, FetchTokenRequest, FetchTokenResponse, GetTokenAuthorityRequest,
    GetTokenAuthorityResponse, VerifyTokenAuthorityRequest, VerifyTokenAuthorityResponse,
};
use kiln_server::api::moby::sshforward::v1::ssh_server::Ssh;
use kiln_server::api::moby::sshforward::v1::{
    BytesMessage as AgentBytes, CheckAgentRequest, CheckAgentResponse,
};
use kiln_server::api::moby::upload::v1::BytesMessage;
use kiln_server::api::moby::upload::v1::upload_server::Upload;
use kiln_server::api::pb::SourceOp;
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

/// What is said of a source, by whether it is known what it is like.
pub type Verifier = Arc<dyn Fn(&SourceOp, bool) -> Result<Said, Status> + Send + Sync>;

/// Decides about sources.
pub struct Policies(pub Option<Verifier>);

#[tonic::async_trait]
impl PolicyVerifier for Policies {
    async fn check_policy(
        &self,
        request: Request<CheckPolicyRequest>,
    ) -> Result<Response<CheckPolicyResponse>, Status> {
        let verifier = self.0.as_ref().ok_or_else(|| Status::unimplemented("there is no policy"))?;
        let known = request.into_inner().source.unwrap();
        let result = verifier(&known.source.unwrap(), known.image.is_some())?;
        Ok(Response::new(CheckPolicyResponse { result: Some(result) }))
    }
}

/// Values by their ids.
pub struct Secrets(pub BTreeMap<String, Vec<u8>>);

#[tonic::async_trait]
impl SecretsService for Secrets {
    async fn get_secret(
        &self,
        request: Request<GetSecretRequest>,
    ) -> Result<Response<GetSecretResponse>, Status> {
        let id = request.into_inner().id;
        let data = self.0.get(&id).cloned().ok_or_else(|| Status::not_found(format!("no secret {id}")))?;
        Ok(Response::new(GetSecretResponse { data }))
    }
}

/// The ids of agents, each of which says what it hears.
pub struct Agents(pub Vec<&'static str>);

#[tonic::async_trait]
impl Ssh for Agents {
    type ForwardAgentStream = ReceiverStream<Result<AgentBytes, Status>>;

    async fn check_agent(
        &self,
        request: Request<CheckAgentRequest>,
    ) -> Result<Response<CheckAgentResponse>, Status> {
        let id = request.into_inner().id;
        let known = self.0.contains(&id.as_str());
        known.then(|| Response::new(CheckAgentResponse {})).ok_or_else(|| Status::not_found(id))
    }

    async fn forward_agent(
        &self,
        request: Request<Streaming<AgentBytes>>,
    ) -> Result<Response<Self::ForwardAgentStream>, Status> {
        let (sender, answers) = mpsc::channel(1);
        let mut heard = request.into_inner();
        tokio::spawn(async move {
            while let Ok(Some(message)) = heard.message().await {
                if sender.send(Ok(message)).await.is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(answers)))
    }
}

/// Blobs by their digests, to be read.
pub struct Blobs(pub BTreeMap<String, Vec<u8>>);

impl Blobs {
    fn get(&self, digest: &str) -> Result<&Vec<u8>, Status> {
        self.0.get(digest).ok_or_else(|| Status::not_found(format!("no blob {digest}")))
    }
}

type Refused<T> = Result<Response<T>, Status>;

fn only_read<T>() -> Refused<T> {
    Err(Status::unimplemented("blobs are only read"))
}

#[tonic::async_trait]
impl Content for Blobs {
    type ListStream = ReceiverStream<Result<ListContentResponse, Status>>;
    type ReadStream = ReceiverStream<Result<ReadContentResponse, Status>>;
    type WriteStream = ReceiverStream<Result<WriteContentResponse, Status>>;

    async fn info(&self, request: Request<InfoRequest>) -> Result<Response<InfoResponse>, Status> {
        let digest = request.into_inner().digest;
        let size = i64::try_from(self.get(&digest)?.len()).unwrap();
        let info = Info { digest, size, ..Info::default() };
        Ok(Response::new(InfoResponse { info: Some(info) }))
    }

    async fn read(&self, request: Request<ReadContentRequest>) -> Result<Response<Self::ReadStream>, Status> {
        let data = self.get(&request.into_inner().digest)?.clone();
        let (sender, answers) = mpsc::channel(1);
        sender.try_send(Ok(ReadContentResponse { offset: 0, data })).unwrap();
        Ok(Response::new(ReceiverStream::new(answers)))
    }

    async fn update(&self, _request: Request<UpdateRequest>) -> Refused<UpdateResponse> {
        only_read()
    }

    async fn list(&self, _request: Request<ListContentRequest>) -> Refused<Self::ListStream> {
        only_read()
    }

    async fn delete(&self, _request: Request<DeleteContentRequest>) -> Refused<()> {
        only_read()
    }

    async fn status(&self, _request: Request<StatusRequest>) -> Refused<StatusResponse> {
        only_read()
    }

    async fn list_statuses(&self, _request: Request<ListStatusesRequest>) -> Refused<ListStatusesResponse> {
        only_read()
    }

    async fn write(&self, _request: Request<Streaming<WriteContentRequest>>) -> Refused<Self::WriteStream> {
        only_read()
    }

    async fn abort(&self, _request: Request<AbortRequest>) -> Refused<()> {
        only_read()
    }
}
