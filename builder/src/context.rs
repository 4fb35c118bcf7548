//! Build contexts that are not directories of the user: archives, files of web servers, commits of repositories.
//!
//! Each becomes a directory that a build reads as any other. What is unpacked lives in the store until the context is
//! dropped; a repository's commit stays there as a layer. The command line calls this before a build.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use kiln_cache::archive::{ArchiveError, SNIFF, decoder, sniff};
use kiln_cache::{Draft, StoreError, Unpack, UseLock};
use kiln_graph::op::Source;

use crate::event::Progress;
use crate::provenance::Material;
use crate::shared::SharedCaches;
use crate::snapshot::Snapshot;
use crate::source::{self, Kept, SourceError};
use crate::{Builder, Credentials};

/// A context as a directory.
#[derive(Debug)]
pub struct FetchedContext {
    path: PathBuf,
    /// What it is, where that can be looked up by others.
    material: Option<Material>,
    /// Removes what was unpacked.
    _draft: Option<Draft>,
    /// Keeps the layer that it is.
    _in_use: UseLock,
}

impl FetchedContext {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it is: the commit or the file, if it came from elsewhere.
    pub fn material(&self) -> Option<&Material> {
        self.material.as_ref()
    }
}

/// What was found where a context was looked for.
#[derive(Debug)]
pub enum Fetched {
    /// A context.
    Context(FetchedContext),
    /// A file that is no archive: a Dockerfile without a context.
    Dockerfile(Vec<u8>),
}

/// Why a context could not be had.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// It could not be fetched.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The archive is broken.
    #[error("cannot unpack the build context")]
    Archive(#[source] ArchiveError),
    /// The archive could not be read.
    #[error("cannot read the build context")]
    Read(#[source] io::Error),
    /// It is longer than any Dockerfile and no archive.
    #[error("the build context is neither an archive nor a Dockerfile of at most {limit} bytes")]
    TooLong {
        /// The limit.
        limit: u64,
    },
    /// What was named can be no context.
    #[error("this source cannot be a build context")]
    Unsupported,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

crate::causes::store_causes!(ContextError);

impl ContextError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        if let Self::Source(error) = self { error.hint() } else { None }
    }
}

impl Builder {
    /// A context from a stream: an archive, packed or not, or a Dockerfile of at most `limit` bytes.
    pub fn context_of(&self, mut stream: impl Read + Send, limit: u64) -> Result<Fetched, ContextError> {
        let mut start = Vec::with_capacity(SNIFF);
        stream.by_ref().take(SNIFF as u64).read_to_end(&mut start).map_err(ContextError::Read)?;
        let packing = sniff(&start);
        let mut stream = start.as_slice().chain(stream);
        let Some(packing) = packing else {
            let mut text = Vec::new();
            stream.take(limit + 1).read_to_end(&mut text).map_err(ContextError::Read)?;
            if text.len() as u64 > limit {
                return Err(ContextError::TooLong { limit });
            }
            return Ok(Fetched::Dockerfile(text));
        };
        let in_use = self.store.use_lock()?;
        let mut draft = self.store.layers().draft()?;
        draft.unpack(decoder(packing, &mut stream).map_err(ContextError::Archive)?, &Unpack::default())?;
        let path = draft.upper().to_owned();
        Ok(Fetched::Context(FetchedContext { path, material: None, _draft: Some(draft), _in_use: in_use }))
    }

    /// A context without files.
    pub fn empty_context(&self) -> Result<FetchedContext, ContextError> {
        let in_use = self.store.use_lock()?;
        let draft = self.store.layers().draft()?;
        let path = draft.upper().to_owned();
        Ok(FetchedContext { path, material: None, _draft: Some(draft), _in_use: in_use })
    }

    /// A context from a web server or a repository.
    pub async fn fetch_context(
        &self,
        from: &Source,
        credentials: &Credentials,
        limit: u64,
        progress: &Progress,
    ) -> Result<Fetched, ContextError> {
        let in_use = self.store.use_lock()?;
        let shared = SharedCaches::default();
        let kept = Kept { store: &self.store, shared: &shared };
        match from {
            Source::Git(git) => {
                let name = format!("[internal] load git source {}", kiln_graph::redact(&git.remote));
                let access = source::git::Access::of(credentials, git, &self.store)?;
                let (commit, (layer, _)) =
                    source::git::load_named(kept, git, &access, &name, progress).await?;
                let path = self.tree(&layer)?;
                let material = Some(Material::of_commit(Material::uri_of(git), &commit));
                Ok(Fetched::Context(FetchedContext { path, material, _draft: None, _in_use: in_use }))
            }
            Source::Http(http) => {
                let name = format!("[internal] load remote build context {}", kiln_graph::redact(&http.url));
                let client = &self.client;
                let (layer, _) = source::http::load(kept, client, http, &name, progress).await?;
                let file = self.tree(&layer)?.join(&http.filename);
                let fetched = self.context_of(File::open(&file).map_err(ContextError::Read)?, limit)?;
                let digest = source::http::digest(kept, http).await?;
                let url = kiln_graph::redact(&http.url);
                Ok(match fetched {
                    Fetched::Context(context) => {
                        let material = digest.map(|digest| Material::of_digest(url, &digest));
                        Fetched::Context(FetchedContext { material, ..context })
                    }
                    Fetched::Dockerfile(text) => Fetched::Dockerfile(text),
                })
            }
            _ => Err(ContextError::Unsupported),
        }
    }

    /// The only layer of a source as a directory.
    fn tree(&self, layer: &Snapshot) -> Result<PathBuf, ContextError> {
        let trees = self.store.layers().ensure_trees(&layer.diff_ids())?;
        trees.into_iter().next().ok_or(ContextError::Unsupported)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use kiln_cache::Store;
    use kiln_registry::testing::{Page, WebServer};
    use kiln_registry::{Client, ClientOptions};

    use super::*;
    use crate::BuilderOptions;

    fn builder(dir: &Path) -> Builder {
        let client = Client::new(ClientOptions::default()).unwrap();
        let options =
            BuilderOptions { jobs: 1, resolv_conf: None, hosts: None, device_directories: Vec::new() };
        Builder::new(Store::open(dir).unwrap(), client, options)
    }

    fn archive() -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_ustar();
        header.set_size(4);
        header.set_mode(0o644);
        tar.append_data(&mut header, "dir/file", &b"text"[..]).unwrap();
        tar.into_inner().unwrap()
    }

    fn directory(fetched: Fetched) -> FetchedContext {
        match fetched {
            Fetched::Context(context) => context,
            Fetched::Dockerfile(text) => panic!("{text:?}"),
        }
    }

    #[test]
    fn an_archive_is_a_directory_for_as_long_as_it_is_used() {
        let dir = tempfile::tempdir().unwrap();
        let builder = builder(dir.path());
        let context = directory(builder.context_of(&archive()[..], 9).unwrap());
        let path = context.path().to_owned();
        assert_eq!(std::fs::read(path.join("dir/file")).unwrap(), b"text");
        drop(context);
        assert!(!path.exists());
    }

    #[test]
    fn a_text_is_a_dockerfile_within_reason() {
        let dir = tempfile::tempdir().unwrap();
        let builder = builder(dir.path());
        let fetched = builder.context_of(&b"FROM a\n"[..], 9).unwrap();
        assert!(matches!(fetched, Fetched::Dockerfile(text) if text == b"FROM a\n"));
        assert!(matches!(
            builder.context_of(&b"FROM abcdef"[..], 9),
            Err(ContextError::TooLong { limit: 9 })
        ));
        let cut = &archive()[..600];
        assert!(builder.context_of(cut, 9).is_err());
    }

    #[tokio::test]
    async fn a_web_server_has_archives_and_dockerfiles() {
        let dir = tempfile::tempdir().unwrap();
        let builder = builder(dir.path());
        let server = WebServer::start();
        server.serve("/c.tar", [Page::new(archive())]);
        server.serve("/d", [Page::new("FROM a")]);
        let fetch = async |path: &str| {
            let url = server.url(path);
            let source = kiln_graph::remote_source(&url).unwrap().unwrap();
            let progress = Progress::new(tokio::sync::mpsc::unbounded_channel().0);
            builder.fetch_context(&source, &Credentials::default(), 99, &progress).await
        };
        let context = directory(fetch("/c.tar").await.unwrap());
        assert!(context.path().join("dir/file").exists());
        assert!(matches!(fetch("/d").await.unwrap(), Fetched::Dockerfile(text) if text == b"FROM a"));
        assert!(matches!(fetch("/none").await, Err(ContextError::Source(_))));
    }
}
