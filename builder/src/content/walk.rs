//! A directory tree with the stat of each entry, read by several threads.
//!
//! This is what a build that changes nothing spends its time on, so each entry costs one `fstatat` relative to its
//! directory's descriptor and one path, nothing is looked up twice, and a thread without work waits for it instead of
//! polling. (A general walker that stats by full path and lets idle threads sleep took twice as long over ten thousand
//! files.) What an entry means, and which are left out, is the caller's business.

use std::ffi::OsStr;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, Stat};
use rustix::io::Errno;

use super::TreeError;

/// One `getdents64` call's worth of entries: about a thousand short names.
const ENTRIES: usize = 32 * 1024;

/// What the caller makes of the entries.
pub(super) trait Visitor: Sync {
    /// What is known about a directory while its entries are visited.
    type Directory: Send;
    /// What becomes of an entry.
    type Item: Send;

    /// An entry of `dir`. `path` is its path relative to the walk's root.
    fn visit(
        &self,
        dir: &Self::Directory,
        parent: &OwnedFd,
        path: PathBuf,
        stat: &Stat,
    ) -> Result<Visit<Self::Item, Self::Directory>, TreeError>;
}

/// What becomes of an entry.
pub(super) enum Visit<I, D> {
    /// It is no item, and is not entered.
    Pass,
    /// It is an item; a directory among them is entered if there is something to know about it.
    Take(I, Option<D>),
}

/// A directory's items in the order of their names, each with the number of its own listing if it was entered.
type Listing<I> = Vec<(I, Option<usize>)>;

/// A directory that waits to be read.
struct Task<D> {
    number: usize,
    path: PathBuf,
    state: D,
}

struct Shared<I, D> {
    pending: Vec<Task<D>>,
    /// Threads that are reading a directory, and so may still add to `pending`.
    busy: usize,
    listings: Vec<Listing<I>>,
    failure: Option<TreeError>,
}

struct Walk<'a, V: Visitor> {
    root: &'a OwnedFd,
    visitor: &'a V,
    shared: Mutex<Shared<V::Item, V::Directory>>,
    changed: Condvar,
}

/// Everything below `dir` (relative to `root`, empty for the root itself), parents first, in the order of layers.
pub(super) fn walk<V: Visitor>(
    root: &OwnedFd,
    dir: &Path,
    state: V::Directory,
    visitor: &V,
    threads: usize,
) -> Result<Vec<V::Item>, TreeError> {
    let first = Task { number: 0, path: dir.to_owned(), state };
    let shared = Shared { pending: vec![first], busy: 0, listings: vec![Vec::new()], failure: None };
    let walk = Walk { root, visitor, shared: Mutex::new(shared), changed: Condvar::new() };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(|| walk.work());
        }
        walk.work();
    });
    let shared = walk.shared.into_inner().unwrap_or_else(PoisonError::into_inner);
    match shared.failure {
        Some(error) => Err(error),
        None => Ok(in_order(shared.listings)),
    }
}

/// The items of all listings, each directory followed by what is in it.
fn in_order<I>(listings: Vec<Listing<I>>) -> Vec<I> {
    let mut items = Vec::with_capacity(listings.iter().map(Vec::len).sum());
    let mut listings: Vec<std::vec::IntoIter<(I, Option<usize>)>> =
        listings.into_iter().map(Vec::into_iter).collect();
    let mut open = vec![0];
    while let Some(current) = open.last() {
        match listings[*current].next() {
            Some((item, entered)) => {
                items.push(item);
                open.extend(entered);
            }
            None => {
                open.pop();
            }
        }
    }
    items
}

impl<V: Visitor> Walk<'_, V> {
    fn lock(&self) -> MutexGuard<'_, Shared<V::Item, V::Directory>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads directories until none is left anywhere.
    fn work(&self) {
        let mut space = Vec::with_capacity(ENTRIES);
        while let Some(task) = self.next() {
            let read = self.read(&task, &mut space);
            let mut shared = self.lock();
            shared.busy -= 1;
            match read {
                Ok(entries) => {
                    let mut listing = Vec::with_capacity(entries.len());
                    for (path, item, state) in entries {
                        let entered = state.map(|state| {
                            let number = shared.listings.len();
                            shared.listings.push(Vec::new());
                            shared.pending.push(Task { number, path, state });
                            number
                        });
                        listing.push((item, entered));
                    }
                    shared.listings[task.number] = listing;
                }
                Err(error) => {
                    shared.failure.get_or_insert(error);
                    shared.pending.clear();
                }
            }
            drop(shared);
            self.changed.notify_all();
        }
    }

    /// The next directory; `None` when there is none and no thread can find another.
    fn next(&self) -> Option<Task<V::Directory>> {
        let mut shared = self.lock();
        loop {
            if let Some(task) = shared.pending.pop() {
                shared.busy += 1;
                return Some(task);
            }
            if shared.busy == 0 {
                return None;
            }
            shared = self.changed.wait(shared).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The items of one directory, sorted by name. The path is only kept for a directory that is to be entered.
    #[expect(clippy::type_complexity, reason = "three values that are taken apart at once")]
    fn read(
        &self,
        task: &Task<V::Directory>,
        space: &mut Vec<u8>,
    ) -> Result<Vec<(PathBuf, V::Item, Option<V::Directory>)>, TreeError> {
        let failed =
            |path: &Path, errno: Errno| TreeError::Read { path: path.to_owned(), source: errno.into() };
        let name = if task.path.as_os_str().is_empty() { Path::new(".") } else { &task.path };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let dir =
            rustix::fs::openat(self.root, name, flags, Mode::empty()).map_err(|e| failed(&task.path, e))?;
        let names = names(&dir, space).map_err(|errno| failed(&task.path, errno))?;
        let mut entries = Vec::with_capacity(names.len());
        for name in names {
            let path = task.path.join(OsStr::from_bytes(&name));
            let stat = match rustix::fs::statat(&dir, name.as_slice(), AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => stat,
                // It went away between being listed and being looked at.
                Err(Errno::NOENT) => continue,
                Err(errno) => return Err(failed(&path, errno)),
            };
            let is_directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
            let below = if is_directory { path.clone() } else { PathBuf::new() };
            if let Visit::Take(item, state) = self.visitor.visit(&task.state, &dir, path, &stat)? {
                entries.push((below, item, state));
            }
        }
        Ok(entries)
    }
}

/// The names in a directory but `.` and `..`, sorted.
fn names(dir: &OwnedFd, space: &mut Vec<u8>) -> Result<Vec<Vec<u8>>, Errno> {
    let buffer: &mut [MaybeUninit<u8>] = space.spare_capacity_mut();
    let mut entries = RawDir::new(dir.as_fd(), buffer);
    let mut names = Vec::new();
    while let Some(entry) = entries.next() {
        let name = entry?.file_name().to_bytes().to_vec();
        if name != b"." && name != b".." {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::fs;

    /// Takes everything, enters everything but `skipped`.
    struct Everything;

    impl Visitor for Everything {
        type Directory = ();
        type Item = String;

        fn visit(
            &self,
            (): &(),
            _: &OwnedFd,
            path: PathBuf,
            stat: &Stat,
        ) -> Result<Visit<String, ()>, TreeError> {
            let is_directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
            let enter = is_directory && !path.ends_with("skipped");
            Ok(if path.ends_with("passed") {
                Visit::Pass
            } else {
                Visit::Take(path.to_str().unwrap().to_owned(), enter.then_some(()))
            })
        }
    }

    fn walk_all(dir: &Path, from: &str) -> Result<Vec<String>, TreeError> {
        let root = rustix::fs::open(dir, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
        walk(&root, Path::new(from), (), &Everything, 3)
    }

    #[test]
    fn directories_come_before_what_is_in_them() {
        let dir = tempfile::tempdir().unwrap();
        for path in ["a/b/c", "a-b", "a.d/x", "skipped/no", "passed/no"] {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let expected = ["a", "a/b", "a/b/c", "a-b", "a.d", "a.d/x", "skipped"];
        assert_eq!(walk_all(dir.path(), "").unwrap(), expected);
        assert_eq!(walk_all(dir.path(), "a").unwrap(), ["a/b", "a/b/c"]);
    }

    #[test]
    fn many_directories_keep_their_order_on_many_threads() {
        let dir = tempfile::tempdir().unwrap();
        let mut expected = Vec::new();
        for outer in 0..40 {
            expected.push(format!("{outer:02}"));
            for inner in 0..10 {
                let path = format!("{outer:02}/{inner}");
                fs::create_dir_all(dir.path().join(&path)).unwrap();
                expected.push(path);
            }
        }
        assert_eq!(walk_all(dir.path(), "").unwrap(), expected);
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(walk_all(dir.path(), "missing"), Err(TreeError::Read { .. })));
    }
}
