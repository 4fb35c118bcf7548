//! Repositories on a web server for tests: git's own backend behind a loopback port, with a login to ask for.
//!
//! It answers a request a connection, and writes down what each showed for a login.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use super::web::header;

/// A running server; it answers no more once it is dropped.
#[derive(Debug)]
pub struct GitServer {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    /// The directory that the repositories are in.
    root: PathBuf,
    /// The only `Authorization` that is let in, if not everybody is.
    wanted: Option<String>,
    /// Where all requests are sent on to.
    elsewhere: Option<String>,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    logins: Vec<Option<String>>,
    is_stopped: bool,
}

impl GitServer {
    /// Serves the repositories in `root` to those who show `wanted`, or to everybody.
    pub fn start(root: &Path, wanted: Option<&str>) -> Self {
        Self::with(State {
            root: root.to_owned(),
            wanted: wanted.map(str::to_owned),
            elsewhere: None,
            seen: Mutex::default(),
        })
    }

    /// Sends everybody on to the same path at the URL `elsewhere`.
    pub fn redirecting(elsewhere: &str) -> Self {
        Self::with(State {
            root: PathBuf::new(),
            wanted: None,
            elsewhere: Some(elsewhere.to_owned()),
            seen: Mutex::default(),
        })
    }

    fn with(state: State) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(state);
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.seen.lock().unwrap().is_stopped {
                    return;
                }
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || shared.answer(&stream.unwrap()));
            }
        });
        Self { address, state }
    }

    /// `HOST:PORT`.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The `Authorization` of each request so far.
    pub fn logins(&self) -> Vec<Option<String>> {
        self.state.seen.lock().unwrap().logins.clone()
    }
}

impl Drop for GitServer {
    fn drop(&mut self) {
        self.state.seen.lock().unwrap().is_stopped = true;
        // Lets the thread that listens look.
        drop(TcpStream::connect(self.address));
    }
}

impl State {
    fn answer(&self, mut stream: &TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).unwrap_or(0) == 0 {
                return;
            }
        }
        let login = header(&head, "Authorization").map(str::to_owned);
        self.seen.lock().unwrap().logins.push(login.clone());
        let answer = match (&self.elsewhere, &self.wanted) {
            (Some(elsewhere), _) => {
                let target = head.split(' ').nth(1).unwrap_or_default();
                format!("HTTP/1.1 302 Found\r\nLocation: {elsewhere}{target}\r\n\r\n").into_bytes()
            }
            (None, Some(wanted)) if login.as_ref() != Some(wanted) => {
                b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"tests\"\r\n\r\n".to_vec()
            }
            _ => self.backend(&head, &mut reader),
        };
        // Whoever hangs up wants no answer.
        drop(stream.write_all(&answer));
    }

    /// What git says to a request.
    fn backend(&self, head: &str, body: &mut BufReader<TcpStream>) -> Vec<u8> {
        let mut words = head.split(' ');
        let (method, target) = (words.next().unwrap(), words.next().unwrap());
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let length = header(head, "Content-Length").and_then(|text| text.parse().ok()).unwrap_or(0);
        let mut command = Command::new("git");
        command.args(["-c", "safe.directory=*", "http-backend"]).env("GIT_PROJECT_ROOT", &self.root);
        command.env("GIT_HTTP_EXPORT_ALL", "1").env("REQUEST_METHOD", method).env("PATH_INFO", path);
        command.env("QUERY_STRING", query).env("CONTENT_LENGTH", length.to_string());
        for (variable, name) in [
            ("CONTENT_TYPE", "Content-Type"),
            ("HTTP_CONTENT_ENCODING", "Content-Encoding"),
            ("GIT_PROTOCOL", "Git-Protocol"),
        ] {
            command.env(variable, header(head, name).unwrap_or_default());
        }
        let mut backend =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("git is installed");
        let mut stdin = backend.stdin.take().unwrap();
        drop(std::io::copy(&mut body.take(length), &mut stdin));
        drop(stdin);
        let output = backend.wait_with_output().unwrap().stdout;
        let status = String::from_utf8_lossy(&output)
            .lines()
            .next()
            .and_then(|line| line.strip_prefix("Status: ").map(str::to_owned));
        let mut answer = format!("HTTP/1.1 {}\r\n", status.as_deref().unwrap_or("200 OK")).into_bytes();
        answer.extend(output);
        answer
    }
}
