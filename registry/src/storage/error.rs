//! Why a shared cache's place did not do what was asked.

use std::path::PathBuf;

use oci_spec::image::Digest;

use crate::digest::VerifyError;
use crate::document::DocumentError;
use crate::error::RegistryError;
use crate::reference::ReferenceError;

/// A failure of a place that holds a shared cache.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The registry, or the way there.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The reference is none.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// A file of a directory could not be used.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was attempted, as a verb that fits "cannot …".
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system answered.
        #[source]
        source: std::io::Error,
    },
    /// The directory's index is not one.
    #[error("{} is not an OCI index", path.display())]
    Index {
        /// The file.
        path: PathBuf,
        /// Where it stops making sense.
        #[source]
        source: serde_json::Error,
    },
    /// No service can be asked for a bucket that is described so.
    #[error("the bucket {bucket} cannot be reached: {problem}")]
    Bucket {
        /// Its name.
        bucket: String,
        /// What is wrong.
        problem: String,
    },
    /// The object service, or the way there.
    #[error("{action} of {key}")]
    Object {
        /// What was asked, as a noun.
        action: &'static str,
        /// The object, as a URL.
        key: String,
        /// What it answered.
        #[source]
        source: Box<object_store::Error>,
    },
    /// The cache service of Actions refused.
    #[error("the Actions cache service: {call}: {problem}")]
    Service {
        /// What was asked.
        call: &'static str,
        /// What it answered.
        problem: String,
    },
    /// The place has no such blob.
    #[error("{place} has no blob {digest}")]
    Missing {
        /// The place.
        place: String,
        /// The blob.
        digest: Digest,
    },
    /// What came is not what its digest says.
    #[error("{subject}: content does not verify")]
    Verify {
        /// The blob.
        subject: String,
        /// What differs.
        #[source]
        source: VerifyError,
    },
    /// A document that cannot be used.
    #[error("{place}: unusable document")]
    Document {
        /// The place.
        place: String,
        /// Why.
        #[source]
        source: DocumentError,
    },
    /// Something that is small everywhere else is large here.
    #[error("{subject} has {size} bytes, more than the {limit} that are accepted")]
    TooLarge {
        /// The blob or document.
        subject: String,
        /// Its size.
        size: u64,
        /// The limit.
        limit: u64,
    },
}

impl StorageError {
    /// True if there is simply nothing of that name.
    pub fn is_not_found(&self) -> bool {
        match self {
            Self::Registry(error) => error.is_not_found(),
            Self::Missing { .. } => true,
            Self::File { source, .. } => source.kind() == std::io::ErrorKind::NotFound,
            Self::Object { source, .. } => matches!(**source, object_store::Error::NotFound { .. }),
            _ => false,
        }
    }

    /// True if it says something about one blob and nothing about the place.
    pub fn is_of_one_blob(&self) -> bool {
        let is_wrong = matches!(self, Self::Verify { .. } | Self::Registry(RegistryError::Verify { .. }));
        is_wrong || self.is_not_found()
    }

    /// True if the bytes that were to be sent are not on this machine.
    pub fn is_source(&self) -> bool {
        matches!(self, Self::Registry(RegistryError::Source { .. }))
    }

    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Registry(error) => error.hint(),
            _ => None,
        }
    }
}
