//! `kiln run`: a process in a new container, its exit code as kiln's own.
//!
//! [`request`] reads the flags, [`attach`] joins the process to the user's terminal and signals.

mod attach;
mod request;

use kiln_builder::images::{ImageError, Images};
use kiln_builder::{Progress, RunRequest};
use kiln_cache::ImageRecord;
use kiln_registry::Reference;

use crate::error::CliError;
use crate::flags::build::ProgressKind;
use crate::flags::run::RunFlags;
use crate::output::progress::View;
use crate::session::Session;
use crate::terminal;
use crate::work::{runtime, with_progress};

/// Runs a command and gives its exit code.
pub fn perform(flags: &RunFlags, session: &Session) -> Result<u8, CliError> {
    let options = request::read(flags, &session.environment)?;
    if flags.tty && flags.interactive && !terminal::stdin_is_terminal() {
        let message = "-t was asked for, but standard input is not a terminal";
        return Err(CliError::usage_with_hint(message, "leave -t out in scripts"));
    }
    let Some((name, command)) = flags.image_and_command.split_first() else {
        return Err(CliError::usage("no image was named"));
    };
    let builder = session.builder()?;
    let record = prepare(name, flags, session, builder.images())?;
    let request = RunRequest { command: command.to_vec(), ..options.into_request(record) };
    let runtime = runtime()?;
    let result = runtime.block_on(async {
        // Everything was fetched and unpacked before: there is no progress left to show.
        let (sender, _) = tokio::sync::mpsc::unbounded_channel();
        let running = builder.run(request, &Progress::new(sender)).await?;
        attach::attach(running, flags.tty, flags.interactive).await
    });
    // A thread may still wait for the user to type: it ends with the process.
    runtime.shutdown_background();
    result
}

/// The image with its layers unpacked, so that nothing is shown any more once the process runs.
fn prepare(name: &str, flags: &RunFlags, session: &Session, images: Images) -> Result<ImageRecord, CliError> {
    let platform = session.platform(flags.platform.as_deref())?;
    let here = find(&images, name, &platform, flags)?;
    let kind = if flags.quiet { ProgressKind::Quiet } else { ProgressKind::Auto };
    // In a script, standard error is the process's: what kiln does for an image that is here is no news.
    let view = match session.view(kind) {
        View::Plain if here.is_some() => View::Quiet,
        view => view,
    };
    let work = |progress: Progress| async move {
        let record = if let Some(record) = here {
            record
        } else {
            let always = flags.pull == "always";
            images.obtain(&Reference::parse(name)?, &platform, always, &progress).await?
        };
        images.unpack(&record, &progress).await?;
        Ok::<_, CliError>(record)
    };
    with_progress(view, None, work).map(|(record, _)| record)
}

/// The image if the store has it and it will do.
fn find(
    images: &Images,
    name: &str,
    platform: &str,
    flags: &RunFlags,
) -> Result<Option<ImageRecord>, CliError> {
    if flags.pull == "always" {
        return Ok(None);
    }
    match images.find(name) {
        Ok(record) if flags.platform.is_none() || record.platform == platform => Ok(Some(record)),
        Ok(_) | Err(ImageError::NotFound { .. }) if flags.pull != "never" => Ok(None),
        Ok(_) => Err(ImageError::NotFound { name: format!("{name} for {platform}") }.into()),
        Err(error) => Err(error.into()),
    }
}
