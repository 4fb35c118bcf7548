//! Caches that machines share, as a client names them for its build: places that are read and written, and directories of the
//! client's own, which come and go through its content store.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use kiln_builder::{Builder, CacheExport, CacheMode, CachePlace, CacheTarget, Progress, SharedCaches};
use kiln_cache::Compression;
use kiln_registry::{Access, AccessKeys, BucketPlace, Location, Reference};
use serde::Deserialize;
use tempfile::TempDir;
use tonic::{Code, Status};

use crate::api::control::CacheOptionsEntry;
use crate::build::Build;
use crate::failure::told;
use crate::server::Server;
use crate::session::Session;
use crate::session::content::{ContentStore, digest};

/// The attribute that has the imports as JSON.
pub(crate) const IMPORTS: &str = "cache-imports";

/// The attribute that has references of imports, for clients that know nothing else.
const REFERENCES: &str = "cache-from";

/// The build argument that asks for an inline cache.
const INLINE: &str = "build-arg:BUILDKIT_INLINE_CACHE";

/// The name of a cache in a place that has several: another than BuildKit's, whose format is another.
const NAME: &str = "kiln";

/// The region of a service that has only one, where nobody names any.
const REGION: &str = "us-east-1";

/// The name of a cache in a directory, where the client says none.
const LATEST: &str = "latest";

/// What a client is told about a cache that was written into its directory.
const WRITTEN: &str = "cache.manifest";

/// A cache as clients write it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Entry {
    #[serde(rename = "Type")]
    kind: String,
    #[serde(rename = "Attrs", default)]
    attributes: HashMap<String, String>,
}

/// The caches of a build before it begins.
#[derive(Debug, Default)]
pub(crate) struct Places {
    imports: Vec<CachePlace>,
    exports: Vec<CacheExport>,
    kept: Kept,
    warnings: Vec<String>,
}

/// What has to be there until the caches were written.
#[derive(Debug, Default)]
struct Kept {
    directories: Vec<TempDir>,
    /// Directories that go to the client, with the names of its stores.
    local: Vec<(String, PathBuf)>,
}

/// The caches of a build that has begun. Cheap to clone.
#[derive(Clone)]
pub(crate) struct BuildCaches {
    pub(crate) shared: SharedCaches,
    kept: Arc<Kept>,
}

impl Places {
    /// Opens the caches, and begins to read those that are read.
    pub(crate) fn start(
        self,
        builder: &Builder,
        platform: &str,
        progress: &Progress,
    ) -> Result<BuildCaches, Status> {
        for warning in self.warnings {
            progress.warn(warning);
        }
        let shared = builder.shared_caches(&self.imports, self.exports, platform, progress);
        let shared = shared.map_err(|error| told(Code::InvalidArgument, &error))?;
        Ok(BuildCaches { shared, kept: Arc::new(self.kept) })
    }
}

/// What the client names; its own directories are fetched.
pub(crate) async fn of(
    server: &Server,
    build: &Build,
    session: &Session,
    attributes: &HashMap<String, String>,
) -> Result<Places, Status> {
    let mut places = Places::default();
    for entry in imports(build, attributes)? {
        if entry.kind == "local" {
            match places.fetch(server, build, session, &entry).await {
                Ok(()) => {}
                // A cache that cannot be had is none.
                Err(status) => {
                    places.warnings.push(format!("a cache is not read: {}", status.message()));
                }
            }
            continue;
        }
        let (location, access) = place(&entry, "import")?;
        places.imports.push(CachePlace { location, access });
    }
    for entry in exports(build, attributes) {
        let target = match entry.kind.as_str() {
            "inline" => CacheTarget::Inline,
            "local" => places.make(server, build, &entry)?,
            _ => {
                let (location, access) = place(&entry, "export")?;
                CacheTarget::Place(Box::new(CachePlace { location, access }))
            }
        };
        places.exports.push(export(&entry, target)?);
    }
    Ok(places)
}

impl Places {
    /// Copies a cache out of a directory of the client's.
    async fn fetch(
        &mut self,
        server: &Server,
        build: &Build,
        session: &Session,
        entry: &Entry,
    ) -> Result<(), Status> {
        let (source, root) = (entry.required("src", "import")?, entry.required("digest", "import")?);
        let root = digest(root)?;
        let directory = server.contexts.temporary().map_err(|error| told(Code::Internal, &error))?;
        let store = ContentStore::new(session, format!("local:{source}"));
        store.layout(&root, directory.path(), |_| true).await?;
        let path = directory.path().to_owned();
        build.call(&path, format!("local:{source}"));
        let location = Location::Directory { path, tag: LATEST.to_owned(), digest: Some(root.to_string()) };
        self.imports.push(CachePlace { location, access: None });
        self.kept.directories.push(directory);
        Ok(())
    }

    /// A directory that goes to the client when the cache is in it.
    fn make(&mut self, server: &Server, build: &Build, entry: &Entry) -> Result<CacheTarget, Status> {
        let destination = entry.required("dest", "export")?;
        let directory = server.contexts.temporary().map_err(|error| told(Code::Internal, &error))?;
        let path = directory.path().to_owned();
        build.call(&path, format!("local:{destination}"));
        self.kept.local.push((format!("local:{destination}"), path.clone()));
        self.kept.directories.push(directory);
        let location = Location::Directory { path, tag: LATEST.to_owned(), digest: None };
        Ok(CacheTarget::Place(Box::new(CachePlace { location, access: None })))
    }
}

impl BuildCaches {
    /// Whether what was read may be gone when the build is over.
    pub(crate) fn is_passing(&self) -> bool {
        !self.kept.directories.is_empty()
    }

    /// Sends the caches that were written for directories of the client's, and says what it has to know of them.
    pub(crate) async fn send(&self, session: &Session) -> Result<HashMap<String, String>, Status> {
        let mut answer = HashMap::new();
        for (store, path) in &self.kept.local {
            let store = ContentStore::new(session, store.clone());
            let failed = |error: std::io::Error| told(Code::Internal, &error);
            let Ok(index) = std::fs::read(path.join("index.json")) else { continue };
            for blob in std::fs::read_dir(path.join("blobs/sha256")).map_err(failed)? {
                let path = blob.map_err(failed)?.path();
                let name = path.file_name().and_then(std::ffi::OsStr::to_str).unwrap_or_default();
                let digest = digest(&format!("sha256:{name}"))?;
                let file = std::fs::File::open(&path).map_err(failed)?;
                let size = file.metadata().map_err(failed)?.len();
                store.write(&digest, size, file).await?;
            }
            let index: serde_json::Value =
                serde_json::from_slice(&index).map_err(|error| told(Code::Internal, &error))?;
            if let Some(manifest) = index.pointer("/manifests/0") {
                answer.insert(WRITTEN.to_owned(), manifest.to_string());
            }
        }
        Ok(answer)
    }
}

impl Entry {
    fn get(&self, key: &str) -> Option<&str> {
        self.attributes.get(key).map(String::as_str).filter(|value| !value.is_empty())
    }

    fn required(&self, key: &str, what: &str) -> Result<&str, Status> {
        let missing =
            || Status::invalid_argument(format!("cache {what} type={}: {key}= is missing", self.kind));
        self.get(key).ok_or_else(missing)
    }

    fn is_set(&self, key: &str) -> bool {
        self.get(key).is_some_and(|value| matches!(value, "1" | "t" | "true" | "True" | "TRUE"))
    }
}

/// What is read: as the frontend is told, and as the build is.
fn imports(build: &Build, attributes: &HashMap<String, String>) -> Result<Vec<Entry>, Status> {
    let mut entries: Vec<Entry> = Vec::new();
    for attributes in [attributes, &build.attributes] {
        if let Some(json) = attributes.get(IMPORTS).filter(|json| !json.is_empty()) {
            let listed: Vec<Entry> = serde_json::from_str(json)
                .map_err(|error| Status::invalid_argument(format!("{IMPORTS}: {error}")))?;
            entries.extend(listed);
        }
        let references = attributes.get(REFERENCES).map(String::as_str).unwrap_or_default();
        for reference in references.split(',').filter(|reference| !reference.is_empty()) {
            let attributes = HashMap::from([("ref".to_owned(), reference.to_owned())]);
            entries.push(Entry { kind: "registry".to_owned(), attributes });
        }
    }
    if let Some(options) = build.caches.get() {
        entries.extend(options.imports.iter().map(entry));
    }
    let mut once = Vec::new();
    for entry in entries {
        if !once.contains(&entry) {
            once.push(entry);
        }
    }
    Ok(once)
}

/// What is written.
fn exports(build: &Build, attributes: &HashMap<String, String>) -> Vec<Entry> {
    let mut entries: Vec<Entry> =
        build.caches.get().map(|options| options.exports.iter().map(entry).collect()).unwrap_or_default();
    let inline = matches!(attributes.get(INLINE).map(String::as_str), Some("1" | "t" | "true"));
    if inline && entries.iter().all(|entry| entry.kind != "inline") {
        entries.push(Entry { kind: "inline".to_owned(), attributes: HashMap::new() });
    }
    entries
}

fn entry(message: &CacheOptionsEntry) -> Entry {
    Entry { kind: message.r#type.clone(), attributes: message.attrs.clone() }
}

fn export(entry: &Entry, target: CacheTarget) -> Result<CacheExport, Status> {
    let wrong = |key: &str, value: &str, meant: &str| {
        let kind = &entry.kind;
        Status::invalid_argument(format!("cache export type={kind}: {key}={value}: {meant} is meant"))
    };
    let mode = match entry.get("mode") {
        None | Some("min") => CacheMode::Min,
        Some("max") => CacheMode::Max,
        Some(other) => return Err(wrong("mode", other, "min or max")),
    };
    let compression = match entry.get("compression") {
        None => None,
        Some("uncompressed") => Some(Compression::None),
        Some("gzip") => Some(Compression::Gzip),
        Some("zstd") => Some(Compression::Zstd),
        Some(other) => return Err(wrong("compression", other, "uncompressed, gzip or zstd")),
    };
    Ok(CacheExport {
        target,
        mode,
        compression,
        force_compression: entry.is_set("force-compression"),
        ignore_error: entry.is_set("ignore-error"),
        mounts: Vec::new(),
    })
}

fn place(entry: &Entry, what: &str) -> Result<(Location, Option<Access>), Status> {
    match entry.kind.as_str() {
        "registry" => {
            let reference = entry.required("ref", what)?;
            let reference =
                Reference::parse(reference).map_err(|error| told(Code::InvalidArgument, &error))?;
            let insecure = entry.is_set("registry.insecure");
            Ok((Location::Registry { reference: reference.to_string(), insecure }, None))
        }
        "s3" => bucket(entry, what),
        "gha" => {
            let url = entry.get("url_v2").or(entry.get("url"));
            let url = url.map_or_else(|| entry.required("url_v2", what), Ok)?;
            let scope = entry.get("scope").unwrap_or("default").to_owned();
            let access = entry.get("token").map(|token| Access { token: Some(token.to_owned()), keys: None });
            Ok((Location::Actions { url: url.to_owned(), scope }, access))
        }
        other => {
            let known = "registry, inline, local, s3, gha";
            Err(Status::unimplemented(format!("cache {what} type={other}: it may be one of {known}")))
        }
    }
}

fn bucket(entry: &Entry, what: &str) -> Result<(Location, Option<Access>), Status> {
    let text = |key: &str, default: &str| entry.get(key).unwrap_or(default).to_owned();
    let endpoint = entry.get("endpoint_url").map(str::to_owned);
    let region = match (entry.get("region"), &endpoint) {
        (Some(region), _) => region,
        (None, Some(_)) => REGION,
        (None, None) => entry.required("region", what)?,
    };
    let place = BucketPlace {
        bucket: entry.required("bucket", what)?.to_owned(),
        region: region.to_owned(),
        endpoint,
        path_style: entry.is_set("use_path_style"),
        prefix: text("prefix", ""),
        blobs_prefix: text("blobs_prefix", "blobs/"),
        manifests_prefix: text("manifests_prefix", "manifests/"),
        name: text("name", NAME),
    };
    let keys = entry.get("access_key_id").zip(entry.get("secret_access_key"));
    let access = keys.map(|(id, secret)| Access {
        keys: Some(AccessKeys {
            id: id.to_owned(),
            secret: secret.to_owned(),
            session_token: entry.get("session_token").map(str::to_owned),
        }),
        token: None,
    });
    Ok((Location::Bucket(place), access))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn entry(kind: &str, attributes: &[(&str, &str)]) -> Entry {
        let pair = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        Entry { kind: kind.to_owned(), attributes: attributes.iter().map(pair).collect() }
    }

    #[test]
    fn places_are_what_clients_write() {
        let shown = |entry: &Entry| place(entry, "import").map(|(location, _)| location.to_string());
        assert_eq!(shown(&entry("registry", &[("ref", "a")])).unwrap(), "library/a:latest");
        assert_eq!(
            shown(&entry("s3", &[("bucket", "b"), ("region", "r")])).unwrap(),
            "s3://b/manifests/kiln"
        );
        assert_eq!(shown(&entry("gha", &[("url_v2", "https://x/")])).unwrap(), "the Actions cache `default`");
        for (wrong, named) in [
            (entry("registry", &[]), "ref="),
            (entry("s3", &[("bucket", "b")]), "region="),
            (entry("gha", &[]), "url_v2="),
            (entry("azblob", &[]), "type=azblob"),
        ] {
            assert!(shown(&wrong).unwrap_err().message().contains(named), "{named}");
        }
        let wrong = export(&entry("inline", &[("mode", "all")]), CacheTarget::Inline).unwrap_err();
        assert!(wrong.message().contains("mode=all"));
    }
}
