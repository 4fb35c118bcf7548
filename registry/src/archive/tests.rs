//! Archives written, read back, and damaged.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::{Cursor, Write as _};

use tar::{Builder, EntryType, Header};
use tempfile::TempDir;

use super::*;
use crate::digest::sha256;

/// Two layers and a configuration that names them.
struct Image {
    layers: [Vec<u8>; 2],
    config: Document,
}

impl Image {
    fn new() -> Self {
        let layers = [vec![1; 700], vec![2; 1024]];
        let config = format!(
            r#"{{"os":"linux","architecture":"arm","variant":"v7","rootfs":{{"type":"layers","diff_ids":["{}","{}"]}}}}"#,
            sha256(&layers[0]),
            sha256(&layers[1])
        );
        Self { layers, config: Document::new(config, MediaType::ImageConfig) }
    }

    fn descriptors(&self) -> [Descriptor; 2] {
        self.layers
            .each_ref()
            .map(|layer| Descriptor::new(MediaType::ImageLayer, layer.len() as u64, sha256(layer)))
    }

    fn manifest(&self) -> Document {
        let text = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": MediaType::ImageManifest.to_string(),
            "config": self.config.descriptor(),
            "layers": self.descriptors(),
        });
        Document::new(text.to_string(), MediaType::ImageManifest)
    }

    fn oci_archive(&self, names: &[&str]) -> Vec<u8> {
        let mut writer = OciWriter::new(Vec::new());
        for (descriptor, layer) in self.descriptors().iter().zip(&self.layers) {
            writer.add_blob(descriptor, &mut layer.as_slice()).unwrap();
        }
        writer.add_document(&self.config).unwrap();
        writer.add_document(&self.manifest()).unwrap();
        let names = names.iter().map(|&name| name.to_owned()).collect();
        writer.finish(&[(self.manifest().descriptor(), names)]).unwrap()
    }

    fn docker_archive(&self) -> Vec<u8> {
        let mut writer = DockerWriter::new(Vec::new());
        let diff_ids = self.layers.each_ref().map(|layer| sha256(layer));
        for (diff_id, layer) in diff_ids.iter().zip(&self.layers) {
            writer.add_layer(diff_id, layer.len() as u64, &mut layer.as_slice()).unwrap();
        }
        writer.add_config(&self.config).unwrap();
        let names = vec!["a:1".to_owned(), "b:2".to_owned()];
        writer
            .finish(&[DockerImage { config: self.config.digest.clone(), layers: diff_ids.into(), names }])
            .unwrap()
    }
}

fn load(bytes: &[u8]) -> Result<Archive, ArchiveError> {
    from_stream(&mut &bytes[..], tempfile::tempfile().unwrap())
}

fn contents(archive: &Archive) -> Vec<Vec<u8>> {
    let read = |layer| {
        let mut bytes = Vec::new();
        archive.open_layer(layer).unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    };
    archive.images[0].layers.iter().map(read).collect()
}

/// A tar of (name, kind, link target or content).
fn tar_of(members: &[(&str, EntryType, &[u8])]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (name, kind, content) in members {
        let mut header = Header::new_gnu();
        // Written past the checks of `set_path`, which refuses what the tests need.
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        let content = if kind.is_file() {
            content
        } else {
            header.as_mut_bytes()[157..157 + content.len()].copy_from_slice(content);
            &[][..]
        };
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        builder.append(&header, content).unwrap();
    }
    builder.into_inner().unwrap()
}

#[test]
fn an_oci_archive_comes_back() {
    let image = Image::new();
    let bytes = image.oci_archive(&["docker.io/library/a:1", "r.example/b:2"]);
    assert_eq!(bytes, image.oci_archive(&["docker.io/library/a:1", "r.example/b:2"]), "deterministic");
    let archive = load(&bytes).unwrap();
    let [read] = &archive.images[..] else { panic!("one image") };
    assert_eq!(read.names, ["docker.io/library/a:1", "r.example/b:2"]);
    assert_eq!((read.manifest.as_ref(), &read.config), (Some(&image.manifest()), &image.config));
    assert_eq!(read.platform, "linux/arm/v7");
    assert_eq!(contents(&archive), image.layers);
}

#[test]
fn a_docker_archive_comes_back_compressed_or_not() {
    let image = Image::new();
    let bytes = image.docker_archive();
    assert_eq!(bytes, image.docker_archive(), "deterministic");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&bytes).unwrap();
    for packed in [bytes.clone(), gzip.finish().unwrap(), zstd::encode_all(bytes.as_slice(), 1).unwrap()] {
        let archive = load(&packed).unwrap();
        let [read] = &archive.images[..] else { panic!("one image") };
        assert_eq!(read.names, ["a:1", "b:2"]);
        assert_eq!((&read.manifest, &read.config.digest), (&None, &image.config.digest));
        assert_eq!(read.layers[1].diff_id, sha256(&image.layers[1]));
        assert_eq!(contents(&archive), image.layers);
    }
}

#[test]
fn a_file_and_a_directory_are_opened_in_place() {
    let image = Image::new();
    let temp = TempDir::new().unwrap();
    let file = temp.path().join("a.tar");
    std::fs::write(&file, image.oci_archive(&[])).unwrap();
    assert_eq!(contents(&open(&file).unwrap()), image.layers);
    let folder = temp.path().join("layout");
    tar::Archive::new(File::open(&file).unwrap()).unpack(&folder).unwrap();
    let archive = open(&folder).unwrap();
    assert_eq!((&archive.images[0].names, contents(&archive)), (&vec![], image.layers.to_vec()));
    let packed = temp.path().join("a.tar.zst");
    std::fs::write(&packed, zstd::encode_all(File::open(&file).unwrap(), 1).unwrap()).unwrap();
    assert!(matches!(open(&packed), Err(ArchiveError::Spool { .. })));
    assert_eq!(contents(&open_with(&packed, tempfile::tempfile).unwrap()), image.layers);
}

#[test]
fn the_old_docker_save_stores_a_layer_once_and_links_to_it() {
    let image = Image::new();
    let config = format!("{}.json", image.config.digest.digest());
    let manifest = format!(
        r#"[{{"Config":"{config}","RepoTags":["a:1"],"Layers":["x/layer.tar","./y/layer.tar"]}},
            {{"Config":"{config}","RepoTags":null,"Layers":["z/layer.tar","h/layer.tar"]}}]"#
    );
    let bytes = tar_of(&[
        ("x/", EntryType::Directory, b""),
        ("x/layer.tar", EntryType::Regular, &image.layers[0]),
        ("./y/layer.tar", EntryType::Regular, &image.layers[1]),
        ("z/layer.tar", EntryType::Symlink, b"../x/layer.tar"),
        ("h/layer.tar", EntryType::Link, b"y/layer.tar"),
        (&config, EntryType::Regular, &image.config.bytes),
        ("manifest.json", EntryType::Regular, manifest.as_bytes()),
    ]);
    let mut archive = load(&bytes).unwrap();
    assert_eq!(contents(&archive), image.layers);
    archive.images.swap(0, 1);
    assert_eq!(contents(&archive), image.layers);
}

#[test]
fn a_compressed_layer_has_no_descriptor_but_a_form() {
    let image = Image::new();
    let gzip = [&[0x1f, 0x8b][..], b"..."].concat();
    let manifest = r#"[{"Config":"c","RepoTags":[],"Layers":["l","m"]}]"#;
    let bytes = tar_of(&[
        ("l", EntryType::Regular, &gzip),
        ("m", EntryType::Regular, &image.layers[1]),
        ("c", EntryType::Regular, &image.config.bytes),
        ("manifest.json", EntryType::Regular, manifest.as_bytes()),
    ]);
    let archive = load(&bytes).unwrap();
    let layer = &archive.images[0].layers[0];
    assert_eq!((&layer.descriptor, &layer.media_type, layer.size), (&None, &MediaType::ImageLayerGzip, 5));
    assert_eq!(contents(&archive)[0], gzip);
}

#[test]
fn names_of_both_formats_are_joined() {
    let image = Image::new();
    let mut bytes = image.oci_archive(&["docker.io/library/a:1"]);
    bytes.truncate(bytes.len() - 1024);
    let config = format!("blobs/sha256/{}", image.config.digest.digest());
    let manifest = format!(r#"[{{"Config":"{config}","RepoTags":["a:1","c:3"],"Layers":[]}}]"#);
    bytes.extend(tar_of(&[("manifest.json", EntryType::Regular, manifest.as_bytes())]));
    assert_eq!(load(&bytes).unwrap().images[0].names, ["docker.io/library/a:1", "c:3"]);
}

#[test]
fn damage_is_found() {
    let image = Image::new();
    let layer_at = |bytes: &[u8]| bytes.windows(700).position(|window| window == image.layers[0]).unwrap();
    for mut bytes in [image.oci_archive(&[]), image.docker_archive()] {
        let at = layer_at(&bytes);
        bytes[at] = 9;
        let archive = load(&bytes).unwrap();
        let mut reader = archive.open_layer(&archive.images[0].layers[0]).unwrap();
        let error = reader.read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        bytes.truncate(at + 100);
        assert!(matches!(load(&bytes), Err(ArchiveError::Truncated { .. })));
    }
    let mut bytes = image.docker_archive();
    let config = bytes.windows(20).position(|window| window == &image.config.bytes[..20]).unwrap();
    bytes[config + 2] = b'O';
    assert!(matches!(load(&bytes), Err(ArchiveError::Document { .. })));
}

#[test]
fn what_is_no_archive_is_refused() {
    let file = |name, content: &'static str| (name, EntryType::Regular, content.as_bytes());
    let layout = file("oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#);
    assert!(matches!(load(b""), Err(ArchiveError::Unknown { .. })));
    let text = b"root:x:0:0:root:/root:/bin/bash\n".repeat(64);
    assert!(matches!(load(&text), Err(ArchiveError::Unknown { .. })));
    assert!(load(&[7; 5000]).is_err());
    assert!(matches!(load(&tar_of(&[file("x", "y")])), Err(ArchiveError::Unknown { .. })));
    assert!(matches!(load(&tar_of(&[file("manifest.json", "{")])), Err(ArchiveError::Json { .. })));
    assert!(matches!(load(&tar_of(&[file("manifest.json", "[]")])), Err(ArchiveError::Empty { .. })));
    let twice = [file("manifest.json", "[]"), file("./manifest.json", "[]")];
    assert!(matches!(load(&tar_of(&twice)), Err(ArchiveError::Duplicate { .. })));
    let future = file("oci-layout", r#"{"imageLayoutVersion":"2.0.0"}"#);
    let empty = file("index.json", r#"{"schemaVersion":2,"manifests":[]}"#);
    assert!(matches!(load(&tar_of(&[future, empty])), Err(ArchiveError::Version { .. })));
    assert!(matches!(load(&tar_of(&[layout, empty])), Err(ArchiveError::Empty { .. })));
    let absent = file(
        "index.json",
        r#"{"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","size":1,
            "digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}]}"#,
    );
    assert!(matches!(load(&tar_of(&[layout, absent])), Err(ArchiveError::Missing { .. })));
}

#[test]
fn names_are_never_paths() {
    for (config, layer) in
        [("/etc/passwd", "l"), ("../../etc/passwd", "l"), ("c", "/etc/passwd"), ("c", "link"), ("c", "loop")]
    {
        let manifest = format!(r#"[{{"Config":"{config}","RepoTags":[],"Layers":["{layer}","{layer}"]}}]"#);
        let bytes = tar_of(&[
            ("link", EntryType::Symlink, b"/etc/passwd"),
            ("loop", EntryType::Symlink, b"loop"),
            ("c", EntryType::Regular, &Image::new().config.bytes),
            ("manifest.json", EntryType::Regular, manifest.as_bytes()),
        ]);
        assert!(matches!(load(&bytes), Err(ArchiveError::Missing { .. })), "{config} {layer}");
    }
    // The same from a directory, where names could become paths.
    let temp = TempDir::new().unwrap();
    let image = Image::new();
    tar::Archive::new(Cursor::new(image.oci_archive(&[]))).unpack(temp.path().join("l")).unwrap();
    std::fs::write(temp.path().join("secret"), &image.config.bytes).unwrap();
    std::fs::write(temp.path().join("l/manifest.json"), r#"[{"Config":"../secret","RepoTags":["x"]}]"#)
        .unwrap();
    assert!(matches!(open(&temp.path().join("l")), Err(ArchiveError::Missing { .. })));
}

#[test]
fn writers_check_what_they_are_given() {
    let image = Image::new();
    let mut writer = OciWriter::new(Vec::new());
    let [layer, _] = image.descriptors();
    let wrong = writer.add_blob(&layer, &mut [3_u8; 700].as_slice());
    assert!(matches!(wrong, Err(ArchiveError::Blob { .. })));
    let short = OciWriter::new(Vec::new()).add_blob(&layer, &mut [1_u8; 699].as_slice());
    assert!(matches!(short, Err(ArchiveError::Blob { .. })));
    let absent = OciWriter::new(Vec::new()).finish(&[(image.manifest().descriptor(), vec![])]);
    assert!(matches!(absent, Err(ArchiveError::NotAdded { .. })));
}

#[test]
fn a_blob_added_twice_is_stored_once() {
    let image = Image::new();
    let [layer, _] = image.descriptors();
    let mut writer = OciWriter::new(Vec::new());
    writer.add_blob(&layer, &mut image.layers[0].as_slice()).unwrap();
    writer.add_blob(&layer, &mut io::empty()).unwrap();
    let bytes = writer.finish(&[]).unwrap();
    let mut archive = tar::Archive::new(bytes.as_slice());
    let names = archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().display().to_string());
    let blob = format!("blobs/sha256/{}", layer.digest().digest());
    assert_eq!(
        names.collect::<Vec<_>>(),
        ["blobs/", "blobs/sha256/", blob.as_str(), "oci-layout", "index.json"]
    );
}

proptest::proptest! {
    /// Whatever is changed in an archive, reading it ends in an error or in the right layers.
    #[test]
    fn a_damaged_archive_is_right_or_refused(
        docker in proptest::bool::ANY,
        changes in proptest::collection::vec((0_usize..9000, proptest::num::u8::ANY), 1..6),
    ) {
        let image = Image::new();
        let mut bytes = if docker { image.docker_archive() } else { image.oci_archive(&["a:1"]) };
        for (at, byte) in changes {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        if let Ok(archive) = load(&bytes) {
            for layer in archive.images.iter().flat_map(|image| &image.layers) {
                let mut content = Vec::new();
                let read = archive.open_layer(layer).and_then(|mut reader| {
                    let path = PathBuf::new();
                    reader.read_to_end(&mut content).map_err(|source| ArchiveError::Read { path, source })
                });
                if read.is_ok() && layer.descriptor.is_some() {
                    proptest::prop_assert!(image.layers.contains(&content));
                }
            }
        }
    }
}
