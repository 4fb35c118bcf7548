//! Rows of `kiln images` and `kiln history`, in docker's words.

use jiff::Timestamp;
use kiln_builder::images::{HistoryLine, Listed};
use kiln_registry::Reference;

use super::format::{Column, Row, cut, row};
use super::{age, size};

const NONE: &str = "<none>";

/// Longest text of a history line's instruction before it is cut.
const CREATED_BY_WIDTH: usize = 45;

/// The columns of `kiln images`.
pub const IMAGES: &[Column] = &[
    Column { key: "Repository", head: "REPOSITORY" },
    Column { key: "Tag", head: "TAG" },
    Column { key: "ID", head: "IMAGE ID" },
    Column { key: "CreatedSince", head: "CREATED" },
    Column { key: "Size", head: "SIZE" },
];

/// The columns of `kiln images --digests`.
pub const IMAGES_WITH_DIGESTS: &[Column] = &[
    Column { key: "Repository", head: "REPOSITORY" },
    Column { key: "Tag", head: "TAG" },
    Column { key: "Digest", head: "DIGEST" },
    Column { key: "ID", head: "IMAGE ID" },
    Column { key: "CreatedSince", head: "CREATED" },
    Column { key: "Size", head: "SIZE" },
];

/// The columns of `kiln history`.
pub const HISTORY: &[Column] = &[
    Column { key: "ID", head: "IMAGE" },
    Column { key: "CreatedSince", head: "CREATED" },
    Column { key: "CreatedBy", head: "CREATED BY" },
    Column { key: "Size", head: "SIZE" },
    Column { key: "Comment", head: "COMMENT" },
];

/// The first twelve digits of an id, or all of it with its algorithm.
pub fn id(digest: &str, whole: bool) -> String {
    match digest.split_once(':') {
        Some((_, hex)) if !whole => hex.chars().take(12).collect(),
        _ => digest.to_owned(),
    }
}

/// The id of each row on a line of its own; an image with two names twice, as docker prints them.
pub fn ids(rows: &[Row]) -> String {
    rows.iter().filter_map(|row| row.get("ID")?.as_str()).flat_map(|id| [id, "\n"]).collect()
}

/// The rows of one image: one for each name that `wanted` lets through, one if it has no name.
pub fn images(image: &Listed, wanted: &dyn Fn(&Reference) -> bool, whole: bool, now: Timestamp) -> Vec<Row> {
    let named = image.names.iter().filter(|name| wanted(name));
    let mut rows: Vec<Row> = named.map(|name| image_row(image, Some(name), whole, now)).collect();
    if image.names.is_empty() {
        rows.push(image_row(image, None, whole, now));
    }
    rows
}

fn image_row(image: &Listed, name: Option<&Reference>, whole: bool, now: Timestamp) -> Row {
    let none = || NONE.to_owned();
    row([
        ("Repository", name.map_or_else(none, Reference::familiar_name)),
        ("Tag", name.and_then(Reference::tag).map_or_else(none, str::to_owned)),
        ("Digest", image.digest_of(name).map_or_else(none, ToString::to_string)),
        ("ID", id(image.id.as_ref(), whole)),
        ("CreatedSince", age::since(image.created.as_deref(), now)),
        ("CreatedAt", image.created.clone().unwrap_or_else(|| "N/A".to_owned())),
        ("Size", size::short(image.size)),
        ("VirtualSize", size::short(image.size)),
        ("Containers", "N/A".to_owned()),
        ("SharedSize", "N/A".to_owned()),
        ("UniqueSize", "N/A".to_owned()),
    ])
}

/// How the lines of a history are shown.
#[derive(Debug, Clone, Copy)]
pub struct HistoryStyle {
    /// Whether nothing is cut.
    pub whole: bool,
    /// Whether sizes and times are for people.
    pub human: bool,
}

/// The row of a history line; only the newest one has the image's id.
pub fn history(line: &HistoryLine, image: Option<&str>, style: HistoryStyle, now: Timestamp) -> Row {
    let created_at = line.created.clone().unwrap_or_else(|| "N/A".to_owned());
    let created = if style.human { age::since(line.created.as_deref(), now) } else { created_at.clone() };
    let by = line.created_by.replace('\t', " ");
    row([
        ("ID", image.map_or_else(|| "<missing>".to_owned(), |image| id(image, style.whole))),
        ("CreatedSince", created),
        ("CreatedAt", created_at),
        ("CreatedBy", if style.whole { by } else { cut(&by, CREATED_BY_WIDTH) }),
        ("Size", if style.human { size::short(line.size) } else { line.size.to_string() }),
        ("Comment", line.comment.clone()),
    ])
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::output::format;

    const ID: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn now() -> Timestamp {
        "2026-01-02T00:00:00Z".parse().unwrap()
    }

    fn image(names: &[&str]) -> Listed {
        Listed {
            id: ID.parse().unwrap(),
            names: names.iter().map(|name| Reference::parse(name).unwrap()).collect(),
            origin: None,
            created: Some("2026-01-01T00:00:00Z".into()),
            size: 116_000_000,
            platform: "linux/amd64".into(),
        }
    }

    #[test]
    fn the_table_is_dockers() {
        let rows = images(&image(&["debian:12", "localhost:5000/app:1"]), &|_| true, false, now());
        assert_eq!(
            format::rows(None, IMAGES, &rows).unwrap(),
            "REPOSITORY           TAG       IMAGE ID       CREATED        SIZE\n\
             debian               12        0123456789ab   24 hours ago   116MB\n\
             localhost:5000/app   1         0123456789ab   24 hours ago   116MB\n"
        );
    }

    #[test]
    fn an_image_without_a_name_is_shown_as_none() {
        let rows = images(&image(&[]), &|_| true, true, now());
        assert_eq!(rows[0].get("Repository").unwrap(), "<none>");
        assert_eq!(rows[0].get("ID").unwrap(), ID);
    }

    #[test]
    fn names_that_are_not_wanted_have_no_row() {
        let wanted = |name: &Reference| name.tag() == Some("1");
        assert_eq!(images(&image(&["a:1", "a:2"]), &wanted, false, now()).len(), 1);
    }

    #[test]
    fn history_lines_are_cut_unless_whole() {
        let line = HistoryLine {
            created: Some("2026-01-01T23:59:00Z".into()),
            created_by: "RUN /bin/sh -c apt-get update\t&& apt-get install -y gcc # buildkit".into(),
            comment: "buildkit.dockerfile.v0".into(),
            size: 1234,
        };
        let short = history(&line, None, HistoryStyle { whole: false, human: true }, now());
        assert_eq!(short.get("CreatedBy").unwrap(), "RUN /bin/sh -c apt-get update && apt-get ins…");
        assert_eq!(short.get("ID").unwrap(), "<missing>");
        assert_eq!(short.get("Size").unwrap(), "1.23kB");
        assert_eq!(short.get("CreatedSince").unwrap(), "About a minute ago");
        let whole = history(&line, Some(ID), HistoryStyle { whole: true, human: false }, now());
        assert_eq!(whole.get("ID").unwrap(), ID);
        assert_eq!(whole.get("Size").unwrap(), "1234");
        assert_eq!(whole.get("CreatedSince").unwrap(), "2026-01-01T23:59:00Z");
    }
}
