//! Tests of cache mounts: who has which directory when, what they begin with, when they go.
#![allow(clippy::unwrap_used)]

use std::os::unix::fs::MetadataExt;
use std::sync::mpsc::channel;

use super::*;
use crate::layers::{Content, Entry, EntryKind, Forms};
use crate::prune::PruneOptions;
use crate::testing::store;

const KEY: Key = Key([7; 32]);

fn take(store: &Store, sharing: CacheSharing) -> CacheDirectory {
    store.mounts().take(&KEY, sharing, &NewCache::default(), || unreachable!("nobody has it")).unwrap()
}

#[test]
fn what_is_written_is_there_the_next_time() {
    let (_dir, store) = store();
    let first = take(&store, CacheSharing::Shared);
    fs::write(first.path().join("kept"), "x").unwrap();
    let path = first.path().to_owned();
    drop(first);
    let second = take(&store, CacheSharing::Locked);
    assert_eq!((second.path(), fs::read_to_string(path.join("kept")).unwrap()), (path.as_path(), "x".into()));
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o755);
    let other =
        store.mounts().take(&Key([8; 32]), CacheSharing::Locked, &NewCache::default(), || ()).unwrap();
    assert_eq!(fs::read_dir(other.path()).unwrap().count(), 0);
}

#[test]
fn sharers_share_and_private_ones_have_their_own() {
    let (_dir, store) = store();
    let (a, b) = (take(&store, CacheSharing::Shared), take(&store, CacheSharing::Shared));
    assert_eq!(a.path(), b.path());
    let (c, d) = (take(&store, CacheSharing::Private), take(&store, CacheSharing::Private));
    assert!(c.path() != a.path() && d.path() != a.path() && c.path() != d.path());
    let freed = c.path().to_owned();
    drop(c);
    assert_eq!(
        take(&store, CacheSharing::Private).path(),
        freed,
        "a free one is used before a new one is made"
    );
}

#[test]
fn who_locks_waits_for_the_others_and_they_for_him() {
    for (first, second) in [
        (CacheSharing::Locked, CacheSharing::Locked),
        (CacheSharing::Locked, CacheSharing::Shared),
        (CacheSharing::Shared, CacheSharing::Locked),
    ] {
        let (_dir, store) = store();
        let held = take(&store, first);
        let (sender, receiver) = channel();
        let there = store.clone();
        let waiter = std::thread::spawn(move || {
            let told = sender.clone();
            let waits = move || told.send("waits").unwrap();
            let _second = there.mounts().take(&KEY, second, &NewCache::default(), waits).unwrap();
            sender.send("has it").unwrap();
        });
        assert_eq!(receiver.recv().unwrap(), "waits");
        assert!(receiver.try_recv().is_err(), "{first:?} keeps {second:?} out");
        drop(held);
        assert_eq!(receiver.recv().unwrap(), "has it");
        waiter.join().unwrap();
    }
}

#[test]
fn a_cache_begins_as_a_copy() {
    let (_dir, store) = store();
    let mut writer = store.layers().writer(Forms { tree: true, tar: false }).unwrap();
    let directory = |name, mode| Entry::new(name, EntryKind::Directory { opaque: false }, mode);
    writer.add(&directory("seed", 0o750), Content::None).unwrap();
    writer.add(&Entry::new("seed/file", EntryKind::File { size: 1 }, 0o640), Content::Bytes(b"x")).unwrap();
    let layer = writer.finish().unwrap().diff_id;
    let seed = |part: &str| NewCache { seed: Some((layer.clone(), part.into())), access: None };

    let cache = store.mounts().take(&KEY, CacheSharing::Locked, &seed("seed"), || ()).unwrap();
    assert_eq!(fs::metadata(cache.path()).unwrap().mode() & 0o7777, 0o750);
    fs::write(cache.path().join("file"), "changed").unwrap();
    let tree = store.layers().ensure_tree(&layer).unwrap();
    assert_eq!(fs::read_to_string(tree.join("seed/file")).unwrap(), "x", "the layer is not the cache");
    drop(cache);
    let again = store.mounts().take(&KEY, CacheSharing::Locked, &seed("seed"), || ()).unwrap();
    assert_eq!(fs::read_to_string(again.path().join("file")).unwrap(), "changed");

    let file = store.mounts().take(&Key([9; 32]), CacheSharing::Locked, &seed("seed/file"), || ());
    assert!(file.unwrap_err().to_string().contains("begin a cache with"));
}

#[test]
fn mode_and_owner_are_those_asked_for() {
    let (_dir, store) = store();
    let own = rustix::process::geteuid().as_raw();
    let access = if own == 0 { (0o1770, 12, 34) } else { (0o1770, own, rustix::process::getegid().as_raw()) };
    let new = NewCache { seed: None, access: Some(access) };
    let cache = store.mounts().take(&KEY, CacheSharing::Shared, &new, || ()).unwrap();
    let found = fs::metadata(cache.path()).unwrap();
    assert_eq!((found.mode() & 0o7777, found.uid(), found.gid()), access);
}

#[test]
fn a_directory_that_was_never_finished_is_begun_again() {
    let (_dir, store) = store();
    drop(take(&store, CacheSharing::Shared));
    let home = store.root().join("mounts").join(KEY.to_string()).join("0");
    fs::remove_dir(home.join("data")).unwrap();
    assert!(take(&store, CacheSharing::Shared).path().is_dir());
}

#[test]
fn pruning_keeps_caches_unless_everything_is_to_go() {
    let (_dir, store) = store();
    let cache = take(&store, CacheSharing::Shared);
    let path = cache.path().to_owned();
    fs::write(path.join("kept"), "x").unwrap();
    drop(cache);
    assert_eq!(store.prune(PruneOptions::default()).unwrap().mounts, 0);
    assert!(path.join("kept").exists() && store.usage().unwrap().mounts > 0);
    assert_eq!(store.prune(PruneOptions { all: true }).unwrap().mounts, 1);
    assert!(!path.exists());
    assert!(take(&store, CacheSharing::Shared).path().is_dir());
}
