//! Content-addressed files: manifests, configurations and layers in the form in which they travel.
//!
//! A blob is written beside, hashed on the way, and renamed to its digest. Its stamp (see [`crate::boot`]) lies in a
//! small file of its own; a blob without a stamp that can be believed is hashed once more before it counts, and
//! removed if it is not what its name says.
//!
//! What a blob means is for others to know: layers, images.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::PathBuf;

use sha2::{Digest as _, Sha256};

use crate::boot::Stamp;
use crate::digest::{Digest, DigestError, digest_of, digest_of_hash, sha256_hex};
use crate::error::{At, FileError, optional};
use crate::lease::Held;
use crate::store::Store;
use crate::tmp::{Temporary, remove_all};

/// How much of a blob is in memory while it is hashed.
const CHUNK: usize = 256 * 1024;

/// The blobs of a store.
#[derive(Clone, Debug)]
pub struct Blobs {
    store: Store,
}

/// Why a blob could not be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// A file operation failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// The digest is of a kind that cannot be kept here.
    #[error(transparent)]
    Digest(#[from] DigestError),
    /// There is no such blob.
    #[error("blob {digest} is not in the store")]
    Missing {
        /// The blob asked for.
        digest: Digest,
    },
    /// The bytes are not those that were stored.
    #[error(
        "blob {digest} was damaged in the store and has been removed: the next try gets or makes it again"
    )]
    Damaged {
        /// The blob.
        digest: Digest,
    },
    /// The bytes are not those that the digest names.
    #[error("content does not match: expected {expected}, got {actual}")]
    Mismatch {
        /// What the bytes should have hashed to.
        expected: Digest,
        /// What they did hash to.
        actual: Digest,
    },
    /// There are more or fewer bytes than were announced.
    #[error("blob {digest} has {actual} bytes, expected {expected}")]
    Size {
        /// The blob.
        digest: Digest,
        /// Bytes announced.
        expected: u64,
        /// Bytes seen.
        actual: u64,
    },
    /// The blob is too large to be read into memory.
    #[error("blob {digest} has {size} bytes, more than the {limit} that are read at once")]
    TooLarge {
        /// The blob.
        digest: Digest,
        /// Its size in bytes.
        size: u64,
        /// The caller's limit in bytes.
        limit: u64,
    },
}

impl Blobs {
    pub(crate) fn new(store: Store) -> Blobs {
        Blobs { store }
    }

    /// Whether the blob is here and complete. Costs a look at two small files, unless the machine crashed since it was
    /// written: then it is hashed, once.
    pub fn contains(&self, digest: &Digest) -> Result<bool, BlobError> {
        self.store.hold(Held::blob(digest)?)?;
        self.is_here(digest)
    }

    /// Like [`Blobs::contains`], for a blob of a layer that is held already: that keeps its blobs too.
    pub(crate) fn is_here(&self, digest: &Digest) -> Result<bool, BlobError> {
        let path = self.path(digest)?;
        if optional(path.symlink_metadata().at("look at", &path))?.is_none() {
            return Ok(false);
        }
        if self.is_stamped(digest)? {
            return Ok(true);
        }
        match self.verify(digest) {
            Ok(()) => {
                self.stamp(digest)?;
                Ok(true)
            }
            Err(BlobError::Mismatch { .. }) => {
                self.remove(digest)?;
                Ok(false)
            }
            Err(BlobError::Missing { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The size in bytes, if the blob is here.
    pub fn size(&self, digest: &Digest) -> Result<Option<u64>, BlobError> {
        let path = self.path(digest)?;
        Ok(optional(path.symlink_metadata().at("look at", &path))?.map(|metadata| metadata.len()))
    }

    /// Where the blob's bytes are (whether or not they are there).
    pub fn path(&self, digest: &Digest) -> Result<PathBuf, BlobError> {
        Ok(self.store.inside("blobs/sha256").join(sha256_hex(digest)?))
    }

    /// Opens a blob for reading from its beginning. The bytes are not verified here: see [`Blobs::verify`].
    pub fn open(&self, digest: &Digest) -> Result<File, BlobError> {
        let path = self.path(digest)?;
        match optional(File::open(&path).at("open", &path))? {
            Some(file) => Ok(file),
            None => Err(BlobError::Missing { digest: digest.clone() }),
        }
    }

    /// Reads a small blob (a document) whole, verified against its digest. One that is damaged is removed.
    pub fn read(&self, digest: &Digest, limit: u64) -> Result<Vec<u8>, BlobError> {
        self.store.hold(Held::blob(digest)?)?;
        let path = self.path(digest)?;
        let file = self.open(digest)?;
        let size = file.metadata().at("look at", &path)?.len();
        if size > limit {
            return Err(BlobError::TooLarge { digest: digest.clone(), size, limit });
        }
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        file.take(limit).read_to_end(&mut bytes).at("read", &path)?;
        if digest_of(&bytes) != *digest {
            self.remove(digest)?;
            return Err(BlobError::Damaged { digest: digest.clone() });
        }
        Ok(bytes)
    }

    /// Keeps a small blob (a document) and names it.
    pub fn put(&self, bytes: &[u8]) -> Result<Digest, BlobError> {
        let digest = digest_of(bytes);
        if !self.contains(&digest)? {
            self.store.tmp().publish(bytes, &self.path(&digest)?)?;
            self.stamp(&digest)?;
            self.store.wrote(bytes.len() as u64);
        }
        Ok(digest)
    }

    /// Begins a blob whose bytes arrive piece by piece.
    pub fn writer(&self) -> Result<BlobWriter, BlobError> {
        let file = self.store.tmp().file()?;
        Ok(BlobWriter { blobs: self.clone(), file, hash: Sha256::new(), size: 0 })
    }

    /// Hashes the whole blob and compares.
    pub fn verify(&self, digest: &Digest) -> Result<(), BlobError> {
        let path = self.path(digest)?;
        let mut file = self.open(digest)?;
        let mut hash = Sha256::new();
        let mut buffer = vec![0; CHUNK];
        loop {
            match file.read(&mut buffer).at("read", &path)? {
                0 => return expect(digest, digest_of_hash(hash.finalize().into())),
                count => hash.update(&buffer[..count]),
            }
        }
    }

    /// Removes a blob; one that is not there is no error. Nobody may be using it: see [`Store::prune`].
    pub(crate) fn remove(&self, digest: &Digest) -> Result<(), BlobError> {
        // The stamp goes first: a stamp alone must never vouch for what is written here later.
        remove_all(&self.stamp_path(digest)?)?;
        remove_all(&self.path(digest)?)?;
        Ok(())
    }

    fn stamp_path(&self, digest: &Digest) -> Result<PathBuf, BlobError> {
        Ok(self.store.inside("blobs/stamps").join(sha256_hex(digest)?))
    }

    fn is_stamped(&self, digest: &Digest) -> Result<bool, BlobError> {
        let path = self.stamp_path(digest)?;
        let Some(text) = optional(fs::read(&path).at("read", &path))? else { return Ok(false) };
        let stamp = serde_json::from_slice::<Stamp>(&text);
        Ok(stamp.is_ok_and(|stamp| self.store.boot().trusts(&stamp)))
    }

    fn stamp(&self, digest: &Digest) -> Result<(), BlobError> {
        let text = self.store.to_json(&self.store.boot().stamp());
        self.store.tmp().publish(&text, &self.stamp_path(digest)?)?;
        Ok(())
    }
}

/// A blob on its way in. Dropped unfinished, it leaves nothing.
#[derive(Debug)]
pub struct BlobWriter {
    blobs: Blobs,
    file: Temporary,
    hash: Sha256,
    size: u64,
}

impl BlobWriter {
    /// Bytes written so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Puts the blob into place if it is what was expected; otherwise nothing is kept.
    pub fn finish(self, expected: Option<(&Digest, u64)>) -> Result<(Digest, u64), BlobError> {
        let digest = digest_of_hash(self.hash.finalize().into());
        if let Some((wanted, size)) = expected {
            if size != self.size {
                return Err(BlobError::Size { digest: wanted.clone(), expected: size, actual: self.size });
            }
            sha256_hex(wanted)?;
            expect(wanted, digest.clone())?;
        }
        if !self.blobs.contains(&digest)? {
            self.file.keep_as(&self.blobs.path(&digest)?)?;
            self.blobs.stamp(&digest)?;
            self.blobs.store.wrote(self.size);
        }
        Ok((digest, self.size))
    }
}

impl Write for BlobWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.handle().write(bytes);
        // Whoever copies into this knows of no file: a full disk must be one that has a name.
        let count = written.map_err(|source| {
            let (kind, path) = (source.kind(), self.file.path().to_owned());
            io::Error::new(kind, FileError { action: "write", path, source })
        })?;
        self.hash.update(&bytes[..count]);
        self.size += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn expect(expected: &Digest, actual: Digest) -> Result<(), BlobError> {
    if *expected == actual {
        return Ok(());
    }
    Err(BlobError::Mismatch { expected: expected.clone(), actual })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::testing::{forget_boot, store};

    #[test]
    fn what_is_put_can_be_read_and_is_stored_once() {
        let (_dir, store) = store();
        let blobs = store.blobs();
        let digest = blobs.put(b"{}").unwrap();
        assert_eq!(blobs.put(b"{}").unwrap(), digest);
        assert!(blobs.contains(&digest).unwrap());
        assert_eq!(blobs.read(&digest, 2).unwrap(), b"{}");
        assert!(matches!(blobs.read(&digest, 1), Err(BlobError::TooLarge { size: 2, limit: 1, .. })));
    }

    #[test]
    fn a_stream_of_the_wrong_size_or_content_is_not_kept() {
        let (_dir, store) = store();
        let blobs = store.blobs();
        let right = digest_of(b"right");
        for (bytes, size) in [(b"wrong".as_slice(), 5), (b"righ", 5), (b"right", 6)] {
            let mut writer = blobs.writer().unwrap();
            writer.write_all(bytes).unwrap();
            writer.finish(Some((&right, size))).unwrap_err();
        }
        assert!(!blobs.contains(&right).unwrap() && !blobs.contains(&digest_of(b"wrong")).unwrap());
        let mut writer = blobs.writer().unwrap();
        writer.write_all(b"right").unwrap();
        assert_eq!(writer.finish(Some((&right, 5))).unwrap(), (right.clone(), 5));
        assert!(blobs.contains(&right).unwrap());
        assert_eq!(fs::read_dir(store.inside("tmp")).unwrap().count(), 0);
    }

    #[test]
    fn a_digest_that_is_no_sha256_never_becomes_a_path() {
        let (_dir, store) = store();
        let other: Digest = "foo:bar".parse().unwrap();
        assert!(matches!(store.blobs().path(&other), Err(BlobError::Digest(_))));
        assert!("sha256:../../../etc/passwd".parse::<Digest>().is_err());
    }

    #[test]
    fn after_a_crash_a_truncated_blob_is_gone_and_a_whole_one_is_believed_again() {
        let (_dir, store) = store();
        let blobs = store.blobs();
        let (whole, broken) = (blobs.put(b"whole").unwrap(), blobs.put(b"broken").unwrap());
        fs::write(blobs.path(&broken).unwrap(), b"brok").unwrap();
        let store = forget_boot(&store);
        let blobs = store.blobs();
        assert!(blobs.contains(&whole).unwrap() && blobs.is_stamped(&whole).unwrap());
        assert!(!blobs.contains(&broken).unwrap());
        assert!(matches!(blobs.open(&broken), Err(BlobError::Missing { .. })));
    }

    #[test]
    fn damage_is_noticed_when_a_document_is_read() {
        let (_dir, store) = store();
        let blobs = store.blobs();
        let digest = blobs.put(b"document").unwrap();
        fs::write(blobs.path(&digest).unwrap(), b"damaged!").unwrap();
        assert!(matches!(blobs.verify(&digest), Err(BlobError::Mismatch { .. })));
        assert!(matches!(blobs.read(&digest, 100), Err(BlobError::Damaged { .. })));
        assert!(!blobs.contains(&digest).unwrap());
    }
}
