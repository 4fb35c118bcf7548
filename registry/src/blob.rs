//! Blobs on their way in: streamed, verified, resumed where a connection breaks.
//!
//! Whoever pulls layers reads chunk by chunk and stores them; several blobs at once are the caller's
//! business. Made by the client.

use std::sync::Arc;

use bytes::{Buf as _, Bytes};
use oci_spec::image::Descriptor;
use reqwest::header::{ACCEPT_ENCODING, CONTENT_RANGE, HeaderValue, RANGE};
use reqwest::{Method, Response, StatusCode};

use crate::auth::Scope;
use crate::digest::Verifier;
use crate::error::RegistryError;
use crate::reference::Reference;
use crate::retry::RetryPolicy;
use crate::session::{Call, Session};

/// A blob on its way, verified as it comes.
#[derive(Debug)]
pub struct BlobReader {
    session: Arc<Session>,
    retry: RetryPolicy,
    repository: String,
    /// Where the blob is looked for when this registry does not give it, the last one first.
    others: Vec<(Arc<Session>, String)>,
    subject: String,
    descriptor: Descriptor,
    /// Taken when the blob is complete.
    verifier: Option<Verifier>,
    started: bool,
    answer: Option<Answer>,
    /// Failures in a row that brought nothing new.
    failed: u32,
}

/// An answer whose body is being read.
#[derive(Debug)]
struct Answer {
    response: Response,
    /// Bytes to pass over: the registry began at the start although it was asked for the rest.
    skip: u64,
}

impl BlobReader {
    pub(crate) fn new(
        session: Arc<Session>,
        retry: RetryPolicy,
        reference: &Reference,
        descriptor: &Descriptor,
    ) -> Self {
        Self {
            session,
            retry,
            repository: reference.repository().to_owned(),
            others: Vec::new(),
            subject: format!("{}@{}", reference.familiar_name(), descriptor.digest()),
            descriptor: descriptor.clone(),
            verifier: None,
            started: false,
            answer: None,
            failed: 0,
        }
    }

    /// The same blob from another registry first, which may not have it.
    #[must_use]
    pub(crate) fn through(mut self, session: Arc<Session>, mirror: &Reference) -> Self {
        let session = std::mem::replace(&mut self.session, session);
        let repository = std::mem::replace(&mut self.repository, mirror.repository().to_owned());
        self.others.push((session, repository));
        self
    }

    /// Goes on at the next registry, if there is one.
    fn turn(&mut self) -> bool {
        let Some((session, repository)) = self.others.pop() else { return false };
        (self.session, self.repository) = (session, repository);
        (self.answer, self.failed) = (None, 0);
        true
    }

    /// The size that the descriptor announces.
    pub fn size(&self) -> u64 {
        self.descriptor.size()
    }

    /// The next bytes, nothing after the last. The last bytes come only once the whole blob is verified, so
    /// that whoever got all bytes got the right ones.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, RegistryError> {
        if !self.started {
            self.started = true;
            let verifier = Verifier::new(self.descriptor.digest(), self.descriptor.size());
            self.verifier = Some(verifier.map_err(|source| self.wrong(source))?);
        }
        while let Some(verifier) = &self.verifier {
            let done = verifier.seen();
            // Finding the registry is tried often enough where it is done.
            let call = match self.call(done).await {
                Ok(call) => call,
                Err(_) if self.turn() => continue,
                Err(error) => return Err(error),
            };
            match self.receive(&call, done).await {
                Ok(chunk) => {
                    self.failed = 0;
                    return self.take(chunk).map(Some);
                }
                Err(error) => {
                    self.answer = None;
                    self.failed += 1;
                    if !self.retry.pause(self.failed, &error).await && !self.turn() {
                        return Err(error);
                    }
                }
            }
        }
        Ok(None)
    }

    /// Checks and counts a chunk; the last one also ends the blob.
    fn take(&mut self, chunk: Bytes) -> Result<Bytes, RegistryError> {
        let Some(mut verifier) = self.verifier.take() else {
            return Ok(chunk);
        };
        verifier.update(&chunk).map_err(|source| self.wrong(source))?;
        if verifier.is_complete() {
            self.answer = None;
            verifier.finish().map_err(|source| self.wrong(source))?;
        } else {
            self.verifier = Some(verifier);
        }
        Ok(chunk)
    }

    /// The next piece after the first `done` bytes; never an empty one unless the blob is empty.
    async fn receive(&mut self, call: &Call, done: u64) -> Result<Bytes, RegistryError> {
        if self.answer.is_none() {
            self.answer = Some(self.open(call, done).await?);
        }
        let broken = || RegistryError::Truncated {
            subject: self.subject.clone(),
            received: done,
            size: self.descriptor.size(),
        };
        let Some(answer) = &mut self.answer else { return Err(broken()) };
        loop {
            let Some(mut chunk) = self.session.chunk(call, &mut answer.response).await? else {
                if self.descriptor.size() == 0 {
                    return Ok(Bytes::new());
                }
                return Err(broken());
            };
            let skipped = answer.skip.min(chunk.len() as u64);
            answer.skip -= skipped;
            // A part of a chunk's length, which is a usize.
            chunk.advance(usize::try_from(skipped).unwrap_or(chunk.len()));
            if !chunk.is_empty() {
                return Ok(chunk);
            }
        }
    }

    async fn call(&self, done: u64) -> Result<Call, RegistryError> {
        let url =
            self.session.url(&format!("{}/blobs/{}", self.repository, self.descriptor.digest())).await?;
        let call = Call::new(Method::GET, url, Scope::pull(&self.repository))
            .header(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        match HeaderValue::from_str(&format!("bytes={done}-")) {
            Ok(range) if done > 0 => Ok(call.header(RANGE, range)),
            _ => Ok(call),
        }
    }

    /// Asks for the bytes from `done` on.
    async fn open(&self, call: &Call, done: u64) -> Result<Answer, RegistryError> {
        let response = self.session.send(call).await?;
        let rest = self.descriptor.size() - done;
        let (skip, expected) = match response.status() {
            StatusCode::PARTIAL_CONTENT if done > 0 && starts_at(&response, done) => (0, rest),
            StatusCode::PARTIAL_CONTENT => {
                return Err(call.answer("is another part of the blob than was asked for"));
            }
            _ => (done, self.descriptor.size()),
        };
        match response.content_length() {
            Some(length) if length != expected => {
                Err(call.answer(format!("has {length} bytes where the descriptor says {expected}")))
            }
            _ => Ok(Answer { response, skip }),
        }
    }

    fn wrong(&self, source: crate::digest::VerifyError) -> RegistryError {
        RegistryError::Verify { subject: self.subject.clone(), source }
    }
}

/// Whether a partial answer begins where it should. One that does not say is believed: the digest decides.
fn starts_at(response: &Response, offset: u64) -> bool {
    let range = response.headers().get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
    range.is_none_or(|range| {
        let start = range.trim_start_matches("bytes").trim_start().split('-').next();
        start.and_then(|start| start.parse().ok()) == Some(offset)
    })
}
