//! Answers that say no: the status, and what the registry says about it, fit to be shown.

use std::fmt;
use std::time::Duration;

use reqwest::{Method, StatusCode, Url};
use serde::Deserialize;

/// An answer that says no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusError {
    /// The request's method.
    pub method: Method,
    /// The request's URL, without secrets.
    pub url: String,
    /// The status.
    pub status: StatusCode,
    /// What the registry says about it.
    pub diagnostics: Vec<RegistryDiagnostic>,
    /// How long the registry asks to wait.
    pub retry_after: Option<Duration>,
    /// What the request said about who sent it, where a registry asked for that and was given what it asked for.
    pub login: Option<LoginUse>,
}

/// Whether a login was shown to a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginUse {
    /// The registry.
    pub host: String,
    /// False where there was none to be shown.
    pub shown: bool,
}

impl LoginUse {
    /// What the user can do where it did not suffice.
    pub(crate) fn hint(&self) -> String {
        let host = &self.host;
        if self.shown {
            format!("the stored login was refused; log in again: kiln login {host}")
        } else {
            format!("log in first: kiln login {host}")
        }
    }
}

/// One entry of the `errors` list in a registry's answer (distribution specification, "Error codes").
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct RegistryDiagnostic {
    /// The code, such as `MANIFEST_UNKNOWN`.
    #[serde(default)]
    pub code: String,
    /// A sentence.
    #[serde(default)]
    pub message: String,
}

impl std::error::Error for StatusError {}

impl fmt::Display for StatusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.method, self.url, self.status)?;
        for diagnostic in &self.diagnostics {
            match (diagnostic.code.as_str(), diagnostic.message.as_str()) {
                ("", "") => {}
                ("", text) | (text, "") => write!(f, ": {text}")?,
                (code, message) => write!(f, ": {message} ({code})")?,
            }
        }
        Ok(())
    }
}

impl StatusError {
    /// Reads the registry's diagnostics from an answer's body, of which only text and JSON are understood.
    pub(crate) fn new(method: Method, url: &Url, status: StatusCode, body: &[u8]) -> Self {
        Self {
            method,
            url: redact(url),
            status,
            diagnostics: diagnostics(body),
            retry_after: None,
            login: None,
        }
    }

    /// What the user can do about it, where something is known.
    pub(super) fn hint(&self) -> Option<String> {
        match self.status {
            StatusCode::UNAUTHORIZED => self.login.as_ref().map(|login| {
                let doubt = if login.shown { "" } else { "; the repository may not exist either" };
                format!("{}{doubt}", login.hint())
            }),
            StatusCode::FORBIDDEN => Some("the account that is logged in may not do this".into()),
            StatusCode::NOT_FOUND => Some(
                "check the name and the tag; a private repository also looks like this without a login"
                    .into(),
            ),
            StatusCode::TOO_MANY_REQUESTS => {
                Some("the registry limits requests: wait, or log in for a higher limit".into())
            }
            StatusCode::PAYLOAD_TOO_LARGE => {
                Some("the registry or a proxy before it limits the size of an upload".into())
            }
            _ => None,
        }
    }

    /// Whether the same request may succeed a moment later.
    pub fn is_temporary(&self) -> bool {
        matches!(self.status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504)
    }
}

/// Longest piece of an answer that is not the specification's JSON and is shown all the same.
const MAX_SNIPPET: usize = 200;

fn diagnostics(body: &[u8]) -> Vec<RegistryDiagnostic> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(rename = "errors")]
        list: Option<Vec<RegistryDiagnostic>>,
        details: Option<String>,
        message: Option<String>,
        error: Option<String>,
    }
    if let Ok(parsed) = serde_json::from_slice::<Answer>(body) {
        let single = [parsed.details, parsed.message, parsed.error].into_iter().flatten().next();
        let single = single.map(|message| RegistryDiagnostic { code: String::new(), message });
        return parsed.list.unwrap_or_default().into_iter().chain(single).map(printable).collect();
    }
    let text: String = String::from_utf8_lossy(body).trim().chars().take(MAX_SNIPPET).collect();
    if text.is_empty() || text.starts_with('<') {
        return Vec::new();
    }
    vec![printable(RegistryDiagnostic { code: String::new(), message: text })]
}

/// Control characters of a registry must not reach a terminal.
fn printable(diagnostic: RegistryDiagnostic) -> RegistryDiagnostic {
    let clean = |text: String| text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    RegistryDiagnostic { code: clean(diagnostic.code), message: clean(diagnostic.message) }
}

/// A URL that may be shown: no user, no password, no query (signed URLs and tokens live there).
pub(crate) fn redact(url: &Url) -> String {
    let mut url = url.clone();
    // A URL that cannot have a user has none to remove.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    if url.query().is_some() {
        url.set_query(Some("…"));
        return url.to_string().replace("%E2%80%A6", "…");
    }
    url.to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::error::RegistryError;

    fn status(code: u16, body: &str) -> StatusError {
        let url = Url::parse("https://user:secret@r.example/v2/a/manifests/b?token=secret").unwrap();
        StatusError::new(Method::GET, &url, StatusCode::from_u16(code).unwrap(), body.as_bytes())
    }

    #[test]
    fn secrets_of_a_url_are_not_shown() {
        let text = status(500, "").to_string();
        assert!(!text.contains("secret"), "{text}");
        assert_eq!(text, "GET https://r.example/v2/a/manifests/b?…: 500 Internal Server Error");
    }

    #[test]
    fn tells_what_the_registry_says() {
        let error = status(
            404,
            r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown","detail":{}}]}"#,
        );
        assert!(error.to_string().ends_with("404 Not Found: manifest unknown (MANIFEST_UNKNOWN)"), "{error}");
        assert!(status(502, "<html>").diagnostics.is_empty());
        assert!(status(502, "bad\u{1b}[2J gateway").to_string().ends_with(": bad [2J gateway"));
        assert!(
            status(401, r#"{"details":"incorrect password"}"#).to_string().ends_with("incorrect password")
        );
    }

    #[test]
    fn knows_what_may_pass() {
        for (code, temporary) in
            [(400, false), (401, false), (404, false), (429, true), (500, true), (501, false), (503, true)]
        {
            assert_eq!(status(code, "").is_temporary(), temporary, "{code}");
        }
        let error = RegistryError::Status(Box::new(status(404, "")));
        assert!(error.is_not_found() && error.hint().is_some());
    }
}
