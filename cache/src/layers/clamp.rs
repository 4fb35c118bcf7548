//! A layer with no time later than a given one: for images that are to be the same whenever they are built.
//!
//! The tar is copied header by header: only the fields that hold times change, and the checksums over them. So whatever
//! else a foreign tar says, it says afterwards.

use std::io::{self, Read, Write};

use oci_spec::image::{Descriptor, MediaType};

use crate::blobs::BlobError;
use crate::digest::DiffId;
use crate::keys::{Key, KeyBuilder};
use crate::layers::info::BlobForm;
use crate::layers::{LayerError, Layers};
use crate::tarfile::read::read_full;
use crate::tarfile::{BLOCK, clamp};

/// Bytes copied at a time.
const PIECE: usize = 128 * 1024;

impl Layers {
    /// The layer with every time after `epoch` (seconds) set to it. The same layer if there is none. What was made once is
    /// remembered.
    pub fn clamped(&self, diff_id: &DiffId, epoch: i64) -> Result<DiffId, LayerError> {
        let memo = memo(diff_id, epoch);
        if let Some(known) = self.known_clamped(&memo)? {
            return Ok(known);
        }
        let failed = |source| LayerError::Compress { diff_id: diff_id.clone(), source };
        let mut blob = self.store.blobs().writer()?;
        let entries = copy(self.open_tar(diff_id)?, &mut blob, epoch).map_err(failed)?;
        let (digest, size) = blob.finish(None)?;
        let clamped = DiffId::try_from(digest.clone()).map_err(BlobError::Digest)?;
        if clamped != *diff_id {
            let form =
                BlobForm { descriptor: Descriptor::new(MediaType::ImageLayer, size, digest), maker: None };
            self.update(&clamped, |file| {
                (file.size, file.entries) = (size, entries);
                file.add_blob(form);
            })?;
        }
        self.store.records().set_memo(&memo, clamped.to_string().as_bytes())?;
        Ok(clamped)
    }

    fn known_clamped(&self, memo: &Key) -> Result<Option<DiffId>, LayerError> {
        let Some(bytes) = self.store.records().memo(memo)? else { return Ok(None) };
        let known = std::str::from_utf8(&bytes).ok().and_then(|text| text.parse::<DiffId>().ok());
        match known {
            Some(known) if self.has_tar(&known)? => Ok(Some(known)),
            _ => Ok(None),
        }
    }
}

fn memo(diff_id: &DiffId, epoch: i64) -> Key {
    let key = KeyBuilder::new("layer with times").part("layer", diff_id.hex());
    key.part("until", epoch.to_string()).finish().0
}

/// Copies a tar with its times clamped. Gives the number of its entries.
fn copy(mut tar: impl Read, out: &mut impl Write, epoch: i64) -> io::Result<u64> {
    let mut clamp = clamp::Clamp::new(epoch);
    let mut entries = 0;
    loop {
        let mut header = [0; BLOCK];
        match read_full(&mut tar, &mut header)? {
            BLOCK => {}
            0 => break,
            _ => return Err(cut_off()),
        }
        if header.iter().all(|byte| *byte == 0) {
            // The end of the archive, and whatever is after it.
            out.write_all(&header)?;
            pass(&mut tar, out, None)?;
            break;
        }
        let head =
            clamp.header(&mut header).map_err(|what| io::Error::new(io::ErrorKind::InvalidData, what))?;
        match head {
            clamp::Head::Extension { size } => {
                let mut content = vec![0; size];
                let mut padding = vec![0; crate::tarfile::padding(size as u64)];
                for part in [&mut content, &mut padding] {
                    if read_full(&mut tar, part)? != part.len() {
                        return Err(cut_off());
                    }
                }
                let extension = clamp.extension(&header, &content);
                let bytes = extension.map_err(|what| io::Error::new(io::ErrorKind::InvalidData, what))?;
                out.write_all(&bytes)?;
            }
            clamp::Head::Other { size, counts } => {
                entries += u64::from(counts);
                out.write_all(&header)?;
                pass(&mut tar, out, Some(size + crate::tarfile::padding(size) as u64))?;
            }
        }
    }
    Ok(entries)
}

/// Copies so many bytes, or all that are left.
fn pass(from: &mut impl Read, to: &mut impl Write, length: Option<u64>) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    let mut left = length.unwrap_or(u64::MAX);
    while left > 0 {
        let wanted = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
        let count = read_full(from, &mut piece[..wanted])?;
        to.write_all(&piece[..count])?;
        left -= count as u64;
        if count < wanted {
            return if length.is_some() { Err(cut_off()) } else { Ok(()) };
        }
    }
    Ok(())
}

fn cut_off() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the tar is cut off")
}
