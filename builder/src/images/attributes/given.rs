//! Attributes as they were given: which belong to a kind of output, and what their values mean.

use std::collections::BTreeMap;
use std::fmt;

use kiln_cache::Compression;
use kiln_registry::Reference;

use super::super::annotations::AnnotationError;
use super::super::packing::{DocumentTypes, Packing};
use super::{AttributeError, Dangling, OutputKind, boolean};

/// Attributes that say nothing about what is made, whatever it is.
const WITHOUT_MEANING: &[&str] = &["type", "dest", "context", "context-ref", "buildinfo", "buildinfo-attrs"];

/// Attributes of each kind of output, beside those of all.
const OF_ALL: &[&str] = &["name", "source-date-epoch"];
const OF_IMAGES: &[&str] = &[
    "push",
    "push-by-digest",
    "registry.insecure",
    "store",
    "unpack",
    "dangling-name-prefix",
    "danging-name-empty-only",
    "dangling-name-empty-only",
    "name-canonical",
];
const OF_PACKED: &[&str] = &[
    "compression",
    "compression-level",
    "force-compression",
    "oci-mediatypes",
    "oci-artifact",
    "attestation-inline",
    "prefer-nondist-layers",
    "rewrite-timestamp",
];
const OF_ARCHIVES: &[&str] = &["tar"];
const OF_FILES: &[&str] = &["attestation-prefix", "platform-split", "mode"];

/// The attributes as they were given.
pub(super) struct Given<'a> {
    pub(super) kind: OutputKind,
    pub(super) given: &'a BTreeMap<String, String>,
}

impl Given<'_> {
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.given.get(key).map(String::as_str)
    }

    pub(super) fn refused(&self, key: &str, why: impl Into<String>) -> AttributeError {
        let value = self.get(key).unwrap_or_default().to_owned();
        AttributeError { kind: self.kind, key: key.to_owned(), value, why: why.into() }
    }

    /// Every attribute is one of this kind of output's.
    pub(super) fn check(&self) -> Result<(), AttributeError> {
        let is_packed = matches!(self.kind, OutputKind::Image | OutputKind::Oci | OutputKind::Docker);
        for key in self.given.keys().map(String::as_str) {
            let belongs = WITHOUT_MEANING.contains(&key)
                || OF_ALL.contains(&key)
                || (self.kind == OutputKind::Image && OF_IMAGES.contains(&key))
                || (is_packed && (OF_PACKED.contains(&key) || key.starts_with("annotation")))
                || (matches!(self.kind, OutputKind::Oci | OutputKind::Docker) && OF_ARCHIVES.contains(&key))
                || (!is_packed && OF_FILES.contains(&key));
            if belongs {
                continue;
            }
            let others = [OF_IMAGES, OF_PACKED, OF_ARCHIVES, OF_FILES];
            let is_known = others.iter().any(|keys| keys.contains(&key)) || key.starts_with("annotation");
            // What is switched off need not have a meaning.
            if is_known && self.get(key).and_then(boolean) == Some(false) {
                continue;
            }
            let why = if is_known {
                "this kind of output has no such attribute"
            } else {
                "kiln does not know this attribute"
            };
            return Err(self.refused(key, why));
        }
        if self.is("prefer-nondist-layers", false)? {
            return Err(
                self.refused("prefer-nondist-layers", "kiln knows no layers that may not be distributed")
            );
        }
        Ok(())
    }

    pub(super) fn is(&self, key: &str, default: bool) -> Result<bool, AttributeError> {
        match self.get(key) {
            None => Ok(default),
            Some(text) => boolean(text).ok_or_else(|| self.refused(key, "true or false is meant")),
        }
    }

    pub(super) fn number<T>(
        &self,
        key: &str,
        range: std::ops::RangeInclusive<T>,
    ) -> Result<Option<T>, AttributeError>
    where
        T: std::str::FromStr + PartialOrd + fmt::Display,
    {
        let Some(text) = self.get(key).filter(|text| !text.is_empty()) else { return Ok(None) };
        match text.parse::<T>().ok().filter(|number| range.contains(number)) {
            Some(number) => Ok(Some(number)),
            None => {
                Err(self.refused(key, format!("a number from {} to {} is meant", range.start(), range.end())))
            }
        }
    }

    pub(super) fn names(&self) -> Result<Vec<Reference>, AttributeError> {
        let names = self.get("name").unwrap_or_default();
        // With this name clients leave the choice to the frontend, which has none.
        let names = names.split(',').map(str::trim).filter(|name| !name.is_empty() && *name != "*");
        names.map(|name| self.reference("name", name)).collect()
    }

    fn reference(&self, key: &str, text: &str) -> Result<Reference, AttributeError> {
        Reference::parse(text).map_err(|error| self.refused(key, error.to_string()))
    }

    pub(super) fn dangling(&self) -> Result<Option<Dangling>, AttributeError> {
        let only_nameless =
            self.is("danging-name-empty-only", false)? || self.is("dangling-name-empty-only", false)?;
        let Some(prefix) = self.get("dangling-name-prefix").filter(|prefix| !prefix.is_empty()) else {
            return Ok(None);
        };
        let name = self.reference("dangling-name-prefix", prefix)?;
        Ok(Some(Dangling { name, only_nameless }))
    }

    pub(super) fn mode(&self) -> Result<bool, AttributeError> {
        match self.get("mode") {
            None | Some("" | "copy") => Ok(false),
            Some("delete") if self.kind == OutputKind::Local => Ok(true),
            Some("delete") => Err(self.refused("mode", "only type=local has a directory to delete from")),
            Some(_) => Err(self.refused("mode", "copy or delete is meant")),
        }
    }

    pub(super) fn packing(&self) -> Result<Packing, AttributeError> {
        let mut packing = Packing { types: DocumentTypes::Oci, ..Packing::default() };
        for (key, value) in self.given {
            packing
                .annotations
                .add(key, value)
                .map_err(|error: AnnotationError| self.refused(key, error.to_string()))?;
        }
        packing.compression = self.compression()?;
        packing.level = match packing.compression {
            Some(Compression::Zstd) => self.number("compression-level", 0..=22)?,
            _ => self.number("compression-level", 0..=9)?,
        };
        packing.force_compression = self.is("force-compression", false)?;
        let is_oci = self.is("oci-mediatypes", true)?;
        packing.artifacts = self.is("oci-artifact", is_oci)?;
        if is_oci {
            return Ok(packing);
        }
        packing.types = DocumentTypes::Docker;
        let annotations = &packing.annotations;
        if packing.compression == Some(Compression::Zstd) {
            return Err(self.refused("compression", "Docker's formats (oci-mediatypes=false) have no zstd"));
        }
        if packing.artifacts {
            return Err(
                self.refused("oci-artifact", "Docker's formats (oci-mediatypes=false) have no artifacts")
            );
        }
        if annotations.is_of_index() || !annotations.manifest_descriptor.is_empty() {
            let why = "Docker's formats have annotations of manifests only";
            return Err(self.refused("oci-mediatypes", why));
        }
        Ok(packing)
    }

    fn compression(&self) -> Result<Option<Compression>, AttributeError> {
        match self.get("compression") {
            None | Some("") => Ok(None),
            Some("uncompressed") => Ok(Some(Compression::None)),
            Some("gzip") => Ok(Some(Compression::Gzip)),
            Some("zstd") => Ok(Some(Compression::Zstd)),
            Some("estargz") => Err(self.refused(
                "compression",
                "kiln writes no eStargz layers; uncompressed, gzip and zstd are what is done",
            )),
            Some(_) => Err(self.refused("compression", "uncompressed, gzip or zstd is meant")),
        }
    }
}
