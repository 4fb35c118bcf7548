//! Times that are clamped: ours, those of foreign tars, and everything else left as it was.

use std::io::{Cursor, Read};

use super::*;
use crate::layers::Compression;
use crate::testing::store;

const EPOCH: i64 = 1_700_000_000;

fn times(store: &Store, diff_id: &DiffId) -> Vec<(String, i64)> {
    let mut reader = crate::tarfile::read::TarReader::new(store.layers().open_tar(diff_id).unwrap());
    let mut times = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        times.push((String::from_utf8(entry.path).unwrap(), entry.mtime));
    }
    times
}

#[test]
fn later_times_become_the_epoch_and_the_content_stays() {
    let (_dir, store) = store();
    let mut entries = Vec::new();
    for (name, mtime) in [("early", EPOCH - 1), ("exact", EPOCH), ("far", 9_000_000_000), ("late", EPOCH + 5)]
    {
        let mut entry = file(name, name.as_bytes());
        entry.mtime = mtime;
        entry.xattrs = [(b"user.x".to_vec(), b"y".to_vec())].into();
        entries.push((entry, name.as_bytes().to_vec()));
    }
    let info = write(&store, TREE, &entries).unwrap();
    let clamped = store.layers().clamped(&info.diff_id, EPOCH).unwrap();
    let expected = [("early", EPOCH - 1), ("exact", EPOCH), ("far", EPOCH), ("late", EPOCH)];
    assert_eq!(times(&store, &clamped), expected.map(|(name, time)| (name.to_owned(), time)));
    assert_eq!(store.layers().clamped(&info.diff_id, EPOCH).unwrap(), clamped, "it is remembered");
    assert_eq!(store.layers().clamped(&clamped, EPOCH).unwrap(), clamped, "there is nothing left to do");
    let found = listing(&store.layers().ensure_tree(&clamped).unwrap());
    let mut expected = listing(&store.layers().ensure_tree(&info.diff_id).unwrap());
    for (entry, _) in &mut expected {
        entry.mtime = entry.mtime.min(EPOCH);
    }
    assert_same(&found, &expected);
    assert_eq!(store.layers().info(&clamped).unwrap().unwrap().entries, 4);
    let packed = store.layers().compressed(&clamped, Compression::Gzip).unwrap();
    assert!(store.layers().is_form(&clamped, packed.digest()).unwrap());
}

#[test]
fn foreign_tars_keep_what_has_no_time() {
    let (_dir, store) = store();
    let mut builder = tar::Builder::new(Vec::new());
    let records: [(&str, &[u8]); 3] =
        [("mtime", b"1800000000.123456789"), ("atime", b"1600000000"), ("SCHILY.xattr.user.a", b"b\nc")];
    builder.append_pax_extensions(records).unwrap();
    let mut header = tar::Header::new_gnu();
    header.set_mtime(1_800_000_000);
    header.set_size(5);
    header.set_mode(0o640);
    header.set_uid(7);
    builder.append_data(&mut header, format!("{}/long", "d".repeat(150)), Cursor::new(b"12345")).unwrap();
    let bytes = builder.into_inner().unwrap();
    let diff_id = DiffId::try_from(digest_of(&bytes)).unwrap();
    let digest = store.blobs().put(&bytes).unwrap();
    let blob = Descriptor::new(MediaType::ImageLayer, bytes.len() as u64, digest);
    store.layers().register_blob(&diff_id, &blob).unwrap();

    let clamped = store.layers().clamped(&diff_id, EPOCH).unwrap();
    assert_eq!(times(&store, &clamped)[0].1, EPOCH);
    let mut tar = Vec::new();
    store.layers().open_tar(&clamped).unwrap().read_to_end(&mut tar).unwrap();
    let has = |part: &[u8]| tar.windows(part.len()).any(|window| window == part);
    assert!(has(b"20 mtime=1700000000\n") && has(b"atime=1600000000\n"));
    let mut reader = crate::tarfile::read::TarReader::new(tar.as_slice());
    let entry = reader.next_entry().unwrap().unwrap();
    assert_eq!((entry.uid, entry.mode), (7, 0o640));
    assert_eq!(entry.xattrs, [(b"user.a".to_vec(), b"b\nc".to_vec())].into());
    let mut content = String::new();
    reader.read_to_string(&mut content).unwrap();
    assert_eq!(content, "12345");
}

#[test]
fn what_is_no_tar_is_told() {
    let (_dir, store) = store();
    for bytes in [vec![1; 700], vec![b'a'; 512]] {
        let diff_id = DiffId::try_from(digest_of(&bytes)).unwrap();
        let digest = store.blobs().put(&bytes).unwrap();
        let blob = Descriptor::new(MediaType::ImageLayer, bytes.len() as u64, digest);
        store.layers().register_blob(&diff_id, &blob).unwrap();
        assert!(store.layers().clamped(&diff_id, EPOCH).is_err());
    }
}

#[test]
fn levels_are_kept_apart() {
    let (_dir, store) = store();
    let content: Vec<u8> = (0..300_000_u32).flat_map(|i| (i % 977 * 31).to_le_bytes()).collect();
    let info = write(&store, TREE, &vec![(file("big", &content), content)]).unwrap();
    let layers = store.layers();
    for compression in [Compression::Gzip, Compression::Zstd] {
        let fast = layers.compressed_at(&info.diff_id, compression, Some(1)).unwrap();
        let usual = layers.compressed(&info.diff_id, compression).unwrap();
        let best = layers.compressed_at(&info.diff_id, compression, Some(9)).unwrap();
        assert!(fast.digest() != usual.digest() && usual.digest() != best.digest());
        assert_eq!(layers.compressed_at(&info.diff_id, compression, Some(1)).unwrap(), fast);
        for blob in [&fast, &usual, &best] {
            assert!(layers.is_form(&info.diff_id, blob.digest()).unwrap());
            assert!(layers.is_made_here(&info.diff_id, blob.digest()).unwrap());
        }
    }
}
