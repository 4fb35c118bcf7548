//! Image references, normalised: `debian` becomes `docker.io/library/debian:latest`.
//!
//! The grammar is that of the distribution project's `reference` package, as Docker applies it. Which
//! host answers for a registry name is the transport's business. Everybody who names an image uses this.

use std::fmt;
use std::str::FromStr;

use oci_spec::image::{Digest, DigestAlgorithm};

/// The registry that a name without a host belongs to.
pub const DEFAULT_REGISTRY: &str = "docker.io";
/// The tag of a reference that names neither tag nor digest.
pub const DEFAULT_TAG: &str = "latest";
/// The old name of the default registry, still met in files and scripts.
const LEGACY_DEFAULT_REGISTRY: &str = "index.docker.io";
/// The namespace of the default registry's one-word names.
const OFFICIAL_NAMESPACE: &str = "library";
/// Longest repository path (distribution's `RepositoryNameTotalLengthMax`).
const MAX_REPOSITORY: usize = 255;
/// Longest tag (distribution's tag grammar).
const MAX_TAG: usize = 128;

/// A complete image reference: registry, repository, and a tag or a digest or both.
///
/// Invariant: every part has the grammar of the distribution specification; a digest is sha256 or
/// sha512 of the right length in lower-case hexadecimal; at least one of tag and digest is present.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// What is wrong with a reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// Nothing was given.
    #[error("an image reference is empty")]
    Empty,
    /// The registry part is neither a host name nor an address, with or without a port.
    #[error("invalid image reference `{reference}`: `{registry}` is not a registry host")]
    Registry {
        /// The reference as given.
        reference: String,
        /// The part that is wrong.
        registry: String,
    },
    /// The repository has a capital letter.
    #[error("invalid image reference `{reference}`: the repository name must be lower case")]
    Uppercase {
        /// The reference as given.
        reference: String,
    },
    /// The repository is not made of lower-case words joined by `.`, `_`, `__`, `-` and `/`.
    #[error("invalid image reference `{reference}`: `{repository}` is not a repository name")]
    Repository {
        /// The reference as given.
        reference: String,
        /// The part that is wrong.
        repository: String,
    },
    /// The repository is longer than a registry accepts.
    #[error(
        "invalid image reference `{reference}`: the repository name has more than {MAX_REPOSITORY} characters"
    )]
    TooLong {
        /// The reference as given.
        reference: String,
    },
    /// Sixty-four hexadecimal digits are an image id, never a name.
    #[error("invalid image reference `{reference}`: 64 hexadecimal digits are an image id, not a name")]
    LooksLikeId {
        /// The reference as given.
        reference: String,
    },
    /// The tag has other characters than letters, digits, `_`, `.` and `-`, or too many.
    #[error("invalid image reference `{reference}`: {}", not_a_tag(tag))]
    Tag {
        /// The reference as given.
        reference: String,
        /// The part that is wrong.
        tag: String,
    },
    /// The digest is malformed or of an algorithm that cannot be verified here.
    #[error("invalid image reference `{reference}`: `{digest}` is not a sha256 or sha512 digest")]
    Digest {
        /// The reference as given.
        reference: String,
        /// The part that is wrong.
        digest: String,
    },
}

fn not_a_tag(tag: &str) -> String {
    if tag.is_empty() { "no tag stands behind the `:`".to_owned() } else { format!("`{tag}` is not a tag") }
}

impl Reference {
    /// Reads a reference as a user writes it and fills in what Docker fills in.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        if text.is_empty() {
            return Err(ReferenceError::Empty);
        }
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => {
                (name, Some(verifiable_digest(digest).ok_or_else(|| bad_digest(text, digest))?))
            }
            None => (text, None),
        };
        let (name, tag) = split_tag(name);
        if let Some(tag) = tag.filter(|tag| !is_tag(tag)) {
            return Err(ReferenceError::Tag { reference: text.into(), tag: tag.into() });
        }
        if looks_like_id(name) {
            return Err(ReferenceError::LooksLikeId { reference: text.into() });
        }
        let (registry, repository) = normalise(name);
        check_name(text, &registry, &repository)?;
        let tag = match (tag, &digest) {
            (Some(tag), _) => Some(tag.to_owned()),
            (None, Some(_)) => None,
            (None, None) => Some(DEFAULT_TAG.to_owned()),
        };
        Ok(Self { registry, repository, tag, digest })
    }

    /// The registry, with its port if it has one: `docker.io`, `localhost:5000`.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The repository within the registry: `library/debian`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// Registry and repository: `docker.io/library/debian`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// The tag. Absent only if the reference names a digest and no tag.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest that the reference is pinned to, if any.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// The same reference, pinned to `digest` (its tag stays, for display).
    pub fn with_digest(&self, digest: Digest) -> Self {
        Self { digest: Some(digest), ..self.clone() }
    }

    /// What has that digest in the same repository, without a tag: pushing to it names nothing.
    pub fn at_digest(&self, digest: Digest) -> Self {
        Self { tag: None, digest: Some(digest), ..self.clone() }
    }

    /// The same repository under another tag, not pinned.
    pub fn with_tag(&self, tag: &str) -> Result<Self, ReferenceError> {
        if !is_tag(tag) {
            return Err(ReferenceError::Tag { reference: format!("{}:{tag}", self.name()), tag: tag.into() });
        }
        Ok(Self { tag: Some(tag.to_owned()), digest: None, ..self.clone() })
    }

    /// What a manifest is asked for by: the digest if there is one, else the tag.
    pub fn target(&self) -> &str {
        match &self.digest {
            Some(digest) => digest.as_ref(),
            None => self.tag.as_deref().unwrap_or(DEFAULT_TAG),
        }
    }

    /// The name in Docker's short form, without tag and digest: `debian`, `user/app`, `localhost:5000/app`.
    /// Where the short form would mean something else, the long one.
    pub fn familiar_name(&self) -> String {
        if self.registry != DEFAULT_REGISTRY {
            return self.name();
        }
        let short = match self.repository.strip_prefix("library/") {
            Some(short) if !short.contains('/') => short,
            _ => &self.repository,
        };
        let means_this = normalise(short) == (self.registry.clone(), self.repository.clone());
        if means_this && !looks_like_id(short) { short.to_owned() } else { self.name() }
    }

    /// The whole reference in Docker's short form: `debian:12`.
    pub fn familiar(&self) -> String {
        self.with_name(self.familiar_name())
    }

    fn with_name(&self, mut text: String) -> String {
        if let Some(tag) = &self.tag {
            text.push(':');
            text.push_str(tag);
        }
        if let Some(digest) = &self.digest {
            text.push('@');
            text.push_str(digest.as_ref());
        }
        text
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.with_name(self.name()))
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

/// A digest of an algorithm that can be verified here, or nothing.
fn verifiable_digest(text: &str) -> Option<Digest> {
    Digest::from_str(text)
        .ok()
        .filter(|digest| matches!(digest.algorithm(), DigestAlgorithm::Sha256 | DigestAlgorithm::Sha512))
}

fn bad_digest(reference: &str, digest: &str) -> ReferenceError {
    ReferenceError::Digest { reference: reference.into(), digest: digest.into() }
}

/// Cuts the tag off: what follows the last `:` unless that belongs to the registry's port.
fn split_tag(name: &str) -> (&str, Option<&str>) {
    match name.rsplit_once(':') {
        Some((front, tag)) if !tag.contains('/') => (front, Some(tag)),
        _ => (name, None),
    }
}

/// The registry and the repository of a name, with Docker's defaults.
fn normalise(name: &str) -> (String, String) {
    let (registry, rest) = match name.split_once('/') {
        Some((first, rest)) if is_registry_like(first) => (first, rest),
        _ => (DEFAULT_REGISTRY, name),
    };
    let registry = if registry == LEGACY_DEFAULT_REGISTRY { DEFAULT_REGISTRY } else { registry };
    if registry == DEFAULT_REGISTRY && !rest.contains('/') {
        return (registry.to_owned(), format!("{OFFICIAL_NAMESPACE}/{rest}"));
    }
    (registry.to_owned(), rest.to_owned())
}

/// Whether a name's first component is a host and not a namespace of the default registry.
fn is_registry_like(first: &str) -> bool {
    first == "localhost" || first.contains(['.', ':']) || first.bytes().any(|b| b.is_ascii_uppercase())
}

fn check_name(text: &str, registry: &str, repository: &str) -> Result<(), ReferenceError> {
    if !is_registry(registry) {
        return Err(ReferenceError::Registry { reference: text.into(), registry: registry.into() });
    }
    if repository.len() > MAX_REPOSITORY {
        return Err(ReferenceError::TooLong { reference: text.into() });
    }
    if repository.split('/').all(is_path_component) {
        return Ok(());
    }
    if repository.to_ascii_lowercase().split('/').all(is_path_component) {
        return Err(ReferenceError::Uppercase { reference: text.into() });
    }
    Err(ReferenceError::Repository { reference: text.into(), repository: repository.into() })
}

/// `host`, `host:port`, an IPv4 address, or an IPv6 address in brackets.
fn is_registry(registry: &str) -> bool {
    let (host, port) = match registry.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) => {
            if address.parse::<std::net::Ipv6Addr>().is_err() {
                return false;
            }
            match port.strip_prefix(':') {
                Some(port) => (None, Some(port)),
                None if port.is_empty() => (None, None),
                None => return false,
            }
        }
        None => match registry.split_once(':') {
            Some((host, port)) => (Some(host), Some(port)),
            None => (Some(registry), None),
        },
    };
    host.is_none_or(|host| host.split('.').all(is_host_label))
        && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

fn is_host_label(label: &str) -> bool {
    !label.is_empty()
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// Lower-case words joined by one `.`, one or two `_`, or any number of `-`.
fn is_path_component(component: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = component.as_bytes();
    let ends_in_words =
        bytes.first().copied().is_some_and(is_word) && bytes.last().copied().is_some_and(is_word);
    let mut separators = component.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    ends_in_words
        && separators.all(|gap| matches!(gap, "" | "." | "_" | "__") || gap.bytes().all(|b| b == b'-'))
}

fn is_tag(tag: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    tag.len() <= MAX_TAG
        && tag.bytes().next().is_some_and(is_word)
        && tag.bytes().all(|b| is_word(b) || b == b'.' || b == b'-')
}

/// Whether a name could be an image's id.
fn looks_like_id(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests;
