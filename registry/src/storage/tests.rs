//! Directories as places; the others are tested against real services, end to end.

#![allow(clippy::unwrap_used)]

use oci_spec::image::MediaType;

use super::*;
use crate::client::ClientOptions;
use crate::digest::sha256;

fn directory(path: &std::path::Path, tag: &str) -> Storage {
    let client = Client::new(ClientOptions::default()).unwrap();
    let location = Location::Directory { path: path.to_owned(), tag: tag.into(), digest: None };
    client.storage(&location, None).unwrap()
}

fn blob(bytes: &[u8]) -> (Descriptor, BlobSource) {
    let descriptor = Descriptor::new(MediaType::ImageLayerGzip, bytes.len() as u64, sha256(bytes));
    (descriptor, BlobSource::bytes(bytes.to_vec()))
}

fn document(config: &Descriptor) -> Document {
    let text = serde_json::json!({
        "schemaVersion": 2, "mediaType": MediaType::ImageManifest, "config": config, "layers": [],
    });
    Document::new(text.to_string(), MediaType::ImageManifest)
}

#[tokio::test]
async fn a_directory_gives_back_what_was_put_there() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("not/yet");
    let (one, two) = (directory(&path, "one"), directory(&path, "two"));
    assert_eq!(one.document().await.unwrap(), None);
    let (descriptor, source) = blob(&vec![7; 600_000]);
    assert_eq!(one.put_blob(&descriptor, &source, None).await.unwrap(), PushOutcome::Uploaded);
    assert_eq!(two.put_blob(&descriptor, &source, None).await.unwrap(), PushOutcome::Existed);
    assert_eq!(one.small_blob(&descriptor, 1 << 20).await.unwrap(), vec![7; 600_000]);
    let (first, second) = (document(&descriptor), document(&blob(b"other").0));
    one.put_document(&first).await.unwrap();
    two.put_document(&second).await.unwrap();
    assert_eq!(one.document().await.unwrap(), Some(first.clone()));
    assert_eq!(two.document().await.unwrap(), Some(second.clone()));
    one.put_document(&second).await.unwrap();
    assert_eq!(one.document().await.unwrap(), Some(second));
    let by_digest = Location::Directory { path, tag: String::new(), digest: Some(first.digest.to_string()) };
    let client = Client::new(ClientOptions::default()).unwrap();
    assert_eq!(
        client.storage(&by_digest, None).unwrap().document().await.unwrap(),
        None,
        "it has no name now"
    );
}

#[tokio::test]
async fn damage_in_a_directory_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let storage = directory(dir.path(), "latest");
    let (descriptor, source) = blob(b"bytes");
    storage.put_blob(&descriptor, &source, None).await.unwrap();
    let path = dir.path().join("blobs/sha256").join(descriptor.digest().digest());
    for damage in ["Bytes", "byte", "bytes and more", ""] {
        std::fs::write(&path, damage).unwrap();
        let error = storage.small_blob(&descriptor, 100).await.unwrap_err();
        assert!(matches!(error, StorageError::Verify { .. }), "{damage}: {error}");
    }
    std::fs::remove_file(&path).unwrap();
    assert!(storage.small_blob(&descriptor, 100).await.unwrap_err().is_not_found());
    for index in ["", "{", "[]", r#"{"manifests":[{"digest":"sha256:../../x","size":1,"mediaType":"x"}]}"#] {
        std::fs::write(dir.path().join("index.json"), index).unwrap();
        assert!(matches!(storage.document().await, Err(StorageError::Index { .. })), "{index}");
    }
}

#[tokio::test]
async fn a_source_that_is_not_what_it_should_be_is_not_stored() {
    let dir = tempfile::tempdir().unwrap();
    let storage = directory(dir.path(), "latest");
    let (descriptor, _) = blob(b"bytes");
    assert!(storage.put_blob(&descriptor, &BlobSource::bytes("Bytes"), None).await.is_err());
    let missing = BlobSource::file(dir.path().join("nothing"));
    let error = storage.put_blob(&descriptor, &missing, None).await.unwrap_err();
    assert!(error.is_source(), "{error}");
    let left = std::fs::read_dir(dir.path().join("blobs/sha256")).unwrap().count();
    assert_eq!(left, 0, "nothing that is wrong has a name");
}

#[tokio::test]
async fn exporters_to_one_directory_do_not_lose_each_others_names() {
    let dir = tempfile::tempdir().unwrap();
    let mut exports = tokio::task::JoinSet::new();
    for number in 0..16_u8 {
        let path = dir.path().to_owned();
        exports.spawn(async move {
            let storage = directory(&path, &format!("tag{number}"));
            let (descriptor, source) = blob(&[number; 100]);
            storage.put_blob(&descriptor, &source, None).await.unwrap();
            storage.put_document(&document(&descriptor)).await.unwrap();
        });
    }
    while let Some(ended) = exports.join_next().await {
        ended.unwrap();
    }
    for number in 0..16_u8 {
        let found = directory(dir.path(), &format!("tag{number}")).document().await.unwrap();
        assert_eq!(found, Some(document(&blob(&[number; 100]).0)));
    }
}
