//! A built image on its way: into archives, layouts and directories, to its names, to registries.

use std::path::Path;

use kiln_builder::Progress;
use kiln_builder::images::{
    ArchiveFormat, Attestation, Bundle, BundleRequest, DocumentTypes, FileSet, Images, OutputAttributes,
    OutputKind,
};
use kiln_cache::ImageRecord;
use kiln_registry::{Descriptor, Reference};

use super::results::Results;
use crate::commands::destination::Writing;
use crate::error::CliError;
use crate::flags::output::{Destination, OutputSpec, Place};

/// A built image, and what outputs may need to know of it.
pub struct Built {
    /// The image.
    pub record: ImageRecord,
    /// How many of its layers, from the bottom, are its base's.
    pub base_layers: usize,
    /// The time that the build was asked to bear.
    pub epoch: Option<i64>,
    /// What is stated about it.
    pub attestations: Vec<Attestation>,
}

/// One delivery.
pub struct Delivery<'a> {
    pub results: &'a Results,
    pub built: &'a Built,
    pub images: &'a Images,
    pub progress: &'a Progress,
    /// Registries that may be reached without encryption.
    pub trusting: &'a (dyn Fn(&Reference) -> Result<Images, CliError> + Sync),
}

impl Delivery<'_> {
    /// Exports, then names, then pushes: whatever fails, no name points to an image that is not what was asked for. Gives what
    /// stands for the image where it went last, in a registry or an archive.
    pub async fn perform(&self) -> Result<Option<Descriptor>, CliError> {
        let mut made = None;
        for output in &self.results.outputs {
            made = self.export(output).await?.or(made);
        }
        for name in &self.results.names {
            self.images.name(&self.built.record, name)?;
        }
        for output in self.results.pushes() {
            made = Some(self.push(output).await?).or(made);
        }
        Ok(made)
    }

    async fn export(&self, output: &OutputSpec) -> Result<Option<Descriptor>, CliError> {
        let attributes = &output.attributes;
        match &output.place {
            Place::Store => {
                if attributes.unpack {
                    self.images.unpack(&self.built.record, self.progress).await?;
                }
                Ok(None)
            }
            Place::Nowhere => Ok(None),
            Place::Layout(directory) => {
                let bundle = self.bundle(attributes, true).await?;
                self.images.write_layout(&bundle, &self.names(attributes), directory)?;
                Ok(Some(bundle.descriptor()))
            }
            Place::Archive(to) if attributes.kind == OutputKind::Tar => {
                let writing = Writing::begin(to)?;
                let files = vec![self.files(attributes)];
                let writer = self.images.export_tar_of(files, writing.writer()?, self.progress).await?;
                writing.finish(writer)?;
                Ok(None)
            }
            Place::Archive(to) => self.archive(attributes, to).await,
            Place::Directory(directory) => {
                self.images.export_files(self.files(attributes), directory, self.progress).await?;
                Ok(None)
            }
        }
    }

    /// An archive. What nobody has special wishes for is written the quickest way.
    async fn archive(
        &self,
        attributes: &OutputAttributes,
        to: &Destination,
    ) -> Result<Option<Descriptor>, CliError> {
        let writing = Writing::begin(to)?;
        let names = self.names(attributes);
        let is_docker = attributes.kind == OutputKind::Docker;
        if attributes.is_plain() && attributes.epoch.is_none() && self.stated(attributes).is_empty() {
            let format = if is_docker { ArchiveFormat::Docker } else { ArchiveFormat::Oci };
            let selected = vec![(self.built.record.clone(), names)];
            let writer = self.images.save(selected, format, writing.writer()?, self.progress).await?;
            writing.finish(writer)?;
            return Ok(None);
        }
        let bundle = self.bundle(attributes, true).await?;
        let writer = self.images.write_bundle(&bundle, &names, is_docker, writing.writer()?)?;
        writing.finish(writer)?;
        Ok(Some(bundle.descriptor()))
    }

    async fn push(&self, output: &OutputSpec) -> Result<Descriptor, CliError> {
        let attributes = &output.attributes;
        let bundle = self.bundle(attributes, false).await?;
        for name in self.names(attributes).iter().chain(&self.dangling(attributes, &bundle)) {
            let by_digest = attributes.push_by_digest || name.digest().is_some();
            let images = if attributes.insecure { (self.trusting)(name)? } else { self.images.clone() };
            images.push_bundle(&bundle, name, by_digest, self.progress).await?;
        }
        Ok(bundle.descriptor())
    }

    async fn bundle(&self, attributes: &OutputAttributes, is_complete: bool) -> Result<Bundle, CliError> {
        let record = self.prepared(attributes).await?;
        let annotations = &attributes.packing.annotations;
        if let Some(platform) = annotations.unmet_platform(&[&record.platform]) {
            let message = format!("there is no image of {platform} that could be annotated");
            return Err(CliError::usage(message));
        }
        let stated = self.stated(attributes);
        if annotations.is_of_index() && stated.is_empty() {
            return Err(CliError::usage_with_hint(
                "the image has no index that could be annotated",
                "annotate its manifest, or let it have one with --provenance=true",
            ));
        }
        let names = self.names(attributes);
        let mut packing = attributes.packing.clone();
        if !is_complete && packing.is_plain() {
            // An image that came with a manifest goes on with it.
            packing.types = DocumentTypes::AsTheyCame;
        }
        let request = BundleRequest {
            images: &[record],
            is_index: false,
            packing: &packing,
            is_complete,
            attestations: &[stated],
            names: &names,
        };
        Ok(self.images.bundle(request, self.progress).await?)
    }

    /// The image with its times as they are asked for.
    async fn prepared(&self, attributes: &OutputAttributes) -> Result<ImageRecord, CliError> {
        let Built { record, base_layers, epoch, .. } = self.built;
        let rewrite = attributes.rewrite_timestamps;
        let epoch = if rewrite { attributes.epoch.or(*epoch) } else { attributes.epoch };
        let Some(epoch) = epoch else {
            if rewrite {
                return Err(CliError::usage_with_hint(
                    "rewrite-timestamp=true: there is no time to rewrite to",
                    "set SOURCE_DATE_EPOCH, or give the output source-date-epoch=SECONDS",
                ));
            }
            return Ok(record.clone());
        };
        // Without the other attribute, the image's own times are all that is clamped.
        let kept = if rewrite { *base_layers } else { record.layers.len() };
        Ok(self.images.clamped(record, kept, epoch, self.progress).await?)
    }

    fn files(&self, attributes: &OutputAttributes) -> FileSet {
        let files = FileSet::of(&self.built.record);
        let split = attributes.platform_split == Some(true);
        let under = if split { files.record.platform.replace('/', "_") } else { String::new() };
        FileSet {
            time: attributes.epoch.or(self.built.epoch),
            attestations: self.stated(attributes),
            prefix: attributes.attestation_prefix.clone(),
            under: Path::new(&under).to_owned(),
            ..files
        }
    }

    fn stated(&self, attributes: &OutputAttributes) -> Vec<Attestation> {
        let goes = |one: &&Attestation| attributes.attestations_anyway || !one.inline_only;
        self.built.attestations.iter().filter(goes).cloned().collect()
    }

    /// The image's names in an output: all that it has, and its own.
    fn names(&self, attributes: &OutputAttributes) -> Vec<Reference> {
        let mut names = self.results.names.clone();
        names.extend(attributes.names.iter().filter(|name| !self.results.names.contains(name)).cloned());
        names
    }

    /// The name by the image's digest, if it is to have one.
    fn dangling(&self, attributes: &OutputAttributes, bundle: &Bundle) -> Vec<Reference> {
        let named = attributes.names_of(&bundle.root().digest);
        let is_nameless = self.names(attributes).is_empty();
        let only_nameless = attributes.dangling.as_ref().is_some_and(|dangling| dangling.only_nameless);
        let goes = |name: &Reference| name.digest().is_some() && (is_nameless || !only_nameless);
        named.into_iter().filter(goes).collect()
    }
}
