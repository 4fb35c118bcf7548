//! Why a connection could not be made or was lost, in one sentence.
//!
//! The client below tells a failure once for each of its layers ("client error", "dns error", …); only the innermost cause
//! says something to a person. Made by `crate::session` for [`super::RegistryError`].

use std::fmt;

use super::chain;

/// A failure of the network: its innermost cause.
#[derive(Debug)]
pub struct ConnectionError(reqwest::Error);

impl ConnectionError {
    /// Whether nobody answered in time.
    pub fn is_timeout(&self) -> bool {
        self.0.is_timeout()
    }

    /// The whole failure.
    pub(super) fn inner(&self) -> &reqwest::Error {
        &self.0
    }
}

impl From<reqwest::Error> for ConnectionError {
    fn from(error: reqwest::Error) -> Self {
        Self(error)
    }
}

impl fmt::Display for ConnectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match chain(&self.0).last() {
            Some(cause) => fmt::Display::fmt(cause, f),
            None => fmt::Display::fmt(&self.0, f),
        }
    }
}

impl std::error::Error for ConnectionError {}
