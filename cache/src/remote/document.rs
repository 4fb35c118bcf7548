//! The document of a shared cache: read with suspicion, written the same for the same content.
//!
//! ```text
//! { "version": 1,
//!   "records": [ { "key", "slot"?, "parts"?, "layer": DIFF ID, "created", "milliseconds" } ],
//!   "layers":  [ { "layer": DIFF ID, "blob": DESCRIPTOR } ],
//!   "memos":   [ { "key", "value": BASE64 } ],
//!   "mounts":  [ { "name", "blob": DESCRIPTOR, "tar": DIGEST } ] }
//! ```
//!
//! A record whose layer is not listed says what a step gives, but not where: it helps to find the steps that build on
//! it. Fields that this version does not know are ignored; another version is another format.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use oci_spec::image::{Descriptor, MediaType};
use serde::{Deserialize, Serialize};

use crate::digest::{DiffId, Digest, sha256_hex};
use crate::keys::{Key, Part};
use crate::mounts::CacheName;

/// The only version that is read and written.
const VERSION: u64 = 1;
/// Most entries of one list: a build of so many steps would need another format anyway.
const MOST: usize = 100_000;
/// The largest value of a memo.
const MAX_MEMO: usize = 1 << 20;
/// The largest blob that anybody may announce: what does not fit on a disk is a mistake.
const MAX_BLOB: u64 = 1 << 42;

/// What builds tell other machines' builds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CacheDocument {
    /// What steps gave, by key.
    pub records: BTreeMap<Key, SharedRecord>,
    /// The blobs of layers that lie beside the document.
    pub layers: BTreeMap<DiffId, Descriptor>,
    /// What was remembered on the way to the keys.
    pub memos: BTreeMap<Key, Vec<u8>>,
    /// Cache mounts that travel along.
    pub mounts: Vec<SharedMount>,
}

/// What a step gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedRecord {
    /// Which step it is, content aside; see [`crate::Record`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<Key>,
    /// What the key was made from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Part>,
    /// The layer.
    pub layer: DiffId,
    /// When the step was executed.
    pub created: Timestamp,
    /// How long it took.
    pub milliseconds: u64,
}

/// A cache mount as a blob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedMount {
    /// What it is called.
    pub name: CacheName,
    /// The blob: a tar, compressed or not.
    pub blob: Descriptor,
    /// The digest of the uncompressed tar.
    pub tar: Digest,
}

/// Why a document is of no use.
#[derive(Debug, thiserror::Error)]
pub enum CacheDocumentError {
    /// It is not JSON, or not of this form.
    #[error("it is not a cache document")]
    Json {
        /// Where it stops making sense.
        #[source]
        source: serde_json::Error,
    },
    /// Another kiln wrote it, in another format.
    #[error("it has version {found}, this kiln reads version {VERSION}")]
    Version {
        /// The version that it has.
        found: u64,
    },
    /// It has more than any build has.
    #[error("it has {count} {what}, more than the {limit} that are read")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many, or how large.
        count: usize,
        /// The limit.
        limit: usize,
    },
    /// It says two things about one step or one layer.
    #[error("it has two {what} of {subject}")]
    Ambiguous {
        /// Two of what.
        what: &'static str,
        /// The step's key or the layer.
        subject: String,
    },
    /// A blob that cannot be a layer.
    #[error("blob {digest} cannot be a layer: {problem}")]
    Blob {
        /// The blob.
        digest: String,
        /// What is wrong with it.
        problem: String,
    },
}

#[derive(Deserialize)]
struct Head {
    version: u64,
}

#[derive(Serialize, Deserialize)]
struct Written {
    version: u64,
    #[serde(default)]
    records: Vec<WrittenRecord>,
    #[serde(default)]
    layers: Vec<WrittenLayer>,
    #[serde(default)]
    memos: Vec<WrittenMemo>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    mounts: Vec<SharedMount>,
}

#[derive(Serialize, Deserialize)]
struct WrittenRecord {
    key: Key,
    #[serde(flatten)]
    record: SharedRecord,
}

#[derive(Serialize, Deserialize)]
struct WrittenLayer {
    layer: DiffId,
    blob: Descriptor,
}

#[derive(Serialize, Deserialize)]
struct WrittenMemo {
    key: Key,
    value: String,
}

impl CacheDocument {
    /// Reads a document. All or nothing: a document that is damaged in one place says nothing about the others.
    pub fn read(bytes: &[u8]) -> Result<CacheDocument, CacheDocumentError> {
        let json = |source| CacheDocumentError::Json { source };
        let head: Head = serde_json::from_slice(bytes).map_err(json)?;
        if head.version != VERSION {
            return Err(CacheDocumentError::Version { found: head.version });
        }
        let written: Written = serde_json::from_slice(bytes).map_err(json)?;
        let lists = [
            ("records", written.records.len()),
            ("layers", written.layers.len()),
            ("memos", written.memos.len()),
            ("mounts", written.mounts.len()),
        ];
        if let Some((what, count)) = lists.into_iter().find(|(_, count)| *count > MOST) {
            return Err(CacheDocumentError::TooMany { what, count, limit: MOST });
        }
        Ok(CacheDocument {
            records: records(written.records)?,
            layers: layers(written.layers)?,
            memos: memos(written.memos)?,
            mounts: mounts(written.mounts)?,
        })
    }

    /// The document as bytes: the same for the same content.
    pub fn to_bytes(&self) -> Vec<u8> {
        let records =
            self.records.iter().map(|(key, record)| WrittenRecord { key: *key, record: record.clone() });
        let layers =
            self.layers.iter().map(|(layer, blob)| WrittenLayer { layer: layer.clone(), blob: blob.clone() });
        let memos =
            self.memos.iter().map(|(key, value)| WrittenMemo { key: *key, value: STANDARD.encode(value) });
        let written = Written {
            version: VERSION,
            records: records.collect(),
            layers: layers.collect(),
            memos: memos.collect(),
            mounts: self.mounts.clone(),
        };
        match serde_json::to_vec(&written) {
            Ok(text) => text,
            Err(error) => unreachable!("a document of plain strings and numbers is always JSON: {error}"),
        }
    }
}

fn records(written: Vec<WrittenRecord>) -> Result<BTreeMap<Key, SharedRecord>, CacheDocumentError> {
    let mut records = BTreeMap::new();
    for WrittenRecord { key, record } in written {
        if records.insert(key, record).is_some() {
            return Err(CacheDocumentError::Ambiguous { what: "results", subject: key.to_string() });
        }
    }
    Ok(records)
}

fn layers(written: Vec<WrittenLayer>) -> Result<BTreeMap<DiffId, Descriptor>, CacheDocumentError> {
    let mut layers = BTreeMap::new();
    for WrittenLayer { layer, blob } in written {
        let subject = layer.to_string();
        if layers.insert(layer, checked(&blob)?).is_some() {
            return Err(CacheDocumentError::Ambiguous { what: "blobs", subject });
        }
    }
    Ok(layers)
}

fn memos(written: Vec<WrittenMemo>) -> Result<BTreeMap<Key, Vec<u8>>, CacheDocumentError> {
    let mut memos = BTreeMap::new();
    for WrittenMemo { key, value } in written {
        let value = STANDARD.decode(&value).map_err(|error| CacheDocumentError::Json {
            source: serde::de::Error::custom(format!("memo {key} is not base64: {error}")),
        })?;
        if value.len() > MAX_MEMO {
            let count = value.len();
            return Err(CacheDocumentError::TooMany { what: "bytes in a memo", count, limit: MAX_MEMO });
        }
        if memos.insert(key, value).is_some() {
            return Err(CacheDocumentError::Ambiguous { what: "memos", subject: key.to_string() });
        }
    }
    Ok(memos)
}

fn mounts(written: Vec<SharedMount>) -> Result<Vec<SharedMount>, CacheDocumentError> {
    let checked = written.into_iter().map(|mount| Ok(SharedMount { blob: checked(&mount.blob)?, ..mount }));
    checked.collect()
}

/// A descriptor without anything that is not needed, of a blob that a store can keep.
fn checked(blob: &Descriptor) -> Result<Descriptor, CacheDocumentError> {
    let wrong = |problem: String| CacheDocumentError::Blob { digest: blob.digest().to_string(), problem };
    sha256_hex(blob.digest()).map_err(|error| wrong(error.to_string()))?;
    let known = [MediaType::ImageLayer, MediaType::ImageLayerGzip, MediaType::ImageLayerZstd];
    if !known.contains(blob.media_type()) {
        return Err(wrong(format!("its media type is `{}`", blob.media_type())));
    }
    if blob.size() > MAX_BLOB {
        return Err(wrong(format!("it is said to have {} bytes", blob.size())));
    }
    Ok(Descriptor::new(blob.media_type().clone(), blob.size(), blob.digest().clone()))
}
