//! The root file system: an overlay of the layer trees, with places for all mounts that do not leave a trace in the
//! upper directory.
//!
//! Used by [`super::perform`]. The places are [`super::stubs`]'s; the trees and what becomes of the upper directory
//! are the caller's of [`crate::spawn()`].

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Gid, Mode, OFlags, Uid};
use rustix::mount::MountAttrFlags;

use super::overlay::{self, Changes};
use super::{beneath, mounts, stubs};
use crate::Root;
use crate::error::Failure;
use crate::plan::Target;
use crate::sys;

/// Docker's limit too: the kernel takes at most 500 lower directories, one of which may be needed for stubs.
const MAX_LOWERS: usize = 499;

/// With one overlay below another, which is as deep as the kernel goes.
const MOST_LAYERS: usize = 2 * MAX_LOWERS - 1;

/// A file system in memory for what init itself needs: attached over the host's root in this namespace, gone with it.
pub(super) struct Scratch {
    mount: OwnedFd,
    files: usize,
}

impl Scratch {
    pub(super) fn new() -> io::Result<Scratch> {
        let mount = mounts::tmpfs(&[("mode", "755")], MountAttrFlags::empty())?;
        mounts::attach_over_root(&mount)?;
        Ok(Scratch { mount, files: 0 })
    }

    /// An empty directory of this name, the same at every call.
    pub(super) fn directory(&self, name: &str) -> io::Result<OwnedFd> {
        beneath::make_one(&self.mount, name.as_ref(), beneath::Leaf::Directory)?;
        open_directory(&self.mount, name)
    }

    /// A name that nothing in it has.
    pub(super) fn new_name(&mut self) -> String {
        self.files += 1;
        format!("tree-{}", self.files)
    }

    /// A file with this content.
    pub(super) fn file(&mut self, data: &[u8], mode: u32, owner: (u32, u32)) -> io::Result<OwnedFd> {
        self.files += 1;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(mode & 0o7777);
        let file = rustix::fs::openat(&self.mount, format!("file-{}", self.files), flags, mode)?;
        let (uid, gid) = (Uid::from_raw(owner.0), Gid::from_raw(owner.1));
        rustix::fs::fchown(&file, Some(uid), Some(gid))?;
        let mut file = std::fs::File::from(file);
        io::Write::write_all(&mut file, data)?;
        Ok(file.into())
    }

    /// A device node, made with this and named like nothing else.
    pub(super) fn device(
        &mut self,
        make: impl FnOnce(&OwnedFd, &str) -> io::Result<()>,
    ) -> io::Result<OwnedFd> {
        self.files += 1;
        let name = format!("device-{}", self.files);
        make(&self.mount, &name)?;
        Ok(rustix::fs::openat(&self.mount, name, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?)
    }

    /// A null device that no image has touched.
    pub(super) fn null(&self) -> io::Result<OwnedFd> {
        let device = rustix::fs::makedev(1, 3);
        let mode = Mode::from_raw_mode(0o666);
        match rustix::fs::mknodat(&self.mount, c"null", FileType::CharacterDevice, mode, device) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
        Ok(rustix::fs::openat(&self.mount, c"null", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?)
    }
}

fn open_directory(parent: &OwnedFd, name: &str) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(parent, name, flags, Mode::empty())?)
}

/// Mounts the root on a directory of the scratch file system; returns its root directory. Without `devices`, nodes that
/// the image brings or the process makes cannot be opened.
pub(super) fn mount(
    root: &Root,
    targets: &[Target],
    devices: bool,
    scratch: &Scratch,
) -> Result<OwnedFd, Failure> {
    let failed = |error: io::Error| Failure::step("mount the root file system", error);
    let mut lowers = open_lowers(root.lowers(), scratch, "below")?;
    let changes = match root {
        Root::Overlay { upper, work, .. } => Changes { upper: open_host(upper)?, work: open_host(work)? },
        Root::OverlayScratch { size, .. } => changes_in_memory(*size, scratch).map_err(failed)?,
    };
    let before = overlay_before(root, &changes, &lowers, scratch).map_err(failed)?;
    if let Root::OverlayScratch { .. } = root {
        stubs::copy_attributes(&before, &changes.upper).map_err(failed)?;
    }
    if let Some(stubs) = stubs::build(&before, targets, scratch)? {
        lowers.insert(0, stubs);
    }
    if lowers.is_empty() {
        lowers.push(scratch.directory("empty").map_err(failed)?);
    }
    overlay::unmount(before).map_err(failed)?;
    let layers: Vec<&OwnedFd> = lowers.iter().collect();
    let root = overlay::mount(&layers, Some(&changes), scratch, "root").map_err(failed)?;
    if !devices {
        sys::set_mount_attributes(&root, MountAttrFlags::MOUNT_ATTR_NODEV, false).map_err(failed)?;
    }
    Ok(root)
}

/// Opens layer trees, as many as can be mounted. Where there are more than the kernel takes, the lowest ones are mounted by
/// themselves first, on the directory `name` of the scratch file system: below them is nothing that they could hide, so
/// nothing is lost.
pub(super) fn open_lowers(
    lowers: &[PathBuf],
    scratch: &Scratch,
    name: &str,
) -> Result<Vec<OwnedFd>, Failure> {
    let failed = |error: io::Error| Failure::step("mount the root file system", error);
    if lowers.len() > MOST_LAYERS {
        let (count, most) = (lowers.len(), MOST_LAYERS);
        return Err(failed(io::Error::other(format!("{count} layers, and {most} can be mounted at most"))));
    }
    let mut open: Vec<OwnedFd> = lowers.iter().map(|path| open_host(path)).collect::<Result<_, _>>()?;
    if open.len() > MAX_LOWERS {
        let below = open.split_off(MAX_LOWERS - 1);
        let layers: Vec<&OwnedFd> = below.iter().collect();
        open.push(overlay::mount(&layers, None, scratch, name).map_err(failed)?);
    }
    Ok(open)
}

/// Opens a directory of the host.
pub(super) fn open_host(path: &Path) -> Result<OwnedFd, Failure> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, path, flags, Mode::empty())
        .map_err(|errno| Failure::step(format!("open the directory `{}`", path.display()), errno))
}

fn changes_in_memory(size: Option<u64>, scratch: &Scratch) -> io::Result<Changes> {
    let size = size.map(|size| size.to_string());
    let parameters: Vec<(&str, &str)> = size.iter().map(|size| ("size", size.as_str())).collect();
    let mount = mounts::tmpfs(&parameters, MountAttrFlags::empty())?;
    mounts::attach(&mount, &scratch.directory("changes")?)?;
    for name in ["upper", "work"] {
        beneath::make_one(&mount, name.as_ref(), beneath::Leaf::Directory)?;
    }
    Ok(Changes { upper: open_directory(&mount, "upper")?, work: open_directory(&mount, "work")? })
}

/// The merged tree as it is before the run, to be looked at only. An upper directory that is in use already counts as
/// its topmost layer.
fn overlay_before(
    root: &Root,
    changes: &Changes,
    lowers: &[OwnedFd],
    scratch: &Scratch,
) -> io::Result<OwnedFd> {
    let empty = scratch.directory("empty")?;
    let mut layers: Vec<&OwnedFd> = Vec::new();
    if let Root::Overlay { .. } = root {
        layers.push(&changes.upper);
    }
    layers.extend(lowers);
    // The kernel wants two layers where there is no upper one.
    let filler = match layers.len() {
        0 => Some(scratch.directory("empty-too")?),
        _ => None,
    };
    layers.extend(filler.as_ref());
    if layers.len() < 2 {
        layers.push(&empty);
    }
    overlay::mount(&layers, None, scratch, "before")
}
