//! The daemon's log: lines on standard error, as they are or as objects.

use std::sync::Arc;

use jiff::Timestamp;
use kiln_server::Log;
use serde_json::json;

use super::settings::LogFormat;
use crate::output;

/// What lines that are warnings begin with.
const WARNING: &str = "warning: ";

/// A log of that form.
pub(super) fn log(format: LogFormat) -> Log {
    match format {
        LogFormat::Text => Arc::new(|line: &str| output::remark(line)),
        LogFormat::Json => Arc::new(|line: &str| output::remark(&object(line, Timestamp::now()))),
    }
}

/// A line as BuildKit's daemon writes it: level, message, time.
fn object(line: &str, time: Timestamp) -> String {
    let (level, message) = match line.strip_prefix(WARNING) {
        Some(message) => ("warning", message),
        None => ("info", line),
    };
    json!({ "level": level, "msg": message, "time": time.to_string() }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_objects_with_a_level() {
        let time = Timestamp::UNIX_EPOCH;
        assert_eq!(
            object("build \"x\" begins", time),
            r#"{"level":"info","msg":"build \"x\" begins","time":"1970-01-01T00:00:00Z"}"#
        );
        assert_eq!(
            object("warning: no room", time),
            r#"{"level":"warning","msg":"no room","time":"1970-01-01T00:00:00Z"}"#
        );
    }
}
