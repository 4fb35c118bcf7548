//! The plain view: a line for each event, in the form that BuildKit made known.
//!
//! `#5 [build 2/4] RUN make`, `#5 0.123 output`, `#5 DONE 0.2s`, `#5 CACHED`, `#5 ERROR: …`. A pure state
//! machine from events to bytes; [`super::show`] writes them.

use std::collections::BTreeMap;
use std::time::Duration;

use kiln_builder::event::{Event, StepId};

use crate::output::size;

/// A transfer is told at most this often, beside its end.
const TRANSFER_EVERY: Duration = Duration::from_secs(2);

/// Which transfers were told when.
#[derive(Debug, Default)]
pub struct Plain {
    told: BTreeMap<(StepId, String), Duration>,
}

impl Plain {
    /// The bytes that show the event; may be none.
    pub fn lines(&mut self, event: &Event, now: Duration) -> Vec<u8> {
        match event {
            Event::Started { step, name } => line(*step, name),
            Event::Cached { step } => last_line(*step, "CACHED"),
            Event::Missed { step, reason } => line(*step, &format!("not cached: {reason}")),
            Event::Log { step, line, elapsed, .. } => log_line(*step, line, *elapsed),
            Event::Progress { step, what, done, total } => self.transfer(*step, what, *done, *total, now),
            Event::Note { step, text } => line(*step, text),
            Event::Done { step, elapsed } => last_line(*step, &format!("DONE {}", seconds(*elapsed))),
            Event::Failed { step, message, .. } => last_line(*step, &format!("ERROR: {message}")),
            Event::Cancelled { step } => last_line(*step, "CANCELED"),
            Event::Warning { message } => format!("warning: {message}\n").into_bytes(),
        }
    }

    fn transfer(
        &mut self,
        step: StepId,
        what: &str,
        done: u64,
        total: Option<u64>,
        now: Duration,
    ) -> Vec<u8> {
        let finished = total.is_some_and(|total| done >= total);
        let key = (step, what.to_owned());
        if finished {
            self.told.remove(&key);
        } else if self.told.get(&key).is_some_and(|told| now.saturating_sub(*told) < TRANSFER_EVERY) {
            return Vec::new();
        } else {
            self.told.insert(key, now);
        }
        let end = if finished { " done" } else { "" };
        line(step, &format!("{what} {}{end}", amount(done, total)))
    }
}

/// `1.2MB / 3.4MB`, or only the first where the whole is unknown.
pub fn amount(done: u64, total: Option<u64>) -> String {
    match total {
        Some(total) => format!("{} / {}", size::short(done), size::short(total)),
        None => size::short(done),
    }
}

/// Seconds with one digit after the point.
pub fn seconds(duration: Duration) -> String {
    format!("{:.1}s", duration.as_secs_f64())
}

fn line(step: StepId, text: &str) -> Vec<u8> {
    format!("#{} {text}\n", step.0).into_bytes()
}

/// The last line of a step; an empty one sets it off from the next.
fn last_line(step: StepId, text: &str) -> Vec<u8> {
    format!("#{} {text}\n\n", step.0).into_bytes()
}

/// A line of output, its bytes as they came.
fn log_line(step: StepId, text: &[u8], elapsed: Duration) -> Vec<u8> {
    let mut bytes = format!("#{} {} ", step.0, stamp(elapsed)).into_bytes();
    bytes.extend_from_slice(text);
    bytes.push(b'\n');
    bytes
}

/// Time since the step began in five characters, as BuildKit cuts it.
fn stamp(elapsed: Duration) -> String {
    let full = format!("{:.3}", elapsed.as_secs_f64());
    let whole = full.find('.').unwrap_or(full.len());
    full[..full.len().min(5.max(whole))].trim_end_matches('.').to_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use kiln_builder::event::Stream;

    use super::*;

    fn text(events: &[(u64, Event)]) -> String {
        let mut plain = Plain::default();
        let bytes = events.iter().flat_map(|(at, event)| plain.lines(event, Duration::from_millis(*at)));
        String::from_utf8(bytes.collect()).unwrap()
    }

    #[test]
    fn a_build_reads_like_buildkits() {
        let (one, two, three) = (StepId(1), StepId(2), StepId(3));
        let events = [
            (0, Event::Started { step: one, name: "[1/2] FROM debian:12".into() }),
            (1, Event::Cached { step: one }),
            (2, Event::Started { step: two, name: "[2/2] RUN make".into() }),
            (3, Event::Missed { step: two, reason: "src/main.c changed".into() }),
            (
                4,
                Event::Log {
                    step: two,
                    stream: Stream::Stderr,
                    line: b"cc \x1b[1mx".to_vec(),
                    elapsed: Duration::from_micros(123_456),
                },
            ),
            (5, Event::Done { step: two, elapsed: Duration::from_millis(240) }),
            (6, Event::Started { step: three, name: "[2/2] RUN false".into() }),
            (
                7,
                Event::Failed {
                    step: three,
                    message: "process \"/bin/sh -c false\" did not complete successfully: exit code: 1"
                        .into(),
                    elapsed: Duration::from_millis(10),
                },
            ),
            (8, Event::Warning { message: "careful".into() }),
        ];
        assert_eq!(
            text(&events),
            "#1 [1/2] FROM debian:12\n#1 CACHED\n\n#2 [2/2] RUN make\n#2 not cached: src/main.c changed\n\
             #2 0.123 cc \x1b[1mx\n#2 DONE 0.2s\n\n#3 [2/2] RUN false\n#3 ERROR: process \"/bin/sh -c false\" did not \
             complete successfully: exit code: 1\n\nwarning: careful\n"
        );
    }

    #[test]
    fn transfers_are_told_now_and_then_and_at_their_end() {
        let at = |ms, done| {
            (ms, Event::Progress { step: StepId(1), what: "sha256:12".into(), done, total: Some(4_000_000) })
        };
        let shown = text(&[at(0, 0), at(100, 1_000_000), at(2100, 2_500_000), at(2200, 4_000_000)]);
        assert_eq!(shown, "#1 sha256:12 0B / 4MB\n#1 sha256:12 2.5MB / 4MB\n#1 sha256:12 4MB / 4MB done\n");
    }

    #[test]
    fn stamps_keep_their_width() {
        let stamps = [1, 12_345, 123_456, 1_234_567, 123_456_789].map(|ms| stamp(Duration::from_millis(ms)));
        assert_eq!(stamps, ["0.001", "12.34", "123.4", "1234", "123456"]);
    }
}
