//! The tar format, as layers and archives use it: an encoder whose bytes are a function of the entries alone, and a
//! reader of raw entries.
//!
//! The crate `tar` is used as codec of the 512-byte header. Its PAX reader and its unpacking are not: attributes with
//! newlines, sizes that disagree and paths through links need decisions that are made here and in
//! [`crate::layers`].

pub(crate) mod clamp;
mod field;
pub(crate) mod pax;
pub(crate) mod read;
mod sparse;
pub(crate) mod write;

pub(crate) use field::is_header;

/// Headers and contents are padded to this many bytes.
pub(crate) const BLOCK: usize = 512;

/// The bytes of padding after that much content.
pub(crate) fn padding(size: u64) -> usize {
    let over = usize::try_from(size % BLOCK as u64).unwrap_or(0);
    (BLOCK - over) % BLOCK
}

/// A path of an archive as it lies below the archive's root: absolute ones begin there, `.` and `..` are taken out.
/// Nothing if it leads above the root.
pub(crate) fn clean_path(raw: &[u8]) -> Option<Vec<u8>> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in raw.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join(&b'/'))
}
