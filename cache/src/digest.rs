//! Names of content: [`Digest`] of stored bytes, [`DiffId`] of a layer's uncompressed tar.
//!
//! Invariant: nothing here or above turns a digest into a file name before [`sha256_hex`] has accepted it, so that
//! a digest that came from outside can never name a path of its own making.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

pub use oci_spec::image::Digest;
use oci_spec::image::DigestAlgorithm;

/// The digest of a layer's uncompressed tar: the layer's identity, whatever form it is kept in.
///
/// Invariant: always sha256, 64 lower-case hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Digest", into = "Digest")]
pub struct DiffId(Digest);

/// SHA-256 of a tar without entries: two blocks of zeros.
const EMPTY_TAR: &str = "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef";

/// A digest that this store cannot keep or verify.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a sha256 digest")]
pub struct DigestError {
    /// The digest as it was written.
    pub text: String,
}

impl DiffId {
    /// The diff id of a finished hash.
    pub fn from_hash(hash: [u8; 32]) -> DiffId {
        DiffId(digest_of_hash(hash))
    }

    /// The same identity as an OCI digest.
    pub fn digest(&self) -> &Digest {
        &self.0
    }

    /// The 64 hexadecimal digits.
    pub fn hex(&self) -> &str {
        self.0.digest()
    }

    /// Whether the layer has no entries, so that it changes nothing wherever it lies.
    pub fn is_empty_layer(&self) -> bool {
        self.hex() == EMPTY_TAR
    }
}

impl TryFrom<Digest> for DiffId {
    type Error = DigestError;

    fn try_from(digest: Digest) -> Result<DiffId, DigestError> {
        sha256_hex(&digest)?;
        Ok(DiffId(digest))
    }
}

impl From<DiffId> for Digest {
    fn from(diff_id: DiffId) -> Digest {
        diff_id.0
    }
}

impl FromStr for DiffId {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<DiffId, DigestError> {
        let digest = Digest::from_str(text).map_err(|_| DigestError { text: text.to_owned() })?;
        DiffId::try_from(digest)
    }
}

impl fmt::Display for DiffId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl PartialOrd for DiffId {
    fn partial_cmp(&self, other: &DiffId) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for DiffId {
    fn cmp(&self, other: &DiffId) -> std::cmp::Ordering {
        self.0.as_ref().cmp(other.0.as_ref())
    }
}

/// The sha256 digest of some bytes.
pub fn digest_of(bytes: &[u8]) -> Digest {
    digest_of_hash(Sha256::digest(bytes).into())
}

/// The digest that a finished sha256 hash stands for.
pub fn digest_of_hash(hash: [u8; 32]) -> Digest {
    // The alternative to this branch is a panic; the hexadecimal form of 32 bytes is always accepted.
    match oci_spec::image::Sha256Digest::from_str(&to_hex(&hash)) {
        Ok(digest) => digest.into(),
        Err(error) => unreachable!("64 hexadecimal digits were refused: {error}"),
    }
}

/// The hexadecimal part of a digest, if it is one that this store can keep.
pub(crate) fn sha256_hex(digest: &Digest) -> Result<&str, DigestError> {
    match digest.algorithm() {
        DigestAlgorithm::Sha256 => Ok(digest.digest()),
        _ => Err(DigestError { text: digest.to_string() }),
    }
}

/// Lower-case hexadecimal digits.
pub(crate) fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

/// Exactly 64 lower-case hexadecimal digits, as bytes.
pub(crate) fn from_hex(text: &str) -> Option<[u8; 32]> {
    let nibble = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let digits: &[u8; 64] = text.as_bytes().try_into().ok()?;
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_layer_without_entries_is_known() {
        let (tar, _, _) = crate::tarfile::write::TarWriter::new(Vec::new()).finish().unwrap();
        assert!(DiffId::try_from(digest_of(&tar)).unwrap().is_empty_layer());
        assert!(!DiffId::from_hash([0; 32]).is_empty_layer());
    }

    #[test]
    fn only_well_formed_sha256_is_a_diff_id() {
        let good = format!("sha256:{}", "ab".repeat(32));
        assert_eq!(good.parse::<DiffId>().unwrap().to_string(), good);
        let upper = format!("sha256:{}", "AB".repeat(32));
        let long = format!("sha512:{}", "ab".repeat(64));
        for bad in
            ["", "sha256:", "sha256:..", "sha256:../../../etc/passwd", "../x:abc", &upper, &long, "foo:bar"]
        {
            assert!(bad.parse::<DiffId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_diff_id_read_back_from_json_is_checked() {
        let good = DiffId::from_hash([7; 32]);
        let json = serde_json::to_string(&good).unwrap();
        assert_eq!(serde_json::from_str::<DiffId>(&json).unwrap(), good);
        assert!(serde_json::from_str::<DiffId>("\"foo:bar\"").is_err());
    }

    #[test]
    fn hex_reads_what_it_wrote_and_nothing_else() {
        let bytes: [u8; 32] = std::array::from_fn(|i| u8::try_from(i * 7 % 256).unwrap());
        assert_eq!(from_hex(&to_hex(&bytes)), Some(bytes));
        assert_eq!(from_hex(&"A0".repeat(32)), None);
        assert_eq!(from_hex("ab"), None);
    }
}
