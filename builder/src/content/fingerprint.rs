//! Hashing what a file holds: content and extended attributes.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use kiln_cache::is_layer_xattr;
use sha2::{Digest as _, Sha256, Sha512_256};

use super::{Fingerprint, Xattrs};

/// Read buffer: large enough that a read call costs little beside the hash, small enough for the cache.
const BUFFER: usize = 128 * 1024;

/// SHA-256 of a file's content.
pub(crate) fn of_file(mut file: File) -> io::Result<Fingerprint> {
    thread_local! {
        static SPACE: std::cell::RefCell<Vec<u8>> = std::cell::RefCell::new(vec![0; BUFFER]);
    }
    SPACE.with_borrow_mut(|buffer| {
        let mut hasher = Sha256::new();
        loop {
            match file.read(buffer) {
                Ok(0) => return Ok(hasher.finalize().into()),
                Ok(count) => hasher.update(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    })
}

/// A fingerprint that also covers extended attributes; unchanged where there are none.
///
/// The hash is another one than that of contents: were it the same, a file that holds what is hashed here would pass for
/// one that has the attributes.
pub(crate) fn with_xattrs(content: Fingerprint, xattrs: &Xattrs) -> Fingerprint {
    if xattrs.is_empty() {
        return content;
    }
    let mut hasher = Sha512_256::new();
    hasher.update(content);
    for (name, value) in xattrs {
        for field in [name, value] {
            hasher.update((field.len() as u64).to_le_bytes());
            hasher.update(field);
        }
    }
    hasher.finalize().into()
}

/// The extended attributes that a layer keeps; a symlink's own, not its target's.
pub(crate) fn xattrs(path: &Path) -> io::Result<Xattrs> {
    let mut found = Xattrs::new();
    for name in list(path)?.split(|byte| *byte == 0).filter(|name| is_layer_xattr(name)) {
        if let Some(value) = value(path, name)? {
            found.insert(name.to_vec(), value);
        }
    }
    Ok(found)
}

fn list(path: &Path) -> io::Result<Vec<u8>> {
    let mut names = [0_u8; 1024];
    match rustix::fs::llistxattr(path, &mut names) {
        Ok(length) => Ok(names[..length].to_vec()),
        Err(rustix::io::Errno::OPNOTSUPP) => Ok(Vec::new()),
        Err(rustix::io::Errno::RANGE) => {
            // The kernel's limit on a list (XATTR_LIST_MAX).
            let mut names = vec![0_u8; 64 * 1024];
            let length = rustix::fs::llistxattr(path, &mut names)?;
            names.truncate(length);
            Ok(names)
        }
        Err(error) => Err(error.into()),
    }
}

fn value(path: &Path, name: &[u8]) -> io::Result<Option<Vec<u8>>> {
    // The kernel's limit on a value (XATTR_SIZE_MAX).
    let mut value = vec![0_u8; 64 * 1024];
    match rustix::fs::lgetxattr(path, OsStr::from_bytes(name), &mut value) {
        Ok(length) => {
            value.truncate(length);
            Ok(Some(value))
        }
        Err(rustix::io::Errno::NODATA) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The wall clock in nanoseconds since the epoch, as file times are measured.
pub(crate) fn now() -> i64 {
    // Nanoseconds fit until the year 2262.
    i64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_content_passes_for_attributes() {
        let xattrs = Xattrs::from([(b"user.a".to_vec(), b"1".to_vec())]);
        let content: Fingerprint = Sha256::digest(b"text").into();
        let with = with_xattrs(content, &xattrs);
        let mut forged = content.to_vec();
        for field in [&b"user.a"[..], b"1"] {
            forged.extend_from_slice(&(field.len() as u64).to_le_bytes());
            forged.extend_from_slice(field);
        }
        assert_ne!(with, Fingerprint::from(Sha256::digest(&forged)));
        assert_ne!(with, content);
        assert_ne!(with, with_xattrs(content, &Xattrs::from([(b"user.a1".to_vec(), Vec::new())])));
        assert_eq!(with_xattrs(content, &Xattrs::new()), content);
    }
}
