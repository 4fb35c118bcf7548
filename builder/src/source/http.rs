//! A file from a web server.
//!
//! What counts is the body's digest. Without a checksum the server is asked each time, with what it said of the
//! version that is here; only a file that changed is sent again. With a checksum whose file is here nobody is asked.

use std::fs::{File, FileTimes, Permissions};
use std::io::{self, Seek, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Component, Path};
use std::time::{Duration, SystemTime};

use kiln_cache::{Key, KeyBuilder};
use kiln_graph::op::Http;
use kiln_graph::redact;
use kiln_registry::{Client, DownloadError, DownloadSink, Downloaded, Validators};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Kept, RemoteFile, SourceError, write_error};
use crate::event::{Progress, Step};
use crate::snapshot::Snapshot;
use crate::task::blocking;

/// Mode of a file that came from a web server: Docker's.
const MODE: u32 = 0o600;

/// A version of a file, as it is remembered under its URL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Version {
    /// `sha256:…` of the body.
    digest: String,
    /// Modification time in seconds: what the server said, else the epoch.
    modified: i64,
    etag: Option<String>,
    last_modified: Option<String>,
}

impl Version {
    fn validators(&self) -> Validators {
        Validators { etag: self.etag.clone(), last_modified: self.last_modified.clone() }
    }
}

/// The file as a file system, and whether anything was written for it.
pub(crate) async fn load(
    kept: Kept<'_>,
    client: &Client,
    source: &Http,
    name: &str,
    progress: &Progress,
) -> Result<(Snapshot, bool), SourceError> {
    if !is_file_name(&source.filename) {
        return Err(SourceError::Name { name: source.filename.clone() });
    }
    let memo = version_memo(source);
    let known = match remembered(kept, &memo).await? {
        Some(version) => {
            let layer = kept.recorded(layer_parts(source, &version), &slot(source)).await?;
            layer.map(|layer| (version, layer))
        }
        None => None,
    };
    let step = progress.step(name);
    if let (Some((_, layer)), Some(_)) = (&known, &source.checksum) {
        step.cached();
        return Ok((layer.clone(), false));
    }
    let result = match download(kept, client, source, known.as_ref().map(|known| &known.0), &step).await {
        Ok(None) => Ok((known.map(|known| known.1).unwrap_or_default(), false)),
        Ok(Some((version, layer))) => remember(kept, &memo, &version).map(|()| (layer, true)),
        Err(error) => Err(error),
    };
    match &result {
        Ok((_, true)) => step.done(),
        Ok((_, false)) => step.cached(),
        Err(error) => step.failed(crate::text::chain(error)),
    }
    result
}

/// The digest of the file that was loaded last.
pub(crate) async fn digest(kept: Kept<'_>, source: &Http) -> Result<Option<String>, SourceError> {
    Ok(remembered(kept, &version_memo(source)).await?.map(|version| version.digest))
}

/// What the file is now: its digest, and when it changed if the server says so. It is kept for a build that takes it.
pub(crate) async fn look(
    kept: Kept<'_>,
    client: &Client,
    source: &Http,
    name: &str,
    progress: &Progress,
) -> Result<RemoteFile, SourceError> {
    let filename = source.filename.clone();
    if let Some(digest) = source.checksum.clone() {
        return Ok(RemoteFile { digest, filename, modified: None });
    }
    load(kept, client, source, name, progress).await?;
    let version = remembered(kept, &version_memo(source)).await?.ok_or(SourceError::Lost)?;
    let modified = version.last_modified.as_deref().and_then(seconds);
    Ok(RemoteFile { digest: version.digest, filename, modified })
}

/// Gets the file unless it is the known version; then nothing.
async fn download(
    kept: Kept<'_>,
    client: &Client,
    source: &Http,
    known: Option<&Version>,
    step: &Step,
) -> Result<Option<(Version, Snapshot)>, SourceError> {
    let draft = kept.store.layers().draft()?;
    let path = draft.upper().join(&source.filename);
    let file = File::options().write(true).create_new(true).mode(MODE).open(&path);
    let file = file.map_err(write_error(&path))?;
    let mut sink = Sink { file, hasher: Sha256::new(), length: 0, step };
    let validators = known.map(Version::validators).unwrap_or_default();
    let answer = client.download(&source.url, &validators, &mut sink).await;
    let Downloaded::Complete(validators) = answer.map_err(|error| failed(source, &path, error))? else {
        return Ok(None);
    };
    let version = sink.finish(validators).map_err(write_error(&path))?;
    if let Some(expected) = source.checksum.as_ref().filter(|checksum| **checksum != version.digest) {
        let (url, expected, actual) = (redact(&source.url), expected.clone(), version.digest);
        return Err(SourceError::Checksum { url, expected, actual });
    }
    if let Some(layer) = kept.recorded(layer_parts(source, &version), &slot(source)).await? {
        return Ok(Some((version, layer)));
    }
    let info = blocking(move || draft.seal()).await.ok_or(SourceError::Lost)??;
    let layer = kept.record(layer_parts(source, &version), slot(source), info)?;
    Ok(Some((version, layer)))
}

fn failed(source: &Http, path: &Path, error: DownloadError) -> SourceError {
    match error {
        DownloadError::Write(error) => write_error(path)(error),
        error @ DownloadError::Request(_) => {
            SourceError::Download { url: without_query(&redact(&source.url)), source: error }
        }
    }
}

/// A URL's query may be a token or a signature.
fn without_query(url: &str) -> String {
    url.split(['?', '#']).next().unwrap_or(url).to_owned()
}

/// Writes and hashes in one pass.
struct Sink<'a> {
    file: File,
    hasher: Sha256,
    length: u64,
    step: &'a Step,
}

impl DownloadSink for Sink<'_> {
    fn restart(&mut self) -> io::Result<()> {
        (self.hasher, self.length) = (Sha256::new(), 0);
        self.file.set_len(0)?;
        self.file.rewind()
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.length += bytes.len() as u64;
        self.step.progress("download", self.length, None);
        self.file.write_all(bytes)
    }
}

impl Sink<'_> {
    /// What was downloaded; gives the file its mode and its time.
    fn finish(self, validators: Validators) -> io::Result<Version> {
        let Validators { etag, last_modified } = validators;
        let modified = last_modified.as_deref().and_then(seconds).unwrap_or_default();
        self.file.set_permissions(Permissions::from_mode(MODE))?;
        self.file.set_times(FileTimes::new().set_modified(time(modified)))?;
        let digest = format!("sha256:{}", crate::solve::key::hex(self.hasher.finalize().into()));
        Ok(Version { digest, modified, etag, last_modified })
    }
}

/// Seconds since the epoch of an HTTP date that is not before it.
fn seconds(date: &str) -> Option<i64> {
    let parsed = jiff::fmt::rfc2822::parse(date).ok()?;
    Some(parsed.timestamp().as_second()).filter(|seconds| *seconds >= 0)
}

fn time(seconds: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.unsigned_abs())
}

fn is_file_name(name: &str) -> bool {
    let mut components = Path::new(name).components();
    matches!((components.next(), components.next()), (Some(Component::Normal(only)), None) if only == name)
}

/// What the version of a URL is remembered under: one place for each checksum, one for none.
fn version_memo(source: &Http) -> Key {
    KeyBuilder::new("http version")
        .part("url", &source.url)
        .part("checksum", source.checksum.as_deref().unwrap_or_default())
        .finish()
        .0
}

/// All that the layer is made of; the URL is not in it.
fn layer_parts(source: &Http, version: &Version) -> KeyBuilder {
    KeyBuilder::new("http")
        .part("content", &version.digest)
        .part("file name", &source.filename)
        .part("modification time", version.modified.to_string())
}

fn slot(source: &Http) -> Key {
    KeyBuilder::new("http slot").part("url", &source.url).finish().0
}

async fn remembered(kept: Kept<'_>, memo: &Key) -> Result<Option<Version>, SourceError> {
    let bytes = kept.memo(memo).await?;
    // A memo that is not understood is as good as none.
    Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}

fn remember(kept: Kept<'_>, memo: &Key, version: &Version) -> Result<(), SourceError> {
    if let Ok(bytes) = serde_json::to_vec(version) {
        kept.set_memo(memo, &bytes)?;
    }
    Ok(())
}
