//! Attestations of an image: what somebody states about it, as a manifest beside the image's in their index.
//!
//! Source of the layout: BuildKit's description of how attestations are stored. The statements are in-toto's; what they say
//! (SLSA provenance) is made elsewhere.

use kiln_registry::{Digest, Document, MediaType, Reference};
use serde_json::{Value, json};

use super::packing::{DocumentTypes, Packing};

/// A statement's type, and that of its bytes.
const STATEMENT: &str = "https://in-toto.io/Statement/v1";
const PAYLOAD: &str = "application/vnd.in-toto+json";

/// What a manifest of attestations calls itself.
const ARTIFACT: &str = "application/vnd.docker.attestation.manifest.v1+json";

/// The configuration of an artifact: nothing.
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
const NOTHING: &[u8] = b"{}";
const NOTHING_IN_BASE64: &str = "e30=";

/// What the entry in the index says of itself and of the manifest it is about.
const REFERENCE_TYPE: &str = "vnd.docker.reference.type";
const REFERENCE_DIGEST: &str = "vnd.docker.reference.digest";
const PREDICATE_TYPE: &str = "in-toto.io/predicate-type";

/// One thing that is stated.
#[derive(Debug, Clone, PartialEq)]
pub struct Attestation {
    /// What kind of statement it is: a URI.
    pub predicate_type: String,
    /// The statement itself.
    pub predicate: Value,
    /// The name of the file that it is in, where files are exported.
    pub filename: String,
    /// Whether it goes with images only, and not with archives and files.
    pub inline_only: bool,
}

/// What a statement is about: a name and a digest.
pub type Subject = (String, Digest);

impl Attestation {
    /// The statement as a document.
    pub fn statement(&self, subjects: &[Subject]) -> Value {
        let subjects: Vec<Value> = subjects.iter().map(subject).collect();
        json!({
            "_type": STATEMENT,
            "predicateType": self.predicate_type,
            "subject": subjects,
            "predicate": self.predicate,
        })
    }
}

fn subject((name, digest): &Subject) -> Value {
    let mut digests = serde_json::Map::new();
    digests.insert(digest.algorithm().to_string(), digest.digest().into());
    json!({ "name": name, "digest": digests })
}

/// The manifest of an image's attestations, and the blobs that it names.
#[derive(Debug, Clone)]
pub(super) struct Attached {
    /// The manifest.
    pub(super) manifest: Document,
    /// Configuration and statements.
    pub(super) blobs: Vec<Document>,
    /// The image's manifest.
    pub(super) target: Digest,
}

impl Attached {
    /// What is stated about the image of this manifest, under these names.
    pub(super) fn new(
        attestations: &[&Attestation],
        target: &Document,
        names: &[Reference],
        platform: &str,
        packing: &Packing,
    ) -> Self {
        let subjects: Vec<Subject> = names
            .iter()
            .map(|name| (crate::provenance::purl("docker", name, Some(platform)), target.digest.clone()))
            .collect();
        let statements: Vec<(Document, &str)> = attestations
            .iter()
            .map(|attestation| {
                let bytes = attestation.statement(&subjects).to_string().into_bytes();
                (Document::new(bytes, PAYLOAD.into()), attestation.predicate_type.as_str())
            })
            .collect();
        let layers: Vec<Value> = statements.iter().map(|(statement, kind)| layer(statement, kind)).collect();
        let is_artifact = packing.artifacts && packing.types != DocumentTypes::Docker;
        let statements: Vec<Document> = statements.into_iter().map(|(statement, _)| statement).collect();
        let (config, manifest) = if is_artifact {
            (Document::new(NOTHING, EMPTY.into()), artifact(&layers, target))
        } else {
            let config = unknown_image(&statements);
            let manifest = image(&layers, &config);
            (config, manifest)
        };
        let manifest = Document::new(manifest.to_string().into_bytes(), MediaType::ImageManifest);
        let blobs = std::iter::once(config).chain(statements).collect();
        Self { manifest, blobs, target: target.digest.clone() }
    }

    /// Its entry in the index.
    pub(super) fn entry(&self) -> Value {
        json!({
            "mediaType": self.manifest.media_type.to_string(),
            "digest": self.manifest.digest.to_string(),
            "size": self.manifest.bytes.len(),
            "annotations": {
                REFERENCE_DIGEST: self.target.to_string(),
                REFERENCE_TYPE: "attestation-manifest",
            },
            "platform": { "architecture": "unknown", "os": "unknown" },
        })
    }
}

fn layer(statement: &Document, kind: &str) -> Value {
    json!({
        "mediaType": PAYLOAD,
        "digest": statement.digest.to_string(),
        "size": statement.bytes.len(),
        "annotations": { PREDICATE_TYPE: kind },
    })
}

fn artifact(layers: &[Value], target: &Document) -> Value {
    let nothing = Document::new(NOTHING, EMPTY.into());
    json!({
        "schemaVersion": 2,
        "mediaType": MediaType::ImageManifest.to_string(),
        "artifactType": ARTIFACT,
        "config": {
            "mediaType": EMPTY,
            "digest": nothing.digest.to_string(),
            "size": NOTHING.len(),
            "data": NOTHING_IN_BASE64,
        },
        "layers": layers,
        "subject": {
            "mediaType": target.media_type.to_string(),
            "digest": target.digest.to_string(),
            "size": target.bytes.len(),
        },
    })
}

fn image(layers: &[Value], config: &Document) -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": MediaType::ImageManifest.to_string(),
        "config": {
            "mediaType": config.media_type.to_string(),
            "digest": config.digest.to_string(),
            "size": config.bytes.len(),
        },
        "layers": layers,
    })
}

/// The configuration of an image that no machine runs.
fn unknown_image(layers: &[Document]) -> Document {
    let diff_ids: Vec<String> = layers.iter().map(|layer| layer.digest.to_string()).collect();
    let config = json!({
        "architecture": "unknown",
        "os": "unknown",
        "config": {},
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
    });
    Document::new(config.to_string().into_bytes(), MediaType::ImageConfig)
}
