//! `kiln history`.

use jiff::Timestamp;

use crate::error::CliError;
use crate::flags::images::HistoryFlags;
use crate::output;
use crate::output::format;
use crate::output::listing::{self, HistoryStyle};
use crate::session::Session;

/// Shows how an image was made, newest line first.
pub fn perform(flags: &HistoryFlags, session: &Session) -> Result<(), CliError> {
    let images = session.images()?;
    let record = images.find(&flags.image)?;
    let id = record.id.to_string();
    let style = HistoryStyle { whole: flags.no_trunc, human: flags.human };
    let now = Timestamp::now();
    let lines = images.history(&record)?;
    let newest = |index: usize| (index == 0).then_some(id.as_str());
    let rows: Vec<_> = lines
        .iter()
        .enumerate()
        .map(|(index, line)| listing::history(line, newest(index), style, now))
        .collect();
    if flags.quiet {
        return output::print(&listing::ids(&rows));
    }
    let text = format::rows(flags.format.as_deref(), listing::HISTORY, &rows).map_err(CliError::usage)?;
    output::print(&text)
}
