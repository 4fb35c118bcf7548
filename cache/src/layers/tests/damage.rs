//! Forms of a layer whose bytes changed after they were written, at an unchanged length.

use std::fs;
use std::path::Path;

use super::*;
use crate::layers::Compression;
use crate::testing::store;

/// Changes a bit in the middle of a file.
fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

fn content() -> Listing {
    let noise: Vec<u8> = (0..20_000_u32).flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    vec![(file("f", &noise), noise)]
}

fn blob_of(store: &Store, diff_id: &DiffId, compression: Compression) -> std::path::PathBuf {
    let blob = store.layers().compressed(diff_id, compression).unwrap();
    store.blobs().path(blob.digest()).unwrap()
}

#[test]
fn a_damaged_blob_is_not_unpacked_whatever_it_is_packed_with() {
    let tar = Tar::new().file("a", &[7; 3000]).file("b", b"x").end();
    let zstd = zstd::bulk::compress(&tar, 1).unwrap();
    for blob in [tar.clone(), gzip(&tar), zstd] {
        for at in (0..blob.len()).step_by(blob.len() / 40 + 1) {
            let (_dir, store) = store();
            let diff_id = DiffId::try_from(digest_of(&tar)).unwrap();
            register_as(&store, &diff_id, &blob);
            let path = store.blobs().path(&digest_of(&blob)).unwrap();
            let mut bytes = blob.clone();
            bytes[at] ^= 0x11;
            fs::write(&path, bytes).unwrap();
            let error = match store.layers().ensure_tree(&diff_id) {
                // Not every bit of a packed blob says something about what is packed: the time in gzip's header.
                Ok(tree) if blob != tar => {
                    assert_eq!(listing(&tree).iter().map(|(_, content)| content.len()).sum::<usize>(), 3001);
                    continue;
                }
                result => result.unwrap_err(),
            };
            assert!(matches!(error, LayerError::Damaged { .. }), "byte {at}: {error}");
            assert!(!path.exists() && store.layers().info(&diff_id).unwrap().is_none());
            // It comes again, and all is well.
            register_as(&store, &diff_id, &blob);
            assert_eq!(outline(&store.layers().ensure_tree(&diff_id).unwrap()), ["a", "b"]);
        }
    }
}

#[test]
fn what_is_damaged_goes_and_the_rest_stays() {
    let (_dir, store) = store();
    let layers = store.layers();
    let info = write(&store, TREE, &content()).unwrap();
    let (gzip, zstd) = (
        blob_of(&store, &info.diff_id, Compression::Gzip),
        blob_of(&store, &info.diff_id, Compression::Zstd),
    );
    assert!(!layers.drop_damaged(&info.diff_id).unwrap(), "all is well");
    flip(&gzip);
    assert!(layers.drop_damaged(&info.diff_id).unwrap());
    assert!(!gzip.exists() && zstd.exists() && layers.tree(&info.diff_id).unwrap().is_some());
    assert_eq!(blob_of(&store, &info.diff_id, Compression::Gzip), gzip, "made again, the same");

    flip(&layers.tree(&info.diff_id).unwrap().unwrap().join("f"));
    assert!(layers.drop_damaged(&info.diff_id).unwrap());
    assert_eq!(layers.tree(&info.diff_id).unwrap(), None);
    assert!(layers.has_tar(&info.diff_id).unwrap(), "its blobs are whole");
    assert_eq!(outline(&layers.ensure_tree(&info.diff_id).unwrap()), ["f"]);
    assert!(!layers.drop_damaged(&info.diff_id).unwrap());
}

#[test]
fn a_blob_is_made_from_the_form_that_is_whole() {
    let (_dir, store) = store();
    let layers = store.layers();
    let info = write(&store, TREE, &content()).unwrap();
    let right = blob_of(&store, &info.diff_id, Compression::Gzip);
    let (digest, bytes) = (digest_of(&fs::read(&right).unwrap()), fs::read(&right).unwrap());
    store.blobs().remove(&digest).unwrap();
    // The uncompressed tar is what it would be made from first.
    flip(&blob_of(&store, &info.diff_id, Compression::None));
    assert_eq!(fs::read(blob_of(&store, &info.diff_id, Compression::Gzip)).unwrap(), bytes);

    let lost =
        write(&store, Forms { tree: false, tar: true }, &vec![(file("g", b"gg"), b"gg".into())]).unwrap();
    flip(&blob_of(&store, &lost.diff_id, Compression::None));
    let error = layers.compressed(&lost.diff_id, Compression::Gzip).unwrap_err();
    assert!(matches!(&error, LayerError::Lost { diff_id } if *diff_id == lost.diff_id), "{error}");
    assert!(error.to_string().contains("build or pull its image again"), "{error}");
    assert_eq!(layers.info(&lost.diff_id).unwrap(), None, "so a build makes it again");
}

#[test]
fn a_wrong_size_is_put_right() {
    let (_dir, store) = store();
    let info = write(&store, TREE, &content()).unwrap();
    store.layers().update(&info.diff_id, |file| file.size += 1).unwrap();
    assert!(store.layers().drop_damaged(&info.diff_id).unwrap());
    assert_eq!(store.layers().info(&info.diff_id).unwrap(), Some(info));
}

#[test]
fn a_description_with_any_bit_changed_gives_no_other_layer() {
    let (_dir, store) = store();
    let info = write(&store, TREE, &content()).unwrap();
    blob_of(&store, &info.diff_id, Compression::Gzip);
    let path = store.layers().dir(&info.diff_id).join("info");
    let whole = fs::read(&path).unwrap();
    let tree = store.layers().tree(&info.diff_id).unwrap().unwrap();
    let right = listing(&tree);
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        fs::write(&path, damaged).unwrap();
        let here = Store::open(store.root()).unwrap();
        match here.layers().ensure_tree(&info.diff_id) {
            Ok(tree) => assert_same(&listing(&tree), &right),
            Err(error) => {
                assert!(matches!(error, LayerError::Unknown { .. }), "byte {at}: {error}");
                assert_eq!(here.layers().info(&info.diff_id).unwrap(), None, "byte {at}: it is made again");
            }
        }
        let mut tar = Vec::new();
        let read = here.layers().open_tar(&info.diff_id).map(|mut tar_| tar_.read_to_end(&mut tar));
        assert!(!matches!(read, Ok(Ok(_))) || *info.diff_id.digest() == digest_of(&tar), "byte {at}");
    }
}
