//! Places that hold shared caches: a repository of a registry, a directory, a bucket, the cache service of Actions.
//!
//! All of them are seen as one kind of thing: blobs named by their digests, and one document (a manifest) with a name.
//! What enters is verified here, whatever the place. What the blobs mean, and when a failure matters, is the
//! builder's business.

mod actions;
mod bucket;
mod directory;
mod error;
mod location;
mod reader;
mod repository;

use bytes::{Bytes, BytesMut};
use oci_spec::image::{Descriptor, Digest};

use crate::client::Client;
use crate::document::Document;
use crate::push::PushOutcome;
use crate::upload::BlobSource;

pub use error::StorageError;
pub use location::{BucketPlace, Location};
pub use reader::StorageReader;

/// What a place asks of whoever comes; a registry's logins are the client's.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Access {
    /// For buckets.
    pub keys: Option<AccessKeys>,
    /// For the cache service of Actions.
    pub token: Option<String>,
}

/// The keys to a bucket.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct AccessKeys {
    /// The public half.
    pub id: String,
    /// The secret half.
    pub secret: String,
    /// Of keys that were lent for a while.
    pub session_token: Option<String>,
}

impl std::fmt::Debug for Access {
    /// Never shows a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (keys, token) = (self.keys.is_some(), self.token.is_some());
        f.debug_struct("Access").field("keys", &keys).field("token", &token).finish()
    }
}

impl std::fmt::Debug for AccessKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AccessKeys")
    }
}

/// A place, opened. Nothing is asked before the first request.
#[derive(Debug)]
pub struct Storage {
    location: Location,
    medium: Medium,
}

#[derive(Debug)]
enum Medium {
    Repository(repository::Repository),
    Directory(directory::Directory),
    Bucket(Box<bucket::Bucket>),
    Actions(Box<actions::Actions>),
}

impl Client {
    /// Opens a place. `access` is asked for where the place is no registry; without it the client's own is used.
    pub fn storage(&self, location: &Location, access: Option<&Access>) -> Result<Storage, StorageError> {
        let access = access.unwrap_or(&self.options().access);
        let medium = match location {
            Location::Registry { reference, insecure } => {
                Medium::Repository(repository::Repository::open(self, reference, *insecure)?)
            }
            Location::Directory { path, tag, digest } => {
                Medium::Directory(directory::Directory::new(path, tag, digest.as_deref()))
            }
            Location::Bucket(place) => {
                Medium::Bucket(Box::new(bucket::Bucket::open(self.options(), place, access)?))
            }
            Location::Actions { url, scope } => {
                Medium::Actions(Box::new(actions::Actions::open(self, url, scope, access)?))
            }
        };
        Ok(Storage { location: location.clone(), medium })
    }
}

impl Storage {
    /// Where it is.
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// The document, if there is one of that name.
    pub async fn document(&self) -> Result<Option<Document>, StorageError> {
        let document = match &self.medium {
            Medium::Repository(repository) => repository.document().await,
            Medium::Directory(directory) => directory.document(),
            Medium::Bucket(bucket) => bucket.document().await,
            Medium::Actions(actions) => actions.document().await,
        };
        match document {
            Err(error) if error.is_not_found() => Ok(None),
            document => document,
        }
    }

    /// The configuration of the image that the document is or lists for this platform, with its layers; nothing where
    /// images do not live.
    pub async fn image(&self, platform: &str) -> Result<Option<(Document, Vec<Descriptor>)>, StorageError> {
        match &self.medium {
            Medium::Repository(repository) => repository.image(platform).await.map(Some),
            _ => Ok(None),
        }
    }

    /// Reads a blob, verified. Nothing is requested before the first chunk is asked for.
    pub fn blob(&self, descriptor: &Descriptor) -> StorageReader {
        match &self.medium {
            Medium::Repository(repository) => repository.blob(descriptor),
            Medium::Directory(directory) => directory.blob(descriptor),
            Medium::Bucket(bucket) => bucket.blob(descriptor),
            Medium::Actions(actions) => actions.blob(descriptor),
        }
    }

    /// Reads a whole blob of at most `limit` bytes, verified.
    pub async fn small_blob(&self, descriptor: &Descriptor, limit: u64) -> Result<Bytes, StorageError> {
        if descriptor.size() > limit {
            let (subject, size) = (descriptor.digest().to_string(), descriptor.size());
            return Err(StorageError::TooLarge { subject, size, limit });
        }
        let (mut reader, mut bytes) = (self.blob(descriptor), BytesMut::new());
        while let Some(chunk) = reader.chunk().await? {
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes.freeze())
    }

    /// Brings a blob there unless it is there. `elsewhere` is a place that has it.
    pub async fn put_blob(
        &self,
        descriptor: &Descriptor,
        source: &BlobSource,
        elsewhere: Option<&Location>,
    ) -> Result<PushOutcome, StorageError> {
        match &self.medium {
            Medium::Repository(repository) => repository.put_blob(descriptor, source, elsewhere).await,
            Medium::Directory(directory) => directory.put_blob(descriptor, source).await,
            Medium::Bucket(bucket) => bucket.put_blob(descriptor, source).await,
            Medium::Actions(actions) => actions.put_blob(descriptor, source).await,
        }
    }

    /// Gives the document its name. All that it lists must be there before.
    pub async fn put_document(&self, document: &Document) -> Result<Digest, StorageError> {
        match &self.medium {
            Medium::Repository(repository) => repository.put_document(document).await?,
            Medium::Directory(directory) => directory.put_document(document)?,
            Medium::Bucket(bucket) => bucket.put_document(document).await?,
            Medium::Actions(actions) => actions.put_document(document).await?,
        }
        Ok(document.digest.clone())
    }
}

#[cfg(test)]
mod tests;
