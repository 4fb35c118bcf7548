//! Logins of the test registry: none, Basic, or tokens from its own token server at `/token`.

use axum::body::Body;
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::State;

/// Who is let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Login {
    /// Everybody.
    None,
    /// Whoever sends this user and password.
    Basic(&'static str, &'static str),
    /// Whoever has a token of the right scope, which everybody gets.
    AnonymousToken,
    /// Whoever has a token of the right scope, for this user and password.
    Token(&'static str, &'static str),
    /// Whoever has a token of the right scope, for this identity token.
    Identity(&'static str),
}

/// The answer to a request that may not pass; nothing if it may.
pub(super) fn refusal(
    state: &State,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
) -> Option<Response<Body>> {
    let sent = authorization(headers);
    let (challenge, code) = match &state.login {
        Login::None => return None,
        Login::Basic(user, password) if sent.as_deref() == Some(basic(user, password).as_str()) => {
            return None;
        }
        Login::Basic(..) => ("Basic realm=\"test\"".to_owned(), "UNAUTHORIZED"),
        _ => {
            let scope = scope(method, uri);
            if sent.is_some_and(|sent| grants(&sent, &scope)) {
                return None;
            }
            let realm = format!("http://{}/token", state.address);
            let scope = if scope.is_empty() { String::new() } else { format!(",scope=\"{scope}\"") };
            (format!("Bearer realm=\"{realm}\",service=\"test\"{scope}"), "UNAUTHORIZED")
        }
    };
    let body = format!(r#"{{"errors":[{{"code":"{code}","message":"authentication required"}}]}}"#);
    let answer =
        Response::builder().status(StatusCode::UNAUTHORIZED).header(header::WWW_AUTHENTICATE, challenge);
    Some(answer.body(body.into()).unwrap())
}

/// The token server.
pub(super) fn token(
    state: &State,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    body: &[u8],
) -> Response<Body> {
    let form =
        if method == Method::POST { String::from_utf8_lossy(body) } else { uri.query().unwrap_or("").into() };
    let pairs = reqwest::Url::parse(&format!("form:?{form}")).unwrap();
    let value =
        |name: &str| pairs.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    let allowed = match &state.login {
        Login::AnonymousToken => authorization(headers).is_none(),
        Login::Token(user, password) => {
            authorization(headers) == Some(basic(user, password)) && value("account").as_deref() == Some(user)
        }
        Login::Identity(token) => method == Method::POST && value("refresh_token").as_deref() == Some(token),
        Login::None | Login::Basic(..) => false,
    };
    if !allowed || value("service").as_deref() != Some("test") {
        let body = r#"{"details":"incorrect username or password"}"#;
        return Response::builder().status(StatusCode::UNAUTHORIZED).body(body.into()).unwrap();
    }
    let scopes: Vec<_> =
        pairs.query_pairs().filter(|(key, _)| key == "scope").map(|(_, value)| value).collect();
    // Never empty, not even for a login that asks for no scope.
    let token = STANDARD.encode(format!("{} ", scopes.join(" ")));
    Response::new(format!(r#"{{"token":"{token}","expires_in":300}}"#).into())
}

/// The scope that a request needs.
fn scope(method: &Method, uri: &Uri) -> String {
    let path = uri.path().trim_start_matches("/v2/");
    let Some(end) = ["/blobs/", "/manifests/"].iter().find_map(|part| path.find(part)) else {
        return String::new();
    };
    let actions = if [Method::GET, Method::HEAD].contains(method) { "pull" } else { "pull,push" };
    format!("repository:{}:{actions}", &path[..end])
}

/// Whether a token, which is the list of its scopes in base64, has the scope.
fn grants(sent: &str, scope: &str) -> bool {
    let Some(Ok(granted)) = sent.strip_prefix("Bearer ").map(|token| STANDARD.decode(token)) else {
        return false;
    };
    let granted = String::from_utf8(granted).unwrap();
    let mut granted = granted.split(' ').filter_map(|scope| scope.rsplit_once(':'));
    let Some((resource, actions)) = scope.rsplit_once(':') else { return true };
    granted.any(|(name, allowed)| {
        name == resource && actions.split(',').all(|action| allowed.split(',').any(|other| other == action))
    })
}

fn authorization(headers: &HeaderMap) -> Option<String> {
    headers.get(header::AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned())
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}
