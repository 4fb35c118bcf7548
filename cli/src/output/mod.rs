//! What people and scripts are shown: text made from data.
//!
//! Everything here but [`print()`] and [`progress::show`] is a pure function from data to text, in docker's
//! shapes. Called by [`crate::commands`].

pub mod age;
pub mod format;
pub mod inspect;
pub mod listing;
pub mod progress;
pub mod size;
pub mod storage;
pub mod table;
pub mod template;

use std::io::Write;

use crate::error::CliError;

/// Writes the text to standard output, whole.
///
/// A reader that has gone away (`kiln images | head -1`) is [`CliError::BrokenPipe`], which ends the program
/// quietly.
pub fn print(text: &str) -> Result<(), CliError> {
    print_bytes(text.as_bytes())
}

/// Writes a line to standard output.
pub fn print_line(text: &str) -> Result<(), CliError> {
    print_bytes(format!("{text}\n").as_bytes())
}

fn print_bytes(bytes: &[u8]) -> Result<(), CliError> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(CliError::standard_output)
}

/// Writes whole lines to standard error, as they are.
pub fn lines(lines: &[u8]) {
    drop(std::io::stderr().lock().write_all(lines));
}

/// Writes a line to standard error. Nobody can be told when that fails.
pub fn remark(text: &str) {
    drop(std::io::stderr().lock().write_all(format!("{text}\n").as_bytes()));
}
