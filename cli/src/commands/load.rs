//! `kiln load`.

use std::io::IsTerminal;

use kiln_builder::images::LoadSource;

use crate::error::CliError;
use crate::flags::transfer::LoadFlags;
use crate::output;
use crate::session::Session;

/// Brings the images of an archive into the store and prints their names.
pub fn perform(flags: &LoadFlags, session: &Session) -> Result<(), CliError> {
    let images = session.images()?;
    let loaded = match &flags.input {
        Some(path) => images.load(LoadSource::Path(path))?,
        None if std::io::stdin().is_terminal() => {
            let message = "an archive is not read from a terminal";
            return Err(CliError::usage_with_hint(message, "use -i FILE or redirect standard input"));
        }
        None => images.load(LoadSource::Stream(&mut std::io::stdin().lock()))?,
    };
    for image in loaded.iter().filter(|_| !flags.quiet) {
        for name in &image.names {
            output::print_line(&format!("Loaded image: {}", name.familiar()))?;
        }
        if image.names.is_empty() {
            output::print_line(&format!("Loaded image ID: {}", image.record.id))?;
        }
    }
    Ok(())
}
