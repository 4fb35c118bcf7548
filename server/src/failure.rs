//! Errors as the wire has them: a code, a message, and typed details that clients print the Dockerfile's lines from.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kiln_graph::Location;
use prost::Message;
use prost_types::Any;
use serde_json::json;
use tonic::{Code, Status};

use crate::api::google::rpc::Status as Detailed;
use crate::api::pb;

/// The type of a detail that shows lines of a source. Its value is JSON.
const SOURCE: &str = "github.com/moby/buildkit/errdefs.Source+json";

/// The type of a detail that names a step.
const VERTEX: &str = "github.com/moby/buildkit/errdefs.Vertex+json";

/// The type of a detail that names a capability.
const FRONTEND_CAP: &str = "github.com/moby/buildkit/errdefs.FrontendCap+json";

/// The type of a detail that says what a policy decided.
const DECISION: &str = "github.com/moby/buildkit/policysession.DecisionResponse+json";

/// A text that errors are about.
#[derive(Debug, Clone, Default)]
pub(crate) struct SourceText {
    /// Its name.
    pub(crate) name: String,
    /// Its bytes.
    pub(crate) text: String,
}

/// Lines and columns: lines from 1, characters from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lines {
    /// The first line.
    pub(crate) first: u32,
    /// The last line.
    pub(crate) last: u32,
}

impl From<&Location> for Lines {
    fn from(location: &Location) -> Self {
        Self { first: location.line, last: location.end_line }
    }
}

/// The lines of a span of the text.
pub(crate) fn lines(text: &str, span: &std::ops::Range<usize>) -> Lines {
    let line = |offset: usize| {
        let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
        u32::try_from(before.split(|byte| *byte == b'\n').count()).unwrap_or(u32::MAX)
    };
    Lines { first: line(span.start), last: line(span.end.saturating_sub(1).max(span.start)) }
}

/// An error at lines of a source.
pub(crate) fn at(
    code: Code,
    message: &str,
    source: &SourceText,
    lines: &[Lines],
    mut details: Vec<Any>,
) -> Status {
    let position =
        |line: u32| Some(pb::Position { line: i32::try_from(line).unwrap_or(i32::MAX), character: 0 });
    let range = |lines: &Lines| pb::Range { start: position(lines.first), end: position(lines.last) };
    let ranges: Vec<pb::Range> = lines.iter().map(range).collect();
    let info = pb::SourceInfo {
        filename: source.name.clone(),
        data: source.text.clone().into_bytes(),
        language: "Dockerfile".to_owned(),
        ..pb::SourceInfo::default()
    };
    details.push(self::source(&info, &ranges));
    with_details(code, message, details)
}

/// The detail that shows lines of a text.
pub(crate) fn source(info: &pb::SourceInfo, ranges: &[pb::Range]) -> Any {
    let position = |position: &Option<pb::Position>| {
        let pb::Position { line, character } = position.unwrap_or_default();
        json!({ "line": line, "character": character })
    };
    let range = |range: &pb::Range| json!({ "start": position(&range.start), "end": position(&range.end) });
    let detail = json!({
        "info": {
            "filename": info.filename,
            "data": STANDARD.encode(&info.data),
            "language": info.language,
        },
        "ranges": ranges.iter().map(range).collect::<Vec<_>>(),
    });
    Any { type_url: SOURCE.to_owned(), value: detail.to_string().into_bytes() }
}

/// The detail that names what a frontend cannot do.
pub(crate) fn capability(name: &str) -> Any {
    Any { type_url: FRONTEND_CAP.to_owned(), value: json!({ "name": name }).to_string().into_bytes() }
}

/// The detail that names the step that failed.
pub(crate) fn vertex(digest: &str) -> Any {
    Any { type_url: VERTEX.to_owned(), value: json!({ "digest": digest }).to_string().into_bytes() }
}

/// The detail that says why a policy does not allow something.
pub(crate) fn denial(messages: &[String]) -> Any {
    let messages: Vec<_> = messages.iter().map(|message| json!({ "message": message })).collect();
    let value = json!({ "action": "DENY", "denyMessages": messages }).to_string().into_bytes();
    Any { type_url: DECISION.to_owned(), value }
}

/// An error that was told in other words, with the details that it had before.
pub(crate) fn retold(status: &Status, before: Option<&Status>) -> Status {
    let details = |status: &Status| Detailed::decode(status.details()).map(|detailed| detailed.details);
    // What cannot be decoded has none.
    let all =
        [Some(status), before].into_iter().flatten().flat_map(|status| details(status).unwrap_or_default());
    with_details(status.code(), status.message(), all.collect())
}

/// An error with typed details.
pub(crate) fn with_details(code: Code, message: &str, details: Vec<Any>) -> Status {
    let detailed = Detailed { code: code.into(), message: message.to_owned(), details };
    Status::with_details(code, message, detailed.encode_to_vec().into())
}

/// An error without the code that clients would print before its words; details stay. That somebody stopped the build
/// stays, too.
pub(crate) fn without_code(status: &Status) -> Status {
    if status.code() == Code::Cancelled {
        return status.clone();
    }
    let details = Detailed::decode(status.details()).map(|detailed| detailed.details).unwrap_or_default();
    with_details(Code::Unknown, status.message(), details)
}

/// An error that a client has returned, as it was.
pub(crate) fn returned(error: Detailed) -> Status {
    let code = Code::from(error.code);
    with_details(code, &error.message, error.details)
}

/// An error with all its causes in one line.
pub(crate) fn told(code: Code, error: &(dyn std::error::Error + 'static)) -> Status {
    Status::new(code, kiln_builder::text::chain(error))
}
