//! Small things that a client is asked for: secrets, agents, logins, a stream of its standard input.

use std::path::{Path, PathBuf};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::AsciiMetadataValue;
use tonic::{Code, Request, Status, Streaming};

use super::Session;
use crate::api::moby::buildkit::secrets::v1::GetSecretRequest;
use crate::api::moby::buildkit::secrets::v1::secrets_client::SecretsClient;
use crate::api::moby::filesync::v1::CredentialsRequest;
use crate::api::moby::filesync::v1::auth_client::AuthClient;
use crate::api::moby::sshforward::v1::ssh_client::SshClient;
use crate::api::moby::sshforward::v1::{BytesMessage as AgentBytes, CheckAgentRequest};
use crate::api::moby::upload::v1::BytesMessage as UploadBytes;
use crate::api::moby::upload::v1::upload_client::UploadClient;

/// Largest piece of an agent's conversation.
const PIECE: usize = 32 << 10;

/// User and password, or a refresh token without a user.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Login {
    /// The user; empty for a token.
    pub(crate) username: String,
    /// The password or token.
    pub(crate) secret: String,
}

/// The value of a secret; nothing if the client has none of that name.
pub(crate) async fn secret(session: &Session, id: &str) -> Result<Option<Vec<u8>>, Status> {
    let mut client = SecretsClient::new(session.channel());
    match client.get_secret(GetSecretRequest { id: id.to_owned(), ..Default::default() }).await {
        Ok(answer) => Ok(Some(answer.into_inner().data)),
        Err(status) if matches!(status.code(), Code::NotFound | Code::Unimplemented) => Ok(None),
        Err(status) => Err(status),
    }
}

/// The client's login at a registry; nothing if it has none.
pub(crate) async fn login(session: &Session, host: &str) -> Result<Option<Login>, Status> {
    let mut client = AuthClient::new(session.channel());
    match client.credentials(CredentialsRequest { host: host.to_owned() }).await {
        Ok(answer) => {
            let answer = answer.into_inner();
            let login = Login { username: answer.username, secret: answer.secret };
            Ok(Some(login).filter(|login| !login.secret.is_empty()))
        }
        Err(status) if matches!(status.code(), Code::NotFound | Code::Unimplemented | Code::Unavailable) => {
            Ok(None)
        }
        Err(status) => Err(status),
    }
}

/// Whether the client has an agent of that name.
pub(crate) async fn has_agent(session: &Session, id: &str) -> bool {
    let mut client = SshClient::new(session.channel());
    client.check_agent(CheckAgentRequest { id: id.to_owned() }).await.is_ok()
}

/// A socket in `directory` that leads to the client's agent, for as long as the session lasts.
pub(crate) fn agent(session: &Session, id: &str, directory: &Path) -> std::io::Result<PathBuf> {
    // Any text may be an id; a socket's path has little room.
    let name = crate::status::digest(id);
    let path = directory.join(name.trim_start_matches("sha256:").get(..32).unwrap_or_default());
    let listener = UnixListener::bind(&path)?;
    let (session, id) = (session.clone(), id.to_owned());
    tokio::spawn(async move {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = session.closed.cancelled() => return,
            };
            let Ok((stream, _)) = accepted else { return };
            let (session, id) = (session.clone(), id.clone());
            // A conversation that breaks off is seen by whoever talks to the agent.
            tokio::spawn(async move { drop(relay(&session, &id, stream).await) });
        }
    });
    Ok(path)
}

/// One conversation with an agent.
async fn relay(session: &Session, id: &str, stream: UnixStream) -> Result<(), Status> {
    let (sender, outgoing) = mpsc::channel(4);
    let mut request = Request::new(ReceiverStream::new(outgoing));
    let value = AsciiMetadataValue::try_from(id)
        .map_err(|_| Status::invalid_argument("the agent's id is not plain text"))?;
    request.metadata_mut().insert("buildkit.ssh.id", value);
    let mut client = SshClient::new(session.channel());
    let (mut from_step, mut to_step) = stream.into_split();
    let forward = tokio::spawn(async move {
        let mut piece = vec![0; PIECE];
        while let Ok(length @ 1..) = from_step.read(&mut piece).await {
            if sender.send(AgentBytes { data: piece[..length].to_vec() }).await.is_err() {
                return;
            }
        }
    });
    let mut answers = client.forward_agent(request).await?.into_inner();
    while let Some(message) = answers.message().await? {
        if to_step.write_all(&message.data).await.is_err() {
            break;
        }
    }
    forward.abort();
    Ok(())
}

/// A stream that the client offers under a path.
pub(crate) async fn upload(
    session: &Session,
    host: &str,
    path: &str,
) -> Result<Streaming<UploadBytes>, Status> {
    let (sender, outgoing) = mpsc::channel::<UploadBytes>(1);
    let mut request = Request::new(ReceiverStream::new(outgoing));
    for (key, value) in [("urlpath", path), ("urlhost", host)] {
        let value = AsciiMetadataValue::try_from(value)
            .map_err(|_| Status::invalid_argument("the URL of an upload is not plain text"))?;
        request.metadata_mut().insert(key, value);
    }
    let mut client = UploadClient::new(session.channel());
    let answer = client.pull(request).await?;
    // Nothing is said to the client, but the stream to it stays open until it has sent everything.
    tokio::spawn(async move { sender.closed().await });
    Ok(answer.into_inner())
}
