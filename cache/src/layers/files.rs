//! What is done to make one file of a tree, in as few system calls as it takes, relative to its open directory.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};

use rustix::fs::{
    AtFlags, CWD, Gid, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags, chmodat, chownat,
    fchmod, fchown, fsetxattr, futimens, linkat, lsetxattr, openat, utimensat,
};

use crate::error::{At, FileError};
use crate::layers::Entry;

/// Contents up to this size go to a thread in one piece; larger ones are streamed in pieces of it.
pub(crate) const BUFFER: usize = 128 * 1024;

/// Pieces of one stream on the way at a time.
const STREAM_DEPTH: usize = 4;

/// Extended attributes by full name.
pub(crate) type Xattrs = std::collections::BTreeMap<Vec<u8>, Vec<u8>>;

/// What a file is besides its content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Metadata {
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub mtime: i64,
    pub mtime_nsec: u32,
    pub xattrs: Xattrs,
}

/// A file to be made.
#[derive(Debug)]
pub(crate) struct FileJob {
    /// The directory it goes into.
    pub parent: Arc<OwnedFd>,
    /// Its name there.
    pub name: Vec<u8>,
    /// The whole path, for messages.
    pub path: PathBuf,
    pub metadata: Metadata,
    pub content: FileContent,
}

/// Where its bytes come from.
#[derive(Debug)]
pub(crate) enum FileContent {
    /// All of them.
    Buffer(Vec<u8>),
    /// Pieces, until the sender goes; the first says how to give the emptied buffers back.
    Stream(Stream),
    /// The file is a hard link to this one; if the file system has no room for another link, a copy.
    Link(PathBuf),
}

/// The receiving end of a streamed content.
#[derive(Debug)]
pub(crate) struct Stream {
    full: Receiver<Vec<u8>>,
    empty: SyncSender<Vec<u8>>,
}

/// The sending end of a streamed content.
#[derive(Debug)]
pub(crate) struct StreamSender {
    full: SyncSender<Vec<u8>>,
    empty: Receiver<Vec<u8>>,
}

/// A content in pieces.
pub(crate) fn stream() -> (StreamSender, Stream) {
    let (full_in, full_out) = sync_channel(STREAM_DEPTH);
    let (empty_in, empty_out) = sync_channel(STREAM_DEPTH + 2);
    (StreamSender { full: full_in, empty: empty_out }, Stream { full: full_out, empty: empty_in })
}

impl StreamSender {
    /// An empty buffer for the next piece.
    pub fn buffer(&self) -> Vec<u8> {
        let mut buffer = self.empty.try_recv().unwrap_or_else(|_| Vec::with_capacity(BUFFER));
        buffer.clear();
        buffer
    }

    /// Sends a piece. False if the receiver failed: the pool knows with what.
    pub fn send(&self, piece: Vec<u8>) -> bool {
        self.full.send(piece).is_ok()
    }
}

impl Metadata {
    /// What an entry says of its file.
    pub fn of(entry: &Entry) -> Metadata {
        Metadata {
            mode: entry.mode & 0o7777,
            uid: entry.uid,
            gid: entry.gid,
            mtime: entry.mtime,
            mtime_nsec: 0,
            xattrs: entry.xattrs.clone(),
        }
    }

    /// The permission bits a file is created with: all special bits wait until it has its owner.
    pub fn creation_mode(&self) -> Mode {
        Mode::from_raw_mode(self.mode & 0o777)
    }

    fn owner(&self) -> Option<(Uid, Gid)> {
        let process = Process::get();
        let differs = (self.uid, self.gid) != (process.uid, process.gid);
        differs.then(|| (Uid::from_raw(self.uid), Gid::from_raw(self.gid)))
    }

    fn times(&self) -> Timestamps {
        Timestamps {
            last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
            last_modification: Timespec { tv_sec: self.mtime, tv_nsec: self.mtime_nsec.into() },
        }
    }

    /// Completes an open file or directory. `created` is the mode it was created with, before the umask.
    pub fn apply(&self, fd: impl AsFd, created: u32) -> io::Result<()> {
        if let Some((uid, gid)) = self.owner() {
            fchown(&fd, Some(uid), Some(gid))?;
        }
        // Special bits are never created, so what a change of owner clears is set after it.
        if created & !Process::get().umask != self.mode {
            fchmod(&fd, Mode::from_raw_mode(self.mode))?;
        }
        for (name, value) in &self.xattrs {
            fsetxattr(&fd, name.as_slice(), value, XattrFlags::empty())?;
        }
        // Last: everything before counts as a change of the file.
        Ok(futimens(&fd, &self.times())?)
    }

    /// Completes what cannot be opened: a link, a device, a FIFO, just made by the caller and followed by nobody.
    pub fn apply_at(&self, parent: &OwnedFd, name: &[u8], is_symlink: bool) -> io::Result<()> {
        if let Some((uid, gid)) = self.owner() {
            chownat(parent, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
        }
        if !is_symlink {
            chmodat(parent, name, Mode::from_raw_mode(self.mode), AtFlags::empty())?;
        }
        for (attribute, value) in &self.xattrs {
            lsetxattr(proc_path(parent, name), attribute.as_slice(), value, XattrFlags::empty())?;
        }
        Ok(utimensat(parent, name, &self.times(), AtFlags::SYMLINK_NOFOLLOW)?)
    }
}

/// A path that leads to a name in an open directory, for the calls that only take paths.
pub(crate) fn proc_path(parent: &impl AsFd, name: &[u8]) -> Vec<u8> {
    let mut path = format!("/proc/self/fd/{}/", parent.as_fd().as_raw_fd()).into_bytes();
    path.extend_from_slice(name);
    path
}

impl FileJob {
    pub fn is_stream(&self) -> bool {
        matches!(self.content, FileContent::Stream(_))
    }

    /// Makes the file. Gives back the buffer it came in.
    pub fn run(self) -> Result<Vec<u8>, FileError> {
        match self.content {
            FileContent::Buffer(bytes) => {
                let mut file = create(&self.parent, &self.name, &self.metadata).at("create", &self.path)?;
                file.write_all(&bytes).at("write", &self.path)?;
                complete(&file, &self.metadata).at("set the attributes of", &self.path)?;
                Ok(bytes)
            }
            FileContent::Stream(stream) => {
                let mut file = create(&self.parent, &self.name, &self.metadata).at("create", &self.path)?;
                for piece in &stream.full {
                    file.write_all(&piece).at("write", &self.path)?;
                    // A sender that needs no more buffers is gone.
                    let _ = stream.empty.try_send(piece);
                }
                complete(&file, &self.metadata).at("set the attributes of", &self.path)?;
                Ok(Vec::new())
            }
            FileContent::Link(ref existing) => {
                let link = linkat(CWD, existing, &self.parent, self.name.as_slice(), AtFlags::empty());
                match link {
                    Err(rustix::io::Errno::MLINK | rustix::io::Errno::XDEV) => self.copy(existing)?,
                    link => link.at("link", &self.path)?,
                }
                Ok(Vec::new())
            }
        }
    }

    fn copy(&self, existing: &std::path::Path) -> Result<(), FileError> {
        let mut source = File::open(existing).at("open", existing)?;
        let mut file = create(&self.parent, &self.name, &self.metadata).at("create", &self.path)?;
        io::copy(&mut source, &mut file).at("write", &self.path)?;
        complete(&file, &self.metadata).at("set the attributes of", &self.path)
    }
}

fn create(parent: &OwnedFd, name: &[u8], metadata: &Metadata) -> io::Result<File> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(parent, name, flags, metadata.creation_mode())?.into())
}

fn complete(file: &File, metadata: &Metadata) -> io::Result<()> {
    metadata.apply(file, metadata.mode & 0o777)
}

/// What the kernel gives a new file on its own.
#[derive(Debug)]
pub(crate) struct Process {
    pub uid: u32,
    pub gid: u32,
    pub umask: u32,
}

impl Process {
    /// This process. Nothing in kiln changes these after its start.
    pub fn get() -> &'static Process {
        static PROCESS: OnceLock<Process> = OnceLock::new();
        PROCESS.get_or_init(|| Process {
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
            umask: read_umask().unwrap_or(0o777),
        })
    }
}

/// The umask can only be read by changing it, which other threads would notice; /proc says it without. Not knowing it
/// means taking it for all bits: then every mode is set explicitly.
fn read_umask() -> Option<u32> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("Umask:"))?;
    u32::from_str_radix(line.trim(), 8).ok()
}
