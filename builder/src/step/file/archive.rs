//! ADD of a local archive: its entries become changes at the destination.
//!
//! What is an archive is decided by content, not by name, as Docker does. The content of files is set aside
//! in one unnamed spool file, because a layer is written in its own order and an archive has another. Entries
//! land where a `tar -x` in the destination would put them, symlinks followed beneath the image's root.

use std::fs::File;
use std::io::{Read, Seek};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use kiln_cache::archive::{self, ArchiveError, Packing, SNIFF};
use kiln_cache::{Entry, EntryKind, Store};

use super::FileError;
use super::copy::{Copying, NEW_DIRECTORY};
use super::delta::{Body, Change, Delta, Existing};
use crate::content::{Item, ItemKind, Tree};

/// The spools of a step.
#[derive(Default)]
pub(super) struct Archives {
    spools: Vec<File>,
    files: u64,
}

impl Archives {
    /// Unpacks `item` if it is an archive; false if it is not.
    pub(super) fn unpack(
        &mut self,
        store: &Store,
        copying: &Copying<'_>,
        delta: &mut Delta<'_>,
        tree: &dyn Tree,
        item: &Item,
    ) -> Result<bool, FileError> {
        let ItemKind::File { size } = item.kind else { return Ok(false) };
        if size == 0 {
            return Ok(false);
        }
        let failed = |source| FileError::Archive { path: item.path.clone(), source };
        let mut start = [0; SNIFF];
        let mut file = tree.open(item)?;
        let length = fill(&mut file, &mut start).map_err(|source| spool_error(item, source))?;
        let Some(packing) = archive::sniff(&start[..length]) else { return Ok(false) };
        file.rewind().map_err(|source| spool_error(item, source))?;
        if !holds_entries(packing, file.try_clone().map_err(|source| spool_error(item, source))?) {
            // Compressed, but no tar inside: copied as the file that it is.
            return Ok(false);
        }
        file.rewind().map_err(|source| spool_error(item, source))?;
        let mut entries = archive::entries(archive::decoder(packing, file).map_err(failed)?);
        let owner = copying.owner.unwrap_or_default();
        let destination = delta.resolve(Path::new(&copying.action.destination))?;
        delta.make_directories(&destination, NEW_DIRECTORY, owner.uid, owner.gid)?;
        let mut landing = Landing {
            copying,
            archive: item,
            destination,
            number: self.spools.len(),
            spool: spool(store).map_err(|source| spool_error(item, source))?,
            length: 0,
            files: self.files,
        };
        while let Some((entry, mut content)) = entries.next_entry().map_err(failed)? {
            landing.entry(delta, entry, &mut content)?;
        }
        self.files = landing.files;
        self.spools.push(landing.spool);
        Ok(true)
    }

    /// A reader of a spooled file's bytes.
    pub(super) fn read(&self, spool: usize, offset: u64, size: u64) -> Option<Spooled<'_>> {
        Some(Spooled { file: self.spools.get(spool)?, offset, left: size })
    }
}

/// A part of a spool.
pub(super) struct Spooled<'a> {
    file: &'a File,
    offset: u64,
    left: u64,
}

impl Read for Spooled<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let count = std::os::unix::fs::FileExt::read_at(self.file, &mut buffer[..wanted], self.offset)?;
        self.offset += count as u64;
        self.left -= count as u64;
        Ok(count)
    }
}

/// One archive on its way into the delta.
struct Landing<'a> {
    copying: &'a Copying<'a>,
    archive: &'a Item,
    /// Relative to the root, free of symlinks.
    destination: PathBuf,
    number: usize,
    spool: File,
    length: u64,
    files: u64,
}

impl Landing<'_> {
    fn entry(
        &mut self,
        delta: &mut Delta<'_>,
        entry: Entry,
        content: &mut dyn Read,
    ) -> Result<(), FileError> {
        let path = self.place(delta, &entry.path)?;
        let existing = delta.existing(&path)?;
        let (kind, body) = match entry.kind {
            EntryKind::File { size } => (ItemKind::File { size }, self.spool(content, size)?),
            EntryKind::Directory { .. } => (ItemKind::Directory, Body::None),
            EntryKind::Symlink { target } => (
                ItemKind::Symlink { target: PathBuf::from(std::ffi::OsStr::from_bytes(&target)) },
                self.nothing(),
            ),
            EntryKind::CharDevice { major, minor } => (ItemKind::CharDevice { major, minor }, self.nothing()),
            EntryKind::BlockDevice { major, minor } => {
                (ItemKind::BlockDevice { major, minor }, self.nothing())
            }
            EntryKind::Fifo => (ItemKind::Fifo, self.nothing()),
            EntryKind::Whiteout => return Ok(()),
            EntryKind::Hardlink { target } => return self.link(delta, &path, &target),
        };
        if existing == Existing::Directory && kind != ItemKind::Directory {
            delta.hide_directory(&path);
        }
        let change = Change {
            kind,
            mode: entry.mode,
            uid: self.copying.owner.map_or(entry.uid, |owner| owner.uid),
            gid: self.copying.owner.map_or(entry.gid, |owner| owner.gid),
            mtime: Some(entry.mtime),
            xattrs: entry.xattrs,
            body,
        };
        if existing == Existing::Other && change.kind == ItemKind::Directory {
            delta.put_directory_instead(&path, change);
        } else {
            delta.put(&path, change);
        }
        Ok(())
    }

    /// Where an entry lands: its parent followed beneath the root and made if missing, its own name not followed.
    fn place(&self, delta: &mut Delta<'_>, entry: &[u8]) -> Result<PathBuf, FileError> {
        let written = self.destination.join(std::ffi::OsStr::from_bytes(entry));
        let parent = delta.resolve(written.parent().unwrap_or(Path::new("")))?;
        delta.make_directories(&parent, NEW_DIRECTORY, 0, 0)?;
        Ok(match written.file_name() {
            Some(name) => parent.join(name),
            None => parent,
        })
    }

    fn link(&self, delta: &mut Delta<'_>, path: &Path, target: &[u8]) -> Result<(), FileError> {
        let target = self.place(delta, target)?;
        let Some(change) = delta.change(&target).filter(|change| change.kind != ItemKind::Directory).cloned()
        else {
            return Err(FileError::HardlinkTarget {
                path: self.archive.path.clone(),
                name: Path::new("/").join(path),
                target: Path::new("/").join(target),
            });
        };
        delta.put(path, change);
        Ok(())
    }

    /// The body of what has no content, but may have other names in the archive.
    fn nothing(&mut self) -> Body {
        self.files += 1;
        Body::Spooled { spool: self.number, offset: self.length, file: self.files }
    }

    fn spool(&mut self, content: &mut dyn Read, size: u64) -> Result<Body, FileError> {
        let failed = |source| spool_error(self.archive, source);
        let written = std::io::copy(&mut content.take(size), &mut self.spool).map_err(failed)?;
        if written != size {
            return Err(failed(std::io::ErrorKind::UnexpectedEof.into()));
        }
        let offset = self.length;
        self.length += written;
        self.files += 1;
        Ok(Body::Spooled { spool: self.number, offset, file: self.files })
    }
}

/// An archive whose first entry leads out of it is one too: it is refused, not copied as a file.
fn holds_entries(packing: Packing, file: File) -> bool {
    archive::decoder(packing, file).is_ok_and(|tar| {
        let first = archive::entries(tar).next_entry().map(|entry| entry.is_some());
        matches!(first, Ok(true) | Err(ArchiveError::Escapes { .. }))
    })
}

fn spool_error(item: &Item, source: std::io::Error) -> FileError {
    FileError::Spool { path: item.path.clone(), source }
}

/// A file of the store without a name, gone with the process.
fn spool(store: &Store) -> std::io::Result<File> {
    use rustix::fs::{Mode, OFlags};
    let file = rustix::fs::open(
        store.root(),
        OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC,
        Mode::RUSR | Mode::WUSR,
    )?;
    Ok(File::from(file))
}

fn fill(file: &mut File, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match file.read(&mut buffer[length..])? {
            0 => break,
            count => length += count,
        }
    }
    Ok(length)
}
