//! A shared cache in the cache service of GitHub Actions, version 2: entries that are written once, found by key.
//!
//! The service (Twirp, JSON) says where an entry's bytes are; they lie in an object store behind signed URLs. An entry
//! never changes, so each document is a new entry whose key ends in the time, and the newest one of a prefix is asked for.

use std::time::{SystemTime, UNIX_EPOCH};

use futures_util::stream;
use oci_spec::image::Descriptor;
use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, HeaderValue};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{Access, StorageError, StorageReader};
use crate::client::Client;
use crate::document::{Document, MAX_DOCUMENT, manifest_media_type};
use crate::error::{RegistryError, redact};
use crate::push::PushOutcome;
use crate::session::{failed, to_status_error};
use crate::upload::{BlobSource, Upload};

/// Where the service's calls are, below its address (github.com/actions/toolkit, `packages/cache`).
const SERVICE: &str = "twirp/github.actions.results.api.v1.CacheService/";
/// What the entries of kiln's caches have in common: the service wants 64 hexadecimal digits, for what decides whether
/// an entry can be used at all. These are of the text `kiln cache 1`.
const VERSION: &str = "82abca092588f811409363f7389f90a4b9c76da01160f20363029f01a50262ea";

#[derive(Debug, Clone)]
pub(super) struct Actions {
    client: Client,
    base: Url,
    token: HeaderValue,
    scope: String,
}

#[derive(Deserialize)]
struct Created {
    #[serde(default)]
    ok: bool,
    #[serde(default, alias = "signedUploadUrl")]
    signed_upload_url: String,
}

#[derive(Deserialize)]
struct Found {
    #[serde(default)]
    ok: bool,
    #[serde(default, alias = "signedDownloadUrl")]
    signed_download_url: String,
    #[serde(default, alias = "matchedKey")]
    matched_key: String,
}

#[derive(Deserialize)]
struct Finalized {
    #[serde(default)]
    ok: bool,
}

impl Actions {
    pub(super) fn open(
        client: &Client,
        url: &str,
        scope: &str,
        access: &Access,
    ) -> Result<Self, StorageError> {
        let unusable = || RegistryError::Url { url: url.to_owned() };
        let slashed = if url.ends_with('/') { url.to_owned() } else { format!("{url}/") };
        let base = Url::parse(&slashed).map_err(|_| unusable())?;
        let base = base.join(SERVICE).map_err(|_| unusable())?;
        let token = access.token.as_deref().unwrap_or_default();
        let mut token = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| {
            StorageError::Service { call: "login", problem: "the token is not one line of text".to_owned() }
        })?;
        token.set_sensitive(true);
        Ok(Self { client: client.clone(), base, token, scope: scope.to_owned() })
    }

    pub(super) async fn document(&self) -> Result<Option<Document>, StorageError> {
        let prefix = self.document_prefix();
        let Some(url) = self.find(&prefix, &[&prefix]).await? else { return Ok(None) };
        let mut response = self.get(&url).await?;
        let mut bytes = bytes::BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|source| failed(&Method::GET, &url, source))? {
            bytes.extend_from_slice(&chunk);
            let (size, limit) = (bytes.len() as u64, MAX_DOCUMENT);
            if size > limit {
                return Err(StorageError::TooLarge { subject: prefix, size, limit });
            }
        }
        let media_type = manifest_media_type(&prefix, &bytes, None);
        let media_type = media_type.map_err(|source| StorageError::Document { place: prefix, source })?;
        Ok(Some(Document::new(bytes.freeze(), media_type)))
    }

    pub(super) fn blob(&self, descriptor: &Descriptor) -> StorageReader {
        let digest = descriptor.digest().clone();
        let start: (Self, Option<(Url, Response)>) = (self.clone(), None);
        let pieces = stream::try_unfold(start, move |(actions, open)| {
            let digest = digest.clone();
            async move {
                let (url, mut response) = if let Some(open) = open {
                    open
                } else {
                    let key = blob_key(digest.as_ref());
                    let place = actions.base.host_str().unwrap_or_default().to_owned();
                    let url = actions.find(&key, &[]).await?;
                    let url = url.ok_or(StorageError::Missing { place, digest })?;
                    let response = actions.get(&url).await?;
                    (url, response)
                };
                let chunk = response.chunk().await.map_err(|source| failed(&Method::GET, &url, source))?;
                Ok(chunk.map(|chunk| (chunk, (actions, Some((url, response))))))
            }
        });
        StorageReader::stream(&self.scope, descriptor, pieces)
    }

    pub(super) async fn put_blob(
        &self,
        descriptor: &Descriptor,
        source: &BlobSource,
    ) -> Result<PushOutcome, StorageError> {
        let key = blob_key(descriptor.digest().as_ref());
        if self.find(&key, &[]).await?.is_some() {
            return Ok(PushOutcome::Existed);
        }
        let upload = Upload::new(descriptor, source, |_| {});
        let Some(url) = self.create(&key).await? else { return Ok(PushOutcome::Existed) };
        let body = upload.start();
        let sent = self.put(&url, descriptor.size(), body).await;
        if let Some(failure) = upload.take_failure() {
            return Err(failure.into());
        }
        sent?;
        self.finish(&key, descriptor.size()).await?;
        Ok(PushOutcome::Uploaded)
    }

    pub(super) async fn put_document(&self, document: &Document) -> Result<(), StorageError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let key = format!("{}{:020}", self.document_prefix(), now.as_nanos());
        let url = self.create(&key).await?.ok_or_else(|| StorageError::Service {
            call: "CreateCacheEntry",
            problem: format!("there is an entry `{key}` already"),
        })?;
        let size = document.bytes.len() as u64;
        self.put(&url, size, document.bytes.clone().into()).await?;
        self.finish(&key, size).await
    }

    fn document_prefix(&self) -> String {
        format!("kiln-index-{}-", self.scope)
    }

    /// Where the entry can be read that has this key, or the newest of those whose key begins with one of `prefixes`.
    async fn find(&self, key: &str, prefixes: &[&str]) -> Result<Option<Url>, StorageError> {
        const CALL: &str = "GetCacheEntryDownloadURL";
        let request = json!({ "metadata": {}, "key": key, "restore_keys": prefixes, "version": VERSION });
        let Some(found) = self.call::<Found>(CALL, &request).await? else { return Ok(None) };
        // A key is looked for as a prefix, too: what begins like a blob's key is another blob.
        let meant = prefixes.iter().any(|prefix| found.matched_key.starts_with(prefix));
        if !found.ok || !(meant || found.matched_key == key) {
            return Ok(None);
        }
        self.signed(CALL, &found.signed_download_url).map(Some)
    }

    /// Where a new entry is to be written; nothing if there is one of that key.
    async fn create(&self, key: &str) -> Result<Option<Url>, StorageError> {
        const CALL: &str = "CreateCacheEntry";
        let request = json!({ "metadata": {}, "key": key, "version": VERSION });
        match self.call::<Created>(CALL, &request).await? {
            Some(created) if created.ok => self.signed(CALL, &created.signed_upload_url).map(Some),
            _ => Ok(None),
        }
    }

    async fn finish(&self, key: &str, size: u64) -> Result<(), StorageError> {
        const CALL: &str = "FinalizeCacheEntryUpload";
        // 64-bit numbers are texts in the JSON of protocol buffers.
        let request =
            json!({ "metadata": {}, "key": key, "size_bytes": size.to_string(), "version": VERSION });
        match self.call::<Finalized>(CALL, &request).await? {
            Some(finalized) if finalized.ok => Ok(()),
            _ => Err(StorageError::Service { call: CALL, problem: format!("`{key}` was not accepted") }),
        }
    }

    /// One call; nothing where the service says that there is no such entry, or that there is one already.
    async fn call<T: DeserializeOwned>(
        &self,
        call: &'static str,
        request: &Value,
    ) -> Result<Option<T>, StorageError> {
        let url = self.base.join(call).map_err(|_| RegistryError::Url { url: redact(&self.base) })?;
        let client = self.client.shared().transport.client(&url)?;
        let request = client.post(url.clone()).header(AUTHORIZATION, self.token.clone()).json(request);
        let response = self.send(&Method::POST, &url, request).await?;
        match response.status() {
            status if status.is_success() => {}
            StatusCode::NOT_FOUND | StatusCode::CONFLICT => return Ok(None),
            _ => return Err(refused(&Method::POST, &url, response).await),
        }
        let bytes = response.bytes().await.map_err(|source| failed(&Method::POST, &url, source))?;
        serde_json::from_slice(&bytes).map(Some).map_err(|error| StorageError::Service {
            call,
            problem: format!("its answer is not understood: {error}"),
        })
    }

    async fn get(&self, url: &Url) -> Result<Response, StorageError> {
        let request = self.client.shared().transport.client(url)?.get(url.clone());
        let response = self.send(&Method::GET, url, request).await?;
        if response.status().is_success() {
            Ok(response)
        } else {
            Err(refused(&Method::GET, url, response).await)
        }
    }

    async fn put(&self, url: &Url, size: u64, body: reqwest::Body) -> Result<(), StorageError> {
        let client = self.client.shared().transport.client(url)?;
        let request = client
            .put(url.clone())
            .header("x-ms-blob-type", "BlockBlob")
            .header(CONTENT_LENGTH, size)
            .body(body);
        let response = self.send(&Method::PUT, url, request).await?;
        if response.status().is_success() { Ok(()) } else { Err(refused(&Method::PUT, url, response).await) }
    }

    async fn send(
        &self,
        method: &Method,
        url: &Url,
        request: RequestBuilder,
    ) -> Result<Response, RegistryError> {
        request.send().await.map_err(|source| failed(method, url, source))
    }

    fn signed(&self, call: &'static str, url: &str) -> Result<Url, StorageError> {
        let url =
            Url::parse(url).ok().filter(|url| url.scheme() == "https" || url.scheme() == self.base.scheme());
        url.ok_or_else(|| StorageError::Service { call, problem: "it gives no usable address".to_owned() })
    }
}

fn blob_key(digest: &str) -> String {
    format!("kiln-blob-{digest}")
}

async fn refused(method: &Method, url: &Url, response: Response) -> StorageError {
    RegistryError::Status(Box::new(to_status_error(method, url, response).await)).into()
}
