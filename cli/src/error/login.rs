//! How a failed `login` or `logout` is told: what was wanted, where, and whether it was the registry that refused.
//!
//! Made by [`crate::commands`], told with the other errors.

use kiln_registry::{AuthError, RegistryError};

/// A login that was not accepted, or could not be kept or removed.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.message())]
pub struct LoginError {
    /// What was wanted, as words that fit "cannot …": `log in to`, `log out of`.
    pub action: &'static str,
    /// The registry, as docker names it.
    pub host: String,
    /// Why it failed.
    #[source]
    pub source: LoginFailure,
}

/// Why a login failed.
#[derive(Debug, thiserror::Error)]
pub enum LoginFailure {
    /// The registry's answer, or that it did not answer.
    #[error(transparent)]
    Registry(RegistryError),
    /// The way to log in, or the file or program that keeps logins.
    #[error(transparent)]
    Login(AuthError),
}

impl LoginError {
    /// The registry did not accept a login.
    pub fn verifying(host: &str, error: RegistryError) -> Self {
        let source = match error {
            RegistryError::Auth { source, .. } => LoginFailure::Login(source),
            error => LoginFailure::Registry(error),
        };
        Self { action: "log in to", host: host.to_owned(), source }
    }

    /// Whether the registry or its token server said no.
    pub fn is_refused(&self) -> bool {
        match &self.source {
            LoginFailure::Registry(error) => error.is_unauthorized(),
            LoginFailure::Login(error) => error.is_refused(),
        }
    }

    fn message(&self) -> String {
        let Self { action, host, .. } = self;
        if self.is_refused() {
            format!("the login for {host} was refused")
        } else {
            format!("cannot {action} {host}")
        }
    }

    /// What the user can do about it, where something is known.
    pub fn hint(&self) -> Option<String> {
        match &self.source {
            _ if self.is_refused() => Some(
                "check user and password; many registries take an access token in the place of the password"
                    .to_owned(),
            ),
            LoginFailure::Registry(error) if error.is_not_found() => {
                Some(format!("there is no registry at {}: check the host", self.host))
            }
            LoginFailure::Registry(error) => error.hint(),
            LoginFailure::Login(error) => error.hint(&self.host),
        }
    }
}
