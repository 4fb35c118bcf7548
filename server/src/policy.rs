//! What a client's policy says of the sources of its build: each is shown to the client before anything is made of it.
//!
//! The policy itself is evaluated by the client. What it may say here is yes or no; it may ask what a source is like first.
//! Called by the frontend and by the graphs of clients.

use std::collections::HashMap;
use std::sync::Arc;

use kiln_graph::Graph;
use kiln_graph::op::{Git, Http, Op, Source};
use kiln_registry::Reference;
use tonic::Status;

use crate::api::control::sourcepolicy::PolicyAction;
use crate::api::control::sourcepolicy::policysession::check_policy_response::Result as Answer;
use crate::api::control::sourcepolicy::policysession::policy_verifier_client::PolicyVerifierClient;
use crate::api::control::sourcepolicy::policysession::{CheckPolicyRequest, DecisionResponse};
use crate::api::gateway::ResolveSourceMetaResponse;
use crate::api::pb::SourceOp;
use crate::bridge;
use crate::build::Build;
use crate::control::platform;
use crate::server::Server;

/// Questions that a policy may ask about one source.
const QUESTIONS: usize = 10;

/// Shows the client the sources, if it has a policy; the first that it does not allow is the error.
pub(crate) async fn check(
    server: &Server,
    build: &Arc<Build>,
    target: &str,
    sources: Vec<SourceOp>,
) -> Result<(), Status> {
    let Some(session) = build.policy.get() else { return Ok(()) };
    let session = server.sessions.get(session).await?;
    let mut verifier = PolicyVerifierClient::new(session.channel());
    for source in sources {
        let mut known = ResolveSourceMetaResponse { source: Some(source.clone()), ..Default::default() };
        let mut questions = 0;
        loop {
            let (platform, caps) = (Some(platform(target)), HashMap::new());
            let request = CheckPolicyRequest { platform, source: Some(known), caps };
            let about = |problem: &str| Status::unknown(format!("source {:?}: {problem}", source.identifier));
            match verifier.check_policy(request).await?.into_inner().result {
                Some(Answer::Decision(decision)) => break decided(&source, &decision)?,
                Some(Answer::Request(wanted)) if wanted.source.as_ref() == Some(&source) => {
                    questions += 1;
                    if questions > QUESTIONS {
                        return Err(about("the policy asks again and again"));
                    }
                    known = bridge::sources::meta(server, build, wanted).await?;
                }
                Some(Answer::Request(_)) => return Err(about("the policy asks for another source")),
                None => return Err(about("the policy does not decide")),
            }
        }
    }
    Ok(())
}

fn decided(source: &SourceOp, decision: &DecisionResponse) -> Result<(), Status> {
    let identifier = &source.identifier;
    match decision.action() {
        PolicyAction::Allow => Ok(()),
        PolicyAction::Convert => Err(Status::unimplemented(format!(
            "source {identifier:?}: the policy puts another in its place, which is not done here; name that one in the build"
        ))),
        PolicyAction::Deny => {
            let said = decision.deny_messages.iter().map(|message| format!(": {}", message.message));
            let said: String = said.collect();
            Err(Status::unknown(format!("source {identifier:?} not allowed by policy: action DENY{said}")))
        }
    }
}

/// `docker.io/library/debian:12`, with its digest if it has one.
fn full_name(reference: &Reference) -> String {
    let tag = reference.tag().map(|tag| format!(":{tag}")).unwrap_or_default();
    let digest = reference.digest().map(|digest| format!("@{digest}")).unwrap_or_default();
    format!("{}{tag}{digest}", reference.name())
}

/// The sources of a graph, as clients write them.
pub(crate) fn sources(graph: &Graph) -> Vec<SourceOp> {
    let sources = graph.iter().filter_map(|(_, vertex)| match &vertex.op {
        Op::Source(source) => source_op(source),
        _ => None,
    });
    sources.collect()
}

/// A source as clients write it; nothing for what holds nothing.
pub(crate) fn source_op(source: &Source) -> Option<SourceOp> {
    let plain = |identifier: String| Some(SourceOp { identifier, attrs: HashMap::new() });
    match source {
        Source::Scratch => None,
        Source::Image { reference, digest, .. } => {
            let full =
                Reference::parse(reference).map_or_else(|_| reference.clone(), |full| full_name(&full));
            let pinned = digest.as_ref().filter(|_| !full.contains('@')).map(|digest| format!("@{digest}"));
            plain(format!("docker-image://{full}{}", pinned.unwrap_or_default()))
        }
        Source::Layout { image, .. } => {
            plain(format!("oci-layout://{}", image.digest.as_deref().unwrap_or_default()))
        }
        Source::Context { name, .. } => plain(format!("local://{name}")),
        Source::Http(Http { url, checksum, .. }) => {
            let attrs = checksum.iter().map(|checksum| ("http.checksum".to_owned(), checksum.clone()));
            Some(SourceOp { identifier: url.clone(), attrs: attrs.collect() })
        }
        Source::Git(Git { remote, reference, subdir, .. }) => {
            let place = remote.split_once("://").map_or(remote.as_str(), |(_, place)| place);
            let place = place.rsplit_once('@').map_or(place, |(_, place)| place);
            let fragment = match (reference, subdir) {
                (None, None) => String::new(),
                (reference, None) => format!("#{}", reference.as_deref().unwrap_or_default()),
                (reference, Some(subdir)) => {
                    format!("#{}:{subdir}", reference.as_deref().unwrap_or_default())
                }
            };
            let attrs = HashMap::from([("git.fullurl".to_owned(), remote.clone())]);
            Some(SourceOp { identifier: format!("git://{place}{fragment}"), attrs })
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::api::control::sourcepolicy::policysession::DenyMessage;

    #[test]
    fn sources_are_named_as_clients_name_them() {
        let image = |reference: &str, digest: Option<&str>| Source::Image {
            reference: reference.to_owned(),
            platform: "linux/amd64".to_owned(),
            digest: digest.map(str::to_owned),
        };
        let of = |source: &Source| source_op(source).map(|op| op.identifier);
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(of(&Source::Scratch), None);
        assert_eq!(of(&image("busybox", None)), some("docker-image://docker.io/library/busybox:latest"));
        assert_eq!(
            of(&image("r.example/a:1", Some("sha256:00"))),
            some("docker-image://r.example/a:1@sha256:00")
        );
        for (url, expected) in [
            ("https://u:p@h.example/a.git#v1:sub", "git://h.example/a.git#v1:sub"),
            ("https://h.example/a.git", "git://h.example/a.git"),
            ("https://h.example/a.tar", "https://h.example/a.tar"),
        ] {
            assert_eq!(of(&kiln_graph::remote_source(url).unwrap().unwrap()), some(expected));
        }
    }

    #[test]
    fn only_a_yes_is_a_yes() {
        let source = SourceOp { identifier: "docker-image://a".to_owned(), attrs: HashMap::new() };
        let said = |action: PolicyAction| {
            let deny_messages = vec![DenyMessage { message: "too old".to_owned() }];
            let decision = DecisionResponse { action: action.into(), deny_messages, update: None };
            decided(&source, &decision).map_err(|status| status.message().to_owned())
        };
        assert_eq!(said(PolicyAction::Allow), Ok(()));
        assert_eq!(
            said(PolicyAction::Deny),
            Err("source \"docker-image://a\" not allowed by policy: action DENY: too old".to_owned())
        );
        assert!(said(PolicyAction::Convert).unwrap_err().contains("another in its place"));
    }
}
