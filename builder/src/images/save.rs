//! Save: images as one archive, for another store or another tool.

use std::io::Write;

use kiln_cache::{DiffId, ImageRecord};
use kiln_registry::archive::{DockerImage, DockerWriter, OciWriter};
use kiln_registry::{MediaType, Reference};

use super::packing::{DocumentTypes, Packing};
use super::{ImageError, Images};
use crate::event::Progress;
use crate::fetch::Fetcher;

/// Which archive is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArchiveFormat {
    /// What `docker load` has always read: `manifest.json` and uncompressed layers.
    Docker,
    /// A tar of an OCI image layout, layers compressed with gzip.
    Oci,
}

impl Images {
    /// Writes the images, each with the names it is to have there, and gives the writer back.
    ///
    /// Layers that are not here are fetched first.
    pub async fn save<W: Write + Send + 'static>(
        &self,
        images: Vec<(ImageRecord, Vec<Reference>)>,
        format: ArchiveFormat,
        writer: W,
        progress: &Progress,
    ) -> Result<W, ImageError> {
        let _use = self.store.use_lock()?;
        for (record, _) in &images {
            self.fetcher.ensure_tars(&Fetcher::snapshot(record)?, progress).await?;
        }
        let (this, to_write) = (self.clone(), images.clone());
        let write = move || match format {
            ArchiveFormat::Docker => this.write_docker(&to_write, writer),
            ArchiveFormat::Oci => this.write_oci(&to_write, writer),
        };
        let step = progress.step(match format {
            ArchiveFormat::Docker => "exporting to docker archive",
            ArchiveFormat::Oci => "exporting to OCI archive",
        });
        let written = tokio::task::spawn_blocking(write)
            .await
            .map_err(|source| ImageError::Worker { doing: "writing an archive", source })?;
        match &written {
            Ok(_) => step.done(),
            Err(error) => step.failed(crate::text::chain(error)),
        }
        if written.as_ref().is_err_and(ImageError::may_be_damage) {
            for (record, _) in &images {
                if self.mend(record, progress).await? {
                    return Err(ImageError::Mended { image: record.id.clone() });
                }
            }
        }
        written
    }

    fn write_docker<W: Write>(
        &self,
        images: &[(ImageRecord, Vec<Reference>)],
        writer: W,
    ) -> Result<W, ImageError> {
        let mut archive = DockerWriter::new(writer);
        let mut listed = Vec::new();
        for (record, names) in images {
            for layer in &record.layers {
                let mut tar = self.store.layers().open_tar(layer)?;
                archive.add_layer(layer.digest(), self.tar_size(layer)?, &mut tar)?;
            }
            archive.add_config(&self.document(&record.id, MediaType::ImageConfig)?)?;
            listed.push(DockerImage {
                config: record.id.clone(),
                layers: record.layers.iter().map(|layer| layer.digest().clone()).collect(),
                names: names.iter().map(Reference::familiar).collect(),
            });
        }
        Ok(archive.finish(&listed)?)
    }

    /// Bytes of the layer's tar. A layer that was pulled and never unpacked has to be read for it.
    fn tar_size(&self, layer: &DiffId) -> Result<u64, ImageError> {
        let known = self.store.layers().info(layer)?.map(|info| info.size).filter(|size| *size > 0);
        if let Some(size) = known {
            return Ok(size);
        }
        let mut tar = self.store.layers().open_tar(layer)?;
        std::io::copy(&mut tar, &mut std::io::sink()).map_err(|source| ImageError::File {
            action: "read layer",
            path: layer.to_string().into(),
            source,
        })
    }

    fn write_oci<W: Write>(
        &self,
        images: &[(ImageRecord, Vec<Reference>)],
        writer: W,
    ) -> Result<W, ImageError> {
        let mut archive = OciWriter::new(writer);
        let mut listed = Vec::new();
        let packing = Packing { types: DocumentTypes::Oci, ..Packing::default() };
        for (record, names) in images {
            let packed = self.pack(record, &packing)?;
            for (_, blob) in &packed.layers {
                archive.add_blob(blob, &mut self.store.blobs().open(blob.digest())?)?;
            }
            archive.add_document(&packed.config)?;
            archive.add_document(&packed.manifest)?;
            listed.push((packed.manifest.descriptor(), names.iter().map(ToString::to_string).collect()));
        }
        Ok(archive.finish(&listed)?)
    }
}
