//! The round trip with a real registry: Debian's `docker-registry`, started by the test.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use kiln_registry::testing::TestImage;
use kiln_registry::{BlobSource, Client, PushOutcome, Reference};
use tempfile::TempDir;

use crate::support::{client, client_with_config, noise, read, run};

struct DockerRegistry {
    process: Child,
    host: String,
    _dir: TempDir,
}

impl DockerRegistry {
    /// Starts a registry on a port of the system's choice and waits until it says which.
    fn start(auth: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("data");
        let htpasswd = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/registry/htpasswd");
        let auth = if auth {
            format!("auth:\n  htpasswd:\n    realm: test\n    path: {}\n", htpasswd.display())
        } else {
            String::new()
        };
        let config = format!(
            "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: 127.0.0.1:0\n{auth}",
            root.display()
        );
        let path = dir.path().join("config.yml");
        std::fs::write(&path, config).unwrap();
        let mut process = Command::new("docker-registry")
            .arg("serve")
            .arg(&path)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("these tests need docker-registry: {error}"));
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let host = lines.find_map(|line| {
            let line = line.ok()?;
            Some(line.split_once("listening on ")?.1.split('"').next()?.to_owned())
        });
        // Read on, or the registry stops when the pipe is full.
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, host: host.expect("docker-registry says where it listens"), _dir: dir }
    }

    fn reference(&self, rest: &str) -> Reference {
        Reference::parse(&format!("{}/{rest}", self.host)).unwrap()
    }
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn push(
    client: &Client,
    reference: &Reference,
    image: &TestImage,
    from: Option<&str>,
) -> Vec<PushOutcome> {
    let mut outcomes = Vec::new();
    for (descriptor, layer) in image.descriptors().iter().zip(&image.layers) {
        let source = BlobSource::bytes(layer.clone());
        outcomes.push(client.push_blob(reference, descriptor, &source, from, |_| {}).await.unwrap());
    }
    let config = BlobSource::bytes(image.config.bytes.clone());
    client.push_blob(reference, &image.config.descriptor(), &config, None, |_| {}).await.unwrap();
    client.put_manifest(reference, &image.manifest).await.unwrap();
    outcomes
}

#[tokio::test]
async fn pushed_and_pulled() {
    let registry = DockerRegistry::start(false);
    let image = TestImage::new("linux/amd64", &[&noise(2_000_000), b"small", b""]);
    let reference = registry.reference("team/app:v1");
    let uploaded = [PushOutcome::Uploaded; 3];
    assert_eq!(push(&client(), &reference, &image, None).await, uploaded);
    assert_eq!(push(&client(), &reference, &image, None).await, [PushOutcome::Existed; 3]);
    let mounted = registry.reference("team/other:v1");
    assert_eq!(push(&client(), &mounted, &image, Some("team/app")).await, [PushOutcome::Mounted; 3]);

    let client = client();
    let resolved = client.resolve(&reference, "linux/amd64").await.unwrap();
    assert_eq!((&resolved.manifest, &resolved.config), (&image.manifest, &image.config));
    assert_eq!(client.manifest_digest(&reference).await.unwrap(), image.manifest.digest);
    for (layer, descriptor) in image.layers.iter().zip(&resolved.layers) {
        assert_eq!(read(&client, &mounted, descriptor).await.unwrap(), *layer);
    }
    let missing = client.manifest(&registry.reference("team/app:v2")).await.unwrap_err();
    assert!(missing.is_not_found(), "{missing:?}");
}

#[tokio::test]
async fn an_index_of_platforms() {
    let registry = DockerRegistry::start(false);
    let images =
        ["linux/amd64", "linux/arm64"].map(|platform| TestImage::docker(platform, &[platform.as_bytes()]));
    let client = client();
    for image in &images {
        let pinned = registry.reference(&format!("app@{}", image.manifest.digest));
        push(&client, &pinned, image, None).await;
    }
    let reference = registry.reference("app:multi");
    client.put_manifest(&reference, &TestImage::index(&images.each_ref())).await.unwrap();
    let resolved = client.resolve(&reference, "linux/arm64").await.unwrap();
    assert_eq!(resolved.manifest, images[1].manifest);
}

#[tokio::test]
async fn with_a_login_and_read_by_skopeo() {
    let registry = DockerRegistry::start(true);
    let image = TestImage::new("linux/amd64", &[&noise(300_000)]);
    let reference = registry.reference("app:v1");
    let refused = client().manifest(&reference).await.unwrap_err();
    assert!(refused.is_unauthorized(), "{refused:?}");
    // "me:secret"
    let config = format!(r#"{{"auths":{{"{}":{{"auth":"bWU6c2VjcmV0"}}}}}}"#, registry.host);
    let (client, _dir) = client_with_config(&config);
    let sent = Arc::new(AtomicU64::new(0));
    let told = Arc::clone(&sent);
    let descriptor = &image.descriptors()[0];
    let source = BlobSource::bytes(image.layers[0].clone());
    let report = move |bytes| told.store(bytes, Ordering::Relaxed);
    client.push_blob(&reference, descriptor, &source, None, report).await.unwrap();
    assert_eq!(sent.load(Ordering::Relaxed), 300_000);
    push(&client, &reference, &image, None).await;
    let name = format!("docker://{reference}");
    let said = run("skopeo", &["inspect", "--tls-verify=false", "--creds=me:secret", &name]);
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["Digest"], image.manifest.digest.as_ref());
    assert_eq!(said["Layers"][0], descriptor.digest().as_ref());
}
