//! What a repository is told of whoever fetches from it: names of secrets and of an agent, never the secrets themselves.
//! Nothing of it enters a key, for it does not change what a commit is.

use serde::{Deserialize, Serialize};

use super::Git;

/// The names that BuildKit's clients know.
const TOKEN: &str = "GIT_AUTH_TOKEN";
const HEADER: &str = "GIT_AUTH_HEADER";
const AGENT: &str = "default";

/// How a repository is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GitAccess {
    /// The secret that has a token of the server; one named `ID.HOST` goes before it. Empty for none.
    pub token: String,
    /// The secret that has the value of an `Authorization` header; one named `ID.HOST` goes before it. Empty for none.
    pub header: String,
    /// The SSH agent that may be asked. Empty for none.
    pub agent: String,
    /// Keys of SSH servers, as in a `known_hosts` file, in place of those that this machine's user knows.
    pub known_hosts: Option<String>,
}

impl Default for GitAccess {
    fn default() -> Self {
        Self {
            token: TOKEN.to_owned(),
            header: HEADER.to_owned(),
            agent: AGENT.to_owned(),
            known_hosts: None,
        }
    }
}

impl GitAccess {
    /// Whether it is what it is where nobody says anything, which is not written down.
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A secret that a web server may want to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GitSecret {
    /// The id of the secret that has the whole value of the header.
    Header(String),
    /// The id of the secret that has a token, which is a password.
    Token(String),
}

impl GitSecret {
    /// The secret's id.
    pub fn id(&self) -> &str {
        let (Self::Header(id) | Self::Token(id)) = self;
        id
    }
}

impl Git {
    /// The URL that credentials are for, without a user or a password; nothing where the repository is on no web server.
    pub fn web_address(&self) -> Option<String> {
        let (scheme, rest) = self.remote.split_once("://")?;
        let is_web = ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let host = authority.rsplit('@').next().unwrap_or(authority);
        is_web.then(|| format!("{scheme}://{host}/{path}"))
    }

    /// The secrets that may be meant for the repository: the first that there is counts.
    pub fn secrets(&self) -> Vec<GitSecret> {
        let Some(address) = self.web_address() else { return Vec::new() };
        let host = address.split('/').nth(2).unwrap_or_default();
        let GitAccess { token, header, .. } = &self.access;
        let named = |id: &str, make: fn(String) -> GitSecret, of_host: bool| {
            let id = if of_host { format!("{id}.{host}") } else { id.to_owned() };
            make(id)
        };
        let mut secrets = Vec::new();
        for of_host in [true, false] {
            if !header.is_empty() {
                secrets.push(named(header, GitSecret::Header, of_host));
            }
            if !token.is_empty() {
                secrets.push(named(token, GitSecret::Token, of_host));
            }
        }
        secrets
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use crate::op::Source;

    fn git(url: &str) -> Git {
        match crate::remote_source(url).unwrap() {
            Some(Source::Git(git)) => git,
            other => panic!("{url}: {other:?}"),
        }
    }

    #[test]
    fn secrets_of_the_host_go_first() {
        let ids = |git: &Git| git.secrets().iter().map(|secret| secret.id().to_owned()).collect::<Vec<_>>();
        let mut git = git("https://me:pass@example.com:8443/a/b.git#main");
        assert_eq!(git.web_address().unwrap(), "https://example.com:8443/a/b.git");
        let expected = [
            "GIT_AUTH_HEADER.example.com:8443",
            "GIT_AUTH_TOKEN.example.com:8443",
            "GIT_AUTH_HEADER",
            "GIT_AUTH_TOKEN",
        ];
        assert_eq!(ids(&git), expected);
        git.access = GitAccess { token: "mine".to_owned(), header: String::new(), ..GitAccess::default() };
        assert_eq!(ids(&git), ["mine.example.com:8443", "mine"]);
        assert!(matches!(&git.secrets()[1], GitSecret::Token(id) if id == "mine"));
    }

    #[test]
    fn only_web_servers_see_secrets() {
        for url in ["git@example.com:a/b.git", "ssh://git@example.com/a/b.git", "git://example.com/a.git"] {
            assert_eq!((git(url).web_address(), git(url).secrets()), (None, Vec::new()), "{url}");
        }
    }

    #[test]
    fn what_nobody_said_is_not_written_down() {
        let plain = serde_json::to_string(&git("https://example.com/a.git")).unwrap();
        assert!(!plain.contains("access"), "{plain}");
        let mut own = git("https://example.com/a.git");
        own.access.agent = "mine".to_owned();
        let text = serde_json::to_string(&own).unwrap();
        assert_eq!(serde_json::from_str::<Git>(&text).unwrap(), own);
        assert_eq!(serde_json::from_str::<Git>(&plain).unwrap().access, GitAccess::default());
    }
}
