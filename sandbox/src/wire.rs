//! Messages between caller, supervisor and init: length-prefixed JSON on a Unix stream socket, with descriptors
//! attached to the first byte. Used on both sockets (caller to supervisor, supervisor to init).
//!
//! What a message means is the business of [`crate::spawn()`], [`crate::supervisor`] and [`crate::init`].

use std::io::{self, IoSlice, IoSliceMut, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::Failure;
use crate::{Exit, RunSpec, Stdio};

/// The first and only message from the caller. Carries the process's input as a descriptor unless it reads nothing.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) spec: RunSpec,
    pub(crate) stdio: Stdio,
}

/// What the supervisor tells the caller: one of the first two, and after [`Reply::Started`] an [`Reply::Exited`].
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Reply {
    /// The command runs. Carries a pidfd of it, and then the master side of its terminal if it has one.
    Started,
    /// The command could not be started; nothing is left of the sandbox.
    Failed(Failure),
    /// The command ended, and with it every process of the sandbox.
    Exited(Exit),
}

/// What init tells the supervisor before it turns into the command. The end of the stream after
/// [`Report::Ready`] means that it did.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Report {
    /// Everything but the execution itself is done. Carries the master side of the terminal, if there is one.
    Ready,
    /// It will not happen.
    Failed(Failure),
}

/// A pidfd and a terminal at most.
const MAX_DESCRIPTORS: usize = 2;

/// Larger than any specification that could be meant seriously; keeps a broken length from allocating everything.
const MAX_MESSAGE: usize = 256 << 20;

/// The bytes of a message, ready for [`send`].
pub(crate) fn encode(message: &impl Serialize) -> Result<Vec<u8>, serde_json::Error> {
    let mut frame = vec![0; 4];
    serde_json::to_writer(&mut frame, message)?;
    let length = u32::try_from(frame.len() - 4).map_err(serde::ser::Error::custom)?;
    frame[..4].copy_from_slice(&length.to_le_bytes());
    Ok(frame)
}

/// Sends an encoded message and copies of the descriptors. A peer that is gone is [`io::ErrorKind::BrokenPipe`].
pub(crate) fn send(socket: &UnixStream, frame: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::Error::other("too many descriptors for one message"));
    }
    let mut sent = 0;
    while sent < frame.len() {
        match sendmsg(socket, &[IoSlice::new(&frame[sent..])], &mut control, SendFlags::NOSIGNAL) {
            Ok(count) => sent += count,
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        control.clear();
    }
    Ok(())
}

/// [`encode`] and [`send`] in one.
pub(crate) fn tell(
    socket: &UnixStream,
    message: &impl Serialize,
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<()> {
    send(socket, &encode(message)?, descriptors)
}

/// Waits for the next message; `None` when the peer closed its end (or died) between two messages.
pub(crate) fn receive<T: DeserializeOwned>(mut socket: &UnixStream) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
    let mut length = [0; 4];
    let (count, descriptors) = receive_first(socket, &mut length)?;
    if count == 0 {
        return Ok(None);
    }
    socket.read_exact(&mut length[count..])?;
    let length = u32::from_le_bytes(length) as usize;
    if length > MAX_MESSAGE {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "message too long"));
    }
    let mut payload = vec![0; length];
    socket.read_exact(&mut payload)?;
    Ok(Some((serde_json::from_slice(&payload)?, descriptors)))
}

fn receive_first(socket: &UnixStream, buffer: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = rustix::io::retry_on_intr(|| {
        recvmsg(socket.as_fd(), &mut [IoSliceMut::new(buffer)], &mut control, RecvFlags::CMSG_CLOEXEC)
    })?;
    let descriptors = control
        .drain()
        .filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(rights) => Some(rights),
            _ => None,
        })
        .flatten()
        .collect();
    Ok((received.bytes, descriptors))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::Write;

    use super::*;

    #[test]
    fn messages_arrive_in_order_with_their_descriptors() {
        let (here, there) = UnixStream::pair().unwrap();
        let (reader, mut writer) = io::pipe().unwrap();
        tell(&here, &Reply::Started, &[reader.as_fd()]).unwrap();
        tell(&here, &Reply::Exited(Exit::Code(3)), &[]).unwrap();
        drop((here, reader));

        let (first, mut descriptors) = receive::<Reply>(&there).unwrap().unwrap();
        assert!(matches!(first, Reply::Started));
        assert_eq!(descriptors.len(), 1);
        let (second, none) = receive::<Reply>(&there).unwrap().unwrap();
        assert!(matches!(second, Reply::Exited(Exit::Code(3))));
        assert!(none.is_empty());
        assert!(receive::<Reply>(&there).unwrap().is_none());

        writer.write_all(b"x").unwrap();
        drop(writer);
        let mut text = String::new();
        std::fs::File::from(descriptors.remove(0)).read_to_string(&mut text).unwrap();
        assert_eq!(text, "x");
    }

    #[test]
    fn a_message_larger_than_the_socket_buffer_is_sent_whole() {
        let (here, there) = UnixStream::pair().unwrap();
        let text = "x".repeat(3 << 20);
        let expected = text.clone();
        let sender = std::thread::spawn(move || tell(&here, &text, &[]));
        let (received, _) = receive::<String>(&there).unwrap().unwrap();
        assert_eq!(received.len(), expected.len());
        sender.join().unwrap().unwrap();
    }

    #[test]
    fn a_message_that_breaks_off_is_an_error() {
        let (mut here, there) = UnixStream::pair().unwrap();
        here.write_all(&[10, 0, 0, 0, b'"']).unwrap();
        drop(here);
        assert!(receive::<String>(&there).is_err());
    }
}
