//! What systemd is told of the daemon's state, if it asked for it (a service of `Type=notify`).

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// A state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// Clients may come.
    Ready,
    /// The daemon ends.
    Stopping,
}

/// Tells the state at a socket, as `NOTIFY_SOCKET` names it: a path, or `@` and an abstract name.
pub fn tell(socket: &OsStr, state: Readiness) -> io::Result<()> {
    let message: &[u8] = match state {
        Readiness::Ready => b"READY=1",
        Readiness::Stopping => b"STOPPING=1",
    };
    let sender = UnixDatagram::unbound()?;
    match socket.as_bytes() {
        [b'@', name @ ..] => {
            use std::os::linux::net::SocketAddrExt;
            sender.send_to_addr(message, &SocketAddr::from_abstract_name(name)?)?;
        }
        _ => drop(sender.send_to(message, socket)?),
    }
    Ok(())
}
