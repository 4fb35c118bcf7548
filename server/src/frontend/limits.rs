//! Attributes of a build beside the Dockerfile's own business: hosts that commands know, limits. What kiln
//! does not do is refused where leaving it out could change what the build does, and told otherwise.

use std::collections::HashMap;
use std::fmt::Write;
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
    /// Lines for `/etc/hosts`.
    pub(super) hosts: String,
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

/// `NAME=ADDRESS` in a list, as lines of `/etc/hosts`.
fn hosts(given: &str) -> Result<String, Status> {
    let mut lines = String::new();
    for pair in given.split(',') {
        let wrong = || Status::invalid_argument(format!("add-hosts: `{pair}` is not NAME=ADDRESS"));
        let (name, address) = pair.split_once('=').ok_or_else(wrong)?;
        let address: IpAddr = address.trim_matches(['[', ']']).parse().map_err(|_| wrong())?;
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err(wrong());
        }
        // Writing to a string cannot fail.
        let _ = writeln!(lines, "{address}\t{name}");
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read_pairs(pairs: &[(&str, &str)]) -> Result<Limits, Status> {
        read(&pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn hosts_are_lines() {
        let limits = read_pairs(&[("add-hosts", "a=1.2.3.4,b=::1")]).unwrap();
        assert_eq!(limits.hosts, "1.2.3.4\ta\n::1\tb\n");
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
