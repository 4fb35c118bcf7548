//! What is said about an output: the attributes of `--output`, the same for the command line and for clients of the daemon.
//!
//! What kiln does not do is refused by name, and so is what means nothing for that kind of output: an image that is not what
//! was asked for is worse than none. Source of the names: BuildKit's exporters.

mod given;

use std::collections::BTreeMap;
use std::fmt;

use kiln_registry::Reference;

use self::given::Given;
use super::packing::Packing;

/// A kind of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputKind {
    /// An image with names, perhaps in registries.
    Image,
    /// An OCI layout, as an archive or as its blobs.
    Oci,
    /// The same for docker.
    Docker,
    /// Files in a directory.
    Local,
    /// Files in a tar.
    Tar,
}

impl fmt::Display for OutputKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Image => "image",
            Self::Oci => "oci",
            Self::Docker => "docker",
            Self::Local => "local",
            Self::Tar => "tar",
        })
    }
}

/// An attribute that is not met.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("output type={kind}: {key}={value}: {why}")]
pub struct AttributeError {
    /// Of which output.
    pub kind: OutputKind,
    /// The attribute.
    pub key: String,
    /// What it was set to.
    pub value: String,
    /// Why not.
    pub why: String,
}

/// An output's attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is an attribute of its own")]
pub struct OutputAttributes {
    /// Of which kind it is.
    pub kind: OutputKind,
    /// The names of the image.
    pub names: Vec<Reference>,
    /// Whether it goes to registries.
    pub push: bool,
    /// Whether it gets no name there.
    pub push_by_digest: bool,
    /// Whether these may be reached without encryption.
    pub insecure: bool,
    /// Whether the image gets its names here.
    pub store: bool,
    /// Whether its layers are unpacked here.
    pub unpack: bool,
    /// The name of an image that is named by its digest: beside its other names, or if it has none.
    pub dangling: Option<Dangling>,
    /// Whether an archive is one file, and not the blobs of a layout.
    pub tar: bool,
    /// Whether each platform gets a directory of its own; `None` leaves it to how many there are.
    pub platform_split: Option<bool>,
    /// Whether what else is in a directory goes.
    pub delete: bool,
    /// What the names of files with attestations begin with.
    pub attestation_prefix: String,
    /// Whether attestations that are for images go into an archive, too.
    pub attestations_anyway: bool,
    /// The time that nothing is later than, in seconds.
    pub epoch: Option<i64>,
    /// Whether that goes for the files in layers, too.
    pub rewrite_timestamps: bool,
    /// How the image is packed.
    pub packing: Packing,
}

/// A name for images without one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dangling {
    /// What stands before the digest.
    pub name: Reference,
    /// Whether only an image without other names gets it.
    pub only_nameless: bool,
}

impl OutputAttributes {
    /// Reads the attributes of an output of that kind.
    pub fn read(kind: OutputKind, given: &BTreeMap<String, String>) -> Result<Self, AttributeError> {
        let given = Given { kind, given };
        let packing = given.packing()?;
        given.check()?;
        let attributes = Self {
            kind,
            names: given.names()?,
            push: given.is("push", false)?,
            push_by_digest: given.is("push-by-digest", false)?,
            insecure: given.is("registry.insecure", false)?,
            store: given.is("store", true)?,
            unpack: given.is("unpack", false)?,
            dangling: given.dangling()?,
            tar: given.is("tar", true)?,
            platform_split: given
                .get("platform-split")
                .map(|_| given.is("platform-split", true))
                .transpose()?,
            delete: given.mode()?,
            attestation_prefix: given.get("attestation-prefix").unwrap_or_default().to_owned(),
            attestations_anyway: given.is("attestation-inline", kind == OutputKind::Image)?,
            epoch: given.number("source-date-epoch", i64::MIN..=i64::MAX)?,
            rewrite_timestamps: given.is("rewrite-timestamp", false)?,
            packing,
        };
        // An image that no registry has is not found by a name with a digest.
        if given.is("name-canonical", false)? && !attributes.push {
            return Err(given
                .refused("name-canonical", "an image has such a name here once it was pushed (push=true)"));
        }
        Ok(attributes)
    }

    /// The names under which the image with that root is known, those with a digest last.
    pub fn names_of(&self, root: &kiln_registry::Digest) -> Vec<Reference> {
        let mut names = self.names.clone();
        if let Some(dangling) = &self.dangling
            && (names.is_empty() || !dangling.only_nameless)
        {
            names.push(dangling.name.at_digest(root.clone()));
        }
        names
    }

    /// Whether the image is to be packed just as it would be if nobody had said anything.
    pub fn is_plain(&self) -> bool {
        self.packing.is_plain() && !self.rewrite_timestamps && !self.attestations_anyway
    }
}

/// What a boolean attribute says; one without a value is set.
pub fn boolean(text: &str) -> Option<bool> {
    match text {
        "" | "1" | "t" | "T" | "true" | "True" | "TRUE" => Some(true),
        "0" | "f" | "F" | "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use kiln_cache::Compression;

    use super::*;

    fn read(kind: OutputKind, pairs: &[(&str, &str)]) -> Result<OutputAttributes, AttributeError> {
        let given = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        OutputAttributes::read(kind, &given)
    }

    #[test]
    fn attributes_are_read() {
        let attributes =
            [("name", "a:1, b"), ("push", ""), ("compression", "zstd"), ("compression-level", "19")];
        let read = read(OutputKind::Image, &attributes).unwrap();
        assert_eq!(read.names.iter().map(Reference::familiar).collect::<Vec<_>>(), ["a:1", "b:latest"]);
        assert!(read.push && read.tar && read.store && !read.push_by_digest && read.packing.artifacts);
        assert_eq!((read.packing.compression, read.packing.level), (Some(Compression::Zstd), Some(19)));
        assert!(!read.is_plain());
        let digest = kiln_registry::sha256(b"root");
        assert_eq!(read.names_of(&digest).len(), 2);
    }

    #[test]
    fn images_without_a_name_are_named_by_their_digest() {
        let digest = kiln_registry::sha256(b"root");
        let prefix = ("dangling-name-prefix", "nameless");
        let only = ("danging-name-empty-only", "true");
        let names = |pairs: &[(&str, &str)]| {
            let read = read(OutputKind::Image, pairs).unwrap();
            read.names_of(&digest).iter().map(Reference::familiar).collect::<Vec<_>>()
        };
        assert_eq!(names(&[prefix]).len(), 1);
        assert!(names(&[prefix])[0].ends_with(&format!("@{digest}")), "{:?}", names(&[prefix]));
        assert_eq!(names(&[prefix, ("name", "a")]).len(), 2);
        assert_eq!(names(&[prefix, only, ("name", "a")]), ["a:latest"]);
    }

    #[test]
    fn what_is_not_met_is_refused_by_name() {
        use OutputKind::{Docker, Image, Local, Oci, Tar};
        for (kind, pairs) in [
            (Image, &[("compression", "estargz")][..]),
            (Image, &[("compression", "lz4")]),
            (Image, &[("compression-level", "10")]),
            (Image, &[("compression-level", "23"), ("compression", "zstd")]),
            (Image, &[("compression", "zstd"), ("oci-mediatypes", "false")]),
            (Image, &[("oci-mediatypes", "false"), ("annotation-index.a", "b")]),
            (Image, &[("oci-artifact", "true"), ("oci-mediatypes", "false")]),
            (Image, &[("prefer-nondist-layers", "true")]),
            (Image, &[("name-canonical", "true")]),
            (Image, &[("nydus-fs-version", "6")]),
            (Image, &[("annotation-layer.a", "b")]),
            (Image, &[("push", "maybe")]),
            (Image, &[("name", "A")]),
            (Image, &[("tar", "true")]),
            (Image, &[("source-date-epoch", "now")]),
            (Oci, &[("push", "true")]),
            (Docker, &[("unpack", "true")]),
            (Local, &[("compression", "gzip")]),
            (Local, &[("mode", "move")]),
            (Tar, &[("mode", "delete")]),
            (Tar, &[("annotation.a", "b")]),
        ] {
            let refused = read(kind, pairs).unwrap_err().to_string();
            let (key, value) = pairs[0];
            assert!(refused.starts_with(&format!("output type={kind}: {key}={value}: ")), "{refused}");
        }
    }

    #[test]
    fn what_means_nothing_is_let_be() {
        use OutputKind::{Image, Local, Oci};
        for (kind, pair) in [
            (Image, ("dest", "x")),
            (Image, ("prefer-nondist-layers", "false")),
            (Oci, ("push", "false")),
            (Local, ("name", "a")),
            (Local, ("source-date-epoch", "")),
        ] {
            assert!(read(kind, &[pair]).is_ok(), "{pair:?}");
        }
    }
}
