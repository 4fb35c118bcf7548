//! The cache service of Actions, played by a server that follows the public protocol: entries are created, uploaded to a
//! signed URL, finalized, found by key or prefix, and never change.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{post, put};
use axum::{Json, Router};
use kiln_registry::{
    Access, BlobSource, Client, ClientOptions, Descriptor, Document, Location, MediaType, PushOutcome,
    Storage, StorageError, sha256,
};
use serde_json::{Value, json};

const TOKEN: &str = "ey.token";

#[derive(Default)]
struct Service {
    base: String,
    /// Entries by key in the order of their creation: version, bytes, whether they are finalized.
    entries: Vec<(String, String, Vec<u8>, bool)>,
    calls: BTreeMap<String, usize>,
}

type Shared = Arc<Mutex<Service>>;

async fn call(
    State(service): State<Shared>,
    Path(name): Path<String>,
    headers: HeaderMap,
    Json(request): Json<Value>,
) -> Result<Json<Value>, StatusCode> {
    if headers["authorization"] != format!("Bearer {TOKEN}") {
        return Err(StatusCode::UNAUTHORIZED);
    }
    let text = |field: &str| request[field].as_str().unwrap().to_owned();
    let (key, version) = (text("key"), text("version"));
    let mut service = service.lock().unwrap();
    *service.calls.entry(name.clone()).or_default() += 1;
    let base = service.base.clone();
    let position = service.entries.iter().position(|entry| entry.0 == key && entry.1 == version);
    match name.as_str() {
        "CreateCacheEntry" if position.is_some() => Err(StatusCode::CONFLICT),
        "CreateCacheEntry" => {
            service.entries.push((key, version, Vec::new(), false));
            let number = service.entries.len() - 1;
            Ok(Json(json!({ "ok": true, "signed_upload_url": format!("{base}/data/{number}?sig=x") })))
        }
        "FinalizeCacheEntryUpload" => {
            let entry = &mut service.entries[position.ok_or(StatusCode::NOT_FOUND)?];
            assert_eq!(text("size_bytes"), entry.2.len().to_string());
            entry.3 = true;
            Ok(Json(json!({ "ok": true, "entry_id": "1" })))
        }
        "GetCacheEntryDownloadURL" => {
            let prefixes = request["restore_keys"].as_array().unwrap().iter();
            let mut wanted = vec![key];
            wanted.extend(prefixes.map(|prefix| prefix.as_str().unwrap().to_owned()));
            let found = wanted.iter().find_map(|prefix| {
                service.entries.iter().rposition(|(key, has, _, done)| {
                    *done && *has == version && key.starts_with(prefix.as_str())
                })
            });
            let Some(number) = found else { return Ok(Json(json!({ "ok": false }))) };
            let matched = &service.entries[number].0;
            let url = format!("{base}/data/{number}?sig=x");
            Ok(Json(json!({ "ok": true, "signed_download_url": url, "matched_key": matched })))
        }
        _ => Err(StatusCode::NOT_FOUND),
    }
}

async fn upload(
    State(service): State<Shared>,
    Path(number): Path<usize>,
    headers: HeaderMap,
    bytes: Bytes,
) -> StatusCode {
    assert_eq!(headers["x-ms-blob-type"], "BlockBlob");
    assert!(!headers.contains_key("authorization"), "the token is the service's, not the store's");
    service.lock().unwrap().entries[number].2 = bytes.to_vec();
    StatusCode::CREATED
}

async fn download(State(service): State<Shared>, Path(number): Path<usize>) -> Vec<u8> {
    service.lock().unwrap().entries[number].2.clone()
}

async fn start() -> Shared {
    let service = Shared::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    service.lock().unwrap().base = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new()
        .route("/twirp/github.actions.results.api.v1.CacheService/{name}", post(call))
        .route("/data/{number}", put(upload).get(download))
        .with_state(Arc::clone(&service));
    tokio::spawn(async move { axum::serve(listener, router).await });
    service
}

fn storage(service: &Shared, scope: &str, token: &str) -> Storage {
    let access = Access { token: Some(token.to_owned()), keys: None };
    let client = Client::new(ClientOptions { access, ..ClientOptions::default() }).unwrap();
    let url = service.lock().unwrap().base.clone();
    client.storage(&Location::Actions { url, scope: scope.to_owned() }, None).unwrap()
}

fn document(text: &str) -> Document {
    let config = Descriptor::new(MediaType::ImageConfig, text.len() as u64, sha256(text.as_bytes()));
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MediaType::ImageManifest, "config": config, "layers": [],
    });
    Document::new(manifest.to_string(), MediaType::ImageManifest)
}

#[tokio::test]
async fn what_is_put_there_comes_back() {
    let service = start().await;
    let storage = storage(&service, "main", TOKEN);
    assert_eq!(storage.document().await.unwrap(), None);
    let bytes = vec![7; 700_000];
    let blob = Descriptor::new(MediaType::ImageLayerGzip, 700_000, sha256(&bytes));
    let source = BlobSource::bytes(bytes.clone());
    assert_eq!(storage.put_blob(&blob, &source, None).await.unwrap(), PushOutcome::Uploaded);
    assert_eq!(storage.put_blob(&blob, &source, None).await.unwrap(), PushOutcome::Existed);
    assert_eq!(storage.small_blob(&blob, 1 << 20).await.unwrap(), bytes);
    // Entries never change: the newest one counts.
    for text in ["first", "second"] {
        storage.put_document(&document(text)).await.unwrap();
        assert_eq!(storage.document().await.unwrap(), Some(document(text)));
    }
    let other = self::storage(&service, "other", TOKEN);
    assert_eq!(other.document().await.unwrap(), None, "scopes are apart");
}

#[tokio::test]
async fn what_goes_wrong_is_told() {
    let service = start().await;
    let missing = Descriptor::new(MediaType::ImageLayerGzip, 1, sha256(b"x"));
    let good = storage(&service, "main", TOKEN);
    assert!(good.small_blob(&missing, 10).await.unwrap_err().is_not_found());
    let stranger = storage(&service, "main", "another");
    let error = stranger.document().await.unwrap_err();
    assert!(matches!(error, StorageError::Registry(_)) && error.to_string().contains("401"), "{error}");
    // An upload that did not come to its end is no entry.
    let wrong = BlobSource::bytes("y");
    assert!(good.put_blob(&missing, &wrong, None).await.is_err());
    assert!(good.small_blob(&missing, 10).await.unwrap_err().is_not_found());
    // Bytes that changed in the store are noticed.
    let blob = Descriptor::new(MediaType::ImageLayerGzip, 5, sha256(b"bytes"));
    good.put_blob(&blob, &BlobSource::bytes("bytes"), None).await.unwrap();
    service.lock().unwrap().entries.last_mut().unwrap().2 = b"Bytes".to_vec();
    assert!(matches!(good.small_blob(&blob, 10).await, Err(StorageError::Verify { .. })));
}
