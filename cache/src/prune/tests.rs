//! Tests of mark and sweep.
#![allow(clippy::unwrap_used)]

use jiff::Timestamp;
use oci_spec::image::{Descriptor, MediaType};

use super::*;
use crate::layers::{Compression, Content, Entry, EntryKind, Forms};
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
    let before = store.usage().unwrap();
    assert_eq!((before.image_count, before.record_count, before.layer_count), (2, 3, 4));

    let report = store.prune(PruneOptions { all: false }).unwrap();
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

    let report = store.prune(PruneOptions { all: true }).unwrap();
    assert_eq!((report.layers, report.records), (1, 2));
    assert!(has(&store, &tagged) && !has(&store, &cached));
    assert_eq!(store.images().get("name").unwrap(), Some(kept));
    let after = store.usage().unwrap();
    assert_eq!((after.layer_count, after.record_count, after.records), (1, 0, 0));
    assert!(after.total() < before.total());
}

#[test]
fn nothing_goes_while_somebody_builds() {
    let (_dir, store) = store();
    let loose = layer(&store, "loose");
    let other = Store::open(store.root()).unwrap();
    let using = other.use_lock().unwrap();
    assert_eq!(store.try_prune(PruneOptions { all: true }).unwrap(), None);
    assert_eq!(store.remove_unreferenced().unwrap(), None);
    assert!(has(&store, &loose));
    drop(using);
    assert_eq!(store.remove_unreferenced().unwrap().unwrap().layers, 1);
    assert!(!has(&store, &loose));
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
    let report = store.remove_unreferenced().unwrap().unwrap();
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
    store.prune(PruneOptions::default()).unwrap();
    assert!(!store.inside("tmp/ffffffff-1-1").exists());
    assert!(!store.lock_path(&Key([5; 32])).exists() && store.lock_path(&Key([6; 32])).exists());
    drop(held);
    assert!(store.try_lock(&Key([5; 32])).unwrap().is_some());
}

#[test]
fn a_pruned_layer_can_be_made_again() {
    let (_dir, store) = store();
    let first = layer(&store, "same");
    store.prune(PruneOptions::default()).unwrap();
    assert!(!has(&store, &first) && !store.layers().dir(&first).exists());
    assert_eq!(layer(&store, "same"), first);
    assert!(has(&store, &first));
}
