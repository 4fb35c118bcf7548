//! Archives between kiln and the tools that users have: skopeo, umoci, podman.

use std::io::Read as _;
use std::path::Path;

use kiln_registry::archive::{self, Archive, DockerImage, DockerWriter, OciWriter};
use kiln_registry::{Descriptor, Document, MediaType, sha256};

use crate::support::run;

/// An image whose layer is a real tar, so that tools can unpack it.
struct Image {
    layer: Vec<u8>,
    config: Document,
    manifest: Document,
}

impl Image {
    fn new() -> Self {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_ustar();
        header.set_size(6);
        header.set_mode(0o640);
        header.set_cksum();
        builder.append_data(&mut header, "hello", &b"hello\n"[..]).unwrap();
        let layer = builder.into_inner().unwrap();
        let config = serde_json::json!({
            "created": "2020-01-01T00:00:00Z",
            "os": "linux",
            "architecture": "amd64",
            "config": { "Cmd": ["/hello"], "Labels": { "made-by": "test" } },
            "rootfs": { "type": "layers", "diff_ids": [sha256(&layer)] },
            "history": [{ "created_by": "COPY hello /", "created": "2020-01-01T00:00:00Z" }],
        });
        let config = Document::new(config.to_string(), MediaType::ImageConfig);
        let manifest = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": MediaType::ImageManifest.to_string(),
            "config": config.descriptor(),
            "layers": [Descriptor::new(MediaType::ImageLayer, layer.len() as u64, sha256(&layer))],
        });
        Self { layer, config, manifest: Document::new(manifest.to_string(), MediaType::ImageManifest) }
    }

    fn write_oci(&self, path: &Path) {
        let mut writer = OciWriter::new(std::fs::File::create(path).unwrap());
        let layer = &self.manifest.manifest().unwrap().layers[0];
        writer.add_blob(layer, &mut self.layer.as_slice()).unwrap();
        writer.add_document(&self.config).unwrap();
        writer.add_document(&self.manifest).unwrap();
        writer.finish(&[(self.manifest.descriptor(), vec!["r.example/app:v1".into()])]).unwrap();
    }

    fn write_docker(&self, path: &Path) {
        let mut writer = DockerWriter::new(std::fs::File::create(path).unwrap());
        let diff_id = sha256(&self.layer);
        writer.add_layer(&diff_id, self.layer.len() as u64, &mut self.layer.as_slice()).unwrap();
        writer.add_config(&self.config).unwrap();
        let names = vec!["r.example/app:v1".into(), "app:v2".into()];
        writer
            .finish(&[DockerImage { config: self.config.digest.clone(), layers: vec![diff_id], names }])
            .unwrap();
    }
}

fn layer(archive: &Archive) -> Vec<u8> {
    let mut bytes = Vec::new();
    archive.open_layer(&archive.images[0].layers[0]).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

fn podman(root: &Path, arguments: &[&str]) -> String {
    let [graph, state] = ["graph", "state"].map(|name| root.join(name).display().to_string());
    let global = ["--root", &graph, "--runroot", &state, "--storage-driver", "vfs"];
    run("podman", &[&global, arguments].concat())
}

#[test]
fn skopeo_reads_both_formats() {
    let (image, dir) = (Image::new(), tempfile::tempdir().unwrap());
    let [oci, docker] = ["oci.tar", "docker.tar"].map(|name| dir.path().join(name));
    image.write_oci(&oci);
    image.write_docker(&docker);
    let names = [
        format!("oci-archive:{}", oci.display()),
        format!("oci-archive:{}:v1", oci.display()),
        format!("docker-archive:{}", docker.display()),
        format!("docker-archive:{}:docker.io/library/app:v2", docker.display()),
    ];
    for name in names {
        let said: serde_json::Value = serde_json::from_str(&run("skopeo", &["inspect", &name])).unwrap();
        assert_eq!((&said["Labels"]["made-by"], &said["Os"]), (&"test".into(), &"linux".into()), "{name}");
        assert_eq!(said["Layers"][0], sha256(&image.layer).as_ref(), "{name}");
    }
}

#[test]
fn what_skopeo_writes_is_read() {
    let (image, dir) = (Image::new(), tempfile::tempdir().unwrap());
    let path = |name: &str| dir.path().join(name).display().to_string();
    image.write_oci(&dir.path().join("oci.tar"));
    let source = format!("oci-archive:{}", path("oci.tar"));
    for (target, name) in [
        (format!("docker-archive:{}:r.example/app:v1", path("d.tar")), "d.tar"),
        (format!("oci-archive:{}:r.example/app:v1", path("o.tar")), "o.tar"),
        (format!("oci:{}:r.example/app:v1", path("layout")), "layout"),
    ] {
        run("skopeo", &["copy", "--quiet", &source, &target]);
        let archive = archive::open(&dir.path().join(name)).unwrap();
        assert_eq!(archive.images[0].names, ["r.example/app:v1"], "{name}");
        assert_eq!(archive.images[0].layers[0].diff_id, sha256(&image.layer), "{name}");
        assert_eq!(archive.images[0].platform, "linux/amd64", "{name}");
        let stored = layer(&archive);
        if archive.images[0].layers[0].media_type == MediaType::ImageLayer {
            assert_eq!(stored, image.layer, "{name}");
        } else {
            assert!(stored.starts_with(&[0x1f, 0x8b]), "{name}");
        }
    }
}

#[test]
fn umoci_unpacks_the_layout() {
    let (image, dir) = (Image::new(), tempfile::tempdir().unwrap());
    let archive = dir.path().join("oci.tar");
    image.write_oci(&archive);
    let layout = dir.path().join("layout");
    tar::Archive::new(std::fs::File::open(&archive).unwrap()).unpack(&layout).unwrap();
    let bundle = dir.path().join("bundle");
    let name = format!("{}:v1", layout.display());
    run("umoci", &["unpack", "--rootless", "--image", &name, &bundle.display().to_string()]);
    assert_eq!(std::fs::read(bundle.join("rootfs/hello")).unwrap(), b"hello\n");
}

#[test]
fn podman_loads_both_formats_and_what_it_saves_is_read() {
    let (image, dir) = (Image::new(), tempfile::tempdir().unwrap());
    for (write, name) in [(Image::write_oci as fn(&Image, &Path), "oci"), (Image::write_docker, "docker")] {
        let root = dir.path().join(name);
        let path = dir.path().join(format!("{name}.tar"));
        write(&image, &path);
        podman(&root, &["load", "--quiet", "--input", &path.display().to_string()]);
        let id = podman(&root, &["image", "inspect", "--format", "{{.Id}}", "r.example/app:v1"]);
        assert_eq!(id.trim(), image.config.digest.digest(), "{name}");
        for format in ["docker-archive", "oci-archive", "oci-dir"] {
            let saved = dir.path().join(format!("{name}-{format}"));
            let target = saved.display().to_string();
            podman(&root, &["save", "--quiet", "--format", format, "--output", &target, "r.example/app:v1"]);
            let archive = archive::open(&saved).unwrap();
            assert_eq!(archive.images[0].layers[0].diff_id, sha256(&image.layer), "{name} {format}");
            assert!(!layer(&archive).is_empty());
        }
    }
}
