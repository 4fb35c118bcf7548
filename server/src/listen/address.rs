//! Addresses as people write them. Pure.

use std::path::PathBuf;
use std::str::FromStr;

/// Where systemd's sockets begin, as processes number what they have open.
const FIRST: usize = 3;

/// Where a daemon is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// `unix:///PATH`.
    Unix(PathBuf),
    /// `tcp://HOST:PORT`.
    Tcp(String),
    /// `fd://`: all sockets that were handed over; `fd://3` the first of them, and so on.
    Inherited(Option<usize>),
}

/// A text that is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no address to listen at{}", hint(text))]
pub struct AddressError {
    /// As given.
    pub text: String,
}

fn hint(text: &str) -> String {
    match text.split_once("://") {
        None if text.starts_with('/') => format!(": unix://{text} is meant"),
        None if text.contains(':') => format!(": tcp://{text} is meant"),
        Some(("unix", _)) => ": the path of a unix:// address is absolute".to_owned(),
        Some(("tcp", _)) => ": a tcp:// address is HOST:PORT".to_owned(),
        Some(("fd", _)) => ": fd:// stands alone or before a number from 3 on".to_owned(),
        _ => ": unix:///PATH, tcp://HOST:PORT or fd:// is meant".to_owned(),
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let address = match text.split_once("://") {
            Some(("unix", path)) if path.starts_with('/') => Some(Self::Unix(PathBuf::from(path))),
            Some(("tcp", name)) => {
                let port = name.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
                port.map(|_| Self::Tcp(name.to_owned()))
            }
            Some(("fd", "")) => Some(Self::Inherited(None)),
            Some(("fd", number)) => {
                let number = number.parse::<usize>().ok().and_then(|number| number.checked_sub(FIRST));
                number.map(|number| Self::Inherited(Some(number)))
            }
            _ => None,
        };
        address.ok_or_else(|| AddressError { text: text.to_owned() })
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp(name) => write!(f, "tcp://{name}"),
            Self::Inherited(None) => write!(f, "fd://"),
            Self::Inherited(Some(number)) => write!(f, "fd://{}", number + FIRST),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn addresses_are_read_and_written_alike() {
        for (text, address) in [
            ("unix:///run/b.sock", Address::Unix("/run/b.sock".into())),
            ("tcp://0.0.0.0:1234", Address::Tcp("0.0.0.0:1234".into())),
            ("tcp://[::1]:0", Address::Tcp("[::1]:0".into())),
            ("tcp://:1234", Address::Tcp(":1234".into())),
            ("fd://", Address::Inherited(None)),
            ("fd://4", Address::Inherited(Some(1))),
        ] {
            let read: Address = text.parse().unwrap();
            assert_eq!((read.to_string().as_str(), read), (text, address));
        }
    }

    #[test]
    fn what_is_no_address_is_told_what_one_is() {
        for (text, said) in [
            ("/run/b.sock", "unix:///run/b.sock is meant"),
            ("localhost:1234", "tcp://localhost:1234 is meant"),
            ("unix://run/b.sock", "absolute"),
            ("tcp://localhost", "HOST:PORT"),
            ("tcp://localhost:http", "HOST:PORT"),
            ("fd://2", "from 3 on"),
            ("npipe:////./pipe/b", "unix:///PATH"),
            ("", "unix:///PATH"),
        ] {
            let error = text.parse::<Address>().unwrap_err().to_string();
            assert!(error.contains(said) && error.contains(text), "{error}");
        }
    }
}
