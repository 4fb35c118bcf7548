//! Pulling from a registry that behaves.

use bytes::Bytes;
use kiln_registry::testing::{Fault, TestImage, TestRegistry, Trouble};
use kiln_registry::{
    Client, ClientOptions, DOCKER_MANIFEST, Descriptor, Document, DocumentError, HostOptions, MAX_DOCUMENT,
    MediaType, Reference, RegistryError, sha256,
};

use crate::support::{client, noise, options, read, reference, text};

fn document_error(result: Result<impl Sized, RegistryError>) -> DocumentError {
    match result.map(drop) {
        Err(RegistryError::Document { source, .. }) => source,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn one_image_by_tag_and_by_digest() {
    let registry = TestRegistry::start().await;
    for image in
        [TestImage::new("linux/amd64", &[b"one", b"two"]), TestImage::docker("linux/amd64", &[b"one"])]
    {
        registry.put_image("a/b", "t", &image);
        let by_tag = reference(&registry, "a/b:t");
        let by_digest = by_tag.with_digest(image.manifest.digest.clone());
        for reference in [by_tag, by_digest] {
            let client = client();
            let resolved = client.resolve(&reference, "linux/amd64").await.unwrap();
            assert_eq!((&resolved.manifest, &resolved.config), (&image.manifest, &image.config));
            assert_eq!((resolved.platform.as_str(), resolved.index), ("linux/amd64", None));
            for (layer, descriptor) in image.layers.iter().zip(&resolved.layers) {
                assert_eq!(read(&client, &reference, descriptor).await.unwrap(), *layer);
            }
        }
    }
}

#[tokio::test]
async fn a_platform_of_an_index() {
    let registry = TestRegistry::start().await;
    let images = ["linux/amd64", "linux/arm/v6", "linux/arm64"].map(|p| TestImage::new(p, &[p.as_bytes()]));
    for image in &images {
        registry.put_image("a", "unused", image);
    }
    let index = TestImage::index(&images.each_ref());
    registry.put_manifest("a", "t", &index);
    let reference = reference(&registry, "a:t");
    let client = client();
    for (wanted, at) in [("linux/amd64", 0), ("linux/arm/v7", 1), ("linux/arm64/v8", 2)] {
        let resolved = client.resolve(&reference, wanted).await.unwrap();
        assert_eq!(resolved.manifest, images[at].manifest, "{wanted}");
        assert_eq!(resolved.index.as_ref(), Some(&index.digest));
    }
    let error = client.resolve(&reference, "linux/s390x").await.unwrap_err();
    assert!(
        text(&error).ends_with("no image for linux/s390x; it has linux/amd64, linux/arm/v6, linux/arm64")
    );
    assert_eq!(client.manifest(&reference).await.unwrap(), index);
    assert!(matches!(client.resolve(&reference, "nonsense").await, Err(RegistryError::Platform(_))));
}

#[tokio::test]
async fn mirrors_are_asked_first_and_passed_over_when_they_do_not_have_it() {
    let (origin, empty, mirror) =
        (TestRegistry::start().await, TestRegistry::start().await, TestRegistry::start().await);
    let image = TestImage::new("linux/amd64", &[b"one", b"two"]);
    origin.put_image("a/b", "t", &image);
    mirror.put_image("proxy/a/b", "t", &image);
    let reference = reference(&origin, "a/b:t");
    let client_with = |mirrors: Vec<String>| {
        let hosts = [(origin.host(), HostOptions { mirrors, ..HostOptions::default() })].into();
        Client::new(ClientOptions { hosts, ..options() }).unwrap()
    };
    let both = client_with(vec![empty.host(), format!("http://{}/proxy/", mirror.host())]);
    let resolved = both.resolve(&reference, "linux/amd64").await.unwrap();
    assert_eq!(resolved.manifest, image.manifest);
    for (layer, descriptor) in image.layers.iter().zip(&resolved.layers) {
        assert_eq!(read(&both, &reference, descriptor).await.unwrap(), *layer);
    }
    assert_eq!(both.manifest_digest(&reference).await.unwrap(), image.manifest.digest);
    assert!(!empty.requests().is_empty());
    assert_eq!(origin.requests(), [""; 0], "the mirror had everything");

    let useless = client_with(vec![empty.host()]);
    let resolved = useless.resolve(&reference, "linux/amd64").await.unwrap();
    assert_eq!(read(&useless, &reference, &resolved.layers[1]).await.unwrap(), *image.layers[1]);
    let missing = reference.with_tag("missing").unwrap();
    let error = text(&useless.resolve(&missing, "linux/amd64").await.unwrap_err());
    assert!(error.contains(&origin.host()), "the registry itself has the last word: {error}");
}

#[test]
fn a_mirror_that_has_no_name_is_refused_at_once() {
    let hosts = [(
        "r.example".to_owned(),
        HostOptions { mirrors: vec!["mirror".to_owned()], ..HostOptions::default() },
    )];
    let made = Client::new(ClientOptions { hosts: hosts.into(), ..options() });
    assert!(matches!(made, Err(RegistryError::Url { url }) if url == "mirror"));
}

#[tokio::test]
async fn the_digest_of_a_tag() {
    let registry = TestRegistry::start().await;
    let image = TestImage::new("linux/amd64", &[b"one"]);
    registry.put_image("a", "t", &image);
    let reference = reference(&registry, "a:t");
    assert_eq!(client().manifest_digest(&reference).await.unwrap(), image.manifest.digest);
    assert_eq!(registry.requests(), ["HEAD /v2/a/manifests/t"]);
    // Without the header, and without HEAD, the document is fetched.
    registry.order(Fault::once("HEAD", "/manifests/", Trouble::Header("docker-content-digest", None)));
    assert_eq!(client().manifest_digest(&reference).await.unwrap(), image.manifest.digest);
    registry.order(Fault::once("HEAD", "/manifests/", Fault::status(405)));
    assert_eq!(client().manifest_digest(&reference).await.unwrap(), image.manifest.digest);
}

#[tokio::test]
async fn blobs_of_all_sizes() {
    let registry = TestRegistry::start().await;
    let reference = reference(&registry, "a:t");
    let client = client();
    for size in [0, 1, 65_536, 3_000_000] {
        let blob = noise(size);
        let descriptor = registry.put_blob("a", blob.clone());
        assert_eq!(read(&client, &reference, &descriptor).await.unwrap(), blob);
    }
    let long = Descriptor::new(MediaType::ImageLayer, 1, sha256(b"12"));
    registry.put_blob("a", "12");
    assert!(
        text(&read(&client, &reference, &long).await.unwrap_err())
            .contains("has 2 bytes where the descriptor says 1")
    );
}

#[tokio::test]
async fn nothing_is_asked_before_it_is_needed() {
    let registry = TestRegistry::start().await;
    let descriptor = registry.put_blob("a", "x");
    drop(client().blob(&reference(&registry, "a:t"), &descriptor));
    assert!(registry.requests().is_empty());
}

#[tokio::test]
async fn what_is_not_there_is_said_plainly() {
    let registry = TestRegistry::start().await;
    let error = client().resolve(&reference(&registry, "a:t"), "linux/amd64").await.unwrap_err();
    assert!(error.is_not_found() && !error.is_temporary() && error.hint().is_some());
    let host = registry.host();
    let expected =
        format!("GET http://{host}/v2/a/manifests/t: 404 Not Found: manifest_unknown (MANIFEST_UNKNOWN)");
    assert_eq!(text(&error), expected);
    assert_eq!(registry.requests(), ["GET /v2/a/manifests/t"]);
}

#[tokio::test]
async fn a_registry_that_cannot_be_reached() {
    // A port that was free a moment ago.
    let registry = TestRegistry::start().await;
    let reference = reference(&registry, "a:t");
    let host = registry.host();
    drop(registry);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = Reference::parse(&format!("127.0.0.1:{}/a", listener.local_addr().unwrap().port())).unwrap();
    drop(listener);
    let error = client().resolve(&closed, "linux/amd64").await.unwrap_err();
    assert!(matches!(error, RegistryError::Connect { .. }), "{error:?}");
    assert!(error.hint().unwrap().starts_with("check that a registry listens on"));
    assert!(!text(&error).contains("/v2/"), "{host} {reference}");
    let cause = std::error::Error::source(&error).unwrap();
    assert!(cause.source().is_none() && cause.to_string().contains("refused"), "one cause: {cause}");
}

#[tokio::test]
async fn documents_that_two_readers_would_read_differently() {
    let registry = TestRegistry::start().await;
    let image = TestImage::new("linux/amd64", &[b"one"]);
    registry.put_image("a", "t", &image);
    let reference = reference(&registry, "a:x");
    let entry = image.entry();
    let manifest: serde_json::Value = serde_json::from_slice(&image.manifest.bytes).unwrap();
    let put = |value: &serde_json::Value, media_type: &str| {
        registry.put_manifest("a", "x", &Document::new(value.to_string(), MediaType::from(media_type)));
    };

    let mut both = manifest.clone();
    both["manifests"] = serde_json::json!([entry]);
    put(&both, MediaType::ImageManifest.as_ref());
    assert!(matches!(document_error(client().manifest(&reference).await), DocumentError::Ambiguous { .. }));

    put(&manifest, DOCKER_MANIFEST);
    assert!(matches!(document_error(client().manifest(&reference).await), DocumentError::MediaType { .. }));

    let schema1 = serde_json::json!({ "schemaVersion": 1, "name": "a", "fsLayers": [], "history": [] });
    put(&schema1, "application/vnd.docker.distribution.manifest.v1+prettyjws");
    let error = client().resolve(&reference, "linux/amd64").await.unwrap_err();
    assert!(error.hint().is_some());
    assert!(matches!(document_error(Err::<(), _>(error)), DocumentError::Schema1 { .. }));

    put(&serde_json::json!({ "schemaVersion": 2 }), "application/vnd.cncf.helm.chart");
    assert!(matches!(document_error(client().manifest(&reference).await), DocumentError::Unsupported { .. }));

    // An entry that calls a manifest an index.
    let mut lying = entry.clone();
    lying["mediaType"] = MediaType::ImageIndex.to_string().into();
    put(&serde_json::json!({ "schemaVersion": 2, "manifests": [lying] }), MediaType::ImageIndex.as_ref());
    assert!(matches!(
        document_error(client().resolve(&reference, "linux/amd64").await),
        DocumentError::MediaType { .. }
    ));
}

#[tokio::test]
async fn documents_of_generic_types_are_read_by_their_fields() {
    let registry = TestRegistry::start().await;
    let image = TestImage::new("linux/amd64", &[b"one"]);
    registry.put_image("a", "t", &image);
    let mut silent: serde_json::Value = serde_json::from_slice(&image.manifest.bytes).unwrap();
    silent.as_object_mut().unwrap().remove("mediaType");
    registry.put_manifest("a", "x", &Document::new(silent.to_string(), MediaType::from("application/json")));
    let resolved = client().resolve(&reference(&registry, "a:x"), "linux/amd64").await.unwrap();
    assert_eq!(resolved.manifest.media_type, MediaType::ImageManifest);
    registry.order(Fault::always(
        "GET",
        "/manifests/t",
        Trouble::Header(
            "content-type",
            Some("application/vnd.oci.image.manifest.v1+json; charset=utf-8".into()),
        ),
    ));
    client().resolve(&reference(&registry, "a:t"), "linux/amd64").await.unwrap();
}

#[tokio::test]
async fn documents_that_are_too_large() {
    let registry = TestRegistry::start().await;
    let size = usize::try_from(MAX_DOCUMENT).unwrap() + 1;
    registry.put_manifest("a", "t", &Document::new(vec![b' '; size], MediaType::ImageManifest));
    let reference = reference(&registry, "a:t");
    assert!(matches!(document_error(client().manifest(&reference).await), DocumentError::TooLarge { .. }));
    // Also when the length is not announced.
    registry.order(Fault::always("GET", "/manifests/", Trouble::Truncate(size)));
    assert!(matches!(document_error(client().manifest(&reference).await), DocumentError::TooLarge { .. }));
    // A configuration is refused by its descriptor, before it is asked for.
    let config = Descriptor::new(MediaType::ImageConfig, MAX_DOCUMENT + 1, sha256(b""));
    let before = registry.requests().len();
    assert!(matches!(
        document_error(client().blob_document(&reference, &config).await),
        DocumentError::TooLarge { .. }
    ));
    assert_eq!(registry.requests().len(), before);
}

#[tokio::test]
async fn an_image_whose_configuration_has_other_layers() {
    let registry = TestRegistry::start().await;
    let (one, two) = (TestImage::new("linux/amd64", &[b"1"]), TestImage::new("linux/amd64", &[b"1", b"2"]));
    registry.put_image("a", "t", &two);
    let mut manifest: serde_json::Value = serde_json::from_slice(&one.manifest.bytes).unwrap();
    manifest["config"] = serde_json::to_value(two.config.descriptor()).unwrap();
    registry.put_manifest("a", "x", &Document::new(manifest.to_string(), MediaType::ImageManifest));
    let error = document_error(client().resolve(&reference(&registry, "a:x"), "linux/amd64").await);
    assert!(matches!(error, DocumentError::LayerCount { layers: 1, diff_ids: 2, .. }));
}

#[tokio::test]
async fn wrong_content_is_never_believed() {
    let registry = TestRegistry::start().await;
    let image = TestImage::new("linux/amd64", &[b"one"]);
    registry.put_image("a", "t", &image);
    let reference = reference(&registry, "a:t");
    let pinned = reference.with_digest(image.manifest.digest.clone());
    let bytes = Bytes::from(image.manifest.bytes.iter().rev().copied().collect::<Vec<_>>());
    registry.order(Fault::always("GET", "/manifests/", Trouble::Bytes(bytes)));
    for reference in [&pinned, &reference] {
        let error = client().resolve(reference, "linux/amd64").await.unwrap_err();
        assert!(matches!(error, RegistryError::Verify { .. }), "{error:?}");
    }
}
