//! An image read back as plain data: the tree that its layers make, and its configuration.
//!
//! Reads the `dir:` form that skopeo copies every other form to, by itself and simply: a second opinion on what kiln wrote.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use serde_json::Value;
use sha2::{Digest, Sha256};
use tar::EntryType;

use super::scratch_dir;
use super::tool::tool_ok;

/// An image.
pub struct Image {
    /// Its configuration document.
    pub config: Value,
    /// Its manifest.
    pub manifest: Value,
    /// What is at each path (no leading slash; the root itself left out), as one line: type, mode, owner, size and digest
    /// of the content or target, extended attributes, and the other names of the same file.
    pub tree: BTreeMap<String, String>,
}

impl Image {
    /// Reads the image that skopeo knows by this name (`oci-archive:PATH`, `docker://…`).
    pub fn read(source: &str) -> Image {
        let dir = scratch_dir("image-");
        let target = format!("dir:{}", dir.path().display());
        let mut args = vec!["copy", "--quiet", source, &target];
        if source.starts_with("docker://") {
            args.insert(2, "--src-tls-verify=false");
        }
        tool_ok("skopeo", args);
        Image::from_dir(dir.path())
    }

    /// Reads a directory written by skopeo's `dir:` transport.
    pub fn from_dir(dir: &Path) -> Image {
        let manifest = json(&dir.join("manifest.json"));
        let config = json(&dir.join(blob_name(&manifest["config"])));
        let mut tree = Tree::default();
        for layer in manifest["layers"].as_array().expect("a manifest has layers") {
            tree.apply(&dir.join(blob_name(layer)));
        }
        Image { config, manifest, tree: tree.describe() }
    }

    /// Reads all images of a docker archive, by name.
    pub fn all_of(archive: &Path) -> BTreeMap<String, Image> {
        let dir = scratch_dir("images-");
        tool_ok("tar", ["-xf".as_ref(), archive.as_os_str(), "-C".as_ref(), dir.path().as_os_str()]);
        let list = json(&dir.path().join("manifest.json"));
        let mut images = BTreeMap::new();
        for manifest in list.as_array().expect("a docker archive lists its images") {
            for tag in manifest["RepoTags"].as_array().into_iter().flatten() {
                let tag = tag.as_str().expect("a tag is text");
                let name = tag.strip_suffix(":latest").unwrap_or(tag);
                images.insert(name.to_owned(), Image::from_archive(dir.path(), manifest));
            }
        }
        images
    }

    fn from_archive(dir: &Path, manifest: &Value) -> Image {
        let path = |value: &Value| dir.join(value.as_str().expect("a path is text"));
        let mut tree = Tree::default();
        for layer in manifest["Layers"].as_array().expect("an image has layers") {
            tree.apply(&path(layer));
        }
        Image { config: json(&path(&manifest["Config"])), manifest: manifest.clone(), tree: tree.describe() }
    }

    /// A field of the configuration's `config` object; empty values count as absent, as in Docker.
    pub fn field(&self, name: &str) -> Value {
        let value = &self.config["config"][name];
        let empty = match value {
            Value::Array(list) => list.is_empty(),
            Value::Object(map) => map.is_empty(),
            Value::String(text) => text.is_empty(),
            _ => false,
        };
        if empty { Value::Null } else { value.clone() }
    }

    /// For each history entry, whether it made a layer.
    pub fn history(&self) -> Vec<bool> {
        let entries = self.config["history"].as_array().map(Vec::as_slice).unwrap_or_default();
        entries.iter().map(|entry| !entry["empty_layer"].as_bool().unwrap_or(false)).collect()
    }

    /// The digests of its uncompressed layers, bottom first.
    pub fn diff_ids(&self) -> Vec<String> {
        let ids = self.config["rootfs"]["diff_ids"].as_array().expect("a configuration has diff ids");
        ids.iter().map(|id| id.as_str().expect("a diff id is text").to_owned()).collect()
    }

    /// The paths in it that `base` does not have or has otherwise, and those that only `base` has.
    pub fn changes_since(&self, base: &Image) -> Vec<String> {
        differences(&base.tree, &self.tree).into_keys().collect()
    }
}

/// What differs between two maps: for each key, the value in the left and the one in the right.
pub fn differences<'a>(
    left: &'a BTreeMap<String, String>,
    right: &'a BTreeMap<String, String>,
) -> BTreeMap<String, (&'a str, &'a str)> {
    let keys: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
    let side =
        |map: &'a BTreeMap<String, String>, key: &String| map.get(key).map_or("(absent)", String::as_str);
    keys.into_iter()
        .map(|key| (key.clone(), (side(left, key), side(right, key))))
        .filter(|(_, (left, right))| left != right)
        .collect()
}

fn json(path: &Path) -> Value {
    let text = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).expect("manifests and configurations are JSON")
}

fn blob_name(descriptor: &Value) -> &str {
    descriptor["digest"].as_str().and_then(|digest| digest.strip_prefix("sha256:")).expect("a sha256 digest")
}

/// Files by number, and the paths that lead to them; two paths with one number are hard links.
#[derive(Default)]
struct Tree {
    files: Vec<String>,
    paths: BTreeMap<String, usize>,
}

impl Tree {
    /// Applies a layer: first what it deletes of the layers below, then what it adds.
    fn apply(&mut self, layer: &Path) {
        let mut added = Vec::new();
        let mut archive = tar::Archive::new(open(layer));
        for entry in archive.entries().expect("a layer is a tar archive") {
            let mut entry = entry.expect("a layer is a tar archive");
            let path = clean(&entry.path_bytes());
            let (parent, name) = path.rsplit_once('/').unwrap_or(("", &path));
            match name.strip_prefix(".wh.") {
                Some(".wh..opq") => self.remove_below(parent),
                Some(hidden) => self.remove(&join(parent, hidden)),
                None if path.is_empty() => {}
                None => {
                    let link = entry.link_name_bytes().map(|target| clean(&target));
                    let hard = entry.header().entry_type() == EntryType::Link;
                    let node =
                        if hard { link.expect("a hard link has a target") } else { describe(&mut entry) };
                    added.push((path, hard, node));
                }
            }
        }
        for (path, hard, node) in added {
            self.add(path, hard, node);
        }
    }

    fn add(&mut self, path: String, hard: bool, node: String) {
        if !node.starts_with("dir") {
            self.remove_below(&path);
        }
        let number = if hard {
            *self.paths.get(&node).unwrap_or_else(|| panic!("{path} is a link to {node}, which is not there"))
        } else {
            self.files.push(node);
            self.files.len() - 1
        };
        self.paths.insert(path, number);
    }

    fn remove(&mut self, path: &str) {
        self.paths.remove(path);
        self.remove_below(path);
    }

    fn remove_below(&mut self, path: &str) {
        let prefix = if path.is_empty() { String::new() } else { format!("{path}/") };
        self.paths.retain(|other, _| !other.starts_with(&prefix));
    }

    fn describe(self) -> BTreeMap<String, String> {
        let mut names: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
        for (path, number) in &self.paths {
            names.entry(*number).or_default().push(path);
        }
        let line = |path: &String, number: &usize| match names[number].as_slice() {
            [_] => (path.clone(), self.files[*number].clone()),
            several => (path.clone(), format!("{} = {}", self.files[*number], several.join(" = "))),
        };
        self.paths.iter().map(|(path, number)| line(path, number)).collect()
    }
}

/// Opens a layer, compressed or not.
fn open(layer: &Path) -> Box<dyn Read> {
    let mut file = BufReader::new(File::open(layer).unwrap_or_else(|e| panic!("{}: {e}", layer.display())));
    match file.fill_buf().expect("a layer is readable") {
        [0x1f, 0x8b, ..] => Box::new(flate2::bufread::MultiGzDecoder::new(file)),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => panic!("{} is zstd, which nobody asked for", layer.display()),
        _ => Box::new(file),
    }
}

/// A path without leading `./` or `/`, and without a trailing slash. Bytes that are not UTF-8 are escaped, not lost.
fn clean(path: &[u8]) -> String {
    let text: String = path.utf8_chunks().fold(String::new(), |text, chunk| {
        chunk.invalid().iter().fold(text + chunk.valid(), |text, byte| text + &format!("\\x{byte:02x}"))
    });
    let path = text.trim_start_matches("./").trim_matches('/');
    if path == "." { String::new() } else { path.replace('\n', "\\n") }
}

fn join(parent: &str, name: &str) -> String {
    if parent.is_empty() { name.to_owned() } else { format!("{parent}/{name}") }
}

fn describe(entry: &mut tar::Entry<'_, impl Read>) -> String {
    let header = entry.header().clone();
    let kind = match header.entry_type() {
        EntryType::Directory => "dir".to_owned(),
        EntryType::Symlink => {
            format!("symlink -> {}", String::from_utf8_lossy(&entry.link_name_bytes().unwrap_or_default()))
        }
        EntryType::Regular | EntryType::Continuous => "file".to_owned(),
        EntryType::Char => format!("char {:?}:{:?}", header.device_major(), header.device_minor()),
        EntryType::Block => format!("block {:?}:{:?}", header.device_major(), header.device_minor()),
        EntryType::Fifo => "fifo".to_owned(),
        other => panic!("an entry of type {other:?} in a layer"),
    };
    let mode = header.mode().expect("a mode is a number") & 0o7777;
    let (uid, gid) = (header.uid().expect("an owner"), header.gid().expect("a group"));
    let xattrs = extended_attributes(entry);
    let content = if kind == "file" { content(entry) } else { String::new() };
    // A symbolic link's own mode means nothing on Linux, and builders write different ones.
    let mode = if kind.starts_with("symlink") { String::new() } else { format!(" {mode:04o}") };
    format!("{kind}{mode} {uid}:{gid}{content}{xattrs}")
}

fn content(entry: &mut impl Read) -> String {
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes).expect("a layer is readable");
    let digest = Sha256::digest(&bytes);
    let hex = digest.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    let shown = match std::str::from_utf8(&bytes) {
        Ok(text) if text.len() <= 60 && !text.contains('\0') => format!(" {text:?}"),
        _ => String::new(),
    };
    format!(" {} bytes {hex:016x}{shown}", bytes.len())
}

fn extended_attributes(entry: &mut tar::Entry<'_, impl Read>) -> String {
    let Ok(Some(extensions)) = entry.pax_extensions() else { return String::new() };
    let mut found: Vec<String> = extensions
        .flatten()
        .filter_map(|e| {
            e.key().ok()?.strip_prefix("SCHILY.xattr.").map(|k| (k.to_owned(), e.value_bytes().to_vec()))
        })
        .map(|(key, value)| format!(" {key}={value:02x?}"))
        .collect();
    found.sort();
    found.concat()
}
