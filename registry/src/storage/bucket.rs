//! A shared cache in a bucket: one object a blob, named by its digest, and one for the document.
//!
//! The names are those that BuildKit's S3 cache has (`PREFIX/blobs/DIGEST`, `PREFIX/manifests/NAME`), so that rules for
//! the bucket fit both; what the objects hold does not mix.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{ObjectStoreExt as _, PutPayload, RetryConfig, WriteMultipart};
use oci_spec::image::Descriptor;
use reqwest::Url;

use super::location::BucketPlace;
use super::{Access, StorageError, StorageReader};
use crate::client::ClientOptions;
use crate::document::{Document, MAX_DOCUMENT, manifest_media_type};
use crate::error::RegistryError;
use crate::push::PushOutcome;
use crate::upload::{BlobSource, Upload};

/// Bytes of a part of an upload: S3 takes none below 5 MiB (but the last), and 10,000 of them at most.
const PART: u64 = 16 << 20;
/// Parts on the way at once.
const PARTS_AT_ONCE: usize = 4;
/// How long a request is tried again and again.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub(super) struct Bucket {
    place: BucketPlace,
    store: AmazonS3,
}

impl Bucket {
    pub(super) fn open(
        options: &ClientOptions,
        place: &BucketPlace,
        access: &Access,
    ) -> Result<Self, StorageError> {
        // The provider of the process: the transport installs the same one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let retry = RetryConfig {
            max_retries: usize::try_from(options.retry.tries.saturating_sub(1)).unwrap_or(0),
            retry_timeout: PATIENCE,
            ..RetryConfig::default()
        };
        let address = Address::of(place, access)?;
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&place.bucket)
            .with_region(&place.region)
            .with_virtual_hosted_style_request(!address.path_style)
            .with_client_options(client_options(options, place.endpoint.as_deref()))
            .with_retry(retry);
        if let Some(endpoint) = address.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        if let Some(keys) = &access.keys {
            builder = builder.with_access_key_id(&keys.id).with_secret_access_key(&keys.secret);
            if let Some(token) = &keys.session_token {
                builder = builder.with_token(token);
            }
        }
        let store = builder.build().map_err(|source| StorageError::Object {
            action: "use",
            key: format!("s3://{}", place.bucket),
            source: Box::new(source),
        })?;
        Ok(Self { place: place.clone(), store })
    }

    pub(super) async fn document(&self) -> Result<Option<Document>, StorageError> {
        let key = self.place.document_key();
        let failed = |source| self.failed("download", &key, source);
        let answer = self.store.get(&path(&key)).await.map_err(failed)?;
        let (size, limit) = (answer.meta.size, MAX_DOCUMENT);
        if size > limit {
            return Err(StorageError::TooLarge { subject: self.shown(&key), size, limit });
        }
        let bytes = answer.bytes().await.map_err(failed)?;
        let place = self.shown(&key);
        let media_type = manifest_media_type(&place, &bytes, None);
        let media_type = media_type.map_err(|source| StorageError::Document { place, source })?;
        Ok(Some(Document::new(bytes, media_type)))
    }

    pub(super) fn blob(&self, descriptor: &Descriptor) -> StorageReader {
        let key = self.place.blob_key(descriptor.digest().as_ref());
        let (store, shown) = (self.store.clone(), self.shown(&key));
        let failed = move |source| StorageError::Object {
            action: "download",
            key: shown.clone(),
            source: Box::new(source),
        };
        let opened = stream::once(async move {
            let answer = store.get(&path(&key)).await.map_err(failed.clone())?;
            Ok::<_, StorageError>(answer.into_stream().map_err(failed))
        });
        StorageReader::stream(&self.shown(""), descriptor, opened.try_flatten().boxed())
    }

    pub(super) async fn put_blob(
        &self,
        descriptor: &Descriptor,
        source: &BlobSource,
    ) -> Result<PushOutcome, StorageError> {
        let key = self.place.blob_key(descriptor.digest().as_ref());
        match self.store.head(&path(&key)).await {
            Ok(found) if found.size == descriptor.size() => return Ok(PushOutcome::Existed),
            Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
            Err(source) => return Err(self.failed("look-up", &key, source)),
        }
        let upload = Upload::new(descriptor, source, |_| {});
        if descriptor.size() <= PART {
            let bytes = whole(&upload).await?;
            let sent = self.store.put(&path(&key), PutPayload::from(bytes)).await;
            sent.map_err(|source| self.failed("upload", &key, source))?;
        } else {
            self.put_parts(&key, &upload).await?;
        }
        Ok(PushOutcome::Uploaded)
    }

    pub(super) async fn put_document(&self, document: &Document) -> Result<(), StorageError> {
        let key = self.place.document_key();
        let payload = PutPayload::from(document.bytes.clone());
        let sent = self.store.put(&path(&key), payload).await;
        sent.map_err(|source| self.failed("upload", &key, source))?;
        Ok(())
    }

    /// An upload in parts becomes an object only when it is completed; one that is given up leaves none.
    async fn put_parts(&self, key: &str, upload: &Upload) -> Result<(), StorageError> {
        let failed = |source| self.failed("upload", key, source);
        let parts = self.store.put_multipart(&path(key)).await.map_err(failed)?;
        // 10,000 parts at most.
        let size = usize::try_from(PART.max(upload.size() / 9_000)).unwrap_or(usize::MAX);
        let mut parts = WriteMultipart::new_with_chunk_size(parts, size);
        let mut pieces = upload.pieces();
        while let Some(Ok(piece)) = pieces.recv().await {
            parts.wait_for_capacity(PARTS_AT_ONCE).await.map_err(failed)?;
            parts.put(piece);
        }
        if let Some(failure) = upload.take_failure() {
            // The service forgets it by itself, later, if it cannot be told.
            drop(parts.abort().await);
            return Err(failure.into());
        }
        parts.finish().await.map_err(failed)?;
        Ok(())
    }

    fn shown(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.place.bucket)
    }

    fn failed(&self, action: &'static str, key: &str, source: object_store::Error) -> StorageError {
        StorageError::Object { action, key: self.shown(key), source: Box::new(source) }
    }
}

/// A small blob in memory, verified.
async fn whole(upload: &Upload) -> Result<Bytes, RegistryError> {
    let (mut pieces, mut bytes) = (upload.pieces(), bytes::BytesMut::new());
    while let Some(Ok(piece)) = pieces.recv().await {
        bytes.extend_from_slice(&piece);
    }
    upload.take_failure().map_or_else(|| Ok(bytes.freeze()), Err)
}

fn path(key: &str) -> Path {
    Path::from(key)
}

/// Where requests go.
#[derive(Debug, PartialEq, Eq)]
struct Address {
    /// The service's URL, with the bucket in the host if it belongs there; AWS's own if absent.
    endpoint: Option<String>,
    path_style: bool,
}

impl Address {
    /// Checks what the client library takes for granted: that URLs and headers can be made of it.
    fn of(place: &BucketPlace, access: &Access) -> Result<Self, StorageError> {
        let wrong = |problem: String| StorageError::Bucket { bucket: place.bucket.clone(), problem };
        let parsed = |text: &str| {
            let url = Url::parse(text).ok();
            url.filter(|url| matches!(url.scheme(), "http" | "https")).ok_or_else(|| {
                wrong(format!("`{text}` is no address of a service: https://HOST[:PORT] is meant"))
            })
        };
        let url = place.endpoint.as_deref().map(parsed).transpose()?;
        // No name can stand before an IP address.
        let is_numeric = url.as_ref().is_some_and(|url| url.domain().is_none());
        let path_style = place.path_style || is_numeric;
        let endpoint = place.endpoint.as_deref().map(|endpoint| endpoint_url(endpoint, place, path_style));
        let own = format!("https://{}.s3.{}.amazonaws.com", place.bucket, place.region);
        parsed(endpoint.as_deref().unwrap_or(&own))?;
        let keys = access.keys.as_ref();
        let texts = [
            ("name", Some(&place.bucket)),
            ("region", Some(&place.region)),
            ("access key's id", keys.map(|keys| &keys.id)),
            ("session token", keys.and_then(|keys| keys.session_token.as_ref())),
        ];
        let is_plain = |text: &String| text.bytes().all(|byte| byte.is_ascii_graphic());
        match texts.into_iter().find(|(_, text)| !text.is_none_or(is_plain)) {
            Some((what, _)) => Err(wrong(format!("its {what} holds more than plain letters"))),
            None => Ok(Self { endpoint, path_style }),
        }
    }
}

/// With the bucket in the host, the service's address needs it there.
fn endpoint_url(endpoint: &str, place: &BucketPlace, path_style: bool) -> String {
    match endpoint.split_once("://") {
        Some((scheme, host)) if !path_style && !host.starts_with(&format!("{}.", place.bucket)) => {
            format!("{scheme}://{}.{host}", place.bucket)
        }
        _ => endpoint.to_owned(),
    }
}

fn client_options(options: &ClientOptions, endpoint: Option<&str>) -> object_store::ClientOptions {
    let plain = endpoint.is_some_and(|endpoint| endpoint.starts_with("http://"));
    // Blobs are large: what counts is that something comes, not how long all of it takes.
    let made = object_store::ClientOptions::new()
        .with_allow_http(plain)
        .with_timeout_disabled()
        .with_connect_timeout(options.connect_timeout)
        .with_read_timeout(options.read_timeout);
    let proxy = if plain { &options.proxies.http } else { &options.proxies.https };
    match proxy.as_deref().filter(|proxy| !proxy.is_empty()) {
        Some(proxy) => {
            let own = "localhost,127.0.0.0/8,::1";
            let none_for = options
                .proxies
                .none_for
                .as_deref()
                .map_or_else(|| own.to_owned(), |others| format!("{own},{others}"));
            made.with_proxy_url(proxy).with_proxy_excludes(none_for)
        }
        None => made,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::storage::AccessKeys;

    fn place(bucket: &str, endpoint: Option<&str>) -> BucketPlace {
        BucketPlace {
            bucket: bucket.to_owned(),
            region: "eu-1".to_owned(),
            endpoint: endpoint.map(str::to_owned),
            path_style: false,
            prefix: String::new(),
            blobs_prefix: "blobs/".to_owned(),
            manifests_prefix: "manifests/".to_owned(),
            name: "kiln".to_owned(),
        }
    }

    #[test]
    fn a_bucket_stands_in_the_host_where_it_can() {
        let of = |endpoint| Address::of(&place("b", endpoint), &Access::default()).unwrap();
        let at = |endpoint: &str, path_style| Address { endpoint: Some(endpoint.to_owned()), path_style };
        assert_eq!(of(None), Address { endpoint: None, path_style: false });
        assert_eq!(of(Some("https://s3.example")), at("https://b.s3.example", false));
        assert_eq!(of(Some("https://b.s3.example")), at("https://b.s3.example", false));
        for numeric in ["http://127.0.0.1:9000", "http://[::1]:9000"] {
            assert_eq!(of(Some(numeric)), at(numeric, true));
        }
    }

    #[test]
    fn what_makes_no_url_and_no_header_is_an_error_before_anything_is_sent() {
        let refused =
            |place: &BucketPlace, access: &Access| Address::of(place, access).unwrap_err().to_string();
        let none = Access::default();
        for endpoint in ["s3.example", "ftp://s3.example", "https://", "https://a b", "127.0.0.1:1"] {
            assert!(refused(&place("b", Some(endpoint)), &none).contains("no address"), "{endpoint}");
        }
        for bucket in ["a b", "\n", "\u{e4}", "["] {
            assert!(refused(&place(bucket, None), &none).contains("cannot be reached"), "{bucket:?}");
        }
        let token = Some("two\nlines".to_owned());
        let keys = AccessKeys { id: "id".to_owned(), secret: "s".to_owned(), session_token: token };
        let access = Access { keys: Some(keys), token: None };
        assert!(refused(&place("b", None), &access).contains("session token"));
    }
}
