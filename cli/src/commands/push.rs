//! `kiln push`.

use kiln_registry::Reference;

use crate::error::CliError;
use crate::flags::build::ProgressKind;
use crate::flags::transfer::PushFlags;
use crate::output;
use crate::session::Session;
use crate::work::with_progress;

/// Uploads an image under its own name; prints the digest that the registry knows it by, as docker does.
pub fn perform(flags: &PushFlags, session: &Session) -> Result<(), CliError> {
    let reference = Reference::parse(&flags.image)?;
    let images = session.images()?;
    let view = session.view(if flags.quiet { ProgressKind::Quiet } else { ProgressKind::Auto });
    let push = |progress| {
        let reference = &reference;
        async move { images.push(&images.named(reference)?, reference, &progress).await }
    };
    let (pushed, _) = with_progress(view, None, push)?;
    if flags.quiet {
        return output::print_line(&reference.to_string());
    }
    let tag = reference.tag().unwrap_or_default();
    output::print_line(&format!("{tag}: digest: {} size: {}", pushed.digest, pushed.size))
}
