//! What `kiln du` lists: one thing that takes room, as data.
//!
//! Made by [`super::inventory`] from a look at the store; chosen by [`super::Selection`].

use jiff::Timestamp;

/// What kind of thing takes room, in docker's words where docker has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ItemKind {
    /// The layer of a step or of an image, with all its forms and records.
    Regular,
    /// What is known of the files of a build context.
    LocalSource,
    /// A commit of a repository.
    GitSource,
    /// A file from a web server.
    HttpSource,
    /// A directory of a cache mount.
    CacheMount,
    /// The documents of an image; its layers are items of their own.
    Image,
    /// What the store itself needs, and what is under construction.
    Internal,
}

impl ItemKind {
    /// Every kind.
    pub const ALL: [ItemKind; 7] = [
        ItemKind::Regular,
        ItemKind::LocalSource,
        ItemKind::GitSource,
        ItemKind::HttpSource,
        ItemKind::CacheMount,
        ItemKind::Image,
        ItemKind::Internal,
    ];

    /// `regular`, `source.local` and so on.
    pub fn name(self) -> &'static str {
        match self {
            ItemKind::Regular => "regular",
            ItemKind::LocalSource => "source.local",
            ItemKind::GitSource => "source.git.checkout",
            ItemKind::HttpSource => "source.http",
            ItemKind::CacheMount => "exec.cachemount",
            ItemKind::Image => "image",
            ItemKind::Internal => "internal",
        }
    }
}

/// One thing that takes room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Digits that tell it from others: of a diff id, an image's id, a key.
    pub id: String,
    /// What it is.
    pub kind: ItemKind,
    /// Bytes on disk.
    pub bytes: u64,
    /// When it was made, where that is known.
    pub created: Option<Timestamp>,
    /// When it was used last, where that is known.
    pub last_used: Option<Timestamp>,
    /// A running process relies on it.
    pub in_use: bool,
    /// The user gave an image a name that leads to it.
    pub named: bool,
    /// More than one thing refers to it.
    pub shared: bool,
    /// For people: the step, the image, the mount.
    pub description: String,
}

impl Item {
    /// Whether a prune could remove it now.
    pub fn reclaimable(&self) -> bool {
        !self.in_use && !self.named && !self.id.is_empty()
    }
}

/// Whether an id begins as it was written; `sha256:` may stand before it.
pub(crate) fn is_prefix(id: &str, wanted: &str) -> bool {
    !wanted.is_empty() && id.starts_with(wanted.strip_prefix("sha256:").unwrap_or(wanted))
}
