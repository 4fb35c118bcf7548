//! Logging in, as a pure state machine: what a registry asked for in, what to do next out.
//!
//! An [`Authority`] belongs to one registry; it knows its credential, its scheme and its tokens. It does no
//! I/O: the session looks up the credential ([`config`], [`helper`]), fetches tokens and sends requests.
//! Invariant: a credential leaves an authority only in a header for its own registry, or in a request to
//! the token server that this registry itself named.

mod challenge;
pub(crate) mod config;
mod edit;
mod helper;
mod logins;
mod store;
mod token;

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;

pub use logins::{Answer as LoginAnswer, Login, Logins};
pub use store::{Keeper, StoredLogins};

pub(crate) use challenge::{Challenge, parse as parse_challenges};
pub(crate) use token::{Scope, Token, TokenRequest};

use crate::error::{LoginUse, StatusError};

/// Why a login failed.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// The registry refused the request and names no way to log in that is understood.
    #[error("the registry offers no login that is understood (Basic or Bearer)")]
    NoChallenge,
    /// The registry wants a login and there is none.
    #[error("the registry wants a login and there is none for it")]
    NoCredential,
    /// User and password, or the token, are wrong.
    #[error("the registry does not accept the stored login")]
    Refused,
    /// The token server's URL is none, or would send credentials in clear text.
    #[error("the token server `{realm}` cannot be used: {reason}")]
    Realm {
        /// The URL as the registry gave it.
        realm: String,
        /// Why.
        reason: &'static str,
    },
    /// The token server said no.
    #[error("the token server refused")]
    TokenStatus {
        /// Its answer.
        #[source]
        source: Box<StatusError>,
    },
    /// The token server could not be reached.
    #[error("no connection to the token server {url}")]
    TokenTransport {
        /// Its URL without secrets.
        url: String,
        /// Why.
        #[source]
        source: Box<crate::error::RegistryError>,
    },
    /// The token server's answer is not JSON.
    #[error("the token server's answer is not understood")]
    TokenAnswer {
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
    /// The token server's answer has no usable token.
    #[error("the token server's answer has no token")]
    NoToken,
    /// Docker's configuration file cannot be read.
    #[error("cannot read {}", path.display())]
    ConfigRead {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Docker's configuration file is not what it should be.
    #[error("{} is not a valid docker configuration", path.display())]
    ConfigParse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
    /// Docker's configuration file cannot be written.
    #[error("cannot write {}", path.display())]
    ConfigWrite {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A stored login is not `user:password` in base64.
    #[error("the login of `{entry}` in {} is damaged", path.display())]
    ConfigEntry {
        /// The file.
        path: PathBuf,
        /// The entry below `auths`.
        entry: String,
    },
    /// Whoever knows the login did not tell it.
    #[error("the login could not be asked for: {message}")]
    Asked {
        /// What was said.
        message: String,
    },
    /// A credential helper cannot be started.
    #[error("cannot run the credential helper `{program}`")]
    HelperStart {
        /// The program's name.
        program: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A credential helper failed.
    #[error("the credential helper `{program}` failed: {message}")]
    Helper {
        /// The program's name.
        program: String,
        /// What it said.
        message: String,
    },
}

impl AuthError {
    /// Whether the same login may succeed a moment later.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::TokenStatus { source } => source.is_temporary(),
            Self::TokenTransport { source, .. } => source.is_temporary(),
            _ => false,
        }
    }

    /// Whether the registry or its token server refused, as opposed to something being broken.
    pub fn is_refused(&self) -> bool {
        match self {
            Self::NoCredential | Self::Refused => true,
            Self::TokenStatus { source } => matches!(source.status.as_u16(), 401 | 403),
            _ => false,
        }
    }

    /// What the user can do about it, where something is known.
    pub fn hint(&self, host: &str) -> Option<String> {
        match self {
            Self::HelperStart { program, .. } => Some(format!(
                "install {program}, or remove it from credsStore and credHelpers in docker's config.json"
            )),
            Self::ConfigEntry { .. } => Some(format!("log in again: kiln login {host}")),
            Self::NoCredential => Some(LoginUse { host: host.to_owned(), shown: false }.hint()),
            Self::Refused => Some(LoginUse { host: host.to_owned(), shown: true }.hint()),
            Self::TokenStatus { source } if self.is_refused() => source.login.as_ref().map(LoginUse::hint),
            _ => None,
        }
    }
}

/// What is known to prove who the user is.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Credential {
    /// Nothing.
    None,
    /// User and password.
    Basic {
        /// The user.
        username: String,
        /// The password.
        password: String,
    },
    /// A refresh token for the token server.
    Identity {
        /// The token.
        token: String,
    },
    /// A finished token for the registry.
    Registry {
        /// The token.
        token: String,
    },
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "Credential::None",
            Self::Basic { .. } => "Credential::Basic(…)",
            Self::Identity { .. } => "Credential::Identity(…)",
            Self::Registry { .. } => "Credential::Registry(…)",
        })
    }
}

/// What to do after a challenge.
#[derive(Debug)]
pub(crate) enum Next {
    /// Look up the registry's credential, tell it, and present the challenge again.
    FindCredential,
    /// Send the request again with this Authorization header.
    Send(String),
    /// Fetch a token, tell it, and send the request again with the header that gives.
    Fetch(TokenRequest),
    /// Give up.
    Fail(AuthError),
}

/// The login state of one registry.
#[derive(Default)]
pub(crate) struct Authority {
    credential: Option<Credential>,
    basic: bool,
    tokens: HashMap<Scope, Token>,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("credential", &self.credential).finish_non_exhaustive()
    }
}

impl Authority {
    /// The Authorization header to send right away, if one is known to be wanted.
    pub(crate) fn authorization(&self, scope: &Scope, now: Instant) -> Option<String> {
        match &self.credential {
            Some(Credential::Registry { token }) => Some(format!("Bearer {token}")),
            Some(Credential::Basic { username, password }) if self.basic => Some(basic(username, password)),
            _ => self.tokens.get(scope).and_then(|token| token.header(now)),
        }
    }

    /// Whether there is anything to prove who the user is with.
    pub(crate) fn has_login(&self) -> bool {
        !matches!(self.credential, None | Some(Credential::None))
    }

    /// Takes the credential that was looked up.
    pub(crate) fn found(&mut self, credential: Credential) {
        self.credential = Some(credential);
    }

    /// Decides after the registry refused a request of `scope` that was sent with the header `sent`.
    /// `clear_text` says whether a token server at that URL may be spoken to without TLS.
    pub(crate) fn challenged(
        &mut self,
        challenges: &[Challenge],
        scope: &Scope,
        sent: Option<&str>,
        now: Instant,
        clear_text: impl Fn(&Url) -> bool,
    ) -> Next {
        let Some(credential) = &self.credential else {
            return Next::FindCredential;
        };
        // Another request may have renewed the token meanwhile.
        if let Some(known) = self.authorization(scope, now).filter(|known| sent != Some(known.as_str())) {
            return Next::Send(known);
        }
        let bearer = challenges.iter().find(|challenge| matches!(challenge, Challenge::Bearer { .. }));
        match (bearer, credential) {
            (Some(_), Credential::Registry { .. }) => Next::Fail(AuthError::Refused),
            (Some(Challenge::Bearer { realm, service, scopes }), credential) => {
                match to_realm(realm, clear_text) {
                    Ok(url) => {
                        let wanted = scopes.iter().fold(scope.clone(), |all, scope| all.with(scope));
                        Next::Fetch(TokenRequest::new(&url, service.as_deref(), &wanted, credential))
                    }
                    Err(error) => Next::Fail(error),
                }
            }
            _ if !challenges.contains(&Challenge::Basic) => Next::Fail(AuthError::NoChallenge),
            (_, Credential::Basic { .. }) if self.basic => Next::Fail(AuthError::Refused),
            (_, Credential::Basic { username, password }) => {
                self.basic = true;
                Next::Send(basic(username, password))
            }
            _ => Next::Fail(AuthError::NoCredential),
        }
    }

    /// Takes a token server's answer; gives the header for the request that was refused.
    pub(crate) fn granted(&mut self, scope: &Scope, body: &[u8], now: Instant) -> Result<String, AuthError> {
        let token = Token::read(body, now)?;
        let header = token.header(now).ok_or(AuthError::NoToken)?;
        self.tokens.insert(scope.clone(), token);
        Ok(header)
    }
}

fn to_realm(realm: &str, clear_text: impl Fn(&Url) -> bool) -> Result<Url, AuthError> {
    let wrong = |reason| AuthError::Realm { realm: realm.to_owned(), reason };
    let url = Url::parse(realm).map_err(|_| wrong("it is not a URL"))?;
    match url.scheme() {
        "https" => Ok(url),
        "http" if clear_text(&url) => Ok(url),
        "http" => Err(wrong("credentials are not sent over plain HTTP")),
        _ => Err(wrong("it is not an HTTP URL")),
    }
}

fn basic(username: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{username}:{password}")))
}

#[cfg(test)]
mod tests;
