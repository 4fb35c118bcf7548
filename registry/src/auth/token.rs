//! Tokens: the request to a token server and what it answers (distribution specification, "Token
//! Authentication" and "OAuth2 Token Authentication"). Pure: the session sends what is described here.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use reqwest::Url;
use serde::Deserialize;

use super::{AuthError, Credential, basic};

/// Name of this client at token servers.
const CLIENT_ID: &str = "kiln";
/// Lifetime of a token that names none (distribution specification, "expires_in").
const DEFAULT_LIFETIME: Duration = Duration::from_mins(1);
/// The part of a token's life in which it is used: the rest is for clocks that differ and requests under way.
const USED_PART: f32 = 0.9;

/// What a request may do, in the words of token scopes: resource -> actions.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub(crate) struct Scope(BTreeMap<String, Vec<String>>);

impl Scope {
    /// Reading a repository.
    pub(crate) fn pull(repository: &str) -> Self {
        Self::default().with(&format!("repository:{repository}:pull"))
    }

    /// Reading and writing a repository.
    pub(crate) fn push(repository: &str) -> Self {
        Self::default().with(&format!("repository:{repository}:pull,push"))
    }

    /// This scope and reading another repository.
    pub(crate) fn and_pull(self, repository: &str) -> Self {
        self.with(&format!("repository:{repository}:pull"))
    }

    /// This scope and another one, written `type:name:actions`.
    pub(crate) fn with(mut self, scope: &str) -> Self {
        let (resource, actions) = scope.rsplit_once(':').unwrap_or((scope, ""));
        let known = self.0.entry(resource.to_owned()).or_default();
        for action in actions.split(',').filter(|action| !action.is_empty()) {
            if !known.iter().any(|other| other == action) {
                known.push(action.to_owned());
            }
        }
        known.sort_unstable();
        self
    }

    /// The scopes as they are sent.
    pub(crate) fn to_strings(&self) -> Vec<String> {
        self.0.iter().map(|(resource, actions)| format!("{resource}:{}", actions.join(","))).collect()
    }
}

/// A request to a token server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TokenRequest {
    /// Where to, with the query of a GET.
    pub(crate) url: Url,
    /// The Authorization header of a GET.
    pub(crate) authorization: Option<String>,
    /// The body of a POST (`application/x-www-form-urlencoded`); without it, it is a GET.
    pub(crate) form: Option<String>,
}

impl TokenRequest {
    /// The request for a token of `scope`: a GET, or a POST for an identity token.
    pub(crate) fn new(realm: &Url, service: Option<&str>, scope: &Scope, credential: &Credential) -> Self {
        let scopes = scope.to_strings();
        if let Credential::Identity { token } = credential {
            let mut form = realm.clone();
            form.query_pairs_mut()
                .clear()
                .append_pair("grant_type", "refresh_token")
                .append_pair("refresh_token", token)
                .append_pair("client_id", CLIENT_ID)
                .extend_pairs(service.map(|service| ("service", service)))
                .append_pair("scope", &scopes.join(" "));
            return Self {
                url: realm.clone(),
                authorization: None,
                form: Some(form.query().unwrap_or_default().to_owned()),
            };
        }
        let mut url = realm.clone();
        let mut query = url.query_pairs_mut();
        query.extend_pairs(service.map(|service| ("service", service)));
        query.extend_pairs(scopes.iter().map(|scope| ("scope", scope)));
        let mut authorization = None;
        if let Credential::Basic { username, password } = credential {
            query.append_pair("account", username).append_pair("client_id", CLIENT_ID);
            authorization = Some(basic(username, password));
        }
        drop(query);
        Self { url, authorization, form: None }
    }
}

/// A token and when it ends.
#[derive(Clone)]
pub(crate) struct Token {
    text: String,
    good_until: Instant,
}

impl Token {
    /// Reads a token server's answer.
    pub(crate) fn read(body: &[u8], now: Instant) -> Result<Self, AuthError> {
        #[derive(Deserialize)]
        struct Answer {
            token: Option<String>,
            access_token: Option<String>,
            expires_in: Option<u64>,
        }
        let answer: Answer =
            serde_json::from_slice(body).map_err(|source| AuthError::TokenAnswer { source })?;
        let text = [answer.token, answer.access_token].into_iter().flatten().find(|token| !token.is_empty());
        let text = text.ok_or(AuthError::NoToken)?;
        if !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(AuthError::NoToken);
        }
        // The specification's lower bound; also an upper one, so that no server can overflow a clock.
        let life = answer.expires_in.map_or(DEFAULT_LIFETIME, Duration::from_secs);
        let life = life.clamp(DEFAULT_LIFETIME, Duration::from_hours(24));
        Ok(Self { text, good_until: now + life.mul_f32(USED_PART) })
    }

    /// The Authorization header, while the token is good.
    pub(crate) fn header(&self, now: Instant) -> Option<String> {
        (now < self.good_until).then(|| format!("Bearer {}", self.text))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn realm() -> Url {
        Url::parse("https://auth.example/token?x=1").unwrap()
    }

    #[test]
    fn scopes_merge() {
        let scope = Scope::push("a/b").and_pull("c").with("repository:a/b:pull").with("registry:catalog:*");
        assert_eq!(
            scope.to_strings(),
            ["registry:catalog:*", "repository:a/b:pull,push", "repository:c:pull"]
        );
    }

    #[test]
    fn asks_by_get_or_post() {
        let scope = Scope::push("a/b").and_pull("c");
        let anonymous = TokenRequest::new(&realm(), Some("r.example"), &scope, &Credential::None);
        let query = "https://auth.example/token?x=1&service=r.example&scope=repository%3Aa%2Fb%3Apull%2Cpush&scope=repository%3Ac%3Apull";
        assert_eq!(
            (anonymous.url.as_str(), &anonymous.authorization, &anonymous.form),
            (query, &None, &None)
        );
        let user = Credential::Basic { username: "me".into(), password: "pw".into() };
        let user = TokenRequest::new(&realm(), None, &Scope::pull("a"), &user);
        assert!(user.url.as_str().ends_with("scope=repository%3Aa%3Apull&account=me&client_id=kiln"));
        assert_eq!(user.authorization.as_deref(), Some("Basic bWU6cHc="));
        let identity = Credential::Identity { token: "i&d".into() };
        let identity = TokenRequest::new(&realm(), Some("s"), &Scope::pull("a"), &identity);
        assert_eq!(identity.url, realm());
        assert_eq!(
            identity.form.as_deref(),
            Some(
                "grant_type=refresh_token&refresh_token=i%26d&client_id=kiln&service=s&scope=repository%3Aa%3Apull"
            )
        );
    }

    #[test]
    fn reads_answers() {
        let now = Instant::now();
        let token = Token::read(br#"{"access_token":"t","expires_in":300}"#, now).unwrap();
        assert_eq!(token.header(now + Duration::from_secs(269)).as_deref(), Some("Bearer t"));
        assert_eq!(token.header(now + Duration::from_secs(271)), None);
        let short = Token::read(br#"{"token":"t","expires_in":1}"#, now).unwrap();
        assert!(short.header(now + Duration::from_secs(50)).is_some());
        assert!(Token::read(br#"{"token":"t","expires_in":18446744073709551615}"#, now).is_ok());
        for bad in [&b"{}"[..], b"", br#"{"token":""}"#, b"{\"token\":\"a\\nb\"}"] {
            assert!(Token::read(bad, now).is_err());
        }
    }
}
