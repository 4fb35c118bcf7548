//! Changing one entry of docker's `config.json` and nothing else. Pure: text in, text out.
//!
//! The file is other programs' too. What it holds besides the entry keeps its order and its spelling, whether
//! it is understood here or not. Used by [`super::store`] only.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

/// The member of the file that holds the logins.
const AUTHS: &str = "auths";

/// The file with `entry` as the login under `key`.
pub(super) fn with_entry(text: &[u8], key: &str, entry: &Value) -> Result<String, serde_json::Error> {
    let (mut file, mut auths) = read(text)?;
    let mut members = Members::default();
    for (name, value) in entry.as_object().into_iter().flatten() {
        members.set(name, value.to_string());
    }
    auths.set(key, members.to_text(2));
    file.set(AUTHS, auths.to_text(1));
    Ok(file.to_text(0) + "\n")
}

/// The file without the logins whose keys are meant.
pub(super) fn without_entries(
    text: &[u8],
    is_meant: impl Fn(&str) -> bool,
) -> Result<String, serde_json::Error> {
    let (mut file, mut auths) = read(text)?;
    auths.0.retain(|(key, _)| !is_meant(key));
    file.set(AUTHS, auths.to_text(1));
    Ok(file.to_text(0) + "\n")
}

fn read(text: &[u8]) -> Result<(Members, Members), serde_json::Error> {
    if text.trim_ascii().is_empty() {
        return Ok((Members::default(), Members::default()));
    }
    let file: Members = serde_json::from_slice(text)?;
    let auths = file.0.iter().find(|(name, _)| name == AUTHS).map(|(_, value)| value.as_str());
    let auths: Option<Members> = auths.map_or(Ok(None), serde_json::from_str)?;
    Ok((file, auths.unwrap_or_default()))
}

/// The members of a JSON object in their order, each value as the text that it is.
#[derive(Default)]
struct Members(Vec<(String, String)>);

impl Members {
    /// Replaces a member where it stands; a new one is the first.
    fn set(&mut self, name: &str, value: String) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = value,
            None => self.0.insert(0, (name.to_owned(), value)),
        }
    }

    /// The object as text, within that many others; with tabs, as docker writes it.
    fn to_text(&self, depth: usize) -> String {
        if self.0.is_empty() {
            return "{}".to_owned();
        }
        let indent = "\t".repeat(depth);
        let members =
            self.0.iter().map(|(name, value)| format!("{indent}\t{}: {value}", Value::from(name.as_str())));
        format!("{{\n{}\n{indent}}}", members.collect::<Vec<_>>().join(",\n"))
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, Box<RawValue>>()? {
                    members.push((name, value.get().to_owned()));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    fn with(text: &str, key: &str) -> String {
        with_entry(text.as_bytes(), key, &json!({ "auth": "bmV3" })).unwrap()
    }

    #[test]
    fn a_first_login_makes_the_file() {
        let made = "{\n\t\"auths\": {\n\t\t\"r\": {\n\t\t\t\"auth\": \"bmV3\"\n\t\t}\n\t}\n}\n";
        for empty in ["", " \n", "{}", r#"{"auths":{}}"#, r#"{"auths":null}"#] {
            assert_eq!(with(empty, "r"), made, "{empty}");
        }
        assert_eq!(with_entry(b"", "r", &json!({})).unwrap(), "{\n\t\"auths\": {\n\t\t\"r\": {}\n\t}\n}\n");
    }

    #[test]
    fn everything_else_stays_as_it_is() {
        let text = "{\n\t\"z\": 1.50e400,\n\t\"auths\": {\n\t\t\"b\": {\"auth\": \"old\", \"email\": \"e\"},\n\t\t\"a\": {\"x\":  [1]}\n\t},\n\t\"HttpHeaders\": {\n\t\t\"User-Agent\": \"\\u00e9\"\n\t},\n\t\"auth\": {}\n}\n";
        let old = r#"{"auth": "old", "email": "e"}"#;
        assert!(text.contains(old));
        // One that is there is replaced whole, where it stands.
        let new = "{\n\t\t\t\"auth\": \"bmV3\"\n\t\t}";
        assert_eq!(with(text, "b"), text.replace(old, new));
        // One that is not there is the first.
        let added = text.replace("\"auths\": {\n", &format!("\"auths\": {{\n\t\t\"c\": {new},\n"));
        assert_eq!(with(text, "c"), added);
        // What was added is removed without a trace.
        assert_eq!(without_entries(added.as_bytes(), |key| key == "c").unwrap(), text);
    }

    #[test]
    fn all_keys_that_are_meant_go() {
        let text = r#"{"auths":{"https://r/v1/":{},"r":{"auth":"x"},"other":{}},"credsStore":"pass"}"#;
        let left = without_entries(text.as_bytes(), |key| key.contains('r') && key != "other").unwrap();
        assert_eq!(left, "{\n\t\"auths\": {\n\t\t\"other\": {}\n\t},\n\t\"credsStore\": \"pass\"\n}\n");
    }

    #[test]
    fn keys_are_written_as_json() {
        let written = with("", "a\"\\\n");
        let read: Value = serde_json::from_str(&written).unwrap();
        assert_eq!(read["auths"]["a\"\\\n"]["auth"], "bmV3");
    }

    #[test]
    fn what_is_no_configuration_is_not_touched() {
        for text in ["[", "[]", "1", r#"{"auths":[]}"#, r#"{"auths":{}} x"#, "\u{feff}{}"] {
            assert!(with_entry(text.as_bytes(), "r", &json!({})).is_err(), "{text}");
            assert!(without_entries(text.as_bytes(), |_| true).is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_was_written_is_read(keys in proptest::collection::vec("\\PC{0,5}", 1..5)) {
            let text = keys.iter().fold(String::new(), |text, key| with(&text, key));
            let read: Value = serde_json::from_str(&text).unwrap();
            for key in &keys {
                assert_eq!(read["auths"][key]["auth"], "bmV3");
            }
        }
    }
}
