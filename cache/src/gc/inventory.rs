//! What is in the store, for people: one line for each thing that can go on its own, and sizes that add up.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::disk::{disk_usage, share};
use crate::error::At;
use crate::gc::item::{Item, ItemKind};
use crate::gc::policy::{Unit, kept};
use crate::gc::scan::{Scan, Thing, name_of};
use crate::keys::Part;
use crate::records::Record;
use crate::store::{Store, StoreError};

/// The items of a scan, and which of them each unit belongs to.
#[derive(Debug)]
pub(crate) struct Itemised {
    pub items: Vec<Item>,
    pub item_of: Vec<usize>,
}

impl Store {
    /// Everything that takes room. The sizes are those that `du` gives, and add up to that of the store's directory.
    pub fn inventory(&self) -> Result<Vec<Item>, StoreError> {
        let scan = Scan::of(self)?;
        let mut items = folded(itemise(&scan).items);
        // The directory itself is among what was found.
        let tmp = self.inside("tmp");
        let own = tmp.symlink_metadata().at("look at", &tmp).map(|metadata| share(&metadata))?;
        let building = disk_usage(&tmp)?.saturating_sub(own);
        let rest = items.iter_mut().find(|item| item.id.is_empty());
        if let Some(rest) = rest {
            rest.bytes += building;
        }
        Ok(items)
    }
}

/// The same with all small things that can be computed again as one: there are as many of them as there are steps.
fn folded(items: Vec<Item>) -> Vec<Item> {
    let is_small = |item: &Item| item.kind == ItemKind::Internal && !item.id.is_empty();
    let (small, mut items): (Vec<Item>, Vec<Item>) = items.into_iter().partition(is_small);
    let Some(first) = small.first() else { return items };
    let description = match small.len() {
        1 => first.description.clone(),
        count => format!("{count} memos and records"),
    };
    items.push(Item {
        bytes: small.iter().map(|item| item.bytes).sum(),
        created: small.iter().filter_map(|item| item.created).min(),
        last_used: small.iter().filter_map(|item| item.last_used).max(),
        in_use: small.iter().any(|item| item.in_use),
        description,
        ..first.clone()
    });
    items
}

/// Groups units into items: a layer with its blobs and records, an image with its documents.
pub(crate) fn itemise(scan: &Scan) -> Itemised {
    let (items, item_of) = (vec![internal(scan.rest)], vec![usize::MAX; scan.units.len()]);
    let mut grouped = Grouping { scan, items, item_of, has_step: vec![false] };
    let order = [Scan::is_layer, Scan::is_image, |_: &Scan, _| true];
    for wanted in order {
        for index in 0..scan.units.len() {
            if grouped.item_of[index] == usize::MAX && wanted(scan, index) {
                grouped.group(index);
            }
        }
    }
    grouped.mark();
    Itemised { items: grouped.items, item_of: grouped.item_of }
}

impl Scan {
    fn is_layer(&self, index: usize) -> bool {
        matches!(self.things[index], Thing::Layer(_))
    }

    fn is_image(&self, index: usize) -> bool {
        matches!(self.things[index], Thing::Image { .. })
    }
}

/// What belongs to nobody.
fn internal(bytes: u64) -> Item {
    Item {
        id: String::new(),
        kind: ItemKind::Internal,
        bytes,
        created: None,
        last_used: None,
        in_use: true,
        named: false,
        shared: false,
        description: "directories, locks and what is under construction".to_owned(),
    }
}

struct Grouping<'a> {
    scan: &'a Scan,
    items: Vec<Item>,
    item_of: Vec<usize>,
    /// Which items are the results of steps.
    has_step: Vec<bool>,
}

impl Grouping<'_> {
    fn group(&mut self, index: usize) {
        let thing = &self.scan.things[index];
        let layer = self.scan.units[index].holds.first().filter(|_| matches!(thing, Thing::Record(_)));
        if let (Some(layer), Thing::Record(record)) = (layer, thing) {
            let item = self.item_of[*layer];
            self.join(index, item);
            describe(&mut self.items[item], record);
            self.has_step[item] = true;
            return;
        }
        let item = self.items.len();
        self.items.push(self.item(index));
        self.has_step.push(false);
        self.join(index, item);
        for held in &self.scan.units[index].holds {
            if self.item_of[*held] == usize::MAX && matches!(self.scan.things[*held], Thing::Blob(_)) {
                self.join(*held, item);
            }
        }
    }

    fn join(&mut self, index: usize, number: usize) {
        let unit = &self.scan.units[index];
        self.item_of[index] = number;
        let item = &mut self.items[number];
        item.bytes += unit.bytes;
        let used = Timestamp::from_nanosecond(unit.used.into()).ok();
        let is_record = matches!(self.scan.things[index], Thing::Record(_));
        // What is told by records counts: a layer's own time is that of its newest form.
        item.last_used = if is_record && !self.has_step[number] { used } else { item.last_used.max(used) };
        item.in_use |= self.scan.in_use[index];
    }

    /// The item of a unit, without any size.
    fn item(&self, index: usize) -> Item {
        let unit = &self.scan.units[index];
        let (kind, id, description) = match &self.scan.things[index] {
            Thing::Layer(digits) => (ItemKind::Regular, name_of(digits), String::new()),
            Thing::Blob(digits) => {
                (ItemKind::Regular, name_of(digits), "blob that nothing refers to".to_owned())
            }
            Thing::Record(record) => (ItemKind::Internal, record.key.to_string(), step_name(record)),
            Thing::DeadRecord(key) => {
                (ItemKind::Internal, key.to_string(), "record that counts no more".to_owned())
            }
            Thing::Slot(key) => {
                (ItemKind::Internal, key.to_string(), "place of a record that is gone".to_owned())
            }
            Thing::Memo(key) => (ItemKind::Internal, key.to_string(), "memo".to_owned()),
            Thing::Index(key) => {
                (ItemKind::LocalSource, key.to_string(), "digests of a build context's files".to_owned())
            }
            Thing::Mount { mount, number } => {
                let copy = if *number == 0 { String::new() } else { format!(", copy {number}") };
                (ItemKind::CacheMount, mount.key.to_string(), format!("cache mount {}{copy}", mount.id()))
            }
            Thing::Image { record, names, .. } => {
                let names =
                    if names.is_empty() { "image without a name".to_owned() } else { names.join(", ") };
                (ItemKind::Image, record.id.digest().to_owned(), names)
            }
        };
        let created = Timestamp::from_nanosecond(unit.made.into()).ok();
        let (last_used, in_use, named, shared) = (None, false, false, false);
        Item { id, kind, bytes: 0, created, last_used, in_use, named, shared, description }
    }

    /// Says who needs what, and what layers of images are called after.
    fn mark(&mut self) {
        let kept = kept(&self.scan.named_units());
        let mut holders: BTreeMap<usize, usize> = BTreeMap::new();
        for (index, unit) in self.scan.units.iter().enumerate() {
            let item = self.item_of[index];
            self.items[item].named |= kept[index];
            for held in &unit.holds {
                let held = self.item_of[*held];
                if held != item {
                    *holders.entry(held).or_default() += 1;
                }
                if self.items[held].description.is_empty() && !self.items[item].description.is_empty() {
                    self.items[held].description = format!("layer of {}", self.items[item].description);
                }
            }
        }
        for (item, count) in holders {
            self.items[item].shared = count + usize::from(self.has_step[item]) > 1;
        }
        for item in self.items.iter_mut().filter(|item| item.description.is_empty()) {
            "layer that nothing refers to".clone_into(&mut item.description);
        }
    }
}

impl Scan {
    /// The same units, pinned by names alone.
    fn named_units(&self) -> Vec<Unit> {
        let units = self.units.iter().enumerate();
        units.map(|(index, unit)| Unit { pinned: self.is_named(index), ..unit.clone() }).collect()
    }
}

/// A layer is called after the step that made it; of several, the one made last.
fn describe(item: &mut Item, record: &Record) {
    if item.description.is_empty() || item.created.is_none_or(|created| created < record.created) {
        item.created = Some(record.created);
        item.description = step_name(record);
    }
    let has = |name: &str| record.parts.iter().any(|part| part.name == name);
    if has("commit") {
        item.kind = ItemKind::GitSource;
    } else if has("content") && has("file name") {
        item.kind = ItemKind::HttpSource;
    }
}

/// The step as progress showed it, or what is known of it.
fn step_name(record: &Record) -> String {
    let value = |parts: &[Part], name: &str| {
        parts.iter().find(|part| part.name == name).map(|part| part.value.clone())
    };
    let parts = &record.parts;
    value(&record.notes, "name")
        .filter(|name| !name.is_empty())
        .or_else(|| value(parts, "command").map(|command| format!("RUN {command}")))
        .or_else(|| value(parts, "destination").map(|to| format!("COPY to {to}")))
        .or_else(|| value(parts, "directory").map(|path| format!("WORKDIR {path}")))
        .or_else(|| value(parts, "commit").map(|commit| format!("commit {commit}")))
        .or_else(|| value(parts, "file name").map(|name| format!("download of {name}")))
        .unwrap_or_else(|| "step".to_owned())
}
