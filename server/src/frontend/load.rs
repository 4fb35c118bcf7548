//! A build's inputs from the client: the Dockerfile, the ignore file, context directories.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kiln_builder::event::Step;
use kiln_builder::{Builder, Credentials, Progress};
use kiln_parser::dockerignore;
use tempfile::TempDir;
use tokio::time::Instant;
use tonic::{Code, Status};

use super::elsewhere::{self, Elsewhere, Found, Main};
use crate::contexts::Synced;
use crate::failure::{SourceText, told};
use crate::server::Server;
use crate::session::Session;
use crate::session::receive::{self, Held, Wanted};

/// Largest Dockerfile that is read.
pub(super) const MAX_DOCKERFILE: u64 = 16 << 20;

/// The file of a context that says what is no part of it.
const IGNORE: &str = ".dockerignore";

/// How a transfer of a context is told, and how often.
const TRANSFER: &str = "transferring context:";
const TICK: Duration = Duration::from_millis(100);

/// Attributes that say which session has a directory begin with this.
const SESSION: &str = "local-sessionid:";

/// What a build starts from.
pub(super) struct Loaded {
    /// The Dockerfile.
    pub(super) source: SourceText,
    /// The ignore patterns of the context.
    pub(super) ignore: Vec<String>,
    /// The main context.
    pub(super) context: MainContext,
}

/// Where the main context is.
pub(super) enum MainContext {
    /// It is a directory of the client's.
    Client,
    /// It was fetched.
    Fetched(Elsewhere),
    /// The Dockerfile came alone: a directory without files.
    Empty(TempDir),
}

/// Names of the directories that the client offers.
pub(super) struct Names {
    pub(super) context: String,
    pub(super) dockerfile: String,
    pub(super) filename: String,
    /// Whether the Dockerfile is the client's, wherever the context is.
    pub(super) own_dockerfile: bool,
}

impl Names {
    pub(super) fn read(attributes: &HashMap<String, String>) -> Self {
        let given = |key: &str| attributes.get(key).filter(|value| !value.is_empty());
        let get = |key: &str, default: &str| given(key).map_or_else(|| default.to_owned(), Clone::clone);
        Self {
            context: get("contextkey", "context"),
            dockerfile: get("dockerfilekey", "dockerfile"),
            filename: get("filename", "Dockerfile"),
            own_dockerfile: given("dockerfilekey").is_some(),
        }
    }
}

impl Server {
    /// The session that has a directory: the build's own, unless an attribute names another.
    pub(super) async fn session_of(
        &self,
        own: &Session,
        attributes: &HashMap<String, String>,
        directory: &str,
    ) -> Result<Session, Status> {
        match attributes.get(&format!("{SESSION}{directory}")) {
            Some(id) => self.sessions.get(id).await,
            None => Ok(own.clone()),
        }
    }
}

/// Reads the Dockerfile and the ignore file, wherever they are.
pub(super) async fn load(
    server: &Server,
    session: &Session,
    (builder, credentials, main): (&Builder, &Credentials, Option<&Main>),
    (names, attributes): (&Names, &HashMap<String, String>),
    progress: &Progress,
) -> Result<Loaded, Status> {
    let found = match main {
        Some(main) => {
            Some(elsewhere::fetch(session, (builder, credentials), main, attributes, progress).await?)
        }
        None => None,
    };
    let context = match found {
        None => MainContext::Client,
        Some(Found::Context(elsewhere)) => MainContext::Fetched(elsewhere),
        Some(Found::Dockerfile(text)) => {
            let text = String::from_utf8(text);
            let text = text.map_err(|_| Status::invalid_argument("the Dockerfile is not UTF-8"))?;
            let source = SourceText { name: names.filename.clone(), text };
            let empty = server.contexts.temporary().map_err(|error| told(Code::Internal, &error))?;
            return Ok(Loaded { source, ignore: Vec::new(), context: MainContext::Empty(empty) });
        }
    };
    let definition = async {
        match &context {
            MainContext::Fetched(elsewhere) if !names.own_dockerfile => {
                from(names, |name| read(&elsewhere.root, name))
            }
            _ => {
                let session = server.session_of(session, attributes, &names.dockerfile).await?;
                definition(&session, names, progress).await
            }
        }
    };
    let ignore = async {
        if let MainContext::Fetched(elsewhere) = &context {
            return read(&elsewhere.context, IGNORE);
        }
        let session = server.session_of(session, attributes, &names.context).await?;
        ignore_file(&session, &names.context, progress).await
    };
    let (definition, ignore) = tokio::try_join!(definition, ignore)?;
    let (text, own_ignore) = definition;
    let ignore = own_ignore.or(ignore).map(|text| dockerignore::parse(&text)).unwrap_or_default();
    Ok(Loaded {
        source: SourceText { name: names.filename.clone(), text },
        ignore: ignore.into_iter().map(|line| line.pattern).collect(),
        context,
    })
}

/// The Dockerfile, and the ignore file of its own, from a directory of the client's.
async fn definition(
    session: &Session,
    names: &Names,
    progress: &Progress,
) -> Result<(String, Option<String>), Status> {
    let step = progress.step(format!("[internal] load build definition from {}", names.filename));
    let fetched = async {
        let lower = names.filename.to_lowercase();
        let wanted = vec![names.filename.clone(), format!("{}{IGNORE}", names.filename), lower];
        let held = fetch(session, &names.dockerfile, wanted).await?;
        step.progress("transferring dockerfile:", held.sent(), None);
        from(names, |name| held_text(&held, name))
    };
    match fetched.await {
        Ok(found) => {
            step.done();
            Ok(found)
        }
        Err(status) => {
            step.failed(status.message());
            Err(status)
        }
    }
}

/// The Dockerfile, and the ignore file of its own, from where `read` finds them.
fn from(
    names: &Names,
    read: impl Fn(&str) -> Result<Option<String>, Status>,
) -> Result<(String, Option<String>), Status> {
    let mut text = read(&names.filename)?;
    if text.is_none() && names.filename == "Dockerfile" {
        text = read(&names.filename.to_lowercase())?;
    }
    let text = text.ok_or_else(|| {
        let name = &names.filename;
        Status::not_found(format!("failed to read dockerfile: open {name}: no such file or directory"))
    })?;
    Ok((text, read(&format!("{}{IGNORE}", names.filename))?))
}

/// The ignore file of a directory of the client's.
pub(super) async fn ignore_file(
    session: &Session,
    name: &str,
    progress: &Progress,
) -> Result<Option<String>, Status> {
    let step = progress.step("[internal] load .dockerignore");
    let fetched = fetch(session, name, vec![IGNORE.to_owned()]).await;
    match fetched.and_then(|held| Ok((held.sent(), held_text(&held, IGNORE)?))) {
        Ok((sent, text)) => {
            step.progress(TRANSFER, sent, None);
            step.done();
            Ok(text)
        }
        Err(status) => {
            step.failed(status.message());
            Err(status)
        }
    }
}

/// The client's directory of that name, kept for the next build from the same place. Of it, what `paths` lead to; all
/// of it without them.
pub(super) async fn context(
    server: &Server,
    session: &Session,
    name: &str,
    (ignore, paths): (&[String], Option<Vec<String>>),
    progress: &Progress,
) -> Result<Synced, Status> {
    let step = progress.step(crate::progress::LOAD_CONTEXT);
    let wanted = Wanted {
        name: name.to_owned(),
        exclude: ignore.to_vec(),
        follow: paths.unwrap_or_default(),
        ..Wanted::default()
    };
    let synced = async {
        let synced = server.contexts.open(&session.shared_key, name).await;
        let synced = synced.map_err(|error| told(Code::Internal, &error))?;
        let transfer = receive::directory(session, &wanted, &synced);
        let received = counted(&step, &wanted.received, transfer).await;
        let received = received.map_err(|error| told(Code::FailedPrecondition, &error))?;
        Ok((synced, received))
    };
    match synced.await {
        Ok((synced, received)) => {
            step.progress(TRANSFER, received.bytes, None);
            step.done();
            Ok(synced)
        }
        Err(status) => {
            let status: Status = status;
            step.failed(status.message());
            Err(status)
        }
    }
}

/// Tells how much has come for as long as it takes.
async fn counted<T>(step: &Step, received: &AtomicU64, transfer: impl Future<Output = T>) -> T {
    let mut transfer = std::pin::pin!(transfer);
    let mut ticks = tokio::time::interval_at(Instant::now() + TICK, TICK);
    loop {
        tokio::select! {
            biased;
            done = &mut transfer => return done,
            _ = ticks.tick() => step.progress(TRANSFER, received.load(Ordering::Relaxed), None),
        }
    }
}

/// Fetches files that need not be there.
async fn fetch(session: &Session, name: &str, files: Vec<String>) -> Result<Held, Status> {
    let wanted = Wanted { name: name.to_owned(), include: files.clone(), follow: files, ..Wanted::default() };
    match receive::files(session, &wanted).await {
        Ok(held) => Ok(held),
        // Without a context there is no ignore file; without a Dockerfile's directory its absence is told.
        Err(error) if error.is_missing() => Ok(Held::default()),
        Err(error) => Err(told(Code::FailedPrecondition, &error)),
    }
}

/// The text of a file that the client has sent; nothing if it is not there.
fn held_text(held: &Held, name: &str) -> Result<Option<String>, Status> {
    let found = held.read(name).map_err(|error| Status::failed_precondition(format!("{name} {error}")))?;
    found.map(|bytes| text(name, bytes.to_vec())).transpose()
}

/// A file's text beneath the directory; nothing if it is not there.
fn read(directory: &Path, name: &str) -> Result<Option<String>, Status> {
    use std::io::Read;

    use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags};
    use rustix::io::Errno;

    let failed = |error: std::io::Error| told(Code::FailedPrecondition, &error);
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let root = rustix::fs::openat(CWD, directory, flags | OFlags::DIRECTORY, Mode::empty());
    let root = root.map_err(|errno| failed(errno.into()))?;
    let open = |flags| rustix::fs::openat2(&root, name, flags, Mode::empty(), ResolveFlags::IN_ROOT);
    // To open a device or a pipe is to do something with it: it is looked at first.
    let kind = match open(OFlags::PATH | OFlags::CLOEXEC).and_then(rustix::fs::fstat) {
        Ok(stat) => FileType::from_raw_mode(stat.st_mode),
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
        Err(errno) => return Err(failed(errno.into())),
    };
    if kind != FileType::RegularFile {
        return Err(Status::failed_precondition(format!("{name} is not a regular file")));
    }
    let file = std::fs::File::from(open(flags).map_err(|errno| failed(errno.into()))?);
    let mut bytes = Vec::new();
    file.take(MAX_DOCKERFILE + 1).read_to_end(&mut bytes).map_err(failed)?;
    text(name, bytes).map(Some)
}

fn text(name: &str, bytes: Vec<u8>) -> Result<String, Status> {
    if bytes.len() as u64 > MAX_DOCKERFILE {
        return Err(Status::invalid_argument(format!("{name} is larger than {MAX_DOCKERFILE} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| Status::invalid_argument(format!("{name} is not UTF-8")))
}
