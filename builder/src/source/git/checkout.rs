//! Fetching a commit and putting its files into a layer's directory.
//!
//! The repository lives beside the layer until it is known what stays of it. Nothing in it is trusted: the wanted
//! directory is opened beneath the checkout, whatever symlinks the commit holds.

use std::fs::{self, DirEntry, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use kiln_cache::Draft;
use kiln_graph::op::Git;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags, Timespec, Timestamps};

use super::command::Command;
use super::{GitError, Resolved};
use crate::source::{SourceError, write_error};
use crate::task::blocking;

/// Name of the directory that git keeps its own files in.
const GIT_DIR: &str = ".git";

/// Fetches what was resolved and leaves its files in the draft; returns the commit.
pub(super) async fn checkout(
    git: &Command<'_>,
    source: &Git,
    resolved: &Resolved,
    draft: &Draft,
) -> Result<String, SourceError> {
    let tree = draft.work().join("tree");
    fs::create_dir(&tree).map_err(write_error(&tree))?;
    let commit = fetch(git, source, resolved, &tree).await?;
    git.run_in(&tree, "check out", &["checkout", "--quiet", "--detach", &commit]).await?;
    if source.submodules && tree.join(".gitmodules").symlink_metadata().is_ok() {
        let args = ["submodule", "update", "--init", "--recursive", "--depth=1", "--progress"];
        git.ask_in(&tree, "fetch the submodules of", &args).await?;
    }
    let time = if source.fetch_times {
        jiff::Timestamp::now().as_second()
    } else {
        let time = git.run_in(&tree, "read", &["show", "--no-patch", "--format=%ct", &commit]).await?;
        time.trim().parse::<i64>().unwrap_or_default()
    };
    let keeps = source.keep_git_dir && source.subdir.is_none();
    if keeps {
        settle(git, &tree).await?;
    }
    let (upper, subdir) = (draft.upper().to_owned(), source.subdir.clone());
    let (remote, at) = (git.shown(), commit.clone());
    let placed = blocking(move || {
        let wanted = subdir.as_deref().unwrap_or(".");
        let dir = open_beneath(&tree, wanted).map_err(|source| GitError::NoDirectory {
            remote,
            subdir: wanted.to_owned(),
            commit: at,
            source,
        })?;
        place(&dir, &upper, keeps, time).map_err(write_error(&upper))
    });
    placed.await.ok_or(SourceError::Lost)??;
    Ok(commit)
}

/// Gets the commit into a new repository at `tree`: it alone if the server gives it, else with all that leads there.
async fn fetch(
    git: &Command<'_>,
    source: &Git,
    resolved: &Resolved,
    tree: &Path,
) -> Result<String, GitError> {
    let format =
        if resolved.commit.as_ref().is_some_and(|commit| commit.len() == 64) { "sha256" } else { "sha1" };
    let format = format!("--object-format={format}");
    git.run_in(tree, "prepare for", &["init", "--quiet", "--template=", &format]).await?;
    let wanted = resolved.name.as_ref().or(resolved.commit.as_ref());
    if let Some(wanted) = wanted {
        let spec = match &resolved.name {
            Some(name) if name.starts_with("refs/") => format!("+{name}:{name}"),
            _ => wanted.clone(),
        };
        let args =
            ["fetch", "--progress", "--depth=1", "--no-tags", "--update-head-ok", "--", git.remote(), &spec];
        match git.ask_in(tree, "fetch from", &args).await {
            Ok(_) => return commit_of(git, tree, "FETCH_HEAD").await,
            // Not every server gives a commit that no reference names; the history has it nevertheless.
            Err(GitError::Failed { .. }) if resolved.name.is_none() => {}
            Err(error) => return Err(error),
        }
    }
    let all = ["+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"];
    let args = ["fetch", "--progress", "--no-tags", "--", git.remote(), all[0], all[1]];
    git.ask_in(tree, "fetch from", &args).await?;
    let reference = resolved.commit.as_deref().or(source.reference.as_deref()).unwrap_or("HEAD");
    let found = commit_of(git, tree, reference).await;
    found.map_err(|_| GitError::NoReference { remote: git.shown(), reference: reference.to_owned() })
}

async fn commit_of(git: &Command<'_>, tree: &Path, name: &str) -> Result<String, GitError> {
    let name = format!("{name}^{{commit}}");
    let commit =
        git.run_in(tree, "read", &["rev-parse", "--verify", "--quiet", "--end-of-options", &name]).await?;
    Ok(commit.trim().to_owned())
}

/// Makes a repository that stays look like a clone, without credentials and without traces of this build.
async fn settle(git: &Command<'_>, tree: &Path) -> Result<(), SourceError> {
    git.run_in(tree, "name", &["remote", "add", "--", "origin", &git.shown()]).await?;
    for leftover in ["FETCH_HEAD", "ORIG_HEAD"] {
        let path = tree.join(GIT_DIR).join(leftover);
        absent(fs::remove_file(&path)).map_err(write_error(&path))?;
    }
    let logs = tree.join(GIT_DIR).join("logs");
    absent(fs::remove_dir_all(&logs)).map_err(write_error(&logs))?;
    Ok(())
}

fn absent(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Opens a directory of the checkout; links that lead out of it are not followed.
fn open_beneath(tree: &Path, subdir: &str) -> io::Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
    let root = rustix::fs::openat(CWD, tree, flags, Mode::empty())?;
    let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    Ok(rustix::fs::openat2(&root, subdir, flags, Mode::empty(), beneath)?)
}

/// Moves what is in `dir` to `upper` and gives everything the modes and times of a commit.
fn place(dir: &OwnedFd, upper: &Path, keeps_git_dir: bool, time: i64) -> io::Result<()> {
    let to = rustix::fs::open(upper, OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    for entry in rustix::fs::Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let is_own = name.to_bytes() == GIT_DIR.as_bytes() && !keeps_git_dir;
        if matches!(name.to_bytes(), b"." | b"..") || is_own {
            continue;
        }
        rustix::fs::renameat(dir, name, &to, name)?;
    }
    normalise(upper, keeps_git_dir, time)
}

/// Modes and times below `dir`. A `.git` that does not stay is that of a submodule: a commit cannot hold one.
fn normalise(dir: &Path, keeps_git_dir: bool, time: i64) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name() == GIT_DIR && !keeps_git_dir {
            remove(&entry)?;
            continue;
        }
        let (path, kind) = (entry.path(), entry.file_type()?);
        if kind.is_dir() {
            normalise(&path, keeps_git_dir, time)?;
            fs::set_permissions(&path, Permissions::from_mode(0o755))?;
        } else if kind.is_file() {
            let runs = entry.metadata()?.permissions().mode() & 0o100 != 0;
            fs::set_permissions(&path, Permissions::from_mode(if runs { 0o755 } else { 0o644 }))?;
        }
        let stamp = Timespec { tv_sec: time, tv_nsec: 0 };
        let times = Timestamps { last_access: stamp, last_modification: stamp };
        rustix::fs::utimensat(CWD, &path, &times, AtFlags::SYMLINK_NOFOLLOW)?;
    }
    Ok(())
}

fn remove(entry: &DirEntry) -> io::Result<()> {
    if entry.file_type()?.is_dir() { fs::remove_dir_all(entry.path()) } else { fs::remove_file(entry.path()) }
}
