//! What a command gets with its devices: variables, device nodes, files of the host, groups.
//!
//! The specification's own edits come once, with the first of its devices. What it asks for beyond that (programs to be
//! executed beside the command, network interfaces) is refused by name: a command with half a device would fail later
//! and less clearly.

use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use kiln_graph::op::Device as Asked;
use kiln_sandbox::{Device, DeviceKind, Mount, MountKind};

use super::specification::{ContainerEdits, MountEntry, Node};
use super::{Described, DeviceError, Devices};
use crate::step::user::Ids;

/// What is added to a command.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Edits {
    /// Variables, which replace those of the same name.
    pub(crate) env: Vec<(String, String)>,
    pub(crate) nodes: Vec<Device>,
    pub(crate) mounts: Vec<Mount>,
    /// Supplementary groups.
    pub(crate) groups: Vec<u32>,
}

impl Devices {
    /// What a command of this user gets with the devices that it asks for. A device that it can do without and that is
    /// not there is told to `note`.
    pub(crate) fn edits(
        &self,
        asked: &[Asked],
        user: Ids,
        note: &dyn Fn(String),
    ) -> Result<Edits, DeviceError> {
        let mut given: Vec<&str> = Vec::new();
        for device in asked {
            let found = self.named(&device.name);
            if found.is_empty() {
                let missing = self.unknown(&device.name);
                if device.required {
                    return Err(missing);
                }
                note(format!("{missing}: the command runs without it"));
            }
            given.extend(found);
        }
        let mut edits = Edits::default();
        let mut opened: Vec<&Path> = Vec::new();
        let mut applied: Vec<&str> = Vec::new();
        for name in given {
            let Some(described) = self.known.get(name) else { continue };
            if applied.contains(&name) {
                continue;
            }
            applied.push(name);
            let apply = Apply { device: name, described, user };
            if !opened.contains(&described.file.as_path()) {
                opened.push(&described.file);
                apply.apply(&described.specification.container_edits, &mut edits)?;
            }
            if let Some(entry) = described.specification.devices.get(described.index) {
                apply.apply(&entry.container_edits, &mut edits)?;
            }
        }
        Ok(edits)
    }
}

/// One device on its way to a command.
struct Apply<'a> {
    device: &'a str,
    described: &'a Described,
    user: Ids,
}

impl Apply<'_> {
    fn apply(&self, from: &ContainerEdits, edits: &mut Edits) -> Result<(), DeviceError> {
        if let Some(hook) = from.hooks.first() {
            return Err(self.unsupported(format!("the {} hook {}", hook.hook_name, hook.path)));
        }
        if !from.net_devices.is_empty() {
            return Err(self.unsupported("a network interface of the host".to_owned()));
        }
        if from.intel_rdt.is_some() {
            return Err(self.unsupported("limits of processor caches (intelRdt)".to_owned()));
        }
        for text in &from.env {
            let variable = text.split_once('=').filter(|(name, _)| !name.is_empty());
            let Some((name, value)) = variable else {
                return Err(self.unsupported(format!("the variable `{text}`")));
            };
            edits.env.retain(|(known, _)| known != name);
            edits.env.push((name.to_owned(), value.to_owned()));
        }
        for node in &from.device_nodes {
            let device = self.node(node)?;
            edits.nodes.retain(|known| known.path != device.path);
            edits.nodes.push(device);
        }
        for mount in &from.mounts {
            let mount = self.mount(mount)?;
            edits.mounts.retain(|known| known.target != mount.target);
            edits.mounts.push(mount);
        }
        // Group 0 stands for none there.
        edits.groups.extend(from.additional_gids.iter().filter(|gid| **gid != 0));
        Ok(())
    }

    /// A node as it is described; what is not described is as on the host. It belongs to the command's user where
    /// nothing else is said.
    fn node(&self, node: &Node) -> Result<Device, DeviceError> {
        if !node.permissions.chars().all(|flag| "rwm".contains(flag)) {
            return Err(
                self.unsupported(format!("{} with the permissions `{}`", node.path, node.permissions))
            );
        }
        let host = PathBuf::from(node.host_path.as_ref().unwrap_or(&node.path));
        let found = std::fs::symlink_metadata(&host).map_err(|source| self.missing(&host, source));
        let described = match (node.kind.as_str(), node.major, node.minor) {
            ("p", ..) => Some(DeviceKind::Fifo),
            ("c" | "u", major, minor) if major != 0 => Some(DeviceKind::Character { major, minor }),
            ("b", major, minor) if major != 0 => Some(DeviceKind::Block { major, minor }),
            ("" | "c" | "u" | "b", ..) => None,
            (other, ..) => return Err(self.unsupported(format!("{} of the type `{other}`", node.path))),
        };
        let (kind, mode) = match (described, found) {
            (Some(kind), Ok(found)) => (kind, found.mode() & 0o7777),
            // The machine may have the driver and no node.
            (Some(kind), Err(_)) => (kind, DEFAULT_MODE),
            (None, found) => {
                let found = found?;
                (self.kind(node, &host, &found)?, found.mode() & 0o7777)
            }
        };
        Ok(Device {
            path: node.path.clone(),
            kind,
            mode: node.file_mode.unwrap_or(mode),
            uid: node.uid.unwrap_or(self.user.uid),
            gid: node.gid.unwrap_or(self.user.gid),
        })
    }

    fn kind(&self, node: &Node, host: &Path, found: &std::fs::Metadata) -> Result<DeviceKind, DeviceError> {
        let (major, minor) = (rustix::fs::major(found.rdev()), rustix::fs::minor(found.rdev()));
        let kind = found.file_type();
        match node.kind.as_str() {
            "" | "c" | "u" if kind.is_char_device() => Ok(DeviceKind::Character { major, minor }),
            "" | "b" if kind.is_block_device() => Ok(DeviceKind::Block { major, minor }),
            "" if kind.is_fifo() => Ok(DeviceKind::Fifo),
            _ => Err(self.missing(host, std::io::Error::other("it is no device node of that type"))),
        }
    }

    fn mount(&self, mount: &MountEntry) -> Result<Mount, DeviceError> {
        if !["", "none", "bind"].contains(&mount.kind.as_str()) {
            return Err(self.unsupported(format!("a {} file system at {}", mount.kind, mount.container_path)));
        }
        let (mut read_only, mut programs) = (false, true);
        for option in &mount.options {
            match option.as_str() {
                "ro" => read_only = true,
                "noexec" => programs = false,
                // What always holds: such a mount has neither devices nor set-id bits, and a sandbox's mounts are its
                // own, so there is nobody to pass mounts on to.
                "rw" | "bind" | "rbind" | "nosuid" | "nodev" | "private" | "rprivate" | "slave"
                | "rslave" => {}
                other => {
                    return Err(self.unsupported(format!("the mount option `{other}`")));
                }
            }
        }
        let source = PathBuf::from(&mount.host_path);
        match std::fs::metadata(&source) {
            Ok(_) if source.is_absolute() => {}
            Ok(_) => return Err(self.missing(&source, std::io::Error::other("it is not absolute"))),
            Err(error) => return Err(self.missing(&source, error)),
        }
        let kind = MountKind::Plain { source, read_only, programs };
        Ok(Mount { target: mount.container_path.clone(), kind })
    }

    fn unsupported(&self, what: String) -> DeviceError {
        DeviceError::Unsupported {
            device: self.device.to_owned(),
            file: self.described.file.to_path_buf(),
            what,
        }
    }

    fn missing(&self, path: &Path, source: std::io::Error) -> DeviceError {
        DeviceError::Missing {
            device: self.device.to_owned(),
            file: self.described.file.to_path_buf(),
            path: path.to_owned(),
            source,
        }
    }
}

/// Permission bits of a node that neither its description nor the host knows.
const DEFAULT_MODE: u32 = 0o666;
