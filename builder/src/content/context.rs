//! A directory given to the build, seen through its ignore patterns and a stat index.
//!
//! Nothing is read that a COPY does not ask for: one file costs one `lstat`, a directory one parallel
//! walk, and a file whose stat is unchanged since it was last hashed is not opened. Owners are not
//! looked at: what comes from a context belongs to root.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use kiln_cache::{Key, KeyBuilder, StatIndex, StatKey, Store};
use kiln_graph::pattern::{DirState, IgnoreMatcher, PatternError};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::order::compare_paths;
use super::walk::{Visit, Visitor, walk};
use super::{Fingerprint, Item, ItemKind, Missing, Tree, TreeError, Xattrs, as_text, keep};
use crate::content::fingerprint;

/// Extra threads in a walk or when hashing buy nothing past this: the kernel's directory locks and the disk are the limit.
const MAX_THREADS: usize = 8;

/// A context directory.
pub(crate) struct Context {
    root: PathBuf,
    directory: OwnedFd,
    patterns: Vec<String>,
    matcher: Option<IgnoreMatcher>,
    store: Store,
    /// Loaded when the first digest is asked for.
    index: OnceLock<StatIndex>,
    threads: usize,
}

impl Context {
    /// The context at `root`, without what the patterns `ignore` match.
    pub(crate) fn open(store: &Store, root: &Path, ignore: &[String]) -> Result<Self, TreeError> {
        let root = root.canonicalize().map_err(|source| TreeError::Read { path: root.to_owned(), source })?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(&root, flags, Mode::empty())
            .map_err(|errno| TreeError::Read { path: root.clone(), source: errno.into() })?;
        let matcher = if ignore.is_empty() {
            None
        } else {
            Some(IgnoreMatcher::new(ignore).map_err(|error| malformed(ignore, &error))?)
        };
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(MAX_THREADS);
        Ok(Self {
            root,
            directory,
            patterns: ignore.to_vec(),
            matcher,
            store: store.clone(),
            index: OnceLock::new(),
            threads,
        })
    }

    fn index(&self) -> Result<&StatIndex, TreeError> {
        if let Some(index) = self.index.get() {
            return Ok(index);
        }
        let loaded = self.store.indexes().load(&index_name(&self.root))?;
        Ok(self.index.get_or_init(|| loaded))
    }

    fn full(&self, path: &Path) -> PathBuf {
        self.root.join(path)
    }

    /// True when the patterns leave `path` out.
    fn ignores(&self, path: &Path) -> bool {
        let path = as_text(path.as_os_str());
        self.matcher.as_ref().is_some_and(|matcher| !path.is_empty() && matcher.decide(&path).ignored)
    }

    /// True when nothing below the directory can be in the context.
    fn prunes(&self, path: &Path) -> bool {
        let path = as_text(path.as_os_str());
        self.matcher.as_ref().is_some_and(|matcher| !path.is_empty() && matcher.may_skip_dir(&path))
    }

    /// Whether anything below an ignored directory is taken back in.
    fn keeps_something_of(&self, dir: &Path) -> Result<bool, TreeError> {
        let full = self.full(dir);
        let read = |source| TreeError::Read { path: full.clone(), source };
        for entry in std::fs::read_dir(&full).map_err(read)? {
            let entry = entry.map_err(read)?;
            if self.find(&dir.join(entry.file_name()))?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// An item from what `lstat` says; `None` for a socket, which no layer can hold. `parent` is the directory that
    /// holds it.
    fn item(&self, parent: &OwnedFd, path: PathBuf, stat: &Stat) -> Result<Option<Item>, TreeError> {
        let (major, minor) = (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev));
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => ItemKind::File { size: stat.st_size.cast_unsigned() },
            FileType::Directory => ItemKind::Directory,
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(parent, path.file_name().unwrap_or_default(), Vec::new());
                let target = target
                    .map_err(|errno| TreeError::Read { path: self.full(&path), source: errno.into() })?;
                ItemKind::Symlink { target: PathBuf::from(std::ffi::OsString::from_vec(target.into_bytes())) }
            }
            FileType::CharacterDevice => ItemKind::CharDevice { major, minor },
            FileType::BlockDevice => ItemKind::BlockDevice { major, minor },
            FileType::Fifo => ItemKind::Fifo,
            FileType::Socket | FileType::Unknown => return Ok(None),
        };
        let several_names = matches!(kind, ItemKind::File { .. }) && stat.st_nlink > 1;
        // The root's own mode is the user's checkout, not the image's: Docker's builders give 0755.
        let mode = if path.as_os_str().is_empty() { 0o755 } else { stat.st_mode & 0o7777 };
        Ok(Some(Item {
            path,
            kind,
            mode,
            uid: 0,
            gid: 0,
            mtime: stat.st_mtime,
            identity: several_names.then_some((stat.st_dev, stat.st_ino)),
            stat: Some(stat_key(stat)),
        }))
    }

    /// The open directory that `path` is in, and its name there.
    fn parent<'a>(&self, path: &'a Path) -> Result<(OwnedFd, &'a OsStr), Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let above = path.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let parent = rustix::fs::openat(&self.directory, above, flags, Mode::empty())?;
        Ok((parent, path.file_name().unwrap_or(OsStr::new("."))))
    }

    /// What the patterns say of the directory `dir`; `None` if there are none.
    fn state(&self, dir: &Path) -> Option<DirState> {
        let matcher = self.matcher.as_ref()?;
        Some(dir.iter().fold(matcher.root(), |state, name| matcher.enter(&state, &as_text(name))))
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
        let index = self.index()?;
        for (position, fingerprint) in unknown.iter().zip(&hashed) {
            let item = items[*position];
            if let Some(stat) = &item.stat {
                index.insert(bytes(&item.path), stat, *fingerprint, began);
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

/// What is wrong with a list of patterns: with one of them, where that can be said.
fn malformed(patterns: &[String], error: &PatternError) -> TreeError {
    let one = patterns.iter().find(|pattern| IgnoreMatcher::new(std::slice::from_ref(pattern)).is_err());
    let pattern = one.cloned().unwrap_or_else(|| patterns.join(" "));
    TreeError::Pattern { pattern, message: error.to_string() }
}

impl Visitor for Context {
    /// What the patterns say; `None` where there are none.
    type Directory = Option<DirState>;
    /// True beside an item that the patterns leave out, unless something below it is taken back in.
    type Item = (Item, bool);

    fn visit(
        &self,
        dir: &Option<DirState>,
        parent: &OwnedFd,
        path: PathBuf,
        stat: &Stat,
    ) -> Result<Visit<(Item, bool), Option<DirState>>, TreeError> {
        let name = as_text(path.file_name().unwrap_or_default());
        let known = self.matcher.as_ref().zip(dir.as_ref());
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            let state = known.map(|(matcher, dir)| (matcher.enter(dir, &name), matcher));
            if state.as_ref().is_some_and(|(state, matcher)| matcher.may_skip(state)) {
                return Ok(Visit::Pass);
            }
            let state = state.map(|(state, _)| state);
            let ignored = state.as_ref().is_some_and(|state| state.decision().ignored);
            let item = self.item(parent, path, stat)?;
            return Ok(item.map_or(Visit::Pass, |item| Visit::Take((item, ignored), Some(state))));
        }
        if known.is_some_and(|(matcher, dir)| matcher.decide_child(dir, &name).ignored) {
            return Ok(Visit::Pass);
        }
        Ok(self.item(parent, path, stat)?.map_or(Visit::Pass, |item| Visit::Take((item, false), None)))
    }
}

impl Tree for Context {
    fn find(&self, path: &Path) -> Result<Option<Item>, TreeError> {
        if self.ignores(path) && self.prunes(path) {
            return Ok(None);
        }
        let read = |errno: Errno| TreeError::Read { path: self.full(path), source: errno.into() };
        let found = self.parent(path).and_then(|(parent, name)| {
            rustix::fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW).map(|stat| (parent, stat))
        });
        match found {
            Ok((parent, stat)) => {
                let item = self.item(&parent, path.to_owned(), &stat)?;
                match item {
                    Some(item) if self.ignores(&item.path) => {
                        // It is only there for what is taken back in below it.
                        let kept = item.is_dir() && self.keeps_something_of(&item.path)?;
                        Ok(kept.then_some(item))
                    }
                    item => Ok(item),
                }
            }
            // A path through a file that is no directory names nothing, as a missing one does.
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(errno) => Err(read(errno)),
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
        let found = walk(&self.directory, dir, self.state(dir), self, self.threads)?;
        if self.matcher.is_none() {
            return Ok(found.into_iter().map(|(item, _)| item).collect());
        }
        let (items, ignored): (Vec<Item>, Vec<bool>) = found.into_iter().unzip();
        let mut ignored = ignored.into_iter();
        Ok(keep(items, |_| ignored.next().unwrap_or_default()))
    }

    fn fingerprints(&self, items: &[&Item]) -> Result<Vec<Fingerprint>, TreeError> {
        let mut known = vec![Fingerprint::default(); items.len()];
        let mut unknown = Vec::new();
        let index = self.index()?;
        for (position, item) in items.iter().enumerate() {
            match item.stat.as_ref().and_then(|stat| index.get(bytes(&item.path), stat)) {
                Some(fingerprint) => known[position] = fingerprint,
                None => unknown.push(position),
            }
        }
        if !unknown.is_empty() {
            for (position, fingerprint) in unknown.iter().zip(self.hash(items, &unknown)?) {
                known[*position] = fingerprint;
            }
            index.save()?;
        }
        Ok(known)
    }

    fn xattrs(&self, item: &Item) -> Result<Xattrs, TreeError> {
        let full = self.full(&item.path);
        fingerprint::xattrs(&full).map_err(|source| TreeError::Read { path: full, source })
    }

    fn open(&self, item: &Item) -> Result<File, TreeError> {
        let full = self.full(&item.path);
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.directory, &item.path, flags, Mode::empty())
            .map_err(|errno| TreeError::Read { path: full, source: errno.into() })?;
        let file = File::from(file);
        self.check_unchanged(item, &file)?;
        Ok(file)
    }

    fn check_unchanged(&self, item: &Item, file: &File) -> Result<(), TreeError> {
        let full = self.full(&item.path);
        let stat = rustix::fs::fstat(file)
            .map_err(|errno| TreeError::Read { path: full.clone(), source: errno.into() })?;
        let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        if is_file && item.stat.is_none_or(|known| known == stat_key(&stat)) {
            Ok(())
        } else {
            Err(TreeError::Changed { path: full })
        }
    }

    fn memory(&self) -> Option<&Store> {
        Some(&self.store)
    }

    fn keeps_owners(&self) -> bool {
        false
    }

    fn why_missing(&self, path: &Path) -> Missing {
        let rule = self.matcher.as_ref().map(|matcher| matcher.decide(&as_text(path.as_os_str())));
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
    path.as_os_str().as_bytes()
}

/// What the stat index compares. Times are nanoseconds since the epoch.
fn stat_key(stat: &Stat) -> StatKey {
    let nanoseconds = |seconds: i64, rest: u64| {
        seconds.saturating_mul(1_000_000_000).saturating_add(i64::try_from(rest).unwrap_or_default())
    };
    StatKey {
        dev: stat.st_dev,
        ino: stat.st_ino,
        size: stat.st_size.cast_unsigned(),
        mode: stat.st_mode,
        mtime_ns: nanoseconds(stat.st_mtime, stat.st_mtime_nsec),
        ctime_ns: nanoseconds(stat.st_ctime, stat.st_ctime_nsec),
    }
}

/// The index belongs to the directory, not to a Dockerfile: every build from it shares what is known.
fn index_name(root: &Path) -> Key {
    KeyBuilder::new("stat-index").part("root", bytes(root)).finish().0
}
