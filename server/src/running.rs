//! The builds that are under way: counted, so that a daemon that stops lets them end, and takes no new ones.

use std::sync::Arc;

use tokio::sync::watch;
use tonic::Status;

/// The builds of one daemon.
#[derive(Debug, Default)]
pub(crate) struct Running {
    state: watch::Sender<State>,
}

#[derive(Debug, Default)]
struct State {
    builds: usize,
    is_stopping: bool,
}

/// One build, which is under way until this is dropped.
#[derive(Debug)]
pub(crate) struct UnderWay(Arc<Running>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.state.send_modify(|state| state.builds -= 1);
    }
}

impl Running {
    /// Begins a build, unless the daemon is about to stop.
    pub(crate) fn begin(running: &Arc<Self>) -> Result<UnderWay, Status> {
        let began = running.state.send_if_modified(|state| {
            state.builds += usize::from(!state.is_stopping);
            !state.is_stopping
        });
        if began {
            Ok(UnderWay(Arc::clone(running)))
        } else {
            Err(Status::unavailable("the daemon is stopping"))
        }
    }

    /// Lets no more builds begin; ends when the last one has ended.
    pub(crate) async fn stop(&self) {
        self.state.send_modify(|state| state.is_stopping = true);
        // Only an error if the sender were gone, which is borrowed here.
        let _ = self.state.subscribe().wait_for(|state| state.builds == 0).await;
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.state.borrow().builds
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn what_runs_may_end_and_nothing_new_begins() {
        let running = Arc::new(Running::default());
        let build = Running::begin(&running).unwrap();
        let stopping = tokio::spawn({
            let running = Arc::clone(&running);
            async move { running.stop().await }
        });
        while !running.state.borrow().is_stopping {
            tokio::task::yield_now().await;
        }
        let refused = Running::begin(&running).unwrap_err();
        assert_eq!((refused.code(), running.count()), (tonic::Code::Unavailable, 1));
        assert!(!stopping.is_finished());
        drop(build);
        stopping.await.unwrap();
    }
}
