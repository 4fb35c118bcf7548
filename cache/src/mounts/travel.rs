//! A cache as a tar: how it leaves this store and how it arrives in another.
//!
//! The tar holds what the directory holds: owners, modes, times (whole seconds), links, devices, attributes; the
//! directory's own come first, as `./`. Sockets stay behind. What arrives is unpacked beside, beneath an open directory
//! whatever its names say, and takes the place of what was there in one step when it is complete and verified.

use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use sha2::{Digest as _, Sha256};

use super::{CacheMount, CacheMountError, CacheMounts, CacheName, MODE, home_of};
use crate::digest::{Digest, digest_of_hash};
use crate::error::{At, FileError, optional};
use crate::layers::{Draft, Entry, EntryKind, LayerError, TreeReader, Unpack, append_tree};
use crate::locks::{self, KeyLock};
use crate::tarfile::write::TarWriter;
use crate::tmp::rename;

/// A cache as it travels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TravellingCache {
    /// The digest of the uncompressed tar.
    pub digest: Digest,
    /// Its bytes.
    pub size: u64,
}

impl CacheMounts {
    /// Writes a cache's directory as a tar; of several, the one used last. No step may have it; none gets it until
    /// this is done.
    pub fn export(&self, mount: &CacheMount, out: impl Write) -> Result<TravellingCache, CacheMountError> {
        let id = mount.id();
        let newest = mount.copies.iter().max_by_key(|copy| (copy.last_used, std::cmp::Reverse(copy.number)));
        let unknown = || CacheMountError::Unknown { id: id.clone() };
        let directory = self.home(&mount.key).join(newest.ok_or_else(unknown)?.number.to_string());
        let lock = optional(locks::try_exclusive(&directory.join("lock")))?.ok_or_else(unknown)?;
        let Some(_lock) = lock else { return Err(CacheMountError::InUse { id }) };
        let mut hashed = Hashed { inner: out, hash: Sha256::new() };
        match write(&directory.join("data"), &mut hashed) {
            Ok(size) => Ok(TravellingCache { digest: digest_of_hash(hashed.hash.finalize().into()), size }),
            Err(source) => Err(CacheMountError::Pack { id, source: Box::new(source) }),
        }
    }

    /// Whether there is a cache of that name, in use or not.
    pub fn has(&self, name: &CacheName) -> bool {
        self.home(&name.key()).join("0").join("data").symlink_metadata().is_ok()
    }

    /// Lets an uncompressed tar be the cache of that name; what the cache held before is gone, and what it has more
    /// directories for stays. Fails, and changes nothing, if the tar is damaged, is not the one that was expected, or a
    /// step has the cache.
    pub fn import(
        &self,
        name: &CacheName,
        tar: impl Read,
        expected: Option<&Digest>,
    ) -> Result<TravellingCache, CacheMountError> {
        // Asked before the work and again after it: the archive may be long.
        drop(self.alone(name)?);
        let mut hashed = Hashed { inner: tar, hash: Sha256::new() };
        let (draft, size) = self.unpack(name, &mut hashed)?;
        let actual = digest_of_hash(hashed.hash.finalize().into());
        if let Some(expected) = expected.filter(|expected| **expected != actual) {
            let expected = expected.clone();
            return Err(CacheMountError::Mismatch { id: name.id.clone(), expected, actual });
        }
        let lock = self.alone(name)?;
        let home = self.home(&name.key());
        self.note_name(&home, name)?;
        replace(&draft.upper().join("data"), &home.join("0").join("data"))?;
        drop(lock);
        Ok(TravellingCache { digest: actual, size })
    }

    /// The first directory of a cache, which is made if there is none, for oneself.
    fn alone(&self, name: &CacheName) -> Result<KeyLock, CacheMountError> {
        let home = self.home(&name.key());
        loop {
            let path = home_of(&home, 0)?.join("lock");
            match optional(locks::try_exclusive(&path))? {
                Some(Some(lock)) => return Ok(lock),
                Some(None) => return Err(CacheMountError::InUse { id: name.id.clone() }),
                // Removed in the moment between.
                None => {}
            }
        }
    }

    /// The archive as the directory `data` of a draft, and its size.
    fn unpack(&self, name: &CacheName, tar: &mut impl Read) -> Result<(Draft, u64), CacheMountError> {
        let failed =
            |source: LayerError| CacheMountError::Unpack { id: name.id.clone(), source: Box::new(source) };
        let mut draft = self.store.layers().draft().map_err(failed)?;
        let data = draft.upper().join("data");
        fs::create_dir(&data).at("create", &data)?;
        let (mode, uid, gid) = name.access.unwrap_or((MODE, 0, 0));
        if name.access.is_some() {
            chown(&data, Some(uid), Some(gid)).at("change the owner of", &data)?;
        }
        fs::set_permissions(&data, Permissions::from_mode(mode)).at("change the mode of", &data)?;
        let mut counted = Counted { inner: tar, bytes: 0 };
        draft.unpack(&mut counted, &Unpack { at: b"data", ..Unpack::default() }).map_err(failed)?;
        // What follows the archive's end is part of what was announced.
        let rest = io::copy(&mut counted, &mut io::sink());
        rest.map_err(|source| failed(LayerError::Tar(crate::TarError::Read(source))))?;
        Ok((draft, counted.bytes))
    }
}

/// Writes a directory with its own attributes in front. Gives the bytes of the tar.
fn write(data: &Path, out: &mut impl Write) -> Result<u64, LayerError> {
    let mut tar = TarWriter::new(out);
    let metadata = File::open(data).at("open", data)?.metadata().at("look at", data)?;
    let mut root = Entry::new(".", EntryKind::Directory { opaque: false }, metadata.mode() & 0o7777);
    (root.uid, root.gid, root.mtime) = (metadata.uid(), metadata.gid(), metadata.mtime());
    tar.entry(&root).map_err(LayerError::Write)?;
    append_tree(TreeReader::new(data, false)?, &mut tar)?;
    let (_, size, _) = tar.finish().map_err(LayerError::Write)?;
    Ok(size)
}

/// Puts a directory where another may be, in one step; what was there ends up where the new one was.
fn replace(from: &Path, to: &Path) -> Result<(), FileError> {
    if to.symlink_metadata().is_err() {
        return rename(from, to);
    }
    match renameat_with(CWD, from, CWD, to, RenameFlags::EXCHANGE) {
        // A file system that cannot exchange: a kill between the two leaves an empty cache, never half of one.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
            rename(to, &from.with_extension("old"))?;
            rename(from, to)
        }
        result => result.at("replace", to),
    }
}

/// Hashes what goes through it.
struct Hashed<T> {
    inner: T,
    hash: Sha256,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.hash.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hash.update(&buffer[..count]);
        Ok(count)
    }
}

/// Counts what is read through it.
struct Counted<R> {
    inner: R,
    bytes: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.bytes += count as u64;
        Ok(count)
    }
}
