//! Walks a layer's tree and gives its entries in the order of a layer, so that the tar is a function of the tree.
//!
//! Reads an overlay upper directory as the kernel leaves it: device 0:0 is a whiteout, an attribute makes a directory
//! opaque. Sockets mean nothing without the process that made them: they are left out, and removed from a tree that is
//! being sealed, so that tree and tar agree.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, Stat, Timespec, Timestamps, UTIME_OMIT, fgetxattr, flistxattr,
    futimens, lgetxattr, llistxattr, major, minor, openat, readlinkat, statat, unlinkat,
};
use rustix::io::Errno;

use crate::error::{At, FileError};
use crate::layers::entry::{Entry, EntryKind, is_layer_xattr};
use crate::layers::error::{LayerError, shown};
use crate::layers::files::{BUFFER, Xattrs, proc_path};
use crate::tarfile::write::{TarWriter, WHITEOUT};

/// The names by which an overlay marks an opaque directory, as root and in a user namespace.
const OPAQUE_NAMES: [&[u8]; 2] = [b"trusted.overlay.opaque", b"user.overlay.opaque"];

/// How large a list of attributes or an attribute may be: the kernel's limit for both.
const MOST_XATTR: usize = 64 * 1024;

/// Walks a tree. Uses one open directory for each level of the place where it stands.
#[derive(Debug)]
pub(crate) struct TreeReader {
    base: PathBuf,
    frames: Vec<Frame>,
    /// The path of the innermost open directory, with a slash at its end unless it is the root.
    prefix: Vec<u8>,
    /// The first path of each file that has several.
    links: HashMap<(u64, u64), Vec<u8>>,
    remove_sockets: bool,
}

#[derive(Debug)]
struct Frame {
    dir: OwnedFd,
    modified: Timespec,
    /// Sorted, last first.
    names: Vec<Vec<u8>>,
    /// What is left of the prefix when this directory is done.
    outer: usize,
}

/// The attributes of a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct FileXattrs {
    /// Those that belong to the layer.
    pub layer: Xattrs,
    /// Whether the overlay's mark of an opaque directory is among the others.
    pub opaque: bool,
}

/// Writes a tree as a tar. Gives the tar's size in bytes and number of entries.
pub(crate) fn write_tar(tree: TreeReader, out: impl Write) -> Result<(u64, u64), LayerError> {
    let mut tar = TarWriter::new(out);
    append_tree(tree, &mut tar)?;
    let (_, size, entries) = tar.finish().map_err(LayerError::Write)?;
    Ok((size, entries))
}

/// Writes the entries of a tree.
pub(crate) fn append_tree<W: Write>(mut tree: TreeReader, tar: &mut TarWriter<W>) -> Result<(), LayerError> {
    let mut buffer = vec![0; BUFFER];
    while let Some((entry, file)) = tree.next_entry()? {
        tar.entry(&entry).map_err(LayerError::Write)?;
        if let (EntryKind::File { size }, Some(mut file)) = (&entry.kind, file) {
            let path = tree.base.join(shown(&entry.path));
            copy_exactly(&mut file, *size, &path, &mut buffer, tar)?;
        }
    }
    Ok(())
}

fn copy_exactly<W: Write>(
    file: &mut File,
    size: u64,
    path: &Path,
    buffer: &mut [u8],
    tar: &mut TarWriter<W>,
) -> Result<(), LayerError> {
    let mut left = size;
    loop {
        let count = file.read(buffer).at("read", path)?;
        if count as u64 > left || (count == 0 && left > 0) {
            return Err(LayerError::Changed { path: path.to_owned() });
        }
        if count == 0 {
            return tar.end_data(size).map_err(LayerError::Write);
        }
        left -= count as u64;
        tar.data(&buffer[..count]).map_err(LayerError::Write)?;
    }
}

impl TreeReader {
    /// Begins at a tree's root, which is no entry itself.
    pub fn new(base: &Path, remove_sockets: bool) -> Result<TreeReader, LayerError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = rustix::fs::open(base, flags, Mode::empty()).at("open", base)?;
        let mut reader = TreeReader {
            base: base.to_owned(),
            frames: Vec::new(),
            prefix: Vec::new(),
            links: HashMap::new(),
            remove_sockets,
        };
        let stat = rustix::fs::fstat(&dir).at("look at", base)?;
        reader.enter(dir, &stat, 0)?;
        Ok(reader)
    }

    /// The next entry; a file comes with its open content.
    pub fn next_entry(&mut self) -> Result<Option<(Entry, Option<File>)>, LayerError> {
        while let Some(frame) = self.frames.last_mut() {
            let Some(name) = frame.names.pop() else {
                self.prefix.truncate(frame.outer);
                self.frames.pop();
                continue;
            };
            if let Some(entry) = self.entry(&name)? {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }

    fn entry(&mut self, name: &[u8]) -> Result<Option<(Entry, Option<File>)>, LayerError> {
        let path = [&self.prefix, name].concat();
        let Some(frame) = self.frames.last() else { return Ok(None) };
        let stat =
            statat(&frame.dir, name, AtFlags::SYMLINK_NOFOLLOW).at("look at", &self.absolute(&path))?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind == FileType::Socket {
            self.socket(name, &path)?;
            return Ok(None);
        }
        if name.starts_with(WHITEOUT) {
            return Err(LayerError::ReservedName { path: shown(&path) });
        }
        let device = (major(stat.st_rdev), minor(stat.st_rdev));
        if kind == FileType::CharacterDevice && device == (0, 0) {
            return Ok(Some((Entry::new(path, EntryKind::Whiteout, 0), None)));
        }
        let mut entry = Entry::new(path, EntryKind::Fifo, stat.st_mode & 0o7777);
        (entry.uid, entry.gid, entry.mtime) = (stat.st_uid, stat.st_gid, stat.st_mtime);
        if let Some(target) = self.earlier_name(kind, &stat, &entry.path) {
            entry.kind = EntryKind::Hardlink { target };
            return Ok(Some((entry, None)));
        }
        let file = self.fill(&mut entry, name, kind, &stat, device)?;
        Ok(Some((entry, file)))
    }

    /// Completes an entry that is the first name of its file.
    fn fill(
        &mut self,
        entry: &mut Entry,
        name: &[u8],
        kind: FileType,
        stat: &Stat,
        (major, minor): (u32, u32),
    ) -> Result<Option<File>, LayerError> {
        let path = self.absolute(&entry.path);
        let Some(frame) = self.frames.last() else { return Ok(None) };
        let open = |flags| {
            let flags = flags | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            openat(&frame.dir, name, flags, Mode::empty()).at("open", &path)
        };
        match kind {
            FileType::RegularFile => {
                let file = open(OFlags::empty())?;
                entry.kind = EntryKind::File { size: u64::try_from(stat.st_size).unwrap_or(0) };
                entry.xattrs = read_xattrs(&file).at("read the attributes of", &path)?.layer;
                return Ok(Some(file.into()));
            }
            FileType::Directory => {
                let dir = open(OFlags::DIRECTORY)?;
                let xattrs = read_xattrs(&dir).at("read the attributes of", &path)?;
                entry.kind = EntryKind::Directory { opaque: xattrs.opaque };
                entry.xattrs = xattrs.layer;
                let outer = self.prefix.len();
                self.prefix.extend_from_slice(name);
                self.prefix.push(b'/');
                self.enter(dir, stat, outer)?;
                return Ok(None);
            }
            FileType::Symlink => {
                let target = readlinkat(&frame.dir, name, Vec::new()).at("read the link", &path)?;
                entry.kind = EntryKind::Symlink { target: target.into_bytes() };
            }
            FileType::CharacterDevice => entry.kind = EntryKind::CharDevice { major, minor },
            FileType::BlockDevice => entry.kind = EntryKind::BlockDevice { major, minor },
            _ => entry.kind = EntryKind::Fifo,
        }
        entry.xattrs = link_xattrs(&proc_path(&frame.dir, name)).at("read the attributes of", &path)?;
        Ok(None)
    }

    /// Lists a directory that was opened; `self.prefix` is its path already.
    fn enter(&mut self, dir: OwnedFd, stat: &Stat, outer: usize) -> Result<(), FileError> {
        let mut names = list(&dir).at("list", &self.absolute(&self.prefix))?;
        names.sort_unstable_by(|a, b| b.cmp(a));
        let modified = Timespec { tv_sec: stat.st_mtime, tv_nsec: stat.st_mtime_nsec.cast_signed() };
        self.frames.push(Frame { dir, modified, names, outer });
        Ok(())
    }

    /// The first name of a file that was met before under it.
    fn earlier_name(&mut self, kind: FileType, stat: &Stat, path: &[u8]) -> Option<Vec<u8>> {
        if stat.st_nlink < 2 || kind == FileType::Directory {
            return None;
        }
        let earlier = self.links.get(&(stat.st_dev, stat.st_ino)).cloned();
        if earlier.is_none() {
            self.links.insert((stat.st_dev, stat.st_ino), path.to_owned());
        }
        earlier
    }

    fn socket(&mut self, name: &[u8], path: &[u8]) -> Result<(), FileError> {
        let Some(frame) = self.frames.last().filter(|_| self.remove_sockets) else { return Ok(()) };
        let path = self.absolute(path);
        unlinkat(&frame.dir, name, AtFlags::empty()).at("remove", &path)?;
        // The directory was not changed by the step, but by this.
        let last_access = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
        let times = Timestamps { last_access, last_modification: frame.modified };
        futimens(&frame.dir, &times).at("set the times above", &path)
    }

    fn absolute(&self, path: &[u8]) -> PathBuf {
        use std::os::unix::ffi::OsStrExt;
        self.base.join(std::ffi::OsStr::from_bytes(path))
    }
}

fn list(dir: &OwnedFd) -> io::Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

/// The attributes of an open file.
pub(crate) fn read_xattrs(file: &impl AsFd) -> io::Result<FileXattrs> {
    let mut list = [0; 1024];
    let names = match flistxattr(file, &mut list) {
        Ok(len) => list[..len].to_vec(),
        Err(Errno::NOTSUP) => return Ok(FileXattrs::default()),
        Err(Errno::RANGE) => {
            let mut list = vec![0; MOST_XATTR];
            let len = flistxattr(file, &mut list[..])?;
            list.truncate(len);
            list
        }
        Err(error) => return Err(error.into()),
    };
    let value = |name: &[u8]| {
        let mut value = vec![0; MOST_XATTR];
        let len = fgetxattr(file, name, &mut value[..])?;
        value.truncate(len);
        Ok(value)
    };
    collect_xattrs(&names, value)
}

/// The layer's attributes of something that cannot be opened, by its path.
pub(crate) fn link_xattrs(path: &[u8]) -> io::Result<Xattrs> {
    let mut list = vec![0; 1024];
    let len = match llistxattr(path, &mut list[..]) {
        Err(Errno::NOTSUP) => return Ok(Xattrs::new()),
        Err(Errno::RANGE) => {
            list.resize(MOST_XATTR, 0);
            llistxattr(path, &mut list[..])?
        }
        len => len?,
    };
    let value = |name: &[u8]| {
        let mut value = vec![0; MOST_XATTR];
        let len = lgetxattr(path, name, &mut value[..])?;
        value.truncate(len);
        Ok(value)
    };
    Ok(collect_xattrs(&list[..len], value)?.layer)
}

fn collect_xattrs(names: &[u8], value: impl Fn(&[u8]) -> io::Result<Vec<u8>>) -> io::Result<FileXattrs> {
    let mut xattrs = FileXattrs::default();
    for name in names.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        if OPAQUE_NAMES.contains(&name) {
            xattrs.opaque |= value(name)? == b"y";
        } else if is_layer_xattr(name) {
            xattrs.layer.insert(name.to_owned(), value(name)?);
        }
    }
    Ok(xattrs)
}
