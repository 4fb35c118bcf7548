//! Ignore lists: which paths of a context are left out, with moby/patternmatcher's meaning.
//!
//! The rule: a pattern also holds for everything below what it matches; the last pattern that holds decides,
//! and `!` turns its answer round. A walk keeps one [`DirState`] a directory, so that a path costs one
//! look-up of its own and none of its parents.

use globset::GlobSet;

use super::token::{Stars, Token, class_matches, parse};
use super::{PatternError, token, translate};

/// What becomes of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Decision {
    /// True when the path is left out.
    pub ignored: bool,
    /// Index, in the list given to [`IgnoreMatcher::new`], of the pattern that decided; `None` when none held.
    pub rule: Option<usize>,
}

/// What is known about a directory: the patterns that hold for it, and so for everything below.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DirState {
    path: String,
    holds: Box<[bool]>,
    decision: Decision,
}

impl DirState {
    /// What becomes of the directory itself.
    pub fn decision(&self) -> Decision {
        self.decision
    }
}

/// A compiled ignore list. Cheap to share between threads.
#[derive(Debug, Clone)]
pub struct IgnoreMatcher {
    rules: Vec<Rule>,
    set: GlobSet,
    has_negation: bool,
}

#[derive(Debug, Clone)]
struct Rule {
    /// Index in the list that the user gave.
    origin: usize,
    negated: bool,
    tokens: Vec<Token>,
    exact: bool,
    ascii_exact: bool,
}

impl IgnoreMatcher {
    /// Compiles a list of patterns, in order; empty ones are skipped.
    pub fn new(patterns: &[String]) -> Result<Self, PatternError> {
        let mut rules = Vec::with_capacity(patterns.len());
        let mut texts = Vec::with_capacity(patterns.len());
        for (origin, text) in patterns.iter().enumerate() {
            let text = text.trim();
            if text.is_empty() {
                continue;
            }
            let text = crate::path::clean(text);
            let (negated, pattern) = match text.strip_prefix('!') {
                Some("") => return Err(PatternError::LoneNegation),
                Some(pattern) => (true, pattern),
                None => (false, text.as_str()),
            };
            let tokens = parse(pattern, Stars::Deep)?;
            let (exact, ascii_exact) = (translate::is_exact(&tokens), translate::is_ascii_exact(&tokens));
            texts.push(pattern.to_owned());
            rules.push(Rule { origin, negated, tokens, exact, ascii_exact });
        }
        let pairs = texts.iter().zip(&rules).map(|(text, rule)| (text.as_str(), rule.tokens.as_slice()));
        let set = translate::compile_set(pairs)?;
        let has_negation = rules.iter().any(|rule| rule.negated);
        Ok(Self { rules, set, has_negation })
    }

    /// Whether there is no pattern at all.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// What becomes of `path` (relative, clean, `/`-separated). The root itself is never ignored.
    pub fn decide(&self, path: &str) -> Decision {
        let mut state = self.root();
        for (end, _) in path.match_indices('/') {
            state = self.enter(&state, &path[state.name_start()..end]);
        }
        self.decide_child(&state, &path[state.name_start()..])
    }

    /// The state of the root: where a walk begins.
    pub fn root(&self) -> DirState {
        let holds = vec![false; self.rules.len()].into_boxed_slice();
        DirState { path: String::new(), holds, decision: Decision::default() }
    }

    /// The state of the directory `name` in `parent`.
    pub fn enter(&self, parent: &DirState, name: &str) -> DirState {
        let path = parent.child_path(name);
        let mut holds = parent.holds.clone();
        let decision = self.decide_path(&path, &mut holds);
        DirState { path, holds, decision }
    }

    /// What becomes of the file `name` in `parent`.
    pub fn decide_child(&self, parent: &DirState, name: &str) -> Decision {
        if self.rules.is_empty() || name.is_empty() || name == "." {
            return Decision::default();
        }
        if !self.has_negation && parent.decision.ignored {
            return parent.decision;
        }
        self.decide_path(&parent.child_path(name), &mut parent.holds.clone())
    }

    /// True when a walk need not enter the directory `path`: it is ignored, and no pattern could take
    /// anything below it back in.
    pub fn may_skip_dir(&self, path: &str) -> bool {
        let mut state = self.root();
        for name in path.split('/').filter(|name| !name.is_empty()) {
            state = self.enter(&state, name);
        }
        self.may_skip(&state)
    }

    /// [`may_skip_dir`](Self::may_skip_dir) for a directory that was entered.
    pub fn may_skip(&self, state: &DirState) -> bool {
        if !state.decision.ignored {
            return false;
        }
        // Whatever stands before the last pattern that ignores the directory loses against it below, too.
        let holding = self.rules.iter().zip(&state.holds).rposition(|(rule, holds)| *holds && !rule.negated);
        let mut later = self.rules.iter().skip(holding.map_or(0, |index| index + 1));
        !later.any(|rule| rule.negated && could_match_below(&rule.tokens, &state.path))
    }

    fn decide_path(&self, path: &str, holds: &mut [bool]) -> Decision {
        let mut matched = Vec::new();
        self.set.matches_into(path, &mut matched);
        let ascii = path.is_ascii();
        let mut decision = Decision::default();
        for (index, rule) in self.rules.iter().enumerate() {
            if !holds[index] {
                let trusted = rule.exact || (ascii && rule.ascii_exact);
                holds[index] =
                    if trusted { matched.contains(&index) } else { token::matches(&rule.tokens, path) };
            }
            // A pattern that agrees with what stands already decides nothing: the earlier one is named.
            if holds[index] && rule.negated == decision.ignored {
                decision = Decision { ignored: !rule.negated, rule: Some(rule.origin) };
            }
        }
        decision
    }
}

impl DirState {
    fn child_path(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}/{name}", self.path) }
    }

    /// Where the names of this directory's children begin in their paths.
    fn name_start(&self) -> usize {
        if self.path.is_empty() { 0 } else { self.path.len() + 1 }
    }
}

/// Whether the pattern could match something strictly below `directory`, which it does not match itself.
/// Errs on the side of true.
fn could_match_below(tokens: &[Token], directory: &str) -> bool {
    let takes_slash = |token: &Token| match token {
        Token::Class { negated, ranges } => class_matches(*negated, ranges, '/'),
        _ => false,
    };
    if tokens.iter().any(takes_slash) {
        return true;
    }
    let mut components = tokens.split(|token| *token == Token::Literal('/'));
    for name in directory.split('/') {
        let Some(component) = components.next() else { return false };
        if component.iter().any(|token| matches!(token, Token::Directories | Token::Rest)) {
            return true;
        }
        if !token::matches(component, name) {
            return false;
        }
    }
    components.next().is_some()
}
