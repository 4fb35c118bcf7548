//! Answers to questions about a Dockerfile, without a build: what the checks find, what the target can be given, which
//! targets there are.
//!
//! The answers are docker's, in text and in JSON, so that tools that read them keep working; the fields that only kiln has
//! are additions. Pure: the command line prints them, the server sends them.

pub mod check;
pub mod location;
pub mod outline;
pub mod targets;

use kiln_parser::Diagnostic;

/// Whether nothing can be built before this is mended. What a check found is none, even where the file asks for errors.
pub fn is_mistake(diagnostic: &Diagnostic) -> bool {
    diagnostic.is_error() && !kiln_parser::check::is_violation(diagnostic) && !is_unsupported(diagnostic)
}

/// Whether this is kiln's shortcoming and not the file's.
pub fn is_unsupported(diagnostic: &Diagnostic) -> bool {
    diagnostic.code == "not-supported-yet"
}

/// Rows with columns aligned as Go's tabwriter does: as wide as their widest cell, `gap` spaces between.
fn aligned(rows: &[Vec<String>], gap: usize) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widest = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(|column| widest(column) + gap).collect();
    let line = |row: &Vec<String>| {
        let last = row.len().saturating_sub(1);
        let cells = row.iter().zip(&widths).enumerate();
        let padded = cells.map(
            |(column, (cell, width))| {
                if column == last { cell.clone() } else { format!("{cell:<width$}") }
            },
        );
        padded.collect::<String>() + "\n"
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::aligned;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let row = |cells: &[&str]| cells.iter().map(|&cell| cell.to_owned()).collect::<Vec<_>>();
        let rows = [row(&["TARGET", "DESCRIPTION"]), row(&["release-é", "makes it"]), row(&["a", ""])];
        assert_eq!(aligned(&rows, 1), "TARGET    DESCRIPTION\nrelease-é makes it\na         \n");
        assert_eq!(aligned(&[], 3), "");
    }
}
