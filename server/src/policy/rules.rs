//! Rules about sources, and what they make of one: denied, as it is, or another one. Pure.
//!
//! The rules of a policy are looked at in order. Of those that match and say yes or no the last one counts; one that puts
//! something else in the source's place ends the round, and the new source is looked at from the first rule of the first policy.

use std::collections::HashMap;
use std::sync::Arc;

use kiln_graph::redact;

use super::rule::{Action, Rule};
use super::source::{misleading, normal};
use crate::api::control::sourcepolicy as wire;
use crate::api::control::sourcepolicy::{AttrMatch, MatchType};
use crate::api::pb::SourceOp;

/// The newest version of policies that is known.
const VERSION: i64 = 1;

/// Most policies that a source is held against.
const MOST_POLICIES: usize = 16;

/// Most rules of a policy.
const MOST_RULES: usize = 10_000;

/// Most expressions of all policies together: each takes memory.
const MOST_EXPRESSIONS: usize = 500;

/// How often one source is looked at: BuildKit's number.
const ROUNDS: usize = 21;

/// Longest identifier that is looked at, in bytes.
const LONGEST_IDENTIFIER: usize = 64 << 10;

/// What is wrong with a policy, or with a source by it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RuleError {
    /// Its rules may mean something else.
    #[error("source policy: version {version} is not known; {VERSION} is")]
    Version {
        /// Its version.
        version: i64,
    },
    /// It is larger than any that is meant.
    #[error("source policy: it has {count} {what}, more than {most}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many it has.
        count: usize,
        /// How many there may be.
        most: usize,
    },
    /// A rule that cannot be applied.
    #[error("source policy: {rule}: {detail}")]
    Rule {
        /// Its number, its action and its selector.
        rule: String,
        /// What is wrong, and what is expected.
        detail: String,
    },
    /// A source that may not be used.
    #[error("source {source_name:?} denied by policy: {rule}")]
    Denied {
        /// Its identifier.
        source_name: String,
        /// The rule that counts.
        rule: String,
    },
    /// A source that never is what it should be.
    #[error(
        "source {source_name:?}: the policy puts another one in its place again and again, at last by {rule}"
    )]
    Endless {
        /// The identifier that it came with.
        source_name: String,
        /// The last rule.
        rule: String,
    },
    /// A source that is not looked at.
    #[error("source {source_name:?} cannot be held against the policy: {detail}")]
    Source {
        /// The beginning of its identifier.
        source_name: String,
        /// Why.
        detail: String,
    },
}

/// A policy that can be applied.
#[derive(Debug, Default)]
pub(crate) struct Policy {
    rules: Vec<Rule>,
    /// How many expressions they have.
    expressions: usize,
}

/// What the rules of one policy say of a source.
enum Said {
    Nothing,
    Converted,
}

impl Policy {
    /// Reads a policy that comes with others, which have as many expressions; what of it could not be applied is the error.
    fn read(message: &wire::Policy, others: usize) -> Result<Self, RuleError> {
        if !(0..=VERSION).contains(&message.version) {
            return Err(RuleError::Version { version: message.version });
        }
        bounded("rules", message.rules.len(), MOST_RULES)?;
        let selectors = || message.rules.iter().filter_map(|rule| rule.selector.as_ref());
        let expressions = selectors().filter(|selector| selector.match_type() == MatchType::Regex).count();
        let conditions = selectors().flat_map(|selector| &selector.constraints);
        let conditions = conditions.filter(|constraint| constraint.condition() == AttrMatch::Matches).count();
        let expressions = expressions + conditions;
        bounded("regular expressions", others + expressions, MOST_EXPRESSIONS)?;
        let rules = message.rules.iter().enumerate();
        let rules = rules.map(|(index, rule)| Rule::read(index + 1, rule)).collect::<Result<_, _>>()?;
        Ok(Self { rules, expressions })
    }

    /// The first rule that depends on an attribute whose name begins so.
    pub(super) fn constraining(&self, prefix: &str) -> Option<&str> {
        self.rules.iter().find(|rule| rule.constrains(prefix)).map(|rule| rule.name.as_str())
    }

    fn round(&self, source: &mut SourceOp, last: &mut String) -> Result<Said, RuleError> {
        let mut denied = None;
        for rule in &self.rules {
            if !rule.matches(source)? {
                continue;
            }
            match &rule.action {
                Action::Allow => denied = None,
                Action::Deny => denied = Some(rule),
                Action::Convert(update) => {
                    if rule.convert(source, update)? {
                        last.clone_from(&rule.name);
                        return Ok(Said::Converted);
                    }
                }
            }
        }
        match denied {
            Some(rule) => {
                let source_name = redact(&source.identifier);
                Err(RuleError::Denied { source_name, rule: rule.name.clone() })
            }
            None => Ok(Said::Nothing),
        }
    }
}

/// Holds a source against the policies, and puts in its place what they say.
pub(super) fn apply(policies: &[Arc<Policy>], source: &mut SourceOp) -> Result<(), RuleError> {
    let original = source.identifier.clone();
    let mut last = String::new();
    for _ in 0..ROUNDS {
        sensible(source)?;
        let mut converted = false;
        for policy in policies {
            if matches!(policy.round(source, &mut last)?, Said::Converted) {
                converted = true;
                break;
            }
        }
        if !converted {
            return Ok(());
        }
    }
    Err(RuleError::Endless { source_name: redact(&original), rule: last })
}

/// Some policies, and those that come with them.
pub(super) fn read_all(
    known: &[Arc<Policy>],
    messages: &[wire::Policy],
) -> Result<Arc<[Arc<Policy>]>, RuleError> {
    bounded("parts", known.len() + messages.len(), MOST_POLICIES)?;
    let mut policies = known.to_vec();
    for message in messages {
        let others = policies.iter().map(|policy| policy.expressions).sum();
        let policy = Policy::read(message, others)?;
        if !policy.rules.is_empty() {
            policies.push(Arc::new(policy));
        }
    }
    Ok(policies.into())
}

fn bounded(what: &'static str, count: usize, most: usize) -> Result<(), RuleError> {
    if count > most { Err(RuleError::TooMany { what, count, most }) } else { Ok(()) }
}

/// Some who read a name leave out what cannot be seen of it, or take it for another one: the rules would be about something else than
/// what is used.
pub(super) fn sensible(source: &SourceOp) -> Result<(), RuleError> {
    let identifier = source.identifier.as_str();
    let wrong = |detail: &str| {
        let source_name = redact(&identifier.chars().take(100).collect::<String>());
        Err(RuleError::Source { source_name, detail: detail.to_owned() })
    };
    if identifier.len() > LONGEST_IDENTIFIER {
        return wrong("its name is too long");
    }
    if identifier.chars().any(char::is_control) {
        return wrong("there are control characters in its name");
    }
    if let Some(detail) = misleading(&normal(source).identifier) {
        return wrong(&detail);
    }
    Ok(())
}

/// Attributes without those of the kind of source that it was before.
pub(super) fn without_former(attrs: &mut HashMap<String, String>, former: &str, now: &str) {
    let (former, now) = (prefix(former), prefix(now));
    if former != now
        && let Some(former) = former
    {
        attrs.retain(|key, _| !key.starts_with(former));
    }
}

/// What the names of a source's attributes begin with.
fn prefix(identifier: &str) -> Option<&'static str> {
    match identifier.split_once("://")?.0 {
        "docker-image" => Some("image."),
        "http" | "https" => Some("http."),
        "git" => Some("git."),
        "local" => Some("local."),
        "oci-layout" => Some("oci."),
        _ => None,
    }
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
