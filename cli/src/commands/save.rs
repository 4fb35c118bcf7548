//! `kiln save`.

use std::io::IsTerminal;

use kiln_builder::images::{ArchiveFormat, Images};
use kiln_cache::ImageRecord;
use kiln_registry::Reference;

use super::destination::Writing;
use crate::error::CliError;
use crate::flags::build::ProgressKind;
use crate::flags::output::Destination;
use crate::flags::transfer::SaveFlags;
use crate::session::Session;
use crate::work::with_progress;

/// Writes images into one archive.
pub fn perform(flags: &SaveFlags, session: &Session) -> Result<(), CliError> {
    let images = session.images()?;
    let selected = select(&images, &flags.images)?;
    let destination = match &flags.output {
        Some(path) => Destination::File(path.clone()),
        None if std::io::stdout().is_terminal() => {
            return Err(CliError::usage_with_hint(
                "an archive is not written to a terminal",
                "use -o FILE or redirect standard output",
            ));
        }
        None => Destination::Stdout,
    };
    let format = if flags.format == "oci" { ArchiveFormat::Oci } else { ArchiveFormat::Docker };
    let writing = Writing::begin(&destination)?;
    let writer = writing.writer()?;
    let work = |progress| async move { images.save(selected, format, writer, &progress).await };
    let (writer, _) = with_progress(session.view(ProgressKind::Quiet), None, work)?;
    writing.finish(writer)
}

/// The images with the names they get in the archive: those that were asked for. Two names of one image are one
/// image with two names.
fn select(images: &Images, wanted: &[String]) -> Result<Vec<(ImageRecord, Vec<Reference>)>, CliError> {
    let mut selected: Vec<(ImageRecord, Vec<Reference>)> = Vec::new();
    for text in wanted {
        let record = images.find(text)?;
        let inspected = images.inspect(text)?;
        let name = Reference::parse(text).ok().filter(|name| inspected.listed.names.contains(name));
        match selected.iter_mut().find(|(other, _)| other.id == record.id) {
            Some((_, names)) => names.extend(name),
            None => selected.push((record, name.into_iter().collect())),
        }
    }
    Ok(selected)
}
