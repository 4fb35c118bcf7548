//! Which records of builds a client asks for: `status==error`, `duration>30s`. One of the filters has to take a record, with
//! all of its conditions. Called by the control service.

use std::cmp::Ordering;

use super::CANCELED;
use crate::api::control::{BuildHistoryEvent, BuildHistoryRecord, BuildHistoryRequest};
use jiff::{SignedDuration, Timestamp};

/// What is asked for of the history.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked {
    /// One build, if it has a name.
    build: String,
    /// Everything if there is none.
    filters: Vec<Vec<Condition>>,
}

/// A filter that means nothing.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "filter `{filter}`: `{condition}` cannot be asked; write ref, status or repository with == or != and a value, or \
     startedAt, completedAt or duration with <, <=, > or >= and a duration as 24h (or a time as 2026-01-31T12:00:00Z)"
)]
pub(crate) struct FilterError {
    /// The whole filter.
    filter: String,
    /// The part.
    condition: String,
}

#[derive(Debug, Clone)]
enum Condition {
    /// A field has, or has not, this value.
    Text { field: Field, is_equal: bool, value: String },
    /// A number of nanoseconds is on that side of another.
    Number { field: Field, order: Order, value: i128 },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Ref,
    Status,
    Repository,
    Started,
    Completed,
    Duration,
}

#[derive(Debug, Clone, Copy)]
struct Order {
    is_less: bool,
    or_equal: bool,
}

impl Asked {
    /// What a request asks for; times are counted back from `now`.
    pub(crate) fn read(request: &BuildHistoryRequest, now: Timestamp) -> Result<Self, FilterError> {
        let filters = request.filter.iter().filter(|filter| !filter.trim().is_empty());
        let filters = filters.map(|filter| {
            let conditions = filter.split(',').map(|condition| condition.trim().trim_matches('"'));
            let conditions = conditions.filter(|condition| !condition.is_empty()).map(|condition| {
                let wrong = || FilterError { filter: filter.to_owned(), condition: condition.to_owned() };
                Condition::read(condition, now).ok_or_else(wrong)
            });
            conditions.collect()
        });
        Ok(Self { build: request.r#ref.clone(), filters: filters.collect::<Result<_, _>>()? })
    }

    /// Whether this is about a record that was asked for.
    pub(crate) fn takes(&self, event: &BuildHistoryEvent) -> bool {
        let Some(record) = &event.record else { return self.build.is_empty() && self.filters.is_empty() };
        (self.build.is_empty() || record.r#ref == self.build)
            && (self.filters.is_empty()
                || self.filters.iter().any(|all| all.iter().all(|condition| condition.takes(record))))
    }
}

impl Condition {
    fn read(condition: &str, now: Timestamp) -> Option<Self> {
        let end = condition.find(['=', '!', '<', '>', '~'])?;
        let (name, rest) = condition.split_at(end);
        let field = match name.trim() {
            "ref" => Field::Ref,
            "status" => Field::Status,
            "repository" => Field::Repository,
            "startedAt" => Field::Started,
            "completedAt" => Field::Completed,
            "duration" => Field::Duration,
            _ => return None,
        };
        let known = ["==", "!=", ">=", "<=", "=", ">", "<"];
        let operator = known.into_iter().find(|operator| rest.starts_with(operator))?;
        let value = rest[operator.len()..].trim();
        let is_text = matches!(field, Field::Ref | Field::Status | Field::Repository);
        match operator {
            "==" | "=" | "!=" if is_text => {
                Some(Self::Text { field, is_equal: operator != "!=", value: value.to_owned() })
            }
            "<" | "<=" | ">" | ">=" if !is_text => {
                let order = Order { is_less: operator.starts_with('<'), or_equal: operator.ends_with('=') };
                let age = value.parse::<SignedDuration>().ok();
                let value = match (field, age) {
                    (Field::Duration, age) => age?.as_nanos(),
                    (_, Some(age)) => now.saturating_sub(age).ok()?.as_nanosecond(),
                    (_, None) => value.parse::<Timestamp>().ok()?.as_nanosecond(),
                };
                Some(Self::Number { field, order, value })
            }
            _ => None,
        }
    }

    fn takes(&self, record: &BuildHistoryRecord) -> bool {
        match self {
            Self::Text { field, is_equal, value } => {
                let is_it = match field {
                    Field::Ref => record.r#ref == *value,
                    Field::Repository => repository(record) == Some(value),
                    _ => status(record) == value,
                };
                is_it == *is_equal
            }
            Self::Number { field, order, value } => {
                let (started, completed) = (nanoseconds(record.created_at), nanoseconds(record.completed_at));
                // What still runs is at the beginning of time, as under BuildKit.
                let there = match field {
                    Field::Started => started.unwrap_or_default(),
                    Field::Completed => completed.unwrap_or_default(),
                    _ => completed.zip(started).map_or(0, |(end, begin)| end - begin),
                };
                match there.cmp(value) {
                    Ordering::Less => order.is_less,
                    Ordering::Equal => order.or_equal,
                    Ordering::Greater => !order.is_less,
                }
            }
        }
    }
}

fn nanoseconds(time: Option<prost_types::Timestamp>) -> Option<i128> {
    time.map(|time| i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanos))
}

fn status(record: &BuildHistoryRecord) -> &'static str {
    match &record.error {
        _ if record.completed_at.is_none() => "running",
        None => "completed",
        Some(error) if error.message.contains(CANCELED) => "canceled",
        Some(_) => "error",
    }
}

/// The repository that a build is of: as the client says, or its context's.
fn repository(record: &BuildHistoryRecord) -> Option<&str> {
    let said = record.frontend_attrs.get("vcs:source");
    let context = record.frontend_attrs.get("context").filter(|context| context.contains(':'));
    let context = context.and_then(|context| context.split(['#', '?']).next());
    said.map(String::as_str).or(context)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::api::control::BuildHistoryEventType as EventType;
    use crate::api::google::rpc::Status;

    const NOW: i64 = 1_000_000;

    fn event(build: &str, age: i64, took: Option<i64>, error: Option<&str>) -> BuildHistoryEvent {
        let at = |seconds| prost_types::Timestamp { seconds, nanos: 0 };
        let error = error.map(|message| Status { message: message.to_owned(), ..Status::default() });
        let record = BuildHistoryRecord {
            r#ref: build.to_owned(),
            created_at: Some(at(NOW - age)),
            completed_at: took.map(|took| at(NOW - age + took)),
            error,
            frontend_attrs: [("context".to_owned(), format!("https://example.com/{build}.git#main"))].into(),
            ..BuildHistoryRecord::default()
        };
        BuildHistoryEvent { r#type: EventType::Complete.into(), record: Some(record) }
    }

    fn read(filters: &[&str]) -> Result<Asked, FilterError> {
        let filter = filters.iter().map(|filter| (*filter).to_owned()).collect();
        let request = BuildHistoryRequest { filter, ..BuildHistoryRequest::default() };
        Asked::read(&request, Timestamp::from_second(NOW).unwrap())
    }

    #[test]
    fn records_are_taken_by_what_became_of_them() {
        let events = [
            event("good", 7200, Some(10), None),
            event("bad", 60, Some(90), Some("exit code: 1")),
            event("gone", 60, Some(1), Some("the client has gone: context canceled")),
            event("here", 5, None, None),
        ];
        for (filters, taken) in [
            (&[][..], &["good", "bad", "gone", "here"][..]),
            (&["", " "], &["good", "bad", "gone", "here"]),
            (&["status==error"], &["bad"]),
            (&["status=canceled"], &["gone"]),
            (&["status==running"], &["here"]),
            (&["status!=completed"], &["bad", "gone", "here"]),
            (&["status==completed", "ref==bad"], &["good", "bad"]),
            (&["status==error,duration>1m"], &["bad"]),
            (&["status==error,duration>2m"], &[]),
            (&["duration<=10s"], &["good", "gone", "here"]),
            (&["startedAt>1h"], &["bad", "gone", "here"]),
            (&["startedAt<1h"], &["good"]),
            (&["\"startedAt>=1970-01-12T00:00:00Z\",ref==here"], &["here"]),
            (&["completedAt>=0s"], &["bad"]),
            (&["repository==https://example.com/good.git"], &["good"]),
        ] {
            let asked = read(filters).unwrap();
            let names = events.iter().filter(|event| asked.takes(event));
            let names: Vec<_> = names.map(|event| event.record.as_ref().unwrap().r#ref.as_str()).collect();
            assert_eq!(names, taken, "{filters:?}");
        }
    }

    #[test]
    fn what_means_nothing_is_told() {
        for filter in [
            "status",
            "weather==fine",
            "status>1h",
            "duration==1h",
            "duration>long",
            "startedAt>then",
            "ref~=a",
        ] {
            assert_eq!(read(&[filter]).unwrap_err().condition, filter);
        }
        assert!(read(&["status==error,x==1"]).unwrap_err().to_string().contains("`x==1`"));
    }
}
