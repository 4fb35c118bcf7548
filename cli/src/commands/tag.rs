//! `kiln tag`.

use kiln_registry::Reference;

use crate::error::CliError;
use crate::flags::images::TagFlags;
use crate::session::Session;

/// Gives an image another name.
pub fn perform(flags: &TagFlags, session: &Session) -> Result<(), CliError> {
    let target = Reference::parse(&flags.target)?;
    Ok(session.images()?.tag(&flags.source, &target)?)
}
