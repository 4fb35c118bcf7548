//! Which checks a Dockerfile wants: `# check=` on its first lines or in a comment above an instruction.
//!
//! Applied to the warnings that carry a rule's name, here and by whoever makes further ones: [`Checks::apply`]
//! may run over the same diagnostics twice. Source of the options: the Dockerfile reference.

mod options;
mod rules;

use options::Options;
pub(crate) use rules::warnings;

use crate::diagnostic::{Diagnostic, Severity};
use crate::instruction::Directive;
use crate::span::Span;
use crate::syntax::{Item, Tree, tree};

/// Rules that are off unless `experimental=` names them.
const EXPERIMENTAL: [&str; 1] = ["InvalidDefinitionDescription"];

/// What a Dockerfile says about checks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Checks {
    file: Options,
    /// Instructions with a comment of their own, in order.
    instructions: Vec<(Span, Options)>,
}

impl Checks {
    /// What `source` says.
    pub fn new(source: &str) -> Self {
        Self::of(source, &tree(source)).0
    }

    /// What `tree`, whose text is `source`, says, and what is wrong with how it says it.
    pub(crate) fn of(source: &str, tree: &Tree<'_>) -> (Self, Vec<Diagnostic>) {
        let mut checks = Self::default();
        let mut found = Vec::new();
        let mut comments: Vec<Span> = Vec::new();
        for item in &tree.items {
            match item {
                Item::Directive(_, directive) if directive.name.value == "check" => {
                    checks.file = file_options(directive, &mut found);
                }
                Item::Comment(span) => comments.push(*span),
                Item::Instruction(node) => {
                    let texts = comments.drain(..).filter_map(|span| source.get(span.range()));
                    if let Some(options) = comment_options(texts) {
                        checks.instructions.push((node.extent, options));
                    }
                }
                _ => {}
            }
        }
        (checks, found)
    }

    /// Drops the warnings of rules that are switched off, and makes errors of the others where the file asks
    /// for that.
    pub fn apply(&self, mut diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
        diagnostics.retain(|diagnostic| !is_rule(diagnostic) || self.wants(diagnostic));
        if self.file.errors {
            for diagnostic in diagnostics.iter_mut().filter(|diagnostic| is_rule(diagnostic)) {
                diagnostic.severity = Severity::Error;
            }
        }
        diagnostics
    }

    fn wants(&self, diagnostic: &Diagnostic) -> bool {
        let after = self.instructions.partition_point(|(extent, _)| extent.start <= diagnostic.span.start);
        let own = after.checked_sub(1).and_then(|index| self.instructions.get(index));
        let own = own.filter(|(extent, _)| diagnostic.span.start < extent.end).map(|(_, options)| options);
        let mut options = std::iter::once(&self.file).chain(own);
        if EXPERIMENTAL.contains(&diagnostic.code) {
            return options.any(|options| options.experimental.names(diagnostic.code));
        }
        !options.any(|options| options.skip.names(diagnostic.code))
    }
}

/// A check is a warning with a rule's name; kiln's own codes are in kebab-case.
fn is_rule(diagnostic: &Diagnostic) -> bool {
    diagnostic.severity != Severity::Note && diagnostic.code.starts_with(|c: char| c.is_ascii_uppercase())
}

fn file_options(directive: &Directive, found: &mut Vec<Diagnostic>) -> Options {
    Options::parse(&directive.value.value).unwrap_or_else(|message| {
        let diagnostic = Diagnostic::error("invalid-check", message, directive.value.span);
        found.push(diagnostic.with_help("write it like skip=RULE,RULE;error=true"));
        Options::default()
    })
}

/// The options of the first comment that holds some, unless they are wrong. An empty comment line separates
/// what stands above it from the instruction.
fn comment_options<'a>(comments: impl Iterator<Item = &'a str>) -> Option<Options> {
    let mut near: Vec<&str> = Vec::new();
    for comment in comments {
        let text = comment.trim().trim_start_matches('#').trim();
        if text.is_empty() {
            near.clear();
        } else {
            near.push(text);
        }
    }
    let value = near.into_iter().find_map(|text| {
        let (name, value) = text.split_once('=')?;
        name.trim().eq_ignore_ascii_case("check").then_some(value.trim())
    })?;
    Options::parse(value).ok()
}
