//! Running blocking work beside the runtime.

/// Runs `work` on a thread where it may block; `None` when the runtime is going down or the work panicked.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok()
}
