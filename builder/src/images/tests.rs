//! Image commands on stores in temporary directories; no registry is asked.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use kiln_cache::{Content, DiffId, Entry, EntryKind, Forms, PruneOptions};
use kiln_graph::image::{ContainerConfig, History, RootFs};
use kiln_registry::ClientOptions;

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
        let client = Client::new(ClientOptions::default()).unwrap();
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

#[test]
fn an_image_is_found_by_every_way_to_say_it() {
    let fixture = Fixture::new();
    let images = &fixture.images;
    let record = fixture.image("x", &[]);
    images.name(&record, &name("app:1")).unwrap();
    let hex = record.id.digest().to_owned();
    for text in ["app:1", "docker.io/library/app:1", &hex, &hex[..12], &format!("sha256:{}", &hex[..12])] {
        assert_eq!(images.find(text).unwrap().id, record.id, "{text}");
    }
    for text in ["app", "app:2", "user/app:1", "0000000000000"] {
        assert!(matches!(images.find(text), Err(ImageError::NotFound { .. })), "{text}");
    }
    assert!(matches!(images.find("App"), Err(ImageError::Reference(_))));
}

#[test]
fn a_digest_finds_what_came_from_there() {
    let fixture = Fixture::new();
    let digest = format!("sha256:{}", "a".repeat(64));
    let origin = Some(format!("docker.io/library/app:1@{digest}"));
    let made = fixture.image("x", &[]);
    let manifest =
        kiln_registry::Descriptor::new(kiln_registry::MediaType::ImageManifest, 1, made.id.clone());
    let record = ImageRecord { origin, manifest: Some(manifest), ..made };
    fixture.images.store.images().add(&record).unwrap();
    assert_eq!(fixture.images.find(&format!("app@{digest}")).unwrap().id, record.id);
    assert!(fixture.images.find(&format!("other@{digest}")).is_err());
    let listed = fixture.images.list().unwrap();
    assert_eq!(listed[0].repo_digests(), [format!("app@{digest}")]);
    assert_eq!(listed[0].digest_of(Some(&name("app:9"))).unwrap().to_string(), digest);
    assert_eq!(listed[0].digest_of(Some(&name("b"))), None);
}

#[test]
fn tag_moves_a_name_and_keeps_the_others() {
    let fixture = Fixture::new();
    let (one, two) = (fixture.image("1", &[]), fixture.image("2", &[]));
    fixture.images.name(&one, &name("a")).unwrap();
    fixture.images.name(&two, &name("b")).unwrap();
    fixture.images.tag("b", &name("a:latest")).unwrap();
    assert_eq!(fixture.images.find("a").unwrap().id, two.id);
    let pinned = name("a").with_digest(one.id.clone());
    assert!(matches!(fixture.images.tag("b", &pinned), Err(ImageError::DigestName { .. })));
    let inspected = fixture.images.inspect("b").unwrap();
    assert_eq!(inspected.listed.names, [name("a"), name("b")]);
    assert_eq!(inspected.config.config.labels["l"], "2");
}

#[test]
fn removing_the_last_name_removes_the_image() {
    let fixture = Fixture::new();
    let record = fixture.image("x", &[]);
    for text in ["a", "b"] {
        fixture.images.name(&record, &name(text)).unwrap();
    }
    assert_eq!(fixture.images.remove("a", false).unwrap(), [Removed::Untagged(name("a"))]);
    assert!(fixture.images.find("b").is_ok());
    let expected = [Removed::Untagged(name("b")), Removed::Deleted(record.id.clone())];
    assert_eq!(fixture.images.remove("b", false).unwrap(), expected);
    assert!(matches!(fixture.images.remove("b", false), Err(ImageError::NotFound { .. })));
}

#[test]
fn an_id_with_several_names_goes_by_force() {
    let fixture = Fixture::new();
    let record = fixture.image("x", &[]);
    for text in ["a", "b"] {
        fixture.images.name(&record, &name(text)).unwrap();
    }
    let id = &record.id.digest()[..12];
    let error = fixture.images.remove(id, false).unwrap_err();
    assert!(matches!(&error, ImageError::SeveralNames { names, .. } if names == &["a:latest", "b:latest"]));
    assert!(error.hint().unwrap().contains("--force"));
    assert_eq!(fixture.images.remove(id, true).unwrap().len(), 3);
    assert!(fixture.images.list().unwrap().is_empty());
}

#[test]
fn the_history_is_newest_first_and_knows_sizes() {
    let fixture = Fixture::new();
    let record = sample(&fixture);
    let lines = fixture.images.history(&record).unwrap();
    assert_eq!(
        lines.iter().map(|line| line.created_by.as_str()).collect::<Vec<_>>(),
        ["LABEL l", "COPY . .", "COPY . ."]
    );
    assert_eq!(lines[0].size, 0);
    assert!(lines[1].size > 0 && lines[2].size > lines[1].size);
    let listed = &fixture.images.list().unwrap()[0];
    assert_eq!(listed.size, lines[1].size + lines[2].size);
}

#[tokio::test(flavor = "multi_thread")]
async fn archives_bring_an_image_to_another_store_unchanged() {
    for format in [ArchiveFormat::Docker, ArchiveFormat::Oci] {
        let (here, there) = (Fixture::new(), Fixture::new());
        let record = sample(&here);
        let selected = vec![(record.clone(), vec![name("app:1"), name("localhost:5000/app:2")])];
        let bytes = here.images.save(selected, format, Vec::new(), &progress()).await.unwrap();
        let loaded = there.images.load(LoadSource::Stream(&mut bytes.as_slice())).unwrap();
        assert_eq!(loaded.len(), 1, "{format:?}");
        assert_eq!(loaded[0].record.id, record.id);
        assert_eq!(loaded[0].record.layers, record.layers);
        let found = there.images.find("localhost:5000/app:2").unwrap();
        assert_eq!(found, there.images.find("app:1").unwrap());
        let again = there.images.save(
            vec![(found, vec![name("app:1"), name("localhost:5000/app:2")])],
            format,
            Vec::new(),
            &progress(),
        );
        assert!(again.await.unwrap() == bytes, "{format:?}: the same image gives the same archive");
        assert_tree(&there, "app:1").await;
    }
}

#[test]
fn an_archive_that_ends_early_names_nothing() {
    let (here, there) = (Fixture::new(), Fixture::new());
    let record = sample(&here);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let save =
        here.images.save(vec![(record, vec![name("app")])], ArchiveFormat::Oci, Vec::new(), &progress());
    let bytes = runtime.block_on(save).unwrap();
    for length in [0, 512, bytes.len() / 2] {
        assert!(there.images.load(LoadSource::Stream(&mut &bytes[..length])).is_err(), "{length} bytes");
    }
    assert!(there.images.list().unwrap().is_empty());
}

/// Exports an image and compares it with [`entries`].
async fn assert_tree(fixture: &Fixture, image: &str) {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("deep/out");
    let record = fixture.images.find(image).unwrap();
    fixture.images.export_directory(&record, &out, &progress()).await.unwrap();
    assert_eq!(fs::read(out.join("dir/a")).unwrap(), b"content of a");
    assert_eq!(fs::read(out.join("top")).unwrap(), b"top layer");
    let (a, b) = (out.join("dir/a").metadata().unwrap(), out.join("dir/b").metadata().unwrap());
    assert_eq!((a.ino(), a.mode() & 0o7777, a.mtime()), (b.ino(), 0o640, 1_000_000_000));
    assert_eq!(out.join("dir").metadata().unwrap().permissions().mode() & 0o7777, 0o2755);
    assert_eq!(fs::read_link(out.join("link")).unwrap(), Path::new("/etc/passwd"));
    assert_eq!(out.join("fifo").symlink_metadata().unwrap().mode() & 0o170_000, 0o010_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exported_directory_keeps_what_it_held_and_leads_nowhere() {
    let fixture = Fixture::new();
    let record = sample(&fixture);
    let dir = tempfile::tempdir().unwrap();
    let (out, elsewhere) = (dir.path().join("out"), dir.path().join("elsewhere"));
    fs::create_dir_all(&out).unwrap();
    fs::create_dir_all(&elsewhere).unwrap();
    fs::write(out.join("mine"), "mine").unwrap();
    fs::write(dir.path().join("victim"), "untouched").unwrap();
    std::os::unix::fs::symlink(&elsewhere, out.join("dir")).unwrap();
    std::os::unix::fs::symlink(dir.path().join("victim"), out.join("top")).unwrap();
    fixture.images.export_directory(&record, &out, &progress()).await.unwrap();
    assert_eq!(fs::read_to_string(out.join("mine")).unwrap(), "mine");
    assert_eq!(fs::read_to_string(dir.path().join("victim")).unwrap(), "untouched");
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
    assert!(out.join("dir").symlink_metadata().unwrap().is_dir());
    assert_eq!(fs::read_to_string(out.join("top")).unwrap(), "top layer");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tar_of_the_files_keeps_owners_and_links() {
    let fixture = Fixture::new();
    let record = sample(&fixture);
    let bytes = fixture.images.export_tar(&record, Vec::new(), &progress()).await.unwrap();
    let mut archive = ::tar::Archive::new(bytes.as_slice());
    let entries = archive.entries().unwrap().map(|entry| {
        let entry = entry.unwrap();
        let link = entry.link_name().unwrap().map(|link| link.display().to_string());
        (entry.path().unwrap().display().to_string(), entry.header().uid().unwrap(), link)
    });
    let entries: Vec<_> = entries.collect();
    let expected = [
        ("dir", 0, None),
        ("dir/a", 7, None),
        ("dir/b", 7, Some("dir/a")),
        ("fifo", 0, None),
        ("link", 0, Some("/etc/passwd")),
        ("top", 7, None),
    ];
    assert_eq!(entries, expected.map(|(path, uid, link)| (path.to_owned(), uid, link.map(str::to_owned))));
}

#[test]
fn prune_keeps_what_has_a_name() {
    let fixture = Fixture::new();
    let (kept, lost) = (sample(&fixture), fixture.image("lost", &[]));
    fixture.images.name(&kept, &name("kept")).unwrap();
    let report = fixture.images.prune(PruneOptions { all: true }).unwrap();
    assert_eq!(report.images, [lost.id]);
    assert_eq!(fixture.images.list().unwrap().len(), 1);
    assert!(fixture.images.history(&kept).is_ok());
}
