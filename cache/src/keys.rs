//! Cache keys: what a step is made from, as one hash and as the list of parts behind it.
//!
//! Called by the solver, which decides what the parts are (the table in the crate's documentation). Pure.
//!
//! Invariant: the hash is taken over length-prefixed parts, so two different lists of parts never give the same bytes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::digest::{digest_of, from_hex, to_hex};

/// What every hash begins with. Changing what a key means changes this, and with it every key.
const DOMAIN: &[u8] = b"kiln key 2";

/// The longest value that [`Part`] keeps as it is. Longer ones are told apart by their digest.
const READABLE: usize = 512;

/// The name of a piece of work: 32 bytes, shown as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub [u8; 32]);

/// Text that is not a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a key of 64 hexadecimal digits")]
pub struct KeyError {
    /// What was read.
    pub text: String,
}

/// One input of a step, kept so that a cache miss can be explained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// What it is ("argv", "env PATH", "source src/main.rs").
    pub name: String,
    /// The value, if it is printable and short; otherwise `sha256:…` of it.
    pub value: String,
}

/// Collects the parts of a key, in order.
#[derive(Clone, Debug)]
pub struct KeyBuilder {
    hash: Sha256,
    parts: Vec<Part>,
}

impl KeyBuilder {
    /// Begins the key of a certain kind of work; different kinds never share a key.
    pub fn new(kind: &str) -> KeyBuilder {
        let mut hash = Sha256::new();
        for field in [DOMAIN, kind.as_bytes()] {
            hash_field(&mut hash, field);
        }
        KeyBuilder { hash, parts: Vec::new() }
    }

    /// Adds an input. Order counts, and an empty value is not an absent one.
    pub fn part(mut self, name: impl Into<String>, value: impl AsRef<[u8]>) -> KeyBuilder {
        let (name, value) = (name.into(), value.as_ref());
        hash_field(&mut self.hash, name.as_bytes());
        hash_field(&mut self.hash, value);
        self.parts.push(Part { name, value: to_readable(value) });
        self
    }

    /// The key, and what it was made from.
    pub fn finish(self) -> (Key, Vec<Part>) {
        (Key(self.hash.finalize().into()), self.parts)
    }
}

fn hash_field(hash: &mut Sha256, field: &[u8]) {
    hash.update((field.len() as u64).to_le_bytes());
    hash.update(field);
}

fn to_readable(value: &[u8]) -> String {
    match std::str::from_utf8(value) {
        Ok(text) if text.len() <= READABLE && !text.chars().any(char::is_control) => text.to_owned(),
        _ => digest_of(value).to_string(),
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_hex(&self.0))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}

impl FromStr for Key {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Key, KeyError> {
        from_hex(text).map(Key).ok_or_else(|| KeyError { text: text.to_owned() })
    }
}

impl Serialize for Key {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Key, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    type Parts = Vec<(String, Vec<u8>)>;

    fn key(kind: &str, parts: &Parts) -> Key {
        let start = KeyBuilder::new(kind);
        parts.iter().fold(start, |builder, (name, value)| builder.part(name.as_str(), value)).finish().0
    }

    fn parts() -> impl Strategy<Value = Parts> {
        // A tiny alphabet, so that shifted boundaries between fields are likely.
        proptest::collection::vec(("[ab]{0,2}", proptest::collection::vec(0..3_u8, 0..3)), 0..4)
    }

    proptest! {
        #[test]
        fn equal_keys_mean_equal_parts(a in parts(), b in parts(), kinds in ("[ab]{0,2}", "[ab]{0,2}")) {
            let same = a == b && kinds.0 == kinds.1;
            prop_assert_eq!(key(&kinds.0, &a) == key(&kinds.1, &b), same);
        }

        #[test]
        fn text_form_reads_back(bytes: [u8; 32]) {
            prop_assert_eq!(Key(bytes).to_string().parse::<Key>().unwrap(), Key(bytes));
        }
    }

    #[test]
    fn parts_stay_readable_unless_long_or_binary() {
        let (_, parts) = KeyBuilder::new("t")
            .part("short", "make all")
            .part("binary", [0, 1])
            .part("long", "x".repeat(READABLE + 1))
            .finish();
        assert_eq!(parts[0].value, "make all");
        assert!(parts[1].value.starts_with("sha256:") && parts[2].value.starts_with("sha256:"));
    }

    #[test]
    fn keys_of_today_are_keys_of_tomorrow() {
        let (key, _) = KeyBuilder::new("exec").part("argv", "true").finish();
        assert_eq!(key.to_string(), "0c6dd4ca4858cd00ea7369877845b7b81eadb1b3a024b0ff552a0057ce901cc0");
    }
}
