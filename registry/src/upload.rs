//! The body of an upload: a blob read on a blocking thread, verified, and handed to the connection.
//!
//! A blob that is not what its descriptor says is never sent whole: the last piece is held back until the
//! digest is known to be right. Used by push, through the session.

use std::fmt;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use oci_spec::image::Descriptor;
use tokio::sync::mpsc;

use crate::digest::Verifier;
use crate::error::RegistryError;

/// Bytes read and sent at a time: large enough that system calls do not show, small enough for the cache.
const PIECE: usize = 256 << 10;
/// Pieces read ahead of the connection.
const AHEAD: usize = 4;

type Open = dyn Fn() -> io::Result<Box<dyn Read + Send>> + Send + Sync;

/// Where a blob's bytes come from; opened again when an upload is tried again.
#[derive(Clone)]
pub struct BlobSource {
    open: Arc<Open>,
}

impl fmt::Debug for BlobSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BlobSource")
    }
}

impl BlobSource {
    /// A source that `open` opens. It is opened and read on a blocking thread.
    pub fn new<R: Read + Send + 'static>(open: impl Fn() -> io::Result<R> + Send + Sync + 'static) -> Self {
        Self { open: Arc::new(move || Ok(Box::new(open()?))) }
    }

    /// A file.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Self::new(move || std::fs::File::open(&path))
    }

    /// Bytes in memory.
    pub fn bytes(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self::new(move || Ok(io::Cursor::new(bytes.clone())))
    }
}

/// One blob on its way out. Each try of the request starts it anew.
#[derive(Clone)]
pub(crate) struct Upload {
    descriptor: Descriptor,
    source: BlobSource,
    sent: Arc<AtomicU64>,
    failure: Arc<Mutex<Option<RegistryError>>>,
    on_progress: Arc<dyn Fn(u64) + Send + Sync>,
}

impl Upload {
    pub(crate) fn new(
        descriptor: &Descriptor,
        source: &BlobSource,
        on_progress: impl Fn(u64) + Send + Sync + 'static,
    ) -> Self {
        Self {
            descriptor: descriptor.clone(),
            source: source.clone(),
            sent: Arc::default(),
            failure: Arc::default(),
            on_progress: Arc::new(on_progress),
        }
    }

    /// The value of Content-Length.
    pub(crate) fn size(&self) -> u64 {
        self.descriptor.size()
    }

    /// Counts the bytes handed to the connection; what does not move for long has stalled.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Why the body broke off, if the reason was on this side.
    pub(crate) fn take_failure(&self) -> Option<RegistryError> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Starts reading; the pieces end early if that fails, and [`Self::take_failure`] tells why.
    pub(crate) fn pieces(&self) -> mpsc::Receiver<io::Result<Bytes>> {
        let (sender, receiver) = mpsc::channel(AHEAD);
        let upload = self.clone();
        tokio::task::spawn_blocking(move || {
            if let Err(error) = upload.read(&sender) {
                // The connection is told after the reason is stored, so that the reason is there when it
                // breaks.
                *upload.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                // A connection that is gone needs no telling.
                let _ = sender.blocking_send(Err(io::Error::other("the blob could not be read")));
            }
        });
        receiver
    }

    /// The pieces as a request's body.
    pub(crate) fn start(&self) -> reqwest::Body {
        let receiver = self.pieces();
        let upload = self.clone();
        upload.sent.store(0, Ordering::Relaxed);
        reqwest::Body::wrap_stream(futures_util::stream::unfold(receiver, move |mut receiver| {
            let upload = upload.clone();
            async move {
                let piece: io::Result<Bytes> = receiver.recv().await?;
                if let Ok(bytes) = &piece {
                    upload.count(bytes.len() as u64);
                }
                Some((piece, receiver))
            }
        }))
    }

    fn count(&self, bytes: u64) {
        let sent = self.sent.fetch_add(bytes, Ordering::Relaxed) + bytes;
        (self.on_progress)(sent);
    }

    /// Reads the source to its end; ends early without an error if nobody takes the pieces any more.
    fn read(&self, sender: &mpsc::Sender<io::Result<Bytes>>) -> Result<(), RegistryError> {
        let unreadable = |source| RegistryError::Source { digest: self.descriptor.digest().clone(), source };
        let wrong =
            |source| RegistryError::Verify { subject: format!("blob {}", self.descriptor.digest()), source };
        let mut verifier = Verifier::new(self.descriptor.digest(), self.descriptor.size()).map_err(wrong)?;
        let mut reader = (self.source.open)().map_err(unreadable)?;
        let mut held: Option<Bytes> = None;
        loop {
            let mut piece = BytesMut::zeroed(PIECE);
            let length = fill(&mut reader, &mut piece).map_err(unreadable)?;
            piece.truncate(length);
            verifier.update(&piece).map_err(wrong)?;
            if length == 0 {
                break;
            }
            if let Some(last) = held.replace(piece.freeze())
                && sender.blocking_send(Ok(last)).is_err()
            {
                return Ok(());
            }
        }
        verifier.finish().map_err(wrong)?;
        if let Some(last) = held {
            // If nobody takes it, the request has failed for a reason of its own.
            let _ = sender.blocking_send(Ok(last));
        }
        Ok(())
    }
}

/// Reads until `buffer` is full or the input ends; gives the bytes read.
fn fill(reader: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(length) => filled += length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
