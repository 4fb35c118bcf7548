//! `kiln du` and `kiln system df`: what takes how much room.

use jiff::Timestamp;
use kiln_cache::{Item, ItemKind};

use crate::error::CliError;
use crate::flags::amount;
use crate::flags::storage::{DiskUsageFlags, SummaryFlags};
use crate::output::{self, format, storage};
use crate::session::Session;

/// Lists what takes room, largest first, and how much that is together.
pub fn perform(flags: &DiskUsageFlags, session: &Session) -> Result<(), CliError> {
    let now = Timestamp::now();
    let only = amount::selection(&flags.filter, now).map_err(CliError::usage)?;
    let mut items = session.store()?.inventory()?;
    items.retain(|item| only.matches(item));
    items.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.id.cmp(&b.id)));
    if flags.verbose && flags.format.is_none() {
        return output::print(&(storage::details(&items) + &storage::totals(&items)));
    }
    let rows: Vec<_> = items.iter().map(|item| storage::item(item, flags.no_trunc, now)).collect();
    let text = format::rows(flags.format.as_deref(), storage::ITEMS, &rows).map_err(CliError::usage)?;
    let own_table = flags.format.as_deref().is_none_or(|format| format == "table");
    output::print(&if own_table { format!("{text}{}", storage::totals(&items)) } else { text })
}

/// Tells how much images, the build cache and cache mounts take.
pub fn summary(flags: &SummaryFlags, session: &Session) -> Result<(), CliError> {
    if flags.verbose {
        let all = DiskUsageFlags { format: flags.format.clone(), ..DiskUsageFlags::default() };
        return perform(&all, session);
    }
    let items = session.store()?.inventory()?;
    let is_image = |item: &&Item| item.named || item.kind == ItemKind::Image;
    let is_mount = |item: &&Item| item.kind == ItemKind::CacheMount;
    let images: Vec<&Item> = items.iter().filter(is_image).collect();
    let mounts: Vec<&Item> = items.iter().filter(is_mount).collect();
    let cache: Vec<&Item> = items.iter().filter(|item| !is_image(item) && !is_mount(item)).collect();
    let rows = [
        storage::kind("Images", &images, |item| item.kind == ItemKind::Image),
        storage::kind("Containers", &[], |_| true),
        storage::kind("Local Volumes", &[], |_| true),
        storage::kind("Build Cache", &cache, |item| !item.id.is_empty()),
        storage::kind("Cache Mounts", &mounts, |_| true),
    ];
    output::print(&format::rows(flags.format.as_deref(), storage::KINDS, &rows).map_err(CliError::usage)?)
}
