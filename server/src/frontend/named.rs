//! Contexts by name: what the client says that a name of the Dockerfile stands for.

use std::collections::{BTreeMap, HashMap};

use kiln_builder::Progress;
use kiln_graph::lower::{NamedContext, context_name};
use kiln_graph::op::{LayoutImage, Source};
use kiln_parser::dockerignore;
use kiln_registry::Reference;
use tempfile::TempDir;
use tonic::{Code, Status};

use super::sources::{self, Judge};
use super::{load, options};
use crate::api::pb::SourceOp;
use crate::failure::told;
use crate::policy::LAYOUT;
use crate::server::Server;
use crate::session::Session;
use crate::session::content::{ContentStore, digest};

/// The reference that stands for no files.
const SCRATCH: &str = "scratch";

/// All named contexts of a build.
#[derive(Debug, Default)]
pub(super) struct Named {
    /// For the lowering.
    pub(super) all: BTreeMap<String, NamedContext>,
    /// The client's names of those that are its directories.
    pub(super) directories: BTreeMap<String, String>,
    /// Images that were copied from the client, with the names of their contexts.
    layouts: Vec<(TempDir, SourceOp)>,
}

impl Named {
    /// Reads the attributes, and what they name as far as the lowering must know it. Nothing is read of what the policies deny.
    pub(super) async fn read(
        judge: Judge<'_>,
        session: &Session,
        attributes: &HashMap<String, String>,
        progress: &Progress,
    ) -> Result<Self, Status> {
        let server = judge.0;
        let mut named = Self::default();
        for (given, value) in options::prefixed(attributes, options::CONTEXT) {
            let wrong = |problem: String| {
                let value = kiln_graph::redact(&value);
                Status::invalid_argument(format!("context:{given}={value}: {problem}"))
            };
            let name = context_name(&given).map_err(|error| wrong(error.to_string()))?;
            let context = if let Some(directory) = value.strip_prefix("local:") {
                sources::local(judge, directory).await?;
                let session = server.session_of(session, attributes, directory).await?;
                named.directories.insert(name.clone(), directory.to_owned());
                NamedContext::Directory { ignore: ignore(&session, directory, progress).await? }
            } else if let Some(reference) = value.strip_prefix("docker-image://") {
                image(reference).map_err(wrong)?
            } else if let Some(layout) = value.strip_prefix("oci-layout://") {
                let (store, pinned) = layout_parts(layout).map_err(wrong)?;
                let source = layout_source(&name, store, pinned);
                judged_layout(judge, &source).await?;
                let step = progress.step(format!("[context {given}] load OCI layout"));
                let from = (server, session, attributes);
                let copied = named.layout(from, (store, pinned), source).await;
                match &copied {
                    Ok(_) => step.done(),
                    Err(status) => step.failed(status.message()),
                }
                NamedContext::Layout(copied.map_err(|status| wrong(status.message().to_owned()))?)
            } else {
                elsewhere(&value, attributes).map_err(wrong)?
            };
            named.all.insert(name, context);
        }
        Ok(named)
    }

    /// The image that was copied to a directory, as clients write it.
    pub(super) fn layout_source(&self, directory: &str, session: &str) -> Option<SourceOp> {
        let copied = self.layouts.iter().find(|(copy, _)| copy.path().to_str() == Some(directory));
        copied.map(|(_, source)| of_session(source, session))
    }

    /// Copies an image from a content store of the client's.
    async fn layout(
        &mut self,
        (server, session, attributes): (&Server, &Session, &HashMap<String, String>),
        (store, pinned): (&str, &str),
        source: SourceOp,
    ) -> Result<LayoutImage, Status> {
        let root = digest(pinned)?;
        let store = ContentStore::new(session, format!("oci:{store}"));
        let directory = server.contexts.temporary().map_err(|error| told(Code::Internal, &error))?;
        let wanted = options::platforms(attributes)?;
        let wanted: Vec<String> = if wanted.is_empty() { vec![server.platform.clone()] } else { wanted };
        let takes = |entry: &kiln_registry::Descriptor| {
            entry.platform().as_ref().is_none_or(|platform| {
                let text = format!("{}/{}", platform.os(), platform.architecture());
                wanted.iter().any(|wanted| wanted.starts_with(&text))
            })
        };
        store.layout(&root, directory.path(), takes).await?;
        let path = directory.path().to_str().map(str::to_owned);
        let path = path.ok_or_else(|| Status::internal("the store's path is not UTF-8"))?;
        self.layouts.push((directory, source));
        Ok(LayoutImage { directory: path, tag: None, digest: Some(root.to_string()) })
    }
}

/// The content store and the digest of `NAME[:TAG]@DIGEST`.
fn layout_parts(text: &str) -> Result<(&str, &str), String> {
    let parts = text.rsplit_once('@').map(|(name, digest)| (name.split(':').next().unwrap_or(name), digest));
    parts.ok_or_else(|| "it names no digest: oci-layout://NAME@DIGEST is meant".to_owned())
}

/// Holds an image of a client's store against the policies.
async fn judged_layout((server, build, policies): Judge<'_>, source: &SourceOp) -> Result<(), Status> {
    let platform = Some(crate::control::platform(&server.platform));
    policies.judge_fixed(server, build, platform, &of_session(source, &build.session)).await
}

/// An image of a client's store with the session that has it.
fn of_session(source: &SourceOp, session: &str) -> SourceOp {
    let mut source = source.clone();
    source.attrs.insert("oci.session".to_owned(), session.to_owned());
    source
}

/// An image of a client's store as clients write it: it is called like the context that it is.
fn layout_source(context: &str, store: &str, digest: &str) -> SourceOp {
    let name = context.split("::").next().unwrap_or(context);
    let name = Reference::parse(name).map_or_else(|_| name.to_owned(), |full| full.name());
    let attrs = HashMap::from([("oci.store".to_owned(), store.to_owned())]);
    SourceOp { identifier: format!("{LAYOUT}{name}@{digest}"), attrs }
}

/// The ignore patterns of a directory of the client's.
async fn ignore(session: &Session, directory: &str, progress: &Progress) -> Result<Vec<String>, Status> {
    let text = load::ignore_file(session, directory, progress).await?;
    let lines = text.map(|text| dockerignore::parse(&text)).unwrap_or_default();
    Ok(lines.into_iter().map(|line| line.pattern).collect())
}

fn image(reference: &str) -> Result<NamedContext, String> {
    if reference != SCRATCH {
        Reference::parse(reference).map_err(|error| error.to_string())?;
    }
    Ok(NamedContext::Image { reference: reference.to_owned() })
}

fn elsewhere(value: &str, attributes: &HashMap<String, String>) -> Result<NamedContext, String> {
    match kiln_graph::remote_source(value)? {
        Some(Source::Git(mut git)) => {
            git.keep_git_dir |= options::keeps_git_dir(attributes);
            Ok(NamedContext::Git(git))
        }
        Some(Source::Http(_)) => Ok(NamedContext::Http { url: value.to_owned() }),
        _ if value.starts_with("input:") => {
            Err("results of other builds cannot be contexts yet; name an image that was pushed".to_owned())
        }
        _ => {
            Err("local:NAME, docker-image://, oci-layout://, a git repository or http(s):// is meant"
                .to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_name_stands_for_is_said_or_refused() {
        let none = HashMap::new();
        assert!(
            matches!(elsewhere("https://h/a.git", &none), Ok(NamedContext::Git(git)) if !git.keep_git_dir)
        );
        let keep = HashMap::from([("build-arg:BUILDKIT_CONTEXT_KEEP_GIT_DIR".to_owned(), "1".to_owned())]);
        assert!(
            matches!(elsewhere("https://h/a.git", &keep), Ok(NamedContext::Git(git)) if git.keep_git_dir)
        );
        assert!(matches!(elsewhere("https://h/a.tar", &none), Ok(NamedContext::Http { .. })));
        assert!(elsewhere("input:x", &none).is_err_and(|problem| problem.contains("other builds")));
        assert!(elsewhere("x", &none).is_err());
        assert_eq!(layout_parts("a/b:1@sha256:00"), Ok(("a/b", "sha256:00")));
        assert!(layout_parts("a:1").is_err_and(|problem| problem.contains("no digest")));
        assert!(image("A:b").is_err() && image("scratch").is_ok());
    }
}
