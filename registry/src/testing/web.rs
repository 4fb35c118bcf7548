//! A web server for tests: pages by path, with answers that lie, break off, stall or change.
//!
//! Written on plain sockets and threads, because what it has to be able to send is not HTTP at times.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// An answer.
#[derive(Debug, Clone, Default)]
pub struct Page {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    length: Option<usize>,
    cut: Option<usize>,
    stall: bool,
}

impl Page {
    /// 200 and this body.
    pub fn new(body: impl Into<Vec<u8>>) -> Self {
        Self { status: 200, body: body.into(), ..Self::default() }
    }

    /// Another status, without a body.
    pub fn status(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    /// A redirect (302).
    pub fn redirect(target: &str) -> Self {
        Self::status(302).header("Location", target)
    }

    /// With one more header. A request whose If-None-Match is the page's `ETag`, or whose If-Modified-Since is its
    /// `Last-Modified`, is answered with 304.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With a Content-Length that is not the body's.
    #[must_use]
    pub fn length(self, length: usize) -> Self {
        Self { length: Some(length), ..self }
    }

    /// The connection ends after so many bytes of the body.
    #[must_use]
    pub fn cut(self, bytes: usize) -> Self {
        Self { cut: Some(bytes), ..self }
    }

    /// Nothing comes after so many bytes of the body, and the connection stays open.
    #[must_use]
    pub fn stall(self, bytes: usize) -> Self {
        Self { cut: Some(bytes), stall: true, ..self }
    }

    fn field(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    fn is_current(&self, request: &str) -> bool {
        let asked = |name: &str| header(request, name);
        match (asked("If-None-Match"), asked("If-Modified-Since")) {
            (Some(tag), _) => self.field("ETag") == Some(tag),
            (None, Some(date)) => self.field("Last-Modified") == Some(date),
            (None, None) => false,
        }
    }
}

/// A header of a request's head.
pub(super) fn header<'r>(request: &'r str, name: &str) -> Option<&'r str> {
    let line = request
        .lines()
        .find(|line| line.split_once(':').is_some_and(|(known, _)| known.eq_ignore_ascii_case(name)))?;
    line.split_once(':').map(|(_, value)| value.trim())
}

/// A running server; it answers no more once it is dropped.
#[derive(Debug)]
pub struct WebServer {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    pages: BTreeMap<String, Vec<Page>>,
    seen: Vec<String>,
    stopped: bool,
    /// Connections that stall are kept open.
    open: Vec<TcpStream>,
}

impl WebServer {
    /// A server without pages.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.lock().unwrap().stopped {
                    return;
                }
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || answer(&shared, stream.unwrap()));
            }
        });
        Self { address, state }
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The URL of a path by a name that is not the address: another origin.
    pub fn url_by_name(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.address.port())
    }

    /// From now on `path` has these answers, one after the other; the last one stays.
    pub fn serve(&self, path: &str, pages: impl IntoIterator<Item = Page>) {
        let mut pages: Vec<Page> = pages.into_iter().collect();
        pages.reverse();
        self.state.lock().unwrap().pages.insert(path.to_owned(), pages);
    }

    /// The heads of all requests so far.
    pub fn seen(&self) -> Vec<String> {
        self.state.lock().unwrap().seen.clone()
    }
}

impl Drop for WebServer {
    fn drop(&mut self) {
        let mut state = self.state.lock().unwrap();
        state.stopped = true;
        state.open.clear();
        drop(state);
        // Wakes the listener, which then sees that it is to end.
        drop(TcpStream::connect(self.address));
    }
}

fn answer(state: &Mutex<State>, mut stream: TcpStream) {
    let mut head = String::new();
    let mut reader = BufReader::new(stream.try_clone().unwrap().take(64 << 10));
    while reader.read_line(&mut head).is_ok_and(|length| length > 2) {}
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let page = {
        let mut state = state.lock().unwrap();
        state.seen.push(head.clone());
        let pages = state.pages.get_mut(&path);
        let page = pages.and_then(|pages| if pages.len() > 1 { pages.pop() } else { pages.first().cloned() });
        page.unwrap_or_else(|| Page::status(404))
    };
    let page = if page.is_current(&head) { Page { status: 304, body: Vec::new(), ..page } } else { page };
    let mut bytes = format!("HTTP/1.1 {} Told\r\nConnection: close\r\n", page.status).into_bytes();
    if page.status != 304 {
        bytes.extend(format!("Content-Length: {}\r\n", page.length.unwrap_or(page.body.len())).bytes());
    }
    for (name, value) in &page.headers {
        bytes.extend(format!("{name}: {value}\r\n").bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(&page.body[..page.cut.unwrap_or(page.body.len()).min(page.body.len())]);
    // A client that has gone does not want the rest.
    drop(stream.write_all(&bytes));
    if page.stall {
        state.lock().unwrap().open.push(stream);
    }
}
