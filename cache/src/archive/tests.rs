//! Tests of archives: every packing, made by the system's tools, and entries as data.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use super::*;
use crate::layers::EntryKind;

fn tar() -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("d")).unwrap();
    std::fs::write(dir.path().join("d/f"), vec![b'x'; 100_000]).unwrap();
    std::os::unix::fs::symlink("../../etc", dir.path().join("d/l")).unwrap();
    std::fs::hard_link(dir.path().join("d/f"), dir.path().join("d/g")).unwrap();
    let output =
        Command::new("tar").args(["-c", "--sort=name", "-C"]).arg(dir.path()).arg(".").output().unwrap();
    assert!(output.status.success());
    output.stdout
}

fn filter(command: &str, input: &[u8]) -> Vec<u8> {
    let mut child =
        Command::new(command).arg("-c").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let feeder = std::thread::spawn(move || stdin.write_all(&input).unwrap());
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    assert!(output.status.success());
    output.stdout
}

fn packings() -> Vec<(Packing, Vec<u8>)> {
    let tar = tar();
    vec![
        (Packing::Gzip, filter("gzip", &tar)),
        (Packing::Bzip2, filter("bzip2", &tar)),
        (Packing::Xz, filter("xz", &tar)),
        (Packing::Zstd, zstd::bulk::compress(&tar, 3).unwrap()),
        (Packing::Plain, tar),
    ]
}

#[test]
fn every_packing_is_known_by_its_beginning_and_read() {
    for (packing, bytes) in packings() {
        assert_eq!(sniff(&bytes[..SNIFF.min(bytes.len())]), Some(packing));
        let reader = decoder(packing, bytes.as_slice()).unwrap();
        let mut entries = entries(reader);
        let mut paths = Vec::new();
        while let Some((entry, mut content)) = entries.next_entry().unwrap() {
            let mut bytes = Vec::new();
            content.read_to_end(&mut bytes).unwrap();
            paths.push((String::from_utf8(entry.path).unwrap(), entry.kind, bytes.len()));
        }
        let file = EntryKind::File { size: 100_000 };
        let link = EntryKind::Hardlink { target: b"d/f".to_vec() };
        let expected = [
            ("d".to_owned(), EntryKind::Directory { opaque: false }, 0),
            ("d/f".to_owned(), file, 100_000),
            ("d/g".to_owned(), link, 0),
            ("d/l".to_owned(), EntryKind::Symlink { target: b"../../etc".to_vec() }, 0),
        ];
        assert_eq!(paths, expected, "{packing:?}");
    }
}

#[test]
fn streams_one_after_the_other_are_one() {
    for (packing, command) in [(Packing::Gzip, "gzip"), (Packing::Bzip2, "bzip2"), (Packing::Xz, "xz")] {
        let bytes = [filter(command, b"one "), filter(command, b"two")].concat();
        let mut text = String::new();
        decoder(packing, bytes.as_slice()).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "one two");
    }
}

#[test]
fn other_files_are_no_archives() {
    let gzip_like = [0x1f, 0x8b];
    for bytes in [&b""[..], b"#!/bin/sh\necho", &[0; SNIFF], &[b'x'; SNIFF], &gzip_like] {
        assert_eq!(sniff(bytes), None);
    }
}

#[test]
fn damage_is_an_error_whatever_the_packing() {
    for (packing, mut bytes) in packings() {
        bytes.truncate(bytes.len() / 2);
        let mut entries = entries(decoder(packing, bytes.as_slice()).unwrap());
        let result = loop {
            match entries.next_entry() {
                Ok(Some(_)) => {}
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        result.unwrap_err();
    }
}

#[test]
fn entries_do_not_lead_out() {
    let mut header = ::tar::Header::new_ustar();
    header.as_ustar_mut().unwrap().name[..5].copy_from_slice(b"../up");
    header.set_size(0);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(&[0; 1024]);
    let Err(error) = entries(bytes.as_slice()).next_entry() else { panic!("it leads out") };
    assert!(matches!(error, ArchiveError::Escapes { path } if path == "../up"));
}
