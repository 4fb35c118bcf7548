//! Writing archives: one pass, constant memory, and the same input gives the same bytes.
//!
//! Members come in the order in which they are added, with fixed modes, owners and times; every blob is
//! verified while it is copied. The exporters call this.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, Read, Write};

use oci_spec::image::{Descriptor, Digest, MediaType};
use serde_json::{Map, Value, json};
use tar::{EntryType, Header};

use super::ArchiveError;
use super::docker::{Item, MANIFEST};
use super::oci::{IMAGE_NAME, INDEX, LAYOUT, REF_NAME, VERSION, blob_name};
use crate::digest::Verifier;
use crate::document::Document;
use crate::reference::Reference;

/// Bytes copied at a time.
const PIECE: usize = 256 << 10;
/// A tar is made of blocks of this size.
const BLOCK: usize = 512;

/// Writes an OCI archive: a tar of an OCI layout.
pub struct OciWriter<W: Write> {
    blobs: BlobWriter<W>,
}

/// Writes a docker archive: what `docker load` reads.
pub struct DockerWriter<W: Write> {
    blobs: BlobWriter<W>,
}

/// An image of a docker archive to be written; its layers and configuration were added before.
#[derive(Debug, Clone)]
pub struct DockerImage {
    /// The configuration's digest.
    pub config: Digest,
    /// The layers' blobs, bottom first: mostly uncompressed, and so their diff ids.
    pub layers: Vec<Digest>,
    /// The names, as docker prints them: `debian:12`.
    pub names: Vec<String>,
}

impl<W: Write> OciWriter<W> {
    /// Begins an archive. The writer should be buffered or take large writes well.
    pub fn new(writer: W) -> Self {
        Self { blobs: BlobWriter::new(writer) }
    }

    /// Adds a blob (layer, configuration, manifest); one that was added before is skipped and not read.
    pub fn add_blob(&mut self, descriptor: &Descriptor, content: &mut dyn Read) -> Result<(), ArchiveError> {
        self.blobs.add(descriptor.digest(), descriptor.size(), content)
    }

    /// Adds a document as a blob.
    pub fn add_document(&mut self, document: &Document) -> Result<(), ArchiveError> {
        self.blobs.add(&document.digest, document.bytes.len() as u64, &mut document.bytes.as_ref())
    }

    /// Adds the list that `docker load` looks for; what it names was added before.
    pub fn add_docker_list(&mut self, images: &[DockerImage]) -> Result<(), ArchiveError> {
        self.blobs.docker_list(images)
    }

    /// Writes the list of the images (manifests or indexes, each with its full references) and ends the
    /// archive.
    pub fn finish(mut self, images: &[(Descriptor, Vec<String>)]) -> Result<W, ArchiveError> {
        let mut entries = Vec::new();
        for (descriptor, names) in images {
            self.blobs.check(descriptor.digest())?;
            let named = names.iter().map(|name| entry(descriptor, Some(name)));
            entries.extend(named);
            if names.is_empty() {
                entries.push(entry(descriptor, None));
            }
        }
        let index = json!({
            "schemaVersion": 2,
            "mediaType": MediaType::ImageIndex.to_string(),
            "manifests": entries,
        });
        self.blobs.tar.json(LAYOUT, &json!({ "imageLayoutVersion": VERSION }))?;
        self.blobs.tar.json(INDEX, &index)?;
        self.blobs.tar.finish()
    }
}

/// An entry of the index: the descriptor and the name in both forms that readers look for.
fn entry(descriptor: &Descriptor, name: Option<&String>) -> Value {
    let mut annotations = Map::new();
    let mut known: Vec<_> = descriptor.annotations().iter().flatten().collect();
    known.sort_unstable();
    annotations.extend(known.into_iter().map(|(key, value)| (key.clone(), value.as_str().into())));
    if let Some(name) = name {
        let reference = Reference::parse(name).ok();
        let whole = reference.as_ref().map_or_else(|| name.clone(), ToString::to_string);
        let tag = reference.as_ref().and_then(Reference::tag).map(str::to_owned);
        annotations.insert(IMAGE_NAME.into(), whole.into());
        annotations.extend(tag.map(|tag| (REF_NAME.to_owned(), tag.into())));
    }
    let mut value = json!({
        "mediaType": descriptor.media_type().to_string(),
        "digest": descriptor.digest().to_string(),
        "size": descriptor.size(),
    });
    if let Some(platform) = descriptor.platform() {
        let variant =
            platform.variant().as_ref().map(|variant| ("variant".to_owned(), variant.as_str().into()));
        let mut fields = Map::new();
        fields.insert("architecture".into(), platform.architecture().to_string().into());
        fields.insert("os".into(), platform.os().to_string().into());
        fields.extend(variant);
        value["platform"] = fields.into();
    }
    if !annotations.is_empty() {
        value["annotations"] = annotations.into();
    }
    value
}

impl<W: Write> DockerWriter<W> {
    /// Begins an archive. The writer should be buffered or take large writes well.
    pub fn new(writer: W) -> Self {
        Self { blobs: BlobWriter::new(writer) }
    }

    /// Adds an uncompressed layer; one that was added before is skipped and not read.
    pub fn add_layer(
        &mut self,
        diff_id: &Digest,
        size: u64,
        content: &mut dyn Read,
    ) -> Result<(), ArchiveError> {
        self.blobs.add(diff_id, size, content)
    }

    /// Adds a configuration.
    pub fn add_config(&mut self, config: &Document) -> Result<(), ArchiveError> {
        self.blobs.add(&config.digest, config.bytes.len() as u64, &mut config.bytes.as_ref())
    }

    /// Writes the list of images and ends the archive.
    pub fn finish(mut self, images: &[DockerImage]) -> Result<W, ArchiveError> {
        self.blobs.docker_list(images)?;
        self.blobs.tar.finish()
    }
}

/// The blobs of an archive, each once, below `blobs/`.
struct BlobWriter<W: Write> {
    tar: TarWriter<W>,
    /// Members written, folders included.
    written: BTreeSet<String>,
}

impl<W: Write> BlobWriter<W> {
    fn new(writer: W) -> Self {
        Self { tar: TarWriter { writer }, written: BTreeSet::new() }
    }

    fn add(&mut self, digest: &Digest, size: u64, content: &mut dyn Read) -> Result<(), ArchiveError> {
        let name = blob_name(digest);
        if self.written.contains(&name) {
            return Ok(());
        }
        for folder in ["blobs/".to_owned(), format!("blobs/{}/", digest.algorithm())] {
            if self.written.insert(folder.clone()) {
                self.tar.header(&folder, 0, EntryType::Directory)?;
            }
        }
        self.tar.header(&name, size, EntryType::Regular)?;
        self.tar.content(digest, size, content)?;
        self.written.insert(name);
        Ok(())
    }

    /// Writes docker's list of images.
    fn docker_list(&mut self, images: &[DockerImage]) -> Result<(), ArchiveError> {
        let mut items = Vec::new();
        for image in images {
            self.check(&image.config)?;
            image.layers.iter().try_for_each(|layer| self.check(layer))?;
            items.push(Item {
                config: blob_name(&image.config),
                repo_tags: (!image.names.is_empty()).then(|| image.names.clone()),
                layers: Some(image.layers.iter().map(blob_name).collect()),
            });
        }
        self.tar.json(MANIFEST, &items)
    }

    fn check(&self, digest: &Digest) -> Result<(), ArchiveError> {
        if self.written.contains(&blob_name(digest)) {
            return Ok(());
        }
        Err(ArchiveError::NotAdded { digest: digest.clone() })
    }
}

impl<W: Write> fmt::Debug for OciWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OciWriter").field("written", &self.blobs.written).finish_non_exhaustive()
    }
}

impl<W: Write> fmt::Debug for DockerWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DockerWriter").field("written", &self.blobs.written).finish_non_exhaustive()
    }
}

/// A tar of plain files and folders.
struct TarWriter<W: Write> {
    writer: W,
}

impl<W: Write> TarWriter<W> {
    fn header(&mut self, name: &str, size: u64, kind: EntryType) -> Result<(), ArchiveError> {
        let mut header = Header::new_ustar();
        header.set_path(name).map_err(write_error)?;
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_mode(if kind == EntryType::Directory { 0o755 } else { 0o644 });
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_cksum();
        self.writer.write_all(header.as_bytes()).map_err(write_error)
    }

    /// Copies a blob and verifies it; on an error the archive is damaged and must be thrown away.
    fn content(&mut self, digest: &Digest, size: u64, content: &mut dyn Read) -> Result<(), ArchiveError> {
        let unusable = |source| ArchiveError::Blob { digest: digest.clone(), source };
        let wrong = |error| unusable(io::Error::new(io::ErrorKind::InvalidData, error));
        let mut verifier = Verifier::new(digest, size).map_err(wrong)?;
        let mut piece = vec![0; PIECE];
        loop {
            let length = match content.read(&mut piece) {
                Ok(0) => break,
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(unusable(error)),
            };
            verifier.update(&piece[..length]).map_err(wrong)?;
            self.writer.write_all(&piece[..length]).map_err(write_error)?;
        }
        verifier.finish().map_err(wrong)?;
        self.pad(size)
    }

    fn json(&mut self, name: &str, value: &impl serde::Serialize) -> Result<(), ArchiveError> {
        let bytes = serde_json::to_vec(value).map_err(|error| write_error(error.into()))?;
        self.header(name, bytes.len() as u64, EntryType::Regular)?;
        self.writer.write_all(&bytes).map_err(write_error)?;
        self.pad(bytes.len() as u64)
    }

    fn pad(&mut self, size: u64) -> Result<(), ArchiveError> {
        let over = size % BLOCK as u64;
        let missing = if over == 0 { 0 } else { BLOCK as u64 - over };
        // Less than a block, which is a usize.
        let missing = usize::try_from(missing).unwrap_or(0);
        self.writer.write_all(&[0; BLOCK][..missing]).map_err(write_error)
    }

    /// Two blocks of zeros end a tar.
    fn finish(mut self) -> Result<W, ArchiveError> {
        self.writer.write_all(&[0; 2 * BLOCK]).map_err(write_error)?;
        self.writer.flush().map_err(write_error)?;
        Ok(self.writer)
    }
}

fn write_error(source: io::Error) -> ArchiveError {
    ArchiveError::Write { source }
}
