//! Digests computed and checked: whatever comes from outside passes through a [`Verifier`].
//!
//! The digest type is oci-spec's; this adds the hashing. Blob transfer, documents and archives use it.

use std::fmt::Write as _;
use std::str::FromStr;

use oci_spec::image::{Digest, DigestAlgorithm};
use sha2::{Digest as _, Sha256, Sha512};

/// Content that is not what its digest or size says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The bytes hash to something else.
    #[error("content has digest {actual}, expected {expected}")]
    Digest {
        /// The digest that was asked for.
        expected: Digest,
        /// The digest of what came.
        actual: String,
    },
    /// There are more or fewer bytes.
    #[error("content of {digest} has {actual} bytes, expected {expected}")]
    Size {
        /// The digest that was asked for.
        digest: Digest,
        /// The size that was announced.
        expected: u64,
        /// The bytes seen: for a longer content, at least so many.
        actual: u64,
    },
    /// The digest's algorithm cannot be computed here.
    #[error("digest {digest} uses an algorithm other than sha256 and sha512")]
    Algorithm {
        /// The digest.
        digest: Digest,
    },
}

/// The sha256 digest of `bytes`.
pub fn sha256(bytes: &[u8]) -> Digest {
    let mut hasher = Hasher::Sha256(Sha256::new());
    hasher.update(bytes);
    hasher.finish_as_digest()
}

/// Checks that `bytes` hash to `expected`.
pub fn verify(bytes: &[u8], expected: &Digest) -> Result<(), VerifyError> {
    let mut verifier = Verifier::new(expected, bytes.len() as u64)?;
    verifier.update(bytes)?;
    verifier.finish()
}

/// Hashes content as it passes and compares it with what was announced.
#[derive(Debug, Clone)]
pub struct Verifier {
    expected: Digest,
    size: u64,
    seen: u64,
    hasher: Hasher,
}

impl Verifier {
    /// Expects `size` bytes whose digest is `expected`.
    pub fn new(expected: &Digest, size: u64) -> Result<Self, VerifyError> {
        let hasher = Hasher::of(expected)?;
        Ok(Self { expected: expected.clone(), size, seen: 0, hasher })
    }

    /// Takes the next bytes; fails as soon as there are more than announced.
    pub fn update(&mut self, bytes: &[u8]) -> Result<(), VerifyError> {
        self.seen += bytes.len() as u64;
        if self.seen > self.size {
            return Err(self.size_error());
        }
        self.hasher.update(bytes);
        Ok(())
    }

    /// Bytes taken so far.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// Whether all announced bytes were taken.
    pub fn is_complete(&self) -> bool {
        self.seen == self.size
    }

    /// The verdict.
    pub fn finish(self) -> Result<(), VerifyError> {
        if self.seen != self.size {
            return Err(self.size_error());
        }
        let actual = self.hasher.finish();
        if actual == self.expected.as_ref() {
            return Ok(());
        }
        Err(VerifyError::Digest { expected: self.expected, actual })
    }

    fn size_error(&self) -> VerifyError {
        VerifyError::Size { digest: self.expected.clone(), expected: self.size, actual: self.seen }
    }
}

#[derive(Debug, Clone)]
enum Hasher {
    Sha256(Sha256),
    Sha512(Box<Sha512>),
}

impl Hasher {
    fn of(digest: &Digest) -> Result<Self, VerifyError> {
        match digest.algorithm() {
            DigestAlgorithm::Sha256 => Ok(Self::Sha256(Sha256::new())),
            DigestAlgorithm::Sha512 => Ok(Self::Sha512(Box::new(Sha512::new()))),
            _ => Err(VerifyError::Algorithm { digest: digest.clone() }),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Sha512(hasher) => hasher.update(bytes),
        }
    }

    fn finish(self) -> String {
        match self {
            Self::Sha256(hasher) => to_text("sha256", &hasher.finalize()),
            Self::Sha512(hasher) => to_text("sha512", &hasher.finalize()),
        }
    }

    fn finish_as_digest(self) -> Digest {
        let text = self.finish();
        // The text was made here from a hash of the right length.
        Digest::from_str(&text).unwrap_or_else(|_| unreachable!("{text} is a digest"))
    }
}

fn to_text(algorithm: &str, hash: &[u8]) -> String {
    let mut text = String::with_capacity(algorithm.len() + 1 + hash.len() * 2);
    text.push_str(algorithm);
    text.push(':');
    for byte in hash {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn hashes_as_the_standard_says() {
        let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(sha256(b"").as_ref(), empty);
        verify(b"", &Digest::from_str(empty).unwrap()).unwrap();
        let long = "sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
                    2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";
        verify(b"abc", &Digest::from_str(long).unwrap()).unwrap();
        let odd = Digest::from_str("md5:d41d8cd98f00b204e9800998ecf8427e").unwrap();
        assert!(matches!(verify(b"", &odd), Err(VerifyError::Algorithm { .. })));
    }

    #[test]
    fn tells_size_from_digest() {
        let digest = sha256(b"abc");
        assert!(matches!(verify(b"abd", &digest), Err(VerifyError::Digest { .. })));
        let mut short = Verifier::new(&digest, 3).unwrap();
        short.update(b"ab").unwrap();
        assert!(!short.is_complete());
        assert!(matches!(short.finish(), Err(VerifyError::Size { actual: 2, .. })));
        let mut long = Verifier::new(&digest, 3).unwrap();
        assert!(matches!(long.update(b"abcd"), Err(VerifyError::Size { actual: 4, .. })));
    }
}
