//! What an expansion writes into: one value, and beside it the words that it falls into.
//!
//! White space that was written or came out of a variable separates words; what was quoted or escaped does
//! not. The engine writes here, nobody else.

use std::ops::Range;

/// A word, and the bytes of the text that it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SplitWord {
    pub value: String,
    pub range: Range<usize>,
}

/// The value so far and the words so far.
#[derive(Debug, Default)]
pub(crate) struct Output {
    /// Everything, unsplit.
    pub value: String,
    finished: Vec<SplitWord>,
    current: Option<SplitWord>,
}

impl Output {
    /// Adds text that white space splits.
    pub fn split(&mut self, text: &str, range: &Range<usize>) {
        self.value.push_str(text);
        for (at, part) in text.split_inclusive(char::is_whitespace).scan(0, |at, part| {
            let start = *at;
            *at += part.len();
            Some((start, part))
        }) {
            let word = part.trim_end_matches(char::is_whitespace);
            let place = if text.len() == range.len() {
                range.start + at..range.start + at + word.len()
            } else {
                range.clone()
            };
            self.extend(word, &place);
            if word.len() < part.len() {
                self.finish();
            }
        }
    }

    /// Adds text that stays together.
    pub fn keep(&mut self, text: &str, range: &Range<usize>) {
        self.value.push_str(text);
        self.extend(text, range);
    }

    /// The words; empty ones never were any.
    pub fn words(mut self) -> Vec<SplitWord> {
        self.finish();
        self.finished
    }

    fn extend(&mut self, text: &str, range: &Range<usize>) {
        if text.is_empty() {
            return;
        }
        match &mut self.current {
            Some(word) => {
                word.value.push_str(text);
                word.range.end = range.end;
            }
            None => self.current = Some(SplitWord { value: text.to_owned(), range: range.clone() }),
        }
    }

    fn finish(&mut self) {
        self.finished.extend(self.current.take());
    }
}
