//! Image commands on stores in temporary directories.
#![allow(clippy::unwrap_used, clippy::panic)]

mod archives;
mod names;
mod outputs;
mod transfer;

use std::time::Duration;

use kiln_cache::{Content, DiffId, Entry, EntryKind, Forms};
use kiln_graph::image::{ContainerConfig, History, RootFs};
use kiln_registry::{ClientOptions, RetryPolicy};

use super::*;
use crate::event::Progress;

struct Fixture {
    _dir: tempfile::TempDir,
    images: Images,
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store")).unwrap();
        let retry = RetryPolicy { tries: 2, base: Duration::from_millis(1), cap: Duration::from_millis(2) };
        let client = Client::new(ClientOptions { retry, ..ClientOptions::default() }).unwrap();
        Self { _dir: dir, images: Images::new(store, client) }
    }

    /// A layer of these entries, as a build would have made it.
    fn layer(&self, entries: &[(Entry, &[u8])]) -> DiffId {
        let mut writer = self.images.store.layers().writer(Forms { tree: true, tar: false }).unwrap();
        for (entry, content) in entries {
            let content =
                if let EntryKind::File { .. } = entry.kind { Content::Bytes(content) } else { Content::None };
            writer.add(entry, content).unwrap();
        }
        writer.finish().unwrap().diff_id
    }

    /// An image with these layers and a label that tells it from others.
    fn image(&self, label: &str, layers: &[DiffId]) -> ImageRecord {
        let history = |by: &str, empty_layer| History {
            created: Some("2026-01-01T00:00:00Z".into()),
            created_by: Some(by.into()),
            empty_layer,
            ..History::default()
        };
        let made = layers.iter().map(|_| history("COPY . .", false));
        let config = ImageConfig {
            architecture: "amd64".into(),
            os: "linux".into(),
            created: Some("2026-01-01T00:00:00Z".into()),
            config: ContainerConfig {
                labels: [("l".into(), label.into())].into(),
                ..ContainerConfig::default()
            },
            rootfs: RootFs {
                diff_ids: layers.iter().map(ToString::to_string).collect(),
                ..RootFs::default()
            },
            history: made.chain([history("LABEL l", true)]).collect(),
            ..ImageConfig::default()
        };
        let id = self.images.store.blobs().put(&serde_json::to_vec(&config).unwrap()).unwrap();
        let record = ImageRecord {
            id,
            manifest: None,
            layers: layers.to_vec(),
            layer_blobs: Vec::new(),
            origin: None,
            layer_origins: std::collections::BTreeMap::new(),
            platform: "linux/amd64".into(),
            created: config.created,
            size: 0,
        };
        self.images.store.images().add(&record).unwrap();
        record
    }
}

fn file(path: &str, content: &[u8]) -> (Entry, Vec<u8>) {
    let entry = Entry::new(path, EntryKind::File { size: content.len() as u64 }, 0o640);
    (Entry { uid: 7, gid: 8, mtime: 1_000_000_000, ..entry }, content.to_vec())
}

/// A little of everything: directory, file, hard link, symbolic link, FIFO.
fn entries() -> Vec<(Entry, Vec<u8>)> {
    vec![
        (Entry::new("dir", EntryKind::Directory { opaque: false }, 0o2755), Vec::new()),
        file("dir/a", b"content of a"),
        (
            Entry {
                uid: 7,
                gid: 8,
                mtime: 1_000_000_000,
                ..Entry::new("dir/b", EntryKind::Hardlink { target: b"dir/a".to_vec() }, 0o640)
            },
            Vec::new(),
        ),
        (Entry::new("fifo", EntryKind::Fifo, 0o600), Vec::new()),
        (Entry::new("link", EntryKind::Symlink { target: b"/etc/passwd".to_vec() }, 0o777), Vec::new()),
    ]
}

fn sample(fixture: &Fixture) -> ImageRecord {
    let entries = entries();
    let borrowed: Vec<(Entry, &[u8])> =
        entries.iter().map(|(entry, content)| (entry.clone(), content.as_slice())).collect();
    let bottom = fixture.layer(&borrowed);
    let (entry, content) = file("top", b"top layer");
    let top = fixture.layer(&[(entry, &content)]);
    fixture.image("sample", &[bottom, top])
}

fn name(text: &str) -> Reference {
    Reference::parse(text).unwrap()
}

fn progress() -> Progress {
    Progress::new(tokio::sync::mpsc::unbounded_channel().0)
}
