//! What can be ordered to go wrong.

use bytes::Bytes;

/// A fault: which requests it hits, how many of them, and what happens to them.
#[derive(Debug, Clone)]
pub struct Fault {
    pub(super) method: &'static str,
    pub(super) path: String,
    pub(super) times: usize,
    pub(super) trouble: Trouble,
}

/// What happens to a request.
#[derive(Debug, Clone)]
pub enum Trouble {
    /// This status with these headers and this body, instead of an answer.
    Status(u16, Vec<(&'static str, String)>, String),
    /// No answer ever comes.
    Silence,
    /// The connection breaks after so many bytes of the body.
    Cut(usize),
    /// Nothing comes any more after so many bytes of the body.
    Stall(usize),
    /// The body ends, as if complete, after so many bytes.
    Truncate(usize),
    /// Content-Length says this, whatever the body is.
    Length(u64),
    /// Other bytes than the right ones.
    Bytes(Bytes),
    /// The request is sent elsewhere (307).
    Redirect(String),
    /// A header is set to another value, or removed.
    Header(&'static str, Option<String>),
    /// Ranges are ignored: the answer is the whole.
    NoRange,
    /// The answer to a range begins so many bytes later than asked.
    WrongRange(u64),
}

impl Fault {
    /// A fault that hits every request of `method` whose path contains `path`.
    pub fn always(method: &'static str, path: &str, trouble: Trouble) -> Self {
        Self { method, path: path.to_owned(), times: usize::MAX, trouble }
    }

    /// A fault that hits the next such request.
    pub fn once(method: &'static str, path: &str, trouble: Trouble) -> Self {
        Self::always(method, path, trouble).times(1)
    }

    /// The same fault for the next so many requests.
    pub fn times(self, times: usize) -> Self {
        Self { times, ..self }
    }

    /// A plain status, as a fault's trouble.
    pub fn status(status: u16) -> Trouble {
        Trouble::Status(status, Vec::new(), String::new())
    }

    pub(super) fn hits(&self, method: &str, path: &str) -> bool {
        self.times > 0 && self.method == method && path.contains(&self.path)
    }
}
