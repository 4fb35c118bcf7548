//! Entries to tar bytes, deterministically: ustar headers with numeric owners and no names, a PAX header in front only
//! where ustar cannot say it.
//!
//! Whiteouts become the `.wh.` files of the OCI image specification. The order of entries is the caller's.

use std::io::{self, Write};

use ::tar::{EntryType, Header};

use crate::layers::entry::split_path;
use crate::layers::{Entry, EntryKind};
use crate::tarfile::{BLOCK, padding, pax};

/// What a file name begins with that stands for the absence of the rest of the name.
pub(crate) const WHITEOUT: &[u8] = b".wh.";

/// The file that makes its directory opaque.
pub(crate) const OPAQUE: &[u8] = b".wh..wh..opq";

/// The largest numbers that fit the 8- and 12-byte octal fields.
const SHORT_FIELD: u64 = 0o7_777_777;
const LONG_FIELD: u64 = 0o77_777_777_777;

/// Writes entries one after the other.
#[derive(Debug)]
pub(crate) struct TarWriter<W> {
    out: W,
    /// Bytes written.
    size: u64,
    entries: u64,
    head: Vec<u8>,
}

impl<W: Write> TarWriter<W> {
    pub fn new(out: W) -> TarWriter<W> {
        TarWriter { out, size: 0, entries: 0, head: Vec::with_capacity(8 * BLOCK) }
    }

    /// Writes an entry's headers. For a file, exactly its size in [`TarWriter::data`] and then
    /// [`TarWriter::end_data`] must follow.
    pub fn entry(&mut self, entry: &Entry) -> io::Result<()> {
        self.head.clear();
        encode(&mut self.head, entry);
        self.entries += 1;
        if entry.kind == (EntryKind::Directory { opaque: true }) {
            let marker = [&entry.path, b"/".as_slice(), OPAQUE].concat();
            encode_marker(&mut self.head, &marker);
            self.entries += 1;
        }
        self.size += self.head.len() as u64;
        self.out.write_all(&self.head)
    }

    /// Writes some of a file's content.
    pub fn data(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.size += bytes.len() as u64;
        self.out.write_all(bytes)
    }

    /// Pads after the content of a file of that size.
    pub fn end_data(&mut self, size: u64) -> io::Result<()> {
        self.data(&[0; BLOCK][..padding(size)])
    }

    /// Ends the archive. Gives back where it was written, its size in bytes and the number of entries.
    pub fn finish(mut self) -> io::Result<(W, u64, u64)> {
        self.data(&[0; 2 * BLOCK])?;
        Ok((self.out, self.size, self.entries))
    }
}

/// Appends the headers of one entry.
fn encode(out: &mut Vec<u8>, entry: &Entry) {
    if entry.kind == EntryKind::Whiteout {
        let (dir, name) = split_path(&entry.path);
        let slash: &[u8] = if dir.is_empty() { b"" } else { b"/" };
        return encode_marker(out, &[dir, slash, WHITEOUT, name].concat());
    }
    let mut header = Header::new_ustar();
    let mut records = Vec::new();
    set_name(&mut header, &mut records, entry);
    set_kind(&mut header, &mut records, entry);
    set_numbers(&mut header, &mut records, entry);
    if !matches!(entry.kind, EntryKind::Hardlink { .. }) {
        for (name, value) in &entry.xattrs {
            pax::append_xattr(&mut records, name, value);
        }
    }
    if !records.is_empty() {
        append_pax_header(out, &entry.path, &records);
    }
    header.set_cksum();
    out.extend_from_slice(header.as_bytes());
}

/// Appends a file that only means something by its name. Nothing but the name counts, so nothing else varies.
fn encode_marker(out: &mut Vec<u8>, path: &[u8]) {
    encode(out, &Entry::new(path, EntryKind::File { size: 0 }, 0));
}

fn append_pax_header(out: &mut Vec<u8>, path: &[u8], records: &[u8]) {
    let mut header = Header::new_ustar();
    let mut name = [b"PaxHeaders.0/", split_path(path).1].concat();
    name.truncate(100);
    put(&mut ustar(&mut header).name, &name);
    header.set_entry_type(EntryType::XHeader);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(records.len() as u64);
    header.set_cksum();
    out.extend_from_slice(header.as_bytes());
    out.extend_from_slice(records);
    out.resize(out.len() + padding(records.len() as u64), 0);
}

fn set_name(header: &mut Header, records: &mut Vec<u8>, entry: &Entry) {
    let mut path = entry.path.clone();
    if matches!(entry.kind, EntryKind::Directory { .. }) {
        path.push(b'/');
    }
    let fields = ustar(header);
    if let Some((prefix, name)) = split_for_ustar(&path) {
        put(&mut fields.prefix, prefix);
        put(&mut fields.name, name);
    } else {
        pax::append(records, b"path", &path);
        put(&mut fields.name, &path[..100]);
    }
}

/// How a path fits the header's two fields: up to 155 bytes, a slash, up to 100 bytes.
fn split_for_ustar(path: &[u8]) -> Option<(&[u8], &[u8])> {
    if path.len() <= 100 {
        return Some((b"", path));
    }
    // The name field may end in a directory's slash but must not be empty.
    let last = path.len().checked_sub(2)?.min(155);
    let first = path.len() - 101;
    let slash = (first..=last).find(|at| path[*at] == b'/')?;
    Some((&path[..slash], &path[slash + 1..]))
}

fn set_kind(header: &mut Header, records: &mut Vec<u8>, entry: &Entry) {
    let mut size = 0;
    let kind = match &entry.kind {
        EntryKind::File { size: bytes } => {
            size = *bytes;
            EntryType::Regular
        }
        EntryKind::Directory { .. } => EntryType::Directory,
        EntryKind::Symlink { target } => {
            set_link(header, records, target);
            EntryType::Symlink
        }
        EntryKind::Hardlink { target } => {
            set_link(header, records, target);
            EntryType::Link
        }
        EntryKind::CharDevice { .. } => EntryType::Char,
        EntryKind::BlockDevice { .. } => EntryType::Block,
        EntryKind::Fifo => EntryType::Fifo,
        EntryKind::Whiteout => EntryType::Regular,
    };
    if let EntryKind::CharDevice { major, minor } | EntryKind::BlockDevice { major, minor } = entry.kind {
        // Linux has 12-bit majors and 20-bit minors: they always fit.
        ustar(header).set_device_major(major);
        ustar(header).set_device_minor(minor);
    }
    header.set_entry_type(kind);
    header.set_size(fitting(records, b"size", size, LONG_FIELD));
}

fn set_link(header: &mut Header, records: &mut Vec<u8>, target: &[u8]) {
    if target.len() > 100 {
        pax::append(records, b"linkpath", target);
    }
    put(&mut ustar(header).linkname, &target[..target.len().min(100)]);
}

fn set_numbers(header: &mut Header, records: &mut Vec<u8>, entry: &Entry) {
    // Permissions of a symbolic link mean nothing and are all set wherever they can be seen.
    let mode = if matches!(entry.kind, EntryKind::Symlink { .. }) { 0o777 } else { entry.mode & 0o7777 };
    header.set_mode(mode);
    header.set_uid(fitting(records, b"uid", u64::from(entry.uid), SHORT_FIELD));
    header.set_gid(fitting(records, b"gid", u64::from(entry.gid), SHORT_FIELD));
    let mtime = if let Ok(mtime) = u64::try_from(entry.mtime) {
        fitting(records, b"mtime", mtime, LONG_FIELD)
    } else {
        pax::append(records, b"mtime", entry.mtime.to_string().as_bytes());
        0
    };
    header.set_mtime(mtime);
}

/// The number for the header's field; one that is too large goes into a PAX record instead.
fn fitting(records: &mut Vec<u8>, key: &[u8], value: u64, largest: u64) -> u64 {
    if value <= largest {
        return value;
    }
    pax::append(records, key, value.to_string().as_bytes());
    0
}

fn ustar(header: &mut Header) -> &mut ::tar::UstarHeader {
    match header.as_ustar_mut() {
        Some(fields) => fields,
        None => unreachable!("every header here is made by Header::new_ustar"),
    }
}

fn put(field: &mut [u8], bytes: &[u8]) {
    field[..bytes.len()].copy_from_slice(bytes);
}
