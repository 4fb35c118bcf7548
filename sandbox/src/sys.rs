//! The system calls that rustix does not have, each behind a safe function. The only `unsafe` of kiln.
//!
//! Nothing here knows what a sandbox is; the callers are [`crate::supervisor`], [`crate::reexec`] and [`crate::init`].

use std::ffi::{CStr, CString, c_char, c_int, c_long, c_void};
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use rustix::mount::MountAttrFlags;

/// Which side of [`clone_process`] this is.
pub(crate) enum Cloned {
    /// The new process.
    Child,
    /// The caller, with a pidfd of the new process.
    Parent(OwnedFd),
}

/// Arguments of clone3, version 0 (`struct clone_args` in `linux/sched.h`).
#[repr(C, align(8))]
#[derive(Default)]
struct CloneArguments {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
}

/// Duplicates the calling process like fork, with new namespaces. Must be called by single-threaded processes only: a
/// lock that another thread holds would stay locked in the child for ever. That is checked.
pub(crate) fn clone_process(namespaces: c_int) -> io::Result<Cloned> {
    if std::fs::read_dir("/proc/self/task")?.count() != 1 {
        return Err(io::Error::other("a process with threads cannot be cloned"));
    }
    let mut pidfd: RawFd = -1;
    let arguments = CloneArguments {
        flags: u64::from((namespaces | libc::CLONE_PIDFD).cast_unsigned()),
        pidfd: ptr::from_mut(&mut pidfd) as u64,
        exit_signal: u64::from(libc::SIGCHLD.cast_unsigned()),
        ..CloneArguments::default()
    };
    // SAFETY: the arguments are a valid clone_args of the size that is passed; `pidfd` outlives the call. Without
    // CLONE_VM and with no stack given the child goes on with a copy of this one thread and its memory, which is all
    // there is (checked above), so every invariant of the copied memory holds in the child as well.
    let result =
        unsafe { libc::syscall(libc::SYS_clone3, ptr::from_ref(&arguments), size_of::<CloneArguments>()) };
    match checked(result)? {
        0 => Ok(Cloned::Child),
        // SAFETY: clone3 succeeded with CLONE_PIDFD, so the kernel stored a new descriptor that nobody else owns.
        _ => Ok(Cloned::Parent(unsafe { OwnedFd::from_raw_fd(pidfd) })),
    }
}

/// Arguments of mount_setattr, version 0 (`struct mount_attr` in `linux/mount.h`).
#[repr(C)]
#[derive(Default)]
struct MountAttributes {
    set: u64,
    clear: u64,
    propagation: u64,
    userns: u64,
}

/// Makes the mount that the descriptor stands for read-only, and those below it if asked.
pub(crate) fn set_mount_read_only(mount: &impl AsFd, recursive: bool) -> io::Result<()> {
    set_mount_attributes(mount, MountAttrFlags::MOUNT_ATTR_RDONLY, recursive)
}

/// Sets attributes of the mount that the descriptor stands for, and of those below it if asked.
pub(crate) fn set_mount_attributes(
    mount: &impl AsFd,
    set: MountAttrFlags,
    recursive: bool,
) -> io::Result<()> {
    let attributes = MountAttributes { set: set.bits().into(), ..MountAttributes::default() };
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is a NUL-terminated string, the attributes are a valid mount_attr of the size that is passed;
    // both outlive the call, which changes no memory of this process.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_fd().as_raw_fd(),
            c"".as_ptr(),
            flags,
            ptr::from_ref(&attributes),
            size_of::<MountAttributes>(),
        )
    };
    checked(result).map(drop)
}

/// Marks every descriptor from 3 up as closed on execution.
pub(crate) fn close_on_exec_from_3() -> io::Result<()> {
    // SAFETY: only a flag of descriptors changes; what they refer to stays open for whoever owns them.
    let result =
        unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    checked(result).map(drop)
}

/// The kernel's `struct sigaction`, which differs from the C library's. All zeroes is the default action.
#[repr(C)]
#[derive(Default)]
struct SignalAction {
    handler: usize,
    flags: libc::c_ulong,
    #[cfg(target_arch = "x86_64")]
    restorer: usize,
    mask: u64,
}

/// Gives every signal its default action and unblocks all: ignored and blocked signals survive an execution, and what
/// kiln or its parent ignores is nothing that a command should inherit.
pub(crate) fn reset_signals() -> io::Result<()> {
    const HIGHEST: c_int = 64;
    let default = SignalAction::default();
    for signal in (1..=HIGHEST).filter(|signal| ![libc::SIGKILL, libc::SIGSTOP].contains(signal)) {
        // SAFETY: the action is a valid sigaction of the kernel's with a mask of the size that is passed. The default
        // action runs no code of this process. The call is made directly because the C library keeps two signals for
        // itself, which can be ignored by inheritance all the same.
        let result = unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                ptr::from_ref(&default),
                ptr::null_mut::<SignalAction>(),
                size_of::<u64>(),
            )
        };
        checked(result)?;
    }
    let none = 0_u64;
    // SAFETY: the set is a valid signal set of the kernel's, of the size that is passed.
    let result = unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            ptr::from_ref(&none),
            ptr::null_mut::<u64>(),
            size_of::<u64>(),
        )
    };
    checked(result).map(drop)
}

/// Brings the loopback interface of the current network namespace up.
pub(crate) fn bring_loopback_up() -> io::Result<()> {
    let socket = rustix::net::socket_with(
        rustix::net::AddressFamily::INET,
        rustix::net::SocketType::DGRAM,
        rustix::net::SocketFlags::CLOEXEC,
        None,
    )?;
    // SAFETY: ifreq is plain old data for which all zeroes is a valid value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(c"lo".to_bytes()) {
        *to = from.cast_signed() as c_char;
    }
    request.ifr_ifru.ifru_flags =
        libc::c_short::try_from(libc::IFF_UP | libc::IFF_RUNNING).map_err(io::Error::other)?;
    // SAFETY: SIOCSIFFLAGS reads an ifreq, which `request` is; its name is NUL-terminated because the field is longer
    // than "lo" and was zeroed.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, ptr::from_ref(&request)) };
    checked(c_long::from(result)).map(drop)
}

/// Loads a seccomp filter for this process and all that it will start.
pub(crate) fn load_seccomp_filter(program: &[libc::sock_filter]) -> io::Result<()> {
    let length = u16::try_from(program.len()).map_err(io::Error::other)?;
    let filter = libc::sock_fprog { len: length, filter: program.as_ptr().cast_mut() };
    // SAFETY: `filter` describes exactly the slice `program`, which outlives the call; the kernel copies it and does
    // not write, so the cast to a mutable pointer has no effect.
    let result = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            // Without it, kernels before 5.16 slow down everything that runs under a filter.
            libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW,
            ptr::from_ref(&filter),
        )
    };
    checked(result).map(drop)
}

/// Becomes another program; returns only if that fails.
pub(crate) fn execute(path: &CStr, arguments: &[CString], environment: &[CString]) -> io::Error {
    let (arguments, environment) = (to_pointers(arguments), to_pointers(environment));
    // SAFETY: the path is NUL-terminated, both arrays hold pointers to NUL-terminated strings that outlive the call and
    // end with a null pointer.
    unsafe { libc::execve(path.as_ptr(), arguments.as_ptr().cast(), environment.as_ptr().cast()) };
    io::Error::last_os_error()
}

fn to_pointers(strings: &[CString]) -> Vec<*const c_void> {
    strings.iter().map(|string| string.as_ptr().cast()).chain([ptr::null()]).collect()
}

fn checked(result: c_long) -> io::Result<c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

#[cfg(test)]
pub(crate) mod tests {
    //! What only tests need that is unsafe.

    #![allow(clippy::unwrap_used)]

    use rustix::thread::UnshareFlags;

    /// Gives the calling thread mounts of its own.
    pub(crate) fn leave_mount_namespace() {
        // SAFETY: only sharing a table of descriptors between threads makes this call unsafe, and that is not touched.
        unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS) }.unwrap();
    }
}
