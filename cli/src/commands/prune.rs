//! `kiln prune`.

use std::io::{BufRead, IsTerminal, Write};

use kiln_cache::PruneOptions;

use crate::error::CliError;
use crate::flags::images::PruneFlags;
use crate::output::{self, size};
use crate::session::Session;

/// Removes what nothing needs, after asking, and says what went.
pub fn perform(flags: &PruneFlags, session: &Session) -> Result<(), CliError> {
    if !flags.force && !confirmed(flags.all)? {
        return Ok(());
    }
    let report = session.images()?.prune(&PruneOptions { all: flags.all, ..PruneOptions::default() })?;
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

fn confirmed(all: bool) -> Result<bool, CliError> {
    if !std::io::stdin().is_terminal() {
        return Err(CliError::usage_with_hint(
            "nobody is there to be asked",
            "use --force to remove without asking",
        ));
    }
    let what = if all {
        "all untagged images, the whole build cache and all cache mounts"
    } else {
        "everything that nothing refers to"
    };
    let question = format!("WARNING! This will remove {what}.\nAre you sure you want to continue? [y/N] ");
    let mut stderr = std::io::stderr().lock();
    stderr.write_all(question.as_bytes()).and_then(|()| stderr.flush()).map_err(CliError::system("ask"))?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).map_err(CliError::system("read the answer"))?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}
