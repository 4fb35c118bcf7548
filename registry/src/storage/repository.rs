//! A shared cache in a repository of a registry.

use oci_spec::image::Descriptor;

use super::{Location, StorageError, StorageReader};
use crate::client::Client;
use crate::document::Document;
use crate::push::PushOutcome;
use crate::reference::Reference;
use crate::upload::BlobSource;

#[derive(Debug)]
pub(super) struct Repository {
    client: Client,
    reference: Reference,
}

impl Repository {
    pub(super) fn open(client: &Client, reference: &str, insecure: bool) -> Result<Self, StorageError> {
        let reference = Reference::parse(reference)?;
        let client = if insecure { client.trusting(reference.registry())? } else { client.clone() };
        Ok(Self { client, reference })
    }

    pub(super) async fn document(&self) -> Result<Option<Document>, StorageError> {
        Ok(Some(self.client.manifest(&self.reference).await?))
    }

    pub(super) async fn image(&self, platform: &str) -> Result<(Document, Vec<Descriptor>), StorageError> {
        let resolved = self.client.resolve(&self.reference, platform).await?;
        Ok((resolved.config, resolved.layers))
    }

    pub(super) fn blob(&self, descriptor: &Descriptor) -> StorageReader {
        StorageReader::registry(self.client.blob(&self.reference, descriptor))
    }

    pub(super) async fn put_blob(
        &self,
        descriptor: &Descriptor,
        source: &BlobSource,
        elsewhere: Option<&Location>,
    ) -> Result<PushOutcome, StorageError> {
        let from = elsewhere.and_then(|location| self.neighbour(location));
        Ok(self.client.push_blob(&self.reference, descriptor, source, from.as_deref(), |_| {}).await?)
    }

    pub(super) async fn put_document(&self, document: &Document) -> Result<(), StorageError> {
        self.client.put_manifest(&self.reference, document).await?;
        Ok(())
    }

    /// The repository of a location on the same registry.
    fn neighbour(&self, location: &Location) -> Option<String> {
        let Location::Registry { reference, .. } = location else { return None };
        let other = Reference::parse(reference).ok()?;
        (other.registry() == self.reference.registry()).then(|| other.repository().to_owned())
    }
}
