//! A commit of a git repository.
//!
//! The reference is resolved to a commit first; a commit that is here already is not fetched again, and one that is
//! named in full is not even asked about. What the checkout holds depends on the commit alone: modes and times are
//! set to what the commit says, so that its layer is the same everywhere.

mod access;
mod checkout;
mod command;

use std::path::Path;
use std::time::Duration;

use kiln_cache::{Key, KeyBuilder};
use kiln_graph::op::Git;
use kiln_graph::redact;

pub(crate) use self::access::Access;
use self::command::Command;
use super::{Commit, Kept, SourceError};
use crate::event::Progress;
use crate::snapshot::Snapshot;

/// Hexadecimal digits of a whole commit name: SHA-1 and SHA-256.
const COMMIT_DIGITS: [usize; 2] = [40, 64];

/// Fewest digits that are taken for the beginning of a commit name.
const FEWEST_DIGITS: usize = 7;

/// What ssh says of a server whose key nobody vouches for.
const UNKNOWN_HOST: &str = "Host key verification failed";

/// What git says of a redirect that it does not follow.
const REDIRECTED: &str = "returned error: 30";

/// What git says where a web server wants to know who asks.
const DENIED: [&str; 2] = ["could not read Username", "Authentication failed"];

/// Why a commit could not be had.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// There is no git on this machine.
    #[error("cannot execute git, which a git source needs")]
    Missing {
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// git failed.
    #[error("git cannot {what} {remote}: {said}")]
    Failed {
        /// What it was to do, such as `fetch`.
        what: &'static str,
        /// The repository without secrets.
        remote: String,
        /// The last that git said about it.
        said: String,
    },
    /// The repository is silent.
    #[error("git cannot {what} {remote}: nothing was heard for {} s", limit.as_secs())]
    Stalled {
        /// What it was to do, such as `fetch`.
        what: &'static str,
        /// The repository without secrets.
        remote: String,
        /// The longest silence that is allowed.
        limit: Duration,
    },
    /// The repository does not have the branch, tag or commit.
    #[error("{remote} has no branch, tag or commit {reference}")]
    NoReference {
        /// The repository without secrets.
        remote: String,
        /// The reference.
        reference: String,
    },
    /// The reference stands for another commit than it must.
    #[error("{reference} of {remote} is the commit {actual}, not {expected}")]
    Checksum {
        /// The repository without secrets.
        remote: String,
        /// The reference.
        reference: String,
        /// The commit that was asked for.
        expected: String,
        /// The commit that the reference stands for.
        actual: String,
    },
    /// The commit has no such directory.
    #[error("{remote} has no directory {subdir} at {commit}")]
    NoDirectory {
        /// The repository without secrets.
        remote: String,
        /// The directory.
        subdir: String,
        /// The commit.
        commit: String,
        /// Why it cannot be opened.
        #[source]
        source: std::io::Error,
    },
    /// A remote or a reference that git would take for something else.
    #[error("`{text}` is not a usable {what}")]
    Unusable {
        /// `repository` or `reference`.
        what: &'static str,
        /// The text without secrets.
        text: String,
    },
    /// A secret that cannot be what the repository is shown.
    #[error("the secret `{id}` is meant for a git repository, but is empty or no line of text")]
    Secret {
        /// Its id.
        id: String,
    },
}

impl GitError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Missing { .. } => Some("install git".to_owned()),
            Self::Failed { said, .. } if said.contains(UNKNOWN_HOST) => {
                Some("make the server's key known: `ssh-keyscan HOST >> ~/.ssh/known_hosts`".to_owned())
            }
            Self::Failed { remote, .. } if !remote.starts_with("http") && !remote.starts_with("git:") => {
                Some("repositories that need an SSH key are reached with `--ssh default`".to_owned())
            }
            Self::Failed { said, .. } if said.contains(REDIRECTED) => Some(
                "with credentials no redirect is followed: write the repository's final address".to_owned(),
            ),
            Self::Failed { said, .. } if DENIED.iter().any(|words| said.contains(words)) => Some(
                "repositories that need a token are reached with `--secret id=GIT_AUTH_TOKEN,env=NAME`"
                    .to_owned(),
            ),
            Self::Stalled { .. } => {
                Some("check the address of the repository, and whether its server answers".to_owned())
            }
            Self::Checksum { actual, .. } => {
                Some(format!("if that commit is the right one, write --checksum={actual}"))
            }
            _ => None,
        }
    }
}

/// A reference that is resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Resolved {
    /// The full name (`refs/tags/v1`); `None` for a commit.
    name: Option<String>,
    /// The commit; `None` when only a fetch can tell.
    commit: Option<String>,
    /// The tag object, where the reference is an annotated tag.
    tag: Option<String>,
}

/// The commit as a file system, and whether anything was fetched for it.
#[cfg(test)]
pub(crate) async fn load(
    kept: Kept<'_>,
    source: &Git,
    access: &Access,
    name: &str,
    progress: &Progress,
) -> Result<(Snapshot, bool), SourceError> {
    Ok(load_named(kept, source, access, name, progress).await?.1)
}

/// The commit's name, the commit as a file system, and whether anything was fetched for it.
pub(crate) async fn load_named(
    kept: Kept<'_>,
    source: &Git,
    access: &Access,
    name: &str,
    progress: &Progress,
) -> Result<(String, (Snapshot, bool)), SourceError> {
    let step = progress.step(name);
    let result = load_commit(kept, source, access).await;
    match &result {
        Ok((_, (_, true))) => step.done(),
        Ok((_, (_, false))) => step.cached(),
        Err(error) => step.failed(crate::text::chain(error)),
    }
    result
}

async fn load_commit(
    kept: Kept<'_>,
    source: &Git,
    access: &Access,
) -> Result<(String, (Snapshot, bool)), SourceError> {
    let git = Command::new(&source.remote, access)?;
    let resolved = resolve(&git, source).await?;
    if let Some(commit) = &resolved.commit {
        verify(&git, source, commit, resolved.tag.as_deref())?;
        if let Some(layer) = kept.recorded(parts(&git, source, commit), &slot(source)).await? {
            return Ok((commit.clone(), (layer, false)));
        }
    }
    let draft = kept.store.layers().draft()?;
    let commit = checkout::checkout(&git, source, &resolved, &draft).await?;
    // Between asking and fetching the reference may have moved.
    verify(&git, source, &commit, resolved.tag.as_deref())?;
    let info = crate::task::blocking(move || draft.seal()).await.ok_or(SourceError::Lost)??;
    let layer = kept.record(parts(&git, source, &commit), slot(source), info)?;
    Ok((commit, (layer, true)))
}

/// What the reference stands for now, without the files.
pub(crate) async fn look(source: &Git, access: &Access) -> Result<Commit, GitError> {
    let git = Command::new(&source.remote, access)?;
    let Resolved { name, commit, tag } = resolve(&git, source).await?;
    let commit = commit.ok_or_else(|| GitError::NoReference {
        remote: git.shown(),
        reference: source.reference.clone().unwrap_or_default(),
    })?;
    verify(&git, source, &commit, tag.as_deref())?;
    let reference = match name {
        Some(name) if name == "HEAD" => default_branch(&git).await?.unwrap_or(name),
        Some(name) => name,
        None => source.reference.clone().filter(|it| !is_commit(it)).unwrap_or_else(|| commit.clone()),
    };
    Ok(Commit { reference, commit, tag })
}

/// The branch that HEAD names, if it names one.
async fn default_branch(git: &Command<'_>) -> Result<Option<String>, GitError> {
    let args = ["ls-remote", "--symref", "--", git.remote(), "HEAD"];
    let listed = git.ask_in(Path::new("/"), "read", &args).await?;
    let branch = listed.lines().find_map(|line| line.strip_prefix("ref: ")?.strip_suffix("\tHEAD"));
    Ok(branch.map(str::to_owned))
}

fn slot(source: &Git) -> Key {
    KeyBuilder::new("git slot").part("remote", &source.remote).finish().0
}

/// All that the layer is made of. Only a `.git` directory knows where the commit came from.
fn parts(git: &Command<'_>, source: &Git, commit: &str) -> KeyBuilder {
    let builder = KeyBuilder::new("git")
        .part("commit", commit)
        .part("directory", source.subdir.as_deref().unwrap_or_default())
        .part("submodules", if source.submodules { "yes" } else { "no" })
        .part("times", if source.fetch_times { "of the fetch" } else { "of the commit" });
    if !source.keep_git_dir {
        return builder;
    }
    builder
        .part("git directory of", git.shown())
        .part("reference", source.reference.as_deref().unwrap_or_default())
}

/// Asks the repository what the reference stands for.
async fn resolve(git: &Command<'_>, source: &Git) -> Result<Resolved, GitError> {
    let reference = source.reference.as_deref().unwrap_or("HEAD");
    let wrong = |c: char| c.is_control() || c.is_whitespace() || "~^:?*[\\".contains(c);
    if reference.starts_with('-') || reference.contains(wrong) {
        return Err(GitError::Unusable { what: "reference", text: reference.to_owned() });
    }
    // A commit that is vouched for needs no reference: nobody is asked what that stands for by now.
    let vouched = source.checksum.as_deref().filter(|_| source.by_commit);
    if let Some(commit) = vouched.filter(|commit| is_commit(commit)) {
        let commit = Some(commit.to_ascii_lowercase());
        return Ok(Resolved { name: None, commit, tag: None });
    }
    if is_commit(reference) {
        let commit = Some(reference.to_ascii_lowercase());
        return Ok(Resolved { name: None, commit, tag: None });
    }
    let mut names: Vec<String> = candidates(reference).collect();
    names.extend(candidates(reference).map(|name| format!("{name}^{{}}")));
    let mut args = vec!["ls-remote", "--", git.remote()];
    args.extend(names.iter().map(String::as_str));
    let listed = git.ask_in(Path::new("/"), "read", &args).await?;
    if let Some(resolved) = choose(&listed, reference) {
        return Ok(resolved);
    }
    if is_beginning_of_commit(reference) {
        return Ok(Resolved { name: None, commit: None, tag: None });
    }
    Err(GitError::NoReference { remote: git.shown(), reference: reference.to_owned() })
}

/// The full names that a reference may mean, the likeliest first: a branch wins over a tag, as in BuildKit.
fn candidates(reference: &str) -> impl Iterator<Item = String> {
    let beginnings: &[&str] = match reference {
        "HEAD" => &[""],
        name if name.starts_with("refs/") => &[""],
        _ => &["refs/heads/", "refs/tags/", "refs/"],
    };
    beginnings.iter().map(move |beginning| format!("{beginning}{reference}"))
}

/// Finds the reference in the lines of `git ls-remote`: `object TAB name`.
fn choose(listed: &str, reference: &str) -> Option<Resolved> {
    let object = |wanted: &str| {
        let line =
            listed.lines().find(|line| line.split_once('\t').is_some_and(|(_, name)| name == wanted))?;
        line.split_once('\t').map(|(object, _)| object.to_owned()).filter(|object| is_commit(object))
    };
    candidates(reference).find_map(|name| {
        let found = object(&name)?;
        let peeled = object(&format!("{name}^{{}}"));
        let (commit, tag) = match peeled {
            Some(commit) => (commit, Some(found)),
            None => (found, None),
        };
        Some(Resolved { name: Some(name), commit: Some(commit), tag })
    })
}

fn verify(git: &Command<'_>, source: &Git, commit: &str, tag: Option<&str>) -> Result<(), GitError> {
    let Some(expected) = source.checksum.as_deref() else { return Ok(()) };
    let wanted = expected.to_ascii_lowercase();
    let is_wanted = |object: &str| wanted.len() >= FEWEST_DIGITS && object.starts_with(&wanted);
    if is_wanted(commit) || tag.is_some_and(is_wanted) {
        return Ok(());
    }
    Err(GitError::Checksum {
        remote: git.shown(),
        reference: source.reference.clone().unwrap_or_else(|| "HEAD".to_owned()),
        expected: expected.to_owned(),
        actual: commit.to_owned(),
    })
}

fn is_commit(text: &str) -> bool {
    COMMIT_DIGITS.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_beginning_of_commit(text: &str) -> bool {
    text.len() >= FEWEST_DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A remote as it may be shown.
fn shown(remote: &str) -> String {
    redact(remote)
}

#[cfg(test)]
mod tests;
