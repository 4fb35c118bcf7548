//! Logins that somebody else knows: a client whose build this is.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;

use super::Credential;

/// Who proves who the user is.
#[derive(Clone, PartialEq, Eq)]
pub enum Login {
    /// User and password.
    Basic {
        /// The user.
        username: String,
        /// The password.
        password: String,
    },
    /// A refresh token for the registry's token server.
    Identity {
        /// The token.
        token: String,
    },
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Basic { .. } => "Login::Basic(…)",
            Self::Identity { .. } => "Login::Identity(…)",
        })
    }
}

impl From<Option<Login>> for Credential {
    fn from(login: Option<Login>) -> Self {
        match login {
            None => Self::None,
            Some(Login::Basic { username, password }) => Self::Basic { username, password },
            Some(Login::Identity { token }) => Self::Identity { token },
        }
    }
}

/// An answer that takes its time: a login, none, or in one line why it could not be had.
pub type Answer<'a> = Pin<Box<dyn Future<Output = Result<Option<Login>, String>> + Send + 'a>>;

/// Asked for a login in place of docker's configuration file.
pub trait Logins: Debug + Send + Sync {
    /// The login at a registry (`host[:port]`, as references name it: `docker.io` for Docker's own).
    fn login<'a>(&'a self, registry: &'a str) -> Answer<'a>;
}
