//! OCI layouts, as a directory or in a tar: `oci-layout`, `index.json` and blobs by digest (OCI image
//! specification, "Image Layout").

use oci_spec::image::{Descriptor, Digest};
use serde::Deserialize;

use super::member::Members;
use super::{ArchiveError, ArchivedImage, ArchivedLayer};
use crate::document::{Document, DocumentError, Manifest, ManifestOrIndex, is_index, is_manifest};

/// The member that says that this is a layout, and of which version.
pub(super) const LAYOUT: &str = "oci-layout";
/// The member that lists the images.
pub(super) const INDEX: &str = "index.json";
/// The version of layouts.
pub(super) const VERSION: &str = "1.0.0";
/// The annotation for a tag (OCI image specification); some tools put a whole reference there.
pub(super) const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The annotation for a whole reference (containerd, BuildKit, docker).
pub(super) const IMAGE_NAME: &str = "io.containerd.image.name";
/// The annotation by which BuildKit marks entries that are not images.
const REFERENCE_TYPE: &str = "vnd.docker.reference.type";
/// Indexes within indexes that are followed.
const MAX_DEPTH: usize = 4;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Layout {
    image_layout_version: String,
}

#[derive(Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

/// The images of a layout. One whose manifest is not in the layout (another platform of an index that was
/// saved for one platform) is left out, unless nothing would be left.
pub(super) fn images(members: &Members) -> Result<Vec<ArchivedImage>, ArchiveError> {
    let mut walk = Walk { members, found: Vec::new(), absent: None };
    for entry in &index(members)? {
        walk.visit(entry, &names(entry), 0)?;
    }
    match walk.absent {
        Some(absent) if walk.found.is_empty() => Err(members.missing(&absent)),
        _ => Ok(walk.found),
    }
}

/// The entries of the layout's index.
pub(super) fn index(members: &Members) -> Result<Vec<Descriptor>, ArchiveError> {
    let layout: Layout = members.json(LAYOUT)?;
    if layout.image_layout_version != VERSION {
        return Err(ArchiveError::Version {
            path: members.path().to_owned(),
            version: layout.image_layout_version,
        });
    }
    let index: Index = members.json(INDEX)?;
    Ok(index.manifests)
}

struct Walk<'a> {
    members: &'a Members,
    found: Vec<ArchivedImage>,
    absent: Option<String>,
}

impl Walk<'_> {
    fn visit(&mut self, entry: &Descriptor, names: &[String], depth: usize) -> Result<(), ArchiveError> {
        let marked = entry.annotations().as_ref().is_some_and(|all| all.contains_key(REFERENCE_TYPE));
        if marked || !(is_manifest(entry.media_type()) || is_index(entry.media_type())) {
            return Ok(());
        }
        let member = blob_name(entry.digest());
        if !self.members.has(&member) {
            self.absent = Some(member);
            return Ok(());
        }
        let document = self.members.document(&member, entry.digest(), entry.media_type().clone())?;
        match document.read().map_err(|source| self.members.unusable(source))? {
            ManifestOrIndex::Manifest(manifest) => self.add(document, &manifest, names),
            ManifestOrIndex::Index(_) if depth == MAX_DEPTH => {
                let subject = entry.digest().to_string();
                Err(self.members.unusable(DocumentError::TooDeep { subject }))
            }
            ManifestOrIndex::Index(entries) => {
                entries.iter().try_for_each(|entry| self.visit(entry, names, depth + 1))
            }
        }
    }

    fn add(&mut self, document: Document, manifest: &Manifest, names: &[String]) -> Result<(), ArchiveError> {
        // The same image under several names is one image.
        if let Some(known) = self.found.iter_mut().find(|image| image.manifest.as_ref() == Some(&document)) {
            super::docker::merge_names(&mut known.names, names);
            return Ok(());
        }
        self.found.push(image(self.members, document, manifest, names)?);
        Ok(())
    }
}

/// The image of a manifest.
pub(super) fn image(
    members: &Members,
    document: Document,
    manifest: &Manifest,
    names: &[String],
) -> Result<ArchivedImage, ArchiveError> {
    let config = &manifest.config;
    let config =
        members.document(&blob_name(config.digest()), config.digest(), config.media_type().clone())?;
    let summary = config.config().map_err(|source| members.unusable(source))?;
    if summary.diff_ids.len() != manifest.layers.len() {
        return Err(members.unusable(DocumentError::LayerCount {
            subject: document.digest.to_string(),
            layers: manifest.layers.len(),
            diff_ids: summary.diff_ids.len(),
        }));
    }
    let layers = manifest.layers.iter().zip(summary.diff_ids);
    let layers = layers.map(|(layer, diff_id)| ArchivedLayer {
        diff_id,
        descriptor: Some(layer.clone()),
        media_type: layer.media_type().clone(),
        size: layer.size(),
        member: blob_name(layer.digest()),
    });
    Ok(ArchivedImage {
        names: names.to_vec(),
        manifest: Some(document),
        config,
        platform: summary.platform.to_string(),
        layers: layers.collect(),
    })
}

/// Where a layout keeps a blob.
pub(super) fn blob_name(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm(), digest.digest())
}

/// Everything that annotations call an entry.
pub(super) fn annotated(entry: &Descriptor) -> impl Iterator<Item = &str> {
    let annotations = entry.annotations().iter();
    let names = annotations.flat_map(|all| [REF_NAME, IMAGE_NAME].map(|key| all.get(key)));
    names.flatten().map(String::as_str)
}

/// An entry's names: a whole reference where there is one. A tag alone names nothing.
fn names(entry: &Descriptor) -> Vec<String> {
    let annotation = |key| entry.annotations().as_ref().and_then(|annotations| annotations.get(key));
    let whole =
        annotation(IMAGE_NAME).or_else(|| annotation(REF_NAME).filter(|name| name.contains([':', '/'])));
    whole.cloned().into_iter().collect()
}
