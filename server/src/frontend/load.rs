//! A build's inputs from the client: the Dockerfile, the ignore file, context directories.

use std::collections::HashMap;
use std::path::Path;

use kiln_builder::Progress;
use kiln_parser::dockerignore;
use tonic::{Code, Status};

use crate::contexts::Synced;
use crate::failure::{SourceText, told};
use crate::server::Server;
use crate::session::Session;
use crate::session::receive::{self, Wanted};

/// Largest Dockerfile that is read.
const MAX_DOCKERFILE: u64 = 16 << 20;

/// What a build starts from.
pub(super) struct Loaded {
    /// The Dockerfile.
    pub(super) source: SourceText,
    /// The ignore patterns of the context.
    pub(super) ignore: Vec<String>,
}

/// Names of the directories that the client offers.
pub(super) struct Names {
    pub(super) context: String,
    pub(super) dockerfile: String,
    pub(super) filename: String,
}

impl Names {
    pub(super) fn read(attributes: &HashMap<String, String>) -> Self {
        let get = |key: &str, default: &str| {
            let given = attributes.get(key).filter(|value| !value.is_empty());
            given.map_or_else(|| default.to_owned(), Clone::clone)
        };
        Self {
            context: get("contextkey", "context"),
            dockerfile: get("dockerfilekey", "dockerfile"),
            filename: get("filename", "Dockerfile"),
        }
    }
}

/// Reads the Dockerfile and the ignore file.
pub(super) async fn load(session: &Session, names: &Names, progress: &Progress) -> Result<Loaded, Status> {
    let step = progress.step(format!("[internal] load build definition from {}", names.filename));
    let temporary = tempfile::tempdir().map_err(|error| told(Code::Internal, &error))?;
    let own_ignore = format!("{}.dockerignore", names.filename);
    let lower = names.filename.to_lowercase();
    let wanted = vec![names.filename.clone(), own_ignore.clone(), lower.clone()];
    fetch(session, &names.dockerfile, wanted, temporary.path()).await?;
    let mut text = read(temporary.path(), &names.filename)?;
    if text.is_none() && names.filename == "Dockerfile" {
        text = read(temporary.path(), &lower)?;
    }
    let Some(text) = text else {
        let message =
            format!("failed to read dockerfile: open {}: no such file or directory", names.filename);
        step.failed(message.clone());
        return Err(Status::not_found(message));
    };
    let mut ignore = read(temporary.path(), &own_ignore)?;
    step.done();
    if ignore.is_none() {
        let step = progress.step("[internal] load .dockerignore");
        let directory = tempfile::tempdir().map_err(|error| told(Code::Internal, &error))?;
        let wanted = vec![".dockerignore".to_owned()];
        fetch(session, &names.context, wanted, directory.path()).await?;
        ignore = read(directory.path(), ".dockerignore")?;
        step.done();
    }
    let ignore = ignore.map(|text| dockerignore::parse(&text)).unwrap_or_default();
    Ok(Loaded {
        source: SourceText { name: names.filename.clone(), text },
        ignore: ignore.into_iter().map(|line| line.pattern).collect(),
    })
}

/// The client's directory of that name, kept for the next build from the same place.
pub(super) async fn context(
    server: &Server,
    session: &Session,
    name: &str,
    ignore: &[String],
    progress: &Progress,
) -> Result<Synced, Status> {
    let step = progress.step("[internal] load build context");
    let synced = server.contexts.open(&session.shared_key, name);
    let synced = synced.await.map_err(|error| told(Code::Internal, &error))?;
    let wanted = Wanted { name: name.to_owned(), exclude: ignore.to_vec(), ..Wanted::default() };
    match receive::directory(session, &wanted, synced.path()).await {
        Ok(received) => {
            step.progress("transferring context", received.bytes, Some(received.bytes));
            step.done();
            Ok(synced)
        }
        Err(error) => {
            let status = told(Code::FailedPrecondition, &error);
            step.failed(status.message());
            Err(status)
        }
    }
}

async fn fetch(session: &Session, name: &str, files: Vec<String>, into: &Path) -> Result<(), Status> {
    let wanted = Wanted { name: name.to_owned(), include: files.clone(), follow: files, ..Wanted::default() };
    match receive::directory(session, &wanted, into).await {
        Ok(_) => Ok(()),
        // Without a context there is no ignore file; without a Dockerfile's directory its absence is told.
        Err(error) if error.is_missing() => Ok(()),
        Err(error) => Err(told(Code::FailedPrecondition, &error)),
    }
}

/// A file's text beneath the directory; nothing if it is not there.
fn read(directory: &Path, name: &str) -> Result<Option<String>, Status> {
    use std::io::Read;

    use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};

    let failed = |error: std::io::Error| told(Code::FailedPrecondition, &error);
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let root = rustix::fs::openat(CWD, directory, flags | OFlags::DIRECTORY, Mode::empty());
    let root = root.map_err(|errno| failed(errno.into()))?;
    let file = match rustix::fs::openat2(&root, name, flags, Mode::empty(), ResolveFlags::IN_ROOT) {
        Ok(file) => std::fs::File::from(file),
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => return Ok(None),
        Err(errno) => return Err(failed(errno.into())),
    };
    let mut bytes = Vec::new();
    file.take(MAX_DOCKERFILE + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_DOCKERFILE {
        return Err(Status::invalid_argument(format!("{name} is larger than {MAX_DOCKERFILE} bytes")));
    }
    String::from_utf8(bytes).map(Some).map_err(|_| Status::invalid_argument(format!("{name} is not UTF-8")))
}
