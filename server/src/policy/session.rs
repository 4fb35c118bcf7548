//! A policy that the client evaluates itself: it is shown one source after the other, may ask what a source is like, and says yes,
//! no, or which one is to be used.

use std::collections::HashMap;
use std::sync::Arc;

use kiln_graph::redact;
use tonic::{Code, Status};

use super::{Policies, normal};
use crate::api::control::sourcepolicy::PolicyAction;
use crate::api::control::sourcepolicy::policysession::check_policy_response::Result as Answer;
use crate::api::control::sourcepolicy::policysession::policy_verifier_client::PolicyVerifierClient;
use crate::api::control::sourcepolicy::policysession::{CheckPolicyRequest, DecisionResponse};
use crate::api::gateway::ResolveSourceMetaResponse;
use crate::api::pb::{Platform, SourceOp};
use crate::bridge;
use crate::build::Build;
use crate::failure;
use crate::server::Server;

/// How often a session is asked about one source, whatever is put in its place: BuildKit's number.
const QUESTIONS: usize = 10;

/// What a session says of a source that the rules have been applied to. What it puts in a source's place is held against the
/// rules, and shown to it, like any other.
pub(super) async fn judged(
    server: &Server,
    build: &Arc<Build>,
    policies: &Policies,
    (session, platform): (&str, Option<Platform>),
    mut source: SourceOp,
) -> Result<SourceOp, Status> {
    let session = server.sessions.get(session).await?;
    let mut verifier = PolicyVerifierClient::new(session.channel());
    let mut known = shown(&source);
    for _ in 0..QUESTIONS {
        let request =
            CheckPolicyRequest { platform: platform.clone(), source: Some(known), caps: HashMap::new() };
        match verifier.check_policy(request).await?.into_inner().result {
            Some(Answer::Decision(decision)) => match decided(&source, decision)? {
                None => return Ok(source),
                Some(other) => {
                    source = policies.ruled(normal(&other)).await?;
                    known = shown(&source);
                }
            },
            Some(Answer::Request(wanted)) if wanted.source.as_ref() == Some(&source) => {
                known = bridge::sources::described(server, build, wanted).await?;
            }
            Some(Answer::Request(_)) => return Err(about(&source, "the policy asks for another source")),
            None => return Err(about(&source, "the policy does not decide")),
        }
    }
    Err(about(&source, "the policy asks, or puts another one in its place, again and again"))
}

fn shown(source: &SourceOp) -> ResolveSourceMetaResponse {
    ResolveSourceMetaResponse { source: Some(source.clone()), ..ResolveSourceMetaResponse::default() }
}

fn about(source: &SourceOp, problem: &str) -> Status {
    Status::unknown(format!("source {:?}: {problem}", redact(&source.identifier)))
}

/// What is to be used in the source's place, if it is not the source itself.
fn decided(source: &SourceOp, decision: DecisionResponse) -> Result<Option<SourceOp>, Status> {
    let action = PolicyAction::try_from(decision.action)
        .map_err(|_| about(source, &format!("the policy decides {}, which is not known", decision.action)))?;
    match action {
        PolicyAction::Allow => Ok(None),
        PolicyAction::Convert => {
            let update = decision.update.filter(|update| !update.identifier.is_empty());
            let update =
                update.ok_or_else(|| about(source, "the policy does not say what to put in its place"))?;
            Ok(Some(update))
        }
        PolicyAction::Deny => {
            let said: Vec<String> =
                decision.deny_messages.into_iter().map(|message| message.message).collect();
            let identifier = redact(&source.identifier);
            let message = format!("source {identifier:?} not allowed by policy: action DENY");
            // Clients show the messages by themselves.
            let details = if said.is_empty() { Vec::new() } else { vec![failure::denial(&said)] };
            Err(failure::with_details(Code::Unknown, &message, details))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::api::control::sourcepolicy::policysession::DenyMessage;

    #[test]
    fn only_a_yes_is_a_yes() {
        let source = SourceOp { identifier: "docker-image://a".to_owned(), attrs: HashMap::new() };
        let other = SourceOp { identifier: "docker-image://b".to_owned(), attrs: HashMap::new() };
        let said = |action: i32, update: Option<&SourceOp>| {
            let deny_messages = vec![DenyMessage { message: "too old".to_owned() }];
            let decision = DecisionResponse { action, deny_messages, update: update.cloned() };
            decided(&source, decision).map_err(|status| status.message().to_owned())
        };
        assert_eq!(said(PolicyAction::Allow.into(), None), Ok(None));
        assert_eq!(said(PolicyAction::Convert.into(), Some(&other)), Ok(Some(other.clone())));
        assert!(said(PolicyAction::Convert.into(), None).unwrap_err().contains("does not say what"));
        assert_eq!(
            said(PolicyAction::Deny.into(), None),
            Err("source \"docker-image://a\" not allowed by policy: action DENY".to_owned())
        );
        assert!(said(7, None).unwrap_err().contains("decides 7"));
        let deny_messages = vec![DenyMessage { message: "too old".to_owned() }];
        let decision = DecisionResponse { action: PolicyAction::Deny.into(), deny_messages, update: None };
        let details = decided(&source, decision).unwrap_err().details().to_vec();
        let details = String::from_utf8_lossy(&details).into_owned();
        assert!(details.contains(r#""denyMessages":[{"message":"too old"}]"#), "{details}");
    }
}
