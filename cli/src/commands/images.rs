//! `kiln images`.

use jiff::Timestamp;
use kiln_registry::Reference;

use crate::error::CliError;
use crate::flags::images::ImagesFlags;
use crate::output::format;
use crate::output::{self, listing};
use crate::session::Session;

/// Lists the images of the store, newest first.
pub fn perform(flags: &ImagesFlags, session: &Session) -> Result<(), CliError> {
    let wanted = flags.name.as_deref().map(Wanted::parse).transpose()?;
    let lets_through = |name: &Reference| wanted.as_ref().is_none_or(|wanted| wanted.lets_through(name));
    let now = Timestamp::now();
    let mut rows = Vec::new();
    for image in session.images()?.list()? {
        if wanted.is_none() || image.names.iter().any(lets_through) {
            rows.extend(listing::images(&image, &lets_through, flags.no_trunc, now));
        }
    }
    if flags.quiet {
        return output::print(&listing::ids(&rows));
    }
    let columns = if flags.digests { listing::IMAGES_WITH_DIGESTS } else { listing::IMAGES };
    let text = format::rows(flags.format.as_deref(), columns, &rows).map_err(CliError::usage)?;
    output::print(&text)
}

/// `REPOSITORY[:TAG]` of the command line.
struct Wanted {
    reference: Reference,
    /// Whether a tag was written; without one every tag will do.
    tagged: bool,
}

impl Wanted {
    fn parse(text: &str) -> Result<Self, CliError> {
        let reference = Reference::parse(text)?;
        let last = text.rsplit('/').next().unwrap_or(text);
        Ok(Self { reference, tagged: last.contains([':', '@']) })
    }

    fn lets_through(&self, name: &Reference) -> bool {
        name.name() == self.reference.name() && (!self.tagged || name.tag() == self.reference.tag())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn lets_through(wanted: &str, name: &str) -> bool {
        Wanted::parse(wanted).unwrap().lets_through(&Reference::parse(name).unwrap())
    }

    #[test]
    fn a_repository_selects_all_its_tags_and_a_name_one() {
        assert!(lets_through("debian", "debian:12") && lets_through("docker.io/library/debian", "debian:12"));
        assert!(lets_through("debian:12", "debian:12") && !lets_through("debian:12", "debian:11"));
        assert!(lets_through("localhost:5000/a", "localhost:5000/a:1"));
        assert!(!lets_through("debian", "user/debian"));
    }
}
