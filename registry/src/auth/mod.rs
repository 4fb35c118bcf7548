//! Authentication.

/// Why a login failed.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// Nothing offered can be answered.
    #[error("the registry offers no login that is understood")]
    NoChallenge,
}

impl AuthError {
    /// Whether a later try may succeed.
    pub fn is_temporary(&self) -> bool {
        false
    }
    /// Whether credentials were refused.
    pub fn is_refused(&self) -> bool {
        false
    }
    /// What to do.
    pub fn hint(&self, host: &str) -> Option<String> {
        Some(format!("docker login {host}"))
    }
}
