//! Why something could not be read from a view.

use std::path::PathBuf;

use crate::error::FileError;

/// Why something could not be read from a view. Paths are those of the merged tree, unless a variant says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// A file operation failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// There is no such file.
    #[error("{}: no such file or directory", path.display())]
    NotFound {
        /// The path asked for.
        path: PathBuf,
    },
    /// Something on the way is not a directory.
    #[error("{} is not a directory", path.display())]
    NotADirectory {
        /// The path that is none.
        path: PathBuf,
    },
    /// Only regular files are opened.
    #[error("{} is not a regular file", path.display())]
    NotAFile {
        /// The path of the file, in its tree.
        path: PathBuf,
    },
    /// Following symbolic links does not end.
    #[error("too many symbolic links in {}", path.display())]
    TooManyLinks {
        /// The path asked for.
        path: PathBuf,
    },
    /// The file is larger than the caller can use.
    #[error("{} has {size} bytes, more than the {limit} that are read at once", path.display())]
    TooLarge {
        /// The path asked for.
        path: PathBuf,
        /// Its size in bytes.
        size: u64,
        /// The caller's limit in bytes.
        limit: u64,
    },
    /// A path with `..` was used where a resolved one is needed.
    #[error("{} is not resolved: it has `..` in it", path.display())]
    Unresolved {
        /// The path given.
        path: PathBuf,
    },
}
