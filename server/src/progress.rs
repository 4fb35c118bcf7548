//! A builder's events as a build's account.

use std::collections::BTreeSet;
use std::sync::Arc;

use kiln_builder::Progress;
use kiln_builder::event::{Event, StepId};
use tokio::sync::{mpsc, oneshot};

use crate::build::Build;

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
    told(build, Some)
}

/// The progress of a builder. With a platform, the steps of the Dockerfile have it in their names.
pub(crate) fn of_builder(build: &Arc<Build>, platform: Option<&str>) -> (Progress, ToldAll) {
    let platform = platform.map(str::to_owned);
    let mut hidden = BTreeSet::new();
    told(build, move |event| match event {
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
    let (sender, mut events) = mpsc::unbounded_channel();
    let (done, told_all) = oneshot::channel();
    let status = Arc::clone(&build.status);
    let part = status.part();
    tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            if let Some(event) = shown(event) {
                status.event(part, event);
            }
        }
        // Nobody may be waiting.
        let _ = done.send(());
    });
    (Progress::new(sender), ToldAll(told_all))
}
