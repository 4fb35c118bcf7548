//! Base images for a check: from the store or a registry where that is quick, and unknown otherwise.
//!
//! A check is about the Dockerfile: a registry that cannot be reached must not fail it, nor keep anybody waiting.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use kiln_graph::plan::{BaseRequest, ResolveBase, ResolveFailure, ResolvedBase};
use tokio::runtime::Handle;

use crate::{Builder, Progress, PullPolicy};

/// How long the answers may take altogether. A registry that is there needs a fraction of it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Answers within a fixed time, or says that nobody answered.
pub struct PatientBases {
    builder: Result<Builder, String>,
    progress: Progress,
    runtime: Handle,
}

impl PatientBases {
    /// Bases of `builder`; without one, because there is no store, none is known.
    pub fn new(builder: Result<Builder, String>, progress: Progress, runtime: Handle) -> Self {
        Self { builder, progress, runtime }
    }
}

impl ResolveBase for PatientBases {
    fn resolve(&self, requests: &[BaseRequest]) -> Vec<Result<ResolvedBase, ResolveFailure>> {
        let none = |message: String| vec![Err(ResolveFailure { message, help: None }); requests.len()];
        let builder = match &self.builder {
            Ok(builder) => builder,
            Err(message) => return none(message.clone()),
        };
        let resolver = builder.resolver(PullPolicy::Missing, self.progress.clone(), self.runtime.clone());
        let (sender, answers) = channel();
        let asked = requests.to_vec();
        // The thread is left behind when time is up; it ends with the process.
        std::thread::spawn(move || drop(sender.send(resolver.resolve(&asked))));
        match answers.recv_timeout(PATIENCE) {
            Ok(answers) => answers,
            Err(RecvTimeoutError::Timeout) => {
                none(format!("no answer within {} seconds", PATIENCE.as_secs()))
            }
            Err(RecvTimeoutError::Disconnected) => none("the question was not answered".to_owned()),
        }
    }
}
