//! Tests of making room: what goes, what stays, for how long, and what is told of it.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use oci_spec::image::{Descriptor, MediaType};

use super::*;
use crate::digest::DiffId;
use crate::images::ImageRecord;
use crate::keys::Key;
use crate::layers::{Compression, Content, Entry, EntryKind, Forms};
use crate::mounts::{CacheName, CacheSharing};
use crate::records::Record;
use crate::testing::store;

fn layer(store: &Store, name: &str) -> DiffId {
    let mut writer = store.layers().writer(Forms { tree: true, tar: false }).unwrap();
    let entry = Entry::new(name, EntryKind::File { size: name.len() as u64 }, 0o644);
    writer.add(&entry, Content::Bytes(name.as_bytes())).unwrap();
    writer.finish().unwrap().diff_id
}

fn image(store: &Store, content: &str, layers: &[DiffId]) -> ImageRecord {
    let id = store.blobs().put(content.as_bytes()).unwrap();
    let manifest = store.blobs().put(format!("manifest of {content}").as_bytes()).unwrap();
    ImageRecord {
        id,
        manifest: Some(Descriptor::new(MediaType::ImageManifest, 1, manifest)),
        layers: layers.to_vec(),
        layer_blobs: Vec::new(),
        origin: None,
        layer_origins: std::collections::BTreeMap::new(),
        platform: "linux/amd64".into(),
        created: None,
        size: 0,
    }
}

fn record(store: &Store, key: u8, layer: Option<&DiffId>) -> Record {
    let record = Record {
        key: Key([key; 32]),
        slot: Key([key; 32]),
        parts: Vec::new(),
        notes: Vec::new(),
        layer: layer.cloned(),
        created: Timestamp::UNIX_EPOCH,
        origin: None,
        milliseconds: 0,
    };
    store.records().put(&record).unwrap();
    record
}

fn has(store: &Store, layer: &DiffId) -> bool {
    store.layers().info(layer).unwrap().is_some()
}

fn everything() -> PruneOptions {
    PruneOptions { all: true, ..PruneOptions::default() }
}

/// A layer with a file of some size, whose record was used so many hours ago.
fn step(store: &Store, key: u8, bytes: usize, hours: u64) -> DiffId {
    let mut writer = store.layers().writer(Forms { tree: true, tar: false }).unwrap();
    let entry = Entry::new(format!("file-{key}"), EntryKind::File { size: bytes as u64 }, 0o644);
    writer.add(&entry, Content::Bytes(&vec![key; bytes])).unwrap();
    let layer = writer.finish().unwrap().diff_id;
    record(store, key, Some(&layer));
    let name = Key([key; 32]).to_string();
    set_time(&store.inside("records").join(&name[..2]).join(&name), hours);
    layer
}

fn set_time(path: &Path, hours: u64) {
    let at = SystemTime::now() - Duration::from_secs(3600 * hours);
    fs::File::options().write(true).open(path).unwrap().set_modified(at).unwrap();
}

fn total(store: &Store) -> u64 {
    store.inventory().unwrap().iter().map(|item| item.bytes).sum()
}

fn du(store: &Store) -> u64 {
    let du =
        std::process::Command::new("du").arg("-s").arg("--block-size=1").arg(store.root()).output().unwrap();
    String::from_utf8(du.stdout).unwrap().split('\t').next().unwrap().parse().unwrap()
}

#[test]
fn what_names_and_records_lead_to_stays() {
    let (_dir, store) = store();
    let (tagged, cached, loose, untagged) =
        (layer(&store, "tagged"), layer(&store, "cached"), layer(&store, "loose"), layer(&store, "untagged"));
    let compressed = store.layers().compressed(&tagged, Compression::Gzip).unwrap();
    let lost = store.layers().compressed(&loose, Compression::Gzip).unwrap();
    let kept = image(&store, "kept", std::slice::from_ref(&tagged));
    store.images().set("name", &kept).unwrap();
    let dangling = image(&store, "dangling", &[tagged.clone(), untagged.clone()]);
    store.images().add(&dangling).unwrap();
    record(&store, 1, Some(&cached));
    record(&store, 2, None);
    record(&store, 3, Some(&DiffId::from_hash([0; 32])));
    let before = total(&store);

    let report = store.prune(&PruneOptions::default()).unwrap();
    assert_eq!((report.images.as_slice(), report.layers, report.records), (&[dangling.id.clone()][..], 2, 1));
    assert!(report.bytes > 0);
    assert!(has(&store, &tagged) && has(&store, &cached) && !has(&store, &loose) && !has(&store, &untagged));
    let blobs = store.blobs();
    for digest in [&kept.id, kept.manifest.as_ref().unwrap().digest(), compressed.digest()] {
        assert!(blobs.contains(digest).unwrap());
    }
    for digest in [&dangling.id, dangling.manifest.as_ref().unwrap().digest(), lost.digest()] {
        assert!(!blobs.contains(digest).unwrap());
    }
    assert_eq!(store.images().get("name").unwrap(), Some(kept.clone()));
    assert!(store.records().get(&Key([1; 32])).unwrap().is_some());

    let report = store.prune(&everything()).unwrap();
    assert_eq!((report.layers, report.records), (1, 2));
    assert!(has(&store, &tagged) && !has(&store, &cached));
    assert_eq!(store.images().get("name").unwrap(), Some(kept));
    assert!(total(&store) < before);
}

#[test]
fn what_a_running_process_looked_up_stays_until_it_is_done() {
    let (_dir, store) = store();
    let (used, loose) = (layer(&store, "used"), layer(&store, "loose"));
    let (blob, lost) = (store.blobs().put(b"blob").unwrap(), store.blobs().put(b"lost").unwrap());
    let packed = store.layers().compressed(&used, Compression::Gzip).unwrap();
    let pulled = image(&store, "pulled", &[]);
    store.images().set_pulled("base", &pulled).unwrap();
    record(&store, 1, Some(&used));
    record(&store, 2, None);

    let other = Store::open(store.root()).unwrap();
    let using = other.use_lock().unwrap();
    assert!(has(&other, &used) && other.blobs().contains(&blob).unwrap());
    assert_eq!(other.images().get("base").unwrap().as_ref(), Some(&pulled));
    let report = store.prune(&everything()).unwrap();
    assert_eq!((report.layers, report.records, report.images.len()), (1, 1, 0));
    assert!(has(&store, &used) && !has(&store, &loose));
    assert!(store.blobs().contains(&blob).unwrap() && store.blobs().contains(packed.digest()).unwrap());
    assert!(!store.blobs().contains(&lost).unwrap());
    assert!(store.blobs().contains(&pulled.id).unwrap(), "a base with all its parts");
    assert!(store.records().get(&Key([1; 32])).unwrap().is_some(), "what says that its layer is there");
    assert_eq!(store.remove_unreferenced().unwrap(), PruneReport::default());

    drop(using);
    let report = store.prune(&everything()).unwrap();
    assert_eq!((report.layers, report.records, report.images), (1, 1, vec![pulled.id]));
    assert!(!has(&store, &used) && !store.blobs().contains(&blob).unwrap());
}

#[test]
fn a_base_that_only_builds_asked_for_is_cache() {
    let (_dir, store) = store();
    let base = image(&store, "base", &[layer(&store, "base")]);
    store.images().set_pulled("base", &base).unwrap();
    assert_eq!(store.prune(&PruneOptions::default()).unwrap().images, []);
    store.images().set("base", &base).unwrap();
    store.images().set_pulled("base", &base).unwrap();
    assert_eq!(store.prune(&everything()).unwrap().images, [], "the user asked for it once");
    store.images().untag("base").unwrap();
    store.images().set_pulled("base", &base).unwrap();
    assert_eq!(store.prune(&everything()).unwrap().images, [base.id]);
    assert_eq!(store.images().list().unwrap(), []);
    assert!(!has(&store, &base.layers[0]));
}

#[test]
fn the_least_recently_used_goes_until_the_store_fits() {
    let (_dir, store) = store();
    let layers: Vec<DiffId> = [(1, 30), (2, 10), (3, 20)]
        .into_iter()
        .map(|(key, hours)| step(&store, key, 1_000_000, hours))
        .collect();
    let keep = |bytes| PruneOptions { keep: Some(bytes), ..PruneOptions::default() };
    // The first look leaves a file of its own behind.
    total(&store);
    let full = total(&store);
    assert_eq!(store.prune(&keep(full)).unwrap(), PruneReport::default());
    let report = store.prune(&keep(full - 1)).unwrap();
    assert_eq!((report.layers, report.records), (1, 1));
    assert_eq!(
        [has(&store, &layers[0]), has(&store, &layers[1]), has(&store, &layers[2])],
        [false, true, true]
    );
    assert!(store.records().evicted(&Key([1; 32])).unwrap().is_some());
    assert_eq!(store.records().evicted(&Key([2; 32])).unwrap(), None);

    // A use makes the difference.
    let using = store.use_lock().unwrap();
    store.records().get(&Key([3; 32])).unwrap();
    drop(using);
    store.prune(&keep(1_500_000)).unwrap();
    assert_eq!([has(&store, &layers[1]), has(&store, &layers[2])], [false, true]);
    store.prune(&keep(0)).unwrap();
    assert!(!has(&store, &layers[2]));
}

#[test]
fn sizes_add_up_and_what_prune_says_is_gone_is_gone() {
    let (_dir, store) = store();
    let tagged = step(&store, 1, 700_000, 9);
    store.images().set("app", &image(&store, "app", std::slice::from_ref(&tagged))).unwrap();
    for key in 2..6 {
        let layer = step(&store, key, usize::from(key) * 200_000, key.into());
        store.layers().compressed(&layer, Compression::Gzip).unwrap();
    }
    store.records().set_memo(&Key([7; 32]), &[0; 5000]).unwrap();
    let mount = store.mounts().take(&CacheName::new("c"), CacheSharing::Shared, || ()).unwrap();
    fs::write(mount.path().join("file"), vec![1; 900_000]).unwrap();
    drop(mount);
    let close = |a: u64, b: u64| a.abs_diff(b) * 50 <= a.max(b);
    let (before, measured) = (total(&store), du(&store));
    assert!(close(before, measured), "{before} and {measured}");

    let items = store.inventory().unwrap();
    let app = items.iter().find(|item| item.description == "app").unwrap();
    assert!(app.named && !app.reclaimable() && app.kind == ItemKind::Image);
    let layer = items.iter().find(|item| item.id == tagged.hex()).unwrap();
    assert!(layer.named && layer.shared && layer.bytes > 700_000);
    assert_eq!(items.iter().filter(|item| item.reclaimable() && item.kind == ItemKind::Regular).count(), 4);

    let only = Selection { kinds: vec![ItemKind::CacheMount], ..Selection::default() };
    let report = store.prune(&PruneOptions { only, ..PruneOptions::default() }).unwrap();
    assert_eq!((report.mounts, report.records), (1, 0));
    let after = du(&store);
    assert!(close(report.bytes, measured - after), "{} and {}", report.bytes, measured - after);
    let unused_since = Some(Timestamp::now() - jiff::SignedDuration::from_hours(3));
    let only = Selection { unused_since, ..Selection::default() };
    let report = store.prune(&PruneOptions { only, ..PruneOptions::default() }).unwrap();
    assert_eq!((report.records, report.layers), (4, 3), "the layer of 9 hours ago has a name");
    assert!(close(report.bytes, after - du(&store)));
    let only = Selection { ids: vec![tagged.hex()[..9].to_owned()], ..Selection::default() };
    assert_eq!(store.prune(&PruneOptions { only, ..PruneOptions::default() }).unwrap().layers, 0);
    assert!(has(&store, &tagged));
    let report = store.prune(&everything()).unwrap();
    assert!(has(&store, &tagged) && report.records == 1 && report.layers == 1, "{report:?}");
    assert!(close(total(&store), du(&store)));
}

#[test]
fn a_cache_mount_that_is_in_use_stays() {
    let (_dir, store) = store();
    let held = store.mounts().take(&CacheName::new("held"), CacheSharing::Locked, || ()).unwrap();
    drop(store.mounts().take(&CacheName::new("free"), CacheSharing::Locked, || ()).unwrap());
    assert_eq!(store.prune(&everything()).unwrap().mounts, 1);
    assert!(held.path().is_dir());
}

#[test]
fn a_store_with_a_limit_keeps_it_while_it_is_written_to() {
    let (_dir, store) = store();
    let kept = step(&store, 100, 1_000_000, 99);
    store.images().set("kept", &image(&store, "kept", std::slice::from_ref(&kept))).unwrap();
    let limit = total(&store) + 20_000_000;
    let writing = Store::open(store.root()).unwrap();
    writing.keep_within(limit);
    let mut last = None;
    for key in 0..60 {
        // Each its own use of the store, as builds one after the other.
        let using = writing.use_lock().unwrap();
        last = Some(step(&writing, key, 1_000_000, 0));
        drop(using);
        writing.settle().unwrap();
        assert!(total(&store) <= limit, "after step {key}");
    }
    assert!(has(&store, &kept) && has(&store, &last.unwrap()));
    assert!(store.records().evicted(&Key([0; 32])).unwrap().is_some());
}

#[test]
fn a_build_keeps_what_it_needs_beyond_any_limit() {
    let (_dir, store) = store();
    let old = step(&store, 200, 3_000_000, 5);
    store.keep_within(1);
    let using = store.use_lock().unwrap();
    let layers: Vec<DiffId> = (0..20).map(|key| step(&store, key, 1_000_000, 1)).collect();
    store.settle().unwrap();
    assert!(layers.iter().all(|layer| has(&store, layer)));
    let other = Store::open(store.root()).unwrap();
    assert!(!has(&other, &old));
    drop(using);
    store.wrote(1);
    store.settle().unwrap();
    assert!(!layers.iter().any(|layer| has(&store, layer)));
}

#[test]
fn a_clock_that_jumps_changes_the_order_and_nothing_else() {
    let (_dir, store) = store();
    let future = step(&store, 1, 1_000_000, 0);
    let name = Key([1; 32]).to_string();
    let file =
        fs::File::options().write(true).open(store.inside("records").join(&name[..2]).join(&name)).unwrap();
    file.set_modified(SystemTime::now() + Duration::from_secs(1 << 30)).unwrap();
    let ancient = step(&store, 2, 1_000_000, 24 * 365 * 60);
    let limit = total(&store) - 1;
    let only = Selection { unused_since: Some(Timestamp::now()), ..Selection::default() };
    store.prune(&PruneOptions { keep: Some(limit), only, ..PruneOptions::default() }).unwrap();
    assert!(has(&store, &future) && !has(&store, &ancient));
    assert!(store.records().get(&Key([1; 32])).unwrap().is_some());
    store.prune(&everything()).unwrap();
    assert!(!has(&store, &future));
}

#[test]
fn damaged_records_and_infos_go_and_stop_nothing() {
    let (_dir, store) = store();
    let (one, two) = (step(&store, 1, 100_000, 0), step(&store, 2, 100_000, 0));
    let name = Key([1; 32]).to_string();
    fs::write(store.inside("records").join(&name[..2]).join(&name), "{").unwrap();
    fs::write(store.layers().dir(&two).join("info"), [0; 9]).unwrap();
    fs::write(store.inside("leases/rubbish"), [0xff; 99]).unwrap();
    fs::write(store.inside("images/names").join(&name), "rubbish").unwrap();
    fs::write(store.inside("sizes"), "rubbish").unwrap();
    fs::write(store.inside("evicted"), "rubbish").unwrap();
    let report = store.prune(&PruneOptions::default()).unwrap();
    assert_eq!(report.layers, 2);
    assert!(!has(&store, &one) && !store.layers().dir(&two).exists());
}

#[test]
fn removing_an_image_leaves_what_others_need() {
    let (_dir, store) = store();
    let (shared, own) = (layer(&store, "shared"), layer(&store, "own"));
    let gone = image(&store, "gone", &[shared.clone(), own.clone()]);
    store.images().set("gone", &gone).unwrap();
    // An image without a name is not removed by this.
    store.images().add(&image(&store, "stays", std::slice::from_ref(&shared))).unwrap();
    assert!(store.images().remove(&gone.id).unwrap());
    let report = store.remove_unreferenced().unwrap();
    assert_eq!((report.layers, report.blobs), (1, 2));
    assert!(has(&store, &shared) && !has(&store, &own));
    assert_eq!(store.images().list().unwrap().len(), 1);
}

#[test]
fn garbage_and_locks_go_too() {
    let (_dir, store) = store();
    fs::create_dir(store.inside("tmp/ffffffff-1-1")).unwrap();
    drop(store.lock(&Key([5; 32])).unwrap());
    let held = store.lock(&Key([6; 32])).unwrap();
    store.prune(&PruneOptions::default()).unwrap();
    assert!(!store.inside("tmp/ffffffff-1-1").exists());
    assert!(!store.lock_path(&Key([5; 32])).exists() && store.lock_path(&Key([6; 32])).exists());
    drop(held);
    assert!(store.try_lock(&Key([5; 32])).unwrap().is_some());
}

#[test]
fn a_pruned_layer_can_be_made_again() {
    let (_dir, store) = store();
    let first = layer(&store, "same");
    store.prune(&PruneOptions::default()).unwrap();
    assert!(!has(&store, &first) && !store.layers().dir(&first).exists());
    assert_eq!(layer(&store, "same"), first);
    assert!(has(&store, &first));
}
