//! Main contexts that are no directory of the client's: a repository, a file of a web server, an archive that the client
//! uploads.

use std::collections::HashMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use kiln_builder::provenance::Material;
use kiln_builder::{Builder, Credentials, Fetched, FetchedContext, Progress};
use kiln_graph::op::Source;
use tokio::sync::mpsc;
use tonic::{Code, Status};

use super::load::MAX_DOCKERFILE;
use super::options;
use crate::failure::told;
use crate::session::{Session, services};

/// The host that stands for the client itself.
const CLIENT: &str = "buildkit-session";

/// Pieces of an upload that may wait for the disk.
const WAITING: usize = 16;

/// A context that was fetched.
#[derive(Debug)]
pub(super) struct Elsewhere {
    /// Where the Dockerfile is looked for.
    pub(super) root: PathBuf,
    /// The context.
    pub(super) context: PathBuf,
    /// Keeps both.
    fetched: Box<FetchedContext>,
}

impl Elsewhere {
    /// What the context is, where that can be looked up.
    pub(super) fn material(&self) -> Option<Material> {
        self.fetched.material().cloned()
    }
}

/// What the attributes name.
pub(super) enum Found {
    /// A context.
    Context(Elsewhere),
    /// A Dockerfile without a context.
    Dockerfile(Vec<u8>),
}

/// A main context that is no directory of the client's.
pub(super) enum Main {
    /// The client sends an archive.
    Upload {
        /// The URL that stands for it.
        url: String,
        /// Where it is at the client.
        path: String,
    },
    /// A file or a repository.
    Remote(Source),
}

/// The main context that the attributes name, if it is no directory of the client's.
pub(super) fn named(attributes: &HashMap<String, String>) -> Result<Option<Main>, Status> {
    let Some(url) = attributes.get("context").filter(|url| !url.is_empty()) else { return Ok(None) };
    if let Some(path) = upload_path(url) {
        return Ok(Some(Main::Upload { url: url.clone(), path: path.to_owned() }));
    }
    let mut source = source(url)?;
    if let Source::Git(git) = &mut source {
        git.keep_git_dir |= options::keeps_git_dir(attributes);
    }
    Ok(Some(Main::Remote(source)))
}

/// Fetches the main context.
pub(super) async fn fetch(
    session: &Session,
    (builder, credentials): (&Builder, &Credentials),
    main: &Main,
    attributes: &HashMap<String, String>,
    progress: &Progress,
) -> Result<Found, Status> {
    let fetched = match main {
        Main::Upload { path, .. } => uploaded(session, builder, path, progress).await?,
        Main::Remote(source) => {
            let fetched = builder.fetch_context(source, credentials, MAX_DOCKERFILE, progress).await;
            fetched.map_err(|error| told(Code::Unknown, &error))?
        }
    };
    match fetched {
        Fetched::Dockerfile(text) => Ok(Found::Dockerfile(text)),
        Fetched::Context(fetched) => {
            let root = fetched.path().to_owned();
            let context = match attributes.get("contextsubdir").filter(|path| !path.is_empty()) {
                Some(path) => beneath(&root, path)?,
                None => root.clone(),
            };
            Ok(Found::Context(Elsewhere { root, context, fetched: Box::new(fetched) }))
        }
    }
}

/// What a URL names.
fn source(url: &str) -> Result<Source, Status> {
    let source = kiln_graph::remote_source(url).map_err(Status::invalid_argument)?;
    source.ok_or_else(|| {
        let url = kiln_graph::redact(url);
        Status::invalid_argument(format!("context={url}: the URL of a git repository or of a file is meant"))
    })
}

/// The path of an upload, if the URL is one's.
fn upload_path(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("http://")?.strip_prefix(CLIENT)?;
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

async fn uploaded(
    session: &Session,
    builder: &Builder,
    path: &str,
    progress: &Progress,
) -> Result<Fetched, Status> {
    let step = progress.step("[internal] load remote build context");
    let mut incoming = services::upload(session, CLIENT, path).await?;
    let (sender, pieces) = mpsc::channel(WAITING);
    let builder = builder.clone();
    let reader = Pieces { incoming: pieces, rest: Vec::new(), at: 0 };
    let kept = tokio::task::spawn_blocking(move || builder.context_of(reader, MAX_DOCKERFILE));
    let mut total = 0;
    let streamed = loop {
        match incoming.message().await {
            Ok(Some(message)) => {
                total += message.data.len() as u64;
                step.progress("transferring context:", total, None);
                if sender.send(Ok(message.data)).await.is_err() {
                    break Ok(());
                }
            }
            Ok(None) => break Ok(()),
            Err(status) => {
                drop(sender.send(Err(status.message().to_owned())).await);
                break Err(status);
            }
        }
    };
    drop(sender);
    let kept = kept.await.map_err(|_| Status::internal("a task ended without a result"))?;
    streamed?;
    match kept {
        Ok(fetched) => {
            step.done();
            Ok(fetched)
        }
        Err(error) => {
            let status = told(Code::InvalidArgument, &error);
            step.failed(status.message());
            Err(status)
        }
    }
}

/// A directory below `root`; links in the path are followed as long as they stay there.
fn beneath(root: &Path, path: &str) -> Result<PathBuf, Status> {
    let wrong = |problem: &str| Status::invalid_argument(format!("contextsubdir={path}: {problem}"));
    let root = root.canonicalize().map_err(|error| told(Code::Internal, &error))?;
    let found = root.join(path.trim_start_matches('/')).canonicalize();
    let found = found.map_err(|error| wrong(&format!("not in the context: {error}")))?;
    match found.is_dir() {
        _ if !found.starts_with(&root) => Err(wrong("it leads out of the context")),
        false => Err(wrong("it is not a directory")),
        true => Ok(found),
    }
}

/// Pieces from a channel as a stream for a thread that may block.
struct Pieces {
    incoming: mpsc::Receiver<Result<Vec<u8>, String>>,
    rest: Vec<u8>,
    at: usize,
}

impl Read for Pieces {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.at == self.rest.len() {
            match self.incoming.blocking_recv() {
                Some(Ok(piece)) => (self.rest, self.at) = (piece, 0),
                Some(Err(message)) => return Err(io::Error::other(message)),
                None => return Ok(0),
            }
        }
        let length = into.len().min(self.rest.len() - self.at);
        into[..length].copy_from_slice(&self.rest[self.at..self.at + length]);
        self.at += length;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn uploads_are_told_from_web_servers() {
        assert_eq!(upload_path("http://buildkit-session/abc"), Some("/abc"));
        assert_eq!(upload_path("http://buildkit-sessions/abc"), None);
        assert_eq!(upload_path("https://example.org/x"), None);
    }

    #[test]
    fn a_subdirectory_does_not_lead_out() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("a/b")).unwrap();
        std::fs::write(dir.path().join("file"), "").unwrap();
        std::os::unix::fs::symlink("/", dir.path().join("out")).unwrap();
        assert!(beneath(dir.path(), "a/b").unwrap().ends_with("a/b"));
        for wrong in ["../", "out", "file", "none"] {
            assert!(beneath(dir.path(), wrong).is_err(), "{wrong}");
        }
    }
}
