//! What the store holds and how room is made in it, in the clients' words: filters, ages, amounts.
//!
//! A client's `prune` and the daemon's own policies are the same thing, a [`Policy`]. What may go at all is the cache's
//! business: nothing that a running build relies on or a named image needs is removed.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kiln_cache::{Item, ItemKind, PruneOptions, Selection, Store, StoreError};
use tonic::Status;

use crate::api::control::types::GcPolicy;
use crate::api::control::{PruneRequest, UsageRecord};
use crate::failure::told;

/// What no id begins with.
const NOTHING: &str = "nothing";

/// What may go, and how far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// Also what the store keeps for itself.
    pub all: bool,
    /// What may go: of several, any; everything if there are none.
    pub filters: Vec<String>,
    /// Only what was not used for so long.
    pub unused_for: Duration,
    /// Bytes that are kept in any case.
    pub reserved: u64,
    /// Bytes that may be used; 0 is no limit.
    pub max_used: u64,
    /// Bytes of the disk that stay free, as far as what is reserved allows.
    pub min_free: u64,
}

/// A filter that selects nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// It asks for something that no item has.
    #[error(
        "filter `{filter}`: `{key}` is not known; there are type, id, description, inuse, shared, private and until"
    )]
    Key {
        /// The whole filter.
        filter: String,
        /// The part.
        key: String,
    },
    /// It compares in a way that has no meaning here.
    #[error(
        "filter `{filter}`: `{condition}` cannot be asked; write KEY==VALUE, or KEY~=TEXT for a description"
    )]
    Condition {
        /// The whole filter.
        filter: String,
        /// The part.
        condition: String,
    },
}

impl Policy {
    /// What a client asks for.
    pub(crate) fn asked(request: PruneRequest) -> Self {
        let count = |value: i64| u64::try_from(value).unwrap_or_default();
        Self {
            all: request.all,
            filters: request.filter,
            unused_for: Duration::from_nanos(count(request.keep_duration)),
            reserved: count(request.reserved_space),
            max_used: count(request.max_used_space),
            min_free: count(request.min_free_space),
        }
    }

    /// As clients are told.
    pub(crate) fn message(&self) -> GcPolicy {
        let count = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        GcPolicy {
            all: self.all,
            keep_duration: i64::try_from(self.unused_for.as_nanos()).unwrap_or(i64::MAX),
            reserved_space: count(self.reserved),
            filters: self.filters.clone(),
            max_used_space: count(self.max_used),
            min_free_space: count(self.min_free),
        }
    }

    /// What is selected, as the cache has it: one selection for each filter.
    pub fn selections(&self, now: Timestamp) -> Result<Vec<Selection>, FilterError> {
        let mut selections = selections(&self.filters, now)?;
        for selection in &mut selections {
            if !self.unused_for.is_zero() {
                let age = SignedDuration::try_from(self.unused_for).unwrap_or(SignedDuration::MAX);
                let since = now.saturating_sub(age).unwrap_or(Timestamp::MIN);
                selection.unused_since = Some(selection.unused_since.map_or(since, |other| other.min(since)));
            }
            if !self.all && selection.kinds.is_empty() {
                selection.kinds =
                    ItemKind::ALL.into_iter().filter(|kind| *kind != ItemKind::Internal).collect();
            }
        }
        Ok(selections)
    }

    /// How much the store may hold afterwards, when it holds `total` and the disk has `free`; nothing is no limit that
    /// anything has to be kept for.
    fn keep(&self, total: u64, free: u64) -> Option<u64> {
        if self.max_used == 0 && self.reserved == 0 && self.min_free == 0 {
            return None;
        }
        let short = self.min_free.saturating_sub(free);
        let below_limit = if self.max_used == 0 { total } else { self.max_used };
        let keep = if short == 0 { below_limit } else { below_limit.min(total.saturating_sub(short)) };
        // Where only a reserve is given, it is the limit.
        let keep = if self.max_used == 0 && self.min_free == 0 { 0 } else { keep };
        Some(keep.max(self.reserved))
    }

    /// Makes room; gives what went. Blocks.
    pub(crate) fn apply(&self, store: &Store, now: Timestamp) -> Result<Vec<UsageRecord>, Status> {
        let internal = |error: StoreError| told(tonic::Code::Internal, &error);
        let selections = self.selections(now).map_err(|error| Status::invalid_argument(error.to_string()))?;
        let before = store.inventory().map_err(internal)?;
        let total = before.iter().map(|item| item.bytes).sum();
        let free = free(store).map_err(|error| told(tonic::Code::Internal, &error))?;
        let keep = self.keep(total, free);
        if keep.is_some_and(|keep| total <= keep) {
            return Ok(Vec::new());
        }
        for only in selections {
            store.prune(&PruneOptions { all: true, keep, only }).map_err(internal)?;
        }
        let after = store.inventory().map_err(internal)?;
        Ok(gone(before, &after))
    }
}

/// Everything that one of the filters selects. Blocks.
pub(crate) fn records(store: &Store, policy: &Policy, now: Timestamp) -> Result<Vec<UsageRecord>, Status> {
    let selections = policy.selections(now).map_err(|error| Status::invalid_argument(error.to_string()))?;
    let mut items = store.inventory().map_err(|error| told(tonic::Code::Internal, &error))?;
    items.retain(|item| selections.iter().any(|only| only.matches(item)));
    Ok(items.into_iter().map(record).collect())
}

/// The bytes that are free on the store's disk, and how many it has.
fn free(store: &Store) -> std::io::Result<u64> {
    let disk = rustix::fs::statvfs(store.root())?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// The size of the disk that a directory is on.
pub fn disk_size(directory: &std::path::Path) -> std::io::Result<u64> {
    let disk = rustix::fs::statvfs(directory)?;
    Ok(disk.f_blocks.saturating_mul(disk.f_frsize))
}

/// What was there and is no more, and by how much the rest has become smaller.
fn gone(before: Vec<Item>, after: &[Item]) -> Vec<UsageRecord> {
    let left: std::collections::HashMap<(&str, ItemKind), u64> =
        after.iter().map(|item| ((item.id.as_str(), item.kind), item.bytes)).collect();
    let lost = before.into_iter().filter_map(|item| {
        let left = left.get(&(item.id.as_str(), item.kind)).copied().unwrap_or_default();
        let bytes = item.bytes.checked_sub(left).filter(|bytes| *bytes > 0)?;
        Some(record(Item { bytes, in_use: false, ..item }))
    });
    lost.collect()
}

fn record(item: Item) -> UsageRecord {
    let time = |time: Timestamp| prost_types::Timestamp {
        seconds: time.as_second(),
        nanos: time.subsec_nanosecond(),
    };
    UsageRecord {
        id: item.id,
        mutable: item.kind == ItemKind::CacheMount,
        in_use: item.in_use || item.named,
        size: i64::try_from(item.bytes).unwrap_or(i64::MAX),
        created_at: item.created.map(time),
        last_used_at: item.last_used.map(time),
        usage_count: i64::from(item.last_used.is_some()),
        description: item.description,
        record_type: item.kind.name().to_owned(),
        shared: item.shared,
        ..UsageRecord::default()
    }
}

/// One selection for each filter; a filter's conditions, between commas, must all hold.
fn selections(filters: &[String], now: Timestamp) -> Result<Vec<Selection>, FilterError> {
    if filters.iter().all(|filter| filter.trim().is_empty()) {
        return Ok(vec![Selection::default()]);
    }
    filters.iter().map(|filter| selection(filter, now)).collect()
}

fn selection(filter: &str, now: Timestamp) -> Result<Selection, FilterError> {
    let mut selection = Selection::default();
    let mut is_possible = true;
    for condition in filter.split(',').map(str::trim).filter(|condition| !condition.is_empty()) {
        let wrong = || FilterError::Condition { filter: filter.to_owned(), condition: condition.to_owned() };
        let end = condition.find(['=', '!', '~']).unwrap_or(condition.len());
        let (key, rest) = condition.split_at(end);
        let (is_equal, value) = if rest.is_empty() {
            (true, "true")
        } else {
            let known = ["==", "~=", "!=", "="].into_iter().find(|operator| rest.starts_with(operator));
            let operator = known.ok_or_else(wrong)?;
            (operator != "!=", rest[operator.len()..].trim_matches(['"', '`', '\'']))
        };
        let flag = || value.parse::<bool>().map(|value| value == is_equal).map_err(|_| wrong());
        match key {
            "inuse" => selection.in_use = Some(flag()?),
            "shared" => selection.shared = Some(flag()?),
            "private" => selection.shared = Some(!flag()?),
            "type" | "id" | "description" | "until" | "unused-for" if !is_equal => return Err(wrong()),
            "type" => {
                // Other daemons have more kinds, and clients ask for them: nothing here is of one.
                let kind = ItemKind::ALL.into_iter().find(|kind| kind.name() == value);
                is_possible &= kind.is_some() && selection.kinds.iter().all(|other| Some(*other) == kind);
                selection.kinds.extend(kind);
            }
            "id" => {
                is_possible &= selection.ids.iter().all(|other| other == value);
                selection.ids.push(value.to_owned());
            }
            "description" => selection.descriptions.push(value.to_owned()),
            "until" | "unused-for" => {
                let age = value.parse::<SignedDuration>().map_err(|_| wrong())?;
                selection.unused_since = Some(now.saturating_sub(age).map_err(|_| wrong())?);
            }
            _ => return Err(FilterError::Key { filter: filter.to_owned(), key: key.to_owned() }),
        }
    }
    if !is_possible {
        selection.ids = vec![NOTHING.to_owned()];
    }
    Ok(selection)
}

#[cfg(test)]
#[path = "usage_tests.rs"]
mod tests;
