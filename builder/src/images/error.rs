//! Why an image command failed.

use std::path::PathBuf;

use kiln_cache::{BlobError, Digest, DigestError, LayerError, StoreError, ViewError};
use kiln_registry::archive::ArchiveError;
use kiln_registry::{DocumentError, ReferenceError, RegistryError};

use crate::fetch::FetchError;

/// Any failure of an image command.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// Nothing in the store answers to the name.
    #[error("no such image: {name}")]
    NotFound {
        /// The name or id as it was written.
        name: String,
    },
    /// Several ids begin with these digits.
    #[error("`{prefix}` is the beginning of {count} image ids")]
    Ambiguous {
        /// The digits.
        prefix: String,
        /// How many ids begin with them.
        count: usize,
    },
    /// An image that is asked to be removed by its id is known under several names.
    #[error("image {id} has several names: {}", names.join(", "))]
    SeveralNames {
        /// The image.
        id: Digest,
        /// Its names.
        names: Vec<String>,
    },
    /// A name that cannot be one.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// A name with a digest where a tag is needed.
    #[error("`{reference}` names content by its digest; a name that can be given has a tag")]
    DigestName {
        /// The name.
        reference: String,
    },
    /// The only image under a name is for another platform than the one that was asked for.
    #[error("{reference} is an image for {actual}, and not for {wanted}")]
    OtherPlatform {
        /// The name.
        reference: String,
        /// The platform that was asked for.
        wanted: String,
        /// The image's.
        actual: String,
    },
    /// The registry or the way there.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The image or a layer of it could not be had.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// An archive could not be read or written.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A blob of the store.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// A layer of the store.
    #[error(transparent)]
    Layer(#[from] LayerError),
    /// The files of the image could not be looked at.
    #[error(transparent)]
    View(#[from] ViewError),
    /// A layer was damaged, and an archive that it is in is half written.
    #[error("a layer of image {image} was damaged in the store; it has been fetched or made again")]
    Mended {
        /// The image.
        image: Digest,
    },
    /// A digest that cannot be kept.
    #[error(transparent)]
    Digest(#[from] DigestError),
    /// A manifest or a configuration that cannot be used.
    #[error("image {image} has an unusable document")]
    Document {
        /// The image.
        image: String,
        /// What is wrong with it.
        #[source]
        source: DocumentError,
    },
    /// A configuration that is not one.
    #[error("the configuration of image {image} cannot be read")]
    Config {
        /// The image.
        image: String,
        /// Where it stops making sense.
        #[source]
        source: serde_json::Error,
    },
    /// The manifest and the configuration do not speak of the same layers.
    #[error("image {image}: its manifest has {manifest} layers, its configuration {config}")]
    LayerCount {
        /// The image.
        image: String,
        /// Layers of the manifest.
        manifest: usize,
        /// Layers of the configuration.
        config: usize,
    },
    /// A file beside the store could not be written or read.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was attempted, as a verb that fits "cannot …".
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system answered.
        #[source]
        source: std::io::Error,
    },
    /// Two statements would be one file.
    #[error("two attestations are to be written as `{name}`; give one of them another name (filename=)")]
    StatementName {
        /// The name.
        name: String,
    },
    /// A piece of work died of a defect of the program.
    #[error("a worker stopped while {doing}")]
    Worker {
        /// What it was doing.
        doing: &'static str,
        /// How it ended.
        #[source]
        source: tokio::task::JoinError,
    },
}

impl ImageError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotFound { .. } => Some(
                "`kiln images` lists what there is; `kiln pull` or `kiln build -t` brings more".to_owned(),
            ),
            Self::Ambiguous { .. } => Some("write more digits of the id".to_owned()),
            Self::SeveralNames { .. } => {
                Some("remove the names one by one, or all of them with --force".to_owned())
            }
            Self::Mended { .. } => Some("run the same command once more".to_owned()),
            Self::Registry(error) => error.hint(),
            Self::Fetch(error) => error.hint(),
            _ => None,
        }
    }
}
