//! Diagnostics to text: an excerpt of the Dockerfile with the place underlined.
//!
//! Pure: the text is returned, the command line prints it. annotate-snippets draws; here each finding is cut out
//! of the source, so that the cost of drawing does not grow with the file.

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use crate::diagnostic::{Diagnostic, Severity};
use crate::span::Span;

/// What some editors put before the text.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// The findings as text, one excerpt each, a blank line between them; `file_name` is what the excerpts call
/// the source, `color` adds terminal colours. Spans outside of `source` are cut to it.
pub fn render(diagnostics: &[Diagnostic], source: &str, file_name: &str, color: bool) -> String {
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let starts = line_starts(source);
    let excerpt = |diagnostic: &Diagnostic| {
        let title = level(diagnostic.severity).primary_title(diagnostic.message.as_str()).id(diagnostic.code);
        let group = if diagnostic.span == Span::default() {
            // It is about the file as a whole, or about what was asked of it: no line is to blame.
            title.element(Origin::path(file_name))
        } else {
            title.element(snippet(diagnostic, source, &starts, file_name))
        };
        let mut text = renderer.render(&[with_remarks(group, diagnostic)]);
        text.push('\n');
        text
    };
    diagnostics.iter().map(excerpt).collect::<Vec<_>>().join("\n")
}

/// One finding without its title: the excerpt, the notes and the help, for a caller with a title of its own.
pub fn excerpt(diagnostic: &Diagnostic, source: &str, file_name: &str, color: bool) -> String {
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let group = Group::with_level(level(diagnostic.severity));
    let group = group.element(snippet(diagnostic, source, &line_starts(source), file_name));
    let mut text = renderer.render(&[with_remarks(group, diagnostic)]);
    text.push('\n');
    text
}

fn line_starts(source: &str) -> Vec<usize> {
    std::iter::once(0).chain(source.match_indices('\n').map(|(at, _)| at + 1)).collect()
}

fn with_remarks<'a>(group: Group<'a>, diagnostic: &'a Diagnostic) -> Group<'a> {
    let notes = diagnostic.notes.iter().map(|note| Level::NOTE.message(note.as_str()));
    let help = diagnostic.help.iter().map(|help| Level::HELP.message(help.as_str()));
    group.elements(notes).elements(help)
}

fn snippet<'a>(
    diagnostic: &'a Diagnostic,
    source: &'a str,
    starts: &[usize],
    file_name: &'a str,
) -> Snippet<'a, Annotation<'a>> {
    let span = bounded(diagnostic.span, source);
    let first = line_of(starts, span.start);
    let last = line_of(starts, span.end.max(span.start + 1) - 1);
    let begin = match starts.get(first).copied().unwrap_or(0) {
        // A byte order mark is in no column.
        0 if source.starts_with(BYTE_ORDER_MARK) => BYTE_ORDER_MARK.len_utf8(),
        begin => begin,
    };
    let end = starts.get(last + 1).copied().unwrap_or(source.len());
    let window = source.get(begin..end).unwrap_or_default();
    let place = span.start.saturating_sub(begin)..span.end.saturating_sub(begin);
    let mut annotation = AnnotationKind::Primary.span(place);
    if !diagnostic.label.is_empty() {
        annotation = annotation.label(diagnostic.label.as_str());
    }
    Snippet::source(window).line_start(first + 1).path(file_name).annotation(annotation)
}

fn level(severity: Severity) -> Level<'static> {
    match severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    }
}

/// `span` within the source and on character boundaries.
fn bounded(span: Span, source: &str) -> Span {
    let start = source.floor_char_boundary(span.start);
    Span::new(start, source.ceil_char_boundary(span.end).max(start))
}

/// The line, from 0, that byte `at` stands on.
fn line_of(starts: &[usize], at: usize) -> usize {
    starts.partition_point(|start| *start <= at).saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::render;
    use crate::diagnostic::Diagnostic;
    use crate::span::Span;

    #[test]
    fn the_place_the_label_and_the_help_are_shown() {
        let source = "FROM a\nRNU b\nCMD c\n";
        let diagnostic =
            Diagnostic::error("unknown-instruction", "unknown instruction: RNU", Span::new(7, 10))
                .with_label("here")
                .with_note("a note")
                .with_help("did you mean `RUN`?");
        let text = render(&[diagnostic], source, "Dockerfile", false);
        let expected = "\
error[unknown-instruction]: unknown instruction: RNU
 --> Dockerfile:2:1
  |
2 | RNU b
  | ^^^ here
  |
  = note: a note
  = help: did you mean `RUN`?
";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_byte_order_mark_is_in_no_column() {
        let source = "\u{feff}RNU b\n";
        let one = [Diagnostic::error("x", "m", Span::new(3, 6))];
        let text = render(&one, source, "f", false);
        assert!(text.contains("--> f:1:1\n") && text.contains("1 | RNU b\n  | ^^^\n"), "{text}");
        let mark = [Diagnostic::error("x", "m", Span::new(0, 2))];
        assert!(render(&mark, source, "f", false).contains("--> f:1:1\n"));
    }

    #[test]
    fn what_is_about_no_line_shows_none() {
        let one = [Diagnostic::error("x", "m", Span::default()).with_help("h")];
        let text = render(&one, "FROM a\n", "f", false);
        assert_eq!(text, "error[x]: m\n--> f\n = help: h\n");
    }

    #[test]
    fn an_excerpt_has_everything_but_the_title() {
        let diagnostic = Diagnostic::warning("x", "one", Span::new(7, 10)).with_help("two");
        let text = super::excerpt(&diagnostic, "FROM a\nRNU b\n", "Dockerfile", false);
        let expected = "\
\x20--> Dockerfile:2:1
  |
2 | RNU b
  | ^^^
  |
  = help: two
";
        assert_eq!(text, expected);
    }

    #[test]
    fn nothing_is_an_empty_text_and_two_are_apart() {
        assert_eq!(render(&[], "FROM a", "Dockerfile", false), "");
        let one = Diagnostic::warning("x", "one", Span::new(0, 4));
        let text = render(&[one.clone(), one], "FROM a", "Dockerfile", false);
        assert_eq!(text.matches("\n\nwarning[x]: one").count(), 1, "{text}");
    }

    #[test]
    fn spans_outside_of_the_source_are_cut_to_it() {
        let source = "é\r\né";
        for (start, end) in [(0, 1), (1, 1), (3, 4), (5, 99), (99, 100), (6, 2), (0, 6)] {
            let text = render(&[Diagnostic::note("x", "m", Span::new(start, end))], source, "f", false);
            assert!(text.starts_with("note[x]: m"), "{start}..{end}: {text}");
        }
        assert!(render(&[Diagnostic::note("x", "m", Span::new(0, 0))], "", "f", false).contains('m'));
    }

    #[test]
    fn colours_are_added_only_when_asked_for() {
        let one = [Diagnostic::error("x", "m", Span::new(0, 1))];
        assert!(render(&one, "a", "f", true).contains('\u{1b}'));
        assert!(!render(&one, "a", "f", false).contains('\u{1b}'));
    }
}
