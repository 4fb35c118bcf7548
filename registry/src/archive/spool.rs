//! What a file is by its first bytes, a whole archive brought into a file, and bytes verified on their way.

use std::fs::File;
use std::io::{self, Read, Write as _};
use std::os::unix::fs::FileExt as _;

use oci_spec::image::Digest;

use crate::digest::{Verifier, VerifyError};

/// Bytes at the start of a file that tell what it is.
const START: usize = 8;

/// How a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    Gzip,
    Zstd,
}

/// Passes bytes through and fails at the end if they are not those of the digest.
pub(super) struct Verified<R> {
    inner: R,
    verifier: Option<Verifier>,
}

impl<R: Read> Verified<R> {
    pub(super) fn new(inner: R, digest: &Digest, size: u64) -> Result<Self, VerifyError> {
        Ok(Self { inner, verifier: Some(Verifier::new(digest, size)?) })
    }
}

impl<R: Read> Read for Verified<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let invalid = |error| io::Error::new(io::ErrorKind::InvalidData, error);
        let length = self.inner.read(buffer)?;
        if length == 0 && !buffer.is_empty() {
            if let Some(verifier) = self.verifier.take() {
                verifier.finish().map_err(invalid)?;
            }
        } else if let Some(verifier) = &mut self.verifier {
            verifier.update(&buffer[..length]).map_err(invalid)?;
        }
        Ok(length)
    }
}

/// How the content that begins with `start` is compressed, as far as it matters here.
pub(super) fn compression(start: &[u8]) -> Option<Compression> {
    if start.starts_with(&[0x1f, 0x8b]) {
        return Some(Compression::Gzip);
    }
    start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]).then_some(Compression::Zstd)
}

/// The first bytes of the `size` bytes at `offset`.
pub(super) fn start_of(file: &File, offset: u64, size: u64) -> io::Result<Vec<u8>> {
    let mut start = vec![0; START.min(usize::try_from(size).unwrap_or(START))];
    file.read_exact_at(&mut start, offset)?;
    Ok(start)
}

/// Copies a stream into an empty file, unpacked if it is compressed.
pub(super) fn spool(stream: &mut dyn Read, mut spool: File) -> io::Result<File> {
    let mut start = Vec::new();
    stream.take(START as u64).read_to_end(&mut start)?;
    let compression = compression(&start);
    let whole = io::Cursor::new(start).chain(stream);
    let mut reader: Box<dyn Read + '_> = match compression {
        Some(Compression::Gzip) => Box::new(flate2::read::MultiGzDecoder::new(whole)),
        Some(Compression::Zstd) => Box::new(zstd::Decoder::new(whole)?),
        None => Box::new(whole),
    };
    let mut writer = io::BufWriter::with_capacity(256 << 10, &mut spool);
    io::copy(&mut reader, &mut writer)?;
    writer.flush()?;
    drop(writer);
    Ok(spool)
}
