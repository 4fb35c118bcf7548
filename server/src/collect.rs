//! Room that the daemon makes by itself: its policies, applied some time after builds have ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;

use crate::server::Server;

/// From the end of a build until room is made: a look at the store is not free, and builds come in bursts.
const AFTERWARDS: Duration = Duration::from_mins(1);

/// Whether room is about to be made.
#[derive(Debug, Default)]
pub(crate) struct Collector {
    is_due: AtomicBool,
}

/// To be called at the end of a build.
pub(crate) fn soon(server: &Arc<Server>) {
    if server.policies.is_empty() || server.collector.is_due.swap(true, Ordering::AcqRel) {
        return;
    }
    let server = Arc::clone(server);
    tokio::spawn(async move {
        tokio::time::sleep(AFTERWARDS).await;
        server.collector.is_due.store(false, Ordering::Release);
        let (policies, store) = (server.policies.clone(), server.builder.store.clone());
        let collected = tokio::task::spawn_blocking(move || {
            policies.iter().try_for_each(|policy| policy.apply(&store, Timestamp::now()).map(drop))
        });
        match collected.await {
            Ok(Ok(())) => {}
            Ok(Err(status)) => (server.log)(&format!("no room could be made: {}", status.message())),
            Err(error) => (server.log)(&format!("no room could be made: {error}")),
        }
    });
}
