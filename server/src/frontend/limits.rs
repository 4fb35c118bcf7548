//! Attributes of a build beside the Dockerfile's own business: hosts that commands know, limits. What kiln
//! does not do is refused where leaving it out could change what the build does, and told otherwise.

use std::collections::HashMap;
use std::net::IpAddr;

use tonic::Status;

/// Limits of commands, which are not set: a command has at least what they would leave it.
const LIMITS: &[&str] = &[
    "cgroup-parent",
    "shm-size",
    "ulimit",
    "memory",
    "memswap",
    "cpushares",
    "cpuperiod",
    "cpuquota",
    "cpusetcpus",
    "cpusetmems",
];

/// What the attributes ask for beside the Dockerfile.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Limits {
    /// Hosts that every command knows: address and name.
    pub(super) hosts: Vec<(String, String)>,
    /// What is not done, in one line each.
    pub(super) warnings: Vec<String>,
}

/// Reads the attributes.
pub(super) fn read(attributes: &HashMap<String, String>) -> Result<Limits, Status> {
    let get = |key: &str| attributes.get(key).filter(|value| !value.is_empty());
    let mut limits = Limits::default();
    if let Some(given) = get("add-hosts") {
        limits.hosts = hosts(given)?;
    }
    for key in LIMITS {
        if let Some(value) = get(key) {
            limits.warnings.push(format!("{key}={value} has no effect: commands are not limited"));
        }
    }
    Ok(limits)
}

/// `NAME=ADDRESS` in a list.
fn hosts(given: &str) -> Result<Vec<(String, String)>, Status> {
    let host = |pair: &str| {
        let wrong = || Status::invalid_argument(format!("add-hosts: `{pair}` is not NAME=ADDRESS"));
        let (name, address) = pair.split_once('=').ok_or_else(wrong)?;
        let address: IpAddr = address.trim_matches(['[', ']']).parse().map_err(|_| wrong())?;
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err(wrong());
        }
        Ok((address.to_string(), name.to_owned()))
    };
    given.split(',').map(host).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read_pairs(pairs: &[(&str, &str)]) -> Result<Limits, Status> {
        read(&pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn hosts_have_addresses() {
        let limits = read_pairs(&[("add-hosts", "a=1.2.3.4,b=::1")]).unwrap();
        let pair = |address: &str, name: &str| (address.to_owned(), name.to_owned());
        assert_eq!(limits.hosts, [pair("1.2.3.4", "a"), pair("::1", "b")]);
        for wrong in ["a", "a=b", "=1.2.3.4", "a b=1.2.3.4"] {
            assert!(read_pairs(&[("add-hosts", wrong)]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_not_done_is_said() {
        assert_eq!(read_pairs(&[("attest:provenance", "mode=max")]).unwrap(), Limits::default());
        assert_eq!(read_pairs(&[("shm-size", "1")]).unwrap().warnings.len(), 1);
    }
}
