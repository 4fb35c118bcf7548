//! Docker's `config.json`: stored logins, and which helper keeps the others.
//!
//! Read once, when a registry first asks for a login. Keys are matched as docker does: with or without a
//! scheme and a path; docker.io under its old names too.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::{AuthError, Credential, helper};
use crate::reference::DEFAULT_REGISTRY;

/// The name under which docker stores the login of docker.io.
const HUB_KEY: &str = "https://index.docker.io/v1/";
/// Hosts that all mean docker.io.
const HUB_HOSTS: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];

/// The part of the file that is about logins.
#[derive(Debug, Default)]
pub(crate) struct DockerConfig {
    path: PathBuf,
    auths: BTreeMap<String, Entry>,
    helpers: BTreeMap<String, String>,
    store: Option<String>,
}

#[derive(Deserialize, Default)]
struct Entry {
    #[serde(default)]
    auth: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    identitytoken: String,
    #[serde(default)]
    registrytoken: String,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Entry(…)")
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    auths: Option<BTreeMap<String, Entry>>,
    cred_helpers: Option<BTreeMap<String, String>>,
    creds_store: Option<String>,
}

impl DockerConfig {
    /// Reads the file; one that does not exist has no logins.
    pub(crate) fn load(path: &Path) -> Result<Self, AuthError> {
        match std::fs::read(path) {
            Ok(bytes) => Self::parse(path, &bytes),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(AuthError::ConfigRead { path: path.to_owned(), source }),
        }
    }

    /// Takes the file's content; an empty file has no logins, as for docker.
    pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<Self, AuthError> {
        if bytes.trim_ascii().is_empty() {
            return Ok(Self { path: path.to_owned(), ..Self::default() });
        }
        let file: File = serde_json::from_slice(bytes)
            .map_err(|source| AuthError::ConfigParse { path: path.to_owned(), source })?;
        Ok(Self {
            path: path.to_owned(),
            auths: file.auths.unwrap_or_default(),
            helpers: file.cred_helpers.unwrap_or_default(),
            store: file.creds_store.filter(|store| !store.is_empty()),
        })
    }

    /// The credential for a registry. May run a credential helper: call it where blocking is allowed.
    pub(crate) fn credential(&self, registry: &str) -> Result<Credential, AuthError> {
        if let Some(name) = self.helper(registry)
            && let Some(credential) = helper::get(name, server_key(registry))?
        {
            return Ok(credential);
        }
        match self.entry(registry) {
            Some((key, entry)) => self.to_credential(key, entry),
            None => Ok(Credential::None),
        }
    }

    /// The helper that keeps a registry's login.
    pub(super) fn helper(&self, registry: &str) -> Option<&str> {
        let special = self.helpers.iter().find(|(key, _)| is_same_host(key, registry)).map(|(_, name)| name);
        special.or(self.store.as_ref()).map(String::as_str)
    }

    /// Whether the file itself has an entry for a registry.
    pub(super) fn has_entry(&self, registry: &str) -> bool {
        self.entry(registry).is_some()
    }

    /// The stored login: by its exact key, else by the key's host.
    fn entry(&self, registry: &str) -> Option<(&str, &Entry)> {
        let exact = self.auths.get_key_value(server_key(registry));
        let by_host = || self.auths.iter().find(|(key, _)| is_same_host(key, registry));
        exact.or_else(by_host).map(|(key, entry)| (key.as_str(), entry))
    }

    fn to_credential(&self, key: &str, entry: &Entry) -> Result<Credential, AuthError> {
        if !entry.registrytoken.is_empty() {
            return Ok(Credential::Registry { token: entry.registrytoken.clone() });
        }
        if !entry.identitytoken.is_empty() {
            return Ok(Credential::Identity { token: entry.identitytoken.clone() });
        }
        if entry.auth.is_empty() {
            if entry.username.is_empty() {
                return Ok(Credential::None);
            }
            return Ok(Credential::Basic {
                username: entry.username.clone(),
                password: entry.password.clone(),
            });
        }
        let damaged = || AuthError::ConfigEntry { path: self.path.clone(), entry: key.to_owned() };
        let bytes = STANDARD.decode(entry.auth.trim()).map_err(|_| damaged())?;
        let text = String::from_utf8(bytes).map_err(|_| damaged())?;
        let (username, password) = text.split_once(':').ok_or_else(damaged)?;
        // Docker pads the text with zero bytes.
        Ok(Credential::Basic { username: username.into(), password: password.trim_end_matches('\0').into() })
    }
}

/// The name under which docker stores a registry's login.
pub(super) fn server_key(registry: &str) -> &str {
    if registry == DEFAULT_REGISTRY { HUB_KEY } else { registry }
}

/// Whether a key of the file means `registry`.
pub(super) fn is_same_host(key: &str, registry: &str) -> bool {
    let host = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    let host = host.split('/').next().unwrap_or_default();
    host == registry || (registry == DEFAULT_REGISTRY && HUB_HOSTS.contains(&host))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn credential(json: &str, registry: &str) -> Result<Credential, AuthError> {
        DockerConfig::parse(Path::new("config.json"), json.as_bytes())?.credential(registry)
    }

    fn me() -> Credential {
        Credential::Basic { username: "me".into(), password: "p:w".into() }
    }

    #[test]
    fn finds_logins_as_docker_does() {
        // "me:p:w" with docker's padding.
        let auth = r#"{"auth":"bWU6cDp3AAA="}"#;
        for (key, registry) in [
            ("https://index.docker.io/v1/", "docker.io"),
            ("docker.io", "docker.io"),
            ("registry-1.docker.io", "docker.io"),
            ("r.example:5000", "r.example:5000"),
            ("https://r.example/v2/", "r.example"),
            ("http://r.example", "r.example"),
        ] {
            assert_eq!(
                credential(&format!(r#"{{"auths":{{"{key}":{auth}}}}}"#), registry).unwrap(),
                me(),
                "{key}"
            );
        }
        for (key, registry) in [
            ("r.example", "r.example:5000"),
            ("r.example:5000", "r.example"),
            ("r.example.evil", "r.example"),
            ("evil/r.example", "r.example"),
            ("index.docker.io", "r.example"),
        ] {
            let found = credential(&format!(r#"{{"auths":{{"{key}":{auth}}}}}"#), registry).unwrap();
            assert_eq!(found, Credential::None, "{key}");
        }
    }

    #[test]
    fn knows_every_kind_of_entry() {
        let one = |entry: &str| credential(&format!(r#"{{"auths":{{"r":{entry}}},"other":[1]}}"#), "r");
        assert_eq!(one(r#"{"username":"me","password":"p:w"}"#).unwrap(), me());
        assert_eq!(
            one(r#"{"auth":"bWU6","identitytoken":"i"}"#).unwrap(),
            Credential::Identity { token: "i".into() }
        );
        assert_eq!(one(r#"{"registrytoken":"t"}"#).unwrap(), Credential::Registry { token: "t".into() });
        assert_eq!(one("{}").unwrap(), Credential::None);
        assert!(matches!(one(r#"{"auth":"%%%"}"#), Err(AuthError::ConfigEntry { .. })));
        assert!(matches!(one(r#"{"auth":"bWU="}"#), Err(AuthError::ConfigEntry { .. })));
        assert!(matches!(credential("[", "r"), Err(AuthError::ConfigParse { .. })));
    }

    #[test]
    fn a_missing_file_has_no_logins() {
        let config = DockerConfig::load(Path::new("/nonexistent/config.json")).unwrap();
        assert_eq!(config.credential("r").unwrap(), Credential::None);
    }

    #[test]
    fn a_helper_of_its_own_wins_over_the_store() {
        let json = r#"{"credsStore":"pass","credHelpers":{"gcr.io":"gcloud"}}"#;
        let config = DockerConfig::parse(Path::new("c"), json.as_bytes()).unwrap();
        assert_eq!((config.helper("gcr.io"), config.helper("r")), (Some("gcloud"), Some("pass")));
        let missing = credential(r#"{"credsStore":"no-such-helper-anywhere"}"#, "r");
        assert!(matches!(missing, Err(AuthError::HelperStart { .. })));
        assert!(matches!(credential(r#"{"credsStore":"../x"}"#, "r"), Err(AuthError::Helper { .. })));
    }
}
