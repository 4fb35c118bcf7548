//! A door in front of a server that counts what it serves, and that can be shut.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// A running door. It ends with the process of the tests.
pub struct Counter {
    /// `127.0.0.1:PORT`: where the server is to be spoken to.
    pub host: String,
    bytes: Arc<AtomicU64>,
    shut: Arc<AtomicBool>,
}

impl Counter {
    /// A door in front of the server at `host`.
    pub fn before(host: &str) -> Counter {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let own = listener.local_addr().expect("it has an address").to_string();
        let (bytes, shut) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (counted, closed, target) = (Arc::clone(&bytes), Arc::clone(&shut), host.to_owned());
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if closed.load(Ordering::SeqCst) {
                    continue;
                }
                let Ok(server) = TcpStream::connect(&target) else { continue };
                let (Ok(to_client), Ok(from_server)) = (client.try_clone(), server.try_clone()) else {
                    continue;
                };
                let counted = Arc::clone(&counted);
                std::thread::spawn(move || pump(client, server, None));
                std::thread::spawn(move || pump(from_server, to_client, Some(&counted)));
            }
        });
        Counter { host: own, bytes, shut }
    }

    /// Bytes that the server has sent so far.
    pub fn served(&self) -> u64 {
        self.bytes.load(Ordering::SeqCst)
    }

    /// From now on every connection is closed at once.
    pub fn shut(&self) {
        self.shut.store(true, Ordering::SeqCst);
    }
}

fn pump(mut from: TcpStream, mut to: TcpStream, count: Option<&AtomicU64>) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(length) = from.read(&mut buffer) {
        if let Some(count) = count {
            count.fetch_add(length as u64, Ordering::SeqCst);
        }
        if length == 0 || to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    // Either side may have gone already.
    drop(to.shutdown(Shutdown::Both));
}
