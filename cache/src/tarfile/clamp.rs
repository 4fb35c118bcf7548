//! The headers of a tar with no time later than a given one. Pure: whoever copies a tar gives it the headers, one by one.

use crate::tarfile::field::{checksum, number};
use crate::tarfile::{BLOCK, padding, pax};

/// Largest extended header that is accepted.
const MAX_EXTENSION: u64 = 1 << 20;

/// Records of an extended header that hold times.
const TIMES: &[&[u8]] = &[b"mtime", b"atime", b"ctime"];

/// The largest number in the twelve bytes of an octal field.
const LARGEST: i64 = 0o77_777_777_777;

/// What follows a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Head {
    /// So many bytes that may hold times, and their padding; the header is not to be written before them.
    Extension {
        /// Bytes.
        size: usize,
    },
    /// So many bytes that are copied as they are, and their padding.
    Other {
        /// Bytes.
        size: u64,
        /// Whether the header is of a file, and not of a name or of attributes for the next one.
        counts: bool,
    },
}

/// The state between headers: an extended header speaks of the next one.
#[derive(Debug)]
pub(crate) struct Clamp {
    epoch: i64,
    /// The size that the next header's file has, if that is larger than a header can say.
    size: Option<u64>,
}

impl Clamp {
    /// Times after `epoch`, in seconds, become that.
    pub(crate) fn new(epoch: i64) -> Self {
        Self { epoch, size: None }
    }

    /// Changes a header and says what follows it.
    pub(crate) fn header(&mut self, header: &mut [u8; BLOCK]) -> Result<Head, &'static str> {
        if number(&header[148..156]) != Some(checksum(header)) {
            return Err("a header of the tar is damaged");
        }
        let in_header = number(&header[124..136]).and_then(|size| u64::try_from(size).ok());
        let in_header = in_header.ok_or("a header of the tar has no size")?;
        let kind = header[156];
        if kind == b'x' || kind == b'g' {
            let size = usize::try_from(in_header.min(MAX_EXTENSION + 1)).unwrap_or(usize::MAX);
            return if in_header > MAX_EXTENSION {
                Err("an extended header of the tar is too long")
            } else {
                Ok(Head::Extension { size })
            };
        }
        if kind == b'S' {
            return Err("a file of the tar has holes in GNU's old form");
        }
        self.clamp(header)?;
        let is_name = matches!(kind, b'L' | b'K');
        let size = if is_name { in_header } else { self.size.take().unwrap_or(in_header) };
        let has_content = matches!(kind, 0 | b'0' | b'7') || !(b'1'..=b'6').contains(&kind);
        Ok(Head::Other { size: if has_content { size } else { 0 }, counts: !is_name })
    }

    /// The header of an extension and its content, with their padding.
    pub(crate) fn extension(
        &mut self,
        header: &[u8; BLOCK],
        content: &[u8],
    ) -> Result<Vec<u8>, &'static str> {
        let records = pax::parse(content).ok_or("an extended header of the tar is malformed")?;
        let mut written = Vec::with_capacity(content.len());
        let mut changed = false;
        for (key, value) in records {
            let text = std::str::from_utf8(value).unwrap_or_default();
            if key == b"size" && header[156] == b'x' {
                self.size = Some(text.parse().map_err(|_| "a size in the tar is malformed")?);
            }
            if TIMES.contains(&key) && self.is_late(text) {
                pax::append(&mut written, key, self.epoch.to_string().as_bytes());
                changed = true;
            } else {
                pax::append(&mut written, key, value);
            }
        }
        let mut header = *header;
        self.clamp(&mut header)?;
        let content = if changed {
            put_octal(&mut header[124..136], i64::try_from(written.len()).unwrap_or(LARGEST));
            sign(&mut header);
            written.as_slice()
        } else {
            content
        };
        let mut bytes = header.to_vec();
        bytes.extend_from_slice(content);
        bytes.resize(bytes.len() + padding(content.len() as u64), 0);
        Ok(bytes)
    }

    /// Whether a time as records have it (`1700000000.5`) is after the epoch.
    fn is_late(&self, text: &str) -> bool {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let Ok(seconds) = whole.parse::<i64>() else { return false };
        seconds > self.epoch
            || (seconds == self.epoch && !text.starts_with('-') && fraction.bytes().any(|byte| byte != b'0'))
    }

    fn clamp(&self, header: &mut [u8; BLOCK]) -> Result<(), &'static str> {
        let time = number(&header[136..148]).ok_or("a time in the tar is malformed")?;
        if time > i128::from(self.epoch) {
            if !(0..=LARGEST).contains(&self.epoch) {
                return Err("the time for the files is one that no tar header can hold");
            }
            put_octal(&mut header[136..148], self.epoch);
            sign(header);
        }
        Ok(())
    }
}

/// Eleven octal digits and a NUL.
fn put_octal(field: &mut [u8], number: i64) {
    let text = format!("{number:011o}");
    field[..11].copy_from_slice(&text.as_bytes()[..11]);
    field[11] = 0;
}

/// Writes the checksum: six octal digits, a NUL, a space.
fn sign(header: &mut [u8; BLOCK]) {
    let text = format!("{:06o}\0 ", checksum(header));
    header[148..156].copy_from_slice(&text.as_bytes()[..8]);
}
