//! One image of an OCI layout's directory: by tag or digest, for a platform. Only what leads to it is read.
//!
//! A layout with many images costs no more than its index, and what is wrong with the others does not matter.
//! Called by the builder for `oci-layout://` contexts; [`super::open`] reads all images of an archive.

use std::path::Path;

use oci_spec::image::{Descriptor, Digest};

use super::member::Members;
use super::{Archive, ArchiveError, oci};
use crate::document::{Document, DocumentError, ManifestOrIndex, manifest_media_type};
use crate::platform::Platform;
use crate::reference::DEFAULT_TAG;
use crate::resolve::{choose, is_image, to_platform};

/// Indexes within indexes that are followed.
const MAX_DEPTH: usize = 4;

/// Which image of a layout is meant.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Its tag, or its whole name, in the index. Without one, and without a digest, the tag is `latest`, or whatever an
    /// only image has.
    pub tag: Option<&'a str>,
    /// The digest of its manifest or of an index; decides where it is given.
    pub digest: Option<&'a Digest>,
    /// The platform to choose from an index. An image that stands alone is taken whatever it is for.
    pub platform: &'a Platform,
}

/// Opens the layout in `directory` as an archive of the wanted image alone.
pub fn open_layout(directory: &Path, wanted: &Wanted<'_>) -> Result<Archive, ArchiveError> {
    let members = Members::directory(directory);
    let index = oci::index(&members)?;
    let mut document = first(&members, &index, wanted)?;
    for _ in 0..=MAX_DEPTH {
        match document.read().map_err(|source| members.unusable(source))? {
            ManifestOrIndex::Manifest(manifest) => {
                let image = oci::image(&members, document, &manifest, &[])?;
                return Ok(Archive { images: vec![image], members });
            }
            ManifestOrIndex::Index(entries) => {
                let chosen = choose(&entries, wanted.platform);
                let chosen = chosen.ok_or_else(|| no_platform(&members, wanted, &entries))?;
                document = entry(&members, chosen)?;
            }
        }
    }
    let subject = document.digest.to_string();
    Err(members.unusable(DocumentError::TooDeep { subject }))
}

/// The document that tag or digest name.
fn first(members: &Members, index: &[Descriptor], wanted: &Wanted<'_>) -> Result<Document, ArchiveError> {
    if let Some(digest) = wanted.digest {
        let bytes = members.read(&oci::blob_name(digest))?;
        let media_type = manifest_media_type(digest.as_ref(), &bytes, None);
        let media_type = media_type.map_err(|source| members.unusable(source))?;
        let verified = Document::verified(bytes, digest, media_type);
        return verified.map_err(|source| members.unusable(source));
    }
    let images: Vec<&Descriptor> = index.iter().filter(|entry| is_image(entry)).collect();
    let tag = wanted.tag.unwrap_or(DEFAULT_TAG);
    let named: Vec<Descriptor> =
        images.iter().filter(|entry| is_called(entry, tag)).map(|&entry| entry.clone()).collect();
    let chosen = match (&named[..], &images[..]) {
        ([one], _) => one,
        // An only image without a name is what was meant; one with another name is not.
        ([], [only]) if wanted.tag.is_none() || oci::annotated(only).next().is_none() => only,
        ([], _) => return Err(no_image(members, tag, &images)),
        // One image for several platforms, without an index of its own.
        (several, _) => {
            choose(several, wanted.platform).ok_or_else(|| no_platform(members, wanted, several))?
        }
    };
    entry(members, chosen)
}

fn entry(members: &Members, entry: &Descriptor) -> Result<Document, ArchiveError> {
    members.document(&oci::blob_name(entry.digest()), entry.digest(), entry.media_type().clone())
}

/// Whether an annotation names the entry so: as a tag, or as a reference or its tag.
fn is_called(entry: &Descriptor, tag: &str) -> bool {
    let ends = |name: &str| name.rsplit_once(':').is_some_and(|(_, end)| end == tag);
    oci::annotated(entry).any(|name| name == tag || ends(name))
}

fn no_image(members: &Members, tag: &str, images: &[&Descriptor]) -> ArchiveError {
    let mut available: Vec<String> =
        images.iter().flat_map(|entry| oci::annotated(entry)).map(str::to_owned).collect();
    available.extend(images.iter().map(|entry| entry.digest().to_string()));
    available.dedup();
    ArchiveError::NoImage { path: members.path().to_owned(), tag: tag.to_owned(), available }
}

fn no_platform(members: &Members, wanted: &Wanted<'_>, entries: &[Descriptor]) -> ArchiveError {
    let images = entries.iter().filter(|entry| is_image(entry));
    let mut available: Vec<String> =
        images.filter_map(|entry| Some(to_platform(entry.platform().as_ref()?).to_string())).collect();
    available.dedup();
    let (path, wanted) = (members.path().to_owned(), wanted.platform.to_string());
    ArchiveError::NoPlatform { path, wanted, available }
}

#[cfg(test)]
mod tests;
