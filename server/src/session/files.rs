//! What file synchronisation says of a file, both ways: Go's mode bits and this system's.

use rustix::fs::FileType;

use crate::api::files::Stat;

/// Go's `FileMode` bits beside the permissions.
const DIRECTORY: u32 = 1 << 31;
const SYMLINK: u32 = 1 << 27;
const DEVICE: u32 = 1 << 26;
const NAMED_PIPE: u32 = 1 << 25;
const SOCKET: u32 = 1 << 24;
const SET_USER_ID: u32 = 1 << 23;
const SET_GROUP_ID: u32 = 1 << 22;
const CHARACTER_DEVICE: u32 = 1 << 21;
const STICKY: u32 = 1 << 20;

/// What kind of file a stat is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A regular file.
    File,
    /// Another name of a file that came before.
    HardLink,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A named pipe.
    Pipe,
    /// A socket.
    Socket,
    /// A block or character device.
    Device {
        /// Whether it is a character device.
        character: bool,
    },
}

/// The kind; `None` for a combination of bits that no file has.
pub(crate) fn kind(stat: &Stat) -> Option<Kind> {
    let all = DIRECTORY | SYMLINK | DEVICE | NAMED_PIPE | SOCKET;
    match stat.mode & all {
        0 if stat.linkname.is_empty() => Some(Kind::File),
        0 => Some(Kind::HardLink),
        DIRECTORY => Some(Kind::Directory),
        SYMLINK => Some(Kind::Symlink),
        NAMED_PIPE => Some(Kind::Pipe),
        SOCKET => Some(Kind::Socket),
        DEVICE => Some(Kind::Device { character: stat.mode & CHARACTER_DEVICE != 0 }),
        _ => None,
    }
}

/// The permission bits, 07777.
pub(crate) fn permissions(stat: &Stat) -> u32 {
    let bit = |go, ours| if stat.mode & go == 0 { 0 } else { ours };
    (stat.mode & 0o777) | bit(SET_USER_ID, 0o4000) | bit(SET_GROUP_ID, 0o2000) | bit(STICKY, 0o1000)
}

/// The mode of a file of this system, as Go writes it. Of `mode` the permissions count.
pub(crate) fn go_mode(kind: FileType, mode: u32) -> u32 {
    let bit = |ours, go| if mode & ours == 0 { 0 } else { go };
    let kind = match kind {
        FileType::Directory => DIRECTORY,
        FileType::Symlink => SYMLINK,
        FileType::Fifo => NAMED_PIPE,
        FileType::Socket => SOCKET,
        FileType::BlockDevice => DEVICE,
        FileType::CharacterDevice => DEVICE | CHARACTER_DEVICE,
        FileType::RegularFile | FileType::Unknown => 0,
    };
    kind | (mode & 0o777) | bit(0o4000, SET_USER_ID) | bit(0o2000, SET_GROUP_ID) | bit(0o1000, STICKY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_go_s() {
        let stat = |mode, linkname: &str| Stat { mode, linkname: linkname.into(), ..Stat::default() };
        assert_eq!(kind(&stat(0o644, "")), Some(Kind::File));
        assert_eq!(kind(&stat(0o644, "a")), Some(Kind::HardLink));
        assert_eq!(kind(&stat(0x8000_01ed, "")), Some(Kind::Directory));
        assert_eq!(kind(&stat(0x0800_01ff, "a")), Some(Kind::Symlink));
        assert_eq!(kind(&stat(0x8800_01ff, "a")), None);
        assert_eq!(permissions(&stat(0o755 | SET_USER_ID | STICKY, "")), 0o5755);
        assert_eq!(go_mode(FileType::CharacterDevice, 0o020_666), 0x0420_01b6);
        for file in [FileType::RegularFile, FileType::Directory, FileType::Symlink, FileType::Fifo] {
            let there = stat(go_mode(file, 0o6750), "");
            assert!(kind(&there).is_some() && permissions(&there) == 0o6750, "{file:?}");
        }
    }
}
