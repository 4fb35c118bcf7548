//! Which checks a Dockerfile wants: `# check=` on its first lines or in a comment above an instruction.
//!
//! Applied to the warnings of rules, here and by whoever makes further ones: [`Checks::apply`] may run over the
//! same diagnostics twice. Source of the options: the Dockerfile reference.

mod advice;
mod definition;
mod language;
mod options;
mod rule;
mod rules;
mod secret;

pub use advice::advice;
pub use language::frontend;
pub(crate) use language::of_directives;
use options::Options;
pub use rule::{OWN, RULES, Rule};
pub(crate) use rules::warnings;

use crate::comments::Comments;
use crate::diagnostic::{Diagnostic, Severity};
use crate::instruction::Directive;
use crate::span::Span;
use crate::suggest::nearest;
use crate::syntax::{Item, Tree, tree};

/// The build argument whose value takes the place of the file's directive.
pub const BUILD_ARGUMENT: &str = "BUILDKIT_DOCKERFILE_CHECK";

/// What a Dockerfile says about checks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Checks {
    file: Options,
    /// Instructions with a comment of their own, in order.
    instructions: Vec<(Span, Options)>,
}

impl Checks {
    /// What `source` says; `instead` is the value of [`BUILD_ARGUMENT`], if it was given.
    pub fn new(source: &str, instead: Option<&str>) -> Self {
        let tree = tree(source);
        Self::of(&tree, &Comments::of(source, &tree), instead).0
    }

    /// What `tree` says, and what is wrong with how it says it.
    pub(crate) fn of(
        tree: &Tree<'_>,
        comments: &Comments<'_>,
        instead: Option<&str>,
    ) -> (Self, Vec<Diagnostic>) {
        let mut found = Vec::new();
        let mut directives = tree.items.iter().filter_map(|item| match item {
            Item::Directive(_, directive) if directive.name.value == "check" => Some(directive),
            _ => None,
        });
        let file = match instead {
            Some(value) => given_options(value, &mut found),
            None => {
                directives.next().map(|directive| file_options(directive, &mut found)).unwrap_or_default()
            }
        };
        let own = comments.iter().filter_map(|above| Some((above.extent, comment_options(&above.lines)?)));
        (Self { file, instructions: own.collect() }, found)
    }

    /// Drops the findings of rules that are switched off, and makes errors of Docker's others where the file asks
    /// for that. Kiln's own stay warnings: a file that docker builds is not refused for them.
    pub fn apply(&self, mut diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
        diagnostics.retain(|diagnostic| !is_rule(diagnostic) || self.wants(diagnostic.code, diagnostic.span));
        if self.file.errors {
            for diagnostic in diagnostics.iter_mut().filter(|diagnostic| is_violation(diagnostic)) {
                diagnostic.severity = Severity::Error;
            }
        }
        diagnostics
    }

    /// Whether the rule `code` is wanted at `span`.
    fn wants(&self, code: &str, span: Span) -> bool {
        let after = self.instructions.partition_point(|(extent, _)| extent.start <= span.start);
        let own = after.checked_sub(1).and_then(|index| self.instructions.get(index));
        let own = own.filter(|(extent, _)| span.start < extent.end).map(|(_, options)| options);
        let mut options = std::iter::once(&self.file).chain(own);
        if Rule::named(code).is_some_and(|rule| rule.experimental) {
            return options.any(|options| options.experimental.names(code));
        }
        !options.any(|options| options.skip.names(code))
    }
}

/// Whether `diagnostic` comes from one of Docker's rules, as a warning or as the error that `error=true` made
/// of it.
pub fn is_violation(diagnostic: &Diagnostic) -> bool {
    diagnostic.severity != Severity::Note && Rule::named(diagnostic.code).is_some_and(Rule::is_dockers)
}

/// Whether it comes from any rule.
fn is_rule(diagnostic: &Diagnostic) -> bool {
    Rule::named(diagnostic.code).is_some()
}

fn file_options(directive: &Directive, found: &mut Vec<Diagnostic>) -> Options {
    let span = directive.value.span;
    let options = Options::of_comment(&directive.value.value).unwrap_or_else(|message| {
        let diagnostic = Diagnostic::error("invalid-check", message, span);
        found.push(diagnostic.with_help("write it like skip=RULE,RULE;error=true"));
        Options::default()
    });
    let names = options.skip.unknown().chain(options.experimental.unknown());
    found.extend(names.map(|name| {
        let known = RULES.iter().chain(&OWN).map(|rule| rule.name);
        let unknown = Diagnostic::warning("unknown-check", format!("there is no check named {name}"), span);
        unknown.with_suggestion(nearest(name, known))
    }));
    options
}

/// The options of the build argument.
fn given_options(value: &str, found: &mut Vec<Diagnostic>) -> Options {
    Options::parse(value).unwrap_or_else(|message| {
        let message = format!("failed to parse {BUILD_ARGUMENT}: {message}");
        found.push(Diagnostic::error("invalid-check", message, Span::default()));
        Options::default()
    })
}

/// The options of the first comment that holds some, unless they are wrong.
fn comment_options(comments: &[&str]) -> Option<Options> {
    let value = comments.iter().find_map(|text| {
        let (name, value) = text.split_once('=')?;
        name.trim().eq_ignore_ascii_case("check").then_some(value.trim())
    })?;
    Options::of_comment(value).ok()
}

#[cfg(test)]
mod tests {
    use super::{Checks, is_violation};
    use crate::{Severity, parse, parse_with};

    fn codes(source: &str, instead: Option<&str>) -> Vec<&'static str> {
        parse_with(source, instead).diagnostics.iter().map(|diagnostic| diagnostic.code).collect()
    }

    #[test]
    fn the_build_argument_takes_the_place_of_the_directive_and_not_of_comments() {
        let source = "# check=skip=all\nFROM a AS B\n# check=skip=MaintainerDeprecated\nMAINTAINER me\n";
        assert_eq!(codes(source, None), Vec::<&str>::new());
        assert_eq!(codes(source, Some("")), ["StageNameCasing"]);
        assert_eq!(codes(source, Some("skip=StageNameCasing")), Vec::<&str>::new());
        assert_eq!(codes(source, Some("skip")), ["invalid-check", "StageNameCasing"]);
        let errors = parse_with(source, Some("error=true"));
        assert!(errors.diagnostics.iter().all(|found| found.is_error() && is_violation(found)));
    }

    #[test]
    fn kilns_own_rules_are_skipped_like_dockers_and_never_become_errors() {
        let source = "# check=error=true\nFROM a\nCMD ['a', 'b']\n";
        let found = parse(source).diagnostics;
        assert_eq!(found.iter().map(|found| found.code).collect::<Vec<_>>(), ["malformed-json"]);
        assert_eq!(found[0].severity, Severity::Warning);
        let skipping = source.replace("error=true", "skip=malformed-json");
        assert_eq!(parse(&skipping).diagnostics, []);
        assert_eq!(Checks::new(&skipping, None).apply(found), []);
    }

    #[test]
    fn unknown_names_are_told() {
        let found = parse("# check=skip=StageNameCase,hadolint\nFROM a\n").diagnostics;
        assert_eq!(found.iter().map(|found| found.code).collect::<Vec<_>>(), ["unknown-check"; 2]);
        assert_eq!(found[0].help.as_deref(), Some("did you mean `StageNameCasing`?"));
    }
}
