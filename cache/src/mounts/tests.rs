//! Tests of cache mounts: who has which directory when, what they begin with, when they go.
#![allow(clippy::unwrap_used)]

use std::os::unix::fs::MetadataExt;
use std::sync::mpsc::channel;

use super::*;
use crate::gc::PruneOptions;
use crate::layers::{Content, Entry, EntryKind, Forms};
use crate::testing::store;

fn name() -> CacheName {
    CacheName::new("/cache")
}

fn take(store: &Store, sharing: CacheSharing) -> CacheDirectory {
    store.mounts().take(&name(), sharing, || unreachable!("nobody has it")).unwrap()
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
    let other = store.mounts().take(&CacheName::new("other"), CacheSharing::Locked, || ()).unwrap();
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
            let _second = there.mounts().take(&name(), second, waits).unwrap();
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
    let seed = |part: &str| CacheName {
        seed: Some(CacheSeed { layer: layer.clone(), part: part.into() }),
        ..name()
    };

    let cache = store.mounts().take(&seed("seed"), CacheSharing::Locked, || ()).unwrap();
    assert_eq!(fs::metadata(cache.path()).unwrap().mode() & 0o7777, 0o750);
    fs::write(cache.path().join("file"), "changed").unwrap();
    let tree = store.layers().ensure_tree(&layer).unwrap();
    assert_eq!(fs::read_to_string(tree.join("seed/file")).unwrap(), "x", "the layer is not the cache");
    drop(cache);
    let again = store.mounts().take(&seed("seed"), CacheSharing::Locked, || ()).unwrap();
    assert_eq!(fs::read_to_string(again.path().join("file")).unwrap(), "changed");

    let file = store.mounts().take(&seed("seed/file"), CacheSharing::Locked, || ());
    assert!(file.unwrap_err().to_string().contains("begin a cache with"));
}

#[test]
fn mode_and_owner_are_those_asked_for() {
    let (_dir, store) = store();
    let own = rustix::process::geteuid().as_raw();
    let access = if own == 0 { (0o1770, 12, 34) } else { (0o1770, own, rustix::process::getegid().as_raw()) };
    let own = CacheName { access: Some(access), ..name() };
    let cache = store.mounts().take(&own, CacheSharing::Shared, || ()).unwrap();
    let found = fs::metadata(cache.path()).unwrap();
    assert_eq!((found.mode() & 0o7777, found.uid(), found.gid()), access);
}

#[test]
fn a_directory_that_was_never_finished_is_begun_again() {
    let (_dir, store) = store();
    drop(take(&store, CacheSharing::Shared));
    let home = store.root().join("mounts").join(name().key().to_string()).join("0");
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
    assert_eq!(store.prune(&PruneOptions::default()).unwrap().mounts, 0);
    assert!(path.join("kept").exists());
    assert_eq!(store.prune(&PruneOptions { all: true, ..PruneOptions::default() }).unwrap().mounts, 1);
    assert!(!path.exists());
    assert!(take(&store, CacheSharing::Shared).path().is_dir());
}

#[test]
fn caches_are_listed_by_what_they_are_called() {
    let (_dir, store) = store();
    let mounts = store.mounts();
    let held = take(&store, CacheSharing::Shared);
    fs::write(held.path().join("file"), vec![0; 100_000]).unwrap();
    let spaced = CacheName { namespace: "team".into(), ..CacheName::new("a") };
    drop(mounts.take(&spaced, CacheSharing::Locked, || ()).unwrap());
    let (one, two) = (take(&store, CacheSharing::Private), take(&store, CacheSharing::Private));
    drop((one, two));

    let list = mounts.list().unwrap();
    let ids: Vec<String> = list.iter().map(CacheMount::id).collect();
    assert_eq!(ids, ["/cache", "a"]);
    assert_eq!(list[1].name.as_ref(), Some(&spaced));
    assert_eq!(list[0].copies.len(), 3);
    assert!(list[0].in_use() && !list[1].in_use() && list[0].bytes() > 100_000);
    assert!(list[0].last_used() >= list[1].last_used());
    assert_eq!(mounts.find("a").unwrap(), [list[1].clone()]);
    assert_eq!(mounts.find(&list[1].key.to_string()[..12]).unwrap().len(), 1);
    assert_eq!(mounts.find("b").unwrap(), []);
    drop(held);
}

#[test]
fn a_cache_is_removed_as_a_whole_and_never_under_a_step() {
    let (_dir, store) = store();
    let mounts = store.mounts();
    let held = take(&store, CacheSharing::Shared);
    let path = held.path().to_owned();
    fs::write(path.join("file"), vec![0; 100_000]).unwrap();
    let mount = mounts.list().unwrap().remove(0);
    assert!(matches!(mounts.remove(&mount), Err(CacheMountError::InUse { id }) if id == "/cache"));
    assert_eq!(mounts.try_remove_copy(&mount.key, 0).unwrap(), None);
    assert!(path.join("file").exists());
    drop(held);
    assert!(mounts.remove(&mount).unwrap() > 100_000);
    assert_eq!(fs::read_dir(store.inside("mounts")).unwrap().count(), 0);
    assert_eq!(mounts.remove(&mount).unwrap(), 0);
    assert!(take(&store, CacheSharing::Shared).path().is_dir());
}

#[test]
fn who_waits_for_a_cache_that_is_removed_gets_a_new_one() {
    let (_dir, store) = store();
    let held = take(&store, CacheSharing::Shared);
    let home = store.inside("mounts").join(name().key().to_string());
    let (sender, receiver) = channel();
    let there = store.clone();
    let waiter = std::thread::spawn(move || {
        let waits = move || sender.send(()).unwrap();
        let cache = there.mounts().take(&name(), CacheSharing::Locked, waits).unwrap();
        fs::read_dir(cache.path()).unwrap().count()
    });
    receiver.recv().unwrap();
    fs::write(held.path().join("file"), "x").unwrap();
    fs::rename(home.join("0"), store.inside("tmp/gone")).unwrap();
    drop(held);
    assert_eq!(waiter.join().unwrap(), 0);
    assert!(home.join("0/data").is_dir());
}

/// A cache with something of everything in it.
fn furnished(store: &Store) -> CacheMount {
    let cache = take(store, CacheSharing::Shared);
    let path = cache.path();
    fs::create_dir(path.join("dir")).unwrap();
    fs::write(path.join("dir/large"), vec![7; 400_000]).unwrap();
    fs::write(path.join("script"), "#!").unwrap();
    fs::set_permissions(path.join("script"), Permissions::from_mode(0o4751)).unwrap();
    fs::hard_link(path.join("script"), path.join("dir/again")).unwrap();
    std::os::unix::fs::symlink("../../outside", path.join("link")).unwrap();
    let old = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    File::options().append(true).open(path.join("script")).unwrap().set_modified(old).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o2770)).unwrap();
    drop(cache);
    store.mounts().find("/cache").unwrap().remove(0)
}

#[test]
fn a_cache_arrives_as_it_left() {
    let (_dir, store) = store();
    let mount = furnished(&store);
    let mut tar = Vec::new();
    let left = store.mounts().export(&mount, &mut tar).unwrap();
    assert_eq!((left.size, &left.digest), (tar.len() as u64, &crate::digest::digest_of(&tar)));

    let (_dir, other) = crate::testing::store();
    drop(take(&other, CacheSharing::Shared));
    fs::write(other.inside("mounts").join(name().key().to_string()).join("0/data/stale"), "x").unwrap();
    let arrived = other.mounts().import(&name(), &tar[..], Some(&left.digest)).unwrap();
    assert_eq!(arrived, left);
    let cache = take(&other, CacheSharing::Locked);
    let look = |path: &str| fs::symlink_metadata(cache.path().join(path)).unwrap();
    assert_eq!(look("").mode() & 0o7777, 0o2770);
    assert_eq!((look("script").mode() & 0o7777, look("script").mtime()), (0o4751, 1_000_000_000));
    assert_eq!(look("dir/again").ino(), look("script").ino());
    assert_eq!(look("dir/large").len(), 400_000);
    assert_eq!(fs::read_link(cache.path().join("link")).unwrap(), Path::new("../../outside"));
    assert!(!cache.path().join("stale").exists());
    drop(cache);
    assert_eq!(fs::read_dir(other.inside("tmp")).unwrap().count(), 0);
    let mut again = Vec::new();
    let back = other.mounts().export(&other.mounts().list().unwrap()[0], &mut again).unwrap();
    assert_eq!(back, left, "the same contents are the same archive");
}

#[test]
fn what_is_damaged_or_hostile_changes_nothing() {
    let (_dir, store) = store();
    let mount = furnished(&store);
    let mounts = store.mounts();
    let mut tar = Vec::new();
    let left = mounts.export(&mount, &mut tar).unwrap();
    let import = |bytes: &[u8], expected| mounts.import(&name(), bytes, expected).map(drop);

    let wrong = crate::digest::digest_of(b"another");
    assert!(matches!(import(&tar, Some(&wrong)), Err(CacheMountError::Mismatch { .. })));
    for cut in [700, tar.len() / 2] {
        assert!(matches!(import(&tar[..cut], None), Err(CacheMountError::Unpack { .. })), "{cut}");
    }
    assert!(matches!(import(&[b'x'; 2000], None), Err(CacheMountError::Unpack { .. })));
    let hostile = |entries: &[(&str, tar::EntryType, &str)]| {
        let mut builder = tar::Builder::new(Vec::new());
        for (path, kind, target) in entries {
            let mut header = tar::Header::new_gnu();
            header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
            header.as_gnu_mut().unwrap().linkname[..target.len()].copy_from_slice(target.as_bytes());
            header.set_entry_type(*kind);
            header.set_mode(0o644);
            header.set_size(u64::from(*kind == tar::EntryType::Regular));
            header.set_cksum();
            builder.append(&header, &b"x"[..usize::from(*kind == tar::EntryType::Regular)]).unwrap();
        }
        builder.into_inner().unwrap()
    };
    let outside = store.root().parent().unwrap().join("outside");
    fs::create_dir(&outside).unwrap();
    let up = hostile(&[("../../../x", tar::EntryType::Regular, "")]);
    assert!(matches!(import(&up, None), Err(CacheMountError::Unpack { .. })));
    let link = hostile(&[("l", tar::EntryType::Link, "../../../../outside")]);
    assert!(matches!(import(&link, None), Err(CacheMountError::Unpack { .. })));
    let file = hostile(&[(".", tar::EntryType::Regular, "")]);
    assert!(matches!(import(&file, None), Err(CacheMountError::Unpack { .. })));

    let mut again = Vec::new();
    assert_eq!(mounts.export(&mount, &mut again).unwrap(), left);
    // A symbolic link out of it is kept, and what lies beneath it stays inside.
    let through = hostile(&[
        ("l", tar::EntryType::Symlink, outside.to_str().unwrap()),
        ("l/x", tar::EntryType::Regular, ""),
    ]);
    let _ = import(&through, None);
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    assert_eq!(fs::read_dir(store.inside("tmp")).unwrap().count(), 0);
}

#[test]
fn nothing_travels_while_a_step_has_the_cache() {
    let (_dir, store) = store();
    let mount = furnished(&store);
    let mounts = store.mounts();
    let mut tar = Vec::new();
    mounts.export(&mount, &mut tar).unwrap();
    let held = take(&store, CacheSharing::Shared);
    assert!(matches!(mounts.export(&mount, io::sink()), Err(CacheMountError::InUse { .. })));
    assert!(matches!(mounts.import(&name(), &tar[..], None), Err(CacheMountError::InUse { .. })));
    drop(held);
    let gone = CacheMount { copies: Vec::new(), ..mount };
    assert!(matches!(mounts.export(&gone, io::sink()), Err(CacheMountError::Unknown { .. })));
}
