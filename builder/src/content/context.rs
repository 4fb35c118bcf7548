//! A directory given to the build, seen through its ignore patterns and a stat index.
//!
//! Nothing is read that a COPY does not ask for: one file costs one `lstat`, a directory one parallel
//! walk, and a file whose stat is unchanged since it was last hashed is not opened. Owners are not
//! looked at: what comes from a context belongs to root.

use std::fs::{File, Metadata};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ignore::{WalkBuilder, WalkState};
use kiln_cache::{Key, KeyBuilder, StatIndex, StatKey, Store};
use kiln_graph::pattern::IgnoreMatcher;

use super::order::compare_paths;
use super::{Fingerprint, Item, ItemKind, Missing, Tree, TreeError, Xattrs, keep};
use crate::content::fingerprint;

/// Extra threads in a walk or when hashing buy nothing past this: the kernel's directory locks and the disk are the limit.
const MAX_THREADS: usize = 8;

/// A context directory.
pub(crate) struct Context {
    root: PathBuf,
    patterns: Vec<String>,
    matcher: Option<IgnoreMatcher>,
    index: StatIndex,
    threads: usize,
}

impl Context {
    /// The context at `root`, without what the patterns `ignore` match.
    pub(crate) fn open(store: &Store, root: &Path, ignore: &[String]) -> Result<Self, TreeError> {
        let root = root.canonicalize().map_err(|source| TreeError::Read { path: root.to_owned(), source })?;
        let matcher = if ignore.is_empty() {
            None
        } else {
            Some(IgnoreMatcher::new(ignore).map_err(|error| TreeError::Pattern {
                pattern: ignore.join(" "),
                message: error.to_string(),
            })?)
        };
        let index = store.indexes().load(&index_name(&root))?;
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(MAX_THREADS);
        Ok(Self { root, patterns: ignore.to_vec(), matcher, index, threads })
    }

    fn full(&self, path: &Path) -> PathBuf {
        self.root.join(path)
    }

    /// True when the patterns leave `path` out. A name that is not UTF-8 cannot be matched by a pattern.
    fn ignores(&self, path: &Path) -> bool {
        match (&self.matcher, path.to_str()) {
            (Some(matcher), Some(path)) => !path.is_empty() && matcher.decide(path).ignored,
            _ => false,
        }
    }

    /// True when nothing below the directory can be in the context.
    fn prunes(&self, path: &Path) -> bool {
        match (&self.matcher, path.to_str()) {
            (Some(matcher), Some(path)) => !path.is_empty() && matcher.may_skip_dir(path),
            _ => false,
        }
    }

    /// An item from what `lstat` says; `None` for a socket, which no layer can hold.
    fn item(&self, path: PathBuf, meta: &Metadata) -> Result<Option<Item>, TreeError> {
        let kind = meta.file_type();
        let kind = if kind.is_file() {
            ItemKind::File { size: meta.len() }
        } else if kind.is_dir() {
            ItemKind::Directory
        } else if kind.is_symlink() {
            let full = self.full(&path);
            ItemKind::Symlink {
                target: std::fs::read_link(&full).map_err(|source| TreeError::Read { path: full, source })?,
            }
        } else if kind.is_char_device() {
            ItemKind::CharDevice {
                major: rustix::fs::major(meta.rdev()),
                minor: rustix::fs::minor(meta.rdev()),
            }
        } else if kind.is_block_device() {
            ItemKind::BlockDevice {
                major: rustix::fs::major(meta.rdev()),
                minor: rustix::fs::minor(meta.rdev()),
            }
        } else if kind.is_fifo() {
            ItemKind::Fifo
        } else {
            return Ok(None);
        };
        let identity = (meta.is_file() && meta.nlink() > 1).then(|| (meta.dev(), meta.ino()));
        // The root's own mode is the user's checkout, not the image's: Docker's builders give 0755.
        let mode = if path.as_os_str().is_empty() { 0o755 } else { meta.mode() & 0o7777 };
        Ok(Some(Item {
            path,
            kind,
            mode,
            uid: 0,
            gid: 0,
            mtime: meta.mtime(),
            identity,
            stat: Some(stat_key(meta)),
        }))
    }

    fn walk(&self, dir: &Path) -> Result<Vec<Item>, TreeError> {
        let top = self.full(dir);
        let found: Mutex<Vec<Vec<Item>>> = Mutex::new(Vec::new());
        let failure: Mutex<Option<TreeError>> = Mutex::new(None);
        let walker = WalkBuilder::new(&top).standard_filters(false).threads(self.threads).build_parallel();
        walker.run(|| {
            let mut batch = Batch { items: Vec::new(), all: &found };
            let (top, failure) = (&top, &failure);
            Box::new(move |entry| match self.visit(top, entry) {
                Ok(Visit::Take(item)) => {
                    batch.items.push(item);
                    WalkState::Continue
                }
                Ok(Visit::Pass) => WalkState::Continue,
                Ok(Visit::Prune) => WalkState::Skip,
                Err(error) => {
                    failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                    WalkState::Quit
                }
            })
        });
        if let Some(error) = failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(error);
        }
        let mut items: Vec<Item> =
            found.into_inner().unwrap_or_else(PoisonError::into_inner).into_iter().flatten().collect();
        items.sort_unstable_by(|left, right| compare_paths(&left.path, &right.path));
        Ok(if self.matcher.is_some() { keep(items, |item| self.ignores(&item.path)) } else { items })
    }

    fn visit(&self, top: &Path, entry: Result<ignore::DirEntry, ignore::Error>) -> Result<Visit, TreeError> {
        let walk_error =
            |source: ignore::Error| TreeError::Walk { path: top.to_owned(), source: Box::new(source) };
        let entry = entry.map_err(walk_error)?;
        if entry.depth() == 0 {
            return Ok(Visit::Pass);
        }
        let path = entry.path().strip_prefix(&self.root).unwrap_or(entry.path()).to_owned();
        if self.prunes(&path) {
            return Ok(Visit::Prune);
        }
        let meta = entry.metadata().map_err(walk_error)?;
        Ok(self.item(path, &meta)?.map_or(Visit::Pass, Visit::Take))
    }

    /// Hashes what the index does not know, on several threads, and tells the index.
    fn hash(&self, items: &[&Item], unknown: &[usize]) -> Result<Vec<Fingerprint>, TreeError> {
        let share = unknown.len().div_ceil(self.threads).max(1);
        let began = fingerprint::now();
        let parts: Vec<Result<Vec<Fingerprint>, TreeError>> = std::thread::scope(|scope| {
            let threads: Vec<_> = unknown
                .chunks(share)
                .map(|part| {
                    scope.spawn(move || part.iter().map(|index| self.hash_one(items[*index])).collect())
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect()
        });
        let mut hashed = Vec::with_capacity(unknown.len());
        for part in parts {
            hashed.extend(part?);
        }
        for (position, fingerprint) in unknown.iter().zip(&hashed) {
            let item = items[*position];
            if let Some(stat) = &item.stat {
                self.index.insert(bytes(&item.path), stat, *fingerprint, began);
            }
        }
        Ok(hashed)
    }

    fn hash_one(&self, item: &Item) -> Result<Fingerprint, TreeError> {
        let xattrs = self.xattrs(item)?;
        match item.kind {
            ItemKind::File { .. } => {
                let content = fingerprint::of_file(self.open(item)?)
                    .map_err(|source| TreeError::Read { path: self.full(&item.path), source })?;
                Ok(fingerprint::with_xattrs(content, &xattrs))
            }
            _ => Ok(fingerprint::with_xattrs([0; 32], &xattrs)),
        }
    }
}

/// What the walk does with an entry.
enum Visit {
    /// It is an item.
    Take(Item),
    /// It is none.
    Pass,
    /// Neither it nor anything below it is one.
    Prune,
}

/// One walking thread's items, handed over when the thread is done.
struct Batch<'a> {
    items: Vec<Item>,
    all: &'a Mutex<Vec<Vec<Item>>>,
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).push(std::mem::take(&mut self.items));
    }
}

impl Tree for Context {
    fn find(&self, path: &Path) -> Result<Option<Item>, TreeError> {
        if self.ignores(path) && self.prunes(path) {
            return Ok(None);
        }
        let full = self.full(path);
        match std::fs::symlink_metadata(&full) {
            Ok(meta) => {
                let item = self.item(path.to_owned(), &meta)?;
                Ok(item.filter(|item| item.is_dir() || !self.ignores(&item.path)))
            }
            Err(error) if absent(&error) => Ok(None),
            Err(source) => Err(TreeError::Read { path: full, source }),
        }
    }

    fn children(&self, dir: &Path) -> Result<Vec<Item>, TreeError> {
        let full = self.full(dir);
        let read = |source| TreeError::Read { path: full.clone(), source };
        let mut items = Vec::new();
        for entry in std::fs::read_dir(&full).map_err(read)? {
            let entry = entry.map_err(read)?;
            let path = dir.join(entry.file_name());
            if let Some(item) = self.find(&path)? {
                items.push(item);
            }
        }
        items.sort_unstable_by(|left, right| compare_paths(&left.path, &right.path));
        Ok(items)
    }

    fn below(&self, dir: &Path) -> Result<Vec<Item>, TreeError> {
        self.walk(dir)
    }

    fn fingerprints(&self, items: &[&Item]) -> Result<Vec<Fingerprint>, TreeError> {
        let mut known = vec![Fingerprint::default(); items.len()];
        let mut unknown = Vec::new();
        for (position, item) in items.iter().enumerate() {
            match item.stat.as_ref().and_then(|stat| self.index.get(bytes(&item.path), stat)) {
                Some(fingerprint) => known[position] = fingerprint,
                None => unknown.push(position),
            }
        }
        if !unknown.is_empty() {
            for (position, fingerprint) in unknown.iter().zip(self.hash(items, &unknown)?) {
                known[*position] = fingerprint;
            }
            self.index.save()?;
        }
        Ok(known)
    }

    fn xattrs(&self, item: &Item) -> Result<Xattrs, TreeError> {
        let full = self.full(&item.path);
        fingerprint::xattrs(&full).map_err(|source| TreeError::Read { path: full, source })
    }

    fn open(&self, item: &Item) -> Result<File, TreeError> {
        let full = self.full(&item.path);
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        let file = std::fs::OpenOptions::new()
            .read(true)
            .custom_flags(flags.bits().cast_signed())
            .open(&full)
            .map_err(|source| TreeError::Read { path: full.clone(), source })?;
        self.check_unchanged(item, &file)?;
        Ok(file)
    }

    fn check_unchanged(&self, item: &Item, file: &File) -> Result<(), TreeError> {
        let full = self.full(&item.path);
        let meta = file.metadata().map_err(|source| TreeError::Read { path: full.clone(), source })?;
        if meta.is_file() && item.stat.is_none_or(|stat| stat == stat_key(&meta)) {
            Ok(())
        } else {
            Err(TreeError::Changed { path: full })
        }
    }

    fn keeps_owners(&self) -> bool {
        false
    }

    fn why_missing(&self, path: &Path) -> Missing {
        let rule = match (&self.matcher, path.to_str()) {
            (Some(matcher), Some(path)) => Some(matcher.decide(path)),
            _ => None,
        };
        let exists = std::fs::symlink_metadata(self.full(path)).is_ok();
        match rule.filter(|decision| exists && decision.ignored).and_then(|decision| decision.rule) {
            Some(rule) => {
                Missing::Ignored { pattern: self.patterns.get(rule).cloned().unwrap_or_default(), rule }
            }
            None => Missing::Absent,
        }
    }
}

fn bytes(path: &Path) -> &[u8] {
    std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str())
}

/// A path through a file that is no directory names nothing, as a missing one does.
fn absent(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
}

/// What the stat index compares. Times are nanoseconds since the epoch.
fn stat_key(meta: &Metadata) -> StatKey {
    let nanoseconds = |seconds: i64, rest: i64| seconds.saturating_mul(1_000_000_000).saturating_add(rest);
    StatKey {
        dev: meta.dev(),
        ino: meta.ino(),
        size: meta.size(),
        mode: meta.mode(),
        mtime_ns: nanoseconds(meta.mtime(), meta.mtime_nsec()),
        ctime_ns: nanoseconds(meta.ctime(), meta.ctime_nsec()),
    }
}

/// The index belongs to the directory, not to a Dockerfile: every build from it shares what is known.
fn index_name(root: &Path) -> Key {
    KeyBuilder::new("stat-index").part("root", bytes(root)).finish().0
}
