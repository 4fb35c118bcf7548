//! Where clients come in: addresses as they are written, sockets made for them or handed over by systemd, TLS.
//!
//! Gives `Listener`s; `crate::serve` answers on them.

mod address;
mod inherited;
mod notify;
mod tls;
mod unix;

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use tokio::net::{TcpListener, UnixListener};
use tonic::transport::ServerTlsConfig;

pub use address::{Address, AddressError};
pub use inherited::inherited;
pub use notify::{Readiness, tell};
pub use tls::TlsError;
use unix::SocketFile;

use crate::config::TlsFiles;

/// Where and how a daemon listens.
#[derive(Debug, Default)]
pub struct Doors {
    /// Where.
    pub addresses: Vec<Address>,
    /// What TCP is protected with.
    pub tls: TlsFiles,
    /// The user and the group whose sockets it makes; the process's own by default.
    pub owner: Owner,
    /// Sockets that are open already, in the order in which they were handed over.
    pub inherited: Vec<OwnedFd>,
}

/// Whom a socket belongs to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Owner {
    /// The user.
    pub uid: Option<u32>,
    /// The group.
    pub gid: Option<u32>,
}

/// Why a daemon cannot be reached.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// There is no address.
    #[error("there is no address to listen at")]
    Nowhere,
    /// It cannot be listened at.
    #[error("cannot listen at {address}")]
    Address {
        /// Where.
        address: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Somebody does already.
    #[error("cannot listen at {address}: another daemon does")]
    Taken {
        /// Where.
        address: String,
    },
    /// Something else is in the place of a socket.
    #[error("cannot listen at {address}: there is a file that is no socket")]
    NotASocket {
        /// Where.
        address: String,
    },
    /// No such socket was handed over.
    #[error("cannot listen at {address}: {count} sockets were handed over (by systemd's socket activation)")]
    NotInherited {
        /// Where.
        address: String,
        /// How many were.
        count: usize,
    },
    /// TLS has no certificate that can be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// One place where clients come in.
#[derive(Debug)]
pub(crate) struct Listener {
    /// Where, as it was written.
    pub(crate) address: String,
    pub(crate) kind: ListenerKind,
    pub(crate) tls: Option<ServerTlsConfig>,
}

#[derive(Debug)]
pub(crate) enum ListenerKind {
    Unix(UnixListener),
    Tcp(TcpListener),
}

/// All of them, with what has to be removed from the file system at the end.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) listeners: Vec<Listener>,
    pub(crate) files: Vec<SocketFile>,
}

impl Open {
    /// Whether somebody may come in over a network without showing who they are.
    pub(crate) fn strangers(&self) -> impl Iterator<Item = &str> {
        let open = self.listeners.iter();
        open.filter(|listener| matches!(listener.kind, ListenerKind::Tcp(_)) && listener.tls.is_none())
            .map(|listener| listener.address.as_str())
    }
}

impl Doors {
    /// Opens all of them, or none.
    pub(crate) async fn open(self) -> Result<Open, ListenError> {
        if self.addresses.is_empty() {
            return Err(ListenError::Nowhere);
        }
        let tls = tls::read(&self.tls)?;
        let count = self.inherited.len();
        let mut inherited: Vec<Option<OwnedFd>> = self.inherited.into_iter().map(Some).collect();
        let mut open = Open { listeners: Vec::new(), files: Vec::new() };
        for address in self.addresses {
            let text = address.to_string();
            let failed = |source| ListenError::Address { address: text.clone(), source };
            match address {
                Address::Unix(path) => {
                    let (listener, file) = unix::bind(path, self.owner, &text)?;
                    open.files.push(file);
                    open.push(text, ListenerKind::Unix(listener), None);
                }
                Address::Tcp(name) => {
                    let listener = TcpListener::bind(name).await.map_err(failed)?;
                    open.push(text, ListenerKind::Tcp(listener), tls.clone());
                }
                Address::Inherited(number) => {
                    let wanted: Vec<_> = match number {
                        None => inherited.iter_mut().filter_map(Option::take).collect(),
                        Some(number) => {
                            inherited.get_mut(number).and_then(Option::take).into_iter().collect()
                        }
                    };
                    if wanted.is_empty() {
                        return Err(ListenError::NotInherited { address: text, count });
                    }
                    for socket in wanted {
                        let kind = inherited::listener(socket).map_err(failed)?;
                        let tls = matches!(kind, ListenerKind::Tcp(_)).then(|| tls.clone()).flatten();
                        open.push(text.clone(), kind, tls);
                    }
                }
            }
        }
        Ok(open)
    }
}

impl Open {
    fn push(&mut self, address: String, kind: ListenerKind, tls: Option<ServerTlsConfig>) {
        self.listeners.push(Listener { address, kind, tls });
    }
}

/// The number of a group by its name, or by itself, after the machine's list of groups.
pub fn group(name: &str, groups: &str) -> Option<u32> {
    if let Ok(number) = name.parse() {
        return Some(number);
    }
    let mut lines = groups.lines().map(|line| line.split(':'));
    lines.find_map(|mut fields| (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok()).flatten())
}

/// The machine's list of groups.
pub fn groups_file() -> PathBuf {
    PathBuf::from("/etc/group")
}

#[cfg(test)]
mod tests;
