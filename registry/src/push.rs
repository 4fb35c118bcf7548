//! Pushing.
use std::fmt;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

type Open = dyn Fn() -> io::Result<Box<dyn Read + Send>> + Send + Sync;

/// Where a blob's bytes come from; opened again when an upload is tried again.
#[derive(Clone)]
pub struct BlobSource {
    #[allow(dead_code)]
    open: Arc<Open>,
}

impl fmt::Debug for BlobSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BlobSource")
    }
}

impl BlobSource {
    /// A source that `open` opens.
    pub fn new<R: Read + Send + 'static>(open: impl Fn() -> io::Result<R> + Send + Sync + 'static) -> Self {
        Self { open: Arc::new(move || Ok(Box::new(open()?))) }
    }

    /// A file.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Self::new(move || std::fs::File::open(&path))
    }

    /// Bytes in memory.
    pub fn bytes(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self::new(move || Ok(io::Cursor::new(bytes.clone())))
    }
}

/// How a blob came to be in the repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushOutcome {
    /// It was there already.
    Existed,
    /// The registry took it from another of its repositories.
    Mounted,
    /// It was sent.
    Uploaded,
}
