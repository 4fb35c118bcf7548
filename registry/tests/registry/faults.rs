//! Pulling from a registry and over a network that misbehave.

use std::time::Duration;

use kiln_registry::testing::{Fault, Seen, TestImage, TestRegistry, Trouble};
use kiln_registry::{BlobSource, Client, ClientOptions, Descriptor, MediaType, RegistryError, sha256};

use crate::support::{client, noise, options, read, reference, text};

fn ranges(registry: &TestRegistry) -> Vec<Option<String>> {
    registry.seen().into_iter().map(|seen| seen.range).collect()
}

#[tokio::test]
async fn temporary_errors_are_waited_out() {
    let registry = TestRegistry::start().await;
    let image = TestImage::new("linux/amd64", &[b"one"]);
    registry.put_image("a", "t", &image);
    let reference = reference(&registry, "a:t");
    let busy = Trouble::Status(429, vec![("retry-after", "3600".into())], String::new());
    for trouble in [Fault::status(500), Fault::status(503), busy, Trouble::Cut(10)] {
        registry.order(Fault::once("GET", "/manifests/", trouble.clone()).times(2));
        registry.order(Fault::once("GET", "/blobs/", trouble).times(2));
        client().resolve(&reference, "linux/amd64").await.unwrap();
    }
}

#[tokio::test]
async fn but_not_for_ever() {
    let registry = TestRegistry::start().await;
    let descriptor = registry.put_blob("a", noise(1000));
    let reference = reference(&registry, "a:t");
    registry.order(Fault::always("GET", "/blobs/", Fault::status(503)));
    let error = read(&client(), &reference, &descriptor).await.unwrap_err();
    assert!(error.is_temporary() && text(&error).contains("503"));
    assert_eq!(registry.requests().len(), 3);
}

#[tokio::test]
async fn lasting_errors_are_not_tried_again() {
    let registry = TestRegistry::start().await;
    let reference = reference(&registry, "a:t");
    for status in [400, 403, 404, 501] {
        registry.order(Fault::always("GET", "/manifests/", Fault::status(status)).times(1));
        let before = registry.requests().len();
        let error = client().manifest(&reference).await.unwrap_err();
        assert_eq!(error.status().unwrap().as_u16(), status);
        assert_eq!(registry.requests().len(), before + 1);
    }
}

#[tokio::test]
async fn a_broken_connection_is_resumed_where_it_broke() {
    let registry = TestRegistry::start().await;
    let blob = noise(1_000_000);
    let descriptor = registry.put_blob("a", blob.clone());
    let reference = reference(&registry, "a:t");
    registry.order(Fault::once("GET", "/blobs/", Trouble::Cut(300_000)));
    registry.order(Fault::once("GET", "/blobs/", Trouble::Cut(300_000)));
    registry.order(Fault::once("GET", "/blobs/", Trouble::Cut(300_000)));
    assert_eq!(read(&client(), &reference, &descriptor).await.unwrap(), blob);
    let ranges = ranges(&registry);
    assert_eq!(ranges.len(), 4);
    assert_eq!(ranges[0], None);
    let starts: Vec<u64> = ranges[1..]
        .iter()
        .map(|range| range.as_ref().unwrap()["bytes=".len()..].trim_end_matches('-').parse().unwrap())
        .collect();
    assert!(starts.windows(2).all(|pair| pair[0] < pair[1]) && starts[2] <= 900_000, "{starts:?}");
}

#[tokio::test]
async fn also_by_a_registry_without_ranges() {
    let registry = TestRegistry::start().await;
    let blob = noise(1_000_000);
    let descriptor = registry.put_blob("a", blob.clone());
    registry.order(Fault::once("GET", "/blobs/", Trouble::Cut(500_000)));
    registry.order(Fault::always("GET", "/blobs/", Trouble::NoRange));
    assert_eq!(read(&client(), &reference(&registry, "a:t"), &descriptor).await.unwrap(), blob);
    assert_eq!(registry.requests().len(), 2);
}

#[tokio::test]
async fn a_range_that_is_another_one_is_noticed() {
    let registry = TestRegistry::start().await;
    let descriptor = registry.put_blob("a", noise(1_000_000));
    registry.order(Fault::once("GET", "/blobs/", Trouble::Cut(500_000)));
    registry.order(Fault::always("GET", "/blobs/", Trouble::WrongRange(7)));
    let error = read(&client(), &reference(&registry, "a:t"), &descriptor).await.unwrap_err();
    assert!(text(&error).contains("another part of the blob"), "{error:?}");
}

#[tokio::test]
async fn a_stalled_connection_is_given_up_and_resumed() {
    let registry = TestRegistry::start().await;
    let blob = noise(100_000);
    let descriptor = registry.put_blob("a", blob.clone());
    let reference = reference(&registry, "a:t");
    let client = Client::new(ClientOptions { read_timeout: Duration::from_millis(50), ..options() }).unwrap();
    registry.order(Fault::once("GET", "/blobs/", Trouble::Stall(60_000)));
    assert_eq!(read(&client, &reference, &descriptor).await.unwrap(), blob);
    registry.order(Fault::always("GET", "/blobs/", Trouble::Stall(0)));
    let error = read(&client, &reference, &descriptor).await.unwrap_err();
    assert!(matches!(error, RegistryError::Stalled { .. }), "{error:?}");
}

#[tokio::test]
async fn a_blob_that_ends_early_each_time() {
    let registry = TestRegistry::start().await;
    let descriptor = registry.put_blob("a", noise(1000));
    registry.order(Fault::always("GET", "/blobs/", Trouble::Truncate(0)));
    let error = read(&client(), &reference(&registry, "a:t"), &descriptor).await.unwrap_err();
    assert!(matches!(error, RegistryError::Truncated { received: 0, size: 1000, .. }), "{error:?}");
}

#[tokio::test]
async fn wrong_bytes_are_an_error_and_the_last_are_not_delivered() {
    let registry = TestRegistry::start().await;
    let descriptor = registry.put_blob("a", noise(200_000));
    let reference = reference(&registry, "a:t");
    let mut wrong = noise(200_000).to_vec();
    wrong[199_999] ^= 1;
    registry.order(Fault::always("GET", "/blobs/", Trouble::Bytes(wrong.into())));
    let client = client();
    let mut reader = client.blob(&reference, &descriptor);
    let mut received = 0;
    let error = loop {
        match reader.chunk().await {
            Ok(chunk) => received += chunk.expect("an end without an error").len(),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, RegistryError::Verify { .. }), "{error:?}");
    assert!(received < 200_000);
    assert_eq!(registry.requests().len(), 1);
}

#[tokio::test]
async fn a_length_that_lies() {
    let registry = TestRegistry::start().await;
    let descriptor = registry.put_blob("a", noise(1000));
    let reference = reference(&registry, "a:t");
    registry.order(Fault::always("GET", "/blobs/", Trouble::Length(5000)));
    let error = read(&client(), &reference, &descriptor).await.unwrap_err();
    assert!(text(&error).contains("5000 bytes where the descriptor says 1000"), "{error:?}");
}

#[tokio::test]
async fn blobs_on_another_host_are_followed_without_the_login() {
    let registry = TestRegistry::with_login(kiln_registry::testing::Login::Basic("me", "pw")).await;
    let storage = TestRegistry::start().await;
    let blob = noise(100_000);
    let descriptor = registry.put_blob("a", blob.clone());
    storage.put_blob("a", blob.clone());
    let target = format!("http://{}/v2/a/blobs/{}?signature=x", storage.host(), descriptor.digest());
    registry.order(Fault::always("GET", "/blobs/", Trouble::Redirect(target)));
    storage.order(Fault::once("GET", "/blobs/", Trouble::Cut(50_000)));
    let auth = format!(r#"{{"auths":{{"{}":{{"auth":"bWU6cHc="}}}}}}"#, registry.host());
    let (client, _dir) = crate::support::client_with_config(&auth);
    // Warm the login up, so that there is a header that could leak.
    let reference = reference(&registry, "a:t");
    assert!(client.has_blob(&reference, descriptor.digest()).await.unwrap());
    assert_eq!(read(&client, &reference, &descriptor).await.unwrap(), blob);
    let seen = storage.seen();
    assert_eq!(seen.len(), 2);
    assert!(seen.iter().all(|Seen { authorization, .. }| authorization.is_none()), "{seen:?}");
    assert!(seen[1].range.is_some());
}

#[tokio::test]
async fn a_foreign_host_gets_no_login_even_if_it_asks() {
    let registry = TestRegistry::start().await;
    let thief = TestRegistry::with_login(kiln_registry::testing::Login::Basic("me", "pw")).await;
    let descriptor = registry.put_blob("a", noise(10));
    let target = format!("http://{}/v2/a/blobs/{}", thief.host(), descriptor.digest());
    registry.order(Fault::always("GET", "/blobs/", Trouble::Redirect(target)));
    let auth = r#"{"auth":"bWU6cHc="}"#;
    let auths = format!(r#"{{"auths":{{"{}":{auth},"{}":{auth}}}}}"#, registry.host(), thief.host());
    let (client, _dir) = crate::support::client_with_config(&auths);
    let error = read(&client, &reference(&registry, "a:t"), &descriptor).await.unwrap_err();
    assert!(error.is_unauthorized(), "{error:?}");
    assert!(thief.seen().iter().all(|seen| seen.authorization.is_none()));
}

#[tokio::test]
async fn redirects_end() {
    let registry = TestRegistry::start().await;
    let descriptor = registry.put_blob("a", noise(10));
    let here = format!("/v2/a/blobs/{}", descriptor.digest());
    registry.order(Fault::always("GET", "/blobs/", Trouble::Redirect(here)));
    let error = read(&client(), &reference(&registry, "a:t"), &descriptor).await.unwrap_err();
    assert_eq!(error.status().unwrap().as_u16(), 307);
    registry.order(Fault::always("GET", "/manifests/", Trouble::Redirect("file:///etc/passwd".into())));
    let error = client().manifest(&reference(&registry, "a:t")).await.unwrap_err();
    assert!(matches!(error, RegistryError::Redirect { .. }), "{error:?}");
}

#[tokio::test]
async fn a_registry_that_falls_silent() {
    let registry = TestRegistry::start().await;
    let reference = reference(&registry, "a:t");
    let client = Client::new(ClientOptions { read_timeout: Duration::from_millis(20), ..options() }).unwrap();
    registry.order(Fault::always("GET", "/manifests/", Trouble::Silence));
    registry.order(Fault::always("PUT", "/uploads/", Trouble::Silence));
    let error = client.manifest(&reference).await.unwrap_err();
    assert!(matches!(error, RegistryError::Stalled { .. }), "{error:?}");
    let blob = noise(100_000);
    let descriptor = Descriptor::new(MediaType::ImageLayer, 100_000, sha256(&blob));
    let source = BlobSource::bytes(blob);
    let error = client.push_blob(&reference, &descriptor, &source, None, |_| {}).await.unwrap_err();
    assert!(matches!(error, RegistryError::Stalled { .. }), "{error:?}");
}

#[tokio::test]
async fn a_bad_start_does_not_settle_the_scheme() {
    let registry = TestRegistry::start().await;
    let image = TestImage::new("linux/amd64", &[b"one"]);
    registry.put_image("a", "t", &image);
    for trouble in [Trouble::Length(7), Fault::status(503), Fault::status(400)] {
        registry.order(Fault::once("GET", "/v2/", trouble));
        client().resolve(&reference(&registry, "a:t"), "linux/amd64").await.unwrap();
    }
}
