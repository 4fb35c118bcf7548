//! The operators of `${name…}`: their words are read, then they are applied to the variable's value.
//!
//! Recursion follows the nesting of `${a:-${b}}` and ends at [`DEEPEST`].

use nom::Input as _;

use super::ExpandError;
use super::engine::{Engine, Stop, syntax_error, too_large};
use super::pattern::Pattern;
use super::splitter::Output;
use super::variable::Operator;
use crate::input::Input;

/// How deep braces may nest; each level costs stack.
const DEEPEST: usize = 48;

impl Engine<'_> {
    /// `${name` has been read, and the operator: the rest up to the brace, and the value.
    pub(super) fn operation<'a>(
        &mut self,
        start: Input<'a>,
        rest: Input<'a>,
        name: &str,
        operator: Operator,
    ) -> Result<(Input<'a>, String), ExpandError> {
        if self.depth >= DEEPEST {
            let range = start.offset()..rest.offset();
            return Err(syntax_error("substitutions are nested too deeply", range));
        }
        let keep = !matches!(
            operator,
            Operator::Default { .. } | Operator::Alternative { .. } | Operator::Required { .. }
        );
        let outer = std::mem::replace(&mut self.mode.keep_escapes, keep);
        self.depth += 1;
        let words = self.words(rest, operator, start.offset());
        self.depth -= 1;
        self.mode.keep_escapes = outer;
        let (after, first, second) = words?;
        let whole = start.take(after.offset() - start.offset());
        let value = self.value(name);
        if value.is_none() && self.mode.keep_unset {
            return Ok((after, whole.as_str().to_owned()));
        }
        let value = self
            .apply(name, operator, value, &first, &second)
            .map_err(|message| ExpandError { message, range: whole.range() })?;
        value.map(|value| (after, value)).ok_or_else(|| too_large(whole.range()))
    }

    /// The operator's one word, or the two of a replacement.
    fn words<'a>(
        &mut self,
        input: Input<'a>,
        operator: Operator,
        opened: usize,
    ) -> Result<(Input<'a>, String, String), ExpandError> {
        let stop = |character| Some(Stop { character, opened });
        let (mut first, mut second) = (Output::default(), Output::default());
        if !matches!(operator, Operator::Replace { .. }) {
            let rest = self.text(input, stop('}'), &mut first)?;
            return Ok((rest, first.value, String::new()));
        }
        let middle = self.text(input, stop('/'), &mut first)?;
        let rest = self.text(middle, stop('}'), &mut second)?;
        Ok((rest, first.value, second.value))
    }

    /// `None` when the value would be too large.
    fn apply(
        &mut self,
        name: &str,
        operator: Operator,
        value: Option<&str>,
        first: &str,
        second: &str,
    ) -> Result<Option<String>, String> {
        let present = |empty_too: bool| value.filter(|value| !(empty_too && value.is_empty()));
        match operator {
            Operator::Default { empty_too } => Ok(Some(present(empty_too).unwrap_or(first).to_owned())),
            Operator::Alternative { empty_too } => {
                Ok(Some(present(empty_too).map_or("", |_| first).to_owned()))
            }
            Operator::Required { empty_too } => {
                let state = if value.is_none() { "unset" } else { "empty" };
                let message = || match first {
                    "" => format!("{name}: is not allowed to be {state}"),
                    _ => format!("{name}: {first}"),
                };
                present(empty_too).map(|value| Some(value.to_owned())).ok_or_else(message)
            }
            Operator::TrimStart { longest } => {
                let pattern = Pattern::new(first)?;
                Ok(Some(pattern.trim_start(&self.required(name, value), longest)))
            }
            Operator::TrimEnd { longest } => {
                let pattern = Pattern::new(first)?;
                Ok(Some(pattern.trim_end(&self.required(name, value), longest)))
            }
            Operator::Replace { all } => {
                let pattern = Pattern::new(first)?;
                Ok(pattern.replace(&self.required(name, value), second, all, self.left))
            }
        }
    }
}
