//! Annotations that are asked for: where each belongs, and which of them an image of a platform gets.
//!
//! Source of the keys: BuildKit's `annotation[-TYPE][[PLATFORM]].KEY`.

use std::collections::BTreeMap;

use kiln_registry::Platform;

/// Keys and their values.
pub type Pairs = BTreeMap<String, String>;

/// The annotations of one output.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Annotations {
    /// Of the index.
    pub index: Pairs,
    /// Of the descriptor of the index.
    pub index_descriptor: Pairs,
    /// Of manifests, by platform; those of no platform are of all.
    pub manifest: BTreeMap<Option<String>, Pairs>,
    /// Of the descriptors of manifests, likewise.
    pub manifest_descriptor: BTreeMap<Option<String>, Pairs>,
}

/// Why a key is no annotation's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnnotationError {
    /// There is no such place for one.
    #[error(
        "annotations of `{kind}` are unknown: manifest, index, manifest-descriptor and index-descriptor are known"
    )]
    Kind {
        /// The place.
        kind: String,
    },
    /// The platform is none.
    #[error("`{platform}` is not a platform")]
    Platform {
        /// As it was written.
        platform: String,
    },
    /// An index is of all platforms.
    #[error("an index has no platform, so its annotations have none")]
    IndexPlatform,
    /// The key is missing, or there is no end to the platform.
    #[error("`annotation.KEY`, `annotation-TYPE.KEY` or `annotation-TYPE[PLATFORM].KEY` is meant")]
    Malformed,
}

impl Annotations {
    /// Adds what an attribute asks for. False if its key is not that of an annotation.
    pub fn add(&mut self, key: &str, value: &str) -> Result<bool, AnnotationError> {
        let Some(rest) = key.strip_prefix("annotation") else { return Ok(false) };
        if !rest.starts_with(['.', '-', '[']) {
            return Ok(false);
        }
        let end = rest.find(['.', '[']).ok_or(AnnotationError::Malformed)?;
        let (kind, rest) = (rest[..end].trim_start_matches('-'), &rest[end..]);
        let (platform, name) = match rest.strip_prefix('[') {
            Some(rest) => {
                let (platform, name) = rest.split_once("].").ok_or(AnnotationError::Malformed)?;
                (Some(normal(platform)?), name)
            }
            None => (None, rest.strip_prefix('.').unwrap_or_default()),
        };
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err(AnnotationError::Malformed);
        }
        let pairs = match kind {
            "index" | "index-descriptor" if platform.is_some() => return Err(AnnotationError::IndexPlatform),
            "" | "manifest" => self.manifest.entry(platform).or_default(),
            "manifest-descriptor" => self.manifest_descriptor.entry(platform).or_default(),
            "index" => &mut self.index,
            "index-descriptor" => &mut self.index_descriptor,
            kind => return Err(AnnotationError::Kind { kind: kind.to_owned() }),
        };
        pairs.insert(name.to_owned(), value.to_owned());
        Ok(true)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether there are any of an index or its descriptor, which a single manifest cannot have.
    pub fn is_of_index(&self) -> bool {
        !self.index.is_empty() || !self.index_descriptor.is_empty()
    }

    /// The first platform that something is said of and that is none of these.
    pub fn unmet_platform<'a>(&'a self, platforms: &[&str]) -> Option<&'a str> {
        let named = self.manifest.keys().chain(self.manifest_descriptor.keys()).flatten();
        named.map(String::as_str).find(|platform| !platforms.contains(platform))
    }

    /// Those of the manifest of a platform.
    pub(super) fn of_manifest(&self, platform: &str) -> Pairs {
        of(&self.manifest, platform)
    }

    /// Those of the descriptor of the manifest of a platform.
    pub(super) fn of_descriptor(&self, platform: &str) -> Pairs {
        of(&self.manifest_descriptor, platform)
    }
}

/// What is said of all, and what is said of this one, which wins.
fn of(all: &BTreeMap<Option<String>, Pairs>, platform: &str) -> Pairs {
    let mut pairs = all.get(&None).cloned().unwrap_or_default();
    pairs.extend(all.get(&Some(platform.to_owned())).cloned().unwrap_or_default());
    pairs
}

fn normal(platform: &str) -> Result<String, AnnotationError> {
    let parsed = Platform::parse(platform);
    parsed
        .map(|parsed| parsed.to_string())
        .map_err(|_| AnnotationError::Platform { platform: platform.to_owned() })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn pairs(pairs: &[(&str, &str)]) -> Pairs {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn keys_say_where_an_annotation_belongs() {
        let mut all = Annotations::default();
        for (key, value) in [
            ("annotation.org.a", "1"),
            ("annotation-manifest[linux/amd64].org.a", "2"),
            ("annotation[linux/arm64/v8].org.b", "3"),
            ("annotation-manifest-descriptor.c", "4"),
            ("annotation-index.d", "5"),
            ("annotation-index-descriptor.e", ""),
        ] {
            assert!(all.add(key, value).unwrap(), "{key}");
        }
        assert_eq!(all.of_manifest("linux/amd64"), pairs(&[("org.a", "2")]));
        assert_eq!(all.of_manifest("linux/arm64"), pairs(&[("org.a", "1"), ("org.b", "3")]));
        assert_eq!(all.of_descriptor("linux/s390x"), pairs(&[("c", "4")]));
        assert_eq!((all.index.len(), all.index_descriptor.len()), (1, 1));
        assert!(all.is_of_index());
        assert_eq!(all.unmet_platform(&["linux/amd64"]), Some("linux/arm64"));
        assert_eq!(all.unmet_platform(&["linux/amd64", "linux/arm64"]), None);
        assert!(!all.add("name", "x").unwrap() && !all.add("annotations", "x").unwrap());
    }

    #[test]
    fn keys_that_belong_nowhere_are_told() {
        let error = |key: &str| Annotations::default().add(key, "v").unwrap_err();
        assert_eq!(error("annotation-layer.a"), AnnotationError::Kind { kind: "layer".to_owned() });
        assert_eq!(error("annotation-index[linux/amd64].a"), AnnotationError::IndexPlatform);
        assert!(matches!(error("annotation[?].a"), AnnotationError::Platform { .. }));
        for key in ["annotation.", "annotation-manifest", "annotation[linux/amd64]a", "annotation.a b"] {
            assert_eq!(error(key), AnnotationError::Malformed, "{key}");
        }
    }
}
