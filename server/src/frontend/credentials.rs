//! The secrets and agents of a client that steps of a plan name.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use kiln_builder::{Credentials, Secret};
use kiln_graph::op::{ExecMount, Git, Op, Source};
use kiln_graph::plan::Plan;
use tempfile::TempDir;
use tonic::{Code, Status};

use super::elsewhere::Main;
use crate::failure::told;
use crate::session::{Session, services};

/// Where the sockets of agents are, for as long as this is held. A directory is made when there is an agent.
#[derive(Debug, Default)]
pub(crate) struct Agents(Option<TempDir>);

impl Agents {
    fn directory(&mut self) -> io::Result<&Path> {
        let directory = match self.0.take() {
            Some(directory) => directory,
            None => tempfile::tempdir()?,
        };
        Ok(self.0.insert(directory).path())
    }
}

/// What the plan names, as far as the client has it. Sockets of agents are made in `agents`.
pub(crate) async fn of(session: &Session, plan: &Plan, agents: &mut Agents) -> Result<Credentials, Status> {
    let (mut secrets, mut wanted) = (BTreeSet::new(), BTreeSet::new());
    for (_, vertex) in plan.graph.iter() {
        let Op::Exec(exec) = &vertex.op else { continue };
        for mount in &exec.mounts {
            match mount {
                ExecMount::Secret { id, .. } => drop(secrets.insert(id.clone())),
                ExecMount::Ssh { id, .. } => drop(wanted.insert(id.clone())),
                _ => {}
            }
        }
    }
    let mut credentials = Credentials::default();
    for (_, vertex) in plan.graph.iter() {
        if let Op::Source(Source::Git(git)) = &vertex.op {
            wanted.extend(Some(git.access.agent.clone()).filter(|id| !id.is_empty()));
            shown(session, git, &mut credentials).await?;
        }
    }
    for id in secrets {
        if let Some(value) = services::secret(session, &id).await? {
            credentials.secrets.insert(id, Secret::new(value));
        }
    }
    for id in wanted {
        agent(session, &id, agents, &mut credentials).await?;
    }
    Ok(credentials)
}

/// What the main context's repository is fetched with, if it is one.
pub(super) async fn for_context(
    session: &Session,
    context: Option<&Main>,
    agents: &mut Agents,
) -> Result<Credentials, Status> {
    let mut credentials = Credentials::default();
    if let Some(Main::Remote(Source::Git(git))) = context {
        agent(session, &git.access.agent, agents, &mut credentials).await?;
        shown(session, git, &mut credentials).await?;
    }
    Ok(credentials)
}

/// The secret that a repository is shown: the first of its own that the client has.
async fn shown(session: &Session, git: &Git, credentials: &mut Credentials) -> Result<(), Status> {
    for secret in git.secrets() {
        if let Some(value) = services::secret(session, secret.id()).await? {
            credentials.secrets.insert(secret.id().to_owned(), Secret::new(value));
            return Ok(());
        }
    }
    Ok(())
}

async fn agent(
    session: &Session,
    id: &str,
    agents: &mut Agents,
    credentials: &mut Credentials,
) -> Result<(), Status> {
    if services::has_agent(session, id).await {
        let socket = agents.directory().and_then(|directory| services::agent(session, id, directory));
        let socket = socket.map_err(|error| told(Code::Internal, &error))?;
        credentials.agents.insert(id.to_owned(), socket);
    }
    Ok(())
}
