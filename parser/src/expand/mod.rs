//! Word expansion: quotes, escapes and `$variables`, as BuildKit's shell lexer does it.
//!
//! The parser keeps words as they were written; the graph's lowering expands them here, with the scope it
//! knows. This is not a shell: no commands, no globs, no arithmetic, and no field splitting but that of
//! [`Lex::expand_words`]. Source of the semantics: the public Dockerfile reference and BuildKit's behaviour.

mod engine;
mod operation;
mod pattern;
mod splitter;
mod variable;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasher;
use std::ops::Range;

use engine::{Engine, Mode};
pub(crate) use splitter::SplitWord;

/// Where variables come from.
pub trait Lookup {
    /// The value of `name`; `None` when it is not set, which is not the same as empty.
    fn get(&self, name: &str) -> Option<&str>;
}

impl Lookup for BTreeMap<String, String> {
    fn get(&self, name: &str) -> Option<&str> {
        BTreeMap::get(self, name).map(String::as_str)
    }
}

impl<S: BuildHasher> Lookup for HashMap<String, String, S> {
    fn get(&self, name: &str) -> Option<&str> {
        HashMap::get(self, name).map(String::as_str)
    }
}

/// A scope in which nothing is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NothingSet;

impl Lookup for NothingSet {
    fn get(&self, _: &str) -> Option<&str> {
        None
    }
}

/// A word after expansion.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Expanded {
    /// Its value.
    pub value: String,
    /// Variables that were referred to, are not set and have no fallback; each once, in order.
    pub unset: Vec<String>,
    /// Variables that were referred to and are set; each once, in order.
    pub used: Vec<String>,
}

/// Several words after expansion.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExpandedWords {
    /// Their values.
    pub values: Vec<String>,
    /// As in [`Expanded`].
    pub unset: Vec<String>,
    /// As in [`Expanded`].
    pub used: Vec<String>,
}

/// Why a word could not be expanded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ExpandError {
    /// One sentence that names the variable or character.
    pub message: String,
    /// The bytes of the word that it is about.
    pub range: Range<usize>,
}

/// An expander for one Dockerfile's escape character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lex {
    /// The escape character: backslash or backtick.
    pub escape: char,
}

impl Lex {
    /// An expander for `escape`.
    pub const fn new(escape: char) -> Self {
        Self { escape }
    }

    /// Expands `word` into one value; quotes and escapes are taken away.
    pub fn expand_word(&self, word: &str, vars: &dyn Lookup) -> Result<Expanded, ExpandError> {
        let (engine, output) = Engine::run(Mode::plain(self.escape), vars, word)?;
        Ok(Expanded { value: output.value, unset: engine.unset, used: engine.used })
    }

    /// Expands `word` and splits it at unquoted white space, that of variables' values included; words that
    /// are empty vanish, quoted or not.
    pub fn expand_words(&self, word: &str, vars: &dyn Lookup) -> Result<ExpandedWords, ExpandError> {
        let (engine, output) = Engine::run(Mode::plain(self.escape), vars, word)?;
        let values = output.words().into_iter().map(|word| word.value).collect();
        Ok(ExpandedWords { values, unset: engine.unset, used: engine.used })
    }

    /// Expands the variables in the body of a heredoc: quotes are ordinary characters, and a backslash takes
    /// away the meaning of the next character, whatever this file's escape character is.
    pub fn expand_raw(&self, text: &str, vars: &dyn Lookup) -> Result<Expanded, ExpandError> {
        let mode = Mode { plain_quotes: true, ..Mode::plain('\\') };
        let (engine, output) = Engine::run(mode, vars, text)?;
        Ok(Expanded { value: output.value, unset: engine.unset, used: engine.used })
    }

    /// Expands the variables that are set and leaves quotes and the rest as written: for names of steps, where
    /// a reader wants to see the values. A text that cannot be expanded stays as it is.
    pub fn expand_display(&self, text: &str, vars: &dyn Lookup) -> String {
        let mode = Mode { keep_quotes: true, keep_unset: true, ..Mode::plain(self.escape) };
        Engine::run(mode, vars, text).map_or_else(|_| text.to_owned(), |(_, output)| output.value)
    }
}

/// The words of a command line, quotes and escapes still in them, as BuildKit looks through it for heredocs:
/// always with the backslash as escape character. `None` when a quote or a brace is not closed.
pub(crate) fn split_written(line: &str) -> Option<Vec<SplitWord>> {
    let mode = Mode { keep_quotes: true, keep_escapes: true, keep_unset: true, ..Mode::plain('\\') };
    Engine::run(mode, &NothingSet, line).ok().map(|(_, output)| output.words())
}

/// The words of a heredoc's delimiter without quotes, and whether any part was quoted.
pub(crate) fn split_delimiter(delimiter: &str) -> Option<(Vec<SplitWord>, bool)> {
    let mode = Mode { keep_unset: true, ..Mode::plain('\\') };
    let (engine, output) = Engine::run(mode, &NothingSet, delimiter).ok()?;
    Some((output.words(), engine.quoted))
}
