//! The view for programs: a JSON document a line, in the shape of BuildKit's `client.SolveStatus`.
//!
//! `docker buildx build --progress=rawjson` prints the same, so what reads that reads this: vertexes (steps), statuses
//! (transfers and remarks), logs and warnings, times in RFC 3339, bytes in base64. A pure state machine from events to
//! lines; [`super::show`] writes them. What is wrong with a Dockerfile becomes [`VertexWarning`]s in
//! `crate::commands::build`.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use kiln_builder::event::{Event, StepId, Stream};

use super::status::{SolveStatus, Vertex, VertexLog, VertexStatus, VertexWarning, digest};

/// What a vertex that was given up has as its error: what clients know an interruption by.
const CANCELLED: &str = "context canceled";

/// Makes lines of events.
#[derive(Debug)]
pub struct Raw {
    /// The time at zero on the views' clock.
    origin: Timestamp,
    steps: BTreeMap<StepId, Vertex>,
    names: BTreeMap<String, usize>,
    /// When each transfer began.
    transfers: BTreeMap<(StepId, String), Timestamp>,
}

impl Raw {
    /// A view whose clock began at `origin`.
    pub fn new(origin: Timestamp) -> Self {
        Self { origin, steps: BTreeMap::new(), names: BTreeMap::new(), transfers: BTreeMap::new() }
    }

    /// The line that shows the event; empty for an event of a step that nobody announced.
    pub fn line(&mut self, event: &Event, now: Duration) -> Vec<u8> {
        let now = self.origin.checked_add(now).unwrap_or(self.origin);
        let mut status = SolveStatus::default();
        match event {
            Event::Started { step, name } => status.vertexes.push(self.start(*step, name, now)),
            Event::Cached { step } => {
                status.vertexes.extend(self.end(*step, now, |vertex| vertex.cached = true));
            }
            Event::Done { step, .. } => status.vertexes.extend(self.end(*step, now, |_| ())),
            Event::Failed { step, message, .. } => {
                status.vertexes.extend(self.end(*step, now, |vertex| vertex.error.clone_from(message)));
            }
            Event::Cancelled { step } => {
                status
                    .vertexes
                    .extend(self.end(*step, now, |vertex| CANCELLED.clone_into(&mut vertex.error)));
            }
            Event::Log { step, stream, line, .. } => status.logs.extend(self.log(*step, *stream, line, now)),
            Event::Progress { step, what, done, total } => {
                status.statuses.extend(self.transfer(*step, what, *done, *total, now));
            }
            Event::Missed { step, reason } => {
                status.statuses.extend(self.remark(*step, &format!("not cached: {reason}"), now));
            }
            Event::Note { step, text } => status.statuses.extend(self.remark(*step, text, now)),
            Event::Warning { message } => {
                let short = message.clone().into_bytes();
                status.warnings.push(VertexWarning { level: 1, short, ..VertexWarning::default() });
            }
        }
        if status.vertexes.is_empty()
            && status.statuses.is_empty()
            && status.logs.is_empty()
            && status.warnings.is_empty()
        {
            return Vec::new();
        }
        status.to_line()
    }

    fn start(&mut self, step: StepId, name: &str, now: Timestamp) -> Vertex {
        let number = self.names.entry(name.to_owned()).or_default();
        let digest = digest(name, *number);
        *number += 1;
        let vertex = Vertex { digest, name: name.to_owned(), started: Some(now), ..Vertex::default() };
        self.steps.insert(step, vertex.clone());
        vertex
    }

    fn end(&mut self, step: StepId, now: Timestamp, how: impl FnOnce(&mut Vertex)) -> Option<Vertex> {
        let mut vertex = self.steps.get(&step)?.clone();
        vertex.completed = Some(now);
        how(&mut vertex);
        Some(vertex)
    }

    fn log(&self, step: StepId, stream: Stream, line: &[u8], timestamp: Timestamp) -> Option<VertexLog> {
        let vertex = self.steps.get(&step)?.digest.clone();
        let stream = match stream {
            Stream::Stdout => 1,
            Stream::Stderr => 2,
        };
        Some(VertexLog { vertex, stream, data: [line, b"\n"].concat(), timestamp })
    }

    fn transfer(
        &mut self,
        step: StepId,
        what: &str,
        done: u64,
        total: Option<u64>,
        now: Timestamp,
    ) -> Option<VertexStatus> {
        let vertex = self.steps.get(&step)?.digest.clone();
        let started = *self.transfers.entry((step, what.to_owned())).or_insert(now);
        let completed = total.is_some_and(|total| done >= total).then_some(now);
        Some(VertexStatus {
            id: what.to_owned(),
            vertex,
            total: total.unwrap_or_default(),
            current: done,
            timestamp: now,
            started,
            completed,
        })
    }

    fn remark(&self, step: StepId, text: &str, now: Timestamp) -> Option<VertexStatus> {
        let vertex = self.steps.get(&step)?.digest.clone();
        Some(VertexStatus {
            id: text.to_owned(),
            vertex,
            total: 0,
            current: 0,
            timestamp: now,
            started: now,
            completed: Some(now),
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const ONE: StepId = StepId(1);

    fn lines(events: &[(u64, Event)]) -> Vec<Value> {
        let mut raw = Raw::new("2026-01-02T03:04:05Z".parse().unwrap());
        let lines = events.iter().map(|(at, event)| raw.line(event, Duration::from_millis(*at)));
        lines.map(|line| serde_json::from_slice(line.strip_suffix(b"\n").unwrap()).unwrap()).collect()
    }

    fn started(step: StepId, name: &str) -> Event {
        Event::Started { step, name: name.into() }
    }

    #[test]
    fn a_step_from_beginning_to_end() {
        let line = b"\xffout".to_vec();
        let log = Event::Log { step: ONE, stream: Stream::Stderr, line, elapsed: Duration::ZERO };
        let message = "exit code: 1".to_owned();
        let failed = Event::Failed { step: ONE, message, elapsed: Duration::ZERO };
        let digest = digest("[1/2] RUN x", 0);
        assert_eq!(
            lines(&[(0, started(ONE, "[1/2] RUN x")), (250, log), (1500, failed)]),
            [
                json!({"vertexes": [{"digest": digest, "name": "[1/2] RUN x", "started": "2026-01-02T03:04:05Z"}]}),
                json!({"logs": [{"vertex": digest, "stream": 2, "data": "/291dAo=", "timestamp": "2026-01-02T03:04:05.25Z"}]}),
                json!({"vertexes": [{
                    "digest": digest, "name": "[1/2] RUN x", "started": "2026-01-02T03:04:05Z",
                    "completed": "2026-01-02T03:04:06.5Z", "error": "exit code: 1",
                }]}),
            ]
        );
    }

    #[test]
    fn every_way_to_end() {
        let ends = [
            Event::Cached { step: ONE },
            Event::Done { step: ONE, elapsed: Duration::ZERO },
            Event::Cancelled { step: ONE },
        ];
        let ended = ends.map(|end| lines(&[(0, started(ONE, "x")), (1, end)])[1]["vertexes"][0].clone());
        assert!(ended.iter().all(|vertex| vertex["completed"].is_string()));
        assert_eq!(ended[0]["cached"], true);
        assert_eq!((ended[1].get("cached"), ended[1].get("error")), (None, None));
        assert_eq!(ended[2]["error"], "context canceled");
    }

    #[test]
    fn transfers_and_remarks_are_statuses() {
        let at = |done| Event::Progress { step: ONE, what: "layer".into(), done, total: Some(10) };
        let note = Event::Note { step: ONE, text: "waiting".into() };
        let missed = Event::Missed { step: ONE, reason: "x changed".into() };
        let found = lines(&[(0, started(ONE, "x")), (1, at(0)), (2, at(10)), (3, note), (4, missed)]);
        let status = |index: usize| found[index]["statuses"][0].clone();
        assert_eq!((status(1)["current"].clone(), status(1).get("completed")), (json!(0), None));
        assert_eq!(status(1)["started"], status(2)["started"]);
        assert_eq!((&status(2)["total"], &status(2)["timestamp"]), (&json!(10), &status(2)["completed"]));
        assert_eq!(
            (&status(3)["id"], &status(4)["id"]),
            (&json!("waiting"), &json!("not cached: x changed"))
        );
    }

    #[test]
    fn equal_names_are_different_steps() {
        let found =
            lines(&[(0, started(ONE, "x")), (0, started(StepId(2), "x")), (0, started(StepId(3), "y"))]);
        let digests: Vec<&Value> = found.iter().map(|line| &line["vertexes"][0]["digest"]).collect();
        assert!(digests[0] != digests[1] && digests[1] != digests[2]);
        assert_eq!(*digests[1], digest("x", 1));
        assert!(digest("x", 0).starts_with("sha256:") && digest("x", 0).len() == 71);
    }

    #[test]
    fn warnings_are_bytes_in_base64() {
        let found = lines(&[(0, Event::Warning { message: "careful".into() })]);
        assert_eq!(found, [json!({"warnings": [{"level": 1, "short": "Y2FyZWZ1bA=="}]})]);
    }

    #[test]
    fn what_nobody_announced_is_no_line() {
        let mut raw = Raw::new(Timestamp::UNIX_EPOCH);
        assert!(raw.line(&Event::Cached { step: StepId(9) }, Duration::ZERO).is_empty());
    }
}
