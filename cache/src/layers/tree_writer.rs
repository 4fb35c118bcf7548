//! Makes a layer's tree: directories, links and devices at once, files on the [pool](super::pool).
//!
//! Everything happens relative to open directories beneath the tree's root and nothing is followed, so no path of a
//! layer, however it was made, leads out of it. What directories are (mode, owner, times, attributes) is set at the
//! end, when nothing is put into them any more.
//!
//! The order and meaning of entries are the callers' business: [`super::writer`], [`super::applier`].

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, ResolveFlags, linkat, makedev, mkdirat, mknodat, openat2, symlinkat,
};

use crate::error::{At, FileError};
use crate::layers::entry::split_path;
use crate::layers::files::{FileContent, FileJob, Metadata, Process};
use crate::layers::pool::Pool;

/// The attribute by which the kernel's overlay knows an opaque directory.
pub(crate) const OPAQUE_XATTR: &[u8] = b"trusted.overlay.opaque";

/// Nothing below the tree's root is left and no link is followed.
const BENEATH: ResolveFlags =
    ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS);

/// No mode at all: the wanted one is always set.
const UNKNOWN: u32 = u32::MAX;

/// A tree in the making.
#[derive(Debug)]
pub(crate) struct TreeWriter {
    base: PathBuf,
    root: Arc<OwnedFd>,
    pool: Pool,
    /// What directories will be. A directory comes before what is in it.
    directories: BTreeMap<Vec<u8>, Directory>,
}

#[derive(Debug)]
struct Directory {
    metadata: Metadata,
    /// The mode it was made with, before the umask.
    created: u32,
}

/// Something that has no content.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Special<'a> {
    Symlink(&'a [u8]),
    CharDevice(u32, u32),
    BlockDevice(u32, u32),
    Fifo,
}

impl TreeWriter {
    /// Begins in an existing, empty directory.
    pub fn new(base: &Path) -> Result<TreeWriter, FileError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(base, flags, Mode::empty()).at("open", base)?;
        // The directory may have inherited a group and the bit that passes it on; nothing in the tree shall.
        let process = Process::get();
        let plain = Metadata { mode: 0o755, uid: process.uid, gid: process.gid, ..Metadata::default() };
        rustix::fs::fchown(
            &root,
            Some(rustix::fs::Uid::from_raw(plain.uid)),
            Some(rustix::fs::Gid::from_raw(plain.gid)),
        )
        .at("change the owner of", base)?;
        rustix::fs::fchmod(&root, Mode::from_raw_mode(plain.mode)).at("change the mode of", base)?;
        let base = base.to_owned();
        Ok(TreeWriter { base, root: Arc::new(root), pool: Pool::default(), directories: BTreeMap::new() })
    }

    /// The open root.
    pub fn root(&self) -> &Arc<OwnedFd> {
        &self.root
    }

    /// The absolute path of something in the tree, for messages.
    pub fn absolute(&self, path: &[u8]) -> PathBuf {
        self.base.join(OsStr::from_bytes(path))
    }

    /// A buffer to read a content into.
    pub fn buffer(&self) -> Vec<u8> {
        self.pool.buffer()
    }

    /// Opens a directory of the tree; every component must be one.
    pub fn open_directory(&self, path: &[u8]) -> std::io::Result<Arc<OwnedFd>> {
        if path.is_empty() {
            return Ok(Arc::clone(&self.root));
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Arc::new(openat2(&self.root, path, flags, Mode::empty(), BENEATH)?))
    }

    /// Makes a directory; it gets its metadata at the end.
    pub fn directory(&mut self, parent: &OwnedFd, path: &[u8], metadata: Metadata) -> Result<(), FileError> {
        let name = split_path(path).1;
        // Special bits come at the end: until then nothing in the directory inherits its group.
        let created = metadata.mode & 0o777 | 0o700;
        mkdirat(parent, name, Mode::from_raw_mode(created)).at("create", &self.absolute(path))?;
        self.directories.insert(path.to_owned(), Directory { metadata, created });
        Ok(())
    }

    /// Says what an existing directory will be; the root's path is empty.
    pub fn set_directory(&mut self, path: &[u8], metadata: Metadata) {
        match self.directories.get_mut(path) {
            Some(directory) => directory.metadata = metadata,
            None => {
                self.directories.insert(path.to_owned(), Directory { metadata, created: UNKNOWN });
            }
        }
    }

    /// What a directory made here will be.
    pub fn directory_metadata(&mut self, path: &[u8]) -> Option<&mut Metadata> {
        self.directories.get_mut(path).map(|directory| &mut directory.metadata)
    }

    /// Has a file made, on another thread.
    pub fn file(
        &mut self,
        parent: &Arc<OwnedFd>,
        path: &[u8],
        metadata: Metadata,
        content: FileContent,
    ) -> Result<(), FileError> {
        self.pool.submit(FileJob {
            parent: Arc::clone(parent),
            name: split_path(path).1.to_owned(),
            path: self.absolute(path),
            metadata,
            content,
        })
    }

    /// Waits for all files that were handed in.
    pub fn wait(&mut self) -> Result<(), FileError> {
        self.pool.wait()
    }

    /// Makes a link, device or FIFO.
    pub fn special(
        &mut self,
        parent: &OwnedFd,
        path: &[u8],
        metadata: &Metadata,
        special: Special<'_>,
    ) -> Result<(), FileError> {
        let name = split_path(path).1;
        let node = |kind, device| mknodat(parent, name, kind, metadata.creation_mode(), device);
        let made = match special {
            Special::Symlink(target) => symlinkat(target, parent, name),
            Special::CharDevice(major, minor) => node(FileType::CharacterDevice, makedev(major, minor)),
            Special::BlockDevice(major, minor) => node(FileType::BlockDevice, makedev(major, minor)),
            Special::Fifo => node(FileType::Fifo, 0),
        };
        made.at("create", &self.absolute(path))?;
        metadata
            .apply_at(parent, name, matches!(special, Special::Symlink(_)))
            .at("set the attributes of", &self.absolute(path))
    }

    /// Makes a whiteout: the device 0:0, which the overlay reads as "not there".
    pub fn whiteout(&mut self, parent: &OwnedFd, path: &[u8]) -> Result<(), FileError> {
        let made = mknodat(parent, split_path(path).1, FileType::CharacterDevice, Mode::empty(), 0);
        made.at("create", &self.absolute(path))
    }

    /// Makes another name of an existing file. Links are not followed.
    pub fn hard_link(
        &mut self,
        target_parent: &OwnedFd,
        target: &[u8],
        parent: &OwnedFd,
        path: &[u8],
    ) -> Result<(), FileError> {
        self.pool.wait()?;
        let (target, name) = (split_path(target).1, split_path(path).1);
        linkat(target_parent, target, parent, name, AtFlags::empty()).at("link", &self.absolute(path))
    }

    /// Forgets a directory that was removed, and those below it.
    pub fn forget_directory(&mut self, path: &[u8]) {
        let below = [path, b"/"].concat();
        self.directories.retain(|other, _| other != path && !other.starts_with(&below));
    }

    /// Waits for the files and gives every directory its metadata.
    pub fn finish(mut self) -> Result<(), FileError> {
        self.pool.wait()?;
        // Deepest first: a directory that its owner may not enter is closed only after what lies in it is done.
        for (path, Directory { metadata, created }) in self.directories.iter().rev() {
            let dir = self.open_for_metadata(path).at("open", &self.absolute(path))?;
            metadata.apply(dir, *created).at("set the attributes of", &self.absolute(path))?;
        }
        Ok(())
    }

    fn open_for_metadata(&self, path: &[u8]) -> std::io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let path = if path.is_empty() { b"." } else { path };
        Ok(openat2(&self.root, path, flags, Mode::empty(), BENEATH)?)
    }
}

/// Marks a directory's metadata as opaque.
pub(crate) fn make_opaque(metadata: &mut Metadata) {
    metadata.xattrs.insert(OPAQUE_XATTR.to_vec(), b"y".to_vec());
}
