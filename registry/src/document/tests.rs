//! Documents of every kind, and those that are refused.
#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// JSON with `D` for a descriptor.
fn document(media_type: &str, json: &str) -> Document {
    let descriptor = format!(r#"{{"mediaType":"x/y","size":0,"digest":"{DIGEST}"}}"#);
    Document::new(json.replace('D', &descriptor), MediaType::from(media_type))
}

const OCI: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";

#[test]
fn reads_manifests_and_indexes() {
    for media_type in [OCI, DOCKER_MANIFEST] {
        let manifest =
            document(media_type, r#"{"schemaVersion":2,"config":D,"layers":[D,D]}"#).manifest().unwrap();
        assert_eq!((manifest.layers.len(), manifest.config.digest().as_ref()), (2, DIGEST));
    }
    for media_type in [OCI_INDEX, DOCKER_MANIFEST_LIST] {
        let index = document(media_type, r#"{"schemaVersion":2,"manifests":[D]}"#);
        assert!(matches!(index.read().unwrap(), ManifestOrIndex::Index(entries) if entries.len() == 1));
        assert!(matches!(index.manifest(), Err(DocumentError::Unsupported { .. })));
    }
}

#[test]
fn fields_decide_where_no_type_does() {
    let subject = "test";
    let media_type = |json: &str| {
        let document = document("x", json);
        manifest_media_type(subject, &document.bytes, Some("application/json"))
    };
    assert_eq!(media_type(r#"{"config":D,"layers":[]}"#).unwrap(), MediaType::ImageManifest);
    assert_eq!(media_type(r#"{"manifests":[]}"#).unwrap(), MediaType::ImageIndex);
    assert!(matches!(media_type("{}"), Err(DocumentError::Unsupported { .. })));
}

#[test]
fn refuses_what_two_readers_could_understand_differently() {
    for json in [
        r#"{"config":D,"layers":[D],"manifests":[D]}"#,
        r#"{"config":D,"manifests":[]}"#,
        r#"{"layers":[],"manifests":[D]}"#,
    ] {
        for media_type in [OCI, OCI_INDEX] {
            let error = document(media_type, json).read().unwrap_err();
            assert!(matches!(error, DocumentError::Ambiguous { .. }), "{json}");
        }
    }
    let lying = document(OCI, &format!(r#"{{"mediaType":"{OCI_INDEX}","manifests":[]}}"#));
    assert!(matches!(lying.read(), Err(DocumentError::MediaType { .. })));
    // A key given twice is a way to say two things.
    let twice = document(OCI, r#"{"config":D,"layers":[],"layers":[D]}"#);
    assert!(matches!(twice.read(), Err(DocumentError::Json { .. })));
}

#[test]
fn refuses_schema_1_in_all_its_forms() {
    for (media_type, json) in [
        ("application/vnd.docker.distribution.manifest.v1+json", "{}"),
        ("application/vnd.docker.distribution.manifest.v1+prettyjws", r#"{"schemaVersion":1}"#),
        ("application/json", r#"{"schemaVersion":1,"fsLayers":[]}"#),
        (OCI, r#"{"fsLayers":[],"config":D,"layers":[]}"#),
    ] {
        assert!(
            matches!(document(media_type, json).read(), Err(DocumentError::Schema1 { .. })),
            "{media_type}"
        );
    }
}

#[test]
fn refuses_digests_that_are_none() {
    for digest in ["sha256:../../etc/passwd", "sha256:12", "", "latest", "sha256:"] {
        let json = r#"{"config":D,"layers":[]}"#;
        let document = Document::new(
            String::from_utf8(document(OCI, json).bytes.to_vec()).unwrap().replace(DIGEST, digest),
            MediaType::ImageManifest,
        );
        assert!(matches!(document.read(), Err(DocumentError::Json { .. })), "{digest}");
    }
}

#[test]
fn names_what_is_missing() {
    for (media_type, json, expected) in [
        (OCI, r#"{"config":D}"#, "layers"),
        (OCI, r#"{"layers":[]}"#, "config"),
        (OCI_INDEX, "{}", "manifests"),
    ] {
        let error = document(media_type, json).read().unwrap_err();
        assert!(matches!(error, DocumentError::Missing { field, .. } if field == expected), "{json}");
    }
    assert!(matches!(document(OCI, "[").read(), Err(DocumentError::Json { .. })));
    assert!(matches!(document("text/html", "{}").read(), Err(DocumentError::Unsupported { .. })));
}

#[test]
fn reads_configurations() {
    let config = |json: &str| Document::new(json.to_owned(), MediaType::ImageConfig).config();
    let full = config(&format!(
        r#"{{"os":"linux","architecture":"arm64","variant":"v8","rootfs":{{"type":"layers","diff_ids":["{DIGEST}"]}},"x":1}}"#
    ));
    let full = full.unwrap();
    assert_eq!((full.platform.to_string().as_str(), full.diff_ids.len()), ("linux/arm64", 1));
    let scratch = config(r#"{"architecture":"amd64","rootfs":{}}"#).unwrap();
    assert_eq!((scratch.platform.to_string().as_str(), scratch.diff_ids.len()), ("linux/amd64", 0));
    assert!(matches!(config("{}"), Err(DocumentError::Missing { field: "rootfs", .. })));
    assert!(matches!(config(r#"{"rootfs":{}}"#), Err(DocumentError::Missing { field: "architecture", .. })));
}

#[test]
fn verifies_bytes() {
    let digest = crate::digest::sha256(b"a");
    assert!(Document::verified(Bytes::from_static(b"a"), &digest, MediaType::ImageConfig).is_ok());
    let error = Document::verified(Bytes::from_static(b"b"), &digest, MediaType::ImageConfig).unwrap_err();
    assert!(matches!(error, DocumentError::Verify { .. }));
}
