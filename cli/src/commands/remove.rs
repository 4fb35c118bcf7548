//! `kiln rmi`.

use kiln_builder::images::{ImageError, Images, Removed};

use crate::error::CliError;
use crate::flags::images::RemoveFlags;
use crate::output;
use crate::session::Session;

/// Removes names and images; what fails does not keep the others from being removed.
pub fn perform(flags: &RemoveFlags, session: &Session) -> Result<(), CliError> {
    let images = session.images()?;
    let mut failures = Vec::new();
    for name in &flags.images {
        match remove(&images, name, flags.force) {
            Ok(()) => {}
            Err(CliError::Image(error)) => failures.push(CliError::Image(error)),
            Err(error) => return Err(error),
        }
    }
    let (failed, all) = (failures.len(), flags.images.len());
    match failures.pop() {
        None => Ok(()),
        Some(only) if all == 1 => Err(only),
        Some(last) => {
            for report in failures.iter().chain([&last]).filter_map(CliError::report) {
                output::remark(report.to_text().trim_end());
            }
            Err(CliError::Several { failed, all })
        }
    }
}

fn remove(images: &Images, name: &str, force: bool) -> Result<(), CliError> {
    let removed = match images.remove(name, force) {
        Err(ImageError::NotFound { .. }) if force => return Ok(()),
        removed => removed?,
    };
    for removed in removed {
        output::print_line(&match removed {
            Removed::Untagged(name) => format!("Untagged: {}", name.familiar()),
            Removed::Deleted(id) => format!("Deleted: {id}"),
        })?;
    }
    Ok(())
}
