//! Whether a registry accepts a login, asked before the login is kept. Called by `login` of the command line.

use std::sync::Arc;

use reqwest::Method;

use crate::auth::{Login, LoginAnswer, Logins, Scope};
use crate::client::Client;
use crate::error::RegistryError;
use crate::retry::retrying;
use crate::session::Call;

/// The login that is to be tried.
#[derive(Debug)]
struct Tried(Login);

impl Logins for Tried {
    fn login<'a>(&'a self, _: &'a str) -> LoginAnswer<'a> {
        let login = self.0.clone();
        Box::pin(async move { Ok(Some(login)) })
    }
}

impl Client {
    /// Asks a registry (`host[:port]`) for its API's root with this login in place of those of docker's configuration
    /// file; a refusal is an error that [`RegistryError::is_unauthorized`]. A registry that asks nobody for a login
    /// accepts them all.
    pub async fn verify_login(&self, registry: &str, login: Login) -> Result<(), RegistryError> {
        let session = self.with_logins(Arc::new(Tried(login))).session_with(registry);
        retrying(&self.options().retry, async || {
            let root = session.url("").await?;
            session.send(&Call::new(Method::GET, root, Scope::default())).await.map(drop)
        })
        .await
    }
}
