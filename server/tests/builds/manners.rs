//! How clients behave that do not simply send what they have.

use std::sync::Arc;

use kiln_server::api::files::Packet;
use tokio::sync::{Semaphore, mpsc};
use tonic::{Status, Streaming};

use crate::entries::Entry;

/// A way to send a directory.
#[derive(Clone, Default)]
pub enum Manner {
    /// All of it.
    #[default]
    Whole,
    /// The client hangs up after so many packets.
    CutAfter(usize),
    /// The list, and files when the gate is open.
    Held(Arc<Gate>),
    /// These packets, whatever is asked for.
    Packets(Vec<Packet>),
    /// Of these entries what is wanted, and their contents.
    Listed(Arc<Vec<Entry>>),
    /// Nothing; the client gives its build up once it was asked.
    Silent,
}

/// Holds a client up until a test lets it on.
pub struct Gate {
    reached: Semaphore,
    open: Semaphore,
}

impl Gate {
    /// A closed one.
    pub fn closed() -> Arc<Self> {
        Arc::new(Self { reached: Semaphore::new(0), open: Semaphore::new(0) })
    }

    /// Waits until it is open.
    pub async fn pass(&self) {
        self.reached.add_permits(1);
        drop(self.open.acquire().await.unwrap());
    }

    /// Waits until somebody is held up.
    pub async fn reached(&self) {
        drop(self.reached.acquire().await.unwrap());
    }

    /// Lets everybody on.
    pub fn open(&self) {
        self.open.add_permits(1);
    }
}

/// Sends the packets, and ends when the daemon does, or at once where the last one is [`end`].
pub async fn packets(
    packets: Vec<Packet>,
    mut requests: Streaming<Packet>,
    sender: mpsc::Sender<Result<Packet, Status>>,
) {
    for packet in packets {
        if packet == end() {
            return;
        }
        // A daemon that has heard enough listens no more.
        drop(sender.send(Ok(packet)).await);
    }
    while let Ok(Some(_)) = requests.message().await {}
}

/// The end of the stream, in a list of packets.
pub fn end() -> Packet {
    Packet { id: u32::MAX, ..Packet::default() }
}
