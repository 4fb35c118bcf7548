//! What a build tells whoever watches it: everything from its beginning, however late they come.
//!
//! Events come from [`crate::progress`], which drains what the builder sends; [`kept`] says what is remembered of them.

mod kept;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp as Now;
use kiln_builder::event::{Event, StepId, Stream as Output};
use prost_types::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::kept::Kept;
use crate::api::control::{StatusResponse, Vertex, VertexLog, VertexStatus, VertexWarning};

/// Messages that are on their way to a watcher; what comes after them waits in what is kept.
const BEHIND: usize = 4;

/// How long what happens is gathered before it is told: a display shows less often, and a message for each cached step costs the
/// client more than the step.
const PACE: Duration = Duration::from_millis(10);

/// How a builder says that a command failed, before the exit code or the signal.
const EXITED: &str = "the command exited with code ";
const KILLED: &str = "the command was killed by signal ";

/// What shells add to a signal to make it an exit code.
const SIGNALLED: i32 = 128;

/// How the end of a step is told that did not come to an end.
const CANCELLED: &str = "context canceled";

/// The account of one build.
#[derive(Debug)]
pub(crate) struct StatusLog {
    build: String,
    told: Mutex<Told>,
    length: watch::Sender<Length>,
    /// Those that bring events.
    sources: TaskTracker,
    /// Cancelled when they are to bring what they have, and no more.
    closing: CancellationToken,
}

#[derive(Debug, Default)]
struct Told {
    kept: Kept,
    /// The vertices that are under way, by their step: an ending repeats what the beginning said.
    open: BTreeMap<Numbered, Open>,
    parts: u32,
    /// What steps execute, by their names.
    commands: HashMap<String, String>,
    /// The names in messages of the steps, by the names that people see.
    names: HashMap<String, String>,
}

/// A step that is under way.
#[derive(Debug)]
struct Open {
    vertex: Vertex,
    /// What in it is under way, by name.
    parts: BTreeMap<String, VertexStatus>,
}

/// A step, by the part of the build that numbered it.
type Numbered = (u32, StepId);

/// How much has been told, and whether that is all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Length {
    messages: u64,
    is_over: bool,
}

impl StatusLog {
    /// The empty account of the build with that id.
    pub(crate) fn new(build: &str) -> Self {
        Self {
            build: build.to_owned(),
            told: Mutex::default(),
            length: watch::Sender::default(),
            sources: TaskTracker::new(),
            closing: CancellationToken::new(),
        }
    }

    /// Tells what happened.
    ///
    /// `part` tells steps apart that were numbered separately.
    pub(crate) fn event(&self, part: u32, event: Event) {
        let mut message = StatusResponse::default();
        match event {
            Event::Started { step, name } => message.vertexes.push(self.started((part, step), name)),
            Event::Cached { step } => message = self.ended((part, step), true, None),
            Event::Done { step, .. } => message = self.ended((part, step), false, None),
            Event::Failed { step, message: why, .. } => message = self.ended((part, step), false, Some(why)),
            Event::Cancelled { step } => {
                message = self.ended((part, step), false, Some(CANCELLED.to_owned()));
            }
            Event::Log { step, stream, mut line, .. } => {
                line.push(b'\n');
                message.logs.push(self.log((part, step), if stream == Output::Stderr { 2 } else { 1 }, line));
            }
            Event::Missed { step, reason } => {
                message.statuses.push(self.remark((part, step), format!("not cached: {reason}")));
            }
            Event::Note { step, text } => message.statuses.push(self.remark((part, step), text)),
            Event::Progress { step, what, done, total } => {
                message.statuses.push(self.progress((part, step), what, done, total));
            }
            Event::Warning { message: text } => message.warnings.push(VertexWarning {
                vertex: self.first(),
                level: 1,
                short: text.into_bytes(),
                ..VertexWarning::default()
            }),
        }
        self.tell(message);
    }

    /// Tells a warning.
    pub(crate) fn warn(&self, warning: VertexWarning) {
        self.tell(StatusResponse { warnings: vec![warning], ..StatusResponse::default() });
    }

    /// Takes what steps execute, by their names, for the words in which their failure is told.
    pub(crate) fn learn(&self, commands: HashMap<String, String>) {
        self.locked().commands.extend(commands);
    }

    /// A command's failure in BuildKit's words, which scripts look for; `None` if it is no command's.
    pub(crate) fn process(&self, name: &str, message: &str) -> Option<String> {
        let code = match message.strip_prefix(EXITED) {
            Some(code) => code.parse::<i32>().ok()?,
            None => SIGNALLED + message.strip_prefix(KILLED)?.parse::<i32>().ok()?,
        };
        let told = self.locked();
        let command = told.commands.get(name)?;
        Some(format!("process {command:?} did not complete successfully: exit code: {code}"))
    }

    /// The name in all messages of the step that people know by that name.
    pub(crate) fn named(&self, name: &str) -> Option<String> {
        self.locked().names.get(name).cloned()
    }

    /// Another part of the build, whose steps are numbered anew.
    pub(crate) fn part(&self) -> u32 {
        let mut told = self.locked();
        told.parts += 1;
        told.parts
    }

    /// Has events brought by a task, which ends when it is told that no more are wanted.
    pub(crate) fn bring<F: Future<Output = ()> + Send + 'static>(
        &self,
        bring: impl FnOnce(CancellationToken) -> F,
    ) {
        self.sources.spawn(bring(self.closing.clone()));
    }

    /// Takes what is still on its way; nothing more will be told. Steps that did not end were cancelled.
    pub(crate) async fn finish(&self) {
        self.closing.cancel();
        self.sources.close();
        self.sources.wait().await;
        let open: Vec<Numbered> = self.locked().open.keys().copied().collect();
        for step in open {
            self.tell(self.ended(step, false, Some(CANCELLED.to_owned())));
        }
        self.length.send_modify(|length| length.is_over = true);
    }

    /// Everything that is kept.
    pub(crate) fn kept(&self) -> Vec<StatusResponse> {
        self.locked().kept.all()
    }

    /// Everything that is kept, and what comes until the end.
    pub(crate) fn watch(self: &Arc<Self>) -> mpsc::Receiver<Result<StatusResponse, tonic::Status>> {
        let (sender, receiver) = mpsc::channel(BEHIND);
        let log = Arc::clone(self);
        tokio::spawn(async move {
            let mut length = log.length.subscribe();
            let mut next = 0;
            loop {
                let now = *length.borrow_and_update();
                while next < now.messages {
                    // Nothing, where all that came since has been given up.
                    let Some((message, after)) = log.from(next) else {
                        next = now.messages;
                        break;
                    };
                    next = after;
                    if sender.send(Ok(message)).await.is_err() {
                        return;
                    }
                }
                if now.is_over {
                    return;
                }
                // What happens next is gathered for a moment; the end is told at once.
                let over = async { length.wait_for(|length| length.is_over).await.is_err() };
                if tokio::time::timeout(PACE, over).await == Ok(true) {
                    return;
                }
                let more = |length: &Length| length.is_over || length.messages > next;
                if length.wait_for(more).await.is_err() {
                    return;
                }
            }
        });
        receiver
    }

    /// The name in all messages of the step that began first.
    pub(crate) fn first(&self) -> String {
        self.digest(shown((1, StepId(1))))
    }

    /// The name of a step in all messages.
    fn digest(&self, step: impl std::fmt::Display) -> String {
        digest(&format!("{}/{step}", self.build))
    }

    fn tell(&self, message: StatusResponse) {
        if message == StatusResponse::default() {
            return;
        }
        let messages = {
            let mut told = self.locked();
            told.kept.push(message);
            told.kept.count()
        };
        self.reached(messages);
    }

    /// Lets watchers know how many messages there are. Whoever counted first may come last.
    fn reached(&self, messages: u64) {
        self.length.send_modify(|length| length.messages = length.messages.max(messages));
    }

    fn from(&self, number: u64) -> Option<(StatusResponse, u64)> {
        self.locked().kept.from(number)
    }

    fn started(&self, step: Numbered, name: String) -> Vertex {
        let digest = self.digest(shown(step));
        let vertex = Vertex { digest, name, started: Some(now()), ..Vertex::default() };
        let mut told = self.locked();
        told.names.insert(vertex.name.clone(), vertex.digest.clone());
        told.open.insert(step, Open { vertex: vertex.clone(), parts: BTreeMap::new() });
        vertex
    }

    /// The end of a step, and of what is under way in it.
    fn ended(&self, step: Numbered, cached: bool, error: Option<String>) -> StatusResponse {
        let open = self.locked().open.remove(&step);
        let Some(Open { vertex, parts }) = open else { return StatusResponse::default() };
        let error = error.map(|error| self.process(&vertex.name, &error).unwrap_or(error));
        let completed = Some(now());
        let statuses =
            parts.into_values().map(|part| VertexStatus { timestamp: completed, completed, ..part });
        let statuses = statuses.collect();
        let vertex = Vertex { cached, completed, error: error.unwrap_or_default(), ..vertex };
        StatusResponse { vertexes: vec![vertex], statuses, ..StatusResponse::default() }
    }

    fn log(&self, step: Numbered, stream: i64, msg: Vec<u8>) -> VertexLog {
        VertexLog { vertex: self.vertex(step), timestamp: Some(now()), stream, msg }
    }

    /// The name of a step in all messages.
    fn vertex(&self, step: Numbered) -> String {
        let open = self.locked().open.get(&step).map(|open| open.vertex.digest.clone());
        open.unwrap_or_else(|| self.digest(shown(step)))
    }

    /// A remark is a part of its step that is over as soon as it begins.
    fn remark(&self, step: Numbered, text: String) -> VertexStatus {
        let (vertex, time) = (self.vertex(step), Some(now()));
        let (id, timestamp, started, completed) = (text, time, time, time);
        VertexStatus { id, vertex, timestamp, started, completed, ..VertexStatus::default() }
    }

    /// What has no total ends with its step.
    fn progress(&self, step: Numbered, what: String, done: u64, total: Option<u64>) -> VertexStatus {
        let count = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let (vertex, time) = (self.vertex(step), Some(now()));
        let mut told = self.locked();
        let parts = told.open.get_mut(&step).map(|open| &mut open.parts);
        let before = parts.as_ref().and_then(|parts| parts.get(&what));
        let status = VertexStatus {
            id: what,
            vertex,
            current: count(done),
            total: total.map_or(0, count),
            timestamp: time,
            started: before.and_then(|before| before.started).or(time),
            completed: total.filter(|total| *total <= done).and(time),
            ..VertexStatus::default()
        };
        if let Some(parts) = parts {
            match status.completed {
                Some(_) => drop(parts.remove(&status.id)),
                None => drop(parts.insert(status.id.clone(), status.clone())),
            }
        }
        status
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn shown((part, step): Numbered) -> String {
    format!("{part}/{}", step.0)
}

/// The time, as messages have it.
pub(crate) fn now() -> Timestamp {
    let now = Now::now();
    Timestamp { seconds: now.as_second(), nanos: now.subsec_nanosecond() }
}

/// A digest in text form.
pub(crate) fn digest(text: &str) -> String {
    kiln_registry::sha256(text.as_bytes()).to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_failed_command_is_told_in_the_words_that_scripts_know() {
        let log = StatusLog::new("b");
        log.learn(HashMap::from([("RUN x".to_owned(), "/bin/sh -c \"x\"".to_owned())]));
        let said = |error: kiln_builder::StepError| log.process("RUN x", &error.to_string());
        let expected = r#"process "/bin/sh -c \"x\"" did not complete successfully: exit code: "#;
        assert_eq!(said(kiln_builder::StepError::Exited { code: 3 }), Some(format!("{expected}3")));
        assert_eq!(said(kiln_builder::StepError::Killed { signal: 9 }), Some(format!("{expected}137")));
        assert_eq!(said(kiln_builder::StepError::Lost), None);
        assert_eq!(log.process("RUN y", "the command exited with code 1"), None);
    }

    async fn read(mut watcher: mpsc::Receiver<Result<StatusResponse, tonic::Status>>) -> StatusResponse {
        let mut all = StatusResponse::default();
        while let Some(message) = watcher.recv().await {
            let message = message.unwrap();
            all.vertexes.extend(message.vertexes);
            all.logs.extend(message.logs);
        }
        all
    }

    #[tokio::test]
    async fn whoever_comes_late_is_told_everything() {
        let log = Arc::new(StatusLog::new("b"));
        let step = StepId(1);
        log.event(1, Event::Started { step, name: "RUN x".into() });
        let early = log.watch();
        log.event(
            1,
            Event::Log { step, stream: Output::Stderr, line: b"out".to_vec(), elapsed: Duration::ZERO },
        );
        log.event(1, Event::Cached { step });
        log.finish().await;
        for watcher in [early, log.watch()] {
            let all = read(watcher).await;
            assert_eq!(all.vertexes[0].name, "RUN x");
            assert_eq!((all.logs[0].stream, all.logs[0].msg.as_slice()), (2, b"out\n".as_slice()));
            let last = all.vertexes.last().unwrap();
            assert!(last.cached && last.completed.is_some());
            assert_eq!(
                (&last.digest, &all.logs[0].vertex),
                (&all.vertexes[0].digest, &all.vertexes[0].digest)
            );
        }
    }

    #[test]
    fn whoever_counted_early_and_comes_late_takes_nothing_back() {
        let log = StatusLog::new("b");
        log.reached(2);
        log.reached(1);
        assert_eq!(log.length.borrow().messages, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn many_steps_are_told_in_few_messages() {
        let log = Arc::new(StatusLog::new("b"));
        let mut watcher = log.watch();
        let (mut messages, mut vertexes) = (0, 0);
        for number in 0..1_000 {
            let step = StepId(number);
            log.event(1, Event::Started { step, name: format!("RUN {number}") });
            log.event(1, Event::Cached { step });
            tokio::time::advance(PACE / 10).await;
            while let Ok(message) = watcher.try_recv() {
                messages += 1;
                vertexes += message.unwrap().vertexes.len();
            }
        }
        log.finish().await;
        assert!(messages > 10 && messages <= 102, "{messages}");
        assert_eq!(vertexes + read(watcher).await.vertexes.len(), 2_000);
    }

    #[tokio::test]
    async fn what_is_under_way_in_a_step_ends_with_it() {
        let log = Arc::new(StatusLog::new("b"));
        let step = StepId(1);
        log.event(1, Event::Started { step, name: "load".into() });
        for (what, done, total) in [("open", 1, None), ("whole", 2, Some(2)), ("open", 3, None)] {
            log.event(1, Event::Progress { step, what: what.into(), done, total });
        }
        log.event(1, Event::Done { step, elapsed: Duration::ZERO });
        log.event(1, Event::Progress { step, what: "late".into(), done: 1, total: Some(1) });
        let statuses: Vec<VertexStatus> =
            log.kept().into_iter().flat_map(|message| message.statuses).collect();
        let ended: Vec<_> = statuses.iter().map(|status| (status.id.as_str(), status.current)).collect();
        assert_eq!(ended, [("whole", 2), ("open", 3), ("late", 1)]);
        assert!(statuses[1].completed.is_some());
    }

    #[tokio::test]
    async fn what_is_on_its_way_is_told_and_what_has_not_ended_was_cancelled() {
        let log = Arc::new(StatusLog::new("b"));
        let (told, late) = (StepId(1), StepId(2));
        log.event(1, Event::Started { step: told, name: "RUN told".into() });
        log.event(1, Event::Started { step: late, name: "RUN late".into() });
        let bringing = Arc::clone(&log);
        log.bring(|closing| async move {
            closing.cancelled().await;
            bringing.event(1, Event::Cached { step: told });
        });
        log.finish().await;
        let all = read(log.watch()).await;
        let error =
            |name: &str| all.vertexes.iter().rfind(|vertex| vertex.name == name).unwrap().error.clone();
        assert_eq!((error("RUN told").as_str(), error("RUN late").as_str()), ("", CANCELLED));
        assert_eq!(log.kept().iter().map(|message| message.vertexes.len()).sum::<usize>(), 4);
    }
}
