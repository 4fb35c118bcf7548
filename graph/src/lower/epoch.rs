//! `SOURCE_DATE_EPOCH`: the time that an image bears in place of the clock's, so that who builds it again gets the same.
//!
//! It dates the entries of the history that this build makes, and those of the base that are later; the image's own time is
//! that of its last entry. Files keep their times.

use jiff::Timestamp;
use kiln_parser::Diagnostic;
use kiln_parser::expand::Lookup;
use kiln_parser::instruction::Dockerfile;
use kiln_parser::span::Span;

use super::Checked;
use super::options::LowerOptions;
use super::scope::Globals;
use crate::image::History;

/// The build argument, which an ARG before the first FROM may have a default for.
pub(super) const SOURCE_DATE_EPOCH: &str = "SOURCE_DATE_EPOCH";

/// The time that the caller or the file asks for, if any.
pub(super) fn epoch(
    dockerfile: &Dockerfile,
    globals: &Globals,
    options: &LowerOptions,
) -> Checked<Option<Timestamp>> {
    let given = options.build_args.get(SOURCE_DATE_EPOCH).map(String::as_str);
    let value = given.or_else(|| globals.environment.get(SOURCE_DATE_EPOCH)).unwrap_or_default();
    if value.is_empty() {
        return Ok(None);
    }
    let seconds = value.parse::<i64>().ok();
    if let Some(time) = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok()) {
        return Ok(Some(time));
    }
    let mut declared = dockerfile.global_args.iter().rev().filter(|_| given.is_none());
    let declared = declared.find(|(declaration, _)| declaration.name.value == SOURCE_DATE_EPOCH);
    let span = declared.map_or(Span::default(), |(_, span)| *span);
    let message = format!("invalid {SOURCE_DATE_EPOCH}: {value}");
    let error = Diagnostic::error("invalid-epoch", message, span);
    Err(Box::new(
        error.with_help("write the seconds since 1970; the time of a context or a stage is not taken"),
    ))
}

/// Dates the entries that have no time, and those whose time is after `epoch`.
pub(super) fn date(history: &mut [History], epoch: Timestamp) {
    let is_late = |created: &str| created.parse::<Timestamp>().is_ok_and(|created| created > epoch);
    for entry in history.iter_mut() {
        if entry.created.as_deref().is_none_or(is_late) {
            entry.created = Some(epoch.to_string());
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn later_and_missing_times_become_the_epoch() {
        let entry =
            |created: Option<&str>| History { created: created.map(str::to_owned), ..History::default() };
        let mut history =
            [None, Some("2020-01-01T00:00:00Z"), Some("2024-01-01T01:00:00.5+01:00"), Some("once")]
                .map(entry);
        date(&mut history, Timestamp::from_second(1_700_000_000).unwrap());
        let times: Vec<_> = history.iter().map(|entry| entry.created.as_deref().unwrap()).collect();
        assert_eq!(times, ["2023-11-14T22:13:20Z", "2020-01-01T00:00:00Z", "2023-11-14T22:13:20Z", "once"]);
    }
}
