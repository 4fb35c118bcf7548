//! From a reference to one platform's image: manifest, index, configuration, each verified.
//!
//! The checks of a document's own content are in [`crate::document`]; this asks for documents and compares
//! them with what led to them. Called by the client.

use std::str::FromStr as _;
use std::sync::Arc;

use oci_spec::image::{Descriptor, Digest, MediaType, Platform as OciPlatform};
use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};

use crate::auth::Scope;
use crate::blob::BlobReader;
use crate::digest::{sha256, verify};
use crate::document::{
    Document, DocumentError, MAX_DOCUMENT, Manifest, ManifestOrIndex, is_index, is_manifest,
    manifest_media_type,
};
use crate::error::RegistryError;
use crate::platform::Platform;
use crate::reference::Reference;
use crate::retry::{RetryPolicy, retrying};
use crate::session::{Call, Session};

/// Formats that are understood, as the Accept header of manifest requests.
const ACCEPTED: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";
/// The header in which a registry names a manifest's digest.
pub(crate) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
/// Indexes within indexes that are followed.
const MAX_DEPTH: usize = 3;
/// The annotation by which BuildKit marks entries that are not images.
const REFERENCE_TYPE: &str = "vnd.docker.reference.type";

/// One image of one platform, ready to be pulled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedImage {
    /// The image manifest.
    pub manifest: Document,
    /// The image configuration.
    pub config: Document,
    /// The layers, bottom first.
    pub layers: Vec<Descriptor>,
    /// The platform that the configuration names, normalised. For an image without an index it may differ
    /// from the one asked for.
    pub platform: String,
    /// The digest of the index that led to the manifest, if one did.
    pub index: Option<Digest>,
}

/// Resolves a reference down to one image.
pub(crate) async fn image(
    session: &Arc<Session>,
    retry: &RetryPolicy,
    reference: &Reference,
    platform: &Platform,
) -> Result<ResolvedImage, RegistryError> {
    let unusable = |source| RegistryError::Document { reference: reference.familiar(), source };
    let mut document = manifest(session, retry, reference, reference.target()).await?;
    let mut index = None;
    for _ in 0..=MAX_DEPTH {
        match document.read().map_err(unusable)? {
            ManifestOrIndex::Manifest(manifest) => {
                return with_config(session, retry, reference, document, *manifest, index).await;
            }
            ManifestOrIndex::Index(entries) => {
                let chosen =
                    choose(&entries, platform).ok_or_else(|| no_platform(reference, platform, &entries))?;
                let next = manifest(session, retry, reference, chosen.digest().as_ref()).await?;
                check_entry(chosen, &next).map_err(unusable)?;
                index.get_or_insert_with(|| document.digest.clone());
                document = next;
            }
        }
    }
    Err(unusable(DocumentError::TooDeep { subject: document.digest.to_string() }))
}

async fn with_config(
    session: &Arc<Session>,
    retry: &RetryPolicy,
    reference: &Reference,
    document: Document,
    manifest: Manifest,
    index: Option<Digest>,
) -> Result<ResolvedImage, RegistryError> {
    let unusable = |source| RegistryError::Document { reference: reference.familiar(), source };
    let reader = BlobReader::new(Arc::clone(session), retry.clone(), reference, &manifest.config);
    let config = small_blob(reader, reference, &manifest.config).await?;
    let summary = config.config().map_err(unusable)?;
    if summary.diff_ids.len() != manifest.layers.len() {
        return Err(unusable(DocumentError::LayerCount {
            subject: document.digest.to_string(),
            layers: manifest.layers.len(),
            diff_ids: summary.diff_ids.len(),
        }));
    }
    Ok(ResolvedImage {
        manifest: document,
        config,
        layers: manifest.layers,
        platform: summary.platform.to_string(),
        index,
    })
}

/// Fetches a manifest or an index by tag or digest and verifies all that can be verified.
pub(crate) async fn manifest(
    session: &Session,
    retry: &RetryPolicy,
    reference: &Reference,
    target: &str,
) -> Result<Document, RegistryError> {
    let call = manifest_call(session, Method::GET, reference, target).await?;
    retrying(retry, || async {
        let unusable = |source| RegistryError::Document { reference: reference.familiar(), source };
        let response = session.send(&call).await?;
        let text = |name| response.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let content_type = text(CONTENT_TYPE).map(str::to_owned);
        let announced = text(CONTENT_DIGEST).map(str::to_owned);
        let length = response.content_length();
        let body = session.body(&call, response, MAX_DOCUMENT).await?.ok_or_else(|| {
            unusable(DocumentError::TooLarge {
                subject: target.into(),
                size: length.unwrap_or(MAX_DOCUMENT + 1),
            })
        })?;
        let digest = match (Digest::from_str(target), announced) {
            (Ok(digest), _) => digest,
            (Err(_), Some(announced)) => Digest::from_str(&announced)
                .map_err(|_| call.answer(format!("names the digest `{announced}`, which is none")))?,
            (Err(_), None) => sha256(&body),
        };
        verify(&body, &digest)
            .map_err(|source| RegistryError::Verify { subject: reference.familiar(), source })?;
        let media_type =
            manifest_media_type(digest.as_ref(), &body, content_type.as_deref()).map_err(unusable)?;
        Ok(Document { bytes: body, digest, media_type })
    })
    .await
}

/// The digest of a tag: by HEAD, or where that gives nothing by fetching the document.
pub(crate) async fn digest(
    session: &Session,
    retry: &RetryPolicy,
    reference: &Reference,
) -> Result<Digest, RegistryError> {
    let call = manifest_call(session, Method::HEAD, reference, reference.target()).await?;
    match retrying(retry, || session.send(&call)).await {
        Ok(response) => {
            let digest = response.headers().get(CONTENT_DIGEST).and_then(|value| value.to_str().ok());
            if let Some(digest) = digest.and_then(|digest| Digest::from_str(digest).ok()) {
                return Ok(digest);
            }
        }
        // The answer to HEAD has no body: a GET tells why, or works where HEAD does not.
        Err(RegistryError::Status(_)) => {}
        Err(error) => return Err(error),
    }
    Ok(manifest(session, retry, reference, reference.target()).await?.digest)
}

/// Reads a whole blob that must be small.
pub(crate) async fn small_blob(
    mut reader: BlobReader,
    reference: &Reference,
    descriptor: &Descriptor,
) -> Result<Document, RegistryError> {
    if descriptor.size() > MAX_DOCUMENT {
        let source =
            DocumentError::TooLarge { subject: descriptor.digest().to_string(), size: descriptor.size() };
        return Err(RegistryError::Document { reference: reference.familiar(), source });
    }
    let mut bytes = bytes::BytesMut::new();
    while let Some(chunk) = reader.chunk().await? {
        bytes.extend_from_slice(&chunk);
    }
    Ok(Document {
        bytes: bytes.freeze(),
        digest: descriptor.digest().clone(),
        media_type: descriptor.media_type().clone(),
    })
}

async fn manifest_call(
    session: &Session,
    method: Method,
    reference: &Reference,
    target: &str,
) -> Result<Call, RegistryError> {
    let url = session.url(&format!("{}/manifests/{target}", reference.repository())).await?;
    let call = Call::new(method, url, Scope::pull(reference.repository()));
    Ok(call.header(ACCEPT, HeaderValue::from_static(ACCEPTED)))
}

/// The entry of an index that suits a platform best; among equals the first.
pub(crate) fn choose<'a>(entries: &'a [Descriptor], platform: &Platform) -> Option<&'a Descriptor> {
    let images: Vec<_> = entries.iter().filter(|entry| is_image(entry)).collect();
    if let [only] = images[..]
        && only.platform().is_none()
    {
        return Some(only);
    }
    let ranked = images.into_iter().filter_map(|entry| {
        let rank = platform.rank(&to_platform(entry.platform().as_ref()?))?;
        Some((rank, entry))
    });
    ranked.min_by_key(|(rank, _)| *rank).map(|(_, entry)| entry)
}

/// Whether an entry is an image or an index, and not an attestation about one.
pub(crate) fn is_image(entry: &Descriptor) -> bool {
    let marked =
        entry.annotations().as_ref().is_some_and(|annotations| annotations.contains_key(REFERENCE_TYPE));
    !marked && (is_manifest(entry.media_type()) || is_index(entry.media_type()))
}

/// A document must be of the type that the index gave it.
fn check_entry(entry: &Descriptor, document: &Document) -> Result<(), DocumentError> {
    let (outer, inner): (&MediaType, &MediaType) = (entry.media_type(), &document.media_type);
    if outer == inner {
        return Ok(());
    }
    Err(DocumentError::MediaType {
        subject: document.digest.to_string(),
        inner: inner.to_string(),
        outer: outer.to_string(),
    })
}

pub(crate) fn to_platform(platform: &OciPlatform) -> Platform {
    let (os, architecture) = (platform.os().to_string(), platform.architecture().to_string());
    Platform::new(&os, &architecture, platform.variant().as_deref())
}

fn no_platform(reference: &Reference, platform: &Platform, entries: &[Descriptor]) -> RegistryError {
    let images = entries.iter().filter(|entry| is_image(entry));
    let mut available: Vec<_> =
        images.filter_map(|entry| Some(to_platform(entry.platform().as_ref()?).to_string())).collect();
    available.dedup();
    RegistryError::NoPlatform { reference: reference.familiar(), wanted: platform.to_string(), available }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn entries(platforms: &[&str]) -> Vec<Descriptor> {
        let list = platforms.iter().enumerate().map(|(at, platform)| {
            let parts: Vec<_> = platform.split('/').collect();
            let variant = parts.get(2).map(|v| format!(r#","variant":"{v}""#)).unwrap_or_default();
            format!(
                r#"{{"mediaType":"application/vnd.oci.image.manifest.v1+json","size":1,"digest":"{}","platform":{{"os":"{}","architecture":"{}"{variant}}}}}"#,
                sha256(&[u8::try_from(at).unwrap()]), parts[0], parts[1]
            )
        });
        serde_json::from_str(&format!("[{}]", list.collect::<Vec<_>>().join(","))).unwrap()
    }

    fn chosen(platforms: &[&str], wanted: &str) -> Option<usize> {
        let entries = entries(platforms);
        let chosen = choose(&entries, &Platform::parse(wanted).unwrap())?;
        entries.iter().position(|entry| entry == chosen)
    }

    #[test]
    fn takes_the_best_entry() {
        let official =
            ["linux/amd64", "unknown/unknown", "linux/arm/v5", "linux/arm/v7", "linux/arm64/v8", "linux/386"];
        assert_eq!(chosen(&official, "linux/amd64"), Some(0));
        assert_eq!(chosen(&official, "linux/arm64"), Some(4));
        assert_eq!(chosen(&official, "linux/arm/v6"), Some(2));
        assert_eq!(chosen(&official, "linux/arm"), Some(3));
        assert_eq!(chosen(&official, "linux/s390x"), None);
        assert_eq!(chosen(&["windows/amd64", "windows/amd64"], "windows/amd64"), Some(0));
    }

    #[test]
    fn an_only_entry_needs_no_platform_and_attestations_do_not_count() {
        let digest = sha256(b"");
        let text = format!(
            r#"[{{"mediaType":"application/vnd.oci.image.manifest.v1+json","size":1,"digest":"{digest}"}},
                {{"mediaType":"application/vnd.oci.image.manifest.v1+json","size":2,"digest":"{digest}",
                  "annotations":{{"vnd.docker.reference.type":"attestation-manifest"}},
                  "platform":{{"os":"linux","architecture":"amd64"}}}}]"#
        );
        let entries: Vec<Descriptor> = serde_json::from_str(&text).unwrap();
        assert_eq!(choose(&entries, &Platform::parse("linux/amd64").unwrap()).map(Descriptor::size), Some(1));
    }
}
