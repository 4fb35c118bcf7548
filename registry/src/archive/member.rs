//! The members of an archive by name: places in a tar file, or files of a layout's directory.
//!
//! A tar's names are looked up in an index and never used as paths. Symbolic and hard links, by which docker
//! stores a layer once, are followed among the members only. What members mean is the formats' business.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use oci_spec::image::{Digest, MediaType};
use tar::EntryType;

use super::spool::start_of;
use super::{ArchiveError, docker, oci};
use crate::document::{Document, DocumentError, MAX_DOCUMENT};

/// Links followed from one name.
const MAX_LINKS: usize = 10;
/// Members that say what the archive contains; a second one would be another archive in the same file.
const UNIQUE: [&str; 3] = [oci::LAYOUT, oci::INDEX, docker::MANIFEST];

/// The members of one archive.
#[derive(Debug)]
pub(super) struct Members {
    path: PathBuf,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Directory,
    Tar { file: Arc<File>, index: BTreeMap<String, Member> },
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Member {
    File { offset: u64, size: u64 },
    Link(String),
}

/// Reads one member; several can be read at once.
#[derive(Debug)]
pub(super) struct MemberReader {
    file: Arc<File>,
    offset: u64,
    left: u64,
}

impl Members {
    pub(super) fn directory(path: &Path) -> Self {
        Self { path: path.to_owned(), place: Place::Directory }
    }

    /// Indexes a tar: headers are read, content is passed over.
    pub(super) fn tar(path: &Path, mut file: File) -> Result<Self, ArchiveError> {
        let unreadable = |source| ArchiveError::Read { path: path.to_owned(), source };
        let length = file.seek(SeekFrom::End(0)).map_err(unreadable)?;
        file.rewind().map_err(unreadable)?;
        let mut index = BTreeMap::new();
        let mut archive = tar::Archive::new(&file);
        for (number, entry) in archive.entries_with_seek().map_err(unreadable)?.enumerate() {
            let entry = entry.map_err(|source| match source.raw_os_error() {
                // The reader's words would repeat the bytes of what may be any file.
                None if number == 0 => ArchiveError::Unknown { path: path.to_owned() },
                _ => unreadable(source),
            })?;
            let Some(name) = to_name(&entry.path_bytes()) else { continue };
            let member = match entry.header().entry_type() {
                EntryType::Regular | EntryType::Continuous => {
                    Member::File { offset: entry.raw_file_position(), size: entry.size() }
                }
                EntryType::Link => match entry.link_name_bytes().and_then(|target| to_name(&target)) {
                    Some(target) => Member::Link(target),
                    None => continue,
                },
                EntryType::Symlink => match entry.link_name_bytes().and_then(|target| beside(&name, &target))
                {
                    Some(target) => Member::Link(target),
                    None => continue,
                },
                _ => continue,
            };
            if let Member::File { offset, size } = member
                && offset.checked_add(size).is_none_or(|end| end > length)
            {
                return Err(ArchiveError::Truncated { path: path.to_owned(), member: name });
            }
            let unique = UNIQUE.contains(&name.as_str());
            if index.insert(name.clone(), member).is_some() && unique {
                return Err(ArchiveError::Duplicate { path: path.to_owned(), member: name });
            }
        }
        Ok(Self { path: path.to_owned(), place: Place::Tar { file: Arc::new(file), index } })
    }

    /// The archive, for errors.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn has(&self, name: &str) -> bool {
        match (&self.place, to_name(name.as_bytes())) {
            (Place::Directory, Some(name)) => self.path.join(name).is_file(),
            (Place::Tar { index, .. }, Some(name)) => find(index, &name).is_some(),
            (_, None) => false,
        }
    }

    /// Opens a member.
    pub(super) fn open(&self, name: &str) -> Result<MemberReader, ArchiveError> {
        let clean = to_name(name.as_bytes()).ok_or_else(|| self.missing(name))?;
        match &self.place {
            Place::Directory => self.open_file(&clean),
            Place::Tar { file, index } => match find(index, &clean) {
                Some((offset, size)) => Ok(MemberReader { file: Arc::clone(file), offset, left: size }),
                None => Err(self.missing(name)),
            },
        }
    }

    /// Opens a file of a layout's directory by a name that does not climb out. What a link there leads to
    /// was the user's to decide, and a blob is nothing but its digest.
    fn open_file(&self, name: &str) -> Result<MemberReader, ArchiveError> {
        let path = self.path.join(name);
        // Not opened before it is known to be a file: opening a FIFO waits for its writer.
        if !path.is_file() {
            return Err(self.missing(name));
        }
        let unreadable = |source| ArchiveError::Read { path: path.clone(), source };
        let file = File::open(&path).map_err(unreadable)?;
        let left = file.metadata().map_err(unreadable)?.len();
        Ok(MemberReader { file: Arc::new(file), offset: 0, left })
    }

    /// Reads a small member whole.
    pub(super) fn read(&self, name: &str) -> Result<Bytes, ArchiveError> {
        let mut reader = self.open(name)?;
        if reader.left > MAX_DOCUMENT {
            let subject = format!("`{name}`");
            return Err(self.unusable(DocumentError::TooLarge { subject, size: reader.left }));
        }
        let mut bytes = Vec::new();
        reader
            .read_to_end(&mut bytes)
            .map_err(|source| ArchiveError::Read { path: self.path.clone(), source })?;
        Ok(bytes.into())
    }

    /// Reads a member that is JSON.
    pub(super) fn json<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<T, ArchiveError> {
        serde_json::from_slice(&self.read(name)?).map_err(|source| ArchiveError::Json {
            path: self.path.clone(),
            member: name.to_owned(),
            source,
        })
    }

    /// Reads a member that must have a digest.
    pub(super) fn document(
        &self,
        name: &str,
        digest: &Digest,
        media_type: MediaType,
    ) -> Result<Document, ArchiveError> {
        Document::verified(self.read(name)?, digest, media_type).map_err(|source| self.unusable(source))
    }

    pub(super) fn missing(&self, name: &str) -> ArchiveError {
        ArchiveError::Missing { path: self.path.clone(), member: name.to_owned() }
    }

    pub(super) fn unusable(&self, source: DocumentError) -> ArchiveError {
        ArchiveError::Document { path: self.path.clone(), source }
    }
}

impl MemberReader {
    /// The bytes that are left.
    pub(super) fn size(&self) -> u64 {
        self.left
    }

    /// Bytes at the start, without moving on.
    pub(super) fn start(&self) -> io::Result<Vec<u8>> {
        start_of(&self.file, self.offset, self.left)
    }
}

impl Read for MemberReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let length = self.file.read_at(&mut buffer[..wanted], self.offset)?;
        if length == 0 && wanted > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.offset += length as u64;
        self.left -= length as u64;
        Ok(length)
    }
}

/// The file that a name leads to, through links.
fn find(index: &BTreeMap<String, Member>, name: &str) -> Option<(u64, u64)> {
    let mut name = name;
    for _ in 0..=MAX_LINKS {
        match index.get(name)? {
            Member::File { offset, size } => return Some((*offset, *size)),
            Member::Link(target) => name = target,
        }
    }
    None
}

/// A member's name without `./`, `/` and `//`; nothing if it is not text or climbs out.
fn to_name(bytes: &[u8]) -> Option<String> {
    clean(std::str::from_utf8(bytes).ok()?.split('/'))
}

/// The name that a symbolic link in member `name` means.
fn beside(name: &str, target: &[u8]) -> Option<String> {
    let target = std::str::from_utf8(target).ok()?;
    let folder =
        if target.starts_with('/') { "" } else { name.rsplit_once('/').map_or("", |(folder, _)| folder) };
    clean(folder.split('/').chain(target.split('/')))
}

fn clean<'a>(parts: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut clean: Vec<&str> = Vec::new();
    for part in parts {
        match part {
            "" | "." => {}
            ".." => {
                clean.pop()?;
            }
            part => clean.push(part),
        }
    }
    (!clean.is_empty()).then(|| clean.join("/"))
}
