//! Compression by its first bytes, and the readers for it.

use std::io::{self, BufRead, BufReader, Cursor, Read, Write};

use crate::archive::ArchiveError;
use crate::tarfile::read::read_full;
use crate::tarfile::{BLOCK, is_header};

/// How many first bytes [`sniff`] wants to see.
pub const SNIFF: usize = BLOCK;

/// Memory that an xz stream may ask for: what the highest level of `xz` needs to unpack, twice.
const XZ_MEMORY: u64 = 128 * 1024 * 1024;

/// The largest window that a zstd stream may ask for, as a power of two: what `zstd -d` grants by default.
const ZSTD_WINDOW: u32 = 27;

/// How an archive is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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

/// What the first [`SNIFF`] bytes of a file say: compressed, a plain tar, or nothing of the kind. Whether there is a
/// tar inside the compression shows only when it is read.
pub fn sniff(start: &[u8]) -> Option<Packing> {
    let magics: [(&[u8], Packing); 4] = [
        (&[0x1f, 0x8b, 8], Packing::Gzip),
        (b"BZh", Packing::Bzip2),
        (&[0xfd, b'7', b'z', b'X', b'Z', 0], Packing::Xz),
        (&[0x28, 0xb5, 0x2f, 0xfd], Packing::Zstd),
    ];
    let compressed =
        magics.into_iter().find(|(magic, _)| start.starts_with(magic)).map(|(_, packing)| packing);
    compressed.or_else(|| is_header(start).then_some(Packing::Plain))
}

/// The bytes inside the compression. Several streams one after the other are one, as the tools have it.
pub fn decoder<'a>(
    packing: Packing,
    reader: impl Read + Send + 'a,
) -> Result<Box<dyn Read + Send + 'a>, ArchiveError> {
    decode(packing, BufReader::with_capacity(64 * 1024, reader))
}

/// The bytes of a layer's blob, whatever it is compressed with. What is not compressed is taken as it is.
pub(crate) fn unpacked<'a>(
    mut reader: impl BufRead + Send + 'a,
) -> Result<Box<dyn Read + Send + 'a>, ArchiveError> {
    let mut start = [0; SNIFF];
    let count = read_full(&mut reader, &mut start).map_err(ArchiveError::Read)?;
    let packing = sniff(&start[..count]).unwrap_or(Packing::Plain);
    decode(packing, Cursor::new(start).take(count as u64).chain(reader))
}

fn decode<'a>(
    packing: Packing,
    reader: impl BufRead + Send + 'a,
) -> Result<Box<dyn Read + Send + 'a>, ArchiveError> {
    Ok(match packing {
        Packing::Plain => Box::new(reader),
        Packing::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(reader)),
        Packing::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(reader)),
        Packing::Xz => {
            let stream =
                liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY, liblzma::stream::CONCATENATED);
            let stream = stream.map_err(|error| ArchiveError::Read(io::Error::other(error)))?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(reader, stream))
        }
        Packing::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(reader).map_err(ArchiveError::Read)?;
            decoder.window_log_max(ZSTD_WINDOW).map_err(ArchiveError::Read)?;
            Box::new(decoder)
        }
    })
}

/// Packs what is written to it.
pub enum Encoder<W: Write> {
    /// As it is.
    Plain(W),
    /// gzip.
    Gzip(flate2::write::GzEncoder<W>),
    /// Zstandard.
    Zstd(zstd::stream::write::Encoder<'static, W>),
}

/// A writer that packs. Archives that leave the machine are gzip or zstd: for another packing this is an error.
pub fn encoder<W: Write>(packing: Packing, out: W) -> io::Result<Encoder<W>> {
    match packing {
        Packing::Plain => Ok(Encoder::Plain(out)),
        Packing::Gzip => {
            Ok(Encoder::Gzip(flate2::write::GzEncoder::new(out, flate2::Compression::default())))
        }
        Packing::Zstd => {
            Ok(Encoder::Zstd(zstd::stream::write::Encoder::new(out, zstd::DEFAULT_COMPRESSION_LEVEL)?))
        }
        Packing::Bzip2 | Packing::Xz => Err(io::ErrorKind::Unsupported.into()),
    }
}

impl<W: Write> Encoder<W> {
    /// Writes the end, without which it is not readable, and gives back where it was written.
    pub fn finish(self) -> io::Result<W> {
        match self {
            Encoder::Plain(out) => Ok(out),
            Encoder::Gzip(encoder) => encoder.finish(),
            Encoder::Zstd(encoder) => encoder.finish(),
        }
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Encoder::Plain(out) => out.write(bytes),
            Encoder::Gzip(encoder) => encoder.write(bytes),
            Encoder::Zstd(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Encoder::Plain(out) => out.flush(),
            Encoder::Gzip(encoder) => encoder.flush(),
            Encoder::Zstd(encoder) => encoder.flush(),
        }
    }
}
