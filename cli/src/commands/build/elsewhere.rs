//! Contexts that are not a directory of the user: standard input, web servers, repositories.
//!
//! The builder makes a directory of them; what names a file in one (`-f`, the ignore file) is opened beneath it, so
//! that no symlink that came along leads to a file of this machine.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kiln_builder::{Fetched, FetchedContext};
use kiln_graph::op::Source;
use kiln_parser::dockerignore;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};

use super::source::{
    BuildSource, ContextDir, IgnoreFile, MAX_DOCKERFILE, STDIN, read_limited, read_stdin, to_text,
};
use super::{contexts, credentials, progress_kind};
use crate::error::CliError;
use crate::flags::build::BuildFlags;
use crate::session::Session;
use crate::work::with_progress;

/// The argument, and the `-f`, that stands for standard input.
const DASH: &str = "-";

/// Names of a Dockerfile that nobody named.
const USUAL: [&str; 2] = ["Dockerfile", "dockerfile"];

/// What the flags name, if that is not a directory.
pub fn read(flags: &BuildFlags, session: &Session) -> Result<Option<BuildSource>, CliError> {
    let context = flags.context.to_str().unwrap_or_default();
    if context == DASH {
        if flags.file.as_deref() == Some(Path::new(DASH)) {
            let message = "standard input cannot be both the Dockerfile and its context";
            return Err(CliError::usage_with_hint(message, "write `-f - PATH`, or `-` alone"));
        }
        let fetched = session.builder()?.context_of(io::stdin(), MAX_DOCKERFILE)?;
        return to_source(flags, session, fetched, DASH).map(Some);
    }
    if flags.context.exists() {
        return Ok(None);
    }
    let source = kiln_graph::remote_source(context);
    let source = source.map_err(|message| CliError::usage(format!("the build context: {message}")))?;
    let Some(mut source) = source else { return Ok(None) };
    if let Source::Git(git) = &mut source {
        git.keep_git_dir |= contexts::keeps_git_dir(flags, &session.environment)?;
    }
    let builder = session.builder()?;
    let credentials = credentials::read(flags, &session.environment)?;
    let view = session.view(progress_kind(flags, session)?);
    let (from, given, builder) = (&source, &credentials, &builder);
    let work = |progress| async move { builder.fetch_context(from, given, MAX_DOCKERFILE, &progress).await };
    let (fetched, _) = with_progress(view, None, work)?;
    to_source(flags, session, fetched, &kiln_graph::redact(context)).map(Some)
}

fn to_source(
    flags: &BuildFlags,
    session: &Session,
    fetched: Fetched,
    project: &str,
) -> Result<BuildSource, CliError> {
    match fetched {
        Fetched::Dockerfile(text) => alone(flags, session, text, project),
        Fetched::Context(context) => within(flags, context, project),
    }
}

/// A Dockerfile without a context: it is built in an empty one.
fn alone(
    flags: &BuildFlags,
    session: &Session,
    text: Vec<u8>,
    project: &str,
) -> Result<BuildSource, CliError> {
    if flags.file.is_some() {
        let message =
            format!("-f names a file in the context, but {} is a Dockerfile without one", said(project));
        let hint = "write `-f - PATH` for a Dockerfile from standard input";
        return Err(CliError::usage_with_hint(message, hint));
    }
    let name = if project == DASH { STDIN.to_owned() } else { project.to_owned() };
    let context = Some(ContextDir::Empty(Arc::new(session.builder()?.empty_context()?)));
    let source = BuildSource::new(name, to_text(text, None)?);
    Ok(BuildSource { project: project.to_owned(), context, ..source })
}

fn said(project: &str) -> &str {
    if project == DASH { "standard input" } else { project }
}

/// A Dockerfile in its context, or from standard input.
fn within(flags: &BuildFlags, context: FetchedContext, project: &str) -> Result<BuildSource, CliError> {
    let dir = context.path().to_owned();
    let from_stdin = flags.file.as_deref() == Some(Path::new(DASH));
    let (name, text) =
        if from_stdin { (PathBuf::from(STDIN), read_stdin()?) } else { dockerfile(flags, &dir, project)? };
    let ignore = ignore_file(&dir, (!from_stdin).then_some(name.as_path()))?;
    let (ignore, ignore_file) =
        ignore.map_or_else(Default::default, |(patterns, file)| (patterns, Some(file)));
    let source = BuildSource::new(name.display().to_string(), to_text(text, Some(&name))?);
    Ok(BuildSource {
        context: Some(ContextDir::Fetched(Arc::new(context))),
        ignore,
        ignore_file,
        project: format!("{project} {}", name.display()),
        ..source
    })
}

fn dockerfile(flags: &BuildFlags, dir: &Path, project: &str) -> Result<(PathBuf, Vec<u8>), CliError> {
    let names: Vec<PathBuf> = match &flags.file {
        Some(file) => vec![file.strip_prefix("/").unwrap_or(file).to_owned()],
        None => USUAL.map(PathBuf::from).to_vec(),
    };
    for name in &names {
        if let Some(text) = read_beneath(dir, name)? {
            return Ok((name.clone(), text));
        }
    }
    let message = format!("there is no {} in the build context from {}", names[0].display(), said(project));
    Err(CliError::usage_with_hint(message, "-f names a file in the context"))
}

fn ignore_file(dir: &Path, dockerfile: Option<&Path>) -> Result<Option<(Vec<String>, IgnoreFile)>, CliError> {
    let own = dockerfile.map(|path| {
        let mut name = path.as_os_str().to_owned();
        name.push(".dockerignore");
        PathBuf::from(name)
    });
    for path in own.into_iter().chain([PathBuf::from(".dockerignore")]) {
        let Some(text) = read_beneath(dir, &path)? else { continue };
        let parsed = dockerignore::parse(&to_text(text, Some(&path))?).into_iter();
        let (patterns, lines) = parsed.map(|line| (line.pattern, line.line)).unzip();
        return Ok(Some((patterns, IgnoreFile { name: path.display().to_string(), lines })));
    }
    Ok(None)
}

/// The file's bytes; nothing if it is missing, an error if it lies outside.
fn read_beneath(dir: &Path, name: &Path) -> Result<Option<Vec<u8>>, CliError> {
    let failed = CliError::file("read", name);
    let read = || {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let root = rustix::fs::openat(CWD, dir, flags | OFlags::DIRECTORY, Mode::empty())?;
        let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        let file = File::from(rustix::fs::openat2(&root, name, flags, Mode::empty(), beneath)?);
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
        }
        read_limited(file, name)
    };
    match read() {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(error)),
    }
}
