//! `--format` of commands that list things: a table, JSON lines, or a template for each row.

use serde_json::{Map, Value};

use super::{table, template::Template};

/// A column: its key in templates and JSON, its head in the table.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// `CreatedSince`.
    pub key: &'static str,
    /// `CREATED`.
    pub head: &'static str,
}

/// One row: every key that templates may use.
pub type Row = Map<String, Value>;

/// The rows in the format asked for; the error is one line for a person.
///
/// `json` is one object a line; `table TEMPLATE` has heads; no format is the command's own table.
pub fn rows(format: Option<&str>, columns: &[Column], rows: &[Row]) -> Result<String, String> {
    let text = match format.map(str::trim) {
        None | Some("" | "table") => return Ok(own_table(columns, rows)),
        Some("json") => return Ok(json_lines(rows)),
        Some(text) => text,
    };
    if let Some(text) = text.strip_prefix("table ") {
        return template_table(&Template::parse(text)?, columns, rows);
    }
    let template = Template::parse(text)?;
    rows.iter().map(|row| Ok(template.render(&Value::Object(row.clone()))? + "\n")).collect()
}

fn json_lines(rows: &[Row]) -> String {
    rows.iter().map(|row| Value::Object(row.clone()).to_string() + "\n").collect()
}

/// A row from keys and texts.
pub fn row<const N: usize>(cells: [(&str, String); N]) -> Row {
    cells.into_iter().map(|(key, text)| (key.to_owned(), Value::String(text))).collect()
}

/// At most that many characters of a text, the last of which says that there were more.
pub fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

fn own_table(columns: &[Column], rows: &[Row]) -> String {
    let cell = |row: &Row, column: &Column| {
        row.get(column.key).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let head = columns.iter().map(|column| column.head.to_owned()).collect();
    let body = rows.iter().map(|row| columns.iter().map(|column| cell(row, column)).collect());
    table::to_text(&std::iter::once(head).chain(body).collect::<Vec<_>>())
}

fn template_table(template: &Template, columns: &[Column], rows: &[Row]) -> Result<String, String> {
    let split = |line: String| line.split('\t').map(str::to_owned).collect::<Vec<_>>();
    let heads = columns.iter().map(|column| (column.key.to_owned(), Value::String(column.head.to_owned())));
    // A key that is no column of the table has a head made of its name.
    let known: Row = heads.collect();
    let head = template.render(&Value::Object(known)).unwrap_or_else(|_| template.heads());
    let mut lines = vec![split(head)];
    for row in rows {
        lines.push(split(template.render(&Value::Object(row.clone()))?));
    }
    Ok(table::to_text(&lines))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const COLUMNS: &[Column] = &[Column { key: "Tag", head: "TAG" }, Column { key: "ID", head: "IMAGE ID" }];

    fn sample() -> Vec<Row> {
        vec![row([("Tag", "latest".into()), ("ID", "0123".into()), ("CreatedSince", "now".into())])]
    }

    #[test]
    fn the_formats() {
        let text = |format| rows(format, COLUMNS, &sample()).unwrap();
        assert_eq!(text(None), "TAG       IMAGE ID\nlatest    0123\n");
        assert_eq!(text(Some("table")), text(None));
        assert_eq!(text(Some("{{.Tag}}@{{.ID}}")), "latest@0123\n");
        assert_eq!(text(Some("json")), "{\"CreatedSince\":\"now\",\"ID\":\"0123\",\"Tag\":\"latest\"}\n");
        assert_eq!(text(Some("table {{.ID}}\\t{{.Tag}}")), "IMAGE ID   TAG\n0123       latest\n");
        assert_eq!(
            text(Some("table {{.CreatedSince}}\\t{{.Tag}}")),
            "CREATED SINCE   TAG\nnow             latest\n"
        );
        assert!(rows(Some("{{.Nope}}"), COLUMNS, &sample()).unwrap_err().contains("Nope"));
        assert_eq!(rows(None, COLUMNS, &[]).unwrap(), "TAG       IMAGE ID\n");
    }
}
