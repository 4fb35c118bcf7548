//! Archives that ADD unpacks: what compression they have and what is in them.

use std::io::Read;

use crate::layers::Entry;

/// Why an archive could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// Reading failed.
    #[error("cannot read the archive")]
    Read(#[source] std::io::Error),
}

/// How an archive is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// A tar as it is.
    Plain,
    /// gzip.
    Gzip,
    /// bzip2.
    Bzip2,
    /// xz.
    Xz,
    /// Zstandard.
    Zstd,
}

/// How many first bytes [`sniff`] wants to see.
pub const SNIFF: usize = 512;

/// What the first bytes of a file say: a (compressed) archive, or nothing of the kind.
pub fn sniff(start: &[u8]) -> Option<Packing> {
    unimplemented!()
}

/// The bytes inside the compression.
pub fn decoder<'a>(packing: Packing, reader: impl Read + Send + 'a) -> Result<Box<dyn Read + Send + 'a>, ArchiveError> {
    unimplemented!()
}

/// The entries of an uncompressed tar, in the archive's order.
pub fn entries<R: Read>(tar: R) -> Entries<R> {
    unimplemented!()
}

/// See [`entries`].
#[derive(Debug)]
pub struct Entries<R>(R);

impl<R: Read> Entries<R> {
    /// The next entry with a reader of its bytes.
    pub fn next_entry(&mut self) -> Result<Option<(Entry, Box<dyn Read + '_>)>, ArchiveError> {
        unimplemented!()
    }
}
