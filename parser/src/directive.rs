//! Parser directives: `# syntax=`, `# escape=` and `# check=` on the first lines.
//!
//! Read before anything else, because the escape character decides how lines go on. An unknown one, any other
//! comment or a blank line ends them. `// syntax=` and a JSON document's `"syntax"` key are read too: they
//! name the frontend of files that are no Dockerfiles.

use nom::Parser;
use nom::bytes::complete::take_while;
use nom::character::complete::{alpha1, alphanumeric0, char};
use nom::combinator::{recognize, rest, verify};
use nom::sequence::{pair, separated_pair};

use crate::diagnostic::Diagnostic;
use crate::input::{Input, Match, complete};
use crate::instruction::Directive;
use crate::json;
use crate::line::{Line, Lines};
use crate::span::{Span, Spanned};
use crate::syntax::Item;

/// The directives that exist.
const KNOWN: [&str; 3] = ["syntax", "escape", "check"];

/// What the first lines said.
#[derive(Debug, Default)]
pub(crate) struct Prologue<'a> {
    /// Byte order mark, shebang and directives, in order.
    pub items: Vec<Item<'a>>,
    /// Mistakes in them.
    pub found: Vec<Diagnostic>,
    /// Where the rest starts.
    pub end: usize,
    /// Set when `# escape=` was read.
    pub escape: Option<char>,
}

/// Reads the first lines of `source`.
pub(crate) fn prologue(source: &str) -> Prologue<'_> {
    let mut prologue = Prologue::default();
    if source.starts_with('\u{feff}') {
        prologue.end = '\u{feff}'.len_utf8();
        prologue.items.push(Item::ByteOrderMark(Span::new(0, prologue.end)));
    }
    let mut lines = Lines::new(source, prologue.end);
    let mut before = lines.clone();
    let mut first = lines.next();
    let shebang = first.filter(|line| line.text.starts_with("#!"));
    if let Some(line) = shebang {
        prologue.items.push(Item::Shebang(line.extent()));
        before = lines.clone();
        first = lines.next();
    }
    let marker = if first.is_some_and(|line| line.text.starts_with("//")) { "//" } else { "#" };
    lines = before;
    while let Some((line, directive)) = next_directive(&mut lines, marker) {
        prologue.take(line, directive, marker, shebang.is_some());
    }
    prologue.end = lines.at();
    if prologue.items.iter().all(|item| !matches!(item, Item::Directive(..))) {
        prologue.take_document(source);
    }
    prologue
}

impl Prologue<'_> {
    fn take(&mut self, line: Line<'_>, directive: Directive, marker: &str, after_shebang: bool) {
        let (name, value) = (&directive.name, &directive.value);
        let escape = name.value == "escape";
        if self.directives().any(|other| other.name.value == name.value) {
            let message = format!("only one {} parser directive can be used", name.value);
            self.found.push(Diagnostic::error("duplicate-directive", message, name.span));
        }
        if (marker == "//" && name.value != "syntax") || (escape && after_shebang) {
            let message = format!("the {} directive has no effect here", name.value);
            let help = "put it on the first line, after a single `#`";
            self.found.push(Diagnostic::warning("ignored-directive", message, line.span()).with_help(help));
            self.items.push(Item::Comment(line.extent()));
            return;
        }
        if escape {
            match value.value.as_str() {
                "\\" => self.escape = Some('\\'),
                "`" => self.escape = Some('`'),
                other => {
                    let message = format!("invalid escape token '{other}' does not match ` or \\");
                    self.found.push(Diagnostic::error("invalid-escape", message, value.span));
                }
            }
        }
        self.items.push(Item::Directive(line.extent(), directive));
    }

    fn directives(&self) -> impl Iterator<Item = &Directive> {
        self.items.iter().filter_map(|item| match item {
            Item::Directive(_, directive) => Some(directive),
            _ => None,
        })
    }

    /// Recognises `{ "syntax": "…", … }`: the whole file is for another frontend.
    fn take_document(&mut self, source: &str) {
        let extent = self.end..source.len();
        let Some((name, value)) = json::member(Input::part(source, &extent), "syntax") else { return };
        let message = format!("this is a JSON document for the frontend {}, not a Dockerfile", value.value);
        self.found.push(Diagnostic::error("json-document", message, value.span));
        let name = Spanned::new("syntax".to_owned(), name);
        let span = Span::new(extent.start, extent.end);
        self.items.push(Item::Directive(span, Directive { name, value }));
        self.end = source.len();
    }
}

/// The directive on the next line, if there is one; `lines` moves on only then.
fn next_directive<'a>(lines: &mut Lines<'a>, marker: &str) -> Option<(Line<'a>, Directive)> {
    let mut ahead = lines.clone();
    let line = ahead.next()?;
    let text = line.trim_start();
    let body = text.text.strip_prefix(marker)?;
    let input = Input::new(body);
    let (name, value) = complete(assignment, input).ok()?;
    let lower = name.as_str().to_ascii_lowercase();
    if !KNOWN.contains(&lower.as_str()) {
        return None;
    }
    let base = text.start + marker.len();
    let place = |part: Input<'_>| Span::new(base + part.range().start, base + part.range().end);
    let directive = Directive {
        name: Spanned::new(lower, place(name)),
        value: Spanned::new(value.as_str().to_owned(), place(value)),
    };
    *lines = ahead;
    Some((line, directive))
}

/// `NAME = VALUE`, with blanks wherever one likes.
fn assignment(input: Input<'_>) -> Match<'_, (Input<'_>, Input<'_>)> {
    let name = recognize(pair(alpha1, alphanumeric0));
    let equals = (blanks, char('='), blanks);
    let value = verify(rest, |value: &Input<'_>| !value.is_empty());
    let (left, (_, (name, value))) = (blanks, separated_pair(name, equals, value)).parse(input)?;
    let trimmed = value.as_str().trim_end();
    Ok((left, (name, Input::part_at(trimmed, value.offset()))))
}

fn blanks(input: Input<'_>) -> Match<'_, Input<'_>> {
    take_while(char::is_whitespace).parse(input)
}
