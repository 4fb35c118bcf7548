//! `kiln prune`.

use std::io::{BufRead, IsTerminal, Write};

use jiff::Timestamp;
use kiln_cache::{PruneOptions, Selection};

use crate::error::CliError;
use crate::flags::amount;
use crate::flags::storage::PruneFlags;
use crate::output::{self, size};
use crate::session::Session;

/// Removes what nothing needs, or what the flags say, after asking, and tells what went.
pub fn perform(flags: &PruneFlags, session: &Session) -> Result<(), CliError> {
    let options = options(flags, session)?;
    if !flags.force && !confirmed(&options)? {
        return Ok(());
    }
    let report = session.images()?.prune(&options)?;
    for id in &report.images {
        output::print_line(&format!("Deleted: {id}"))?;
    }
    output::print_line(&format!(
        "Removed images: {}, layers: {}, blobs: {}, cached steps: {}, cache mounts: {}",
        report.images.len(),
        report.layers,
        report.blobs,
        report.records,
        report.mounts
    ))?;
    output::print_line(&format!("Total reclaimed space: {}", size::exact(report.bytes)))
}

fn options(flags: &PruneFlags, session: &Session) -> Result<PruneOptions, CliError> {
    let mut filters = flags.filter.clone();
    filters.extend(flags.older_than.iter().map(|duration| format!("older-than={duration}")));
    let only = amount::selection(&filters, Timestamp::now()).map_err(CliError::usage)?;
    // A limit that the environment sets for builds is no order to remove anything now.
    let keep = session.flags.keep_storage.as_deref().map(Session::size).transpose()?;
    Ok(PruneOptions { all: flags.all, keep, only })
}

fn confirmed(options: &PruneOptions) -> Result<bool, CliError> {
    if !std::io::stdin().is_terminal() {
        return Err(CliError::usage_with_hint(
            "nobody is there to be asked",
            "use --force to remove without asking",
        ));
    }
    let what = match options {
        PruneOptions { keep: Some(bytes), .. } => {
            let size = size::exact(*bytes);
            format!("what was used least recently, until the store takes no more than {size}")
        }
        PruneOptions { only, .. } if *only != Selection::default() => {
            "what matches, unless a named image or a running build needs it".to_owned()
        }
        PruneOptions { all: true, .. } => {
            "all untagged images, the whole build cache and all cache mounts".to_owned()
        }
        _ => "everything that nothing refers to".to_owned(),
    };
    let question = format!("WARNING! This will remove {what}.\nAre you sure you want to continue? [y/N] ");
    let mut stderr = std::io::stderr().lock();
    stderr.write_all(question.as_bytes()).and_then(|()| stderr.flush()).map_err(CliError::system("ask"))?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).map_err(CliError::system("read the answer"))?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}
