//! Docker's pattern language: Go's `filepath.Match`, and `**` in ignore files.
//!
//! Patterns are parsed into tokens of our own and translated to globset, because the two languages
//! differ: here braces are literal, `[^a]` negates and `[!a]` does not, a backslash escapes, and `**` means
//! "any directories, or none" wherever it stands. The builder uses [`IgnoreMatcher`] for `.dockerignore`
//! and `--exclude`, and [`Glob`] for the sources of COPY and ADD. Nothing here looks at a file system.

mod glob;
mod ignore;
#[cfg(test)]
mod tests;
mod token;
mod translate;

pub use glob::{Glob, has_wildcard, literal};
pub use ignore::{Decision, DirState, IgnoreMatcher};

/// Why a pattern cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// The text is not a pattern: an open bracket, an empty or backward range, a lone backslash at its end.
    #[error("pattern `{pattern}` has a syntax error: {reason}")]
    Syntax {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// `!` without a pattern behind it.
    #[error("`!` must be followed by a pattern")]
    LoneNegation,
    /// Too large to be compiled.
    #[error("pattern `{pattern}` cannot be compiled: {reason}")]
    Compile {
        /// The pattern, or the whole list when no single one is to blame.
        pattern: String,
        /// What the compiler said.
        reason: String,
    },
}
