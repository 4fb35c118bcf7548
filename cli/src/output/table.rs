//! Columns as docker prints them: at least ten wide, three spaces between, nothing after the last.

const MINIMUM: usize = 10;
const GAP: usize = 3;

/// The rows as text, one line each, columns aligned. The first row is usually the head.
pub fn to_text(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let longest = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
        (longest.unwrap_or(0) + GAP).max(MINIMUM)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    rows.iter().map(|row| line(row, &widths)).collect()
}

fn line(row: &[String], widths: &[usize]) -> String {
    let last = row.len().saturating_sub(1);
    let cells = row.iter().zip(widths).enumerate();
    let mut text: String = cells
        .map(|(column, (cell, width))| if column == last { cell.clone() } else { format!("{cell:<width$}") })
        .collect();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_like_dockers() {
        let row = |cells: &[&str]| cells.iter().map(|&cell| cell.to_owned()).collect::<Vec<_>>();
        let rows =
            [row(&["REPOSITORY", "TAG", "IMAGE ID", "SIZE"]), row(&["a", "latest", "0123456789ab", "1MB"])];
        assert_eq!(
            to_text(&rows),
            "REPOSITORY   TAG       IMAGE ID       SIZE\na            latest    0123456789ab   1MB\n"
        );
        assert_eq!(to_text(&[]), "");
    }
}
