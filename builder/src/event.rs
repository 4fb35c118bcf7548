//! What happens during a build, as data.
//!
//! The builder sends these through a channel and never prints; the command line turns them into
//! lines, a live view or JSON. A [`Step`] handle makes sure that whatever was started also ends:
//! dropped without an ending it reports that it was cancelled.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Bytes of output that may be under way to whoever reads the events: commands that write faster wait.
const MAX_WAITING: usize = 1 << 20;

/// Number of a step, in the order in which steps were announced, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepId(pub u32);

/// Which output of a command a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A step began.
    Started {
        /// Its number.
        step: StepId,
        /// Its name (`[build 2/4] RUN make`).
        name: String,
    },
    /// The cache answered: nothing was executed. The step is over.
    Cached {
        /// Its number.
        step: StepId,
    },
    /// The cache had no answer, and why.
    Missed {
        /// Its number.
        step: StepId,
        /// In plain words (`src/main.rs changed`).
        reason: String,
    },
    /// A line that the step's command wrote, without its newline.
    Log {
        /// Its number.
        step: StepId,
        /// Where it was written.
        stream: Stream,
        /// The bytes; not always UTF-8.
        line: Vec<u8>,
        /// Since the step began.
        elapsed: Duration,
    },
    /// Something moved on inside a step (bytes pulled, pushed or unpacked).
    Progress {
        /// Its number.
        step: StepId,
        /// What (`sha256:1234… 12.3 MB`).
        what: String,
        /// Units done.
        done: u64,
        /// Units in all, where known.
        total: Option<u64>,
    },
    /// A remark about a step (`waiting for another kiln that runs the same step`).
    Note {
        /// Its number.
        step: StepId,
        /// The remark.
        text: String,
    },
    /// The step ended well.
    Done {
        /// Its number.
        step: StepId,
        /// How long it took.
        elapsed: Duration,
    },
    /// The step failed.
    Failed {
        /// Its number.
        step: StepId,
        /// One line that says why.
        message: String,
        /// How long it took.
        elapsed: Duration,
    },
    /// The step was stopped because the build ended early.
    Cancelled {
        /// Its number.
        step: StepId,
    },
    /// A warning that belongs to no step.
    Warning {
        /// The text.
        message: String,
    },
}

/// Where events go.
pub type EventSender = UnboundedSender<Event>;

/// Announces steps and numbers them. Cheap to clone; all clones count together.
#[derive(Debug, Clone)]
pub struct Progress {
    events: EventSender,
    last: Arc<AtomicU32>,
    waiting: Option<Arc<Waiting>>,
}

/// The other end of a [`Progress`] whose commands wait for their reader.
#[derive(Debug)]
pub struct Events {
    events: UnboundedReceiver<Event>,
    waiting: Arc<Waiting>,
}

/// The output that is under way, in bytes; `None` when nobody reads any more.
#[derive(Debug)]
struct Waiting {
    bytes: Mutex<Option<usize>>,
    changed: Condvar,
}

impl Waiting {
    /// Waits for room. Blocks the thread; what a command writes is read by a thread of its own.
    fn add(&self, length: usize) {
        let bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let full = |bytes: &mut Option<usize>| bytes.is_some_and(|bytes| bytes > MAX_WAITING);
        let mut bytes = self.changed.wait_while(bytes, full).unwrap_or_else(PoisonError::into_inner);
        if let Some(bytes) = bytes.as_mut() {
            *bytes += length;
        }
    }

    fn change(&self, change: impl FnOnce(usize) -> Option<usize>) {
        let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        *bytes = bytes.and_then(change);
        self.changed.notify_all();
    }
}

impl Events {
    /// The next event; `None` when there will be no more.
    pub async fn recv(&mut self) -> Option<Event> {
        let event = self.events.recv().await?;
        Some(self.taken(event))
    }

    /// The next event, if it has come already.
    pub fn try_recv(&mut self) -> Option<Event> {
        let event = self.events.try_recv().ok()?;
        Some(self.taken(event))
    }

    fn taken(&self, event: Event) -> Event {
        if let Event::Log { line, .. } = &event {
            self.waiting.change(|bytes| Some(bytes.saturating_sub(line.len())));
        }
        event
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.waiting.change(|_| None);
    }
}

impl Progress {
    /// Progress that is sent to `events`, however long they wait there.
    pub fn new(events: EventSender) -> Self {
        Self { events, last: Arc::new(AtomicU32::new(0)), waiting: None }
    }

    /// Progress with a reader for which commands wait when they write faster than it reads.
    pub fn channel() -> (Self, Events) {
        let (sender, events) = unbounded_channel();
        let waiting = Arc::new(Waiting { bytes: Mutex::new(Some(0)), changed: Condvar::new() });
        let progress = Self { waiting: Some(Arc::clone(&waiting)), ..Self::new(sender) };
        (progress, Events { events, waiting })
    }

    /// Announces a step. It lasts until one of [`Step`]'s endings, or until it is dropped.
    pub fn step(&self, name: impl Into<String>) -> Step {
        let id = StepId(self.last.fetch_add(1, Ordering::Relaxed) + 1);
        let (events, waiting) = (self.events.clone(), self.waiting.clone());
        let step = Step { id, events, waiting, begun: Instant::now(), open: true };
        step.send(Event::Started { step: id, name: name.into() });
        step
    }

    /// Sends a warning that belongs to no step.
    pub fn warn(&self, message: impl Into<String>) {
        send(&self.events, Event::Warning { message: message.into() });
    }
}

/// A step that is under way.
#[derive(Debug)]
pub struct Step {
    id: StepId,
    events: EventSender,
    waiting: Option<Arc<Waiting>>,
    begun: Instant,
    open: bool,
}

impl Step {
    /// Its number.
    pub fn id(&self) -> StepId {
        self.id
    }

    /// Reports a line of output, without its newline. May block the thread until earlier ones have been read.
    pub fn log(&self, stream: Stream, line: Vec<u8>) {
        if let Some(waiting) = &self.waiting {
            waiting.add(line.len());
        }
        self.send(Event::Log { step: self.id, stream, line, elapsed: self.begun.elapsed() });
    }

    /// Says why the cache had no answer.
    pub fn missed(&self, reason: String) {
        self.send(Event::Missed { step: self.id, reason });
    }

    /// A remark.
    pub fn note(&self, text: impl Into<String>) {
        self.send(Event::Note { step: self.id, text: text.into() });
    }

    /// Reports how far something inside the step is.
    pub fn progress(&self, what: impl Into<String>, done: u64, total: Option<u64>) {
        self.send(Event::Progress { step: self.id, what: what.into(), done, total });
    }

    /// Ends it: the cache answered.
    pub fn cached(mut self) {
        self.end(Event::Cached { step: self.id });
    }

    /// Ends it well.
    pub fn done(mut self) {
        self.end(Event::Done { step: self.id, elapsed: self.begun.elapsed() });
    }

    /// Ends it with an error.
    pub fn failed(mut self, message: impl Into<String>) {
        self.end(Event::Failed { step: self.id, message: message.into(), elapsed: self.begun.elapsed() });
    }

    fn end(&mut self, event: Event) {
        self.open = false;
        self.send(event);
    }

    fn send(&self, event: Event) {
        send(&self.events, event);
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if self.open {
            self.send(Event::Cancelled { step: self.id });
        }
    }
}

/// A closed channel means that nobody wants to know any more (the terminal went away): the work goes on.
fn send(events: &EventSender, event: Event) {
    drop(events.send(event));
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_dropped_step_says_that_it_was_cancelled() {
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        let progress = Progress::new(sender);
        drop(progress.step("one"));
        progress.step("two").cached();
        let mut events = Vec::new();
        while let Ok(event) = receiver.try_recv() {
            events.push(event);
        }
        assert_eq!(
            events,
            [
                Event::Started { step: StepId(1), name: "one".into() },
                Event::Cancelled { step: StepId(1) },
                Event::Started { step: StepId(2), name: "two".into() },
                Event::Cached { step: StepId(2) },
            ]
        );
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_command_that_writes_faster_than_it_is_read_waits() {
        let (progress, mut events) = Progress::channel();
        let written = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&written);
        let (lines, bytes) = (100, MAX_WAITING / 10);
        let writer = std::thread::spawn(move || {
            let step = progress.step("one");
            for _ in 0..lines {
                step.log(Stream::Stdout, vec![b'x'; bytes]);
                count.fetch_add(1, Ordering::SeqCst);
            }
            step.done();
        });
        let mut read = 0;
        while let Some(event) = events.recv().await {
            if matches!(event, Event::Log { .. }) {
                read += 1;
                assert!(written.load(Ordering::SeqCst) <= read + 13, "only so much is under way");
            }
        }
        assert_eq!(read, lines);
        writer.join().unwrap();
    }

    #[test]
    fn a_command_that_nobody_reads_goes_on() {
        let (progress, events) = Progress::channel();
        let step = progress.step("one");
        drop(events);
        for _ in 0..3 {
            step.log(Stream::Stdout, vec![b'x'; MAX_WAITING * 2]);
        }
        step.done();
    }
}
