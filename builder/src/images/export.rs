//! Export: the files of an image, into a directory or as one tar.
//!
//! Into a directory they belong to whoever exports them, as docker does it; in a tar they keep their owners. What is
//! in the directory already stays unless the image has something of that name.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use kiln_cache::{ImageRecord, Node, NodeKind, View};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Timespec, Timestamps};

use super::fileset::FileSet;
use super::{ImageError, Images};
use crate::event::Progress;
use crate::fetch::Fetcher;

impl Images {
    /// Writes the image's files into a directory, which is made if there is none.
    pub async fn export_directory(
        &self,
        record: &ImageRecord,
        destination: &Path,
        progress: &Progress,
    ) -> Result<(), ImageError> {
        self.export_files(FileSet::of(record), destination, progress).await
    }

    /// Writes files into a directory, with what is stated about them.
    pub async fn export_files(
        &self,
        files: FileSet,
        destination: &Path,
        progress: &Progress,
    ) -> Result<(), ImageError> {
        let destination = destination.join(&files.under);
        let records = [files.record.clone()];
        self.export(&records, progress, "exporting to directory", move |views| {
            views.iter().try_for_each(|view| write_directory(view, &files, &destination))
        })
        .await
    }

    /// Writes the image's files as one tar and gives the writer back.
    pub async fn export_tar<W: Write + Send + 'static>(
        &self,
        record: &ImageRecord,
        writer: W,
        progress: &Progress,
    ) -> Result<W, ImageError> {
        self.export_tar_of(vec![FileSet::of(record)], writer, progress).await
    }

    /// Writes the files of several images as one tar, with what is stated about them.
    pub async fn export_tar_of<W: Write + Send + 'static>(
        &self,
        sets: Vec<FileSet>,
        writer: W,
        progress: &Progress,
    ) -> Result<W, ImageError> {
        let records: Vec<ImageRecord> = sets.iter().map(|set| set.record.clone()).collect();
        self.export(&records, progress, "exporting to tar", move |views| {
            super::tar::write(&sets, views, writer)
        })
        .await
    }

    async fn export<T: Send + 'static>(
        &self,
        records: &[ImageRecord],
        progress: &Progress,
        name: &str,
        write: impl FnOnce(&[View]) -> Result<T, ImageError> + Send + 'static,
    ) -> Result<T, ImageError> {
        let _use = self.store.use_lock()?;
        let mut all = Vec::new();
        for record in records {
            all.push(self.fetcher.trees(&Fetcher::snapshot(record)?, progress).await?);
        }
        let step = progress.step(name);
        let work = move || {
            let views: Result<Vec<View>, _> = all.iter().map(|trees| View::new(trees)).collect();
            write(&views?)
        };
        let written = tokio::task::spawn_blocking(work)
            .await
            .map_err(|source| ImageError::Worker { doing: "exporting files", source })?;
        match &written {
            Ok(_) => step.done(),
            Err(error) => step.failed(crate::text::chain(error)),
        }
        written
    }
}

fn write_directory(view: &View, files: &FileSet, destination: &Path) -> Result<(), ImageError> {
    std::fs::create_dir_all(destination).map_err(|source| ImageError::File {
        action: "create",
        path: destination.to_owned(),
        source,
    })?;
    let root = rustix::fs::open(destination, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).map_err(
        |error| ImageError::File { action: "open", path: destination.to_owned(), source: error.into() },
    )?;
    let mut export = Export { view, files, root: root.as_fd(), shown: destination, links: HashMap::new() };
    export.directory(Path::new("/"), root.as_fd())?;
    for (name, content) in files.statements(view)? {
        let path = destination.join(name);
        std::fs::write(&path, content).map_err(|source| ImageError::File {
            action: "write",
            path,
            source,
        })?;
    }
    Ok(())
}

/// The state of one export into a directory.
///
/// Invariant: every directory is opened beneath its parent's descriptor without following a link, so nothing the
/// destination already holds can lead outside of it.
struct Export<'a> {
    view: &'a View,
    files: &'a FileSet,
    root: BorrowedFd<'a>,
    shown: &'a Path,
    /// Files with several names: their identity, and the first name that was written.
    links: HashMap<(u64, u64), PathBuf>,
}

impl Export<'_> {
    fn directory(&mut self, path: &Path, into: BorrowedFd<'_>) -> Result<(), ImageError> {
        for (name, mut node) in self.view.read_dir(path)? {
            let inside = path.join(&name);
            if let Some(time) = self.files.time {
                (node.mtime, node.mtime_nsec) = (time, 0);
            }
            if self.files.exclusive && node.kind != NodeKind::Directory {
                self.at("write", &inside, absent(into, &name))?;
            }
            let written = match node.kind {
                NodeKind::Directory => {
                    let made = self.at("create", &inside, make_directory(into, &name))?;
                    self.directory(&inside, made.as_fd())?;
                    finish(&made, &node)
                }
                NodeKind::File => self.file(&inside, into, &name, &node)?,
                NodeKind::Symlink => make_symlink(into, &name, &node),
                NodeKind::CharDevice | NodeKind::BlockDevice | NodeKind::Fifo => {
                    make_node(into, &name, &node)
                }
                NodeKind::Socket => Ok(()),
            };
            self.at("write", &inside, written)?;
        }
        Ok(())
    }

    fn file(
        &mut self,
        path: &Path,
        into: BorrowedFd<'_>,
        name: &OsStr,
        node: &Node,
    ) -> Result<io::Result<()>, ImageError> {
        let relative = path.strip_prefix("/").unwrap_or(path);
        if node.nlink > 1 {
            if let Some(first) = self.links.get(&node.identity) {
                return Ok(make_link(self.root, first, into, name));
            }
            self.links.insert(node.identity, relative.to_owned());
        }
        let mut content = self.view.open(node)?;
        Ok(make_file(into, name, node, &mut content))
    }

    fn at<T>(&self, action: &'static str, path: &Path, result: io::Result<T>) -> Result<T, ImageError> {
        let path = || self.shown.join(path.strip_prefix("/").unwrap_or(path));
        result.map_err(|source| ImageError::File { action, path: path(), source })
    }
}

/// An error if something has that name.
fn absent(into: BorrowedFd<'_>, name: &OsStr) -> io::Result<()> {
    match rustix::fs::statat(into, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(rustix::io::Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
        Ok(_) => Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "another platform has a file of that name, and platform-split is off",
        )),
    }
}

/// Opens the directory of that name, made if need be; something else of that name gives way.
fn make_directory(into: BorrowedFd<'_>, name: &OsStr) -> io::Result<OwnedFd> {
    let open = || {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
        rustix::fs::openat(into, name, flags, Mode::empty())
    };
    match open() {
        Ok(directory) => return Ok(directory),
        Err(rustix::io::Errno::NOENT) => {}
        Err(_) => clear(into, name)?,
    }
    rustix::fs::mkdirat(into, name, Mode::from(0o700))?;
    Ok(open()?)
}

fn make_file(into: BorrowedFd<'_>, name: &OsStr, node: &Node, content: &mut File) -> io::Result<()> {
    clear(into, name)?;
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::openat(into, name, flags, Mode::from(0o600))?);
    io::copy(content, &mut file)?;
    finish(&file.into(), node)
}

/// Mode and times, last: writing would change the times, and a directory's mode could forbid writing.
fn finish(made: &OwnedFd, node: &Node) -> io::Result<()> {
    rustix::fs::fchmod(made, Mode::from(node.mode & 0o7777))?;
    Ok(rustix::fs::futimens(made, &times(node))?)
}

fn make_symlink(into: BorrowedFd<'_>, name: &OsStr, node: &Node) -> io::Result<()> {
    clear(into, name)?;
    let target = node.link_target.as_deref().unwrap_or(Path::new(""));
    rustix::fs::symlinkat(target, into, name)?;
    Ok(rustix::fs::utimensat(into, name, &times(node), AtFlags::SYMLINK_NOFOLLOW)?)
}

fn make_link(root: BorrowedFd<'_>, first: &Path, into: BorrowedFd<'_>, name: &OsStr) -> io::Result<()> {
    clear(into, name)?;
    Ok(rustix::fs::linkat(root, first, into, name, AtFlags::empty())?)
}

fn make_node(into: BorrowedFd<'_>, name: &OsStr, node: &Node) -> io::Result<()> {
    clear(into, name)?;
    let kind = match node.kind {
        NodeKind::CharDevice => FileType::CharacterDevice,
        NodeKind::BlockDevice => FileType::BlockDevice,
        _ => FileType::Fifo,
    };
    let device = rustix::fs::makedev(node.rdev.0, node.rdev.1);
    rustix::fs::mknodat(into, name, kind, Mode::from(node.mode & 0o7777), device)?;
    Ok(rustix::fs::utimensat(into, name, &times(node), AtFlags::SYMLINK_NOFOLLOW)?)
}

/// Removes what has that name, if it is not a directory: one that holds something is the user's.
fn clear(into: BorrowedFd<'_>, name: &OsStr) -> io::Result<()> {
    match rustix::fs::unlinkat(into, name, AtFlags::empty()) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
        Err(rustix::io::Errno::ISDIR) => Ok(rustix::fs::unlinkat(into, name, AtFlags::REMOVEDIR)?),
        Err(error) => Err(error.into()),
    }
}

fn times(node: &Node) -> Timestamps {
    let time = Timespec { tv_sec: node.mtime, tv_nsec: node.mtime_nsec.into() };
    Timestamps { last_access: time, last_modification: time }
}
