//! The session's side of logging in: looking up the credential and fetching tokens, as the authority decides.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use reqwest::{Method, Response, Url};

use super::answer::to_status_error;
use super::{Call, Payload, Session};
use crate::auth::config::DockerConfig;
use crate::auth::{AuthError, Credential, Next, Scope, TokenRequest, parse_challenges};
use crate::endpoint::{HTTP, is_insecure};
use crate::error::{LoginUse, RegistryError, redact};

/// Longest answer of a token server that is read.
const MAX_TOKEN: u64 = 256 << 10;

impl Session {
    /// Does what a challenge asks for and gives the header to try again with; nothing if the registry names
    /// no way to log in: then its refusal is the answer. Requests that are challenged at the same time wait
    /// here for the first one's token.
    pub(super) async fn log_in(
        &self,
        response: &Response,
        scope: &Scope,
        sent: Option<&str>,
    ) -> Result<Option<String>, RegistryError> {
        let challenges: Vec<_> = response
            .headers()
            .get_all(WWW_AUTHENTICATE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(parse_challenges)
            .collect();
        let clear_text_registry = response.url().scheme() == HTTP;
        let clear_text = |url: &Url| clear_text_registry || is_insecure(url, &self.shared.options.insecure);
        let mut authority = self.authority.lock().await;
        loop {
            match authority.challenged(&challenges, scope, sent, Instant::now(), clear_text) {
                Next::FindCredential => authority.found(self.find_credential().await?),
                Next::Send(header) => return Ok(Some(header)),
                Next::Fetch(request) => {
                    let body = self.fetch_token(&request).await.map_err(|source| self.auth_error(source))?;
                    let header = authority.granted(scope, &body, Instant::now());
                    return header.map(Some).map_err(|source| self.auth_error(source));
                }
                Next::Fail(AuthError::NoChallenge) => return Ok(None),
                Next::Fail(error) => return Err(self.auth_error(error)),
            }
        }
    }

    /// What is known of the login that a refused request was sent with; nothing if the registry offered no way to log
    /// in, or is another one that a redirect led to.
    pub(super) async fn login_use(&self, authorization: Option<&str>) -> Option<LoginUse> {
        authorization?;
        let shown = self.authority.lock().await.has_login();
        Some(LoginUse { host: self.registry.clone(), shown })
    }

    async fn find_credential(&self) -> Result<Credential, RegistryError> {
        if let Some(logins) = &self.shared.logins {
            let asked = logins.login(&self.registry).await;
            return asked
                .map(Credential::from)
                .map_err(|message| self.auth_error(AuthError::Asked { message }));
        }
        let config = self
            .shared
            .config
            .get_or_try_init(|| load_config(self.shared.options.docker_config.clone()))
            .await;
        let config = Arc::clone(config.map_err(|source| self.auth_error(source))?);
        let registry = self.registry.clone();
        let credential = blocking(move || config.credential(&registry)).await;
        credential.map_err(|source| self.auth_error(source))
    }

    async fn fetch_token(&self, request: &TokenRequest) -> Result<Bytes, AuthError> {
        let method = if request.form.is_some() { Method::POST } else { Method::GET };
        let mut call = Call::new(method, request.url.clone(), Scope::default());
        if let Some(form) = &request.form {
            call = call.header(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
            call.payload = Payload::Bytes(Bytes::copy_from_slice(form.as_bytes()));
        }
        let unreachable =
            |source| AuthError::TokenTransport { url: redact(&request.url), source: Box::new(source) };
        let response = self
            .exchange(&call, &request.url, request.authorization.as_deref())
            .await
            .map_err(unreachable)?;
        if !response.status().is_success() {
            let mut source = to_status_error(&call.method, &request.url, response).await;
            let shown = request.authorization.is_some() || request.form.is_some();
            source.login = Some(LoginUse { host: self.registry.clone(), shown });
            return Err(AuthError::TokenStatus { source: Box::new(source) });
        }
        let body = self.body(&call, response, MAX_TOKEN).await.map_err(unreachable)?;
        body.ok_or(AuthError::NoToken)
    }

    fn auth_error(&self, source: AuthError) -> RegistryError {
        RegistryError::Auth { host: self.registry.clone(), source }
    }
}

async fn load_config(path: Option<PathBuf>) -> Result<Arc<DockerConfig>, AuthError> {
    match path {
        Some(path) => blocking(move || DockerConfig::load(&path).map(Arc::new)).await,
        None => Ok(Arc::default()),
    }
}

/// Runs what may block where it may.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, AuthError> + Send + 'static,
) -> Result<T, AuthError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(join) => {
            Err(AuthError::Helper { program: "docker-credential".into(), message: join.to_string() })
        }
    }
}
