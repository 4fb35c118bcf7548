//! Dockerfile text to a syntax tree, typed instructions and stages, with a diagnostic for each mistake.
//!
//! Pure: nothing here reads a file, the clock or the environment, and nothing panics on any input.
//! [`parse`] never fails: what is wrong is in [`Parsed::diagnostics`], what is right is in
//! [`Parsed::dockerfile`]. What the instructions mean (scopes, base images, contexts) is the graph's.

mod command;
mod directive;
mod duration;
mod input;
mod json;
mod line;
mod stage;
mod word;

pub mod check;
pub mod comments;
pub mod diagnostic;
pub mod dockerignore;
pub mod expand;
pub mod instruction;
pub mod render;
pub mod span;
pub mod suggest;
pub mod syntax;
pub mod text;

pub use check::Checks;
pub use diagnostic::{Diagnostic, Severity};
pub use instruction::Dockerfile;
pub use render::render;
pub use span::{Span, Spanned};

/// What [`parse`] found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Parsed {
    /// The instructions that could be understood.
    pub dockerfile: Dockerfile,
    /// The mistakes, in the order of their places.
    pub diagnostics: Vec<Diagnostic>,
}

impl Parsed {
    /// Whether any diagnostic stops the build.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(Diagnostic::is_error)
    }
}

/// Parses a whole Dockerfile.
pub fn parse(source: &str) -> Parsed {
    parse_with(source, None)
}

/// Parses a whole Dockerfile; `checks` is the value of [`check::BUILD_ARGUMENT`], if it was given.
pub fn parse_with(source: &str, checks: Option<&str>) -> Parsed {
    let tree = syntax::tree(source);
    let comments = comments::Comments::of(source, &tree);
    let (checks, wrong_checks) = Checks::of(&tree, &comments, checks);
    let (dockerfile, mut diagnostics) = stage::dockerfile(source, tree);
    diagnostics.extend(wrong_checks);
    diagnostics.extend(check::of_directives(&dockerfile));
    diagnostics.extend(check::warnings(source, &dockerfile, &comments, &checks));
    diagnostics = checks.apply(diagnostics);
    diagnostics.sort_by_key(|diagnostic| diagnostic.span);
    Parsed { dockerfile, diagnostics }
}
