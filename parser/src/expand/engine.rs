//! One run over a text: what quotes, escapes and variables come to.
//!
//! A [`Mode`] says which of them stay as written; [`super::Lex`] has a method for each mode that somebody
//! needs. The operators of `${name…}` are in `operation`.

use std::ops::Range;

use super::splitter::Output;
use super::variable::{Form, form};
use super::{ExpandError, Lookup};
use crate::input::Input;
use nom::Input as _;

/// Which characters mean something, and what is left of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mode {
    /// The escape character.
    pub escape: char,
    /// Quotes have their meaning and stay in the result.
    pub keep_quotes: bool,
    /// Escape characters have their meaning and stay in the result.
    pub keep_escapes: bool,
    /// Quotes are ordinary characters.
    pub plain_quotes: bool,
    /// A variable that is not set stays as written.
    pub keep_unset: bool,
}

impl Mode {
    /// Everything means something, and nothing of it stays.
    pub const fn plain(escape: char) -> Self {
        Self { escape, keep_quotes: false, keep_escapes: false, plain_quotes: false, keep_unset: false }
    }
}

/// The most that all variables of a run may come to, in bytes: no environment and no argument is as long, and a short
/// text of nested replacements could come to any length.
const LARGEST: usize = 16 * 1024 * 1024;

/// What one run knows.
pub(super) struct Engine<'v> {
    /// What means something at this point.
    pub mode: Mode,
    vars: &'v dyn Lookup,
    /// How many operators' words this point is in.
    pub depth: usize,
    /// How many bytes its variables may still come to.
    pub left: usize,
    /// Names without value and fallback.
    pub unset: Vec<String>,
    /// Names with a value.
    pub used: Vec<String>,
    /// Whether a quote was seen that had its meaning.
    pub quoted: bool,
}

/// What ends an operator's word, and where the form that it belongs to starts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stop {
    pub character: char,
    pub opened: usize,
}

type Step<'a> = Result<Input<'a>, ExpandError>;

impl<'v> Engine<'v> {
    /// Runs over the whole of `text`.
    pub fn run(mode: Mode, vars: &'v dyn Lookup, text: &str) -> Result<(Self, Output), ExpandError> {
        let mut engine =
            Self { mode, vars, depth: 0, left: LARGEST, unset: Vec::new(), used: Vec::new(), quoted: false };
        let mut output = Output::default();
        engine.text(Input::new(text), None, &mut output)?;
        Ok((engine, output))
    }

    /// Reads up to `stop`, or to the end where there is none; returns what follows.
    pub(super) fn text<'a>(
        &mut self,
        mut input: Input<'a>,
        stop: Option<Stop>,
        output: &mut Output,
    ) -> Step<'a> {
        let end = stop.map(|stop| stop.character);
        while let Some(first) = input.first() {
            if Some(first) == end {
                return Ok(input.take_from(first.len_utf8()));
            }
            input = match first {
                '\'' if !self.mode.plain_quotes => self.single_quoted(input, output)?,
                '"' if !self.mode.plain_quotes => self.double_quoted(input, output)?,
                '$' => {
                    let (rest, value) = self.dollar(input)?;
                    output.split(&value, &(input.offset()..rest.offset()));
                    rest
                }
                '<' => less_than(input, output),
                _ if first == self.mode.escape => self.escaped(input, output),
                _ => self.plain(input, end, output),
            };
        }
        let Some(stop) = stop else { return Ok(input) };
        let message = format!("missing '{}' in ${{}}", stop.character);
        Err(syntax_error(&message, stop.opened..input.offset()))
    }

    /// The run of characters that mean nothing.
    fn plain<'a>(&self, input: Input<'a>, stop: Option<char>, output: &mut Output) -> Input<'a> {
        let special =
            |c: char| Some(c) == stop || c == self.mode.escape || matches!(c, '\'' | '"' | '$' | '<');
        let first = input.first().map_or(0, char::len_utf8);
        let length = input.take_from(first).position(special).map_or(input.input_len(), |at| first + at);
        let (rest, run) = input.take_split(length);
        output.split(run.as_str(), &run.range());
        rest
    }

    /// The escape character and the one behind it; alone at the end, it vanishes.
    fn escaped<'a>(&self, input: Input<'a>, output: &mut Output) -> Input<'a> {
        let mark = self.mode.escape.len_utf8();
        let (rest, escape) = input.take_split(mark);
        if self.mode.keep_escapes {
            output.keep(escape.as_str(), &escape.range());
        }
        let (rest, next) = rest.take_split(rest.first().map_or(0, char::len_utf8));
        output.keep(next.as_str(), &(escape.offset()..rest.offset()));
        rest
    }

    fn single_quoted<'a>(&mut self, input: Input<'a>, output: &mut Output) -> Step<'a> {
        let body = input.take_from(1);
        let Some(end) = body.position(|c| c == '\'') else {
            return Err(unclosed("single-quote", input));
        };
        self.quoted = true;
        let rest = body.take_from(end + 1);
        let inside = if self.mode.keep_quotes { input.take(end + 2) } else { body.take(end) };
        output.keep(inside.as_str(), &(input.offset()..rest.offset()));
        Ok(rest)
    }

    fn double_quoted<'a>(&mut self, input: Input<'a>, output: &mut Output) -> Step<'a> {
        let mut value = String::new();
        let quote = if self.mode.keep_quotes { "\"" } else { "" };
        value.push_str(quote);
        let mut rest = input.take_from(1);
        loop {
            rest = match rest.first() {
                None => return Err(unclosed("double-quote", input)),
                Some('"') => break,
                Some('$') => {
                    let (after, text) = self.dollar(rest)?;
                    value.push_str(&text);
                    after
                }
                Some(c) if c == self.mode.escape => self.escaped_in_quotes(rest, &mut value),
                Some(_) => {
                    let escape = self.mode.escape;
                    let special = |c: char| c == '"' || c == '$' || c == escape;
                    let (after, run) = rest.take_split(rest.position(special).unwrap_or(rest.input_len()));
                    value.push_str(run.as_str());
                    after
                }
            };
        }
        self.quoted = true;
        rest = rest.take_from(1);
        value.push_str(quote);
        output.keep(&value, &(input.offset()..rest.offset()));
        Ok(rest)
    }

    /// Between double quotes only `"`, `$` and the escape character itself can be escaped; before anything
    /// else the escape character is an ordinary one.
    fn escaped_in_quotes<'a>(&self, input: Input<'a>, value: &mut String) -> Input<'a> {
        let escape = self.mode.escape;
        let rest = input.take_from(escape.len_utf8());
        if self.mode.keep_escapes {
            value.push(escape);
        }
        match rest.first() {
            Some(c) if c == '"' || c == '$' || c == escape => {
                value.push(c);
                rest.take_from(c.len_utf8())
            }
            Some(_) => {
                value.push(escape);
                rest
            }
            None => rest,
        }
    }

    /// A `$` and what belongs to it.
    fn dollar<'a>(&mut self, input: Input<'a>) -> Result<(Input<'a>, String), ExpandError> {
        let (rest, value) = self.variable(input)?;
        match self.left.checked_sub(value.len()) {
            Some(left) => self.left = left,
            None => return Err(too_large(input.offset()..rest.offset())),
        }
        Ok((rest, value))
    }

    fn variable<'a>(&mut self, input: Input<'a>) -> Result<(Input<'a>, String), ExpandError> {
        let (rest, form) = form(input.take_from(1));
        let range = input.offset()..rest.offset();
        match form {
            Form::Dollar => Ok((rest, "$".to_owned())),
            Form::Bare(name) | Form::Braced(name) => {
                let value = self.value(name.as_str());
                let missing = value.is_none() && self.mode.keep_unset;
                let written = input.take(rest.offset() - input.offset()).as_str();
                Ok((rest, if missing { written.to_owned() } else { self.required(name.as_str(), value) }))
            }
            Form::Operator(name, operator) => self.operation(input, rest, name.as_str(), operator),
            Form::Unsupported(modifier) => Err(unsupported(modifier.as_str(), modifier.range())),
            Form::Bad => Err(syntax_error("bad substitution", range)),
            Form::Unclosed => Err(syntax_error("missing '}'", range)),
        }
    }

    /// The value of `name`, noted as used.
    pub(super) fn value(&mut self, name: &str) -> Option<&'v str> {
        let value = self.vars.get(name);
        if value.is_some() {
            note(&mut self.used, name);
        }
        value
    }

    /// The value of a form that has no fallback.
    pub(super) fn required(&mut self, name: &str, value: Option<&str>) -> String {
        if value.is_none() {
            note(&mut self.unset, name);
        }
        value.unwrap_or_default().to_owned()
    }
}

/// The error of what comes to more than [`LARGEST`].
pub(super) fn too_large(range: Range<usize>) -> ExpandError {
    ExpandError { message: format!("the value would be larger than {} MiB", LARGEST >> 20), range }
}

fn note(names: &mut Vec<String>, name: &str) {
    if !names.iter().any(|other| other == name) {
        names.push(name.to_owned());
    }
}

/// A `<`, or `<<` with the blanks behind it, which do not split: `<<  EOF` is one word.
fn less_than<'a>(input: Input<'a>, output: &mut Output) -> Input<'a> {
    let behind = input.take_from(1);
    let length = if behind.first() == Some('<') {
        let blanks = behind.take_from(1);
        2 + blanks.position(|c| !matches!(c, '\t' | '\r' | ' ')).unwrap_or(blanks.input_len())
    } else {
        1
    };
    let (rest, mark) = input.take_split(length);
    output.keep(mark.as_str(), &mark.range());
    rest
}

fn unclosed(quote: &str, input: Input<'_>) -> ExpandError {
    let message = format!("unexpected end of statement while looking for matching {quote}");
    ExpandError { message, range: input.range() }
}

fn unsupported(modifier: &str, range: Range<usize>) -> ExpandError {
    ExpandError { message: format!("unsupported modifier ({modifier}) in substitution"), range }
}

/// A mistake in the form of a substitution.
pub(super) fn syntax_error(message: &str, range: Range<usize>) -> ExpandError {
    ExpandError { message: format!("syntax error: {message}"), range }
}
