//! Tar bytes to raw entries: ustar, GNU long names, PAX. Whatever is read is a claim of whoever wrote the archive:
//! paths are not cleaned here, and nothing is created.
//!
//! Where headers disagree, the readers that everybody uses decide: a PAX size replaces the header's size, for the
//! content and for finding the next header; global PAX headers are skipped; types without content have none, whatever
//! their size field says.

use std::collections::BTreeMap;
use std::io::{self, Read};

use ::tar::{EntryType, Header};

use crate::layers::entry::is_layer_xattr;
use crate::tarfile::field::{checksum, field, number, parsed, until_nul, whole_seconds};
use crate::tarfile::sparse::{self, SparseMap};
use crate::tarfile::{BLOCK, padding, pax};

/// The most that an extended header or a long name may have: a file can have 64 KiB of attributes, a path 4 KiB.
const MOST_EXTENSION: u64 = 1024 * 1024;

/// Why an archive cannot be read further.
#[derive(Debug, thiserror::Error)]
pub enum TarError {
    /// The stream could not be read, or what it is unpacked from is damaged.
    #[error("cannot read the archive")]
    Read(#[source] io::Error),
    /// The archive ends in the middle of an entry.
    #[error("the archive ends in the middle of an entry")]
    Truncated,
    /// A header is not what the format allows.
    #[error("malformed tar header: {what}{}", of(entry))]
    Malformed {
        /// What is wrong with it.
        what: &'static str,
        /// The path it belongs to, where that is known.
        entry: String,
    },
    /// An entry of a kind that is not files.
    #[error("`{entry}` is of tar type `{kind}`, which is no kind of file")]
    UnknownType {
        /// The path of the entry.
        entry: String,
        /// The type's letter.
        kind: char,
    },
}

fn of(entry: &str) -> String {
    if entry.is_empty() { String::new() } else { format!(" (of `{entry}`)") }
}

/// One entry as the archive claims it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RawEntry {
    /// As written: perhaps absolute, perhaps with `..`.
    pub path: Vec<u8>,
    pub kind: RawKind,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub mtime: i64,
    /// Only those that belong to layers.
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// What an entry claims to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RawKind {
    File { size: u64 },
    Directory,
    Symlink { target: Vec<u8> },
    Hardlink { target: Vec<u8> },
    CharDevice { major: u32, minor: u32 },
    BlockDevice { major: u32, minor: u32 },
    Fifo,
}

/// Reads an archive entry by entry. As a [`Read`], it gives the content of the entry returned last.
#[derive(Debug)]
pub(crate) struct TarReader<R> {
    inner: R,
    /// Content of the current entry that was not read yet, as it lies in the archive.
    left: u64,
    /// Padding after it.
    padding: usize,
    /// How the content is spread over the file, if it has holes.
    sparse: Option<SparseMap>,
    ended: bool,
}

/// What extended headers said about the entry that follows them.
#[derive(Debug, Default)]
struct Extension {
    long_name: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<u32>,
    gid: Option<u32>,
    mtime: Option<i64>,
    xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    sparse: sparse::PaxSparse,
}

impl<R: Read> TarReader<R> {
    pub fn new(inner: R) -> TarReader<R> {
        TarReader { inner, left: 0, padding: 0, sparse: None, ended: false }
    }

    /// The next entry; what was not read of the one before is skipped.
    pub fn next_entry(&mut self) -> Result<Option<RawEntry>, TarError> {
        let mut extension = Extension::default();
        loop {
            self.skip_rest()?;
            let Some(header) = self.header()? else { return Ok(None) };
            let size = number(&field(&header).size).and_then(|size| u64::try_from(size).ok());
            let size = size.ok_or_else(|| malformed("size", &header))?;
            match header.entry_type() {
                EntryType::XHeader => {
                    let bytes = self.extension_bytes(size)?;
                    extension.read_pax(&bytes)?;
                }
                EntryType::GNULongName => extension.long_name = Some(self.long_text(size)?),
                EntryType::GNULongLink => extension.long_link = Some(self.long_text(size)?),
                // A global header and a volume label describe no file.
                EntryType::XGlobalHeader => self.expect_content(size),
                kind if kind.as_byte() == b'V' => self.expect_content(size),
                _ => return self.file_entry(&header, size, extension).map(Some),
            }
        }
    }

    fn file_entry(&mut self, header: &Header, size: u64, mut ext: Extension) -> Result<RawEntry, TarError> {
        let in_header = header.path_bytes().into_owned();
        let path = ext.long_name.take().or(ext.path.take()).unwrap_or(in_header);
        let fields = field(header);
        let in_range = |value: Option<i128>, what| value.ok_or_else(|| malformed_of(what, &path));
        let owner = |ours: Option<u32>, field: &[u8], what| match ours {
            Some(id) => Ok(id),
            None => u32::try_from(in_range(number(field), what)?).map_err(|_| malformed_of(what, &path)),
        };
        let uid = owner(ext.uid, &fields.uid, "uid")?;
        let gid = owner(ext.gid, &fields.gid, "gid")?;
        let mode = u32::try_from(in_range(number(&fields.mode), "mode")? & 0o7777);
        let mtime = match ext.mtime {
            Some(mtime) => mtime,
            None => i64::try_from(in_range(number(&fields.mtime), "mtime")?)
                .map_err(|_| malformed_of("mtime", &path))?,
        };
        let size = ext.size.unwrap_or(size);
        let kind = self.kind(header, size, &path, &mut ext)?;
        let path = ext.sparse.name.take().unwrap_or(path);
        Ok(RawEntry { path, kind, mode: mode.unwrap_or(0), uid, gid, mtime, xattrs: ext.xattrs })
    }

    fn kind(
        &mut self,
        header: &Header,
        size: u64,
        path: &[u8],
        ext: &mut Extension,
    ) -> Result<RawKind, TarError> {
        let target = |ext: &mut Extension| {
            let in_header = || until_nul(&field(header).linkname).to_vec();
            ext.long_link.take().or(ext.link.take()).unwrap_or_else(in_header)
        };
        Ok(match header.entry_type() {
            // Before there was a type for directories, they were files whose name ended in a slash.
            EntryType::Regular if path.ends_with(b"/") => {
                self.expect_content(size);
                RawKind::Directory
            }
            EntryType::Regular | EntryType::Continuous => self.file(size, path, ext)?,
            EntryType::GNUSparse => {
                self.expect_content(size);
                let map = sparse::of_gnu_header(header, &mut self.inner, size)
                    .map_err(|error| sparse_error(error, path))?;
                self.file_with_holes(map)
            }
            EntryType::Directory => RawKind::Directory,
            EntryType::Symlink => RawKind::Symlink { target: target(ext) },
            EntryType::Link => RawKind::Hardlink { target: target(ext) },
            kind @ (EntryType::Char | EntryType::Block) => {
                let device = |field: &[u8]| number(field).and_then(|number| u32::try_from(number).ok());
                let (Some(major), Some(minor)) =
                    (device(&field(header).dev_major), device(&field(header).dev_minor))
                else {
                    return Err(malformed_of("device numbers", path));
                };
                match kind {
                    EntryType::Char => RawKind::CharDevice { major, minor },
                    _ => RawKind::BlockDevice { major, minor },
                }
            }
            EntryType::Fifo => RawKind::Fifo,
            other => {
                let entry = String::from_utf8_lossy(path).into_owned();
                return Err(TarError::UnknownType { entry, kind: char::from(other.as_byte()) });
            }
        })
    }

    fn file(&mut self, size: u64, path: &[u8], ext: &mut Extension) -> Result<RawKind, TarError> {
        self.expect_content(size);
        if !ext.sparse.is_used() {
            return Ok(RawKind::File { size });
        }
        let mut content = Counted { inner: &mut self.inner, left: &mut self.left };
        let map = ext.sparse.map(&mut content, size).map_err(|error| sparse_error(error, path))?;
        Ok(self.file_with_holes(map))
    }

    fn file_with_holes(&mut self, map: SparseMap) -> RawKind {
        let size = map.size();
        self.sparse = Some(map);
        RawKind::File { size }
    }

    fn expect_content(&mut self, size: u64) {
        self.left = size;
        self.padding = padding(size);
    }

    fn skip_rest(&mut self) -> Result<(), TarError> {
        self.sparse = None;
        let rest = self.left + self.padding as u64;
        (self.left, self.padding) = (0, 0);
        if rest == 0 {
            return Ok(());
        }
        let skipped = io::copy(&mut (&mut self.inner).take(rest), &mut io::sink()).map_err(TarError::Read)?;
        if skipped == rest { Ok(()) } else { Err(TarError::Truncated) }
    }

    /// The next header; nothing at the archive's end, which is a block of zeros or the end of the stream.
    fn header(&mut self) -> Result<Option<Header>, TarError> {
        if self.ended {
            return Ok(None);
        }
        let mut header = Header::new_old();
        let count = read_full(&mut self.inner, header.as_mut_bytes()).map_err(TarError::Read)?;
        if count == 0 || header.as_bytes().iter().all(|byte| *byte == 0) {
            self.ended = true;
            return Ok(None);
        }
        if count < BLOCK {
            return Err(TarError::Truncated);
        }
        let sum = number(&header.as_old().cksum);
        if sum != Some(checksum(header.as_bytes())) {
            return Err(malformed("checksum", &header));
        }
        Ok(Some(header))
    }

    fn extension_bytes(&mut self, size: u64) -> Result<Vec<u8>, TarError> {
        if size > MOST_EXTENSION {
            return Err(TarError::Malformed { what: "extended header is too large", entry: String::new() });
        }
        let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
        let count = read_full(&mut self.inner, &mut bytes).map_err(TarError::Read)?;
        if count < bytes.len() {
            return Err(TarError::Truncated);
        }
        self.padding = padding(size);
        Ok(bytes)
    }

    fn long_text(&mut self, size: u64) -> Result<Vec<u8>, TarError> {
        Ok(until_nul(&self.extension_bytes(size)?).to_vec())
    }
}

impl<R: Read> Read for TarReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let content = &mut Counted { inner: &mut self.inner, left: &mut self.left };
        match &mut self.sparse {
            Some(map) => map.read(content, buffer),
            None => content.read(buffer),
        }
    }
}

/// The content of one entry: ends after it, and notices when the archive ends before.
struct Counted<'a, R> {
    inner: &'a mut R,
    left: &'a mut u64,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(*self.left).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        let count = self.inner.read(&mut buffer[..most])?;
        if count == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, TarError::Truncated));
        }
        *self.left -= count as u64;
        Ok(count)
    }
}

impl Extension {
    fn read_pax(&mut self, bytes: &[u8]) -> Result<(), TarError> {
        let bad = |what| TarError::Malformed { what, entry: String::new() };
        let records = pax::parse(bytes).ok_or_else(|| bad("PAX records"))?;
        for (key, value) in records {
            // An empty value takes back what was said before: the header's own field counts.
            let text = std::str::from_utf8(value).ok().filter(|text| !text.is_empty());
            match key {
                b"path" | b"linkpath" if value.contains(&0) => return Err(bad("NUL in a path")),
                b"path" => self.path = (!value.is_empty()).then(|| value.to_vec()),
                b"linkpath" => self.link = (!value.is_empty()).then(|| value.to_vec()),
                b"size" => self.size = parsed(text).ok_or_else(|| bad("PAX size"))?,
                b"uid" => self.uid = parsed(text).ok_or_else(|| bad("PAX uid"))?,
                b"gid" => self.gid = parsed(text).ok_or_else(|| bad("PAX gid"))?,
                b"mtime" => self.mtime = whole_seconds(text).ok_or_else(|| bad("PAX mtime"))?,
                _ => match pax::xattr_name(key) {
                    Some(name) if is_layer_xattr(&name) => {
                        self.xattrs.insert(name, value.to_vec());
                    }
                    Some(_) => {}
                    None => self.sparse.record(key, value).ok_or_else(|| bad("GNU.sparse record"))?,
                },
            }
        }
        Ok(())
    }
}

fn malformed(what: &'static str, header: &Header) -> TarError {
    malformed_of(what, &header.path_bytes())
}

fn malformed_of(what: &'static str, path: &[u8]) -> TarError {
    TarError::Malformed { what, entry: String::from_utf8_lossy(path).into_owned() }
}

fn sparse_error(error: Option<io::Error>, path: &[u8]) -> TarError {
    error.map_or_else(|| malformed_of("sparse map", path), TarError::Read)
}

/// Reads until the buffer is full or the stream ends; says how much it was.
pub(crate) fn read_full(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
