//! What a repository is shown of the build's credentials: one header for one web server, one agent and known keys for ssh.
//!
//! git is told in its environment, which only this user's processes can read, never in its arguments. The header is for
//! the repository that it was meant for: with it git follows no redirect, for it would show the header wherever that leads.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kiln_cache::{Draft, Store};
use kiln_graph::op::{Git, GitSecret};

use super::GitError;
use crate::source::{SourceError, write_error};
use crate::step::mounts::credentials::{Credentials, Reachable, Secret};

/// The user's name that goes with a token, as the servers of those who issue tokens want it.
const TOKEN_USER: &str = "x-access-token";

/// Servers whose tokens are for all of their repositories: one that is fetched may have others of them as submodules.
const WHOLE_SERVERS: [&str; 2] = ["https://github.com/", "https://www.github.com/"];

/// The variable that names an agent's socket; ssh asks nobody where it is empty.
const AGENT: &str = "SSH_AUTH_SOCK";

/// The variable that names the file of known servers, and what has ssh believe no others. ssh expands the variable
/// by itself, whatever is in the path.
const KNOWN_HOSTS: &str = "KILN_KNOWN_HOSTS";
const ONLY_KNOWN_HOSTS: &str = " -o 'UserKnownHostsFile=${KILN_KNOWN_HOSTS}' -o GlobalKnownHostsFile=/dev/null \
                                -o StrictHostKeyChecking=yes";

/// ssh without keys and configuration of the user: a Dockerfile must not act in the user's name. An agent that was
/// given to the build may be asked.
const SSH: &str = "ssh -F /dev/null -o BatchMode=yes -o IdentityFile=none";

/// Credentials for one repository, for as long as this is kept.
#[derive(Debug, Default)]
pub(crate) struct Access {
    header: Option<Header>,
    agent: Option<Reachable>,
    known_hosts: Option<Draft>,
}

/// A header for what is below a URL.
#[derive(Debug)]
struct Header {
    below: String,
    line: Secret,
}

impl Access {
    /// What of the credentials is for the repository.
    pub(crate) fn of(credentials: &Credentials, git: &Git, store: &Store) -> Result<Self, SourceError> {
        let agent = credentials
            .reachable(&git.access.agent, store)
            .map_err(|error| SourceError::Agent(Box::new(error)))?;
        let known_hosts = git.access.known_hosts.as_ref().map(|text| {
            let draft = store.layers().draft()?;
            let path = draft.upper().join(KNOWN_HOSTS);
            std::fs::write(&path, text).map_err(write_error(&path))?;
            Ok::<_, SourceError>(draft)
        });
        Ok(Self { header: header(credentials, git)?, agent, known_hosts: known_hosts.transpose()? })
    }

    /// Tells git, in the environment of one call.
    pub(super) fn tell(&self, command: &mut tokio::process::Command) {
        command.env(AGENT, self.agent.as_ref().map(|agent| agent.socket().as_os_str()).unwrap_or_default());
        match &self.known_hosts {
            Some(draft) => command
                .env("GIT_SSH_COMMAND", format!("{SSH}{ONLY_KNOWN_HOSTS}"))
                .env(KNOWN_HOSTS, draft.upper().join(KNOWN_HOSTS)),
            None => command.env("GIT_SSH_COMMAND", SSH),
        };
        let Some(Header { below, line }) = &self.header else { return };
        let line = String::from_utf8_lossy(line.bytes()).into_owned();
        let settings = [("extraHeader", line), ("followRedirects", "false".to_owned())];
        command.env("GIT_CONFIG_COUNT", settings.len().to_string());
        for (number, (name, value)) in settings.into_iter().enumerate() {
            command.env(format!("GIT_CONFIG_KEY_{number}"), format!("http.{below}.{name}"));
            command.env(format!("GIT_CONFIG_VALUE_{number}"), value);
        }
    }
}

/// The header for the repository, if a secret that is meant for it was given.
fn header(credentials: &Credentials, git: &Git) -> Result<Option<Header>, GitError> {
    let Some(address) = git.web_address() else { return Ok(None) };
    let given = git.secrets().into_iter().find_map(|secret| {
        let value = credentials.secrets.get(secret.id())?;
        Some((secret, value))
    });
    let Some((secret, value)) = given else { return Ok(None) };
    let unusable = || GitError::Secret { id: secret.id().to_owned() };
    // Files of secrets end in a line break more often than not.
    let value = std::str::from_utf8(value.bytes()).map_err(|_| unusable())?.trim();
    if value.is_empty() || value.contains(char::is_control) {
        return Err(unusable());
    }
    let value = match secret {
        GitSecret::Header(_) => value.to_owned(),
        GitSecret::Token(_) => format!("basic {}", STANDARD.encode(format!("{TOKEN_USER}:{value}"))),
    };
    let whole = WHOLE_SERVERS.iter().find(|server| address.starts_with(**server));
    let below = whole.map_or(address.clone(), |server| (*server).to_owned());
    Ok(Some(Header { below, line: Secret::new(format!("Authorization: {value}").into_bytes()) }))
}
