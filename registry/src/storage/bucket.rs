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
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&place.bucket)
            .with_region(&place.region)
            .with_virtual_hosted_style_request(!place.path_style)
            .with_client_options(client_options(options, place.endpoint.as_deref()))
            .with_retry(retry);
        if let Some(endpoint) = &place.endpoint {
            builder = builder.with_endpoint(endpoint_url(endpoint, place));
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

/// With the bucket in the host, the service's address needs it there.
fn endpoint_url(endpoint: &str, place: &BucketPlace) -> String {
    match endpoint.split_once("://") {
        Some((scheme, host)) if !place.path_style && !host.starts_with(&format!("{}.", place.bucket)) => {
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
