//! The sources of a Dockerfile that are no images of registries, held against the policies of its build: the contexts, and what
//! its instructions fetch.

use std::collections::HashMap;
use std::mem::discriminant;
use std::sync::Arc;

use kiln_graph::op::{Http, Op, Source};
use kiln_graph::plan::{BaseRequest, Plan};
use kiln_graph::{Graph, Vertex};
use tonic::Status;

use super::bases::Converted;
use super::dockerfile::Work;
use super::elsewhere::{self, Main};
use super::load::Names;
use crate::build::Build;
use crate::llb;
use crate::policy::{self, Policies};
use crate::server::Server;

/// Who judges.
pub(super) type Judge<'a> = (&'a Server, &'a Arc<Build>, &'a Policies);

/// What clients call the file that is a context.
const CONTEXT: &str = "context";

/// Where the main context is, by what the policies say; nothing if it is a directory of the client's.
pub(super) async fn main_context(
    (server, build, policies): Judge<'_>,
    attributes: &HashMap<String, String>,
    names: &Names,
) -> Result<Option<Main>, Status> {
    let mut main = elsewhere::named(attributes)?;
    let platform = || Some(crate::control::platform(&server.platform));
    match &mut main {
        Some(Main::Upload { url, .. }) => {
            let source = crate::api::pb::SourceOp { identifier: url.clone(), ..Default::default() };
            policies.judge_fixed(server, build, platform(), &source).await?;
        }
        Some(Main::Remote(source)) => {
            let named = called(source, CONTEXT);
            let other = elsewhere_judged((server, build, policies), &server.platform, &named).await?;
            if let Some(other) = other {
                // The name of the file is nothing that is built.
                *source = match source {
                    Source::Http(http) => called(&other, &http.filename),
                    _ => other,
                };
            }
        }
        None => {}
    }
    if main.is_none() || names.own_dockerfile {
        local((server, build, policies), &names.dockerfile).await?;
    }
    if main.is_none() {
        local((server, build, policies), &names.context).await?;
    }
    Ok(main)
}

/// The same file under another name.
fn called(source: &Source, filename: &str) -> Source {
    match source {
        Source::Http(http) => Source::Http(Http { filename: filename.to_owned(), ..http.clone() }),
        other => other.clone(),
    }
}

/// A directory of the client's.
pub(super) async fn local((server, build, policies): Judge<'_>, name: &str) -> Result<(), Status> {
    policies.refuse_constraints("local.")?;
    let platform = Some(crate::control::platform(&server.platform));
    policies.judge_fixed(server, build, platform, &policy::local(name)).await
}

/// What is to be fetched in the place of a file or a repository, if it is something else: of the same kind, since the instruction
/// is about that.
async fn elsewhere_judged(
    (server, build, policies): Judge<'_>,
    platform: &str,
    source: &Source,
) -> Result<Option<Source>, Status> {
    let Some(named) = policy::remote(source) else { return Ok(None) };
    // Clients ask the host for its keys; here git does, when it fetches.
    if named.attrs.contains_key("git.mountsshsock") {
        policies.refuse_constraints("git.knownsshhosts")?;
    }
    let message = Some(crate::control::platform(platform));
    let Some(other) = policies.judge(server, build, message, &named).await? else { return Ok(None) };
    let (found, _) = llb::source_of(&other, platform)?;
    if discriminant(&found) == discriminant(source) {
        return Ok(Some(found));
    }
    Err(policy::replaced(&named, &other))
}

impl Work<'_> {
    /// The plan with the sources that the policies allow. Its images were judged when they were resolved.
    pub(super) async fn judged_plan(&self, plan: Plan, images: &Converted) -> Result<Plan, Status> {
        if self.policies.is_empty() {
            return Ok(plan);
        }
        let mut graph = Graph::new();
        for (_, vertex) in plan.graph.iter() {
            let mut vertex = vertex.clone();
            if let Op::Source(source) = &vertex.op {
                let other = self.other(source, &plan.platform, images, &vertex.display.name).await;
                let other =
                    other.map_err(|status| self.report.at(vertex.display.location.as_ref(), status))?;
                if let Some((other, name)) = other {
                    (vertex.op, vertex.display.name) = (Op::Source(other), name);
                }
            }
            let added = graph.add(vertex);
            added.map_err(|lost: Box<Vertex>| Status::internal(format!("{} was lost", lost.display.name)))?;
        }
        Ok(Plan { graph, ..plan })
    }

    /// The source in the place of another one, and how it is shown.
    async fn other(
        &self,
        source: &Source,
        platform: &str,
        images: &Converted,
        shown: &str,
    ) -> Result<Option<(Source, String)>, Status> {
        let judge = (self.server, self.build, self.policies);
        match source {
            Source::Image { .. } => Ok(image_used(source, images, shown)),
            Source::Http(_) | Source::Git(_) => {
                let Some(other) = elsewhere_judged(judge, platform, source).await? else { return Ok(None) };
                if filename(source) != filename(&other) {
                    return Err(Status::unimplemented(format!(
                        "source {:?}: the policy sets http.filename, which is not done for this source of a Dockerfile",
                        url(source).unwrap_or_default()
                    )));
                }
                let name = remote_name(shown, source, &other);
                Ok(Some((other, name)))
            }
            Source::Layout { image, platform } => {
                let named = self.named.layout_source(&image.directory, &self.build.session);
                let message = Some(crate::control::platform(platform));
                let named = named.ok_or_else(|| Status::internal("a layout has no name"))?;
                self.policies.judge_fixed(self.server, self.build, message, &named).await?;
                Ok(None)
            }
            // Contexts were judged before they were read.
            Source::Scratch | Source::Context { .. } => Ok(None),
        }
    }
}

/// The image in the place of another one, and how it is shown.
fn image_used(source: &Source, images: &Converted, shown: &str) -> Option<(Source, String)> {
    let Source::Image { reference, platform, digest } = source else { return None };
    let named = BaseRequest { reference: reference.clone(), platform: platform.clone(), layout: None };
    let used = images.get(&named)?;
    let name = image_name(shown, (reference, digest.as_deref()), &used.reference);
    let (reference, platform, digest) = (used.reference.clone(), used.platform.clone(), digest.clone());
    Some((Source::Image { reference, platform, digest }, name))
}

/// How a step is shown that begins with another image.
fn image_name(shown: &str, (reference, digest): (&str, Option<&str>), used: &str) -> String {
    match digest.filter(|_| used.contains('@')) {
        Some(digest) => {
            let pinned = format!("{reference}@{digest}");
            if shown.contains(&pinned) {
                shown.replacen(&pinned, used, 1)
            } else {
                shown.replacen(reference, used, 1)
            }
        }
        None => shown.replacen(reference, used, 1),
    }
}

/// What a file is called, which the instruction that fetches it goes by.
fn filename(source: &Source) -> Option<&str> {
    match source {
        Source::Http(http) => Some(&http.filename),
        _ => None,
    }
}

/// Where something is fetched from, as people may see it.
fn url(source: &Source) -> Option<String> {
    match source {
        Source::Http(http) => Some(kiln_graph::redact(&http.url)),
        Source::Git(git) => Some(kiln_graph::redact(&git.remote)),
        _ => None,
    }
}

/// How a step is shown that fetches something else.
fn remote_name(shown: &str, source: &Source, other: &Source) -> String {
    match (url(source), url(other)) {
        (Some(from), Some(to)) => shown.replacen(&from, &to, 1),
        _ => shown.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::image_name;

    #[test]
    fn steps_show_the_image_that_is_used() {
        for (shown, reference, used, expected) in [
            ("[1/2] FROM a:1@sha256:00", "a:1", "b:2", "[1/2] FROM b:2@sha256:00"),
            ("[1/2] FROM a:1@sha256:00", "a:1", "b:2@sha256:00", "[1/2] FROM b:2@sha256:00"),
            ("[1/2] FROM a@sha256:11", "a@sha256:11", "b@sha256:00", "[1/2] FROM b@sha256:00"),
        ] {
            assert_eq!(image_name(shown, (reference, Some("sha256:00")), used), expected);
        }
    }
}
