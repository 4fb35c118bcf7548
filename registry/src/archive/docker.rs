//! Docker archives: `manifest.json` and the files it names. What `docker save` writes, old and new, and
//! podman, skopeo and others after it.

use std::str::FromStr as _;

use bytes::Bytes;
use oci_spec::image::{Descriptor, Digest, MediaType};
use serde::{Deserialize, Serialize};

use super::member::Members;
use super::spool::{Compression, compression};
use super::{ArchiveError, ArchivedImage, ArchivedLayer};
use crate::digest::sha256;
use crate::document::{DOCKER_CONFIG, Document, DocumentError};

/// The member that lists the images.
pub(super) const MANIFEST: &str = "manifest.json";

/// One image of `manifest.json`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Item {
    /// The member with the configuration.
    pub(super) config: String,
    /// The names, familiar form.
    pub(super) repo_tags: Option<Vec<String>>,
    /// The members with the layers, bottom first.
    pub(super) layers: Option<Vec<String>>,
}

/// The images of a docker archive.
pub(super) fn images(members: &Members) -> Result<Vec<ArchivedImage>, ArchiveError> {
    let items: Vec<Item> = members.json(MANIFEST)?;
    items.into_iter().map(|item| image(members, item)).collect()
}

/// Adds the names that `manifest.json` has for the images of a layout in the same archive.
pub(super) fn add_names(members: &Members, images: &mut [ArchivedImage]) -> Result<(), ArchiveError> {
    let items: Vec<Item> = members.json(MANIFEST)?;
    for item in items {
        let config = sha256(&members.read(&item.config)?);
        let names = item.repo_tags.unwrap_or_default();
        for image in images.iter_mut().filter(|image| image.config.digest == config) {
            merge_names(&mut image.names, &names);
        }
    }
    Ok(())
}

/// Adds names that are not there yet; the same name in long and short form counts as one.
pub(super) fn merge_names(known: &mut Vec<String>, more: &[String]) {
    let same = |a: &str, b: &str| match (crate::Reference::parse(a), crate::Reference::parse(b)) {
        (Ok(a), Ok(b)) => a == b,
        _ => a == b,
    };
    for name in more {
        if !known.iter().any(|other| same(other, name)) {
            known.push(name.clone());
        }
    }
}

fn image(members: &Members, item: Item) -> Result<ArchivedImage, ArchiveError> {
    let config = config(members, &item.config)?;
    let summary = config.config().map_err(|source| members.unusable(source))?;
    let layers = item.layers.unwrap_or_default();
    if layers.len() != summary.diff_ids.len() {
        return Err(members.unusable(DocumentError::LayerCount {
            subject: format!("`{MANIFEST}`"),
            layers: layers.len(),
            diff_ids: summary.diff_ids.len(),
        }));
    }
    let layers = layers.iter().zip(summary.diff_ids).map(|(name, diff_id)| layer(members, name, diff_id));
    Ok(ArchivedImage {
        names: item.repo_tags.unwrap_or_default(),
        manifest: None,
        config,
        platform: summary.platform.to_string(),
        layers: layers.collect::<Result<_, _>>()?,
    })
}

/// The configuration. Its member is named after its digest in every known writer; such a name must be true.
fn config(members: &Members, name: &str) -> Result<Document, ArchiveError> {
    let bytes: Bytes = members.read(name)?;
    let media_type = MediaType::from(DOCKER_CONFIG);
    let stem = name.rsplit('/').next().unwrap_or(name).trim_end_matches(".json");
    match Digest::from_str(&format!("sha256:{stem}")) {
        Ok(digest) => {
            Document::verified(bytes, &digest, media_type).map_err(|source| members.unusable(source))
        }
        Err(_) => Ok(Document::new(bytes, media_type)),
    }
}

fn layer(members: &Members, name: &str, diff_id: Digest) -> Result<ArchivedLayer, ArchiveError> {
    let reader = members.open(name)?;
    let start =
        reader.start().map_err(|source| ArchiveError::Read { path: members.path().to_owned(), source })?;
    let size = reader.size();
    let media_type = match compression(&start) {
        Some(Compression::Gzip) => MediaType::ImageLayerGzip,
        Some(Compression::Zstd) => MediaType::ImageLayerZstd,
        None => MediaType::ImageLayer,
    };
    let descriptor = (media_type == MediaType::ImageLayer)
        .then(|| Descriptor::new(MediaType::ImageLayer, size, diff_id.clone()));
    Ok(ArchivedLayer { diff_id, descriptor, media_type, size, member: name.to_owned() })
}
