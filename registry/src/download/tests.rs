//! Downloads from a server that does what it should, and from one that does not.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::io;
use std::time::Duration;

use crate::testing::{Page, WebServer};
use crate::{
    Client, ClientOptions, DownloadError, DownloadSink, Downloaded, RegistryError, RetryPolicy, Validators,
};

#[derive(Default)]
struct Memory {
    bytes: Vec<u8>,
    starts: usize,
}

impl DownloadSink for Memory {
    fn restart(&mut self) -> io::Result<()> {
        self.bytes.clear();
        self.starts += 1;
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }
}

fn client() -> Client {
    let retry = RetryPolicy { tries: 2, base: Duration::from_millis(1), cap: Duration::from_millis(1) };
    Client::new(ClientOptions { retry, read_timeout: Duration::from_millis(200), ..ClientOptions::default() })
        .unwrap()
}

async fn get(url: &str) -> Result<(Memory, Downloaded), DownloadError> {
    let mut sink = Memory::default();
    let done = client().download(url, &Validators::default(), &mut sink).await?;
    Ok((sink, done))
}

async fn refusal(url: &str) -> RegistryError {
    match get(url).await {
        Err(DownloadError::Request(error)) => error,
        other => panic!("{:?}", other.map(|(_, done)| done)),
    }
}

#[tokio::test]
async fn a_file_comes_with_its_validators() {
    let server = WebServer::start();
    server.serve("/a", [Page::new("hello").header("ETag", "\"1\"").header("Last-Modified", "yesterday")]);
    let (sink, done) = get(&server.url("/a")).await.unwrap();
    assert_eq!(sink.bytes, b"hello");
    let validators = Validators { etag: Some("\"1\"".into()), last_modified: Some("yesterday".into()) };
    assert_eq!(done, Downloaded::Complete(validators.clone()));
    let mut sink = Memory::default();
    let done = client().download(&server.url("/a"), &validators, &mut sink).await.unwrap();
    assert_eq!((done, sink.starts), (Downloaded::Unchanged, 0));
    let dated = Validators { etag: None, ..validators };
    let done = client().download(&server.url("/a"), &dated, &mut sink).await.unwrap();
    assert_eq!(done, Downloaded::Unchanged);
}

#[tokio::test]
async fn a_broken_transfer_begins_anew() {
    let server = WebServer::start();
    server.serve("/a", [Page::new("hello world").cut(5), Page::new("hello world")]);
    let (sink, _) = get(&server.url("/a")).await.unwrap();
    assert_eq!((sink.bytes.as_slice(), sink.starts), (&b"hello world"[..], 2));
    server.serve("/b", [Page::status(503), Page::new("at last")]);
    assert_eq!(get(&server.url("/b")).await.unwrap().0.bytes, b"at last");
}

#[tokio::test]
async fn what_stays_broken_is_an_error() {
    let server = WebServer::start();
    server.serve("/cut", [Page::new("hello world").cut(5)]);
    let error = refusal(&server.url("/cut")).await;
    assert!(matches!(error, RegistryError::Truncated { received: 5, size: 11, .. }), "{error:?}");
    server.serve("/lie", [Page::new("hello").length(500)]);
    let error = refusal(&server.url("/lie")).await;
    assert!(matches!(error, RegistryError::Truncated { received: 5, size: 500, .. }), "{error:?}");
    server.serve("/stall", [Page::new("hello").stall(2)]);
    assert!(matches!(refusal(&server.url("/stall")).await, RegistryError::Stalled { .. }));
    server.serve("/silence", [Page::new("").length(9).stall(0)]);
    assert!(matches!(refusal(&server.url("/silence")).await, RegistryError::Stalled { .. }));
}

#[tokio::test]
async fn an_error_names_the_url_without_its_secrets() {
    let server = WebServer::start();
    let url = server.url("/none?token=s3cret").replace("http://", "http://me:s3cret@");
    let error = refusal(&url).await;
    assert!(error.is_not_found());
    let text = error.to_string();
    assert!(text.contains("/none") && text.contains("404") && !text.contains("s3cret"), "{text}");
    let seen = server.seen().concat();
    assert!(seen.contains("authorization: Basic") || seen.contains("Authorization: Basic"), "{seen}");
    for url in ["ftp://h/x", "nonsense", "http://"] {
        assert!(matches!(refusal(url).await, RegistryError::Url { .. }), "{url}");
    }
}

#[tokio::test]
async fn redirects_are_followed_without_credentials_and_not_for_ever() {
    let server = WebServer::start();
    let elsewhere = server.url_by_name("/b");
    server.serve("/a", [Page::redirect(&elsewhere)]);
    server.serve("/b", [Page::redirect("/c")]);
    server.serve("/c", [Page::new("here")]);
    let url = server.url("/a").replace("http://", "http://me:pw@");
    assert_eq!(get(&url).await.unwrap().0.bytes, b"here");
    let with_login: Vec<bool> =
        server.seen().iter().map(|head| head.to_lowercase().contains("authorization")).collect();
    assert_eq!(with_login, [true, false, false]);
    server.serve("/loop", [Page::redirect("/loop")]);
    assert!(matches!(refusal(&server.url("/loop")).await, RegistryError::Redirect { .. }));
    server.serve("/file", [Page::redirect("file:///etc/passwd")]);
    assert!(matches!(refusal(&server.url("/file")).await, RegistryError::Redirect { .. }));
}

#[tokio::test]
async fn nothing_changed_is_only_an_answer_to_a_condition() {
    let server = WebServer::start();
    server.serve("/a", [Page::status(304)]);
    assert!(matches!(refusal(&server.url("/a")).await, RegistryError::Status(_)));
}
