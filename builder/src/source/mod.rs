//! Content from elsewhere: files of web servers and commits of git repositories, each as a layer of its own.
//!
//! A source's layer is known by what it holds ([`http`]: the body's digest, [`git`]: the commit), so what was fetched
//! once is not fetched again, and a step that takes files from it is answered by the cache like one that copies from
//! a stage. The solver calls this; connections are the registry crate's, and `git` is executed.

pub(crate) mod git;
pub(crate) mod http;
mod look;

use std::path::Path;

use kiln_cache::{DiffId, Key, KeyBuilder, LayerInfo, Part, Record, Store, StoreError};
use kiln_registry::DownloadError;

use crate::shared::SharedCaches;
use crate::snapshot::{LayerRef, Snapshot};
use crate::step::mounts::MountError;

pub use git::GitError;
pub use look::{Commit, RemoteFile};

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

/// Where sources are kept and found.
#[derive(Clone, Copy)]
pub(crate) struct Kept<'a> {
    /// The store.
    pub(crate) store: &'a Store,
    /// Caches that may have what the store does not have.
    pub(crate) shared: &'a SharedCaches,
}

impl Kept<'_> {
    /// The source that is recorded under the key of `parts`, if its layer is here or can be had.
    async fn recorded(&self, parts: KeyBuilder, slot: &Key) -> Result<Option<Snapshot>, StoreError> {
        let (key, parts) = parts.finish();
        if let Some(record) = self.store.records().get(&key)?
            && let Some(layer) = record.layer.clone()
        {
            let here = self.store.layers().info(&layer)?.is_some();
            let remote = if here { None } else { self.shared.remote_of(&record) };
            if here || remote.is_some() {
                let layer = LayerRef { remote, ..layer_ref(layer) };
                self.shared.used(&record, &layer);
                return Ok(Some(Snapshot::new(vec![layer])));
            }
        }
        let found = self.shared.take(self.store, unfinished(key, *slot, parts)).await?;
        Ok(found.map(|(_, layer)| Snapshot::new(vec![LayerRef { created: None, ..layer }])))
    }

    /// Records a source's layer.
    fn record(&self, parts: KeyBuilder, slot: Key, info: LayerInfo) -> Result<Snapshot, StoreError> {
        let (key, parts) = parts.finish();
        let (layer, created) = (Some(info.diff_id.clone()), jiff::Timestamp::now());
        let record = Record { layer, created, ..unfinished(key, slot, parts) };
        self.store.records().put(&record)?;
        let layer = layer_ref(info.diff_id);
        self.shared.used(&record, &layer);
        Ok(Snapshot::new(vec![layer]))
    }

    /// What is remembered under a key, here or in a shared cache.
    async fn memo(&self, key: &Key) -> Result<Option<Vec<u8>>, StoreError> {
        let value = match self.store.records().memo(key)? {
            Some(value) => Some(value),
            None => self.shared.memo(key).await,
        };
        if let Some(value) = &value {
            self.shared.used_memo(key, value);
        }
        Ok(value)
    }

    /// Remembers bytes under a key.
    fn set_memo(&self, key: &Key, value: &[u8]) -> Result<(), StoreError> {
        self.store.records().set_memo(key, value)?;
        self.shared.used_memo(key, value);
        Ok(())
    }
}

/// A record without a result.
fn unfinished(key: Key, slot: Key, parts: Vec<Part>) -> Record {
    let created = jiff::Timestamp::UNIX_EPOCH;
    Record { key, slot, parts, notes: Vec::new(), layer: None, origin: None, created, milliseconds: 0 }
}

fn layer_ref(diff_id: DiffId) -> LayerRef {
    LayerRef { diff_id, remote: None, created: None }
}

#[cfg(test)]
mod tests;
