//! Files with holes, in the four ways GNU tar has written them: the old header type, and PAX versions 0.0, 0.1, 1.0.
//!
//! A map is checked when it is made: extents in order, within the file, and as long together as the content is. What
//! is wrong with it is the caller's to say (`None` as an error means: malformed).

use std::io::{self, Read};

use ::tar::{GnuExtSparseHeader, Header};

use crate::tarfile::BLOCK;
use crate::tarfile::read::read_full;

/// More extents than any file needs; bounds the memory of a map.
const MOST_EXTENTS: usize = 1 << 16;

/// A stretch of the file that has content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Extent {
    start: u64,
    len: u64,
}

/// Where the content lies in a file with holes, and how far it has been read.
#[derive(Debug)]
pub(super) struct SparseMap {
    extents: Vec<Extent>,
    size: u64,
    position: u64,
    next: usize,
}

/// What PAX records said about holes.
#[derive(Debug, Default)]
pub(super) struct PaxSparse {
    pub name: Option<Vec<u8>>,
    size: Option<u64>,
    major: Option<u64>,
    /// Offsets and lengths in turn.
    numbers: Vec<u64>,
    used: bool,
}

impl SparseMap {
    fn new(extents: Vec<Extent>, size: u64, content: u64) -> Option<SparseMap> {
        let mut end = 0;
        let mut total: u64 = 0;
        for extent in &extents {
            if extent.start < end {
                return None;
            }
            end = extent.start.checked_add(extent.len)?;
            total = total.checked_add(extent.len)?;
        }
        (end <= size && total == content).then_some(SparseMap { extents, size, position: 0, next: 0 })
    }

    /// Bytes of the file, holes included.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The next bytes of the file, holes as zeros.
    pub fn read(&mut self, content: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
        while self.extents.get(self.next).is_some_and(|extent| extent.start + extent.len <= self.position) {
            self.next += 1;
        }
        let extent = self.extents.get(self.next).copied().unwrap_or(Extent { start: self.size, len: 0 });
        let in_hole = self.position < extent.start;
        let end = if in_hole { extent.start } else { extent.start + extent.len };
        let most = usize::try_from(end - self.position).unwrap_or(usize::MAX).min(buffer.len());
        let count = if in_hole {
            buffer[..most].fill(0);
            most
        } else {
            content.read(&mut buffer[..most])?
        };
        self.position += count as u64;
        Ok(count)
    }
}

/// The map of an old GNU header; reads the extension blocks that follow it.
pub(super) fn of_gnu_header(
    header: &Header,
    inner: &mut impl Read,
    content: u64,
) -> Result<SparseMap, Option<io::Error>> {
    let gnu = header.as_gnu().ok_or(None)?;
    let size = gnu.real_size().map_err(|_| None)?;
    let mut extents = Vec::new();
    let mut add = |entries: &[::tar::GnuSparseHeader]| {
        for entry in entries.iter().filter(|entry| !entry.is_empty()) {
            let (start, len) = (entry.offset().map_err(|_| None)?, entry.length().map_err(|_| None)?);
            extents.push(Extent { start, len });
        }
        if extents.len() > MOST_EXTENTS { Err(None) } else { Ok(()) }
    };
    add(&gnu.sparse)?;
    let mut more = gnu.is_extended();
    while more {
        let mut block = GnuExtSparseHeader::new();
        if read_full(inner, block.as_mut_bytes()).map_err(Some)? < BLOCK {
            return Err(None);
        }
        add(block.sparse())?;
        more = block.is_extended();
    }
    SparseMap::new(extents, size, content).ok_or(None)
}

impl PaxSparse {
    /// Takes in a record. Nothing if it is one about holes and makes no sense.
    pub fn record(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        let Some(key) = key.strip_prefix(b"GNU.sparse.") else { return Some(()) };
        let number = || std::str::from_utf8(value).ok()?.parse::<u64>().ok();
        match key {
            b"name" => self.name = Some(value.to_vec()),
            b"size" | b"realsize" => self.size = Some(number()?),
            b"major" => self.major = Some(number()?),
            b"offset" | b"numbytes" => self.numbers.push(number()?),
            b"map" => {
                let text = std::str::from_utf8(value).ok()?;
                self.numbers = text.split(',').map(|number| number.parse().ok()).collect::<Option<_>>()?;
            }
            _ => return Some(()),
        }
        self.used = true;
        (self.numbers.len() <= 2 * MOST_EXTENTS).then_some(())
    }

    /// Whether the entry has holes.
    pub fn is_used(&self) -> bool {
        self.used
    }

    /// The map of the entry whose content, of that size in the archive, comes next. In version 1.0 the content begins
    /// with the map.
    pub fn map(&mut self, content: &mut impl Read, mut size: u64) -> Result<SparseMap, Option<io::Error>> {
        let real = self.size.ok_or(None)?;
        if self.major == Some(1) {
            let (numbers, blocks) = read_map(content)?;
            self.numbers = numbers;
            size = size.checked_sub(blocks * BLOCK as u64).ok_or(None)?;
        }
        let pairs = self.numbers.chunks_exact(2);
        if !pairs.remainder().is_empty() {
            return Err(None);
        }
        let extents = pairs.map(|pair| Extent { start: pair[0], len: pair[1] }).collect();
        SparseMap::new(extents, real, size).ok_or(None)
    }
}

/// The map in front of a version 1.0 content: a count, then offsets and lengths, one decimal number a line, padded to
/// a whole block. Gives the numbers and how many blocks they took.
fn read_map(content: &mut impl Read) -> Result<(Vec<u64>, u64), Option<io::Error>> {
    let mut numbers = Vec::new();
    let mut wanted = None;
    let mut digits = String::new();
    let mut blocks = 0;
    loop {
        let mut block = [0; BLOCK];
        if read_full(content, &mut block).map_err(Some)? < BLOCK {
            return Err(None);
        }
        blocks += 1;
        for byte in block {
            match byte {
                b'0'..=b'9' if digits.len() < 20 => digits.push(char::from(byte)),
                b'\n' => {
                    let number: u64 = digits.parse().map_err(|_| None)?;
                    digits.clear();
                    match wanted {
                        None => wanted = Some(usize::try_from(number).map_err(|_| None)?),
                        Some(_) => numbers.push(number),
                    }
                    let wanted = wanted.unwrap_or(0);
                    if wanted > MOST_EXTENTS {
                        return Err(None);
                    }
                    if numbers.len() == 2 * wanted {
                        return Ok((numbers, blocks));
                    }
                }
                _ => return Err(None),
            }
        }
    }
}
