//! What is known about the steps so far: the state behind every view of a build.
//!
//! A pure state machine: [`Tracker::apply`] takes an event and the time, nothing is printed. The views
//! ([`super::plain`], [`super::live`]) read it, and so does the summary of a build.

use std::collections::BTreeMap;
use std::time::Duration;

use kiln_builder::event::{Event, StepId};

/// Bytes looked at of one line of output: more cannot be shown usefully.
const LINE_LIMIT: usize = 2000;

/// Where a step stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepState {
    /// Under way.
    Running,
    /// The cache answered.
    Cached,
    /// Ended well after that time.
    Done(Duration),
    /// Failed after that time.
    Failed(Duration),
    /// Stopped because the build ended early.
    Cancelled,
}

/// One step.
#[derive(Debug, Clone)]
pub struct StepView {
    /// Its name (`[build 2/4] RUN make`).
    pub name: String,
    /// When it began, on the views' clock.
    pub begun: Duration,
    /// Where it stands.
    pub state: StepState,
    /// What it said last: a line of output, a remark, how far a transfer is.
    pub latest: Option<String>,
    /// Transfers under way: what -> (done, total).
    pub transfers: BTreeMap<String, (u64, Option<u64>)>,
}

/// All steps.
#[derive(Debug, Default)]
pub struct Tracker {
    steps: BTreeMap<StepId, StepView>,
}

/// How many steps there were and how they ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Steps of the Dockerfile that ended well, executed or not.
    pub steps: usize,
    /// Those that the cache answered.
    pub cached: usize,
}

impl Tracker {
    /// Takes an event that happened at `now` on the views' clock.
    pub fn apply(&mut self, event: &Event, now: Duration) {
        match event {
            Event::Started { step, name } => {
                self.steps.insert(*step, StepView::new(name.clone(), now));
            }
            Event::Cached { step } => self.end(*step, StepState::Cached),
            Event::Done { step, elapsed } => self.end(*step, StepState::Done(*elapsed)),
            Event::Failed { step, elapsed, .. } => self.end(*step, StepState::Failed(*elapsed)),
            Event::Cancelled { step } => self.end(*step, StepState::Cancelled),
            Event::Missed { step, reason } => self.say(*step, reason.clone()),
            Event::Note { step, text } => self.say(*step, text.clone()),
            Event::Log { step, line, .. } => self.log(*step, line),
            Event::Progress { step, what, done, total } => self.transfer(*step, what, *done, *total),
            Event::Warning { .. } => {}
        }
    }

    /// The step with that number.
    pub fn step(&self, id: StepId) -> Option<&StepView> {
        self.steps.get(&id)
    }

    /// The steps that are under way, in order.
    pub fn running(&self) -> impl Iterator<Item = (StepId, &StepView)> {
        self.steps.iter().filter(|(_, step)| step.state == StepState::Running).map(|(id, step)| (*id, step))
    }

    /// The counts of the steps written in the Dockerfile; `[internal]` ones and transfers are not steps to a user.
    pub fn counts(&self) -> Counts {
        let written = self.steps.values().filter(|step| step.is_written());
        written.fold(Counts::default(), |counts, step| match step.state {
            StepState::Cached => Counts { steps: counts.steps + 1, cached: counts.cached + 1 },
            StepState::Done(_) => Counts { steps: counts.steps + 1, ..counts },
            _ => counts,
        })
    }

    fn end(&mut self, id: StepId, state: StepState) {
        if let Some(step) = self.steps.get_mut(&id) {
            step.state = state;
            step.transfers.clear();
        }
    }

    fn say(&mut self, id: StepId, text: String) {
        if let Some(step) = self.steps.get_mut(&id) {
            step.latest = Some(text);
        }
    }

    fn log(&mut self, id: StepId, line: &[u8]) {
        let text = visible(line);
        if !text.is_empty() {
            self.say(id, text);
        }
    }

    fn transfer(&mut self, id: StepId, what: &str, done: u64, total: Option<u64>) {
        let Some(step) = self.steps.get_mut(&id) else { return };
        if total.is_some_and(|total| done >= total) {
            step.transfers.remove(what);
        } else {
            step.transfers.insert(what.to_owned(), (done, total));
        }
    }
}

impl StepView {
    fn new(name: String, begun: Duration) -> Self {
        Self { name, begun, state: StepState::Running, latest: None, transfers: BTreeMap::new() }
    }

    /// True for a step that stands in the Dockerfile: `[2/4] …`, `[build 2/4] …`.
    fn is_written(&self) -> bool {
        let inside =
            self.name.strip_prefix('[').and_then(|rest| rest.split_once(']')).map(|(inside, _)| inside);
        let counted =
            inside.and_then(|inside| inside.split(' ').next_back()).and_then(|last| last.split_once('/'));
        counted.is_some_and(|(number, of)| number.parse::<u32>().is_ok() && of.parse::<u32>().is_ok())
    }
}

/// What a terminal would be left showing: the part after the last carriage return, without escape
/// sequences and control characters.
pub fn visible(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(&line[..line.len().min(LINE_LIMIT)]);
    let text = text.trim_end_matches('\r');
    let text = text.rsplit('\r').next().unwrap_or(text);
    without_escapes(text)
}

fn without_escapes(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match char {
            '\u{1b}' => skip_escape(&mut chars),
            '\t' => shown.push_str("    "),
            other if other.is_control() => {}
            other => shown.push(other),
        }
    }
    shown
}

/// Skips the rest of an escape sequence: `[…letter`, `]…BEL`, or one character.
fn skip_escape(chars: &mut std::str::Chars<'_>) {
    match chars.next() {
        Some('[') => drop(chars.find(|char| ('\u{40}'..='\u{7e}').contains(char))),
        Some(']') => drop(chars.find(|char| *char == '\u{7}' || *char == '\u{1b}')),
        _ => {}
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use kiln_builder::event::Stream;

    use super::*;

    const ONE: StepId = StepId(1);

    fn started(id: u32, name: &str) -> Event {
        Event::Started { step: StepId(id), name: name.into() }
    }

    #[test]
    fn counts_are_of_written_steps_that_ended_well() {
        let mut tracker = Tracker::default();
        let names = [
            "[internal] load metadata",
            "[1/3] FROM a",
            "[build 2/3] RUN b",
            "[3/3] RUN c",
            "exporting to image",
        ];
        for (id, name) in (1..).zip(names) {
            tracker.apply(&started(id, name), Duration::ZERO);
        }
        for id in [1, 2] {
            tracker.apply(&Event::Cached { step: StepId(id) }, Duration::ZERO);
        }
        for id in [3, 5] {
            tracker.apply(&Event::Done { step: StepId(id), elapsed: Duration::ZERO }, Duration::ZERO);
        }
        let failed = Event::Failed { step: StepId(4), message: "x".into(), elapsed: Duration::ZERO };
        tracker.apply(&failed, Duration::ZERO);
        assert_eq!(tracker.counts(), Counts { steps: 2, cached: 1 });
        assert_eq!(tracker.running().count(), 0);
    }

    #[test]
    fn an_empty_line_does_not_hide_the_last_one() {
        let mut tracker = Tracker::default();
        tracker.apply(&started(1, "x"), Duration::ZERO);
        for line in [&b"words"[..], b"", b"\x1b[0m"] {
            let log = Event::Log {
                step: ONE,
                stream: Stream::Stdout,
                line: line.to_vec(),
                elapsed: Duration::ZERO,
            };
            tracker.apply(&log, Duration::ZERO);
        }
        assert_eq!(tracker.step(ONE).unwrap().latest.as_deref(), Some("words"));
    }

    #[test]
    fn finished_transfers_disappear() {
        let mut tracker = Tracker::default();
        tracker.apply(&started(1, "x"), Duration::ZERO);
        let at = |done| Event::Progress { step: ONE, what: "layer".into(), done, total: Some(10) };
        tracker.apply(&at(3), Duration::ZERO);
        assert_eq!(tracker.step(ONE).unwrap().transfers.get("layer"), Some(&(3, Some(10))));
        tracker.apply(&at(10), Duration::ZERO);
        assert!(tracker.step(ONE).unwrap().transfers.is_empty());
    }

    #[test]
    fn events_of_unknown_steps_do_no_harm() {
        let mut tracker = Tracker::default();
        tracker.apply(&Event::Cached { step: StepId(9) }, Duration::ZERO);
        tracker.apply(&Event::Note { step: StepId(9), text: "x".into() }, Duration::ZERO);
        assert_eq!(tracker.counts(), Counts::default());
    }

    #[test]
    fn only_what_a_terminal_would_be_left_showing() {
        assert_eq!(visible(b"10%\r20%\r30%\r"), "30%");
        assert_eq!(visible(b"\x1b[1;31mred\x1b[0m \x1b]0;title\x07x"), "red x");
        assert_eq!(visible(b"a\tb\x08"), "a    b");
        assert_eq!(visible(b"\xffx"), "\u{fffd}x");
        assert_eq!(visible(b"\x1b"), "");
    }
}
