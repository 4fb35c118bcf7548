//! The order of paths in a layer: component by component, so that a directory is followed by all that
//! is in it.

use std::cmp::Ordering;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Compares two relative paths component by component: `a/b` comes before `a.b`, because `/` sorts lowest.
pub(crate) fn compare(left: &[u8], right: &[u8]) -> Ordering {
    let shared = left.iter().zip(right).position(|(left, right)| left != right);
    match shared {
        Some(index) => rank(left[index]).cmp(&rank(right[index])),
        None => left.len().cmp(&right.len()),
    }
}

/// As [`compare`], for paths.
pub(crate) fn compare_paths(left: &Path, right: &Path) -> Ordering {
    compare(left.as_os_str().as_bytes(), right.as_os_str().as_bytes())
}

fn rank(byte: u8) -> u16 {
    if byte == b'/' { 0 } else { u16::from(byte) + 1 }
}

/// A relative path that sorts as layers do.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct LayerPath(Vec<u8>);

impl LayerPath {
    /// The path's bytes, without a leading slash; empty for the root.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The directory that holds it; `None` for the root.
    pub(crate) fn parent(&self) -> Option<LayerPath> {
        if self.0.is_empty() {
            return None;
        }
        let cut = self.0.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        Some(Self(self.0[..cut].to_vec()))
    }

    /// The path as an absolute one inside a root file system.
    pub(crate) fn absolute(&self) -> std::path::PathBuf {
        Path::new("/").join(std::ffi::OsStr::from_bytes(&self.0))
    }
}

impl From<&Path> for LayerPath {
    fn from(path: &Path) -> Self {
        let bytes = path.as_os_str().as_bytes();
        Self(bytes.strip_prefix(b"/").unwrap_or(bytes).to_vec())
    }
}

impl Ord for LayerPath {
    fn cmp(&self, other: &Self) -> Ordering {
        compare(&self.0, &other.0)
    }
}

impl PartialOrd for LayerPath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_followed_by_its_contents() {
        let mut paths: Vec<LayerPath> = ["a.b", "a", "a/b", "b", "a/b/c", "a-b"]
            .iter()
            .map(|path| LayerPath::from(Path::new(path)))
            .collect();
        paths.sort();
        let sorted: Vec<&[u8]> = paths.iter().map(LayerPath::as_bytes).collect();
        assert_eq!(sorted, [&b"a"[..], b"a/b", b"a/b/c", b"a-b", b"a.b", b"b"]);
    }

    #[test]
    fn parents_end_at_the_root() {
        let path = LayerPath::from(Path::new("/usr/bin"));
        let usr = path.parent();
        assert_eq!(usr.as_ref().map(LayerPath::as_bytes), Some(&b"usr"[..]));
        let root = usr.and_then(|usr| usr.parent());
        assert_eq!(root.as_ref().map(LayerPath::as_bytes), Some(&b""[..]));
        assert_eq!(root.and_then(|root| root.parent()), None);
    }
}
