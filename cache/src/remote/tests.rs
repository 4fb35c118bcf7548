//! The document, whole and damaged.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::digest::{DiffId, digest_of};
use crate::keys::{Key, Part};
use crate::mounts::CacheName;

fn blob(number: u8) -> Descriptor {
    Descriptor::new(oci_spec::image::MediaType::ImageLayerGzip, u64::from(number), digest_of(&[number]))
}

fn document() -> CacheDocument {
    let mut document = CacheDocument::default();
    for number in 0..3 {
        let layer = DiffId::from_hash([number; 32]);
        let record = SharedRecord {
            slot: (number > 0).then_some(Key([9; 32])),
            parts: vec![Part { name: "command".into(), value: "make \"all\"\n".into() }],
            layer: layer.clone(),
            created: jiff::Timestamp::UNIX_EPOCH,
            milliseconds: 12,
        };
        document.records.insert(Key([number; 32]), record);
        document.layers.insert(layer, blob(number));
        document.memos.insert(Key([100 + number; 32]), vec![0, number, 255]);
    }
    let mount = SharedMount { name: CacheName::new("go"), blob: blob(7), tar: digest_of(b"tar") };
    document.mounts.push(mount);
    document
}

fn changed(pointer: &str, value: Value) -> Vec<u8> {
    let mut json: Value = serde_json::from_slice(&document().to_bytes()).unwrap();
    *json.pointer_mut(pointer).unwrap() = value;
    json.to_string().into_bytes()
}

#[test]
fn a_document_reads_back_and_is_always_the_same() {
    let bytes = document().to_bytes();
    assert_eq!(CacheDocument::read(&bytes).unwrap(), document());
    assert_eq!(CacheDocument::read(&bytes).unwrap().to_bytes(), bytes);
    let empty = CacheDocument::default();
    assert_eq!(CacheDocument::read(&empty.to_bytes()).unwrap(), empty);
}

#[test]
fn fields_of_tomorrow_are_passed_over_and_versions_are_not() {
    let mut json: Value = serde_json::from_slice(&document().to_bytes()).unwrap();
    json["hints"] = json!([1, 2]);
    assert_eq!(CacheDocument::read(json.to_string().as_bytes()).unwrap(), document());
    let error = CacheDocument::read(&changed("/version", json!(2))).unwrap_err();
    assert!(matches!(error, CacheDocumentError::Version { found: 2 }));
    // Another version may have another form: the version is looked at first.
    let error = CacheDocument::read(br#"{"version":7,"records":"elsewhere"}"#).unwrap_err();
    assert!(matches!(error, CacheDocumentError::Version { found: 7 }));
}

#[test]
fn nothing_in_a_document_becomes_a_path_or_an_unknown_form() {
    let digests =
        ["sha256:../../../etc/passwd", "sha256:", "", "md5:d41d8cd98f00b204e9800998ecf8427e", "sha256:XYZ"];
    for digest in digests {
        assert!(CacheDocument::read(&changed("/layers/0/blob/digest", json!(digest))).is_err(), "{digest}");
        assert!(CacheDocument::read(&changed("/records/0/layer", json!(digest))).is_err(), "{digest}");
        assert!(CacheDocument::read(&changed("/records/0/key", json!(digest))).is_err(), "{digest}");
    }
    let sha512 = format!("sha512:{}", "0".repeat(128));
    assert!(CacheDocument::read(&changed("/layers/0/blob/digest", json!(sha512))).is_err());
    for (place, value) in [
        ("/layers/0/blob/mediaType", json!("text/html")),
        ("/layers/0/blob/size", json!(u64::MAX)),
        ("/layers/0/blob/size", json!(-1)),
        ("/memos/0/value", json!("not base64!")),
        ("/memos/0/value", json!("A".repeat((2 << 20) + 4))),
        ("/records/0/created", json!("yesterday")),
    ] {
        assert!(CacheDocument::read(&changed(place, value.clone())).is_err(), "{place} {value}");
    }
}

#[test]
fn a_descriptor_brings_nothing_along() {
    let mut json: Value = serde_json::from_slice(&document().to_bytes()).unwrap();
    json["layers"][0]["blob"]["urls"] = json!(["https://elsewhere"]);
    json["layers"][0]["blob"]["annotations"] = json!({ "a": "b" });
    assert_eq!(CacheDocument::read(json.to_string().as_bytes()).unwrap(), document());
}

#[test]
fn one_step_has_one_result() {
    let mut json: Value = serde_json::from_slice(&document().to_bytes()).unwrap();
    let again = json["records"][0].clone();
    json["records"].as_array_mut().unwrap().push(again);
    let error = CacheDocument::read(json.to_string().as_bytes()).unwrap_err();
    assert!(matches!(error, CacheDocumentError::Ambiguous { .. }), "{error}");
}

#[test]
fn huge_lists_are_refused() {
    let key = "0".repeat(64);
    let memo = format!(r#"{{"key":"{key}","value":""}},"#);
    let text = format!(r#"{{"version":1,"memos":[{}]}}"#, memo.repeat(100_001).trim_end_matches(','));
    assert!(matches!(CacheDocument::read(text.as_bytes()), Err(CacheDocumentError::TooMany { .. })));
    let deep = format!(r#"{{"version":1,"records":{}"#, "[".repeat(100_000));
    assert!(CacheDocument::read(deep.as_bytes()).is_err());
}

proptest! {
    #[test]
    fn damage_never_panics_and_never_adds(cut in 0..4000_usize, at in 0..4000_usize, byte: u8) {
        let mut bytes = document().to_bytes();
        prop_assert!(cut >= bytes.len() || CacheDocument::read(&bytes[..cut]).is_err());
        let at = at % bytes.len();
        bytes[at] = byte;
        if let Ok(read) = CacheDocument::read(&bytes) {
            prop_assert!(read.records.len() <= 3 && read.layers.len() <= 3 && read.memos.len() <= 3);
        }
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>, text in ".{0,200}") {
        drop(CacheDocument::read(&bytes));
        drop(CacheDocument::read(format!(r#"{{"version":1,{text}}}"#).as_bytes()));
    }
}
