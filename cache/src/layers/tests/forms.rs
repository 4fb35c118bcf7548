//! Blobs as forms: compression, registration, and the tar from whichever form there is.

use std::io::Read;

use super::*;
use crate::layers::Compression;
use crate::testing::store;

fn big_layer(store: &Store) -> LayerInfo {
    // More than two blocks, compressible but not trivial.
    let content: Vec<u8> = (0..900_000_u32).flat_map(|i| (i % 977 * 31).to_le_bytes()).collect();
    write(store, TREE, &vec![(file("big", &content), content), (file("small", b"s"), b"s".into())]).unwrap()
}

fn read_tar(store: &Store, diff_id: &DiffId) -> Vec<u8> {
    let mut tar = Vec::new();
    store.layers().open_tar(diff_id).unwrap().read_to_end(&mut tar).unwrap();
    tar
}

#[test]
fn compressed_layers_unpack_with_the_system_tools() {
    let (_dir, store) = store();
    let info = big_layer(&store);
    let tar = read_tar(&store, &info.diff_id);
    for (compression, tool) in [(Compression::Gzip, "gzip"), (Compression::Zstd, "zstd")] {
        let blob = store.layers().compressed(&info.diff_id, compression).unwrap();
        let path = store.blobs().path(blob.digest()).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().len(), blob.size());
        assert!(blob.size() < info.size / 2);
        store.blobs().verify(blob.digest()).unwrap();
        // One member: its trailer says the size of the whole.
        if compression == Compression::Gzip {
            let bytes = std::fs::read(&path).unwrap();
            let size = u32::from_le_bytes(*bytes.last_chunk().unwrap());
            assert_eq!(u64::from(size), info.size);
        }
        if which(tool) {
            let mut command = std::process::Command::new(tool);
            assert!(run(command.arg("-dc").stdin(std::fs::File::open(&path).unwrap())) == tar);
        }
        let unpacked =
            crate::archive::unpacked(std::io::BufReader::new(store.blobs().open(blob.digest()).unwrap()));
        let mut again = Vec::new();
        unpacked.unwrap().read_to_end(&mut again).unwrap();
        assert!(again == tar);
    }
}

#[test]
fn what_gets_no_smaller_is_stored_between_what_does() {
    let (_dir, store) = store();
    let mut state = 7_u64;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    });
    let (noise, text) = (noise.take(5_000_000).collect::<Vec<u8>>(), b"text ".repeat(500_000));
    let files = vec![
        (file("a", &text), text.clone()),
        (file("b", &noise), noise.clone()),
        (file("c", &text), text.clone()),
    ];
    let info = write(&store, TREE, &files).unwrap();
    let layers = store.layers();
    let blob = layers.compressed(&info.diff_id, Compression::Gzip).unwrap();
    assert!(blob.size() > 5_000_000 && blob.size() < 5_100_000, "{}", blob.size());
    let bytes = std::fs::read(store.blobs().path(blob.digest()).unwrap()).unwrap();
    let stored = noise[2_000_000..2_001_000].to_vec();
    assert!(bytes.windows(stored.len()).any(|window| window == stored), "it is there as it is");
    let mut tar = Vec::new();
    flate2::read::GzDecoder::new(bytes.as_slice()).read_to_end(&mut tar).unwrap();
    assert!(tar == read_tar(&store, &info.diff_id));
    let best = layers.compressed_at(&info.diff_id, Compression::Gzip, Some(9)).unwrap();
    assert_ne!(best, blob, "the smallest is asked for");
}

fn which(tool: &str) -> bool {
    let found = std::env::split_paths(&std::env::var_os("PATH").unwrap()).any(|dir| dir.join(tool).exists());
    if !found {
        eprintln!("{tool} is not installed: its own reading of the layer was not checked");
    }
    found
}

#[test]
fn compressing_is_remembered_and_the_same_in_every_store() {
    let ((_a, a), (_b, b)) = (store(), store());
    let info = big_layer(&a);
    big_layer(&b);
    for compression in [Compression::Gzip, Compression::Zstd, Compression::None] {
        let blob = a.layers().compressed(&info.diff_id, compression).unwrap();
        assert_eq!(a.layers().compressed(&info.diff_id, compression).unwrap(), blob);
        assert_eq!(b.layers().compressed(&info.diff_id, compression).unwrap(), blob);
    }
    let plain = a.layers().compressed(&info.diff_id, Compression::None).unwrap();
    assert_eq!((plain.digest(), plain.size()), (info.diff_id.digest(), info.size));
}

#[test]
fn a_pulled_gzip_is_handed_on_as_it_came() {
    let (_dir, store) = store();
    let tar = Tar::new().file("f", b"x").end();
    let diff_id = DiffId::try_from(digest_of(&tar)).unwrap();
    let blob = gzip(&tar);
    let digest = store.blobs().put(&blob).unwrap();
    let docker = MediaType::Other("application/vnd.docker.image.rootfs.diff.tar.gzip".into());
    let descriptor = Descriptor::new(docker, blob.len() as u64, digest.clone());
    store.layers().register_blob(&diff_id, &descriptor).unwrap();
    assert_eq!(store.layers().blob(&diff_id).unwrap(), Some(descriptor));
    let handed_on = store.layers().compressed(&diff_id, Compression::Gzip).unwrap();
    assert_eq!((handed_on.digest(), handed_on.media_type()), (&digest, &MediaType::ImageLayerGzip));
    let zstd = store.layers().compressed(&diff_id, Compression::Zstd).unwrap();
    assert_ne!(*zstd.digest(), digest);
    assert_eq!(read_tar(&store, &diff_id), tar);
}

#[test]
fn every_form_of_a_pulled_layer_unpacks() {
    let (_dir, store) = store();
    let tar = Tar::new().file("f", b"x").end();
    let zstd = zstd::bulk::compress(&tar, 1).unwrap();
    for blob in [tar.clone(), gzip(&tar), zstd] {
        let (_dir, store) = crate::testing::store();
        let diff_id = DiffId::try_from(digest_of(&tar)).unwrap();
        register_as(&store, &diff_id, &blob);
        assert_eq!(outline(&store.layers().ensure_tree(&diff_id).unwrap()), ["f"]);
    }
    drop(store);
}

#[test]
fn what_is_not_here_is_named() {
    let (_dir, store) = store();
    let (layers, nothing) = (store.layers(), DiffId::from_hash([9; 32]));
    let blob = Descriptor::new(MediaType::ImageLayerGzip, 3, digest_of(b"???"));
    assert!(matches!(layers.register_blob(&nothing, &blob), Err(LayerError::Blob(_))));
    let foreign = Descriptor::new(MediaType::ImageLayerGzip, 3, "md5:abc".parse::<crate::Digest>().unwrap());
    assert!(matches!(layers.register_blob(&nothing, &foreign), Err(LayerError::Blob(_))));
    assert_eq!(layers.info(&nothing).unwrap(), None);
    assert_eq!(layers.tree(&nothing).unwrap(), None);
    assert_eq!(layers.blob(&nothing).unwrap(), None);
    assert!(
        matches!(layers.ensure_tree(&nothing), Err(LayerError::Unknown { diff_id }) if diff_id == nothing)
    );
    assert!(layers.open_tar(&nothing).is_err());
    assert!(layers.compressed(&nothing, Compression::Gzip).is_err());
}

#[test]
fn a_blob_that_disappeared_is_no_form() {
    let (_dir, store) = store();
    let tar = Tar::new().file("f", b"x").end();
    let diff_id = register(&store, &tar);
    store.blobs().remove(diff_id.digest()).unwrap();
    assert_eq!(store.layers().blob(&diff_id).unwrap(), None);
    assert_eq!(store.layers().info(&diff_id).unwrap(), None);
    assert!(matches!(store.layers().ensure_tree(&diff_id), Err(LayerError::Unknown { .. })));
}

#[test]
fn a_damaged_info_file_is_no_layer() {
    let (_dir, store) = store();
    let entries = vec![(file("f", b"x"), b"x".to_vec())];
    let info = write(&store, TREE, &entries).unwrap();
    for damage in [vec![], vec![0; 200], b"{}".to_vec()] {
        std::fs::write(store.layers().dir(&info.diff_id).join("info"), damage).unwrap();
        assert_eq!(store.layers().info(&info.diff_id).unwrap(), None);
        assert_eq!(write(&store, TREE, &entries).unwrap(), info);
        assert!(store.layers().tree(&info.diff_id).unwrap().is_some());
    }
}
