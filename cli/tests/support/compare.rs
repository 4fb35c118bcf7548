//! Two images that should be the same: what differs, by name.

use std::collections::BTreeMap;

use super::image::{Image, differences};

/// The parts of a configuration that every builder must agree on.
pub const FIELDS: &[&str] = &[
    "Env",
    "Cmd",
    "Entrypoint",
    "ExposedPorts",
    "Volumes",
    "Labels",
    "User",
    "WorkingDir",
    "StopSignal",
    "Healthcheck",
    "Shell",
    "OnBuild",
];

/// All differences between two images, by name: `path/of/file`, `config.Field`, `history`.
pub fn compare(ours: &Image, theirs: &Image) -> BTreeMap<String, String> {
    let mut found: BTreeMap<String, String> = differences(&ours.tree, &theirs.tree)
        .into_iter()
        .map(|(path, (left, right))| (path, format!("\n      kiln: {left}\n      peer: {right}")))
        .collect();
    for field in FIELDS {
        let (left, right) = (ours.field(field), theirs.field(field));
        if left != right {
            found.insert(format!("config.{field}"), format!("\n      kiln: {left}\n      peer: {right}"));
        }
    }
    let (left, right) = (ours.history(), theirs.history());
    if left != right {
        found.insert("history".to_owned(), format!("\n      kiln: {left:?}\n      peer: {right:?}"));
    }
    found
}

/// Whether the name of a difference is meant by `pattern`: a name, or the beginning of one and `*`.
pub fn names(pattern: &str, what: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == what, |start| what.starts_with(start))
}
