//! A blob on its way in from any place, verified as it comes.

use std::pin::Pin;

use bytes::Bytes;
use futures_util::future::poll_fn;
use oci_spec::image::Descriptor;

use super::StorageError;
use crate::blob::BlobReader;
use crate::digest::Verifier;

/// Pieces of a blob as they come.
pub(super) type Pieces = Pin<Box<dyn futures_util::Stream<Item = Result<Bytes, StorageError>> + Send>>;

/// A blob that is being read.
pub struct StorageReader {
    inner: Inner,
}

enum Inner {
    /// A registry's reader verifies for itself.
    Registry(Box<BlobReader>),
    Stream(Box<Stream>),
}

/// Pieces of which nobody has verified anything yet.
struct Stream {
    subject: String,
    descriptor: Descriptor,
    pieces: Pieces,
    verifier: Option<Verifier>,
    begun: bool,
}

impl StorageReader {
    pub(super) fn registry(reader: BlobReader) -> Self {
        Self { inner: Inner::Registry(Box::new(reader)) }
    }

    pub(super) fn stream(
        place: &str,
        descriptor: &Descriptor,
        pieces: impl futures_util::Stream<Item = Result<Bytes, StorageError>> + Send + 'static,
    ) -> Self {
        let subject = format!("{place}: {}", descriptor.digest());
        let (descriptor, pieces) = (descriptor.clone(), Box::pin(pieces));
        let stream = Stream { subject, descriptor, pieces, verifier: None, begun: false };
        Self { inner: Inner::Stream(Box::new(stream)) }
    }

    /// The next bytes, nothing after the last. The last bytes come only once the whole blob is verified, so that
    /// whoever got all bytes got the right ones.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, StorageError> {
        match &mut self.inner {
            Inner::Registry(reader) => Ok(reader.chunk().await?),
            Inner::Stream(stream) => stream.chunk().await,
        }
    }
}

impl Stream {
    async fn chunk(&mut self) -> Result<Option<Bytes>, StorageError> {
        let wrong = |source| StorageError::Verify { subject: self.subject.clone(), source };
        if !self.begun {
            self.begun = true;
            let verifier = Verifier::new(self.descriptor.digest(), self.descriptor.size());
            self.verifier = Some(verifier.map_err(wrong)?);
        }
        loop {
            let Some(mut verifier) = self.verifier.take() else { return Ok(None) };
            let Some(piece) = poll_fn(|context| self.pieces.as_mut().poll_next(context)).await else {
                return verifier.finish().map_err(wrong).map(|()| None);
            };
            let piece = piece?;
            verifier.update(&piece).map_err(wrong)?;
            if verifier.is_complete() {
                verifier.finish().map_err(wrong)?;
                return Ok((!piece.is_empty()).then_some(piece));
            }
            self.verifier = Some(verifier);
            if !piece.is_empty() {
                return Ok(Some(piece));
            }
        }
    }
}
