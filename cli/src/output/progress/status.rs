//! BuildKit's `client.SolveStatus` and what it holds, as JSON. Data only: [`super::raw`] makes it of events,
//! `crate::commands::build` of findings.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

/// One line. What is empty is left out.
#[derive(Debug, Default, Serialize)]
pub struct SolveStatus {
    /// Steps that changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub vertexes: Vec<Vertex>,
    /// Transfers and remarks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub statuses: Vec<VertexStatus>,
    /// Output of commands.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub logs: Vec<VertexLog>,
    /// What is doubtful, or wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<VertexWarning>,
}

/// A step.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Vertex {
    /// Names it in all other lines.
    pub digest: String,
    /// The steps that it is built on, as far as they are shown.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<String>,
    /// For people.
    pub name: String,
    /// When it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started: Option<Timestamp>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed: Option<Timestamp>,
    /// Whether the cache answered.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cached: bool,
    /// Why it failed.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub error: String,
}

/// How far something inside a step is.
#[derive(Debug, Serialize)]
pub struct VertexStatus {
    /// What: a name for people, unique in the step.
    pub id: String,
    /// The step.
    pub vertex: String,
    /// Units in all, where known.
    #[serde(skip_serializing_if = "is_zero")]
    pub total: u64,
    /// Units done.
    pub current: u64,
    /// When this was said.
    pub timestamp: Timestamp,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed: Option<Timestamp>,
}

/// A line that a command wrote.
#[derive(Debug, Serialize)]
pub struct VertexLog {
    /// The step.
    pub vertex: String,
    /// 1 is standard output, 2 standard error.
    pub stream: u8,
    /// The bytes, with their newline.
    #[serde(serialize_with = "base64_bytes")]
    pub data: Vec<u8>,
    /// When it was read.
    pub timestamp: Timestamp,
}

/// Something doubtful or wrong, and where it was written.
#[derive(Debug, Default, Serialize)]
pub struct VertexWarning {
    /// The step that it is about.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub vertex: String,
    /// How much it matters; 1 is what clients show.
    pub level: u8,
    /// One line.
    #[serde(serialize_with = "base64_bytes")]
    pub short: Vec<u8>,
    /// More lines.
    #[serde(serialize_with = "base64_lines", skip_serializing_if = "Vec::is_empty")]
    pub detail: Vec<String>,
    /// Where the rule is explained.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The file.
    #[serde(rename = "sourceInfo", skip_serializing_if = "Option::is_none")]
    pub source_info: Option<SourceInfo>,
    /// Its lines.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub range: Vec<Range>,
}

/// A file that was written by the user.
#[derive(Debug, Clone, Serialize)]
pub struct SourceInfo {
    /// As it is named to people.
    pub filename: String,
    /// All of it.
    #[serde(serialize_with = "base64_bytes")]
    pub data: Vec<u8>,
    /// Its language.
    pub language: &'static str,
}

/// From one place to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Range {
    /// The first.
    pub start: Position,
    /// The last.
    pub end: Position,
}

/// A line from 1, and a byte in it from 0, left out when it is 0 as docker does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The byte.
    #[serde(skip_serializing_if = "is_zero_usize")]
    pub character: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero_usize(number: &usize) -> bool {
    *number == 0
}

fn base64_bytes<S: serde::Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&BASE64_STANDARD.encode(bytes))
}

fn base64_lines<S: serde::Serializer>(lines: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(lines.iter().map(|line| BASE64_STANDARD.encode(line)))
}

impl SolveStatus {
    /// The line, newline included.
    pub fn to_line(&self) -> Vec<u8> {
        // Nothing in these types can fail to become JSON: keys are texts and numbers are whole.
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        line.push(b'\n');
        line
    }
}

/// The digest of the step that is the `number`th of that name, from 0: the same in every build of a file.
pub fn digest(name: &str, number: usize) -> String {
    let hash = Sha256::digest(format!("{name}\0{number}"));
    hash.iter().fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}
