//! Performs the steps of a plan, one after the other, and says which of them failed.
//!
//! Called by [`super::run`]; the work of each kind of step is in the module named like it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::mount::{MountAttrFlags, UnmountFlags};

use super::beneath::Leaf;
use super::rootfs::Scratch;
use super::{Never, beneath, credentials, devices, die_with, execute, mounts, parts, rootfs, streams};
use crate::error::Failure;
use crate::plan::{NewMount, Step, View};
use crate::sys;
use crate::wire::{self, Report};
use crate::{Device, Limit, MountTree};

/// The state that steps leave for later ones.
pub(super) struct Init<'a> {
    stdin: Option<OwnedFd>,
    supervisor: OwnedFd,
    reports: &'a UnixStream,
    terminal: Option<OwnedFd>,
    ground: Option<Ground>,
}

/// What there is once the root is mounted, until it is entered.
struct Ground {
    root: OwnedFd,
    /// The number of its file system.
    device: u64,
    scratch: Scratch,
}

impl<'a> Init<'a> {
    pub(super) fn new(stdin: Option<OwnedFd>, supervisor: OwnedFd, reports: &'a UnixStream) -> Init<'a> {
        Init { stdin, supervisor, reports, terminal: None, ground: None }
    }

    /// Performs all steps, the last of which does not return.
    pub(super) fn perform_all(mut self, steps: &[Step]) -> Never {
        for step in steps {
            match step {
                Step::Root { root, targets, devices, read_only } => {
                    let failed = |error: io::Error| Failure::step(step.to_string(), error);
                    let scratch = Scratch::new().map_err(failed)?;
                    let root = rootfs::mount(root, targets, *devices, &scratch)?;
                    if *read_only {
                        sys::set_mount_read_only(&root, false).map_err(failed)?;
                    }
                    let device = rustix::fs::fstat(&root).map_err(|errno| failed(errno.into()))?.st_dev;
                    self.ground = Some(Ground { root, device, scratch });
                }
                Step::Enter { path, create } => {
                    enter(path, *create).map_err(|error| match error.raw_os_error() {
                        Some(errno) => Failure::WorkingDirectory { path: path.clone(), errno },
                        None => Failure::step(step.to_string(), error),
                    })?;
                }
                Step::Raise(limit) => limit.raise()?,
                Step::Execute { args, env, limits } => {
                    let command = execute::Command::new(args, env)?;
                    self.announce().map_err(|error| Failure::step(step.to_string(), error))?;
                    // From here on hardly anything is needed that they could keep from this process.
                    limits.iter().try_for_each(Limit::set)?;
                    return command.execute();
                }
                _ => self.perform(step).map_err(|error| Failure::step(step.to_string(), error))?,
            }
        }
        Err(Failure::step("execute a command", io::Error::other("the plan has none")))
    }

    fn perform(&mut self, step: &Step) -> io::Result<()> {
        match step {
            Step::PrivateMounts => mounts::make_private(),
            Step::Hostname(name) => Ok(rustix::system::sethostname(name.as_bytes())?),
            Step::Loopback => sys::bring_loopback_up(),
            Step::Mount(mount) => self.ground()?.mount(mount),
            Step::Device(device) => self.ground()?.device(device),
            Step::Node(device) => devices::make_node(&self.ground()?.root, device),
            Step::Link { path, target } => devices::make_link(&self.ground()?.root, path, target),
            Step::Bind { target, source, view } => self.ground()?.bind(target, source, *view),
            Step::File { target, data, mode, owner, read_only } => {
                self.ground()?.file(target, data, *mode, *owner, *read_only)
            }
            Step::Part { target, tree, path, directory, view } => {
                self.ground()?.part(target, tree, path, *directory, *view)
            }
            Step::ReadOnly(path) => self.ground()?.make_read_only(path),
            Step::Mask(path) => self.ground()?.mask(path),
            Step::Terminal { size, owner } => {
                self.terminal = Some(streams::open_terminal(&self.ground()?.root, *size, *owner)?);
                Ok(())
            }
            Step::Streams { owner, input, output } => {
                let stdin = self.stdin.take();
                streams::connect(&self.ground()?.root, stdin, *owner, *input, *output)
            }
            Step::Pivot => self.ground.take().map_or_else(|| Err(no_root()), |ground| pivot(&ground)),
            Step::Credentials { uid, gid, groups, no_new_privs, privileged } => {
                let identity = credentials::Identity { uid: *uid, gid: *gid, groups };
                credentials::assume(&identity, *no_new_privs, *privileged)?;
                die_with(&self.supervisor)
            }
            Step::Root { .. } | Step::Enter { .. } | Step::Raise(_) | Step::Execute { .. } => {
                Err(io::Error::other("a step out of its place"))
            }
        }
    }

    fn ground(&mut self) -> io::Result<&mut Ground> {
        self.ground.as_mut().ok_or_else(no_root)
    }

    /// The last words before the command takes over.
    fn announce(&self) -> io::Result<()> {
        rustix::process::umask(Mode::WGRP | Mode::WOTH);
        sys::close_on_exec_from_3()?;
        let terminal: Vec<BorrowedFd<'_>> = self.terminal.iter().map(AsFd::as_fd).collect();
        wire::tell(self.reports, &Report::Ready, &terminal)
    }
}

fn no_root() -> io::Error {
    io::Error::other("there is no root file system yet")
}

impl Ground {
    fn mount(&self, mount: &NewMount) -> io::Result<()> {
        let configuration = mounts::Configuration::new(mount.filesystem)?;
        configuration.set("source", mount.filesystem)?;
        for (key, value) in &mount.parameters {
            match value {
                Some(value) => configuration.set(key, value)?,
                None => configuration.set_flag(key)?,
            }
        }
        let mut attributes = MountAttrFlags::MOUNT_ATTR_NOSUID;
        attributes.set(MountAttrFlags::MOUNT_ATTR_RDONLY, mount.read_only);
        attributes.set(MountAttrFlags::MOUNT_ATTR_NODEV, !mount.devices);
        attributes.set(MountAttrFlags::MOUNT_ATTR_NOEXEC, !mount.programs);
        let new = configuration.mount(attributes)?;
        mounts::attach(&new, &self.place(&mount.target, Leaf::Directory, mount.follow)?)
    }

    fn bind(&self, target: &str, source: &Path, view: View) -> io::Result<()> {
        let mount = mounts::clone_host(source, view.recursive)?;
        mounts::restrict(&mount, view)?;
        let leaf = if is_directory(&mount)? { Leaf::Directory } else { Leaf::File };
        mounts::attach(&mount, &self.place(target, leaf, true)?)
    }

    /// Shows a device node of the scratch file system, which alone has device nodes that can be opened.
    fn device(&mut self, device: &Device) -> io::Result<()> {
        let node = devices::make_apart(&mut self.scratch, device)?;
        mounts::attach(&mounts::clone(&node, false)?, &self.place(&device.path, Leaf::File, true)?)
    }

    fn file(
        &mut self,
        target: &str,
        data: &[u8],
        mode: u32,
        owner: (u32, u32),
        read_only: bool,
    ) -> io::Result<()> {
        let file = self.scratch.file(data, mode, owner)?;
        let view = mounts::clone(&file, false)?;
        if read_only {
            sys::set_mount_read_only(&view, false)?;
        }
        mounts::attach(&view, &self.place(target, Leaf::File, true)?)
    }

    fn part(
        &mut self,
        target: &str,
        tree: &MountTree,
        path: &Path,
        directory: bool,
        view: View,
    ) -> io::Result<()> {
        let part = parts::open(tree, path, &mut self.scratch)?;
        let mount = mounts::clone(&part, view.recursive)?;
        mounts::restrict(&mount, view)?;
        let leaf = if directory { Leaf::Directory } else { Leaf::File };
        mounts::attach(&mount, &self.place(target, leaf, true)?)
    }

    fn make_read_only(&self, path: &str) -> io::Result<()> {
        match self.existing(path)? {
            Some(place) => mounts::make_read_only(&place),
            None => Ok(()),
        }
    }

    /// Covers a directory with an empty one and anything else with a null device.
    fn mask(&self, path: &str) -> io::Result<()> {
        let Some(place) = self.existing(path)? else { return Ok(()) };
        let cover =
            if is_directory(&place)? { self.scratch.directory("masked")? } else { self.scratch.null()? };
        let view = mounts::clone(&cover, false)?;
        sys::set_mount_read_only(&view, false)?;
        mounts::attach(&view, &place)
    }

    /// A path of the kernel's file systems; `None` where this kernel does not have it.
    fn existing(&self, path: &str) -> io::Result<Option<OwnedFd>> {
        match beneath::open_with(&self.root, Path::new(path), OFlags::PATH, ResolveFlags::NO_SYMLINKS) {
            Ok(place) => Ok(Some(place)),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Opens what a mount covers. If it is missing, it lies in another mount (in the root file system there is a stub
    /// for it) and is made there.
    fn place(&self, target: &str, leaf: Leaf, follow: bool) -> io::Result<OwnedFd> {
        let resolve = if follow { ResolveFlags::empty() } else { ResolveFlags::NO_SYMLINKS };
        match beneath::open_with(&self.root, Path::new(target), OFlags::PATH, resolve) {
            Err(Errno::NOENT) => {
                let missing = beneath::resolve(&self.root, Path::new(target))?;
                Ok(beneath::make(&self.root, &missing, leaf, Some(self.device))?)
            }
            result => Ok(result?),
        }
    }
}

fn is_directory(place: &OwnedFd) -> io::Result<bool> {
    Ok(FileType::from_raw_mode(rustix::fs::fstat(place)?.st_mode) == FileType::Directory)
}

/// Makes the root `/` and detaches the host's file systems, with everything that was only attached to them.
fn pivot(ground: &Ground) -> io::Result<()> {
    rustix::process::fchdir(&ground.root)?;
    // With both the same, the old root ends up mounted over the new one: no directory is needed inside the root
    // (pivot_root(2)).
    rustix::process::pivot_root(c".", c".")?;
    // The topmost mount over a directory is what its name stands for when unmounting, and above the old root there is
    // the scratch file system, perhaps more: going up from the root shows when nothing is left over it.
    let root = identity(&ground.root)?;
    for _ in 0..MAX_COVERS {
        let uppermost = rustix::fs::openat(CWD, c"/..", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        if identity(&uppermost)? == root {
            return Ok(rustix::process::chdir(c"/")?);
        }
        rustix::mount::unmount(c".", UnmountFlags::DETACH)?;
    }
    Err(io::Error::other("the host's file systems cannot be detached"))
}

/// More mounts than anybody has on top of each other at `/`; keeps a mistake from looping for ever.
const MAX_COVERS: u32 = 100;

/// Device and file number: two open places with the same are the same directory.
fn identity(place: &OwnedFd) -> io::Result<(u64, u64)> {
    let stat = rustix::fs::fstat(place)?;
    Ok((stat.st_dev, stat.st_ino))
}

/// Changes to the working directory, which must lie in the root: a path through `/proc` could lead to a directory of
/// the host that some descriptor still holds (CVE-2024-21626).
fn enter(path: &str, create: bool) -> io::Result<()> {
    let root = rustix::fs::openat(CWD, c"/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let flags = OFlags::PATH | OFlags::DIRECTORY;
    let directory = match beneath::open_with(&root, Path::new(path), flags, ResolveFlags::empty()) {
        Err(Errno::NOENT) if create => {
            beneath::make(&root, &beneath::resolve(&root, Path::new(path))?, Leaf::Directory, None)?
        }
        result => result?,
    };
    rustix::process::fchdir(&directory)?;
    // The kernel marks a directory outside the root with "(unreachable)".
    if rustix::process::getcwd(Vec::new())?.to_bytes().starts_with(b"/") {
        Ok(())
    } else {
        Err(io::Error::from_raw_os_error(libc::ENOENT))
    }
}
