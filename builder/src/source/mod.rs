//! Content from elsewhere: files of web servers and commits of git repositories, each as a layer of its own.
//!
//! A source's layer is known by what it holds ([`http`]: the body's digest, [`git`]: the commit), so what was fetched
//! once is not fetched again, and a step that takes files from it is answered by the cache like one that copies from
//! a stage. The solver calls this; connections are the registry crate's, and `git` is executed.

pub(crate) mod git;
pub(crate) mod http;

use std::path::Path;

use kiln_cache::{DiffId, Key, LayerInfo, Part, Record, Store, StoreError};
use kiln_registry::DownloadError;

use crate::snapshot::{LayerRef, Snapshot};
use crate::step::mounts::MountError;

pub use git::GitError;

/// Why a source could not be had. No message holds the credentials of a URL.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The web server did not give the file.
    #[error("cannot download {url}")]
    Download {
        /// The URL without secrets.
        url: String,
        /// Why.
        #[source]
        source: DownloadError,
    },
    /// The file is not the one that was asked for.
    #[error("{url} is not the expected file: its checksum is {actual}, not {expected}")]
    Checksum {
        /// The URL without secrets.
        url: String,
        /// `sha256:…` as asked for.
        expected: String,
        /// `sha256:…` of what came.
        actual: String,
    },
    /// The name that the file is to have is none.
    #[error("`{name}` is not a file name")]
    Name {
        /// The name.
        name: String,
    },
    /// The repository did not give the commit.
    #[error(transparent)]
    Git(#[from] GitError),
    /// There is no way to the SSH agent that was given.
    #[error(transparent)]
    Agent(Box<MountError>),
    /// A file of the source could not be written.
    #[error("cannot write {path}", path = path.display())]
    Write {
        /// Which.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A part of the builder stopped without an answer.
    #[error("an internal task of the builder ended without a result")]
    Lost,
}

crate::causes::store_causes!(SourceError);

impl SourceError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Download { source: DownloadError::Request(error), .. } if error.is_not_found() => {
                Some("the server has no such file: check the URL".to_owned())
            }
            Self::Checksum { actual, .. } => Some(format!(
                "the file has changed or is not the right one; if it is, write --checksum={actual}"
            )),
            Self::Git(error) => error.hint(),
            _ => None,
        }
    }
}

fn write_error(path: &Path) -> impl FnOnce(std::io::Error) -> SourceError {
    let path = path.to_owned();
    move |source| SourceError::Write { path, source }
}

/// The source that is recorded under `key`, if the store still has its layer.
fn recorded(store: &Store, key: &Key) -> Result<Option<Snapshot>, StoreError> {
    let Some(layer) = store.records().get(key)?.and_then(|record| record.layer) else { return Ok(None) };
    Ok(store.layers().info(&layer)?.is_some().then(|| snapshot(layer)))
}

/// Records a source's layer.
fn record(
    store: &Store,
    key: Key,
    parts: Vec<Part>,
    slot: Key,
    info: LayerInfo,
) -> Result<Snapshot, StoreError> {
    let layer = Some(info.diff_id.clone());
    let created = jiff::Timestamp::now();
    store.records().put(&Record {
        key,
        slot,
        parts,
        notes: Vec::new(),
        layer,
        origin: None,
        created,
        milliseconds: 0,
    })?;
    Ok(snapshot(info.diff_id))
}

fn snapshot(diff_id: DiffId) -> Snapshot {
    Snapshot::new(vec![LayerRef { diff_id, remote: None, created: None }])
}

#[cfg(test)]
mod tests;
