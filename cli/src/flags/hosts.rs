//! `--add-host`: names that the commands of a build know, with their addresses.

use std::net::IpAddr;
use std::str::FromStr;

/// The word that docker puts the address of the machine in place of.
const GATEWAY: &str = "host-gateway";

/// One name and its address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostSpec {
    /// The name.
    pub name: String,
    /// The address.
    pub address: IpAddr,
}

impl FromStr for HostSpec {
    type Err = String;

    /// `NAME:ADDRESS` or `NAME=ADDRESS`; an IPv6 address may stand in brackets.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not NAME:ADDRESS, as db:10.0.0.5 is");
        let (name, address) = text.split_once('=').or_else(|| text.split_once(':')).ok_or_else(wrong)?;
        if name.is_empty() || name.contains(|char: char| char.is_whitespace() || char.is_control()) {
            return Err(wrong());
        }
        if address == GATEWAY {
            return Err(format!(
                "`{GATEWAY}` stands for no address here: commands are on the network of this machine, which is 127.0.0.1 to them"
            ));
        }
        let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
        let address = bare.parse().map_err(|_| wrong())?;
        Ok(Self { name: name.to_owned(), address })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_in_dockers_spellings() {
        for (text, name, address) in [
            ("db:10.0.0.5", "db", "10.0.0.5"),
            ("db=10.0.0.5", "db", "10.0.0.5"),
            ("six:::1", "six", "::1"),
            ("six=[::1]", "six", "::1"),
        ] {
            let expected = HostSpec { name: name.to_owned(), address: address.parse().unwrap() };
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for wrong in ["db", "db:", ":10.0.0.5", "db:ten", "d b:10.0.0.5", "d\n:10.0.0.5"] {
            assert!(wrong.parse::<HostSpec>().is_err_and(|error| error.contains("NAME:ADDRESS")), "{wrong}");
        }
        let gateway = "host:host-gateway".parse::<HostSpec>().unwrap_err();
        assert!(gateway.contains("127.0.0.1"), "{gateway}");
    }
}
