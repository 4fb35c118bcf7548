//! A shared cache in a directory: an OCI image layout, its document found by the annotation that names it.
//!
//! Files are written beside and renamed; `index.json` is replaced as a whole, under a lock, so that several builds may
//! export to one directory at once and one that is killed leaves what was there before.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures_util::stream;
use oci_spec::image::{Descriptor, Digest, DigestAlgorithm, MediaType};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;

use super::{StorageError, StorageReader};
use crate::document::{Document, MAX_DOCUMENT};
use crate::push::PushOutcome;
use crate::upload::{BlobSource, Upload};

/// The annotation that gives an entry of an index its name (image-spec, "annotations").
const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// What the file `oci-layout` says (image-spec, "image layout").
const LAYOUT: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;
/// Bytes read at a time.
const PIECE: usize = 256 << 10;

/// The part of an index that counts here.
#[derive(serde::Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    tag: String,
    digest: Option<String>,
}

impl Directory {
    pub(super) fn new(path: &Path, tag: &str, digest: Option<&str>) -> Self {
        Self { path: path.to_owned(), tag: tag.to_owned(), digest: digest.map(str::to_owned) }
    }

    pub(super) fn document(&self) -> Result<Option<Document>, StorageError> {
        let Some(entry) = self.entries()?.into_iter().find(|entry| self.is_meant(entry)) else {
            return Ok(None);
        };
        if entry.size() > MAX_DOCUMENT {
            let (subject, size) = (entry.digest().to_string(), entry.size());
            return Err(StorageError::TooLarge { subject, size, limit: MAX_DOCUMENT });
        }
        let path = self.blob_path(entry.digest())?;
        let bytes = fs::read(&path).map_err(at("read", &path))?;
        let document = Document::verified(bytes.into(), entry.digest(), entry.media_type().clone());
        document.map(Some).map_err(|source| StorageError::Document { place: self.shown(), source })
    }

    pub(super) fn blob(&self, descriptor: &Descriptor) -> StorageReader {
        let path = self.blob_path(descriptor.digest());
        let pieces = stream::try_unfold((path, None), |(path, file)| async move {
            let path = path?;
            let mut file = match file {
                Some(file) => file,
                None => tokio::fs::File::open(&path).await.map_err(at("open", &path))?,
            };
            let mut piece = vec![0; PIECE];
            let length = file.read(&mut piece).await.map_err(at("read", &path))?;
            piece.truncate(length);
            Ok((length > 0).then(|| (Bytes::from(piece), (Ok(path), Some(file)))))
        });
        StorageReader::stream(&self.shown(), descriptor, pieces)
    }

    pub(super) async fn put_blob(
        &self,
        descriptor: &Descriptor,
        source: &BlobSource,
    ) -> Result<PushOutcome, StorageError> {
        let path = self.blob_path(descriptor.digest())?;
        if fs::metadata(&path).is_ok_and(|found| found.len() == descriptor.size()) {
            return Ok(PushOutcome::Existed);
        }
        self.begin()?;
        let mut file = tempfile(&self.path)?;
        let upload = Upload::new(descriptor, source, |_| {});
        let mut pieces = upload.pieces();
        while let Some(piece) = pieces.recv().await {
            let Ok(piece) = piece else { break };
            file.1.write_all(&piece).map_err(at("write", &file.0))?;
        }
        if let Some(failure) = upload.take_failure() {
            // What is half written is of no use; that it cannot be removed is told by the next export.
            drop(fs::remove_file(&file.0));
            return Err(failure.into());
        }
        publish(file, &path)?;
        Ok(PushOutcome::Uploaded)
    }

    pub(super) fn put_document(&self, document: &Document) -> Result<(), StorageError> {
        self.begin()?;
        self.write(&document.bytes, &self.blob_path(&document.digest)?)?;
        let lock = self.path.join("index.json.lock");
        let held = File::create(&lock).map_err(at("create", &lock))?;
        held.lock().map_err(at("lock", &lock))?;
        let mut entries: Vec<Value> = Vec::new();
        for entry in self.entries()? {
            if name(&entry) != Some(&self.tag) {
                entries.extend(serde_json::to_value(&entry).ok());
            }
        }
        entries.push(json!({
            "mediaType": document.media_type,
            "digest": document.digest,
            "size": document.bytes.len(),
            "annotations": { REF_NAME: self.tag },
        }));
        let index = json!({ "schemaVersion": 2, "mediaType": MediaType::ImageIndex, "manifests": entries });
        self.write(index.to_string().as_bytes(), &self.index_path())
    }

    /// Makes what a layout has, and removes what killed exports left.
    fn begin(&self) -> Result<(), StorageError> {
        for dir in [self.path.join("blobs/sha256"), self.path.join("ingest")] {
            fs::create_dir_all(&dir).map_err(at("create", &dir))?;
        }
        let layout = self.path.join("oci-layout");
        if fs::metadata(&layout).is_err() {
            self.write(LAYOUT.as_bytes(), &layout)?;
        }
        sweep(&self.path.join("ingest"))
    }

    fn write(&self, bytes: &[u8], path: &Path) -> Result<(), StorageError> {
        let mut file = tempfile(&self.path)?;
        file.1.write_all(bytes).map_err(at("write", &file.0))?;
        publish(file, path)
    }

    fn entries(&self) -> Result<Vec<Descriptor>, StorageError> {
        let path = self.index_path();
        let bytes = match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Ok(found) if found.len() > MAX_DOCUMENT => {
                let subject = path.display().to_string();
                return Err(StorageError::TooLarge { subject, size: found.len(), limit: MAX_DOCUMENT });
            }
            _ => fs::read(&path).map_err(at("read", &path))?,
        };
        let index: Index =
            serde_json::from_slice(&bytes).map_err(|source| StorageError::Index { path, source })?;
        Ok(index.manifests)
    }

    fn is_meant(&self, entry: &Descriptor) -> bool {
        match &self.digest {
            Some(digest) => entry.digest().as_ref() == digest,
            None => name(entry) == Some(&self.tag),
        }
    }

    fn index_path(&self) -> PathBuf {
        self.path.join("index.json")
    }

    /// Only sha256 digests have a place here: 64 hexadecimal digits and nothing that could lead elsewhere.
    fn blob_path(&self, digest: &Digest) -> Result<PathBuf, StorageError> {
        if *digest.algorithm() != DigestAlgorithm::Sha256 {
            return Err(StorageError::Missing { place: self.shown(), digest: digest.clone() });
        }
        Ok(self.path.join("blobs/sha256").join(digest.digest()))
    }

    fn shown(&self) -> String {
        self.path.display().to_string()
    }
}

fn name(entry: &Descriptor) -> Option<&String> {
    entry.annotations().as_ref()?.get(REF_NAME)
}

fn at(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StorageError {
    let path = path.to_owned();
    move |source| StorageError::File { action, path, source }
}

/// A new file below `ingest`, locked for as long as it is open.
fn tempfile(root: &Path) -> Result<(PathBuf, File), StorageError> {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = root.join("ingest").join(format!("{}-{number}", std::process::id()));
    let file = File::create(&path).map_err(at("create", &path))?;
    file.lock().map_err(at("lock", &path))?;
    Ok((path, file))
}

/// Puts a finished file into its place, on the disk: what has a name here is never looked at again before it is read.
fn publish((path, file): (PathBuf, File), to: &Path) -> Result<(), StorageError> {
    file.sync_data().map_err(at("write", &path))?;
    fs::rename(&path, to).map_err(at("create", to))
}

/// Removes unfinished files whose writers are gone.
fn sweep(ingest: &Path) -> Result<(), StorageError> {
    for entry in fs::read_dir(ingest).map_err(at("list", ingest))? {
        let path = entry.map_err(at("list", ingest))?.path();
        // A file that is gone by now was finished by its writer.
        let Ok(file) = File::open(&path) else { continue };
        if file.try_lock().is_ok() && file.metadata().is_ok_and(|found| found.len() > 0) {
            drop(fs::remove_file(&path));
        }
    }
    Ok(())
}
