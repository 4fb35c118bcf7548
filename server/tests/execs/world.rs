//! A daemon, a client with a root file system that commands run on, and what came of a build.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicU64, Ordering};

use kiln_server::api::control::control_client::ControlClient;
use kiln_server::api::control::{SolveRequest, StatusRequest, StatusResponse};
use kiln_server::api::gateway::llb_bridge_client::LlbBridgeClient;
use kiln_server::api::gateway::result::Result as Refs;
use kiln_server::api::gateway::{self, ReturnRequest, SolveRequest as SolveMessage};
use tempfile::TempDir;
use tokio_stream::StreamExt;
use tonic::transport::Channel;
use tonic::{Request, Status};

use crate::client::{Daemon, Done, Offer, output};
use crate::graph::{Edge, Graph};

/// Where a static busybox is.
const BUSYBOX: &str = "/bin/busybox";

/// The name that the client gives its directory with programs.
pub const PROGRAMS: &str = "local://programs";

/// The programs that the tests use.
const NAMES: &[&str] = &[
    "cat", "echo", "env", "false", "grep", "hostname", "id", "ls", "mkdir", "mount", "sh", "stat", "test",
    "touch", "true", "wc",
];

/// A daemon and its client.
pub struct World {
    pub daemon: Daemon,
    pub offer: Offer,
    _directory: TempDir,
}

impl World {
    /// One whose client offers programs, and may be granted these entitlements.
    pub async fn allowing(entitlements: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let bin = directory.path().join("bin");
        std::fs::create_dir(&bin).unwrap();
        std::fs::copy(BUSYBOX, bin.join("busybox")).expect("these tests need busybox-static");
        for name in NAMES {
            symlink("busybox", bin.join(name)).unwrap();
        }
        let directories = BTreeMap::from([("programs".to_owned(), directory.path().to_owned())]);
        let offer =
            Offer { directories, takes_directory: true, shared_key: "k".to_owned(), ..Offer::default() };
        Self { daemon: Daemon::allowing(entitlements).await, offer, _directory: directory }
    }

    pub async fn new() -> Self {
        Self::allowing(&[]).await
    }

    /// Builds a result, which goes to the client as a directory.
    pub async fn solve(&self, graph: &Graph, result: &Edge) -> Done {
        self.request(graph, result, |_| {}).await
    }

    /// The same with changes to the request.
    pub async fn request(
        &self,
        graph: &Graph,
        result: &Edge,
        change: impl FnOnce(&mut SolveRequest),
    ) -> Done {
        let mut request = SolveRequest {
            definition: Some(graph.definition(result)),
            exporters: vec![output("local", &[])],
            ..SolveRequest::default()
        };
        change(&mut request);
        self.daemon.solve(&self.offer, request).await
    }

    /// The files of a result.
    pub async fn files(&self, graph: &Graph, result: &Edge) -> BTreeMap<String, String> {
        texts(self.solve(graph, result).await)
    }

    /// Why there is none.
    pub async fn failure(&self, graph: &Graph, result: &Edge) -> Status {
        self.solve(graph, result).await.answer.unwrap_err()
    }

    /// A build that the client drives itself, until it returns.
    pub async fn drive<F: Future<Output = ()>>(
        &self,
        request: SolveRequest,
        drive: impl FnOnce(Driver) -> F,
    ) -> Done {
        let build = format!("driven-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let client = LlbBridgeClient::new(self.daemon.connect().await);
        let driver = Driver { client, build: build.clone() };
        let request = SolveRequest { r#ref: build, ..request };
        let (done, ()) = tokio::join!(self.daemon.solve(&self.offer, request), drive(driver));
        done
    }

    /// What watchers were told of a build.
    pub async fn told(&self, done: &Done) -> Vec<StatusResponse> {
        let mut control = ControlClient::new(self.daemon.connect().await);
        let told = control.status(StatusRequest { r#ref: done.build.clone() }).await.unwrap().into_inner();
        told.map(Result::unwrap).collect().await
    }

    /// Names of the steps of a build that were executed.
    pub async fn executed(&self, done: &Done) -> Vec<String> {
        let mut cached = HashMap::new();
        for message in self.told(done).await {
            for vertex in message.vertexes.into_iter().filter(|vertex| vertex.completed.is_some()) {
                cached.insert(vertex.name, vertex.cached);
            }
        }
        let executed = cached.into_iter().filter(|(_, cached)| !cached).map(|(name, _)| name);
        let mut executed: Vec<String> = executed.filter(|name| name.starts_with("/bin/sh")).collect();
        executed.sort();
        executed
    }
}

static NEXT: AtomicU64 = AtomicU64::new(0);

/// The calls of a client that drives its build.
pub struct Driver {
    pub client: LlbBridgeClient<Channel>,
    build: String,
}

impl Driver {
    /// A call's message, with the build that it is about.
    pub fn about<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("buildkit-controlapi-buildid", self.build.parse().unwrap());
        request
    }

    /// Solves a graph; the name of the result.
    pub async fn solve(&mut self, graph: &Graph, result: &Edge) -> Result<String, Status> {
        let request = SolveMessage {
            definition: Some(graph.definition(result)),
            allow_result_return: true,
            allow_result_array_ref: true,
            ..SolveMessage::default()
        };
        let answer = self.client.solve(self.about(request)).await?.into_inner();
        match answer.result.unwrap().result {
            Some(Refs::Ref(reference)) => Ok(reference.id),
            other => panic!("{other:?}"),
        }
    }

    /// Ends the build with these results.
    pub async fn returns(&mut self, result: Option<Refs>) {
        let result = Some(gateway::Result { result, ..gateway::Result::default() });
        let request = self.about(ReturnRequest { result, error: None });
        self.client.r#return(request).await.unwrap();
    }
}

/// The files that a build sent.
pub fn texts(done: Done) -> BTreeMap<String, String> {
    done.answer.unwrap_or_else(|status| panic!("{status}"));
    let text = |(path, bytes): (String, Vec<u8>)| (path, String::from_utf8_lossy(&bytes).into_owned());
    done.taken.files.into_iter().map(text).collect()
}

/// Runs a test.
pub fn run<F: Future<Output = ()>>(test: F) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.unwrap().block_on(test);
}
