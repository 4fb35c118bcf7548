//! What is wrong with a graph that a client sent.

use prost_types::Any;
use tonic::{Code, Status};

use super::origin::Origins;
use crate::failure;

/// What is wrong with a graph. Operations are named by their digests, as the client knows them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LlbError {
    /// There is nothing in it.
    #[error("invalid empty definition")]
    Empty,
    /// It has more operations than are looked at.
    #[error("the definition has {count} operations, more than {most}")]
    TooMany {
        /// How many it has.
        count: usize,
        /// How many there may be.
        most: usize,
    },
    /// An operation is no message of the protocol.
    #[error("operation {number} ({digest}) cannot be decoded: {detail}")]
    Undecodable {
        /// Its place in the definition, from 0.
        number: usize,
        /// Its digest.
        digest: String,
        /// What the decoder says.
        detail: String,
    },
    /// The last operation, which says what the result is, does not name exactly one input.
    #[error("the last operation of the definition has {count} inputs in place of the one that is the result")]
    NoResult {
        /// How many it has.
        count: usize,
    },
    /// An operation takes the result of one that is not there.
    #[error("invalid missing input digest {digest}")]
    MissingInput {
        /// The digest of what is not there.
        digest: String,
    },
    /// An operation takes its own result.
    #[error("operation {digest} needs its own result")]
    Cycle {
        /// Its digest.
        digest: String,
    },
    /// An operation takes a result that the other one does not have.
    #[error("operation {digest} has no output {index}")]
    NoOutput {
        /// The other one.
        digest: String,
        /// The number of the result.
        index: i64,
    },
    /// An operation that makes no sense, or cannot be done here.
    #[error("{op} operation {digest}: {field}: {detail}")]
    Field {
        /// Its kind.
        op: &'static str,
        /// Its digest.
        digest: String,
        /// Which field, or attribute.
        field: String,
        /// What is wrong, and what is expected.
        detail: String,
        /// Whether it makes sense and is not done here.
        unsupported: bool,
    },
}

impl LlbError {
    /// The error as it is sent, with the lines that it is about.
    pub(super) fn told(&self, origins: &Origins) -> Status {
        let details = self.operation().map(|digest| origins.details(digest)).unwrap_or_default();
        self.status(details)
    }

    /// The operation that is wrong.
    fn operation(&self) -> Option<&str> {
        match self {
            Self::Field { digest, .. } | Self::NoOutput { digest, .. } | Self::Cycle { digest } => {
                Some(digest)
            }
            _ => None,
        }
    }

    fn status(&self, details: Vec<Any>) -> Status {
        let code = match self {
            Self::Field { unsupported: true, .. } => Code::Unimplemented,
            _ => Code::InvalidArgument,
        };
        failure::with_details(code, &self.to_string(), details)
    }
}

impl From<LlbError> for Status {
    fn from(error: LlbError) -> Self {
        error.status(Vec::new())
    }
}
