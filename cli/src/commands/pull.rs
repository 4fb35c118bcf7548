//! `kiln pull`.

use kiln_registry::Reference;

use crate::error::CliError;
use crate::flags::build::ProgressKind;
use crate::flags::transfer::PullFlags;
use crate::output;
use crate::session::Session;
use crate::work::with_progress;

/// Downloads an image; prints its digest, what was done, and its full name, as docker does.
pub fn perform(flags: &PullFlags, session: &Session) -> Result<(), CliError> {
    let reference = Reference::parse(&flags.image)?;
    let platform = session.platform(flags.platform.as_deref())?;
    // Without a word for it, any platform of an image that has only one will do, as in docker.
    let exact = flags.platform.is_some() || session.environment.default_platform().is_some();
    let images = session.images()?;
    let view = session.view(if flags.quiet { ProgressKind::Quiet } else { ProgressKind::Auto });
    let pull = |progress| {
        let reference = &reference;
        async move { images.pull(reference, &platform, exact, &progress).await }
    };
    let (pulled, _) = with_progress(view, None, pull)?;
    if !flags.quiet {
        if let Some(digest) = &pulled.digest {
            output::print_line(&format!("Digest: {digest}"))?;
        }
        let familiar = reference.familiar();
        let status = if pulled.is_new { "Downloaded newer image" } else { "Image is up to date" };
        output::print_line(&format!("Status: {status} for {familiar}"))?;
    }
    output::print_line(&reference.to_string())
}
