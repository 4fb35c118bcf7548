//! A builder's events as a build's account.

use std::collections::BTreeSet;
use std::sync::Arc;

use kiln_builder::Progress;
use kiln_builder::event::{Event, Events, StepId};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::build::Build;

/// Output of a step that is told at once, in bytes.
const PIECE: usize = 32 << 10;

/// Ends when everything that was sent has been told.
pub(crate) struct ToldAll(oneshot::Receiver<()>);

impl ToldAll {
    /// Waits until the account is complete. All clones of the progress must be gone, or going.
    pub(crate) async fn wait(self) {
        // The account's writer ends with the progress; there is nothing to be done if it ended otherwise.
        drop(self.0.await);
    }
}

/// The name of the step that takes a client's directory over. A builder calls its look at the result so, too, which is no
/// news.
pub(crate) const LOAD_CONTEXT: &str = "[internal] load build context";

/// Progress that is told to whoever watches the build.
pub(crate) fn of(build: &Arc<Build>) -> (Progress, ToldAll) {
    let known = Arc::clone(build);
    told(build, move |event| Some(in_known_names(&known, event)))
}

/// The event with directories in the words of the client.
fn in_known_names(build: &Build, mut event: Event) -> Event {
    if let Event::Started { name: text, .. }
    | Event::Note { text, .. }
    | Event::Failed { message: text, .. } = &mut event
    {
        build.in_known_names(text);
    }
    event
}

/// The progress of a builder. With a platform, the steps of the Dockerfile have it in their names.
pub(crate) fn of_builder(build: &Arc<Build>, platform: Option<&str>) -> (Progress, ToldAll) {
    let platform = platform.map(str::to_owned);
    let known = Arc::clone(build);
    let mut hidden = BTreeSet::new();
    told(build, move |event| match in_known_names(&known, event) {
        Event::Started { step, name } if name == LOAD_CONTEXT => {
            hidden.insert(step);
            None
        }
        Event::Started { step, name } => {
            Some(Event::Started { step, name: for_platform(name, platform.as_deref()) })
        }
        event => step_of(&event).is_none_or(|step| !hidden.contains(&step)).then_some(event),
    })
}

/// `[stage 1/2] RUN x` with the platform: `[linux/arm64 stage 1/2] RUN x`.
pub(crate) fn for_platform(name: String, platform: Option<&str>) -> String {
    match (platform, name.strip_prefix('[')) {
        (Some(platform), Some(rest)) if !rest.starts_with("internal]") => format!("[{platform} {rest}"),
        _ => name,
    }
}

fn step_of(event: &Event) -> Option<StepId> {
    match event {
        Event::Started { step, .. }
        | Event::Cached { step }
        | Event::Missed { step, .. }
        | Event::Log { step, .. }
        | Event::Progress { step, .. }
        | Event::Note { step, .. }
        | Event::Done { step, .. }
        | Event::Failed { step, .. }
        | Event::Cancelled { step } => Some(*step),
        Event::Warning { .. } => None,
    }
}

fn told(
    build: &Arc<Build>,
    mut shown: impl FnMut(Event) -> Option<Event> + Send + 'static,
) -> (Progress, ToldAll) {
    let (progress, mut events) = Progress::channel();
    let (done, told_all) = oneshot::channel();
    let status = Arc::clone(&build.status);
    let part = status.part();
    build.status.bring(move |closing| async move {
        let mut following = None;
        loop {
            let event =
                if following.is_some() { following.take() } else { next(&mut events, &closing).await };
            let Some(event) = event else { break };
            let event = with_what_follows(event, &mut events, &mut following);
            if let Some(event) = shown(event) {
                status.event(part, event);
            }
        }
        // Nobody may be waiting.
        let _ = done.send(());
    });
    (progress, ToldAll(told_all))
}

/// The next event; when no more are wanted, only one that has come already.
async fn next(events: &mut Events, closing: &CancellationToken) -> Option<Event> {
    tokio::select! {
        biased;
        event = events.recv() => event,
        () = closing.cancelled() => events.try_recv(),
    }
}

/// An event with the lines of output that have come after it and belong to it; the event after them is left in `following`.
fn with_what_follows(mut event: Event, events: &mut Events, following: &mut Option<Event>) -> Event {
    let Event::Log { step, stream, line: lines, .. } = &mut event else { return event };
    while lines.len() < PIECE {
        match events.try_recv() {
            Some(Event::Log { step: other, stream: from, line, .. }) if (other, from) == (*step, *stream) => {
                lines.push(b'\n');
                lines.extend(line);
            }
            other => {
                *following = other;
                break;
            }
        }
    }
    event
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use kiln_builder::event::Stream;

    use super::*;

    #[tokio::test]
    async fn lines_that_wait_together_are_told_together() {
        let (progress, mut events) = Progress::channel();
        let step = progress.step("RUN x");
        let id = step.id();
        assert!(matches!(events.recv().await, Some(Event::Started { .. })));
        for (stream, line) in [(Stream::Stdout, "a"), (Stream::Stdout, "b"), (Stream::Stderr, "c")] {
            step.log(stream, line.into());
        }
        let first = events.recv().await.unwrap();
        let mut following = None;
        let told = with_what_follows(first, &mut events, &mut following);
        let line = |event: &Event| match event {
            Event::Log { line, .. } => String::from_utf8(line.clone()).unwrap(),
            other => format!("{other:?}"),
        };
        assert_eq!((line(&told), line(&following.take().unwrap())), ("a\nb".to_owned(), "c".to_owned()));
        step.log(Stream::Stdout, vec![b'x'; PIECE]);
        step.log(Stream::Stdout, b"y".to_vec());
        let first = events.recv().await.unwrap();
        with_what_follows(first, &mut events, &mut following);
        assert!(following.is_none(), "a piece is long enough");
        let rest =
            Event::Log { step: id, stream: Stream::Stdout, line: b"y".to_vec(), elapsed: Duration::ZERO };
        assert_eq!(line(&events.recv().await.unwrap()), line(&rest));
    }
}
