//! A web server in the test that build steps call: it counts what they do, and holds them where a test wants them.
//!
//! With it a test waits for the moment that it is about instead of guessing how long that takes.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// How long a step may take to call, on a machine that is busy with other tests.
const CALLED_WITHIN: Duration = Duration::from_mins(1);

/// The server. Requests for paths that begin with `/hold` are answered only when they are released.
pub struct Beacon {
    address: String,
    state: Arc<(Mutex<State>, Condvar)>,
}

#[derive(Default)]
struct State {
    requests: Vec<String>,
    held: Vec<TcpStream>,
    released: bool,
}

impl Beacon {
    /// Starts it on a free loopback port.
    pub fn start() -> Beacon {
        let listener = TcpListener::bind("127.0.0.1:0").expect("the loopback interface is up");
        let address = listener.local_addr().expect("a bound socket has an address").to_string();
        let state = Arc::new((Mutex::new(State::default()), Condvar::new()));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                receive(stream, &shared);
            }
        });
        Beacon { address, state }
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The paths asked for so far, in order.
    pub fn requests(&self) -> Vec<String> {
        self.state.0.lock().expect("no holder panics").requests.clone()
    }

    /// Waits until that many requests have come.
    pub fn wait_for(&self, count: usize) {
        let guard = self.state.0.lock().expect("no holder panics");
        let waiting =
            self.state.1.wait_timeout_while(guard, CALLED_WITHIN, |state| state.requests.len() < count);
        let (guard, timeout) = waiting.expect("no holder panics");
        let requests = guard.requests.clone();
        drop(guard);
        assert!(!timeout.timed_out(), "{count} requests should have come, but only {requests:?} did");
    }

    /// Answers what is held, and holds nothing any more.
    pub fn release(&self) {
        let mut state = self.state.0.lock().expect("no holder panics");
        state.released = true;
        for stream in state.held.drain(..) {
            answer(stream);
        }
    }
}

fn receive(stream: TcpStream, shared: &(Mutex<State>, Condvar)) {
    let mut line = String::new();
    if BufReader::new(&stream).read_line(&mut line).is_err() {
        return;
    }
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut state = shared.0.lock().expect("no holder panics");
    if path.starts_with("/hold") && !state.released {
        state.held.push(stream);
    } else {
        answer(stream);
    }
    state.requests.push(path);
    shared.1.notify_all();
}

fn answer(mut stream: TcpStream) {
    // A caller that is gone by now needs no answer.
    stream.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nok\n").ok();
}
