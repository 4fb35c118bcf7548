//! Several threads and stores at once.

use std::sync::Barrier;

use super::*;
use crate::layers::Compression;
use crate::testing::store;

#[test]
fn a_layer_is_unpacked_once_however_many_want_it() {
    let (_dir, store) = store();
    let mut tar = Tar::new();
    for number in 0..300 {
        tar = tar.file(&format!("f{number}"), &vec![1; number * 20]);
    }
    let diff_id = register(&store, &tar.end());
    let others: Vec<Store> = (0..4).map(|_| Store::open(store.root()).unwrap()).collect();
    let start = Barrier::new(others.len());
    let trees: Vec<_> = std::thread::scope(|scope| {
        let work = |store: &Store| {
            start.wait();
            let tree = store.layers().ensure_tree(&diff_id).unwrap();
            (std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(&tree).unwrap()), outline(&tree).len())
        };
        let threads: Vec<_> = others.iter().map(|store| scope.spawn(move || work(store))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(trees.iter().all(|tree| *tree == (trees[0].0, 300)));
    assert_eq!(std::fs::read_dir(store.inside("tmp")).unwrap().count(), 0);
}

#[test]
fn chains_with_repeated_and_shared_layers_unpack_together() {
    let (_dir, store) = store();
    let layer = |name: &str| register(&store, &Tar::new().file(name, name.as_bytes()).end());
    let (a, b, c) = (layer("a"), layer("b"), layer("c"));
    let chain = [a.clone(), b.clone(), a.clone(), c.clone()];
    let trees = std::thread::scope(|scope| {
        let one = scope.spawn(|| store.layers().ensure_trees(&chain).unwrap());
        let two = scope.spawn(|| store.layers().ensure_trees(&[c.clone(), b.clone()]).unwrap());
        (one.join().unwrap(), two.join().unwrap())
    });
    assert_eq!(trees.0[0], trees.0[2]);
    assert_eq!((&trees.0[3], &trees.0[1]), (&trees.1[0], &trees.1[1]));
    assert!(store.layers().ensure_trees(&[]).unwrap().is_empty());
}

#[test]
fn one_bad_layer_fails_the_chain_and_leaves_the_others() {
    let (_dir, store) = store();
    let good = register(&store, &Tar::new().file("f", b"x").end());
    let bad = DiffId::from_hash([1; 32]);
    register_as(&store, &bad, &Tar::new().file("g", b"x").end());
    assert!(matches!(store.layers().ensure_trees(&[good.clone(), bad]), Err(LayerError::Mismatch { .. })));
    store.layers().ensure_tree(&good).unwrap();
}

#[test]
fn the_same_layer_written_and_compressed_by_many_is_one() {
    let (_dir, store) = store();
    let entries = everything();
    let blobs: Vec<_> = std::thread::scope(|scope| {
        let work = |forms| {
            let info = write(&store, forms, &entries).unwrap();
            store.layers().compressed(&info.diff_id, Compression::Gzip).unwrap()
        };
        let threads: Vec<_> = [TREE, TAR, TREE, TAR].map(|forms| scope.spawn(move || work(forms))).into();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(blobs.iter().all(|blob| *blob == blobs[0]));
    assert_eq!(std::fs::read_dir(store.inside("tmp")).unwrap().count(), 0);
}
