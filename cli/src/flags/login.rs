//! Flags of `login` and `logout`.
//!
//! What they mean is decided in the files of the same names under [`crate::commands`].

use clap::Args;

/// `kiln login [OPTIONS] [SERVER]`.
#[derive(Clone, Args)]
pub struct LoginFlags {
    /// Password or token; other users of the machine can see it while kiln runs
    #[arg(short, long, value_name = "PASSWORD", conflicts_with = "password_stdin")]
    pub password: Option<String>,
    /// Take the password or token from standard input
    #[arg(long)]
    pub password_stdin: bool,
    /// User name
    #[arg(short, long, value_name = "USER")]
    pub username: Option<String>,
    /// Host of the registry, with its port if it has one [default: Docker Hub]
    #[arg(value_name = "SERVER")]
    pub server: Option<String>,
}

impl LoginFlags {
    /// Whether neither user nor password is given in any way.
    pub fn says_nothing(&self) -> bool {
        self.username.is_none() && self.password.is_none() && !self.password_stdin
    }
}

impl std::fmt::Debug for LoginFlags {
    /// Everything but the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoginFlags")
            .field("username", &self.username)
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

/// `kiln logout [SERVER]`.
#[derive(Debug, Clone, Args)]
pub struct LogoutFlags {
    /// Host of the registry, with its port if it has one [default: Docker Hub]
    #[arg(value_name = "SERVER")]
    pub server: Option<String>,
}
