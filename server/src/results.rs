//! Results that a client has names for: file systems that were solved already, and graphs that are solved when somebody needs
//! what they make, once.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::OnceCell;
use tonic::Status;

use crate::api::pb;
use crate::build::{Build, Solved};
use crate::llb;
use crate::policy::Policies;
use crate::server::Server;

/// One result. Its failure is kept as its success is: nothing that failed is executed again because it is looked at again.
#[derive(Debug)]
pub(crate) struct Held {
    graph: Option<Graph>,
    solved: OnceCell<Result<Arc<Solved>, Status>>,
}

/// A graph, the attributes that name shared caches which may answer for it, and what its sources are held against.
#[derive(Debug)]
struct Graph {
    definition: pb::Definition,
    attributes: HashMap<String, String>,
    policies: Policies,
}

impl Held {
    /// A result that is there.
    pub(crate) fn solved(solved: Arc<Solved>) -> Self {
        Self { graph: None, solved: OnceCell::new_with(Some(Ok(solved))) }
    }

    /// A graph whose result nobody has needed yet.
    pub(crate) fn graph(
        definition: pb::Definition,
        attributes: HashMap<String, String>,
        policies: Policies,
    ) -> Self {
        Self { graph: Some(Graph { definition, attributes, policies }), solved: OnceCell::new() }
    }

    /// The file system. Whoever asks while it is being made waits for it.
    pub(crate) async fn get(&self, server: &Server, build: &Arc<Build>) -> Result<Arc<Solved>, Status> {
        let make = async || match &self.graph {
            Some(Graph { definition, attributes, policies }) => {
                llb::result_of(server, build, definition, (attributes, policies)).await
            }
            None => Err(Status::internal("a result was lost")),
        };
        self.solved.get_or_init(make).await.clone()
    }
}
