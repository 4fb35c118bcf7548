//! One rule of a policy: what it is about, and what it makes of that. Pure; `rules` looks at them in order.

use kiln_graph::redact;

use super::expression::Expression;
use super::pattern::{PatternError, Wildcard};
use super::rules::RuleError;
use crate::api::control::sourcepolicy as wire;
use crate::api::control::sourcepolicy::{AttrMatch, MatchType, PolicyAction};
use crate::api::pb::SourceOp;

/// Longest value of an attribute that an expression is held against, in bytes.
const LONGEST_VALUE: usize = 1 << 20;

/// A rule that can be applied.
#[derive(Debug)]
pub(super) struct Rule {
    /// How people are told which one it is.
    pub(super) name: String,
    /// What is done with what it is about.
    pub(super) action: Action,
    identifier: String,
    pattern: Pattern,
    constraints: Vec<(String, Condition)>,
}

/// What a rule does.
#[derive(Debug)]
pub(super) enum Action {
    /// Says yes.
    Allow,
    /// Says no.
    Deny,
    /// Puts another source in the place of one.
    Convert(wire::Update),
}

#[derive(Debug)]
enum Pattern {
    Exact,
    Wildcard(Wildcard),
    Expression(Expression),
}

#[derive(Debug)]
enum Condition {
    Equal(String),
    NotEqual(String),
    Matches(Expression),
}

impl Pattern {
    fn read(selector: &wire::Selector) -> Result<Self, String> {
        let bad = |error: PatternError| error.to_string();
        match MatchType::try_from(selector.match_type) {
            Ok(MatchType::Exact) => Ok(Self::Exact),
            Ok(MatchType::Wildcard) => Wildcard::new(&selector.identifier).map(Self::Wildcard).map_err(bad),
            Ok(MatchType::Regex) => Expression::new(&selector.identifier).map(Self::Expression).map_err(bad),
            Err(_) => Err(format!("match type {} is none of WILDCARD, EXACT and REGEX", selector.match_type)),
        }
    }
}

impl Condition {
    fn read(constraint: &wire::AttrConstraint) -> Result<Self, String> {
        let value = constraint.value.clone();
        match AttrMatch::try_from(constraint.condition) {
            Ok(AttrMatch::Equal) => Ok(Self::Equal(value)),
            Ok(AttrMatch::Notequal) => Ok(Self::NotEqual(value)),
            Ok(AttrMatch::Matches) => {
                Expression::new(&value).map(Self::Matches).map_err(|error| error.to_string())
            }
            Err(_) => Err(format!(
                "condition {} of the constraint on `{}` is none of EQUAL, NOTEQUAL and MATCHES",
                constraint.condition, constraint.key
            )),
        }
    }
}

impl Rule {
    /// Reads the rule of that number, from 1.
    pub(super) fn read(number: usize, rule: &wire::Rule) -> Result<Self, RuleError> {
        let identifier = rule.selector.as_ref().map(|it| redact(&it.identifier)).unwrap_or_default();
        let action = PolicyAction::try_from(rule.action).ok();
        let name = match action {
            Some(action) => format!("rule {number} ({} {identifier})", action.as_str_name()),
            None => format!("rule {number} ({identifier})"),
        };
        let wrong = |detail: String| RuleError::Rule { rule: name.clone(), detail };
        let action = match (action, &rule.updates) {
            (Some(PolicyAction::Allow), _) => Action::Allow,
            (Some(PolicyAction::Deny), _) => Action::Deny,
            (Some(PolicyAction::Convert), Some(updates)) => Action::Convert(updates.clone()),
            (Some(PolicyAction::Convert), None) => {
                return Err(wrong("it has no `updates` that say to what".to_owned()));
            }
            (None, _) => {
                return Err(wrong(format!("action {} is none of ALLOW, DENY and CONVERT", rule.action)));
            }
        };
        let selector = rule.selector.as_ref().ok_or_else(|| wrong("it has no `selector`".to_owned()))?;
        let pattern = Pattern::read(selector).map_err(wrong)?;
        let constraints = selector
            .constraints
            .iter()
            .map(|constraint| Ok((constraint.key.clone(), Condition::read(constraint).map_err(wrong)?)));
        let constraints = constraints.collect::<Result<_, _>>()?;
        let identifier = selector.identifier.clone();
        Ok(Self { name, action, identifier, pattern, constraints })
    }

    /// Whether it depends on an attribute whose name begins so.
    pub(super) fn constrains(&self, prefix: &str) -> bool {
        self.constraints.iter().any(|(key, _)| key.starts_with(prefix))
    }

    fn wrong(&self, detail: String) -> RuleError {
        RuleError::Rule { rule: self.name.clone(), detail }
    }

    /// Whether it is about the source.
    pub(super) fn matches(&self, source: &SourceOp) -> Result<bool, RuleError> {
        for (key, condition) in &self.constraints {
            // What is not there is like an empty text.
            let value = source.attrs.get(key).map(String::as_str).unwrap_or_default();
            let holds = match condition {
                Condition::Equal(expected) => value == expected,
                Condition::NotEqual(unwanted) => value != unwanted,
                Condition::Matches(_) if value.len() > LONGEST_VALUE => {
                    return Err(self.wrong(format!("the attribute `{key}` is too long for an expression")));
                }
                Condition::Matches(expression) => expression.is_match(value),
            };
            if !holds {
                return Ok(false);
            }
        }
        let identifier = source.identifier.as_str();
        Ok(self.identifier == identifier
            || match &self.pattern {
                Pattern::Exact => false,
                Pattern::Wildcard(wildcard) => wildcard.captures(identifier).is_some(),
                Pattern::Expression(expression) => expression.is_match(identifier),
            })
    }

    /// Puts another source in the place of one that matches; whether that is another one.
    pub(super) fn convert(&self, source: &mut SourceOp, update: &wire::Update) -> Result<bool, RuleError> {
        let mut changed = false;
        if let Some(identifier) = self.destination(&source.identifier, &update.identifier)?
            && identifier != source.identifier
        {
            source.identifier = identifier;
            changed = true;
        }
        for (key, value) in &update.attrs {
            if source.attrs.get(key).map(String::as_str).unwrap_or_default() != value {
                source.attrs.insert(key.clone(), value.clone());
                changed = true;
            }
        }
        Ok(changed)
    }

    fn destination(&self, identifier: &str, template: &str) -> Result<Option<String>, RuleError> {
        let unnamed = template.is_empty();
        if unnamed && self.identifier == identifier {
            return Ok(None);
        }
        let template = if unnamed { self.identifier.as_str() } else { template };
        let destination = match &self.pattern {
            Pattern::Exact => Ok(Some(template.to_owned())),
            Pattern::Wildcard(wildcard) => wildcard.replace(identifier, template),
            Pattern::Expression(expression) => expression.replace(identifier, template).map(Some),
        };
        let destination = destination.map_err(|error| self.wrong(error.to_string()))?;
        let destination = destination.filter(|destination| !destination.is_empty());
        // Without a name of its own the selector is the new name, which a pattern is not.
        if unnamed && destination.as_deref().is_some_and(|destination| destination != identifier) {
            let detail = "its `updates` name no identifier, and the selector is a pattern: give one (`${1}` is what \
                          the first `*` or group stands for)";
            return Err(self.wrong(detail.to_owned()));
        }
        Ok(destination)
    }
}
