//! What all calls of one daemon share.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kiln_builder::Builder;
use kiln_registry::{Login, LoginAnswer, Logins};
use tonic::Status;

use crate::build::Build;
use crate::collect::Collector;
use crate::contexts::Contexts;
use crate::export::made::Remembered;
use crate::history::History;
use crate::rendezvous::Rendezvous;
use crate::running::Running;
use crate::session::{Session, Sessions, services};
use crate::usage::Policy;

/// How a client knows Docker's own registry.
const HUB: &str = "docker.io";
const HUB_HOST: &str = "registry-1.docker.io";

/// Where the history of builds is, below the store's directory.
const HISTORY: &str = "history";

/// Takes what the daemon has to say, a line at a time.
pub type Log = Arc<dyn Fn(&str) + Send + Sync>;

/// What a daemon is made of.
#[derive(Clone)]
pub struct ServerOptions {
    /// What builds.
    pub builder: Builder,
    /// Where clients' directories are kept between builds.
    pub contexts: PathBuf,
    /// The platform of this machine: `os/architecture[/variant]`.
    pub platform: String,
    /// kiln's version.
    pub version: String,
    /// Names this daemon for its clients; the same after a restart.
    pub worker_id: String,
    /// What it is said to be, beside what it says of itself.
    pub labels: BTreeMap<String, String>,
    /// Platforms that clients are told of; this machine's if there are none.
    pub platforms: Vec<String>,
    /// What clients may grant their builds.
    pub entitlements: Vec<String>,
    /// How it makes room by itself, one after another.
    pub policies: Vec<Policy>,
    /// Where it tells what goes wrong beside the builds.
    pub log: Log,
    /// Tell of each build, too.
    pub verbose: bool,
}

/// One daemon.
pub(crate) struct Server {
    pub(crate) builder: Builder,
    pub(crate) contexts: Contexts,
    pub(crate) history: Arc<History>,
    pub(crate) platform: String,
    pub(crate) version: String,
    pub(crate) worker_id: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) platforms: Vec<String>,
    pub(crate) entitlements: Vec<String>,
    pub(crate) policies: Vec<Policy>,
    pub(crate) log: Log,
    pub(crate) verbose: bool,
    /// What results were made of that clients begin other builds with.
    pub(crate) made: Arc<Remembered>,
    pub(crate) collector: Collector,
    pub(crate) running: Arc<Running>,
    pub(crate) sessions: Sessions,
    pub(crate) builds: Arc<Rendezvous<Arc<Build>>>,
}

impl Server {
    /// A daemon that nobody talks to yet.
    pub(crate) fn new(options: ServerOptions) -> Self {
        let history = Arc::new(History::new(options.builder.store.root().join(HISTORY)));
        let contexts = Contexts::new(options.contexts);
        contexts.sweep();
        Self {
            history,
            builder: options.builder,
            contexts,
            platform: options.platform,
            version: options.version,
            worker_id: options.worker_id,
            labels: options.labels,
            platforms: options.platforms,
            entitlements: options.entitlements,
            policies: options.policies,
            log: options.log,
            verbose: options.verbose,
            made: Arc::default(),
            collector: Collector::default(),
            running: Arc::default(),
            sessions: Sessions::default(),
            builds: Arc::default(),
        }
    }

    /// The build of that name, which may be about to begin.
    pub(crate) async fn build(&self, id: &str, patience: Duration) -> Result<Arc<Build>, Status> {
        let build = self.builds.get(id, patience).await;
        build.ok_or_else(|| Status::not_found(format!("no such job {id}")))
    }

    /// A builder that reaches registries with the client's logins.
    pub(crate) fn builder_for(&self, session: &Session) -> Builder {
        let logins = Arc::new(SessionLogins { session: session.clone() });
        self.builder.with_client(self.builder.client.with_logins(logins))
    }
}

/// A client's logins.
#[derive(Debug)]
struct SessionLogins {
    session: Session,
}

impl Logins for SessionLogins {
    fn login<'a>(&'a self, registry: &'a str) -> LoginAnswer<'a> {
        Box::pin(async move {
            let host = if registry == HUB { HUB_HOST } else { registry };
            let login = services::login(&self.session, host).await;
            let login = login.map_err(|status| status.message().to_owned())?;
            Ok(login.map(|login| {
                if login.username.is_empty() {
                    Login::Identity { token: login.secret }
                } else {
                    Login::Basic { username: login.username, password: login.secret }
                }
            }))
        })
    }
}
