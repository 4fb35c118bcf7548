//! A directory that becomes what a client lists.
//!
//! Everything happens beneath one open directory, and no link in it is followed. A file is written beside its place and
//! moved into it with the client's time, so that a transfer that is cut off leaves files that are whole and are asked
//! for again only if they differ. Owners and extended attributes of a client's files mean nothing here and are not kept.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, Stat as SystemStat, Timespec, Timestamps,
};
use rustix::io::Errno;

use super::Keep;
use super::order::{Order, Wrong, names as names_of, split};
use crate::api::files::Stat;
use crate::contexts::give_up;
use crate::session::files::{Kind, kind, permissions};

/// Where files are written before they get their place. No client lists it: the name is refused.
const PARTIAL: &str = ".kiln-partial";

/// What was taken over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Received {
    /// Entries that the client listed.
    pub(crate) listed: u64,
    /// Files that it sent.
    pub(crate) files: u64,
    /// Bytes of them.
    pub(crate) bytes: u64,
}

/// Why a listing could not be followed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TreeError {
    /// A path that no walk of a directory has.
    #[error("`{}` {reason}", path.escape_debug())]
    Path {
        /// The path.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A packet that has no place here.
    #[error("the client sent {what}, which was not asked for")]
    Unexpected {
        /// What.
        what: &'static str,
    },
    /// More than is held in memory.
    #[error("`{}` is more than {most} bytes can hold", path.escape_debug())]
    TooMuch {
        /// The path that was one too many.
        path: String,
        /// What can be held, in bytes.
        most: usize,
    },
    /// The disk said no.
    #[error("cannot {action} `{}`", path.escape_debug())]
    Disk {
        /// What was tried.
        action: &'static str,
        /// On what, relative to the directory.
        path: String,
        /// Why.
        #[source]
        source: Errno,
    },
    /// The disk said no to data.
    #[error("cannot write `{}`", path.escape_debug())]
    Write {
        /// Where.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// A file that was asked for.
struct Asked {
    stat: Stat,
    partial: Option<File>,
}

/// A directory on its way.
pub(super) struct Tree {
    root: OwnedFd,
    path: PathBuf,
    /// Whether there is a place for files on their way; most transfers need none, and to make one costs more than to look.
    has_partial: bool,
    order: Order,
    next: u32,
    is_listed: bool,
    seen: HashSet<Vec<u8>>,
    asked: HashMap<u32, Asked>,
    links: Vec<Stat>,
    directories: Vec<Stat>,
    /// The directory that the last entry is in.
    parent: Option<(Vec<u8>, OwnedFd)>,
    received: Received,
}

impl Tree {
    /// Opens the directory, which must be there.
    pub(super) fn open(path: &Path) -> Result<Self, TreeError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::openat(CWD, path, flags, Mode::empty());
        let root = root.map_err(|source| disk("open", path.as_os_str().as_bytes(), source))?;
        remove(&root, PARTIAL)?;
        Ok(Self {
            root,
            path: path.to_owned(),
            has_partial: false,
            order: Order::default(),
            next: 0,
            is_listed: false,
            seen: HashSet::new(),
            asked: HashMap::new(),
            links: Vec::new(),
            directories: Vec::new(),
            parent: None,
            received: Received::default(),
        })
    }
}

impl Keep for Tree {
    fn entry(&mut self, stat: &Stat) -> Result<Option<u32>, TreeError> {
        if self.is_listed {
            return Err(TreeError::Unexpected { what: "an entry after the end of the list" });
        }
        let id = self.next;
        self.next += 1;
        self.received.listed += 1;
        let wrong = |reason| TreeError::Path { path: shown(&stat.path), reason };
        let kind = kind(stat).ok_or_else(|| wrong("is no kind of file"))?;
        self.order.next(&stat.path, kind == Kind::Directory).map_err(|error| wrong(said(error)))?;
        if names_of(&stat.path).next() == Some(PARTIAL.as_bytes()) {
            return Err(wrong("is a name that is used for files on their way"));
        }
        if stat.size < 0 {
            return Err(wrong("has a size that no file has"));
        }
        // A socket has no content that could be copied.
        if kind == Kind::Socket {
            return Ok(None);
        }
        self.seen.insert(stat.path.clone());
        let (parent, name) = split(&stat.path);
        self.enter(parent)?;
        let Some((_, parent)) = &self.parent else { return Err(wrong("is in no directory")) };
        let there = there(parent, name, &stat.path)?;
        match kind {
            Kind::HardLink => self.links.push(stat.clone()),
            Kind::File => {
                if !there.is_some_and(|there| is_same_file(&there, stat)) {
                    self.asked.insert(id, Asked { stat: stat.clone(), partial: None });
                    return Ok(Some(id));
                }
            }
            Kind::Directory => {
                make_directory(parent, name, stat, there.as_ref())?;
                self.directories.push(stat.clone());
            }
            Kind::Symlink => make_symlink(parent, name, stat, there.as_ref())?,
            Kind::Pipe | Kind::Device { .. } => make_node(parent, name, stat, kind, there.as_ref())?,
            Kind::Socket => {}
        }
        Ok(None)
    }

    fn listed(&mut self) {
        self.is_listed = true;
    }

    fn data(&mut self, id: u32, data: &[u8]) -> Result<(), TreeError> {
        let asked = self.asked.get_mut(&id).ok_or(TreeError::Unexpected { what: "data of a file" })?;
        let partial = format!("{PARTIAL}/{id}");
        if asked.partial.is_none() {
            make_partial(&self.root, &mut self.has_partial)?;
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
            let file = rustix::fs::openat(&self.root, partial.as_str(), flags, Mode::RUSR | Mode::WUSR);
            asked.partial = Some(file.map_err(|source| disk("make", &asked.stat.path, source))?.into());
        }
        let Some(file) = &mut asked.partial else { return Ok(()) };
        self.received.bytes += data.len() as u64;
        if !data.is_empty() {
            let path = &asked.stat.path;
            let failed = |source| TreeError::Write { path: shown(path), source };
            return file.write_all(data).map_err(failed);
        }
        let stat = std::mem::take(&mut asked.stat);
        settle(file.as_fd(), &stat)?;
        self.asked.remove(&id);
        self.received.files += 1;
        let (parent, name) = split(&stat.path);
        self.enter(parent)?;
        if let Some((_, parent)) = &self.parent {
            let failed = |source| disk("place", &stat.path, source);
            if there(parent, name, &stat.path)?.is_some_and(|there| file_type(&there) == FileType::Directory)
            {
                remove(parent, name)?;
            }
            rustix::fs::renameat(&self.root, partial.as_str(), parent, name).map_err(failed)?;
        }
        Ok(())
    }

    fn is_complete(&self) -> bool {
        self.is_listed && self.asked.is_empty()
    }
}

impl Tree {
    /// Makes the links, removes what was not listed, and gives directories their times.
    pub(super) fn finish(mut self) -> Result<Received, TreeError> {
        for link in std::mem::take(&mut self.links) {
            self.link(&link)?;
        }
        self.parent = None;
        let mut gone = Gone { root: &self.root, has_place: self.has_partial, count: 0 };
        sweep(&self.root, b"", &self.seen, &mut gone)?;
        // Removed beside everything else; what cannot be moved away is removed here and now.
        let beside = self.path.parent().filter(|_| gone.count > 0);
        if gone.has_place && beside.is_none_or(|beside| give_up(&self.path.join(PARTIAL), beside).is_err()) {
            remove(&self.root, PARTIAL)?;
        }
        for stat in std::mem::take(&mut self.directories).iter().rev() {
            let directory = open_beneath(&self.root, &stat.path)?;
            let now = rustix::fs::fstat(&directory).map_err(|source| disk("look at", &stat.path, source))?;
            if nanoseconds(&now) != stat.mod_time {
                let failed = |source| disk("date", &stat.path, source);
                rustix::fs::futimens(&directory, &times(stat.mod_time)).map_err(failed)?;
            }
        }
        Ok(self.received)
    }

    fn link(&mut self, stat: &Stat) -> Result<(), TreeError> {
        let wrong = |reason| TreeError::Path { path: shown(&stat.path), reason };
        if !self.seen.contains(&stat.linkname) {
            return Err(wrong("is another name of a file that was not listed"));
        }
        let (directory, target) = split(&stat.linkname);
        let directory = open_beneath(&self.root, directory)?;
        let original = there(&directory, target, &stat.linkname)?;
        let original = original.ok_or_else(|| wrong("is another name of a file that is not there"))?;
        if file_type(&original) == FileType::Directory {
            return Err(wrong("is another name of a directory"));
        }
        let (parent, name) = split(&stat.path);
        let parent = open_beneath(&self.root, parent)?;
        match there(&parent, name, &stat.path)? {
            Some(there) if there.st_ino == original.st_ino => return Ok(()),
            Some(_) => remove(&parent, name)?,
            None => {}
        }
        let failed = |source| disk("link", &stat.path, source);
        rustix::fs::linkat(&directory, target, &parent, name, AtFlags::empty()).map_err(failed)
    }

    /// Makes `path` the directory that entries are made in.
    fn enter(&mut self, path: &[u8]) -> Result<(), TreeError> {
        if self.parent.as_ref().is_none_or(|(open, _)| open != path) {
            let directory = open_beneath(&self.root, path)?;
            self.parent = Some((path.to_owned(), directory));
        }
        Ok(())
    }
}

pub(super) fn said(error: Wrong) -> &'static str {
    match error {
        Wrong::Malformed => "is not a path inside the directory",
        Wrong::OutOfOrder => "is out of order",
        Wrong::NoParent => "is in a directory that was not listed",
    }
}

/// A path for people.
pub(super) fn shown(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

fn disk(action: &'static str, path: &[u8], source: Errno) -> TreeError {
    TreeError::Disk { action, path: shown(path), source }
}

/// Makes the place for files on their way, the first time that one is needed.
fn make_partial(root: &OwnedFd, is_there: &mut bool) -> Result<(), TreeError> {
    if !*is_there {
        rustix::fs::mkdirat(root, PARTIAL, Mode::RWXU)
            .map_err(|source| disk("make", PARTIAL.as_bytes(), source))?;
        *is_there = true;
    }
    Ok(())
}

fn open_beneath(root: &OwnedFd, path: &[u8]) -> Result<OwnedFd, TreeError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let name = if path.is_empty() { b"." } else { path };
    rustix::fs::openat2(root, name, flags, Mode::empty(), beneath)
        .map_err(|source| disk("open", path, source))
}

fn there(parent: &OwnedFd, name: &[u8], path: &[u8]) -> Result<Option<SystemStat>, TreeError> {
    match rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(source) => Err(disk("look at", path, source)),
    }
}

fn file_type(stat: &SystemStat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

pub(crate) fn nanoseconds(stat: &SystemStat) -> i64 {
    let (seconds, rest) = (stat.st_mtime, i64::try_from(stat.st_mtime_nsec).unwrap_or_default());
    seconds.saturating_mul(1_000_000_000).saturating_add(rest)
}

fn times(nanoseconds: i64) -> Timestamps {
    let time = Timespec {
        tv_sec: nanoseconds.div_euclid(1_000_000_000),
        tv_nsec: nanoseconds.rem_euclid(1_000_000_000),
    };
    Timestamps { last_access: time, last_modification: time }
}

fn is_same_file(there: &SystemStat, stat: &Stat) -> bool {
    file_type(there) == FileType::RegularFile
        && there.st_mode & 0o7777 == permissions(stat)
        && there.st_size == stat.size
        && nanoseconds(there) == stat.mod_time
        // Writing through one name of several would change the others.
        && there.st_nlink == 1
}

/// Gives a written file its mode and time.
fn settle(file: impl AsFd, stat: &Stat) -> Result<(), TreeError> {
    let failed = |source| disk("finish", &stat.path, source);
    rustix::fs::fchmod(&file, Mode::from_raw_mode(permissions(stat))).map_err(failed)?;
    rustix::fs::futimens(&file, &times(stat.mod_time)).map_err(failed)
}

fn make_directory(
    parent: &OwnedFd,
    name: &[u8],
    stat: &Stat,
    there: Option<&SystemStat>,
) -> Result<(), TreeError> {
    let failed = |source| disk("make", &stat.path, source);
    let mode = Mode::from_raw_mode(permissions(stat));
    match there {
        Some(there) if file_type(there) == FileType::Directory => {
            if there.st_mode & 0o7777 == permissions(stat) {
                return Ok(());
            }
        }
        Some(_) => {
            remove(parent, name)?;
            rustix::fs::mkdirat(parent, name, Mode::RWXU).map_err(failed)?;
        }
        None => rustix::fs::mkdirat(parent, name, Mode::RWXU).map_err(failed)?,
    }
    rustix::fs::chmodat(parent, name, mode, AtFlags::empty()).map_err(failed)
}

fn make_symlink(
    parent: &OwnedFd,
    name: &[u8],
    stat: &Stat,
    there: Option<&SystemStat>,
) -> Result<(), TreeError> {
    let failed = |source| disk("make", &stat.path, source);
    if let Some(there) = there {
        if file_type(there) == FileType::Symlink && nanoseconds(there) == stat.mod_time {
            let target = rustix::fs::readlinkat(parent, name, Vec::new()).map_err(failed)?;
            if target.as_bytes() == stat.linkname {
                return Ok(());
            }
        }
        remove(parent, name)?;
    }
    rustix::fs::symlinkat(stat.linkname.as_slice(), parent, name).map_err(failed)?;
    rustix::fs::utimensat(parent, name, &times(stat.mod_time), AtFlags::SYMLINK_NOFOLLOW).map_err(failed)
}

fn make_node(
    parent: &OwnedFd,
    name: &[u8],
    stat: &Stat,
    kind: Kind,
    there: Option<&SystemStat>,
) -> Result<(), TreeError> {
    let failed = |source| disk("make", &stat.path, source);
    // What has a number that no device has is refused like other mistakes; nothing here opens a device.
    let wrong = |_| TreeError::Path { path: shown(&stat.path), reason: "is a device that no system has" };
    let number = |value: i64| u32::try_from(value).map_err(wrong);
    let device = rustix::fs::makedev(number(stat.devmajor)?, number(stat.devminor)?);
    let file_type = match kind {
        Kind::Device { character: true } => FileType::CharacterDevice,
        Kind::Device { character: false } => FileType::BlockDevice,
        _ => FileType::Fifo,
    };
    let device = if file_type == FileType::Fifo { 0 } else { device };
    if there.is_some() {
        remove(parent, name)?;
    }
    let mode = Mode::from_raw_mode(permissions(stat));
    rustix::fs::mknodat(parent, name, file_type, mode, device).map_err(failed)?;
    rustix::fs::chmodat(parent, name, mode, AtFlags::empty()).map_err(failed)?;
    rustix::fs::utimensat(parent, name, &times(stat.mod_time), AtFlags::SYMLINK_NOFOLLOW).map_err(failed)
}

/// What is in a directory. Not every file system says there what kind of file a name has.
fn names(directory: &OwnedFd, path: &[u8]) -> Result<Vec<(Vec<u8>, FileType)>, TreeError> {
    let failed = |source| disk("list", path, source);
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_bytes();
        if !matches!(name, b"." | b"..") {
            names.push((name.to_vec(), entry.file_type()));
        }
    }
    Ok(names)
}

/// What was not listed, on its way out of the tree: to remove a hundred thousand files takes a minute on some disks.
struct Gone<'a> {
    root: &'a OwnedFd,
    has_place: bool,
    count: u64,
}

impl Gone<'_> {
    /// Takes an entry out of its directory.
    fn take(&mut self, directory: &OwnedFd, name: &[u8]) -> Result<(), TreeError> {
        make_partial(self.root, &mut self.has_place)?;
        self.count += 1;
        let place = format!("{PARTIAL}/gone-{}", self.count);
        match rustix::fs::renameat(directory, name, self.root, &place) {
            Ok(()) => Ok(()),
            // A directory that may not be written into cannot be moved by everybody.
            Err(_) => remove(directory, name),
        }
    }
}

/// Removes what was not listed.
fn sweep(
    directory: &OwnedFd,
    path: &[u8],
    seen: &HashSet<Vec<u8>>,
    gone: &mut Gone<'_>,
) -> Result<(), TreeError> {
    for (name, kind) in names(directory, path)? {
        if path.is_empty() && name == PARTIAL.as_bytes() {
            continue;
        }
        let below = if path.is_empty() { name.clone() } else { [path, b"/", &*name].concat() };
        if !seen.contains(&below) {
            gone.take(directory, &name)?;
            continue;
        }
        let kind = match kind {
            FileType::Unknown => rustix::fs::statat(directory, &*name, AtFlags::SYMLINK_NOFOLLOW)
                .map(|stat| file_type(&stat))
                .map_err(|source| disk("look at", &below, source))?,
            kind => kind,
        };
        if kind == FileType::Directory {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
            let child = rustix::fs::openat(directory, &*name, flags, Mode::empty());
            sweep(&child.map_err(|source| disk("open", &below, source))?, &below, seen, gone)?;
        }
    }
    Ok(())
}

/// Removes a file or a directory with all that is in it, if it is there.
fn remove(parent: &OwnedFd, name: impl rustix::path::Arg + Copy) -> Result<(), TreeError> {
    let shown = name.to_string_lossy().into_owned();
    let failed = |source| disk("remove", shown.as_bytes(), source);
    match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(source) => return Err(failed(source)),
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let directory = rustix::fs::openat(parent, name, flags, Mode::empty()).map_err(failed)?;
    for (below, _) in names(&directory, shown.as_bytes())? {
        remove(&directory, &*below)?;
    }
    rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR).map_err(failed)
}
