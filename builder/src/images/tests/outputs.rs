//! Images as outputs: packed as asked, annotated, attested, dated, and written where they are wanted.

use std::collections::BTreeMap;
use std::fs;

use kiln_cache::Compression;
use kiln_registry::archive::{ArchiveError, open};
use kiln_registry::testing::TestRegistry;
use kiln_registry::{DOCKER_LAYER_GZIP, DOCKER_MANIFEST, DOCKER_MANIFEST_LIST, Document, MediaType};
use serde_json::{Value, json};

use super::*;

fn attestation(inline_only: bool) -> Attestation {
    Attestation {
        predicate_type: "https://slsa.dev/provenance/v1".into(),
        predicate: json!({ "builder": "test" }),
        filename: "provenance.json".into(),
        inline_only,
    }
}

async fn bundle(fixture: &Fixture, record: &ImageRecord, packing: &Packing, stated: bool) -> Bundle {
    let attestations = if stated { vec![vec![attestation(false)]] } else { Vec::new() };
    let names = [name("app:1")];
    let request = BundleRequest {
        images: std::slice::from_ref(record),
        is_index: false,
        packing,
        is_complete: true,
        attestations: &attestations,
        names: &names,
    };
    fixture.images.bundle(request, &progress()).await.unwrap()
}

fn json_of(document: &Document) -> Value {
    serde_json::from_slice(&document.bytes).unwrap()
}

fn layer_types(bundle: &Bundle) -> Vec<String> {
    let manifest = json_of(bundle.manifests().0[0]);
    let layers = manifest["layers"].as_array().unwrap();
    layers.iter().map(|layer| layer["mediaType"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn layers_are_compressed_as_asked_whatever_there_is_already() {
    let fixture = Fixture::new();
    let record = sample(&fixture);
    let packing = |compression, level| Packing { compression, level, ..Packing::default() };
    let usual = bundle(&fixture, &record, &Packing::default(), false).await;
    for (compression, expected) in [
        (Compression::Zstd, MediaType::ImageLayerZstd),
        (Compression::None, MediaType::ImageLayer),
        (Compression::Gzip, MediaType::ImageLayerGzip),
    ] {
        let packed = bundle(&fixture, &record, &packing(Some(compression), None), false).await;
        assert_eq!(layer_types(&packed), [expected.to_string(), expected.to_string()]);
    }
    let best = bundle(&fixture, &record, &packing(Some(Compression::Gzip), Some(9)), false).await;
    assert_ne!(best.root().digest, usual.root().digest);
    let again = bundle(&fixture, &record, &Packing::default(), false).await;
    assert_eq!(again.root(), usual.root(), "what was asked for before does not matter");
}

#[tokio::test(flavor = "multi_thread")]
async fn layers_from_elsewhere_keep_their_form_unless_all_are_to_have_one() {
    let registry = TestRegistry::start().await;
    let (here, there) = (Fixture::new(), Fixture::new());
    let record = sample(&here);
    let reference = name(&format!("{}/app:1", registry.host()));
    here.images.push(&record, &reference, &progress()).await.unwrap();
    let pulled = there.images.pull(&reference, "linux/amd64", false, &progress()).await.unwrap().record;
    let mut packing = Packing { compression: Some(Compression::Zstd), ..Packing::default() };
    let kept = bundle(&there, &pulled, &packing, false).await;
    assert_eq!(layer_types(&kept)[0], MediaType::ImageLayerGzip.to_string());
    packing.force_compression = true;
    let forced = bundle(&there, &pulled, &packing, false).await;
    assert_eq!(layer_types(&forced)[0], MediaType::ImageLayerZstd.to_string());
    // The image was made and pushed here: its layers are nobody else's.
    packing.force_compression = false;
    let own = here.images.find(record.id.as_ref()).unwrap();
    let own = bundle(&here, &own, &packing, false).await;
    assert_eq!(layer_types(&own)[0], MediaType::ImageLayerZstd.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn docker_s_formats_are_written_throughout() {
    let fixture = Fixture::new();
    let record = sample(&fixture);
    let packing = Packing { types: DocumentTypes::Docker, ..Packing::default() };
    let packed = bundle(&fixture, &record, &packing, false).await;
    assert_eq!(packed.root().media_type.to_string(), DOCKER_MANIFEST);
    assert_eq!(layer_types(&packed), [DOCKER_LAYER_GZIP, DOCKER_LAYER_GZIP]);
    let request = BundleRequest {
        images: &[record],
        is_index: true,
        packing: &packing,
        is_complete: true,
        attestations: &[],
        names: &[],
    };
    let list = fixture.images.bundle(request, &progress()).await.unwrap();
    assert_eq!(list.root().media_type.to_string(), DOCKER_MANIFEST_LIST);
}

#[tokio::test(flavor = "multi_thread")]
async fn annotations_are_where_they_belong() {
    let fixture = Fixture::new();
    let record = sample(&fixture);
    let mut packing = Packing::default();
    for key in ["annotation.m", "annotation-manifest-descriptor.d", "annotation-index.i"] {
        assert!(packing.annotations.add(key, "v").unwrap());
    }
    packing.annotations.add("annotation-manifest[linux/arm64].other", "v").unwrap();
    let packed = bundle(&fixture, &record, &packing, true).await;
    let index = json_of(packed.root());
    assert_eq!(index["annotations"], json!({ "i": "v" }));
    assert_eq!(index["manifests"][0]["annotations"], json!({ "d": "v" }));
    assert_eq!(json_of(packed.manifests().0[0])["annotations"], json!({ "m": "v" }));
    let single = bundle(&fixture, &record, &packing, false).await;
    assert_eq!(single.descriptor().annotations().clone().unwrap()["d"], "v");
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_stand_beside_the_image_in_its_index() {
    let fixture = Fixture::new();
    let record = sample(&fixture);
    let plain = bundle(&fixture, &record, &Packing::default(), false).await;
    let packed = bundle(&fixture, &record, &Packing::default(), true).await;
    assert_eq!(packed.manifests().0[0], plain.root(), "the image is the same, whatever is stated");
    let index = json_of(packed.root());
    let entry = &index["manifests"][1];
    let image = plain.root().digest.to_string();
    assert_eq!(entry["platform"], json!({ "os": "unknown", "architecture": "unknown" }));
    assert_eq!(
        entry["annotations"],
        json!({
            "vnd.docker.reference.type": "attestation-manifest",
            "vnd.docker.reference.digest": image,
        })
    );
    let manifest = json_of(packed.manifests().1[0]);
    assert_eq!(manifest["artifactType"], "application/vnd.docker.attestation.manifest.v1+json");
    assert_eq!(manifest["subject"]["digest"], image);
    let layer = &manifest["layers"][0];
    assert_eq!(layer["annotations"]["in-toto.io/predicate-type"], "https://slsa.dev/provenance/v1");
    let digest = layer["digest"].as_str().unwrap().parse().unwrap();
    let content = fixture.images.open_blob(&packed, &digest).unwrap();
    let statement: Value = serde_json::from_reader(content).unwrap();
    assert_eq!(statement["subject"][0]["name"], "pkg:docker/app@1?platform=linux%2Famd64");
    assert_eq!(statement["subject"][0]["digest"]["sha256"], plain.root().digest.digest());
    assert_eq!(statement["predicate"], json!({ "builder": "test" }));
    let images = Packing { artifacts: false, ..Packing::default() };
    let packed = bundle(&fixture, &record, &images, true).await;
    let manifest = json_of(packed.manifests().1[0]);
    assert_eq!(manifest["config"]["mediaType"], MediaType::ImageConfig.to_string());
    assert_eq!((&manifest["subject"], &manifest["artifactType"]), (&Value::Null, &Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_by_digest_names_nothing() {
    let registry = TestRegistry::start().await;
    let fixture = Fixture::new();
    let record = sample(&fixture);
    let reference = name(&format!("{}/app:1", registry.host()));
    for stated in [true, false] {
        let packed = bundle(&fixture, &record, &Packing::default(), stated).await;
        fixture.images.push_bundle(&packed, &reference, true, &progress()).await.unwrap();
        assert!(registry.manifest("app", "1").is_none());
        assert!(registry.manifest("app", packed.root().digest.as_ref()).is_some());
    }
    let packed = bundle(&fixture, &record, &Packing::default(), true).await;
    fixture.images.push_bundle(&packed, &reference, false, &progress()).await.unwrap();
    let (media_type, bytes) = registry.manifest("app", "1").unwrap();
    assert_eq!(media_type, MediaType::ImageIndex.to_string());
    assert!(bytes == packed.root().bytes);
    for manifest in packed.manifests().1 {
        assert!(registry.manifest("app", manifest.digest.as_ref()).is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_time_is_later_than_it_is_said_to_be() {
    let fixture = Fixture::new();
    let record = sample(&fixture);
    let clamped = fixture.images.clamped(&record, 1, 500, &progress()).await.unwrap();
    assert_eq!(clamped.layers[0], record.layers[0], "the base stays");
    assert_ne!(clamped.layers[1], record.layers[1]);
    let config = fixture.images.config(&clamped).unwrap();
    assert_eq!(config.created.as_deref(), Some("1970-01-01T00:08:20Z"));
    assert!(config.history.iter().all(|entry| entry.created == config.created));
    assert_eq!(config.rootfs.diff_ids[1], clamped.layers[1].to_string());
    assert_eq!(fixture.images.clamped(&record, 1, 500, &progress()).await.unwrap(), clamped);
    let late = fixture.images.clamped(&record, 1, 4_000_000_000, &progress()).await.unwrap();
    assert_eq!(late.id, record.id, "what is early enough stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layout_holds_several_images_each_under_its_names() {
    let fixture = Fixture::new();
    let dir = tempfile::tempdir().unwrap();
    let record = sample(&fixture);
    let packed = bundle(&fixture, &record, &Packing::default(), true).await;
    for names in [&[name("app:1")][..], &[name("app:1"), name("app:2")], &[], &[]] {
        fixture.images.write_layout(&packed, names, dir.path()).unwrap();
    }
    let index: Value = serde_json::from_slice(&fs::read(dir.path().join("index.json")).unwrap()).unwrap();
    let tags: Vec<Option<&str>> = index["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["annotations"]["org.opencontainers.image.ref.name"].as_str())
        .collect();
    assert_eq!(tags, [Some("1"), Some("2"), None]);
    assert!(!open(dir.path()).unwrap().images.is_empty());
    fs::write(dir.path().join("index.json"), "{").unwrap();
    assert!(fixture.images.write_layout(&packed, &[], dir.path()).is_err(), "what is not understood stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_for_docker_is_a_layout_too() -> Result<(), ArchiveError> {
    let (here, there) = (Fixture::new(), Fixture::new());
    let record = sample(&here);
    let packing = Packing { compression: Some(Compression::Zstd), ..Packing::default() };
    let packed = bundle(&here, &record, &packing, false).await;
    let bytes = here.images.write_bundle(&packed, &[name("app:1")], true, Vec::new()).unwrap();
    let again = here.images.write_bundle(&packed, &[name("app:1")], true, Vec::new()).unwrap();
    assert!(bytes == again);
    let has = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(has("manifest.json") && has("oci-layout"));
    let loaded = there.images.load(LoadSource::Stream(&mut bytes.as_slice())).unwrap();
    assert_eq!(loaded[0].record.id, record.id);
    archives::assert_tree(&there, "app:1").await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_dated_and_stated_as_asked() {
    let fixture = Fixture::new();
    let dir = tempfile::tempdir().unwrap();
    let record = sample(&fixture);
    let files = FileSet {
        time: Some(500),
        attestations: vec![attestation(false)],
        prefix: "of-".into(),
        ..FileSet::of(&record)
    };
    fixture.images.export_files(files.clone(), dir.path(), &progress()).await.unwrap();
    let time = |path: &str| {
        std::os::unix::fs::MetadataExt::mtime(&dir.path().join(path).symlink_metadata().unwrap())
    };
    assert_eq!(["dir", "dir/a", "link"].map(time), [500; 3]);
    let statement = fs::read(dir.path().join("of-provenance.json")).unwrap();
    let statement: Value = serde_json::from_slice(&statement).unwrap();
    let subjects: BTreeMap<&str, &str> = statement["subject"]
        .as_array()
        .unwrap()
        .iter()
        .map(|subject| (subject["name"].as_str().unwrap(), subject["digest"]["sha256"].as_str().unwrap()))
        .collect();
    assert_eq!(subjects.keys().copied().collect::<Vec<_>>(), ["dir/a", "dir/b", "top"]);
    assert_eq!(subjects["top"], kiln_registry::sha256(b"top layer").digest());

    let exclusive = FileSet { exclusive: true, ..FileSet::of(&record) };
    let error = fixture.images.export_files(exclusive, dir.path(), &progress()).await.unwrap_err();
    assert!(crate::text::chain(&error).contains("platform-split"), "{error:?}");

    let under = FileSet { under: "linux_amd64".into(), ..files };
    let bytes = fixture.images.export_tar_of(vec![under], Vec::new(), &progress()).await.unwrap();
    let mut archive = ::tar::Archive::new(bytes.as_slice());
    let entries = archive.entries().unwrap().map(|entry| {
        let entry = entry.unwrap();
        (entry.path().unwrap().display().to_string(), entry.header().mtime().unwrap())
    });
    let entries: BTreeMap<String, u64> = entries.collect();
    assert_eq!(entries["linux_amd64/dir/a"], 500);
    assert!(entries.contains_key("linux_amd64/of-provenance.json"), "{entries:?}");
}
