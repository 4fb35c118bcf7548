//! A bundle as an OCI layout in a directory. What is in the directory already stays, except for what had the same names.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use kiln_registry::{Reference, Verifier};
use serde_json::{Value, json};

use super::{Bundle, ImageError, Images};

/// The names of a layout's files, and the annotations that name an image in its index.
const LAYOUT: &str = "oci-layout";
const INDEX: &str = "index.json";
const IMAGE_NAME: &str = "io.containerd.image.name";
const REF_NAME: &str = "org.opencontainers.image.ref.name";

impl Images {
    /// Writes a bundle into the layout in that directory, which is made if there is none. Blocks.
    pub fn write_layout(
        &self,
        bundle: &Bundle,
        names: &[Reference],
        directory: &Path,
    ) -> Result<(), ImageError> {
        let _use = self.store.use_lock()?;
        for blob in bundle.blobs() {
            let folder = directory.join("blobs").join(blob.digest().algorithm().to_string());
            fs::create_dir_all(&folder).map_err(failed("create", &folder))?;
            let path = folder.join(blob.digest().digest());
            if path.metadata().is_ok_and(|known| known.len() == blob.size()) {
                continue;
            }
            let mut content = self.open_blob(bundle, blob.digest())?;
            let verifier = Verifier::new(blob.digest(), blob.size());
            let written = verifier.map_err(io::Error::other).and_then(|mut verifier| {
                put(&path, |file| {
                    let mut piece = vec![0; 256 << 10];
                    loop {
                        let length = content.read(&mut piece)?;
                        if length == 0 {
                            return verifier.finish().map_err(io::Error::other);
                        }
                        verifier.update(&piece[..length]).map_err(io::Error::other)?;
                        file.write_all(&piece[..length])?;
                    }
                })
            });
            written.map_err(failed("write", &path))?;
        }
        let path = directory.join(LAYOUT);
        let text = json!({ "imageLayoutVersion": "1.0.0" }).to_string();
        put(&path, |file| file.write_all(text.as_bytes())).map_err(failed("write", &path))?;
        let path = directory.join(INDEX);
        let index = index(&path, bundle, names)?.to_string();
        put(&path, |file| file.write_all(index.as_bytes())).map_err(failed("write", &path))
    }
}

/// The index that is there, with the bundle under its names.
fn index(path: &Path, bundle: &Bundle, names: &[Reference]) -> Result<Value, ImageError> {
    let known: Value = match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map_err(io::Error::other)
            .map_err(failed("add an image to what is in", path))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Value::Null,
        Err(error) => return Err(failed("read", path)(error)),
    };
    let mut entries: Vec<Value> = known["manifests"].as_array().cloned().unwrap_or_default();
    let new = entries_of(bundle, names);
    let name = |entry: &Value| entry["annotations"][IMAGE_NAME].as_str().map(str::to_owned);
    entries.retain(|entry| {
        new.iter()
            .all(|new| name(new) != name(entry) || (name(new).is_none() && new["digest"] != entry["digest"]))
    });
    entries.extend(new);
    Ok(json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": entries,
    }))
}

fn entries_of(bundle: &Bundle, names: &[Reference]) -> Vec<Value> {
    let descriptor = bundle.descriptor();
    let entry = |name: Option<&Reference>| {
        let mut entry = json!({
            "mediaType": descriptor.media_type().to_string(),
            "digest": descriptor.digest().to_string(),
            "size": descriptor.size(),
        });
        let annotations = descriptor.annotations().iter().flatten();
        let mut annotations: serde_json::Map<String, Value> =
            annotations.map(|(key, value)| (key.clone(), value.as_str().into())).collect();
        if let Some(name) = name {
            annotations.insert(IMAGE_NAME.to_owned(), name.to_string().into());
            annotations.extend(name.tag().map(|tag| (REF_NAME.to_owned(), tag.into())));
        }
        if !annotations.is_empty() {
            entry["annotations"] = annotations.into();
        }
        entry
    };
    match names {
        [] => vec![entry(None)],
        names => names.iter().map(|name| entry(Some(name))).collect(),
    }
}

/// Writes a file beside its place and moves it there.
fn put(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}.partial", std::process::id()));
    let written = File::create(&beside).and_then(|mut file| write(&mut file));
    match written.and_then(|()| fs::rename(&beside, path)) {
        Ok(()) => Ok(()),
        Err(error) => {
            // The first error counts.
            drop(fs::remove_file(&beside));
            Err(error)
        }
    }
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ImageError {
    let path = path.to_owned();
    move |source| ImageError::File { action, path, source }
}
