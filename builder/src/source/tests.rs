//! Files from a web server that behaves, changes and lies.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use kiln_cache::{Store, View};
use kiln_graph::op::Http;
use kiln_registry::testing::{Page, WebServer};
use kiln_registry::{Client, ClientOptions, RetryPolicy};

use super::{Kept, SourceError, http};
use crate::event::Progress;
use crate::shared::SharedCaches;
use crate::snapshot::Snapshot;
use crate::text;

/// SHA-256 of `hello`.
const HELLO: &str = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

struct Bench {
    _dir: tempfile::TempDir,
    store: Store,
    client: Client,
    progress: Progress,
    server: WebServer,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store")).unwrap();
        let retry = RetryPolicy { tries: 2, base: Duration::from_millis(1), cap: Duration::from_millis(1) };
        let read_timeout = Duration::from_millis(300);
        let client = Client::new(ClientOptions { retry, read_timeout, ..ClientOptions::default() }).unwrap();
        let progress = Progress::new(tokio::sync::mpsc::unbounded_channel().0);
        Self { _dir: dir, store, client, progress, server: WebServer::start() }
    }

    fn file(&self, path: &str, checksum: Option<&str>) -> Http {
        let checksum = checksum.map(str::to_owned);
        Http { url: self.server.url(path), filename: "file".to_owned(), checksum }
    }

    async fn load(&self, source: &Http) -> Result<(Snapshot, bool), SourceError> {
        let kept = Kept { store: &self.store, shared: &SharedCaches::default() };
        http::load(kept, &self.client, source, "download", &self.progress).await
    }

    /// Mode, owner, time and content of the only file.
    fn show(&self, snapshot: &Snapshot) -> String {
        let trees = self.store.layers().ensure_trees(&snapshot.diff_ids()).unwrap();
        let view = View::new(&trees).unwrap();
        let names = view.read_dir("/".as_ref()).unwrap();
        assert_eq!(names.len(), 1);
        let (name, node) = &names[0];
        let content =
            String::from_utf8(view.read(&std::path::Path::new("/").join(name), 100).unwrap()).unwrap();
        let name = name.to_str().unwrap();
        format!("{name} {:o} {}:{} {} {content}", node.mode, node.uid, node.gid, node.mtime)
    }
}

#[tokio::test]
async fn a_file_is_private_and_has_the_server_s_time() {
    let bench = Bench::new();
    bench.server.serve("/a", [Page::new("hello").header("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT")]);
    bench.server.serve("/b", [Page::new("hello").header("Last-Modified", "lately")]);
    let (dated, is_new) = bench.load(&bench.file("/a", Some(HELLO))).await.unwrap();
    assert_eq!((bench.show(&dated).as_str(), is_new), ("file 600 0:0 784111777 hello", true));
    let (undated, _) = bench.load(&bench.file("/b", None)).await.unwrap();
    assert_eq!(bench.show(&undated), "file 600 0:0 0 hello");
}

#[tokio::test]
async fn an_unchanged_file_is_asked_about_and_not_sent_again() {
    let bench = Bench::new();
    let source = bench.file("/a", None);
    bench.server.serve("/a", [Page::new("hello").header("ETag", "\"1\"")]);
    let (first, _) = bench.load(&source).await.unwrap();
    let (same, is_new) = bench.load(&source).await.unwrap();
    assert_eq!((same.identity(), is_new), (first.identity(), false));
    assert!(bench.server.seen()[1].to_lowercase().contains("if-none-match: \"1\""));
    // The same bytes under a new tag are the same layer; other bytes are another one.
    bench.server.serve("/a", [Page::new("hello").header("ETag", "\"2\"")]);
    assert_eq!(bench.load(&source).await.unwrap().0.identity(), first.identity());
    bench.server.serve("/a", [Page::new("other").header("ETag", "\"3\"")]);
    let (changed, is_new) = bench.load(&source).await.unwrap();
    assert_eq!((bench.show(&changed).as_str(), is_new), ("file 600 0:0 0 other", true));
}

#[tokio::test]
async fn a_known_checksum_needs_no_server() {
    let bench = Bench::new();
    let source = bench.file("/a", Some(HELLO));
    bench.server.serve("/a", [Page::new("hello"), Page::new("changed")]);
    let (first, _) = bench.load(&source).await.unwrap();
    assert_eq!(bench.load(&source).await.unwrap().0.identity(), first.identity());
    assert_eq!(bench.server.seen().len(), 1);
    let error = bench.load(&bench.file("/a", Some(&HELLO.replace("2c", "00")))).await.unwrap_err();
    assert!(
        matches!(&error, SourceError::Checksum { actual, .. } if actual.starts_with("sha256:")),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("--checksum=sha256:"));
}

#[tokio::test]
async fn what_breaks_leaves_nothing_and_names_no_secret() {
    let bench = Bench::new();
    bench.server.serve("/cut", [Page::new("hello").cut(2)]);
    bench.server.serve("/stall", [Page::new("hello").stall(2)]);
    for (path, expected) in [
        ("/cut", "broke off after 2 of 5 bytes"),
        ("/stall", "nothing was heard"),
        ("/none?key=s3cret", "404"),
    ] {
        let mut source = bench.file(path, None);
        source.url = source.url.replace("http://", "http://me:s3cret@");
        let error = bench.load(&source).await.unwrap_err();
        let said = text::chain(&error);
        assert!(said.contains(expected) && !said.contains("s3cret"), "{said}");
    }
    let source = Http { filename: "../up".to_owned(), ..bench.file("/cut", None) };
    assert!(matches!(bench.load(&source).await, Err(SourceError::Name { .. })));
    assert_eq!(std::fs::read_dir(bench.store.root().join("layers")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_file_is_known_by_what_the_server_sends_or_the_client_says() {
    let bench = Bench::new();
    let date = "Sat, 03 Feb 2001 04:05:06 GMT";
    bench.server.serve("/file", [Page::new("hello").header("Last-Modified", date), Page::status(304)]);
    let look = async |source: Http| {
        let kept = Kept { store: &bench.store, shared: &SharedCaches::default() };
        http::look(kept, &bench.client, &source, "look", &bench.progress).await.unwrap()
    };
    for _ in 0..2 {
        let found = look(bench.file("/file", None)).await;
        assert_eq!((found.digest.as_str(), found.modified), (HELLO, Some(981_173_106)));
    }
    let named = look(bench.file("/nowhere", Some(HELLO))).await;
    assert_eq!((named.digest.as_str(), named.filename.as_str(), named.modified), (HELLO, "file", None));
}
