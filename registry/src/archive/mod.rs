//! Images in files: OCI layouts (a tar or a directory) and docker archives.
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use oci_spec::image::{Descriptor, Digest, MediaType};

use crate::document::Document;

/// Why an archive cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// A file cannot be opened or read.
    #[error("cannot read {}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Neither kind of archive.
    #[error("{} is neither an OCI archive nor a docker archive", path.display())]
    Unknown {
        /// The file.
        path: PathBuf,
    },
    /// Writing failed.
    #[error("cannot write the archive")]
    Write {
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// An archive, opened: its images are known, its layers are read on demand.
#[derive(Debug)]
pub struct Archive {
    /// The images, in the archive's order. Each platform of an index is an image of its own.
    pub images: Vec<ArchivedImage>,
}

/// One image of an archive.
#[derive(Debug, Clone)]
pub struct ArchivedImage {
    /// Its names, as the archive writes them (mostly full references).
    pub names: Vec<String>,
    /// Its manifest; a docker archive has none.
    pub manifest: Option<Document>,
    /// Its configuration.
    pub config: Document,
    /// Its platform, normalised.
    pub platform: String,
    /// Its layers, bottom first.
    pub layers: Vec<ArchivedLayer>,
}

/// One layer of an archived image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchivedLayer {
    /// The digest of the uncompressed tar, as the configuration names it.
    pub diff_id: Digest,
    /// The stored bytes' descriptor where it is known without reading them: of a manifest, or for an uncompressed layer made from the diff id.
    pub descriptor: Option<Descriptor>,
    /// The stored form, found by looking at the first bytes where no manifest names it.
    pub media_type: MediaType,
    /// The stored size in bytes.
    pub size: u64,
}

/// Opens an archive: an OCI layout's directory, or a file with an OCI archive or a docker archive, gzip-compressed or not.
pub fn open(path: &Path) -> Result<Archive, ArchiveError> {
    Err(ArchiveError::Unknown { path: path.to_owned() })
}

/// Reads an archive from a stream (a pipe); `spool` is an empty file that takes the bytes, because an archive must be read out of order.
pub fn from_stream(stream: &mut dyn Read, spool: File) -> Result<Archive, ArchiveError> {
    drop((stream, spool));
    Err(ArchiveError::Unknown { path: PathBuf::from("-") })
}

impl Archive {
    /// Opens a layer's stored bytes. The reader fails at the end if they are not what the descriptor says.
    pub fn open_layer(&self, layer: &ArchivedLayer) -> Result<Box<dyn Read + Send>, ArchiveError> {
        let _ = layer;
        Err(ArchiveError::Unknown { path: PathBuf::new() })
    }
}

/// Writes an OCI archive: a tar of an OCI layout.
#[derive(Debug)]
pub struct OciWriter<W: Write> {
    writer: W,
}

impl<W: Write> OciWriter<W> {
    /// Begins an archive.
    pub fn new(writer: W) -> Self {
        Self { writer }
    }

    /// Adds a blob (layer, configuration, manifest); one that was added before is skipped.
    pub fn add_blob(&mut self, descriptor: &Descriptor, content: &mut dyn Read) -> Result<(), ArchiveError> {
        let _ = (descriptor, content);
        Ok(())
    }

    /// Adds a document as a blob.
    pub fn add_document(&mut self, document: &Document) -> Result<(), ArchiveError> {
        self.add_blob(&document.descriptor(), &mut document.bytes.as_ref())
    }

    /// Writes the index that names the manifests (or indexes) with their full references, and ends the archive.
    pub fn finish(self, images: &[(Descriptor, Vec<String>)]) -> Result<W, ArchiveError> {
        let _ = images;
        Ok(self.writer)
    }
}

/// An image of a docker archive to be written; its layers and configuration were added before.
#[derive(Debug, Clone)]
pub struct DockerImage {
    /// The configuration's digest.
    pub config: Digest,
    /// The diff ids, bottom first.
    pub layers: Vec<Digest>,
    /// The names, as docker prints them: `debian:12`.
    pub names: Vec<String>,
}

/// Writes a docker archive: what `docker load` reads.
#[derive(Debug)]
pub struct DockerWriter<W: Write> {
    writer: W,
}

impl<W: Write> DockerWriter<W> {
    /// Begins an archive.
    pub fn new(writer: W) -> Self {
        Self { writer }
    }

    /// Adds an uncompressed layer; one that was added before is skipped.
    pub fn add_layer(
        &mut self,
        diff_id: &Digest,
        size: u64,
        content: &mut dyn Read,
    ) -> Result<(), ArchiveError> {
        let _ = (diff_id, size, content);
        Ok(())
    }

    /// Adds a configuration.
    pub fn add_config(&mut self, config: &Document) -> Result<(), ArchiveError> {
        let _ = config;
        Ok(())
    }

    /// Writes the list of images and ends the archive.
    pub fn finish(self, images: &[DockerImage]) -> Result<W, ArchiveError> {
        let _ = images;
        Ok(self.writer)
    }
}
