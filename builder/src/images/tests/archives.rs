//! Save, load, and the exports of files.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use super::*;

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
        let names = vec![name("app:1"), name("localhost:5000/app:2")];
        let again = there.images.save(vec![(found, names)], format, Vec::new(), &progress()).await.unwrap();
        assert!(again == bytes, "{format:?}: the same image gives the same archive");
        assert_tree(&there, "app:1").await;
    }
}

#[test]
fn an_archive_that_ends_early_names_nothing() {
    let (here, there) = (Fixture::new(), Fixture::new());
    let record = sample(&here);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let progress = progress();
    let save = here.images.save(vec![(record, vec![name("app")])], ArchiveFormat::Oci, Vec::new(), &progress);
    let bytes = runtime.block_on(save).unwrap();
    for length in [0, 512, bytes.len() / 2] {
        assert!(there.images.load(LoadSource::Stream(&mut &bytes[..length])).is_err(), "{length} bytes");
    }
    assert!(there.images.list().unwrap().is_empty());
}

/// Exports an image and compares it with [`entries`].
pub(super) async fn assert_tree(fixture: &Fixture, image: &str) {
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
