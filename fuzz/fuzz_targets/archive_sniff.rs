//! Any bytes as an archive that ADD unpacks: nothing panics, no path leads out, and a small archive costs little, whatever
//! it claims to hold.

#![no_main]

use std::io::{self, Read};

use kiln_cache::archive::{Packing, SNIFF, decoder, entries, sniff};
use kiln_cache::{Entry, EntryKind};
use libfuzzer_sys::fuzz_target;

/// How much is read out of one compression, and of one entry's content: a bomb is one only to whoever reads all of it.
const MOST: u64 = 4 * 1024 * 1024;

fuzz_target!(|bytes: &[u8]| {
    let packing = sniff(&bytes[..bytes.len().min(SNIFF)]);
    read(packing.unwrap_or(Packing::Plain), bytes);
});

/// Reads as much as is read of an archive; where it is damaged is of no interest.
fn read(packing: Packing, bytes: &[u8]) {
    let Ok(reader) = decoder(packing, bytes) else { return };
    let mut entries = entries(reader.take(MOST));
    let mut left = MOST;
    while let Ok(Some((entry, content))) = entries.next_entry() {
        is_sound(&entry);
        let Ok(read) = io::copy(&mut content.take(left), &mut io::sink()) else { return };
        if let EntryKind::File { size } = entry.kind {
            assert!(read <= size, "{read} bytes of content in a file of {size}");
        }
        left -= read;
        if left == 0 {
            return;
        }
    }
}

fn is_sound(entry: &Entry) {
    is_inside(&entry.path);
    assert!(!entry.path.is_empty(), "the root is no entry");
    assert!(entry.mode <= 0o7777, "mode {:o}", entry.mode);
    if let EntryKind::Hardlink { target } = &entry.kind {
        is_inside(target);
    }
}

fn is_inside(path: &[u8]) {
    assert!(!path.starts_with(b"/"), "an absolute path");
    let unclean = |name: &[u8]| matches!(name, b"." | b"..") || (name.is_empty() && !path.is_empty());
    assert!(!path.split(|byte| *byte == b'/').any(unclean), "{:?}", String::from_utf8_lossy(path));
}
