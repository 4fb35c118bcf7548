//! The standard streams of the command: pipes of the caller, or a terminal of the sandbox's own.
//!
//! Used by [`super::perform`], after everything is mounted and before the root becomes `/`.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, Uid};
use rustix::pty::OpenptFlags;

use super::{beneath, mounts};
use crate::WindowSize;
use crate::spawn::winsize;

/// Opens a terminal on the sandbox's own terminals' file system and makes it the controlling terminal, the standard
/// streams and `/dev/console`. Returns the master side.
pub(super) fn open_terminal(root: &OwnedFd, size: WindowSize, owner: u32) -> io::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::NOCTTY;
    let master = beneath::open_with(root, Path::new("/dev/pts/ptmx"), flags, ResolveFlags::NO_SYMLINKS)?;
    rustix::pty::unlockpt(&master)?;
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let terminal = rustix::pty::ioctl_tiocgptpeer(&master, flags)?;
    rustix::termios::tcsetwinsize(&master, winsize(size))?;
    give_to(&terminal, owner)?;

    let devices = beneath::open_with(root, Path::new("/dev"), OFlags::PATH, ResolveFlags::NO_SYMLINKS)?;
    let mode = Mode::from_raw_mode(0o620);
    rustix::fs::mknodat(&devices, c"console", FileType::RegularFile, mode, 0)?;
    let console =
        beneath::open_with(&devices, Path::new("console"), OFlags::PATH, ResolveFlags::NO_SYMLINKS)?;
    mounts::attach(&mounts::clone(&terminal, false)?, &console)?;

    rustix::process::ioctl_tiocsctty(&terminal)?;
    rustix::stdio::dup2_stdin(&terminal)?;
    rustix::stdio::dup2_stdout(&terminal)?;
    rustix::stdio::dup2_stderr(&terminal)?;
    Ok(master)
}

/// Puts the input in place; output and errors are in theirs already. `own_input` and `own_output` say which of them are
/// pipes that only the command uses, which then belong to its user.
pub(super) fn connect(
    root: &OwnedFd,
    input: Option<OwnedFd>,
    owner: u32,
    own_input: bool,
    own_output: bool,
) -> io::Result<()> {
    let input = match input {
        Some(input) => input,
        None => beneath::open_with(root, Path::new("/dev/null"), OFlags::RDWR, ResolveFlags::NO_SYMLINKS)?,
    };
    if own_input {
        give_to(&input, owner)?;
    }
    rustix::stdio::dup2_stdin(&input)?;
    if own_output {
        give_to(&rustix::stdio::stdout(), owner)?;
        give_to(&rustix::stdio::stderr(), owner)?;
    }
    Ok(())
}

fn give_to(stream: &impl AsFd, owner: u32) -> io::Result<()> {
    Ok(rustix::fs::fchown(stream, Some(Uid::from_raw(owner)), None)?)
}
