//! A registry in the process, for tests: a real server on a loopback port, with faults to order.
//!
//! It serves what tests put into it and keeps what clients push, checks logins as a real one does, records
//! every request, and misbehaves exactly as often as it was told to. Only compiled for tests (feature
//! `testing`); it panics where a test is wrong.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod fault;
mod git;
mod image;
mod login;
mod routes;
mod web;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::serve::Listener;
use bytes::Bytes;
use oci_spec::image::{Descriptor, Digest, MediaType};
use tokio::net::TcpListener;

use crate::digest::sha256;
use crate::document::Document;
pub use fault::{Fault, Trouble};
pub use git::GitServer;
pub use image::TestImage;
pub use login::Login;
pub use web::{Page, WebServer};

/// A running registry; it ends when it is dropped.
#[derive(Debug)]
pub struct TestRegistry {
    address: SocketAddr,
    state: Arc<State>,
    server: tokio::task::JoinHandle<()>,
}

/// A request that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its method.
    pub method: String,
    /// Its path and query.
    pub path: String,
    /// Its Authorization header.
    pub authorization: Option<String>,
    /// Its Range header.
    pub range: Option<String>,
    /// The status it was answered with; 0 if it was not answered properly.
    pub status: u16,
}

#[derive(Debug)]
pub(crate) struct State {
    address: SocketAddr,
    login: Login,
    content: Mutex<Content>,
    faults: Mutex<VecDeque<Fault>>,
    seen: Mutex<Vec<Seen>>,
}

/// What the registry keeps.
#[derive(Debug, Default)]
pub(crate) struct Content {
    blobs: BTreeMap<String, Bytes>,
    /// Blobs that a repository may serve.
    placed: BTreeSet<(String, String)>,
    /// Manifests by repository and tag or digest.
    manifests: BTreeMap<(String, String), (String, Bytes)>,
    uploads: u64,
}

impl TestRegistry {
    /// Starts a registry that lets everybody in.
    pub async fn start() -> Self {
        Self::with_login(Login::None).await
    }

    /// Starts a registry that wants a login.
    pub async fn with_login(login: Login) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        Self::serve(listener, address, login)
    }

    /// Serves on any listener, for example one that speaks TLS.
    pub fn serve<L: Listener>(listener: L, address: SocketAddr, login: Login) -> Self
    where
        L::Addr: std::fmt::Debug,
    {
        let state = State {
            address,
            login,
            content: Mutex::default(),
            faults: Mutex::default(),
            seen: Mutex::default(),
        };
        let state = Arc::new(state);
        let router = Router::new().fallback(routes::answer).with_state(Arc::clone(&state));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, state, server }
    }

    /// Its name in references: `127.0.0.1:PORT`.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// Puts a blob into a repository.
    pub fn put_blob(&self, repository: &str, bytes: impl Into<Bytes>) -> Descriptor {
        let bytes = bytes.into();
        let digest = sha256(&bytes);
        let size = bytes.len() as u64;
        self.content().put_blob(repository, digest.as_ref(), bytes);
        Descriptor::new(MediaType::ImageLayer, size, digest)
    }

    /// Puts a manifest or an index into a repository, under its digest and a tag.
    pub fn put_manifest(&self, repository: &str, tag: &str, document: &Document) {
        let value = (document.media_type.to_string(), document.bytes.clone());
        let mut content = self.content();
        for name in [tag, document.digest.as_ref()] {
            content.manifests.insert((repository.to_owned(), name.to_owned()), value.clone());
        }
    }

    /// Puts a whole image into a repository.
    pub fn put_image(&self, repository: &str, tag: &str, image: &TestImage) {
        for layer in &image.layers {
            self.put_blob(repository, layer.clone());
        }
        self.put_blob(repository, image.config.bytes.clone());
        self.put_manifest(repository, tag, &image.manifest);
    }

    /// Orders a fault.
    pub fn order(&self, fault: Fault) {
        self.state.faults.lock().unwrap().push_back(fault);
    }

    /// The requests so far, without the client's question whether this is a registry (`GET /v2/`).
    pub fn seen(&self) -> Vec<Seen> {
        self.state.seen.lock().unwrap().iter().filter(|seen| seen.path != "/v2/").cloned().collect()
    }

    /// Method and path of the requests so far, as [`Self::seen`].
    pub fn requests(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| format!("{} {}", seen.method, seen.path)).collect()
    }

    /// A blob of a repository.
    pub fn blob(&self, repository: &str, digest: &Digest) -> Option<Bytes> {
        self.content().blob(repository, digest.as_ref())
    }

    /// A manifest of a repository by tag or digest: its media type and its bytes.
    pub fn manifest(&self, repository: &str, name: &str) -> Option<(String, Bytes)> {
        self.content().manifests.get(&(repository.to_owned(), name.to_owned())).cloned()
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        self.state.content.lock().unwrap()
    }
}

impl Drop for TestRegistry {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Content {
    fn put_blob(&mut self, repository: &str, digest: &str, bytes: Bytes) {
        self.blobs.insert(digest.to_owned(), bytes);
        self.placed.insert((repository.to_owned(), digest.to_owned()));
    }

    fn blob(&self, repository: &str, digest: &str) -> Option<Bytes> {
        let placed = self.placed.contains(&(repository.to_owned(), digest.to_owned()));
        self.blobs.get(digest).filter(|_| placed).cloned()
    }
}
