//! Which paths a listing may hold, and in which order: each below a directory that came before, each once.
//!
//! A list that keeps to this names nothing outside and nothing behind a link. Pure.

use std::cmp::Ordering;

/// Longest path that is taken, in bytes.
const MAX_PATH: usize = 16 << 10;

/// Follows a listing.
#[derive(Debug, Default)]
pub(super) struct Order {
    last: Option<Vec<u8>>,
    /// The directories that the last path is in, the last path itself included if it is one.
    open: Vec<Vec<u8>>,
}

/// Why a path is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrong {
    /// It is no relative path of plain names.
    Malformed,
    /// It does not come after the last one.
    OutOfOrder,
    /// No directory came that it would be in.
    NoParent,
}

impl Order {
    /// Takes the next path.
    pub(super) fn next(&mut self, path: &[u8], is_directory: bool) -> Result<(), Wrong> {
        let plain = |name: &[u8]| !matches!(name, b"" | b"." | b"..") && !name.contains(&0);
        if path.len() > MAX_PATH || !names(path).all(plain) {
            return Err(Wrong::Malformed);
        }
        if self.last.as_deref().is_some_and(|last| compare(last, path) != Ordering::Less) {
            return Err(Wrong::OutOfOrder);
        }
        let (parent, _) = split(path);
        while self.open.last().is_some_and(|open| open != parent) {
            self.open.pop();
        }
        if !parent.is_empty() && self.open.is_empty() {
            return Err(Wrong::NoParent);
        }
        if is_directory {
            self.open.push(path.to_owned());
        }
        self.last = Some(path.to_owned());
        Ok(())
    }
}

/// The order of a walk: name by name, so that `/` sorts below everything else.
fn compare(a: &[u8], b: &[u8]) -> Ordering {
    names(a).cmp(names(b))
}

/// The names that a path is made of.
pub(super) fn names(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/')
}

/// The directory that a path is in, and its name there.
pub(super) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(paths: &[(&str, bool)]) -> Result<(), Wrong> {
        let mut order = Order::default();
        paths.iter().try_for_each(|(path, is_directory)| order.next(path.as_bytes(), *is_directory))
    }

    #[test]
    fn a_walk_is_taken() {
        let walk =
            [("a", true), ("a/b", true), ("a/b/c", false), ("a/d", false), ("a-b", false), ("e", true)];
        assert_eq!(taken(&walk), Ok(()));
    }

    #[test]
    fn what_could_lead_elsewhere_is_not() {
        for path in ["", "/a", "../a", "a/../b", "a//b", ".", "a/", "a\0b"] {
            assert_eq!(taken(&[("a", true), (path, false)]), Err(Wrong::Malformed), "{path}");
        }
        assert_eq!(taken(&[("a", false), ("a/b", false)]), Err(Wrong::NoParent));
        assert_eq!(taken(&[("a", true), ("b", false), ("a/b", false)]), Err(Wrong::OutOfOrder));
        assert_eq!(taken(&[("a", true), ("a", false)]), Err(Wrong::OutOfOrder));
        assert_eq!(taken(&[("b/c", false)]), Err(Wrong::NoParent));
    }
}
