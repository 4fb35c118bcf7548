//! Sockets that are open when the daemon starts, as systemd's socket activation hands them over: the process's
//! descriptors from 3 on.
//!
//! They are taken as copies: only a copy can be owned without a promise that nobody else in the process has it. What is
//! left at the old numbers is closed in every process that is started from here.

use std::io;
use std::os::fd::OwnedFd;

use rustix::net::AddressFamily;
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
use tokio::net::{TcpListener, UnixListener};

use super::ListenerKind;

/// Where they begin.
const FIRST: i32 = 3;

/// That many sockets that were handed over.
pub fn inherited(count: usize) -> io::Result<Vec<OwnedFd>> {
    let this = pidfd_open(getpid(), PidfdFlags::empty())?;
    let numbers = (FIRST..).take(count);
    numbers.map(|number| Ok(pidfd_getfd(&this, number, PidfdGetfdFlags::empty())?)).collect()
}

/// A socket that somebody else made listen.
pub(super) fn listener(socket: OwnedFd) -> io::Result<ListenerKind> {
    let family = rustix::net::getsockname(&socket)?.address_family();
    if family == AddressFamily::UNIX {
        let listener = std::os::unix::net::UnixListener::from(socket);
        listener.set_nonblocking(true)?;
        return Ok(ListenerKind::Unix(UnixListener::from_std(listener)?));
    }
    let listener = std::net::TcpListener::from(socket);
    listener.set_nonblocking(true)?;
    Ok(ListenerKind::Tcp(TcpListener::from_std(listener)?))
}
