//! One private key: read from OpenSSH's format, signing as the SSH protocol wants it (RFC 8332, 5656 and 8709).

use std::path::Path;

use ring::rand::SystemRandom;
use ring::rsa::{KeyPairComponents, PublicKeyComponents};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    Ed25519KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA512, RsaKeyPair,
};
use ssh_key::private::{EcdsaKeypair, Ed25519Keypair, KeypairData, RsaKeypair};
use ssh_key::{Mpint, PrivateKey};

use super::KeyError;
use super::wire::Writer;

/// With these flags a client chooses the hash of an RSA signature. Without one it wants SHA-1, which is refused.
const RSA_SHA2_256: u32 = 2;
const RSA_SHA2_512: u32 = 4;

/// How files begin and end that hold keys in the formats before OpenSSH's own.
const OLD: [&[u8]; 2] = [b"-----BEGIN ", b"PRIVATE KEY-----"];

/// The same for OpenSSH's own.
const OPENSSH: &[u8] = b"-----BEGIN OPENSSH PRIVATE KEY-----";

/// A key that can sign.
pub(super) struct Key {
    /// The public key as the protocol writes it.
    public: Vec<u8>,
    comment: String,
    pair: Pair,
}

enum Pair {
    Ed25519(Ed25519KeyPair),
    Ecdsa { algorithm: &'static str, pair: EcdsaKeyPair },
    Rsa(Box<RsaKeyPair>),
}

impl Key {
    pub(super) fn read(path: &Path, content: &[u8]) -> Result<Self, KeyError> {
        let path = path.to_owned();
        let content = content.trim_ascii();
        if content.starts_with(OLD[0]) && content.ends_with(OLD[1]) && !content.starts_with(OPENSSH) {
            return Err(KeyError::OldFormat { path });
        }
        let key = PrivateKey::from_openssh(content);
        let key = key.map_err(|source| {
            let path = path.clone();
            // The library does not read every key: where a number happens to begin with zeros, it finds it too short.
            let reason = format!("{source} (kiln knows ed25519, RSA, and ECDSA but on nistp521)");
            if content.starts_with(OPENSSH) {
                KeyError::Unusable { path, reason }
            } else {
                KeyError::Format { path, source }
            }
        })?;
        if key.is_encrypted() {
            return Err(KeyError::Encrypted { path });
        }
        let unusable = |reason: String| KeyError::Unusable { path: path.clone(), reason };
        let public = key.public_key().to_bytes().map_err(|error| unusable(error.to_string()))?;
        let pair = match key.key_data() {
            KeypairData::Ed25519(pair) => ed25519(pair),
            KeypairData::Ecdsa(pair) => ecdsa(pair),
            KeypairData::Rsa(pair) => rsa(pair),
            _ => Err("of keys, kiln knows ed25519, ECDSA (nistp256, nistp384) and RSA".to_owned()),
        };
        Ok(Self { public, comment: key.comment().to_owned(), pair: pair.map_err(unusable)? })
    }

    pub(super) fn public(&self) -> &[u8] {
        &self.public
    }

    pub(super) fn comment(&self) -> &str {
        &self.comment
    }

    /// The name of the signature's algorithm, and the signature; `None` where the flags ask for something else.
    pub(super) fn sign(&self, data: &[u8], flags: u32) -> Option<(&'static str, Vec<u8>)> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Ed25519(pair) => Some(("ssh-ed25519", pair.sign(data).as_ref().to_vec())),
            Pair::Ecdsa { algorithm, pair } => {
                let signature = pair.sign(&random, data).ok()?;
                let (r, s) = signature.as_ref().split_at(signature.as_ref().len() / 2);
                let mut blob = Writer::default();
                blob.large(r);
                blob.large(s);
                Some((algorithm, blob.into_bytes()))
            }
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                let algorithm = if flags & RSA_SHA2_512 != 0 {
                    pair.sign(&RSA_PKCS1_SHA512, &random, data, &mut signature).ok()?;
                    "rsa-sha2-512"
                } else if flags & RSA_SHA2_256 != 0 {
                    pair.sign(&RSA_PKCS1_SHA256, &random, data, &mut signature).ok()?;
                    "rsa-sha2-256"
                } else {
                    return None;
                };
                Some((algorithm, signature))
            }
        }
    }
}

fn ed25519(pair: &Ed25519Keypair) -> Result<Pair, String> {
    let (seed, public) = (pair.private.to_bytes(), pair.public.0);
    let pair = Ed25519KeyPair::from_seed_and_public_key(&seed, &public);
    Ok(Pair::Ed25519(pair.map_err(|error| error.to_string())?))
}

fn ecdsa(pair: &EcdsaKeypair) -> Result<Pair, String> {
    let (algorithm, signing): (_, &'static EcdsaSigningAlgorithm) = match pair {
        EcdsaKeypair::NistP256 { .. } => ("ecdsa-sha2-nistp256", &ECDSA_P256_SHA256_FIXED_SIGNING),
        EcdsaKeypair::NistP384 { .. } => ("ecdsa-sha2-nistp384", &ECDSA_P384_SHA384_FIXED_SIGNING),
        EcdsaKeypair::NistP521 { .. } => return Err("kiln does not know ECDSA on nistp521".to_owned()),
    };
    let (private, public) = (pair.private_key_bytes(), pair.public_key_bytes());
    let pair = EcdsaKeyPair::from_private_key_and_public_key(signing, private, public, &SystemRandom::new());
    Ok(Pair::Ecdsa { algorithm, pair: pair.map_err(|error| error.to_string())? })
}

/// OpenSSH stores neither of the exponents that are used, so they are computed.
fn rsa(pair: &RsaKeypair) -> Result<Pair, String> {
    let part =
        |number: &Mpint| number.as_positive_bytes().map(<[u8]>::to_vec).ok_or("a number of it is negative");
    let (modulus, exponent) = (part(&pair.public.n)?, part(&pair.public.e)?);
    let private = &pair.private;
    let (d, p, q) = (part(&private.d)?, part(&private.p)?, part(&private.q)?);
    let (first, second) = (remainder(&d, &less_one(&p)?), remainder(&d, &less_one(&q)?));
    let components = KeyPairComponents {
        public_key: PublicKeyComponents { n: &modulus, e: &exponent },
        d: &d,
        p: &p,
        q: &q,
        dP: &first,
        dQ: &second,
        qInv: &part(&private.iqmp)?,
    };
    let pair = RsaKeyPair::from_components(&components).map_err(|error| error.to_string())?;
    Ok(Pair::Rsa(Box::new(pair)))
}

/// An odd number, big end first, less one.
fn less_one(number: &[u8]) -> Result<Vec<u8>, &'static str> {
    let mut less = number.to_vec();
    match less.last_mut() {
        Some(last) if *last & 1 == 1 => *last -= 1,
        _ => return Err("a prime of it is even"),
    }
    Ok(less)
}

/// What is left of `number` when it is divided by `divisor`, which is not 0; both without a sign, big end first. One bit
/// after the other: it is done once a key.
fn remainder(number: &[u8], divisor: &[u8]) -> Vec<u8> {
    // One byte more than the divisor: room for twice the rest.
    let mut wide = vec![0];
    wide.extend(divisor);
    let mut rest = vec![0; wide.len()];
    for bit in number.iter().flat_map(|byte| (0..8).rev().map(move |shift| byte >> shift & 1)) {
        let mut carry = bit;
        for byte in rest.iter_mut().rev() {
            (*byte, carry) = (*byte << 1 | carry, *byte >> 7);
        }
        if rest >= wide {
            subtract(&mut rest, &wide);
        }
    }
    let leading = rest.iter().take_while(|byte| **byte == 0).count();
    rest.split_off(leading)
}

/// Takes a number of the same length, not greater, away.
fn subtract(from: &mut [u8], what: &[u8]) {
    let mut borrow = false;
    for (left, right) in from.iter_mut().zip(what).rev() {
        let (value, first) = left.overflowing_sub(*right);
        let (value, second) = value.overflowing_sub(u8::from(borrow));
        (*left, borrow) = (value, first || second);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remainders_are_those_of_small_numbers() {
        for (number, divisor) in
            [(0u32, 7u32), (6, 7), (7, 7), (1_000_003, 97), (u32::MAX, 65_535), (1 << 31, 3)]
        {
            let left = remainder(&number.to_be_bytes(), &divisor.to_be_bytes());
            let value = left.iter().fold(0u32, |value, byte| value << 8 | u32::from(*byte));
            assert_eq!(value, number % divisor, "{number} {divisor}");
        }
        assert_eq!(less_one(&[1, 1]), Ok(vec![1, 0]));
        assert!(less_one(&[2]).is_err() && less_one(&[]).is_err());
    }
}
