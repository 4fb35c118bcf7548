//! Diagnostics to text: an excerpt of the Dockerfile with the place underlined.
//!
//! Pure: the text is returned, the command line prints it.

use crate::diagnostic::Diagnostic;

/// The findings as text, one excerpt each, a blank line between them; `file_name` is what the excerpts call
/// the source, `color` adds terminal colours. Spans outside of `source` are cut to it.
pub fn render(diagnostics: &[Diagnostic], source: &str, file_name: &str, color: bool) -> String {
    let _ = (diagnostics, source, file_name, color);
    String::new()
}
