//! Sessions: what a client offers for the time of its builds, and how it is asked for it.
//!
//! A client opens one over a call of its own and names it in its builds. Its files, secrets, agents and credentials are
//! asked for through the channel that [`connection`] makes; every call here fails when the client goes away.

pub(crate) mod connection;
pub(crate) mod content;
pub(crate) mod files;
pub(crate) mod receive;
pub(crate) mod send;
pub(crate) mod services;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tonic::metadata::MetadataMap;
use tonic::transport::Channel;
use tonic::{Request, Status, Streaming};

use crate::api::control::BytesMessage;
use crate::api::grpc::health::v1::HealthCheckRequest;
use crate::api::grpc::health::v1::health_client::HealthClient;
use crate::rendezvous::Rendezvous;

use self::connection::{Answers, Reversed, reverse};

/// How long a build waits for its session.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often a client is asked whether it is there, and how long it may take to answer. A client that is busy sending
/// files answers late. Go's servers give up when they heard nothing at all for ten seconds, so the first question must come
/// before that.
const HEALTH_INTERVAL: Duration = Duration::from_secs(5);
const HEALTH_TIMEOUT: Duration = Duration::from_secs(30);

/// One client's session. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    channel: Channel,
    methods: Arc<BTreeSet<String>>,
    /// What the client calls the place that its files come from.
    pub(crate) shared_key: Arc<str>,
    /// Cancelled when the client is gone.
    pub(crate) closed: CancellationToken,
}

/// The sessions that are open.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    open: Arc<Rendezvous<Session>>,
}

impl Sessions {
    /// Opens the session that the call asks for, and gives what is to be sent to the client.
    pub(crate) fn open(&self, request: Request<Streaming<BytesMessage>>) -> Result<Answers, Status> {
        let metadata = request.metadata();
        let id = text(metadata, "x-docker-expose-session-uuid")
            .ok_or_else(|| Status::invalid_argument("the session has no x-docker-expose-session-uuid"))?;
        let shared_key = text(metadata, "x-docker-expose-session-sharedkey").unwrap_or_default().into();
        let methods = metadata.get_all("x-docker-expose-session-grpc-method").iter();
        let methods =
            methods.filter_map(|method| method.to_str().ok()).map(str::to_ascii_lowercase).collect();
        let Reversed { channel, answers, closed } = reverse(request.into_inner());
        let session = Session { channel, methods: Arc::new(methods), shared_key, closed: closed.clone() };
        let Some(place) = Rendezvous::put(&self.open, &id, session.clone()) else {
            closed.cancel();
            return Err(Status::already_exists(format!("a session `{id}` is open already")));
        };
        tokio::spawn(async move {
            let _place = place;
            session.watch().await;
        });
        Ok(answers)
    }

    /// The session with that id, which may be about to come.
    pub(crate) async fn get(&self, id: &str) -> Result<Session, Status> {
        // What comes before a colon tells contexts of one session apart.
        let id = id.split_once(':').map_or(id, |(_, id)| id);
        let session = self.open.get(id, PATIENCE).await;
        session.ok_or_else(|| Status::not_found(format!("no session `{id}` is open")))
    }
}

impl Session {
    /// What calls the client.
    pub(crate) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// Whether the client answers this method (`/service/method`).
    pub(crate) fn supports(&self, method: &str) -> bool {
        self.methods.contains(&method.to_ascii_lowercase())
    }

    /// Lasts as long as the client is there. A client of BuildKit's that closes a session while bytes are on their way to it
    /// reads them wrongly and takes a second to get over it; so nothing is sent before it is needed, and short sessions
    /// are never asked.
    async fn watch(&self) {
        let mut health = HealthClient::new(self.channel());
        loop {
            tokio::select! {
                () = self.closed.cancelled() => return,
                () = tokio::time::sleep(HEALTH_INTERVAL) => {}
            }
            let check = health.check(HealthCheckRequest::default());
            let check = tokio::select! {
                () = self.closed.cancelled() => return,
                check = tokio::time::timeout(HEALTH_TIMEOUT, check) => check,
            };
            match check {
                Ok(Ok(_)) => {}
                // A client without the service is there all the same.
                Ok(Err(status)) if status.code() == tonic::Code::Unimplemented => {}
                Ok(Err(_)) | Err(_) => return self.closed.cancel(),
            }
        }
    }
}

fn text(metadata: &MetadataMap, name: &str) -> Option<String> {
    metadata.get(name)?.to_str().ok().map(str::to_owned)
}
