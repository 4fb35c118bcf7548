//! Executing git on input that nobody vouches for.
//!
//! No configuration of the machine or the user, no hooks, no credential prompts, no background work; only the
//! protocols that a remote may name, so that neither a redirect nor a submodule leads to local files or helpers. A
//! repository that is silent for too long is given up, whatever the protocol.

use std::io;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::process::Child;

use super::access::Access;
use super::{GitError, shown};

/// Protocols that a remote repository and its submodules may use.
const REMOTE_PROTOCOLS: &str = "https:http:git:ssh";

/// Protocols where the user named a repository of this machine.
const LOCAL_PROTOCOLS: &str = "file:https:http:git:ssh";

/// Variables that change what git does, and what must not be decided by whoever started the build.
const FORGOTTEN: [&str; 15] = [
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_ASKPASS",
    "GIT_CONFIG",
    "GIT_CONFIG_COUNT",
    "GIT_CONFIG_PARAMETERS",
    "GIT_DIR",
    "GIT_EXTERNAL_DIFF",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PROXY_COMMAND",
    "GIT_SSH",
    "GIT_TEMPLATE_DIR",
    "GIT_WORK_TREE",
    "SSH_ASKPASS",
];

/// Settings for every call.
const SETTINGS: [&str; 9] = [
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.askPass=",
    "credential.helper=",
    "gc.auto=0",
    "maintenance.auto=false",
    "advice.detachedHead=false",
    // A connection that brings less than this for so long is dead.
    "http.lowSpeedLimit=1",
    "http.lowSpeedTime=60",
];

/// How long a repository may be silent. Whoever fetches is told of progress each second, unless the server says nothing
/// while it prepares; over HTTP git gives up earlier by itself.
const PATIENCE: Duration = Duration::from_mins(2);

/// The end of git's messages that is kept.
const KEPT: usize = 64 << 10;

/// How lines of git's begin that say nothing about what went wrong: its progress, and advice that it gives whatever it was.
const EMPTY_WORDS: [&str; 11] = [
    "Please make sure you have the correct access rights",
    "and the repository exists.",
    "remote: Enumerating",
    "remote: Counting",
    "remote: Compressing",
    "remote: Total",
    "Receiving objects",
    "Resolving deltas",
    "Unpacking objects",
    "Checking connectivity",
    "Updating files",
];

/// Lines of git's messages that are shown.
const SHOWN_LINES: usize = 3;

/// git for one remote.
#[derive(Debug)]
pub(super) struct Command<'a> {
    remote: String,
    access: &'a Access,
    patience: Duration,
}

impl<'a> Command<'a> {
    /// Refuses a remote that git would take for an option or a helper.
    pub(super) fn new(remote: &str, access: &'a Access) -> Result<Self, GitError> {
        let is_helper = remote.split_once("::").is_some_and(|(name, _)| !name.contains(['/', ':', '@']));
        if remote.is_empty() || remote.starts_with('-') || is_helper || remote.contains(char::is_control) {
            return Err(GitError::Unusable { what: "repository", text: shown(remote) });
        }
        Ok(Self { remote: remote.to_owned(), access, patience: PATIENCE })
    }

    /// The same with another longest silence of the repository.
    #[cfg(test)]
    pub(super) fn patient_for(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// The remote, with its credentials: for git alone.
    pub(super) fn remote(&self) -> &str {
        &self.remote
    }

    /// The remote as it may be shown.
    pub(super) fn shown(&self) -> String {
        shown(&self.remote)
    }

    /// Executes git, which asks the repository, in a directory, and returns what it wrote. `what` says what it does,
    /// for the error. Dropped before it is done, it ends git.
    pub(super) async fn ask_in(
        &self,
        dir: &Path,
        what: &'static str,
        args: &[&str],
    ) -> Result<String, GitError> {
        let mut command = self.git(dir, args);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = child.map_err(|source| GitError::Missing { source })?;
        let heard = listen(&mut child, self.patience).await.map_err(|source| GitError::Missing { source })?;
        let silent = || GitError::Stalled { what, remote: self.shown(), limit: self.patience };
        self.said(what, &heard.ok_or_else(silent)?)
    }

    /// As [`Command::ask_in`], without anything that could keep git waiting.
    pub(super) async fn run_in(
        &self,
        dir: &Path,
        what: &'static str,
        args: &[&str],
    ) -> Result<String, GitError> {
        let output = self.git(dir, args).output().await;
        self.said(what, &output.map_err(|source| GitError::Missing { source })?)
    }

    fn git(&self, dir: &Path, args: &[&str]) -> tokio::process::Command {
        let is_local = self.remote.starts_with("file://");
        let mut command = tokio::process::Command::new("git");
        for name in FORGOTTEN {
            command.env_remove(name);
        }
        command
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_ALLOW_PROTOCOL", if is_local { LOCAL_PROTOCOLS } else { REMOTE_PROTOCOLS })
            .env("LC_ALL", "C");
        self.access.tell(&mut command);
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        command.args(args).current_dir(dir).stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    fn said(&self, what: &'static str, output: &Output) -> Result<String, GitError> {
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = self.censored(&String::from_utf8_lossy(&output.stderr));
        Err(GitError::Failed { what, remote: self.shown(), said })
    }

    /// The last lines of git's messages, fit to be shown.
    fn censored(&self, text: &str) -> String {
        let text = text.replace(&self.remote, &self.shown());
        let says = |line: &&str| {
            !line.is_empty() && !EMPTY_WORDS.iter().any(|beginning| line.starts_with(beginning))
        };
        let lines: Vec<&str> = text.split(['\n', '\r']).map(str::trim).filter(says).collect();
        let last = lines[lines.len().saturating_sub(SHOWN_LINES)..].join("; ");
        shown(&last).chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
    }
}

/// Everything that the process writes until it ends; nothing if it neither writes nor ends for `patience`. Of its
/// messages the end is kept.
async fn listen(child: &mut Child, patience: Duration) -> io::Result<Option<Output>> {
    let (mut out, mut err) = (child.stdout.take(), child.stderr.take());
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    while out.is_some() || err.is_some() {
        tokio::select! {
            read = read_some(&mut out, &mut stdout) => read?,
            read = read_some(&mut err, &mut stderr) => read?,
            () = tokio::time::sleep(patience) => return Ok(None),
        }
        stderr.drain(..stderr.len().saturating_sub(KEPT));
    }
    match tokio::time::timeout(patience, child.wait()).await {
        Ok(status) => Ok(Some(Output { status: status?, stdout, stderr })),
        Err(_) => Ok(None),
    }
}

/// Reads what is there; at its end the pipe is taken away. Never done without a pipe.
async fn read_some(pipe: &mut Option<impl AsyncReadExt + Unpin>, into: &mut Vec<u8>) -> io::Result<()> {
    let Some(open) = pipe else { return std::future::pending().await };
    if open.read_buf(into).await? == 0 {
        *pipe = None;
    }
    Ok(())
}
