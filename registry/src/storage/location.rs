//! Where a shared cache lives, as plain data: what flags say, and what the store remembers of a layer that is elsewhere.
//!
//! No credential is part of a location: it may be written to disk and shown.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A place that holds blobs and one named document.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Location {
    /// A repository of a registry.
    Registry {
        /// The reference, normalised; its tag names the document.
        reference: String,
        /// Plain HTTP, or a certificate that nobody vouches for, will do.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        insecure: bool,
    },
    /// A directory of this machine with an OCI image layout.
    Directory {
        /// The directory, absolute.
        path: PathBuf,
        /// The document's name in `index.json`.
        tag: String,
        /// The document's digest, in place of its name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        digest: Option<String>,
    },
    /// A bucket of an S3 service.
    Bucket(BucketPlace),
    /// The cache service of GitHub Actions.
    Actions {
        /// The service's address.
        url: String,
        /// Keeps caches of one repository apart.
        scope: String,
    },
}

/// Where in which S3 service.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BucketPlace {
    /// The bucket.
    pub bucket: String,
    /// Its region.
    pub region: String,
    /// The service's address; AWS's own if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The bucket stands in the path of a URL instead of its host.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub path_style: bool,
    /// What all keys begin with.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prefix: String,
    /// What follows it for blobs.
    pub blobs_prefix: String,
    /// What follows it for documents.
    pub manifests_prefix: String,
    /// The document.
    pub name: String,
}

impl BucketPlace {
    /// The object of a blob.
    pub(crate) fn blob_key(&self, digest: &str) -> String {
        format!("{}{}{digest}", self.prefix, self.blobs_prefix)
    }

    /// The object of the document.
    pub(crate) fn document_key(&self) -> String {
        format!("{}{}{}", self.prefix, self.manifests_prefix, self.name)
    }
}

impl Location {
    /// The location as one line, for [`Location::from_line`].
    pub fn to_line(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// A location that was written by [`Location::to_line`]; nothing if it is none that this version knows.
    pub fn from_line(line: &str) -> Option<Self> {
        serde_json::from_str(line).ok()
    }

    /// True if a blob of the one place is a blob of the other.
    pub fn shares_blobs_with(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Registry { reference: a, .. }, Self::Registry { reference: b, .. }) => {
                repository(a) == repository(b)
            }
            (Self::Directory { path: a, .. }, Self::Directory { path: b, .. }) => a == b,
            (Self::Bucket(a), Self::Bucket(b)) => {
                let place = |bucket: &BucketPlace| (bucket.endpoint.clone(), bucket.blob_key(""));
                a.bucket == b.bucket && place(a) == place(b)
            }
            (a, b) => a == b,
        }
    }
}

/// A reference without tag and digest.
fn repository(reference: &str) -> &str {
    let name = reference.split('@').next().unwrap_or(reference);
    let last = name.rfind('/').map_or(0, |slash| slash + 1);
    name[last..].find(':').map_or(name, |colon| &name[..last + colon])
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registry { reference, .. } => {
                f.write_str(reference.strip_prefix("docker.io/").unwrap_or(reference))
            }
            Self::Directory { path, .. } => write!(f, "{}", path.display()),
            Self::Bucket(place) => write!(f, "s3://{}/{}", place.bucket, place.document_key()),
            Self::Actions { scope, .. } => write!(f, "the Actions cache `{scope}`"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn registry(reference: &str) -> Location {
        Location::Registry { reference: reference.into(), insecure: false }
    }

    #[test]
    fn lines_read_back() {
        let bucket = Location::Bucket(BucketPlace {
            bucket: "b".into(),
            region: "r".into(),
            endpoint: Some("http://localhost:1".into()),
            path_style: true,
            prefix: "p/".into(),
            blobs_prefix: "blobs/".into(),
            manifests_prefix: "manifests/".into(),
            name: "n".into(),
        });
        let directory = Location::Directory { path: "/c".into(), tag: "latest".into(), digest: None };
        let actions = Location::Actions { url: "https://x/".into(), scope: "s".into() };
        for location in [registry("h:1/a:t"), bucket, directory, actions] {
            assert_eq!(Location::from_line(&location.to_line()), Some(location));
        }
        for line in ["", "{}", r#"{"type":"ftp","url":"x"}"#, "[1]"] {
            assert_eq!(Location::from_line(line), None);
        }
    }

    #[test]
    fn one_repository_under_two_tags_is_one_place() {
        let same = |a: &str, b: &str| registry(a).shares_blobs_with(&registry(b));
        assert!(same("localhost:5000/a:one", "localhost:5000/a:two"));
        assert!(same("localhost:5000/a", "localhost:5000/a:two"));
        assert!(!same("localhost:5000/a:one", "localhost:5000/b:one"));
        assert!(!same("localhost:5000/a", "localhost:5001/a"));
    }
}
