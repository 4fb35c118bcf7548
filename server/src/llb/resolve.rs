//! What a source of a graph is, for clients that decide by it what to build. The source is read as in a graph, so that nothing of
//! it is understood otherwise.

use std::collections::HashMap;
use std::sync::Arc;

use kiln_builder::{Commit, PullPolicy, RemoteFile};
use kiln_graph::Graph;
use kiln_graph::image::ImageConfig;
use kiln_graph::op::{Op, Source};
use kiln_graph::plan::{BaseRequest, Plan, ResolveBase, ResolvedBase};
use prost::Message as _;
use tokio::runtime::Handle;
use tonic::{Code, Status};

use super::definition::digest;
use super::solve::Work;
use super::{Definition, lower};
use crate::api::pb;
use crate::build::Build;
use crate::failure::told;
use crate::frontend::credentials;
use crate::policy::Policies;
use crate::server::Server;

/// What is known of a source before it is had.
pub(crate) enum Known {
    /// An image.
    Image(Box<ResolvedBase>),
    /// A commit, and whether its `.git` is asked for.
    Git(Commit, bool),
    /// A file.
    File(RemoteFile),
}

/// Asks the place that the source is at. `pulls` asks a registry about images that are here, too.
pub(crate) async fn resolve(
    server: &Server,
    build: &Arc<Build>,
    source: &pb::SourceOp,
    platform: Option<pb::Platform>,
    pulls: bool,
) -> Result<Known, Status> {
    let session = server.sessions.get(&build.session).await?;
    let (progress, told_all) = crate::progress::of(build);
    // The source has been judged.
    let (attributes, policies) = (HashMap::new(), Policies::default());
    let known = async {
        let builder = server.builder_for(&session);
        let work =
            Work { server, build, attributes: &attributes, policies: &policies, session, builder, progress };
        work.known(source, platform, pulls).await
    };
    let result = tokio::select! {
        result = known => result,
        () = build.cancel.cancelled() => Err(Status::cancelled("the client has gone")),
    };
    told_all.wait().await;
    result
}

impl Work<'_> {
    async fn known(
        &self,
        source: &pb::SourceOp,
        platform: Option<pb::Platform>,
        pulls: bool,
    ) -> Result<Known, Status> {
        let definition = Definition::read(&alone(source, platform))?;
        // They are there until the answer is.
        let mut copies = Vec::new();
        let layouts = self.layouts(&definition, &mut copies).await?;
        let lowered = lower(definition, &self.server.platform, layouts)?;
        let op = lowered.graph.iter().find_map(|(_, vertex)| match &vertex.op {
            Op::Source(found) if *found != Source::Scratch => Some(found.clone()),
            _ => None,
        });
        let (graph, pulls) = (lowered.graph, pulls || lowered.pulls);
        match op {
            Some(Source::Image { reference, platform, .. }) => {
                self.image_of(BaseRequest { reference, platform, layout: None }, pulls).await
            }
            Some(Source::Layout { image, platform }) => {
                let request = BaseRequest { reference: image.to_string(), platform, layout: Some(image) };
                self.image_of(request, pulls).await
            }
            Some(Source::Git(git)) => {
                let mut agents = credentials::Agents::default();
                let (target, config, platform) = (lowered.target, ImageConfig::default(), lowered.platform);
                let plan = Plan { graph: Graph::clone(&graph), target, config, platform };
                let credentials = credentials::of(&self.session, &plan, &mut agents).await?;
                let commit = self.builder.commit(&git, &credentials).await;
                commit
                    .map(|commit| Known::Git(commit, git.keep_git_dir))
                    .map_err(|error| told(Code::Unknown, &error))
            }
            Some(Source::Http(http)) => {
                let name = format!("[internal] load metadata for {}", kiln_graph::redact(&http.url));
                let file = self.builder.remote_file(&http, &name, &self.progress).await;
                file.map(Known::File).map_err(|error| told(Code::Unknown, &error))
            }
            Some(Source::Context { .. } | Source::Scratch) | None => Err(Status::unimplemented(format!(
                "Source: nothing is known of {} before it is built",
                kiln_graph::redact(&source.identifier)
            ))),
        }
    }

    async fn image_of(&self, request: BaseRequest, pulls: bool) -> Result<Known, Status> {
        let policy = if pulls { PullPolicy::Always } else { PullPolicy::Missing };
        let resolver = self.builder.resolver(policy, self.progress.clone(), Handle::current());
        let answers = tokio::task::spawn_blocking(move || resolver.resolve(&[request])).await;
        let answers = answers.map_err(|_| Status::internal("the resolution ended without a result"))?;
        let answer = answers.into_iter().next();
        let answer = answer.ok_or_else(|| Status::internal("the resolution has no answer"))?;
        let base = answer.map_err(|failure| Status::unknown(failure.message))?;
        Ok(Known::Image(Box::new(base)))
    }
}

/// A definition of nothing but the source.
pub(super) fn alone(source: &pb::SourceOp, platform: Option<pb::Platform>) -> pb::Definition {
    let op = pb::Op { op: Some(pb::op::Op::Source(source.clone())), platform, ..pb::Op::default() };
    let op = op.encode_to_vec();
    let input = pb::Input { digest: digest(&op), index: 0 };
    let end = pb::Op { inputs: vec![input], ..pb::Op::default() };
    pb::Definition { def: vec![op, end.encode_to_vec()], ..pb::Definition::default() }
}
