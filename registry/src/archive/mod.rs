//! Images in files: OCI layouts (a tar or a directory) and docker archives (`docker save`, old and new).
//!
//! An archive is read where it lies: an index of offsets, never a file unpacked by a name from inside.
//! Names in an archive are data. Documents and layers are verified as they are read. Writing streams, and
//! the same input gives the same bytes. The image commands and the exporters call this.

mod docker;
mod layout;
mod member;
mod oci;
mod spool;
mod write;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use oci_spec::image::{Descriptor, Digest, MediaType};

use crate::document::{Document, DocumentError};
pub use layout::{Wanted, open_layout};
use member::Members;
pub use write::{DockerImage, DockerWriter, OciWriter};

/// Why an archive cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// A file cannot be opened or read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file or a stream cannot be copied to where it can be read out of order.
    #[error("cannot unpack {} to a temporary file", path.display())]
    Spool {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Neither kind of archive.
    #[error("{} is neither an OCI archive nor a docker archive", path.display())]
    Unknown {
        /// The file.
        path: PathBuf,
    },
    /// A member that must be there is not.
    #[error("{} has no `{member}`", path.display())]
    Missing {
        /// The archive.
        path: PathBuf,
        /// The member's name.
        member: String,
    },
    /// A member that must be there once is there several times: two readers would see two images.
    #[error("{} has `{member}` more than once", path.display())]
    Duplicate {
        /// The archive.
        path: PathBuf,
        /// The member's name.
        member: String,
    },
    /// The file ends before its content does.
    #[error("{} is cut off: `{member}` ends after its end", path.display())]
    Truncated {
        /// The archive.
        path: PathBuf,
        /// The member's name.
        member: String,
    },
    /// A member is not the JSON it should be.
    #[error("`{member}` in {} is not valid", path.display())]
    Json {
        /// The archive.
        path: PathBuf,
        /// The member's name.
        member: String,
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
    /// The layout has a version that is not understood.
    #[error("{} is an OCI layout of version `{version}`; 1.0.0 is understood", path.display())]
    Version {
        /// The archive.
        path: PathBuf,
        /// Its version.
        version: String,
    },
    /// A manifest or a configuration cannot be used.
    #[error("an image in {} cannot be used", path.display())]
    Document {
        /// The archive.
        path: PathBuf,
        /// Why.
        #[source]
        source: DocumentError,
    },
    /// The archive is well formed and has no image.
    #[error("{} has no image", path.display())]
    Empty {
        /// The archive.
        path: PathBuf,
    },
    /// The index of a layout has no image of that name.
    #[error("{} has no image `{tag}`; it has {}", path.display(), listed(.available))]
    NoImage {
        /// The layout.
        path: PathBuf,
        /// The tag that was asked for.
        tag: String,
        /// Names and digests that are there.
        available: Vec<String>,
    },
    /// An index of a layout has no image for the platform.
    #[error("{} has no image for {wanted}; it has {}", path.display(), listed(.available))]
    NoPlatform {
        /// The layout.
        path: PathBuf,
        /// The platform that was asked for.
        wanted: String,
        /// Platforms that are there.
        available: Vec<String>,
    },
    /// A blob given to a writer is not what its descriptor says, or cannot be read.
    #[error("cannot add blob {digest} to the archive")]
    Blob {
        /// The blob.
        digest: Digest,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// An image given to a writer names a blob that was not added.
    #[error("the archive names blob {digest}, which was not added to it")]
    NotAdded {
        /// The blob.
        digest: Digest,
    },
    /// Writing failed.
    #[error("cannot write the archive")]
    Write {
        /// Why.
        #[source]
        source: io::Error,
    },
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// An archive, opened: its images are known, its layers are read on demand.
#[derive(Debug)]
pub struct Archive {
    /// The images, in the archive's order. Each platform of an index is an image of its own.
    pub images: Vec<ArchivedImage>,
    members: Members,
}

/// One image of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchivedImage {
    /// Its names, as the archive writes them (mostly full references).
    pub names: Vec<String>,
    /// Its manifest; the old kind of docker archive has none.
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
    /// The stored bytes' descriptor where it is known without reading them: the manifest's, or one made
    /// from the diff id of an uncompressed layer. [`Archive::open_layer`] verifies against it.
    pub descriptor: Option<Descriptor>,
    /// The stored form: the manifest's word, or found by looking at the first bytes.
    pub media_type: MediaType,
    /// The stored size in bytes.
    pub size: u64,
    /// The member that holds it.
    member: String,
}

/// Opens an archive: an OCI layout's directory, or a file with an OCI archive or a docker archive. A file
/// that is compressed as a whole (gzip or zstd) needs [`open_with`].
pub fn open(path: &Path) -> Result<Archive, ArchiveError> {
    open_with(path, || {
        Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "the archive is compressed and there is no place to unpack it",
        ))
    })
}

/// Opens an archive as [`open`] does; if it is compressed as a whole, it is unpacked into the file that
/// `make_spool` makes (empty, readable and writable; best one without a name).
pub fn open_with(
    path: &Path,
    make_spool: impl FnOnce() -> io::Result<File>,
) -> Result<Archive, ArchiveError> {
    let unreadable = |source| ArchiveError::Read { path: path.to_owned(), source };
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    if metadata.is_dir() {
        return read(Members::directory(path));
    }
    let mut file = File::open(path).map_err(unreadable)?;
    let start = spool::start_of(&file, 0, metadata.len()).map_err(unreadable)?;
    if spool::compression(&start).is_none() {
        return read(Members::tar(path, file)?);
    }
    let unspoolable = |source| ArchiveError::Spool { path: path.to_owned(), source };
    let spool = spool::spool(&mut file, make_spool().map_err(unspoolable)?).map_err(unspoolable)?;
    read(Members::tar(path, spool)?)
}

/// Reads an archive from a stream (a pipe), compressed or not. `spool` is an empty file, readable and
/// writable, that takes the bytes, because an archive must be read out of order.
pub fn from_stream(stream: &mut dyn Read, spool: File) -> Result<Archive, ArchiveError> {
    let name = Path::new("(stream)");
    let spool = spool::spool(stream, spool)
        .map_err(|source| ArchiveError::Spool { path: name.to_owned(), source })?;
    read(Members::tar(name, spool)?)
}

fn read(members: Members) -> Result<Archive, ArchiveError> {
    let images = if members.has(oci::LAYOUT) && members.has(oci::INDEX) {
        let mut images = oci::images(&members)?;
        if members.has(docker::MANIFEST) {
            docker::add_names(&members, &mut images)?;
        }
        images
    } else if members.has(docker::MANIFEST) {
        docker::images(&members)?
    } else {
        return Err(ArchiveError::Unknown { path: members.path().to_owned() });
    };
    if images.is_empty() {
        return Err(ArchiveError::Empty { path: members.path().to_owned() });
    }
    Ok(Archive { images, members })
}

impl Archive {
    /// Opens a layer's stored bytes. If the layer has a descriptor, reading fails at the end, with an error
    /// of kind `InvalidData`, when the bytes are not what it says.
    pub fn open_layer(&self, layer: &ArchivedLayer) -> Result<Box<dyn Read + Send>, ArchiveError> {
        let reader = self.members.open(&layer.member)?;
        match &layer.descriptor {
            Some(descriptor) => {
                let reader = spool::Verified::new(reader, descriptor.digest(), descriptor.size());
                let unusable = |source| DocumentError::Verify { subject: layer.diff_id.to_string(), source };
                let reader = reader.map_err(|source| self.members.unusable(unusable(source)))?;
                Ok(Box::new(reader))
            }
            None => Ok(Box::new(reader)),
        }
    }
}

#[cfg(test)]
mod tests;
