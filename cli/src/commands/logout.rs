//! `kiln logout`.

use kiln_registry::StoredLogins;

use super::login::{configuration, failed, registry};
use crate::error::CliError;
use crate::flags::login::LogoutFlags;
use crate::output;
use crate::session::Session;

/// Removes what is stored for a registry; that nothing was is no failure, as for docker.
pub fn perform(flags: &LogoutFlags, session: &Session) -> Result<(), CliError> {
    let registry = registry(flags.server.as_deref())?;
    let logins = StoredLogins::at(&configuration(session)?);
    let was_there = logins.erase(registry).map_err(|source| failed("log out of", registry, source))?;
    let said = if was_there { "Removing login credentials for" } else { "Not logged in to" };
    output::print_line(&format!("{said} {}", StoredLogins::key(registry)))
}
