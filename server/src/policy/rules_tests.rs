//! Rules, one source at a time.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::api::control::sourcepolicy::{AttrConstraint, PolicyAction, Rule as WireRule, Selector, Update};

const BUSYBOX: &str = "docker-image://docker.io/library/busybox:latest";
const ALPINE: &str = "docker-image://docker.io/library/alpine:latest";

fn rule(action: PolicyAction, kind: MatchType, identifier: &str) -> WireRule {
    let selector =
        Selector { identifier: identifier.to_owned(), match_type: kind.into(), constraints: Vec::new() };
    WireRule { action: action.into(), selector: Some(selector), updates: None }
}

fn allow(identifier: &str) -> WireRule {
    rule(PolicyAction::Allow, MatchType::Wildcard, identifier)
}

fn deny(identifier: &str) -> WireRule {
    rule(PolicyAction::Deny, MatchType::Wildcard, identifier)
}

fn convert(kind: MatchType, from: &str, to: &str) -> WireRule {
    with(rule(PolicyAction::Convert, kind, from), to, &[])
}

fn with(mut rule: WireRule, to: &str, attrs: &[(&str, &str)]) -> WireRule {
    rule.updates = Some(Update { identifier: to.to_owned(), attrs: map(attrs) });
    rule
}

fn when(mut rule: WireRule, key: &str, condition: AttrMatch, value: &str) -> WireRule {
    let constraint =
        AttrConstraint { key: key.to_owned(), value: value.to_owned(), condition: condition.into() };
    rule.selector.as_mut().unwrap().constraints.push(constraint);
    rule
}

fn map(attrs: &[(&str, &str)]) -> HashMap<String, String> {
    attrs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
}

fn read(rules: Vec<WireRule>) -> Result<Policy, RuleError> {
    Policy::read(&wire::Policy { version: 1, rules }, 0)
}

/// What becomes of a source, and whether that is something else.
fn judged(
    policies: Vec<Vec<WireRule>>,
    identifier: &str,
    attrs: &[(&str, &str)],
) -> Result<(bool, SourceOp), RuleError> {
    let policies: Vec<_> = policies.into_iter().map(|rules| Arc::new(read(rules).unwrap())).collect();
    let mut source = SourceOp { identifier: identifier.to_owned(), attrs: map(attrs) };
    let original = source.clone();
    apply(&policies, &mut source)?;
    Ok((source != original, source))
}

fn named(rules: Vec<WireRule>, identifier: &str) -> Result<String, RuleError> {
    judged(vec![rules], identifier, &[]).map(|(_, source)| source.identifier)
}

#[test]
fn the_last_yes_or_no_counts() {
    for (rules, expected) in [
        (vec![], true),
        (vec![deny(BUSYBOX)], false),
        (vec![deny("*")], false),
        (vec![deny(BUSYBOX), allow(BUSYBOX)], true),
        (vec![allow(BUSYBOX), deny(BUSYBOX)], false),
        (vec![allow(BUSYBOX), deny(BUSYBOX), allow("*busybox*")], true),
        (vec![deny("*"), allow(ALPINE)], false),
        (vec![rule(PolicyAction::Deny, MatchType::Exact, "*")], true),
        (vec![rule(PolicyAction::Deny, MatchType::Exact, BUSYBOX)], false),
        (vec![rule(PolicyAction::Deny, MatchType::Regex, r"/busy\w+:")], false),
        (vec![rule(PolicyAction::Deny, MatchType::Regex, "^busybox")], true),
        (vec![deny("docker-image://docker.io/library/busybox")], true),
    ] {
        let said = judged(vec![rules.clone()], BUSYBOX, &[]);
        assert_eq!(said.is_ok(), expected, "{rules:?}: {said:?}");
    }
    let said = named(vec![deny("*"), allow(ALPINE)], BUSYBOX).unwrap_err().to_string();
    assert_eq!(said, format!("source \"{BUSYBOX}\" denied by policy: rule 1 (DENY *)"));
}

#[test]
fn each_policy_can_deny() {
    assert!(judged(vec![vec![allow(BUSYBOX)], vec![deny(BUSYBOX)]], BUSYBOX, &[]).is_err());
    assert!(judged(vec![vec![deny(BUSYBOX)], vec![allow(BUSYBOX)]], BUSYBOX, &[]).is_err());
    // What the first one denies, the second one does not convert.
    let second = vec![convert(MatchType::Wildcard, BUSYBOX, ALPINE)];
    assert!(judged(vec![vec![deny(BUSYBOX)], second.clone()], BUSYBOX, &[]).is_err());
    assert!(judged(vec![second, vec![deny(BUSYBOX)]], BUSYBOX, &[]).unwrap().0);
}

#[test]
fn what_is_put_in_a_source_s_place_is_looked_at_from_the_beginning() {
    let to_alpine = || convert(MatchType::Wildcard, BUSYBOX, ALPINE);
    assert_eq!(named(vec![to_alpine()], BUSYBOX).unwrap(), ALPINE);
    assert_eq!(named(vec![to_alpine()], ALPINE).unwrap(), ALPINE);
    // The answer to the source as it was is no answer to the new one.
    assert_eq!(named(vec![deny(BUSYBOX), to_alpine()], BUSYBOX).unwrap(), ALPINE);
    assert!(named(vec![deny("*alpine*"), to_alpine()], BUSYBOX).is_err());
    assert!(named(vec![to_alpine(), deny("*alpine*")], BUSYBOX).is_err());
    let chain =
        vec![to_alpine(), convert(MatchType::Exact, ALPINE, "docker-image://docker.io/library/debian:12")];
    assert_eq!(named(chain, BUSYBOX).unwrap(), "docker-image://docker.io/library/debian:12");
    // One that changes nothing ends nothing.
    assert!(named(vec![convert(MatchType::Wildcard, BUSYBOX, BUSYBOX), deny(BUSYBOX)], BUSYBOX).is_err());
}

#[test]
fn rules_that_never_agree_are_an_error() {
    let pair = vec![convert(MatchType::Exact, BUSYBOX, ALPINE), convert(MatchType::Exact, ALPINE, BUSYBOX)];
    let said = named(pair, BUSYBOX).unwrap_err();
    assert!(matches!(&said, RuleError::Endless { .. }), "{said}");
    assert!(said.to_string().contains("rule 1 (CONVERT "), "{said}");
    let growing = vec![convert(MatchType::Wildcard, "*", "${1}x")];
    assert!(matches!(named(growing, "local://a").unwrap_err(), RuleError::Endless { .. }));
    let doubling = vec![convert(MatchType::Wildcard, "*", "${1}${1}")];
    assert!(named(doubling, &"a".repeat(1000)).is_err());
    let steps = |count: usize| {
        let step =
            |n: usize| convert(MatchType::Exact, &format!("local://{n}"), &format!("local://{}", n + 1));
        (0..count).map(step).collect::<Vec<_>>()
    };
    assert_eq!(named(steps(ROUNDS - 1), "local://0").unwrap(), format!("local://{}", ROUNDS - 1));
    assert!(named(steps(ROUNDS), "local://0").is_err());
}

#[test]
fn stars_and_groups_are_found_again_in_the_new_name() {
    let golang = "docker-image://docker.io/library/golang:1.19";
    for (kind, from, to, expected) in [
        (
            MatchType::Wildcard,
            "docker-image://docker.io/library/golang:*",
            "docker-image://r.example/golang:${1}-x",
            "docker-image://r.example/golang:1.19-x",
        ),
        (
            MatchType::Wildcard,
            "docker-image://*/library/*",
            "docker-image://r.example/$2/$1",
            "docker-image://r.example/golang:1.19/docker.io",
        ),
        (
            MatchType::Regex,
            r"docker-image://docker\.io/(library/)?(?P<name>[a-z]+):(.*)",
            "docker-image://r.example/${name}:$3",
            "docker-image://r.example/golang:1.19",
        ),
        (MatchType::Regex, r"1\.19", "1.20", "docker-image://docker.io/library/golang:1.20"),
        (MatchType::Exact, golang, "docker-image://r.example/${1}", "docker-image://r.example/${1}"),
    ] {
        assert_eq!(named(vec![convert(kind, from, to)], golang).unwrap(), expected, "{from}");
    }
}

#[test]
fn attributes_are_looked_at_and_set() {
    let url = "https://h.example/f";
    let checked =
        || with(rule(PolicyAction::Convert, MatchType::Wildcard, url), "", &[("http.checksum", "s:1")]);
    let (changed, source) = judged(vec![vec![checked()]], url, &[("http.filename", "f")]).unwrap();
    assert!(changed);
    assert_eq!(source.identifier, url);
    assert_eq!(source.attrs, map(&[("http.checksum", "s:1"), ("http.filename", "f")]));
    assert!(!judged(vec![vec![checked()]], url, &[("http.checksum", "s:1")]).unwrap().0);
    // An attribute that is empty is none.
    let nothing = with(deny("none"), "", &[]);
    let nothing = WireRule { action: PolicyAction::Convert.into(), ..with(nothing, url, &[("a", "")]) };
    assert!(!judged(vec![vec![nothing]], "none", &[]).unwrap().1.attrs.contains_key("a"));
    for (condition, value, attrs, holds) in [
        (AttrMatch::Equal, "1", &[("a", "1")][..], true),
        (AttrMatch::Equal, "1", &[], false),
        (AttrMatch::Equal, "", &[], true),
        (AttrMatch::Notequal, "1", &[("a", "1")], false),
        (AttrMatch::Notequal, "1", &[], true),
        (AttrMatch::Matches, "^1+$", &[("a", "11")], true),
        (AttrMatch::Matches, "^1+$", &[("a", "12")], false),
        (AttrMatch::Matches, "^$", &[], true),
    ] {
        let rules = vec![when(deny("*"), "a", condition, value)];
        let said = judged(vec![rules], url, attrs);
        assert_eq!(said.is_err(), holds, "{condition:?} {value} {attrs:?}");
    }
    let both = when(when(deny(url), "a", AttrMatch::Equal, "1"), "b", AttrMatch::Equal, "2");
    assert!(judged(vec![vec![both.clone()]], url, &[("a", "1")]).is_ok());
    assert!(judged(vec![vec![both]], url, &[("a", "1"), ("b", "2")]).is_err());
}

#[test]
fn a_pattern_is_no_name() {
    for (kind, selector) in [(MatchType::Wildcard, "https://*"), (MatchType::Regex, "^https://")] {
        let rule = with(rule(PolicyAction::Convert, kind, selector), "", &[("http.checksum", "s:1")]);
        let said = named(vec![rule], "https://h.example/f").unwrap_err().to_string();
        assert!(said.contains("rule 1 (CONVERT ") && said.contains("name no identifier"), "{said}");
    }
}

#[test]
fn rules_that_cannot_be_applied_are_named() {
    let unknown = |change: fn(&mut WireRule)| {
        let mut rule = convert(MatchType::Wildcard, "a", "b");
        change(&mut rule);
        rule
    };
    for (broken, expected) in [
        (unknown(|rule| rule.action = 7), "action 7"),
        (unknown(|rule| rule.selector = None), "`selector`"),
        (unknown(|rule| rule.updates = None), "`updates`"),
        (unknown(|rule| rule.selector.as_mut().unwrap().match_type = 9), "match type 9"),
        (unknown(|rule| rule.selector.as_mut().unwrap().identifier = "a**".to_owned()), "`a**`"),
        (rule(PolicyAction::Deny, MatchType::Regex, "a("), "`a(`"),
        (when(deny("a"), "k", AttrMatch::Matches, "["), "`[`"),
        (
            unknown(|rule| {
                let constraint =
                    AttrConstraint { key: "k".to_owned(), condition: 5, ..AttrConstraint::default() };
                rule.selector.as_mut().unwrap().constraints.push(constraint);
            }),
            "condition 5",
        ),
    ] {
        let said = read(vec![allow("x"), broken]).unwrap_err().to_string();
        assert!(said.starts_with("source policy: rule 2 (") && said.contains(expected), "{said}");
    }
    for version in [-1, 2] {
        let said = Policy::read(&wire::Policy { version, rules: Vec::new() }, 0);
        assert_eq!(said.unwrap_err(), RuleError::Version { version });
    }
    assert!(matches!(read(vec![allow("a"); MOST_RULES + 1]), Err(RuleError::TooMany { .. })));
    let many = vec![wire::Policy::default(); MOST_POLICIES + 1];
    assert!(matches!(read_all(&[], &many), Err(RuleError::TooMany { .. })));
    assert!(read_all(&[], &many[1..]).unwrap().is_empty());
    let expression = rule(PolicyAction::Deny, MatchType::Regex, "a");
    assert!(matches!(read(vec![expression; MOST_EXPRESSIONS + 1]), Err(RuleError::TooMany { .. })));
}

#[test]
fn policies_are_bounded_together() {
    let message = |rules| wire::Policy { version: 1, rules };
    let half = vec![rule(PolicyAction::Deny, MatchType::Regex, "a"); MOST_EXPRESSIONS / 2];
    let known = read_all(&[], &[message(half.clone())]).unwrap();
    let both = read_all(&known, &[message(vec![deny("b")]), message(half.clone())]).unwrap();
    assert_eq!(both.len(), 3);
    let condition = message(vec![when(deny("b"), "k", AttrMatch::Matches, "a")]);
    let said = read_all(&both, std::slice::from_ref(&condition));
    assert!(matches!(said, Err(RuleError::TooMany { what: "regular expressions", .. })), "{said:?}");
    let said = read_all(&[], &[message(half.clone()), condition, message(half)]);
    assert!(matches!(said, Err(RuleError::TooMany { what: "regular expressions", .. })), "{said:?}");
    let one = || message(vec![deny("b")]);
    let all = read_all(&known, &vec![one(); MOST_POLICIES - 1]).unwrap();
    assert!(matches!(read_all(&all, &[one()]), Err(RuleError::TooMany { what: "parts", .. })));
}

#[test]
fn names_that_are_read_in_two_ways_are_refused() {
    for identifier in [
        "https://h.example/a\nb",
        &"a".repeat(LONGEST_IDENTIFIER + 1),
        "HTTP://h.example/a",
        "http:///h.example/a",
        "git://H.example/a.git",
    ] {
        assert!(matches!(named(vec![allow("*")], identifier), Err(RuleError::Source { .. })));
        let put = vec![convert(MatchType::Exact, "local://a", identifier)];
        assert!(matches!(named(put, "local://a"), Err(RuleError::Source { .. })), "{identifier}");
    }
}

#[test]
fn secrets_in_names_are_not_told() {
    let said = named(vec![deny("https://u:secret@h.example/*")], "https://u:secret@h.example/f");
    assert!(!said.unwrap_err().to_string().contains("secret@"));
}

#[test]
fn attributes_of_another_kind_of_source_go() {
    let kept = |from: &str, to: &str| {
        let mut attrs = map(&[("http.filename", "f"), ("git.checksum", "c")]);
        without_former(&mut attrs, from, to);
        let mut kept: Vec<_> = attrs.into_keys().collect();
        kept.sort();
        kept
    };
    assert_eq!(kept("https://a", "git://a"), ["git.checksum"]);
    assert_eq!(kept("https://a", "http://a"), ["git.checksum", "http.filename"]);
    assert_eq!(kept("other://a", "git://a"), ["git.checksum", "http.filename"]);
}
