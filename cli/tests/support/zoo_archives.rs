//! The zoo's archives: what ADD unpacks, what it does not, and the entries that an archive can have.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, EntryType, Header};

use super::context::set_mode;
use super::tool::tool;
use super::zoo::make_dir;

/// The time of every entry.
const TIME: u64 = 1_700_000_000;

/// An entry: its kind, path, mode, and content or target.
type Entry<'a> = (EntryType, &'a str, u32, &'a str);

/// Makes the archives in `dir`.
pub fn make(dir: &Path) {
    make_dir(dir);
    compressed(dir);
    put(dir, "empty.tar", &tar(&[]));
    put(dir, "text.tar", b"only its name says so\n");
    put(dir, "truncated.tar.gz", &gzip(b"no archive, but compressed\n"));
    put(dir, "links.tar", &tar(LINKS));
    put(dir, "devices.tar", &devices());
    put(dir, "whiteouts.tar", &tar(WHITEOUTS));
    put(dir, "twice.tar", &tar(TWICE));
    put(dir, "parents.tar", &tar(PARENTS));
    put(dir, "over.tar", &tar(OVER));
    put(dir, "owners.tar", &owners());
    put(dir, "attributes.tar", &attributes());
}

const FILE: EntryType = EntryType::Regular;
const DIR: EntryType = EntryType::Directory;

const SIMPLE: &[Entry<'_>] = &[
    (DIR, "./", 0o755, ""),
    (DIR, "./sub/", 0o750, ""),
    (FILE, "./sub/file", 0o640, "packed\n"),
    (FILE, "./run", 0o4755, "#!/bin/sh\n"),
];

const LINKS: &[Entry<'_>] = &[
    (FILE, "file", 0o644, "linked\n"),
    (EntryType::Link, "hard", 0o644, "file"),
    (DIR, "sub", 0o755, ""),
    (EntryType::Link, "sub/hard", 0o644, "file"),
    (EntryType::Symlink, "symbolic", 0o777, "file"),
    (EntryType::Symlink, "absolute", 0o777, "/etc/passwd"),
    (EntryType::Symlink, "dangling", 0o777, "nowhere"),
    (EntryType::Symlink, "up", 0o777, "../../.."),
    (EntryType::Link, "hard-to-symbolic", 0o777, "symbolic"),
];

const WHITEOUTS: &[Entry<'_>] =
    &[(DIR, "sub", 0o755, ""), (FILE, "sub/.wh.file", 0o644, ""), (FILE, "sub/kept", 0o644, "kept\n")];

const TWICE: &[Entry<'_>] = &[
    (FILE, "file", 0o644, "first\n"),
    (FILE, "file", 0o600, "second\n"),
    (DIR, "dir", 0o755, ""),
    (FILE, "dir/inside", 0o644, "inside\n"),
    (DIR, "dir", 0o700, ""),
    (FILE, "becomes-link", 0o644, "file\n"),
    (EntryType::Symlink, "becomes-link", 0o777, "file"),
];

/// Directories that the archive itself does not have.
const PARENTS: &[Entry<'_>] =
    &[(FILE, "made/on/the/way", 0o644, "way\n"), (FILE, "/absolute/path", 0o644, "absolute\n")];

/// What [`SIMPLE`] left is replaced: a directory's mode, a file by a link, a directory that stays one.
const OVER: &[Entry<'_>] = &[
    (DIR, "sub", 0o711, ""),
    (FILE, "sub/more", 0o644, "more\n"),
    (EntryType::Symlink, "run", 0o777, "sub/file"),
];

fn compressed(dir: &Path) {
    let plain = tar(SIMPLE);
    put(dir, "plain.tar", &plain);
    put(dir, "zipped.tar.gz", &gzip(&plain));
    // What it is does not depend on its name.
    put(dir, "nameless", &gzip(&plain));
    put(dir, "picture.png", &plain);
    for (program, name) in [("bzip2", "zipped.tar.bz2"), ("xz", "zipped.tar.xz"), ("zstd", "zipped.tar.zst")]
    {
        let mut command = tool(program);
        let copy = dir.join("copy");
        put(dir, "copy", &plain);
        command.args(["-q", "-c"]).arg(&copy).stdout(create(&dir.join(name)));
        let status = command.status().expect("the program starts");
        assert!(status.success(), "{program} failed");
        fs::remove_file(copy).expect("it was just made");
    }
}

fn devices() -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (kind, name, major, minor) in
        [(EntryType::Char, "null", 1, 3), (EntryType::Block, "loop0", 7, 0), (EntryType::Fifo, "fifo", 0, 0)]
    {
        let mut header = header(kind, 0o620, 0);
        header.set_device_major(major).expect("a ustar header");
        header.set_device_minor(minor).expect("a ustar header");
        builder.append_data(&mut header, name, std::io::empty()).expect("memory");
    }
    builder.into_inner().expect("memory")
}

fn owners() -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (name, owner, group) in
        [("worker", 1000, 1000), ("other", 1234, 4321), ("large", 2_100_000, 2_100_001)]
    {
        let mut header = header(FILE, 0o6755, 5);
        header.set_uid(owner);
        header.set_gid(group);
        // Names count for nothing: what they mean here is not what they meant there.
        header.set_username("daemon").expect("a short name");
        builder.append_data(&mut header, name, &b"mine\n"[..]).expect("memory");
    }
    builder.into_inner().expect("memory")
}

fn attributes() -> Vec<u8> {
    let capability: &[u8] = &[1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let mut builder = Builder::new(Vec::new());
    let records =
        [("SCHILY.xattr.security.capability", capability), ("SCHILY.xattr.user.note", &b"kept\0too"[..])];
    builder.append_pax_extensions(records).expect("memory");
    builder.append_data(&mut header(FILE, 0o755, 5), "file", &b"able\n"[..]).expect("memory");
    builder.into_inner().expect("memory")
}

fn tar(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (kind, path, mode, text) in entries {
        let link = matches!(kind, EntryType::Link | EntryType::Symlink);
        let data = if link { "" } else { text };
        let mut header = header(*kind, *mode, data.len() as u64);
        // Written as it stands: the library's own way refuses absolute paths and cleans the others.
        header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
        if link {
            header.set_link_name_literal(text).expect("a short target");
        }
        header.set_cksum();
        builder.append(&header, data.as_bytes()).expect("memory");
    }
    builder.into_inner().expect("memory")
}

fn header(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(TIME);
    header.set_size(size);
    header
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

fn create(path: &Path) -> File {
    File::create(path).expect("the context is writable")
}

fn put(dir: &Path, name: &str, bytes: &[u8]) {
    let path = dir.join(name);
    create(&path).write_all(bytes).expect("the disk has room");
    set_mode(&path, 0o644);
}
