//! The entries of a tar in the vocabulary of layers, one after the other, in the archive's own order.

use std::io::{self, Read};

use crate::layers::{Entry, EntryKind};
use crate::tarfile::read::{RawEntry, RawKind, TarError, TarReader};

/// Why an archive could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// Reading or decompressing failed.
    #[error("cannot read the archive")]
    Read(#[source] io::Error),
    /// The tar is damaged.
    #[error(transparent)]
    Tar(#[from] TarError),
    /// A path leads out of the archive.
    #[error("`{path}` leads out of the archive")]
    Escapes {
        /// The path as the archive has it.
        path: String,
    },
}

/// Iterates over a tar. As entries are read from a stream, each must be done with before the next.
#[derive(Debug)]
pub struct Entries<R> {
    reader: TarReader<R>,
}

/// The entries of an uncompressed tar.
pub fn entries<R: Read>(tar: R) -> Entries<R> {
    Entries { reader: TarReader::new(tar) }
}

impl<R: Read> Entries<R> {
    /// The next entry, with a reader of its content. Paths (and targets of hard links) are relative and clean, and do
    /// not lead out of the archive; the archive's own root is left out. Links on the way are the caller's concern.
    pub fn next_entry(&mut self) -> Result<Option<(Entry, impl Read + '_)>, ArchiveError> {
        let entry = loop {
            let Some(raw) = self.reader.next_entry()? else { return Ok(None) };
            let entry = to_entry(raw)?;
            if !entry.path.is_empty() {
                break entry;
            }
        };
        Ok(Some((entry, &mut self.reader)))
    }
}

fn to_entry(raw: RawEntry) -> Result<Entry, ArchiveError> {
    let kind = match raw.kind {
        RawKind::File { size } => EntryKind::File { size },
        RawKind::Directory => EntryKind::Directory { opaque: false },
        RawKind::Symlink { target } => EntryKind::Symlink { target },
        RawKind::Hardlink { target } => EntryKind::Hardlink { target: clean(&target)? },
        RawKind::CharDevice { major, minor } => EntryKind::CharDevice { major, minor },
        RawKind::BlockDevice { major, minor } => EntryKind::BlockDevice { major, minor },
        RawKind::Fifo => EntryKind::Fifo,
    };
    Ok(Entry {
        path: clean(&raw.path)?,
        kind,
        mode: raw.mode,
        uid: raw.uid,
        gid: raw.gid,
        mtime: raw.mtime,
        xattrs: raw.xattrs,
    })
}

fn clean(path: &[u8]) -> Result<Vec<u8>, ArchiveError> {
    crate::tarfile::clean_path(path)
        .ok_or_else(|| ArchiveError::Escapes { path: String::from_utf8_lossy(path).into_owned() })
}
