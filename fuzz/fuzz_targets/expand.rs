//! Any text as a word with variables: nothing panics, what is wrong has its place in the word, and no word grows without
//! bounds.

#![no_main]

use std::collections::BTreeMap;
use std::ops::Range;

use kiln_parser::expand::{ExpandError, Lex};
use libfuzzer_sys::fuzz_target;

/// The most that a word of a fuzzer's size may come to, in bytes; what the variables hold is short.
const MOST: usize = 32 * 1024 * 1024;

fuzz_target!(|text: &str| {
    let scope = scope();
    for escape in ['\\', '`'] {
        let lex = Lex::new(escape);
        match lex.expand_word(text, &scope) {
            Ok(expanded) => {
                is_bounded(expanded.value.len());
                is_once(&expanded.used);
                is_once(&expanded.unset);
            }
            Err(error) => is_in(text, &error),
        }
        match lex.expand_words(text, &scope) {
            Ok(expanded) => {
                assert!(expanded.values.iter().all(|word| !word.is_empty()), "an empty word");
                is_bounded(expanded.values.iter().map(String::len).sum());
            }
            Err(error) => is_in(text, &error),
        }
        match lex.expand_raw(text, &scope) {
            Ok(expanded) => is_bounded(expanded.value.len()),
            Err(error) => is_in(text, &error),
        }
        is_bounded(lex.expand_display(text, &scope).len());
    }
});

fn scope() -> BTreeMap<String, String> {
    let pairs = [
        ("A", "alpha"),
        ("EMPTY", ""),
        ("SPACED", " one  two "),
        ("FILE", "src/main.tar.gz"),
        ("é", "ä*\\?[b]"),
    ];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn is_bounded(length: usize) {
    assert!(length <= MOST, "a word came to {length} bytes");
}

fn is_once(names: &[String]) {
    let mut sorted: Vec<&String> = names.iter().collect();
    sorted.sort();
    assert!(sorted.windows(2).all(|pair| pair[0] != pair[1]), "a name twice: {names:?}");
}

fn is_in(text: &str, error: &ExpandError) {
    let range: Range<usize> = error.range.clone();
    assert!(text.get(range).is_some(), "{error:?} is outside of the word");
    is_bounded(error.message.len());
}
