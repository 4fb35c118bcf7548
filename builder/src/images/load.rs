//! Load: the images of an archive into the store.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use kiln_cache::{DiffId, Digest, ImageRecord};
use kiln_graph::image::ImageConfig;
use kiln_registry::archive::{self, Archive, ArchivedImage, ArchivedLayer};
use kiln_registry::{Descriptor, Reference};
use rustix::fs::{Mode, OFlags};

use super::{ImageError, Images};

/// Where an archive comes from.
pub enum LoadSource<'a> {
    /// A file, or the directory of an OCI layout.
    Path(&'a Path),
    /// A stream, such as standard input.
    Stream(&'a mut dyn Read),
}

/// An image that was loaded.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The image.
    pub record: ImageRecord,
    /// The names it was given.
    pub names: Vec<Reference>,
}

impl Images {
    /// Brings every image of the archive into the store, under the names the archive gives. Blocks.
    pub fn load(&self, source: LoadSource<'_>) -> Result<Vec<Loaded>, ImageError> {
        let _use = self.store.use_lock()?;
        let archive = match source {
            LoadSource::Path(path) => {
                archive::open_with(path, || self.spool().map_err(std::io::Error::other))?
            }
            LoadSource::Stream(stream) => archive::from_stream(stream, self.spool()?)?,
        };
        let mut loaded = Vec::with_capacity(archive.images.len());
        // Every image is complete before the first is named: a broken archive changes no name.
        for image in &archive.images {
            loaded.push(self.bring_in(&archive, image)?);
        }
        self.store.sync()?;
        for image in &loaded {
            self.store.images().add(&image.record)?;
            for name in &image.names {
                self.name(&image.record, name)?;
            }
        }
        Ok(loaded)
    }

    /// A file without a name, on the store's file system: nothing to clean up.
    fn spool(&self) -> Result<std::fs::File, ImageError> {
        let root = self.store.root();
        let file =
            rustix::fs::open(root, OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC, Mode::from(0o600));
        let file = file.map_err(|error| ImageError::File {
            action: "make a temporary file in",
            path: root.to_owned(),
            source: error.into(),
        })?;
        Ok(file.into())
    }

    fn bring_in(&self, archive: &Archive, image: &ArchivedImage) -> Result<Loaded, ImageError> {
        let id = self.store.blobs().put(&image.config.bytes)?;
        let config: ImageConfig = serde_json::from_slice(&image.config.bytes)
            .map_err(|source| ImageError::Config { image: id.to_string(), source })?;
        if let Some(manifest) = &image.manifest {
            self.store.blobs().put(&manifest.bytes)?;
        }
        let mut layers = Vec::with_capacity(image.layers.len());
        let mut blobs = Vec::with_capacity(image.layers.len());
        for layer in &image.layers {
            let diff_id = DiffId::try_from(layer.diff_id.clone())?;
            blobs.push(self.bring_in_layer(archive, layer, &diff_id)?);
            layers.push(diff_id);
        }
        let names = image.names.iter().map(|name| Reference::parse(name));
        let names =
            names.filter(|name| name.as_ref().is_ok_and(|name| name.digest().is_none()) || name.is_err());
        let record = ImageRecord {
            id,
            manifest: image.manifest.as_ref().map(kiln_registry::Document::descriptor),
            size: blobs.iter().map(Descriptor::size).sum(),
            layers,
            layer_blobs: blobs,
            origin: None,
            layer_origins: std::collections::BTreeMap::new(),
            platform: image.platform.clone(),
            created: config.created,
        };
        Ok(Loaded { record, names: names.collect::<Result<_, _>>()? })
    }

    /// The blob of the layer, in the store after this.
    fn bring_in_layer(
        &self,
        archive: &Archive,
        layer: &ArchivedLayer,
        diff_id: &DiffId,
    ) -> Result<Descriptor, ImageError> {
        let blobs = self.store.blobs();
        if let Some(known) = &layer.descriptor
            && blobs.contains(known.digest())?
        {
            self.store.layers().register_blob(diff_id, known)?;
            return Ok(known.clone());
        }
        let mut content = archive.open_layer(layer)?;
        let mut writer = blobs.writer()?;
        io::copy(&mut content, &mut writer).map_err(|source| ImageError::File {
            action: "copy from the archive layer",
            path: PathBuf::from(layer.diff_id.to_string()),
            source,
        })?;
        let expected: Option<(&Digest, u64)> =
            layer.descriptor.as_ref().map(|known| (known.digest(), known.size()));
        let (digest, size) = writer.finish(expected)?;
        let blob = Descriptor::new(layer.media_type.clone(), size, digest);
        self.store.layers().register_blob(diff_id, &blob)?;
        Ok(blob)
    }
}
