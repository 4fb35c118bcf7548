//! Tests of layers as a whole: what goes in by one form comes out by every other. They run as root, for devices and
//! owners are part of layers.
#![allow(clippy::unwrap_used, clippy::panic)]

mod clamping;
mod damage;
mod forms;
mod hostile;
mod sealing;
mod sharing;
mod unpacking;
mod writing;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::Path;

use oci_spec::image::{Descriptor, MediaType};

use crate::digest::{DiffId, digest_of};
use crate::layers::tree_reader::TreeReader;
use crate::layers::{Content, Entry, EntryKind, Forms, LayerError, LayerInfo, LayerWriter};
use crate::store::Store;

/// Everything in a tree, with contents: equal listings are equal trees.
pub(super) type Listing = Vec<(Entry, Vec<u8>)>;

pub(super) fn listing(tree: &Path) -> Listing {
    let mut reader = TreeReader::new(tree, false).unwrap();
    let mut all = Vec::new();
    while let Some((entry, file)) = reader.next_entry().unwrap() {
        let mut content = Vec::new();
        if let Some(mut file) = file {
            file.read_to_end(&mut content).unwrap();
        }
        all.push((entry, content));
    }
    all
}

/// Compares listings entry by entry, so that a failure shows what differs.
pub(super) fn assert_same(found: &Listing, expected: &Listing) {
    for ((found, content), (expected, right)) in found.iter().zip(expected) {
        assert_eq!(found, expected, "{}", String::from_utf8_lossy(&expected.path));
        assert!(content == right, "content of {}", String::from_utf8_lossy(&expected.path));
    }
    assert_eq!(found.len(), expected.len());
}

/// The paths of a tree with what they are, for tests that only care about that.
pub(super) fn outline(tree: &Path) -> Vec<String> {
    let show = |entry: &Entry| {
        let path = String::from_utf8_lossy(&entry.path).into_owned();
        match &entry.kind {
            EntryKind::File { .. } => path,
            EntryKind::Directory { opaque: false } => format!("{path}/"),
            EntryKind::Directory { opaque: true } => format!("{path}/ opaque"),
            EntryKind::Symlink { target } => format!("{path} -> {}", String::from_utf8_lossy(target)),
            EntryKind::Hardlink { target } => format!("{path} = {}", String::from_utf8_lossy(target)),
            EntryKind::Whiteout => format!("{path} gone"),
            other => format!("{path} {other:?}"),
        }
    };
    listing(tree).iter().map(|(entry, _)| show(entry)).collect()
}

pub(super) fn file(path: &str, content: &[u8]) -> Entry {
    let mut entry = Entry::new(path, EntryKind::File { size: content.len() as u64 }, 0o644);
    entry.mtime = 1_600_000_000;
    entry
}

pub(super) fn dir(path: &str) -> Entry {
    let mut entry = Entry::new(path, EntryKind::Directory { opaque: false }, 0o755);
    entry.mtime = 1_600_000_001;
    entry
}

pub(super) fn symlink(path: &str, target: &str) -> Entry {
    Entry::new(path, EntryKind::Symlink { target: target.into() }, 0o777)
}

pub(super) fn with(mut entry: Entry, change: impl FnOnce(&mut Entry)) -> Entry {
    change(&mut entry);
    entry
}

/// One of everything that a layer can hold, in order.
pub(super) fn everything() -> Listing {
    let xattrs = BTreeMap::from([
        (b"user.binary\n=".to_vec(), b"a\nb\0c=".to_vec()),
        (b"trusted.mine".to_vec(), vec![]),
    ]);
    let capability = BTreeMap::from([(
        b"security.capability".to_vec(),
        vec![1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    )]);
    let deep = format!("long/{}/{}", "d".repeat(200), "f".repeat(200));
    let big: Vec<u8> = (0..700_000_u32).flat_map(u32::to_le_bytes).collect();
    let linked = with(file("linked", b"one file"), |entry| (entry.mode, entry.gid) = (0o664, 7));
    let entries: Vec<(Entry, Vec<u8>)> = vec![
        (file("a-", b"sorts after a/ because a slash sorts first"), vec![]),
        (dir("a"), vec![]),
        (file("a/x", b"x"), vec![]),
        (with(dir("attributes"), |entry| entry.xattrs.clone_from(&xattrs)), vec![]),
        (with(file("attributes/file", b""), |entry| entry.xattrs = xattrs), vec![]),
        (with(file("attributes/ping", b"elf"), |entry| entry.xattrs = capability), vec![]),
        (with(file("big", &big), |entry| entry.uid = 3_000_000), big),
        (Entry::new("block", EntryKind::BlockDevice { major: 8, minor: 1 }, 0o660), vec![]),
        (Entry::new("char", EntryKind::CharDevice { major: 1, minor: 3 }, 0o666), vec![]),
        (with(dir("closed"), |entry| entry.mode = 0o000), vec![]),
        (with(file("closed/secret", b"s"), |entry| entry.mode = 0o000), vec![]),
        (with(Entry::new("fifo", EntryKind::Fifo, 0o640), |entry| entry.uid = 5), vec![]),
        (Entry::new("gone", EntryKind::Whiteout, 0), vec![]),
        (with(dir("group"), |entry| (entry.mode, entry.gid) = (0o2775, 50)), vec![]),
        (file("group/inside", b"not of the group"), vec![]),
        (linked.clone(), b"one file".to_vec()),
        (
            with(linked, |entry| {
                entry.path = b"linked-too".to_vec();
                entry.kind = EntryKind::Hardlink { target: b"linked".to_vec() };
            }),
            vec![],
        ),
        (dir("long"), vec![]),
        (dir(&deep[..205]), vec![]),
        (file(&deep, b"deep"), vec![]),
        (with(file("old", b"before 1970"), |entry| entry.mtime = -12345), vec![]),
        (with(dir("opaque"), |entry| entry.kind = EntryKind::Directory { opaque: true }), vec![]),
        (Entry::new("opaque/gone", EntryKind::Whiteout, 0), vec![]),
        (
            with(file("setuid", b"su"), |entry| (entry.mode, entry.uid, entry.gid) = (0o4755, 1000, 1001)),
            vec![],
        ),
        (with(dir("sticky"), |entry| (entry.mode, entry.uid) = (0o1777, 65534)), vec![]),
        (
            with(symlink("symlink", "/absolute/and/dangling"), |entry| {
                (entry.uid, entry.gid, entry.mtime) = (9, 10, 11);
            }),
            vec![],
        ),
        (symlink("symlink-long", &"l/".repeat(150)), vec![]),
        (file("\u{fc}n\u{ef}c\u{f6}de \u{1f980}", b"u"), vec![]),
    ];
    let mut entries = entries;
    for (entry, content) in &mut entries {
        if let (EntryKind::File { size }, true) = (&entry.kind, content.is_empty()) {
            content.resize(usize::try_from(*size).unwrap(), b'.');
        }
    }
    entries.sort_by(|a, b| crate::layers::entry::compare_paths(&a.0.path, &b.0.path));
    entries
}

/// Writes a layer of these entries.
pub(super) fn write(store: &Store, forms: Forms, entries: &Listing) -> Result<LayerInfo, LayerError> {
    let mut writer = store.layers().writer(forms)?;
    add_all(&mut writer, entries)?;
    writer.finish()
}

pub(super) fn add_all(writer: &mut LayerWriter, entries: &Listing) -> Result<(), LayerError> {
    for (entry, content) in entries {
        let content = match entry.kind {
            EntryKind::File { .. } => Content::Bytes(content),
            _ => Content::None,
        };
        writer.add(entry, content)?;
    }
    Ok(())
}

pub(super) const TREE: Forms = Forms { tree: true, tar: false };
pub(super) const TAR: Forms = Forms { tree: false, tar: true };

/// Registers a tar made by somebody else, plain, under its own diff id.
pub(super) fn register(store: &Store, tar: &[u8]) -> DiffId {
    let diff_id = DiffId::try_from(digest_of(tar)).unwrap();
    register_as(store, &diff_id, tar);
    diff_id
}

pub(super) fn register_as(store: &Store, diff_id: &DiffId, blob: &[u8]) {
    let digest = store.blobs().put(blob).unwrap();
    let descriptor = Descriptor::new(MediaType::ImageLayerGzip, blob.len() as u64, digest);
    store.layers().register_blob(diff_id, &descriptor).unwrap();
}

/// Builds foreign tars header by header.
#[derive(Default)]
pub(super) struct Tar(Vec<u8>);

impl Tar {
    pub(super) fn new() -> Tar {
        Tar::default()
    }

    pub(super) fn add(self, kind: ::tar::EntryType, path: &str, link: &str, content: &[u8]) -> Tar {
        self.add_with(kind, path, link, content, |_| {})
    }

    pub(super) fn add_with(
        mut self,
        kind: ::tar::EntryType,
        path: &str,
        link: &str,
        content: &[u8],
        change: impl FnOnce(&mut ::tar::Header),
    ) -> Tar {
        let mut header = ::tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.set_mode(if kind.is_dir() { 0o755 } else { 0o644 });
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1_500_000_000);
        let fields = header.as_ustar_mut().unwrap();
        fields.name[..path.len()].copy_from_slice(path.as_bytes());
        fields.linkname[..link.len()].copy_from_slice(link.as_bytes());
        change(&mut header);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    pub(super) fn file(self, path: &str, content: &[u8]) -> Tar {
        self.add(::tar::EntryType::Regular, path, "", content)
    }

    pub(super) fn dir(self, path: &str) -> Tar {
        self.add(::tar::EntryType::Directory, path, "", b"")
    }

    pub(super) fn symlink(self, path: &str, target: &str) -> Tar {
        self.add(::tar::EntryType::Symlink, path, target, b"")
    }

    pub(super) fn hard_link(self, path: &str, target: &str) -> Tar {
        self.add(::tar::EntryType::Link, path, target, b"")
    }

    /// A PAX header for the entry that follows.
    pub(super) fn pax(self, records: &[(&str, &[u8])]) -> Tar {
        let mut bytes = Vec::new();
        for (key, value) in records {
            crate::tarfile::pax::append(&mut bytes, key.as_bytes(), value);
        }
        self.add(::tar::EntryType::XHeader, "PaxHeaders/x", "", &bytes)
    }

    pub(super) fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Runs a system tool and gives its standard output.
pub(super) fn run(command: &mut std::process::Command) -> Vec<u8> {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}
