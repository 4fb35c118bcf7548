//! What a client's policies say of the sources of its build: each source is held against them before anything is made of it, and
//! what they put in its place is what is used.
//!
//! There are two kinds. Rules (`rules`; `rule`, with its `pattern` or `expression`) come with the request and are applied here; a session can be asked
//! about each source, by the names that `source` gives them. Called where sources are known: by the frontend, by graphs of
//! clients, and by questions about sources.

mod expression;
mod pattern;
mod rule;
mod rules;
mod session;
mod source;

use std::sync::Arc;

use kiln_graph::redact;
use tonic::Status;

use self::rules::{Policy, RuleError};
use self::source::{GIT_URL, normal, repository_of};
pub(crate) use self::source::{IMAGE, LAYOUT, full_name, image, local, remote};
use crate::api::control::sourcepolicy;
use crate::api::pb::{Platform, SourceOp};
use crate::build::Build;
use crate::control::beside;
use crate::server::Server;

/// What this does, by the names that clients know.
pub(crate) const CAPABILITIES: &[&str] = &["source.policy", "source.policy.session"];

/// Everything that sources are held against. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Policies {
    /// Those that deny and convert by rules; all of them have to agree.
    rules: Arc<[Arc<Policy>]>,
    /// The session that is asked.
    session: Option<Arc<str>>,
}

impl Policies {
    /// Those of a build.
    pub(crate) async fn read(rules: Option<sourcepolicy::Policy>, session: &str) -> Result<Self, Status> {
        let session = Some(session).filter(|id| !id.is_empty()).map(Arc::from);
        Self { session, ..Self::default() }.and(rules.into_iter().collect()).await
    }

    /// These, and those that come with a part of the build.
    pub(crate) async fn and(&self, more: Vec<sourcepolicy::Policy>) -> Result<Self, Status> {
        if more.is_empty() {
            return Ok(self.clone());
        }
        let known = Arc::clone(&self.rules);
        let rules = beside(move || rules::read_all(&known, &more).map_err(|error| told(&error))).await?;
        Ok(Self { rules, session: self.session.clone() })
    }

    /// Whether nothing is said of any source.
    pub(crate) fn is_empty(&self) -> bool {
        self.rules.is_empty() && self.session.is_none()
    }

    /// The source that is to be used in the place of this one, if it is another. What is not allowed is the error.
    pub(crate) async fn judge(
        &self,
        server: &Server,
        build: &Arc<Build>,
        platform: Option<Platform>,
        source: &SourceOp,
    ) -> Result<Option<SourceOp>, Status> {
        if self.is_empty() {
            return Ok(None);
        }
        let original = normal(source);
        let ruled = self.ruled(original.clone()).await?;
        let judged = match &self.session {
            Some(session) => session::judged(server, build, self, (session, platform), ruled).await?,
            None => ruled,
        };
        if judged == original {
            return Ok(None);
        }
        consistent(&original, &judged)?;
        let mut judged = judged;
        rules::without_former(&mut judged.attrs, &original.identifier, &judged.identifier);
        Ok(Some(judged))
    }

    /// The source that the rules make of a source. Patterns may take a while.
    async fn ruled(&self, mut source: SourceOp) -> Result<SourceOp, Status> {
        rules::sensible(&source).map_err(|error| told(&error))?;
        if self.rules.is_empty() {
            return Ok(source);
        }
        let policies = Arc::clone(&self.rules);
        beside(move || {
            rules::apply(&policies, &mut source).map_err(|error| told(&error))?;
            Ok(source)
        })
        .await
    }

    /// Holds a source against the policies in whose place nothing can be put here.
    pub(crate) async fn judge_fixed(
        &self,
        server: &Server,
        build: &Arc<Build>,
        platform: Option<Platform>,
        source: &SourceOp,
    ) -> Result<(), Status> {
        match self.judge(server, build, platform, source).await? {
            Some(other) => Err(replaced(source, &other)),
            None => Ok(()),
        }
    }

    /// Refuses rules that depend on attributes whose names begin so: the source is named without them.
    pub(crate) fn refuse_constraints(&self, prefix: &str) -> Result<(), Status> {
        let found = self.rules.iter().find_map(|policy| policy.constraining(prefix));
        found.map_or(Ok(()), |rule| {
            Err(Status::unimplemented(format!(
                "source policy: {rule}: attributes `{prefix}…` of sources of a Dockerfile are not known; match by others"
            )))
        })
    }
}

/// What is said where another source cannot be used.
pub(crate) fn replaced(source: &SourceOp, other: &SourceOp) -> Status {
    let (source, changed) = (normal(source), &other.identifier);
    let what = if source.identifier == *changed {
        let mut names: Vec<&str> = other
            .attrs
            .iter()
            .filter(|(key, value)| source.attrs.get(*key) != Some(value))
            .map(|(key, _)| key.as_str())
            .collect();
        names.sort_unstable();
        format!("sets {}", names.join(", "))
    } else {
        format!("puts {:?} in its place", redact(changed))
    };
    let source = redact(&source.identifier);
    Status::unimplemented(format!(
        "source {source:?}: the policy {what}, which is not done for this source of a Dockerfile"
    ))
}

fn told(error: &RuleError) -> Status {
    match error {
        RuleError::Denied { .. } | RuleError::Endless { .. } => Status::unknown(error.to_string()),
        _ => Status::invalid_argument(error.to_string()),
    }
}

/// A repository is fetched by its attribute: one of another name, but with the former attribute, would be the former one.
fn consistent(original: &SourceOp, judged: &SourceOp) -> Result<(), Status> {
    let Some(repository) = repository_of(&judged.identifier) else { return Ok(()) };
    let url = judged.attrs.get(GIT_URL).filter(|url| !url.is_empty());
    let Some(url) = url.filter(|_| repository_of(&original.identifier) != Some(repository)) else {
        return Ok(());
    };
    let named = SourceOp { identifier: judged.identifier.clone(), ..SourceOp::default() };
    if normal(judged).identifier == normal(&named).identifier {
        return Ok(());
    }
    Err(Status::invalid_argument(format!(
        "source {:?}: the policy puts {:?} in its place, but its attribute `{GIT_URL}`, which is what is fetched, is {}: \
         a rule that changes the repository has to set both",
        redact(&original.identifier),
        redact(&judged.identifier),
        redact(url),
    )))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn git(identifier: &str, url: &str) -> SourceOp {
        let attrs = [(GIT_URL.to_owned(), url.to_owned())].into();
        SourceOp { identifier: identifier.to_owned(), attrs }
    }

    #[test]
    fn what_is_fetched_is_what_the_rule_says() {
        let original = git("git://h.example/a.git#main", "https://h.example/a.git");
        for (identifier, url, fits) in [
            ("git://h.example/a.git#v1", "https://h.example/a.git", true),
            ("git://m.example/a.git#main", "https://m.example/a.git", true),
            ("git://h.example/a.git#main", "https://m.example/a.git", true),
            ("git://m.example/a.git#main", "https://h.example/a.git", false),
            ("git://m.example/a.git#main", "", true),
            ("https://m.example/a.tar", "https://h.example/a.git", true),
        ] {
            let said = consistent(&original, &git(identifier, url));
            assert_eq!(said.is_ok(), fits, "{identifier} {url}: {said:?}");
        }
        let said =
            consistent(&original, &git("git://m.example/a.git", "https://h.example/a.git")).unwrap_err();
        assert!(said.message().contains("has to set both"), "{said}");
    }

    #[test]
    fn what_cannot_be_replaced_is_named() {
        let local = local("context");
        let other = SourceOp { identifier: "local://x".to_owned(), ..SourceOp::default() };
        assert!(replaced(&local, &other).message().contains("puts \"local://x\" in its place"));
        let other = SourceOp { attrs: [("b".to_owned(), "1".to_owned())].into(), ..local.clone() };
        assert!(replaced(&local, &other).message().contains("sets b,"));
    }

    #[tokio::test]
    async fn a_policy_without_rules_is_none() {
        let version = |version| Some(sourcepolicy::Policy { version, rules: Vec::new() });
        for message in [None, version(0), version(1)] {
            assert!(Policies::read(message, "").await.unwrap().is_empty());
        }
        assert!(Policies::read(version(2), "").await.is_err());
        assert!(!Policies::read(None, "id").await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn policies_of_parts_are_added() {
        let denying = |identifier: &str| {
            let selector = sourcepolicy::Selector {
                identifier: identifier.to_owned(),
                ..sourcepolicy::Selector::default()
            };
            let action = sourcepolicy::PolicyAction::Deny.into();
            let rule = sourcepolicy::Rule { action, selector: Some(selector), updates: None };
            sourcepolicy::Policy { version: 1, rules: vec![rule] }
        };
        let mut policies = Policies::read(Some(denying("local://a")), "id").await.unwrap();
        for name in ["local://b", "local://c"] {
            policies = policies.and(vec![denying(name)]).await.unwrap();
        }
        for (name, denied) in [("a", true), ("b", true), ("c", true), ("d", false)] {
            assert_eq!(policies.ruled(local(name)).await.is_err(), denied, "{name}");
        }
        assert_eq!(policies.and(Vec::new()).await.unwrap().session.as_deref(), Some("id"));
    }
}
