//! Rows of `kiln du`, `kiln system df` and `kiln cache ls`, in docker's words where docker has some.

use std::fmt::Write;

use jiff::Timestamp;
use kiln_cache::{CacheMount, Item};
use serde_json::Value;

use super::format::{self, Column, Row, row};
use super::{age, size};

/// Longest description before it is cut.
const DESCRIPTION_WIDTH: usize = 60;

/// Digits of an id in a table.
const ID_DIGITS: usize = 12;

/// The columns of `kiln du`.
pub const ITEMS: &[Column] = &[
    Column { key: "ID", head: "ID" },
    Column { key: "Type", head: "TYPE" },
    Column { key: "Reclaimable", head: "RECLAIMABLE" },
    Column { key: "Size", head: "SIZE" },
    Column { key: "LastAccessed", head: "LAST ACCESSED" },
    Column { key: "Description", head: "DESCRIPTION" },
];

/// The columns of `kiln system df`.
pub const KINDS: &[Column] = &[
    Column { key: "Type", head: "TYPE" },
    Column { key: "TotalCount", head: "TOTAL" },
    Column { key: "Active", head: "ACTIVE" },
    Column { key: "Size", head: "SIZE" },
    Column { key: "Reclaimable", head: "RECLAIMABLE" },
];

/// The columns of `kiln cache ls`.
pub const MOUNTS: &[Column] = &[
    Column { key: "ID", head: "ID" },
    Column { key: "Key", head: "KEY" },
    Column { key: "Namespace", head: "NAMESPACE" },
    Column { key: "Copies", head: "COPIES" },
    Column { key: "Size", head: "SIZE" },
    Column { key: "LastUsed", head: "LAST USED" },
    Column { key: "InUse", head: "IN USE" },
];

/// One thing that takes room.
pub fn item(item: &Item, whole: bool, now: Timestamp) -> Row {
    let cut = |text: &str, width| if whole { text.to_owned() } else { on_one_line(text, width) };
    let mut row = row([
        ("ID", if whole { item.id.clone() } else { item.id.chars().take(ID_DIGITS).collect() }),
        ("Type", item.kind.name().to_owned()),
        ("Reclaimable", item.reclaimable().to_string()),
        ("Size", size::short(item.bytes)),
        ("LastAccessed", moment(item.last_used, now)),
        ("LastUsedAt", stamp(item.last_used)),
        ("CreatedAt", stamp(item.created)),
        ("InUse", item.in_use.to_string()),
        ("Shared", item.shared.to_string()),
        ("Description", cut(&item.description, DESCRIPTION_WIDTH)),
    ]);
    row.insert("Bytes".to_owned(), Value::from(item.bytes));
    row
}

/// Everything that is known of items, a block for each.
pub fn details(items: &[Item]) -> String {
    let mut text = String::new();
    for item in items {
        let id = if item.id.is_empty() { "-" } else { &item.id };
        let fields = [
            ("ID", id.to_owned()),
            ("Created at", stamp(item.created)),
            ("Reclaimable", item.reclaimable().to_string()),
            ("In use", item.in_use.to_string()),
            ("Needed by a named image", item.named.to_string()),
            ("Shared", item.shared.to_string()),
            ("Size", size::exact(item.bytes)),
            ("Description", item.description.clone()),
            ("Last used", stamp(item.last_used)),
            ("Type", item.kind.name().to_owned()),
        ];
        for (name, value) in fields {
            // Nothing fails that is written to a string.
            let _ = writeln!(text, "{:<25}{value}", format!("{name}:"));
        }
        text.push('\n');
    }
    text
}

/// How much items are together.
pub fn totals(items: &[Item]) -> String {
    let sum = |wanted: &dyn Fn(&Item) -> bool| {
        size::exact(items.iter().filter(|item| wanted(item)).map(|item| item.bytes).sum())
    };
    format!(
        "Shared:        {}\nPrivate:       {}\nReclaimable:   {}\nTotal:         {}\n",
        sum(&|item| item.shared),
        sum(&|item| !item.shared),
        sum(&Item::reclaimable),
        sum(&|_| true)
    )
}

/// One line of `kiln system df`; `counts` says which items are things of their own.
pub fn kind(name: &str, items: &[&Item], counts: impl Fn(&Item) -> bool) -> Row {
    let count = |wanted: &dyn Fn(&Item) -> bool| items.iter().filter(|item| wanted(item)).count().to_string();
    let bytes: u64 = items.iter().map(|item| item.bytes).sum();
    let free: u64 = items.iter().filter(|item| item.reclaimable()).map(|item| item.bytes).sum();
    let percent =
        (free * 100).checked_div(bytes).map_or_else(String::new, |percent| format!(" ({percent}%)"));
    row([
        ("Type", name.to_owned()),
        ("TotalCount", count(&|item| counts(item))),
        ("Active", count(&|item| counts(item) && item.in_use)),
        ("Size", size::short(bytes)),
        ("Reclaimable", format!("{}{percent}", size::short(free))),
    ])
}

/// One cache mount.
pub fn mount(mount: &CacheMount, now: Timestamp) -> Row {
    let name = mount.name.as_ref();
    let mut row = row([
        ("ID", mount.id()),
        ("Key", mount.key.to_string().chars().take(ID_DIGITS).collect()),
        ("Namespace", name.map(|name| name.namespace.clone()).unwrap_or_default()),
        ("Copies", mount.copies.len().to_string()),
        ("Size", size::short(mount.bytes())),
        ("LastUsed", moment(mount.last_used(), now)),
        ("LastUsedAt", stamp(mount.last_used())),
        ("InUse", mount.in_use().to_string()),
    ]);
    row.insert("Bytes".to_owned(), Value::from(mount.bytes()));
    row
}

fn moment(at: Option<Timestamp>, now: Timestamp) -> String {
    age::since(at.map(|at| at.to_string()).as_deref(), now)
}

fn stamp(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "N/A".to_owned(), |at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

fn on_one_line(text: &str, width: usize) -> String {
    let text: String = text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect();
    format::cut(&text, width)
}
