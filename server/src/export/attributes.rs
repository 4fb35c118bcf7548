//! What a client says about an output. What kiln does not do is refused by name: an image that is not what was asked for
//! is worse than none.

use std::collections::HashMap;

use kiln_registry::Reference;
use tonic::Status;

/// Attributes that say nothing about what is made here.
const WITHOUT_MEANING: &[&str] = &[
    "dest",
    "store",
    "unpack",
    "context",
    "buildinfo",
    "buildinfo-attrs",
    "name-canonical",
    "dangling-name-prefix",
    "danglingPrefix",
    "attestation-prefix",
    "compression-level",
];

/// Attributes that are refused when they are set to true.
const NOT_DONE: &[&str] =
    &["prefer-nondist-layers", "rewrite-timestamp", "force-compression", "nydus-fs-version"];

/// Values that are the only ones that are done.
const ONLY: &[(&str, &[&str])] = &[("compression", &["gzip"]), ("oci-artifact", &["true", "false"])];

/// An output's attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attributes {
    /// The names of the image.
    pub(super) names: Vec<Reference>,
    /// Whether it goes to registries.
    pub(super) push: bool,
    /// Whether it gets no name there.
    pub(super) push_by_digest: bool,
    /// Whether these may be reached without encryption.
    pub(super) insecure: bool,
    /// Whether an archive is one file, and not the blobs of a layout.
    pub(super) tar: bool,
    /// Whether each platform gets a directory of its own; `None` leaves it to how many there are.
    pub(super) platform_split: Option<bool>,
    /// Whether the image gets its names here.
    pub(super) store: bool,
    /// Whether manifests of Docker's format are asked for.
    pub(super) docker_types: bool,
}

/// Reads the attributes of an output of that type.
pub(super) fn read(kind: &str, given: &HashMap<String, String>) -> Result<Attributes, Status> {
    for (key, value) in given {
        check(kind, key, value)?;
    }
    let is = |key: &str| boolean(kind, key, given.get(key));
    let docker_types = is("oci-mediatypes")? == Some(false);
    if docker_types && kind != "docker" {
        return Err(refused(kind, "oci-mediatypes", "false", "manifests are written with OCI's types"));
    }
    Ok(Attributes {
        names: names(given)?,
        push: is("push")?.unwrap_or(false),
        push_by_digest: is("push-by-digest")?.unwrap_or(false),
        insecure: is("registry.insecure")?.unwrap_or(false),
        tar: is("tar")?.unwrap_or(true),
        platform_split: is("platform-split")?,
        store: is("store")?.unwrap_or(true),
        docker_types,
    })
}

fn check(kind: &str, key: &str, value: &str) -> Result<(), Status> {
    const READ: &[&str] =
        &["name", "push", "push-by-digest", "registry.insecure", "tar", "platform-split", "oci-mediatypes"];
    if READ.contains(&key) || WITHOUT_MEANING.contains(&key) {
        return Ok(());
    }
    if NOT_DONE.contains(&key) {
        return match value {
            "false" | "0" => Ok(()),
            _ => Err(refused(kind, key, value, "kiln does not do this")),
        };
    }
    match ONLY.iter().find(|(name, _)| *name == key) {
        Some((_, values)) if values.contains(&value) => Ok(()),
        Some((_, values)) => {
            Err(refused(kind, key, value, &format!("{} is what is done", values.join(" or "))))
        }
        None => Err(refused(kind, key, value, "kiln does not know this attribute")),
    }
}

fn refused(kind: &str, key: &str, value: &str, why: &str) -> Status {
    Status::invalid_argument(format!("output type={kind}: {key}={value}: {why}"))
}

fn boolean(kind: &str, key: &str, value: Option<&String>) -> Result<Option<bool>, Status> {
    match value.map(String::as_str) {
        None => Ok(None),
        Some("" | "1" | "t" | "T" | "true" | "True" | "TRUE") => Ok(Some(true)),
        Some("0" | "f" | "F" | "false" | "False" | "FALSE") => Ok(Some(false)),
        Some(other) => Err(refused(kind, key, other, "true or false is meant")),
    }
}

fn names(given: &HashMap<String, String>) -> Result<Vec<Reference>, Status> {
    let names = given.get("name").map(String::as_str).unwrap_or_default();
    // With this name clients leave the choice to the frontend, which has none.
    let names = names.split(',').map(str::trim).filter(|name| !name.is_empty() && *name != "*");
    names
        .map(|name| {
            Reference::parse(name)
                .map_err(|error| Status::invalid_argument(format!("name `{name}`: {error}")))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read_pairs(pairs: &[(&str, &str)]) -> Result<Attributes, Status> {
        read("image", &pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn attributes_are_read_or_refused_by_name() {
        let read = read_pairs(&[("name", "a:1, b"), ("push", "true"), ("compression", "gzip")]).unwrap();
        assert_eq!(read.names.iter().map(Reference::familiar).collect::<Vec<_>>(), ["a:1", "b:latest"]);
        assert!(read.push && read.tar && !read.push_by_digest);
        for (key, value) in [
            ("compression", "zstd"),
            ("force-compression", "true"),
            ("annotation.a", "b"),
            ("push", "maybe"),
            ("oci-mediatypes", "false"),
        ] {
            let refused = read_pairs(&[(key, value)]).unwrap_err();
            assert!(refused.message().contains(&format!("{key}={value}")), "{refused}");
        }
        assert!(read_pairs(&[("name", "A")]).is_err());
    }
}
