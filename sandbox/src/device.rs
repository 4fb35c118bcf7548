//! Device nodes: those that a caller gives a process, and those that every process finds in `/dev`. Data only;
//! [`crate::plan`] says when they are made, [`crate::init`] makes them.

use serde::{Deserialize, Serialize};

/// Character devices by major and minor number (Linux's `Documentation/admin-guide/devices.txt`). In an image or made by
/// the process, even these cannot be opened: a node of any device is a way to the host's disks.
const DEVICES: [(&str, u32, u32); 6] = [
    ("/dev/null", 1, 3),
    ("/dev/zero", 1, 5),
    ("/dev/full", 1, 7),
    ("/dev/random", 1, 8),
    ("/dev/urandom", 1, 9),
    ("/dev/tty", 5, 0),
];

/// What a privileged process has beside them, as under BuildKit: the kernel's log, file systems and block devices in
/// user space, virtual machines and networks, loop devices.
const PRIVILEGED_DEVICES: [(&str, u32, u32); 6] = [
    ("/dev/kmsg", 1, 11),
    ("/dev/cuse", 10, 203),
    ("/dev/fuse", 10, 229),
    ("/dev/kvm", 10, 232),
    ("/dev/net/tun", 10, 200),
    ("/dev/loop-control", 10, 237),
];

/// The block devices `/dev/loop0` and so on: their major number, and how many a privileged process finds. Others it can
/// make.
const LOOP_MAJOR: u32 = 7;
const LOOPS: u32 = 16;

/// A device node. A missing place for it is provided without leaving a trace in the upper directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Absolute path inside the root.
    pub path: String,
    /// What it is.
    pub kind: DeviceKind,
    /// Permission bits.
    pub mode: u32,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
}

/// What a [`Device`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeviceKind {
    /// A character device.
    Character {
        /// Which driver.
        major: u32,
        /// Which of the driver's devices.
        minor: u32,
    },
    /// A block device.
    Block {
        /// Which driver.
        major: u32,
        /// Which of the driver's devices.
        minor: u32,
    },
    /// A FIFO.
    Fifo,
}

/// The devices that a process finds in `/dev`.
pub(crate) fn system(privileged: bool) -> Vec<Device> {
    let everybodys = |(path, major, minor): (&str, u32, u32)| Device {
        path: path.to_owned(),
        kind: DeviceKind::Character { major, minor },
        mode: 0o666,
        uid: 0,
        gid: 0,
    };
    let standard = DEVICES.into_iter().map(everybodys);
    if !privileged {
        return standard.collect();
    }
    let loops = (0..LOOPS).map(|minor| Device {
        path: format!("/dev/loop{minor}"),
        kind: DeviceKind::Block { major: LOOP_MAJOR, minor },
        mode: 0o666,
        uid: 0,
        gid: 0,
    });
    standard.chain(PRIVILEGED_DEVICES.into_iter().map(everybodys)).chain(loops).collect()
}
