//! The failure that every module here shares: one file operation, with what was attempted and on which path.
//!
//! Modules that offer their callers a decision have an error type of their own and carry this one as a variant.

use std::io;
use std::path::{Path, PathBuf};

/// A file operation that failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}", path.display())]
pub struct FileError {
    /// What was attempted, as a verb that fits "cannot …" ("read", "create").
    pub action: &'static str,
    /// The file or directory it was attempted on.
    pub path: PathBuf,
    /// What the system answered.
    #[source]
    pub source: io::Error,
}

impl FileError {
    /// The system's kind of this failure.
    pub fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }
}

/// Gives the result of a system call its subject.
pub(crate) trait At<T> {
    /// Names what was attempted and where.
    fn at(self, action: &'static str, path: &Path) -> Result<T, FileError>;
}

impl<T, E: Into<io::Error>> At<T> for Result<T, E> {
    fn at(self, action: &'static str, path: &Path) -> Result<T, FileError> {
        self.map_err(|error| FileError { action, path: path.to_owned(), source: error.into() })
    }
}

/// `None` where the error says that there is no such file.
pub(crate) fn optional<T>(result: Result<T, FileError>) -> Result<Option<T>, FileError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
