//! A builder's events as a build's account.

use std::sync::Arc;

use kiln_builder::Progress;
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

/// Progress that is told to whoever watches the build.
pub(crate) fn of(build: &Arc<Build>) -> (Progress, ToldAll) {
    let (sender, mut events) = mpsc::unbounded_channel();
    let (done, told_all) = oneshot::channel();
    let status = Arc::clone(&build.status);
    let part = status.part();
    tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            status.event(part, event);
        }
        drop(done.send(()));
    });
    (Progress::new(sender), ToldAll(told_all))
}
