//! The secrets and agents of a client that steps of a plan name.

use std::collections::BTreeSet;
use std::path::Path;

use kiln_builder::{Credentials, Secret};
use kiln_graph::op::{ExecMount, Op, Source};
use kiln_graph::plan::Plan;
use tonic::{Code, Status};

use crate::failure::told;
use crate::session::{Session, services};

/// The agent that repositories are fetched with.
const DEFAULT_AGENT: &str = "default";

/// What the plan names, as far as the client has it. Sockets of agents are made in `agents`.
pub(crate) async fn of(session: &Session, plan: &Plan, agents: &Path) -> Result<Credentials, Status> {
    let (mut secrets, mut wanted) = (BTreeSet::new(), BTreeSet::new());
    for (_, vertex) in plan.graph.iter() {
        match &vertex.op {
            Op::Exec(exec) => {
                for mount in &exec.mounts {
                    match mount {
                        ExecMount::Secret { id, .. } => drop(secrets.insert(id.clone())),
                        ExecMount::Ssh { id, .. } => drop(wanted.insert(id.clone())),
                        _ => {}
                    }
                }
            }
            Op::Source(Source::Git(_)) => drop(wanted.insert(DEFAULT_AGENT.to_owned())),
            _ => {}
        }
    }
    let mut credentials = Credentials::default();
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

/// The agent that a context's repository is fetched with.
pub(super) async fn for_context(session: &Session, agents: &Path) -> Result<Credentials, Status> {
    let mut credentials = Credentials::default();
    agent(session, DEFAULT_AGENT, agents, &mut credentials).await?;
    Ok(credentials)
}

async fn agent(
    session: &Session,
    id: &str,
    agents: &Path,
    credentials: &mut Credentials,
) -> Result<(), Status> {
    if services::has_agent(session, id).await {
        let socket = services::agent(session, id, agents).map_err(|error| told(Code::Internal, &error))?;
        credentials.agents.insert(id.to_owned(), socket);
    }
    Ok(())
}
