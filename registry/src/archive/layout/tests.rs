//! Layouts written blob by blob.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::io::Read as _;
use std::path::PathBuf;

use oci_spec::image::MediaType;
use serde_json::{Value, json};

use super::*;
use crate::digest::sha256;

struct Layout {
    dir: tempfile::TempDir,
}

impl Layout {
    fn new(entries: &[Value]) -> Self {
        let layout = Self { dir: tempfile::tempdir().unwrap() };
        fs::create_dir_all(layout.blobs()).unwrap();
        fs::write(layout.dir.path().join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        layout.index(entries);
        layout
    }

    fn blobs(&self) -> PathBuf {
        self.dir.path().join("blobs/sha256")
    }

    fn index(&self, entries: &[Value]) {
        let index = json!({"schemaVersion": 2, "manifests": entries});
        fs::write(self.dir.path().join("index.json"), index.to_string()).unwrap();
    }

    /// Stores a blob and gives its descriptor.
    fn blob(&self, bytes: &[u8], media_type: &MediaType) -> Value {
        let digest = sha256(bytes);
        fs::write(self.blobs().join(digest.digest()), bytes).unwrap();
        json!({"mediaType": media_type.to_string(), "digest": digest.to_string(), "size": bytes.len()})
    }

    /// An image with one layer, and its manifest's descriptor.
    fn image(&self, architecture: &str) -> Value {
        let layer = self.blob(architecture.as_bytes(), &MediaType::ImageLayer);
        let config = json!({"os": "linux", "architecture": architecture,
            "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]}});
        let config = self.blob(config.to_string().as_bytes(), &MediaType::ImageConfig);
        let media_type = MediaType::ImageManifest;
        let manifest = json!({"schemaVersion": 2, "mediaType": media_type.to_string(), "config": config, "layers": [layer]});
        self.blob(manifest.to_string().as_bytes(), &media_type)
    }

    fn platforms(&self, architectures: &[&str]) -> Value {
        let entry = |architecture: &&str| with_platform(self.image(architecture), architecture);
        let entries: Vec<Value> = architectures.iter().map(entry).collect();
        let media_type = MediaType::ImageIndex;
        let index = json!({"schemaVersion": 2, "mediaType": media_type.to_string(), "manifests": entries});
        self.blob(index.to_string().as_bytes(), &media_type)
    }

    fn open(
        &self,
        tag: Option<&str>,
        digest: Option<&Digest>,
        platform: &str,
    ) -> Result<String, ArchiveError> {
        let platform = Platform::parse(platform).unwrap();
        let archive = open_layout(self.dir.path(), &Wanted { tag, digest, platform: &platform })?;
        let [image] = &archive.images[..] else { panic!("{:?}", archive.images) };
        let mut content = String::new();
        archive.open_layer(&image.layers[0]).unwrap().read_to_string(&mut content).unwrap();
        Ok(content)
    }
}

fn with_platform(mut entry: Value, architecture: &str) -> Value {
    entry["platform"] = json!({"os": "linux", "architecture": architecture});
    entry
}

fn named(mut entry: Value, key: &str, name: &str) -> Value {
    entry["annotations"] = json!({ key: name });
    entry
}

fn digest_of(entry: &Value) -> Digest {
    entry["digest"].as_str().unwrap().parse().unwrap()
}

#[test]
fn a_tag_or_a_digest_leads_to_the_image() {
    let layout = Layout::new(&[]);
    let entries = [
        named(layout.image("amd64"), oci::REF_NAME, "one"),
        named(layout.image("arm64"), oci::REF_NAME, "docker.io/library/app:two"),
        named(layout.image("s390x"), oci::IMAGE_NAME, "docker.io/library/app:latest"),
    ];
    layout.index(&entries);
    let open = |tag| layout.open(tag, None, "linux/amd64");
    assert_eq!(open(Some("one")).unwrap(), "amd64");
    assert_eq!(open(Some("two")).unwrap(), "arm64", "an image that stands alone is taken whatever it is for");
    assert_eq!(open(None).unwrap(), "s390x", "the latest");
    assert_eq!(open(Some("docker.io/library/app:two")).unwrap(), "arm64");
    let digest = digest_of(&entries[0]);
    assert_eq!(
        layout.open(Some("two"), Some(&digest), "linux/amd64").unwrap(),
        "amd64",
        "the digest decides"
    );
    let message = open(Some("three")).unwrap_err().to_string();
    assert!(message.contains("has no image `three`; it has one, docker.io/library/app:two"), "{message}");
    let unknown = sha256(b"unknown");
    assert!(matches!(layout.open(None, Some(&unknown), "linux/amd64"), Err(ArchiveError::Missing { .. })));
}

#[test]
fn an_only_image_needs_no_name() {
    let layout = Layout::new(&[]);
    let image = layout.image("amd64");
    layout.index(std::slice::from_ref(&image));
    assert_eq!(layout.open(None, None, "linux/amd64").unwrap(), "amd64");
    assert_eq!(layout.open(Some("any"), None, "linux/amd64").unwrap(), "amd64", "it has no other name");
    layout.index(&[named(image, oci::REF_NAME, "v1")]);
    assert_eq!(layout.open(None, None, "linux/amd64").unwrap(), "amd64");
    assert!(matches!(layout.open(Some("v2"), None, "linux/amd64"), Err(ArchiveError::NoImage { .. })));
}

#[test]
fn the_platform_decides_in_an_index_and_among_equal_names() {
    let layout = Layout::new(&[]);
    let index = layout.platforms(&["amd64", "arm64"]);
    layout.index(std::slice::from_ref(&index));
    let two = |architecture: &str| {
        named(with_platform(layout.image(architecture), architecture), oci::REF_NAME, "latest")
    };
    for entries in [vec![index.clone()], vec![two("amd64"), two("arm64")]] {
        layout.index(&entries);
        assert_eq!(layout.open(None, None, "linux/arm64").unwrap(), "arm64");
        assert_eq!(layout.open(None, None, "linux/amd64").unwrap(), "amd64");
        let message = layout.open(None, None, "linux/s390x").unwrap_err().to_string();
        assert!(message.contains("no image for linux/s390x; it has linux/amd64, linux/arm64"), "{message}");
    }
    let digest = digest_of(&index);
    assert_eq!(layout.open(None, Some(&digest), "linux/arm64").unwrap(), "arm64");
}

#[test]
fn what_is_not_what_its_digest_says_is_refused() {
    let layout = Layout::new(&[]);
    let image = layout.image("amd64");
    layout.index(std::slice::from_ref(&image));
    let manifest = layout.blobs().join(digest_of(&image).digest());
    let bytes = fs::read(&manifest).unwrap();
    fs::write(&manifest, [&bytes[..], b" "].concat()).unwrap();
    for digest in [None, Some(&digest_of(&image))] {
        let changed = layout.open(None, digest, "linux/amd64");
        assert!(matches!(changed, Err(ArchiveError::Document { .. })), "{changed:?}");
    }
    fs::write(&manifest, &bytes).unwrap();
    fs::write(layout.dir.path().join("oci-layout"), r#"{"imageLayoutVersion":"9"}"#).unwrap();
    assert!(matches!(layout.open(None, None, "linux/amd64"), Err(ArchiveError::Version { .. })));
    fs::remove_file(layout.dir.path().join("oci-layout")).unwrap();
    assert!(matches!(layout.open(None, None, "linux/amd64"), Err(ArchiveError::Missing { .. })));
}
