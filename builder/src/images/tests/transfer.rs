//! Push and pull against a registry in the process.

use kiln_registry::testing::{Fault, TestImage, TestRegistry, Trouble};
use kiln_registry::{MediaType, sha256};

use super::*;
use crate::event::Event;

/// The registry's requests that brought bytes into it.
fn uploads(registry: &TestRegistry) -> usize {
    let carries = |method: &str| matches!(method, "PATCH" | "PUT");
    registry.seen().iter().filter(|seen| carries(&seen.method) && seen.path.contains("/blobs/")).count()
}

fn at(registry: &TestRegistry, text: &str) -> Reference {
    name(&format!("{}/{text}", registry.host()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_built_image_comes_back_as_it_was() {
    let registry = TestRegistry::start().await;
    let (here, there) = (Fixture::new(), Fixture::new());
    let record = sample(&here);
    let reference = at(&registry, "app:1");
    here.images.name(&record, &reference).unwrap();
    let pushed = here.images.push(&record, &reference, &progress()).await.unwrap();
    assert_eq!((pushed.sent, pushed.existed), (2, 0));
    let (media_type, manifest) = registry.manifest("app", "1").unwrap();
    assert_eq!(media_type, MediaType::ImageManifest.to_string());
    assert_eq!((sha256(&manifest), manifest.len() as u64), (pushed.digest.clone(), pushed.size));

    let pulled = there.images.pull(&reference, "linux/amd64", false, &progress()).await.unwrap();
    assert!(pulled.is_new);
    assert_eq!((pulled.record.id, pulled.record.layers), (record.id.clone(), record.layers));
    assert_eq!(pulled.digest, Some(pushed.digest.clone()));
    archives::assert_tree(&there, &reference.to_string()).await;

    let inspected = here.images.inspect(&reference.to_string()).unwrap();
    assert_eq!(inspected.listed.repo_digests(), [format!("{}@{}", reference.name(), pushed.digest)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_registry_has_is_not_sent_again() {
    let registry = TestRegistry::start().await;
    let fixture = Fixture::new();
    let record = sample(&fixture);
    let first = fixture.images.push(&record, &at(&registry, "app:1"), &progress()).await.unwrap();
    let sent = uploads(&registry);
    let record = fixture.images.find(record.id.as_ref()).unwrap();
    let again = fixture.images.push(&record, &at(&registry, "app:2"), &progress()).await.unwrap();
    assert_eq!((again.digest, again.sent, again.existed), (first.digest.clone(), 0, 2));
    let other = fixture.images.push(&record, &at(&registry, "other:1"), &progress()).await.unwrap();
    assert_eq!((other.digest, other.sent, other.existed), (first.digest, 0, 2));
    assert!(uploads(&registry) <= sent + 1, "only the configuration may be sent: {:?}", registry.requests());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pulled_image_is_pushed_with_the_manifest_it_came_with() {
    let (from, to) = (TestRegistry::start().await, TestRegistry::start().await);
    let image = TestImage::docker("linux/amd64", &[b"one", b"two"]);
    from.put_image("base", "1", &image);
    let fixture = Fixture::new();
    let reference = at(&from, "base:1");
    // Only the documents are here: the layers are fetched on the way.
    let record = fixture.images.obtain(&reference, "linux/amd64", false, &progress()).await.unwrap();
    assert!(
        !from.requests().iter().any(|request| request.contains(image.descriptors()[0].digest().as_ref()))
    );
    let pushed = fixture.images.push(&record, &at(&to, "copy:1"), &progress()).await.unwrap();
    assert_eq!((pushed.digest, pushed.sent), (image.manifest.digest.clone(), 2));
    assert_eq!(to.manifest("copy", "1").unwrap().1, image.manifest.bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_nobody_takes_has_failed_and_was_not_cancelled() {
    let registry = TestRegistry::start().await;
    let reference = at(&registry, "app:1");
    drop(registry);
    let fixture = Fixture::new();
    let record = sample(&fixture);
    let (sender, mut events) = tokio::sync::mpsc::unbounded_channel();
    assert!(fixture.images.push(&record, &reference, &Progress::new(sender)).await.is_err());
    let mut endings = Vec::new();
    while let Ok(event) = events.try_recv() {
        endings.push(event);
    }
    assert!(endings.iter().any(|event| matches!(event, Event::Failed { .. })), "{endings:?}");
    assert!(!endings.iter().any(|event| matches!(event, Event::Cancelled { .. })), "{endings:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn layers_of_the_same_registry_are_mounted_not_moved() {
    let registry = TestRegistry::start().await;
    let image = TestImage::new("linux/amd64", &[b"one", b"two"]);
    registry.put_image("base", "1", &image);
    let fixture = Fixture::new();
    let record =
        fixture.images.obtain(&at(&registry, "base:1"), "linux/amd64", false, &progress()).await.unwrap();
    let pushed = fixture.images.push(&record, &at(&registry, "copy:1"), &progress()).await.unwrap();
    assert_eq!((pushed.sent, pushed.existed), (0, 2));
    let layer = image.descriptors()[0].digest().clone();
    let read =
        |seen: &kiln_registry::testing::Seen| seen.method == "GET" && seen.path.contains(layer.as_ref());
    assert!(!registry.seen().iter().any(read), "{:?}", registry.requests());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_pull_downloads_nothing() {
    let registry = TestRegistry::start().await;
    registry.put_image("base", "1", &TestImage::new("linux/amd64", &[b"one"]));
    let fixture = Fixture::new();
    let reference = at(&registry, "base:1");
    assert!(fixture.images.pull(&reference, "linux/amd64", false, &progress()).await.unwrap().is_new);
    let layer = sha256(b"one");
    let downloads = || registry.requests().iter().filter(|request| request.contains(layer.as_ref())).count();
    let before = downloads();
    assert!(!fixture.images.pull(&reference, "linux/amd64", false, &progress()).await.unwrap().is_new);
    assert_eq!(downloads(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_of_another_platform_than_the_one_asked_for_is_not_taken() {
    let registry = TestRegistry::start().await;
    registry.put_image("base", "1", &TestImage::new("linux/amd64", &[b"one"]));
    let fixture = Fixture::new();
    let reference = at(&registry, "base:1");
    let error = fixture.images.pull(&reference, "linux/arm64", true, &progress()).await.unwrap_err();
    assert!(error.to_string().ends_with("is an image for linux/amd64, and not for linux/arm64"), "{error}");
    assert!(matches!(fixture.images.named(&reference), Err(ImageError::NotFound { .. })));
    assert!(fixture.images.pull(&reference, "linux/arm64", false, &progress()).await.is_ok());
    drop(registry);
    // The store has it, for another platform, and nobody is there to be asked for this one.
    let error = fixture.images.obtain(&reference, "linux/arm64", false, &progress()).await.unwrap_err();
    assert!(error.to_string().contains("is in the store for linux/amd64; for linux/arm64"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_that_is_not_what_its_digest_says_leaves_the_old_name_alone() {
    let registry = TestRegistry::start().await;
    let fixture = Fixture::new();
    let reference = at(&registry, "base:1");
    registry.put_image("base", "1", &TestImage::new("linux/amd64", &[b"old"]));
    let old = fixture.images.pull(&reference, "linux/amd64", false, &progress()).await.unwrap();
    registry.put_image("base", "1", &TestImage::new("linux/amd64", &[b"new"]));
    let layer = sha256(b"new").to_string();
    for trouble in [Trouble::Bytes("nEw".into()), Trouble::Truncate(1), Fault::status(404)] {
        registry.order(Fault::once("GET", &layer, trouble.clone()).times(2));
        let error = fixture.images.pull(&reference, "linux/amd64", false, &progress()).await.unwrap_err();
        assert!(matches!(error, ImageError::Fetch(_)), "{trouble:?}: {error:?}");
        assert_eq!(fixture.images.named(&reference).unwrap().id, old.record.id, "{trouble:?}");
    }
    let fresh = at(&registry, "base:1").with_tag("2").unwrap();
    registry.put_image("base", "2", &TestImage::new("linux/amd64", &[b"third"]));
    registry.order(Fault::always("GET", sha256(b"third").as_ref(), Fault::status(404)));
    assert!(fixture.images.pull(&fresh, "linux/amd64", false, &progress()).await.is_err());
    assert!(matches!(fixture.images.named(&fresh), Err(ImageError::NotFound { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_registry_does_not_have_or_refuses_is_an_error_with_its_name() {
    let registry = TestRegistry::start().await;
    let fixture = Fixture::new();
    let error =
        fixture.images.pull(&at(&registry, "none:1"), "linux/amd64", false, &progress()).await.unwrap_err();
    assert!(error.to_string().contains("none:1"), "{error}");
    let record = sample(&fixture);
    registry.order(Fault::always("PUT", "/manifests/", Fault::status(403)));
    let refused = fixture.images.push(&record, &at(&registry, "app:1"), &progress()).await.unwrap_err();
    assert!(matches!(refused, ImageError::Registry(_)), "{refused:?}");
    assert!(fixture.images.inspect(record.id.as_ref()).unwrap().listed.repo_digests().is_empty());
    let pinned = at(&registry, "app:1").with_digest(record.id.clone());
    let error = fixture.images.push(&record, &pinned, &progress()).await.unwrap_err();
    assert!(matches!(error, ImageError::DigestName { .. }));
}
