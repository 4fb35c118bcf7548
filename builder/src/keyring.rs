//! Private keys as an SSH agent has them: what their owner can have signed, and nobody can take out.
//!
//! A build is given key files in place of an agent's socket (`--ssh ID=FILE`); its steps and git reach them through the
//! same relay. Here the keys are read and the two requests that a relay passes on are answered; who may ask is the
//! relay's business. The protocol is that of draft-ietf-sshm-ssh-agent.

mod key;
mod wire;

use std::fmt;
use std::path::{Path, PathBuf};

use self::key::Key;
use self::wire::{Reader, Writer};

/// The request for a list of keys, and its answer.
pub(crate) const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES_ANSWER: u8 = 12;

/// The request for a signature, and its answer.
pub(crate) const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;

/// The answer to a request that is refused.
const FAILURE: u8 = 5;

/// Keys that can sign. Dropping it forgets them.
pub struct Keyring {
    keys: Vec<Key>,
}

/// Why a file is no usable key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The key is protected by a passphrase, which nobody can be asked for.
    #[error("the private key {} is encrypted", path.display())]
    Encrypted {
        /// The file.
        path: PathBuf,
    },
    /// The file is no private key in OpenSSH's format.
    #[error("{} is not a private key in OpenSSH's format", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: ssh_key::Error,
    },
    /// A private key of another format.
    #[error("{} is a private key in an old format", path.display())]
    OldFormat {
        /// The file.
        path: PathBuf,
    },
    /// A kind of key that kiln cannot sign with, or a key whose parts do not fit.
    #[error("the private key {} cannot be used: {reason}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

impl KeyError {
    /// What the user can do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Encrypted { path } | Self::Unusable { path, .. } => format!(
                "add it to an agent (`ssh-add {}`) and give the agent: --ssh ID, or --ssh ID=SOCKET",
                path.display()
            ),
            Self::OldFormat { path } => format!(
                "`ssh-keygen -p -f {}` writes it in OpenSSH's own format; or give an agent that has it",
                path.display()
            ),
            Self::Format { .. } => "--ssh takes the socket of an agent or private keys".to_owned(),
        }
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keyring({} keys)", self.keys.len())
    }
}

impl Keyring {
    /// A keyring of the keys in these files, given with their contents.
    pub fn new<'a>(files: impl IntoIterator<Item = (&'a Path, &'a [u8])>) -> Result<Self, KeyError> {
        let keys = files.into_iter().map(|(path, content)| Key::read(path, content));
        Ok(Self { keys: keys.collect::<Result<_, _>>()? })
    }

    /// The answer to a request, both with their length before them.
    pub(crate) fn answer(&self, request: &[u8]) -> Vec<u8> {
        let body = request.get(4..).unwrap_or_default();
        let answer = match body.split_first() {
            Some((&REQUEST_IDENTITIES, _)) => Some(self.identities()),
            Some((&SIGN_REQUEST, rest)) => self.signature(rest),
            _ => None,
        };
        let mut message = Writer::default();
        message.string(&answer.unwrap_or_else(|| vec![FAILURE]));
        message.into_bytes()
    }

    fn identities(&self) -> Vec<u8> {
        let mut answer = Writer::default();
        answer.byte(IDENTITIES_ANSWER);
        answer.number(u32::try_from(self.keys.len()).unwrap_or(u32::MAX));
        for key in &self.keys {
            answer.string(key.public());
            answer.string(key.comment().as_bytes());
        }
        answer.into_bytes()
    }

    fn signature(&self, request: &[u8]) -> Option<Vec<u8>> {
        let mut reader = Reader::new(request);
        let (public, data, flags) = (reader.string()?, reader.string()?, reader.number()?);
        let key = self.keys.iter().find(|key| key.public() == public)?;
        let (algorithm, blob) = key.sign(data, flags)?;
        let mut signature = Writer::default();
        signature.string(algorithm.as_bytes());
        signature.string(&blob);
        let mut answer = Writer::default();
        answer.byte(SIGN_RESPONSE);
        answer.string(&signature.into_bytes());
        Some(answer.into_bytes())
    }
}

#[cfg(test)]
mod tests;
