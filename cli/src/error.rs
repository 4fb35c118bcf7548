//! What can end a command early, and how it is told: one message with its place, its causes and a hint, and
//! an exit code.
//!
//! | code | meaning |
//! |---|---|
//! | 0 | success; also when the reader of standard output went away |
//! | 1 | the build or the command failed |
//! | 2 | the command line is wrong |
//! | 3 | a step is not cached, with `build --require-cached` |
//! | 125 | `run`: kiln itself failed, the process was not started |
//! | 126 | `run`: the command cannot be executed |
//! | 127 | `run`: the command was not found |
//! | 128 + n | `run`: the process was killed by signal n; any command: kiln was stopped by it (130 is Ctrl-C) |
//!
//! Made everywhere in this crate, told by `main` alone.

mod login;

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

use kiln_builder::images::ImageError;
use kiln_builder::{BuildError, CacheExportError, ContextError, RunError};
use kiln_cache::{CacheMountError, StoreError};
use kiln_registry::{PlatformError, ReferenceError, RegistryError, StorageError};

pub use login::{LoginError, LoginFailure};

/// The signal of Ctrl-C.
const INTERRUPT: i32 = 2;

/// `run`: the process was never started.
const OWN_FAILURE: u8 = 125;

/// The end of a command that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The command line is wrong in a way that only the commands can see.
    #[error("{message}")]
    Usage {
        /// What is wrong.
        message: String,
        /// What to write instead.
        hint: Option<String>,
    },
    /// The Dockerfile has mistakes.
    #[error("{file} has {}", count(*errors))]
    Dockerfile {
        /// The file as shown.
        file: String,
        /// The mistakes with their excerpts, ready to be shown.
        rendered: String,
        /// How many.
        errors: usize,
    },
    /// A step failed, or the build could not go on.
    #[error("the build failed")]
    Build {
        /// Why.
        #[source]
        source: Box<BuildError>,
        /// The lines of the Dockerfile and the last output, with cause and hint, ready to be shown; empty when the
        /// failure has no place.
        excerpt: String,
    },
    /// The build context could not be had.
    #[error("cannot get the build context")]
    Context(#[source] Box<ContextError>),
    /// A command on images failed.
    #[error(transparent)]
    Image(Box<ImageError>),
    /// The process of `run` could not be started or waited for.
    #[error(transparent)]
    Run(Box<RunError>),
    /// The daemon does not run.
    #[error(transparent)]
    Serve(#[from] kiln_server::ServeError),
    /// The store could not be opened.
    #[error("cannot use the store")]
    Store(#[from] StoreError),
    /// A shared cache is nowhere, or could not be written and had to be.
    #[error(transparent)]
    Cache(Box<CacheFailure>),
    /// Something could not be done with a cache mount.
    #[error(transparent)]
    Mount(Box<CacheMountError>),
    /// The registry client could not be made.
    #[error(transparent)]
    Registry(Box<RegistryError>),
    /// A login was refused, or could not be kept or removed.
    #[error(transparent)]
    Login(Box<LoginError>),
    /// A name that cannot be one.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// A platform that is not one.
    #[error(transparent)]
    Platform(#[from] PlatformError),
    /// A file could not be read or written.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was attempted, as a verb that fits "cannot …".
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system answered.
        #[source]
        source: io::Error,
    },
    /// The terminal, a signal handler or the runtime could not be set up.
    #[error("cannot {action}")]
    System {
        /// What was attempted, as a verb that fits "cannot …".
        action: &'static str,
        /// What the system answered.
        #[source]
        source: io::Error,
    },
    /// Some of several things asked for failed; each was told on its own.
    #[error("{failed} of {all} failed")]
    Several {
        /// How many.
        failed: usize,
        /// Of how many.
        all: usize,
    },
    /// A signal asked kiln to stop.
    #[error("{}", stopped(*signal))]
    Interrupted {
        /// Its number.
        signal: i32,
    },
    /// Told already, in the form that was asked for.
    #[error("the build failed")]
    Told {
        /// The exit code.
        code: u8,
    },
    /// Nobody reads standard output any more.
    #[error("standard output is closed")]
    BrokenPipe,
}

/// What can be wrong with a shared cache.
#[derive(Debug, thiserror::Error)]
pub enum CacheFailure {
    /// Its place cannot be used at all.
    #[error("cannot use a shared cache")]
    Open(#[from] StorageError),
    /// It could not be written.
    #[error(transparent)]
    Export(#[from] CacheExportError),
}

/// What `main` shows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Lines that stand before the message as they are: excerpts, output.
    pub excerpt: String,
    /// One line that says what failed, unless the excerpt does.
    pub message: Option<String>,
    /// Why, outermost cause first, each said once.
    pub causes: Vec<String>,
    /// What to do about it.
    pub hint: Option<String>,
}

impl CliError {
    /// A wrong command line.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::Usage { message: message.into(), hint: None }
    }

    /// A wrong command line, and what to write instead.
    pub fn usage_with_hint(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Usage { message: message.into(), hint: Some(hint.into()) }
    }

    /// A failed file operation.
    pub fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { action, path, source }
    }

    /// A failed system call that is about no file.
    pub fn system(action: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { action, source }
    }

    /// A failed write to standard output.
    pub fn standard_output(source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::BrokenPipe => Self::BrokenPipe,
            _ => Self::System { action: "write to standard output", source },
        }
    }

    /// Everything that is told about it; `None` when nothing is.
    pub fn report(&self) -> Option<Report> {
        if let Self::BrokenPipe | Self::Told { .. } = self {
            return None;
        }
        let excerpt = match self {
            Self::Dockerfile { rendered, .. } => rendered.clone(),
            Self::Build { excerpt, .. } => excerpt.clone(),
            _ => String::new(),
        };
        if self.is_told_by_excerpt() {
            return Some(Report { excerpt, ..Report::default() });
        }
        let (message, causes, hint) = (self.to_string(), causes(self), self.hint());
        Some(Report { excerpt, message: Some(message), causes, hint })
    }

    /// True when the excerpt says what failed, where, and what to do about it.
    fn is_told_by_excerpt(&self) -> bool {
        match self {
            Self::Dockerfile { .. } => true,
            Self::Build { source, .. } => source.location().is_some(),
            _ => false,
        }
    }

    /// The exit code of every command but `run`.
    pub fn code(&self) -> u8 {
        match self {
            Self::Usage { .. } => 2,
            Self::Build { source, .. } if matches!(**source, BuildError::NotCached { .. }) => 3,
            Self::BrokenPipe => 0,
            Self::Told { code } => *code,
            Self::Interrupted { signal } => 128_u8.saturating_add(u8::try_from(*signal).unwrap_or(0)),
            _ => 1,
        }
    }

    /// The exit code of `run`, where 1 and 2 are the process's own.
    pub fn code_of_run(&self) -> u8 {
        match self {
            Self::Run(error) => match &**error {
                RunError::Sandbox(error) => u8::try_from(error.exit_code()).unwrap_or(OWN_FAILURE),
                _ => OWN_FAILURE,
            },
            Self::BrokenPipe | Self::Interrupted { .. } => self.code(),
            _ => OWN_FAILURE,
        }
    }

    fn hint(&self) -> Option<String> {
        full_disk(self).or_else(|| not_root(self)).or_else(|| self.own_hint())
    }

    fn own_hint(&self) -> Option<String> {
        match self {
            Self::Usage { hint, .. } => hint.clone(),
            Self::Build { source, .. } => source.hint(),
            Self::Context(error) => error.hint(),
            Self::Image(error) => error.hint(),
            Self::Run(error) => match &**error {
                RunError::NoCommand => Some("write a command after the image".to_owned()),
                error => error.hint(),
            },
            Self::Registry(error) => error.hint(),
            Self::Login(error) => error.hint(),
            Self::Cache(failure) => match &**failure {
                CacheFailure::Open(error) => error.hint(),
                CacheFailure::Export(error) => error.hint(),
            },
            Self::Mount(error) => match &**error {
                CacheMountError::Unknown { .. } => Some("`kiln cache ls` shows those that there are".to_owned()),
                CacheMountError::InUse { .. } => Some("wait until the build is done".to_owned()),
                CacheMountError::Unpack { .. } | CacheMountError::Mismatch { .. } => {
                    Some("the cache mount is what it was before".to_owned())
                }
                _ => None,
            },
            Self::Store(StoreError::Format { .. }) => Some(
                "another version of kiln made it: use that one, name another directory with --root or KILN_ROOT, or \
                 remove this one; its images and its cache go with it"
                    .to_owned(),
            ),
            Self::Store(_) => Some("--root or KILN_ROOT names another directory for the store".to_owned()),
            _ => None,
        }
    }
}

impl From<ContextError> for CliError {
    fn from(error: ContextError) -> Self {
        Self::Context(Box::new(error))
    }
}

impl From<CacheMountError> for CliError {
    fn from(error: CacheMountError) -> Self {
        Self::Mount(Box::new(error))
    }
}

impl From<ImageError> for CliError {
    fn from(error: ImageError) -> Self {
        Self::Image(Box::new(error))
    }
}

impl From<StorageError> for CliError {
    fn from(error: StorageError) -> Self {
        Self::Cache(Box::new(error.into()))
    }
}

impl From<CacheExportError> for CliError {
    fn from(error: CacheExportError) -> Self {
        Self::Cache(Box::new(error.into()))
    }
}

impl From<RegistryError> for CliError {
    fn from(error: RegistryError) -> Self {
        Self::Registry(Box::new(error))
    }
}

impl From<LoginError> for CliError {
    fn from(error: LoginError) -> Self {
        Self::Login(Box::new(error))
    }
}

impl From<RunError> for CliError {
    fn from(error: RunError) -> Self {
        Self::Run(Box::new(error))
    }
}

/// Whether the system refused something in one of these ways.
fn refused(error: &(dyn Error + 'static), kinds: &[io::ErrorKind]) -> bool {
    let mut chain = std::iter::successors(Some(error), |&error| error.source());
    chain.any(|error| error.downcast_ref::<io::Error>().is_some_and(|error| kinds.contains(&error.kind())))
}

/// What can be done where an ordinary user may not do something.
pub fn not_root(error: &(dyn Error + 'static)) -> Option<String> {
    let is_refused =
        !rustix::process::geteuid().is_root() && refused(error, &[io::ErrorKind::PermissionDenied]);
    is_refused.then(|| {
        "kiln needs root for what it unpacks, builds and runs, and root's store is root's alone: start it with sudo".to_owned()
    })
}

/// What can be done where the disk is full.
pub fn full_disk(error: &(dyn Error + 'static)) -> Option<String> {
    refused(error, &[io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded]).then(|| {
        "the disk is full: if the store is on it, `kiln prune` and `kiln prune --all` make room, and \
         `--keep-storage SIZE` keeps the store within a limit"
            .to_owned()
    })
}

fn stopped(signal: i32) -> String {
    if signal == INTERRUPT { "interrupted".to_owned() } else { format!("stopped by signal {signal}") }
}

fn count(errors: usize) -> String {
    if errors == 1 { "a mistake".to_owned() } else { format!("{errors} mistakes") }
}

/// What came from a file or from a server may hold anything: a message is one line without control characters.
fn one_line(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect()
}

/// The system's words without its number for them.
fn without_number(text: &str) -> &str {
    text.rsplit_once(" (os error ").map_or(text, |(words, _)| words)
}

/// The chain of sources; a cause that its parent's text already says is left out.
fn causes(error: &dyn Error) -> Vec<String> {
    let mut causes = Vec::new();
    let mut said = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = without_number(&cause.to_string()).to_owned();
        if !said.contains(&text) {
            causes.push(text.clone());
            said = text;
        }
        source = cause.source();
    }
    causes
}

impl Report {
    /// The report as it is written to standard error.
    pub fn to_text(&self) -> String {
        let mut text = self.excerpt.clone();
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        if let Some(message) = &self.message {
            text.extend(["error: ", &one_line(message), "\n"]);
        }
        for cause in &self.causes {
            text.extend(["  because: ", &one_line(cause), "\n"]);
        }
        if let Some(hint) = &self.hint {
            text.extend(["  hint: ", hint, "\n"]);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> CliError {
        CliError::file("read", Path::new("/x/Dockerfile"))(io::ErrorKind::NotFound.into())
    }

    #[test]
    fn a_report_names_place_cause_and_hint() {
        let report = CliError::usage_with_hint("no PATH", "write `.`").report();
        assert_eq!(
            report.map(|report| report.to_text()).as_deref(),
            Some("error: no PATH\n  hint: write `.`\n")
        );
        let text = file().report().map(|report| report.to_text());
        assert_eq!(text.as_deref(), Some("error: cannot read /x/Dockerfile\n  because: entity not found\n"));
    }

    #[test]
    fn an_excerpt_says_it_all() {
        let error =
            CliError::Dockerfile { file: "Dockerfile".into(), rendered: "2 | RUNN x".into(), errors: 2 };
        assert_eq!(error.to_string(), "Dockerfile has 2 mistakes");
        let text = error.report().map(|report| report.to_text());
        assert_eq!(text.as_deref(), Some("2 | RUNN x\n"));
    }

    #[test]
    fn exit_codes_are_as_documented() {
        let not_found = ImageError::NotFound { name: "x".into() };
        let broken = CliError::standard_output(io::ErrorKind::BrokenPipe.into());
        assert_eq!((CliError::usage("x").code(), CliError::usage("x").code_of_run()), (2, 125));
        assert_eq!((file().code(), file().code_of_run()), (1, 125));
        assert_eq!((broken.code(), broken.code_of_run()), (0, 0));
        assert_eq!(CliError::Interrupted { signal: 2 }.code(), 130);
        assert_eq!(CliError::Interrupted { signal: 15 }.code_of_run(), 143);
        assert_eq!(CliError::from(not_found).code_of_run(), 125);
    }

    #[test]
    fn what_needs_no_words_has_no_report_and_an_interruption_has_few() {
        let interrupted = CliError::Interrupted { signal: 2 }.report();
        assert_eq!(interrupted.map(|report| report.to_text()).as_deref(), Some("error: interrupted\n"));
        assert_eq!(CliError::BrokenPipe.report(), None);
    }

    #[test]
    fn a_cause_is_said_once() {
        let store = StoreError::NotAStore { root: "/s".into(), found: "x".into() };
        let report = CliError::from(store).report();
        let causes = report.map(|report| report.causes);
        assert_eq!(causes, Some(vec!["/s is not empty and not a kiln store (it holds `x`)".to_owned()]));
    }
}
