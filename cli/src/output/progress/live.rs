//! The live view: finished steps as lines that stay, running ones below them, redrawn in place.
//!
//! Pure: `Live::finished` and [`frame`] make text from the state of the steps, [`Screen`] makes the bytes that
//! turn the last frame into the next without flicker. [`super::show`] writes them.

use std::time::Duration;

use kiln_builder::event::{Event, StepId};

use crate::output::format::cut;

use super::plain::{amount, seconds};
use super::tracker::{StepState, StepView, Tracker};

/// Colours of the live view, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Palette {
    /// Whether colours are used at all.
    pub color: bool,
}

impl Palette {
    fn paint(self, code: &str, text: &str) -> String {
        if self.color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// The line that stays on the screen for the event, if it ends a step or warns.
pub fn finished(tracker: &Tracker, event: &Event, width: usize, palette: Palette) -> Option<String> {
    let (Event::Cached { step }
    | Event::Done { step, .. }
    | Event::Failed { step, .. }
    | Event::Cancelled { step }) = event
    else {
        let Event::Warning { message } = event else { return None };
        return Some(palette.paint("33", &cut(&format!("warning: {message}"), width)));
    };
    let view = tracker.step(*step)?;
    Some(match &view.state {
        StepState::Cached => palette.paint("36", &entry(&format!("CACHED {}", view.name), "0.0s", width)),
        StepState::Done(elapsed) => palette.paint("36", &entry(&view.name, &seconds(*elapsed), width)),
        StepState::Failed(elapsed) => {
            palette.paint("31", &entry(&format!("ERROR {}", view.name), &seconds(*elapsed), width))
        }
        StepState::Cancelled => palette.paint("33", &entry(&format!("CANCELED {}", view.name), "", width)),
        StepState::Running => return None,
    })
}

/// The lines below: what runs now, at most `height` lines.
pub fn frame(tracker: &Tracker, now: Duration, width: usize, height: usize) -> Vec<String> {
    let running: Vec<(StepId, &StepView)> = tracker.running().collect();
    // A step that says nothing more must stay visible, so details go first when there is little room.
    let details = running.len() * 2 <= height;
    let mut lines = Vec::new();
    for (_, step) in running.iter().take(height.max(1)) {
        lines.push(entry(&step.name, &seconds(now.saturating_sub(step.begun)), width));
        if let Some(detail) = detail(step).filter(|_| details) {
            lines.push(cut(&format!("    {detail}"), width));
        }
    }
    lines
}

/// How far the transfers are, or else what the step said last.
fn detail(step: &StepView) -> Option<String> {
    let mut transfers = step.transfers.iter();
    let Some((what, (done, total))) = transfers.next() else { return step.latest.clone() };
    if step.transfers.len() == 1 {
        return Some(format!("{what} {}", amount(*done, *total)));
    }
    let done: u64 = step.transfers.values().map(|(done, _)| done).sum();
    let total: Option<u64> = step.transfers.values().map(|(_, total)| *total).sum();
    Some(format!("{} transfers {}", step.transfers.len(), amount(done, total)))
}

/// ` => NAME        TIME`, the time at the right edge.
fn entry(name: &str, time: &str, width: usize) -> String {
    let room = width.saturating_sub(time.chars().count() + 1);
    let name = cut(&format!(" => {name}"), room);
    let gap = width.saturating_sub(name.chars().count() + time.chars().count());
    format!("{name}{}{time}", " ".repeat(gap)).trim_end().to_owned()
}

/// How many lines of the last frame stand below the lines that stay.
#[derive(Debug, Default)]
pub struct Screen {
    below: usize,
}

impl Screen {
    /// The bytes that replace the last frame by `stay`, then `frame`: one write, each line overwritten in
    /// place and cleared behind its text.
    pub fn draw(&mut self, stay: &[String], frame: &[String]) -> String {
        let mut bytes = String::new();
        if self.below > 0 {
            bytes.extend(["\x1b[", &self.below.to_string(), "A"]);
        }
        for line in stay.iter().chain(frame) {
            bytes.push_str(line);
            bytes.push_str("\x1b[K\n");
        }
        if stay.len() + frame.len() < self.below {
            bytes.push_str("\x1b[J");
        }
        self.below = frame.len();
        bytes
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use kiln_builder::event::Stream;

    use super::*;

    const PLAIN: Palette = Palette { color: false };

    fn tracker(events: &[Event]) -> Tracker {
        let mut tracker = Tracker::default();
        for event in events {
            tracker.apply(event, Duration::ZERO);
        }
        tracker
    }

    fn started(id: u32, name: &str) -> Event {
        Event::Started { step: StepId(id), name: name.into() }
    }

    #[test]
    fn running_steps_show_what_they_said_last() {
        let log = Event::Log {
            step: StepId(2),
            stream: Stream::Stdout,
            line: b"cc a.c".to_vec(),
            elapsed: Duration::ZERO,
        };
        let tracker = tracker(&[started(1, "[1/2] FROM x"), started(2, "[2/2] RUN make"), log]);
        let lines = frame(&tracker, Duration::from_millis(1500), 30, 10);
        assert_eq!(lines, [" => [1/2] FROM x          1.5s", " => [2/2] RUN make        1.5s", "    cc a.c"]);
        assert_eq!(frame(&tracker, Duration::ZERO, 30, 2).len(), 2, "no room for details");
        assert_eq!(frame(&tracker, Duration::ZERO, 12, 1), [" => [1… 0.0s"]);
    }

    #[test]
    fn several_transfers_are_summed() {
        let part = |what: &str, done| Event::Progress {
            step: StepId(1),
            what: what.into(),
            done,
            total: Some(5_000),
        };
        let one = tracker(&[started(1, "pull"), part("a", 1_000)]);
        assert_eq!(frame(&one, Duration::ZERO, 40, 9)[1], "    a 1kB / 5kB");
        let two = tracker(&[started(1, "pull"), part("a", 1_000), part("b", 2_000)]);
        assert_eq!(frame(&two, Duration::ZERO, 40, 9)[1], "    2 transfers 3kB / 10kB");
    }

    #[test]
    fn ended_steps_become_lines_that_stay() {
        let end = Event::Cached { step: StepId(1) };
        let tracker = tracker(&[started(1, "[1/2] FROM x"), end.clone()]);
        assert_eq!(finished(&tracker, &end, 30, PLAIN).unwrap(), " => CACHED [1/2] FROM x   0.0s");
        assert_eq!(
            finished(&tracker, &end, 30, Palette { color: true }).unwrap(),
            "\x1b[36m => CACHED [1/2] FROM x   0.0s\x1b[0m"
        );
        assert_eq!(finished(&tracker, &started(1, "x"), 30, PLAIN), None);
        let warning = Event::Warning { message: "hm".into() };
        assert_eq!(finished(&tracker, &warning, 30, PLAIN).unwrap(), "warning: hm");
    }

    #[test]
    fn a_frame_replaces_the_last_one_in_place() {
        let line = |text: &str| text.to_owned();
        let mut screen = Screen::default();
        assert_eq!(screen.draw(&[], &[line("a"), line("b")]), "a\x1b[K\nb\x1b[K\n");
        assert_eq!(screen.draw(&[line("A")], &[line("b")]), "\x1b[2AA\x1b[K\nb\x1b[K\n");
        assert_eq!(screen.draw(&[], &[]), "\x1b[1A\x1b[J");
        assert_eq!(screen.draw(&[], &[]), "");
    }
}
