//! Reads the lines of a source into the items of its tree.
//!
//! One pass: each line is looked at once, except the ends of unterminated heredocs.

use super::head::{Head, split_head};
use super::heredoc::{self, Ends, Marker};
use super::{Item, Node};
use crate::diagnostic::Diagnostic;
use crate::directive::prologue;
use crate::input::Input;
use crate::instruction::Heredoc;
use crate::json::{self, NotStrings};
use crate::line::{LONGEST, Line, Lines};
use crate::span::Span;
use crate::text::Text;

/// The escape character when no directive names another.
const DEFAULT_ESCAPE: char = '\\';

/// A whole source as items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree<'a> {
    /// The items, in order, without gaps.
    pub items: Vec<Item<'a>>,
    /// The escape character that was used.
    pub escape: char,
    /// What was wrong with lines, directives, flags' quotes and heredocs.
    pub diagnostics: Vec<Diagnostic>,
}

/// The syntax tree of `source`.
pub fn tree(source: &str) -> Tree<'_> {
    let prologue = prologue(source);
    let lines = Lines::new(source, prologue.end);
    let escape = prologue.escape.unwrap_or(DEFAULT_ESCAPE);
    let (items, found) = (prologue.items, prologue.found);
    let mut reader = Reader { source, lines, escape, items, found, ends: Ends::default() };
    reader.long_lines();
    while let Some(line) = reader.lines.next() {
        reader.line(line);
    }
    Tree { items: reader.items, escape, diagnostics: reader.found }
}

struct Reader<'a> {
    source: &'a str,
    lines: Lines<'a>,
    escape: char,
    items: Vec<Item<'a>>,
    found: Vec<Diagnostic>,
    ends: Ends<'a>,
}

/// The physical lines of one logical line.
#[derive(Default)]
struct Joined<'a> {
    text: Text<'a>,
    comments: Vec<Span>,
    empty: Option<Span>,
}

impl<'a> Reader<'a> {
    fn long_lines(&mut self) {
        let long = Lines::new(self.source, 0).filter(|line| line.text.len() > LONGEST);
        self.found.extend(long.map(|line| {
            let message = format!("a line of {} bytes is longer than the {LONGEST} allowed", line.text.len());
            Diagnostic::error("line-too-long", message, Span::new(line.start, line.start))
                .with_help("split it, or put long data into a file of the context")
        }));
    }

    fn line(&mut self, line: Line<'a>) {
        if line.is_blank() {
            self.items.push(Item::Blank(line.extent()));
        } else if line.is_comment() {
            self.items.push(Item::Comment(line.extent()));
        } else {
            self.instruction(line);
        }
    }

    fn instruction(&mut self, first: Line<'a>) {
        let joined = self.join(first.trim_start());
        let text = joined.text;
        let whole = text.trimmed();
        let head = split_head(&text, 0..text.as_str().len(), self.escape, &mut self.found);
        let mut span = text.span(&whole);
        if whole.is_empty() {
            let message = "a continuation mark with nothing to continue";
            self.found.push(Diagnostic::error("empty-instruction", message, first.span()));
        } else if let Some(empty) = joined.empty {
            self.found.push(empty_continuation(empty));
        }
        let heredocs = self.heredocs(&text, &head, &mut span);
        let extent = Span::new(first.start, self.lines.at());
        let comments = joined.comments;
        self.items.push(Item::Instruction(Node { extent, span, text, head, heredocs, comments }));
    }

    /// Joins `first` with the lines that continue it.
    fn join(&mut self, first: Line<'a>) -> Joined<'a> {
        let mut joined = Joined::default();
        let Some(start) = first.continued(self.escape) else {
            joined.text.push(first.text, first.start);
            return joined;
        };
        joined.text.push(start, first.start);
        for line in self.lines.by_ref() {
            if line.is_comment() {
                joined.comments.push(line.span());
            } else if line.is_blank() {
                joined.empty.get_or_insert(line.span());
            } else if let Some(part) = line.continued(self.escape) {
                joined.text.push(part, line.start);
            } else {
                joined.text.push(line.text, line.start);
                break;
            }
        }
        joined
    }

    /// Reads the bodies of the line's heredocs, and moves the end of `span` behind them.
    fn heredocs(&mut self, text: &Text<'a>, head: &Head, span: &mut Span) -> Vec<Heredoc> {
        if !text.as_str().contains("<<") || !takes_heredocs(text, head, self.escape) {
            return Vec::new();
        }
        let mut heredocs = Vec::new();
        let markers = heredoc::markers(text.as_str());
        if markers.is_none()
            && let Some(word) = heredoc::lookalike(text.as_str())
        {
            self.found.push(hidden_heredoc(text.get(&word), text.span(&word)));
        }
        for marker in markers.unwrap_or_default() {
            let (name, place) = (marker.name.clone(), text.span(&marker.range));
            let (heredoc, last, unterminated) = self.heredoc(text, marker);
            if let Some(unterminated) = unterminated {
                self.found.push(unterminated_heredoc(&name, place, unterminated));
            }
            *span = span.to(last);
            heredocs.push(heredoc);
        }
        heredocs
    }

    fn heredoc(&mut self, text: &Text<'a>, marker: Marker) -> (Heredoc, Span, Option<heredoc::Unterminated>) {
        heredoc::body(self.source, text, marker, &mut self.lines, &mut self.ends)
    }
}

/// Whether `<<` means a heredoc here: in ADD, COPY and RUN, also as triggers, unless in JSON form.
fn takes_heredocs(text: &Text<'_>, head: &Head, escape: char) -> bool {
    let keyword = text.get(&head.keyword);
    if keyword.eq_ignore_ascii_case("ONBUILD") {
        let trigger = split_head(text, head.arguments.clone(), escape, &mut Vec::new());
        let nested = text.get(&trigger.keyword).eq_ignore_ascii_case("ONBUILD");
        return !nested && takes_heredocs(text, &trigger, escape);
    }
    let file_or_run = ["ADD", "COPY", "RUN"].iter().any(|name| keyword.eq_ignore_ascii_case(name));
    let arguments = Input::part(text.as_str(), &head.arguments);
    file_or_run && matches!(json::strings(arguments), Err(NotStrings::NotJson(_)))
}

fn empty_continuation(span: Span) -> Diagnostic {
    Diagnostic::warning("NoEmptyContinuation", "Empty continuation line", span)
        .with_help("remove the empty line, or put a `#` on it")
}

fn hidden_heredoc(marker: &str, span: Span) -> Diagnostic {
    Diagnostic::warning("hidden-heredoc", format!("`{marker}` is not taken for a heredoc"), span).with_help(
        "the line holds a quote or a brace that is not closed, or a substitution that Docker does not know: \
         put that part into the heredoc",
    )
}

fn unterminated_heredoc(name: &str, marker: Span, why: heredoc::Unterminated) -> Diagnostic {
    let message = format!("unterminated heredoc: no line is exactly `{name}`");
    let diagnostic =
        Diagnostic::error("unterminated-heredoc", message, marker).with_label("this heredoc has no end");
    match why.likely_end {
        Some(_) => diagnostic.with_help(format!(
            "a later line holds `{name}` with white space around it: the end must stand alone on its line \
             (`<<-{name}` allows tabs before it)"
        )),
        None => diagnostic.with_help(format!("end it with a line that holds only `{name}`")),
    }
}
