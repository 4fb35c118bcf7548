//! What sources are, for whoever decides by it what to build: the commit that a reference stands for, the digest of a file. Called
//! by the server, beside builds.

use kiln_graph::op::{Git, Http};

use super::git::Access;
use super::{Kept, SourceError, git, http};
use crate::event::Progress;
use crate::shared::SharedCaches;
use crate::{Builder, Credentials};

/// What a reference of a repository stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// The full name (`refs/heads/main`), or the commit if that is how it was named.
    pub reference: String,
    /// The commit.
    pub commit: String,
    /// The tag's own object, where the reference is an annotated tag.
    pub tag: Option<String>,
}

/// What a file of a web server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteFile {
    /// `sha256:…` of its content.
    pub digest: String,
    /// The name that it has in a build.
    pub filename: String,
    /// When it was changed, in seconds since the epoch; nothing if the server was not asked, or does not say.
    pub modified: Option<i64>,
}

impl Builder {
    /// What the repository's reference stands for now.
    pub async fn commit(&self, source: &Git, credentials: &Credentials) -> Result<Commit, SourceError> {
        let access = Access::of(credentials, source, &self.store)?;
        Ok(git::look(source, &access).await?)
    }

    /// What the file is now. Unless its checksum is named it is downloaded, and kept for a build that takes it.
    pub async fn remote_file(
        &self,
        source: &Http,
        name: &str,
        progress: &Progress,
    ) -> Result<RemoteFile, SourceError> {
        let _in_use = self.store.use_lock()?;
        let shared = SharedCaches::default();
        let kept = Kept { store: &self.store, shared: &shared };
        http::look(kept, &self.client, source, name, progress).await
    }
}
