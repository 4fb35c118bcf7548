//! Pushing to a registry that behaves, and to one that does not.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use kiln_registry::testing::{Fault, Login, TestImage, TestRegistry, Trouble};
use kiln_registry::{
    BlobSource, Client, Descriptor, MediaType, PushOutcome, Reference, RegistryError, sha256,
};

use crate::support::{client, client_with_config, noise, read, reference, text};

fn descriptor(bytes: &[u8]) -> Descriptor {
    Descriptor::new(MediaType::ImageLayer, bytes.len() as u64, sha256(bytes))
}

async fn push(client: &Client, reference: &Reference, bytes: &[u8]) -> Result<PushOutcome, RegistryError> {
    let source = BlobSource::bytes(bytes.to_vec());
    client.push_blob(reference, &descriptor(bytes), &source, None, |_| {}).await
}

#[tokio::test]
async fn a_blob_goes_once_and_in_one_piece() {
    let registry = TestRegistry::start().await;
    let (client, reference) = (client(), reference(&registry, "a/b:t"));
    for size in [0, 1, 262_144, 262_145, 3_000_000] {
        let blob = noise(size);
        assert_eq!(push(&client, &reference, &blob).await.unwrap(), PushOutcome::Uploaded, "{size}");
        assert_eq!(push(&client, &reference, &blob).await.unwrap(), PushOutcome::Existed, "{size}");
        assert_eq!(read(&client, &reference, &descriptor(&blob)).await.unwrap(), blob);
    }
    let digest = sha256(b"");
    let escaped = digest.to_string().replace(':', "%3A");
    assert_eq!(
        registry.requests()[..4],
        [
            format!("HEAD /v2/a/b/blobs/{digest}"),
            "POST /v2/a/b/blobs/uploads/".to_owned(),
            format!("PUT /v2/a/b/blobs/uploads/1?_state=kept&digest={escaped}"),
            format!("HEAD /v2/a/b/blobs/{digest}"),
        ]
    );
}

#[tokio::test]
async fn progress_reaches_the_size() {
    let registry = TestRegistry::start().await;
    let blob = noise(1_000_000);
    let sent = Arc::new(AtomicU64::new(0));
    let told = Arc::clone(&sent);
    let source = BlobSource::bytes(blob.clone());
    let reference = reference(&registry, "a:t");
    let report = move |bytes| {
        assert!(told.swap(bytes, Ordering::Relaxed) < bytes);
    };
    client().push_blob(&reference, &descriptor(&blob), &source, None, report).await.unwrap();
    assert_eq!(sent.load(Ordering::Relaxed), 1_000_000);
}

#[tokio::test]
async fn a_blob_of_another_repository_is_mounted() {
    let registry = TestRegistry::start().await;
    registry.put_blob("base", "layer");
    let reference = reference(&registry, "a:t");
    let mount = async |bytes: &'static str, from| {
        let source = BlobSource::bytes(bytes);
        client()
            .push_blob(&reference, &descriptor(bytes.as_bytes()), &source, Some(from), |_| {})
            .await
            .unwrap()
    };
    assert_eq!(mount("layer", "base").await, PushOutcome::Mounted);
    assert_eq!(mount("other", "base").await, PushOutcome::Uploaded);
    assert_eq!(registry.blob("a", &sha256(b"other")).unwrap(), "other");
    // Mounting from itself is no mount.
    assert_eq!(mount("third", "a").await, PushOutcome::Uploaded);
    assert!(!registry.requests().last().unwrap().contains("mount"));
}

#[tokio::test]
async fn a_mount_asks_for_both_scopes_and_can_be_refused() {
    let registry = TestRegistry::with_login(Login::AnonymousToken).await;
    registry.put_blob("base", "layer");
    let reference = reference(&registry, "a:t");
    let source = BlobSource::bytes("layer");
    let digest = descriptor(b"layer");
    registry.order(Fault::once("POST", "/uploads/", Fault::status(403)));
    let outcome = client().push_blob(&reference, &digest, &source, Some("base"), |_| {}).await.unwrap();
    assert_eq!(outcome, PushOutcome::Uploaded);
    let token = "scope=repository%3Aa%3Apull%2Cpush&scope=repository%3Abase%3Apull";
    let registry = TestRegistry::with_login(Login::AnonymousToken).await;
    registry.put_blob("base", "layer");
    let reference = crate::support::reference(&registry, "a:t");
    let outcome = client().push_blob(&reference, &digest, &source, Some("base"), |_| {}).await.unwrap();
    assert_eq!(outcome, PushOutcome::Mounted);
    assert!(registry.requests().iter().any(|request| request.contains(token)), "{:?}", registry.requests());
}

#[tokio::test]
async fn an_upload_starts_anew_after_a_temporary_failure() {
    let registry = TestRegistry::start().await;
    let blob = noise(1_000_000);
    let reference = reference(&registry, "a:t");
    registry.order(Fault::once("POST", "/uploads/", Fault::status(500)));
    registry.order(Fault::once("PUT", "/uploads/", Fault::status(503)));
    assert_eq!(push(&client(), &reference, &blob).await.unwrap(), PushOutcome::Uploaded);
    assert_eq!(registry.blob("a", &sha256(&blob)).unwrap(), blob);
    registry.order(Fault::always("PUT", "/manifests/", Fault::status(503)).times(2));
    let image = TestImage::new("linux/amd64", &[]);
    client().put_manifest(&reference, &image.manifest).await.unwrap();
}

#[tokio::test]
async fn a_registry_without_head_gets_the_blob_all_the_same() {
    let registry = TestRegistry::start().await;
    let reference = reference(&registry, "a:t");
    registry.order(Fault::always("HEAD", "/blobs/", Fault::status(405)));
    assert_eq!(push(&client(), &reference, b"x").await.unwrap(), PushOutcome::Uploaded);
    assert_eq!(push(&client(), &reference, b"x").await.unwrap(), PushOutcome::Uploaded);
}

#[tokio::test]
async fn the_upload_may_go_to_another_host_without_the_login() {
    let registry = TestRegistry::with_login(Login::Basic("me", "pw")).await;
    let storage = TestRegistry::start().await;
    let location = format!("http://{}/v2/a/blobs/uploads/7?_state=kept", storage.host());
    registry.order(Fault::always("POST", "/uploads/", Trouble::Header("location", Some(location))));
    let auth = format!(r#"{{"auths":{{"{}":{{"auth":"bWU6cHc="}}}}}}"#, registry.host());
    let (client, _dir) = client_with_config(&auth);
    let reference = reference(&registry, "a:t");
    assert_eq!(push(&client, &reference, b"x").await.unwrap(), PushOutcome::Uploaded);
    assert_eq!(storage.seen().len(), 1);
    assert!(storage.seen()[0].authorization.is_none());
}

#[tokio::test]
async fn a_blob_that_is_not_what_it_should_be_is_not_sent() {
    let registry = TestRegistry::start().await;
    let reference = reference(&registry, "a:t");
    let blob = noise(600_000);
    let mut wrong = blob.to_vec();
    wrong[599_999] ^= 1;
    for (content, problem) in
        [(wrong, "has digest"), (blob[..599_999].to_vec(), "has 599999 bytes, expected 600000")]
    {
        let source = BlobSource::bytes(content);
        let error =
            client().push_blob(&reference, &descriptor(&blob), &source, None, |_| {}).await.unwrap_err();
        assert!(matches!(error, RegistryError::Verify { .. }), "{error:?}");
        assert!(text(&error).contains(problem), "{error:?}");
    }
    let gone = BlobSource::file("/nonexistent/blob");
    let error = client().push_blob(&reference, &descriptor(&blob), &gone, None, |_| {}).await.unwrap_err();
    assert!(matches!(error, RegistryError::Source { .. }), "{error:?}");
    assert_eq!(registry.blob("a", &sha256(&blob)), None);
}

#[tokio::test]
async fn manifests_go_by_tag_or_by_digest() {
    let registry = TestRegistry::start().await;
    let image = TestImage::new("linux/amd64", &[b"one"]);
    let tagged = reference(&registry, "a:t");
    let digest = client().put_manifest(&tagged, &image.manifest).await.unwrap();
    assert_eq!(digest, image.manifest.digest);
    let (media_type, bytes) = registry.manifest("a", "t").unwrap();
    assert_eq!(
        (media_type.as_str(), bytes),
        (image.manifest.media_type.as_ref(), image.manifest.bytes.clone())
    );
    let pinned = Reference::parse(&format!("{}/b@{digest}", registry.host())).unwrap();
    client().put_manifest(&pinned, &image.manifest).await.unwrap();
    assert!(registry.manifest("b", digest.as_ref()).is_some());
    let other = TestImage::new("linux/arm64", &[b"one"]);
    let error = client().put_manifest(&pinned, &other.manifest).await.unwrap_err();
    assert!(matches!(error, RegistryError::Verify { .. }), "{error:?}");
}

#[tokio::test]
async fn a_registry_that_stored_something_else_is_not_believed() {
    let registry = TestRegistry::start().await;
    let reference = reference(&registry, "a:t");
    let other = sha256(b"other").to_string();
    registry.order(Fault::always("PUT", "/", Trouble::Header("docker-content-digest", Some(other))));
    let image = TestImage::new("linux/amd64", &[]);
    assert!(matches!(
        client().put_manifest(&reference, &image.manifest).await,
        Err(RegistryError::Verify { .. })
    ));
    assert!(matches!(push(&client(), &reference, b"x").await, Err(RegistryError::Verify { .. })));
}

#[tokio::test]
async fn an_answer_without_a_location() {
    let registry = TestRegistry::start().await;
    registry.order(Fault::always("POST", "/uploads/", Trouble::Header("location", None)));
    let error = push(&client(), &reference(&registry, "a:t"), b"x").await.unwrap_err();
    assert!(text(&error).ends_with("the answer has no Location to upload to"), "{error:?}");
}

#[tokio::test]
async fn the_source_is_opened_for_every_try() {
    let registry = TestRegistry::start().await;
    let opened = Arc::new(Mutex::new(0));
    let count = Arc::clone(&opened);
    let source = BlobSource::new(move || {
        *count.lock().unwrap() += 1;
        Ok(&b"content"[..])
    });
    registry.order(Fault::once("PUT", "/uploads/", Fault::status(502)).times(2));
    let reference = reference(&registry, "a:t");
    client().push_blob(&reference, &descriptor(b"content"), &source, None, |_| {}).await.unwrap();
    assert_eq!(*opened.lock().unwrap(), 3);
}
