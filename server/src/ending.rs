//! How builds end: told to those who watch, written into the history, and, if somebody wants to read it, into the log.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use tonic::Status;

use crate::build::Build;
use crate::control::{beside, unreadable};
use crate::history::History;
use crate::server::{Log, Server};

/// The end of a build for those who watch it and for the history, whether it has a result or its client has gone.
pub(crate) struct Ending {
    history: Arc<History>,
    log: Log,
    build: Option<Arc<Build>>,
}

type BuildResult = Result<HashMap<String, String>, Status>;

impl Ending {
    /// Of a build that is under way.
    pub(crate) fn of(server: &Server, build: &Arc<Build>) -> Self {
        let (history, log) = (Arc::clone(&server.history), Arc::clone(&server.log));
        Self { history, log, build: Some(Arc::clone(build)) }
    }

    /// The build has this result.
    pub(crate) async fn with(mut self, result: BuildResult) {
        if let Some(build) = self.build.take() {
            record(Arc::clone(&self.history), Arc::clone(&self.log), build, result).await;
        }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        if let Some(build) = self.build.take() {
            let gone = Err(Status::cancelled("the client has gone"));
            tokio::spawn(record(Arc::clone(&self.history), Arc::clone(&self.log), build, gone));
        }
    }
}

/// Tells watchers that this was all, and writes down how the build ended.
async fn record(history: Arc<History>, log: Log, build: Arc<Build>, result: BuildResult) {
    build.status.finish().await;
    let messages = build.status.kept();
    let (id, made) = (build.id.clone(), build.making.results());
    let ended = Arc::clone(&history);
    let written =
        beside(move || ended.end(&id, result.as_ref(), &messages, &made).map_err(|error| unreadable(&error)));
    if let Err(status) = written.await {
        // The build itself is what it is.
        log(&format!("warning: build {} has no record: {}", build.id, status.message()));
    }
    // Nobody waits for old records to be removed.
    tokio::spawn(async move {
        let forgotten = beside(move || history.forget().map_err(|error| unreadable(&error)));
        if let Err(status) = forgotten.await {
            log(&format!("warning: old records stay: {}", status.message()));
        }
    });
}

/// A build that the log tells of.
pub(crate) struct Told {
    log: Log,
    build: String,
    began: Instant,
}

impl Told {
    /// Tells that it begins.
    pub(crate) fn begin(server: &Server, build: &str) -> Self {
        (server.log)(&format!("build {build} begins ({} under way)", server.running.count()));
        Self { log: Arc::clone(&server.log), build: build.to_owned(), began: Instant::now() }
    }

    /// Tells how it ended.
    pub(crate) fn end<T>(self, result: &Result<T, Status>) {
        let seconds = self.began.elapsed().as_secs_f64();
        let how = match result {
            Ok(_) => "is done".to_owned(),
            Err(status) => format!("failed: {}", status.message()),
        };
        (self.log)(&format!("build {} {how} ({seconds:.1} s)", self.build));
    }
}
