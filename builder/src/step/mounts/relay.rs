//! A socket of the step's own that leads to an SSH agent of the caller's, or to keys that stand for one.
//!
//! The agent's own socket is never mounted: its permissions are rarely the step's, and a step that may change them would
//! change them on the host. Through the relay a step can list keys and have things signed, and nothing else: what it
//! runs is not who may add, remove or lock the user's keys.
//!
//! The protocol is that of draft-ietf-sshm-ssh-agent: each message has its length before it, each request one answer.

use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use kiln_graph::op::Access;

use crate::keyring::{Keyring, REQUEST_IDENTITIES, SIGN_REQUEST};

/// The largest message, OpenSSH's limit too.
const MAX_MESSAGE: usize = 256 * 1024;

/// The answer to a request that is refused: its length and `SSH_AGENT_FAILURE`.
const FAILURE: [u8; 5] = [0, 0, 0, 1, 5];

/// Who answers.
#[derive(Debug, Clone)]
pub(crate) enum Agent {
    /// Whoever listens on this socket.
    Socket(PathBuf),
    /// Kiln, with these keys.
    Keys(Arc<Keyring>),
}

/// The relay. Dropping it ends every conversation and removes nothing: the directory is the caller's.
#[derive(Debug)]
pub(crate) struct Relay {
    socket: PathBuf,
    /// A second handle on what is listened on.
    listening: UnixStream,
    accepting: Option<JoinHandle<()>>,
}

/// A conversation that may still go on.
struct Conversation {
    thread: JoinHandle<()>,
    streams: Vec<UnixStream>,
}

impl Relay {
    /// Listens in `directory`, on a socket with these permissions, for what is to be passed on to `agent`.
    pub(crate) fn start(directory: &Path, agent: &Agent, access: &Access) -> io::Result<Self> {
        let socket = directory.join("agent");
        // The address of a socket is 107 bytes at most, the way to a store may be longer.
        let handle = std::fs::File::open(directory)?;
        let listener = UnixListener::bind(format!("/proc/self/fd/{}/agent", handle.as_raw_fd()))?;
        std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(access.mode))?;
        chown(&socket, Some(access.uid), Some(access.gid))?;
        let listening = UnixStream::from(OwnedFd::from(listener.try_clone()?));
        let agent = agent.clone();
        let accepting = std::thread::spawn(move || accept(&listener, &agent));
        Ok(Self { socket, listening, accepting: Some(accepting) })
    }

    /// The socket.
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // Makes the accepting thread's call fail; it cannot be in any other for long.
        let stopped = self.listening.shutdown(std::net::Shutdown::Both);
        if let Some(thread) = self.accepting.take().filter(|_| stopped.is_ok()) {
            // What a thread could panic with has been printed; the step is over in any case.
            drop(thread.join());
        }
    }
}

/// Until the listener is shut down.
fn accept(listener: &UnixListener, agent: &Agent) {
    let mut conversations: Vec<Conversation> = Vec::new();
    while let Ok((step, _)) = listener.accept() {
        conversations.retain(|conversation| !conversation.thread.is_finished());
        // To the step, an agent that is gone is one that hangs up.
        if let Ok(conversation) = begin(step, agent) {
            conversations.push(conversation);
        }
    }
    for Conversation { thread, streams } in conversations {
        hang_up(streams);
        drop(thread.join());
    }
}

fn begin(step: UnixStream, agent: &Agent) -> io::Result<Conversation> {
    let (mut streams, mut ends) = (vec![step.try_clone()?], vec![step.try_clone()?]);
    // One that breaks off ends like any other: there are second handles, so both sides have to be told.
    let thread = match agent {
        Agent::Socket(path) => {
            let agent = UnixStream::connect(path)?;
            streams.push(agent.try_clone()?);
            ends.push(agent.try_clone()?);
            std::thread::spawn(move || {
                drop(converse(&step, |request| ask(&agent, request)));
                hang_up(ends);
            })
        }
        Agent::Keys(keys) => {
            let keys = Arc::clone(keys);
            std::thread::spawn(move || {
                drop(converse(&step, |request| Ok(Some(keys.answer(request)))));
                hang_up(ends);
            })
        }
    };
    Ok(Conversation { thread, streams })
}

fn hang_up(streams: Vec<UnixStream>) {
    for stream in streams {
        // It may have ended by itself.
        drop(stream.shutdown(std::net::Shutdown::Both));
    }
}

/// Until the step has no more requests, or there is no answer.
fn converse(mut step: &UnixStream, answer: impl Fn(&[u8]) -> io::Result<Option<Vec<u8>>>) -> io::Result<()> {
    while let Some(request) = message(step)? {
        if matches!(request.get(4), Some(&(REQUEST_IDENTITIES | SIGN_REQUEST))) {
            let Some(answer) = answer(&request)? else { return Ok(()) };
            step.write_all(&answer)?;
        } else {
            step.write_all(&FAILURE)?;
        }
    }
    Ok(())
}

/// What an agent answers.
fn ask(mut agent: &UnixStream, request: &[u8]) -> io::Result<Option<Vec<u8>>> {
    agent.write_all(request)?;
    message(agent)
}

/// The next message, its length included; `None` at the end.
fn message(mut stream: &UnixStream) -> io::Result<Option<Vec<u8>>> {
    let mut message = vec![0; 4];
    if stream.read(&mut message[..1])? == 0 {
        return Ok(None);
    }
    stream.read_exact(&mut message[1..])?;
    let length = u32::from_be_bytes([message[0], message[1], message[2], message[3]]) as usize;
    if length > MAX_MESSAGE {
        return Err(io::Error::from(io::ErrorKind::InvalidData));
    }
    message.resize(4 + length, 0);
    stream.read_exact(&mut message[4..])?;
    Ok(Some(message))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::MetadataExt;
    use std::sync::mpsc::{Receiver, channel};

    use super::*;

    const ACCESS: Access = Access { mode: 0o640, uid: 0, gid: 0 };

    /// An agent that answers everything with one message, and tells what it was asked.
    fn agent(path: &Path) -> Receiver<Vec<u8>> {
        let listener = UnixListener::bind(path).unwrap();
        let (sender, receiver) = channel();
        std::thread::spawn(move || {
            while let Ok((mut stream, _)) = listener.accept() {
                while let Ok(Some(request)) = message(&stream) {
                    sender.send(request).unwrap();
                    stream.write_all(&[0, 0, 0, 2, 12, 34]).unwrap();
                }
            }
        });
        receiver
    }

    fn ask(stream: &mut UnixStream, request: &[u8]) -> Vec<u8> {
        stream.write_all(request).unwrap();
        message(stream).unwrap().unwrap()
    }

    fn own_access() -> Access {
        let own = std::fs::metadata("/proc/self").unwrap();
        Access { uid: own.uid(), gid: own.gid(), ..ACCESS }
    }

    #[test]
    fn keys_can_be_used_and_not_changed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("theirs");
        let asked = agent(&path);
        // Longer than an address may be.
        let deep = directory.path().join("long".repeat(30)).join("way".repeat(30));
        std::fs::create_dir_all(&deep).unwrap();
        let relay = Relay::start(&deep, &Agent::Socket(path), &own_access()).unwrap();
        assert_eq!(std::fs::metadata(relay.socket()).unwrap().mode() & 0o7777, 0o640);

        let handle = std::fs::File::open(&deep).unwrap();
        let near = format!("/proc/self/fd/{}/agent", handle.as_raw_fd());
        let mut stream = UnixStream::connect(&near).unwrap();
        assert_eq!(ask(&mut stream, &[0, 0, 0, 1, REQUEST_IDENTITIES]), [0, 0, 0, 2, 12, 34]);
        // Adding a key (17), removing all (19), locking (22), an extension (27), nothing at all.
        for request in
            [&[0, 0, 0, 1, 17][..], &[0, 0, 0, 1, 19], &[0, 0, 0, 1, 22], &[0, 0, 0, 1, 27], &[0; 4]]
        {
            assert_eq!(ask(&mut stream, request), FAILURE);
        }
        assert_eq!(ask(&mut stream, &[0, 0, 0, 2, SIGN_REQUEST, 7]), [0, 0, 0, 2, 12, 34]);
        let seen: Vec<Vec<u8>> = asked.try_iter().collect();
        assert_eq!(seen, [vec![0, 0, 0, 1, REQUEST_IDENTITIES], vec![0, 0, 0, 2, SIGN_REQUEST, 7]]);

        stream.write_all(&[0xff; 4]).unwrap();
        assert!(message(&stream).unwrap().is_none(), "a message without end ends the conversation");
        let mut open = UnixStream::connect(&near).unwrap();
        drop(relay);
        assert!(matches!(open.read(&mut [0]), Ok(0) | Err(_)));
        assert!(UnixStream::connect(&near).is_err());
    }

    #[test]
    fn an_agent_that_is_gone_hangs_up() {
        let directory = tempfile::tempdir().unwrap();
        let nobody = Agent::Socket("/nowhere/at/all".into());
        let relay = Relay::start(directory.path(), &nobody, &own_access()).unwrap();
        let mut stream = UnixStream::connect(relay.socket()).unwrap();
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    }
}
