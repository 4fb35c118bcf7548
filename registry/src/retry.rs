//! When a request is tried again, and after how long. The policy is pure; [`retrying`] applies it.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use crate::error::RegistryError;

/// When and how often a request is tried again after a temporary failure.
#[derive(Debug, Clone)]
pub struct RetryPolicy {
    /// Tries, the first one included.
    pub tries: u32,
    /// Wait before the second try; doubled each time.
    pub base: Duration,
    /// Longest wait, also when the registry asks for a longer one.
    pub cap: Duration,
}

impl Default for RetryPolicy {
    /// Five tries within about five seconds: longer than a proxy's restart, shorter than a user's patience.
    fn default() -> Self {
        Self { tries: 5, base: Duration::from_millis(300), cap: Duration::from_secs(30) }
    }
}

impl RetryPolicy {
    /// How long to wait after the `failed`th try (counted from 1), or nothing if that was the last one.
    /// `spread` (0 to 255) shortens the wait by up to half, so that many clients do not return at once.
    pub fn wait(&self, failed: u32, retry_after: Option<Duration>, spread: u8) -> Option<Duration> {
        if failed >= self.tries {
            return None;
        }
        let doubled =
            self.base.saturating_mul(1_u32.checked_shl(failed.saturating_sub(1)).unwrap_or(u32::MAX));
        let spread = doubled.min(self.cap).mul_f64(1.0 - f64::from(spread) / 512.0);
        Some(spread.max(retry_after.unwrap_or_default()).min(self.cap))
    }

    /// Waits as the policy says after a failure; false if it says to give up.
    pub(crate) async fn pause(&self, failed: u32, error: &RegistryError) -> bool {
        if !error.is_temporary() {
            return false;
        }
        let Some(wait) = self.wait(failed, error.retry_after(), spread()) else {
            return false;
        };
        tokio::time::sleep(wait).await;
        true
    }
}

/// Performs `operation` until it succeeds, fails for good, or was tried often enough.
///
/// The operation is a closure that returns a future, not an async closure: only so can the compiler see
/// that what awaits it may move between threads.
pub(crate) async fn retrying<T, F>(
    policy: &RetryPolicy,
    mut operation: impl FnMut() -> F,
) -> Result<T, RegistryError>
where
    F: Future<Output = Result<T, RegistryError>>,
{
    let mut failed = 0;
    loop {
        match operation().await {
            Ok(value) => return Ok(value),
            Err(error) => {
                failed += 1;
                if !policy.pause(failed, &error).await {
                    return Err(error);
                }
            }
        }
    }
}

/// A random byte: the standard library's hash seeds are random, and nothing here needs more.
fn spread() -> u8 {
    RandomState::new().hash_one(()).to_le_bytes()[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_longer_each_time_and_gives_up() {
        let policy = RetryPolicy { tries: 4, base: Duration::from_secs(1), cap: Duration::from_secs(3) };
        let waits: Vec<_> = (1..=4).map(|failed| policy.wait(failed, None, 0)).collect();
        assert_eq!(
            waits,
            [1, 2, 3].map(|s| Some(Duration::from_secs(s))).into_iter().chain([None]).collect::<Vec<_>>()
        );
        let spread = policy.wait(1, None, 255);
        assert!(spread > Some(Duration::from_millis(500)) && spread < Some(Duration::from_millis(510)));
    }

    #[test]
    fn does_as_it_is_told_within_reason() {
        let policy = RetryPolicy { tries: 2, base: Duration::from_secs(1), cap: Duration::from_secs(30) };
        assert_eq!(policy.wait(1, Some(Duration::from_secs(7)), 9), Some(Duration::from_secs(7)));
        assert_eq!(policy.wait(1, Some(Duration::from_hours(1)), 9), Some(Duration::from_secs(30)));
        let endless = RetryPolicy { tries: u32::MAX, ..policy };
        assert_eq!(endless.wait(u32::MAX - 1, None, 0), Some(Duration::from_secs(30)));
    }
}
