//! One entry of a layer, as data: what the tar says and what the tree holds, in one vocabulary.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// A path in a layer with what lies there. Contents come separately, as [`Content`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Relative to the layer's root: no leading or trailing `/`, no empty, `.` or `..` component.
    pub path: Vec<u8>,
    /// What lies there.
    pub kind: EntryKind,
    /// Permission bits with set-user-id, set-group-id and sticky (07777).
    pub mode: u32,
    /// The numeric owner.
    pub uid: u32,
    /// The numeric group.
    pub gid: u32,
    /// Modification time, whole seconds since 1970.
    pub mtime: i64,
    /// Extended attributes by full name ("security.capability"). Those that belong to the file system or to the
    /// overlay are not a layer's: see [`is_layer_xattr`].
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file of that many bytes.
    File {
        /// Bytes of content.
        size: u64,
    },
    /// A directory. An opaque one hides what lower layers have in it.
    Directory {
        /// Whether lower layers' contents are hidden.
        opaque: bool,
    },
    /// A symbolic link.
    Symlink {
        /// The text of the link.
        target: Vec<u8>,
    },
    /// Another name of a file that comes earlier in the same layer.
    Hardlink {
        /// The earlier path, in the form of [`Entry::path`].
        target: Vec<u8>,
    },
    /// A character device.
    CharDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A block device.
    BlockDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A named pipe.
    Fifo,
    /// Nothing, and lower layers' file of that path is gone. Has no mode, owner, time or attributes of its own.
    Whiteout,
}

/// Where the bytes of an entry come from. Only [`EntryKind::File`] has any.
pub enum Content<'a> {
    /// The entry has no bytes.
    None,
    /// The bytes themselves.
    Bytes(&'a [u8]),
    /// A stream that gives as many bytes as the entry says.
    Reader(&'a mut (dyn Read + 'a)),
    /// An open file that has as many bytes as the entry says, read from where it stands.
    File(File),
    /// A file in a tree of this store with the same content and the same metadata: the new tree gets a hard link to
    /// it, and its bytes are only read for the hash.
    Link(&'a Path),
}

impl Entry {
    /// An entry with no attributes but these, owned by root, of the beginning of 1970.
    pub fn new(path: impl Into<Vec<u8>>, kind: EntryKind, mode: u32) -> Entry {
        Entry { path: path.into(), kind, mode, uid: 0, gid: 0, mtime: 0, xattrs: BTreeMap::new() }
    }
}

/// Whether an extended attribute is part of a layer: those of users and of trusted programs, and file capabilities.
/// Not what the running system adds (SELinux labels, ACLs of the file system), and never what steers an overlay:
/// such an attribute in a foreign tar could point a directory anywhere.
pub fn is_layer_xattr(name: &[u8]) -> bool {
    let overlay = name.starts_with(b"trusted.overlay.") || name.starts_with(b"user.overlay.");
    let kept = name.starts_with(b"user.") || name.starts_with(b"trusted.") || name == b"security.capability";
    kept && !overlay
}

/// Whether a path has the form of [`Entry::path`].
pub(crate) fn is_entry_path(path: &[u8]) -> bool {
    !path.contains(&0) && path.split(|byte| *byte == b'/').all(|part| !matches!(part, b"" | b"." | b".."))
}

/// The directory part and the last component of an entry's path; the layer's root is the empty path.
pub(crate) fn split_path(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}

/// The order of entries in a layer: component by component, so that a directory comes right before what is in it.
pub(crate) fn compare_paths(a: &[u8], b: &[u8]) -> std::cmp::Ordering {
    // No component holds a slash, so letting it sort below every other byte compares component by component.
    let rank = |byte: &u8| if *byte == b'/' { 0 } else { u16::from(*byte) + 1 };
    a.iter().map(rank).cmp(b.iter().map(rank))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::cmp::Ordering;

    #[test]
    fn which_paths_are_entry_paths() {
        for good in ["a", "a/b", ".a/..b/...", "a b", "\u{e4}"] {
            assert!(is_entry_path(good.as_bytes()), "{good}");
        }
        for bad in ["", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "a/.", "a\0b"] {
            assert!(!is_entry_path(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn which_attributes_belong_to_a_layer() {
        for yes in ["user.a", "trusted.a", "security.capability"] {
            assert!(is_layer_xattr(yes.as_bytes()), "{yes}");
        }
        let no = [
            "trusted.overlay.opaque",
            "trusted.overlay.redirect",
            "user.overlay.metacopy",
            "security.selinux",
        ];
        for no in no.into_iter().chain(["system.posix_acl_access", "os2.x", ""]) {
            assert!(!is_layer_xattr(no.as_bytes()), "{no}");
        }
    }

    proptest! {
        #[test]
        fn order_is_that_of_components(a in "[a!/-]{1,8}", b in "[a!/-]{1,8}") {
            let by_parts = a.split('/').map(str::as_bytes).cmp(b.split('/').map(str::as_bytes));
            prop_assert_eq!(compare_paths(a.as_bytes(), b.as_bytes()), by_parts);
        }

        #[test]
        fn splitting_and_joining_gives_the_path_back(path in "[ab]{1,2}(/[ab]{1,2}){0,3}") {
            let (dir, name) = split_path(path.as_bytes());
            let joined = if dir.is_empty() { name.to_vec() } else { [dir, b"/", name].concat() };
            prop_assert_eq!(joined, path.as_bytes());
            prop_assert_eq!(compare_paths(dir, path.as_bytes()), Ordering::Less);
        }
    }
}
