//! Progress of a build, a pull or a push, from the builder's events to the terminal.
//!
//! [`tracker`] keeps the state, [`plain`], [`live`] and [`raw`] make text of it, [`show`] is the only part that waits and
//! writes. Everything goes to standard error: standard output is for results.

pub mod live;
pub mod plain;
pub mod raw;
pub mod status;
pub mod tracker;

use std::io::Write;
use std::time::{Duration, Instant};

use kiln_builder::event::Event;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use live::{Palette, Screen};
use plain::Plain;
use raw::Raw;
use tracker::Tracker;

/// Redrawing more often than this cannot be seen, and costs the build its time.
const REDRAW_EVERY: Duration = Duration::from_millis(100);

/// The live view never takes more lines than this, however large the terminal is.
const LIVE_LINES: usize = 12;

/// The width assumed for a terminal that does not tell its own.
const DEFAULT_WIDTH: usize = 80;

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// A line for each event.
    Plain,
    /// Redrawn in place.
    Live(Palette),
    /// A JSON document for each event.
    Raw,
    /// Not at all; failures are still remembered.
    Quiet,
}

/// A view at work.
pub struct Display {
    task: JoinHandle<Tracker>,
    stop: oneshot::Sender<()>,
}

/// Starts showing the events. Must be called inside a tokio runtime.
pub fn show(view: View, events: UnboundedReceiver<Event>) -> Display {
    let (stop, stopped) = oneshot::channel();
    Display { task: tokio::spawn(drive(view, events, stopped)), stop }
}

impl Display {
    /// Shows what was sent so far and ends. Work that was abandoned may still hold senders: nobody waits for it.
    pub async fn finish(self) -> Tracker {
        drop(self.stop);
        // A view that died is no reason to lose the result of a build.
        self.task.await.unwrap_or_default()
    }
}

async fn drive(
    view: View,
    mut events: UnboundedReceiver<Event>,
    mut stopped: oneshot::Receiver<()>,
) -> Tracker {
    let clock = Instant::now();
    let mut tracker = Tracker::default();
    let mut writer = Writer::new(view);
    let mut timer = tokio::time::interval(REDRAW_EVERY);
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut batch = Vec::new();
    let mut open = true;
    while open {
        tokio::select! {
            received = events.recv_many(&mut batch, 1024) => open = received > 0,
            _ = &mut stopped => open = false,
            _ = timer.tick(), if matches!(view, View::Live(_)) => writer.redraw(&tracker, clock.elapsed()),
        }
        if !open {
            batch.extend(std::iter::from_fn(|| events.try_recv().ok()));
        }
        for event in batch.drain(..) {
            tracker.apply(&event, clock.elapsed());
            writer.take(&tracker, &event, clock.elapsed());
        }
        writer.flush();
    }
    // What still runs when nobody waits any more was given up.
    let left: Vec<_> = tracker.running().map(|(step, _)| Event::Cancelled { step }).collect();
    for event in left {
        tracker.apply(&event, clock.elapsed());
        writer.take(&tracker, &event, clock.elapsed());
    }
    writer.close();
    tracker
}

/// Collects what is to be written and writes it in one go.
struct Writer {
    view: View,
    plain: Plain,
    raw: Raw,
    screen: Screen,
    stay: Vec<String>,
    buffer: Vec<u8>,
}

impl Writer {
    fn new(view: View) -> Self {
        Self {
            view,
            plain: Plain::default(),
            raw: Raw::new(jiff::Timestamp::now()),
            screen: Screen::default(),
            stay: Vec::new(),
            buffer: Vec::new(),
        }
    }

    fn take(&mut self, tracker: &Tracker, event: &Event, now: Duration) {
        match self.view {
            View::Plain => self.buffer.extend(self.plain.lines(event, now)),
            View::Live(palette) => {
                let lines = live::finished(tracker, event, terminal_size().0, palette);
                self.stay.extend(lines);
            }
            View::Raw => self.buffer.extend(self.raw.line(event, now)),
            View::Quiet => {}
        }
    }

    fn redraw(&mut self, tracker: &Tracker, now: Duration) {
        let (width, height) = terminal_size();
        let frame = live::frame(tracker, now, width, height.saturating_sub(2).clamp(1, LIVE_LINES));
        let drawn = self.screen.draw(&std::mem::take(&mut self.stay), &frame);
        self.buffer.extend(drawn.into_bytes());
    }

    /// The last frame: nothing runs any more.
    fn close(&mut self) {
        if let View::Live(_) = self.view {
            let drawn = self.screen.draw(&std::mem::take(&mut self.stay), &[]);
            self.buffer.extend(drawn.into_bytes());
        }
        self.flush();
    }

    /// Writing fails when the terminal is gone: the build goes on all the same.
    fn flush(&mut self) {
        if !self.buffer.is_empty() {
            drop(std::io::stderr().lock().write_all(&self.buffer));
            self.buffer.clear();
        }
    }
}

/// Columns and lines of the terminal at standard error.
fn terminal_size() -> (usize, usize) {
    let size = rustix::termios::tcgetwinsize(std::io::stderr()).ok();
    let (width, height) = size.map_or((0, 0), |size| (usize::from(size.ws_col), usize::from(size.ws_row)));
    (if width == 0 { DEFAULT_WIDTH } else { width }, if height == 0 { 2 * LIVE_LINES } else { height })
}

#[cfg(test)]
mod tests {
    use kiln_builder::Progress;

    use super::*;

    #[tokio::test]
    async fn the_end_does_not_wait_for_work_that_was_given_up() {
        let (sender, events) = tokio::sync::mpsc::unbounded_channel();
        let progress = Progress::new(sender);
        let display = show(View::Quiet, events);
        progress.step("[1/2] FROM x").cached();
        let abandoned = progress.step("[2/2] RUN sleep");
        let tracker = display.finish().await;
        assert_eq!(tracker.running().count(), 0);
        assert_eq!(tracker.counts().cached, 1);
        drop(abandoned);
    }
}
